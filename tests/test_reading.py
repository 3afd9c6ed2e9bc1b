"""Opening what others have written: ordinary files of a possible size, and messages that name them."""

import ast
import os

import numpy as np
import pytest

from dataset.files import reading


@pytest.fixture
def odd(tmp_path):
    """A folder with one of everything that is no file."""
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "folder").mkdir()
    for name, target in (("device", "/dev/zero"), ("loop", "loop"), ("lost", "nowhere")):
        (tmp_path / name).symlink_to(target)
    return tmp_path


@pytest.mark.parametrize(
    ("name", "kind", "words"),
    [
        ("pipe", ValueError, "pipe' is a pipe or a device and not a file. Try."),
        ("device", ValueError, "device' is a pipe or a device and not a file. Try."),
        ("folder", ValueError, "folder' is a folder and not a file. Try."),
        ("lost", FileNotFoundError, "lost' does not exist. Try."),
        ("absent", FileNotFoundError, "absent' does not exist. Try."),
        ("loop", OSError, "loop' cannot be read: Too many levels of symbolic links. Try."),
        ("x" * 300, OSError, "cannot be read: File name too long. Try."),
        ("a\0b", OSError, "cannot be read: .*embedded null .*. Try."),  # Pythons say it in several ways
    ],
)
def test_only_files_are_opened(odd, name, kind, words):
    """Each in one sentence with the name, and the remedy after it."""
    with pytest.raises(kind, match=words):
        reading.require_file(odd / name, remedy="Try.")
    assert reading.is_there(odd / "lost") and not reading.is_there(odd / "absent")


def test_larger_files_are_refused_unread(tmp_path):
    """By their size, which may be half a terabyte."""
    (tmp_path / "a.txt").write_text("x")
    os.truncate(tmp_path / "a.txt", 1 << 39)
    for read in (reading.read_text, reading.read_json, lambda path: list(reading.iter_lines(path))):
        with pytest.raises(ValueError, match="a.txt' has 549755813888 bytes"):
            read(tmp_path / "a.txt")


def test_text_is_utf_8_with_or_without_a_mark(tmp_path):
    """Other encodings are said; a line without end is not read to its end."""
    path = tmp_path / "a.txt"
    path.write_bytes("\ufeffä\n".encode())
    assert reading.read_text(path) == "ä\n" and list(reading.iter_lines(path)) == ["ä\n"]
    path.write_bytes("ä".encode("utf-16"))
    with pytest.raises(ValueError, match="a.txt' is no text in UTF-8"):
        reading.read_text(path)
    path.write_text("1" * (reading.LONGEST_LINE + 1))
    with pytest.raises(ValueError, match="a line has more than"):
        list(reading.iter_lines(path))


@pytest.mark.parametrize("text", ["[" * 200_000, '{"a": ' + "9" * 5000 + "}", "{", "[1]", "5"])
def test_json_is_an_object_or_refused(tmp_path, text):
    """Nested too deeply, of a number without end, cut, or something else."""
    (tmp_path / "a.json").write_text(text)
    with pytest.raises(ValueError, match="a.json'"):
        reading.read_json(tmp_path / "a.json")


def test_what_libraries_say_is_one_line_without_addresses():
    """A message is stored with the recording: equal input has to give equal bytes."""
    with pytest.raises(ValueError, match=" at 0x") as caught:
        ast.literal_eval("f()")
    assert "0x" not in reading.told(caught.value)
    assert reading.told(ValueError("two\nlines.")) == "two lines"
    assert len(reading.told(ValueError("x" * 9999))) < 300
    assert reading.told(KeyError()) == "KeyError" and reading.told(OSError(2, "No such file")) == "No such file"


def test_arrays_are_mapped_and_never_unpickled(tmp_path):
    """Only numbers in the format itself."""
    np.save(tmp_path / "a.npy", np.arange(6).reshape(2, 3))
    assert isinstance(reading.open_array(tmp_path / "a.npy"), np.memmap)
    np.save(tmp_path / "b.npy", np.array([{}], dtype=object), allow_pickle=True)
    with pytest.raises(ValueError, match="b.npy' cannot be read as a .npy array"):
        reading.open_array(tmp_path / "b.npy")
