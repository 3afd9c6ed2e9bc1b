"""What a sensor is to the recorder: five verbs, and samples with two times each.

A driver is one file in `tools/multimodal/devices/` (or a plug-in) with a class that registers itself:

    @DEVICES.register("my sensor")
    class MySensor(Device):
        OPTIONS = {"port": "/dev/ttyUSB0"}
        store = Table("values", ("value",))

        def open(self): ...
        def start(self): ...
        def read(self): return [Sample((value,), device_ns, host_ns())]
        def stop(self): ...
        def describe(self): return {"model": "..."}

Every driver runs in a process of its own; it never waits for another one.
"""

import time
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from registry import Registry

DEVICES = Registry("device", "tools.multimodal.devices")
SYNC = "sync"  # event: a burst of marks begins
WAIT = 0.1  # s that `read` may wait for a sample, so that a stop is noticed


def host_ns() -> int:
    """The one clock of a recording: monotonic, the same in all processes of this computer, never set back."""
    return time.monotonic_ns()


class DeviceError(OSError):
    """A device cannot be used, or no longer; the message is a sentence that says what to do."""


@dataclass(frozen=True)
class Flag:
    """Something about one sample: `kind` such as ffc, frozen, filled; `amount` such as the bytes that were filled."""

    kind: str
    amount: int = 1


@dataclass(frozen=True)
class Sample:
    """One frame or value with the times of the device's clock and of this computer's (`host_ns`), in nanoseconds."""

    data: np.ndarray | Sequence[float]
    t_device_ns: int
    t_host_ns: int
    flags: tuple[Flag, ...] = ()


@dataclass(frozen=True)
class Video:
    """Frames (H, W, 3) uint8 RGB, or (H, W, 2) uint8 as a camera's YUYV, into `video.mkv` without loss, by `codec`.

    h264 where its encoder (libx264) is part of PyAV, as in its own packages; ffv1 is smaller and slower.
    """

    name: str = "video"
    codec: str = "h264"


@dataclass(frozen=True)
class Array:
    """Arrays of one shape and type into `<name>.npy`."""

    name: str = "frames"


@dataclass(frozen=True)
class Table:
    """Rows of numbers into `<name>.csv` with `t_ns` before them; `decimals` of each number."""

    name: str
    columns: tuple[str, ...]
    decimals: int = 6


@dataclass
class Noted:
    """What a driver noticed: counts that only grow, and events (host time, kind) to be taken away."""

    counts: Counter = field(default_factory=Counter)
    events: list[tuple[int, str]] = field(default_factory=list)

    def event(self, kind: str, t_ns: int | None = None) -> None:
        """Note that `kind` happened now, or at `t_ns` of the host's clock; all but SYNC are the device's own."""
        self.events.append((host_ns() if t_ns is None else t_ns, kind))


class Device:
    """A sensor. `OPTIONS` are its settings with their defaults, `store` is the kind of file its samples go to.

    rate       samples per second that are expected; 0 where nobody knows
    silent     s without a sample after which the device counts as stopped
    restarts   whether its times go on after it was opened again
    seconds    that the recording will last; 0 where it ends when the user says so
    """

    OPTIONS: Mapping[str, Any] = {}
    store: Video | Array | Table = Array()
    rate: float = 0.0
    silent: float = 5.0
    restarts = False
    seconds: float = 0.0

    def __init__(self, options: Mapping[str, Any] | None = None):
        """`options` replace those of `OPTIONS`; ValueError for an unknown name or a value of another type."""
        self.options = checked(type(self).__name__, self.OPTIONS, options or {})
        self.noted = Noted()

    def open(self) -> None:
        """Find the hardware and make its settings; DeviceError where that fails."""
        raise NotImplementedError

    def start(self) -> None:
        """Let samples come."""
        raise NotImplementedError

    def read(self) -> list[Sample]:
        """The samples that have come, in order; waits WAIT at most. DeviceError where there will be none any more."""
        raise NotImplementedError

    def stop(self) -> None:
        """Let none come and free the hardware; may be called at any time, more than once."""
        raise NotImplementedError

    def describe(self) -> dict[str, Any]:
        """What goes into meta.json after `open`: model, settings as read back, what its clock is, known delays (ns).

        `files` (name -> contents) are written as JSON files beside the samples.
        """
        raise NotImplementedError


def checked(owner: str, known: Mapping[str, Any], given: Mapping[str, Any]) -> dict[str, Any]:
    """`known` with what is `given`; ValueError for another name, or for a value that is not of the default's type."""
    for name, value in given.items():
        if name not in known:
            raise ValueError(f"{owner} has no setting {name!r}. It has: {', '.join(known) or 'none'}.")
        default = known[name]
        number = isinstance(default, float) and isinstance(value, int) and not isinstance(value, bool)
        if default is not None and not number and type(value) is not type(default):
            raise ValueError(f"{owner}: {name} is {value!r}, where a value such as {default!r} is meant.")
    return {**known, **given}
