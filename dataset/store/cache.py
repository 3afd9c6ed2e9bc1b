"""The cache: cropped uint8 faces of each recording with its signals, written once and read by every method.

    <CACHED_PATH>/faces-v1/<DATASET>_<last folder of DATA_PATH>_<hash of the settings>/
        recordings.json          id and subject of every recording, in order: what splits count over
        .status/<id>.json        done, failed or skipped, with the reason
        manifest.csv             the same as a table, derived
        <id>/faces.npy           (T, H, W, 3) uint8 RGB, opened as a memory map
        <id>/thermal.npy         (T, H, W, 1) float32 degrees Celsius, where there is a thermal camera
        <id>/signals.npz         signals at their native rate, frame times, mean colour, face boxes
        <id>/entry.json          format, settings, frames per second, statistics, flags, checksums

An entry is written under `.writing/` and renamed when whole: a folder with an `entry.json` is a finished entry. It
holds no time of day, host, process or absolute path, so the same input gives the same bytes.
"""

import contextlib
import csv
import errno
import functools
import hashlib
import io
import json
import os
import re
import shutil
import uuid
import zipfile
import zlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, BinaryIO

import cv2
import numpy as np

from dataset.data_loader.base import Recording, Signal, natural_key
from dataset.files.reading import open_array, read_bytes, read_json, require_file, told
from dataset.store.statistics import FloatCounter, PairCounter, Stats

try:
    import fcntl
except ImportError:  # not on Windows: there two runs must not write one recording at the same time
    fcntl = None

FORMAT = 1
HEADER = 128  # bytes of the .npy header, whatever the number of frames
BLOCK = 1 << 19  # bytes of faces written at once
ATTEMPTS = 20  # to put an entry where other processes may be putting theirs
LARGEST_SIGNALS = 1 << 30  # bytes of signals.npz; an hour of ten signals at 1000 Hz has half of it
WRITING, STATUS = ".writing", ".status"
LISTING, MANIFEST = "recordings.json", "manifest.csv"
STATES = ("done", "failed", "skipped", "missing")


class CacheError(RuntimeError):
    """The cache cannot be written, or what lies there cannot be used; the message says what to do."""


class DamagedEntryError(CacheError):
    """An entry that lost its content: the fault of one recording, not of the settings."""


REMAKE = " Run with --preprocess (DO_PREPROCESS: True) to have it made again."  # what to do about it


@dataclass(frozen=True)
class Status:
    """What became of a recording: state is done, failed, skipped or missing; the reason is empty when done."""

    state: str
    reason: str = ""


@dataclass(frozen=True)
class Entry:
    """One recording in the cache.

    trace   (T, 3) mean RGB of each stored face           times    (T,) seconds from the first frame, or None
    fs      frames per second                             signals  by name, at their native rate
    stats   of the whole recording                        flags    what is unusual about it, by name
    boxes   (T, 4) x, y, w, h that was cut out            info     what the loader says of the recording
    thermal_stats   of the thermal frames, or None
    """

    id: str
    subject: str
    path: Path
    trace: np.ndarray
    times: np.ndarray | None
    fs: float
    signals: dict[str, Signal]
    stats: Stats
    boxes: np.ndarray
    shape: tuple[int, ...]
    flags: dict[str, Any] = field(default_factory=dict)
    info: dict[str, Any] = field(default_factory=dict)
    thermal_stats: Stats | None = None

    @functools.cached_property
    def faces(self) -> np.ndarray:
        """(T, H, W, 3) uint8 RGB, a read-only memory map opened at the first look."""
        return np.load(self.path / "faces.npy", mmap_mode="r", allow_pickle=False)

    @functools.cached_property
    def thermal(self) -> np.ndarray | None:
        """(T, H, W, 1) float32 degrees Celsius, a read-only memory map; None without a thermal camera."""
        return None if self.thermal_stats is None else np.load(self.path / "thermal.npy", "r", allow_pickle=False)

    @functools.cached_property
    def frame_trace(self) -> np.ndarray | None:
        """(T, 3) mean RGB of the whole frames, where a section asked for it; else, or damaged, None: made (again)."""
        try:
            trace = np.array(open_array(self.path / "frame_trace.npy"), np.float64)
        except (OSError, ValueError, TypeError, MemoryError):
            return None
        return trace if trace.shape == self.trace.shape and np.isfinite(trace).all() else None

    def __getstate__(self) -> dict[str, Any]:
        """All but the open maps, which would be copied into the pickle."""
        return {key: value for key, value in self.__dict__.items() if key not in ("faces", "thermal")}


def cache_folder(cached_path: str | Path, dataset: str, data_path: str | Path, settings: dict[str, Any]) -> Path:
    """Where entries of `dataset` from `data_path` made with `settings` lie."""
    name = f"{dataset}_{Path(data_path).name}_{settings_hash(settings)}"
    return Path(cached_path) / f"faces-v{FORMAT}" / safe_name(name)


def settings_hash(settings: dict[str, Any]) -> str:
    """Ten hex digits that stand for `settings` (plain values), whatever the order of their keys."""
    return hashlib.sha256(_json(settings).encode()).hexdigest()[:10]


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

    def __init__(self, root: str | Path, settings: dict[str, Any]):
        """`settings` are plain values; everything that the stored pixels depend on."""
        self.root = Path(root)
        self.settings = json.loads(_json(settings))

    # --- the listing

    def freeze(self, recordings: Sequence[Recording]) -> None:
        """Remember id, subject and order of `recordings`; splits count over them, also when the raw data are gone.

        A listing that was frozen before keeps what has disappeared; new recordings join it, and that is said aloud.
        """
        new = [{"id": recording.id, "subject": recording.subject} for recording in recordings]
        old = self.listing() if (self.root / LISTING).is_file() else []
        rows = _merge(old, new)
        if rows == old:
            return
        if old:
            print(f"'{self.root}': the data set grew from {len(old)} to {len(rows)} recordings; splits change with it.")
        with _writing(self.root):
            content = json.dumps({"format": FORMAT, "recordings": rows}, indent=1)
            _replace(self.root / LISTING, content + "\n", self.root / WRITING)

    def listing(self) -> list[dict[str, str]]:
        """The frozen recordings (id, subject) in order; CacheError when there is no listing."""
        content = _read_json(self.root / LISTING)
        rows = content.get("recordings")
        good = isinstance(rows, list) and all(
            isinstance(row, dict) and all(isinstance(row.get(key), str) for key in ("id", "subject")) for row in rows
        )
        if content.get("format") != FORMAT or not good:
            raise CacheError(
                f"'{self.root / LISTING}' is not a listing of format {FORMAT}. Delete it; it is made again."
            )
        return rows

    # --- states

    def status(self, recording_id: str) -> Status:
        """What became of this recording. A damaged entry counts as missing, and its reason says so."""
        folder = self.path(recording_id)
        if (folder / "entry.json").is_file():
            problem = _damage(folder)
            return Status("missing", problem) if problem else Status("done")
        file = self.root / STATUS / f"{safe_name(recording_id)}.json"
        try:
            content = read_json(file)
            status = Status(str(content["state"]), str(content["reason"]))
        except (OSError, ValueError, KeyError, TypeError):
            return Status("missing")
        return status if status.state in ("failed", "skipped") else Status("missing")

    def statuses(self) -> dict[str, Status]:
        """The state of every recording of the frozen listing."""
        return {row["id"]: self.status(row["id"]) for row in self.listing()}

    def set_status(self, recording_id: str, status: Status) -> None:
        """Write the small status file of a recording."""
        with _writing(self.root):
            content = json.dumps({"id": recording_id, **asdict(status)}, indent=1, ensure_ascii=False)
            path = self.root / STATUS / f"{safe_name(recording_id)}.json"
            _replace(path, content + "\n", self.root / WRITING)

    def confirm(self, recording_id: str) -> None:
        """Write the status file of a finished entry where a kill came between the two."""
        file = self.root / STATUS / f"{safe_name(recording_id)}.json"
        try:
            state = read_json(file)["state"]
        except (OSError, ValueError, KeyError, TypeError):
            state = None
        if state != "done" and self.status(recording_id).state == "done":
            self.set_status(recording_id, Status("done"))

    def write_manifest(self) -> Path:
        """Bring `manifest.csv` up to date with listing, states and entries; return its path."""
        path, table = self.root / MANIFEST, self._manifest()
        with _writing(self.root):
            # Of several processes that end together, the last to write may have looked before another was done:
            # so each looks again after it has written.
            while not _holds(path, table):
                _replace(path, table, self.root / WRITING)
                table = self._manifest()
        return path

    def _manifest(self) -> bytes:
        table = io.StringIO()
        columns = ["id", "subject", "state", "reason", "frames", "fs", "flags"]
        rows = csv.DictWriter(table, columns, restval="", lineterminator="\n")
        rows.writeheader()
        for row in self.listing():
            status = self.status(row["id"])
            line = {**{key: row[key] for key in ("id", "subject")}, "state": status.state, "reason": status.reason}
            if status.state == "done":
                with contextlib.suppress(CacheError):  # another process exchanges the entry, and writes this again
                    content = _read_json(self.path(row["id"]) / "entry.json")
                    line |= {"frames": content["shape"][0], "fs": content["fs"], "flags": json.dumps(content["flags"])}
            rows.writerow(line)
        return table.getvalue().encode()

    # --- entries

    def path(self, recording_id: str) -> Path:
        """Folder of an entry; always directly inside the cache, whatever the id contains."""
        return self.root / safe_name(recording_id)

    def entry(self, recording_id: str) -> Entry:
        """Read an entry; CacheError when it is missing, damaged, of another format or made with other settings."""
        folder = self.path(recording_id)
        if not (folder / "entry.json").is_file():
            raise CacheError(f"No entry for recording {recording_id!r} in '{self.root}'. Run with DO_PREPROCESS: True.")
        content = _read_json(folder / "entry.json")
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
        problem = _damage(folder)
        if problem:
            raise DamagedEntryError(f"'{folder}' is {problem}.{REMAKE}")
        try:
            return _read_entry(folder, content)
        except Exception as error:  # zip archives, headers and numbers fail in many ways
            reason = f"{folder.name}/signals.npz or entry.json: {told(error)}"
            raise DamagedEntryError(f"'{folder}' is damaged ({reason}).{REMAKE}") from error

    def damage(self, recording_id: str) -> str:
        """Why an entry that is there cannot be used; '' when it can, or when there is none."""
        status = self.status(recording_id)
        if status.state == "missing" and status.reason:
            return f"'{self.path(recording_id)}' is {status.reason}."
        try:
            if status.state == "done":
                self.entry(recording_id)
        except CacheError as error:  # other settings are no damage
            return str(error).removesuffix(REMAKE) if isinstance(error, DamagedEntryError) else ""
        return ""

    def verify(self, recording_id: str) -> bool:
        """Whether all files of an entry have the checksums they were written with; reads them whole."""
        folder = self.path(recording_id)
        sums = _read_json(folder / "entry.json").get("checksums", {})
        return bool(sums) and all(_file_checksum(folder / safe_name(name)) == value for name, value in sums.items())

    @contextlib.contextmanager
    def write(self, recording: Recording) -> Iterator["EntryWriter"]:
        """Write an entry inside the block: it appears when the block ends well, and nothing of it when not."""
        with _writing(self.root):
            folder, lock = _own_folder(self.root / WRITING, safe_name(recording.id))
        writer = EntryWriter(folder, recording, self.settings)
        try:
            yield writer
            writer.finish()
            with _writing(self.root):
                _move(folder, self.path(recording.id), self.root / WRITING)
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
        folder = self.root / WRITING / safe_name(recording_id)
        with contextlib.suppress(OSError):
            lock = os.open(folder, os.O_RDONLY)
            try:
                if _locked(lock):
                    shutil.rmtree(folder, ignore_errors=True)
            finally:
                os.close(lock)

    def write_frame_trace(self, recording_id: str, trace: np.ndarray) -> None:
        """Add the mean RGB (T, 3) of the whole frames to a finished entry."""
        content = io.BytesIO()
        np.save(content, np.asarray(trace, np.float64), allow_pickle=False)
        with _writing(self.root):
            _replace(self.path(recording_id) / "frame_trace.npy", content.getvalue(), self.root / WRITING)


class EntryWriter:
    """Takes the faces of one recording one by one; set `signals`, `flags`, `info` and `fs` before the block ends."""

    def __init__(self, folder: Path, recording: Recording, settings: dict[str, Any]):
        """Write into `folder`, which is empty."""
        self.signals: dict[str, Signal] = {}
        self.flags: dict[str, Any] = {}
        self.info: dict[str, Any] = dict(recording.info)
        self.fs: float | None = None  # frames per second where the frames have no times
        self.times: list[float | None] = []
        self._folder, self._recording, self._settings = folder, recording, settings
        self._boxes: list[tuple[int, ...]] = []
        self._box_frames: list[int] = []
        self._trace: list[tuple[float, ...]] = []
        self._counter = PairCounter()
        self._checksum = 0
        self._repeated = 0  # frames equal to the one before in every stored pixel
        self._file: BinaryIO | None = None
        self._block = np.empty(0, np.uint8)  # row 0 is the last frame of the block before
        self._filled = 0
        self._thermal: _ThermalFile | None = None

    def __len__(self) -> int:
        """Frames so far."""
        return len(self.times)

    def append(
        self,
        face: np.ndarray,
        box: Sequence[int] | None = None,
        time: float | None = None,
        thermal: np.ndarray | None = None,
    ) -> None:
        """Add a face (H, W, 3) uint8, the box it was cut from, its time in seconds, and (H, W) float32 of its heat.

        Raises ValueError for a face of another size or type than the first, CacheError when it cannot be written.
        """
        if self._file is None:
            self._open(face)
        if face.shape != self._block.shape[1:] or face.dtype != np.uint8:
            raise ValueError(f"Face {face.shape} of {face.dtype} does not fit {self._block.shape[1:]} of uint8.")
        if self._filled == len(self._block) - 1:
            self._flush()
        self._filled += 1
        self._block[self._filled] = face
        self._trace.append(cv2.mean(face)[:3])
        if box is not None and (not self._boxes or box != self._boxes[-1]):
            self._boxes.append(tuple(box))
            self._box_frames.append(len(self.times))
        if thermal is not None:
            self._thermal = self._thermal or _ThermalFile(self._folder, face.shape[:2])
            self._thermal.append(thermal)
        self.times.append(time)

    def frame_times(self) -> np.ndarray | None:
        """Times (T,) of the frames so far in seconds, or None when one of them has none."""
        return None if None in self.times or not self.times else np.array(self.times, dtype=np.float64)

    def finish(self) -> None:
        """Write what is left, then everything beside the faces; afterwards the folder is a whole entry."""
        if not self.times:
            raise ValueError("no frame was stored")
        self._flush()
        self._counter.add_last(self._block[0])
        if self._repeated:
            self.flags["repeated_frames"] = self._repeated
        with _writing(self._folder):
            self._file.seek(0)
            self._file.write(_npy_header(len(self.times), self._block.shape[1:]))
            os.fsync(self._file.fileno())
            checksums = {"faces.npy": f"crc32:{self._checksum:08x}"}
            if self._thermal is not None:
                checksums["thermal.npy"] = self._thermal.finish(len(self.times))
            self.close()
            signals = self._signals_file()
            _write(self._folder / "signals.npz", signals)
            checksums["signals.npz"] = f"crc32:{zlib.crc32(signals):08x}"
            _write(self._folder / "entry.json", self._entry_file(checksums).encode())
            _sync_folder(self._folder)

    def close(self) -> None:
        """Close the file of the faces; harmless when it is closed already."""
        for file in (self._file, self._thermal and self._thermal.file):
            if file is not None and not file.closed:
                file.close()

    def _open(self, face: np.ndarray) -> None:
        if face.ndim != 3 or not face.size:
            raise ValueError(f"A face is an array (H, W, C), not {face.shape}.")
        count = max(2, BLOCK // face.nbytes)
        self._block = np.empty((count + 1, *face.shape), np.uint8)
        with _writing(self._folder):
            self._file = (self._folder / "faces.npy").open("wb", buffering=0)
            self._file.write(_npy_header(0, face.shape))

    def _flush(self) -> None:
        if not self._filled:
            return
        first = len(self.times) == self._filled  # nothing comes before the first frame of all
        start = 1 if first else 0
        before, after = self._block[start : self._filled], self._block[start + 1 : self._filled + 1]
        if len(after):
            self._counter.add(before, after)
            # A row of pixels tells most frames apart; the whole frame is compared only where it does not.
            for row in np.flatnonzero((before[:, 0] == after[:, 0]).all(axis=(1, 2))):
                self._repeated += bool(np.array_equal(before[row], after[row]))
        new = self._block[1 : self._filled + 1]
        self._checksum = zlib.crc32(new, self._checksum)
        with _writing(self._folder):
            _write_all(self._file, memoryview(new).cast("B"))
        self._block[0] = self._block[self._filled]
        self._filled = 0

    def _signals_file(self) -> bytes:
        arrays = {"trace": np.array(self._trace, np.float64)}
        arrays["boxes"] = np.array(self._boxes, np.int32).reshape(-1, 4)
        arrays["box_frames"] = np.array(self._box_frames, np.int32)
        times = self.frame_times()
        if times is not None:
            arrays["times"] = times
        for name, signal in sorted(self.signals.items()):
            arrays[f"signal.{name}.values"] = _numbers(signal.values, name)
            if signal.times is not None:
                arrays[f"signal.{name}.times"] = _numbers(signal.times, name)
        content = io.BytesIO()
        np.savez(content, **arrays)
        return content.getvalue()

    def _entry_file(self, checksums: dict[str, str]) -> str:
        content = {
            "format": FORMAT,
            "id": self._recording.id,
            "subject": self._recording.subject,
            "settings": self._settings,
            "shape": [len(self.times), *self._block.shape[1:]],
            "fs": self._rate(),
            "stats": asdict(self._counter.stats()),
            "signals": {name: {"fs": signal.fs, "unit": signal.unit} for name, signal in self.signals.items()},
            "flags": self.flags,
            "info": {key: value for key, value in self.info.items() if _is_plain(value)},
            "checksums": checksums,
        }
        if self._thermal is not None:
            content["thermal"] = {"stats": asdict(self._thermal.counter.stats())}
        return json.dumps(content, indent=1, sort_keys=True, ensure_ascii=False, default=_as_plain) + "\n"

    def _rate(self) -> float:
        times = self.frame_times()
        rate = frame_rate(times) if times is not None else None
        rate = rate or self.fs
        if not rate:
            raise ValueError("nothing says how many frames per second there are. Set FS of the data set.")
        return float(rate)


class _ThermalFile:
    """`thermal.npy`, written frame by frame in the entry's `folder`."""

    def __init__(self, folder: Path, shape: tuple[int, int]):
        """Begin a file of frames of `shape` (H, W)."""
        self.counter = FloatCounter()
        self._folder, self._shape = folder, shape
        self._count = self._checksum = 0
        self._last: np.ndarray | None = None
        with _writing(folder):
            self.file = (folder / "thermal.npy").open("wb", buffering=0)
            self.file.write(self._header())

    def append(self, frame: np.ndarray) -> None:
        """Add a frame (H, W) float32; ValueError for another shape or values that are not finite."""
        if frame.shape != self._shape or frame.dtype != np.float32 or not np.isfinite(frame).all():
            raise ValueError(f"Thermal frame {frame.shape} of {frame.dtype} is not {self._shape} of finite float32.")
        frame = np.ascontiguousarray(frame)
        if self._last is not None:
            self.counter.add(self._last, frame)
        self._last, self._count = frame, self._count + 1
        self._checksum = zlib.crc32(frame, self._checksum)
        with _writing(self._folder):
            _write_all(self.file, memoryview(frame).cast("B"))

    def finish(self, count: int) -> str:
        """Complete the file; its checksum. ValueError unless it has `count` frames."""
        if self._count != count:
            raise ValueError(f"{self._count} thermal frames came with {count} of colour.")
        self.counter.add_last(self._last)
        self.file.seek(0)
        self.file.write(self._header())
        os.fsync(self.file.fileno())
        return f"crc32:{self._checksum:08x}"

    def _header(self) -> bytes:
        return _npy_header(self._count, (*self._shape, 1), "<f4")


def frame_rate(times: np.ndarray) -> float | None:
    """Frames per second of frames at `times` (T,) s, from the ordinary intervals only; None when there are none.

    The median interval says what is ordinary; the mean of those near it is finer, since containers round times.
    """
    steps = np.diff(times)
    steps = steps[steps > 0]
    if not len(steps):
        return None
    middle = np.median(steps)
    near = steps[(steps > 0.5 * middle) & (steps < 1.5 * middle)]
    return float(round(1 / near.mean(), 6))


# --- Reading ---------------------------------------------------------------------------------------------------------


def _read_entry(folder: Path, content: dict[str, Any]) -> Entry:
    count = content["shape"][0]
    arrays = _arrays(folder / "signals.npz", content["checksums"]["signals.npz"])
    signals = {
        name: Signal(arrays[f"signal.{name}.values"], about["fs"], arrays.get(f"signal.{name}.times"), about["unit"])
        for name, about in content["signals"].items()
    }
    trace, times = arrays["trace"], arrays.get("times")
    if trace.shape != (count, 3) or (times is not None and times.shape != (count,)):
        raise ValueError(f"signals.npz does not have {count} frames")
    stats = Stats(**content["stats"])
    if not all(np.isfinite(float(number)) for number in (content["fs"], *asdict(stats).values())) or content["fs"] <= 0:
        raise ValueError("entry.json holds numbers that cannot be")
    return Entry(
        id=content["id"],
        subject=content["subject"],
        path=folder,
        trace=trace,
        times=times,
        fs=float(content["fs"]),
        signals=signals,
        stats=stats,
        boxes=_boxes(arrays["boxes"], arrays["box_frames"], count),
        shape=tuple(content["shape"]),
        flags=dict(content["flags"]),
        info=dict(content["info"]),
        thermal_stats=Stats(**content["thermal"]["stats"]) if "thermal" in content else None,
    )


def _arrays(path: Path, checksum: str) -> dict[str, np.ndarray]:
    """The arrays of a signals.npz, which are stored as they are: a compressed one could be of any size."""
    content = read_bytes(path, LARGEST_SIGNALS, remedy="")
    if checksum != f"crc32:{zlib.crc32(content):08x}":
        raise ValueError("signals.npz has another checksum than entry.json states")
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        if any(member.compress_type != zipfile.ZIP_STORED for member in archive.infolist()):
            raise ValueError("its arrays are compressed")
    with np.load(io.BytesIO(content), allow_pickle=False) as file:
        return {name: file[name] for name in file.files}


def _boxes(boxes: np.ndarray, starts: np.ndarray, count: int) -> np.ndarray:
    """One box per frame from those at which it changed."""
    if not len(boxes):
        return np.zeros((0, 4), np.int32)
    return np.repeat(boxes, np.diff([*starts, count]), axis=0)


def _holds(path: Path, content: bytes) -> bool:
    """Whether the file is there with these bytes; one of another size, however large, is not read."""
    return path.is_file() and path.stat().st_size == len(content) and path.read_bytes() == content


def _damage(folder: Path) -> str:
    """Why an entry cannot be whole, by a look at sizes; '' when it can."""
    try:
        content = _read_json(folder / "entry.json")
        if content.get("format") != FORMAT:
            return ""  # not ours to judge: reading it says what to do
        shape = tuple(int(number) for number in content["shape"])
        arrays = {"faces.npy": (shape, "|u1")}
        if "thermal" in content:
            arrays["thermal.npy"] = ((*shape[:3], 1), "<f4")
        wrong = [name for name, (size, kind) in arrays.items() if not _is_whole(folder / name, size, kind)]
        if not (folder / "signals.npz").stat().st_size:
            wrong.append("signals.npz")
    except (OSError, ValueError, LookupError, TypeError, OverflowError, CacheError) as error:
        return f"damaged ({told(error)})"
    return f"damaged ({wrong[0]} has another size than entry.json states)" if wrong else ""


def _is_whole(path: Path, shape: tuple[int, ...], kind: str) -> bool:
    """Whether the array file has this shape and type, and all its bytes."""
    with require_file(path, remedy="").open("rb") as file:
        header = file.read(HEADER)
    size = HEADER + int(np.prod(shape)) * np.dtype(kind).itemsize
    return header == _npy_header(shape[0], shape[1:], kind) and path.stat().st_size == size


def _difference(content: dict[str, Any], cache: Cache) -> str:
    theirs, ours = content.get("settings"), cache.settings
    if not isinstance(theirs, dict):
        return "no settings"
    keys = [key for key in sorted({*theirs, *ours}) if theirs.get(key) != ours.get(key)]
    return ", ".join(f"{key}: {theirs.get(key)!r} there, {ours.get(key)!r} here" for key in keys[:3]) or "another id"


def _read_json(path: Path) -> dict[str, Any]:
    try:
        return read_json(path, remedy="Delete it; it is made again.")
    except FileNotFoundError:
        raise CacheError(f"'{path}' does not exist. Run with DO_PREPROCESS: True.") from None
    except (OSError, ValueError) as error:
        raise CacheError(f"The cache is damaged: {error}") from error


def _merge(old: list[dict[str, str]], new: list[dict[str, str]]) -> list[dict[str, str]]:
    """The recordings of both listings; in the new order when it has them all."""
    known = {row["id"] for row in new}
    gone = [row for row in old if row["id"] not in known]
    if not gone:
        return new
    return sorted([*gone, *new], key=lambda row: (natural_key(row["subject"]), natural_key(row["id"])))


# --- Writing ---------------------------------------------------------------------------------------------------------

FULL = (errno.ENOSPC, errno.EDQUOT)


@contextlib.contextmanager
def _writing(place: Path) -> Iterator[None]:
    """Turn what the file system says while writing into one clear error."""
    try:
        yield
    except OSError as error:
        if error.errno in FULL:
            remedy = "The disk is full: make room or set another CACHED_PATH, then run again; finished entries stay."
        else:
            remedy = "Set CACHED_PATH to a folder you may write to."
        raise CacheError(f"The cache '{place}' cannot be written: {error.strerror or error}. {remedy}") from error


def _own_folder(parent: Path, name: str) -> tuple[Path, int]:
    """An empty folder that no other process writes to, and its lock; leftovers of a killed run are taken over."""
    _make_own(parent)
    for number in range(1000):
        folder = parent / (f"{name}.{number}" if number else name)
        _make_own(folder)
        try:
            lock = os.open(folder, os.O_RDONLY)
        except FileNotFoundError:  # its owner has just renamed it
            continue
        if _locked(lock) and folder.exists():
            for item in folder.iterdir():
                shutil.rmtree(item) if item.is_dir() else item.unlink()
            return folder, lock
        os.close(lock)
    raise OSError(errno.EBUSY, f"too many processes write '{name}'")


def _make_own(folder: Path) -> None:
    """A folder in which only the cache works; where a link stands in its place, another folder would be emptied."""
    folder.mkdir(parents=True, exist_ok=True)
    if folder.is_symlink():
        raise OSError(errno.ELOOP, f"'{folder}' is a link to another place; take it away")


def _locked(descriptor: int) -> bool:
    """Whether the lock could be had; the system frees it when its process dies, however it dies."""
    if fcntl is None:
        return True
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:  # a file system without locks
        return True
    return True


def _move(source: Path, target: Path, trash: Path) -> None:
    """Rename the folder `source` to `target`; an entry that is already there goes."""
    old, collisions = trash / f"{target.name}.old", (errno.ENOTEMPTY, errno.EEXIST, errno.ENOENT)
    for attempt in range(ATTEMPTS):
        shutil.rmtree(old, ignore_errors=True)
        try:
            if target.exists():
                os.replace(target, old)
            os.replace(source, target)
            break
        except OSError as error:  # another process has put its own entry there, or taken the old one away, just now
            if error.errno not in collisions or attempt == ATTEMPTS - 1:
                raise
    _sync_folder(target.parent)
    shutil.rmtree(old, ignore_errors=True)


def _replace(path: Path, content: str | bytes, scratch: Path) -> Path:
    """Write a small file in the folder `scratch` and rename it to `path`: it is never half there."""
    _make_own(scratch)
    if path.parent.name == STATUS:
        _make_own(path.parent)
    # Not the number of the process: processes of several machines write here.
    temporary = scratch / f"{path.name}.{uuid.uuid4().hex[:12]}.tmp"
    try:
        temporary.write_bytes(content.encode() if isinstance(content, str) else content)
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)
    return path


def _write(path: Path, content: bytes) -> None:
    with path.open("wb", buffering=0) as file:
        _write_all(file, memoryview(content))
        os.fsync(file.fileno())


def _write_all(file: BinaryIO, content: memoryview) -> None:
    """An unbuffered file may take less than it is given, such as on a disk about to be full."""
    while len(content):
        content = content[file.write(content) :]


def _sync_folder(path: Path) -> None:
    if os.name != "posix":
        return
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _npy_header(count: int, shape: Iterable[int], kind: str = "|u1") -> bytes:
    """Header of a .npy file of `kind` with room for any number of frames, so that it can be written first and last."""
    text = f"{{'descr': '{kind}', 'fortran_order': False, 'shape': {(count, *map(int, shape))}, }}"
    return b"\x93NUMPY\x01\x00" + (HEADER - 10).to_bytes(2, "little") + text.ljust(HEADER - 11).encode() + b"\n"


def _file_checksum(path: Path) -> str:
    """CRC-32 of a file; of an array without its header, which is known only when the last frame is."""
    checksum = 0
    with path.open("rb") as file:
        file.seek(HEADER if path.suffix == ".npy" else 0)
        while block := file.read(1 << 20):
            checksum = zlib.crc32(block, checksum)
    return f"crc32:{checksum:08x}"


def _numbers(values: Any, name: str) -> np.ndarray:
    array = np.asarray(values)
    if array.dtype == object or array.dtype.kind not in "biuf":
        raise ValueError(f"signal {name!r} holds {array.dtype} instead of numbers")
    return array


def _is_plain(value: Any) -> bool:
    if isinstance(value, (list, tuple)):
        return all(_is_plain(item) for item in value)
    return value is None or isinstance(value, (str, int, float, bool, np.integer, np.floating))


def _as_plain(value: Any) -> Any:
    if isinstance(value, np.generic):
        return value.item()
    raise TypeError(f"{value!r} of {type(value).__name__} cannot be stored; use plain numbers and texts")


def _json(settings: dict[str, Any]) -> str:
    return json.dumps(settings, sort_keys=True, separators=(",", ":"), ensure_ascii=True, default=_as_plain)
