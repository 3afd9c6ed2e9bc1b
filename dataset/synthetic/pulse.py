"""Heart beats, breathing and the pulse wave as functions of time, with their truth.

The rate follows a slow wander, a 0.1 Hz wave and the breath (Task Force of the ESC and NASPE, Circulation 93, 1996);
its integral is the phase, and a beat falls on each whole phase. One beat is a sum of three Gaussians of the phase:
systolic wave, dicrotic wave, diastolic run-off (after McSharry et al., "A dynamical model for generating synthetic
electrocardiogram signals", IEEE TBME 50, 2003, whose ECG model it carries over to the pulse wave).
"""

from dataclasses import dataclass

import numpy as np

from dataset.synthetic.settings import Settings

_GRID = 250.0  # Hz, integration of the rate
_MARGIN = 3.0  # s of beats before and after the recording, so that both ends are ordinary
GOLDEN = 0.6180339887498949  # fractional steps of the golden ratio fill a range evenly, however many subjects follow
SILVER = 0.4142135623730951  # likewise those of the square root of 2
# Centre, width (cycles) and height of the Gaussians; the middle one is the dicrotic wave, its height is a setting.
_WAVES = ((0.22, 0.085, 1.0), (0.53, 0.075, None), (0.42, 0.17, 0.25))
# Centre and width (s) about the R peak and height (mV) of the waves P, Q, R, S and T of an ECG, after the same paper.
_ECG = ((-0.17, 0.022, 0.12), (-0.026, 0.009, -0.12), (0.0, 0.010, 1.0), (0.028, 0.009, -0.25), (0.26, 0.045, 0.30))
_TRANSIT = 0.2  # s from the R peak to the foot of the pulse wave in the face


@dataclass(frozen=True)
class Heart:
    """The rhythm of one recording; every method takes times (s) of any shape."""

    beats: np.ndarray  # (N,) onset times (s), some before 0 and after the end
    breath_grid: np.ndarray  # (G,) phase of breathing (cycles) on a grid from -_MARGIN at _GRID Hz
    dicrotic: float
    breath_baseline: float
    breath_amplitude: float

    def breath(self, times: np.ndarray) -> np.ndarray:
        """Breathing wave from -1 (out) to 1 (in)."""
        return np.sin(2 * np.pi * self.breath_phase(times))

    def breath_phase(self, times: np.ndarray) -> np.ndarray:
        """Phase of breathing in cycles."""
        grid = np.arange(len(self.breath_grid)) / _GRID - _MARGIN
        return np.interp(times, grid, self.breath_grid)

    def pulse(self, times: np.ndarray) -> np.ndarray:
        """Blood volume wave: a beat rises by 1, breathing changes height and baseline."""
        breath = self.breath(times)
        wave = beat_shape(self._phase(times), self.dicrotic)
        return wave * (1 + self.breath_amplitude * breath) + self.breath_baseline * breath

    def ecg(self, times: np.ndarray) -> np.ndarray:
        """Electrocardiogram (mV): an R peak 0.2 s before each beat reaches the face."""
        since = np.asarray(times, dtype=float)[..., None] - (self.beats - _TRANSIT)
        waves = sum(height * np.exp(-0.5 * ((since - centre) / width) ** 2) for centre, width, height in _ECG)
        return waves.sum(axis=-1)

    def rate(self, times: np.ndarray) -> np.ndarray:
        """Heart rate (bpm) of the beat under way."""
        index = np.clip(np.searchsorted(self.beats, times, side="right") - 1, 0, len(self.beats) - 2)
        return 60.0 / np.diff(self.beats)[index]

    def _phase(self, times: np.ndarray) -> np.ndarray:
        return np.interp(times, self.beats, np.arange(len(self.beats), dtype=float))


def beat_shape(phase: np.ndarray, dicrotic: float) -> np.ndarray:
    """One period of the pulse wave from 0 to 1 over `phase` (cycles, any real number)."""
    grid = np.linspace(0, 1, 512, endpoint=False)
    wave = _gaussians(grid, dicrotic)
    low, high = wave.min(), wave.max()
    return (_gaussians(np.mod(phase, 1.0), dicrotic) - low) / (high - low)


def make_heart(settings: Settings, subject: int) -> Heart:
    """The heart of `subject` (1, 2 ...), reproducible from the seed; the rendering never changes it."""
    rng = np.random.default_rng([settings.seed, subject, 1])
    mean_rate = spread(settings.heart_rate, settings.seed, subject, stream=2)
    breathing = rng.uniform(*settings.breathing_rate) / 60.0
    grid = np.arange(0, settings.seconds + 2 * _MARGIN, 1 / _GRID)
    breath_phase = _breath_phase(grid, breathing, rng)
    rate = mean_rate / 60.0 * _rate_course(settings, grid, breath_phase, rng)
    phase = np.concatenate([[0.0], np.cumsum(rate[:-1]) / _GRID])
    beats = np.interp(np.arange(int(phase[-1]) + 1), phase, grid) - _MARGIN
    beats = beats + rng.normal(0, settings.hrv_jitter, len(beats))
    return Heart(
        beats=np.sort(beats),
        breath_grid=breath_phase,
        dicrotic=settings.dicrotic * rng.uniform(0.7, 1.3),
        breath_baseline=settings.breath_baseline,
        breath_amplitude=settings.breath_amplitude,
    )


def spread(bounds: tuple[float, float], seed: int, subject: int, stream: int, step: float = GOLDEN) -> float:
    """A value inside `bounds` for `subject`: even over any number of subjects, and stable when more are added.

    Two values of one subject want two fractional steps, or the one would tell the other.
    """
    start = np.random.default_rng([seed, 0, stream]).random()
    share = (start + subject * step) % 1.0
    return float(bounds[0] + (bounds[1] - bounds[0]) * share)


def _gaussians(phase: np.ndarray, dicrotic: float) -> np.ndarray:
    total = np.zeros_like(phase, dtype=float)
    for centre, width, height in _WAVES:
        distance = np.mod(phase - centre + 0.5, 1.0) - 0.5
        total += (dicrotic if height is None else height) * np.exp(-0.5 * (distance / width) ** 2)
    return total


def _breath_phase(grid: np.ndarray, rate: float, rng: np.random.Generator) -> np.ndarray:
    """Phase (cycles) of breathing at about `rate` (Hz), which wanders by some per cent."""
    wander = 0.06 * np.sin(2 * np.pi * grid / rng.uniform(15, 40) + rng.uniform(0, 2 * np.pi))
    return rng.random() + np.cumsum(rate * (1 + wander)) / _GRID


def _rate_course(settings: Settings, grid: np.ndarray, breath: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Rate over time as a multiple of its mean; breathing in speeds the heart up."""
    phases = rng.uniform(0, 2 * np.pi, 3)
    slow = np.sin(2 * np.pi * grid / rng.uniform(25, 45) + phases[0])
    slow += 0.5 * np.sin(2 * np.pi * grid / rng.uniform(12, 20) + phases[1])
    course = settings.heart_rate_wander * slow / np.sqrt(0.625)
    course += settings.hrv_lf * np.sin(2 * np.pi * 0.1 * grid + phases[2])
    course += settings.hrv_rsa * np.sin(2 * np.pi * breath)
    return 1.0 + course - course.mean()
