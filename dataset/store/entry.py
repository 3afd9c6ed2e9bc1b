"""One recording in the cache: what `entry.json` says of it at once, arrays and frames when they are first looked at."""

import functools
import io
import math
import zlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from dataset.data_loader.base import Signal
from dataset.files.reading import open_array, read_bytes, read_json, told
from dataset.files.zips import require_stored
from dataset.store.disk import CacheError
from dataset.store.statistics import Stats
from dataset.store.streams import FACES, KINDS, THERMAL, Stream, check_names, is_whole, open_frames

FORMAT = 1
ENTRY, SIGNALS = "entry.json", "signals.npz"
LARGEST_SIGNALS = 1 << 30  # bytes of signals.npz; an hour of ten signals at 1000 Hz has half of it
BLOCKS, SAMPLED = 8, 2  # stretches of frames, and frames of each, that are compared when the frames are opened
SAME = 1e-6  # grey levels between a mean colour and itself, computed by another library
REMAKE = " Run with --preprocess (DO_PREPROCESS: True) to have it made again."  # what to do about it


class DamagedEntryError(CacheError, ValueError):
    """An entry that lost its content: the fault of one recording, not of the settings."""


@dataclass(frozen=True)
class Entry:
    """One recording in the cache. What is listed here comes from `entry.json`, the rest is read when it is asked for.

    fs      frames per second of the faces; without video samples per second of the first signal, or frames of the
            first stream
    shape   (T, H, W, 3) of the faces, () without video         targets  scalars by name; NaN: missing
    stats   of all faces, None without video                    flags    what is unusual about it, by name
    info    what the loader says of the recording               thermal_stats  of the thermal frames, or None
    stream_names                 of its frames, the video first

    `signals`, `times`, `trace`, `boxes` and `streams` raise DamagedEntryError where signals.npz is damaged.
    """

    id: str
    subject: str
    path: Path
    fs: float
    shape: tuple[int, ...] = ()
    stats: Stats | None = None
    thermal_stats: Stats | None = None
    flags: dict[str, Any] = field(default_factory=dict)
    info: dict[str, Any] = field(default_factory=dict)
    targets: dict[str, float] = field(default_factory=dict)
    about: Mapping[str, Any] = field(default_factory=dict, repr=False)  # checksum, and signals and streams by name
    sources: Mapping[str, Any] = field(default_factory=dict, repr=False)  # see dataset.store.sources; {}: not known

    @property
    def rendered(self) -> bool:
        """Whether it was made of rendered data."""
        return bool(self.sources.get("rendered"))

    @property
    def stream_names(self) -> tuple[str, ...]:
        """Names of all streams of frames, `faces` and `thermal` first."""
        own = [name for name, stats in ((FACES, self.stats), (THERMAL, self.thermal_stats)) if stats is not None]
        return (*own, *self.about["streams"])

    @functools.cached_property
    def signals(self) -> dict[str, Signal]:
        """By name, at their native rate."""
        return self._arrays["signals"]

    @property
    def times(self) -> np.ndarray | None:
        """(T,) seconds of the faces from the first frame, or None."""
        return self._arrays["times"]

    @property
    def trace(self) -> np.ndarray:
        """(T, 3) mean RGB of each stored face; (0, 3) without video."""
        return self._arrays["trace"]

    @property
    def boxes(self) -> np.ndarray:
        """(T, 4) x, y, w, h that was cut out of each frame; (0, 4) where nothing was."""
        return self._arrays["boxes"]

    @functools.cached_property
    def streams(self) -> dict[str, Stream]:
        """All streams of frames by name: `faces` and `thermal`, where there are any, and further cameras."""
        arrays, about = self._arrays, self.about["streams"]
        found = {name: self._video_stream(name) for name in self.stream_names if name not in about}
        for name, one in about.items():
            times = arrays["clocks"].get(name)
            found[name] = Stream(
                name,
                self.path / f"{name}.npy",
                tuple(one["shape"]),
                KINDS[one["dtype"]],
                float(one["fs"]),
                times,
                Stats(**one["stats"]),
            )
        return found

    @functools.cached_property
    def faces(self) -> np.ndarray | None:
        """(T, H, W, 3) uint8 RGB, a read-only memory map opened at the first look; None without video.

        DamagedEntryError where sampled frames are not those whose mean colours signals.npz holds.
        """
        if self.stats is None:
            return None
        faces = open_frames(self.path / "faces.npy")
        wrong = _other_frame(faces, self.trace)
        if wrong is not None:
            raise damaged(self.path, ValueError(f"frame {wrong} of faces.npy is not the one that was stored"))
        return faces

    @functools.cached_property
    def thermal(self) -> np.ndarray | None:
        """(T, H, W, 1) float32 degrees Celsius, a read-only memory map; None without a thermal camera."""
        return None if self.thermal_stats is None else open_frames(self.path / "thermal.npy")

    @functools.cached_property
    def frame_trace(self) -> np.ndarray | None:
        """(T, 3) mean RGB of the whole frames, where a section asked for it; else, or damaged, None: made (again)."""
        try:
            trace = np.array(open_array(self.path / "frame_trace.npy"), np.float64)
        except (OSError, ValueError, TypeError, MemoryError):
            return None
        return trace if trace.shape == (*self.shape[:1], 3) and np.isfinite(trace).all() else None

    def check(self) -> "Entry":
        """Read signals.npz now; DamagedEntryError where it is damaged."""
        _ = self.streams
        return self

    def __getstate__(self) -> dict[str, Any]:
        """All but the open maps, which would be copied into the pickle."""
        return {key: value for key, value in self.__dict__.items() if key not in ("faces", "thermal")}

    @functools.cached_property
    def _arrays(self) -> dict[str, Any]:
        """What signals.npz holds, in the shapes that entry.json states."""
        try:
            arrays = _read_arrays(self.path / SIGNALS, self.about["checksum"])
            return _understood(arrays, self)
        except Exception as error:  # zip archives and headers fail in many ways
            raise damaged(self.path, error) from error

    def _video_stream(self, name: str) -> Stream:
        channels, kind, stats = {FACES: (3, "|u1", self.stats), THERMAL: (1, "<f4", self.thermal_stats)}[name]
        shape = (*self.shape[:3], channels if name == THERMAL else self.shape[3])
        return Stream(name, self.path / f"{name}.npy", shape, KINDS[kind], self.fs, self.times, stats)


def _other_frame(faces: np.ndarray, trace: np.ndarray) -> int | None:
    """The first of some sampled frames (T, H, W, C) whose mean colour is not that in `trace` (T, 3); None: none."""
    count = len(faces)
    starts = np.linspace(0, max(count - SAMPLED, 0), BLOCKS).astype(int)
    for number in np.unique((starts[:, None] + np.arange(SAMPLED)).clip(0, count - 1)):
        rows = faces[number].sum(axis=0, dtype=np.uint32)  # along whole rows first: a tenth of the time of a plain mean
        mean = rows.sum(axis=0, dtype=np.float64)[:3] / (faces.shape[1] * faces.shape[2])
        if np.abs(mean - trace[number, : len(mean)]).max() > SAME:
            return int(number)
    return None


def read_entry(folder: Path, content: Mapping[str, Any]) -> Entry:
    """The entry whose `entry.json` holds `content`; DamagedEntryError for what cannot be. Opens nothing."""
    try:
        return _read_entry(folder, content)
    except Exception as error:  # anything may stand in a JSON file
        raise damaged(folder, error) from error


def damaged(folder: Path, error: Exception) -> DamagedEntryError:
    """The error that names the entry and says how to mend it."""
    return DamagedEntryError(f"'{folder}' is damaged ({folder.name}/{SIGNALS} or {ENTRY}: {told(error)}).{REMAKE}")


def wrong_files(folder: Path, content: Mapping[str, Any]) -> str:
    """Why an entry cannot be whole, by a look at the sizes of its files; '' when it can."""
    try:
        if content.get("format") != FORMAT:
            return ""  # not ours to judge: reading it says what to do
        check_names(content.get("streams", {}))
        linked = [name for name in (ENTRY, SIGNALS, *_files(content)) if (folder / name).is_symlink()]
        if linked:
            return f"damaged ({linked[0]} is a link to another place)"
        wrong = [name for name, (shape, kind) in _files(content).items() if not is_whole(folder / name, shape, kind)]
        if not (folder / SIGNALS).stat().st_size:
            wrong.append(SIGNALS)
    except (OSError, ValueError, LookupError, TypeError, AttributeError, OverflowError) as error:
        return f"damaged ({told(error)})"
    return f"damaged ({wrong[0]} has another size than entry.json states)" if wrong else ""


def read_about(path: Path) -> dict[str, Any]:
    """The object in a JSON file of the cache; CacheError where it is missing or damaged."""
    try:
        return read_json(path, remedy="Delete it; it is made again.")
    except FileNotFoundError:
        raise CacheError(f"'{path}' does not exist. Run with DO_PREPROCESS: True.") from None
    except (OSError, ValueError) as error:
        raise CacheError(f"The cache is damaged: {error}") from error


def _has_video(content: Mapping[str, Any]) -> bool:
    """Whether the entry was written with faces, whatever it has lost since."""
    return "shape" in content or "stats" in content or f"{FACES}.npy" in content["checksums"]


def _files(content: Mapping[str, Any]) -> dict[str, tuple[tuple[int, ...], str]]:
    """Shape and type of every array file that an entry has."""
    files: dict[str, tuple[tuple[int, ...], str]] = {}
    if _has_video(content):
        shape = tuple(int(number) for number in content["shape"])
        files[f"{FACES}.npy"] = (shape, "|u1")
        if "thermal" in content:
            files[f"{THERMAL}.npy"] = ((*shape[:3], 1), "<f4")
    for name, about in content.get("streams", {}).items():
        files[f"{name}.npy"] = (tuple(int(number) for number in about["shape"]), about["dtype"])
    return files


def _read_entry(folder: Path, content: Mapping[str, Any]) -> Entry:
    video, streams = _has_video(content), content.get("streams", {})
    stats = Stats(**content["stats"]) if video else None
    rates = [content["fs"], *(about["fs"] for about in streams.values())]
    values = [*rates, *((stats.mean, stats.std, stats.diff_std) if video else ())]
    if not all(math.isfinite(float(number)) for number in values) or min(rates) <= 0:
        raise ValueError("entry.json holds numbers that cannot be")
    signals = {name: (about["fs"], about["unit"]) for name, about in content["signals"].items()}
    return Entry(
        id=content["id"],
        subject=content["subject"],
        path=folder,
        fs=float(content["fs"]),
        shape=tuple(content["shape"]) if video else (),
        stats=stats,
        thermal_stats=Stats(**content["thermal"]["stats"]) if "thermal" in content else None,
        flags=dict(content["flags"]),
        info=dict(content["info"]),
        targets={name: math.nan if value is None else float(value) for name, value in _targets(content)},
        about={"checksum": content["checksums"][SIGNALS], "signals": signals, "streams": streams},
        sources=dict(content.get("sources", {})),
    )


def _targets(content: Mapping[str, Any]) -> Any:
    return content.get("targets", {}).items()


def _understood(arrays: Mapping[str, np.ndarray], entry: Entry) -> dict[str, Any]:
    count = entry.shape[0] if entry.shape else 0
    trace, times = arrays.get("trace", np.zeros((0, 3))), arrays.get("times")
    if trace.shape != (count, 3) or (times is not None and times.shape != (count,)):
        raise ValueError(f"{SIGNALS} does not have {count} frames")
    boxes = _boxes(arrays["boxes"], arrays["box_frames"], count) if count else np.zeros((0, 4), np.int32)
    signals = {
        name: Signal(arrays[f"signal.{name}.values"], fs, arrays.get(f"signal.{name}.times"), unit)
        for name, (fs, unit) in entry.about["signals"].items()
    }
    clocks = {name: arrays[f"stream.{name}.times"] for name in _clocked(arrays, entry)}
    return {"trace": trace, "times": times, "boxes": boxes, "signals": signals, "clocks": clocks}


def _clocked(arrays: Mapping[str, np.ndarray], entry: Entry) -> list[str]:
    """Further streams with times of their own; ValueError where their number is not that of the frames."""
    names = [name for name in entry.about["streams"] if f"stream.{name}.times" in arrays]
    for name in names:
        if arrays[f"stream.{name}.times"].shape != (entry.about["streams"][name]["shape"][0],):
            raise ValueError(f"{SIGNALS} does not have the times of {name!r}")
    return names


def _read_arrays(path: Path, checksum: str) -> dict[str, np.ndarray]:
    """The arrays of a signals.npz, which are stored as they are: a compressed one could be of any size."""
    content = read_bytes(path, LARGEST_SIGNALS, remedy="")
    if checksum != f"crc32:{zlib.crc32(content):08x}":
        raise ValueError(f"{SIGNALS} has another checksum than {ENTRY} states")
    require_stored(content)
    with np.load(io.BytesIO(content), allow_pickle=False) as file:
        return {name: file[name] for name in file.files}


def _boxes(boxes: np.ndarray, starts: np.ndarray, count: int) -> np.ndarray:
    """One box per frame from those at which it changed."""
    if not len(boxes):
        return np.zeros((0, 4), np.int32)
    return np.repeat(boxes, np.diff([*starts, count]), axis=0)
