"""Names of files and folders as people's disks have them: letters of either case, copies, and what systems leave there.

Everything that looks for raw files looks through here, so that all data sets see, and overlook, the same.
"""

import os
import re
from collections import Counter
from collections.abc import Iterable, Iterator
from fnmatch import translate
from functools import lru_cache
from pathlib import Path

from dataset.files.names import natural_key, natural_sort, shown
from dataset.files.reading import AGAIN, told

# What Windows, macOS, Linux and storage servers put beside people's files; names with a dot in front are theirs, too.
SYSTEM = {
    "thumbs.db",
    "ehthumbs.db",
    "desktop.ini",
    "icon\r",
    "__macosx",
    "@eadir",
    "#recycle",
    "$recycle.bin",
    "system volume information",
    "lost+found",
}
COPY = re.compile(  # as Windows, macOS, browsers and German or French systems name a second one
    r"(?:copy of |copie de |kopie von )(?P<before>.+)"
    r"|(?P<of>.+?)(?:(?: - |[ _-])(?:copy|kopie|copie)(?: ?\(?\d+\)?)?| ?\(\d+\)|(?<=\d) [2-9])",
    re.IGNORECASE,
)


def is_system(name: str) -> bool:
    """Whether a system or a program left a file of this name, and no person: `._vid.avi`, `Thumbs.db` ..."""
    return name.startswith(".") or name.lower() in SYSTEM


def visible(folder: Path) -> list[Path]:
    """What lies in `folder`, without the systems' files, in natural order; [] where there is no such folder.

    OSError, naming it, for one that must not be read.
    """
    return [folder / name for name in sorted(_names(folder), key=_order)]


def _order(name: str) -> tuple:
    return natural_key(name), name


def _names(folder: Path) -> list[str]:
    try:
        return [name for name in os.listdir(folder) if not is_system(name)]
    except (FileNotFoundError, NotADirectoryError):
        return []
    except OSError as error:
        raise OSError(f"'{folder}' cannot be read: {told(error)}. {AGAIN}") from None


def folders(folder: Path) -> list[Path]:
    """The folders in `folder`, as by `visible`."""
    return [path for path in visible(folder) if path.is_dir()]


def matching(folder: Path, pattern: str) -> list[Path]:
    """What matches `pattern` (as by glob, such as `*.png` or `RGB/*.pgm`) in whatever case, in natural order."""
    places = [folder]
    for part in pattern.split("/"):
        like = _compiled(part.lower())
        named = [
            (place, sorted(filter(lambda name: like(name.lower()), _names(place)), key=_order)) for place in places
        ]
        places = [place / name for place, names in named for name in names]
    return places if len(named) == 1 else natural_sort(places)


@lru_cache(maxsize=1024)
def _compiled(pattern: str):
    return re.compile(translate(pattern)).match


def below(root: Path, pattern: str = "*") -> Iterator[Path]:
    """What lies below `root`, at any depth, and matches `pattern` in whatever case; links to folders are not followed.

    A folder of such a name is among it: reading says that it is no file.
    """
    like = _compiled(pattern.lower())
    for folder, inner, files in os.walk(root):
        inner[:] = sorted(name for name in inner if not is_system(name))
        yield from (
            Path(folder, name) for name in sorted([*inner, *files]) if like(name.lower()) and not is_system(name)
        )


def entry(folder: Path, name: str) -> Path:
    """The file or folder `name`, such as `Label/BVP.mat`, in `folder`, by the letters it has on the disk.

    Where there is none, `name` as it stands: reading it says that it is missing.
    """
    path = folder
    for part in name.split("/"):
        if not os.path.lexists(path / part):
            part = min((other for other in _names(path) if other.lower() == part.lower()), default=part)
        path = path / part
    return path


def some(folder: Path, pattern: str, what: str = "") -> list[Path]:
    """As `matching`; FileNotFoundError when there is none, which says what the folder holds instead.

    `what`: how messages call such a file; "": by the pattern.
    """
    found = matching(folder, pattern)
    if not found:
        raise FileNotFoundError(f"'{folder}' holds no {what or pattern}{instead(folder)}. {AGAIN}")
    return found


def first(folder: Path, pattern: str) -> Path:
    """The first file in natural order that matches; FileNotFoundError when there is none."""
    return some(folder, pattern)[0]


def instead(folder: Path) -> str:
    """`, but 360 .jpg and 1 folder (more)`: what a folder holds, as the end of a sentence on what it does not hold."""
    if not folder.is_dir():
        return ": there is no such folder"
    found = visible(folder)
    inner = [path.name for path in found if path.is_dir()]
    kinds = Counter(path.suffix or "without ending" for path in found if path.name not in set(inner))
    parts = [f"{number} {shown(kind)}" for kind, number in kinds.most_common(4)]
    if len(kinds) > 4:
        parts.append(f"{sum(kinds.values()) - sum(number for _, number in kinds.most_common(4))} others")
    if inner:
        parts.append(f"{len(inner)} folder{'s' * (len(inner) > 1)} ({listed(inner, 3)})")
    return f", but {joined(parts)}" if parts else " and is empty"


def joined(parts: list[str]) -> str:
    """`a, b and c`."""
    return " and ".join(filter(None, [", ".join(parts[:-1]), *parts[-1:]]))


def listed(names: Iterable[str], most: int = 5) -> str:
    """The first names, as they can be shown, and how many there are when that is not all."""
    names = list(names)
    return ", ".join(map(shown, names[:most])) + (f", ... ({len(names)} in all)" if len(names) > most else "")


def copy_of(path: Path) -> str:
    """The name (with its ending) that `path` is a copy of by its own, such as subject1 for `subject1 (1)`; "": none."""
    stem, suffix = (path.name, "") if path.is_dir() else (path.stem, path.suffix)
    found = COPY.fullmatch(stem)
    return f"{found['of'] or found['before']}{suffix}" if found else ""


def originals(paths: Iterable[Path]) -> list[Path]:
    """`paths` without those that are named like copies: a copy is no second person."""
    return [path for path in paths if not copy_of(path)]
