"""The one person whom all simulated sensors see, and the marks beside them: functions of the host's clock."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from dataset.multimodal.bursts import PERIOD, SECONDS, lit

HEART, BREATH = 66 / 60, 15 / 60  # Hz
CLOCK = {"first_ns": 0, "every_s": PERIOD}  # of the marks: options of every simulated device
MARKED = 3.0  # s after a burst for which slow sensors still answer


def pulse(seconds: np.ndarray | float) -> np.ndarray:
    """The blood volume wave, about -1 to 1, with a second harmonic as at a finger."""
    phase = 2 * np.pi * HEART * np.asarray(seconds, float)
    return 0.8 * np.sin(phase) + 0.25 * np.sin(2 * phase + 0.8)


def breath(seconds: np.ndarray | float) -> np.ndarray:
    """The breathing wave, -1 to 1."""
    return np.sin(2 * np.pi * BREATH * np.asarray(seconds, float))


def mark(t_ns: int, options: Mapping[str, Any], lag: float = 0.0, width: float = 0.0) -> float:
    """How far the mark is on at the host time `t_ns`, 0 to 1, for a sensor with `lag` and exposure `width` (s)."""
    since = (t_ns - options["first_ns"]) / 1e9
    since %= options["every_s"]
    return float(lit(np.array([since]), lag, width)[0]) if options["first_ns"] and since < SECONDS + MARKED else 0.0


class Clock:
    """A device's clock: begins at `begin_ns` where the host's is `host_ns`, and runs `ppm` millionths too fast."""

    def __init__(self, host_ns: int, begin_ns: int = 0, ppm: float = 0.0):
        """The two clocks at one moment."""
        self._host, self._begin, self._speed = host_ns, begin_ns, 1 + ppm / 1e6

    def at(self, t_host_ns: int) -> int:
        """What it shows at a host time."""
        return self._begin + round((t_host_ns - self._host) * self._speed)

    def when(self, t_device_ns: int) -> int:
        """At which host time it shows this."""
        return self._host + round((t_device_ns - self._begin) / self._speed)
