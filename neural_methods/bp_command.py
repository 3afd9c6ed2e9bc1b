"""The flags of train_bp.py and the settings they stand for: the command runs what main.py runs."""

import argparse
import csv
import io
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from config import ROOT
from dataset.files.names import plural
from dataset.files.reading import read_text
from neural_methods import checkpoint
from settings.layers import Override
from settings.modes.neural import ONLY_TEST

CONFIGS = ROOT / "configs" / "bp"
SECTIONS = ("TRAIN", "VALID", "TEST")
STRETCHED = "stretched"
PARTS = {"train": "TRAIN", "val": "VALID", "valid": "VALID", "validation": "VALID", "test": "TEST"}
FLAGS: dict[str, tuple[str, type, str]] = {  # flag -> key, type, what it says
    "pretrain": ("MODEL.BP.PRETRAIN", str, "weights of both encoders, or ECGFounder's alone"),
    "ecg_ckpt": ("MODEL.BP.ECG_CKPT", str, "weights of the ECG encoder; win over --pretrain"),
    "ppg_ckpt": ("MODEL.BP.PPG_CKPT", str, "weights of the PPG encoder; win over --pretrain"),
    "modality": ("MODEL.BP.MODALITY", str, "ecg, ppg or both (both): the other branch is not built"),
    "epochs": ("TRAIN.EPOCHS", int, "(40; small 30)"),
    "batch_size": ("TRAIN.BATCH_SIZE", int, "(256; small 16)"),
    "lr_backbone": ("TRAIN.LR", float, "rate of the encoders (1e-5; small 3e-3)"),
    "lr_head": ("MODEL.BP.LR_HEAD", float, "rate of all else (3e-4; small 3e-3)"),
    "weight_decay": ("MODEL.BP.WEIGHT_DECAY", float, "AdamW's; none on biases and norms (1e-4)"),
    "constrain": ("MODEL.BP.CONSTRAIN", str, "none, clip, sigmoid or tanh: keep predictions between bounds (none)"),
    "y_margin": ("MODEL.BP.Y_MARGIN", float, "of the bounds, beyond the training targets, mmHg (5)"),
    "reg_loss": ("MODEL.BP.LOSS", str, "mse, huber or mae_pearson, on z-scores (huber)"),
    "maepearson_alpha": ("MODEL.BP.MAEPEARSON_ALPHA", float, "weight of 1 - r in mae_pearson (0.5)"),
    "maepearson_beta": ("MODEL.BP.MAEPEARSON_BETA", float, "weight of the MAE in mae_pearson (0.5)"),
    "alpha_corr": ("MODEL.BP.ALPHA_CORR", float, "weight of 1 - r beside mse and huber (0)"),
    "subject_col": ("DATA.SUBJECT_COLUMN", str, "column of the table that names the person (auto)"),
    "patience": ("TRAIN.EARLY_STOPPING", int, "epochs without a better validation MAE; 0: never stop (5; small 0)"),
    "grad_clip": ("TRAIN.CLIP_GRAD", float, "largest norm of a gradient (1)"),
    "num_workers": ("NUM_WORKERS", int, "processes that read files (-1: chosen from the machine)"),
    "accumulation_steps": ("TRAIN.ACCUMULATION_STEPS", int, "forward passes per update (1)"),
    "input_norm": ("MODEL.BP.INPUT_NORM", str, "zscore or none (zscore)"),
    "ecg_filter": ("MODEL.BP.ECG_FILTER", str, "none, or founder: what ECGFounder was trained on (none)"),
}


def parser(description: str) -> argparse.ArgumentParser:
    """The command line; a flag that is not given leaves its key to the configuration."""
    made = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    add = made.add_argument
    add("--npz_dir", type=Path, required=True, help="folder of the <ssoid>.npz files")
    add("--labels_csv", type=Path, required=True, help="table: ssoid, targets, subject")
    add("--out_dir", type=Path, required=True, help="where everything is written")
    add("--target_cols", nargs="+", help="columns of the table, in the order of the output")
    for name, (_, kind, text) in FLAGS.items():
        add(f"--{name}", type=kind, help=text)
    add("--encoder", choices=("founder", "small"), default="founder", help="34.6 M or 0.2 M parameters (founder)")
    add("--ecg_fs", default="founder", help="founder: 500 Hz; stretched: as stored, the old way; or a rate in Hz")
    add("--freeze_backbone", action="store_true", help="train the head alone")
    add("--allow_partial", action="store_true", help="take an encoder of which less than 95 %% arrives")
    add("--val_ratio", type=float, default=0.1, help="share of the people that is validated (0.1)")
    add("--test_ratio", type=float, default=0.2, help="share of the people that is tested (0.2)")
    add("--split_csv", type=Path, help="a fixed split (ssoid,split) instead of the ratios")
    add("--seed", type=int, default=666, help="of the split and of the training (666)")
    add("--amp", choices=("auto", "off"), default="auto", help="mixed precision on CUDA (auto)")
    add("--device", default="auto", help="auto, cpu or cuda:N (auto)")
    add("--gpu", type=int, help="the same as --device cuda:N")
    add("--calibrate", nargs="+", default=["none"], metavar="HOW",
        help="none; linear_val; personal K: K readings of each tested person; personal K first (none)")  # fmt: skip
    add("--resume", nargs="?", const="", help="go on where a run stopped, as is always done, or at this state.pth")
    add("--restart", action="store_true", help="train anew although the run could be continued")
    add("--eval_only", action="store_true", help="test the weights of --ckpt")
    add("--ckpt", type=Path, help="bp_best.pth of an earlier run")
    return made


def file_of(asked: argparse.Namespace) -> Path:
    """The configuration that the flags change."""
    return CONFIGS / ("KAILUAN_SMALL.yaml" if asked.encoder == "small" else "KAILUAN_BOTH.yaml")


def overrides(asked: argparse.Namespace) -> list[Override]:
    """Every flag as keys and values. ValueError and FileNotFoundError for what cannot be."""
    values: dict[str, Any] = {"LOG.PATH": str(asked.out_dir), "ALLOW_INCOMPLETE": True}
    data = {"DATA_PATH": str(asked.npz_dir), "TABLE": str(asked.labels_csv)}
    for name, (key, _, _) in FLAGS.items():
        if (value := getattr(asked, name)) is not None:
            (data if key.startswith("DATA.") else values)[key.removeprefix("DATA.")] = value
    values |= {f"{section}.DATA.{key}": value for key, value in data.items() for section in SECTIONS}
    values |= _rates(asked) | _split(asked) | _calibration(asked.calibrate) | _run(asked)
    if asked.target_cols:
        values["MODEL.BP.TARGETS"] = asked.target_cols
    if asked.eval_only:
        values |= _tested(asked)
    return list(values.items())


def _run(asked: argparse.Namespace) -> dict[str, Any]:
    device = f"cuda:{asked.gpu}" if asked.gpu is not None else asked.device
    values = {
        "SEED": asked.seed, "DEVICE": device, "RESTART": asked.restart, "MODEL.BP.FREEZE": asked.freeze_backbone,
        "MODEL.BP.ALLOW_PARTIAL": asked.allow_partial, "TRAIN.MODEL_FILE_NAME": "bp",
    }  # fmt: skip
    if asked.resume:
        values["MODEL.RESUME"] = asked.resume
    if asked.amp == "auto" and device != "cpu":
        import torch

        values |= {"TRAIN.AMP": "bf16"} if torch.cuda.is_available() else {}
    return values


def _rates(asked: argparse.Namespace) -> dict[str, Any]:
    """ECG_FS: the encoder's, as stored, or a number; the small network, and the old way, read both waves at one."""
    if asked.ecg_fs == "founder":
        return {}
    try:
        rate = -1.0 if asked.ecg_fs == STRETCHED else float(asked.ecg_fs)
    except ValueError:
        raise ValueError(f"--ecg_fs {asked.ecg_fs!r}: give founder, {STRETCHED}, or a rate in Hz.") from None
    both = asked.encoder == "small" or rate < 0
    return {"MODEL.BP.ECG_FS": rate, **({"MODEL.BP.PPG_FS": rate} if both else {})}


def _calibration(words: list[str]) -> dict[str, Any]:
    how, *more = words
    plain = how in ("none", "linear_val") and not more
    personal = how == "personal" and more and more[0].isdigit() and more[1:] in ([], ["first"])
    if not (plain or personal):
        raise ValueError(f"--calibrate {' '.join(words)}: give none, linear_val, personal K, or personal K first.")
    if plain:
        return {"MODEL.BP.CALIBRATE": how}
    pick = "first" if len(more) > 1 else "random"
    return {"MODEL.BP.CALIBRATE": how, "MODEL.BP.PERSONAL_K": int(more[0]), "MODEL.BP.PERSONAL_PICK": pick}


def _split(asked: argparse.Namespace) -> dict[str, Any]:
    """The ratios, or the parts of a fixed split."""
    if asked.split_csv:
        return _fixed(read_split(asked.split_csv))
    rest = 1 - asked.val_ratio - asked.test_ratio
    if not (asked.val_ratio > 0 and asked.test_ratio > 0 and rest > 1e-9):
        raise ValueError(
            f"--val_ratio {asked.val_ratio:g} and --test_ratio {asked.test_ratio:g} leave {rest:.2g} for training: "
            "both must be above 0 and their sum below 1, such as 0.1 and 0.2."
        )
    return {"SPLIT.RATIOS": [rest, asked.val_ratio, asked.test_ratio], "SPLIT.SEED": asked.seed}


def _fixed(parts: Mapping[str, list[str]]) -> dict[str, Any]:
    values: dict[str, Any] = {"SPLIT.KIND": ""}
    for section, names in parts.items():
        values |= {f"{section}.DATA.FOLD.FOLD_NAME": section.lower(), f"{section}.DATA.FOLD.RECORDINGS": names}
    return values


def read_split(path: Path, needed: tuple[str, ...] = SECTIONS) -> dict[str, list[str]]:
    """Section -> ids of a split file with the columns `ssoid` and `split` (train, val, test).

    ValueError for other columns or parts, and where one of `needed` is empty; FileNotFoundError without the file.
    """
    rows = list(csv.DictReader(io.StringIO(read_text(path, remedy="Name a split with the columns ssoid and split."))))
    if not rows or not {"ssoid", "split"} <= set(rows[0]):
        raise ValueError(f"'{path}' has no rows with the columns ssoid and split.")
    parts: dict[str, list[str]] = {name: [] for name in SECTIONS}
    for row in rows:
        section = PARTS.get(str(row["split"]).strip().lower())
        if section is None:
            raise ValueError(f"'{path}': the split of {row['ssoid']} is {row['split']!r}; known: train, val, test.")
        parts[section].append(str(row["ssoid"]))
    if empty := [name for name in needed if not parts[name]]:
        raise ValueError(f"'{path}' names nobody for {empty[0]}.")
    return parts


def _tested(asked: argparse.Namespace) -> dict[str, Any]:
    """The mode and options of a test of --ckpt: the network is what the file says; its test part where one is known."""
    if not asked.ckpt:
        raise ValueError("--eval_only needs the weights to test: --ckpt OUT_DIR/bp_best.pth.")
    checkpoint.read_weights(asked.ckpt)  # says what is wrong with the file
    options = checkpoint.read_sidecar(asked.ckpt).get("options", {}).get("BP")
    if not options:
        raise ValueError(f"'{asked.ckpt}' does not say what network it is of: name a bp_best.pth of this program.")
    values: dict[str, Any] = {f"MODEL.BP.{key}": value for key, value in options.items()}
    values |= {"TOOLBOX_MODE": ONLY_TEST, "INFERENCE.MODEL_PATH": str(asked.ckpt), "SPLIT.KIND": ""}
    split = asked.split_csv or asked.ckpt.with_name("split.csv")
    if split.is_file():
        names = read_split(split, ("TEST",))["TEST"]
        print(f"Tested are the {plural(len(names), 'recording')} that '{split}' has for it.")
        return values | {"TEST.DATA.FOLD.FOLD_NAME": "test", "TEST.DATA.FOLD.RECORDINGS": names}
    print(f"There is no '{split}': every recording of the table is tested.")
    return values


def arguments_of(asked: argparse.Namespace) -> str:
    """The arguments as JSON, for args.json."""
    return json.dumps({key: _plain(value) for key, value in vars(asked).items()}, indent=1) + "\n"


def _plain(value: Any) -> Any:
    return str(value) if isinstance(value, Path) else value
