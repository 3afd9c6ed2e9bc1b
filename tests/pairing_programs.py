"""The programs for pairs on small pictures that pulse: their settings, and what a run of theirs says."""

import json
from pathlib import Path

from config import load_config, run_folder
from registry import import_plugin
from tests.conftest import ROOT

SHIPPED = ROOT / "configs" / "pairing" / "train_model.yaml"
LISTS = {"val": "val_pairs.csv", "test": "test_pairs.csv", "train": "train_pairs.csv"}


def settings(folder: Path, *more: str, data: Path | None = None, **pulsing) -> list[str]:
    """Overrides that train on pictures that pulse, everything in `folder`; `data`: where faces are kept instead.

    Their data set, PULSING, is registered.
    """
    import_plugin(Path(__file__).parent / "plugins" / "pulsing.py")
    paths = [f"paths.{name}_data_path={folder / 'mappings' / file}" for name, file in LISTS.items()]
    paths += [f"paths.{key}={folder / value}" for key, value in
              {"log_path": "runs", "model_path": "models"}.items()]  # fmt: skip
    paths += [f"paths.data_dir_path={data or folder / 'data'}"]
    small = {"data.source": "from_rppg", "base.dataset": "PULSING", "data.size": 16, "data.pairs_per_epoch": 16,
             "params.epochs": 1, "params.patience": 0, "data.duration": 5}  # fmt: skip
    own = {"PEOPLE": 15, "LASTS": 10.0, **pulsing}
    sections = ("TRAIN", "VALID", "TEST")
    keys = [f"{part}.DATA.{key}={value}" for part in sections for key, value in own.items()]
    keys += [f"{part}.DATA.PREPROCESS.CROP_FACE.DO_CROP_FACE=False" for part in sections]
    return [*paths, *(f"{key}={value}" for key, value in small.items()), *keys, "PREPROCESS_WORKERS=1",
            "MODEL.PAIR.PERMUTATIONS=99", "base.device=cpu", *more]  # fmt: skip


def content(folder: Path, *more: str, data: Path | None = None, **pulsing) -> dict:
    """What metrics.json of a run says of its pairs."""
    run = run_folder(load_config(SHIPPED, settings(folder, *more, data=data, **pulsing)))
    return json.loads((run / "metrics.json").read_text())["heads"]["pair"]
