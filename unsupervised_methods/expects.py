"""What a network expects of the videos it reads: plain values that go with its weights, also inside an ONNX file."""

import json
import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from dataset.clips.labels import LABEL_TYPES
from dataset.clips.without_torch import DATA_TYPES

FORMAT = 1  # of the description; another number is another toolbox's
MOST_FRAMES, LONGEST_SIDE, HIGHEST_RATE, LARGEST_BOX = 4096, 512, 1000.0, 10.0
MOST_VALUES = 1 << 27  # in a clip of float32: half a gigabyte
USUAL_BOX = 1.5  # what rPPG-Toolbox's networks were trained on
NEAR = 0.25  # a recording whose rate differs by no more is read as it is; networks learn from 25 to 35 per second


class ExpectsError(ValueError):
    """A description that cannot be meant; the message says what is wrong with it."""


@dataclass(frozen=True)
class Expects:
    """What goes in and what comes out.

    method      that made it                  frames      of a clip                   size   (H, W) pixels
    data_types  Raw, DiffNormalized, Standardized, side by side on the channel axis   channels  of all of them together
    label_type  that the wave was trained on: DiffNormalized is summed up before a rate is read
    fs          frames per second it was trained at; 0: not known, recordings are read as they are
    box         factor of the detected face box; 0: the whole picture
    shortest    frames of the shortest clip it takes; 0: clips have `frames` exactly
    grid        cells along each side of the picture, whose mean colours are all that it reads; 0: it reads pixels
    """

    method: str
    frames: int
    size: tuple[int, int]
    data_types: tuple[str, ...]
    channels: int
    label_type: str
    fs: float = 0.0
    box: float = USUAL_BOX
    shortest: int = 0
    grid: int = 0

    def __post_init__(self) -> None:
        """ExpectsError for values that no network of ours has."""
        if problem := self._problem():
            raise ExpectsError(problem)

    def _problem(self) -> str:
        if not (self.method and self.method.isprintable() and len(self.method) <= 100):
            return "its method has no name"
        if not 1 <= self.frames <= MOST_FRAMES or not all(1 <= side <= LONGEST_SIDE for side in self.size):
            return f"clips of {self.frames} frames of {self.size[1]}x{self.size[0]} pixels"
        if not self.data_types or not set(self.data_types) <= set(DATA_TYPES) or self.label_type not in LABEL_TYPES:
            return f"representation {'+'.join(self.data_types)}, labels {self.label_type}"
        if self.channels != 3 * len(self.data_types):
            return f"{self.channels} channels of {'+'.join(self.data_types)}, where a colour video has 3 each"
        if self.channels * self.frames * math.prod(self.size) > MOST_VALUES:
            return f"clips of {self.channels * self.frames * math.prod(self.size)} values"
        if not 0 <= self.shortest <= self.frames:
            return f"clips of at least {self.shortest} and at most {self.frames} frames"
        if not 0 <= self.grid <= min(self.size):
            return f"a grid of {self.grid} cells in {self.size[1]}x{self.size[0]} pixels"
        if not (self.fs == 0 or 1 <= self.fs <= HIGHEST_RATE) or not 0 <= self.box <= LARGEST_BOX:
            return f"{self.fs} frames per second, face box x {self.box}"
        return ""

    @property
    def shape(self) -> tuple[int, int, int, int]:
        """(C, T, H, W) of a clip."""
        return self.channels, self.frames, *self.size

    def length_for(self, count: int) -> int:
        """Frames of the clips that a recording of `count` is read in."""
        return count if self.shortest <= count < self.frames and self.shortest else self.frames

    def rate_for(self, fs: float) -> float:
        """At how many frames per second a recording of `fs` is read; 0: as it is."""
        return self.fs if self.fs and abs(fs / self.fs - 1) > NEAR else 0.0

    def crop(self) -> list[tuple[str, Any]]:
        """Which part of the picture it reads and at what size, as keys of a PREPROCESS node and their values."""
        keys = [("RESIZE", {"W": self.size[1], "H": self.size[0]}), ("CROP_FACE.DO_CROP_FACE", self.box > 0)]
        if self.box > 0:
            keys += [("CROP_FACE.USE_LARGE_FACE_BOX", self.box != 1), ("CROP_FACE.LARGE_BOX_COEF", self.box)]
        return keys

    def text(self) -> str:
        """As JSON."""
        return json.dumps({"format": FORMAT, **asdict(self)})

    @classmethod
    def of_text(cls, text: str) -> "Expects":
        """What `text` wrote; ExpectsError for anything else."""
        try:
            found = json.loads(text)
            if found.pop("format") != FORMAT:
                raise ExpectsError("a description of another version")
            return cls.of(found)
        except ExpectsError:
            raise
        except (ValueError, TypeError, KeyError, AttributeError, OverflowError, RecursionError) as error:
            raise ExpectsError(f"no description that can be read ({type(error).__name__})") from None

    @classmethod
    def of(cls, found: Mapping[str, Any]) -> "Expects":
        """From plain values; TypeError, ValueError or KeyError for others."""
        height, width = found["size"]
        return cls(
            str(found["method"]), int(found["frames"]), (int(height), int(width)),
            tuple(str(name) for name in found["data_types"]), int(found["channels"]), str(found["label_type"]),
            float(found["fs"]), float(found["box"]), int(found.get("shortest", 0)),
            int(found.get("grid", 0)),
        )  # fmt: skip


def box_of(crop: Mapping[str, Any]) -> float:
    """The factor of the face box that a CROP_FACE node asks for, by default the usual one; 0: the whole picture."""
    if not crop.get("DO_CROP_FACE", True):
        return 0.0
    return float(crop.get("LARGE_BOX_COEF", USUAL_BOX)) if crop.get("USE_LARGE_FACE_BOX", True) else 1.0
