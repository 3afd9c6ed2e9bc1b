"""What train_bp.py leaves in its output folder: weights with all they need, predictions, metrics, curves, the split."""

import csv
import io
import json
import shutil
from pathlib import Path
from typing import Any

import torch

from dataset.files.reading import read_json, read_text
from evaluation import figures, tables
from neural_methods import checkpoint
from neural_methods.trainer.bp import HEAD
from settings.modes import trains

COPIED = ("test_predictions.csv", "val_predictions.csv", "report.md", "metrics.json")
NAMES = {"train": "train", "valid": "val", "test": "test"}


def collect(config: Any, run: Path, out: Path, arguments: str) -> list[Path]:
    """Copy and make the files of a run, whose folder is `run`, in `out`; returns those written."""
    made = [tables.write_text(out / "args.json", arguments)]
    for path in [*(run / name for name in COPIED), *sorted(run.glob(f"{HEAD}_*.png"))]:
        if path.is_file():
            made.append(Path(shutil.copyfile(path, out / path.name)))
    metrics = read_json(run / "final_metrics.json")
    if trains(config):
        made += _trained(config, run, out, metrics, json.loads(arguments))
    else:
        metrics["best_epoch"] = checkpoint.read_sidecar(config.INFERENCE.MODEL_PATH).get("epoch")
    return [*made, tables.write_text(out / "final_metrics.json", tables.json_text(metrics))]


def _trained(config: Any, run: Path, out: Path, metrics: dict[str, Any], arguments: dict[str, Any]) -> list[Path]:
    """What only a training leaves: weights, statistics, split, curves; `metrics` get the best epoch."""
    epoch = int(checkpoint.read_state(run / "state.pth")["progress"]["best_epoch"])
    weights = Path(config.MODEL.MODEL_DIR) / f"{config.TRAIN.MODEL_FILE_NAME}_Epoch{epoch}.pth"
    metrics["best_epoch"] = epoch
    known = _known(weights)
    checkpoint.write_bundle(out / "bp_best.pth", weights, {
        "epoch": epoch, **{name: torch.tensor(values) for name, values in known.items()},
        "target_cols": list(config.MODEL.BP.TARGETS), "modality": str(config.MODEL.BP.MODALITY),
        "constrain": str(config.MODEL.BP.CONSTRAIN), "calibration": _calibration(weights),
        "input": {name: config.MODEL.BP[name] for name in ("ECG_FS", "PPG_FS", "INPUT_NORM", "ECG_FILTER")},
        "val": metrics["val"], "args": arguments,
    })  # fmt: skip
    stats = {
        target: {name: values[column] for name, values in known.items()}
        for column, target in enumerate(config.MODEL.BP.TARGETS)
    }
    history = epochs_of(run / "history.csv")
    return [
        out / "bp_best.pth",
        tables.write_text(out / "target_stats.json", tables.json_text(stats)),
        tables.write_text(out / "history.csv", tables.csv_text(list(history[0]), history)),
        tables.write_text(out / "split.csv", _split(config, run)),
        draw_curves(history, out / "learning_curves.png", epoch),
    ]


def _known(weights: Path) -> dict[str, list[float]]:
    """mu, sigma and bounds of each target, out of the head's entries."""
    state = checkpoint.read_weights(weights)
    names = {"mu": "mean", "sigma": "spread", "lo": "low", "hi": "high"}
    return {short: state[f"head.{name}"].tolist() for short, name in names.items()}


def _calibration(weights: Path) -> dict[str, Any]:
    """The line of each target (a, b), as the test used it."""
    remembered = checkpoint.read_sidecar(weights).get("remembered", {}).get(HEAD, {})
    return dict((remembered.get("validation") or {}).get("line", {}))


def _split(config: Any, run: Path) -> str:
    """`ssoid,split` of everything that was drawn, or of the fixed split."""
    path = run / "split.csv"
    if path.is_file():
        rows = csv.DictReader(io.StringIO(read_text(path)))
        lines = [{"ssoid": row["recording"], "split": NAMES[row["part"]]} for row in rows]
    else:
        lines = [
            {"ssoid": name, "split": NAMES[section.lower()]}
            for section in ("TRAIN", "VALID", "TEST")
            for name in config[section].DATA.FOLD.RECORDINGS
        ]
    return tables.csv_text(["ssoid", "split"], lines)


def epochs_of(path: Path) -> list[dict[str, Any]]:
    """A row per epoch of a history by updates: training loss (mean over its clips), validation MAE, rate, seconds."""
    by_epoch: dict[int, list[dict[str, str]]] = {}
    for row in csv.DictReader(io.StringIO(read_text(path))):
        by_epoch.setdefault(int(row["epoch"]), []).append(row)
    made = []
    for epoch, rows in by_epoch.items():
        clips = [int(row["samples"]) for row in rows]
        loss = sum(count * float(row["loss"]) for count, row in zip(clips, rows, strict=True)) / sum(clips)
        last = rows[-1]
        made.append({
            "epoch": epoch, "train_loss": loss, "val_mean_mae": float(last.get("validation") or "nan"),
            "lr": float(last["lr"]), "seconds": sum(float(row["seconds"]) for row in rows),
        })  # fmt: skip
    return made


def draw_curves(history: list[dict[str, Any]], path: Path, best: int) -> Path:
    """Training loss and validation MAE over epochs, each on an axis of its own: they have different units."""
    figure = figures.new_figure(9, 3.6, layout="constrained")
    left, right = figure.subplots(1, 2)
    epochs, marker = [row["epoch"] for row in history], "o" if len(history) < 40 else None
    left.plot(epochs, [row["train_loss"] for row in history], marker=marker)
    left.set(xlabel="epoch", ylabel="training loss (z-scores)")
    right.plot(epochs, [row["val_mean_mae"] for row in history], marker=marker, color="tab:orange")
    right.axvline(best, color="grey", linestyle="--", linewidth=1, label=f"best epoch: {best}")
    right.set(xlabel="epoch", ylabel="validation MAE, mean of targets [mmHg]")
    right.legend()
    for axes in (left, right):
        axes.grid(alpha=0.3)
        axes.xaxis.get_major_locator().set_params(integer=True)
    return figures.save(figure, path)
