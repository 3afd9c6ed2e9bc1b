"""Training on POS signals where the measured ones are useless or missing: from a configuration to a report."""

import json
from pathlib import Path

import numpy as np
import pytest

from config import ConfigError, load_config, read, run_folder
from dataset.data_loader.base import BaseLoader, Recording, Signal
from dataset.prepare.section import IncompleteError, prepare
from evaluation.heart_rate import fft_heart_rate
from neural_methods.run import train_and_test
from registry import DATASETS
from tests.run_tools import write_run

FS, FRAMES = 30.0, 240
RATES = {"s0": 60.0, "s1": 78.0, "s2": 96.0, "s3": 84.0}  # bpm


@DATASETS.register("TestWeakFaces")
class TestWeakFacesLoader(BaseLoader):
    """A pulse on green over 16x16 pixels. s0 and s1 have noise for a label, s2 has none, s3 the true pulse."""

    __test__ = False  # not a test, whatever pytest thinks of its name
    fs = FS
    decoded: list[str] = []  # recordings read so far

    def recordings(self, root):
        """Four, one per subject."""
        return [Recording(id=name, subject=name, path=Path(root)) for name in RATES]

    def read_video(self, recording):
        """Frames (16, 16, 3) uint8."""
        self.decoded.append(recording.id)
        rng = np.random.default_rng(int(recording.id[1:]))
        for frame in range(FRAMES):
            pulse = 3 * np.sin(2 * np.pi * RATES[recording.id] / 60 * frame / FS)
            image = 120 + np.array([0.3, 1, 0.5]) * pulse + rng.normal(0, 3, (16, 16, 3))
            yield np.clip(image, 0, 255).astype(np.uint8)

    def read_wave(self, recording):
        """The pulse for s3 only."""
        times = np.arange(FRAMES) / FS
        noise = Signal(np.random.default_rng(7).normal(size=FRAMES), fs=FS)
        truth = Signal(np.sin(2 * np.pi * RATES[recording.id] / 60 * times), fs=FS)
        return {"s2": {}, "s3": {"ppg": truth}}.get(recording.id, {"ppg": noise})


PSEUDO = "TRAIN.DATA.PREPROCESS.USE_PSUEDO_PPG_LABEL=True"


def _config(folder: Path, *overrides: str):
    path = write_run(folder / "weak.yaml", "TestWeakFaces", {"TRAIN": (0.0, 0.75), "TEST": (0.75, 1.0)}, length=60)
    base = (
        "MODEL.NAME=Physnet", "TRAIN.EPOCHS=6", "TRAIN.BATCH_SIZE=4", "TRAIN.LR=0.003", "TRAIN.MODEL_FILE_NAME=weak",
        "TRAIN.PLOT_LOSSES_AND_LR=False", "TEST.METRICS=['MAE']", "INFERENCE.PRESET=exact", f"LOG.PATH={folder}/runs",
    )  # fmt: skip
    return load_config(path, [*base, *overrides])


@pytest.mark.slow
def test_network_learns_the_pulse_of_people_without_labels(tmp_path):
    """Trained on POS of three people with noise or nothing for a label, it reads the fourth's rate."""
    config = _config(tmp_path, PSEUDO)
    train_and_test(config)
    tables = json.loads((run_folder(config) / "metrics.json").read_text())["tables"]
    error = next(table["metrics"]["MAE"]["value"] for table in tables if table["method"] == "Physnet")
    assert error < 3
    rows = (run_folder(config) / "history.csv").read_text().splitlines()
    losses = [float(row.split(",")[rows[0].split(",").index("loss")]) for row in rows[1:]]
    assert losses[-1] < 0.3 < losses[0]


def test_labels_of_clips_are_pos_signals(tmp_path):
    """Every training clip's label beats at the painted rate, whatever the measured signal says."""
    config = _config(tmp_path, PSEUDO, "TRAIN.DATA.PREPROCESS.CHUNK_LENGTH=240", "TRAIN.DATA.PREPROCESS.LABEL_TYPE=Raw")
    clips = prepare(config.TRAIN.DATA, "train", config).clips()
    for sample in (clips[index] for index in range(len(clips))):
        assert fft_heart_rate(sample["ppg"].numpy().astype(float), FS) == pytest.approx(
            RATES[sample["recording"]], abs=4
        )


def test_asking_later_reads_the_videos_again_but_keeps_the_faces(tmp_path):
    """An existing cache gets the colours of the whole frames added, once, also without DO_PREPROCESS."""
    config = _config(tmp_path, "TRAIN.DATA.END=0.5")
    first = prepare(config.TRAIN.DATA, "train", config)
    stamps = {name: (first.entry(name).path / "faces.npy").stat().st_mtime_ns for name in ("s0", "s1")}
    TestWeakFacesLoader.decoded.clear()
    asked = _config(tmp_path, "TRAIN.DATA.END=0.5", PSEUDO)
    for _ in range(2):
        second = prepare(asked.TRAIN.DATA, "train", asked)
        assert len(second.clips()) == 8 and TestWeakFacesLoader.decoded == ["s0", "s1"]
    assert stamps == {name: (second.entry(name).path / "faces.npy").stat().st_mtime_ns for name in ("s0", "s1")}


def test_without_videos_the_missing_colours_are_named(tmp_path):
    """A cache alone, made without them, cannot give pseudo labels: each recording says why."""
    config = _config(tmp_path, "TRAIN.DATA.END=0.5")
    prepare(config.TRAIN.DATA, "train", config)
    asked = _config(tmp_path, "TRAIN.DATA.END=0.5", PSEUDO)
    (tmp_path / "raw").rmdir()
    with pytest.raises(IncompleteError, match="s0: no mean colour of the whole frame.*DO_PREPROCESS: True"):
        prepare(asked.TRAIN.DATA, "train", asked).clips()


def test_classical_methods_refuse_them_and_tests_warn(tmp_path):
    """A classical method would be judged by itself; a test on them says so."""
    key = "PREPROCESS.USE_PSUEDO_PPG_LABEL=True"
    with pytest.raises(ConfigError, match="UNSUPERVISED.DATA.PREPROCESS.USE_PSUEDO_PPG_LABEL is True"):
        load_config("configs/demo/classical.yaml", [f"UNSUPERVISED.DATA.{key}"])
    _config(tmp_path)
    overrides = ["MODEL.NAME=Physnet", "TRAIN.MODEL_FILE_NAME=weak"]
    plain, warned = (read(tmp_path / "weak.yaml", [*overrides, *more]) for more in ([], [f"TEST.DATA.{key}"]))
    assert not any("PSUEDO" in line for line in plain.warnings) and any("by POS" in line for line in warned.warnings)
