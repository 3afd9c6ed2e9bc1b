"""Lists of rPPG-Toolbox name chunks of their cache, and no file elsewhere."""

import os

import pytest

from dataset.prepare import legacy, splits
from tests.damage_others import write_list
from tests.test_legacy import write_chunk


@pytest.fixture
def cache(tmp_path):
    """A cache of one chunk, and a chunk of somebody else beside it."""
    write_chunk(tmp_path / "root" / "exp", "p", 0)
    write_chunk(tmp_path / "other", "secret", 0)
    return tmp_path / "root" / "exp"


def test_files_elsewhere_are_refused(cache, tmp_path):
    """By absolute names, by dots, and through a link to a folder; the remedy names CACHED_PATH."""
    os.symlink(tmp_path / "other", cache / "linked")
    for name in (tmp_path / "other", cache / ".." / ".." / "other", cache / "linked"):
        names = [cache / "p_input0.npy", name / "secret_input0.npy"]
        with pytest.raises(splits.SplitError, match="1 file.*secret_input0.npy'.*set CACHED_PATH to"):
            legacy.read_list(write_list(tmp_path / "l.csv", names), cache)
    listed = write_list(tmp_path / "l.csv", [tmp_path / "other" / "secret_input0.npy"])
    assert len(legacy.read_list(listed, tmp_path / "other")) == 1


def test_a_cache_beside_it_in_the_same_root_is_read(cache, tmp_path):
    """A list made for other settings lies in the same CACHED_PATH."""
    write_chunk(tmp_path / "root" / "exp2", "q", 0)
    listed = write_list(tmp_path / "l.csv", [tmp_path / "root" / "exp2" / "q_input0.npy"])
    assert legacy.read_list(listed, cache, tmp_path / "root")[0].path.is_file()


def test_what_has_moved_is_taken_from_the_cache(cache, tmp_path):
    """A chunk of the same name elsewhere is an older copy, or somebody else's."""
    write_chunk(tmp_path / "other", "p", 0)
    (line,) = legacy.read_list(write_list(tmp_path / "l.csv", [tmp_path / "other" / "p_input0.npy"]), cache)
    assert line.path == cache / "p_input0.npy"
