"""Pre-trained ECG and PPG encoders: the names that published files give to one network, and what of a file arrives.

Known are bare files (1_lead_ECGFounder.pth), files with both encoders under prefixes, and files of `train_bp.py`.
"""

from collections.abc import Mapping
from pathlib import Path

import torch
from torch import nn

from neural_methods import checkpoint
from neural_methods.checkpoint import LoadReport, State, WeightsError

MINIMUM = 0.95  # of an encoder that must arrive
PREFIXES = {
    branch: tuple(f"{branch}{end}" for end in ("_enc.backbone.", "_encoder.backbone.", "_encoder.", "_enc."))
    + (f"encoders.{branch}.",)
    for branch in ("ecg", "ppg")
}
ALIASES = {"first": "first_conv", "stages": "stage_list", "blocks": "block_list", "se1": "se_fc1", "se2": "se_fc2"}
CLASSIFIER = "dense."


def load_encoder(
    encoder: nn.Module, branch: str, path: str | Path, partial: bool = False, state: State | None = None
) -> str:
    """Put the `branch` ("ecg" or "ppg") of a weight file into `encoder`; returns a sentence on what arrived.

    WeightsError, and nothing is changed, when under 95 % of its entries arrive or one has another shape, unless
    `partial`; and for files that hold code. `state`: the file's entries where they have been read.
    """
    state = checkpoint.read_weights(path) if state is None else state
    own = encoder.state_dict()
    found = entries_of(state, branch, own)
    report = LoadReport.of(own, found)
    name = branch.upper()
    if report.share < (MINIMUM if not partial else 1e-9):
        raise WeightsError(
            f"'{path}' fills {len(report.loaded)} of {len(own)} entries of the {name} encoder, and "
            f"{100 * MINIMUM:.0f} % are needed ({report}). {_advice(state, branch, partial)}"
        )
    if report.mismatched and not partial:
        raise WeightsError(f"'{path}' is of another {name} encoder: {_shapes(own, found, report.mismatched[0])}")
    checkpoint.fill(encoder, found, ["*"], f"'{path}'")
    return f"{name} encoder: {len(report.loaded)}/{len(own)} tensors loaded from {path} ({report})."


def branches_in(state: Mapping[str, torch.Tensor]) -> tuple[str, ...]:
    """The branches that a file names by prefix; () for a bare one."""
    return tuple(branch for branch, names in PREFIXES.items() if any(key.startswith(names) for key in state))


def entries_of(state: State, branch: str, own: Mapping[str, torch.Tensor]) -> State:
    """The entries of `branch` under the names of `own`, the network's; all of a bare file's but its classifier."""
    named = branches_in(state)
    if named and branch not in named:
        return {}
    found: State = {}
    for key, value in state.items():
        name = _inner(key, branch) if named else key
        if name is None or name.startswith(CLASSIFIER):
            continue
        name = ".".join(ALIASES.get(part, part) for part in name.removeprefix("backbone.").split("."))
        if "cbam" in name.lower():
            name, value = _attention(name, value, own)
        found[name] = value
    return found


def _inner(key: str, branch: str) -> str | None:
    """A name without the prefix of the branch; None where it has another."""
    prefix = next((one for one in PREFIXES[branch] if key.startswith(one)), None)
    return None if prefix is None else key[len(prefix) :]


def _attention(name: str, value: torch.Tensor, own: Mapping[str, torch.Tensor]) -> tuple[str, torch.Tensor]:
    """An entry of the attention, which every program names its own way, by its shape; kernels of 1 are matrices."""
    for key, mine in own.items():
        if key.startswith("cbam.") and mine.shape == value.squeeze(-1).shape:
            return key, value.squeeze(-1)
        if key.startswith("cbam.") and mine.shape == value.shape:
            return key, value
    return name, value


def _shapes(own: State, found: State, key: str) -> str:
    theirs, ours = tuple(found[key].shape), tuple(own[key].shape)
    leads = f" It reads {theirs[1]} leads, this network {ours[1]}." if key == "first_conv.conv.weight" else ""
    return f"'{key}' is {theirs} instead of {ours}.{leads} Name another file, or set MODEL.BP.ALLOW_PARTIAL."


def _advice(state: State, branch: str, partial: bool) -> str:
    other = {"ecg": "ppg", "ppg": "ecg"}[branch]
    named = branches_in(state)
    first = state.get("first_conv.conv.weight", state.get("first.conv.weight"))
    kernel = {16: "ecg", 3: "ppg"}.get(first.shape[-1]) if first is not None and first.ndim == 3 else None
    if named == (other,) or (not named and kernel == other):
        return f"It holds a {other.upper()} encoder: name a file with the {branch.upper()} one."
    if partial:
        return "Not one entry fits: name another file."
    return "Name a file of this network, or set MODEL.BP.ALLOW_PARTIAL (--allow_partial): the rest then starts fresh."
