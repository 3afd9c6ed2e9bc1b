"""The colours of one region of a face as they come, for the last 30 s, with an answer once a second and the wave."""

import math
from dataclasses import replace

import numpy as np

from evaluation.consensus import Answer
from evaluation.presets import preset
from evaluation.settings import Settings
from unsupervised_methods.live.rolling import Rolling
from unsupervised_methods.live.voters import Band, Seen, Voter

SECONDS = 30.0  # of colours that are kept
ANSWER = 1.0  # s between two answers
WAVE_LEAST = 4.0  # s of colours before there is a wave


class Colours:
    """What `voter` keeps of a region goes in, the current `answer` comes out; memory and time do not grow.

    `band`: Hz, as INFERENCE.HR_BAND.
    """

    def __init__(self, voter: Voter, band: Band | tuple[()] = ()):
        """No colour yet."""
        exact = preset("exact", band)
        self._how = Settings([], "FFT", None, exact, exact, 0.0, 0)
        self.voter, self.kept = voter, Rolling(SECONDS)
        self.start_anew()

    def start_anew(self) -> None:
        """Forget all of them."""
        self.kept.clear()
        self._gain, self._answered = 1.0, -math.inf
        self.answer: Answer | None = None

    def step(self, before: np.ndarray, after: np.ndarray) -> None:
        """Let `after` (n, 3), the colours of another region, count as `before`: a step is no pulse."""
        self._gain = self._gain * before / np.maximum(after, 1.0)

    def add(self, time: float, colours: np.ndarray) -> None:
        """Keep the `colours` (n, 3) of `time` (s), which is later than the one before."""
        if self.kept.breaks(time):
            self.start_anew()
        self.kept.add(time, self._gain * colours)

    def due(self) -> bool:
        """Whether a second has gone by since the last answer, and there are colours enough for one."""
        return self.kept.seconds >= self._how.exact.min_seconds and self.kept.last - self._answered >= ANSWER

    def judge(self, coverage: float, region: str) -> None:
        """Work out the answer; `coverage`: share of the looks that found a face."""
        self._answered = self.kept.last
        seen = Seen(*self.kept.latest(), coverage=coverage)
        self.answer = replace(self.voter.answer(seen, self._how), region=region)

    def wave(self, seconds: float) -> tuple[np.ndarray, np.ndarray] | None:
        """Even times (L,) in s and the wave (L,) of the last `seconds`, or None while there is none.

        It rises as the blood does. Its end still changes when more colours come.
        """
        if self.kept.seconds < WAVE_LEAST:
            return None
        try:
            found = self.voter.wave(Seen(*self.kept.latest(self.voter.reach)), self._how)
        except ValueError:  # too few frames in these seconds, or a clock that allows no even one
            return None
        if found is None:
            return None
        times, wave = found
        times = times + self.kept.last - times[-1]
        shown = times >= times[-1] - seconds
        return times[shown], wave[shown]
