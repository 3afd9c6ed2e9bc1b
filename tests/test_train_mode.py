"""Training without a test, parts drawn at random, and what is refused before anything is preprocessed."""

import csv
import json
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from config import ConfigError, load_config, run_folder
from dataset.data_loader.base import BaseLoader, Recording, Signal
from evaluation import figures
from neural_methods.needs import Needs
from neural_methods.run import train, train_and_test
from neural_methods.trainer.base import Trainer
from registry import DATASETS, METHODS
from tests.run_tools import write_run

FS, FRAMES = 30.0, 96
SESSIONS = [f"s{number}{letter}" for number in range(6) for letter in "ab"]  # six subjects, twice


@DATASETS.register("TestSessions")
class TestSessionsLoader(BaseLoader):
    """Noise of 16x16 pixels whose green carries a pulse; without the file `labels` there are none."""

    __test__ = False  # not a test, whatever pytest thinks of its name
    fs = FS
    signals = ("ppg",)

    def recordings(self, root):
        """Those of the file `sessions`, or all."""
        file = Path(root) / "sessions"
        names = file.read_text().split() if file.is_file() else SESSIONS
        return [Recording(id=name, subject=name[:-1], path=Path(root)) for name in names]

    def read_video(self, recording):
        """Frames (16, 16, 3) uint8."""
        rng = np.random.default_rng(SESSIONS.index(recording.id))
        for frame in range(FRAMES):
            image = 120 + 3 * np.sin(2 * np.pi * 1.2 * frame / FS) + rng.normal(0, 3, (16, 16, 3))
            yield np.clip(image, 0, 255).astype(np.uint8)

    def read_wave(self, recording):
        """The pulse."""
        return {"ppg": Signal(np.sin(2 * np.pi * 1.2 * np.arange(FRAMES) / FS), fs=FS)}


@DATASETS.register("TestMute")
class TestMuteLoader(TestSessionsLoader):
    """The same videos, never labelled."""

    signals = ()

    def read_wave(self, recording):
        """Nothing."""
        return {}


@METHODS.register("TestMaskedColour")
class MaskedColour(Trainer):
    """Learns without labels to give the mean colour back."""

    needs = Needs(signals=(), channels=3)
    heads = {}

    def build_model(self):
        """A bottleneck over time."""
        return nn.Sequential(nn.Conv1d(3, 2, 3, padding=1), nn.Conv1d(2, 3, 3, padding=1))

    def predict(self, model, batch):
        """The colour (B, 3, T)."""
        return {"colour": model(batch["video"].mean(dim=(3, 4)))}

    def loss(self, outputs, batch, epoch):
        """Mean squared difference; there is nothing to look up."""
        assert "ppg" not in batch
        return {"loss": ((outputs["colour"] - batch["video"].mean(dim=(3, 4))) ** 2).mean()}


@pytest.fixture(autouse=True)
def _no_pictures(monkeypatch):
    """Pictures take most of the time and are tested elsewhere."""
    monkeypatch.setattr(figures, "attempt", lambda *arguments, **more: False)


def _config(folder: Path, *overrides: str, dataset: str = "TestSessions"):
    base = (
        "MODEL.NAME=Physnet", "TRAIN.EPOCHS=1", "TRAIN.BATCH_SIZE=6", "TRAIN.MODEL_FILE_NAME=tiny",
        "TRAIN.PLOT_LOSSES_AND_LR=False", "TEST.METRICS=['MAE']", f"LOG.PATH={folder}/runs",
    )  # fmt: skip
    return load_config(write_run(folder / "run.yaml", dataset), [*base, *overrides])


def _without_test(config):
    """The same in mode `train`."""
    changed = config.clone()
    changed.defrost()
    changed.TOOLBOX_MODE = "train"
    changed.freeze()
    return changed


def _rows(config) -> list[dict[str, str]]:
    with open(run_folder(config) / "split.csv", newline="") as file:
        return list(csv.DictReader(file))


# --- Mode train -----------------------------------------------------------------------------------------------------


def test_method_without_labels_trains_on_videos_that_have_none(tmp_path, capsys):
    """Weights, state and settings are left, no report; the path is printed; a second call trains nothing."""
    config = _without_test(_config(tmp_path, "MODEL.NAME=TestMaskedColour", dataset="TestMute"))
    path = train(config)
    folder = run_folder(config)
    assert f"Weights: {path}" in capsys.readouterr().out and set(torch.load(path, weights_only=True))
    names = {file.name for file in folder.iterdir()}
    assert names >= {"config.yaml", "environment.json", "history.csv", "state.pth"} and "report.md" not in names
    assert train(config) == path and "This training is finished" in capsys.readouterr().out


# --- Random parts ---------------------------------------------------------------------------------------------------


RANDOM = ("SPLIT.KIND=random", "SPLIT.RATIOS=[0.5,0.25,0.25]", "SPLIT.SEED=1")


def test_subjects_are_drawn_into_parts_that_are_trained_validated_and_tested(tmp_path):
    """Both sessions of a subject are in one part; what is tested is the part called test; a rerun trains nothing."""
    config = _config(tmp_path, *RANDOM, "TEST.USE_LAST_EPOCH=False")
    path = train_and_test(config)
    rows = _rows(config)
    assert [row["recording"] for row in rows] == SESSIONS
    parts = {row["subject"]: {other["part"] for other in rows if other["subject"] == row["subject"]} for row in rows}
    counts = [part for found in parts.values() for part in found]
    assert sorted(counts) == ["test", "train", "train", "train", "valid", "valid"]
    with open(run_folder(config) / "per_recording.csv", newline="") as file:
        tested = {row["recording"] for row in csv.DictReader(file)}
    assert tested == {row["recording"] for row in rows if row["part"] == "test"}
    assert path == run_folder(config) / "report.md"
    assert [folder.name for folder in path.parent.parent.iterdir()] == [path.parent.name]  # nothing beside it
    assert set(json.loads((path.parent / "provenance.json").read_text())["data"]) == {"TRAIN", "VALID", "TEST"}


def test_draw_of_a_run_stays_what_it_was(tmp_path):
    """The same again; where a recording went, the run says so and --restart draws anew; another seed is another run."""
    config = _without_test(_config(tmp_path, *RANDOM, "SPLIT.RATIOS=[0.5,0,0.5]"))
    train(config)
    before = _rows(config)
    train(config)
    assert _rows(config) == before
    other = _without_test(_config(tmp_path, *RANDOM, "SPLIT.RATIOS=[0.5,0,0.5]", "SPLIT.SEED=2"))
    assert run_folder(other) != run_folder(config)
    (run_folder(config) / "split.csv").write_text("recording,subject,part\n")
    with pytest.raises(ValueError, match="split.csv.*is not what SPLIT draws now.*--restart"):
        train(config)


def test_recordings_are_drawn_where_that_is_asked_for(tmp_path, capsys):
    """A person may then be trained on and tested, which the run warns of."""
    config = _config(tmp_path, *RANDOM, "SPLIT.BY=recording", "SPLIT.RATIOS=[0.5,0,0.5]")
    train_and_test(config)
    parts = [row["part"] for row in _rows(config)]
    assert parts.count("train") == 6 and parts.count("test") == 6
    assert "Warning: TRAIN and TEST share" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("overrides", "words"),
    [
        (("SPLIT.RATIOS=[0.5,0.5]",), "three shares"),
        (("SPLIT.RATIOS=[0.8,0.2,0.0]",), "leaves TEST nothing"),
        (("SPLIT.RATIOS=[0.8,0,0.2]", "TEST.USE_LAST_EPOCH=False"), "leaves VALID nothing"),
        (("SPLIT.BY=person",), "SPLIT.BY is 'person'"),
    ],
)
def test_draws_that_leave_a_section_empty_are_refused(tmp_path, overrides, words):
    """By key, when the configuration is read."""
    with pytest.raises(ConfigError, match=words):
        _config(tmp_path, *RANDOM, *overrides)


# --- Refused before preprocessing -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("overrides", "dataset", "words"),
    [
        ((), "TestMute", "Physnet needs 'ppg', which TRAIN.DATA.DATASET TestMute does not have"),
        (
            ("MODEL.NAME=iBVPNet", "MODEL.iBVPNet.CHANNELS=4"),
            "TestSessions",
            "MODEL.iBVPNet.CHANNELS is 4, TRAIN.DATA gives a video of 3",
        ),
        (("MODEL.NAME=FactorizePhys", "MODEL.FactorizePhys.CHANNELS=1"), "TestSessions", "FactorizePhys.CHANNELS is 1"),
        (
            ("MODEL.NAME=Tscan", "TEST.DATA.PREPROCESS.RESIZE.W=12", "TEST.DATA.PREPROCESS.RESIZE.H=12"),
            "TestSessions",
            "Tscan reads 6 channels, TRAIN.DATA",
        ),
        (("MODEL.WEIGHTS=none.pth",), "TestSessions", "No weights at 'none.pth'"),
    ],
)
def test_what_cannot_work_is_refused_before_a_video_is_opened(tmp_path, overrides, dataset, words):
    """No cache is made; the sentence names the key."""
    with pytest.raises((ValueError, FileNotFoundError), match=words):
        train_and_test(_config(tmp_path, "TRAIN.DATA.END=0.5", "TEST.DATA.BEGIN=0.5", *overrides, dataset=dataset))
    assert not list(tmp_path.glob("cache/**/faces.npy"))
