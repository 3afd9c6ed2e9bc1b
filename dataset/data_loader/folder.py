"""Any videos: every video file and every folder of images under DATA_PATH is a recording; labels are optional.

    DATA_PATH/clip.mp4                   subject `clip`
    DATA_PATH/anna/morning.mov           subject `anna` (the first folder), id `anna_morning`
    DATA_PATH/anna/frames/0001.png ...   a folder of images: id `anna_frames`; set FS, images do not know their rate
    DATA_PATH/clip.csv or clip.txt       labels beside it: columns `time` (s) and `ppg`, or one column spread evenly

DATA_PATH may also be one video file.
"""

import csv
import re
from array import array
from collections import Counter
from collections.abc import Iterator
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np

from dataset.data_loader.base import BaseLoader, Recording, Signal
from dataset.files.names import distinct, natural_key, natural_sort, shown
from dataset.files.reading import is_there, iter_lines, told
from dataset.files.tables import require_few, require_some
from dataset.files.video import Frame, iter_frames, iter_images
from registry import DATASETS

VIDEOS = (".mp4", ".avi", ".mov", ".mkv", ".webm", ".m4v", ".mpg", ".mpeg", ".wmv", ".flv", ".3gp", ".ts")
IMAGES = (".png", ".jpg", ".jpeg", ".bmp", ".tif", ".tiff", ".webp")
LABELS = (".csv", ".txt")
TIME_NAMES = ("time", "times", "t", "timestamp", "seconds")
VALUE_NAMES = ("ppg", "bvp", "pulse")


@DATASETS.register("Folder")
class FolderLoader(BaseLoader):
    """Recordings as they lie there; `FS` is needed for images only."""

    signals = ("ppg",)
    OPTIONS = {"FS": 0}

    def __init__(self, options: dict[str, Any] | None = None):
        """Take the rate of images from `FS`."""
        super().__init__(options)
        self.fs = float(self.options.get("FS") or 0) or None

    def recordings(self, root: Path) -> list[Recording]:
        """Every video file and image folder in natural order; FileNotFoundError when there is none."""
        root = Path(root)
        if root.is_file():
            return [Recording(id=root.stem, subject=root.stem, path=root)]
        if not root.is_dir():
            raise FileNotFoundError(f"DATA_PATH '{root}' does not exist. Set it to a video or a folder of videos.")
        found = sorted(_find(root), key=lambda path: _order(path.relative_to(root)))
        require_some(found, root, "videos", f"files ending in {', '.join(VIDEOS)}, or folders of images")
        return [
            Recording(name, path.relative_to(root).parts[0] if path.parent != root else path.stem, path)
            for path, name in zip(found, _names(found, root), strict=True)
        ]

    def read_video(self, recording: Recording) -> Iterator[Frame]:
        """Frames of the file, or of the images in natural order."""
        if recording.path.is_dir():
            return iter_images(natural_sort(_images(recording.path)))
        return iter_frames(recording.path)

    def read_wave(self, recording: Recording) -> dict[str, Signal]:
        """`ppg` where a label file lies beside the video; empty otherwise."""
        stem = recording.path.name if recording.path.is_dir() else recording.path.stem
        for suffix in LABELS:
            path = recording.path.with_name(stem + suffix)
            if is_there(path):
                return {"ppg": read_label(path)}
        return {}


def _names(found: list[Path], root: Path) -> list[str]:
    """Ids: the parts of each path below `root`, without the ending unless others have them too."""
    parts = [path.relative_to(root).parts for path in found]
    names = [
        "_".join((*above, name if path.is_dir() else path.stem))
        for path, (*above, name) in zip(found, parts, strict=True)
    ]
    twice = {name for name, count in Counter(names).items() if count > 1}
    names = [shown("_".join(own) if name in twice else name) for own, name in zip(parts, names, strict=True)]
    return distinct(names, found, root)


def read_label(path: Path) -> Signal:
    """A label file: columns time (s) and value, or values alone; a header line may name the columns."""
    try:
        header, table = _read_table(path)
    except (csv.Error, ValueError, OverflowError) as error:
        if str(path) in str(error):
            raise
        raise ValueError(f"'{path}' is no table of numbers: {told(error)}. Mend it or take it away.") from None
    if len(table) and header and table.shape[1] != len(header):
        raise ValueError(
            f"'{path}' names {len(header)} columns, its rows have {table.shape[1]}. Mend it or take it away."
        )
    if not table.size:
        raise ValueError(f"'{path}' holds no values. Mend it or take it away.")
    if table.shape[1] == 1:
        return Signal(table[:, 0])
    time = next((column for column, name in enumerate(header) if name in TIME_NAMES), 0)
    value = next(
        (column for column, name in enumerate(header) if name in ("ppg", "bvp", "pulse")), 1 if time == 0 else 0
    )
    return Signal(table[:, value], times=table[:, time])


def _read_table(path: Path) -> tuple[list[str], np.ndarray]:
    """The names in its heading, if there is one, and its numbers (rows, columns), row by row: few at a time as text."""
    rows = _rows(path)
    first = next(rows, None)
    if first is None:
        raise ValueError(f"'{path}' is empty. Mend it or take it away.")
    header = [] if _is_number(first[0]) else [name.strip().lower() for name in first]
    numbers, columns = array("d"), 0
    for row in rows if header else chain([first], rows):
        columns = columns or len(row)
        if len(row) != columns:
            raise ValueError(f"it has rows of {columns} and of {len(row)} values")
        numbers.extend(map(float, row))
        require_few(len(numbers))
    return header, np.frombuffer(numbers, float).reshape(-1, columns) if numbers else np.zeros((0, 0))


def _rows(path: Path) -> Iterator[list[str]]:
    """The fields of each line that is not blank; the first of them shows what is between two fields."""
    lines = (re.sub(r" +", " ", line.strip()) for line in iter_lines(path) if line.strip())
    first = next(lines, "")
    delimiter = next((mark for mark in ";\t," if mark in first), " ")
    return csv.reader(chain([first], lines) if first else (), delimiter=delimiter)


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def _order(path: Path) -> list[Any]:
    """Natural order by folder, then by the name without its ending: face before face2."""
    return [natural_key(part) for part in (*path.parts[:-1], path.stem, path.suffix)]


def _find(root: Path) -> Iterator[Path]:
    """Video files and folders of images, hidden ones left out.

    A link to a folder is followed, but within it no further link to one that was searched: of folders that link to
    each other there would be paths without end.
    """
    seen, waiting = {_place(root)}, [(root, False)]
    while waiting:
        folder, linked = waiting.pop()
        for path in sorted(folder.iterdir()):
            if path.name.startswith("."):
                continue
            if not path.is_dir():
                if path.suffix.lower() in VIDEOS:
                    yield path
                continue
            place, link = _place(path), path.is_symlink()
            if link and place in (seen if linked else map(_place, path.parents)):
                continue
            seen.add(place)
            waiting.append((path, linked or link))
            if _images(path):
                yield path


def _place(folder: Path) -> tuple[int, int]:
    """What a folder is, by whatever name."""
    found = folder.stat()
    return found.st_dev, found.st_ino


def _images(folder: Path) -> list[Path]:
    return [file for file in folder.iterdir() if file.suffix.lower() in IMAGES and not file.name.startswith(".")]
