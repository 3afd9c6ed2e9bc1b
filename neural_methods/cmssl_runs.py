"""Runs of CM-SSL one after the other: what was trained before is not trained again."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

import config as settings
from dataset.files.downstream import open_downstream, read_meta
from dataset.files.reading import read_json
from evaluation import tables
from neural_methods import cmssl_command, cmssl_files
from settings.modes import mode_of

RANDOM = {"MODEL.FINETUNE.INIT": "random"}
RIDGE = {"MODEL.NAME": "PlainRidge"}
PROBE = {"MODEL.FINETUNE.MODE": "linear_probing"}


def run(file: str | Path, changes: Mapping[str, Any]) -> Path:
    """The run of a file with changes, as main.py runs it; returns its folder. Raises what the run raises."""
    config = settings.load_config(str(file), list(changes.items()))
    mode_of(config).function()(config)
    return Path(settings.run_folder(config))


def finetuned(experiment: str, pretrained: str, name: str, changes: Mapping[str, Any], method: str = "") -> Path:
    """Fine-tuning on an experiment from the file `pretrained`; `name` tells such runs apart."""
    own = {"MODEL.FINETUNE.PRETRAINED": pretrained, "TRAIN.MODEL_FILE_NAME": name}
    own |= {"MODEL.FINETUNE.METHOD": method} if method else {}
    return run(cmssl_command.experiment_file(experiment), {**own, **changes})


def score_of(folder: Path) -> tuple[str, float]:
    """Name and value of the first score that a task is selected by: MAE, balanced accuracy or AUROC."""
    ((_, content),) = read_json(folder / "metrics.json")["heads"].items()
    found = cmssl_files.scores_of(content)
    names = {"choice": "balanced accuracy", "labels": "AUROC"}
    name = next(key for key in found if key.startswith(names.get(content["kind"], "MAE")))
    return name, float(found[name])


def best_validation(folder: Path) -> dict[str, float]:
    """The columns of the epoch with the least validation loss in a run's history."""
    lines = [line for line in tables.csv_lines(folder / "history.csv") if line.get("validation")]
    best = min(lines, key=lambda line: float(line["validation"]))
    return {key: float(value) for key, value in best.items() if value and ("/" in key or key == "validation")}


def spread_of(folder: Path, name: str) -> tuple[float, float]:
    """The 95 % interval over people of the score `name` of a run, as `score_of` calls it; NaN where there is none."""
    ((_, content),) = read_json(folder / "metrics.json")["heads"].items()
    for one in content["tables"]:
        metric = name.removesuffix(f" {one.get('target', '')}")
        if not one["baseline"] and metric in one["metrics"]:
            low, high = (np.nan if end is None else float(end) for end in one["metrics"][metric]["ci95"])
            return low, high
    return np.nan, np.nan


def fewer_people(file: str | Path, changes: Mapping[str, Any], percent: float, seed: int = 42) -> dict[str, Any]:
    """Settings that train on `percent` of the training people: the first of a draw, so that more include fewer.

    At least one, and of a choice so many that every class is there. ValueError for a share that is none.
    """
    if not 0 < percent <= 100:
        raise ValueError(f"{percent:g} % of the training people cannot be trained on: give more than 0, at most 100.")
    config = settings.load_config(str(file), list(changes.items()))
    windows, meta = open_downstream(config.TRAIN.DATA.DATA_PATH), read_meta(config.TRAIN.DATA.DATA_PATH)
    mine = [number for number, part in enumerate(windows.parts) if part == "train"]
    people = sorted({windows.subjects[number] for number in mine})
    order = [people[number] for number in np.random.default_rng(seed).permutation(len(people))]
    count = max(1, round(percent / 100 * len(order)))
    if meta.task == "choice":
        labels, whose = windows.targets[meta.labels[0]], np.array(windows.subjects)[windows.of]
        while count < len(order) and len(set(labels[np.isin(whose, order[:count])])) < len(meta.classes):
            count += 1
    return {"TRAIN.DATA.FOLD.FOLD_NAME": f"of{count}", "TRAIN.DATA.FOLD.SUBJECTS": order[:count]}
