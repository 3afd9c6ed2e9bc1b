"""What the painters of a head share: its surface as seen from the front, noise, soft masks.

The canvas has `density` pixels for each pixel of the photograph that the other faces are made of, and the eyes and the
mouth lie where that photograph has them, so that all that is known about places in a face holds for both.
"""

from dataclasses import dataclass
from functools import cached_property

import cv2
import numpy as np

from dataset.synthetic.people.identity import Identity
from dataset.synthetic.people.mesh import Mesh, eyeball, load_mesh, normals, shaped
from dataset.synthetic.people.raster import Raster, rasterise

FIT = 0.84  # size in the frame: face detectors draw wider boxes about these heads than about the photographed one
ORIGIN = (220.0, 145.0)  # of the face's centre on the canvas, in units of the photograph's pixels
SIZE = (440, 340)  # width and height in the same units
_EYES_Y, _EYES_APART, _EYES_TO_MOUTH = -11.0, 45.5, 44.5
_MOUTH_CORNERS = 6.61  # height (dm) of the mouth in the base mesh, where its surface is at
_CAMERA = 6.5  # dm from the eyes to the camera


@dataclass(frozen=True)
class Canvas:
    """The surface of one head; maps (H, W[, C]) float32."""

    identity: Identity
    density: int  # pixels for one of the photograph
    mesh: Mesh
    vertices: np.ndarray  # (V, 3) dm, of this head

    @property
    def size(self) -> tuple[int, int]:
        """Width and height in pixels."""
        return SIZE[0] * self.density, SIZE[1] * self.density

    @cached_property
    def _view(self) -> tuple[np.ndarray, float]:
        """Point between the eyes (3,), and canvas pixels per dm there."""
        left, right = (eyeball(self.vertices, side)[0] for side in "lr")
        base = self.mesh.vertices
        mouth = self.vertices[np.argmin(np.abs(base - [0, _MOUTH_CORNERS, 1.45]).sum(axis=1))]
        middle = (left + right) / 2
        wide, high = left[0] - right[0], middle[1] - mouth[1]
        return middle, self.density * (_EYES_APART / wide + _EYES_TO_MOUTH / high) / 2

    def project(self, points: np.ndarray) -> np.ndarray:
        """(N, 3): x, y on the canvas and depth in its pixels, larger is nearer, of `points` (N, 3) in dm."""
        middle, scale = self._view
        offset = (points - middle) * scale
        near = _CAMERA * scale / (_CAMERA * scale - offset[:, 2])
        x = ORIGIN[0] * self.density + offset[:, 0] * near
        y = (ORIGIN[1] + _EYES_Y) * self.density - offset[:, 1] * near
        return np.stack([x, y, offset[:, 2]], axis=1)

    @cached_property
    def body(self) -> Raster:
        """The bare head."""
        return rasterise(self.project(self.vertices), self.mesh.faces, self.size)

    @cached_property
    def rest(self) -> np.ndarray:
        """(H, W, 3) where the pixel's skin lies on the base mesh (dm): places in a face, whatever its shape."""
        return self.body.spread(self.mesh.vertices)

    @cached_property
    def normal(self) -> np.ndarray:
        """(H, W, 3) direction of the surface: x to the right, y up, z to the camera."""
        return unit(self.body.spread(normals(self.vertices, self.mesh.faces)))

    @cached_property
    def offsets(self) -> tuple[np.ndarray, np.ndarray]:
        """(H, W) each: distance right and down of the face's centre, in the photograph's pixels."""
        width, height = self.size
        x = np.arange(width, dtype=np.float32) / self.density - ORIGIN[0]
        y = np.arange(height, dtype=np.float32) / self.density - ORIGIN[1]
        return tuple(np.meshgrid(x, y))

    def random(self, stream: int) -> np.random.Generator:
        """A generator of this person, for one purpose."""
        return np.random.default_rng([*self.identity.seed, stream])

    def blurred(self, values: np.ndarray, sigma: float) -> np.ndarray:
        """`values` (H, W[, C]) blurred over `sigma` of the photograph's pixels."""
        return blurred(values, sigma * self.density)

    def noise(self, rng: np.random.Generator, sigma: float) -> np.ndarray:
        """(H, W) noise of standard deviation 1, smooth over `sigma` of the photograph's pixels."""
        return noise(rng, self.size[::-1], sigma * self.density)


def make_canvas(identity: Identity, density: int) -> Canvas:
    """The head of `identity` with `density` pixels for one of the photograph."""
    return Canvas(identity, density, load_mesh(), shaped(identity.shapes))


def noise(rng: np.random.Generator, shape: tuple[int, int], sigma: float) -> np.ndarray:
    """Noise (H, W) float32 of standard deviation 1, smooth over `sigma` pixels."""
    step = max(1, int(sigma / 2))
    small = tuple(-(-side // step) + 2 for side in shape)
    field = cv2.GaussianBlur(rng.standard_normal(small, dtype=np.float32), (0, 0), max(sigma / step, 0.3))
    field /= field.std() + 1e-9
    if step == 1:
        return np.ascontiguousarray(field[: shape[0], : shape[1]])
    return cv2.resize(field, shape[::-1], interpolation=cv2.INTER_CUBIC)


def drawn_out(
    rng: np.random.Generator, shape: tuple[int, int], sigma: float, across: np.ndarray, along: np.ndarray
) -> np.ndarray:
    """(H, W) noise of standard deviation 1 as strands: pixels of a texture of `shape` at `across`, `along` (H, W)."""
    fine = cv2.GaussianBlur(rng.standard_normal(shape, dtype=np.float32), (0, 0), sigma)
    columns, rows = (np.float32(np.mod(at, side - 1)) for at, side in ((across, shape[1]), (along, shape[0])))
    return cv2.remap(fine / fine.std(), columns, rows, cv2.INTER_LINEAR, borderMode=cv2.BORDER_WRAP)


def ramp(values: np.ndarray, zero: float, one: float) -> np.ndarray:
    """0 at `zero`, 1 at `one`, smooth between."""
    share = np.clip((values - zero) / (one - zero), 0, 1).astype(np.float32)
    return share * share * (3 - 2 * share)


def halfway(direction: np.ndarray) -> np.ndarray:
    """Unit vector (3,) between a lamp's `direction` (3,) and the camera's: a surface that faces it shines."""
    return unit(direction + np.array([0, 0, 1], np.float32))


def unit(vectors: np.ndarray) -> np.ndarray:
    """`vectors` (..., 3) at length 1; zeros stay."""
    return vectors / (np.linalg.norm(vectors, axis=-1, keepdims=True) + 1e-9)


def blurred(values: np.ndarray, sigma: float) -> np.ndarray:
    """Gaussian blur over `sigma` pixels; wide ones at a lower resolution."""
    if sigma < 8:
        return cv2.GaussianBlur(values, (0, 0), sigma)
    step = int(sigma // 4)
    height, width = values.shape[:2]
    small = cv2.resize(values, (-(-width // step), -(-height // step)), interpolation=cv2.INTER_AREA)
    return cv2.resize(cv2.GaussianBlur(small, (0, 0), sigma / step), (width, height), interpolation=cv2.INTER_LINEAR)


def mix(below: np.ndarray, above: np.ndarray, share: np.ndarray) -> np.ndarray:
    """`above` (..., 3) over `below` where `share` (...) is 1."""
    return below + (np.float32(above) - below) * share[..., None]
