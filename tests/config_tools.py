"""Configurations that the tests of settings start from, how one of their keys is changed, and how a refusal reads."""

import copy
from pathlib import Path

import pytest
import yaml

from config import ConfigError, read
from dataset.data_loader.base import BaseLoader
from registry import DATASETS, METHODS
from settings.checks import at_least

TRAINING = {
    "TOOLBOX_MODE": "train_and_test",
    "TRAIN": {
        "LR": "9e-3",
        "MODEL_FILE_NAME": "PURE_PURE_UBFC-rPPG_tscan",
        "DATA": {
            "DATASET": "PURE",
            "FS": 30,
            "END": 0.8,
            "PREPROCESS": {
                "DATA_TYPE": ["DiffNormalized", "Standardized"],
                "LABEL_TYPE": "DiffNormalized",
                "RESIZE": {"W": 72, "H": 72},
            },
        },
    },
    "TEST": {"METRICS": ["MAE", "BA"], "DATA": {"DATASET": "UBFC-rPPG", "FS": 30}},
    "MODEL": {"NAME": "Tscan"},
}
CLASSICAL = {
    "TOOLBOX_MODE": "unsupervised_method",
    "UNSUPERVISED": {"METHOD": ["POS"], "METRICS": ["MAE"], "DATA": {"DATASET": "PURE", "FS": 30}},
}
TESTING = {
    "TOOLBOX_MODE": "only_test",
    "TEST": {"METRICS": ["MAE"], "DATA": {"DATASET": "PURE", "FS": 30}},
    "MODEL": {"NAME": "Physnet"},
    "INFERENCE": {"MODEL_PATH": "weights/PURE_PhysNet.pth"},
}


def write_yaml(values, path: Path) -> Path:
    """Write a mapping (or plain text) as a YAML file; its path."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(values if isinstance(values, str) else yaml.safe_dump(values))
    return path


def changed(values: dict, **keys) -> dict:
    """A copy of `values` with KEY__SUBKEY=value changed."""
    values = copy.deepcopy(values)
    for path, value in keys.items():
        node = values
        *parents, last = path.split("__")
        for part in parents:
            node = node.setdefault(part, {})
        node[last] = value
    return values


def refusal(path, *overrides, **options) -> str:
    """The message by which a configuration is refused."""
    with pytest.raises(ConfigError) as error:
        read(path, overrides, **options)
    return str(error.value)


def add_entries(monkeypatch) -> None:
    """Register a method and a data set with options, until the test ends."""
    method = type("Mine", (), {"OPTIONS": {"MINE": {"DEPTH": 3, "DEEP": {"ER": 0.5}}, "SHARED": 1}})
    own = {"OPTIONS": {"OWN": {"PRESET": None, "SIZE": 4}}, "CHECKS": {"OWN.SIZE": at_least(1)}, "generated": True}
    data_set = type("Own", (BaseLoader,), own)
    for registry, name, entry in ((METHODS, "Mine", method), (DATASETS, "Own", data_set)):
        registry.names()
        monkeypatch.setitem(registry._entries, name, (name, entry))
