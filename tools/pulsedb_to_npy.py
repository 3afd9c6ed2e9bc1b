"""Subsets of PulseDB (MATLAB 7.3) as one array of ECG and PPG that encoders are pre-trained on.

    python tools/pulsedb_to_npy.py --mat Train_Subset.mat [VitalDB_Train_Subset.mat ...] --out data/pulsedb.npy

    OUT                 (n, 2, 1250) float32, ECG and PPG at 125 Hz, in the order of the files
    OUT_subjects.npy    (n,) whose each window is       OUT.json   rate, channels, normalisation, licences, counts

The files are read in blocks; windows with NaN are left out and counted. CalBased_Test_Subset has the people of
Train_Subset, and AAMI_Cal_Subset those of AAMI_Test_Subset, by design: a test on them is not one on other people.
"""

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, BinaryIO

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))  # run as a file, from any folder

import numpy as np

from dataset.files import pulsedb
from dataset.files.downstream import HEADER, npy_header
from dataset.files.names import plural
from dataset.files.writing import replacing, write_whole
from dataset.program import answer

CHANNELS = ("ecg", "ppg")
NORMALISATIONS = ("none", "zscore")
FLAT = 1e-6  # spread below which a window is constant


def main(arguments: list[str] | None = None) -> int:
    """Convert; 2 and one sentence for files that cannot be."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--mat", type=Path, nargs="+", required=True, metavar="FILE", help="subsets, MATLAB 7.3")
    parser.add_argument("--out", type=Path, required=True, metavar="FILE.npy", help="the array to write")
    parser.add_argument(
        "--normalize", choices=NORMALISATIONS, default="none", help="zscore: of each window and channel (%(default)s)"
    )
    asked = parser.parse_args(arguments)
    return answer(lambda: convert(asked.mat, asked.out, asked.normalize))


def convert(files: list[Path], out: Path, normalise: str = "none") -> int:
    """Write the windows of `files`; ValueError for a name that is none, windows of several lengths, and for none."""
    if out.suffix != ".npy":
        raise ValueError(f"--out '{out}' must end in .npy: subjects and notes are written beside it.")
    with replacing(out) as temporary, temporary.open("r+b") as file:
        file.write(b"\0" * HEADER)
        notes, subjects, lengths = zip(*(_append(file, path, normalise) for path in files), strict=True)
        names = np.concatenate(subjects)
        if len(set(lengths)) > 1 or not len(names):
            which = f"windows of {sorted(set(lengths))} samples" if len(names) else "No window that has no NaN"
            raise ValueError(f"{which} in {', '.join(map(str, files))}: nothing is written.")
        file.seek(0)
        file.write(npy_header((len(names), len(CHANNELS), lengths[0])))
        file.flush()
        beside = str(out).removesuffix(".npy")
        with replacing(f"{beside}_subjects.npy") as other, other.open("wb") as stream:
            np.save(stream, names, allow_pickle=False)
        write_whole(f"{beside}.json", json.dumps(_sidecar(notes, names, normalise), indent=1) + "\n")
    _say(out, notes, names)
    return 0


def _append(file: BinaryIO, path: Path, normalise: str) -> tuple[dict[str, Any], np.ndarray, int]:
    """What is to be said of a subset, the subjects of its windows that were written, and their length."""
    with pulsedb.opened(path) as subset:
        kept = _write(file, subset, normalise)
        people, length = np.array(subset.subjects), subset.shape[2]
    counts = {"windows": len(kept), "dropped_with_nan": len(people) - len(kept)}
    return {**pulsedb.about(path, np.unique(people)), **counts}, people[kept], length


def normalised(windows: np.ndarray) -> np.ndarray:
    """Each window and channel of (n, C, L) with mean 0 and spread 1; what is constant becomes 0."""
    centred = windows - windows.mean(axis=-1, keepdims=True)
    spread = centred.std(axis=-1, keepdims=True)
    return np.divide(centred, spread, out=np.zeros_like(centred), where=spread > FLAT)


def _write(file: BinaryIO, subset: pulsedb.Subset, normalise: str) -> np.ndarray:
    """Append the windows that are numbers throughout; their rows (m,)."""
    kept = []
    for start, block in subset.blocks():
        waves = block[:, : len(CHANNELS)]
        good = np.isfinite(waves).all(axis=(1, 2))
        waves = waves[good]
        file.write(np.ascontiguousarray(normalised(waves) if normalise == "zscore" else waves, "<f4").tobytes())
        kept.append(start + np.flatnonzero(good))
    return np.concatenate(kept)


def _sidecar(notes: Sequence[dict[str, Any]], names: np.ndarray, normalise: str) -> dict[str, Any]:
    return {
        "fs": pulsedb.FS, "channels": list(CHANNELS), "normalisation": normalise, "windows": len(names),
        "subjects": len(np.unique(names)), "sources": list(notes),
        "licence": "; ".join(dict.fromkeys(part for note in notes for part in note["licence"].split("; "))),
        "citation": "Wang et al., Frontiers in Digital Health 4:1090854, 2023 (PulseDB)",
    }  # fmt: skip


def _say(out: Path, notes: Sequence[dict[str, Any]], names: np.ndarray) -> None:
    dropped = sum(note["dropped_with_nan"] for note in notes)
    print(f"{out}: {plural(len(names), 'window')} of {plural(len(np.unique(names)), 'subject')}, {dropped} with NaN "
          f"left out.")  # fmt: skip
    for note in notes:
        if other := note.get("shares_subjects_with"):
            print(f"Note: {note['subset']} shares its people with {other} by design: neither is subject-exclusive.")
    print(f"Licence: {'; '.join(dict.fromkeys(note['licence'] for note in notes))}")


if __name__ == "__main__":
    sys.exit(main())
