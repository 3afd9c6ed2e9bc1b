"""GridPulse on frames as they come: the wave a little later, in bounded time and memory.

Of each frame the means of the grid's cells are kept, for the last few seconds. Twice a second they are brought to even
times and read anew; of what the network finds, the part is given out that was not yet and has enough frames after it: a
convolution that looks ahead has to wait. So each sample of the wave is given once, and none is changed afterwards.
"""

from collections import deque
from dataclasses import dataclass

import numpy as np
import torch

from neural_methods.model.grid_pulse import RATE, GridPulse, means

SECONDS = 10.0  # of colours that are kept and read at once
LEAST = 4.0  # s of colours before anything is read
# s by which the wave comes after its frames. The convolutions look 4.2 s ahead, but waiting for all of that did not
# bring the waves of 40 windows of 30 s nearer to the true ones: mean correlation 0.765, at 2 s 0.768, at 1 s 0.764.
LATE = 2.0
EVERY = 0.5  # s between two readings
GAP = 1.0  # s between two frames after which the ones before say nothing
MOST = round(SECONDS * 240)  # frames that are kept: of a camera of 240 per second


@dataclass(frozen=True)
class Piece:
    """New samples of the wave (L,), of unit spread where they were read, at `times` (L,) in s; `sure`: 0 to 1."""

    times: np.ndarray
    wave: np.ndarray
    sure: float


class GridStream:
    """Faces in, pieces of the wave out. `network`: with its weights, as it was built."""

    def __init__(self, network: GridPulse):
        """No frame yet."""
        self._network = network.eval()
        self._kept: deque[tuple[float, np.ndarray]] = deque(maxlen=MOST)
        self._start_anew()

    def push(self, time: float, face: np.ndarray) -> Piece | None:
        """Take the pixels of a face (H, W, 3), RGB in any scale, of `time` (s); what is new of the wave, often nothing.

        ValueError for another kind of picture, and for a time that is not later than the one before.
        """
        if face.ndim != 3 or face.shape[2] != 3 or not face.size:
            raise ValueError(f"A face is (H, W, 3), this one is {face.shape}.")
        last = self._kept[-1][0] if self._kept else -np.inf
        if not (np.isfinite(time) and time > last):
            raise ValueError(f"A frame at {time} s after one at {last} s: times must grow.")
        if time - last > GAP:
            self._start_anew()
        self._kept.append((time, self._cells(face)))
        while self._kept[0][0] < time - SECONDS:
            self._kept.popleft()
        if time - self._kept[0][0] < LEAST or time < self._due:
            return None
        self._due = time + EVERY
        return self._read(time)

    def _start_anew(self) -> None:
        self._kept.clear()
        self._due = self._given = -np.inf

    def _cells(self, face: np.ndarray) -> np.ndarray:
        """The means (3, grid, grid) of a face's cells."""
        rows, columns = (means(size, self._network.grid).numpy() for size in face.shape[:2])
        return np.einsum("rh,hwc,kw->crk", rows, face.astype(np.float32), columns)

    @torch.no_grad()
    def _read(self, now: float) -> Piece | None:
        """What the network finds in the kept frames, of the times that are new and late enough."""
        own = np.array([time for time, _ in self._kept])
        first, last = np.ceil(own[0] * RATE), np.floor(own[-1] * RATE)
        times = np.arange(first, last + 1) / RATE  # the same ones in each reading
        flat = np.array([cells.ravel() for _, cells in self._kept])
        even = np.stack([np.interp(times, own, one) for one in flat.T]).astype(np.float32)
        grid = self._network.grid
        video = torch.from_numpy(even.reshape(3, grid, grid, -1)).permute(0, 3, 1, 2)[None]
        wave, quality = (one[0].numpy() for one in self._network(video))
        new = (times > self._given) & (times <= now - LATE)
        if not new.any():
            return None
        self._given = times[new][-1]
        return Piece(times[new], wave[new] / (wave.std() or 1.0), float(1 / (1 + np.exp(-quality.mean()))))
