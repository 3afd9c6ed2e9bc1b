"""Files of a multimodal recording: where they lie and how they are read. Whoever writes them uses `appending`.

    <root>/dataset.json         name, version, licence, subjects (a list), units
    <root>/subjects.csv         subject,age,sex,skin_type,glasses,makeup
    <root>/s001/r01/            a recording
        meta.json               see `Meta`
        rgb/                    video.mkv (lossless) or frames/000000.png ..., timestamps.csv
        thermal/                frames.npy uint16 (n, h, w), timestamps.csv, scale.json
        radar/                  adc.npy int16 (frame, chirp, rx, sample, 2), timestamps.csv, chirp.json
        ppg/                    ppg.csv t_ns,value[,spo2,hr,mark,resp], timestamps.csv
        events.csv              t_ns,clock,kind
        aligned/aligned.h5      made of the rest

timestamps.csv has a line `index,t_device_ns,t_host_ns` for every frame or sample, in whole nanoseconds: the device's
own clock, and one monotonic clock of the computer. `t_ns` of ppg.csv is the device's. Its columns `mark` (the current
that lights the LED) and `resp` (a breathing belt) come from a second input on the same clock. An event `sync` begins a
burst of `bursts.CODE` at `t_ns` on the clock `host`.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from dataset.files.frames import Frame
from dataset.files.images import iter_images
from dataset.files.names import natural_sort
from dataset.files.reading import AGAIN, iter_lines, open_array, read_json, told
from dataset.files.tables import MOST_NUMBERS, require_root
from dataset.files.video import frame_count, iter_frames

FORMAT = 1  # of meta.json
DEVICES = ("rgb", "thermal", "radar", "ppg")
META, EVENTS, STAMPS, ALIGNED = "meta.json", "events.csv", "timestamps.csv", "aligned/aligned.h5"
STAMP_COLUMNS = ("index", "t_device_ns", "t_host_ns")
EVENT_COLUMNS = ("t_ns", "clock", "kind")
PPG_COLUMNS = ("t_ns", "value")  # and any of PPG_EXTRAS
PPG_EXTRAS = ("spo2", "hr", "mark", "resp")
SUBJECT_COLUMNS = ("subject", "age", "sex", "skin_type", "glasses", "makeup")
UNITS = {"time": "ns", "thermal": "K", "displacement": "mm", "ppg": "a.u.", "frequency": "Hz"}  # of dataset.json
LONGEST_NAME = 200  # letters of an event


@dataclass(frozen=True)
class Stamps:
    """When the frames or samples of a device were taken: (n,) int64 ns each."""

    device: np.ndarray
    host: np.ndarray

    def __len__(self) -> int:
        """How many."""
        return len(self.host)


@dataclass(frozen=True)
class Event:
    """What happened at `t_ns` on `clock` ("host", or a device's name)."""

    t_ns: int
    clock: str
    kind: str


@dataclass(frozen=True)
class Chirp:
    """chirp.json: how the radar sends. Frequencies in Hz, times in s, slope in Hz per s."""

    start_frequency_hz: float
    slope_hz_per_s: float
    sample_rate_hz: float
    chirps_per_frame: int
    chirp_period_s: float
    frame_period_s: float
    antennas: list[Any] = field(default_factory=list)

    @property
    def frame_seconds(self) -> float:
        """From the first chirp of a frame to the end of the last one."""
        return self.chirps_per_frame * self.chirp_period_s


@dataclass(frozen=True)
class Scale:
    """scale.json: kelvin = counts x `kelvin_per_count` + `offset_kelvin`."""

    kelvin_per_count: float
    offset_kelvin: float = 0.0
    emissivity: float = 0.98

    def kelvin(self, counts: np.ndarray) -> np.ndarray:
        """Counts of any shape as float32 kelvin."""
        return counts.astype(np.float32) * np.float32(self.kelvin_per_count) + np.float32(self.offset_kelvin)


@dataclass(frozen=True)
class Meta:
    """meta.json of a recording.

    format, id          1, and a name that no other recording of the set has
    subject, recording  names of the two folders
    start_utc           wall-clock time of the start, ISO 8601: the only one there is
    finished            false until the recorder was stopped in order
    scenario            light, motion, exercise: words of the protocol
    devices             by name: `driver`, `settings`, `delay_ns` (from the stamp to the middle of exposure or radar
                        frame) and, of the PPG, `filter_delay_ns` (by which its values, not its marks, come late)
    thermal_to_rgb      3 x 3 homography from thermal to RGB pixels, from a heated checkerboard; without RGB or thermal
                        camera: left out
    sync                what aligning found: see `align`
    """

    values: dict[str, Any]
    path: Path

    @property
    def id(self) -> str:
        """Name of the recording in its set."""
        return str(self.values.get("id", ""))

    @property
    def devices(self) -> dict[str, dict[str, Any]]:
        """By name; ValueError when it is no such table."""
        found = self.values.get("devices")
        if not isinstance(found, dict) or not all(isinstance(one, dict) for one in found.values()):
            raise ValueError(f"'{self.path}' has no table `devices` of name and settings. {AGAIN}")
        return found

    @property
    def finished(self) -> bool:
        """Whether the recorder was stopped in order."""
        return self.values.get("finished") is True

    def delay_ns(self, device: str, key: str = "delay_ns") -> float:
        """A known delay of a device; 0 where none is stored, ValueError for what is no number."""
        return number(self.devices.get(device, {}), key, self.path, default=0.0)

    @property
    def thermal_to_rgb(self) -> np.ndarray | None:
        """(3, 3), or None; ValueError for anything else."""
        found = self.values.get("thermal_to_rgb")
        if found is None:
            return None
        try:
            matrix = np.array(found, dtype=float)
        except (TypeError, ValueError):
            matrix = np.zeros(0)
        if matrix.shape != (3, 3) or not np.isfinite(matrix).all() or abs(np.linalg.det(matrix)) < 1e-12:
            raise ValueError(f"'{self.path}': `thermal_to_rgb` is no homography (3 x 3 numbers). Calibrate again.")
        return matrix


@dataclass(frozen=True)
class Session:
    """The folder of one recording; what it holds is read when it is asked for.

    ValueError, FileNotFoundError or OSError, each naming the file, for whatever is missing or damaged.
    """

    path: Path

    @cached_property
    def meta(self) -> Meta:
        """meta.json."""
        return Meta(read_json(self.path / META), self.path / META)

    def has(self, device: str) -> bool:
        """Whether there is a folder of that device."""
        return (self.path / device).is_dir()

    @property
    def present(self) -> tuple[str, ...]:
        """Those of DEVICES that are there."""
        return tuple(device for device in DEVICES if self.has(device))

    def stamps(self, device: str) -> Stamps:
        """timestamps.csv of a device."""
        table = read_integers(self.path / device / STAMPS, STAMP_COLUMNS)
        return Stamps(table[:, 1], table[:, 2])

    def stamp_index(self, device: str) -> np.ndarray:
        """The counter in timestamps.csv (n,), as the device has counted."""
        return read_integers(self.path / device / STAMPS, STAMP_COLUMNS)[:, 0]

    def events(self) -> list[Event]:
        """events.csv in the order of the file."""
        return read_events(self.path / EVENTS)

    def syncs(self) -> np.ndarray:
        """Host times (n,) int64 ns at which a burst began, in order."""
        return np.sort([e.t_ns for e in self.events() if e.kind == "sync" and e.clock == "host"]).astype(np.int64)

    def frames(self) -> Iterator[Frame]:
        """The RGB frames, one at a time."""
        video = self.path / "rgb" / "video.mkv"
        return iter_frames(video) if video.exists() else iter_images(self._pictures())

    def frame_count(self) -> int | None:
        """RGB frames as the container states, or as there are pictures; None: only reading them tells."""
        video = self.path / "rgb" / "video.mkv"
        return frame_count(video) if video.exists() else len(self._pictures())

    def thermal(self) -> np.ndarray:
        """Counts (n, h, w) uint16, mapped."""
        return _array(self.path / "thermal" / "frames.npy", "uint16", 3, "(n, h, w)")

    def scale(self) -> Scale:
        """scale.json."""
        return read_scale(self.path / "thermal" / "scale.json")

    def radar(self) -> np.ndarray:
        """ADC samples (frame, chirp, rx, sample, 2) int16, mapped; last axis I, Q."""
        array = _array(self.path / "radar" / "adc.npy", "int16", 5, "(frame, chirp, rx, sample, 2)")
        if array.shape[-1] != 2:
            raise ValueError(f"'{self.path / 'radar' / 'adc.npy'}' {array.shape} does not end with I and Q. {AGAIN}")
        return array

    def chirp(self) -> Chirp:
        """chirp.json."""
        return read_chirp(self.path / "radar" / "chirp.json")

    def ppg(self) -> dict[str, np.ndarray]:
        """Columns of ppg.csv by name: `t_ns` int64, the others float64, (n,) each."""
        return read_ppg(self.path / "ppg" / "ppg.csv")

    def _pictures(self) -> list[Path]:
        folder = self.path / "rgb" / "frames"
        found = natural_sort(folder.glob("*.png")) if folder.is_dir() else []
        if not found:
            raise FileNotFoundError(f"'{self.path / 'rgb'}' holds neither video.mkv nor frames/*.png. {AGAIN}")
        return found


def sessions(root: Path) -> list[Session]:
    """Every recording below `root`, in natural order: folders <subject>/<recording> that hold a device or meta.json."""
    folders = [
        take
        for subject in natural_sort(f for f in root.iterdir() if f.is_dir() and not f.name.startswith("."))
        for take in natural_sort(f for f in subject.iterdir() if f.is_dir() and not f.name.startswith("."))
    ]
    return [Session(f) for f in folders if (f / META).exists() or any((f / device).is_dir() for device in DEVICES)]


def require_sessions(root: Path) -> list[Session]:
    """The same; FileNotFoundError when `root` is no folder or holds no recording."""
    found = sessions(require_root(root, "a multimodal set"))
    if not found:
        raise FileNotFoundError(
            f"'{root}' holds no recording. Expected there: s001/r01/meta.json and rgb/, radar/, ..."
        )
    return found


def read_integers(path: Path, columns: tuple[str, ...]) -> np.ndarray:
    """The whole numbers (n, columns) int64 of a table that begins with the line of its `columns`.

    Through floats a nanosecond of an hour would be lost. ValueError naming the file and the line.
    """
    lines = _table(path, columns)
    rows = []
    for number_, line in enumerate(lines, 2):
        if len(rows) * len(columns) > MOST_NUMBERS:
            raise ValueError(f"'{path}' has more than {MOST_NUMBERS} numbers. {AGAIN}")
        try:
            row = [int(part) for part in line.split(",")]
            if len(row) != len(columns) or max(map(abs, row)) >= 1 << 62:
                raise ValueError(f"it needs {len(columns)} numbers of 64 bits")
        except ValueError as error:
            raise ValueError(f"'{path}', line {number_}: {line.strip()[:80]!r} ({told(error)}). {AGAIN}") from None
        rows.append(row)
    return np.array(rows, dtype=np.int64).reshape(-1, len(columns))


def read_events(path: Path) -> list[Event]:
    """events.csv; ValueError naming the file and the line."""
    found = []
    for number_, line in enumerate(_table(path, EVENT_COLUMNS), 2):
        parts = line.strip().split(",", 2)
        try:
            found.append(Event(int(parts[0]), parts[1].strip(), parts[2].strip()[:LONGEST_NAME]))
        except (ValueError, IndexError):
            raise ValueError(f"'{path}', line {number_}: {line.strip()[:80]!r} is no event. {AGAIN}") from None
    return found


def read_ppg(path: Path) -> dict[str, np.ndarray]:
    """Columns of ppg.csv by name: `t_ns` int64, the others float64 (NaN where a field is empty), (n,) each."""
    lines = iter(_lines(path))
    head = tuple(part.strip() for part in next(lines, "").split(","))
    if head[:2] != PPG_COLUMNS or not set(head[2:]) <= set(PPG_EXTRAS) or len(set(head)) != len(head):
        raise ValueError(
            f"'{path}' begins with {','.join(head)[:80]!r}; needed: {','.join(PPG_COLUMNS)}, then any of "
            f"{', '.join(PPG_EXTRAS)}. {AGAIN}"
        )
    times, rows = [], []
    for number_, line in enumerate(lines, 2):
        parts = line.strip().split(",")
        try:
            if len(parts) != len(head):
                raise ValueError(f"it needs {len(head)} fields")
            times.append(int(parts[0]))
            rows.append([float(part) if part.strip() else float("nan") for part in parts[1:]])
            if abs(times[-1]) >= 1 << 62:
                raise ValueError("the time has more than 64 bits")
        except ValueError as error:
            raise ValueError(f"'{path}', line {number_}: {line.strip()[:80]!r} ({told(error)}). {AGAIN}") from None
    values = np.array(rows, dtype=float).reshape(-1, len(head) - 1)
    return {"t_ns": np.array(times, dtype=np.int64)} | {name: values[:, k] for k, name in enumerate(head[1:])}


def read_scale(path: Path) -> Scale:
    """scale.json; ValueError where `kelvin_per_count` is missing or no number above 0."""
    found = read_json(path)
    per = number(found, "kelvin_per_count", path)
    if not per > 0:
        raise ValueError(f"'{path}': `kelvin_per_count` is {per:g}; it must be above 0. {AGAIN}")
    return Scale(
        per, number(found, "offset_kelvin", path, default=0.0), number(found, "emissivity", path, default=0.98)
    )


def read_chirp(path: Path) -> Chirp:
    """chirp.json; ValueError naming the key that is missing or not above 0."""
    found = read_json(path)
    names = [f for f in Chirp.__dataclass_fields__ if f != "antennas"]
    values = {name: number(found, name, path) for name in names}
    low = next((name for name in names if not values[name] > 0), None)
    if low:
        raise ValueError(f"'{path}': `{low}` is {values[low]:g}; it must be above 0. {AGAIN}")
    values["chirps_per_frame"] = int(values["chirps_per_frame"])
    antennas = found.get("antennas")
    return Chirp(**values, antennas=antennas if isinstance(antennas, list) else [])


def number(table: dict[str, Any], key: str, path: Path, default: float | None = None) -> float:
    """`table[key]` as a finite number; ValueError naming the file and the key for anything else."""
    found = table.get(key, default)
    if isinstance(found, bool) or not isinstance(found, int | float) or not np.isfinite(found):
        said = "is missing" if found is None else f"is {str(found)[:40]!r} and no number"
        raise ValueError(f"'{path}': `{key}` {said}. {AGAIN}")
    return float(found)


def _array(path: Path, kind: str, axes: int, shape: str) -> np.ndarray:
    array = open_array(path)
    if array.dtype != np.dtype(kind) or array.ndim != axes or 0 in array.shape[1:]:
        raise ValueError(f"'{path}' holds {array.shape} of {array.dtype}; needed: {kind} {shape}. {AGAIN}")
    return array


def _table(path: Path, columns: tuple[str, ...]) -> Iterator[str]:
    """The lines after the first, which must name the `columns`."""
    lines = iter(_lines(path))
    head = next(lines, "").strip()
    if tuple(part.strip() for part in head.split(",")) != columns:
        raise ValueError(f"'{path}' begins with {head[:80]!r}; needed: {','.join(columns)}. {AGAIN}")
    return lines


def _lines(path: Path) -> Iterator[str]:
    """Lines of a text file that are not empty; errors name the file."""
    try:
        for line in iter_lines(path):
            if line.strip():
                yield line
    except (OSError, UnicodeDecodeError):
        raise
    except ValueError as error:
        raise (error if str(path) in str(error) else ValueError(f"'{path}': {told(error)}. {AGAIN}")) from None
