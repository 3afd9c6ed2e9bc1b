"""Groups `base`, `params`, `paths` and `data` of configurations for pairing: see configs/pairing/train_model.yaml."""

import os
from typing import Any

from registry import DIALECTS, METHODS, did_you_mean
from settings.dialects import Dialect, Groups
from settings.modes.neural import TRAIN_AND_TEST

GROUPS: dict[str, dict[str, Any]] = {
    "base": {
        "seed": 0, "architecture": "PairNet21", "dataset": "synthetic", "wandb_mode": "disabled",
        "tqdm_disabled": False, "device": "auto",
    },
    "params": {
        "lr": 1e-3, "epochs": 20, "batch_size": 8, "accumulation_steps": 1, "weight_decay": 1e-4, "patience": 5,
        "amp": True,
    },
    "paths": {
        "data_dir_path": "data", "raw_data_path": "", "train_data_path": "data/mappings/train_pairs.csv",
        "val_data_path": "data/mappings/val_pairs.csv", "test_data_path": "data/mappings/test_pairs.csv",
        "model_path": "models", "log_path": "runs/pairing",
    },
    "data": {
        "source": "from_rppg", "duration": 10.0, "fps": 30.0, "size": 64, "grayscaled": False, "singular": True,
        "overwrite": False, "training_set_size": 0.6, "pairs_per_epoch": 512, "max_eval_pairs": 2000,
        "min_delta_hr": 0.0, "preset": "easy", "people": 40, "seconds": 20.0, "synthetic": {}, "perturb": [],
    },
}  # fmt: skip
SOURCES = ("synthetic", "from_rppg", "paired_ecg")
WIDE = 1.0  # of the detected box: forehead and cheeks, no wall


def translate(groups: Groups) -> dict[str, Any]:
    """Keys of the toolbox; ValueError, which names the key, for values that cannot be."""
    base, params, paths, data = (groups[name] for name in ("base", "params", "paths", "data"))
    if data["source"] not in SOURCES:
        hint = did_you_mean(data["source"], SOURCES)
        raise ValueError(f"data.source is {data['source']!r}.{hint} Known: {', '.join(SOURCES)}.")
    name = base["architecture"]
    if name not in METHODS.listed():
        raise ValueError(f"base.architecture is {name!r}, which is no method.{did_you_mean(name, METHODS.listed())}")
    share = data["training_set_size"]
    if not 0 < share < 1:
        raise ValueError(f"data.training_set_size is {share!r}, but must lie between 0 and 1: the rest is halved.")
    section = {"DATA": _data(base, paths, data)}
    return {
        "TOOLBOX_MODE": TRAIN_AND_TEST,
        "SEED": base["seed"],
        "DEVICE": base["device"],
        "OVERWRITE": data["overwrite"],
        "SPLIT": {"KIND": "random", "RATIOS": [share, (1 - share) / 2, (1 - share) / 2], "SEED": base["seed"]},
        "LOG": {"PATH": paths["log_path"], "WANDB": base["wandb_mode"], "BARS": not base["tqdm_disabled"]},
        "MODEL": {"NAME": base["architecture"], "PAIR": _pair(params, paths, data)},
        "TRAIN": {
            "EPOCHS": params["epochs"],
            "BATCH_SIZE": params["batch_size"],
            "ACCUMULATION_STEPS": params["accumulation_steps"],
            "LR": params["lr"],
            "EARLY_STOPPING": params["patience"],
            "AMP": "auto" if params["amp"] else "",
            "CLIP_GRAD": 1.0,
            "KEEP_CHECKPOINTS": "last_and_best",
            "MODEL_FILE_NAME": f"pairing_{base['architecture']}",
            **section,
        },
        "VALID": dict(section),
        "TEST": {"USE_LAST_EPOCH": False, **section},
        "INFERENCE": {"PRESET": "exact", "BATCH_SIZE": params["batch_size"]},
    }


def _data(base: dict[str, Any], paths: dict[str, Any], data: dict[str, Any]) -> dict[str, Any]:
    """A DATA node."""
    names = {"synthetic": "Synthetic", "paired_ecg": "PairedECG", "from_rppg": base["dataset"]}
    raw = paths["raw_data_path"] or os.path.join(paths["data_dir_path"], "raw")
    made: dict[str, Any] = {
        "DATASET": names[data["source"]],
        "DATA_PATH": raw,
        "CACHED_PATH": os.path.join(paths["data_dir_path"], "cache"),
        "RESAMPLE_FS": data["fps"],
        "PREPROCESS": {
            "DATA_TYPE": ["Standardized"],
            "LABEL_TYPE": "Raw",
            "CHUNK_LENGTH": round(data["duration"] * data["fps"]),
            "CROP_FACE": {"LARGE_BOX_COEF": WIDE},
            "RESIZE": {"W": data["size"], "H": data["size"]},
        },
    }
    if data["source"] == "synthetic":
        own = {"PRESET": data["preset"], "SUBJECTS": data["people"], "SECONDS": data["seconds"]}
        made["SYNTHETIC"] = {**own, **{str(key).upper(): value for key, value in data["synthetic"].items()}}
    return made


def _pair(params: dict[str, Any], paths: dict[str, Any], data: dict[str, Any]) -> dict[str, Any]:
    """The options of the methods."""
    return {
        "PAIRS_PER_EPOCH": data["pairs_per_epoch"],
        "MAX_EVAL_PAIRS": data["max_eval_pairs"],
        "MIN_DELTA_HR": data["min_delta_hr"],
        "VALID_PAIRS": paths["val_data_path"],
        "TEST_PAIRS": paths["test_data_path"],
        "TRAIN_PAIRS": paths["train_data_path"],
        "MODEL_PATH": paths["model_path"],
        "GREY": data["grayscaled"],
        "WEIGHT_DECAY": params["weight_decay"],
        "PERTURB": data["perturb"],
    }


DIALECTS.register("pairing")(Dialect(GROUPS, translate))
