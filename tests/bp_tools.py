"""A small prepared Kailuan folder of invented people, and train_bp.py on it."""

import json
from pathlib import Path

import train_bp
from dataset.prepare.kailuan import Settings, prepare
from dataset.synthetic.kailuan import write_kailuan
from neural_methods.model.net1d import Net1D

TARGETS = ("right_arm_sbp", "right_arm_dbp")
TINY = {"first": (16, 16, 2), "filters": (16, 32), "blocks": (1, 1), "kernel": 16}  # shaped like ECGFounder


def tiny_founder() -> Net1D:
    """An encoder of ECGs that is built and run at once."""
    return Net1D(**TINY)


def prepared(folder: Path, n: int = 30, seed: int = 0, cue: str = "both") -> Path:
    """`folder` with npz/, labels.csv and the table of people."""
    write_kailuan(folder / "data.h5", n, seed, cue)
    prepare(Settings(folder / "data.h5", folder / "npz", folder / "labels.csv", TARGETS, subject_key=("name",)))
    return folder


def flags(data: Path, out: Path, *more: str) -> list[str]:
    """What every call of the command needs, one short training on the CPU, then `more`."""
    paths = ["--npz_dir", data / "npz", "--labels_csv", data / "labels.csv", "--out_dir", out]
    short = ["--epochs", 2, "--batch_size", 8, "--device", "cpu", "--num_workers", 0, "--encoder", "small"]
    return [str(one) for one in (*paths, "--target_cols", *TARGETS, *short, *more)]


def run(data: Path, out: Path, *more: str, code: int = 0) -> dict:
    """train_bp.py with these flags; the metrics it leaves."""
    assert train_bp.main(flags(data, out, *more)) == code
    return json.loads((out / "final_metrics.json").read_text()) if code == 0 else {}
