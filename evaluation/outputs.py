"""rPPG-Toolbox's output pickle: writing it, and reading it without running any code that is hidden in it.

    {"predictions": {recording: {clip: tensor (L, 1) or (L,)}}, "labels": the same, "label_type": str, "fs": int}

Where recordings differ in their rate, `fs`, which rPPG-Toolbox reads, is that of the first; `fs_of` has that of each.
torch is imported when one of the functions is called, not before.
"""

import collections
import io
import pickle
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from dataset.files.pickles import RestrictedUnpickler
from dataset.files.reading import require_file
from dataset.files.writing import replacing
from dataset.files.zips import require_stored
from evaluation.results import RecordingResult

KEYS = ("predictions", "labels", "label_type", "fs")
Clips = Mapping[str, Mapping[int, Any]]


def write_outputs(
    path: Path, predictions: Clips, labels: Clips, label_type: str, fs: float | Mapping[str, float]
) -> Path:
    """Write the pickle at `path` (a whole file or none) with CPU tensors, and print where it is.

    `predictions` and `labels`: recording -> {clip number: tensor or array (L, 1) or (L,)}. `fs` in Hz: of all, or
    by recording.
    """
    path = Path(path)
    rates = dict(fs) if isinstance(fs, Mapping) else {}
    first = float(next(iter(rates.values())) if rates else fs)
    content = {
        "predictions": _tensors(predictions),
        "labels": _tensors(labels),
        "label_type": str(label_type),
        "fs": int(first) if first.is_integer() else first,
    }
    if len(set(rates.values())) > 1:
        content["fs_of"] = {name: float(rate) for name, rate in rates.items()}
    with replacing(path) as unfinished, unfinished.open("wb") as file:
        pickle.dump(content, file, pickle.HIGHEST_PROTOCOL)
    print("Saving outputs to:", path)
    return path


def _tensors(clips: Clips) -> dict[str, dict[int, Any]]:
    import torch

    # clone: a slice of a batch would otherwise take the whole batch's storage into the file
    return {
        name: {int(number): torch.as_tensor(wave).detach().cpu().clone() for number, wave in parts.items()}
        for name, parts in clips.items()
    }


def read_outputs(path: Path) -> dict[str, Any]:
    """The pickle's dictionary with float32 arrays (L,) in place of tensors, clips in integer order.

    Only containers, numbers, text and tensors are accepted; ValueError names the file and what else is in it.
    """
    path = Path(path)
    try:
        with require_file(path, remedy="Run the test again.").open("rb") as file:
            content = RestrictedUnpickler(file, TENSORS, "a prediction").load()
    except FileNotFoundError:
        raise FileNotFoundError(
            f"No output pickle at '{path}'. It is written by a test run, as <ID>_outputs.pickle."
        ) from None
    except pickle.UnpicklingError as error:
        raise ValueError(f"'{path}' is refused as output pickle: {error}") from error
    except Exception as error:  # a damaged pickle raises nearly anything
        raise ValueError(f"'{path}' cannot be read as output pickle: {type(error).__name__}: {error}") from error
    missing = [key for key in KEYS if not isinstance(content, dict) or key not in content]
    if missing:
        raise ValueError(f"'{path}' is no output pickle of a test run: {', '.join(missing)} missing.")
    try:
        waves = {key: {str(name): _arrays(parts) for name, parts in content[key].items()} for key in KEYS[:2]}
        rates = {str(name): float(rate) for name, rate in content.get("fs_of", {}).items()}
        return {**waves, "label_type": str(content["label_type"]), "fs": float(content["fs"]), "fs_of": rates}
    except (TypeError, ValueError, AttributeError, RuntimeError) as error:
        raise ValueError(f"'{path}' is no output pickle of a test run: {' '.join(str(error).split())}.") from error


def _arrays(parts: Mapping[Any, Any]) -> dict[int, np.ndarray]:
    """Clip number -> float32 array (L,), in integer order."""
    return {int(number): np.asarray(parts[number], dtype=np.float32).ravel() for number in sorted(parts, key=int)}


def results(path: Path, subject_of: Mapping[str, str] | None = None) -> list[RecordingResult]:
    """The recordings of an output pickle, clips joined, ready for the evaluation (it holds no native reference)."""
    content = read_outputs(path)
    found = []
    for name, parts in content["predictions"].items():
        labels = content["labels"].get(name)
        found.append(
            RecordingResult(
                id=name,
                subject=(subject_of or {}).get(name, name),
                fs=content["fs_of"].get(name, content["fs"]),
                prediction=np.concatenate(list(parts.values())),
                label=None if labels is None else np.concatenate(list(labels.values())),
                label_type=content["label_type"],
                clips=[len(part) for part in parts.values()],
            )
        )
    return found


def _load_storage(data: bytes) -> Any:
    """A tensor's storage, by torch's own restricted reader: the nested pickle may hold code as well."""
    import torch

    try:
        require_stored(data)
        return torch.load(io.BytesIO(data), map_location="cpu", weights_only=True)
    except pickle.UnpicklingError:  # torch's own words advise to load it without protection
        raise pickle.UnpicklingError("a tensor in it holds more than numbers, which could run code.") from None


def _of_torch(name: str) -> Any:
    import torch

    return getattr(torch._utils, name)


TENSORS = {  # what a pickled tensor needs
    ("collections", "OrderedDict"): lambda: collections.OrderedDict,
    ("torch.storage", "_load_from_bytes"): lambda: _load_storage,
    ("torch._utils", "_rebuild_tensor_v2"): lambda: _of_torch("_rebuild_tensor_v2"),
    ("torch._utils", "_rebuild_tensor"): lambda: _of_torch("_rebuild_tensor"),
}
