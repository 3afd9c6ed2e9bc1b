"""The shipped files: complete, short, loadable, and worth what rPPG-Toolbox's files of the same names are worth."""

import hashlib
import json
from pathlib import Path

import pytest

import config
from config import load_config, read
from tests.conftest import ROOT

CONFIGS = ROOT / "configs"
GOLDEN = json.loads((ROOT / "tests" / "golden_configs.json").read_text())
PATHS = {"BASE", "DATA_PATH", "CACHED_PATH", "CACHE_ROOT", "FILE_LIST_PATH"}  # places, which differ everywhere
SHIPPED = sorted(str(file.relative_to(CONFIGS)) for file in CONFIGS.glob("*_configs/*.yaml"))
OURS = {  # not rPPG-Toolbox's
    f"infer_configs/{name}_UNSUPERVISED.yaml"
    for name in ("ECG-Fitness", "LGI-PPGI", "MCD-rPPG", "MR-NIRP", "V4V", "VIPL-HR")
}
DEMOS = sorted(file.name for file in (CONFIGS / "demo").glob("*.yaml"))


def differences(node, default, path="") -> dict:
    """Every value of config.py's keys that is not the default, by key path, places left out."""
    found = {}
    for key, value in node.items():
        if key in PATHS or key not in default:
            continue
        if isinstance(value, dict):
            found |= differences(value, default[key], f"{path}{key}.")
        elif value != default[key]:
            found[path + key] = list(value) if isinstance(value, tuple) else value
    return found


def digest(file: Path) -> str:
    """Eight hexadecimal digits of all resolved and derived values of a file that are not defaults."""
    values = differences(read(file).config, config.schema())
    return hashlib.sha256(json.dumps(values, sort_keys=True).encode()).hexdigest()[:8]


def test_all_names_of_rppg_toolbox_are_here():
    """Sixty-five to test, sixty-three to train; two of them contain a blank and have a clean name, too."""
    assert set(GOLDEN) <= set(SHIPPED) and len(GOLDEN) == 128
    assert {name.replace(" .yaml", ".yaml") for name in GOLDEN} <= set(SHIPPED)
    assert len(set(SHIPPED) - OURS) == 130 and set(SHIPPED) >= OURS


@pytest.mark.parametrize("name", sorted(GOLDEN))
def test_a_file_resolves_to_the_values_recorded_from_rppg_toolbox(name):
    """The digests were taken from its own files, loaded by this loader and by its own with equal values."""
    assert digest(CONFIGS / name) == GOLDEN[name]


@pytest.mark.parametrize("name", [name for name in GOLDEN if " .yaml" in name])
def test_the_clean_name_is_the_same_file(name):
    """Users may drop the blank."""
    assert digest(CONFIGS / name.replace(" .yaml", ".yaml")) == GOLDEN[name]


def test_files_are_short_and_name_no_absolute_path():
    """What is common lies in configs/base; nobody has to edit paths."""
    for file in CONFIGS.glob("**/*.yaml"):
        if file.name == "local.yaml":
            continue
        text = file.read_text()
        assert len(text.splitlines()) <= 40 or file.parent.name == "reference", file  # that is a table, not settings
        assert ": /" not in text and '"/' not in text and text.startswith("# "), file


@pytest.mark.parametrize("name", DEMOS)
def test_a_demo_loads_and_needs_no_gpu(name):
    """Anybody can run it as it is."""
    loaded = load_config(CONFIGS / "demo" / name)
    assert loaded.DEVICE == "auto"
    assert loaded.LOG.PATH != config.schema().LOG.PATH


def test_every_mode_has_a_demo():
    """Preprocessing is the first step of each."""
    modes = {load_config(CONFIGS / "demo" / name).TOOLBOX_MODE for name in DEMOS}
    assert {"unsupervised_method", "train_and_test"} <= modes


def test_every_fragment_of_methods_and_clips_is_used():
    """Nothing is left behind in configs/base."""
    used = set()
    for folder in ("train_configs", "infer_configs", "demo", "multimodal"):
        for file in (CONFIGS / folder).glob("*.yaml"):
            log = read(file).log
            used |= {Path(line.removeprefix("=> Merging a config file from ")).name for line in log if "=>" in line}
    fragments = [file for file in CONFIGS.glob("base/**/*.yaml") if file.parent.name != "data"]
    assert {file.name for file in fragments} <= used


@pytest.mark.parametrize("name", sorted(file.name for file in (CONFIGS / "base" / "data").glob("*.yaml")))
def test_a_data_fragment_serves_any_section(name, tmp_path):
    """Whether a shipped file uses it or only users do."""
    file = tmp_path / "x.yaml"
    data = {"BASE": [str(CONFIGS / "base" / "data" / name)]}
    file.write_text(json.dumps({"TOOLBOX_MODE": "preprocess", "TEST": {"DATA": data}}))
    assert read(file).config.TEST.DATA.DATASET
