"""Triangles to pixels: which triangle is seen where, and how to carry values of vertices there."""

from dataclasses import dataclass

import numpy as np

_AT_ONCE = 3_000_000  # pixels looked at together, which bounds the memory


@dataclass(frozen=True)
class Raster:
    """What is seen in a picture (H, W)."""

    faces: np.ndarray  # (F, 3) vertex numbers
    face: np.ndarray  # (H, W) number of the triangle, -1 for none
    shares: np.ndarray  # (H, W, 3) barycentric coordinates
    depth: np.ndarray  # (H, W) of the surface, larger is nearer; -inf for none

    @property
    def seen(self) -> np.ndarray:
        """(H, W) bool: where there is a triangle."""
        return self.face >= 0

    def spread(self, values: np.ndarray) -> np.ndarray:
        """(H, W[, C]) float32 of `values` (V[, C]) at the vertices; 0 where nothing is seen."""
        values = np.asarray(values, np.float32)
        found = np.zeros(self.face.shape + values.shape[1:], np.float32)
        seen = self.seen
        corners = values[self.faces[self.face[seen]]]
        found[seen] = np.einsum("nk,nk...->n...", self.shares[seen], corners)
        return found


def rasterise(points: np.ndarray, faces: np.ndarray, size: tuple[int, int]) -> Raster:
    """Draw triangles `faces` (F, 3) between `points` (V, 3): x, y in pixels and depth, larger is nearer.

    Pixel (row, column) is asked at x = column, y = row. Of a closed surface only what faces the camera is drawn:
    triangles whose corners run against the clock on the screen (y down), which is outwards in a Wavefront mesh.
    """
    width, height = size
    corners = points[faces].astype(np.float64)
    area = _cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    low = np.ceil(corners[..., :2].min(axis=1)).astype(int).clip(0)
    high = np.floor(corners[..., :2].max(axis=1)).astype(int)
    high = np.minimum(high, [width - 1, height - 1])
    spans = (high - low + 1).clip(0)
    counts = spans.prod(axis=1) * (area < -1e-12)
    face = np.full(width * height, -1, np.int32)
    depth = np.full(width * height, -np.inf)
    shares = np.zeros((width * height, 3), np.float32)
    for some in _portions(counts):
        index = np.repeat(some, counts[some])
        step = np.arange(len(index)) - np.repeat(np.cumsum(counts[some]) - counts[some], counts[some])
        x = low[index, 0] + step % spans[index, 0]
        y = low[index, 1] + step // spans[index, 0]
        here = np.stack([x, y], axis=1)
        a, b, c = (corners[index, k, :2] - here for k in range(3))
        parts = np.stack([_cross(b, c), _cross(c, a), _cross(a, b)], axis=1) / area[index][:, None]
        near = (parts * corners[index, :, 2]).sum(axis=1)
        place = y * width + x
        inside = (parts >= -1e-9).all(axis=1) & (near > depth[place])
        order = np.flatnonzero(inside)[np.argsort(near[inside], kind="stable")]  # of several, the nearest comes last
        face[place[order]], depth[place[order]], shares[place[order]] = index[order], near[order], parts[order]
    shape = (height, width)
    return Raster(faces, face.reshape(shape), shares.reshape(*shape, 3), depth.reshape(shape))


def _cross(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    return a[..., 0] * b[..., 1] - a[..., 1] * b[..., 0]


def _portions(counts: np.ndarray) -> list[np.ndarray]:
    """Numbers of the triangles that are drawn, in portions of about `_AT_ONCE` pixels."""
    drawn = np.flatnonzero(counts)
    if not len(drawn):
        return []
    part = np.cumsum(counts[drawn]) // _AT_ONCE
    return np.split(drawn, np.flatnonzero(np.diff(part)) + 1)
