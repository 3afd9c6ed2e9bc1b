"""Who measures frames as they come: classical methods together, or a network that reads a face as a grid of colours.

Both say which part of the face box they want, which mean colours of its pixels are kept, and what these say: the answer
and the wave of a recording that was there as a whole.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from types import SimpleNamespace
from typing import Protocol

import numpy as np

from dataset.files.names import shown
from dataset.store.statistics import Stats
from evaluation.consensus import VOTERS, Answer
from evaluation.evaluate import whole_wave
from evaluation.post_process import in_band
from evaluation.settings import Settings
from registry import UNSUPERVISED
from unsupervised_methods.door import answer_of
from unsupervised_methods.expects import NEAR
from unsupervised_methods.live.rolling import cells, mean
from unsupervised_methods.measure import Sample, even, predict
from unsupervised_methods.methods.pos import overlap
from unsupervised_methods.network import Network, network_answers, wave_of
from unsupervised_methods.onnx_file import OnnxNetwork

INNER = 0.7  # of the face box, as for videos: neither hair nor background
WAVE = "POS"  # the wave of classical methods
Band = tuple[float, float]


@dataclass(frozen=True)
class Seen:
    """The colours (T, n, 3) of the last seconds at `times` (T,) s; `coverage`: share of the looks that found a face."""

    times: np.ndarray
    colours: np.ndarray
    coverage: float | None = None

    @property
    def fs(self) -> float:
        """Frames per second."""
        return 1 / float(np.median(np.diff(self.times)))

    @property
    def sample(self) -> Sample:
        """The first of the colours as a recording."""
        return Sample("live", "live", self.colours[:, 0], self.fs, self.times - self.times[0], coverage=self.coverage)


class Voter(Protocol):
    """`name` of who made the wave; `box`: factor of the face box that is measured.

    `reach`: s of colours from which a wave is worked out; `every`: s between two that are shown. The wave is filtered,
    and rises as the blood does. Its end still changes when more colours come.
    """

    name: str
    box: float
    reach: float
    every: float

    def colours(self, pixels: np.ndarray) -> np.ndarray:
        """The mean colours (n, 3) that are kept of `pixels` (h, w, 3); the first is that of the inner face."""

    def answer(self, seen: Seen, how: Settings) -> Answer:
        """What is said of the last seconds."""

    def wave(self, seen: Seen, how: Settings) -> tuple[np.ndarray, np.ndarray] | None:
        """Times (L,) in s since the first colour and the wave (L,); None where there is none. ValueError likewise."""


class Classical:
    """Classical methods, by default those that vote; the wave is that of POS."""

    name, box = WAVE, INNER
    reach, every = 10.0, 0.06  # the filter wants some seconds before what is shown

    def __init__(self, methods: Sequence[str] = VOTERS):
        """KeyError for a name that is none."""
        self._methods = {name: UNSUPERVISED[name] for name in methods}

    def colours(self, pixels: np.ndarray) -> np.ndarray:
        """The mean alone."""
        return mean(pixels)[None]

    def answer(self, seen: Seen, how: Settings) -> Answer:
        """As for a video."""
        return answer_of(seen.sample, how, tuple(self._methods))

    def wave(self, seen: Seen, how: Settings) -> tuple[np.ndarray, np.ndarray] | None:
        """Turned over: POS rises where the skin gets brighter."""
        sample, band = even(seen.sample), how.exact.band
        pulse, problem = predict(UNSUPERVISED[WAVE], sample.trace, sample.fs, band)
        if problem:
            return None
        return sample.times, -in_band(pulse * _fewer(len(pulse), sample.fs, band), sample.fs, band)


class OfNetwork:
    """A network that reads a grid of colours; as for a video, the classical methods beside it may doubt it."""

    every = 0.12  # twice as long: its wave takes several times the work

    def __init__(self, network: Network):
        """ValueError for a network that reads pixels, or pictures without a face box: they are not kept."""
        grid, expects = network.expects.grid, network.expects
        if not grid or expects.data_types != ("Raw",) or not expects.box:
            raise ValueError(
                f"--live keeps a few mean colours of each picture, and {shown(network.name)} reads pixels. Name a "
                "network that reads such colours, as GridPulse does (of an .onnx file: export it again), or measure "
                "with --video."
            )
        self.name, self.box, self._grid = shown(network.name), expects.box, grid
        clip = expects.frames / (expects.fs or 30.0)
        self.reach = 0.97 * clip if expects.shortest else clip / (1 - NEAR)  # one clip, or enough for one
        self._network = _Cells(network)

    def colours(self, pixels: np.ndarray) -> np.ndarray:
        """The mean of the inner face, and below it those of the cells, row by row."""
        height, width = pixels.shape[:2]
        y, x = (round(size * max(0.0, 1 - INNER / self.box) / 2) for size in (height, width))
        inner = pixels[y : max(height - y, y + 1), x : max(width - x, x + 1)]
        return np.vstack([mean(inner), cells(pixels, self._grid).reshape(-1, 3)])

    def answer(self, seen: Seen, how: Settings) -> Answer:
        """As for a video: how sure it is of its wave is a factor of the confidence."""
        sample = seen.sample
        prepared = SimpleNamespace(entry=lambda _: self._entry(seen))
        return network_answers(self._network, prepared, [sample], how, [answer_of(sample, how)])[0]

    def wave(self, seen: Seen, how: Settings) -> tuple[np.ndarray, np.ndarray] | None:
        """Filtered as for its answer."""
        times, wave, _, problem = whole_wave(
            wave_of(self._network, self._entry(seen), silent=True), replace(how.exact, min_seconds=0.0)
        )
        return None if problem else (times, wave)

    def _entry(self, seen: Seen) -> SimpleNamespace:
        """The cells as a recording of the cache whose pictures they are."""
        faces = seen.colours[:, 1:].reshape(-1, self._grid, self._grid, 3).astype(np.float32)
        return SimpleNamespace(
            id="live", subject="live", info={}, faces=faces, fs=seen.fs, times=seen.times - seen.times[0],
            stats=Stats(0.0, 0.0, 0.0),
        )  # fmt: skip


class _Cells:
    """A network, given the cells in place of the pictures of which it reads their means alone."""

    def __init__(self, network: Network):
        """Of a network with a grid."""
        self._network, grid = network, network.expects.grid
        self.name, self.expects = network.name, replace(network.expects, size=(grid, grid))
        size = network.expects.size if isinstance(network, OnnxNetwork) else (grid, grid)  # a file reads one size alone
        self._places = [np.arange(side) * grid // side for side in size]

    def __call__(self, video: np.ndarray) -> np.ndarray:
        """Cells (B, 3, T, grid, grid) -> what the network says of pictures (B, 3, T, H, W) made of them."""
        rows, columns = self._places
        return self._network(video[..., rows, :][..., columns])


def _fewer(length: int, fs: float, band: Band) -> np.ndarray:
    """By what each sample (length,) of POS has to grow: fewer of its windows lie over the first and the last ones."""
    size = min(overlap(fs, band), length)
    over = np.minimum(np.arange(1, length + 1), np.arange(length, 0, -1))
    return size / np.minimum(over, size)
