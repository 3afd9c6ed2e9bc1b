"""What fine-tuning leaves beside the run's own files: weights, predictions, and a row in a table of all runs."""

import csv
import time
from pathlib import Path
from typing import Any

import numpy as np

from dataset.files.locks import TakenError, holding
from dataset.files.reading import read_json
from evaluation import provenance, tables
from evaluation.outputs import read_outputs
from neural_methods import checkpoint
from neural_methods.run import names_of

WAITED = 60.0  # seconds for other jobs that write the same table
FIRST = ("model_name", "task_name", "n", "subjects", "run")


def collect(config: Any, run: Path, summary: str, model: str, experiment: str) -> list[Path]:
    """Write them; `run` is the run's folder, `summary` the table ('': in that folder). Returns their paths.

    Of a cross-validation it is the row alone: weights and predictions lie in the folder of each fold.
    """
    metrics = read_json(run / "metrics.json")
    ((head, content),) = metrics["heads"].items()
    made = []
    weights = provenance.read(run).get("weights", {})
    if tested := weights.get("trained") or weights.get("INFERENCE.MODEL_PATH"):
        made = [run / "checkpoints" / "best_finetuned_model.pth", run / "test_predictions.npz"]
        checkpoint.write_bundle(made[0], tested["path"], {})
        _write_predictions(config, head, made[1])
    row = {"model_name": model, "task_name": experiment, "run": run.name, **scores_of(content)}
    path = Path(summary) if summary else run / "summary.csv"
    append(path, row)
    return [*made, path]


def scores_of(content: dict[str, Any]) -> dict[str, Any]:
    """n, subjects and every score of the method's own tables, by metric, with the target where there are several."""
    own = [one for one in content.get("tables", ()) if not one.get("baseline")]
    targets = {one.get("target") for one in own}
    found: dict[str, Any] = {}
    for one in own:
        found |= {key: one[key] for key in ("n", "subjects") if key in one}
        after = f" {one['target']}" if len(targets) > 1 else ""
        for name, score in (one.get("metrics") or one.get("scores") or {}).items():
            found.setdefault(f"{name}{after}", score["value"] if isinstance(score, dict) else score)
    return found


def _write_predictions(config: Any, head: str, path: Path) -> None:
    """`labels` and `predictions` of every window in the order of recordings, and whose they are."""
    names = names_of(config)
    stored = read_outputs(names.outputs / f"{names.id}_{head}_outputs.pickle")
    places = [(recording, clip) for recording, clips in stored["predictions"].items() for clip in clips]
    arrays = {
        key: np.stack([np.asarray(stored[key][recording][clip]) for recording, clip in places])
        for key in ("labels", "predictions")
    }
    np.savez(path, recordings=np.array([recording for recording, _ in places]), **arrays)


def append(path: Path, row: dict[str, Any]) -> None:
    """Add `row` to a CSV table, whose columns become the union; the row of the same run is replaced.

    ValueError for a file that is no such table; TakenError when others keep it for a minute.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    end = time.monotonic() + WAITED
    while True:
        try:
            with holding(path.with_name(f".{path.name}.lock"), f"The table '{path}'"):
                _append(path, row)
                return
        except TakenError:
            if time.monotonic() > end:
                raise
            time.sleep(0.2)


def _append(path: Path, row: dict[str, Any]) -> None:
    try:
        rows = tables.csv_lines(path) if path.is_file() else []
    except csv.Error as error:
        raise ValueError(f"'{path}' is no table: {error}. Name another summary_file_path.") from None
    if rows and "model_name" not in rows[0]:
        raise ValueError(f"'{path}' has no column model_name: it is another table. Name another summary_file_path.")
    rows = [one for one in rows if one.get("run") != row["run"]]
    columns = list(dict.fromkeys([*FIRST, *(key for one in (*rows, row) for key in one if key)]))
    tables.write_text(path, tables.csv_text(columns, [*rows, row]))
