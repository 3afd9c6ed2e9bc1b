"""The whole chain by command line: shipped configurations on rendered raw folders, and what the demo claims."""

import json
from pathlib import Path

import pytest

import main
from config import load_config, run_folder
from dataset.synthetic.layouts import write_layout
from tests.conftest import ROOT

SMALL = {"PRESET": "easy", "SUBJECTS": 3, "SECONDS": 7.0, "WIDTH": 320, "HEIGHT": 240, "CODEC": "mjpg"}


@pytest.fixture(scope="module")
def raw(tmp_path_factory):
    """A folder for small rendered data sets in their raw layouts, each made once."""
    return tmp_path_factory.mktemp("raw")


def scores(folder: Path) -> dict[str, float]:
    """MAE (bpm) of each method by the preset `exact`, from the report of a run."""
    tables = json.loads((folder / "metrics.json").read_text())["tables"]
    return {t["method"]: t["metrics"]["MAE"]["value"] for t in tables if t["preset"] == "exact"}


def run(file: str, overrides: list[str]) -> Path:
    """Run a shipped configuration with `overrides`; the folder of its report."""
    path = ROOT / file
    assert main.main(["--config_file", str(path), *overrides]) == 0
    return run_folder(load_config(path, overrides))


def paths(raw: Path, out: Path, **data_sets: str) -> list[str]:
    """Overrides of nothing but paths: DATA_PATH of each section, CACHED_PATH and LOG.PATH; renders what is missing."""
    for name in data_sets.values():
        if not (raw / name).exists():
            write_layout(name, raw / name, SMALL)
    places = [f"{section}.DATA.DATA_PATH={raw / name}" for section, name in data_sets.items()]
    caches = [f"{section}.DATA.CACHED_PATH={out / 'cache'}" for section in data_sets]
    return [*places, *caches, f"LOG.PATH={out / 'runs'}"]


def test_a_shipped_classical_configuration_runs_with_only_its_paths_changed(raw, tmp_path):
    """UBFC-rPPG_UNSUPERVISED.yaml on a raw folder of that layout: seven methods, small errors on the easy preset."""
    folder = run("configs/infer_configs/UBFC-rPPG_UNSUPERVISED.yaml", paths(raw, tmp_path, UNSUPERVISED="UBFC-rPPG"))
    found = scores(folder)
    assert {"POS", "CHROM", "ICA", "GREEN", "LGI", "PBV", "OMIT"} <= set(found)
    assert found["POS"] < 2


@pytest.mark.slow
def test_a_shipped_training_configuration_runs_with_only_its_paths_changed(raw, tmp_path):
    """PURE_PURE_UBFC-rPPG_TSCAN_BASIC.yaml trains its thirty epochs on one layout and is tested on the other."""
    places = paths(raw, tmp_path, TRAIN="PURE", VALID="PURE", TEST="UBFC-rPPG")
    folder = run("configs/train_configs/PURE_PURE_UBFC-rPPG_TSCAN_BASIC.yaml", places)
    assert "Tscan" in scores(folder)
    assert len(list((tmp_path / "runs").rglob("*_Epoch29.pth"))) == 1
    assert len(list((tmp_path / "runs").rglob("*_outputs.pickle"))) == 1


@pytest.mark.slow
@pytest.mark.parametrize("seed", [100, 1, 2])
def test_the_demo_physnet_beats_green_on_people_it_has_not_seen(seed, tmp_path_factory):
    """Trained on the preset `standard`, sixteen unseen subjects, each of three seeds; all share the rendered videos."""
    base = tmp_path_factory.getbasetemp() / "demo_physnet"
    overrides = [f"{s}.DATA.DATA_PATH={base / 'videos'}" for s in ("TRAIN", "VALID", "TEST")]
    overrides += [f"{s}.DATA.CACHED_PATH={base / 'cache'}" for s in ("TRAIN", "VALID", "TEST")]
    folder = run("configs/demo/physnet.yaml", [*overrides, f"LOG.PATH={base / 'runs'}", f"SEED={seed}"])
    found = scores(folder)
    assert found["Physnet"] < found["GREEN"]
