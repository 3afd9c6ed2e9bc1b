"""configs/reproduction: every setting, network and profile, with the parts and recipes of the published protocol."""

import pytest
import yaml

from config import load_config
from evaluation.comparing.published import read_published
from evaluation.comparing.runs import Data
from tests.conftest import ROOT

FOLDER = ROOT / "configs" / "reproduction"
FILES = sorted(path.stem for path in FOLDER.glob("*.yaml"))
SETTINGS = {(one.train, one.test) for one in read_published()}
PROFILES = {  # epochs, rate, clip, picture, preset
    "PHYSNET_RF": (30, 9e-3, 160, 128, "rhythmformer"),
    "PHYSNET_TOOLBOX": (30, 9e-3, 128, 72, "neurips2023"),
    "PHYSFORMER_RF": (30, 9e-3, 160, 128, "rhythmformer"),
    "PHYSFORMER_TOOLBOX": (10, 1e-4, 160, 128, "neurips2023"),
    "PHYSFORMER_PAPER": (25, 1e-4, 160, 128, "rhythmformer"),
}


def part(node):
    """Data set and part of a DATA node."""
    return Data(node.DATASET, node.BEGIN, node.END)


def test_every_setting_has_every_profile():
    """Seven of the published table by two networks in their profiles, and two on rendered people."""
    names = ("PURE", "UBFC-rPPG", "MMPD", "PURE_UBFC-rPPG", "UBFC-rPPG_PURE", "PURE_MMPD", "UBFC-rPPG_MMPD")
    expected = [f"{name}_{profile}" for name in names for profile in PROFILES]
    assert FILES == sorted([*expected, "SYNTH_PHYSNET_RF", "SYNTH_PHYSFORMER_RF"]) and len(FILES) == 37


@pytest.mark.parametrize("name", FILES)
def test_a_file_is_of_the_protocol(name):
    """Its parts are those of a published setting; four clips an update; the epoch is never chosen by the test."""
    config = load_config(FOLDER / f"{name}.yaml")
    assert (part(config.TRAIN.DATA), part(config.TEST.DATA)) in SETTINGS
    assert config.TRAIN.BATCH_SIZE * config.TRAIN.ACCUMULATION_STEPS == 4
    assert config.TEST.USE_LAST_EPOCH or part(config.VALID.DATA) != part(config.TEST.DATA)
    for node in (config.TRAIN.DATA, config.VALID.DATA, config.TEST.DATA):
        crop = node.PREPROCESS.CROP_FACE
        assert crop.USE_LARGE_FACE_BOX and crop.LARGE_BOX_COEF == 1.5 and not crop.DETECTION.DO_DYNAMIC_DETECTION
    if name.startswith("SYNTH"):
        return
    profile = "_".join(name.split("_")[-2:])
    size = config.TEST.DATA.PREPROCESS
    assert PROFILES[profile] == (
        config.TRAIN.EPOCHS, config.TRAIN.LR, size.CHUNK_LENGTH, size.RESIZE.W, config.INFERENCE.PRESET,
    )  # fmt: skip
    within = len(name.split("_")) == 3
    assert config.TRAIN.AUGMENT.RATE == (
        profile in ("PHYSFORMER_RF", "PHYSFORMER_PAPER") and name != "MMPD_PHYSFORMER_RF"
    )
    assert config.TEST.USE_LAST_EPOCH == (within and not name.startswith("MMPD"))


def test_the_files_are_short():
    """What differs stands in the file, what they share in parts/."""
    for path in FOLDER.glob("*.yaml"):
        assert len(path.read_text().splitlines()) <= 20 and yaml.safe_load(path.read_text())["BASE"]
