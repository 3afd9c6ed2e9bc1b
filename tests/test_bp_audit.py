"""What makes a result for blood pressure look better than it is, planted and found."""

import shutil

import numpy as np
import pytest

import prepare_kailuan_npz
from dataset.doctor import leaks
from tests.signal_miniatures import PEOPLE, write_npz
from tools import bp_audit, make_synthetic_kailuan


def audit(folder, root, *more, code):
    """Run the program on the miniature below `root`."""
    arguments = ["--npz_dir", str(folder), "--labels_csv", str(root / "labels.csv"), *more]
    assert bp_audit.main(arguments) == code


def split(root, parts):
    """A split file: record -> part."""
    (root / "split.csv").write_text("ssoid,split\n" + "".join(f"{name},{part}\n" for name, part in parts.items()))
    return "--split_csv", str(root / "split.csv")


def by_people():
    """A split that keeps people apart."""
    return {f"w{k}": ("train" if k < 6 else "val" if k < 8 else "test") for k in range(2 * PEOPLE)}


def test_clean_data_are_not_blamed(tmp_path, capsys):
    """Nothing is found, exit code 0."""
    folder = write_npz(tmp_path)
    audit(folder, tmp_path, *split(tmp_path, by_people()), code=0)
    assert f"Nothing was found in {2 * PEOPLE} records of {PEOPLE} subjects." in capsys.readouterr().out


@pytest.mark.parametrize("scale", [1.0, -1.0, 300.0])
def test_a_signal_under_two_ids_in_two_parts_is_found(tmp_path, capsys, scale):
    """A copy, and one in another unit; one that is turned over is another signal."""
    folder = write_npz(tmp_path)
    with np.load(folder / "w1.npz") as file:
        x = file["x"] * np.float32(scale) + np.float32(5 * (scale != 1))
    np.savez(folder / "w9.npz", x=x, fs=100.0)
    audit(folder, tmp_path, *split(tmp_path, by_people()), code=0 if scale < 0 else 1)
    said = capsys.readouterr().out
    if scale > 0:
        assert "the same signal: w1 and w9 (ecg), w1 and w9 (ppg)" in said
        assert "Of different subjects: 2. In different parts of the split: 2." in said


def test_a_copy_with_a_little_noise_is_nearly_the_same(tmp_path, capsys):
    """What a converter or a filter leaves."""
    folder = write_npz(tmp_path)
    with np.load(folder / "w1.npz") as file:
        x = file["x"] + np.random.default_rng(0).normal(0, 0.003, file["x"].shape).astype(np.float32)
    np.savez(folder / "w9.npz", x=x, fs=100.0)
    audit(folder, tmp_path, code=1)
    assert "nearly the same signal" in capsys.readouterr().out


def test_labels_in_ids_and_people_in_two_parts_are_found(tmp_path, capsys):
    """As in the study's own ids; hashes tell nothing."""
    study = str(tmp_path / "x.h5")
    make_synthetic_kailuan.main(["--n", "30", "--h5_path", study])
    common = ["--h5_path", study, "--output_npz", str(tmp_path / "npz"), "--output_csv", str(tmp_path / "labels.csv")]
    common += ["--target_cols", "right_arm_sbp", "right_arm_dbp", "--subject_key", "name"]
    prepare_kailuan_npz.main([*common, "--no-pseudonymize_ids"])
    capsys.readouterr()
    audit(tmp_path / "npz", tmp_path, code=1)
    said = capsys.readouterr().out
    assert all(f"{name} stands in" in said for name in ("right_arm_sbp", "right_arm_dbp", "age", "height"))
    shutil.rmtree(tmp_path / "npz")
    prepare_kailuan_npz.main(common)
    audit(tmp_path / "npz", tmp_path, code=0)
    names = sorted(path.stem for path in (tmp_path / "npz").glob("*.npz"))
    audit(
        tmp_path / "npz", tmp_path, *split(tmp_path, {n: ("train", "test")[k % 2] for k, n in enumerate(names)}), code=1
    )
    assert "in several parts of the split" in capsys.readouterr().out


def test_a_split_of_other_columns_is_refused(tmp_path, capsys):
    """One sentence, exit code 2."""
    folder = write_npz(tmp_path)
    (tmp_path / "split.csv").write_text("id,part\nw1,train\n")
    audit(folder, tmp_path, "--split_csv", str(tmp_path / "split.csv"), code=2)
    assert "columns ssoid and split" in capsys.readouterr().err


def test_numbers_that_are_there_by_chance_are_no_leak():
    """Running numbers that happen to be pressures."""
    ids = [f"record_{100 + k}" for k in range(60)]
    values = np.random.default_rng(0).integers(100, 160, 60).astype(float)
    assert leaks.labels_in_ids(ids, {"sbp": values}) == {}
    told = [f"r{k}_{value:.0f}" for k, value in enumerate(values)]
    assert leaks.labels_in_ids(told, {"sbp": values})["sbp"][0] == 1.0


@pytest.mark.parametrize("leak", [False, True])
def test_shuffled_labels_that_are_predicted_are_found(capsys, leak):
    """A network that is no better than the mean is as it must be; one that is better has seen the labels elsewhere."""
    rng = np.random.default_rng(1)
    true = rng.normal(130, 18, 200)
    predicted = true + rng.normal(0, 5, 200) if leak else 130 + rng.normal(0, 3, 200)
    result = {
        "subjects": [f"p{k // 2}" for k in range(200)],
        "stats": {"sbp": {"mu": 130.0}},
        "sbp": np.array([true, predicted]),
    }
    assert bool(list(bp_audit.too_good(result, ["sbp"]))) is leak
    assert ("better than can be" in capsys.readouterr().out) is leak


def test_two_people_are_not_judged(capsys):
    """Nothing is known of how much the error of the mean differs between people."""
    result = {"subjects": ["a", "a", "b"], "stats": {"sbp": {"mu": 130.0}}, "sbp": np.array([[120.0] * 3, [120.0] * 3])}
    assert not list(bp_audit.too_good(result, ["sbp"]))
    assert "not judged" in capsys.readouterr().out


@pytest.mark.skipif(not bp_audit.TRAINER.is_file(), reason="train_bp.py is not there")
@pytest.mark.slow
def test_three_trainings_are_compared(tmp_path, capsys):
    """Of people with several records, on the real program; nothing is too good."""
    study = str(tmp_path / "x.h5")
    make_synthetic_kailuan.main(["--n", "60", "--h5_path", study, "--cue", "shape", "--fs", "200"])
    prepare_kailuan_npz.main(["--h5_path", study, "--output_npz", str(tmp_path / "npz"), "--fs", "200",
                              "--output_csv", str(tmp_path / "labels.csv"), "--target_cols", "right_arm_sbp",
                              "--subject_key", "name", "--target_seq_len", "1500"])  # fmt: skip
    audit(tmp_path / "npz", tmp_path, "--train", str(tmp_path / "runs"), "--epochs", "2", "--device", "cpu", code=0)
    said = capsys.readouterr().out
    assert "The split by records" in said and "shuffled" in said
