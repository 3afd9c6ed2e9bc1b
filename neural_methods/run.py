"""Modes `train`, `train_and_test` and `only_test`: data, training, predictions, report, in the order they happen."""

import contextlib
import os
import shlex
import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import torch

from config import run_folder
from dataset.files.locks import holding
from dataset.prepare import section as preparation
from dataset.prepare.section import Prepared
from dataset.prepare.splits import overlaps
from evaluation import provenance, publish, run_files
from evaluation.kinds import check_heads
from evaluation.kinds.base import PLOTS, Head, Names, Predicted
from evaluation.page.report import write_page
from evaluation.publish import Tested
from evaluation.settings import read_settings
from evaluation.tables import incomplete
from neural_methods import checkpoint, distributed, testing
from neural_methods.checkpoint import weights_sign
from neural_methods.folds import (
    add_fold_table,
    draw_parts,
    drawn_config,
    make_folds,
    merged,
    subjects_of,
    walk,
    write_split,
)
from neural_methods.label_free.base import method_of
from neural_methods.trainer.base import Trainer
from neural_methods.training import Fitted
from settings.modes import trains, used_sections


def train_and_test(config: Any) -> Path | None:
    """Train MODEL.NAME on TRAIN.DATA, test it on TEST.DATA; returns the report's path (None in helper processes).

    With SPLIT.KIND kfold or loso it does so for every fold, and the report is that of all test recordings together.
    Raises ValueError for settings that cannot work, and the data's own errors, before the first step.
    """
    try:
        with only_one(config):
            tested = cross_validate(config) if split_kind(config) in ("kfold", "loso") else train_once(config)
        return tested.path if tested else None
    finally:
        if sys.exc_info()[0] is None:  # after an error nobody may wait for the others
            distributed.stop()


def train(config: Any) -> Path:
    """Train MODEL.NAME on TRAIN.DATA without a test, for instance without labels; returns the path of the weights.

    Raises what `train_and_test` raises.
    """
    try:
        with only_one(config):
            fitted = _trained(config, make_trainer(config), ("train", "valid")).fitted
        distributed.say(f"Weights: {fitted.path}")
        return fitted.path
    finally:
        if sys.exc_info()[0] is None:  # after an error nobody may wait for the others
            distributed.stop()


def only_one(config: Any) -> contextlib.AbstractContextManager[None]:
    """Inside the block no other process trains the same run; TakenError, which names it, where one does."""
    if os.environ.get("RANK", "0") != "0":  # the processes of one run are started before they know each other
        return contextlib.nullcontext()
    return holding(Path(run_folder(config)) / "run.lock", "The same training")


@dataclass(frozen=True)
class Trained:
    """A training that is done, with the data of its sections and what is to be said of them."""

    fitted: Fitted
    prepared: dict[str, Prepared]
    clips: dict[str, Any]
    notes: list[str]


def _trained(config: Any, trainer: Trainer, sections: Sequence[str]) -> Trained:
    """Prepare those of `sections` that are read, judge them together, train, and write the run's files."""
    sections = [name for name in sections if name != "valid" or trainer.settings.validates]
    trainer.check_start()
    chosen = draw_split(config)
    prepared = {name: prepare(chosen, name, config) for name in sections}
    notes = [str(overlap) for overlap in judge_overlaps(config, list(prepared.values()))]
    notes += [f"{name.upper()}.DATA is rendered" for name, one in prepared.items() if one.rendered and name != "test"]
    clips = {name: prepared[name].clips(**trainer.clip_options(name)) for name in sections}
    folder = write_run_files(config, trainer)
    for note in notes:
        distributed.say(f"Warning: {note}")
    fitted = trainer.fit(
        clips["train"],
        clips.get("valid"),
        folder,
        restart=bool(config.get("RESTART", False)),
        plots=plot_folder(config),
    )
    if distributed.is_main():
        if start := config.MODEL.WEIGHTS:
            provenance.note_weights(config, "MODEL.WEIGHTS", start, provenance.file_sign(start))
        provenance.note_weights(config, "trained", fitted.path, weights_sign(fitted.path))
        if bundle := config.TRAIN.BUNDLE:
            checkpoint.write_bundle(bundle, fitted.path, {})
            distributed.say(f"The chosen weights and what is known of them: {bundle}")
    return Trained(fitted, prepared, clips, notes)


def train_once(config: Any, alone: bool = True) -> Tested | None:
    """One training and its test; None in helper processes. Not `alone`: all folds are judged together, later."""
    settings, trainer = read_settings(config, "TEST"), make_trainer(config)
    trained = _trained(config, trainer, ("train", "valid", "test"))
    distributed.say("===Testing===")
    which = "last epoch" if trainer.settings.use_last_epoch else "best epoch selected using model validation"
    distributed.say(f"Testing uses {which} as non-pretrained model!")
    network = trainer.load(trained.fitted.path)
    heads = testing.with_training(testing.heads_of(trainer, settings), trained.prepared["train"])
    if "valid" in trained.prepared:
        heads = testing.with_validation(heads, lambda: _validated(config, trainer, network, trained))
    if distributed.is_main() and (known := testing.remembered(heads)):
        checkpoint.remember(trained.fitted.path, known)
    prepared, clips = trained.prepared["test"], trained.clips["test"]
    return test(config, trainer, network, prepared, clips, heads, trained.notes, alone)


def _validated(config: Any, trainer: Trainer, network: torch.nn.Module, trained: Trained) -> list[Predicted]:
    """The validation recordings as the tested weights predict them."""
    prepared, clips = trained.prepared["valid"], trained.clips["valid"]
    trainer.use_data(config.VALID.DATA)
    predictions = trainer.predictions(network, clips, "valid")
    return testing.predicted(predictions, prepared, clips, config.VALID.DATA)


def cross_validate(config: Any) -> Tested | None:
    """One training and test per fold of SPLIT, each in its own run folder, then one report; None in helper processes.

    A fold whose training is finished is only tested again.
    """
    read_settings(config, "TEST")
    trainer = make_trainer(config)
    pool = prepare(config, "train")
    folds = make_folds(subjects_of(pool), config.SPLIT.KIND, int(config.SPLIT.FOLDS), trainer.settings.validates)
    write_run_files(config, trainer)
    done = walk(config, folds, partial(train_once, alone=False))
    if not distributed.is_main():
        return None
    distributed.say(f"\n=== All {len(folds)} folds ===")
    tested = merged([(fold, tested) for fold, _, tested in done], pool)
    names = replace(names_of(config), title=f"{config.MODEL.NAME} on {config.TRAIN.DATA.DATASET}, {len(folds)} folds")
    tested = publish.publish(tested, names, bool(config.ALLOW_INCOMPLETE))
    add_fold_table(tested.path, done, incomplete(tested.complete))
    write_page(tested.path.parent, tested.main.found.worst if tested.main else ())  # once more, with the folds
    return tested


def split_kind(config: Any) -> str:
    """SPLIT.KIND; '' where there is none."""
    return str(config.SPLIT.KIND) if config.get("SPLIT") else ""


def draw_split(config: Any) -> Any:
    """`config` with the parts that SPLIT.KIND random draws, written as split.csv; otherwise as it is."""
    if split_kind(config) != "random":
        return config
    pool, split = prepare(config, "train"), config.SPLIT
    parts = draw_parts(pool, list(split.RATIOS), int(split.SEED), str(split.BY))
    if distributed.is_main():
        write_split(Path(run_folder(config)), pool, parts, bool(config.get("RESTART", False)))
    counts = ", ".join(f"{list(parts.values()).count(part)} {part}" for part in dict.fromkeys(parts.values()))
    distributed.say(f"Recordings of TRAIN.DATA, drawn by {split.BY} with SPLIT.SEED {split.SEED}: {counts}.")
    return drawn_config(config, parts)


def judge_overlaps(config: Any, prepared: list[Prepared]) -> list[Any]:
    """Overlaps that deserve a warning: all of them where SPLIT.BY recording asks for them."""
    if split_kind(config) == "random" and config.SPLIT.BY == "recording":
        return overlaps({one.name: one.side for one in prepared})
    return preparation.judge_overlaps(prepared, selects_epoch=not config.TEST.USE_LAST_EPOCH)


def only_test(config: Any) -> Path | None:
    """Test the weights of INFERENCE.MODEL_PATH on TEST.DATA; returns the report's path (None in helper processes)."""
    settings = read_settings(config, "TEST")
    trainer = make_trainer(config)
    try:
        distributed.say("===Testing===")
        distributed.say("Testing uses pretrained model!")
        network = trainer.load(config.INFERENCE.MODEL_PATH)
        prepared = prepare(config, "test")
        clips = prepared.clips(**trainer.clip_options("test"))
        write_run_files(config, trainer)
        if distributed.is_main():
            path = config.INFERENCE.MODEL_PATH
            provenance.note_weights(config, "INFERENCE.MODEL_PATH", path, provenance.file_sign(path))
        known = checkpoint.read_sidecar(config.INFERENCE.MODEL_PATH).get("remembered", {})
        heads = testing.recalled(testing.heads_of(trainer, settings), known)
        tested = test(config, trainer, network, prepared, clips, heads)
        return tested.path if tested else None
    finally:
        if sys.exc_info()[0] is None:  # after an error nobody may wait for the others
            distributed.stop()


def make_trainer(config: Any) -> Trainer:
    """The method's trainer, its outputs checked against what can be evaluated, its needs against the configuration."""
    trainer = method_of(config)(config)
    if "TEST" in used_sections(config):
        check_heads(trainer.heads, trainer.name)
    trainer.check_needs()
    trainer.say_device()
    wanted = int(config.get("NUM_OF_GPU_TRAIN", 1))
    if wanted > 1 and trainer.device.type == "cuda" and not distributed.started_by_torchrun():
        distributed.say(
            f"Warning: NUM_OF_GPU_TRAIN is {wanted}, but this is one process: using one GPU. For all: "
            f"{torchrun_line(wanted, sys.argv)}"
        )
    return trainer


def torchrun_line(processes: int, words: Sequence[str]) -> str:
    """The command that starts the program `words` once for each GPU, as a shell takes it."""
    return shlex.join(["torchrun", f"--nproc_per_node={processes}", *words])


# ---------------------------------------------------------------------- data


def prepare(config: Any, name: str, run: Any = None) -> Prepared:
    """The recordings of a section, preprocessed by the main process before the others look.

    What is known of them is written down for the run of `config`, or of `run`, of which `config` is the drawn part.
    """
    if distributed.is_main():
        prepared = preparation.prepare(config[name.upper()].DATA, name, config, bool(config.get("OVERWRITE", False)))
        provenance.note_data(run or config, prepared)
        distributed.barrier()
        return prepared
    distributed.barrier()
    return preparation.prepare(config[name.upper()].DATA, name, config)


# ---------------------------------------------------------------------- test


def test(
    config: Any,
    trainer: Trainer,
    network: torch.nn.Module,
    prepared: Prepared,
    clips: Any,
    heads: Sequence[Head],
    notes: Sequence[str] = (),
    alone: bool = True,
) -> Tested | None:
    """Predict every clip once, save the outputs, then evaluate them; None in helper processes.

    What fails only now counts as what failed before: see `publish.evaluate`; of a fold that is not `alone`, later.
    """
    trainer.use_data(config.TEST.DATA)
    distributed.say("Running model evaluation on the testing dataset!")
    predictions = trainer.predictions(network, clips)
    if not distributed.is_main():
        return None
    if not predictions:
        raise ValueError("There is not one clip to test on: check TEST.DATA.BEGIN, END and CHUNK_LENGTH.")
    names = names_of(config).marked(prepared.rendered)
    recordings = testing.predicted(predictions, prepared, clips, config.TEST.DATA)
    testing.save(recordings, heads, names)
    failed = [(recording.id, reason) for recording, reason in prepared.failed]
    remarks = [*prepared.remarks, *([trainer.device_note] if trainer.device_note else [])]
    left_out = [(recording.id, reason) for recording, reason in prepared.excluded]
    allow = prepared.allow_incomplete if alone else None
    return publish.evaluate(recordings, heads, failed, names, notes, remarks, left_out, allow)


# ---------------------------------------------------------------------- files


def names_of(config: Any) -> Names:
    """Names and folders of what a test writes; rPPG-Toolbox's where it has them."""
    data = config.TEST.DATA
    tested = Path(config.INFERENCE.MODEL_PATH).name.removesuffix(".pth").removesuffix(".safetensors")
    trained = trains(config)
    name = (config.TRAIN.MODEL_FILE_NAME or config.MODEL.NAME) if trained else f"{tested}_{data.DATASET}"
    return Names(
        id=name,
        title=f"{config.MODEL.NAME} on {data.DATASET}",
        outputs=Path(config.TEST.OUTPUT_SAVE_DIR),
        plots=Path(config.LOG.PATH) / data.EXP_DATA_NAME / PLOTS,
        folder=Path(run_folder(config)),
        others=(("curves of the training", plot_folder(config)), ("weights", Path(config.MODEL.MODEL_DIR)))
        if trained
        else (),
    )


def plot_folder(config: Any) -> Path:
    """Where rPPG-Toolbox puts the curves of a training."""
    return Path(config.LOG.PATH) / config.TRAIN.DATA.EXP_DATA_NAME / "plots"


def write_run_files(config: Any, trainer: Trainer) -> Path:
    """Create the run's folder with the resolved configuration and the environment; returns it."""
    return run_files.write_run_files(config, **computed_on(trainer)) if distributed.is_main() else run_folder(config)


def computed_on(trainer: Trainer) -> dict[str, Any]:
    """What of a neural run's environment can change a number."""
    device = str(trainer.device)
    if trainer.device.type == "cuda":
        device = f"{device} ({torch.cuda.get_device_name(trainer.device)})"
    return {
        "torch": torch.__version__,
        "device": device,
        "device_note": trainer.device_note,
        "threads": torch.get_num_threads(),
        "processes": distributed.size(),
    }
