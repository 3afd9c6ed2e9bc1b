"""The programs that render clips and measure them one by one."""

import contextlib

import numpy as np
import pytest

from dataset.files.video import iter_frames
from dataset.synthetic.settings import resolve
from tests.video_tools import moving_face
from tools.benchmark.false_pulse import FLAT, PRESETS, Printed, Wall, draw, report, right
from tools.benchmark.phone_videos import MOTIONS, RATES, SPEEDS, TONES, cases, turn
from tools.benchmark.rendered import every, given
from unsupervised_methods.overlay import Writer


def test_a_run_that_was_ended_goes_on_where_it_was(tmp_path):
    """What has a line is not made again; a line that was cut off is."""
    made, file = [], tmp_path / "lines.jsonl"

    def case(name):
        return lambda folder: made.append(name) or {"of": name, "empty": not list(folder.iterdir())}

    asked = {name: case(name) for name in "abc"}
    every(file, {name: asked[name] for name in "ab"})
    file.write_text(file.read_text()[:-5])
    lines = every(file, asked)
    assert made == ["a", "b", "b", "c"] and [line["name"] for line in lines] == list("abc")
    assert every(file, asked) == lines and all(line["empty"] for line in lines)


def test_every_pair_of_properties_occurs_equally_often():
    """A quarter of all combinations, in which nothing stands for something else."""
    found = [case.args[0] for case in cases().values()]
    values = {"rate": RATES, "tone": TONES, "motion": MOTIONS, "speed": SPEEDS}
    for first in values:
        for second in values:
            counts = [
                sum(one[first] == a and one[second] == b for one in found)
                for a in values[first]
                for b in values[second]
            ]
            assert first == second or len(set(counts)) == 1, (first, second)


def test_a_copy_that_is_stored_turned_is_shown_upright(tmp_path):
    """As phones do it: by the header alone."""
    frames = moving_face(6)
    with contextlib.closing(Writer(tmp_path / "a.mp4", 30.0)) as file:
        for index, frame in enumerate(frames):
            file.add(np.ascontiguousarray(np.rot90(frame)), index / 30)
    turn(tmp_path / "a.mp4")
    shown = next(iter_frames(tmp_path / "a.mp4")).rgb()
    assert shown.shape == frames[0].shape and np.abs(shown.astype(int) - frames[0]).mean() < 4


@pytest.mark.parametrize("kind", [Printed, Wall])
@pytest.mark.parametrize("preset", PRESETS)
def test_what_has_no_pulse_has_none_in_its_pixels(kind, preset):
    """Nothing of the heart reaches the picture: at full rise it is what it is at rest."""
    session = kind(resolve({"PRESET": preset, "SECONDS": 1.0, "WIDTH": 160, "HEIGHT": 120, **FLAT}), 1)
    assert not session.face.pulse.any() and next(session.frames()).shape == (120, 160, 3)


def test_the_tables_count_what_is_given_and_what_is_right(tmp_path):
    """By level, and with the strength that is asked for."""
    lines = [
        {"name": "wall: 1", "true": None, "rate": 60.0, "confidence": 0.9, "strength": 1e-4, "seen": True},
        {"name": "wall: 2", "true": None, "rate": 60.0, "confidence": 0.9, "strength": 1e-3, "seen": True},
        {"name": "person: 1", "true": 62.0, "rate": 60.0, "confidence": 0.55, "strength": 1e-3, "seen": True},
        {"name": "person: 2", "true": 80.0, "rate": 60.0, "confidence": 0.45, "strength": 1e-3, "seen": True},
        {"name": "person: 3", "true": 80.0, "rate": None, "confidence": 0.0, "strength": 0.0, "seen": False},
    ]
    assert [given(line) for line in lines] == [False, True, True, True, False]
    assert given(lines[0], least=None) and right(lines[2]) and not right(lines[3])
    text = report(lines)
    assert "| all without a pulse | 2 | 50.0% (1.3% to 98.7%) | - |" in text
    assert "| person | 3 | 1/2 |" in text and "| person | 3 | 66.7%" in text
    assert draw(lines, tmp_path / "plot.png").stat().st_size > 1000
