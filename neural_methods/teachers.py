"""The tokenizer that teaches: opened from its file alone, known by its content.

A file of this program says what it is (its sidecar, or its bundle). A file of CM-SSL does not: its sizes are read from
its shapes, it was trained on windows as they are, and a single channel must be named by the user.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from neural_methods import checkpoint
from neural_methods.checkpoint import State, WeightsError
from neural_methods.model.tokenizer import TokenMaker
from neural_methods.patches import CHANNELS, channels_of

METHOD = "Tokenizer"
NOT_TAUGHT = ("de.*", "quantizer.embedding.idle", "quantizer.embedding.use")  # parts that a teacher does without
SIZES = {"PATCH": "patch", "WIDTH": "width", "HEADS": "heads", "LAYERS": "layers", "CODES": "codes",
         "CODE_WIDTH": "code_width"}  # fmt: skip
HEADS = 8  # of the joint encoder where a file does not say it


@dataclass(frozen=True)
class Teacher:
    """What is known of a tokenizer's file: `channels`, `norm` of the input, `sizes` of the network."""

    path: Path
    channels: tuple[str, ...]
    norm: str
    sizes: Mapping[str, int]

    def build(self) -> TokenMaker:
        """The network, with fresh weights."""
        return TokenMaker(len(self.channels), dropout=0.0, kmeans=False, **self.sizes)

    def load(self, network: TokenMaker) -> None:
        """Put all of its weights into `network`; WeightsError where one is missing, such as the projection."""
        state = {key: value for key, value in checkpoint.read_weights(self.path).items() if not key.startswith("de.")}
        state = {key.removeprefix("tokenizer."): value for key, value in state.items()}
        checkpoint.fill(network, state, NOT_TAUGHT, f"The tokenizer '{self.path}'")


def open_teacher(path: str | Path, single: Sequence[str] = ()) -> Teacher:
    """What the file says of itself; `single` names the channel of a CM-SSL file that has only one.

    FileNotFoundError without the file, WeightsError for one that is no tokenizer's, or that of other channels.
    """
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"No tokenizer at '{path}'. Train one first, and name its file in TOKENIZER.")
    known = checkpoint.read_sidecar(path)
    if known and known.get("method") != METHOD:
        raise WeightsError(f"'{path}' holds weights of {known.get('method')}, but a {METHOD} teaches: name its file.")
    if known:
        found = _as_stated(path, known.get("options", {}).get("TOKENIZER", {}))
        if single and tuple(single) != found.channels:
            raise WeightsError(
                f"TEACHER_CHANNEL is {' and '.join(single)}, but the tokenizer '{path}' reads "
                f"{' and '.join(found.channels)}. Remove the key: this file says what it reads."
            )
        return found
    return _as_shaped(path, checkpoint.read_weights(path), single)


def _as_stated(path: Path, options: Mapping[str, Any]) -> Teacher:
    try:
        sizes = {name: int(options[key]) for key, name in SIZES.items()}
        return Teacher(path, channels_of(options["CHANNELS"], "CHANNELS"), str(options["INPUT_NORM"]), sizes)
    except (KeyError, TypeError, ValueError) as error:
        raise WeightsError(f"'{path}' does not say what tokenizer it is ({error}): train or copy it again.") from None


def _as_shaped(path: Path, state: State, single: Sequence[str]) -> Teacher:
    """From the shapes in a file of CM-SSL."""
    try:
        width, numbers = state["te.linear.weight"].shape
        codes, code_width = state["quantizer.embedding.weight"].shape
    except (KeyError, ValueError):
        raise WeightsError(f"'{path}' is no tokenizer: it has no te.linear.weight or no quantizer.embedding.") from None
    layers = len({key.split(".")[3] for key in state if key.startswith("je.encoder.layers.")})
    count = max(1, numbers // 125)
    if count == 2 and single:
        raise WeightsError(f"TEACHER_CHANNEL is {single[0]}, but the tokenizer '{path}' reads both. Remove the key.")
    if count == 1 and not single:
        raise WeightsError(f"'{path}' does not say which signal it reads: set TEACHER_CHANNEL to ecg or ppg.")
    sizes = {"patch": numbers // count, "width": width, "heads": HEADS, "layers": layers, "codes": codes,
             "code_width": code_width}  # fmt: skip
    return Teacher(path, CHANNELS if count == 2 else tuple(single), "none", sizes)


def sign_of(network: TokenMaker) -> str:
    """SHA-256 of everything that makes its tokens."""
    state = network.state_dict()
    kept = {key: value for key, value in state.items() if key not in NOT_TAUGHT and key != "pe.pe"}
    return checkpoint.state_sign({key: value.detach().cpu() for key, value in kept.items() if key[:3] != "de."})
