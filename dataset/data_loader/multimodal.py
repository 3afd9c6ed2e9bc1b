"""Multimodal recordings: RGB, thermal, mmWave radar and finger PPG of one person, on one clock.

    DATA_PATH/s001/r01/aligned/aligned.h5     made by tools/multimodal/align.py; see dataset/multimodal/align.py
    DATA_PATH/s001/r01/meta.json              id, scenario, whether the clocks are trusted (`sync_ok`)

MODALITIES chooses what is read: any of rgb (the faces), thermal (the camera `heat`, degrees Celsius, at its own size),
radar (the signal `radar`, mm, at five times the RGB rate) and ppg; `ppg` and, where a belt was worn, `resp` are read
as labels in any case. What a recording lacks is zeros, and `valid_rgb`, `valid_thermal`, `valid_radar` and `valid_ppg`
(1 or 0 at each moment of the RGB clock) say so; a gap is none of its valid moments. With rgb, a recording without that
camera has black frames: set CROP_FACE.DO_CROP_FACE to false, as for recordings in the dark. A recording with none of
MODALITIES is skipped, and so is one with `sync_ok: false` unless SYNC is `any`; both are counted.

SOURCE iBVP or PhysDrive reads these sets as recordings of two sensors, on what their own readers take for one clock.

Unlike sets of one camera, this one has several synchronous inputs, native rates per device, explicit time stamps and a
quality flag for each recording. FACE_BOX cuts the pictures to the face that aligning found, where it found one.
"""

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from dataset.data_loader.base import BaseLoader, Frames, Recording, Signal
from dataset.files import hdf5
from dataset.files.frames import ArrayFrame, Frame, VideoError
from dataset.files.limits import require_size
from dataset.files.lookup import entry, folders, originals
from dataset.files.reading import AGAIN, is_there, read_json
from dataset.files.tables import require_root, require_some
from dataset.multimodal import borrowed
from dataset.multimodal.layout import ALIGNED, DEVICES, META
from dataset.prepare.recording import SkipRecording
from registry import DATASETS
from settings.checks import one_of

KELVIN = 273.15
BLOCK = 32  # frames read at once
BLACK = (48, 64)  # height, width of the frames of a recording without RGB camera
MARGIN = 0.15  # of the face box, on each side
LAYOUT = "s001/r01/aligned/aligned.h5, s001/r02/... (python tools/multimodal/align.py --root DATA_PATH makes them)"


@DATASETS.register("Multimodal")
class MultimodalLoader(BaseLoader):
    """Ids are the names of both folders, such as `s001_r01`; subjects are those below DATA_PATH."""

    signals = ("ppg",)
    optional_signals = ("resp", "radar", *(f"valid_{name}" for name in DEVICES))
    streams = ("heat",)
    unaugmented = "Multimodal"
    side_files = ("dataset.json", "subjects.csv")
    OPTIONS = {"MODALITIES": list(DEVICES), "SYNC": "trusted", "FACE_BOX": False, "SOURCE": ""}
    CHECKS = {"SYNC": one_of("trusted", "any"), "SOURCE": one_of("", *borrowed.HAS)}

    def __init__(self, options: dict[str, Any] | None = None):
        """Also: ValueError for MODALITIES that are none."""
        super().__init__(options)
        asked = self.options.get("MODALITIES")
        asked = list(DEVICES) if asked is None else [asked] if isinstance(asked, str) else list(asked)
        unknown = [name for name in asked if name not in DEVICES]
        if unknown or not asked:
            raise ValueError(f"MODALITIES is {asked}. Use any of {', '.join(DEVICES)}.")
        self.modalities = tuple(name for name in DEVICES if name in asked)
        self.has_video = "rgb" in self.modalities
        self.streams = ("heat",) if "thermal" in self.modalities else ()
        self.source = str(self.options.get("SOURCE") or "")
        self.own = borrowed.reader(self.source, self.options) if self.source else None

    def identity(self) -> dict[str, Any]:
        """What the frames and signals depend on beside the files."""
        return {name: self.options.get(name, default) for name, default in self.OPTIONS.items()} | {
            "MODALITIES": list(self.modalities)
        }

    def recordings(self, root: Path) -> list[Recording]:
        """One per folder of a recording, in natural order; FileNotFoundError when there is none."""
        root = require_root(root, "Multimodal")
        if self.own is not None:
            return self.own.recordings(root)
        found = [
            take
            for subject in originals(folders(root))
            for take in originals(folders(subject))
            if any(is_there(entry(take, name)) for name in (ALIGNED, META))
        ]
        require_some(found, root, "Multimodal", LAYOUT)
        return [Recording(id=f"{one.parent.name}_{one.name}", subject=one.parent.name, path=one) for one in found]

    def read_video(self, recording: Recording) -> Iterable[Frame | np.ndarray]:
        """The RGB frames at their times (s); black ones where there was no camera."""
        return self._frames(recording) if self.own is None else self.own.read_video(recording)

    def _frames(self, recording: Recording) -> Iterator[Frame]:
        path = aligned(recording)
        with hdf5.open_file(path) as file:
            times = _times(file)
            if not hdf5.has(file, "rgb"):
                for time in times:
                    yield ArrayFrame(np.zeros((*BLACK, 3), np.uint8), float(time))
                return
            video = hdf5.numbers(file, "rgb", 4)
            if video.shape[3] != 3 or video.dtype != np.uint8 or len(video) != len(times) or 0 in video.shape:
                raise VideoError(f"'{path}': 'rgb' is {video.shape} of {video.dtype} for {len(times)} times. {AGAIN}")
            require_size(video.shape[2], video.shape[1], f"'rgb' of '{path}'")
            rows, columns = self._part(file, video.shape[1:3])
            for start in range(0, len(video), BLOCK):
                block = video[start : start + BLOCK]
                for frame, time in zip(block, times[start : start + BLOCK], strict=True):
                    yield ArrayFrame(np.ascontiguousarray(frame[rows, columns]), float(time))

    def read_wave(self, recording: Recording) -> dict[str, Signal]:
        """`ppg` and `resp` (a.u.) at their own times, `radar` (mm), `valid_*`; times in s on the RGB clock."""
        if self.own is not None:
            return borrowed.waves(self.source, self.own, recording, self.modalities)
        self._require_wanted(recording)
        path = aligned(recording)
        with hdf5.open_file(path) as file:
            times = _times(file)
            there = _valid(file, path, len(times))
            signals = {f"valid_{name}": self._valid(name, there, times) for name in DEVICES}
            for name, unit in (("ppg", "a.u."), ("resp", "a.u.")):
                if hdf5.has(file, f"{name}_native"):
                    values, at = hdf5.signal(file, f"{name}_native"), hdf5.signal(file, f"{name}_native_t")
                    signals[name] = Signal(values, times=at, unit=unit)
            if "radar" in self.modalities and hdf5.has(file, "radar/displacement"):
                values, at = hdf5.signal(file, "radar/displacement"), hdf5.signal(file, "radar/t")
                signals["radar"] = Signal(values, times=at, unit="mm")
        return signals

    def read_stream(self, recording: Recording, name: str) -> Frames | None:
        """`heat`: the thermal frames (h, w) float32 in degrees Celsius; None without such a camera."""
        if self.own is not None:
            return borrowed.heat(self.source, self.own, recording)
        path = aligned(recording)
        with hdf5.open_file(path) as file:
            if not hdf5.has(file, "thermal"):
                return None
            shape, times = hdf5.numbers(file, "thermal", 3).shape, _times(file)
        if shape[0] != len(times) or 0 in shape:
            raise VideoError(f"'{path}': 'thermal' is {shape} for {len(times)} times. {AGAIN}")
        return Frames(_degrees(path), times=times)

    def describe(self, recording: Recording) -> dict[str, Any]:
        """Scenario, and whether the clocks are trusted."""
        if self.own is not None:
            return self.own.describe(recording)
        meta = _meta(recording)
        scenario = meta.get("scenario")
        words = {str(k): str(v) for k, v in scenario.items()} if isinstance(scenario, dict) else {}
        return {"scenario": words, "sync_ok": _sync(meta).get("sync_ok") is True}

    def tasks(self, recording: Recording) -> list[str]:
        """TASK_LIST names recordings (r01) and words of the scenario (dark, exercise ...)."""
        try:
            words = self.describe(recording).get("scenario", {}).values()
        except (OSError, ValueError):  # it fails when it is read
            words = ()
        return [*super().tasks(recording), *words]

    def _require_wanted(self, recording: Recording) -> None:
        """SkipRecording where clocks are not trusted, or nothing that is asked for is there."""
        sync = _sync(_meta(recording))
        if self.options.get("SYNC", "trusted") != "any" and sync.get("sync_ok") is not True:
            problems = sync.get("problems")
            why = str(problems[0])[:200] if isinstance(problems, list) and problems else "it was not aligned"
            raise SkipRecording(f"sync_ok is false ({why}); SYNC: any reads it all the same")
        with hdf5.open_file(aligned(recording)) as file:
            names = {"rgb": "rgb", "thermal": "thermal", "radar": "radar/displacement", "ppg": "ppg_native"}
            some = any(hdf5.has(file, names[name]) for name in self.modalities)
        if not some:
            raise SkipRecording(f"it has none of MODALITIES ({', '.join(self.modalities)})")

    def _valid(self, name: str, there: dict[str, np.ndarray], times: np.ndarray) -> Signal:
        """1 where this modality is asked for and measured, else 0."""
        values = there[name] if name in self.modalities and name in there else np.zeros(len(times))
        return Signal(values.astype(float), times=times, unit="")

    def _part(self, file: Any, shape: tuple[int, int]) -> tuple[slice, slice]:
        """Rows and columns that are kept of each picture."""
        box = np.asarray(file.attrs.get("face_box", ()), float)
        if not self.options.get("FACE_BOX") or box.shape != (4,) or not np.isfinite(box).all():
            return slice(None), slice(None)
        x, y, w, h = box
        left, top = max(int(x - MARGIN * w), 0), max(int(y - MARGIN * h), 0)
        right, bottom = min(int(x + (1 + MARGIN) * w), shape[1]), min(int(y + (1 + MARGIN) * h), shape[0])
        if right - left < 8 or bottom - top < 8:
            return slice(None), slice(None)
        return slice(top, bottom), slice(left, right)


def aligned(recording: Recording) -> Path:
    """aligned.h5 of a recording; FileNotFoundError where it was never made."""
    path = entry(recording.path, ALIGNED)
    if not is_there(path):
        raise FileNotFoundError(
            f"'{path}' does not exist: the recording is not aligned yet. Run python tools/multimodal/align.py --root "
            f"{recording.path.parent.parent}, or leave the recording out."
        )
    return path


def _meta(recording: Recording) -> dict[str, Any]:
    return read_json(entry(recording.path, META))


def _times(file: Any) -> np.ndarray:
    times = hdf5.signal(file, "t")
    if not len(times) or not np.isfinite(times).all() or (np.diff(times) <= 0).any():
        raise VideoError(f"'{file.filename}': 't' does not rise throughout. Align the recording again.")
    return times


def _valid(file: Any, path: Path, count: int) -> dict[str, np.ndarray]:
    """Columns of /valid by name."""
    found = file["valid"] if hdf5.has(file, "valid") else None
    names = [str(one) for one in found.attrs.get("modalities", ())] if found is not None else []
    if found is None or found.shape != (count, len(names)) or found.dtype.kind not in "biu":
        raise VideoError(f"'{path}' has no table 'valid' of its modalities. Align the recording again.")
    return dict(zip(names, found[()].T, strict=True))


def _degrees(path: Path) -> Iterator[np.ndarray]:
    with hdf5.open_file(path) as file:
        heat = hdf5.numbers(file, "thermal", 3)
        require_size(heat.shape[2], heat.shape[1], f"'thermal' of '{path}'")
        for start in range(0, len(heat), BLOCK):
            yield from heat[start : start + BLOCK].astype(np.float32) - np.float32(KELVIN)


def _sync(meta: dict[str, Any]) -> dict[str, Any]:
    found = meta.get("sync")
    return found if isinstance(found, dict) else {}
