"""The files that an entry was made of: their place below the root of the data, their size, a sign of their content.

    "sources": {"video": {"subject1/vid.avi": [size, sign]}, "labels": {"subject1/ground_truth.txt": [size, sign]},
                "clock": [labels that also say when the frames were], "rendered": true, "loader": sign of its code}

Labels are signed whole up to 4 MB; of a larger file, or a video above 64 kB, head, tail and blocks between are. A
series of pictures stands as "frames/*.png": [bytes, sign, how many], with all names and sizes and some pictures. Of a
file that was looked for and not there stands null. No absolute path and no time of a file is kept or believed.
"""

import errno
import glob
import hashlib
import itertools
import json
import os
import stat
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dataset.data_loader.base import Recording
from dataset.files.opened import Opened

MARK = ".synthetic.json"  # in a folder that the toolbox has rendered
BLOCK = 1 << 12  # bytes
VIDEO_WHOLE, VIDEO_BLOCKS = 1 << 16, 6  # bytes up to which a file is read whole; blocks of a larger one
LABEL_WHOLE, LABEL_BLOCKS = 1 << 22, 64
SERIES, SERIES_SEEN = 16, 6  # from so many files of a folder on they are a series; of so many the content is read
MOST_AROUND = 20_000  # files below a recording's folder that are looked at
SHOWN = 3  # names in a sentence

Sources = Mapping[str, Any]


@dataclass(frozen=True)
class Difference:
    """What of an entry's files is not as it was: `kind` is video, labels, clock (labels that time frames) or unknown.

    An `unknown` entry does not say what it was made of; `names` are those of the files, or what else differs.
    """

    kind: str
    names: tuple[str, ...] = ()

    def __str__(self) -> str:
        """The first names."""
        return ", ".join(self.names[:SHOWN]) + (", ..." if len(self.names) > SHOWN else "")


@dataclass(frozen=True)
class Origin:
    """Where entries come from.

    root      the raw data, a folder or one file           rendered   whether the toolbox has rendered them
    loader    sign of a plug-in's code, '' for own readers (their `version` is part of the settings)
    makes     the loader makes its files itself: one that is missing is no change
    """

    root: Path
    rendered: bool = False
    loader: str = ""
    makes: bool = False

    @property
    def base(self) -> Path:
        """The folder that paths are told from."""
        return self.root.parent if self.root.is_file() else self.root

    def taken(self, recording: Recording, video: Opened, labels: Opened, has_video: bool = True) -> dict[str, Any]:
        """The sources of a recording whose frames opened `video`, and whose signals opened `labels`."""
        pixels, texts = video.files - video.texts, labels.files | video.texts
        pixels, texts = self._own(pixels), self._own(texts - pixels)
        if has_video and not any(map(os.path.exists, pixels)):
            pixels |= self._around(recording) - texts  # a reader that opens files in ways of its own
        elif self.loader or not (pixels or texts):
            texts |= self._around(recording) - pixels
        content: dict[str, Any] = {"video": self._signed(pixels, "video"), "labels": self._signed(texts, "labels")}
        clock = sorted(name for name in self._names(texts & video.texts) if name in content["labels"])
        content |= {"clock": clock} if clock else {}
        return content | self._kind()

    def tried(self, recording: Recording, opened: Opened) -> dict[str, Any]:
        """The sources of a recording that failed after it had `opened` these: all that may mend it when it changes."""
        files = self._own({*opened.files, *self._around(recording)})
        texts = files & opened.texts
        kinds = {"video": self._signed(files - texts, "video"), "labels": self._signed(texts, "labels")}
        return kinds | self._kind()

    def difference(self, sources: Sources | None) -> Difference | None:
        """What of `sources` is not as the files are now; None where all is."""
        if not sources:
            return Difference("unknown")
        made = [key for key, value in self._kind().items() if sources.get(key) != value]
        made += [key for key in ("rendered", "loader") if key in sources and key not in self._kind()]
        if made:
            return Difference("video", tuple(_MADE[key] for key in made))
        for kind in ("video", "labels"):
            names = tuple(name for name, old in sources[kind].items() if not self._same(name, kind, old))
            if names:
                return Difference("clock" if {*names} & {*sources.get("clock", ())} else kind, names)
        return None

    def missing(self, sources: Sources) -> bool:
        """Whether none of the files is there."""
        names = [name for kind in ("video", "labels") for name, old in sources.get(kind, {}).items() if old]
        return not any(sign(self.base, name, "video") for name in names)

    def _around(self, recording: Recording) -> set[str]:
        """Files below the recording's own folder, or beside its file; none where its folder is that of all."""
        path = Path(os.path.abspath(recording.path))
        if path == Path(os.path.abspath(self.base)):
            return set()
        return self._own(itertools.islice(_around(path), MOST_AROUND))

    def _kind(self) -> dict[str, Any]:
        return ({"rendered": True} if self.rendered else {}) | ({"loader": self.loader} if self.loader else {})

    def _same(self, name: str, kind: str, old: Any) -> bool:
        new = sign(self.base, name, kind)
        return new == old or (new is None and self.makes)

    def _own(self, files: Iterable[str]) -> set[str]:
        """Those below the root: what else is opened, such as the weights of a detector, is none of the recording."""
        above = os.path.abspath(self.base) + os.sep
        return {file for file in files if file.startswith(above) and not os.path.isdir(file)}

    def _names(self, files: Iterable[str]) -> list[str]:
        return [Path(os.path.relpath(file, self.base)).as_posix() for file in files]

    def _signed(self, files: set[str], kind: str) -> dict[str, Any]:
        """Name and sign of each file, series of pictures as one."""
        names = sorted(_with_series(self._names(files)))
        return {name: sign(self.base, name, kind) for name in names}


_MADE = {"rendered": "rendered or real", "loader": "the code of the plug-in"}


def is_rendered(root: Path) -> bool:
    """Whether the folder `root`, or the one in which the file lies, bears the mark of rendered data."""
    base = root.parent if root.is_file() else root
    return (base / MARK).is_file()


def sign(base: Path, name: str, kind: str) -> list[Any] | None:
    """[size, sign] of the file `name` below `base`, [bytes, sign, how many] of a series; None where there is none."""
    whole, blocks = (VIDEO_WHOLE, VIDEO_BLOCKS) if kind == "video" else (LABEL_WHOLE, LABEL_BLOCKS)
    try:
        folder, _, last = name.rpartition("/")
        return _series(base / folder, last[1:]) if last.startswith("*") else _file(base / name, whole, blocks)
    except OSError:
        return None


def signed_below(root: Path) -> dict[str, Any]:
    """Name and sign of every file below `root`, or of the file that it is; series as one."""
    origin = Origin(root)
    return origin._signed(origin._own(itertools.islice(_around(Path(os.path.abspath(root))), MOST_AROUND)), "labels")


def digest(content: Any) -> str:
    """16 hexadecimal digits for plain values."""
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()[:16]


def _file(path: Path | str, whole: int, blocks: int) -> list[Any]:
    # A pipe in place of the file does not block.
    descriptor = os.open(path, os.O_RDONLY | getattr(os, "O_BINARY", 0) | getattr(os, "O_NONBLOCK", 0))
    try:
        about, hashed = os.fstat(descriptor), hashlib.blake2b(digest_size=10)
        if not stat.S_ISREG(about.st_mode):
            raise OSError(errno.EINVAL, f"'{path}' is no file")  # a device has no end
        size = about.st_size
        if size <= whole:
            hashed.update(os.read(descriptor, size))
        else:
            for number in range(blocks):
                os.lseek(descriptor, (size - BLOCK) * number // (blocks - 1), os.SEEK_SET)
                hashed.update(os.read(descriptor, BLOCK))
        return [size, hashed.hexdigest()]
    finally:
        os.close(descriptor)


def _series(folder: Path, ending: str) -> list[Any] | None:
    """Names and sizes of all files of this ending, and the content of some."""
    with os.scandir(folder) as found:
        files = sorted((one.name, one.stat().st_size) for one in found if _ending(one.name) == ending)
    if not files:
        return None
    hashed = hashlib.blake2b(json.dumps(files).encode(errors="surrogatepass"), digest_size=10)
    for number in range(SERIES_SEEN):
        name, _ = files[(len(files) - 1) * number // (SERIES_SEEN - 1)]
        hashed.update(json.dumps(_file(folder / name, VIDEO_WHOLE, VIDEO_BLOCKS)).encode())
    return [sum(size for _, size in files), hashed.hexdigest(), len(files)]


def _with_series(names: Iterable[str]) -> Iterator[str]:
    """`names`, where many lie in one folder with one ending as a series of them."""
    together: dict[tuple[str, str], list[str]] = {}
    for name in names:
        folder, slash, last = name.rpartition("/")
        together.setdefault((folder + slash, _ending(last)), []).append(name)
    for (folder, ending), files in together.items():
        yield from [f"{folder}*{ending}"] if len(files) >= SERIES and ending else files


def _ending(name: str) -> str:
    return os.path.splitext(name)[1].lower()


def _around(path: Path) -> Iterator[str]:
    """All files below `path`, or, where it is a file, it and those beside it that share its name but the ending."""
    if path.is_dir():
        for folder, _, names in os.walk(path):
            yield from (os.path.join(folder, name) for name in names if not name.startswith("."))
    else:
        yield from filter(os.path.isfile, glob.glob(f"{glob.escape(str(path.with_suffix('')))}.*"))
