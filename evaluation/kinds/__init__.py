"""Kinds of output of a method, one per file: what is counted, computed, printed, drawn and reported of each."""

from collections.abc import Mapping

from dataset.signals import PULSE_WAVE
from registry import KINDS

# A wave of this name is of a kind of its own, whatever the method says: their numbers differ from those of other waves.
BY_NAME = {PULSE_WAVE: "pulse", "resp": "breathing"}


def kind_name(head: str, kind: str) -> str:
    """The registered kind of the output called `head` that a method declares as `kind`."""
    return BY_NAME.get(head, kind) if kind == "wave" else kind


def check_heads(heads: Mapping[str, str], method: str = "") -> None:
    """ValueError for an output that nothing can evaluate; for the start of a run, not its end.

    `heads`: name of the output -> kind, as a method declares them.
    """
    who = f"{method}: " if method else ""
    if not heads:
        raise ValueError(f"{who}`heads` is empty: name what the method puts out, such as {{'ppg': 'wave'}}.")
    for name, kind in heads.items():
        if kind not in KINDS:
            raise ValueError(
                f"{who}its output {name!r} is of the kind {kind!r}, which nothing can evaluate. {KINDS.hint(kind)} "
                "Another kind is one file that registers a class in KINDS (CONTRIBUTING)."
            )
