"""The documented commands of CM-SSL, as settings of this program: the same run as main.py with these settings.

    --config FILE     a file of this program, or one in CM-SSL's own layout (trainer, model, data)
    --model.x v       a key of that layout; also --model.x=v and model.x=v
    TRAIN.EPOCHS=3    a key of this program
    group=name        model=encoder, experiment=bidmc_hr: for fine-tuning

What CM-SSL's files say of machines (devices, strategy, precision on a CPU) is left to this program.
"""

import os
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from config import ROOT
from dataset.files.reading import read_text
from neural_methods.patches import CHANNELS
from registry import METHODS, did_you_mean
from settings.layers import Override

CONFIGS = ROOT / "configs" / "cmssl"
EXPERIMENTS = CONFIGS / "experiment"
SECTIONS = ("TRAIN", "VALID", "TEST")
EXTERNAL = {  # encoders that CM-SSL compares with and does not train
    "papagei": "Pillai, Spathis, Kawsar and Malekzadeh, ICLR 2025", "heartlang": "Jin et al., ICLR 2025",
}  # fmt: skip
EXPONENT = re.compile(r"[+-]?\d+(\.\d*)?[eE][+-]?\d+")  # 1e-6, which YAML takes for a text
SUMMARY = "results.summary_file_path"
Table = Mapping[str, "str | Callable[[Any], dict[str, Any]] | None"]
Stated = dict[str, Any]  # dotted keys as they were written


@dataclass(frozen=True)
class Asked:
    """What a command line says: the file to run, settings over it, and where rows of results go."""

    file: Path
    overrides: list[Override] = field(default_factory=list)
    summary: str = ""
    model: str = ""
    experiment: str = ""


def pretraining(arguments: Iterable[str], stage: str) -> Asked:
    """Of `tokenizer` or `encoder`. ValueError and FileNotFoundError for what cannot be understood."""
    stated, words = parsed(arguments)
    if unknown := [word for word in words if word != "fit"]:
        raise ValueError(f"{unknown[0]!r} cannot be done here.{did_you_mean(unknown[0], ['fit'])} Known: fit.")
    named = stated.pop("config", "")
    if not named:
        raise ValueError(f"--config names no file, such as configs/cmssl/tiny_{stage}.yaml.")
    path = Path(str(named))
    found = yaml_of(path)
    if not {"trainer", "model", "data"} & found.keys():
        return Asked(path, list(translated(stated, TABLES[stage]).items()))
    values = {**flat(found), **stated}
    return Asked(CONFIGS / f"{stage}.yaml", list(translated(values, TABLES[stage]).items()))


def finetuning(arguments: Iterable[str]) -> Asked:
    """Of `model=`, `experiment=` and keys. ValueError and FileNotFoundError for what cannot be understood."""
    stated, words = parsed(arguments)
    if words:
        raise ValueError(f"{words[0]!r} is no setting: write group=name or key=value.")
    model, experiment = str(stated.pop("model", "encoder")), str(stated.pop("experiment", "synth_hr"))
    summary = str(stated.pop(SUMMARY, "") or "")
    path = Path(str(stated.pop("config"))) if "config" in stated else experiment_file(experiment)
    default = pretrained_of(path).replace("encoder", model)
    given = translated(stated, FINETUNING)
    values = {
        "MODEL.FINETUNE.METHOD": method_of(model), "MODEL.FINETUNE.PRETRAINED": default,
        "TRAIN.MODEL_FILE_NAME": f"{model}_{experiment}", **given,
    }  # fmt: skip
    return Asked(path, list(values.items()), summary, model, experiment)


def experiment_file(name: str) -> Path:
    """The file of an experiment; ValueError with the nearest name."""
    known = sorted(file.stem for file in EXPERIMENTS.glob("*.yaml"))
    if name not in known:
        raise ValueError(f"No experiment {name!r}.{did_you_mean(name, known)} Known: {', '.join(known)}.")
    return EXPERIMENTS / f"{name}.yaml"


def method_of(model: str) -> str:
    """The method that pre-trains what the group calls `model`; ValueError with the nearest name."""
    known = {name.lower(): name for name in METHODS.names() if hasattr(METHODS[name], "backbone")}
    known = {"encoder": known.pop("tokenencoder"), **known}
    if model.lower() in EXTERNAL:
        raise ValueError(
            f"model={model}: its weights are published by its authors alone ({EXTERNAL[model.lower()]}) and nothing "
            f"here reads them. Known: {', '.join(known)}."
        )
    if model.lower() not in known:
        raise ValueError(f"No model {model!r}.{did_you_mean(model, known)} Known: {', '.join(known)}.")
    return known[model.lower()]


def pretrained_of(path: Path) -> str:
    """Where the settings of an experiment look for the encoder."""
    from config import load_config

    return str(load_config(str(path), []).MODEL.FINETUNE.PRETRAINED)


# --- Words -----------------------------------------------------------------------------------------------------------


def parsed(arguments: Iterable[str]) -> tuple[Stated, list[str]]:
    """Settings by dotted key, with their values as YAML reads them, and the words that are none."""
    stated: Stated = {}
    words: list[str] = []
    rest = iter(arguments)
    for word in rest:
        flag, has_value, value = word.removeprefix("--").partition("=")
        if word.startswith("--") and not has_value:
            value = next(rest, None)
            if value is None:
                raise ValueError(f"{word} has no value.")
        elif not has_value:
            words.append(word)
            continue
        stated[flag.lstrip("+")] = _value(value, word)
    return stated, words


def _value(text: str, word: str) -> Any:
    try:
        return float(text) if EXPONENT.fullmatch(text) else yaml.safe_load(text)
    except yaml.YAMLError:
        raise ValueError(f"The value of {word} cannot be read: {text!r}.") from None


def yaml_of(path: Path) -> dict[str, Any]:
    """The content of a YAML file; FileNotFoundError or ValueError naming it."""
    if not path.is_file():
        raise FileNotFoundError(f"No configuration at '{path}'. Those of this program are in '{CONFIGS}'.")
    try:
        found = yaml.safe_load(read_text(path))
    except yaml.YAMLError as error:
        raise ValueError(f"'{path}' is no YAML file: {' '.join(str(error).split())}.") from None
    if not isinstance(found, dict):
        raise ValueError(f"'{path}' holds no keys.")
    return found


def flat(node: Mapping[str, Any], before: str = "") -> Stated:
    """Nested keys as dotted ones; lists are values."""
    found: Stated = {}
    for key, value in node.items():
        name = f"{before}{key}"
        found |= flat(value, f"{name}.") if isinstance(value, Mapping) else {name: value}
    return found


def translated(stated: Stated, table: Table) -> Stated:
    """Settings of this program; ValueError for a key that neither knows, with the nearest one."""
    found: Stated = {}
    for key, value in stated.items():
        if key.partition(".")[0].isupper():
            found[key] = value
            continue
        if key not in table and key not in IGNORED and not key.startswith(IGNORED_BELOW):
            raise ValueError(f"Unknown key {key!r}.{did_you_mean(key, table)} Keys of this program are upper case.")
        found |= _translated(table.get(key), value)
    return found


def _translated(target: Any, value: Any) -> Stated:
    if target is None or value is None:
        return {}
    return target(value) if callable(target) else {target: value}


# --- Keys ------------------------------------------------------------------------------------------------------------

IGNORED_BELOW = ("trainer.logger.", "hydra.")
IGNORED = (
    "trainer.devices", "trainer.num_nodes", "trainer.strategy", "trainer.gradient_clip_algorithm", "trainer.logger",
    "trainer.log_every_n_steps", "trainer.enable_progress_bar", "trainer.deterministic", "trainer.benchmark",
    "trainer.sync_batchnorm", "trainer.use_distributed_sampler", "data.pin_memory", "data.val_split_ratio",
    "data.test_split_ratio",
)  # fmt: skip


def _everywhere(key: str) -> Callable[[Any], Stated]:
    return lambda value: {f"{section}.DATA.{key}": value for section in SECTIONS}


def _validated(value: Any) -> Stated:
    return {"VALID.DATA.DATA_PATH": value, "SPLIT.KIND": ""}


def _batch(value: Any) -> Stated:
    """Theirs is of one device, ours of all."""
    return {"TRAIN.BATCH_SIZE": int(value) * int(os.environ.get("WORLD_SIZE", "1"))}


def _precision(value: Any) -> Stated:
    """Mixed precision where there is a GPU."""
    import torch

    names = {"16-mixed": "fp16", "16": "fp16", "bf16-mixed": "bf16", "bf16": "bf16"}
    return {"TRAIN.AMP": names.get(str(value), "")} if torch.cuda.is_available() else {}


def _device(value: Any) -> Stated:
    return {"DEVICE": "cpu"} if value == "cpu" else {}


def _callbacks(value: Any) -> Stated:
    """Patience, and where the best weights go."""
    found: Stated = {}
    for one in value if isinstance(value, list) else []:
        kind, own = str(one.get("class_path", "")), one.get("init_args", {})
        if kind.endswith("EarlyStopping") and "patience" in own:
            found["TRAIN.EARLY_STOPPING"] = own["patience"]
        if kind.endswith("ModelCheckpoint") and own.get("dirpath"):
            found["TRAIN.BUNDLE"] = str(Path(own["dirpath"]) / "best.pth")
    return found


def _channels(value: Any) -> list[str]:
    numbers = value if isinstance(value, list) else [value]
    if not all(number in (0, 1) for number in numbers):
        raise ValueError(f"Channels are 0 (ECG) and 1 (PPG), not {value!r}.")
    return [CHANNELS[number] for number in numbers]


def _teacher(value: Any) -> Stated:
    channels = _channels(value)
    return {"MODEL.TOKENENCODER.TEACHER_CHANNEL": channels[0]} if len(channels) == 1 else {}


def _named(key: str, names: Mapping[str, str]) -> Callable[[Any], Stated]:
    return lambda value: {key: names.get(str(value), value)}


def _no_codes(value: Any) -> Stated:
    if value:
        raise ValueError("model.quantizer_codebook_init_path is not read: start from weights with MODEL.WEIGHTS.")
    return {}


SHARED: Table = {
    "seed_everything": "SEED",
    "trainer.max_epochs": "TRAIN.EPOCHS",
    "trainer.gradient_clip_val": "TRAIN.CLIP_GRAD",
    "trainer.precision": _precision,
    "trainer.accelerator": _device,
    "trainer.callbacks": _callbacks,
    "trainer.logger.init_args.save_dir": "LOG.PATH",
    "trainer.logger.init_args.name": "TRAIN.MODEL_FILE_NAME",
    "data.train_npy_file": _everywhere("DATA_PATH"),
    "data.val_npy_file": _validated,
    "data.test_npy_file": None,  # nothing is tested in pre-training
    "data.batch_size": _batch,
    "data.num_workers": "NUM_WORKERS",
    "data.model_input_num_patches_Nt": lambda value: _everywhere("WINDOW")(125 * int(value)),
    "data.model_input_patch_size_t": None,  # of the method
    "data.stride_for_sequences_raw": _everywhere("STRIDE"),
    "data.split_from_train_ratios": "SPLIT.RATIOS",
    "data.seed": "SPLIT.SEED",
    "model.learning_rate": "TRAIN.LR",
    "model.num_patches": None,  # follows from window and patch
    "model.max_seq_length": None,  # more places than windows have
}
_T = "MODEL.TOKENIZER"
_E = "MODEL.TOKENENCODER"
TABLES: dict[str, Table] = {
    "tokenizer": {
        **SHARED,
        "model.D_embed": f"{_T}.WIDTH",
        "model.patch_size": f"{_T}.PATCH",
        "model.num_encoder_transformer_heads": f"{_T}.HEADS",
        "model.num_decoder_transformer_heads": f"{_T}.DECODER_HEADS",
        "model.num_transformer_encoder_layers": f"{_T}.LAYERS",
        "model.num_transformer_decoder_layers": f"{_T}.DECODER_LAYERS",
        "model.quantizer_num_embeddings": f"{_T}.CODES",
        "model.quantizer_embedding_dim": f"{_T}.CODE_WIDTH",
        "model.quantizer_commitment_beta": f"{_T}.BETA",
        "model.quantizer_kmeans_init": f"{_T}.KMEANS",
        "model.quantizer_codebook_init_path": _no_codes,
        "model.used_channel": lambda value: {f"{_T}.CHANNELS": _channels(value)},
        "model.ecg_weight": f"{_T}.ECG_WEIGHT",
        "model.ppg_weight": f"{_T}.PPG_WEIGHT",
        "model.weight_decay": f"{_T}.WEIGHT_DECAY",
        "model.lr_scheduler_type": _named(f"{_T}.SCHEDULE", {"step_lr": "step", "reduce_on_plateau": "plateau"}),
        "model.warmup_epochs": f"{_T}.WARMUP_EPOCHS",
        "model.min_lr": f"{_T}.MIN_LR",
        "model.total_epochs": None,  # the schedule is as long as the training
        "model.step_size": f"{_T}.STEP_EPOCHS",
        "model.gamma": f"{_T}.GAMMA",
        "model.input_norm": f"{_T}.INPUT_NORM",
    },
    "encoder": {
        **SHARED,
        "model.E_in_dim": f"{_E}.PATCH",
        "model.E_embed": f"{_E}.WIDTH",
        "model.E_nhead": f"{_E}.HEADS",
        "model.E_drop_rate": f"{_E}.DROPOUT",
        "model.E_num_layers": f"{_E}.LAYERS",
        "model.tokenizer_path": f"{_E}.TOKENIZER",
        "model.tokenizer_used_channel": _teacher,
        "model.encoder_input_channel": lambda value: {f"{_E}.CHANNEL": _channels(value)[0]},
        "model.stochastic_depth_prob": f"{_E}.SKIP",
        "model.mask_ratio": f"{_E}.MASK_RATIO",
        "model.weight_decay": f"{_E}.WEIGHT_DECAY",
        "model.input_norm": f"{_E}.INPUT_NORM",
        **{
            f"model.{name}": None  # the tokenizer's file says it
            for name in (
                "D_embed", "patch_size", "num_transformer_heads", "num_transformer_encoder_layers",
                "quantizer_num_embeddings", "quantizer_embedding_dim", "quantizer_commitment_beta",
                "quantizer_kmeans_init", "quantizer_codebook_init_path",
            )
        },
    },
}  # fmt: skip
_F = "MODEL.FINETUNE"
FINETUNING: Table = {
    "seed": "SEED",
    "data.target_signal_length": f"{_F}.LENGTH",
    "data.batch_size": _batch,
    "data.num_workers": "NUM_WORKERS",
    "data.path": _everywhere("DATA_PATH"),
    "data.num_patches": None,
    "data.patch_size": None,
    "data.split_ratios": None,  # the parts are those of the folder
    "data.split_seed": None,
    "model.name": None,
    "model.in_channels": None,
    "model.pretrained_model_path": f"{_F}.PRETRAINED",
    "model.init": f"{_F}.INIT",
    "model.E_drop_rate": f"{_F}.DROPOUT",
    "training.finetune_mode": f"{_F}.MODE",
    "training.epochs": "TRAIN.EPOCHS",
    "training.optimizer.lr": "TRAIN.LR",
    "training.optimizer.backbone_lr": f"{_F}.LR_BACKBONE",
    "training.optimizer.weight_decay": f"{_F}.WEIGHT_DECAY",
    "training.scheduler.type": f"{_F}.SCHEDULE",
    "training.early_stopping.patience": "TRAIN.EARLY_STOPPING",
    "training.prediction_output_path": None,  # test_predictions.npz in the run's folder
    "trainer.accelerator": _device,
}
