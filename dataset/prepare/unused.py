"""The listing of a data set, and what lies in DATA_PATH without being part of any recording: named, never overlooked.

A recording takes the file or folder it lies in; a data set's `side_files` are the files beside it that are read, too.
Each of those is a path below DATA_PATH, in whatever case, with * and with the {id} and {subject} of a recording, the
{parent} folder and {stem} of its path, and what its info holds. One without such a name stands for all recordings.
"""

import os
import re
import tempfile
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from fnmatch import fnmatch
from itertools import islice
from pathlib import Path

from dataset.data_loader.base import BaseLoader, Recording
from dataset.data_loader.folder import IMAGES, VIDEOS
from dataset.files.lookup import copy_of, instead, listed, visible
from dataset.files.names import plural, shown
from registry import DATASETS

ARCHIVES = (".zip", ".rar", ".7z", ".tar", ".gz", ".tgz", ".bz2", ".xz", ".zst", ".001", ".z01")
UNENDED = (".part", ".crdownload", ".download", ".filepart", ".partial", ".tmp")  # downloads
UNREAD = (".gif", ".h264", ".264", ".hevc", ".265", ".h265", ".rm", ".swf", ".y4m", ".heic", ".raw", ".dng", ".ogg")
OUTPUTS = ("runs", "PreprocessedData")  # where runs write unless told otherwise
LOOKED_AT = 30  # folders in which recordings are looked for, of one kind
SAMPLE = 3  # recordings whose files are compared
OWN = "dataset.data_loader."  # plug-ins are not asked about folders that were not meant for them


def list_recordings(loader: BaseLoader, root: Path, name: str = "") -> list[Recording]:
    """The recordings below `root`; prints, once for each data set and folder, what else lies there.

    FileNotFoundError when there is none, which says where there are some; ValueError when two would have one name.
    """
    try:
        recordings = loader.recordings(root)
    except FileNotFoundError as error:
        raise FileNotFoundError(f"{error}{elsewhere(loader, root)}") from None
    refuse_doubles(recordings, root)
    key = (type(loader).__name__, str(root))
    if key not in _TOLD:
        _TOLD.add(key)
        for line in unused(loader, root, recordings):
            print(shown(f"{name.upper()}.DATA: {line}" if name else line))
    return recordings


_TOLD: set[tuple[str, str]] = set()  # sections share their folders: once is enough


def refuse_doubles(recordings: Sequence[Recording], root: Path) -> None:
    """ValueError for ids that differ by nothing, or by case only: on some disks they are one, and people mean one."""
    counts = Counter(recording.id.casefold() for recording in recordings)
    doubles = [recording for recording in recordings if counts[recording.id.casefold()] > 1]
    if doubles:
        places = listed([f"{r.id} ('{_relative(r.path, root)}')" for r in doubles], 6)
        raise ValueError(f"'{root}' holds several recordings of one name: {places}. Keep one of each, or rename them.")


def unused(loader: BaseLoader, root: Path, recordings: Sequence[Recording]) -> list[str]:
    """Sentences, one a kind, about what in `root` is no recording and not read with one; [] where all is used."""
    root = Path(root)
    if loader.generated or loader.chosen or not root.is_dir():
        return []
    rest = _Rest(loader, root, list(recordings))
    return [f"Not used of '{root}', {sentence}" for sentence in rest.sentences()]


def elsewhere(loader: BaseLoader, root: Path) -> str:
    """Where recordings lie when `root` holds none: a folder deeper or higher, or those of another data set; or ""."""
    root = Path(root)
    if loader.generated or not root.is_dir():
        return ""
    deeper = [] if loader.searches_below else list(islice(_deeper(loader, root), LOOKED_AT))
    if deeper:
        more = f" (or {listed([str(place) for place, _ in deeper[1:]], 3)})" if deeper[1:] else ""
        return f" {plural(deeper[0][1], 'recording')} lie deeper: set DATA_PATH to '{deeper[0][0]}'{more}."
    for place in list(root.absolute().parents)[: 0 if loader.searches_below else 2]:
        found = _readable(loader, place)
        if found:
            return f" {plural(len(found), 'recording')} lie higher: set DATA_PATH to '{place}'."
    for name, found in _other_layouts(loader, root):
        return f" It looks like {name} ({plural(len(found), 'recording')}): set DATASET to {name}."
    packed = [path.name for path in _visible(root) if path.suffix.lower() in ARCHIVES]
    if packed:
        return f" It holds {plural(len(packed), 'archive')} ({listed(packed)}): unpack what is packed there."
    held = instead(root).removeprefix(", but ")
    return f" It holds {held}." if held != " and is empty" else " It is empty."


class _Rest:
    """What is left of a folder, sorted by what it may be."""

    def __init__(self, loader: BaseLoader, root: Path, recordings: list[Recording]):
        self.loader, self.root, self.recordings = loader, root, recordings
        self.left = list(_left(loader, root, recordings))

    def sentences(self) -> Iterator[str]:
        """One for each kind, in an order in which the first that fits is the likeliest."""
        if not self.left:
            return
        self._take(lambda path: path.is_dir() and path.name in OUTPUTS)
        copies = self._take(copy_of)
        yield from _say(self._names(copies), "named like copies", "Rename one that has no original, remove the others")
        shut = self._take(lambda path: path.is_dir() and not os.access(path, os.R_OK | os.X_OK))
        yield from _say(self._names(shut), "folders that must not be read", "Change their permissions")
        packed = self._take(lambda path: path.suffix.lower() in ARCHIVES)
        yield from _say(self._names(packed), "archives left packed", "Unpack them there")
        unended = self._take(lambda path: path.suffix.lower() in UNENDED)
        yield from _say(self._names(unended), "downloads that have not ended", "Load them again")
        yield from self._deeper()
        yield from self._others()
        alike = self._take(self._is_alike)
        names = [f"{self._name(path)}{_inside(path)}" for path in alike]
        like = f" (those that are read: {listed([self._name(r.path) for r in self.recordings], 2)})"
        what = "almost recordings, but not by name or by the names of their files"
        yield from _say(names, what, f"Rename those that are recordings{like}")
        unread = self._take(lambda path: path.suffix.lower() in UNREAD and path.is_file())
        mend = "Convert recordings, such as by `ffmpeg -i file.gif file.mp4`"
        yield from _say(self._names(unread), "in formats that are not read", mend)
        media = self._take(lambda path: path.suffix.lower() in (*VIDEOS, *IMAGES) and path.is_file())
        yield from _say(self._names(media), "videos or pictures in no recording's place", f"See {_layout(self.loader)}")
        empty = self._take(lambda path: path.is_dir() and not _visible(path))
        yield from _say(self._names(empty), "empty folders")
        inner = self._take(Path.is_dir)
        yield from _say(self._names(inner), "folders without a recording")
        yield from _say(self._names(self.left), "other files")

    def _take(self, is_one) -> list[Path]:
        taken = [path for path in self.left if is_one(path)]
        gone = set(taken)
        self.left = [path for path in self.left if path not in gone]
        return taken

    def _name(self, path: Path) -> str:
        return _relative(path, self.root)

    def _names(self, paths: Iterable[Path]) -> list[str]:
        return [self._name(path) for path in paths]

    def _deeper(self) -> Iterator[str]:
        """Folders that are such data sets themselves."""
        places = [] if self.loader.searches_below else [path for path in self.left if path.is_dir()][:LOOKED_AT]
        found = {path: _readable(self.loader, path) for path in places}
        taken = self._take(lambda path: found.get(path))
        held = [f"{self._name(path)} ({plural(len(found[path]), 'recording')})" for path in taken]
        yield from _say(held, "recordings one folder too deep", "Move them up, or set DATA_PATH to their folder")

    def _others(self) -> Iterator[str]:
        """What other data sets know: their recordings lie there, and can be read."""
        self.left.sort(key=lambda path: not path.is_dir())  # folders first: only some are looked at
        found = self._known_to_others()
        for name in dict.fromkeys(found.values()):
            taken = self._take(lambda path: found.get(path) == name)  # noqa: B023
            yield from _say(self._names(taken), f"recordings that look like {name}", f"Read them with DATASET: {name}")

    def _known_to_others(self) -> dict[Path, str]:
        """The data set that knows what is left, by path; asked of a folder of links to that alone, which is quick."""
        try:
            with tempfile.TemporaryDirectory() as folder:
                return self._known_in(Path(folder))
        except (OSError, NotImplementedError):  # no room, or a system that forbids links: it is only a guess
            return {}

    def _known_in(self, folder: Path) -> dict[Path, str]:
        found: dict[Path, str] = {}
        links = {folder / self._name(path): path for path in self.left[:LOOKED_AT]}
        for link, path in links.items():
            link.parent.mkdir(parents=True, exist_ok=True)
            link.symlink_to(path.absolute())
        for name, others in _other_layouts(self.loader, folder, but="Folder"):  # that one takes everything
            for link, path in links.items():
                if any(recording.path.is_relative_to(link) for recording in others):
                    found.setdefault(path, name)
        return found

    def _is_alike(self, path: Path) -> bool:
        """Whether name or files are those of recordings, but for numbers and signs."""
        if not hasattr(self, "_like"):
            chosen = [recording.path for recording in self.recordings[:SAMPLE]]
            tops = {_top(recording.path, self.root) for recording in self.recordings[:SAMPLE]}
            self._like = {_skeleton(place) for place in [*chosen, *tops]}
            self._files = {_skeleton(file) for place in chosen for file in _files(place)}
        if path.is_file() and path.suffix.lower() not in (*VIDEOS, *IMAGES, ".mat"):
            return _skeleton(path) in self._like
        return _skeleton(path) in self._like or any(_skeleton(file) in self._files for file in _files(path))


def _left(loader: BaseLoader, root: Path, recordings: Sequence[Recording]) -> Iterator[Path]:
    """Files and folders below `root` that hold no recording, are in none and not read with one."""
    used = {_key(recording.path) for recording in recordings}
    if _key(root) in used:  # a recording that takes the whole folder
        return
    above = {_key(parent) for r in recordings for parent in _parents(r.path, root)}
    sides = _Sides(loader, root, recordings)
    waiting = [root]
    while waiting:
        for path in _visible(waiting.pop(0)):
            key = _key(path)
            if key in used or path in sides:
                continue
            if path.is_dir() and (key in above or key in sides.above):
                waiting.append(path)
            else:
                yield path


def _key(path: Path) -> str:
    return os.path.normpath(path).casefold()


class _Sides:
    """The files that are read beside recordings: those of `side_files`, filled in, by the folder they lie in."""

    def __init__(self, loader: BaseLoader, root: Path, recordings: Sequence[Recording]):
        self.exact: set[str] = set()
        self.patterns: dict[str, set[str]] = {}
        for pattern in loader.side_files:
            of_each = "{" in pattern
            for one in (_filled(pattern, r, root) for r in recordings) if of_each else [pattern]:
                if one:
                    self._add(_key(root / one))
        places = [*self.exact, *(os.path.join(folder, "*") for folder in self.patterns)]
        self.above = {str(parent) for place in places for parent in Path(place).parents}

    def _add(self, path: str) -> None:
        folder, name = os.path.split(path)
        if "*" in name:
            self.patterns.setdefault(folder, set()).add(name)
        else:
            self.exact.add(path)

    def __contains__(self, path: Path) -> bool:
        key = _key(path)
        folder, name = os.path.split(key)
        return key in self.exact or any(fnmatch(name, pattern) for pattern in self.patterns.get(folder, ()))


def _filled(pattern: str, recording: Recording, root: Path) -> str:
    """`pattern` with what is known of the recording; "" where something is not, or is empty."""
    path = recording.path
    stem = path.name if path.is_dir() else path.stem
    known = {"id": recording.id, "subject": recording.subject, "stem": stem, **recording.info}
    known["parent"] = _relative(path.parent, root)
    wanted = re.findall(r"{(\w+)}", pattern)
    return pattern.format(**known) if all(known.get(key) for key in wanted) else ""


def _parents(path: Path, root: Path) -> Iterator[Path]:
    """The folders between `root` and `path`."""
    if path.is_relative_to(root):
        yield from (parent for parent in path.parents if parent != root and parent.is_relative_to(root))


def _relative(path: Path, root: Path) -> str:
    return path.relative_to(root).as_posix() if path.is_relative_to(root) else str(path)


def _top(path: Path, root: Path) -> Path:
    return root / path.relative_to(root).parts[0] if path.is_relative_to(root) and path != root else path


def _skeleton(path: Path) -> str:
    """The name without its numbers, signs, case, and ending of a video or picture: p01_a and P2-b are alike."""
    stem, suffix = (path.name, "") if path.is_dir() else (path.stem, path.suffix.lower())
    name = re.sub(r"[\W_]+", "", re.sub(r"\d+", "0", stem.casefold()))
    letters = re.sub(r"(?<=0)[a-z]$", "a", name)  # p01_a and p01_b
    return letters + ("video" if suffix in VIDEOS else "image" if suffix in IMAGES else suffix)


def _files(place: Path) -> list[Path]:
    """Some of the files of a recording, at most two folders deep."""
    if not place.is_dir():
        return [place]
    inner = [path for path in _visible(place)[:100]]
    inner += [path for folder in _folders(place)[:10] for path in _visible(folder)[:100]]
    inner += [path for folder in _folders(place)[:3] for one in _folders(folder)[:3] for path in _visible(one)[:100]]
    return [path for path in inner if path.is_file()]


def _inside(path: Path) -> str:
    return f" (holds {instead(path).removeprefix(', but ')})" if path.is_dir() and _visible(path) else ""


def _visible(folder: Path) -> list[Path]:
    """As `visible`; nothing where one must not look."""
    try:
        return visible(folder)
    except OSError:
        return []


def _folders(folder: Path) -> list[Path]:
    return [path for path in _visible(folder) if path.is_dir()]


def _say(names: list[str], what: str, mend: str = "") -> Iterator[str]:
    if names:
        yield f"{what}: {listed(names)}.{f' {mend}.' if mend else ''}"


def _layout(loader: BaseLoader) -> str:
    return f"the layout at the top of {type(loader).__module__.replace('.', '/')}.py"


# --- Other places, other data sets -----------------------------------------------------------------------------------


def _deeper(loader: BaseLoader, root: Path) -> Iterator[tuple[Path, int]]:
    """Folders one or two below `root` that hold recordings, the nearest first, and how many."""
    near = _folders(root)[:LOOKED_AT]
    for place in [*near, *(inner for folder in near for inner in _folders(folder)[:LOOKED_AT])]:
        found = _readable(loader, place)
        if found:
            yield place, len(found)


def _other_layouts(loader: BaseLoader, root: Path, but: str = "") -> Iterator[tuple[str, list[Recording]]]:
    """Data sets other than the loader's, and than `but`, that have recordings in `root`, and can read one of them."""
    others = [name for name in DATASETS.names() if DATASETS[name].__module__.startswith(OWN)]
    for name in sorted(others, key=lambda name: DATASETS[name].searches_below):
        kind = DATASETS[name]
        if kind.generated or kind.windows or name == but or isinstance(loader, kind):
            continue
        found = _readable(kind({"DATA_AUG": ["None"], "DATA_MODE": "RGB"}), root)
        if found:
            yield name, found


def _readable(loader: BaseLoader, root: Path) -> list[Recording]:
    """Recordings of `loader` in `root`, if label and first frame of one of the first can be read."""
    try:
        found = loader.recordings(root)
        return found if any(_can_read(loader, recording) for recording in found[:2]) else []
    except Exception:  # a guess about a stranger's folder: whatever fails there is no such data set
        return []


def _can_read(loader: BaseLoader, recording: Recording) -> bool:
    try:
        waves = loader.read_wave(recording)
        if not loader.has_video:
            return bool(waves or loader.streams)
        return next(iter(loader.read_video(recording)), None) is not None
    except Exception:
        return False
