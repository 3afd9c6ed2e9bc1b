"""Which rows of a large array hold NaN: read once from end to end, then known."""

import contextlib
import json
from pathlib import Path

import numpy as np

from dataset.files.reading import is_there, open_array, read_json
from dataset.files.writing import write_whole

BLOCK = 1 << 24  # bytes read at once
KNOWN = ".finite.json"  # behind the name of the array: what was found, and of which state of the file


def unfinished_rows(path: str | Path) -> np.ndarray:
    """Numbers (m,) int64 of the rows of the array (n, ...) at `path` with NaN or infinite samples.

    The array is read in blocks when it is new or has changed; what was found is kept beside it, where one may write.
    ValueError for a damaged file.
    """
    path = Path(path)
    known = path.with_name(path.name + KNOWN)
    state = path.stat()
    made = {"size": state.st_size, "changed": state.st_mtime_ns}
    if is_there(known):
        with contextlib.suppress(ValueError, OSError, TypeError, KeyError):
            stored = read_json(known)
            if {key: stored[key] for key in made} == made:
                return np.array(stored["rows"], dtype=np.int64)
    rows = scan(path)
    with contextlib.suppress(OSError):  # a folder that nobody may write to is looked through again
        write_whole(known, json.dumps({**made, "rows": rows.tolist()}) + "\n")
    return rows


def scan(path: Path) -> np.ndarray:
    """The same, read anew."""
    array = open_array(path)
    if array.dtype.kind != "f":
        return np.empty(0, dtype=np.int64)
    width = int(np.prod(array.shape[1:]))
    step = max(1, BLOCK // max(width * array.dtype.itemsize, 1))
    found = []
    with path.open("rb") as file:  # not the map, which would fill the memory
        file.seek(array.offset)
        buffer = np.empty((step, width), dtype=array.dtype)
        for start in range(0, len(array), step):
            block = buffer[: min(step, len(array) - start)]
            if file.readinto(memoryview(block).cast("B")) < block.nbytes:
                raise ValueError(f"'{path}' ends before its last row. Copy or download it again.")
            with np.errstate(over="ignore", invalid="ignore"):
                suspects = np.flatnonzero(~np.isfinite(block.sum(axis=1)))  # a sum may overflow: looked at closely
            found += [start + row for row in suspects if not np.isfinite(block[row]).all()]
    return np.array(found, dtype=np.int64)
