"""python -m tools.show_synthetic: a sheet of people, or one sentence."""

import cv2
import pytest

from tools.show_synthetic import main


@pytest.mark.parametrize(
    ("name", "setting", "said"),
    [("people.tif", "SUBJECTS=1", "name a .png or .jpg"), ("gone/people.png", "SUBJECTS=1", "a folder that is there"),
     ("people.png", "SUBJECTS=x", "SYNTHETIC.SUBJECTS is 'x'")],
)  # fmt: skip
def test_what_cannot_be_drawn_is_one_sentence(tmp_path, capsys, name, setting, said):
    """Exit code 2, and no file."""
    assert main([str(tmp_path / name), setting]) == 2
    told = capsys.readouterr().err
    assert said in told and told.count("\n") == 1 and not any(tmp_path.iterdir())


def test_a_setting_without_a_value_is_wrong_usage(tmp_path, capsys):
    """It is named."""
    with pytest.raises(SystemExit):
        main([str(tmp_path / "people.png"), "easy"])
    assert "'easy' is not KEY=VALUE" in capsys.readouterr().err


def test_people_stand_side_by_side(tmp_path):
    """Two of them in two columns."""
    options = ["PRESET=easy", "SUBJECTS=2", "WIDTH=96", "HEIGHT=96", "SECONDS=2", "--columns", "2"]
    assert main([str(tmp_path / "people.png"), *options]) == 0
    assert cv2.imread(str(tmp_path / "people.png")).shape == (96, 192, 3)
