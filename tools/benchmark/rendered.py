"""Rendered clips that are measured one by one; each leaves a line at once, so that a long run can be continued."""

import json
import math
import tempfile
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from scipy.stats import binomtest

from dataset.files.frames import VideoError
from evaluation.consensus import LEVEL
from evaluation.strength import LEAST
from pulsescope import measure

Line = dict[str, Any]


def every(file: Path, cases: Mapping[str, Callable[[Path], Line]]) -> list[Line]:
    """The line of every case, in their order: those that `file` has are read, the others are made and appended.

    A case is called with an empty folder for its video, which goes with it.
    """
    file.parent.mkdir(parents=True, exist_ok=True)
    known = {line["name"]: line for line in map(json.loads, _whole_lines(file))}
    for name, case in cases.items():
        if name not in known:
            with tempfile.TemporaryDirectory() as folder:
                known[name] = {"name": name, **case(Path(folder))}
            with file.open("a", encoding="utf-8") as lines:
                lines.write(json.dumps(known[name]) + "\n")
    return [known[name] for name in cases]


def said(video: Path, settings: Sequence[str] = (), cache: Path | None = None) -> Line:
    """What `measure` says of `video`. `seen`: a face was there, so that confidence and strength decide."""
    try:
        found = measure(video, cache, settings)
    except VideoError as error:
        return {"rate": None, "confidence": 0.0, "strength": 0.0, "reason": str(error), "seen": False}
    weak = found.strength < LEAST
    seen = math.isfinite(found.rate) and (found.reliable or found.confidence < LEVEL or weak)
    return {
        "rate": found.rate if math.isfinite(found.rate) else None,
        "confidence": found.confidence,
        "reason": found.reason,
        "seen": seen,
        "strength": found.strength,
        "irregular": found.rhythm.irregular,
    }


def given(line: Line, level: float = LEVEL, least: float | None = LEAST) -> bool:
    """Whether this clip gets a rate where `level` is asked for, and a strength of `least` (None: of any)."""
    return bool(line["seen"] and line["confidence"] >= level and (least is None or line["strength"] >= least))


def share(part: int, whole: int) -> str:
    """`part` of `whole` in per cent, with its 95 % interval (Clopper and Pearson)."""
    if not whole:
        return "-"
    low, high = binomtest(part, whole).proportion_ci()
    return f"{part / whole:.1%} ({low:.1%} to {high:.1%})"


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A Markdown table: words in the first column, figures in the others."""
    bars = ["---", *["---:"] * (len(head) - 1)]
    return "\n".join(f"| {' | '.join(row)} |" for row in (head, bars, *rows))


def _whole_lines(file: Path) -> list[str]:
    """The finished lines of `file`; one that was cut off is taken out of it."""
    text = file.read_text(encoding="utf-8") if file.exists() else ""
    whole = text[: text.rfind("\n") + 1]
    if whole != text:
        file.write_text(whole, encoding="utf-8")
    return whole.splitlines()
