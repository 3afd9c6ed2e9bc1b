"""Write, then rename: the old file stays until the new one is whole."""

import os

import pytest

from dataset.files import writing
from dataset.files.writing import clear, replacing, write_whole


def test_a_file_is_replaced_as_a_whole_and_its_folder_is_made(tmp_path):
    """Nothing else is left in the folder."""
    path = write_whole(tmp_path / "new" / "a.txt", "é\n")
    assert write_whole(path, b"second", sync=True).read_bytes() == b"second"
    assert [file.name for file in path.parent.iterdir()] == ["a.txt"]


def test_a_write_that_fails_leaves_the_old_file(tmp_path):
    """Whatever is raised inside the block."""
    path = write_whole(tmp_path / "a.txt", "old")
    with pytest.raises(KeyError), replacing(path) as temporary:
        temporary.write_text("half")
        raise KeyError
    assert path.read_text() == "old" and [file.name for file in tmp_path.iterdir()] == ["a.txt"]


def test_what_killed_processes_left_goes_only_where_asked(tmp_path):
    """Names with brackets are no patterns, and files of another name stay."""
    path, others = tmp_path / "a[1].mp4", (".a[1].mp4.dead.mp4", ".a1.mp4.dead.mp4")
    for name in others:
        (tmp_path / name).touch()
    with replacing(path, tidy=True, ending=".mp4") as temporary:
        assert temporary.suffix == ".mp4"
        temporary.write_bytes(b"video")
    assert {file.name for file in tmp_path.iterdir()} == {"a[1].mp4", others[1]}


@pytest.mark.parametrize("early", [False, True])
def test_another_process_that_tidies_up_takes_nothing_of_a_living_one(tmp_path, monkeypatch, early):
    """Just before the file is renamed, and just after it is made, before it could be marked."""
    opened, replaced, seen = os.open, os.replace, []

    def opening(path, *arguments):
        descriptor = opened(path, *arguments)
        if early and not seen:
            seen.append(path)
            path.unlink()
        return descriptor

    def replacing_after_others(*paths):
        clear(tmp_path)
        replaced(*paths)

    monkeypatch.setattr(writing.os, "open", opening)
    monkeypatch.setattr(writing.os, "replace", replacing_after_others)
    assert write_whole(tmp_path / "a.txt", "whole").read_text() == "whole"
    assert [path.name for path in tmp_path.iterdir()] == ["a.txt"]
