"""Damaged multimodal sets: each fault is named, and a whole set has none."""

import json
import shutil

import numpy as np
import pytest

from dataset.multimodal.checks import ERROR, check_set
from tests.multimodal_tools import small_set
from tools.multimodal.validate import main


def _stamps(take, device, change):
    path = take / device / "timestamps.csv"
    head, *lines = path.read_text().splitlines()
    rows = np.array([[int(part) for part in line.split(",")] for line in lines])
    rows = change(rows)
    path.write_text("\n".join([head, *(",".join(map(str, row)) for row in rows.tolist())]) + "\n")


def _json(path, change):
    values = json.loads(path.read_text())
    change(values)
    path.write_text(json.dumps(values))


def _dead_device(take):
    _stamps(take, "radar", lambda rows: rows[: len(rows) // 2])
    array = np.load(take / "radar" / "adc.npy")
    np.save(take / "radar" / "adc.npy", array[: len(array) // 2])


def _clock_step(take):
    def change(rows):
        rows[len(rows) // 2 :, 2] += 1_000_000_000
        return rows

    _stamps(take, "thermal", change)


def _wrap(take):
    def change(rows):
        rows[:, 0] = (rows[:, 0] + 65500) % 65536
        return rows

    _stamps(take, "rgb", change)


def _wrapped_clock(take):
    def change(rows):
        rows[60:, 1] -= (1 << 32) - 1000
        return rows

    _stamps(take, "thermal", change)


def _doubled_stamps(take):
    def change(rows):
        rows[50:53, 1] = rows[49, 1]
        return rows

    _stamps(take, "rgb", change)


def _backwards(take):
    def change(rows):
        rows[[50, 52], 1:] = rows[[52, 50], 1:]
        return rows

    _stamps(take, "radar", change)


def _cut_radar(take):
    path = take / "radar" / "adc.npy"
    path.write_bytes(path.read_bytes()[:-1500])


def _no_homography(take):
    _json(take / "meta.json", lambda values: values.pop("thermal_to_rgb"))


def _one_id_twice(take):
    shutil.copytree(take, take.parent / "r02")


def _wrong_scale(take):
    _json(take / "thermal" / "scale.json", lambda values: values.update(kelvin_per_count=0.1))


def _wrong_gigahertz(take):
    _json(take / "radar" / "chirp.json", lambda values: values.update(start_frequency_hz=77.0))


def _microseconds(take):
    def change(rows):
        rows[:, 1] //= 1000
        return rows

    _stamps(take, "ppg", change)
    path = take / "ppg" / "ppg.csv"
    head, *lines = path.read_text().splitlines()
    shorter = [f"{int(line.split(',')[0]) // 1000},{line.split(',', 1)[1]}" for line in lines]
    path.write_text("\n".join([head, *shorter]) + "\n")


def _fewer_frames(take):
    path = take / "thermal" / "frames.npy"
    np.save(path, np.load(path)[:-5])


def _no_marks(take):
    (take / "events.csv").write_text("t_ns,clock,kind\n")


def _gone(take):
    shutil.rmtree(take / "ppg")


def _flat(take):
    path = take / "ppg" / "ppg.csv"
    head, *lines = path.read_text().splitlines()
    path.write_text("\n".join([head, *(",".join([line.split(",")[0], "1", "0", "0"]) for line in lines)]) + "\n")


DAMAGE = {
    "dead device": (_dead_device, _flat),
    "clock step": (_clock_step,),
    "counter wrap-around": (_wrap, _wrapped_clock),
    "doubled stamps": (_doubled_stamps,),
    "time runs back": (_backwards,),
    "cut file": (_cut_radar,),
    "missing homography": (_no_homography,),
    "doubled id": (_one_id_twice,),
    "wrong units": (_wrong_scale, _wrong_gigahertz, _microseconds),
    "other count": (_fewer_frames,),
    "no marks": (_no_marks,),
    "missing device": (_gone,),
}


def test_a_whole_set_has_no_fault(tmp_path, capsys):
    """No error and no note."""
    assert main(["--root", str(small_set(tmp_path))]) == 0
    assert "1 recording: 0 errors, 0 notes." in capsys.readouterr().out


@pytest.mark.parametrize(("kind", "damage"), [(kind, one) for kind, several in DAMAGE.items() for one in several])
def test_every_damage_has_its_name(tmp_path, kind, damage):
    """And no other: what follows from it is not listed beside it."""
    root = small_set(tmp_path)
    damage(root / "s001" / "r01")
    errors = [fault for fault in check_set(root)[1] if fault.level == ERROR]
    assert {fault.kind for fault in errors} == {kind}, [str(fault) for fault in errors]


def test_the_program_ends_with_2_and_says_where(tmp_path, capsys):
    """Exit code, place and remedy."""
    root = small_set(tmp_path)
    _cut_radar(root / "s001" / "r01")
    assert main(["--root", str(root)]) == 2
    said = capsys.readouterr().out
    assert "s001/r01/radar: cut file" in said and "Copy it again" in said


def test_no_set_at_all_is_one_sentence(tmp_path, capsys):
    """As for every program beside main.py."""
    assert main(["--root", str(tmp_path / "nothing")]) == 2
    assert capsys.readouterr().err.count("\n") == 1
