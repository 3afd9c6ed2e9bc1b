"""Runs of CM-SSL one after the other: what was trained before is not trained again."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import config as settings
from dataset.files.reading import read_json
from evaluation import tables
from neural_methods import cmssl_command, cmssl_files

RANDOM = {"MODEL.FINETUNE.INIT": "random"}
PROBE = {"MODEL.FINETUNE.MODE": "linear_probing"}


def run(file: str | Path, changes: Mapping[str, Any]) -> Path:
    """The run of a file with changes, by main.py; returns its folder. RuntimeError where it fails."""
    import main as program

    overrides = list(changes.items())
    code = program.run_file(program.parse(["--config_file", str(file)]), str(file), overrides)
    if code:
        raise RuntimeError(f"The run of '{file}' ended with code {code}.")
    return Path(settings.run_folder(settings.load_config(str(file), overrides)))


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
