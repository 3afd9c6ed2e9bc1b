"""What a method takes in and how recordings become clips: plain values, no torch."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from dataset.clips.labels import Label
from dataset.signals import PULSE_WAVE

PULSE = (Label(PULSE_WAVE, required=True),)


@dataclass(frozen=True)
class Input:
    """One input of a method, a key of its samples.

    name      "video": the faces, or what `streams` names; the name of another camera; of a signal; or a name of your
              own for what `streams` names
    streams   cameras of one size that are the channels, such as ("faces", "thermal"), or signals that are the rows of
              (C, L); () : the one called `name`
    fs        rate (Hz) it is read at; None: a signal comes at the rate of the clips, a further camera at its own
    optional  a recording that lacks it gives zeros, and `has_<name>` says so; otherwise such a recording fails
    """

    name: str
    streams: tuple[str, ...] = ()
    fs: float | None = None
    optional: bool = False

    @property
    def parts(self) -> tuple[str, ...]:
        """Names of what it is made of."""
        return self.streams or (self.name,)

    @property
    def prefix(self) -> str:
        """What precedes `next_frame`, `has_next` and `stats` in a sample: nothing for "video"."""
        return "" if self.name == "video" else f"{self.name}_"


@dataclass(frozen=True)
class ClipOptions:
    """How recordings become clips.

    inputs       names, or `Input`s; the first sets the clock, so no recording can lack it: frames for "video", samples
                 for a signal (at its `fs`, else at `fs` here, else as recorded; then all recordings must agree)
    labels       what is learned; one that no recording has is left out of the samples, unless it is required
    length       frames or samples of the first input in a clip; the rest at the end of a recording is dropped.
                 None: one clip is the whole recording, whatever its length
    seconds      length in time instead; 0: `length` counts
    stride       frames or samples from the start of a clip to the start of the next; 0: its length
    fs           rate (Hz) the first input is read at; 0: as recorded
    label_type   Raw, DiffNormalized or Standardized: waves only, over the whole recording
    label_align  see `labels.align`
    pseudo       the POS signal of the whole frame in place of a measured `ppg`
    keep         says of a clip's first wave (T,) and its fs (Hz) whether the clip is used; others keep their numbers
    bands        RGB, T (thermal) or RGBT: the channels of a "video" that names no streams; those of heat are degrees
                 Celsius, float32

    ValueError for an empty or doubled name, and for lengths and rates below 0.
    """

    inputs: Sequence[Input | str] = ("video",)
    labels: Sequence[Label] = PULSE
    length: int | None = 180
    seconds: float = 0.0
    stride: int = 0
    fs: float = 0.0
    label_type: str = "Raw"
    label_align: str = "auto"
    pseudo: bool = False
    keep: Callable[[np.ndarray, float], bool] | None = None
    bands: str = "RGB"

    def __post_init__(self):
        """Names become inputs."""
        inputs = tuple(Input(one) if isinstance(one, str) else one for one in self.inputs)
        object.__setattr__(self, "inputs", inputs)
        object.__setattr__(self, "labels", tuple(self.labels))
        if not inputs:
            raise ValueError("Clips need at least one input: its samples are what a clip is counted in.")
        names = [one.name for one in (*inputs, *self.labels)]
        doubled = sorted({name for name in names if names.count(name) > 1 or not name})
        if doubled:
            raise ValueError(
                f"Two inputs or labels of a clip are called {doubled[0]!r}. Give one another name, for instance "
                f"Input('contact', streams=({doubled[0]!r},))."
            )
        if min(self.seconds, self.stride, self.fs) < 0 or (self.length is not None and self.length < 1):
            raise ValueError("Length, seconds, stride and rate of clips cannot be negative, nor a length 0.")

    def clip_length(self, fs: float) -> int | None:
        """Frames or samples of a clip at `fs` (Hz); None: all there are."""
        return max(round(self.seconds * nominal(fs)), 1) if self.seconds else self.length


def nominal(fs: float) -> float:
    """The rate (Hz) meant by a measured one: whole where it is within 0.5 % of that, otherwise to two digits."""
    return float(round(fs)) if abs(fs - round(fs)) <= 0.005 * fs else round(fs, 2)
