"""Names that others have chosen: nothing that is done with one raises, steers a terminal, computes or links."""

import os
import random
from pathlib import Path

import numpy as np
import pytest

from dataset import faults
from dataset.data_loader.base import Recording
from dataset.data_loader.folder import FolderLoader
from dataset.face.crop import FaceCrop
from dataset.files.names import cell, distinct, escaped, natural_key, natural_sort, shown
from dataset.prepare.recording import preprocess_all
from dataset.store.cache import Cache, Status
from evaluation.report import markdown_table
from evaluation.tables import csv_text
from tests.video_tools import write_video

ODD = ["①", "trial 5²", "caf\udce9", "a\x1b[31mb", "=1+1", "#hash", "on", "[x]", "null", "a\r\nb", "-", "٣", "a\u202eb"]


@pytest.fixture
def folder(tmp_path):
    """One short video for each of `ODD`."""
    one = write_video(tmp_path / "first.mp4", [np.full((48, 64, 3), level, np.uint8) for level in range(6)], "h264")
    for name in ODD:
        os.link(one, tmp_path / f"{name}.mp4")
    one.unlink()
    return tmp_path


def any_names(count: int) -> list[str]:
    """Names of any letters, surrogates, digits of all scripts and control characters among them."""
    rng = random.Random(13)
    ranges = ((0, 0x7F), (0x80, 0x2FF), (0x660, 0x669), (0x2000, 0x24FF), (0xD800, 0xDFFF), (0, 0x10FFFF))
    return ["".join(chr(rng.randint(*rng.choice(ranges))) for _ in range(rng.randint(0, 30))) for _ in range(count)]


def test_any_name_sorts_is_shown_and_written():
    """Keys compare with each other, and every saying of a name is text of one line that can be written."""
    names = any_names(3000)
    assert len(sorted(names, key=natural_key)) == 3000
    for name in names:
        for text in (shown(name), escaped(name), cell(name), Recording(name, name, Path()).id):
            text.encode()
            assert not any(ord(letter) < 32 or letter in "\x7f\x9b\u202e\u2028" for letter in text)
        assert shown(shown(name)) == shown(name)


def test_names_sort_by_their_numbers():
    """Also by those of other scripts; what only looks like a digit is a letter; no number is too long."""
    names = ["s10", "s2", "s①", "s²", "s٣", "s" + "9" * 5000]
    assert [path.name for path in natural_sort(map(Path, names))][:3] == ["s2", "s٣", "s10"]


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("müller 張 🙂.mp4", "müller 張 🙂.mp4"),
        ("caf\udce9", "caf\\xe9"),
        ("a\x1b[31mb\n", "a\\x1b[31mb\\x0a"),
        ("a\u202eb", "a\\u202eb"),
        ("\ud800", "\\ud800"),
    ],
)
def test_what_would_steer_a_terminal_is_spelt_out(name, text):
    """Everything that can be seen stays as it is."""
    assert shown(name) == text


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("=HYPERLINK(1)", "'=HYPERLINK(1)"),
        ("+1+1", "'+1+1"),
        ("-cmd", "'-cmd"),
        ("@SUM(1)", "'@SUM(1)"),
        ("\t=1", "'\\x09=1"),
        (" =1+1", "' =1+1"),
        ("-1.5", "-1.5"),
        ("-", "-"),
        ("subject1", "subject1"),
        (-1.5, -1.5),
        (None, None),
    ],
)
def test_a_cell_computes_nothing(value, text):
    """Numbers stay numbers."""
    assert cell(value) == text
    assert csv_text(["id"], [{"id": "=1+1"}]) == "id\n'=1+1\n"


def test_words_in_markdown_are_no_tags_links_or_tables():
    """And stay readable."""
    text = escaped("<img src=x onerror=alert(1)> [a](javascript:x) ![b](c) `d` |e| **f**")
    assert "<" not in text and "[a](" not in text and "\\|e\\|" in text and "\\*\\*f" in text
    assert escaped("anna_morning-2.mp4") == "anna_morning-2.mp4"
    table = markdown_table(["method", "MAE [bpm]"], [["<b>POS</b>", "1.0 [0.5, 1.5]"]])
    assert "<b>" not in table and "1.0 [0.5, 1.5]" in table and "MAE [bpm]" in table


def test_equal_names_are_told_apart_by_their_paths(tmp_path, capsys):
    """Each with a sign that does not depend on the others, and a sentence; single ones stay."""
    paths = [tmp_path / "a/b", tmp_path / "a_b", tmp_path / "c"]
    found = distinct(["a_b", "a_b", "c"], paths, tmp_path)
    assert len(set(found)) == 3 and found[2] == "c" and all(name.startswith("a_b-") for name in found[:2])
    assert distinct(["x", "x"], [paths[0], paths[2]], tmp_path)[0] == f"x{found[0][3:]}"
    printed = capsys.readouterr().out
    assert "'a/b' is a_b-" in printed and "would be called 'a_b'" in printed


def test_videos_whose_ids_would_collide_are_two_recordings(folder, capsys):
    """`anna/morning.mp4` beside `anna_morning.mp4`."""
    (folder / "anna").mkdir()
    for place in ("anna/morning.mp4", "anna_morning.mp4"):
        os.link(folder / "on.mp4", folder / place)
    recordings = FolderLoader({}).recordings(folder)
    ids = [recording.id for recording in recordings]
    assert len(set(ids)) == len(ODD) + 2 and sum(name.startswith("anna_morning") for name in ids) == 2
    assert capsys.readouterr().out.count("anna_morning") >= 2


def test_videos_of_any_name_are_preprocessed(folder, tmp_path, capsys):
    """Each has its entry and its line in the manifest, and the terminal sees nothing that steers it."""
    loader = FolderLoader({})
    recordings = loader.recordings(folder)
    cache = Cache(tmp_path / "cache", {"any": 1})
    cache.freeze(recordings)
    (folder / "caf\udce9.mp4").unlink()
    (folder / "caf\udce9.mp4").write_bytes(b"no video")
    states = preprocess_all(loader, recordings, FaceCrop(do_crop=False, size=(24, 24)), cache, workers=1)
    failed = [name for name, status in states.items() if status.state != "done"]
    assert failed == ["caf\\xe9"] and "caf\\xe9.mp4' cannot be decoded" in states[failed[0]].reason
    printed = capsys.readouterr().out
    printed.encode()
    assert "\x1b" not in printed
    table = (cache.root / "manifest.csv").read_text()
    assert len(table.splitlines()) == len(ODD) + 1 and "\n'=1+1," in table


def test_tracebacks_can_be_printed_whatever_they_name(monkeypatch, capsys):
    """Line by line, as --debug shows them of a recording."""
    monkeypatch.setenv(faults.DEBUG, "1")
    faults.show(ValueError("'caf\udce9\x1b[2J.mp4' cannot be decoded"))
    printed = capsys.readouterr().err
    assert printed.endswith("ValueError: 'caf\\xe9\\x1b[2J.mp4' cannot be decoded\n")


def test_reasons_can_be_written_whatever_they_name(tmp_path):
    """They name files."""
    cache = Cache(tmp_path, {})
    cache.set_status("a", Status("failed", "'caf\udce9\x1b[2J' is empty"))
    assert cache.status("a").reason == "'caf\\xe9\\x1b[2J' is empty"
