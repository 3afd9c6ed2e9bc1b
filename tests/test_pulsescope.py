"""The door from Python: answers for rendered videos, without printing and without files; frames as they come."""

import logging
import math
import re
from types import SimpleNamespace

import numpy as np
import pytest

from dataset.files.frames import VideoError
from dataset.files.video import iter_frames
from dataset.synthetic.render import Session as Rendered
from dataset.synthetic.settings import resolve
from pulsescope import Session, measure
from tests.conftest import ROOT
from tests.video_tools import write_video

BPM, SECONDS = 66.0, 12.0
README = re.findall(r"^```python\n(.*?)^```", (ROOT / "README.md").read_text(encoding="utf-8"), re.M | re.S)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A rendered person of 66 bpm as H.264, and 8 s of a wall."""
    root = tmp_path_factory.mktemp("videos")
    made = resolve({"PRESET": "easy", "HEART_RATE": [BPM, BPM], "SECONDS": SECONDS, "SUBJECTS": 1, "FS": 25.0})
    write_video(root / "clip.mp4", Rendered(made, 1).frames(), "h264", 25.0)
    wall = 120 + np.random.default_rng(0).integers(0, 9, (200, 64, 64, 3))
    write_video(root / "wall.mp4", wall.astype(np.uint8), "h264", 25.0)
    return root


@pytest.fixture
def silence(capfd, tmp_path, monkeypatch):
    """An empty working folder that stays so, and nothing on the screen."""
    monkeypatch.chdir(tmp_path)
    yield
    assert capfd.readouterr() == ("", "") and not list(tmp_path.iterdir())


def test_a_video_has_an_answer_in_silence(folder, silence, caplog):
    """Within 2 bpm; what the command line says goes to the log."""
    caplog.set_level(logging.INFO, "pulsescope")
    found = measure(folder / "clip.mp4")
    assert found.reliable and found.heart_rate == pytest.approx(BPM, abs=2) and found.region == "face box x 0.7"
    assert any("Preprocessed 1 recording:" in line for line in caplog.messages)


def test_several_videos_cost_each_other_nothing(folder, silence):
    """A folder and a list give a dict; what failed is an answer without a rate."""
    for found in (measure(folder), measure([folder / "clip.mp4", str(folder / "wall.mp4")])):
        assert list(found) == ["clip", "wall"] and found["clip"].heart_rate == pytest.approx(BPM, abs=2)
        assert math.isnan(found["wall"].heart_rate) and "No face" in found["wall"].reason
    assert measure([]) == {}


def test_errors_are_exceptions(folder, silence, tmp_path_factory):
    """No such file, no video, no face, a setting that cannot be."""
    broken = tmp_path_factory.mktemp("broken") / "broken.mp4"
    broken.write_bytes(b"no video")
    with pytest.raises(KeyError, match="HCC"):
        Session("HCC")
    with pytest.raises(FileNotFoundError, match="^nothing.mp4: no such"):
        measure("nothing.mp4")
    for path, words in ((broken, "broken.mp4"), (folder / "wall.mp4", "No face")):
        with pytest.raises(VideoError, match=words):
            measure(path)
    with pytest.raises(ValueError, match="HR_BAND"):
        measure(folder / "clip.mp4", settings=["INFERENCE.HR_BAND=[3, 1]"])


def test_a_cache_is_kept_where_it_is_asked_for(folder, tmp_path, monkeypatch):
    """The second call decodes nothing."""
    first = measure(folder / "clip.mp4", cache=tmp_path / "kept")
    monkeypatch.setattr("dataset.prepare.recording.preprocess_recording", lambda *_: pytest.fail("decoded again"))
    assert measure(folder / "clip.mp4", cache=tmp_path / "kept").rate == first.rate


def test_frames_as_they_come_have_the_same_rate(folder):
    """Within 2 bpm of the whole video, None before there are 5 s, and never more than 30 s are kept."""
    session, found = Session(), []
    for frame in iter_frames(folder / "clip.mp4"):
        found.append(session.push(frame.rgb().copy(), frame.time))
    assert found[100] is None and found[-1].reliable
    assert found[-1].heart_rate == pytest.approx(measure(folder / "clip.mp4").heart_rate, abs=2)
    assert len({id(one) for one in found if one is not None}) <= SECONDS


class Shown:
    """A detector that finds what it is told."""

    def __init__(self, box):
        """`box`: x, y, w, h, or None."""
        self.box = box

    def detect(self, rgb):
        """As a detector."""
        return np.array([self.box] if self.box else [], dtype=float).reshape(-1, 4)


@pytest.fixture
def live(monkeypatch):
    """A session whose detector sees what the test says, and a function that pushes a plain picture."""
    eyes = Shown((10, 10, 30, 30))
    monkeypatch.setattr("unsupervised_methods.live.session.get_detector", lambda name: eyes)
    session = Session()
    picture = np.full((64, 64, 3), 120, np.uint8)
    picture[:, 40:] = 60
    return SimpleNamespace(session=session, eyes=eyes, push=lambda at: session.push(picture, at), picture=picture)


def test_memory_is_bounded(live):
    """Ten minutes at 5 frames per second, and a burst of a thousand per second."""
    for time in [*np.arange(0, 600, 0.2), *(600 + np.arange(8000) / 1000)]:
        live.push(time)
    assert len(live.session.colours.kept) <= 7200 and live.session.colours.kept.latest()[0][0] >= 578


def test_a_region_that_moves_makes_no_step(live):
    """From a bright part to a dark one: the colours go on where they were."""
    for time in np.arange(0, 4, 0.1):
        live.eyes.box = (10, 10, 20, 20) if time < 2 else (25, 10, 30, 20)
        live.push(time)
    _, colours = live.session.colours.kept.latest()
    assert live.session.box[0] > 25 and np.ptp(colours) < 1e-6


def test_a_face_that_is_lost_is_forgotten_and_a_pause_starts_anew(live):
    """No rate of what is behind it."""
    live.push(0.0)
    live.eyes.box = None
    for time in np.arange(0.1, 4, 0.1):
        live.push(time)
    assert live.session.box is not None
    for time in np.arange(4, 8, 0.1):
        last = live.push(time)
    assert live.session.box is None and last is None
    live.eyes.box = (10, 10, 30, 30)
    live.push(9.0)
    live.push(9.1)
    live.push(20.0)
    assert len(live.session.colours.kept) == 1


def test_frames_that_cannot_be_are_refused(live):
    """Times that stand still, and other arrays than pictures."""
    live.push(1.0)
    for time in (1.0, 0.5, float("nan")):
        with pytest.raises(ValueError, match="times must grow"):
            live.push(time)
    with pytest.raises(ValueError, match="uint8"):
        live.session.push(live.picture.astype(float), 2.0)


@pytest.mark.parametrize("block", README)
def test_the_lines_of_the_readme_run(folder, block, monkeypatch, capsys):
    """As they are printed, beside a file called clip.mp4."""
    monkeypatch.chdir(folder)
    exec(block, {})
    assert float(capsys.readouterr().out.split()[0]) == pytest.approx(BPM, abs=2)
