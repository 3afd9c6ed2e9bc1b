"""TRAIN, VALID, TEST, MODEL and SPLIT: the keys of a run with a network, without importing torch.

A method declares its own keys beside its trainer (`OPTIONS`); those of rPPG-Toolbox's methods are always known and
stand in `neural_methods.options`.
"""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from yacs.config import CfgNode

from neural_methods.options import PUBLISHED
from registry import LABEL_FREE, METHODS
from settings.checks import above, at_least, between, one_of, registered
from settings.loaded import Check, Loaded, Owner
from settings.merging import declare
from settings.modes import mode_of, only_tests, trains, used_sections
from settings.names import own_list


def declare_neural(tree: CfgNode) -> None:
    """Enter the nodes of training, validation, test, network and split."""
    tree.TRAIN = train_section()
    tree.VALID = valid_section()
    tree.TEST = test_section()
    tree.MODEL = model_section()
    tree.SPLIT = split_section()


def train_section() -> CfgNode:
    """Training."""
    node = CfgNode()
    node.EPOCHS = 50  # also the length of the learning rate schedule
    node.BATCH_SIZE = 4  # clips per forward pass over all processes; also for validation
    node.ACCUMULATION_STEPS = 1  # forward passes per update
    node.LR = 1e-4  # learning rate; the peak of a one-cycle schedule
    node.AMP = ""  # mixed precision: bf16 or fp16; auto: bf16 on a GPU; '': float32
    node.CLIP_GRAD = 0.0  # largest norm of the gradient; 0: not clipped
    node.COMPILE = False  # torch.compile
    node.EMA = 0.0  # decay of averaged weights; 0: off
    node.EARLY_STOPPING = 0  # epochs without improvement before training stops; 0: never
    node.KEEP_CHECKPOINTS = "all"  # all (as rPPG-Toolbox) or last_and_best
    node.BUNDLE = ""  # one file for the chosen weights and all that is known of them; '': only those of the epochs
    node.LOSS = ""  # '': the method's own; sinc: without labels, by what the spectrum of a pulse is like
    node.STATE_EVERY = 0  # updates between states to resume from; 0: at the end of each epoch
    node.AUGMENT = augment_section()
    node.OPTIMIZER = CfgNode()
    node.OPTIMIZER.EPS = 1e-4  # accepted, not read (rPPG-Toolbox trains with torch's defaults)
    node.OPTIMIZER.BETAS = (0.9, 0.999)  # accepted, not read
    node.OPTIMIZER.MOMENTUM = 0.9  # accepted, not read
    node.MODEL_FILE_NAME = ""  # prefix of checkpoints, plots and outputs
    node.PLOT_LOSSES_AND_LR = True  # draw the loss and learning rate curves
    return node


def augment_section() -> CfgNode:
    """Random changes of training clips, different in each epoch; all off by default."""
    node = CfgNode()
    node.FLIP = ""  # mirror half of them: sample (each clip for itself) or batch (the whole batch, as RhythmFormer)
    node.RATE = False  # half of the clips above 90 bpm at half the speed, below 75 bpm at twice (as RhythmFormer)
    node.JITTER = 0  # move the start of a clip by up to so many frames, within its recording
    node.CROP_JITTER = 0.0  # cut off up to this share of the frame, at random sides, and enlarge the rest
    node.SPEED = 0.0  # play a clip 1 - SPEED to 1 + SPEED times as fast, label waves along (as SiNC: 0.4)
    node.GAIN = 0.0  # multiply each colour of a clip by 1 - GAIN to 1 + GAIN
    return node


def valid_section() -> CfgNode:
    """Validation, used when TEST.USE_LAST_EPOCH is False or MONITOR is on."""
    node = CfgNode()
    node.MONITOR = False  # validate each epoch without selecting an epoch by it
    return node


def test_section() -> CfgNode:
    """Test of a neural method."""
    node = CfgNode()
    node.METRICS = []  # MAE, RMSE, MAPE, Pearson, SNR, MACC, BA (Bland-Altman) ...
    node.USE_LAST_EPOCH = True  # False: the epoch with the least validation score
    node.OUTPUT_SAVE_DIR = ""  # '': <LOG.PATH>/<EXP_DATA_NAME>/saved_test_outputs
    return node


def model_section() -> CfgNode:
    """The network. Sections of rPPG-Toolbox's methods are always here; any other method brings its own OPTIONS."""
    node = CfgNode()
    node.NAME = ""  # name of the method; `--list` shows them
    node.MODEL_DIR = "PreTrainedModels"  # folder of checkpoints; after loading <LOG.PATH>/<EXP_DATA_NAME>/<MODEL_DIR>
    node.WEIGHTS = ""  # start training from these weights
    node.RESUME = ""  # continue from this state instead of the run's own last one
    node.DROP_RATE = 0.0  # dropout, where the method reads it
    node.NORM = "batch"  # batch, group or frozen_batch: what normalises inside the networks
    node.LEGACY_LOSS = False  # correlate across the batch as rPPG-Toolbox does, where a method did
    for method in PUBLISHED.values():
        declare(node, method.options)
    return node


def split_section() -> CfgNode:
    """Parts of the subjects of TRAIN.DATA instead of ranges in each section."""
    node = CfgNode()
    node.KIND = ""  # kfold, loso (leave one subject out): cross-validation. random: one split into RATIOS
    node.FOLDS = 5  # parts of kfold: each is tested once by a network trained on the others
    node.RATIOS = [0.7, 0.1, 0.2]  # of random: shares of training, validation and test
    node.SEED = 100  # of random: another seed, another split
    node.BY = "subject"  # of random: what is drawn, subject or recording
    return node


# --- Checks ----------------------------------------------------------------------------------------------------------


def ratios(value: Any) -> str | None:
    """Shares of training, validation and test."""
    numbers = len(value) == 3 and all(isinstance(share, (int, float)) and 0 <= share <= 1 for share in value)
    if numbers and value[0] > 0 and abs(sum(value) - 1) < 1e-6:
        return None
    return (
        f"is {value!r}, but must be three shares (training, validation, test) whose sum is 1, such as [0.7, 0.1, 0.2]."
    )


CHECKS: dict[str, Check] = {
    "SPLIT.KIND": one_of("", "kfold", "loso", "random"),
    "SPLIT.FOLDS": at_least(2),
    "SPLIT.RATIOS": ratios,
    "SPLIT.SEED": at_least(0),
    "SPLIT.BY": one_of("subject", "recording"),
    "TRAIN.EPOCHS": at_least(1),
    "TRAIN.BATCH_SIZE": at_least(1),
    "TRAIN.ACCUMULATION_STEPS": at_least(1),
    "TRAIN.LR": above(0),
    "TRAIN.AMP": one_of("", "bf16", "fp16", "auto"),
    "TRAIN.CLIP_GRAD": at_least(0),
    "TRAIN.EMA": between(0, 1, open_high=True),
    "TRAIN.EARLY_STOPPING": at_least(0),
    "TRAIN.KEEP_CHECKPOINTS": one_of("all", "last_and_best"),
    "TRAIN.LOSS": lambda value: registered(LABEL_FREE)(value) if value else None,
    "TRAIN.STATE_EVERY": at_least(0),
    "TRAIN.AUGMENT.FLIP": one_of("", "sample", "batch"),
    "TRAIN.AUGMENT.JITTER": at_least(0),
    "TRAIN.AUGMENT.CROP_JITTER": between(0, 0.5),
    "TRAIN.AUGMENT.SPEED": between(0, 0.5),
    "TRAIN.AUGMENT.GAIN": between(0, 1, open_high=True),
    "MODEL.NAME": registered(METHODS),
    "MODEL.NORM": one_of("batch", "group", "frozen_batch"),
    "MODEL.DROP_RATE": between(0, 1, open_high=True),
}


def check_split(loaded: Loaded) -> None:
    """A split is made of TRAIN.DATA's subjects, so nothing else may choose recordings; ConfigError."""
    kind = loaded.config.SPLIT.KIND
    if kind not in mode_of(loaded.config).splits:
        return
    _check_pool(loaded)
    if kind == "random":
        _check_shares(loaded)
    else:
        _check_folds(loaded)


def _check_pool(loaded: Loaded) -> None:
    config, used = loaded.config, used_sections(loaded.config)
    train = config.TRAIN.DATA
    for section in used:
        data = config[section].DATA
        for key in ("DATASET", "DATA_PATH"):
            if data[key] != train[key]:
                problem = f"is {data[key]!r}, but SPLIT.KIND {config.SPLIT.KIND!r} tests on parts of TRAIN.DATA."
                raise loaded.error(f"{section}.DATA.{key}", f"{problem} Set it to {train[key]!r}.")
        if data.FOLD.FOLD_PATH or data.FOLD.SUBJECTS or data.FOLD.RECORDINGS or own_list(data):
            problem = "and FILE_LIST_PATH must name no fold and no list: SPLIT.KIND makes its own. Remove them."
            raise loaded.error(f"{section}.DATA.FOLD", problem)


def _check_folds(loaded: Loaded) -> None:
    config = loaded.config
    if config.SPLIT.KIND == "kfold" and config.SPLIT.FOLDS < 3 and "VALID" in used_sections(config):
        raise loaded.error("SPLIT.FOLDS", "is 2, but one fold is tested and one validated: 3 are needed to train.")
    if config.MODEL.RESUME:
        raise loaded.error("MODEL.RESUME", "names one training, but SPLIT.KIND makes several. Remove one of them.")


def _check_shares(loaded: Loaded) -> None:
    shares = dict(zip(("TRAIN", "VALID", "TEST"), loaded.config.SPLIT.RATIOS, strict=True))
    for section in used_sections(loaded.config):
        if not shares[section]:
            raise loaded.error("SPLIT.RATIOS", f"is {loaded.config.SPLIT.RATIOS}, which leaves {section} nothing.")


# --- Warnings: rPPG-Toolbox's files that cannot mean what they say stay as they are ---------------------------------


def _unused_range(config: CfgNode) -> Iterator[str]:
    data = config.VALID.DATA
    if trains(config) and "VALID" not in used_sections(config) and data.BEGIN >= data.END:
        yield f"VALID.DATA holds no subject (BEGIN {data.BEGIN}, END {data.END}); no effect, as validation is off."


def _derivative_as_wave(config: CfgNode) -> Iterator[str]:
    differential = Path(config.INFERENCE.MODEL_PATH).stem.endswith("_DiffNormalized")
    if not only_tests(config) or not differential:
        return
    section = used_sections(config)[-1]
    prepared = config[section].DATA.PREPROCESS
    if prepared.LABEL_TYPE != "DiffNormalized":
        crop = "" if prepared.CROP_FACE.DO_CROP_FACE else " The face is not cropped, either."
        yield (
            f"{section}.DATA.PREPROCESS.LABEL_TYPE is {prepared.LABEL_TYPE!r}, but these weights predict differences: "
            f"they are not summed up before the heart rate is read.{crop}"
        )


def _unread_optimizer(config: CfgNode) -> Iterator[str]:
    if trains(config) and config.TRAIN.OPTIMIZER != train_section().OPTIMIZER:
        yield "TRAIN.OPTIMIZER has no effect: methods train with their published optimiser (as in rPPG-Toolbox)."


def _judged_by_pseudo_labels(config: CfgNode) -> Iterator[str]:
    measured = config.MODEL.NAME in PUBLISHED and PUBLISHED[config.MODEL.NAME].measured
    if "TEST" in used_sections(config) and config.TEST.DATA.PREPROCESS.USE_PSUEDO_PPG_LABEL and not measured:
        yield (
            "TEST.DATA.PREPROCESS.USE_PSUEDO_PPG_LABEL is True: the preset toolbox judges by POS instead of measured "
            "pulses. Other presets use the measured ones where there are any."
        )


def _ranges_of_folds(config: CfgNode) -> Iterator[str]:
    if not config.SPLIT.KIND:
        return
    if config.SPLIT.KIND not in mode_of(config).splits:
        yield f"SPLIT.KIND has no effect in {config.TOOLBOX_MODE}."
        return
    train = config.TRAIN.DATA
    if (train.BEGIN, train.END) != (0, 1):
        yield f"SPLIT.KIND makes folds of the subjects from {train.BEGIN} to {train.END} only (TRAIN.DATA.BEGIN, END)."
    elif any((config[s].DATA.BEGIN, config[s].DATA.END) != (0, 1) for s in used_sections(config)):
        yield "SPLIT.KIND makes folds of TRAIN.DATA: BEGIN and END of TEST.DATA and VALID.DATA have no effect."


def _of_the_method(config: CfgNode) -> Iterator[str]:
    for method in PUBLISHED.values():
        for rule in method.warnings:
            yield from rule(config) if only_tests(config) else ()


# --- Derived names: users' checkpoints and scripts carry them, so every letter stays ---------------------------------


def derive(loaded: Loaded) -> None:
    """The name of the model file and the folder of checkpoints."""
    config = loaded.config
    _mark_motion(loaded)
    train = os.path.join(config.LOG.PATH, config.TRAIN.DATA.EXP_DATA_NAME)
    if not config.MODEL.MODEL_DIR.startswith(os.path.join(train, "")):
        config.MODEL.MODEL_DIR = os.path.join(train, config.MODEL.MODEL_DIR)


def _mark_motion(loaded: Loaded) -> None:
    """Put MA- before the data sets of a MODEL_FILE_NAME whose videos were motion-augmented."""
    config = loaded.config
    moved = [s for s in ("TRAIN", "VALID", "TEST") if "Motion" in config[s].DATA.PREPROCESS.DATA_AUG]
    parts = config.TRAIN.MODEL_FILE_NAME.split("_")
    if not moved or any(part.startswith("MA-") for part in parts):
        return
    if not 2 <= len(parts) <= 4 or not all(parts):
        if not trains(config):
            return
        raise loaded.error(
            "TRAIN.MODEL_FILE_NAME",
            f"is {config.TRAIN.MODEL_FILE_NAME!r}, but with DATA_AUG: ['Motion'] it must be two to four words joined "
            "by '_', such as PURE_PURE_UBFC-rPPG_tscan.",
        )
    for section in moved:
        place = _name_place(parts, section, config.TEST.DATA.DATASET)
        if place is not None:
            parts[place] = f"MA-{parts[place]}"
    config.TRAIN.MODEL_FILE_NAME = "_".join(parts)


def _name_place(parts: list[str], section: str, test: str) -> int | None:
    """Which part of a MODEL_FILE_NAME names the section's data set; None: none does."""
    if len(parts) > 2 and parts[2] in (test, f"MA-{test}"):
        return ("TRAIN", "VALID", "TEST").index(section)
    place = {"TRAIN": 0, "TEST": 1}.get(section)
    return place if place is not None and place < len(parts) - 1 else None


NEURAL = Owner(
    declare_neural,
    lambda: CHECKS,
    rules=(check_split,),
    warnings=(
        _unused_range,
        _of_the_method,
        _derivative_as_wave,
        _unread_optimizer,
        _judged_by_pseudo_labels,
        _ranges_of_folds,
    ),
    derive=derive,
    later=("SPLIT.RATIOS", "SPLIT.SEED", "SPLIT.BY", "TRAIN.BUNDLE", "TRAIN.LOSS", "TRAIN.AUGMENT.SPEED"),
)
