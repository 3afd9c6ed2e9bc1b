"""What every registered method that reads faces must do: one clip by heart, resumed to the same bits, its file."""

from pathlib import Path

import numpy as np
import pytest
from yacs.config import CfgNode

from neural_methods.training import Training
from registry import METHODS
from tests.conftest import few
from tests.toy_training import method_config
from tests.trainer_tools import ToyClips

OURS = [name for name in METHODS.names() if METHODS[name].__module__.startswith("neural_methods.")]
NAMES = [
    name for name in OURS if METHODS[name].needs.reads_video and "ppg" in METHODS[name].heads
]  # others: see theirs
SIZES = {"FactorizePhys": 72, "iBVPNet": 64, "BigSmall": 32, "PhysFormer": 32, "RhythmFormer": 32}  # pixels; else 16
FRAMES = {"BigSmall": 15, "PhysFormer": 64, "RhythmFormer": 64}  # else 16; a spectrum needs more
NARROW = {"PHYSFORMER": {"DIM": 32, "FF_DIM": 32, "NUM_LAYERS": 3, "PROFILE": "rf"}}
RATES = {"BigSmall": 2e-3, "PhysFormer": 2e-3, "iBVPNet": 2e-3}  # else 5e-3
EPOCHS = {"BigSmall": 80, "iBVPNet": 80, "DeepPhys": 40, "Physnet": 40}  # else 60


class Killed(BaseException):
    """Stands for a kill: nothing handles it."""


def make(name, folder, **changes):
    """A trainer of `name` on frames as small as it takes."""
    size, frames = SIZES.get(name, 16), FRAMES.get(name, 16)
    for part in ("TRAIN", "TEST"):
        small = {"BIG_H": size, "BIG_W": size, "SMALL_H": size // 16, "SMALL_W": size // 16}
        section = {"BIG_DATA_TYPE": ["Standardized"], "SMALL_DATA_TYPE": ["DiffNormalized"], "RESIZE": small}
        changes[f"{part}__DATA__PREPROCESS__BIGSMALL"] = CfgNode(section)
        changes[f"{part}__DATA__PREPROCESS__CHUNK_LENGTH"] = frames
        changes[f"{part}__DATA__PREPROCESS__RESIZE"] = CfgNode({"W": size, "H": size})
    for section, values in NARROW.items():
        if section in METHODS[name].OPTIONS:
            changes[f"MODEL__{section}"] = CfgNode({**METHODS[name].OPTIONS[section], **values})
    return METHODS[name](method_config(name, folder / "models", **changes))


def toys(name, n):
    """Clips as `name` takes them."""
    channels = METHODS[name].needs.channels or 3
    return ToyClips(n, channels, FRAMES.get(name, 16), SIZES.get(name, 16))


def weights(folder: Path) -> dict[str, bytes]:
    """Content of every weight file."""
    return {path.name: path.read_bytes() for path in sorted((folder / "models").glob("*.pth"))}


@pytest.mark.parametrize("name", few(NAMES, "EfficientPhys"))
def test_learns_one_clip_by_heart(name, tmp_path):
    """As it is tested, without dropout and batch statistics: the prediction correlates by 0.9 with the label."""
    changes = {"TRAIN__EPOCHS": EPOCHS.get(name, 60), "TRAIN__LR": RATES.get(name, 5e-3)}
    trainer, clip = make(name, tmp_path, **changes, TRAIN__KEEP_CHECKPOINTS="last_and_best"), toys(name, 1)
    fitted = trainer.fit(clip, folder=tmp_path / "run")
    found = trainer.predictions(trainer.load(fitted.path), clip)["r0"][0]
    label = found["label"][: len(found["ppg"])]
    assert np.corrcoef(found["ppg"], label)[0, 1] > 0.9


@pytest.mark.parametrize("name", few(NAMES, "EfficientPhys", "BigSmall"))
def test_continues_to_the_same_bits_and_is_tested_from_its_file(name, tmp_path, monkeypatch):
    """Killed in its second update and started again: the same weight file, and from it the same predictions."""
    changes = {"TRAIN__EPOCHS": 1, "TRAIN__STATE_EVERY": 1, "MODEL__DROP_RATE": 0.2}
    clips = toys(name, 4)
    whole = make(name, tmp_path / "whole", **changes)
    fitted = whole.fit(clips, folder=tmp_path / "whole" / "run")
    with monkeypatch.context() as patch:
        step, calls = Training._step, []
        patch.setattr(Training, "_step", lambda *given: _interrupt(step, calls, given))
        with pytest.raises(Killed):
            make(name, tmp_path / "killed", **changes).fit(clips, folder=tmp_path / "killed" / "run")
    again = make(name, tmp_path / "killed", **changes).fit(clips, folder=tmp_path / "killed" / "run")
    assert again.trained and weights(tmp_path / "killed") == weights(tmp_path / "whole")
    tester = make(name, tmp_path / "test", TOOLBOX_MODE="only_test", MODEL__DROP_RATE=0.2)
    first, second = (
        one.predictions(one.load(path), toys(name, 1))["r0"][0]
        for one, path in ((whole, fitted.path), (tester, again.path))
    )
    assert first.keys() == second.keys() and all(np.array_equal(first[key], second[key]) for key in first)


def _interrupt(step, calls, given):
    calls.append(0)
    if len(calls) > 1:
        raise Killed
    return step(*given)
