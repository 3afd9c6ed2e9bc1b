"""One recording on one time axis: aligned/aligned.h5, made of what each device wrote on its own clock.

    /t                     (T,) s from the middle of the first RGB exposure; without RGB, at 30 per second
    /rgb                   (T, H, W, 3) uint8
    /thermal               (T, h, w) float32 kelvin, seen as the RGB camera sees it, at its own size
    /radar/displacement    (5 T,) float32 mm at /radar/t, between the native frames a cubic curve
    /radar/native, native_t, range_bin     of each radar frame
    /ppg                   (T,), and /ppg_native at /ppg_native_t; /resp the same where a belt was worn
    /waves/<sensor>/pulse, breath          (T,), what each sensor alone tells
    /valid                 (T, modality) bool: no gap of more than 0.5 s; `modalities` names the columns

Frames are read once and never held all at a time.
"""

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import cv2
import h5py
import numpy as np
from scipy.interpolate import CubicSpline

from dataset.files.frames import as_frame
from dataset.files.writing import replacing
from dataset.multimodal import radar, traces
from dataset.multimodal.appending import write_json
from dataset.multimodal.checks import GAP
from dataset.multimodal.layout import ALIGNED, DEVICES, META, Session, Stamps
from dataset.multimodal.sync import Synced, synchronise, windows

FS = 30.0  # Hz, of the time axis of a recording without RGB camera
RADAR_RATE = 5  # samples of displacement for each RGB frame
BLOCKS, HEAT_BLOCKS = 8, 4  # RGB and thermal pixels on each side of a block that may show the lamp ...
MOST_BLOCKS = 2000  # ... unless these are more: what is kept of a burst does not grow with the picture
CHUNK = 128  # frames of thermal pictures at once
LOOK = 60  # frames between two looks for a face that was not found
FORMAT = 1  # of aligned.h5


@dataclass
class Aligned:
    """What aligning found, for the report: `t` (T,) s and waves (T,) on it, by sensor."""

    id: str
    t: np.ndarray
    synced: dict[str, Synced]
    valid: np.ndarray
    pulse: dict[str, np.ndarray] = field(default_factory=dict)
    breath: dict[str, np.ndarray] = field(default_factory=dict)
    rates: dict[str, dict[str, float]] = field(default_factory=dict)
    gaps: dict[str, list[tuple[float, float]]] = field(default_factory=dict)
    lag: float = float("nan")
    correlation: float = float("nan")
    problems: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    @property
    def ok(self) -> bool:
        """`sync_ok`: every clock is trusted, and the body agrees."""
        return not self.problems

    @property
    def fs(self) -> float:
        """Frames per second of the time axis."""
        return (len(self.t) - 1) / float(self.t[-1] - self.t[0])

    def said(self) -> dict[str, Any]:
        """Plain values for meta.json."""
        return {
            "sync_ok": self.ok,
            "problems": self.problems,
            "notes": self.notes,
            "devices": {device: one.said() for device, one in self.synced.items()},
            "lag_ppg_after_rgb_s": None if np.isnan(self.lag) else self.lag,
            "rates": self.rates,
        }


def align(session: Session, size: tuple[int, int] | None = None, faults: Sequence[str] = ()) -> Aligned:
    """Write aligned.h5 and the results in meta.json; `size` (width, height) reduces the RGB pictures.

    With `faults` that checking has found the recording is not trusted, whatever its clocks say.

    ValueError, FileNotFoundError or OSError naming the file for what cannot be read.
    """
    stamps = {device: session.stamps(device) for device in session.present}
    if not stamps:
        raise ValueError(f"'{session.path}' holds no device. Leave the recording out.")
    path = session.path / ALIGNED
    path.parent.mkdir(exist_ok=True)
    with replacing(path, ending=".h5") as temporary, h5py.File(temporary, "w", locking=False) as file:
        found = _Work(session, stamps, file, size).run()
        found.problems[:0] = faults
        file.attrs["format"] = FORMAT
        file.attrs["id"] = session.meta.id
        file.attrs["sync"] = json.dumps(found.said())
    write_json(session.path / META, session.meta.values | {"sync": found.said()})
    return found


class _Work:
    """One recording on its way into `file`."""

    def __init__(self, session: Session, stamps: dict[str, Stamps], file: h5py.File, size: tuple[int, int] | None):
        self.session, self.stamps, self.file, self.size = session, stamps, file, size
        self.marks = session.syncs()
        self.synced: dict[str, Synced] = {}
        self.times: dict[str, np.ndarray] = {}  # true host times (n,) ns
        self.colours = np.zeros((0, 3))
        self.box: Any = None
        self.picture = (0, 0)  # height, width of the RGB picture

    def run(self) -> Aligned:
        if "rgb" in self.stamps:
            self._rgb()
        for device in DEVICES[1:]:
            if device in self.stamps:
                self._sync(device, getattr(self, f"_{device}_series"))
        start, grid = self._axis()
        found = Aligned(self.session.meta.id, (grid - start) / 1e9, self.synced, self._valid(grid))
        self.file["t"], self.file["valid"] = found.t, found.valid
        self.file["valid"].attrs["modalities"] = list(DEVICES)
        self.file.attrs["host_start_ns"] = float(start)
        for device in self.stamps:
            getattr(self, f"_add_{device}")(found, grid)
            times = (self.times[device] - start) / 1e9
            found.gaps[device] = [(float(times[k]), float(times[k + 1])) for k in np.flatnonzero(np.diff(times) > GAP)]
        for kind in ("pulse", "breath"):
            for name, wave in getattr(found, kind).items():
                self.file[f"waves/{name}/{kind}"] = np.asarray(wave, np.float32)
        self._judge(found)
        return found

    def _valid(self, grid: np.ndarray) -> np.ndarray:
        """Where on `grid` (T,) each device has measured (T, modality)."""
        valid = np.stack([_covered(self.times.get(device), grid) for device in DEVICES], axis=1)
        if "rgb" in self.times:
            valid[:, 0] = True
        return valid

    def _axis(self) -> tuple[float, np.ndarray]:
        """Start and true times (T,) ns of the reference: RGB exposures, or as many a second over what there is."""
        if "rgb" in self.times:
            return float(self.times["rgb"][0]), self.times["rgb"]
        start = max(one[0] for one in self.times.values())
        stop = min(one[-1] for one in self.times.values())
        if stop <= start:
            raise ValueError(f"The devices of '{self.session.path}' were never on at one time. Leave it out.")
        return float(start), start + np.arange(int((stop - start) / 1e9 * FS) + 1) * (1e9 / FS)

    # --- clocks

    def _sync(self, device: str, series) -> None:
        self.synced[device] = synchronise(self.session, device, self.stamps[device], series)
        self.times[device] = self.synced[device].times(self.stamps[device].device)

    def _rgb(self) -> None:
        """Frames into the file, and on the way the face's colour and what could show a burst."""
        stamps = self.stamps["rgb"]
        near = np.zeros(len(stamps), bool)
        for first, last in windows(stamps, self.marks):
            near[first:last] = True
        seen: dict[int, np.ndarray] = {}
        colours = []
        for index, frame in enumerate(self._frames()):
            if index >= len(stamps):
                break
            if near[index]:
                seen[index] = _blocks(frame.mean(axis=2), BLOCKS).astype(np.float16)
            colours.append(self._colour(frame, index))
        count = len(colours)
        if count < len(stamps):
            self.stamps["rgb"] = stamps = Stamps(stamps.device[:count], stamps.host[:count])
        self.colours = np.array(colours)
        self._sync("rgb", lambda first, last: np.array([seen[k] for k in range(first, min(last, count))]))

    def _frames(self) -> Iterator[np.ndarray]:
        """Every RGB frame (H, W, 3) as it is recorded; each is stored first."""
        dataset, block = None, []
        for frame in map(as_frame, self.session.frames()):
            picture = frame.rgb()
            self.picture = picture.shape[:2]
            small = picture if self.size is None else cv2.resize(picture, self.size, interpolation=cv2.INTER_AREA)
            if dataset is None:
                shape = small.shape
                dataset = self.file.create_dataset(
                    "rgb", (0, *shape), np.uint8, maxshape=(None, *shape), chunks=(1, *shape), compression="lzf"
                )
            block.append(small)
            if len(block) == 16:
                _append(dataset, block)
                block = []
            yield picture
        if block:
            _append(dataset, block)

    def _colour(self, frame: np.ndarray, index: int) -> tuple[float, ...]:
        if self.box is None and index % LOOK == 0:
            self.box = traces.face_box(frame)
        box = self.box or (0, 0, frame.shape[1], frame.shape[0])
        return cv2.mean(np.ascontiguousarray(frame[traces.part_of(box, (0.2, 0.1, 0.6, 0.7))]))[:3]

    def _thermal_series(self, first: int, last: int) -> np.ndarray:
        counts = self.session.thermal()[first:last].astype(np.float32)
        return np.array([_blocks(one, HEAT_BLOCKS) for one in counts])

    def _radar_series(self, first: int, last: int) -> np.ndarray:
        samples = self.session.radar()
        parts = list(radar.profiles(samples, first, min(last, len(samples))))
        return np.abs(np.concatenate(parts)).reshape(sum(map(len, parts)), -1) if parts else np.zeros((0, 1))

    def _ppg_series(self, first: int, last: int) -> np.ndarray:
        table = self._table
        return table["mark"][first:last, None] if "mark" in table else np.zeros((last - first, 1))

    @cached_property
    def _table(self) -> dict[str, np.ndarray]:
        return self.session.ppg()

    # --- data

    def _add_rgb(self, found: Aligned, grid: np.ndarray) -> None:
        self.file["face_colour"] = self.colours.astype(np.float32)
        if self.box is None:
            found.notes.append("rgb: no face was found (dark, or turned away)")
            return
        self.file.attrs["face_box"] = np.array(self.box, float)
        found.pulse["rgb"] = traces.pulse_of_colour(self.colours, found.fs)
        found.rates["rgb"] = {"pulse": traces.rate(found.pulse["rgb"], found.fs, traces.PULSE)}

    def _add_thermal(self, found: Aligned, grid: np.ndarray) -> None:
        counts, scale = self.session.thermal(), self.session.scale()
        times = self.times["thermal"][: len(counts)]
        height, width = counts.shape[1:]
        dataset = self.file.create_dataset(
            "thermal", (len(grid), height, width), np.float32, chunks=(1, height, width), compression="lzf"
        )
        matrix = self._registration((width, height))
        parts = self._heat_parts((width, height))
        heat = np.zeros((len(grid), 2))
        for start in range(0, len(grid), CHUNK):
            part = slice(start, min(start + CHUNK, len(grid)))
            kelvin = _between(counts, times, grid[part], scale, matrix)
            dataset[part] = kelvin
            heat[part] = np.stack([kelvin[:, rows, columns].mean(axis=(1, 2)) for rows, columns in parts], axis=1)
        found.breath["thermal"] = traces.breath_of_heat(heat[:, 0], found.fs)
        found.pulse["thermal"] = traces.pulse_of_heat(heat[:, 1], found.fs)
        self._rates(found, "thermal")

    def _registration(self, size: tuple[int, int]) -> np.ndarray | None:
        """From thermal pixels to those of the RGB picture reduced to the thermal `size`; None without RGB."""
        if "rgb" not in self.stamps:
            return None
        matrix = self.session.meta.thermal_to_rgb
        if matrix is None:
            raise ValueError(
                f"'{self.session.path / META}' has no `thermal_to_rgb`. Film the heated checkerboard and add it."
            )
        return np.diag([size[0] / self.picture[1], size[1] / self.picture[0], 1.0]) @ matrix

    def _heat_parts(self, size: tuple[int, int]) -> tuple[tuple[slice, slice], tuple[slice, slice]]:
        """Nostrils and face; without a face that was found, the middle of the picture."""
        box = np.array([0.3, 0.2, 0.4, 0.6]) * np.tile(size, 2)
        if self.box is not None:
            scale = np.array([size[0] / self.picture[1], size[1] / self.picture[0]])
            box = np.array(self.box, float) * np.tile(scale, 2)
        return traces.part_of(box, traces.NOSE), traces.part_of(box, (0.1, 0.0, 0.8, 0.95))

    def _add_radar(self, found: Aligned, grid: np.ndarray) -> None:
        samples = self.session.radar()
        stamps = self.stamps["radar"]
        count = min(len(samples), len(stamps))
        used = np.ones(len(samples), bool)
        for first, last in windows(stamps, self.marks):
            used[first:last] = False
        motion = radar.chest(samples[:count], self.session.chirp(), (used if used.sum() > 40 else None))
        native = self.times["radar"][:count]
        finer = np.interp(np.arange(RADAR_RATE * len(grid)) / RADAR_RATE, np.arange(len(grid)), grid)
        step = (grid[-1] - grid[0]) / (len(grid) - 1) / RADAR_RATE
        finer[-RADAR_RATE + 1 :] = grid[-1] + step * np.arange(1, RADAR_RATE)
        group = self.file.create_group("radar")
        group["displacement"] = _curve(native, motion.displacement, finer).astype(np.float32)
        group["displacement"].attrs["made"] = f"cubic curve through {1e9 * (count - 1) / np.ptp(native):.2f} frames/s"
        group["t"], group["native_t"] = (finer - grid[0]) / 1e9, (native - grid[0]) / 1e9
        group["native"] = motion.displacement.astype(np.float32)
        group["range_bin"] = np.full(count, motion.range_bin, np.int32)
        group.attrs.update(antenna=motion.antenna, metres=motion.metres, unit="mm")
        fs = 1e9 * (count - 1) / float(np.ptp(native))
        for name, wave in (("pulse", traces.pulse_of_motion), ("breath", traces.breath_of_motion)):
            even = _curve(native, wave(motion.displacement, fs), grid)
            getattr(found, name)["radar"] = even
        self._rates(found, "radar")

    def _add_ppg(self, found: Aligned, grid: np.ndarray) -> None:
        table = self._table
        count = min(len(table["t_ns"]), len(self.times["ppg"]))
        times = self.times["ppg"][:count]
        late = self.session.meta.delay_ns("ppg", "filter_delay_ns")
        for name, column, delay in (("ppg", "value", late), ("resp", "resp", 0.0)):
            if column not in table or not np.isfinite(table[column][:count]).any():
                continue
            values = table[column][:count]
            good = np.isfinite(values)
            at = times[good] - delay
            self.file[name] = np.interp(grid, at, values[good])
            self.file[f"{name}_native"], self.file[f"{name}_native_t"] = values[good], (at - grid[0]) / 1e9
        found.pulse["ppg"] = traces.pulse_of_heat(self.file["ppg"][()], found.fs)
        if "resp" in self.file:
            found.breath["belt"] = traces.breath_of_motion(-self.file["resp"][()], found.fs)
            found.rates["belt"] = {"breath": traces.rate(found.breath["belt"], found.fs, traces.BREATH)}
        self._rates(found, "ppg")

    def _rates(self, found: Aligned, device: str) -> None:
        for name, band in (("pulse", traces.PULSE), ("breath", traces.BREATH)):
            wave = getattr(found, name).get(device)
            if wave is not None:
                found.rates.setdefault(device, {})[name] = traces.rate(wave, found.fs, band)

    def _judge(self, found: Aligned) -> None:
        """Whether the clocks are trusted, and the body says the same."""
        found.problems += [f"{device}: {one.problem}" for device, one in self.synced.items() if one.problem]
        if "rgb" not in found.pulse or "ppg" not in found.pulse:
            return
        found.lag, found.correlation = traces.lag(found.pulse["rgb"], self.file["ppg"][()], found.fs)
        if np.isnan(found.lag):
            found.notes.append(f"the pulse in RGB is too weak to be compared (correlation {found.correlation:.2f})")
        elif not traces.LAG[0] <= found.lag <= traces.LAG[1]:
            low, high = (1000 * one for one in traces.LAG)
            found.problems.append(
                f"the PPG follows the pulse in RGB by {1000 * found.lag:.0f} ms; in a body {low:.0f} to {high:.0f} ms"
            )


def _append(dataset: h5py.Dataset, block: list[np.ndarray]) -> None:
    count = len(dataset)
    dataset.resize(count + len(block), axis=0)
    dataset[count:] = np.stack(block)


def _blocks(picture: np.ndarray, side: int) -> np.ndarray:
    """Means of squares of `side` pixels, flattened: a lamp fills at least one, and few values are kept."""
    side = max(side, int(np.ceil(np.sqrt(picture.size / MOST_BLOCKS))))
    size = max(picture.shape[1] // side, 1), max(picture.shape[0] // side, 1)
    return cv2.resize(np.float32(picture), size, interpolation=cv2.INTER_AREA).reshape(-1)


def _covered(times: np.ndarray | None, grid: np.ndarray) -> np.ndarray:
    """Where on `grid` (T,) a device has samples on both sides that are no gap apart."""
    if times is None or len(times) < 2:
        return np.zeros(len(grid), bool)
    after = np.clip(np.searchsorted(times, grid), 1, len(times) - 1)
    near = (times[after] - times[after - 1]) <= 1e9 * GAP
    return near & (grid >= times[0] - 1e9 * GAP / 2) & (grid <= times[-1] + 1e9 * GAP / 2)


def _between(counts: np.ndarray, times: np.ndarray, at: np.ndarray, scale, matrix: np.ndarray | None) -> np.ndarray:
    """Kelvin (k, h, w) at the times `at`, in a straight line between two thermal frames."""
    place = np.clip(np.interp(at, times, np.arange(len(times))), 0, len(times) - 1)
    first = np.minimum(place.astype(int), len(times) - 2) if len(times) > 1 else np.zeros(len(at), int)
    low, high = int(first.min()), min(int(first.max()) + 2, len(times))
    frames = scale.kelvin(np.asarray(counts[low:high]))
    if matrix is not None:
        size = frames.shape[:0:-1]
        frames = np.stack([cv2.warpPerspective(f, matrix, size, borderMode=cv2.BORDER_REPLICATE) for f in frames])
    share = (place - first)[:, None, None].astype(np.float32)
    return frames[first - low] * (1 - share) + frames[np.minimum(first + 1, len(times) - 1) - low] * share


def _curve(times: np.ndarray, values: np.ndarray, at: np.ndarray) -> np.ndarray:
    """A cubic curve through `values` (n,) at `times` (n,), read at `at`; beyond the ends the last value."""
    keep = np.concatenate([[True], np.diff(times) > 0])
    x = (times[keep] - times[0]) / 1e9
    inside = np.clip((at - times[0]) / 1e9, 0, x[-1])
    return CubicSpline(x, values[keep])(inside)
