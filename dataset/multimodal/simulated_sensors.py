"""What the sensors of a simulated recording see of one person: light, heat, blood in the finger."""

from functools import cached_property

import cv2
import numpy as np

from dataset.synthetic.camera import coloured
from dataset.synthetic.photo import CENTRE, NOSTRILS
from dataset.synthetic.render import Session as Person

_LED, _LED_OFF, _LED_ON = 10, 35.0, 200.0  # pixels, grey levels: not saturated, or half an exposure would look whole
_STREAM = 84
_DARKNESS, _DARK_NOISE = 0.02, 1.5  # share of the light that is left, grey levels


def with_led(frame: np.ndarray, light: float, rng: np.random.Generator) -> np.ndarray:
    """`frame` (H, W, 3) uint8 with a lamp in its upper left corner, lit for a share `light` of the exposure."""
    patch = _LED_OFF + (_LED_ON - _LED_OFF) * light + rng.normal(0, 1.5, (_LED, _LED, 1))
    frame = frame.copy()
    frame[2 : 2 + _LED, 2 : 2 + _LED] = np.rint(patch)
    return frame


def dark(frame: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """`frame` as a camera sees it in a dark room: noise, and next to no light."""
    return np.clip(np.rint(frame * _DARKNESS + 4 + rng.normal(0, _DARK_NOISE, frame.shape)), 0, 255).astype(np.uint8)


class Heat:
    """A thermal camera beside the RGB camera: skin warmed by each beat, nostrils cooled by each breath in.

    The temperature of an uncooled sensor wanders, and all of its picture with it.

    Garbey et al., "Contact-free measurement of cardiac pulse based on the analysis of thermal imagery", IEEE TBME 54,
    2007; Murthy, Pavlidis, Tsiamyrtzis, "Touchless monitoring of breathing function", EMBS 2004.
    """

    lag = 0.15  # s, time constant of the heater beside the LED
    room, skin = 295.0, 306.5  # K
    beat, breath, heater = 0.06, 0.45, 6.0  # K, from valley to peak
    noise, wander = 0.05, 0.05  # K, of one pixel and of all pixels together

    def __init__(self, person: Person, size: tuple[int, int]):
        """`size`: width and height."""
        self.person, self.size = person, size

    @property
    def to_rgb(self) -> np.ndarray:
        """Homography (3, 3) from thermal to RGB pixels: a wider view, a little turned."""
        settings = self.person.settings
        scale = 1.08 * settings.width / self.size[0], 1.08 * settings.height / self.size[1]
        turn = 0.015
        return np.array(
            [
                [scale[0], -turn * scale[1], -0.035 * settings.width],
                [turn * scale[0], scale[1], -0.045 * settings.height],
                [0.0, 0.0, 1.0],
            ]
        )

    @cached_property
    def _maps(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Temperature at rest, share of the pulse, share of the breath, (h, w) each."""
        face = self.person.face
        x, y = face.placement.offsets()
        nose = np.exp(-0.5 * (((x - NOSTRILS[0] + CENTRE[0]) / 8) ** 2 + ((y - NOSTRILS[1] + CENTRE[1]) / 5) ** 2))
        warm = self.room + (self.skin - self.room) * face.follows * np.clip(0.75 + 0.25 * face.skin, 0, 1)
        warm = warm + 1.2 * face.skin - 1.0 * nose
        return tuple(self._seen(one) for one in (warm, face.skin, nose))

    @cached_property
    def _heater(self) -> np.ndarray:
        spot = np.zeros(self.size[::-1], np.float32)
        spot[3:7, 4:8] = 1.0
        return cv2.GaussianBlur(spot, (0, 0), 0.7)

    @cached_property
    def _wander(self) -> tuple[np.ndarray, np.ndarray]:
        """Times (n,) s and how much too warm everything is then, K."""
        settings, fs = self.person.settings, 30.0
        times = np.arange(0, settings.seconds + 1, 1 / fs)
        draw = np.random.default_rng([settings.seed, self.person.subject, _STREAM])
        return times, self.wander * coloured(draw, len(times), fs, 0.01, 5.0, 1.0)

    def kelvin(self, time: float, glow: float, rng: np.random.Generator) -> np.ndarray:
        """The picture (h, w) at `time` (s); `glow`: how warm the heater is, 0 to 1."""
        rest, skin, nose = self._maps
        heart = self.person.heart
        # Blood brings heat a little after it brings colour; air that is breathed in is cooler than air breathed out.
        picture = rest + self.beat * skin * heart.pulse(time - 0.1) - self.breath * nose * heart.breath(time)
        picture = picture + self.heater * glow * self._heater + np.interp(time, *self._wander)
        return picture + rng.normal(0, self.noise, picture.shape)

    def _seen(self, field: np.ndarray) -> np.ndarray:
        """`field` (H, W) of the RGB picture as this camera sees it."""
        inverse = cv2.WARP_INVERSE_MAP | cv2.INTER_AREA
        flat = cv2.GaussianBlur(np.float32(field), (0, 0), 0.5 * self.to_rgb[0, 0])
        return cv2.warpPerspective(flat, self.to_rgb, self.size, flags=inverse, borderMode=cv2.BORDER_REPLICATE)


class Finger:
    """An oximeter at the finger, and a breathing belt on its second input."""

    def __init__(self, person: Person, transit: float, filter_delay: float):
        """`transit`: s from the face to the finger; `filter_delay`: s by which the sensor's filter is late."""
        self.person, self.late = person, transit + filter_delay

    def pulse(self, times: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        """Values of the oximeter (n,) at `times` (s)."""
        return self.person.heart.pulse(times - self.late) + rng.normal(0, 0.01, len(times))

    def belt(self, times: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        """Breathing (n,), -1 out to 1 in."""
        return self.person.heart.breath(times) + rng.normal(0, 0.02, len(times))
