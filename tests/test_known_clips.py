"""Known clips by GridPulse: the command is run for each detector and box, and withheld rates are shown as such."""

import pytest

from dataset.synthetic.render import Session
from dataset.synthetic.settings import resolve
from dataset.synthetic.writer import write_recording
from tools.benchmark import clips


@pytest.mark.slow
def test_a_person_and_one_without_pulse(tmp_path, monkeypatch, capsys):
    """The rate of the one; a star at the other; windows by method."""
    monkeypatch.setattr(clips, "DETECTORS", ("HC",))
    monkeypatch.setattr(clips, "BOXES", (1.0,))
    person = {"PRESET": "easy", "SUBJECTS": 1, "SECONDS": 12.0, "HEART_RATE": [66, 66], "WIDTH": 240, "HEIGHT": 180}
    for name, more in (("alive", {}), ("picture", {"PULSE_AMPLITUDE": 0.0})):
        write_recording(tmp_path / f"{name}.mp4", Session(resolve({**person, **more}), 1))
    assert clips.main([f"{tmp_path / 'alive.mp4'}=66", f"{tmp_path / 'picture.mp4'}=66"]) == 0
    lines = [line.strip("| ").split(" | ") for line in capsys.readouterr().out.splitlines() if line]
    rate, confidence = lines[2][2].split(", ")
    assert abs(float(rate) - 66) < 3 and float(confidence) > 0.4 and "*" in lines[3][2]
    assert lines[4] == ["clip", *clips.METHODS, "windows"] and float(lines[6][1]) < 3 and lines[6][-1] == "1"
