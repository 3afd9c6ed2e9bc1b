"""Neural runs from a configuration to a report, on self-made faces of known pulse: files, tables, errors, reruns."""

import json
import pickle
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from config import load_config, run_folder
from dataset.data_loader.base import BaseLoader, Recording, Signal
from evaluation import publish
from evaluation.kinds.base import Head, Names, Predicted, Reading
from evaluation.kinds.pulse import Pulse, mean_rate, samples_beside
from evaluation.outputs import read_outputs
from evaluation.presets import preset
from evaluation.settings import Settings
from neural_methods.checkpoint import WeightsError
from neural_methods.run import only_test, train_and_test
from neural_methods.trainer.base import Trainer
from registry import DATASETS, METHODS
from tests.run_tools import write_run

FS, FRAMES, SUBJECTS = 30.0, 192, 4
EXACT = preset("exact")
RATES = {f"s{number}": 60.0 + 12 * number for number in range(SUBJECTS)}  # bpm


@DATASETS.register("TestFaces")
class TestFacesLoader(BaseLoader):
    """Noise of 16x16 pixels whose green carries a pulse; one recording per subject, label at twice the frame rate."""

    __test__ = False  # not a test, whatever pytest thinks of its name
    fs = FS

    def recordings(self, root):
        """Four of them."""
        return [Recording(id=name, subject=name, path=Path(root)) for name in RATES]

    def read_video(self, recording):
        """Frames (16, 16, 3) uint8 with the pulse on green."""
        rng = np.random.default_rng(int(recording.id[1:]))
        for frame in range(FRAMES):
            pulse = 3 * np.sin(2 * np.pi * RATES[recording.id] / 60 * frame / FS)
            image = 120 + np.array([0.3, 1, 0.5]) * pulse + rng.normal(0, 3, (16, 16, 3))
            yield np.clip(image, 0, 255).astype(np.uint8)

    def read_wave(self, recording):
        """The pulse at 60 Hz."""
        times = np.arange(2 * FRAMES) / (2 * FS)
        return {"ppg": Signal(np.sin(2 * np.pi * RATES[recording.id] / 60 * times), fs=2 * FS)}


def _config(folder, *overrides):
    sections = {"TRAIN": (0.0, 0.5), "VALID": (0.5, 0.75), "TEST": (0.75, 1.0)}
    path = write_run(folder / "tiny.yaml", "TestFaces", sections)
    base = (
        "MODEL.NAME=Physnet", "TRAIN.EPOCHS=1", "TRAIN.BATCH_SIZE=4", "TRAIN.LR=0.003", "TRAIN.MODEL_FILE_NAME=tiny",
        "TEST.METRICS=['MAE','RMSE','MAPE','Pearson','SNR','MACC','BA']", f"LOG.PATH={folder}/runs",
    )  # fmt: skip
    return load_config(path, [*base, *overrides])


def test_one_run_leaves_everything(tmp_path, capsys):
    """Weights, curves, history, pickle, metrics, report, resolved configuration, environment; rPPG-Toolbox's lines."""
    config = _config(tmp_path, "TEST.USE_LAST_EPOCH=False")
    path = train_and_test(config)
    said = capsys.readouterr().out
    assert "validation loss:  " in said and "best trained epoch: 0, min_val_loss: " in said
    assert "FFT MAE (FFT Label): " in said and "Saving outputs to: " in said
    folder = run_folder(config)
    assert path == folder / "report.md"
    names = {file.name for file in folder.iterdir()}
    assert names >= {"config.yaml", "environment.json", "history.csv", "metrics.json", "per_recording.csv", "state.pth"}
    trained = tmp_path / "runs" / config.TRAIN.DATA.EXP_DATA_NAME
    assert (trained / "PreTrainedModels" / "tiny_Epoch0.pth").is_file()
    assert (trained / "plots" / "tiny_losses.pdf").is_file() and (
        trained / "plots" / "tiny_learning_rates.pdf"
    ).is_file()
    tested = tmp_path / "runs" / config.TEST.DATA.EXP_DATA_NAME
    assert list((tested / "bland_altman_plots").glob("tiny_FFT_BlandAltman_ScatterPlot.pdf"))
    outputs = read_outputs(tested / "saved_test_outputs" / "tiny_outputs.pickle")
    assert {name: list(clips) for name, clips in outputs["predictions"].items()} == {"s3": list(range(6))}
    assert outputs["fs"] == 30 and outputs["label_type"] == "DiffNormalized"


def test_table_holds_classical_methods_and_the_training_mean(tmp_path):
    """POS and GREEN on the same recording, and the mean rate of the two training subjects."""
    config = _config(tmp_path)
    train_and_test(config)
    tables = json.loads((run_folder(config) / "metrics.json").read_text())["tables"]
    methods = {table["method"] for table in tables}
    assert {"Physnet", "POS", "GREEN"} <= methods
    constant = next(name for name in methods if name.startswith("constant mean"))
    assert "training rates, 66." in constant or "training rates, 65.9" in constant
    report = (run_folder(config) / "report.md").read_text()
    assert "Physnet" in report and "constant mean" in report


def test_saved_weights_give_the_same_numbers_in_only_test(tmp_path):
    """The same predictions from the file as at the end of the training."""
    config = _config(tmp_path)
    train_and_test(config)
    weights = tmp_path / "runs" / config.TRAIN.DATA.EXP_DATA_NAME / "PreTrainedModels" / "tiny_Epoch0.pth"
    again = _config(tmp_path, "TOOLBOX_MODE=only_test", f"INFERENCE.MODEL_PATH={weights}")
    only_test(again)
    folder = Path(config.TEST.OUTPUT_SAVE_DIR)
    first, second = (
        read_outputs(folder / name) for name in ("tiny_outputs.pickle", "tiny_Epoch0_TestFaces_outputs.pickle")
    )
    for clip, wave in first["predictions"]["s3"].items():
        assert np.array_equal(wave, second["predictions"]["s3"][clip])


def test_what_was_left_out_on_purpose_is_counted(tmp_path):
    """In the report's scope, and in metrics.json."""
    ranges = ("TRAIN.DATA.END=0.25", "VALID.DATA.BEGIN=0.25", "VALID.DATA.END=0.5", "TEST.DATA.BEGIN=0.5")
    filtering = ("TEST.DATA.FILTERING.USE_EXCLUSION_LIST=True", "TEST.DATA.FILTERING.EXCLUSION_LIST=['s2']")
    report = train_and_test(_config(tmp_path, *ranges, *filtering))
    said = "Evaluated: 1 of 1 recording. 1 recording left out by INFO or FILTERING: s2."
    assert said in report.read_text()
    content = json.loads((report.parent / "metrics.json").read_text())
    assert content["left_out"] == [{"recording": "s2", "reason": "left out by INFO or FILTERING"}]


def test_rerun_of_a_finished_run_only_tests(tmp_path, capsys):
    """The second call trains nothing, says so, and reports the same."""
    config = _config(tmp_path)
    train_and_test(config)
    weights = (tmp_path / "runs" / config.TRAIN.DATA.EXP_DATA_NAME / "PreTrainedModels" / "tiny_Epoch0.pth").stat()
    capsys.readouterr()
    train_and_test(config)
    assert "finished" in capsys.readouterr().out
    again = (tmp_path / "runs" / config.TRAIN.DATA.EXP_DATA_NAME / "PreTrainedModels" / "tiny_Epoch0.pth").stat()
    assert again.st_mtime_ns == weights.st_mtime_ns


def test_outputs_are_saved_before_an_evaluation_fails(tmp_path, monkeypatch):
    """A failing report leaves the pickle behind."""
    config = _config(tmp_path)

    def broken(*arguments, **more):
        raise RuntimeError("no report")

    monkeypatch.setattr(publish, "evaluate", broken)
    with pytest.raises(RuntimeError, match="no report"):
        train_and_test(config)
    assert (Path(config.TEST.OUTPUT_SAVE_DIR) / "tiny_outputs.pickle").is_file()


@METHODS.register("TestRate")
class TestRateTrainer(Trainer):
    """A heart rate (bpm) a clip, and no wave: 60 plus what a layer makes of the mean colour."""

    __test__ = False  # not a test, whatever pytest thinks of its name
    heads = {"hr": "rate"}

    def build_model(self):
        """One layer."""
        return torch.nn.Linear(3, 1)

    def predict(self, model, batch):
        """(B,) rates."""
        return {"hr": 60 + model(batch["video"].mean(dim=(2, 3, 4)))[:, 0]}

    def loss(self, outputs, batch, epoch):
        """Everybody has 72."""
        return {"loss": ((outputs["hr"] - 72) ** 2).mean()}


def _rates(folder, *overrides):
    long = [f"{name}.DATA.PREPROCESS.CHUNK_LENGTH=160" for name in ("TRAIN", "VALID", "TEST")]
    return _config(folder, "MODEL.NAME=TestRate", *long, *overrides)


def test_a_method_without_a_wave_is_judged_by_what_it_gives(tmp_path, capsys):
    """No pulse table, no error of 0.00 bpm: one rate, against that of the recording's own pulse (96 bpm)."""
    config = _rates(tmp_path)
    path = train_and_test(config)
    said, text = capsys.readouterr().out, path.read_text()
    assert "hr: one rate per clip, n = 1 clip" in said and "FFT MAE" not in said and "POS" not in text
    assert "constant mean (training rates, 66" in text or "constant mean (training rates, 65.9" in text
    content = json.loads((run_folder(config) / "metrics.json").read_text())
    assert content["tables"] == [] and content["complete"] and content["heads"]["hr"]["kind"] == "rate"
    assert content["heads"]["hr"]["tables"][0]["metrics"]["MAE"]["value"] == pytest.approx(36, abs=3)
    outputs = read_outputs(Path(config.TEST.OUTPUT_SAVE_DIR) / "tiny_hr_outputs.pickle")
    assert outputs["predictions"]["s3"][0].shape == (1,)


def test_folds_of_a_method_without_a_wave(tmp_path):
    """One table of all clips, and a line per fold."""
    config = _rates(tmp_path, "SPLIT.KIND=loso")
    text = train_and_test(config).read_text()
    assert "| TestRate |" in text and "constant mean (training rates of each fold)" in text and "## Folds\n" in text
    content = json.loads((run_folder(config) / "metrics.json").read_text())
    assert content["heads"]["hr"]["tables"][0]["n"] == 2  # who is in TRAIN.DATA


@pytest.mark.parametrize("mode", ["train_and_test", "only_test"])
def test_a_kind_that_nothing_evaluates_is_refused_before_any_data(tmp_path, monkeypatch, mode):
    """The method, the output and the nearest kind; nothing was preprocessed or trained."""
    monkeypatch.setattr(TestRateTrainer, "heads", {"hr": "rates"})
    config = _rates(tmp_path, f"TOOLBOX_MODE={mode}", f"INFERENCE.MODEL_PATH={tmp_path}/none.pth")
    with pytest.raises(ValueError, match="TestRate: its output 'hr' is of the kind 'rates'.*Did you mean 'rate'"):
        {"train_and_test": train_and_test, "only_test": only_test}[mode](config)
    assert not (tmp_path / "cache").exists() and not (tmp_path / "runs").exists()


def test_an_output_that_the_network_does_not_give_is_named(tmp_path, monkeypatch):
    """Instead of a KeyError."""
    monkeypatch.setattr(TestRateTrainer, "heads", {"hr": "rate", "ppg": "wave"})
    with pytest.raises(ValueError, match="TestRate declares the output 'ppg' in `heads`, but its `predict` gives hr"):
        train_and_test(_rates(tmp_path))


def test_test_subjects_in_training_are_refused(tmp_path):
    """Overlap of TRAIN and TEST is an error; so is choosing the best epoch on the test subjects."""
    with pytest.raises(ValueError, match="TRAIN and TEST share"):
        train_and_test(_config(tmp_path, "TRAIN.DATA.END=1.0"))
    with pytest.raises(ValueError, match="best epoch"):
        train_and_test(_config(tmp_path, "VALID.DATA.BEGIN=0.75", "VALID.DATA.END=1.0", "TEST.USE_LAST_EPOCH=False"))


@pytest.mark.parametrize("content", ["code", "other"])
def test_wrong_weights_stop_before_any_data_is_touched(tmp_path, content):
    """A hostile file and weights of something else: one message, no cache."""
    weights = tmp_path / "w.pth"
    if content == "code":
        weights.write_bytes(pickle.dumps(SimpleNamespace(a=1)))
    else:
        torch.save(torch.nn.Linear(2, 2).state_dict(), weights)
    config = _config(tmp_path, "TOOLBOX_MODE=only_test", f"INFERENCE.MODEL_PATH={weights}")
    with pytest.raises(WeightsError):
        only_test(config)
    assert not (tmp_path / "cache").exists()


def test_missing_weights_name_the_key(tmp_path):
    """INFERENCE.MODEL_PATH is in the message."""
    with pytest.raises((FileNotFoundError, ValueError), match="MODEL_PATH"):
        only_test(_config(tmp_path, "TOOLBOX_MODE=only_test", f"INFERENCE.MODEL_PATH={tmp_path}/none.pth"))


# ---------------------------------------------------------------------- joining clips


def _entry(frames=64, times=None, reference_times=None):
    trace = np.zeros((frames, 3))
    reference = Signal(np.arange(10.0), times=reference_times)
    return SimpleNamespace(
        id="a", subject="b", faces=np.zeros((frames, 2, 2, 3), np.uint8), trace=trace, times=times, fs=30.0,
        signals={"ppg": reference}, flags={}, info={"skin": 3},
    )  # fmt: skip


def _clips(numbers, length):
    return {n: {"ppg": np.full(length, float(n)), "label": np.full(length, 10.0 + n)} for n in numbers}


def _predicted(entry, clips, length=None, resample_fs=0.0):
    return Predicted("a", "b", clips, resample_fs or 30.0, entry, Reading(length, resample_fs))


def _head(settings=None):
    return Head("ppg", "pulse", "Physnet", settings or Settings(["MAE"], "FFT", None, EXACT, EXACT, 30.0, 0))


def _joined(entry, clips, length=None):
    return Pulse().results([_predicted(entry, clips, length)], _head())[0]


def test_clips_are_joined_in_the_order_of_their_numbers():
    """Ten comes after two; what the data set says of the recording stays with it."""
    result = _joined(_entry(), _clips([10, 2, 0], 4), 4)
    assert result.prediction[::4].tolist() == [0, 2, 10] and result.info == {"skin": 3}
    assert result.label[::4].tolist() == [10, 12, 20]


def test_frames_left_out_between_clips_keep_their_place_in_time():
    """Clips of 4 frames of which 3 were predicted: frame times say where the gaps are."""
    times = 5 + np.arange(64) / 30
    result = _joined(_entry(times=times), _clips([0, 1], 3), 4)
    assert np.allclose(result.times, times[[0, 1, 2, 4, 5, 6]])
    without = _joined(_entry(reference_times=7.0 + np.arange(10)), _clips([0, 1], 3), 4)
    assert np.allclose(without.times, np.array([0, 1, 2, 4, 5, 6]) / 30)
    assert without.reference.times[0] == 0


def test_overlapping_clips_count_each_frame_once():
    """Clips of 4 frames every 2 frames: the first prediction of a frame stays."""
    one = Predicted("a", "b", _clips([0, 1, 2], 4), 30.0, _entry(), Reading(4, stride=2))
    assert one.joined("ppg").tolist() == [0, 0, 0, 0, 1, 1, 2, 2] and one.places("ppg").tolist() == list(range(8))


def test_label_with_nan_is_no_label():
    """A recording without a usable label has predictions and no truth."""
    clips = _clips([0], 4)
    clips[0]["label"][:] = np.nan
    assert _joined(_entry(), clips, 4).label is None


def test_mean_rate_reads_the_references():
    """The mean of two recordings' own rates, in beats per minute; None without any."""
    settings, entries = _head().settings, []
    for rate in (60.0, 90.0):
        entry = _entry(frames=300)
        wave = np.sin(2 * np.pi * rate / 60 * np.arange(600) / 60)
        entries.append(SimpleNamespace(**{**vars(entry), "signals": {"ppg": Signal(wave, fs=60.0)}}))
    assert mean_rate(entries, settings) == pytest.approx(75.0, abs=0.5)
    assert mean_rate([SimpleNamespace(**{**vars(_entry()), "signals": {}})], settings) is None
    alone = SimpleNamespace(**{**vars(entries[0]), "faces": None, "fs": None})
    assert mean_rate([alone], settings) == pytest.approx(60.0, abs=0.5)


def test_videos_without_labels_get_rates(tmp_path, capsys):
    """Without any reference the report lists rates instead of errors."""
    wave = np.sin(2 * np.pi * 1.2 * np.arange(300) / 30)
    entry = _entry(frames=300)
    entry.trace = 100 + np.outer(wave, [0.3, 1.0, 0.5])
    entry.signals = {}
    names = Names("x", "Videos", tmp_path, tmp_path, tmp_path)
    tested = publish.evaluate([_predicted(entry, {0: {"ppg": wave}})], [_head()], [], names)
    assert "72" in capsys.readouterr().out and not tested.judged
    assert (tmp_path / "vitals.csv").is_file()


def test_classical_methods_see_all_of_a_resampled_recording():
    """With RESAMPLE_FS the network's clips and the colours beside them last equally long; a rate stays what it was."""
    wave = np.sin(2 * np.pi * 1.2 * np.arange(300) / 30)
    entry = _entry(frames=300)
    entry.trace = 100 + np.outer(wave, [0.3, 1.0, 0.5])
    entry.signals = {"ppg": Signal(wave, fs=30.0)}
    one = _predicted(entry, {0: {"ppg": wave[:200], "label": wave[:200]}}, resample_fs=20.0)
    sample = samples_beside([one], Pulse().results([one], _head()))[0]
    assert (sample.fs, len(sample.trace), len(sample.label)) == (20.0, 200, 200)
    assert sample.times[-1] == pytest.approx(9.95)
    assert sample.trace[1, 1] == pytest.approx(np.interp(1.5, range(300), entry.trace[:, 1]))


def test_labels_of_no_stated_type_are_used_as_recorded(tmp_path):
    """LABEL_TYPE '' trains, is tested, and gives the numbers of Raw."""
    every = [f"{section}.DATA.PREPROCESS.LABEL_TYPE" for section in ("TRAIN", "VALID", "TEST")]
    kinds = {"''": tmp_path / "unsaid", "Raw": tmp_path / "raw"}
    found = []
    for kind, folder in kinds.items():
        folder.mkdir()
        config = _config(folder, *(f"{key}={kind}" for key in every))
        train_and_test(config)
        found.append((run_folder(config) / "per_recording.csv").read_text())
    assert found[0] == found[1]
