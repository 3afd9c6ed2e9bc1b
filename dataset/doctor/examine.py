"""One recording of the cache, examined: every check, its faces to look at, and a picture of its waves."""

import itertools
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path

import av
import cv2
import numpy as np

from dataset import faults
from dataset.data_loader.base import BaseLoader, Recording, Signal
from dataset.doctor import label, picture, sensors, timing
from dataset.doctor.drawing import draw
from dataset.doctor.finding import Finding, worst
from dataset.doctor.picture import Video
from dataset.face import get_detector
from dataset.face.crop import FaceCrop
from dataset.files.decoding import decoding
from dataset.files.frames import as_frame
from dataset.signals import PULSE_WAVE
from dataset.store.cache import Cache
from dataset.store.disk import CacheError
from dataset.store.entry import Entry
from evaluation import figures
from evaluation.results import RecordingResult, reference_wave, uniform
from unsupervised_methods.checks import is_grey
from unsupervised_methods.methods.pos import pos

PROBED = 30  # frames of the raw video that are decoded again: the last of them shows ordinary compression
SAMPLED, SAMPLE_RATE = 300, 5.0  # faces that are looked at, at most so many a second
FACE_WIDTH, FRAME_WIDTH = 96, 240  # pixels of the thumbnails
GREY = "the picture is grey or infrared."
GRID = 100.0  # Hz: a label sampled faster is read at this rate


@dataclass(frozen=True)
class Job:
    """What a worker needs to examine one recording. `stated`: who says how many frames per second, 0 for nobody."""

    section: str
    recording: Recording
    loader: BaseLoader
    cache: Cache
    crop: FaceCrop
    stated: dict[str, float]


@dataclass(frozen=True)
class Report:
    """What was found of one recording; `error` says why there is nothing else. Pictures are JPEG and PNG files."""

    section: str
    id: str
    subject: str
    findings: list[Finding] = field(default_factory=list)
    error: str = ""
    frame: bytes = b""
    faces: tuple[bytes, ...] = ()
    plot: bytes = b""

    @property
    def grade(self) -> str:
        """failed, or that of its worst finding."""
        return "failed" if self.error else worst(finding.grade for finding in self.findings)

    def graded(self, level: str) -> list[Finding]:
        """The findings of one grade."""
        return [finding for finding in self.findings if finding.grade == level]


@dataclass(frozen=True)
class Waves:
    """The waves of a recording on one clock (s), evenly sampled at `fs` (Hz) where nothing else is said.

    trace   (L, 3) mean colour                     pulse   (L,) of POS, rising with the blood; empty: see `problem`
    own     (times, values) of the label as sampled, None without label          label_fs  Hz
    """

    times: np.ndarray
    trace: np.ndarray
    fs: float
    pulse: np.ndarray
    problem: str = ""
    own: tuple[np.ndarray, np.ndarray] | None = None
    label_fs: float = 0.0

    def together(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Times, camera pulse and label (N,), filtered alike, where there are both; empty without such a part."""
        if self.own is None or not len(self.pulse):
            return (np.empty(0),) * 3
        inside = (self.times >= self.own[0][0]) & (self.times <= self.own[0][-1])
        if inside.sum() < 5 * self.fs or not np.ptp(self.own[1]):
            return (np.empty(0),) * 3
        times = self.times[inside]
        return times, self.pulse[inside], label.like_pos(np.interp(times, *self.own), self.fs)


def examine(job: Job) -> Report:
    """Examine one recording; a fault of it becomes its report, one of the code raises ProgramFault."""
    name = (job.section, job.recording.id, job.recording.subject)
    try:
        entry = job.cache.verified(job.recording.id)
        waves, video = read_waves(entry), probe(job.loader, job.recording, job.crop.decoder, len(entry.trace))
        return Report(
            *name,
            list(findings(entry, waves, video, job)),
            frame=_frame_picture(video, entry.boxes),
            faces=tuple(_jpeg(entry.faces[k], FACE_WIDTH) for k in np.linspace(0, len(entry.trace) - 1, 3).astype(int)),
            plot=figures.attempt(f"plot of {entry.id}", draw, entry.times, waves) or b"",
        )
    except Exception as error:  # any fault of one recording must leave the others alone
        return lost(name, error)


def lost(name: tuple[str, str, str], error: Exception) -> Report:
    """The report of a recording (section, id, subject) that `error` has cost; ProgramFault for a fault of the code."""
    faults.check(error, f"Recording {name[1]!r}")
    known = isinstance(error, (CacheError, OSError, ValueError))
    return Report(*name, error=("" if known else f"{type(error).__name__}: ") + " ".join(str(error).split()))


def findings(entry: Entry, waves: Waves, video: Video, job: Job) -> Iterator[Finding]:
    """Every check of one recording, the picture first, then the clock, the pulse and its label."""
    faces, boxes, times = _sample(entry)
    yield picture.check_coverage(entry.flags)
    yield picture.check_size(entry.boxes[: len(entry.boxes) * job.crop.do_crop], _growth(job.crop), entry.shape[2:0:-1])
    yield picture.check_several(*_several(entry, video, job.crop))
    yield picture.check_colour(waves.trace)
    yield picture.check_light(waves.trace, waves.fs, float((faces.max(axis=3) >= 254).mean()))
    yield picture.check_motion(picture.speeds(faces, boxes, times) if len(faces) > 2 else np.empty(0))
    yield picture.check_compression(video)
    count, fs = len(entry.trace), entry.fs
    yield timing.check_duration(entry.times, count, fs)
    yield timing.check_rate(entry.times, fs, job.stated)
    yield timing.check_spacing(entry.times)
    yield timing.check_dropped(entry.times, count)
    repeated = int(entry.flags.get("repeated_frames", 0))
    yield timing.check_doubled(entry.times, repeated, count, fs, timing.hardly_changed(entry.faces))
    yield from _label_findings(entry, waves)
    yield from sensor_findings(entry)


def sensor_findings(entry: Entry) -> Iterator[Finding]:
    """What is said of an ECG and an arterial pressure beside the video, and of pressures among the targets.

    The pulse wave itself is judged as a label.
    """
    found = sensors.examine(entry.signals, entry.targets)
    yield from (one for one in found if not one.check.startswith(f"{PULSE_WAVE} "))


def _label_findings(entry: Entry, waves: Waves) -> Iterator[Finding]:
    signal = entry.signals.get(PULSE_WAVE)
    if signal is None or waves.own is None:
        yield Finding("label", "", "There is no pulse label." if signal is None else "The label has too few samples.")
        yield label.check_camera(waves.pulse, waves.fs, waves.problem)
        return
    problem = label.clock_problem(signal, waves.own[0])
    if problem:
        yield problem
        yield label.check_camera(waves.pulse, waves.fs, waves.problem)
        return
    yield label.check_length(signal, entry.times, len(entry.trace), entry.fs)
    _, values = uniform(*waves.own, waves.label_fs)
    yield label.check_shape(values, waves.label_fs)
    rate = label.check_heart_rate(values, waves.label_fs)
    yield rate
    yield label.check_camera(waves.pulse, waves.fs, waves.problem, rate.values.get("hr_bpm"))
    _, pulse, wave = waves.together()
    yield label.check_lag(pulse, wave, waves.fs)


# --- What is read ----------------------------------------------------------------------------------------------------


def read_waves(entry: Entry) -> Waves:
    """Colours, camera pulse and label of a cache entry."""
    fs, stored = entry.fs, _clock(entry)
    trace = np.stack([uniform(stored, channel, fs)[1] for channel in np.asarray(entry.trace, dtype=float).T], axis=1)
    waves = Waves(stored[0] + np.arange(len(trace)) / fs, trace, fs, np.empty(0), GREY if is_grey(trace) else "")
    try:
        waves = replace(waves, pulse=np.empty(0) if is_grey(trace) else -pos(trace, fs))
    except ValueError as error:
        waves = replace(waves, problem=str(error))
    signal = entry.signals.get(PULSE_WAVE)
    own = None if signal is None else _on_the_clock(entry, signal, stored)
    if own is None or len(own[0]) < 10 or not np.median(np.diff(own[0])) > 0:
        return waves
    return replace(waves, own=own, label_fs=float(min(GRID, 1 / np.median(np.diff(own[0])))))


def _clock(entry: Entry) -> np.ndarray:
    """Times (T,) of the frames that never run backwards; by number where they are absent or cannot be."""
    count = len(entry.trace)
    if entry.times is not None:
        times = np.maximum.accumulate(np.asarray(entry.times, dtype=float))
        if (times[-1] - times[0]) * entry.fs < 4 * count + 100:  # otherwise gaps are most of it
            return times
    return np.arange(count) / entry.fs


def _on_the_clock(entry: Entry, signal: Signal, stored: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    colour = np.asarray(entry.trace[:, 0], dtype=float)
    times = None if entry.times is None else stored
    return reference_wave(RecordingResult(entry.id, entry.subject, entry.fs, colour, reference=signal, times=times))


def _sample(entry: Entry) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """A few hundred faces (N, H, W, 3) spread over the recording, their boxes (N, 4) and times (s)."""
    count = len(entry.trace)
    step = max(1, round(entry.fs / SAMPLE_RATE), -(-count // SAMPLED))
    chosen = slice(0, count, step)
    times = np.arange(count) / entry.fs if entry.times is None else np.asarray(entry.times)
    return _rgb(np.asarray(entry.faces[chosen])), entry.boxes[chosen].astype(float), times[chosen]


def _several(entry: Entry, video: Video, crop: FaceCrop) -> tuple[int, bool | None]:
    """How many looks found several faces, and whether the first frame and a later one still show a second one."""
    several = int(entry.flags.get("several_faces", 0))
    if not several or video.frame is None or crop.dynamic:
        return several, None
    detector = get_detector(crop.backend)
    return several, picture.second_face([detector.detect(frame) for frame in (video.frame, video.later)])


def _growth(crop: FaceCrop) -> float:
    return crop.large_coef if crop.do_crop and crop.large_box else 1.0


def probe(loader: BaseLoader, recording: Recording, decoder: str, count: int) -> Video:
    """The first second of the raw video and the header of its file; `count` frames are in all of it."""
    if "absent" in recording.info:
        return Video(problem="the raw video is not there")
    try:
        with decoding(decoder) as noticed:
            first, later = _two_frames(loader, recording)
        header = _header(noticed.files[0], count, first.shape[:2]) if noticed.files else Video()
    except Exception as error:  # whatever a reader raises: the cache has all that is needed for the other checks
        faults.check(error, f"Recording {recording.id!r}")
        return Video(problem=f"the raw video could not be opened again ({' '.join(str(error).split())})")
    return replace(header, frame=first, later=later, blockiness=picture.blockiness(later))


def _two_frames(loader: BaseLoader, recording: Recording) -> tuple[np.ndarray, np.ndarray]:
    frames = map(as_frame, loader.read_video(recording))
    first = next(frames).rgb().copy()
    later = None
    for frame in itertools.islice(frames, PROBED - 1):
        later = frame
    return first, first if later is None else later.rgb()


def _header(path: Path, count: int, shape: tuple[int, int]) -> Video:
    """Codec and bits per pixel of a video, or of the first of `count` images."""
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        rate = float(stream.average_rate or 0)
        pixels, size = shape[0] * shape[1], 8 * path.stat().st_size
        if container.format.name.endswith("_pipe") or container.format.name == "image2":
            bits = size / pixels
        else:
            bits = stream.bit_rate / (rate * pixels) if stream.bit_rate and rate else size / (count * pixels)
        return Video(codec=stream.codec_context.name, bits=bits)


# --- What is shown ---------------------------------------------------------------------------------------------------


def _rgb(pictures: np.ndarray) -> np.ndarray:
    """Three channels of pictures (..., C)."""
    return pictures[..., :3] if pictures.shape[-1] >= 3 else np.repeat(pictures[..., :1], 3, axis=-1)


def _jpeg(rgb: np.ndarray, width: int) -> bytes:
    """A picture (H, W, C) uint8 scaled to `width` pixels, as a JPEG file."""
    height = max(1, round(width * rgb.shape[0] / rgb.shape[1]))
    small = cv2.resize(np.ascontiguousarray(_rgb(rgb)), (width, height), interpolation=cv2.INTER_AREA)
    return cv2.imencode(".jpg", cv2.cvtColor(small, cv2.COLOR_RGB2BGR), [cv2.IMWRITE_JPEG_QUALITY, 85])[1].tobytes()


def _frame_picture(video: Video, boxes: np.ndarray) -> bytes:
    """The first whole frame with the first box drawn in, as a JPEG file; empty without one."""
    if video.frame is None:
        return b""
    frame = video.frame.copy()
    if len(boxes):
        x, y, w, h = (int(number) for number in boxes[0])
        cv2.rectangle(frame, (x, y), (x + w - 1, y + h - 1), (0, 255, 0), max(1, round(frame.shape[1] / FRAME_WIDTH)))
    return _jpeg(frame, FRAME_WIDTH)
