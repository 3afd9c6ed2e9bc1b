"""GridPulse on frames as they come: the wave a little later, in bounded time and memory.

Of each frame the means of the grid's cells are kept, for the last few seconds. Twice a second they are brought to even
times and read anew; of what the network finds, the part is given out that was not yet and has enough frames after it: a
convolution that looks ahead has to wait. So each sample of the wave is given once, and none is changed afterwards.
"""

from dataclasses import dataclass

import numpy as np
import torch

from neural_methods.model.grid_pulse import RATE, GridPulse
from neural_methods.settings import one_thread
from unsupervised_methods.live.rolling import Rolling, cells, require_later

SECONDS = 10.0  # of colours that are kept and read at once
LEAST = 4.0  # s of colours before anything is read
# s by which the wave comes after its frames. The convolutions look 4.2 s ahead, but waiting for all of that brings the
# wave no nearer to the true one: measured in docs/own_weights.md.
LATE = 2.0
EVERY = 0.5  # s between two readings


@dataclass(frozen=True)
class Piece:
    """New samples of the wave (L,), of unit spread where they were read, at `times` (L,) in s; `sure`: 0 to 1."""

    times: np.ndarray
    wave: np.ndarray
    sure: float


class GridStream:
    """Faces in, pieces of the wave out. `network`: with its weights, as it was built. `late`, `seconds`: as above."""

    def __init__(self, network: GridPulse, late: float = LATE, seconds: float = SECONDS):
        """No frame yet."""
        self._network, self._late = network.eval(), late
        self._kept = Rolling(seconds)
        self._due = self._given = -np.inf

    def push(self, time: float, face: np.ndarray) -> Piece | None:
        """Take the pixels of a face (H, W, 3), RGB in any scale, of `time` (s); what is new of the wave, often nothing.

        ValueError for another kind of picture, and for a time that is not later than the one before.
        """
        if face.ndim != 3 or face.shape[2] != 3 or not face.size:
            raise ValueError(f"A face is (H, W, 3), this one is {face.shape}.")
        require_later(time, self._kept.last)
        if self._kept.breaks(time):
            self._due = self._given = -np.inf
        self._kept.add(time, cells(face, self._network.grid))
        if self._kept.seconds < LEAST or time < self._due:
            return None
        self._due = time + EVERY
        return self._read(time)

    @torch.no_grad()
    def _read(self, now: float) -> Piece | None:
        """What the network finds in the kept frames, of the times that are new and late enough."""
        times, even = self._kept.even(RATE)
        with one_thread():
            found = self._network(torch.from_numpy(even).permute(3, 0, 1, 2)[None])
        wave, quality = (one[0].numpy() for one in found)
        new = (times > self._given) & (times <= now - self._late)
        if not new.any():
            return None
        self._given = times[new][-1]
        return Piece(times[new], wave[new] / (wave.std() or 1.0), float(1 / (1 + np.exp(-quality.mean()))))
