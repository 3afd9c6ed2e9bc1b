"""Four clocks become one: how exact, what the file holds, and what is said where it cannot be trusted."""

import json

import h5py
import numpy as np
import pytest

from dataset.multimodal.layout import sessions
from tests.multimodal_tools import aligned_set, small_set
from tests.test_multimodal_validate import DAMAGE
from tools.multimodal.align import main


@pytest.fixture(scope="module")
def take(tmp_path_factory):
    """The folder of one aligned recording."""
    return aligned_set(tmp_path_factory.mktemp("multimodal")) / "s001" / "r01"


def test_offsets_and_drifts_are_those_that_were_put_in(take):
    """5 ms; the drift of 24 s is less certain than that of a minute (15 ppm there)."""
    truth = json.loads((take / "truth.json").read_text())
    found = json.loads((take / "meta.json").read_text())["sync"]
    assert found["sync_ok"] and set(found["devices"]) == {"rgb", "thermal", "radar", "ppg"}
    for device, one in found["devices"].items():
        assert abs(one["offset"] - truth["offset_s"][device]) < 0.005, device
        assert abs(one["drift_ppm"] - truth["drift_ppm"][device]) < 40, device


def test_every_wave_follows_the_one_truth(take):
    """Radar, belt and PPG on the common axis against the waves they were made of."""
    truth = np.load(take / "truth.npz")
    with h5py.File(take / "aligned" / "aligned.h5") as file:
        t = file["t"][()]
        ppg, resp, motion = file["ppg"][()], file["resp"][()], file["radar/displacement"][()]
        radar_t = file["radar/t"][()]
    breath = np.interp(t, truth["times"], truth["breath"])
    pulse = np.interp(t - 0.15, truth["times"], truth["pulse"])
    assert np.corrcoef(resp, breath)[0, 1] > 0.99
    assert np.corrcoef(ppg[10:-10], pulse[10:-10])[0, 1] > 0.99
    chest = np.interp(radar_t, truth["times"], truth["chest"])
    assert np.std((motion - motion.mean() - chest + chest.mean())[10:-10]) < 0.1  # mm, of some that it moves
    assert np.std(chest) > 1


def test_the_file_has_the_shapes_and_units_it_promises(take):
    """Five radar samples for each picture, thermal in kelvin at its own size, RGB untouched."""
    session = sessions(take.parent.parent)[0]
    with h5py.File(take / "aligned" / "aligned.h5") as file:
        count = len(file["t"])
        assert file["rgb"].shape == (count, 96, 128, 3) and file["thermal"].shape == (count, 30, 40)
        assert len(file["radar/displacement"]) == 5 * count and file["valid"].shape == (count, 4)
        assert 290 < file["thermal"][5].min() < file["thermal"][5].max() < 312
        assert (file["rgb"][7] == list(session.frames())[7].rgb()).all()
        steps = np.diff(file["radar/t"][()])
    assert np.allclose(steps, steps.mean(), rtol=1e-3)


def test_heat_lies_where_the_picture_shows_the_face(take):
    """The homography is applied: the nostrils are cool in thermal where RGB has them."""
    with h5py.File(take / "aligned" / "aligned.h5") as file:
        x, y, w, h = file.attrs["face_box"] * np.tile([40 / 128, 30 / 96], 2)
        heat = file["thermal"][10:200].mean(axis=0)
    face = heat[int(y) : int(y + h), int(x) : int(x + w)]
    beside = heat[int(y) : int(y + h), :2]
    assert face.mean() > beside.mean() + 5


def test_the_report_shows_all_waves(take):
    """Made by the program, with a line for each sensor."""
    root = take.parent.parent
    assert main(["--root", str(root), "--again"]) == 0
    text = (take / "aligned" / "report.html").read_text()
    for name in ("RGB", "thermal", "radar", "finger PPG", "breathing belt"):
        assert f"data-name='{name}'" in text
    assert "sync_ok: true" in text


def _shift(take, device, seconds):
    path = take / device / "timestamps.csv"
    head, *lines = path.read_text().splitlines()
    rows = [[int(part) for part in line.split(",")] for line in lines]
    text = [f"{a},{b},{c + round(1e9 * seconds)}" for a, b, c in rows]
    path.write_text("\n".join([head, *text]) + "\n")


def test_a_clock_that_is_far_off_is_no_sync(tmp_path, capsys):
    """More than 500 ms: exit code 2, and the recording says so of itself."""
    root = small_set(tmp_path)
    _shift(root / "s001" / "r01", "radar", 0.75)
    assert main(["--root", str(root)]) == 2
    assert "radar: its clock is" in capsys.readouterr().out
    assert json.loads((root / "s001" / "r01" / "meta.json").read_text())["sync"]["sync_ok"] is False


def test_a_sensor_that_never_saw_a_mark_is_not_trusted(tmp_path, capsys):
    """No offset is invented."""
    root = small_set(tmp_path)
    path = root / "s001" / "r01" / "ppg" / "ppg.csv"
    head, *lines = path.read_text().splitlines()
    fields = (line.split(",") for line in lines)
    path.write_text("\n".join([head, *(f"{a},{b},0,{d}" for a, b, _, d in fields)]) + "\n")
    assert main(["--root", str(root)]) == 2
    assert "ppg: none of 2 bursts was seen" in capsys.readouterr().out


def test_what_checking_finds_is_not_trusted_whatever_the_clocks_say(tmp_path, capsys):
    """A tenth of a kelvin taken for a hundredth: aligned, and kept out of every split."""
    root = small_set(tmp_path)
    path = root / "s001" / "r01" / "thermal" / "scale.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"kelvin_per_count": 0.1}))
    assert main(["--root", str(root)]) == 2
    assert "s001/r01/thermal: wrong units" in capsys.readouterr().out
    assert json.loads((root / "s001" / "r01" / "meta.json").read_text())["sync"]["sync_ok"] is False


@pytest.mark.slow
@pytest.mark.parametrize("damage", [one for several in DAMAGE.values() for one in several])
def test_every_damage_that_is_named_ends_aligning_with_2(tmp_path, capsys, damage):
    """With the words of the check, and no other error beside what follows from it."""
    root = small_set(tmp_path)
    damage(root / "s001" / "r01")
    (kind,) = (kind for kind, several in DAMAGE.items() if damage in several)
    assert main(["--root", str(root)]) == 2
    said = capsys.readouterr().out
    assert f": {kind}: " in said and "reshape" not in said
