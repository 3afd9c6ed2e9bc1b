"""Neural runs from a configuration to a report, on self-made faces of known pulse: files, tables, errors, reruns."""

import json
import pickle
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from config import load_config, run_folder
from dataset.data_loader.base import BaseLoader, Recording, Signal
from evaluation.outputs import read_outputs
from neural_methods import testing
from neural_methods.checkpoint import WeightsError
from neural_methods.run import only_test, train_and_test
from registry import DATASETS

FS, FRAMES, SUBJECTS = 30.0, 192, 4
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


DATA = """
  DATA:
    DATASET: TestFaces
    DATA_PATH: {folder}/raw
    CACHED_PATH: {folder}/cache
    FS: 30
    BEGIN: {begin}
    END: {end}
    PREPROCESS:
      DATA_TYPE: ['DiffNormalized']
      LABEL_TYPE: DiffNormalized
      CHUNK_LENGTH: 32
      CROP_FACE: {{DO_CROP_FACE: False}}
      RESIZE: {{W: 16, H: 16}}
"""


def _config(folder, *overrides):
    (folder / "raw").mkdir(exist_ok=True)
    sections = {"TRAIN": (0.0, 0.5), "VALID": (0.5, 0.75), "TEST": (0.75, 1.0)}
    text = "TOOLBOX_MODE: train_and_test\nDEVICE: cpu\nNUM_WORKERS: 0\nPREPROCESS_WORKERS: 1\n"
    for name, (begin, end) in sections.items():
        text += f"{name}:" + DATA.format(folder=folder, begin=begin, end=end)
    path = folder / "tiny.yaml"
    path.write_text(text)
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

    monkeypatch.setattr(testing, "report", broken)
    with pytest.raises(RuntimeError, match="no report"):
        train_and_test(config)
    assert (Path(config.TEST.OUTPUT_SAVE_DIR) / "tiny_outputs.pickle").is_file()


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
        signals={"ppg": reference}, flags={},
    )  # fmt: skip


def _clips(numbers, length):
    return {n: {"ppg": np.full(length, float(n)), "label": np.full(length, 10.0 + n)} for n in numbers}


def test_clips_are_joined_in_the_order_of_their_numbers():
    """Ten comes after two."""
    result = testing.recording_result(_entry(), _clips([10, 2, 0], 4), "Raw", 4)
    assert result.prediction[::4].tolist() == [0, 2, 10]
    assert result.label[::4].tolist() == [10, 12, 20]


def test_frames_left_out_between_clips_keep_their_place_in_time():
    """Clips of 4 frames of which 3 were predicted: frame times say where the gaps are."""
    times = 5 + np.arange(64) / 30
    result = testing.recording_result(_entry(times=times), _clips([0, 1], 3), "Raw", 4)
    assert np.allclose(result.times, times[[0, 1, 2, 4, 5, 6]])
    without = testing.recording_result(_entry(reference_times=7.0 + np.arange(10)), _clips([0, 1], 3), "Raw", 4)
    assert np.allclose(without.times, np.array([0, 1, 2, 4, 5, 6]) / 30)
    assert without.reference.times[0] == 0


def test_label_with_nan_is_no_label():
    """A recording without a usable label has predictions and no truth."""
    clips = _clips([0], 4)
    clips[0]["label"][:] = np.nan
    assert testing.recording_result(_entry(), clips, "Raw", 4).label is None


def test_mean_rate_reads_the_references():
    """The mean of two recordings' own rates, in beats per minute; None without any."""
    settings = testing.Settings(["MAE"], "FFT", None, *[testing.preset("exact")] * 2, 30.0, 0)
    entries = []
    for rate in (60.0, 90.0):
        entry = _entry(frames=300)
        wave = np.sin(2 * np.pi * rate / 60 * np.arange(600) / 60)
        entries.append(SimpleNamespace(**{**vars(entry), "signals": {"ppg": Signal(wave, fs=60.0)}}))
    assert testing.mean_rate(entries, settings) == pytest.approx(75.0, abs=0.5)
    assert testing.mean_rate([SimpleNamespace(**{**vars(_entry()), "signals": {}})], settings) is None


def test_videos_without_labels_get_rates(tmp_path, capsys):
    """Without any reference the report lists rates instead of errors."""
    settings = testing.Settings([], "FFT", None, *[testing.preset("exact")] * 2, 30.0, 0)
    wave = np.sin(2 * np.pi * 1.2 * np.arange(300) / 30)
    clips = {0: {"ppg": wave}}
    entry = _entry(frames=300)
    entry.trace = 100 + np.outer(wave, [0.3, 1.0, 0.5])
    entry.signals = {}
    result = testing.recording_result(entry, clips, "Raw", None)
    sample = testing.classical_sample(entry, result, "auto")
    names = testing.Names("x", "Videos", tmp_path, tmp_path, tmp_path)
    testing.report("Physnet", [result], [replace(sample)], [], settings, names)
    assert "72" in capsys.readouterr().out
    assert (tmp_path / "vitals.csv").is_file()


def test_classical_methods_see_all_of_a_resampled_recording():
    """With RESAMPLE_FS the network's clips and the colours beside them last equally long; a rate stays what it was."""
    wave = np.sin(2 * np.pi * 1.2 * np.arange(300) / 30)
    entry = _entry(frames=300)
    entry.trace = 100 + np.outer(wave, [0.3, 1.0, 0.5])
    entry.signals = {"ppg": Signal(wave, fs=30.0)}
    clips = {0: {"ppg": wave[:200], "label": wave[:200]}}
    result = testing.recording_result(entry, clips, "Raw", None, 20.0, np.arange(200) / 20)
    sample = testing.classical_sample(entry, result, "auto", resample_fs=20.0)
    assert (sample.fs, len(sample.trace), len(sample.label)) == (20.0, 200, 200)
    assert sample.times[-1] == pytest.approx(9.95)
    assert sample.trace[1, 1] == pytest.approx(np.interp(1.5, range(300), entry.trace[:, 1]))
