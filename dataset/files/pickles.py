"""Pickles of strangers: containers, numbers, text and arrays are read, whatever else could run code is refused."""

import pickle
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, BinaryIO

from dataset.files.reading import AGAIN, require_file, told

LARGEST = 1 << 33  # bytes: two hours of a chest belt at 700 Hz have a tenth of it


class RestrictedUnpickler(pickle.Unpickler):
    """Knows the names in `allowed`, each given by a function; every other name in the file is refused."""

    def __init__(self, file: BinaryIO, allowed: Mapping[tuple[str, str], Callable[[], Any]], what: str, **options: Any):
        """`what` the file should be, as in "a prediction"; `options` as of pickle.Unpickler."""
        super().__init__(file, **options)
        self.allowed, self.what = allowed, what

    def find_class(self, module: str, name: str) -> Any:
        """What is allowed; UnpicklingError for anything else."""
        if (module, name) in self.allowed:
            return self.allowed[module, name]()
        raise pickle.UnpicklingError(f"it holds {module}.{name}, which is not part of {self.what} and could run code.")


def read_pickle(path: str | Path, what: str = "a recording", encoding: str = "latin1") -> Any:
    """The content of a pickle of arrays, of Python 2 too; FileNotFoundError, or ValueError that names the file.

    An object inside an array is read by the same rules.
    """
    path = require_file(path, LARGEST)
    try:
        with path.open("rb") as file:
            return RestrictedUnpickler(file, ARRAYS, what, encoding=encoding).load()
    except pickle.UnpicklingError as error:
        raise ValueError(f"'{path}' is refused: {told(error)} {AGAIN}") from None
    except MemoryError:
        raise ValueError(f"'{path}' asks for more memory than there is. {AGAIN}") from None
    except Exception as error:  # a damaged pickle raises nearly anything
        raise ValueError(f"'{path}' cannot be read as a pickle: {told(error)}. {AGAIN}") from None


def _of_numpy(name: str) -> Callable[[], Any]:
    def give() -> Any:
        import numpy

        return getattr(numpy, name)

    return give


def _inner(name: str) -> Callable[[], Any]:
    def give() -> Any:
        try:
            from numpy._core import multiarray
        except ImportError:  # numpy 1
            from numpy.core import multiarray

        return getattr(multiarray, name)

    return give


def _encode() -> Any:
    import _codecs

    return _codecs.encode


def _from_buffer() -> Any:
    try:
        from numpy._core import numeric
    except ImportError:  # numpy 1
        from numpy.core import numeric

    return numeric._frombuffer


ARRAYS: dict[tuple[str, str], Callable[[], Any]] = {
    ("numpy", "ndarray"): _of_numpy("ndarray"),
    ("numpy", "dtype"): _of_numpy("dtype"),
    ("_codecs", "encode"): _encode,  # bytes of Python 3 in a pickle that Python 2 can read
    ("numpy.core.numeric", "_frombuffer"): _from_buffer,
    ("numpy._core.numeric", "_frombuffer"): _from_buffer,
    **{
        (module, name): _inner(name)
        for module in ("numpy.core.multiarray", "numpy._core.multiarray")
        for name in ("_reconstruct", "scalar")
    },
}
