"""A method of one's own is two files in a folder of one's own: named by --plugin, trained and tested by main.py."""

import csv
import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import ROOT

NETWORK = '''"""MeanColour: the pulse as a weighted sum of the mean colour, filtered in time."""

from torch import nn


class MeanColour(nn.Module):
    """One temporal convolution."""

    def __init__(self, frames):
        """`frames` taps."""
        super().__init__()
        self.filter = nn.Conv1d(3, 1, frames, padding=frames // 2)

    def forward(self, video):
        """(B, 3, T, H, W) -> (B, T)."""
        return self.filter(video.mean(dim=(3, 4))).squeeze(1)
'''
TRAINER = '''"""MeanColour: whole clips in, the pulse wave out."""

from my_network import MeanColour

from neural_methods.loss.neg_pearson import neg_pearson
from neural_methods.trainer.base import Needs, Trainer
from registry import METHODS


@METHODS.register("MeanColour")
class MeanColourTrainer(Trainer):
    """The default optimiser and schedule, negative Pearson correlation."""

    OPTIONS = {"MEANCOLOUR": {"TAPS": 9}}
    needs = Needs(channels=3)

    def build_model(self):
        return MeanColour(self.options.MEANCOLOUR.TAPS)

    def loss(self, outputs, batch, epoch):
        return {"loss": neg_pearson(outputs["ppg"], batch["ppg"])}
'''
CONFIG = """
TOOLBOX_MODE: train_and_test
DEVICE: cpu
PREPROCESS_WORKERS: 1
MODEL: {NAME: MeanColour, MEANCOLOUR: {TAPS: 5}}
INFERENCE: {PRESET: exact}
LOG: {PATH: runs}
"""
SECTION = """
%s:
  DATA:
    DATASET: Synthetic
    DATA_PATH: raw
    CACHED_PATH: cache
    BEGIN: %s
    END: %s
    SYNTHETIC: {PRESET: easy, SUBJECTS: 2, SECONDS: 6.0}
    PREPROCESS:
      DATA_TYPE: [DiffNormalized]
      LABEL_TYPE: DiffNormalized
      CHUNK_LENGTH: 80
      CROP_FACE: {DO_CROP_FACE: false}
      RESIZE: {W: 8, H: 8}
"""


@pytest.fixture
def folder(tmp_path) -> Path:
    """A working folder with a configuration, and a plugin folder with the two files."""
    plugin = tmp_path / "mine"
    plugin.mkdir()
    (plugin / "my_network.py").write_text(NETWORK)
    (plugin / "my_trainer.py").write_text(TRAINER)
    train, test = SECTION % ("TRAIN", 0.0, 0.5), SECTION % ("TEST", 0.5, 1.0)
    extras = "  EPOCHS: 2\n  LR: 0.01\n  MODEL_FILE_NAME: mine\n"
    (tmp_path / "mine.yaml").write_text(CONFIG + train + extras + test + "  METRICS: [MAE]\n")
    return tmp_path


def main(folder, *arguments) -> subprocess.CompletedProcess:
    """Run main.py in `folder` as a user does."""
    command = [sys.executable, str(ROOT / "main.py"), *arguments]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=300)


@pytest.mark.slow
def test_a_method_from_a_folder_trains_tests_and_is_tested_again(folder):
    """Two files and a YAML: weights, history, the method's row; then only_test from those weights."""
    trained = main(folder, "--plugin", "mine", "--config_file", "mine.yaml")
    assert trained.returncode == 0, trained.stderr
    assert "MeanColour: 16 parameters" in trained.stdout, "three colours, five taps of its own option, one bias"
    (history,) = folder.rglob("history.csv")
    assert len(list(csv.DictReader(history.open()))) == 2
    (weights,) = folder.rglob("mine_Epoch1.pth")
    assert json.loads(weights.with_suffix(".json").read_text())["options"] == {"MEANCOLOUR": {"TAPS": 5}}
    testing = ("TOOLBOX_MODE=only_test", f"INFERENCE.MODEL_PATH={weights}")
    again = main(folder, "--plugin", "mine", "--config_file", "mine.yaml", *testing)
    assert again.returncode == 0, again.stderr
    rows = [
        row.split() for run in (trained, again) for row in run.stdout.splitlines() if row.startswith("MeanColour  ")
    ]
    assert len(rows) == 2 and rows[0] == rows[1]


@pytest.mark.slow
def test_without_the_plugin_the_name_is_unknown(folder):
    """One message; with it, the name is listed."""
    failed = main(folder, "--config_file", "mine.yaml")
    assert failed.returncode == 1 and "MeanColour" in failed.stderr and "Traceback" not in failed.stderr
    assert "MeanColour" in main(folder, "--plugin", "mine", "--list").stdout
