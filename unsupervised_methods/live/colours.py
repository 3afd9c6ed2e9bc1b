"""The colours of one region of a face as they come, for the last 30 s, with an answer once a second and the wave."""

import math
from collections import deque
from dataclasses import replace

import numpy as np

from evaluation.consensus import Answer
from evaluation.post_process import in_band
from evaluation.presets import preset
from evaluation.settings import Settings
from registry import UNSUPERVISED
from unsupervised_methods.door import answer_of
from unsupervised_methods.measure import Sample, even, predict
from unsupervised_methods.methods.pos import overlap

SECONDS = 30.0  # of colours that are kept
MOST = 7200  # colours that are kept: 30 s at 240 frames per second
ANSWER = 1.0  # s between two answers
GAP = 1.0  # s between two colours after which the ones before say nothing
WAVE = 10.0  # s of colours from which the wave is worked out; the filter wants some before what is shown
WAVE_LEAST = 4.0  # s of colours before there is a wave
RECENT = 3.0  # s over which the frame rate is measured


class Colours:
    """Mean colours in, the current `answer` out; memory and time do not grow. `band`: Hz, as INFERENCE.HR_BAND."""

    def __init__(self, band: tuple[float, float] | tuple[()] = ()):
        """No colour yet."""
        exact = preset("exact", band)
        self._how = Settings([], "FFT", None, exact, exact, 0.0, 0)
        self._kept: deque[tuple[float, np.ndarray]] = deque(maxlen=MOST)
        self.start_anew()

    def start_anew(self) -> None:
        """Forget all of them."""
        self._kept.clear()
        self._gain, self._answered = np.ones(3), -math.inf
        self.answer: Answer | None = None

    @property
    def seconds(self) -> float:
        """From the first colour that is kept to the last."""
        return self._kept[-1][0] - self._kept[0][0] if self._kept else 0.0

    @property
    def fps(self) -> float:
        """Colours per second in the last few seconds; NaN before there are some."""
        times = np.array([time for time, _ in self._kept])
        steps = np.diff(times[times >= times[-1] - RECENT]) if len(times) else times
        return 1 / float(np.median(steps)) if len(steps) else math.nan

    def step(self, before: np.ndarray, after: np.ndarray) -> None:
        """Let `after` (3,), the colour of another region, count as `before`: a step is no pulse."""
        self._gain = self._gain * before / np.maximum(after, 1.0)

    def add(self, time: float, colour: np.ndarray) -> None:
        """Keep the mean `colour` (3,) of `time` (s), which is later than the one before."""
        if self._kept and time - self._kept[-1][0] > GAP:
            self.start_anew()
        self._kept.append((time, self._gain * colour))
        while self._kept[0][0] < time - SECONDS:
            self._kept.popleft()

    def due(self) -> bool:
        """Whether a second has gone by since the last answer, and there are colours enough for one."""
        enough = self.seconds >= self._how.exact.min_seconds
        return enough and self._kept[-1][0] - self._answered >= ANSWER

    def judge(self, coverage: float, region: str) -> None:
        """Work out the answer; `coverage`: share of the looks that found a face."""
        self._answered = self._kept[-1][0]
        self.answer = replace(answer_of(self._sample(SECONDS, coverage), self._how), region=region)

    def wave(self, seconds: float) -> tuple[np.ndarray, np.ndarray] | None:
        """Even times (L,) in s and the wave (L,) of the last `seconds` by POS, or None while there is none.

        Filtered, and turned over: it rises where the skin gets darker, as the blood does. Its end still changes when
        more colours come.
        """
        if self.seconds < WAVE_LEAST:
            return None
        try:
            sample, band = even(self._sample(WAVE)), self._how.exact.band
            pulse, problem = predict(UNSUPERVISED["POS"], sample.trace, sample.fs, band)
            wave = pulse if problem else -in_band(pulse * _fewer(len(pulse), sample.fs, band), sample.fs, band)
        except ValueError:  # too few frames in these seconds, or a clock that allows no even one
            return None
        if problem:
            return None
        times = sample.times + self._kept[-1][0] - sample.times[-1]
        shown = times >= times[-1] - seconds
        return times[shown], wave[shown]

    def _sample(self, seconds: float, coverage: float | None = None) -> Sample:
        """The colours of the last `seconds` as a recording."""
        times = np.array([time for time, _ in self._kept])
        first = int(np.searchsorted(times, times[-1] - seconds))
        colours = np.array([colour for _, colour in self._kept])[first:]
        fs = 1 / float(np.median(np.diff(times[first:])))
        return Sample("live", "live", colours, fs, times[first:] - times[first], coverage=coverage)


def _fewer(length: int, fs: float, band: tuple[float, float]) -> np.ndarray:
    """By what each sample (length,) of POS has to grow: fewer of its windows lie over the first and the last ones."""
    size = min(overlap(fs, band), length)
    over = np.minimum(np.arange(1, length + 1), np.arange(length, 0, -1))
    return size / np.minimum(over, size)
