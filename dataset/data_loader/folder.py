"""Any videos: every video file and every folder of images under DATA_PATH is a recording; labels are optional.

    DATA_PATH/clip.mp4                   subject `clip`
    DATA_PATH/anna/morning.mov           subject `anna` (the first folder), id `anna_morning`
    DATA_PATH/anna/frames/0001.png ...   a folder of images: id `anna_frames`; set FS, images do not know their rate
    DATA_PATH/clip.csv or clip.txt       labels beside it: columns `time` (s) and `ppg`, or one column spread evenly

With FACES: all a video of several people is a recording for each: `clip_face1`, `clip_face2`, from left to right.
Labels beside it are then not read: nothing says whose they are. Who comes after the first 5 s is not looked for.

DATA_PATH may also be one video file. What labels may look like is told by dataset/files/wave_table.py. A file that is
named like a copy, `clip (1).mp4`, shows the person that `clip.mp4` shows, and is left out where it holds the same.
"""

import contextlib
from collections import Counter
from collections.abc import Iterator
from itertools import chain
from pathlib import Path
from typing import Any

from dataset.data_loader.base import BaseLoader, Recording, Signal
from dataset.face import get_detector
from dataset.face.several import faces_in
from dataset.files.decoding import decoding
from dataset.files.frames import Frame, as_frame
from dataset.files.images import iter_images
from dataset.files.lookup import copy_of, entry, visible
from dataset.files.names import distinct, natural_key, shown
from dataset.files.reading import is_there
from dataset.files.tables import require_some
from dataset.files.video import iter_frames
from dataset.files.wave_table import read_labels, time_note
from registry import DATASETS
from settings.checks import one_of

VIDEOS = (
    *(".mp4", ".avi", ".mov", ".mkv", ".webm", ".m4v", ".mpg", ".mpeg", ".wmv", ".flv", ".3gp", ".ts", ".mts", ".m2ts"),
    *(".3g2", ".asf", ".f4v", ".mxf", ".ogv", ".qt", ".vob"),
)
IMAGES = (".png", ".jpg", ".jpeg", ".bmp", ".tif", ".tiff", ".webp")
LABELS = (".csv", ".txt")
ASSUMED_FS = 30.0  # frames per second of images without FS; only the pace of looking for faces depends on it


@DATASETS.register("Folder")
class FolderLoader(BaseLoader):
    """Recordings as they lie there; `FS` is needed for images only."""

    signals = ("ppg",)
    # VIDEOS: only these files and folders below DATA_PATH; []: all. FACES: one face of a video, or all of them
    OPTIONS = {"FS": 0, "VIDEOS": [], "FACES": "one"}
    LATER = ("VIDEOS", "FACES")
    CHECKS = {"FACES": one_of("one", "all")}
    searches_below = True
    side_files = tuple(f"{{parent}}/{{stem}}{suffix}" for suffix in LABELS)

    def __init__(self, options: dict[str, Any] | None = None):
        """Take the rate of images from `FS`."""
        super().__init__(options)
        self.fs = float(self.options.get("FS") or 0) or None

    def identity(self) -> dict[str, Any]:
        """FS, VIDEOS where it selects some, and FACES where it is all."""
        chosen = [str(name) for name in self.options.get("VIDEOS") or ()]
        said = {"FS": self.options.get("FS", 0)} | ({"VIDEOS": chosen} if chosen else {})
        return said | ({"FACES": "all"} if self._all_faces else {})

    @property
    def _all_faces(self) -> bool:
        return self.options.get("FACES") == "all"

    @property
    def chosen(self) -> bool:
        """Where VIDEOS names some."""
        return bool(self.options.get("VIDEOS"))

    def recordings(self, root: Path) -> list[Recording]:
        """Every video file and image folder in natural order; FileNotFoundError when there is none.

        With FACES: all each face of it, for which its first seconds are decoded.
        """
        found = self._videos(Path(root))
        return [one for video in found for one in self._faces_of(video)] if self._all_faces else found

    def _videos(self, root: Path) -> list[Recording]:
        if root.is_file():
            return [Recording(id=root.stem, subject=root.stem, path=root)]
        if not root.is_dir():
            raise FileNotFoundError(f"DATA_PATH '{root}' does not exist. Set it to a video or a folder of videos.")
        found = sorted(self._chosen(root), key=lambda path: _order(path.relative_to(root)))
        require_some(found, root, "videos", f"files ending in {', '.join(VIDEOS)}, or folders of images")
        return [
            Recording(name, _subject(root, path), path) for path, name in zip(found, _names(found, root), strict=True)
        ]

    def _faces_of(self, video: Recording) -> list[Recording]:
        """A recording for each face in `video`; itself where there is one or none, or where it cannot be read."""
        if not self.options.get("DETECTOR"):
            raise ValueError("FACES is all, but no face is cut out: set CROP_FACE.DO_CROP_FACE: True, or FACES: one.")
        try:
            with decoding(self.options.get("DECODER", "pyav")), contextlib.closing(self.read_video(video)) as frames:
                detector = get_detector(self.options["DETECTOR"])
                found = faces_in(map(as_frame, frames), detector, self.fs or ASSUMED_FS)
        except (OSError, ValueError, RuntimeError):  # it is named with its reason where it is preprocessed
            found = []
        if len(found) < 2:
            return [video]
        return [
            Recording(f"{video.id}_face{n}", f"{video.subject}_face{n}", video.path, {"face": n, "face_box": list(box)})
            for n, box in enumerate(found, 1)
        ]

    def own_face(self, recording: Recording) -> tuple[int, int, int, int] | None:
        """Where it was found when the faces of the video were counted."""
        box = recording.info.get("face_box")
        return None if box is None else tuple(box)

    def _chosen(self, root: Path) -> Iterator[Path]:
        """What lies below `root`, or what VIDEOS names there; FileNotFoundError for a name that is not there."""
        found = [root / name for name in self.options.get("VIDEOS") or ()]
        for path in found:
            if not path.exists():
                raise FileNotFoundError(f"VIDEOS names '{path.relative_to(root)}', which '{root}' does not have.")
        seen = chain.from_iterable([path] if path.is_file() or _images(path) else _find(path) for path in found)
        return iter(dict.fromkeys(seen)) if found else _find(root)

    def read_video(self, recording: Recording) -> Iterator[Frame]:
        """Frames of the file, or of the images in natural order."""
        if recording.path.is_dir():
            return iter_images(_images(recording.path))
        return iter_frames(recording.path)

    def read_wave(self, recording: Recording) -> dict[str, Signal]:
        """What the label file beside the video holds (see `read_labels`); empty without one."""
        path = _label_file(recording)
        return read_labels(path) if path and "face" not in recording.info else {}

    def describe(self, recording: Recording) -> dict[str, Any]:
        """What was made of the label's times, where they were not in seconds."""
        path = _label_file(recording)
        note = time_note(path) if path and "face" not in recording.info else ""
        return {"label_times": note} if note else {}


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


def _label_file(recording: Recording) -> Path | None:
    stem = recording.path.name if recording.path.is_dir() else recording.path.stem
    files = (entry(recording.path.parent, stem + suffix) for suffix in LABELS)
    return next(filter(is_there, files), None)


def _subject(root: Path, path: Path) -> str:
    """The first folder, or the name of a file at the top; that of the other one where it is named like a copy."""
    top = root / path.relative_to(root).parts[0]
    of = copy_of(top)
    top = entry(root, of) if of and is_there(entry(root, of)) else top
    return top.name if path.parent != root else top.stem


def _order(path: Path) -> list[Any]:
    """Natural order by folder, then by the name without its ending: face before face2."""
    return [natural_key(part) for part in (*path.parts[:-1], path.stem, path.suffix)]


def _find(root: Path) -> Iterator[Path]:
    """Video files and folders of images; not what systems leave, nor equal copies.

    A link to a folder is followed, but within it no further link to one that was searched: of folders that link to
    each other there would be paths without end.
    """
    seen, waiting = {_place(root)}, [(root, False)]
    while waiting:
        folder, linked = waiting.pop()
        for path in visible(folder):
            if not path.is_dir():
                if path.suffix.lower() in VIDEOS and not _is_equal_copy(path):
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


def _is_equal_copy(path: Path) -> bool:
    """Whether a file is named like a copy of another one and holds the same: size, and a million bytes at both ends."""
    of = copy_of(path)
    other = entry(path.parent, of) if of else path
    if not of or not (other.is_file() and path.is_file()) or other.stat().st_size != path.stat().st_size:
        return False
    try:
        return _ends(path) == _ends(other)
    except OSError:  # one that cannot be read is a recording that fails, by name
        return False


def _ends(path: Path) -> tuple[bytes, bytes]:
    with path.open("rb") as file:
        head = file.read(1_000_000)
        file.seek(max(0, path.stat().st_size - 1_000_000))
        return head, file.read(1_000_000)


def _images(folder: Path) -> list[Path]:
    return [file for file in visible(folder) if file.suffix.lower() in IMAGES]
