"""A small multimodal set for tests, made once per process and copied."""

import functools
import shutil
import tempfile
from pathlib import Path

from dataset.multimodal.align import align
from dataset.multimodal.layout import sessions
from dataset.multimodal.simulate import Setup, write_set


@functools.lru_cache(maxsize=1)
def _made() -> Path:
    folder = Path(tempfile.mkdtemp(prefix="multimodal_")) / "set"
    write_set(folder, Setup(seconds=24.0, size=(128, 96), heat_size=(40, 30)), subjects=1)
    return folder


def small_set(tmp_path: Path) -> Path:
    """A set of one recording of 24 s, of the caller's own."""
    return Path(shutil.copytree(_made(), tmp_path / "set"))


@functools.lru_cache(maxsize=1)
def _aligned() -> Path:
    folder = Path(tempfile.mkdtemp(prefix="multimodal_")) / "set"
    shutil.copytree(_made(), folder)
    for session in sessions(folder):
        align(session)
    return folder


def aligned_set(tmp_path: Path) -> Path:
    """The same, aligned."""
    return Path(shutil.copytree(_aligned(), tmp_path / "aligned"))
