"""Weights in and out: plain state dicts, with or without `module.`, safe to open, and readable when they do not fit.

A file written here is a state dict as rPPG-Toolbox writes it, so weights go both ways. Beside it lies `<name>.json`,
which knows what a state dict cannot say: the method, its options, clip length, frame size and data types.
"""

import fnmatch
import hashlib
import io
import json
import pickle
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import nn

from dataset.files.reading import read_json
from dataset.files.writing import write_whole
from dataset.files.zips import require_stored

State = dict[str, torch.Tensor]
PREFIXES = ("module.", "_orig_mod.")  # of DataParallel and of torch.compile: never the name of a layer of ours
PICKLE = b"\x80"  # the first byte of a pickle


class WeightsError(ValueError):
    """Weights that cannot be used, with the reason and the way out."""


def read_weights(path: str | Path) -> State:
    """The tensors of a .pth or .safetensors file by plain name (without `module.`, `_orig_mod.`), on the CPU.

    Raises FileNotFoundError, or WeightsError for a file that is damaged, holds code, or is no state dict.
    """
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(
            f"No weights at '{path}'. Set INFERENCE.MODEL_PATH (to start a training from some: MODEL.WEIGHTS) to a "
            f".pth or .safetensors file, or train first "
            f"(TOOLBOX_MODE: train_and_test writes one file per epoch into MODEL.MODEL_DIR)."
        )
    state = _unwrapped(_open(path))
    if not isinstance(state, Mapping) or not all(isinstance(value, torch.Tensor) for value in state.values()):
        raise WeightsError(
            f"'{path}' is not a state dict (name -> tensor), but {type(state).__name__}: export the weights alone."
        )
    return {_unprefixed(str(key)): value for key, value in state.items()}


def weights_sign(path: str | Path) -> str:
    """SHA-256 over names, types, shapes and values of a file of weights; a copy under another name has the same.

    Raises what `read_weights` raises.
    """
    return state_sign(read_weights(path))


def state_sign(state: Mapping[str, torch.Tensor]) -> str:
    """SHA-256 over names, types, shapes and values of a state dict on the CPU."""
    hashed = hashlib.sha256()
    for name, value in sorted(state.items()):
        hashed.update(f"{name} {value.dtype} {tuple(value.shape)}\n".encode())
        hashed.update(value.to_dense().contiguous().reshape(-1).view(torch.uint8).numpy().tobytes())
    return hashed.hexdigest()


def _unprefixed(key: str) -> str:
    """A name without what wrappers put before it, however often, and before parts of it."""
    while key.startswith(PREFIXES):
        key = key.partition(".")[2]
    return key.replace("._orig_mod.", ".")


def fitted(state: State, own: Iterable[str]) -> State:
    """`state` without a prefix that all its names have and none of `own`, the names of a network: `model.`, `net.`."""
    own, found = set(own), state
    while found and not own & found.keys():
        heads = {key.partition(".")[0] for key in found}
        shared = len(heads) == 1 and all("." in key for key in found)
        found = {key.partition(".")[2]: value for key, value in found.items()} if shared else {}
    return found or state


def _finite(value: torch.Tensor) -> bool:
    return not value.is_floating_point() or bool(torch.isfinite(value.to_dense()).all())


def _open(path: Path) -> Any:
    if path.suffix == ".safetensors":
        from safetensors import SafetensorError
        from safetensors.torch import load_file

        try:
            return load_file(path)
        except (SafetensorError, OSError, ValueError, MemoryError) as error:
            raise WeightsError(f"'{path}' is not a readable safetensors file ({error}): copy it again.") from error
    _refuse_compressed(path)
    try:
        return torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        with path.open("rb") as file:
            pickled = file.read(1) == PICKLE
        if "GLOBAL" not in str(error) and not pickled:  # torch says this of any bytes
            raise WeightsError(f"'{path}' is damaged or no weight file: copy or train it again.") from error
        raise WeightsError(
            f"'{path}' holds more than tensors (Python objects or code), so it is not opened: loading it could run "
            "that code. Export the plain weights where the file comes from: torch.save(model.state_dict(), path)."
        ) from error
    except Exception as error:  # bytes of something else raise nearly anything
        told = isinstance(error, (RuntimeError, OSError)) and str(error)
        reason = f" ({told.split('. ')[0].splitlines()[0]})" if told else ""
        raise WeightsError(f"'{path}' is damaged or no weight file{reason}: copy or train it again.") from error


def _refuse_compressed(path: Path) -> None:
    """WeightsError for an archive that torch has not written: it never compresses, and what inflates has no limit."""
    try:
        require_stored(path)
    except (OSError, ValueError) as error:
        raise WeightsError(f"'{path}' is damaged or no weight file ({error}): copy or train it again.") from None


def _unwrapped(state: Any) -> Any:
    """The state dict inside the wrappers that other programs put around it."""
    for key in ("state_dict", "model_state_dict", "model"):
        if isinstance(state, Mapping) and isinstance(state.get(key), Mapping):
            return state[key]
    return state


def load_weights(
    network: nn.Module,
    path: str | Path,
    method: str = "this method",
    expected: Mapping[str, Any] | None = None,
    ignored: Sequence[str] = (),
    candidates: Callable[[], Mapping[str, nn.Module]] | None = None,
) -> str:
    """Load a weight file into `network`; returns a sentence on what was checked.

    `expected` describes the network as `write_weights` did and is compared with the sidecar, where there is one.
    `ignored` are patterns of entries that may be missing or left over. `candidates()` gives the networks of the other
    methods, asked only when the weights do not fit, to name the one they belong to. Raises WeightsError.
    """
    path = Path(path)
    state = fitted(read_weights(path), network.state_dict())
    sidecar = read_sidecar(path)
    if sidecar and expected:
        _check_sidecar(path, sidecar, expected)
    problem = _mismatch(network.state_dict(), state, ignored)
    if problem:
        raise WeightsError(_explain(path, state, method, problem, sidecar, candidates))
    _refuse_broken(state, f"'{path}'")
    own = network.state_dict()
    network.load_state_dict({key: value for key, value in state.items() if key in own}, strict=False)
    if sidecar:
        return f"Weights {path}: method, options, clip length, frame size and types are those of its sidecar file."
    return f"Weights {path}: names and shapes fit {method}; without a sidecar file nothing more could be checked."


@dataclass(frozen=True)
class LoadReport:
    """What became of every entry when weights were put into a network: names of the network, or of the weights."""

    loaded: tuple[str, ...]
    missing: tuple[str, ...]  # entries of the network that the weights lack
    unexpected: tuple[str, ...]  # entries of the weights that the network lacks
    mismatched: tuple[str, ...]  # entries of both with different shapes

    @classmethod
    def of(cls, own: Mapping[str, torch.Tensor], state: State) -> "LoadReport":
        """Compare the entries of a network with those of weights, in their order."""
        common = [key for key in own if key in state]
        return cls(
            tuple(key for key in common if own[key].shape == state[key].shape),
            tuple(key for key in own if key not in state),
            tuple(key for key in state if key not in own),
            tuple(key for key in common if own[key].shape != state[key].shape),
        )

    @property
    def share(self) -> float:
        """How much of the network was loaded, 0 to 1, counted in entries."""
        return len(self.loaded) / max(len(self.loaded) + len(self.missing) + len(self.mismatched), 1)

    def __str__(self) -> str:
        """The counts, each with its first name where it is not what one hopes for."""
        others = [
            f"{len(names)} {what} ('{names[0]}'{', ...' if len(names) > 1 else ''})" if names else f"0 {what}"
            for what, names in (
                ("missing", self.missing), ("unexpected", self.unexpected), ("of another shape", self.mismatched),
            )
        ]  # fmt: skip
        return f"{len(self.loaded)} entries loaded, {', '.join(others)}"


def load_part(
    module: nn.Module,
    path: str | Path,
    rename: Callable[[str], str | None] | Mapping[str, str] | None = None,
    minimum: float = 0.95,
) -> LoadReport:
    """Load what fits of a weight file into `module`, part of a network or all of it; returns what became of what.

    `rename` turns a name of the file into one of the module (None: left out), or maps beginnings of names to others.
    WeightsError, and nothing is changed, when less than `minimum` (0 to 1) of the module's entries can be loaded.
    """
    state = fitted(_renamed(read_weights(path), rename), module.state_dict())
    report = LoadReport.of(module.state_dict(), state)
    if report.share < minimum:
        raise WeightsError(
            f"'{path}' fills {100 * report.share:.0f} % of {type(module).__name__}, and {100 * minimum:.0f} % are "
            f"asked for: {report}. Choose weights of this network, rename their entries, or lower the minimum."
        )
    _put(module, state, report, f"'{path}'")
    return report


def fill(network: nn.Module, state: State, patterns: Iterable[str], name: str) -> LoadReport:
    """Put `state` into `network`; entries that one of `patterns` names may be missing, over or of another shape.

    `name` is what errors call the weights. WeightsError, and nothing is changed, when others are, or nothing fits.
    """
    state = fitted(state, network.state_dict())
    report = LoadReport.of(network.state_dict(), state)
    patterns = list(patterns)
    wrong = [
        key
        for key in (*report.missing, *report.unexpected, *report.mismatched)
        if not any(fnmatch.fnmatch(key, pattern) for pattern in patterns)
    ]
    if wrong or not report.loaded:
        raise WeightsError(
            f"{name} does not fit: {report}"
            + (f"; {len(wrong)} of them may not be, first '{wrong[0]}'" if wrong else "")
            + ". Choose other weights, or let the method's `initial_weights` rename these."
        )
    _put(network, state, report, name)
    return report


def belongs_to(path: str | Path, method: str, network: nn.Module) -> bool:
    """Whether weights are those of `method`, as their sidecar says, or by the names of its entries without one."""
    owner = read_sidecar(path).get("method")
    own = network.state_dict().keys()
    return owner == method if owner else fitted(read_weights(path), own).keys() == own


def _renamed(state: State, rename: Callable[[str], str | None] | Mapping[str, str] | None) -> State:
    if rename is None:
        return state
    change = rename if callable(rename) else lambda key: _other_beginning(key, rename)
    renamed: State = {}
    for key, value in state.items():
        new = change(key)
        if new in renamed:
            raise WeightsError(f"Two entries are renamed to '{new}', the second is '{key}'.")
        if new is not None:
            renamed[new] = value
    return renamed


def _other_beginning(key: str, beginnings: Mapping[str, str]) -> str:
    fitting = [beginning for beginning in beginnings if key.startswith(beginning)]
    longest = max(fitting, key=len, default=None)
    return key if longest is None else beginnings[longest] + key[len(longest) :]


def _put(network: nn.Module, state: State, report: LoadReport, name: str) -> None:
    """Load the entries that fit; WeightsError when one holds what is no number."""
    _refuse_broken({key: state[key] for key in report.loaded}, name)
    network.load_state_dict({key: state[key] for key in report.loaded}, strict=False)


def _refuse_broken(state: State, name: str) -> None:
    broken = [key for key, value in state.items() if not _finite(value)]
    if broken:
        raise WeightsError(
            f"{name} holds NaN or infinite numbers in {len(broken)} of {len(state)} entries, first in '{broken[0]}': "
            "it is damaged, or its training failed. Copy or train it again."
        )


def write_weights(path: str | Path, network: nn.Module, info: Mapping[str, Any], prefix: bool = False) -> None:
    """Write the state dict and its sidecar so that a kill leaves the old or the new file; `prefix` adds `module.`."""
    names = PREFIXES[0] if prefix else ""
    state = {names + key: value.detach().cpu().contiguous() for key, value in network.state_dict().items()}
    path = Path(path)
    write_atomically(path, _packed(state))
    write_atomically(path.with_suffix(".json"), json.dumps({"format": 1, **info}, indent=1).encode())


def remember(path: str | Path, known: Mapping[str, Any]) -> None:
    """Add what a test found beside the weights (plain values by output) to the sidecar of a weight file."""
    sidecar = {**read_sidecar(path), "remembered": known}
    write_atomically(Path(path).with_suffix(".json"), json.dumps({"format": 1, **sidecar}, indent=1).encode())


def write_bundle(path: str | Path, weights: str | Path, more: Mapping[str, Any]) -> None:
    """Write the weights of a file and its sidecar into one, as `model` and `sidecar`, with `more` beside them."""
    write_state(path, {"model": read_weights(weights), "sidecar": read_sidecar(weights), **more})


def read_sidecar(path: str | Path) -> dict[str, Any]:
    """What lies beside a weight file, or in a bundle of both; empty without it."""
    weights, path = Path(path), Path(path).with_suffix(".json")
    try:
        sidecar = read_json(path, remedy="Delete it to load the weights without it.")
    except FileNotFoundError:
        return _bundled(weights)
    except (OSError, ValueError) as error:
        raise WeightsError(str(error)) from error
    return sidecar if sidecar.get("format") == 1 else {}


def _bundled(path: Path) -> dict[str, Any]:
    """The sidecar inside a bundle; {} for any other file, whose faults are told when its weights are read."""
    try:
        found = _open(path) if path.is_file() else {}
    except WeightsError:
        return {}
    sidecar = found.get("sidecar") if isinstance(found, Mapping) else None
    return dict(sidecar) if isinstance(sidecar, Mapping) and sidecar.get("format") == 1 else {}


def write_state(path: str | Path, state: Mapping[str, Any]) -> None:
    """Write a training state (nested dicts of tensors and plain values) atomically."""
    write_atomically(Path(path), _packed(state))


def read_state(path: str | Path) -> dict[str, Any]:
    """Read a training state; WeightsError when it cannot be one."""
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(
            f"No training state at '{path}': MODEL.RESUME names a state.pth in a folder under <LOG.PATH>/runs."
        )
    state = _open(path)
    if not isinstance(state, dict) or "progress" not in state:
        raise WeightsError(f"'{path}' is not a training state. To start from weights alone set MODEL.WEIGHTS instead.")
    return state


def _packed(value: Any) -> bytes:
    # Through a buffer: with a path, torch.save writes the file's name into the archive, and equal weights would differ.
    buffer = io.BytesIO()
    torch.save(value, buffer)
    return buffer.getvalue()


def write_atomically(path: Path, content: bytes) -> None:
    """Write a file under a temporary name beside it, flush it to the disk, and rename it."""
    write_whole(path, content, sync=True, tidy=True)


def _check_sidecar(path: Path, sidecar: Mapping[str, Any], expected: Mapping[str, Any]) -> None:
    if sidecar.get("method") != expected.get("method"):
        raise WeightsError(
            f"'{path}' holds weights of {sidecar.get('method')}, but MODEL.NAME is {expected.get('method')}: "
            f"set MODEL.NAME: {sidecar.get('method')}, or choose weights of {expected.get('method')}."
        )
    wrong = [
        f"{name} {_plain(sidecar[name])} instead of {_plain(value)}"
        for name, value in expected.items()
        if name in sidecar and value is not None and _plain(sidecar[name]) != _plain(value)
    ]
    if wrong:
        raise WeightsError(
            f"'{path}' was trained with other settings than {expected.get('method')} has here: {'; '.join(wrong)}. "
            f"Change the configuration, or delete '{path.with_suffix('.json').name}' beside it to load it all the same."
        )


def _plain(value: Any) -> Any:
    """A value as it looks after a journey through JSON."""
    return json.loads(json.dumps(value))


def _mismatch(own: Mapping[str, torch.Tensor], state: State, ignored: Sequence[str]) -> str:
    """What does not fit, in a few words; empty when all fits."""

    def counts(key: str) -> bool:
        return not any(fnmatch.fnmatch(key, pattern) for pattern in ignored)

    missing = [key for key in own if key not in state and counts(key)]
    extra = [key for key in state if key not in own and counts(key)]
    shapes = [key for key in own if key in state and own[key].shape != state[key].shape]
    if missing or extra:
        examples = ", ".join(
            f"'{key}' is {'missing' if key in own else 'unknown'}" for key in (missing[:1] + extra[:1])
        )
        return f"{len(missing)} entries are missing and {len(extra)} are unknown ({examples})"
    if shapes:
        key = shapes[0]
        theirs, ours = tuple(state[key].shape), tuple(own[key].shape)
        return f"'{key}' has the shape {theirs} instead of {ours}, another size of the same network"
    return ""


def _explain(
    path: Path,
    state: State,
    method: str,
    problem: str,
    sidecar: Mapping[str, Any],
    candidates: Callable[[], Mapping[str, nn.Module]] | None,
) -> str:
    if sidecar.get("method"):
        whose = f"weights of {sidecar['method']}"
    else:
        names = _owners(state, candidates() if candidates else {})
        whose = f"weights of {' or '.join(names)}" if names else "weights of no method known here"
    return (
        f"'{path}' does not fit {method}: it holds {whose}; {problem}. "
        "Set MODEL.NAME (and RESIZE, for networks with dense layers) as the weights were trained, or choose others."
    )


def _owners(state: State, networks: Mapping[str, nn.Module]) -> list[str]:
    """Methods whose networks have these entries: equal shapes first; else equal names; else most names in common."""
    shapes = {key: value.shape for key, value in state.items()}
    known = {
        name: {key: value.shape for key, value in network.state_dict().items()} for name, network in networks.items()
    }
    same = [name for name, own in known.items() if own.keys() == shapes.keys()]
    exact = [name for name in same if known[name] == shapes]
    return exact or same or _nearest(set(shapes), known)


def _nearest(keys: set[str], known: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """Methods of which more than half the names are common, as with an option that adds or removes a block."""
    shares = {name: len(keys & own.keys()) / len(keys | own.keys()) for name, own in known.items()}
    best = max(shares.values(), default=0.0)
    return [name for name, share in shares.items() if share == best] if best > 0.5 else []
