"""Whose cache it is: folders of raw data with one name and one set of settings must not share their entries.

The first folder of raw data has `<DATASET>_<last folder>_<hash>`; another one, whose files are not those that the
entries there were made of, has `<DATASET>_<last folder>_<hash>~<sign of its path>`. A folder that was moved or copied
is known by the content of its files.
"""

import glob
import hashlib
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from dataset.data_loader.base import BaseLoader, Recording
from dataset.face.crop import FaceCrop
from dataset.files.names import natural_sort
from dataset.prepare.renewal import identify
from dataset.store.cache import LISTING, Cache
from dataset.store.entry import Entry
from dataset.store.sources import Origin, digest, is_rendered
from registry import OURS

TRIED = 5  # old entries by which a cache is recognised
USED: dict[Path, Path] = {}  # caches of this process and the raw data they are used for


def origin_of(root: Path, loader: BaseLoader) -> Origin:
    """What entries of `loader` made from `root` say of where they come from."""
    rendered = loader.generated or is_rendered(root)
    return Origin(root, rendered, code_sign(type(loader)), makes=loader.generated)


def code_sign(kind: type) -> str:
    """A sign of the files that a plug-in's reader is written in, helpers beside it included; '' for our own."""
    files: set[Path] = set()
    for one in kind.__mro__:
        module = sys.modules.get(one.__module__)
        if one.__module__.split(".")[0] not in OURS and getattr(module, "__file__", None):
            files |= {Path(module.__file__), *_helpers(module)}
    hashed = [hashlib.sha256(file.read_bytes()).hexdigest() for file in sorted(files) if file.is_file()]
    return digest(hashed) if hashed and any(_is_foreign(one) for one in kind.__mro__) else ""


def _is_foreign(kind: type) -> bool:
    return kind is not object and kind.__module__.split(".")[0] not in OURS and kind.__module__ != "builtins"


def _helpers(module: Any) -> Iterator[Path]:
    """Files of the same folder that `module` took something from."""
    folder = Path(module.__file__).parent
    for value in vars(module).values():
        name = getattr(value, "__module__", None) or getattr(value, "__name__", None)
        file = getattr(sys.modules.get(name), "__file__", None) if isinstance(name, str) else None
        if file and Path(file).parent == folder:
            yield Path(file)


def place(cache: Cache, loader: BaseLoader, crop: FaceCrop, raw: bool) -> Cache:
    """The cache of `cache.origin`: `cache` itself, one beside it that is known by its files, or a new one.

    FileNotFoundError where the raw data are not there and several caches could be meant.
    """
    root = cache.origin.root.resolve()
    found = _candidates(cache)
    if not raw:
        return _without_raw(cache, root, found)
    chosen = next((one for one in found if _owned(one, root)), None)
    if chosen is None:
        chosen = next((one for one in found if _fits(one, root, loader, crop)), None)
    if chosen is None:
        chosen = cache if not found else _beside(cache, root)
        if found:
            print(
                f"'{cache.root.name}' holds recordings of another folder{_named(found[0])}, not those of '{root}': "
                f"these get a cache of their own, '{chosen.root.name}'."
            )
    USED.setdefault(chosen.root, root)
    return chosen


def _candidates(cache: Cache) -> list[Cache]:
    """`cache` and those beside it, as far as they exist."""
    beside = natural_sort(map(Path, glob.glob(f"{glob.escape(str(cache.root))}~*")))
    folders = [folder for folder in (cache.root, *beside) if (folder / LISTING).is_file()]
    return [Cache(folder, cache.settings, cache.origin) for folder in folders]


def _beside(cache: Cache, root: Path) -> Cache:
    sign = hashlib.sha256(str(root).encode(errors="surrogatepass")).hexdigest()[:8]
    return Cache(cache.root.with_name(f"{cache.root.name}~{sign}"), cache.settings, cache.origin)


def _owned(cache: Cache, root: Path) -> bool:
    owner = cache.owner().get("root", "")
    return (owner == str(root) or cache.root == _beside_name(cache, root)) and USED.get(cache.root, root) == root


def _beside_name(cache: Cache, root: Path) -> Path:
    base = Cache(cache.root.with_name(cache.root.name.partition("~")[0]), cache.settings, cache.origin)
    return _beside(base, root).root


def _named(cache: Cache) -> str:
    owner = cache.owner().get("root")
    return f" ('{owner}')" if owner else ""


# --- Known by its files ----------------------------------------------------------------------------------------------


def _fits(cache: Cache, root: Path, loader: BaseLoader, crop: FaceCrop) -> bool:
    """Whether no entry contradicts the raw data, and some speak for them; of old entries, whether one does."""
    if USED.get(cache.root, root) != root:
        return False
    entries = list(_entries(cache))
    known = [entry for entry in entries if entry.sources and not cache.origin.missing(entry.sources)]
    if any(cache.origin.difference(entry.sources) for entry in known):
        return False
    old = [entry for entry in entries if not entry.sources]
    if known:
        return True
    if old:
        return _free(cache, root) and _recognised(old, cache, loader, crop)
    return not entries and _free(cache, root)


def _free(cache: Cache, root: Path) -> bool:
    """Whether no other raw data claim it; another process may just have claimed it for these."""
    return cache.owner().get("root", str(root)) == str(root)


def _entries(cache: Cache) -> Iterator[Entry]:
    for found in cache.survey(row["id"] for row in cache.listing()).values():
        if found.entry is not None:
            yield found.entry


def _recognised(old: list[Entry], cache: Cache, loader: BaseLoader, crop: FaceCrop) -> bool:
    """Whether the video of one of some old entries is there."""
    recordings = {recording.id: recording for recording in loader.recordings(cache.origin.root)}
    both = [(recordings[entry.id], entry) for entry in old if entry.id in recordings]
    return any(
        _is_of(loader, recording, crop, cache, entry) for recording, entry in both[:: max(1, len(both) // TRIED)]
    )


def _is_of(loader: BaseLoader, recording: Recording, crop: FaceCrop, cache: Cache, entry: Entry) -> bool:
    try:
        difference, _ = identify(loader, recording, crop, cache, entry)
    except Exception:  # whatever is wrong with it: it speaks for nothing, and is named when it is read
        return False
    return difference is None or (difference.kind != "video" and loader.has_video)


# --- Without raw data ------------------------------------------------------------------------------------------------


def _without_raw(cache: Cache, root: Path, found: list[Cache]) -> Cache:
    own = [one for one in found if _owned(one, root)]
    if own or len(found) < 2:
        return (own or found or [cache])[0]
    known = [f"  '{one.root.name}' of '{one.owner().get('root', 'a folder that is not known')}'" for one in found]
    raise FileNotFoundError(
        f"DATA_PATH '{cache.origin.root}' does not exist, and several caches could be meant:\n"
        + "\n".join(known)
        + "\n"
        "Set DATA_PATH to the folder of one of them (it need not exist any more)."
    )


def said_without_raw(cache: Cache, entries: Iterable[Entry]) -> str:
    """A sentence about a cache whose raw data are not there: where it comes from, and that nothing was compared."""
    entries = list(entries)
    sign = digest(sorted((entry.id, digest(entry.sources)) for entry in entries))
    kind = "rendered " if any(entry.rendered for entry in entries) else ""
    owner = cache.owner().get("root")
    where = f"'{owner}'" if owner else "a folder that it does not name"
    return (
        f"DATA_PATH '{cache.origin.root}' does not exist: {len(entries)} {kind}recordings come from the cache alone, "
        f"made from {where} (sign of their files: {sign}); they cannot be compared with files."
    )
