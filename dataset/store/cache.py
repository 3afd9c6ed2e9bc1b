"""The cache: recordings as methods read them, frames cropped to the face, written once and read by every method.

    <CACHED_PATH>/faces-v1/<DATASET>_<last folder of DATA_PATH>_<hash of the settings>/
        recordings.json          id and subject of every recording, in order: what splits count over
        .root.json               the folder of raw data that it was made from; another one gets a folder of its own
        .status/<id>.json        done, failed or skipped, with the reason
        manifest.csv             the same as a table, derived
        <id>/faces.npy           (T, H, W, 3) uint8 RGB, opened as a memory map
        <id>/thermal.npy         (T, H, W, 1) float32 degrees Celsius, where there is a thermal camera
        <id>/<stream>.npy        (T, H, W, C) uint8 or float32 of a further camera, with a clock of its own
        <id>/signals.npz         signals at their native rate, frame times, mean colour, face boxes
        <id>/entry.json          format, settings, frames per second, statistics, flags, targets, checksums

A data set without video lies in `signals-v1/` instead: its entries have no faces, and its settings say nothing of any.
entry.json also says which files an entry was made of (`dataset.store.sources`); where these are there, they are
compared.
An entry is written under `.writing/` and renamed when whole: a folder with an `entry.json` is a finished entry. It
holds no time of day, host, process or absolute path, so the same input gives the same bytes.
"""

import contextlib
import csv
import functools
import hashlib
import io
import json
import os
import re
import shutil
import zlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from dataset.data_loader.base import Recording
from dataset.files.names import cell, plural, shown
from dataset.files.reading import LARGEST_TABLE, read_json, read_text, told
from dataset.store import disk
from dataset.store.disk import CacheError
from dataset.store.entry import (
    ENTRY,
    FORMAT,
    REMAKE,
    SIGNALS,
    DamagedEntryError,
    Entry,
    read_about,
    read_entry,
    wrong_files,
)
from dataset.store.sources import Origin
from dataset.store.streams import HEADER
from dataset.store.writer import EntryWriter, as_plain, entry_text

WRITING, STATUS = ".writing", ".status"
LISTING, MANIFEST, ROOT = "recordings.json", "manifest.csv", ".root.json"
COLUMNS = ("id", "subject", "state", "reason", "frames", "fs", "flags")  # of the manifest


@dataclass(frozen=True)
class Status:
    """What became of a recording: state is done, failed, skipped or missing; the reason is empty when done."""

    state: str
    reason: str = ""
    sources: Mapping[str, Any] = field(default_factory=dict, compare=False)  # the files that a failed one was read from

    def __post_init__(self) -> None:
        """The reason names files, and can be printed and written whatever their names are."""
        object.__setattr__(self, "reason", shown(self.reason))


@dataclass(frozen=True)
class Found:
    """A recording as a walk over the cache finds it: its state, and its entry where it is done."""

    status: Status
    entry: Entry | None = None


def cache_folder(
    cached_path: str | Path, dataset: str, data_path: str | Path, settings: dict[str, Any], video: bool = True
) -> Path:
    """Where entries of `dataset` from `data_path` made with `settings` lie; `video`: whether they hold faces."""
    name = f"{dataset}_{Path(data_path).name}_{settings_hash(settings)}"
    return Path(cached_path) / f"{'faces' if video else 'signals'}-v{FORMAT}" / safe_name(name)


def settings_hash(settings: dict[str, Any]) -> str:
    """Ten hex digits that stand for `settings` (plain values), whatever the order of their keys."""
    return hashlib.sha256(_json(settings).encode()).hexdigest()[:10]


@functools.lru_cache(1 << 16)
def safe_name(name: str) -> str:
    """`name` as the name of one file: unchanged where harmless, otherwise made harmless and told apart by a hash."""
    plain = re.sub(r"[^\w .()+,=@~#-]", "_", name).lstrip(". ").rstrip(". ")
    while len(plain.encode()) > 180:
        plain = plain[:-1]
    if name and plain == name and name.lower() not in (LISTING, MANIFEST):
        return name
    return f"{plain}-{hashlib.sha256(name.encode(errors='surrogatepass')).hexdigest()[:8]}".lstrip("-")


class Cache:
    """Entries of one data set made with one set of settings, under `root` (see `cache_folder`)."""

    def __init__(self, root: str | Path, settings: dict[str, Any], origin: Origin | None = None):
        """`settings` are plain values; everything that the stored frames depend on. `origin`: the raw data."""
        self.root = Path(root)
        self.origin = origin
        self.settings = json.loads(_json(settings))

    def absolute(self) -> "Cache":
        """The same for a process with another working directory."""
        origin = self.origin and replace(self.origin, root=self.origin.root.absolute())
        return Cache(self.root.absolute(), self.settings, origin)

    # --- the listing

    def freeze(self, recordings: Sequence[Recording]) -> None:
        """Remember id, subject and order of `recordings`; splits count over them, also when the raw data are gone.

        The listing follows the data: what is new joins it and what has gone leaves it, and both are said aloud. The
        entries of those that went stay where they are.
        """
        rows = [{"id": recording.id, "subject": recording.subject} for recording in recordings]
        old = self.listing() if (self.root / LISTING).is_file() else []
        if rows == old:
            return
        for line in _changes([row["id"] for row in old], [row["id"] for row in rows]) if old else ():
            print(f"'{self.root}': {line}")
        content = json.dumps({"format": FORMAT, "recordings": rows}, indent=1)
        self._replace(self.root / LISTING, content + "\n")

    def listing(self) -> list[dict[str, str]]:
        """The frozen recordings (id, subject) in order; CacheError when there is no listing."""
        content = read_about(self.root / LISTING)
        rows = content.get("recordings")
        good = isinstance(rows, list) and all(
            isinstance(row, dict) and all(isinstance(row.get(key), str) for key in ("id", "subject")) for row in rows
        )
        if content.get("format") != FORMAT or not good:
            raise CacheError(
                f"'{self.root / LISTING}' is not a listing of format {FORMAT}. Delete it; it is made again."
            )
        return rows

    def owner(self) -> dict[str, Any]:
        """`root`, the folder of raw data that the cache was made from, and whether it was `rendered`; {}: not known."""
        try:
            content = read_json(self.root / ROOT)
        except (OSError, ValueError):
            return {}
        return content if isinstance(content.get("root"), str) else {}

    def claim(self, root: Path) -> None:
        """Write down that the cache is that of the raw data in `root`, unless it is another's or cannot be written."""
        if not self.owner():
            content = {"root": str(root), "rendered": bool(self.origin and self.origin.rendered)}
            with contextlib.suppress(CacheError):
                self._replace(self.root / ROOT, json.dumps(content, indent=1) + "\n")

    # --- states

    def status(self, recording_id: str) -> Status:
        """What became of this recording. A damaged entry counts as missing, and its reason says so."""
        return self._look(recording_id)[0]

    def statuses(self) -> dict[str, Status]:
        """The state of every recording of the frozen listing."""
        return {row["id"]: self.status(row["id"]) for row in self.listing()}

    def survey(self, recording_ids: Iterable[str]) -> dict[str, Found]:
        """State and entry of many recordings; of each only `entry.json` is read, once.

        An entry that cannot be used is `missing` where the sizes of its files tell it, otherwise `failed`, each with
        the reason. CacheError for an entry of another format or made with other settings: never a silent reuse.
        """
        return {name: self._found(name) for name in recording_ids}

    def set_status(self, recording_id: str, status: Status) -> None:
        """Write the small status file of a recording."""
        with disk.writing(self.root):
            disk.make_own(self.root / STATUS)
        self._replace(self._status_path(recording_id), _status_file(recording_id, status))

    def complete(self, found: Mapping[str, Found]) -> None:
        """Bring status files and manifest up to date with what a walk has `found`; writes only what is not."""
        self.note_done(found)
        if not self._manifest_says(found):
            self.write_manifest()

    def note_done(self, found: Mapping[str, Found]) -> None:
        """Write the status files of finished entries where a kill came between the two."""
        for name, one in found.items():
            # That of a recording that is done is shorter than any other: its size tells, without opening thousands.
            if one.status.state == "done" and self._status_size(name) != len(_status_file(name, one.status).encode()):
                self.set_status(name, one.status)

    def write_manifest(self) -> Path:
        """Bring `manifest.csv` up to date with listing, states and entries; return its path."""
        path, table = self.root / MANIFEST, self._manifest()
        # Of several processes that end together, the last to write may have looked before another was done:
        # so each looks again after it has written.
        while not _holds(path, table):
            self._replace(path, table)
            table = self._manifest()
        return path

    def _look(self, recording_id: str, folder: Path | None = None) -> tuple[Status, dict[str, Any]]:
        """What became of a recording, and what entry.json holds, {} without one that is whole by its sizes."""
        folder = folder or self.path(recording_id)
        about = folder / ENTRY
        try:
            content = read_about(about)
        except CacheError as error:
            if not about.is_file():
                return self._noted(recording_id), {}
            return Status("missing", f"damaged ({told(error)})"), {}
        problem = wrong_files(folder, content)
        return (Status("missing", problem), {}) if problem else (Status("done"), content)

    def _found(self, recording_id: str) -> Found:
        folder = self.path(recording_id)
        status, content = self._look(recording_id, folder)
        if not content:
            return Found(status)
        self._check_origin(folder, recording_id, content)
        try:
            return Found(status, read_entry(folder, content))
        except DamagedEntryError as error:
            return Found(Status("failed", str(error)))

    def _noted(self, recording_id: str) -> Status:
        """The state that the status file of a recording without entry tells."""
        try:
            content = read_json(self._status_path(recording_id))
            status = Status(str(content["state"]), str(content["reason"]), dict(content.get("sources", {})))
        except (OSError, ValueError, KeyError, TypeError):
            return Status("missing")
        return status if status.state in ("failed", "skipped") else Status("missing")

    def _status_path(self, recording_id: str) -> Path:
        return self.root / STATUS / f"{safe_name(recording_id)}.json"

    def _status_size(self, recording_id: str) -> int:
        try:
            return os.stat(self._status_path(recording_id)).st_size
        except OSError:
            return -1

    def _manifest(self) -> bytes:
        found = ((row, *self._look(row["id"])) for row in self.listing())
        return _table(_line(row["id"], row["subject"], status, content) for row, status, content in found)

    def _manifest_says(self, found: Mapping[str, Found]) -> bool:
        """Whether the manifest has a line for each recording of the listing, and those of `found` as they are."""
        try:
            text = read_text(self.root / MANIFEST, LARGEST_TABLE)
            lines = {line["id"]: line for line in csv.DictReader(io.StringIO(text, newline=""))}
        except (OSError, ValueError, KeyError, csv.Error):
            return False
        listing = self.listing()
        if [cell(row["id"]) for row in listing] != list(lines):
            return False
        rows = ((row["id"], row["subject"], found[row["id"]]) for row in listing if row["id"] in found)
        return all(lines[cell(name)] == _line(name, subject, one.status, _told(one)) for name, subject, one in rows)

    def _replace(self, path: Path, content: str | bytes) -> None:
        with disk.writing(self.root):
            disk.replace(path, content, self.root / WRITING)

    # --- entries

    def path(self, recording_id: str) -> Path:
        """Folder of an entry; always directly inside the cache, whatever the id contains."""
        return self.root / safe_name(recording_id)

    def finished(self) -> Iterator[Path]:
        """Folders of entries, in no order, whether or not the listing has them."""
        if self.root.is_dir():
            yield from (folder for folder in self.root.iterdir() if (folder / ENTRY).is_file())

    @property
    def path_of_unfinished(self) -> Path:
        """Folder of what is being written."""
        return self.root / WRITING

    def entry(self, recording_id: str) -> Entry:
        """An entry with its signals; CacheError when it is missing, damaged, of another format or other settings."""
        return self.open(recording_id).check()

    def open(self, recording_id: str) -> Entry:
        """As `entry`, but signals.npz is read only when something of it is asked for, which may raise then."""
        folder = self.path(recording_id)
        if not (folder / ENTRY).is_file():
            raise CacheError(f"No entry for recording {recording_id!r} in '{self.root}'. Run with DO_PREPROCESS: True.")
        content = read_about(folder / ENTRY)
        self._check_origin(folder, recording_id, content)
        problem = wrong_files(folder, content)
        if problem:
            raise DamagedEntryError(f"'{folder}' is {problem}.{REMAKE}")
        return read_entry(folder, content)

    def damage(self, recording_id: str) -> str:
        """Why an entry that is there cannot be used; '' when it can, or when there is none."""
        status = self.status(recording_id)
        if status.state == "missing" and status.reason:
            return f"'{self.path(recording_id)}' is {status.reason}."
        try:
            if status.state == "done":
                self.verified(recording_id)
        except CacheError as error:  # other settings are no damage
            return str(error).removesuffix(REMAKE) if isinstance(error, DamagedEntryError) else ""
        return ""

    def verify(self, recording_id: str) -> bool:
        """Whether all files of an entry have the checksums they were written with; reads them whole."""
        folder = self.path(recording_id)
        sums = read_about(folder / ENTRY).get("checksums", {})
        try:
            return bool(sums) and all(_file_checksum(folder / safe_name(name)) == value for name, value in sums.items())
        except OSError:
            return False

    def verified(self, recording_id: str) -> Entry:
        """As `entry`, after reading all its files; DamagedEntryError also where one has another checksum."""
        entry = self.entry(recording_id)
        if not self.verify(recording_id):
            raise DamagedEntryError(f"'{entry.path}' is damaged (a file has another checksum than {ENTRY}).{REMAKE}")
        return entry

    @contextlib.contextmanager
    def write(self, recording: Recording, video: bool = True) -> Iterator[EntryWriter]:
        """Write an entry inside the block: it appears when the block ends well, and nothing of it when not."""
        with disk.writing(self.root):
            folder, lock = disk.own_folder(self.root / WRITING, safe_name(recording.id))
        writer = EntryWriter(folder, recording, self.settings, video)
        try:
            yield writer
            writer.finish()
            with disk.writing(self.root):
                disk.move(folder, self.path(recording.id), self.root / WRITING)
        except BaseException:
            shutil.rmtree(folder, ignore_errors=True)
            raise
        finally:
            writer.close()
            os.close(lock)
        self.set_status(recording.id, Status("done"))

    def is_writing(self, recording_id: str) -> bool:
        """Whether an unfinished entry of this recording lies about: someone writes it, or died over it."""
        return (self.root / WRITING / safe_name(recording_id)).exists()

    def abandon(self, recording_id: str) -> None:
        """Remove what a process that no longer runs has left of an unfinished entry; another run's stays."""
        disk.remove_abandoned(self.root / WRITING / safe_name(recording_id))

    def replace_about(self, recording_id: str, content: Mapping[str, Any]) -> None:
        """Let entry.json of a finished entry say `content`; its other files stay."""
        self._replace(self.path(recording_id) / ENTRY, entry_text(content).encode(errors="backslashreplace"))

    def replace_signals(self, recording_id: str, signals: bytes, content: Mapping[str, Any]) -> None:
        """Give a finished entry other signals, and let entry.json say `content`; frames are linked, not copied."""
        with disk.writing(self.root):
            folder, lock = disk.own_folder(self.root / WRITING, safe_name(recording_id))
            try:
                for file in self.path(recording_id).glob("*.npy"):
                    disk.link(file, folder / file.name)
                disk.write(folder / SIGNALS, signals)
                disk.write(folder / ENTRY, entry_text(content).encode(errors="backslashreplace"))
                disk.move(folder, self.path(recording_id), self.root / WRITING)
            finally:
                os.close(lock)

    def remove(self, recording_id: str) -> None:
        """Take an entry away, which belongs to files that are no more."""
        with disk.writing(self.root):
            disk.remove(self.path(recording_id), self.root / WRITING)

    def clear_abandoned(self) -> None:
        """Remove all that killed runs have left half written; what another process is writing stays."""
        with contextlib.suppress(OSError):
            disk.clear_abandoned(self.root / WRITING)

    def write_frame_trace(self, recording_id: str, trace: np.ndarray) -> None:
        """Add the mean RGB (T, 3) of the whole frames to a finished entry."""
        content = io.BytesIO()
        np.save(content, np.asarray(trace, np.float64), allow_pickle=False)
        self._replace(self.path(recording_id) / "frame_trace.npy", content.getvalue())

    def _check_origin(self, folder: Path, recording_id: str, content: Mapping[str, Any]) -> None:
        if content.get("format") != FORMAT:
            raise CacheError(
                f"'{folder}' has format {content.get('format')!r}; this version reads {FORMAT}. "
                f"Choose another CACHED_PATH, or delete the folder to have it made again."
            )
        if content.get("settings") != self.settings or content.get("id") != recording_id:
            raise CacheError(
                f"'{folder}' was made with other settings or for another recording ({_difference(content, self)}). "
                f"Choose another CACHED_PATH, or delete the folder to have it made again."
            )


def _status_file(recording_id: str, status: Status) -> str:
    content: dict[str, Any] = {"id": recording_id, "state": status.state, "reason": status.reason}
    content |= {"sources": status.sources} if status.sources else {}
    return json.dumps(content, indent=1, ensure_ascii=False) + "\n"


def _line(name: str, subject: str, status: Status, content: Mapping[str, Any]) -> dict[str, str]:
    """A line of the manifest; `content` is what entry.json says of shape, fs and flags, {} where there is none."""
    line = dict.fromkeys(COLUMNS, "")
    line |= {"id": name, "subject": subject, "state": status.state, "reason": status.reason}
    if status.state == "done" and content:
        frames = content["shape"][0] if content.get("shape") else ""
        line |= {"frames": str(frames), "fs": str(content.get("fs", "")), "flags": json.dumps(content.get("flags", {}))}
    return {key: cell(value) for key, value in line.items()}


def _told(found: Found) -> dict[str, Any]:
    """What entry.json says of a recording that the manifest repeats."""
    entry = found.entry
    return {} if entry is None else {"shape": entry.shape, "fs": entry.fs, "flags": entry.flags}


def _table(lines: Iterable[Mapping[str, str]]) -> bytes:
    table = io.StringIO()
    rows = csv.DictWriter(table, COLUMNS, lineterminator="\n")
    rows.writeheader()
    rows.writerows(lines)
    return table.getvalue().encode()


def _holds(path: Path, content: bytes) -> bool:
    """Whether the file is there with these bytes; one of another size, however large, is not read."""
    return path.is_file() and path.stat().st_size == len(content) and path.read_bytes() == content


def _difference(content: Mapping[str, Any], cache: Cache) -> str:
    theirs, ours = content.get("settings"), cache.settings
    if not isinstance(theirs, dict):
        return "no settings"
    keys = [key for key in sorted({*theirs, *ours}) if theirs.get(key) != ours.get(key)]
    return ", ".join(f"{key}: {theirs.get(key)!r} there, {ours.get(key)!r} here" for key in keys[:3]) or "another id"


def _changes(old: list[str], new: list[str]) -> Iterator[str]:
    """A sentence each for recordings that came and that went."""
    before, after = set(old), set(new)
    came, went = len(after - before), [name for name in old if name not in after]
    if came:
        yield f"New in the data set, which had {len(old)}: {plural(came, 'recording')}; splits change with it."
    if went:
        names = ", ".join(went[:10]) + (", ..." if len(went) > 10 else "")
        yield (
            f"Gone from the data set and from all tables, {len(went)} of {plural(len(old), 'recording')}: {names}. "
            f"Splits change with it; their entries stay here, unused until the files come back."
        )


def _file_checksum(path: Path) -> str:
    """CRC-32 of a file; of an array without its header, which is known only when the last frame is."""
    checksum = 0
    with path.open("rb") as file:
        file.seek(HEADER if path.suffix == ".npy" else 0)
        while block := file.read(1 << 20):
            checksum = zlib.crc32(block, checksum)
    return f"crc32:{checksum:08x}"


def _json(settings: dict[str, Any]) -> str:
    return json.dumps(settings, sort_keys=True, separators=(",", ":"), ensure_ascii=True, default=as_plain)
