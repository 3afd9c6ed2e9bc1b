"""rPPG-Toolbox's own caches: float chunks `<stem>_input<k>.npy` with `<stem>_label<k>.npy`, and lists of them.

Read as they are, memory-mapped, never written and never unpickled. Chunks hold normalised frames (T, H, W, C) in
float32 or float64.
"""

import os
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch.utils.data import Dataset

from dataset.data_loader.base import BaseLoader, Recording, natural_key
from dataset.files.names import plural
from dataset.files.reading import open_array
from dataset.prepare.listing import LEFT_OUT
from dataset.prepare.prepared import Prepared
from dataset.prepare.splits import Split, SplitError, read_column
from dataset.signals import PULSE_WAVE
from registry import DATASETS

CHUNK = re.compile(r"(?P<stem>.+)_input(?P<number>\d{1,9})\.npy", re.DOTALL)
REMEDY = "Copy the cache again, or take the recording off the list."
SHOWN = 5  # names in an error


def prepare_chunks(data: Any, name: str, config: Any, chunks: list[Path]) -> Prepared:
    """The section whose clips are these chunk files; SplitError or ValueError where settings do not fit them."""
    stems = list(dict.fromkeys(split_name(path)[0] for path in chunks))
    subjects = {stem: whose(stem, data.DATASET) for stem in stems}
    every = [Recording(id=stem, subject=subjects[stem] or stem, path=Path(data.CACHED_PATH)) for stem in stems]
    keep = {stem for stem in stems if kept(stem, data)}
    if not keep:
        raise SplitError(f"{name.upper()}.DATA: INFO or FILTERING leave none of {len(stems)} listed recordings.")
    print(f"{name.upper()}.DATA: reading {len(chunks)} chunks of rPPG-Toolbox from '{data.CACHED_PATH}'.")
    if not data.FS:
        raise ValueError(f"{name.upper()}.DATA.FS is 0: rPPG-Toolbox's chunks do not say their frames per second.")
    prepared = Prepared(
        name=name,
        dataset=data.DATASET,
        root=Path(data.DATA_PATH or data.CACHED_PATH),
        fs=float(data.FS),
        split=Split(data.DATASET, tuple(stems), {one.id: one.subject for one in every}, "recording"),
        anonymous=None in subjects.values(),
        recordings=[recording for recording in every if recording.id in keep],
        excluded=[(r, LEFT_OUT) for r in every if r.id not in keep],
        chunks=[path for path in chunks if split_name(path)[0] in keep],
        types=tuple(data.PREPROCESS.DATA_TYPE),
        allow_incomplete=bool(config.ALLOW_INCOMPLETE),
    )
    for remark in prepared.remarks:
        print(remark)
    return prepared


@dataclass(frozen=True)
class Listed:
    """One line of a file list: clip `number` of recording `stem`, and the chunk file where there is one."""

    text: str
    stem: str
    number: int
    path: Path | None


def read_list(path: Path, cache: Path, root: Path | None = None) -> list[Listed]:
    """The lines of a file list (column `input_files`), in natural order of recording and clip, without repeats.

    A line names a chunk: an existing file (absolute, or relative to the working directory) below the folder `root`, by
    default `cache`, or one of that base name in `cache`. A line without such a file names a recording of the face cache
    and one of its clips. Raises SplitError for an empty list, for lines that name anything but `<stem>_input<k>.npy` or
    a file elsewhere, and for a list that mixes both kinds.
    """
    texts = [text for text in read_column(path, "input_files") if text]
    if not texts:
        raise SplitError(f"The list '{path}' is empty.")
    wrong = [text for text in texts if not CHUNK.fullmatch(_base_name(text)) or "\0" in text]
    if wrong:
        raise SplitError(
            f"The list '{path}' names {plural(len(wrong), 'file')} not called <recording>_input<number>.npy: "
            f"{_first(wrong)}. Only such chunks (and, in a face cache, such clips) can be listed."
        )
    root = Path(root or cache)
    _require_inside([text for text in texts if _is_elsewhere(text, Path(cache), root)], path, root)
    listed = {(line.stem, line.number): line for line in (_listed(text, Path(cache), root) for text in texts)}
    lines = sorted(listed.values(), key=lambda line: (natural_key(line.stem), line.stem, line.number))
    without = [line.text for line in lines if line.path is None]
    if without and len(without) < len(lines):
        raise SplitError(
            f"The list '{path}' mixes chunk files with {plural(len(without), 'name')} of which no file exists: "
            f"{_first(without)}. Restore these files, or delete the list and let a new one be made."
        )
    return lines


def find_chunks(cache: Path) -> list[Path]:
    """All chunk files directly in the folder `cache`, in natural order; [] without such a folder."""
    if not Path(cache).is_dir():
        return []
    files = [
        Path(entry.path) for entry in os.scandir(cache) if CHUNK.fullmatch(entry.name) and _is_file(Path(entry.path))
    ]
    return sorted(files, key=lambda file: (natural_key(split_name(file)[0]), split_name(file)))


def split_name(path: Path) -> tuple[str, int]:
    """Stem and number of a chunk's path; ValueError when it is no chunk."""
    match = CHUNK.fullmatch(Path(path).name)
    if not match:
        raise ValueError(f"'{path}' is not called <recording>_input<number>.npy.")
    return match["stem"], int(match["number"])


def label_path(path: Path) -> Path:
    """Path of the label of the chunk at `path`: only the base name differs, whatever the folders are called."""
    stem, _ = split_name(path)
    return path.with_name(f"{stem}_label{path.name[len(stem) + len('_input') :]}")


def kept(stem: str, data: Mapping[str, Any]) -> bool:
    """Whether the filters of a DATA node keep the recording `stem` of an rPPG-Toolbox cache.

    FILTERING looks at the stem, at the subject that it names and at its other parts, as it does at ids; the keys that
    data sets share at what their stems say.
    """
    if not BaseLoader().select(Recording(stem, whose(stem, data["DATASET"]) or stem, Path(stem)), data):
        return False
    return all(DATASETS[name].keeps_chunks(stem, data) for name in DATASETS)


def whose(stem: str, dataset: str) -> str | None:
    """The subject that the data set's rule reads from a stem, as its loader calls people; None where it says nobody."""
    pattern = DATASETS[dataset].chunk_subject if dataset in DATASETS else ""
    found = re.fullmatch(pattern, stem) if pattern else None
    return found[1] if found else None


class LegacyChunks(Dataset):
    """Chunk files as samples, in the order given. A sample is a dict:

    video_float (C, T, H, W) float32, already normalised; ppg (T,) or (T, columns) float32; recording (the stem),
    subject, clip (the chunk's number), fs (Hz), index, weight

    A recording with a damaged or missing chunk is in `failed` (stem, reason), and none of its chunks is used.
    """

    def __init__(self, paths: Iterable[Path], fs: float, subjects: Mapping[str, str] | None = None):
        """Look at the header of each file; nothing is read yet. `subjects`: of stems; others stand for a person."""
        self.fs, self._subjects = float(fs), dict(subjects or {})
        self.failed: list[tuple[str, str]] = []
        self.dropped: dict[str, int] = {}
        self.notes: list[str] = []
        frames: dict[Path, int] = {}
        broken: dict[str, str] = {}
        for path in map(Path, paths):
            try:
                frames[path] = check_chunk(path)
            except (OSError, ValueError) as error:
                broken.setdefault(split_name(path)[0], str(error))
        self.failed += broken.items()
        self._frames = {path: count for path, count in frames.items() if split_name(path)[0] not in broken}
        self.paths = list(self._frames)

    def __len__(self) -> int:
        """Chunks of all recordings."""
        return len(self.paths)

    def __getitem__(self, index: int) -> dict[str, Any]:
        """The sample with this number."""
        path = self.paths[index]
        stem, number = split_name(path)
        frames = np.asarray(_open(path).transpose(3, 0, 1, 2), dtype=np.float32, order="C")
        return {
            "video_float": torch.from_numpy(frames if frames.flags.writeable else frames.copy()),
            PULSE_WAVE: torch.from_numpy(np.array(_open(label_path(path)), dtype=np.float32)),
            "recording": stem,
            "subject": self.subject(stem),
            "clip": number,
            "fs": self.fs,
            "index": int(index),
        }

    @property
    def recordings(self) -> list[str]:
        """Stems that have chunks, in order."""
        return list(dict.fromkeys(split_name(path)[0] for path in self.paths))

    def subject(self, recording: str) -> str:
        """Whose a recording is."""
        return self._subjects.get(recording, recording)

    def clip_lengths(self) -> list[int]:
        """Frames of every chunk: only chunks of one length make a batch."""
        return list(self._frames.values())

    def trace(self, recording: str) -> np.ndarray:
        """Mean of the first three channels of each frame, (T, 3) float64, over all chunks of `recording`.

        The mean skin colour when the chunks hold Raw frames.
        """
        return np.concatenate([_open(path)[..., :3].mean(axis=(1, 2), dtype=float) for path in self._of(recording)])

    def label(self, recording: str) -> np.ndarray:
        """The joined label of all chunks of `recording`, (T,) or (T, columns) float64."""
        return np.concatenate([np.asarray(_open(label_path(path)), dtype=float) for path in self._of(recording)])

    def _of(self, recording: str) -> list[Path]:
        return [path for path in self.paths if split_name(path)[0] == recording]


def check_chunk(path: Path) -> int:
    """Frames of the chunk at `path`; ValueError or OSError naming the file when it or its label is unusable."""
    frames, label = _open(path), _open(label_path(path))
    if frames.ndim != 4 or frames.dtype.kind not in "fiu" or not frames.size:
        raise ValueError(f"'{path}' holds {frames.dtype} {frames.shape}; a chunk is numbers (T, H, W, C). {REMEDY}")
    if label.ndim not in (1, 2) or label.dtype.kind not in "fiu" or len(label) != len(frames):
        raise ValueError(
            f"'{label_path(path)}' holds {label.dtype} {label.shape}; the label of this chunk has {len(frames)} rows. "
            f"{REMEDY}"
        )
    return len(frames)


def _open(path: Path) -> np.ndarray:
    return open_array(path, REMEDY)


def _listed(text: str, cache: Path, root: Path) -> Listed:
    stem, number = split_name(Path(_base_name(text)))
    for candidate in (Path(text), cache / _base_name(text)):
        if _is_file(candidate) and _is_below(candidate, root):
            return Listed(text, stem, number, candidate)
    return Listed(text, stem, number, None)


def _is_elsewhere(text: str, cache: Path, root: Path) -> bool:
    """Whether a line names a file that is there, but neither below `root` nor by its base name in `cache`."""
    return _is_file(Path(text)) and not _is_below(Path(text), root) and not _is_file(cache / _base_name(text))


def _is_below(path: Path, root: Path) -> bool:
    """Whether the folder of `path`, links followed, is `root` or lies in it."""
    return Path(os.path.realpath(path.parent)).is_relative_to(os.path.realpath(root))


def _require_inside(elsewhere: list[str], path: Path, root: Path) -> None:
    """SplitError for the lines of a list that name files outside their cache: whoever wrote it reads along."""
    if elsewhere:
        folder = os.path.dirname(os.path.abspath(elsewhere[0]))
        raise SplitError(
            f"The list '{path}' names {len(elsewhere)} file(s) that do not lie in CACHED_PATH '{root}': "
            f"{_first(elsewhere)}. If they are meant, set CACHED_PATH to '{folder}', or copy them there."
        )


def _is_file(path: Path) -> bool:
    try:
        return path.is_file()
    except OSError:  # a name that is too long for any file
        return False


def _base_name(text: str) -> str:
    return re.split(r"[/\\]", text)[-1]  # lists travel between systems


def _first(names: Sequence[str]) -> str:
    return ", ".join(repr(name) for name in names[:SHOWN]) + (", ..." if len(names) > SHOWN else "")
