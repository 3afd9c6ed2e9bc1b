"""One training from its first update to its last: epochs, updates, states, weights, messages.

What is random depends on (seed, epoch, update, process) alone, and everything that changes is in the saved state: a
training that is killed and started again ends, on the same machine with as many threads, with the same bits.
"""

import math
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any

import torch
from torch import nn

from dataset.files.names import plural, span
from dataset.files.reading import told
from dataset.files.writing import write_whole
from dataset.progress import show_progress
from dataset.store.sources import digest
from neural_methods import checkpoint, distributed
from neural_methods.batches import Micro, PlannedBatches, loader, seed_of, training_plan, windows
from neural_methods.frozen import Frozen, freeze
from neural_methods.history import History
from neural_methods.plots import training_plots
from neural_methods.settings import cuda_devices, seed_numbers, worker_count

Batch = dict[str, Any]
AFTER = 1 << 32  # in place of the number of a process: random numbers that all of them share


@dataclass
class Progress:
    """Where a training is: the next update to do, the best epoch so far."""

    epoch: int = 0
    update: int = 0
    best_epoch: int = -1
    best_score: float = math.nan
    epochs_without_gain: int = 0
    skipped: int = 0  # updates left out because of a gradient that was not finite
    finished: bool = False


@dataclass
class Session:
    """Everything that changes during a training and is saved with its state."""

    network: nn.Module  # the plain network: its parameters are what is saved
    model: nn.Module  # the same, compiled or wrapped for several processes
    optimizer: torch.optim.Optimizer
    scheduler: Any
    schedule_per: str
    scaler: torch.amp.GradScaler
    average: nn.Module | None = None  # moving average of the weights (TRAIN.EMA)
    frozen: Frozen = field(default_factory=Frozen)
    progress: Progress = field(default_factory=Progress)

    @property
    def weights(self) -> nn.Module:
        """The network that is validated and saved."""
        return self.average if self.average is not None else self.network


@dataclass(frozen=True)
class Fitted:
    """The outcome of a training: the weights to test with, and whether anything was trained now."""

    path: Path
    epoch: int
    best_epoch: int | None
    trained: bool


class Training:
    """One training of one trainer: its session, its files, its epochs."""

    def __init__(
        self, trainer: Any, train: Any, valid: Any, folder: Path, plots: Path | None, recordings: Mapping[str, str]
    ):
        """Files go to `folder`; plots to `plots`, or into it. `recordings`: see `signs_of`."""
        self.trainer, self.settings, self.device = trainer, trainer.settings, trainer.device
        self.train, self.valid, self.folder, self.recordings = train, valid, folder, dict(recordings)
        self.plots = plots if plots is not None else folder / "plots"
        self.state_path = folder / "state.pth"
        self.history = History(folder, self.settings.wandb)
        self.batches = PlannedBatches()
        self.loader = loader(train, self.batches, worker_count(self.settings.num_workers, self.device), self.device)
        self.updates_per_epoch = len(windows(self._plan(0), self.settings.accumulation_steps))

    def run(self, restart: bool) -> Fitted:
        """All epochs that are still to do."""
        session = self._session()
        self._restore(session, restart)
        progress = session.progress
        if progress.finished:
            distributed.say(
                f"This training is finished ({self.state_path}): testing its weights. --restart trains it anew."
            )
            return self._fitted(session, trained=False)
        self._introduce(session)
        if distributed.is_main():
            self.history.open(progress.epoch, progress.update)
        while progress.epoch < self.settings.epochs and not self._stops_early(progress):
            self._epoch(session)
        self._conclude(session)
        progress.finished = True  # only now: what is killed before goes on here and draws its plots
        self._save_state(session)
        return self._fitted(session, trained=True)

    # ------------------------------------------------------------------------------------------ one epoch

    def _epoch(self, session: Session) -> None:
        progress, epoch = session.progress, session.progress.epoch
        train_mode(session.network, self.settings.norm, session.frozen.modules)
        self.trainer.before_epoch(session.network, epoch)
        self._updates(session)
        columns = self.trainer.after_epoch(session.network, epoch)
        if columns and distributed.is_main():
            self.history.note(columns)
        if session.schedule_per == "epoch":
            session.scheduler.step()
        self._save_weights(session, epoch)
        if self.settings.validates:
            self._validate(session)
        self._prune(progress)
        progress.epoch, progress.update = epoch + 1, 0
        self._save_state(session)

    def _updates(self, session: Session) -> None:
        progress, steps = session.progress, self.settings.accumulation_steps
        self.batches.ask = self._asking(progress.epoch)
        plan = self._plan(progress.epoch)
        todo = windows(plan, steps)[progress.update :]
        self.batches.plan = plan[progress.update * steps :]
        stream = iter(self.loader) if todo else iter(())
        silent = not (todo and distributed.is_main())
        bar = show_progress(todo, f"Train epoch {progress.epoch}", unit="updates", silent=silent)
        for window in bar:
            row = self._update(session, stream, window)
            progress.update += 1
            if distributed.is_main():
                self.history.add(row)
                loss = row["loss"] if window is not todo[-1] else self.history.epoch_losses()[-1]
                bar.set_postfix(loss=f"{loss:.4g}", lr=f"{row['lr']:.2e}")
            if self.settings.state_every and progress.update % self.settings.state_every == 0:
                self._save_state(session)

    def _asking(self, epoch: int) -> Callable[[int], int]:
        """From the number of a clip to what its data set is asked for in this epoch."""
        from dataset.clips.clips import Ask  # here, so that networks need no data set code

        shift = self.trainer.augmentation.shift
        return lambda index: Ask(index, epoch, shift(self.train, epoch, index))

    def _update(self, session: Session, stream: Iterator[Batch], window: list[Micro]) -> dict[str, Any]:
        """One optimiser step; returns its row of the history."""
        start, progress = time.perf_counter(), session.progress
        # Dropout and the like depend on (seed, epoch, update, process) and on nothing before.
        seed_numbers(seed_of(self.settings.seed, progress.epoch, progress.update, distributed.rank()), self.device)
        lr = session.optimizer.param_groups[0]["lr"]
        entered = (self.trainer.enter(next(stream), progress.epoch) for _ in window)
        terms = self.trainer.accumulate(session.model, entered, window, progress.epoch, session.scaler.scale)
        skipped = self._step(session)
        if skipped:
            progress.skipped += 1
            distributed.say(f"epoch {progress.epoch} update {progress.update}: gradient not finite, update left out.")
        losses = dict(zip(terms, _totals(list(terms.values())), strict=True))
        return {
            "epoch": progress.epoch,
            "update": progress.update,
            "samples": sum(micro.total for micro in window),
            **losses,
            "lr": lr,
            "seconds": round(time.perf_counter() - start, 4),
            "skipped": int(skipped),
        }

    def _step(self, session: Session) -> bool:
        """Clip, step, schedule, clear; returns whether the update was left out for want of a finite gradient."""
        session.scaler.unscale_(session.optimizer)
        norm = gradient_norm(session.network, self.settings.clip_grad)
        finite = bool(torch.isfinite(norm))
        if finite or session.scaler.is_enabled():  # the scaler steps only when finite, and learns from it
            session.scaler.step(session.optimizer)
        session.scaler.update()
        session.optimizer.zero_grad(set_to_none=True)
        if session.schedule_per == "update":
            session.scheduler.step()
        if finite:
            self._after_update(session)
        return not finite

    def _after_update(self, session: Session) -> None:
        """The trainer's own change of the network, then the average; all processes draw the same random numbers."""
        progress = session.progress
        with torch.random.fork_rng(devices=cuda_devices(self.device)):
            seed_numbers(seed_of(self.settings.seed, progress.epoch, progress.update, AFTER), self.device)
            with torch.no_grad():
                self.trainer.after_update(session.network, progress.epoch, progress.update)
        if session.average is not None:
            _move_average(session.average, session.network, self.settings.ema)

    def _validate(self, session: Session) -> None:
        rows = self.trainer.evaluate(session.weights, self.valid, self.trainer.validation_rows, "Validation")
        score = float(self.trainer.validation_score(rows))
        distributed.say("validation loss: ", score)
        columns = self.trainer.validation_columns(rows)
        if distributed.is_main():
            self.history.note({"validation": score, **(columns or {})})
        if session.schedule_per == "validation":
            session.scheduler.step(score)
        progress = session.progress
        progress.epochs_without_gain += 1
        limit = progress.best_score - self.trainer.minimum_gain
        if math.isfinite(score) and not score >= limit:  # true for the first finite score, too
            progress.best_score, progress.best_epoch, progress.epochs_without_gain = score, progress.epoch, 0
            distributed.say(f"Update best model! Best epoch: {progress.epoch}")

    def _stops_early(self, progress: Progress) -> bool:
        patience = self.settings.early_stopping
        if not (patience and self.settings.validates and progress.epochs_without_gain >= patience):
            return False
        distributed.say(f"Early stopping: {patience} epochs without a better validation loss.")
        return True

    # ------------------------------------------------------------------------------------------ start and end

    def _session(self) -> Session:
        network = self.trainer.start()
        frozen = freeze(network, self.trainer.frozen(network))
        optimizer, scheduler, per = self.trainer.optimizers(network, self.updates_per_epoch)
        frozen.leave(optimizer)
        model = torch.compile(network) if self.settings.compile else network
        parallel = distributed.wrap(model, self.device, self.trainer.unused_parameters)
        scaler = torch.amp.GradScaler(self.device.type, enabled=self.settings.amp == "fp16")
        average = _copy_of(self.trainer, network) if self.settings.ema else None
        return Session(network, parallel, optimizer, scheduler, per, scaler, average, frozen)

    def _restore(self, session: Session, restart: bool) -> None:
        path = self.state_path
        if restart or not path.is_file():
            path = Path(self.settings.resume) if self.settings.resume and not restart else None
        if path is None:
            return
        state = checkpoint.read_state(path)
        if any(state.get(name) != value for name, value in self._shape().items()):
            raise ValueError(
                f"The state '{path}' belongs to a training of {state.get('epochs')} epochs with "
                f"{state.get('updates_per_epoch')} updates each, this one has {self.settings.epochs} with "
                f"{self.updates_per_epoch}, so the schedule would not fit. --restart starts anew; MODEL.WEIGHTS starts "
                "from weights alone."
            )
        if path == self.state_path:
            self._require_same_recordings(state.get("recordings"))
        try:
            _fill(session, state)
        except Exception as error:  # what is missing or of another kind fails in many ways
            raise checkpoint.WeightsError(
                f"The state '{path}' is damaged or of another network ({told(error)}). --restart starts anew."
            ) from error
        if not session.progress.finished:
            distributed.say(f"Continuing at epoch {session.progress.epoch}, update {session.progress.update} ({path}).")

    def _require_same_recordings(self, then: Any) -> None:
        """ValueError where the training in the folder was of others: who is tested now may be among those."""
        then = then if isinstance(then, Mapping) else {}  # of a state of before
        other = [name for name, sign in self.recordings.items() if then.get(name, sign) != sign]
        if other:
            raise ValueError(
                f"The training in '{self.folder}' was started with other recordings in {' and '.join(other)}: some "
                "came or went since. Bring them back, or start it anew with --restart. Its weights as they are: "
                "TOOLBOX_MODE=only_test INFERENCE.MODEL_PATH=FILE."
            )

    def _shape(self) -> dict[str, int]:
        return {"epochs": self.settings.epochs, "updates_per_epoch": self.updates_per_epoch}

    def _save_state(self, session: Session) -> None:
        if distributed.is_main():
            parts = ("network", "optimizer", "scheduler", "scaler", "average")
            state = {name: part.state_dict() for name in parts if (part := getattr(session, name)) is not None}
            state |= {"progress": asdict(session.progress), "recordings": self.recordings, **self._shape()}
            checkpoint.write_state(self.state_path, state)
        distributed.barrier()

    def _save_weights(self, session: Session, epoch: int) -> None:
        if distributed.is_main():
            path = self.trainer.checkpoint_path(epoch)
            info = {**self.trainer.description(), **self.trainer.origin(), "epoch": epoch, "run": self.folder.name}
            checkpoint.write_weights(path, session.weights, info, self.trainer.prefix_module)
        distributed.barrier()

    def _prune(self, progress: Progress) -> None:
        if self.settings.keep_checkpoints != "last_and_best" or not distributed.is_main():
            return
        for epoch in range(progress.epoch):
            if epoch != progress.best_epoch:
                path = self.trainer.checkpoint_path(epoch)
                if checkpoint.read_sidecar(path).get("run") == self.folder.name:
                    path.unlink(missing_ok=True)
                    path.with_suffix(".json").unlink(missing_ok=True)

    def _introduce(self, session: Session) -> None:
        settings, trainer = self.settings, self.trainer
        count = sum(parameter.numel() for parameter in session.network.parameters())
        trained = sum(parameter.numel() for parameter in session.network.parameters() if parameter.requires_grad)
        distributed.say(f"{trainer.name}: {count:,} parameters, {trained:,} of them trained, on {self.device}.")
        effective = settings.batch_size * settings.accumulation_steps
        distributed.say(
            f"effective batch {effective} ({settings.batch_size} x {settings.accumulation_steps}), "
            f"{self.updates_per_epoch} updates per epoch, {settings.epochs} epochs."
        )
        if changes := trainer.augmentation.describe():
            distributed.say(f"Training clips are changed at random: {changes}.")
        trainer.say_device()
        for note in (*trainer.notes, *self._caveats(session.network)):
            distributed.say(f"Note: {note}")

    def _caveats(self, network: nn.Module) -> list[str]:
        caveats = []
        layers = sum(isinstance(module, nn.modules.batchnorm._BatchNorm) for module in network.modules())
        if layers and self.settings.accumulation_steps > 1 and self.settings.norm == "batch":
            caveats.append(
                f"{layers} batch norm layers see each micro-batch alone, so accumulating "
                f"{self.settings.accumulation_steps} of them is not quite one larger batch "
                "(with MODEL.NORM: group or frozen_batch it is)."
            )
        length, multiple = self.trainer.chunk_length, self.trainer.time_multiple
        if length is not None and length % multiple:
            caveats.append(
                f"clips of {length} frames are cut to {length - length % multiple}, a multiple of {multiple}."
            )
        return caveats

    def _conclude(self, session: Session) -> None:
        progress = session.progress
        if self.settings.validates and progress.best_epoch >= 0:
            distributed.say(f"best trained epoch: {progress.best_epoch}, min_val_loss: {progress.best_score}")
        if progress.skipped:
            distributed.say(f"{progress.skipped} updates were left out because of gradients that were not finite.")
        if distributed.is_main():
            for name, text in self.trainer.leaves(self.history.rows).items():
                write_whole(self.folder / name, text)
            if self.trainer.config.TRAIN.PLOT_LOSSES_AND_LR:
                training_plots(self.history, self.plots, self.settings.model_file_name, self._about())
            self.history.close()

    def _about(self) -> str:
        """What was trained on what, for the plots."""
        ids, clips = getattr(self.train, "recordings", []), plural(len(self.train), "clip")
        return f"{self.trainer.name}, {clips}" + (f" of {plural(len(ids), 'recording')}, {span(ids)}" if ids else "")

    def _fitted(self, session: Session, trained: bool) -> Fitted:
        progress = session.progress
        best = progress.best_epoch if progress.best_epoch >= 0 else None
        if not self.settings.use_last_epoch and best is None:
            raise ValueError(
                "No epoch had a finite validation loss, so there is no best one: "
                "lower TRAIN.LR, or set TEST.USE_LAST_EPOCH: True."
            )
        epoch = progress.epoch - 1 if self.settings.use_last_epoch else best
        path = self.trainer.checkpoint_path(epoch)
        owner = checkpoint.read_sidecar(path).get("run")
        if owner is not None and owner != self.folder.name:
            raise ValueError(
                f"'{path}' has since been overwritten by another run ({owner}): "
                "use another TRAIN.MODEL_FILE_NAME, or --restart."
            )
        return Fitted(path, epoch, best, trained)

    def _plan(self, epoch: int) -> list[Micro]:
        return training_plan(
            len(self.train), self.settings.batch_size, self.settings.seed, epoch, distributed.rank(), distributed.size()
        )


def signs_of(train: Any, valid: Any) -> dict[str, str]:
    """A sign of the recordings whose clips are trained on, and validated, by section; of clips that tell them."""
    named = {"TRAIN.DATA": getattr(train, "recordings", None), "VALID.DATA": getattr(valid, "recordings", None)}
    return {name: digest(sorted(map(str, ids))) for name, ids in named.items() if ids is not None}


def _fill(session: Session, state: dict[str, Any]) -> None:
    """Put a saved `state` into the parts of `session`."""
    for name in ("network", "optimizer", "scheduler", "scaler", "average"):
        part = getattr(session, name)
        if part is not None and state.get(name) is not None:
            part.load_state_dict(state[name])
    session.progress = _progress(state["progress"])


def _progress(stored: dict[str, Any]) -> Progress:
    """Where the saved training is; ValueError for values of another kind: a text "no" is not finished."""
    progress = Progress(**stored)
    for one in fields(Progress):
        value, kind = getattr(progress, one.name), type(one.default)
        if type(value) is not kind and not (kind is float and type(value) is int):
            raise ValueError(f"progress.{one.name} is {value!r}")
    if min(progress.epoch, progress.update, progress.epochs_without_gain, progress.skipped) < 0:
        raise ValueError(f"progress is {stored}")
    return progress


def gradient_norm(network: nn.Module, limit: float = 0.0) -> torch.Tensor:
    """Norm of all gradients together; with a `limit` they are first scaled down to it."""
    if limit:
        return nn.utils.clip_grad_norm_(network.parameters(), limit)
    return nn.utils.get_total_norm([p.grad for p in network.parameters() if p.grad is not None])


def train_mode(network: nn.Module, norm: str = "batch", frozen: Iterable[nn.Module] = ()) -> None:
    """Switch to training but for the `frozen` parts; with 'frozen_batch' batch norms keep their running statistics."""
    network.train()
    for part in frozen:
        part.eval()
    if norm == "frozen_batch":
        for module in network.modules():
            if isinstance(module, nn.modules.batchnorm._BatchNorm):
                module.eval()


def replace_norm(network: nn.Module, norm: str) -> nn.Module:
    """For 'group': 3-D batch norms become group norms of 8 groups, which do not mix clips; else as it is."""
    if norm != "group":
        return network
    for name, child in network.named_children():
        if isinstance(child, nn.modules.batchnorm._BatchNorm):
            groups = math.gcd(8, child.num_features)
            setattr(network, name, nn.GroupNorm(groups, child.num_features))
        else:
            replace_norm(child, norm)
    return network


def _totals(values: list[torch.Tensor]) -> list[float]:
    """Loss terms summed over the processes, as numbers, with one copy from the device."""
    return distributed.add(torch.stack([value.reshape(()) for value in values])).tolist()


def _copy_of(trainer: Any, network: nn.Module) -> nn.Module:
    copy = trainer.build()
    copy.load_state_dict(network.state_dict())
    return copy.requires_grad_(False)


@torch.no_grad()
def _move_average(average: nn.Module, network: nn.Module, decay: float) -> None:
    current = network.state_dict()
    for name, value in average.state_dict().items():
        if value.is_floating_point():
            value.lerp_(current[name], 1 - decay)
        else:
            value.copy_(current[name])
