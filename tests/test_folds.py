"""Cross-validation from one key: whose subjects are where, one run folder per fold, one table of all recordings."""

import csv
import json
from pathlib import Path

import numpy as np
import pytest

from config import ConfigError, dump, load_config, read, run_folder
from dataset.data_loader.base import BaseLoader, Recording, Signal
from evaluation import figures
from evaluation.baselines import as_noise
from evaluation.presets import PRESETS
from evaluation.summary import constant_mean, evaluate, pooled
from neural_methods import run
from neural_methods.folds import Fold, fold_config, make_folds
from neural_methods.run import train_and_test
from neural_methods.training import Training
from registry import DATASETS
from tests.evaluation_data import recording
from tests.run_tools import write_run

FS, FRAMES = 30.0, 160
RATES = {"p1a": 60.0, "p1b": 66.0, "p2a": 72.0, "p10a": 84.0}  # bpm; the number is the subject


@DATASETS.register("TestFoldFaces")
class TestFoldFacesLoader(BaseLoader):
    """A pulse on green over 16x16 pixels; subjects 1 (two recordings), 2 and 10."""

    __test__ = False  # not a test, whatever pytest thinks of its name
    fs = FS

    def recordings(self, root):
        """Four recordings of three subjects, in the order of the files."""
        return [Recording(id=name, subject=name[1:-1], path=Path(root)) for name in sorted(RATES)]

    def read_video(self, recording):
        """Frames (16, 16, 3) uint8; one that cannot be read when there is a file `broken`."""
        if (recording.path / "broken").exists() and recording.id == "p2a":
            raise ValueError("the video is damaged")
        rng = np.random.default_rng(len(recording.id))
        for frame in range(FRAMES):
            pulse = 3 * np.sin(2 * np.pi * RATES[recording.id] / 60 * frame / FS)
            image = 120 + np.array([0.3, 1, 0.5]) * pulse + rng.normal(0, 3, (16, 16, 3))
            yield np.clip(image, 0, 255).astype(np.uint8)

    def read_wave(self, recording):
        """The pulse."""
        times = np.arange(FRAMES) / FS
        return {"ppg": Signal(np.sin(2 * np.pi * RATES[recording.id] / 60 * times), fs=FS)}


def _file(folder: Path) -> Path:
    return write_run(folder / "folds.yaml", "TestFoldFaces", more="SPLIT: {KIND: loso}\n")


def _overrides(folder: Path) -> list[str]:
    return [
        "MODEL.NAME=Physnet", "TRAIN.EPOCHS=1", "TRAIN.BATCH_SIZE=4", "TRAIN.MODEL_FILE_NAME=tiny",
        "TRAIN.PLOT_LOSSES_AND_LR=False", "TEST.METRICS=['MAE','RMSE']", f"LOG.PATH={folder}/runs",
    ]  # fmt: skip


def _config(folder: Path, *overrides: str):
    return load_config(_file(folder), [*_overrides(folder), *overrides])


# --- Who is in which fold -------------------------------------------------------------------------------------------


def test_leave_one_out_tests_every_subject_once():
    """One fold per subject, in their order; all others train."""
    folds = make_folds(["1", "2", "10"], "loso", folds=7)
    assert [fold.test for fold in folds] == [("1",), ("2",), ("10",)]
    assert [fold.train for fold in folds] == [("2", "10"), ("1", "10"), ("1", "2")]
    assert all(not fold.valid for fold in folds)


@pytest.mark.parametrize("validates", [False, True])
@pytest.mark.parametrize(("subjects", "count"), [(7, 3), (6, 6), (11, 4)])
def test_parts_are_disjoint_and_cover_everybody(subjects, count, validates):
    """Train, validation and test share nobody; each subject is tested once; parts differ by one at most."""
    names = [f"s{number}" for number in range(subjects)]
    folds = make_folds(names, "kfold", count, validates)
    assert [name for fold in folds for name in fold.test] == names
    for fold in folds:
        assert sorted([*fold.train, *fold.valid, *fold.test], key=names.index) == names
        assert bool(fold.valid) == validates and fold.train
    sizes = {len(fold.test) for fold in folds}
    assert max(sizes) - min(sizes) <= 1


def test_too_few_subjects_are_named():
    """More folds than subjects, or nobody left to train."""
    with pytest.raises(ValueError, match="'kfold' needs at least 5 subjects, TRAIN.DATA has 2 \\(a, b\\)"):
        make_folds(["a", "b"], "kfold", 5)
    with pytest.raises(ValueError, match="needs at least 3 subjects"):
        make_folds(["a", "b"], "loso", validates=True)


def test_a_fold_is_a_configuration_of_its_own(tmp_path):
    """Its subjects by name, its own file names and folder; written and read again it is the same run."""
    config = _config(tmp_path, "TEST.USE_LAST_EPOCH=False")
    fold = Fold(2, 3, ("1",), ("10",), ("2",))
    changed = fold_config(config, fold)
    assert [changed[s].DATA.FOLD.SUBJECTS for s in ("TRAIN", "VALID", "TEST")] == [["1"], ["10"], ["2"]]
    assert changed.TRAIN.MODEL_FILE_NAME == "tiny_fold2" and changed.SPLIT.KIND == "" and config.SPLIT.KIND == "loso"
    path = tmp_path / "again.yaml"
    path.write_text(dump(changed))
    assert run_folder(load_config(path)) == run_folder(changed) != run_folder(config)
    other = fold_config(config, Fold(2, 3, ("10",), ("1",), ("2",)))
    assert run_folder(other) != run_folder(changed)


@pytest.fixture(autouse=True)
def _no_pictures(monkeypatch):
    """Pictures take most of the time and are tested elsewhere."""
    monkeypatch.setattr(figures, "attempt", lambda *arguments, **more: False)


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """The configuration of a cross-validation that ran without disturbance."""
    config = _config(tmp_path_factory.mktemp("folds"))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(figures, "attempt", lambda *arguments, **more: False)
        path = train_and_test(config)
    assert path == run_folder(config) / "report.md"
    return config


# --- Runs -----------------------------------------------------------------------------------------------------------


def _tables(folder: Path) -> list[dict]:
    return json.loads((folder / "metrics.json").read_text())["tables"]


def test_one_table_holds_every_recording_of_every_fold(finished):
    """All four recordings in natural order of subjects; the pooled error is that of the folds' rows together."""
    folder = run_folder(finished)
    assert "## Folds, preset `exact`" in (folder / "report.md").read_text()
    with open(folder / "per_recording.csv", newline="") as file:
        rows = [row for row in csv.DictReader(file) if row["method"] == "Physnet" and row["preset"] == "exact"]
    assert [row["recording"] for row in rows] == ["p1a", "p1b", "p2a", "p10a"]
    with open(folder / "folds.csv", newline="") as file:
        folds = list(csv.DictReader(file))
    assert [(row["tested"], row["trained"], row["n"]) for row in folds] == [
        ("1", "2", "2"),
        ("2", "2", "1"),
        ("10", "2", "1"),
    ]
    errors = [float(row["abs_error"]) for row in rows]
    whole = next(table for table in _tables(folder) if table["method"] == "Physnet" and table["preset"] == "exact")
    assert whole["metrics"]["MAE"]["value"] == pytest.approx(np.mean(errors), rel=1e-6)
    by_fold = sum(float(row["MAE [bpm]"]) * int(row["n"]) for row in folds) / 4
    assert whole["metrics"]["MAE"]["value"] == pytest.approx(by_fold, rel=1e-6)
    assert all((folder.parent / row["folder"] / "state.pth").is_file() for row in folds)


def test_the_constant_of_each_fold_is_its_own_training_mean(finished):
    """The baseline of a subject is the mean rate of the others, also in the table of all."""
    with open(run_folder(finished) / "per_recording.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    constant = {
        r["recording"]: float(r["hr_pred"]) for r in rows if "each fold" in r["method"] and r["preset"] == "exact"
    }
    expected = {"p1a": 78.0, "p1b": 78.0, "p2a": 70.0, "p10a": 66.0}
    assert constant == pytest.approx(expected, abs=1.5)


def test_finished_folds_are_not_trained_again(tmp_path, monkeypatch, capsys, finished):
    """Killed in the second fold: a second call trains folds 2 and 3 only, and ends as an undisturbed run."""
    config = _config(tmp_path)
    original, trained = Training._epoch, []

    def epoch(self, session):
        trained.append(self.folder.name.rpartition("-")[0])
        if len(trained) == 2:
            raise KeyboardInterrupt
        return original(self, session)

    monkeypatch.setattr(Training, "_epoch", epoch)
    with pytest.raises(KeyboardInterrupt):
        train_and_test(config)
    train_and_test(config)
    assert trained == ["tiny_fold1", "tiny_fold2", "tiny_fold2", "tiny_fold3"]
    assert "This training is finished" in capsys.readouterr().out
    assert (run_folder(config) / "metrics.json").read_text() == (run_folder(finished) / "metrics.json").read_text()


def test_validation_takes_the_next_fold(tmp_path, monkeypatch):
    """With best-epoch selection the validated subjects are neither trained on nor tested."""
    seen = []
    original = run.prepare

    def prepare(config, name, *ours):
        prepared = original(config, name, *ours)
        seen.append((name, sorted({recording.subject for recording in prepared.recordings})))
        return prepared

    monkeypatch.setattr(run, "prepare", prepare)
    train_and_test(_config(tmp_path, "TEST.USE_LAST_EPOCH=False"))
    assert seen[0] == ("train", ["1", "10", "2"])
    assert seen[1:4] == [("train", ["10"]), ("valid", ["2"]), ("test", ["1"])]
    assert seen[7:] == [("train", ["2"]), ("valid", ["1"]), ("test", ["10"])]


def test_a_subject_that_failed_is_named_in_the_table_of_all(tmp_path):
    """With ALLOW_INCOMPLETE the others are cross-validated, and the report says INCOMPLETE."""
    (tmp_path / "raw").mkdir()
    (tmp_path / "raw" / "broken").touch()
    config = _config(tmp_path, "ALLOW_INCOMPLETE=True")
    path = train_and_test(config)
    text = path.read_text()
    assert "**INCOMPLETE 3/4**\n\n| fold |" in text and "the video is damaged" in text
    with open(run_folder(config) / "folds.csv", newline="") as file:
        assert [row["tested"] for row in csv.DictReader(file)] == ["1", "10"]


def test_recordings_that_no_fold_takes_are_counted_in_the_table_of_all(tmp_path):
    """Left out of TRAIN.DATA on purpose: neither evaluated nor missing, but named."""
    filtering = ("TRAIN.DATA.FILTERING.USE_EXCLUSION_LIST=True", "TRAIN.DATA.FILTERING.EXCLUSION_LIST=['2']")
    text = train_and_test(_config(tmp_path, *filtering)).read_text()
    assert "INCOMPLETE" not in text and "left out by INFO or FILTERING: p2a" in text


def test_pooled_tables_count_rows_not_folds():
    """Pooling two tables of one method gives the table of all their recordings."""
    results = [recording(60.0 + number, 62.0 + 2 * number, name=f"r{number}") for number in range(5)]
    parts = [evaluate("M", part, [PRESETS["exact"]])[0] for part in (results[:1], results[1:])]
    assert repr(pooled(parts)) == repr(evaluate("M", results, [PRESETS["exact"]])[0])


def test_pooled_baselines_keep_their_names():
    """One constant per fold is another baseline than one constant; noise is noise in every fold."""
    parts = [evaluate("M", [recording(60.0 + k, 62.0 + k, name=f"r{k}")], [PRESETS["exact"]])[0] for k in range(2)]
    assert pooled([as_noise(part) for part in parts]).method == "white noise"
    made = pooled([constant_mean(part, 70.0 + k) for k, part in enumerate(parts)])
    assert made.method == "constant mean (training rates of each fold)"


# --- Settings -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("SPLIT.KIND=lopo", "SPLIT.KIND is 'lopo'.*loso"),
        ("SPLIT.FOLDS=1", "SPLIT.FOLDS is 1"),
        ("TEST.DATA.DATASET=PURE", "TEST.DATA.DATASET is 'PURE', but SPLIT.KIND 'loso' tests on parts of TRAIN.DATA"),
        ("TRAIN.DATA.FILE_LIST_PATH=a.csv", "TRAIN.DATA.FOLD and FILE_LIST_PATH must name no fold and no list"),
        ("TRAIN.DATA.FOLD.SUBJECTS=[a]", "SPLIT.KIND makes its own"),
        ("MODEL.RESUME=state.pth", "MODEL.RESUME names one training"),
    ],
)
def test_settings_that_cannot_be_folds_are_refused(tmp_path, override, message):
    """Other data to test on, lists, a state to resume from: one sentence."""
    with pytest.raises(ConfigError, match=message):
        _config(tmp_path, override)


def test_two_folds_leave_nobody_to_train_when_one_is_validated(tmp_path):
    """Two folds do without validation; with it three are needed."""
    two = ["SPLIT.KIND=kfold", "SPLIT.FOLDS=2"]
    assert _config(tmp_path, *two).SPLIT.FOLDS == 2
    with pytest.raises(ConfigError, match="SPLIT.FOLDS is 2, but"):
        _config(tmp_path, *two, "TEST.USE_LAST_EPOCH=False")


def test_ranges_without_effect_are_told(tmp_path):
    """A range of TRAIN.DATA limits the folds; one of TEST.DATA does nothing; other modes have no folds."""
    file, base = _file(tmp_path), _overrides(tmp_path)

    def warned(*more: str) -> str:
        return " ".join(read(file, [*base, *more]).warnings)

    assert "SPLIT" not in warned()
    assert "from 0.0 to 0.6 only" in warned("TRAIN.DATA.END=0.6")
    assert "TEST.DATA and VALID.DATA have no effect" in warned("TEST.DATA.BEGIN=0.6")
    assert "no effect in only_test" in warned("TOOLBOX_MODE=only_test", "INFERENCE.MODEL_PATH=a.pth")


def test_dumped_configuration_of_all_folds_loads_again(tmp_path):
    """The resolved settings in the run folder start the same cross-validation."""
    config = _config(tmp_path)
    path = tmp_path / "again.yaml"
    path.write_text(dump(config))
    assert run_folder(load_config(path)) == run_folder(config)
