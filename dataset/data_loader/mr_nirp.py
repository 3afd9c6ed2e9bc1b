"""MR-NIRP: faces in colour and near infrared, indoors (8 people) and in a car (18 people), with a finger PPG.

Indoor: Nowara, Marks, Mansour and Veeraraghavan, "SparsePPG: Towards driver monitoring using camera-based vital signs
estimation in near-infrared", CVPRW 2018. Car: the same authors, "Near-Infrared Imaging Photoplethysmography During
Driving", IEEE T-ITS, 2020.

    DATA_PATH/Subject1_still_940/                     indoor: still or motion
        RGB/Frame00000.pgm, NIR/Frame00000.pgm        640x640, 16 bits; colours as an RGGB mosaic
        CameraTimeLog0.txt, CameraTimeLog1.txt        time (s since 1970) of each frame of a camera
        PulseOX/pulseOx.mat                           pulseOxRecord and pulseOxTime (s since 1970), 32 to 60 Hz
    DATA_PATH/Subject1/subject1_driving_still_940/    car: driving or garage; still, small_motion or large_motion
        RGB/, NIR/, PulseOX/                          the same without the logs, or RGB.zip, NIR.zip and PulseOX.zip

CAMERA chooses RGB or NIR. FILTERING.TASK_LIST knows the place (`indoor`, `driving`, `garage`), the motion, the wave
length in nm (`940`, `975`), and these joined (`driving_still`, `driving_still_940`).
Subject 16 of the car is subject 2 by night.

* 16 bits become 8 (value x 255 / 65535, rounded): a pulse below one grey level lives in the mean of many pixels.
* Which folder is the camera's is told by its pictures: one session has them exchanged. NIR fills all three
  channels: methods that weigh colours against each other (all classical ones but GREEN) see a constant.
* In the car the NIR lamp lights every second frame (60 fps): the dark ones are left out.
* Frames without a log are taken to be 1/30 s apart from the start of the PPG: users measured 29.96 to 30.05 fps.
* A PPG of 0 is a lost sample and is left out; several samples with one time are spread over the interval before it.

The layout is that of public readers and their notes on the original files; this reader has been tested on rendered
files only. What is said here of mosaics, lit frames and rates is theirs, too.
"""

import re
from array import array
from collections.abc import Iterable, Iterator
from itertools import count, islice
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np

from dataset.data_loader.base import BaseLoader, Recording, Signal, natural_sort
from dataset.files import pgm
from dataset.files.frames import Frame, VideoError
from dataset.files.limits import OneSize
from dataset.files.lookup import below, instead, matching, visible
from dataset.files.matlab import read_variables
from dataset.files.pgm import Stream
from dataset.files.reading import AGAIN, iter_lines, told
from dataset.files.tables import require_few, require_root, require_some
from dataset.files.zips import iter_members
from registry import DATASETS

CAMERAS = ("RGB", "NIR")
INDOOR = re.compile(r"Subject(\d+)_(still|motion)_(\d+)", re.IGNORECASE)
CAR = re.compile(r"subject(\d+)_(driving|garage)_(still|small_motion|large_motion)_(\d+)", re.IGNORECASE)
SAME = {"16": "2"}  # subjects of the car that are one person
LOG_MARGIN = 8  # frames by which a log may differ and still be that of the camera
LIT = 2.0  # times brighter: every second frame is lit by the lamp
PULSE = "PULSEOX"  # how the oximeter's folder, zip file and .mat file are called, in capitals


@DATASETS.register("MR-NIRP")
class MRNIRPLoader(BaseLoader):
    """Ids are the names of the sessions; people of the indoor part are indoor1 ..., those of the car subject1 ..."""

    fs = 30.0
    signals = ("ppg",)
    unaugmented = "MR-NIRP"
    OPTIONS = {"CAMERA": ""}  # '': RGB

    def __init__(self, options: dict[str, Any] | None = None):
        """Also: ValueError for an unknown CAMERA."""
        super().__init__(options)
        self.camera = self.options.get("CAMERA") or "RGB"
        if self.camera not in CAMERAS:
            raise ValueError(f"CAMERA is {self.camera!r}. Known: {', '.join(CAMERAS)}.")

    def identity(self) -> dict[str, Any]:
        """What the frames depend on beside the files."""
        return {"CAMERA": self.camera}

    def recordings(self, root: Path) -> list[Recording]:
        """One per session, in natural order; FileNotFoundError when there is none."""
        root = require_root(root, "MR-NIRP")
        folders = [*matching(root, "subject*"), *matching(root, "subject*/subject*")]
        found = [_recording(folder) for folder in natural_sort(folder for folder in folders if folder.is_dir())]
        found = [recording for recording in found if recording]
        return require_some(
            found, root, "MR-NIRP", "Subject1/subject1_driving_still_940/RGB/*.pgm (car), Subject1_still_940/RGB/*.pgm "
            "(indoor), PulseOX/pulseOx.mat beside RGB"
        )  # fmt: skip

    def read_video(self, recording: Recording) -> Iterator[Frame]:
        """The pictures of the camera in natural order, at the times of its log."""
        stream = self._stream(recording)
        log = camera_log(recording.path, stream.count)
        if log is None:
            return self._frames(islice(stream.read(), *lit(stream)), (index / self.fs for index in count()))
        return self._frames(stream.read(), log - log[0])

    def read_wave(self, recording: Recording) -> dict[str, Signal]:
        """`ppg` (a.u.) in seconds after the first frame, without lost samples."""
        values, times = pulse(recording.path)
        log = camera_log(recording.path, self._stream(recording).count)
        start = times[0] if log is None else log[0]
        return {"ppg": Signal(values[values != 0], times=(times - start)[values != 0])}

    def describe(self, recording: Recording) -> dict[str, Any]:
        """How many samples of the PPG were lost."""
        return {"lost_samples": int(np.count_nonzero(pulse(recording.path)[0] == 0))}

    def tasks(self, recording: Recording) -> list[str]:
        """TASK_LIST names place, motion and wave length; KeyError while nothing says what they are."""
        place, motion, wave = (recording.info[key] for key in ("place", "motion", "nm"))
        return [place, motion, wave, f"{place}_{motion}", f"{motion}_{wave}", f"{place}_{motion}_{wave}"]

    def _frames(self, named: Iterable[tuple[str, bytes]], times: Iterable[float]) -> Iterator[Frame]:
        """Pictures as frames; those beyond the last of `times` are left out."""
        size = OneSize()
        for (name, data), time in zip(named, times, strict=False):
            raw = pgm.decode(data, name)
            size.check(raw.levels.shape, name)
            yield pgm.PGMFrame(raw, float(time), mosaic=self.camera == "RGB")

    def _stream(self, recording: Recording) -> Stream:
        """That of the camera: its own folder if the pictures are what the camera takes, or else another."""
        streams = pgm.streams(place for place in visible(recording.path) if not place.name.upper().startswith(PULSE))
        own = [stream for stream in streams if self.camera in stream.place.name.upper()]
        for stream in [*own, *(stream for stream in streams if stream not in own)]:
            if next(stream.raw()).coloured == (self.camera == "RGB"):
                return stream
        there = ", ".join(stream.place.name for stream in streams) or "nowhere"
        held = f"{'grey' if self.camera == 'RGB' else 'coloured'} .pgm files lie in: {there}"
        raise VideoError(f"'{recording.path}' holds no {self.camera} frames ({held}). {AGAIN}")


def lit(stream: Stream) -> tuple[int, None, int]:
    """First, last and step of the pictures to use: every second one where only those are lit, otherwise all."""
    levels = [float(raw.levels.mean()) for raw in islice(stream.raw(), 8)]
    even, odd = (np.mean(levels[k::2]) if levels[k::2] else 0.0 for k in (0, 1))
    if len(levels) < 2 or max(even, odd) < LIT * min(even, odd):
        return 0, None, 1
    return int(odd > even), None, 2


def camera_log(folder: Path, frames: int) -> np.ndarray | None:
    """Times (s) of the frames by the log whose length is nearest to `frames`; None where none comes near."""
    logs = [file for pattern in ("CameraTimeLog*.txt", "*/CameraTimeLog*.txt") for file in matching(folder, pattern)]
    times = [_stamps(file) for file in logs]
    near = [log for log in times if len(log) and abs(len(log) - frames) <= LOG_MARGIN]
    return min(near, key=lambda log: abs(len(log) - frames)) if near else None


def _stamps(path: Path) -> np.ndarray:
    """All times (s) in a log, line by line."""
    found = array("d")
    try:
        for line in iter_lines(path):
            found.extend(float(number) for number in re.findall(r"\d+\.\d+", line))
            require_few(len(found))
    except ValueError as error:
        reason = str(error) if str(path) in str(error) else f"'{path}' is no log of times: {told(error)}. {AGAIN}"
        raise ValueError(reason) from None
    return np.array(found)


def pulse(folder: Path) -> tuple[np.ndarray, np.ndarray]:
    """Values and times (s since 1970) of the PPG (L,), lost samples as zeros; ValueError when the times do not rise."""
    path, content = _pulse_file(folder)
    found = read_variables(path, ["pulseOxRecord", "pulseOxTime"], content)
    cells, stamps = found["pulseOxRecord"].reshape(-1), found["pulseOxTime"].reshape(-1)
    try:
        samples = [np.asarray(cell, dtype=float).reshape(-1) for cell in cells]
        stamps = stamps.astype(float)
    except (TypeError, ValueError) as error:
        raise ValueError(f"'{path}': pulseOxRecord or pulseOxTime holds no numbers ({error}). {AGAIN}") from None
    if len(samples) != len(stamps) or not len(stamps) or not (np.diff(stamps) >= 0).all():
        raise ValueError(
            f"'{path}' has {len(samples)} samples and {len(stamps)} times; as many are needed, rising. {AGAIN}"
        )
    before = np.concatenate([stamps[:1], stamps[:-1]])
    times = [
        late - (late - early) * np.arange(len(some) - 1, -1, -1) / max(1, len(some))
        for some, early, late in zip(samples, before, stamps, strict=True)
    ]
    return np.concatenate(samples), np.concatenate(times)


def _pulse_file(folder: Path) -> tuple[Path, bytes | None]:
    """pulseOx.mat of a session, whatever the case of its letters, and its content where it lies in a zip file."""
    for place in matching(folder, f"{PULSE}*"):
        if place.is_dir():
            for file in natural_sort(below(place, f"{PULSE}.mat")):
                return file, None
        elif place.suffix.lower() == ".zip":
            return place, next(iter_members(place, _is_pulse, "pulseOx.mat"))[1]
    raise FileNotFoundError(
        f"'{folder}' holds no PulseOX/pulseOx.mat{instead(folder)}. Copy the recording again, or leave it out."
    )


def _is_pulse(name: PurePosixPath) -> bool:
    return name.name.upper() == f"{PULSE}.MAT"


def _recording(folder: Path) -> Recording | None:
    indoor, car = INDOOR.fullmatch(folder.name), CAR.fullmatch(folder.name)
    if indoor:
        number, motion, wave = indoor.groups()
        return Recording(folder.name, f"indoor{number}", folder, {"place": "indoor", "motion": motion, "nm": wave})
    if not car:
        return None
    number, place, motion, wave = (part.lower() for part in car.groups())
    info = {"place": place, "motion": motion, "nm": wave}
    return Recording(folder.name, f"subject{SAME.get(number, number)}", folder, info)
