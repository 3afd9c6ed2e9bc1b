"""What a radar before a seated person sees: breaths that are no sine, beats, sway, changes of posture, a moving belly.

Sizes after what has been measured on people, none of them chosen for a result:

    breath    a parabola in, an exponential out, rounded off by the lungs' resistance (Albanese et al., "An integrated
              mathematical model of the human cardiopulmonary system", Am. J. Physiol. Heart Circ. Physiol. 310, 2016).
              Its harmonics reach into the band of the pulse (Morgan and Zierdt, "Novel signal processing techniques
              for Doppler radar cardiopulmonary sensing", Signal Processing 89, 2009). Some millimetres deep (De Groote
              et al., "Chest wall motion during tidal breathing", J. Appl. Physiol. 83, 1997), no breath like the next
    beat      0.2 to 0.5 mm at the wall of the chest
    sway      the spectrum of the head's in the rendered videos, at half its size (the chest is half as far above the
              seat); changes of posture by millimetres
    belly     a second echo in the same range bin that moves further: its phase beats against the chest's, which one
              phase takes for motion in the band of the pulse
"""

from functools import cache, cached_property

import numpy as np

from dataset.multimodal.layout import Chirp
from dataset.multimodal.radar import LIGHT_SPEED
from dataset.synthetic.camera import coloured
from dataset.synthetic.render import Session as Person

GRID = 50.0  # Hz on which the sway is drawn
DEPTH, BEAT = (3.0, 6.0), (0.2, 0.5)  # mm from valley to peak; each person draws one inside
UNEVEN = 0.2  # standard deviation of a breath's depth, as a share
SWAY = 1.5  # mm, rms: half of a fiftieth of a face
SHIFTS, SHIFT, SHIFT_SECONDS = 1.0, (1.0, 6.0), (0.8, 2.0)  # changes of posture per minute, mm, s
BELLY, FURTHER = 0.2, 1.6  # strength of its echo beside the chest's, motion with a breath beside the chest's
INHALE = 0.375  # share of a breath
_RELAX, _ROUND = 0.2, 0.1  # time constants: of breathing out as a share of it, of the lungs as a share of a breath
_STREAM = 83


@cache
def breath_wave() -> np.ndarray:
    """A breath (1024,) from -1 (out) to 1 (in) over one cycle; its first harmonic is the sine of the phase."""
    phase = np.arange(1024) / 1024
    inward = phase / INHALE * (1 - phase) / (1 - INHALE)
    outward = np.exp(-(phase - INHALE) / (_RELAX * (1 - INHALE)))
    harmonics = np.fft.rfft(np.where(phase < INHALE, inward, outward))
    orders = np.arange(len(harmonics))
    harmonics = harmonics / (1 + 2j * np.pi * orders * _ROUND)
    late = -np.pi / 2 - np.angle(harmonics[1])
    wave = np.fft.irfft(harmonics * np.exp(1j * late * orders), len(phase))
    return 2 * (wave - wave.min()) / np.ptp(wave) - 1


class Chest:
    """A radar before the chest; a plate near the antenna shows the marks, and a wall stands behind.

    The beat signal of a chirp has the frequency 2 slope d / c and the phase 4 pi d / lambda.
    """

    lag = 0.02  # s, time constant of what moves the plate
    distance, plate, wall = 0.85, 0.30, 2.6  # m
    noise = 12.0  # units of the converter

    def __init__(self, person: Person, chirp: Chirp, samples: int = 64):
        """`samples` of each chirp."""
        self.person, self.chirp = person, chirp
        self.shape = (chirp.chirps_per_frame, 2, samples, 2)
        self._clock = np.arange(samples) / chirp.sample_rate_hz
        draw = self._random()
        self.depth, self.beat = draw.uniform(*DEPTH), draw.uniform(*BEAT)

    def displacement(self, times: np.ndarray) -> np.ndarray:
        """Of the chest, in mm towards the radar being negative: `times` of any shape in s."""
        beats = self.beat * self.person.heart.pulse(np.asarray(times) - 0.03)
        return self._sway(times) - self._breath(times) - beats

    def frame(self, time: float, plate: float, rng: np.random.Generator) -> np.ndarray:
        """ADC samples (chirp, rx, sample, 2) int16 of the frame whose middle is at `time` (s)."""
        chirps = self.shape[0]
        moments = time + (np.arange(chirps) - (chirps - 1) / 2) * self.chirp.chirp_period_s
        body = self.distance + self.displacement(moments)[:, None] / 1000
        belly = body + 0.03 - (FURTHER - 1) * self._breath(moments)[:, None] / 1000
        still = np.zeros((chirps, 1))
        echo = 900 * (self._tone(body) + BELLY * self._tone(belly)) + 300 * self._tone(self.wall + still)
        echo = echo + (40 + 500 * plate) * self._tone(self.plate + still) + (60 + 25j)
        both = np.stack([echo, echo * np.exp(0.4j)], axis=1)  # two antennas
        parts = np.stack([both.real, both.imag], axis=-1)
        return np.rint(parts + rng.normal(0, self.noise, parts.shape)).astype(np.int16)

    def _breath(self, times: np.ndarray) -> np.ndarray:
        """Of the chest's wall in mm, in being positive."""
        cycle = np.mod(self.person.heart.breath_phase(times), 1.0)
        shape = np.interp(cycle, np.arange(1024) / 1024, breath_wave(), period=1.0)
        return 0.5 * self.depth * np.interp(times, self._clock_of_body, self._depths) * shape

    def _sway(self, times: np.ndarray) -> np.ndarray:
        """Of the whole body in mm."""
        return np.interp(times, self._clock_of_body, self._body)

    @cached_property
    def _clock_of_body(self) -> np.ndarray:
        return np.arange(-1.0, self.person.settings.seconds + 1.0, 1 / GRID)

    @cached_property
    def _depths(self) -> np.ndarray:
        """How deep the breath of each moment is, 1 being usual."""
        return 1 + UNEVEN * coloured(self._random(1), len(self._clock_of_body), GRID, 0.02, 0.15, 0.0)

    @cached_property
    def _body(self) -> np.ndarray:
        times, draw, seconds = self._clock_of_body, self._random(2), self.person.settings.seconds
        body = SWAY * coloured(draw, len(times), GRID, 0.05, 2.5, 2.5)
        for start in draw.uniform(0, seconds, draw.poisson(SHIFTS * seconds / 60)):
            share = np.clip((times - start) / draw.uniform(*SHIFT_SECONDS), 0, 1)
            body += draw.uniform(*SHIFT) * draw.choice([-1, 1]) * (0.5 - 0.5 * np.cos(np.pi * share))
        return body

    def _random(self, *stream: int) -> np.random.Generator:
        return np.random.default_rng([self.person.settings.seed, self.person.subject, _STREAM, *stream])

    def _tone(self, distance: np.ndarray) -> np.ndarray:
        chirp = self.chirp
        beat = 2 * chirp.slope_hz_per_s * distance / LIGHT_SPEED
        phase = 4 * np.pi * distance * chirp.start_frequency_hz / LIGHT_SPEED
        return np.exp(1j * (2 * np.pi * beat * self._clock + phase))
