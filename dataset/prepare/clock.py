"""One judge of clocks: whether the times of frames and signals are seconds that can be meant, and of one video.

Values are never changed here: a guess is a sentence, and the person who knows mends the file.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from dataset.data_loader.base import Signal
from dataset.signals import PULSE_WAVE

WAVE_RATES = (5.0, 1000.0)  # Hz: of a slower wave no beat is left; a faster one has to last as long as the video
BEATS = (PULSE_WAVE, "ecg")  # signals that show the heart's beats
SLOWEST = 1 / 60  # Hz of any other signal that a data set is about
FRAME_RATES = (1.0, 1000.0)  # Hz
TOLERANCE = 1.05  # of these limits: clocks tremble
BACKWARDS = 0.01  # share of the steps that may fall back before a clock counts as broken
UNITS = {"milliseconds": 1e3, "microseconds": 1e6, "nanoseconds": 1e9, "minutes": 1 / 60, "hours": 1 / 3600}
GAP = 1.0  # s without a sample that are flagged: more than a beat
MEND = "Mend its file, or leave the recording out."


@dataclass(frozen=True)
class Video:
    """What is known of the video's clock: `start` and `stop` in seconds; where it has no times, from 0 on."""

    start: float
    stop: float

    @classmethod
    def of(cls, times: np.ndarray | None, frames: int, fs: float | None) -> "Video | None":
        """That of `frames` frames at `times` (T,) s or at `fs` (Hz); None where neither is known."""
        if times is not None and len(times):
            return cls(float(times[0]), float(times[-1]))
        return cls(0.0, frames / fs) if fs else None


def check_clocks(waves: dict[str, Signal], needed: Sequence[str], place: str = "", video: Video | None = None) -> None:
    """ValueError for a signal among `needed` whose times cannot be seconds on the clock of the `video`.

    `place` says in the message where the signal was read, such as " of '/data/subject1'". Without `video`, only what
    the signal tells by itself is judged.
    """
    for name in needed:
        lowest = WAVE_RATES[0] if name in BEATS else SLOWEST
        problem = wave_problem(waves[name], video, lowest) if name in waves else ""
        if problem:
            raise ValueError(f"The signal {name!r}{place} {problem}")


def wave_problem(signal: Signal, video: Video | None = None, lowest: float = WAVE_RATES[0]) -> str:
    """What is wrong with the clock of a wave, as the end of a sentence with a remedy; "" when nothing is.

    `lowest` (Hz): a signal with fewer samples is none.
    """
    if signal.times is None:
        rate = signal.fs
        if rate is not None and not lowest <= rate * TOLERANCE:
            return f"has {rate:g} samples a second: {_too_few(lowest)} Take another file, or leave the recording out."
        return ""
    times = np.asarray(signal.times, dtype=float)
    if len(times) < 3 or not np.isfinite(times).all():
        return ""
    return _order(times) or _pace(times, video, lowest) or (_overlap(times, video) if video else "")


def check_frames(times: np.ndarray | None, place: str = "") -> None:
    """ValueError for frame times (T,) that cannot be seconds: fewer than 1 or more than 1000 frames a second."""
    rate = None if times is None else sampling_rate(np.asarray(times, dtype=float))
    if rate is None or FRAME_RATES[0] <= rate * TOLERANCE and rate <= FRAME_RATES[1] * TOLERANCE:
        return
    raise ValueError(
        f"The frame times{place} give {rate:.3g} frames a second: no camera does that.{_guess(rate, FRAME_RATES)} "
        f"Mend the file they stand in, or leave the recording out."
    )


def sampling_rate(times: np.ndarray) -> float | None:
    """Samples a second by `times` (L,), mean over the times at which there are some; None where they never rise."""
    steps = np.diff(times)
    steps = steps[steps > 0]
    return float(1 / np.median(steps)) if len(steps) else None


def gap(signal: Signal) -> float:
    """The longest time (s) without a sample where that is more than a second; otherwise 0."""
    if signal.times is None or len(signal.times) < 3:
        return 0.0
    steps = np.diff(np.asarray(signal.times, dtype=float))
    longest, ordinary = float(steps.max()), float(np.median(steps))
    return longest if longest > max(GAP, 3 * ordinary) else 0.0


def _order(times: np.ndarray) -> str:
    steps = np.diff(times)
    if not (steps != 0).any():
        return f"has one time, {times[0]:g}, for all {len(times)} samples. {MEND}"
    back = int(np.count_nonzero(steps < 0))
    if back > BACKWARDS * len(steps):
        return f"has times that run backwards, {back} of {len(steps)} steps. {MEND}"
    return ""


def _pace(times: np.ndarray, video: Video | None, lowest: float) -> str:
    length = float(times[-1] - times[0])
    rate = sampling_rate(times) or 0.0
    if rate < lowest and length > 0:
        rate = max(rate, (len(times) - 1) / length)  # samples that came in packets share their time
    if lowest <= rate * TOLERANCE and rate <= WAVE_RATES[1] * TOLERANCE:
        return ""
    if rate > WAVE_RATES[1] and (video is None or 0.5 < length / max(video.stop - video.start, 1e-9) < 2):
        return ""  # sampled very fast: for as long as the video lasts, that may be
    against = f" for {video.stop - video.start:.4g} s of video" if video else ""
    few = f": {_too_few(lowest)}" if rate < lowest else "."
    guess = _guess(rate, (lowest, WAVE_RATES[1]), length, video)
    return f"has {rate:.3g} samples a second by its times ({length:.4g} s{against}){few}{guess} {MEND}"


def _too_few(lowest: float) -> str:
    return f"a wave needs at least {lowest:.3g}, so this is none, or its times are no seconds."


def _guess(rate: float, limits: tuple[float, float], length: float = 0.0, video: Video | None = None) -> str:
    """The unit in which the times would give a plausible rate and, where there is a video, last as long as that."""
    for unit, factor in UNITS.items():
        lasts = video is None or not length or 0.5 < length / factor / max(video.stop - video.start, 1e-9) < 2
        if limits[0] <= rate * factor <= limits[1] and lasts:
            by = f"divide them by {factor:.0f}" if factor > 1 else f"multiply them by {round(1 / factor)}"
            return f" The times look like {unit}: {by}."
    return ""


def _overlap(times: np.ndarray, video: Video) -> str:
    shared = min(times[-1], video.stop) - max(times[0], video.start)
    if shared > 0 or video.stop - video.start <= 0:
        return ""
    since = " They look like seconds since 1970: subtract the time of the first frame." if times[0] > 1e8 else ""
    return (
        f"lasts from {times[0]:.10g} s to {times[-1]:.10g} s, the video from {video.start:.4g} s to "
        f"{video.stop:.4g} s: they share nothing.{since} Its times count from the first frame. {MEND}"
    )
