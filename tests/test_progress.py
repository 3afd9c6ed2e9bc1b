"""Progress: a bar where the cursor can move, plain lines elsewhere."""

import io
import sys

import pytest

from dataset import progress
from dataset.face.crop import FaceCrop
from dataset.prepare.recording import preprocess_recording
from dataset.progress import show_progress
from dataset.store.cache import Cache
from registry import DATASETS, METHODS
from tests.trainer_tools import ToyClips, tiny_config
from tests.video_tools import moving_face, write_video


class Terminal(io.StringIO):
    """A stream that says it is a terminal."""

    def isatty(self):
        """Yes."""
        return True


def test_a_log_gets_one_line_when_the_work_is_done(capsys):
    """Count, values and time; nothing that moves a cursor."""
    bar = show_progress(range(500), "Work", unit="things")
    for number in bar:
        bar.set_postfix(last=number)
    said = capsys.readouterr().err
    assert said.startswith("Work: 500/500 things, last 499, ") and said.count("\n") == 1 and "\r" not in said


def test_long_work_says_so_now_and_then(capsys, monkeypatch):
    """A line whenever the last one is older than the interval, also for work whose end is not worth one."""
    monkeypatch.setattr(progress, "INTERVAL", 0.0)
    with show_progress(desc="Work", total=3, unit="things", keep=False) as bar:
        for _ in range(3):
            bar.update()
    assert [line.split(",")[0] for line in capsys.readouterr().err.splitlines()] == [
        "Work: 1/3 things",
        "Work: 2/3 things",
    ]


def test_a_long_video_says_how_far_it_is_and_how_long_it_will_take(tmp_path, capsys, monkeypatch):
    """Its own frames are counted, not only recordings; none of it where another process is asked to be silent."""
    monkeypatch.setattr(progress, "INTERVAL", 0.0)
    write_video(tmp_path / "clip.mp4", moving_face(6), "h264")
    loader, crop, cache = DATASETS["Folder"]({}), FaceCrop(size=(8, 8)), Cache(tmp_path / "cache", {})
    (recording,) = loader.recordings(tmp_path)
    preprocess_recording(loader, recording, crop, cache)
    assert not capsys.readouterr().err
    preprocess_recording(loader, recording, crop, cache, silent=False)
    lines = capsys.readouterr().err.splitlines()
    assert lines[0].startswith("clip: 1/6 frames, ") and lines[0].endswith(" s left") and len(lines) == 5


def test_work_that_breaks_off_is_not_called_done(capsys):
    """An error leaves no closing line."""
    with pytest.raises(ValueError), show_progress(desc="Work", total=3):
        raise ValueError
    assert not capsys.readouterr().err


def test_a_terminal_gets_a_bar(monkeypatch):
    """One line that is written again and again."""
    terminal = Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    assert list(show_progress(range(3), "Work")) == [0, 1, 2]
    assert "\r" in terminal.getvalue() and "3/3" in terminal.getvalue()


def test_silence(capsys, monkeypatch):
    """Neither in a log nor in a terminal."""
    assert list(show_progress(range(3), "Work", silent=True)) == [0, 1, 2]
    assert not capsys.readouterr().err


def test_a_training_logs_one_line_per_epoch(tmp_path, capsys):
    """With the mean loss of the epoch and the learning rate; validation and test add none."""
    config = tiny_config("Tscan", tmp_path, VALID__MONITOR=True)
    fitted = METHODS["Tscan"](config).fit(ToyClips(6, channels=6), ToyClips(2, channels=6), tmp_path / "run")
    lines = capsys.readouterr().err.splitlines()
    assert fitted.trained and [line[:27] for line in lines] == [
        f"Train epoch {epoch}: 3/3 updates," for epoch in range(2)
    ]
    rows = [line.split(",") for line in (tmp_path / "run" / "history.csv").read_text().splitlines()]
    column = rows[0].index("loss")
    mean = sum(float(row[column]) for row in rows[1:4]) / 3
    assert f"loss {mean:.4g}, lr " in lines[0]
