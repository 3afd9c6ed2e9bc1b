"""What all tests share: the path to recorded reference material, and one thread for torch.

The reference material (recorded arrays, released weights, sample videos) is not part of the repository.
`RPPG_REFERENCE` names its folder; without it, the folder `shared` beside the repository is used.
"""

import os
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any
from unittest import mock

import pytest

ROOT = Path(__file__).resolve().parent.parent
if str(ROOT) not in sys.path:
    sys.path.insert(0, str(ROOT))

# One thread per library: the tests share small machines, and sums then come out in one order.
for variable in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
    os.environ.setdefault(variable, "1")


def reference(path: str | Path) -> Path:
    """Path of a file or folder of the reference material; skips the test where it is missing."""
    folder = Path(os.environ.get("RPPG_REFERENCE") or ROOT.parent / "shared")
    found = folder / path
    if not found.exists():
        pytest.skip(f"reference material {str(path)!r} is not in {folder} (set RPPG_REFERENCE to its folder)")
    return found


def few(values: Iterable[Any], *quick: Any) -> list[Any]:
    """Parameters of which the fast tests try `quick`; the slow ones try the others."""
    return [pytest.param(one, marks=() if one in quick else pytest.mark.slow) for one in values]


@pytest.fixture(autouse=True)
def _one_torch_thread():
    """Keep torch on one thread, in the tests that have imported it."""
    torch = sys.modules.get("torch")
    if torch is not None and torch.get_num_threads() != 1:
        torch.set_num_threads(1)


@pytest.fixture(autouse=True)
def _no_local_settings():
    """Hide data roots and settings of the person who runs the tests; what a test sets (--debug) ends with it."""
    with mock.patch.dict(os.environ, {"RPPG_LOCAL": ""}):
        for variable in ("RPPG_DATA", "RPPG_CACHE", "RPPG_DEBUG"):
            os.environ.pop(variable, None)
        yield


@pytest.fixture(autouse=True, scope="module")
def _own_import_path():
    """A plug-in joins the import path of this process and of its children; it leaves both with the module's tests."""
    path = list(sys.path)
    with mock.patch.dict(os.environ):
        yield
    sys.path[:] = path


@pytest.fixture(autouse=True)
def _quiet_decoder(caplog):
    """Keep what FFmpeg logs out of reports: it names files by bytes that a report cannot carry."""
    caplog.set_level("CRITICAL", logger="libav")
