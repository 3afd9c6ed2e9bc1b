"""The training loop of every neural method, and the hooks by which a method differs.

A method is a subclass of `Trainer` in a file of this folder. It must say `build_model` and `loss`; most also say
`predict` and `optimizers`. Everything else exists once, here and in `training`: gradient accumulation, mixed precision,
clipping, several processes, best and last epoch, resuming after a kill, history, plots, prediction of a test set.

The batch that reaches the hooks (`prepare`, `predict`, `loss`, ...) lies on the device and holds
    video      (B, C, T, H, W) float32, normalised as DATA_TYPE says, C = 3 for each type, T cut to `time_multiple`
    ppg        (B, T) float32, the label as LABEL_TYPE says
    others     of `needs.signals` and, where the data have them, `needs.optional`, (B, T) or (B, T, columns) float32:
               waves (by `heads`) as LABEL_TYPE says, others as recorded; NaN, or -1 for classes, where one is missing
    recording, subject  lists of names;  clip, fs  (B,)
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.utils.data import DataLoader, Dataset
from yacs.config import CfgNode

from dataset.progress import show_progress
from neural_methods import checkpoint, distributed
from neural_methods.augment import Augmentation
from neural_methods.batches import Micro, PlannedBatches, clip_lengths, evaluation_plan, loader
from neural_methods.settings import Settings, choose_device, make_deterministic, worker_count
from neural_methods.training import Fitted, Training, replace_norm

Batch = dict[str, Any]
Outputs = dict[str, torch.Tensor]
Losses = dict[str, Any]
Predictions = dict[str, dict[int, dict[str, np.ndarray]]]
LEARNED_AS = {"wave": "wave", "breathing": "wave", "classes": "codes"}  # kind of output -> kind of its label
AMP_TYPES = {"bf16": torch.bfloat16, "fp16": torch.float16}


@dataclass(frozen=True)
class Needs:
    """What a method asks of data and configuration, checked before the first step."""

    signals: tuple[str, ...] = ("ppg",)
    optional: tuple[str, ...] = ()  # further signals, used where the data have them
    parts: Mapping[str, tuple[str, ...]] = field(default_factory=dict)  # signals that are the columns of a label
    inputs: tuple[str, ...] = ("video",)
    channels: int | None = None  # of the normalised video; None: any
    square: bool = False  # frames must be as high as wide
    sizes: tuple[int, ...] = ()  # the only frame heights that work; (): any

    @property
    def labels(self) -> tuple[str, ...]:
        """Names of all signals that may be in a batch."""
        return (*self.signals, *self.optional)


class Trainer:
    """The loop; subclasses register under the name a user writes in MODEL.NAME and override the hooks they need."""

    OPTIONS: dict[str, Any] = {}  # own keys under MODEL with their defaults, e.g. {"TSCAN": {"FRAME_DEPTH": 10}}
    needs = Needs()
    heads: dict[str, str] = {"ppg": "wave"}  # output name -> kind, a name in KINDS (`evaluation.kinds`)
    units: dict[str, str] = {}  # of what is no wave, by the name of the output or its part, e.g. {"sbp": "mmHg"}
    prefix_module = False  # whether rPPG-Toolbox's weight files of this method carry `module.`
    ignored_weights: tuple[str, ...] = ()  # patterns of entries that a weight file may lack or have over
    cpu_layout: torch.memory_format | None = None  # memory format in which the network is faster on a CPU
    unused_parameters = False  # whether some parameters never enter the forward pass (several processes must know)
    notes: tuple[str, ...] = ()  # sentences on known oddities of the recipe, printed once at start

    # ---------------------------------------------------------------------------------------------- hooks

    def build_model(self) -> nn.Module:
        """The network, with fresh weights, on the CPU."""
        raise NotImplementedError

    @property
    def time_multiple(self) -> int:
        """Clips are cut at their end to a multiple of so many frames before they reach the network."""
        return 1

    @property
    def loss_mixes_samples(self) -> bool:
        """Whether the loss of a batch is not the mean of its clips' losses; accumulation is refused then."""
        return False

    def augment(self, batch: Batch, epoch: int) -> Batch:
        """Change the stored video of a training batch, by (seed, epoch, sample) alone; as TRAIN.AUGMENT says."""
        return self.augmentation.frames(batch, epoch)

    def normalise(self, batch: Batch) -> Batch:
        """Turn the stored uint8 video of a batch on the device into the normalised float video."""
        if "video_float" in batch:  # chunks of rPPG-Toolbox are stored normalised
            return {**batch, "video": batch["video_float"].float()}
        from dataset.clips.transforms import normalise

        types = self.data_types
        video = normalise(batch["video"], batch["next_frame"], batch["has_next"], batch["stats"], types)
        if self.needs.channels not in (None, video.shape[1]):
            raise ValueError(
                f"{self.name} reads {self.needs.channels} channels and got {video.shape[1]}: {len(types)} types of "
                f"{batch['video'].shape[1]} channels. Set DATA.PREPROCESS.IBVP.DATA_MODE to RGB."
            )
        return {**batch, "video": video}

    def prepare(self, batch: Batch) -> Batch:
        """Turn the normalised batch into what `predict` and `loss` expect; as it is by default."""
        return batch

    def predict(self, model: nn.Module, batch: Batch) -> Outputs:
        """The network's outputs by head; `model` must be called exactly once. By default model(video) -> (B, T)."""
        return {"ppg": model(batch["video"])}

    def loss(self, outputs: Outputs, batch: Batch, epoch: int) -> Losses:
        """{"loss": scalar to minimise, further terms to record}, means over the clips of the batch, float32."""
        raise NotImplementedError

    def optimizers(self, model: nn.Module, steps_per_epoch: int) -> tuple[torch.optim.Optimizer, Any, str]:
        """Optimiser, scheduler, and 'update' or 'epoch' for when it steps; `steps_per_epoch` counts updates."""
        optimizer = torch.optim.AdamW(self.parameter_groups(model), lr=self.settings.lr, weight_decay=0.0)
        return optimizer, self.one_cycle(optimizer, steps_per_epoch), "update"

    def parameter_groups(self, model: nn.Module) -> list[dict[str, Any]]:
        """The parameters as optimisers take them: groups with rates of their own come after the main one."""
        return [{"params": list(model.parameters())}]

    def validation_rows(self, outputs: Outputs, batch: Batch) -> list[Any]:
        """What validation keeps of one batch; by default (number of clips, loss of the last epoch's weights)."""
        clips = len(batch["recording"])
        return [(clips, float(self.loss(outputs, batch, self.settings.epochs)["loss"]))]

    def validation_score(self, rows: list[Any]) -> float:
        """One number for the rows of all batches, lower is better; by default the mean loss over clips."""
        return sum(clips * loss for clips, loss in rows) / sum(clips for clips, _ in rows)

    def finish(self, outputs: Outputs, batch: Batch) -> Outputs:
        """Last change to the test outputs of a batch before they are stored; none by default."""
        return outputs

    def before_epoch(self, network: nn.Module, epoch: int) -> None:
        """Called before each training epoch, after `network.train()`; a place to freeze layers."""

    def after_epoch(self, network: nn.Module, epoch: int) -> Mapping[str, float | str] | None:
        """Called after each training epoch, in every process; returns columns for the epoch's last row in the history.

        Their names hold a `/`, which tells them from the terms of the loss.
        """

    def clip_options(self, section: str) -> dict[str, Any]:
        """Changes of `ClipOptions` for the clips of "train", "valid" or "test": the labels it learns."""
        from dataset.clips.labels import Label  # here, so that networks need no data set code

        needs, training = self.needs, section != "test"
        return {
            "labels": tuple(
                Label(name, LEARNED_AS.get(self.heads.get(name, "wave"), "scalar"), needs.parts.get(name, ()),
                      required=training and name in needs.signals)
                for name in needs.labels
            )
        }  # fmt: skip

    def checkpoint_options(self) -> dict[str, Any]:
        """Options a weight file must agree with; by default all that `OPTIONS` declares."""
        return {
            name: _as_plain(_option(self.options, name))
            for name in self.OPTIONS
            if _option(self.options, name) is not None
        }

    # ---------------------------------------------------------------------------------------------- settings

    def __init__(self, config: Any, device: torch.device | str | None = None):
        """Read the settings of a resolved configuration; `device` overrides its DEVICE."""
        self.config = config
        self.options = config.MODEL
        self.settings = Settings.of(config)
        self.augmentation = Augmentation.of(config)
        self.name = str(config.MODEL.NAME)
        self.device_note = ""
        if device is None:
            device, self.device_note = choose_device(str(config.DEVICE))
        self.device = distributed.start(torch.device(device))
        self.use_data(config.TEST.DATA if config.TOOLBOX_MODE == "only_test" else config.TRAIN.DATA)
        self._loaders: dict[int, tuple[DataLoader, Dataset]] = {}  # by identity; holding the data set keeps it unique
        make_deterministic(self.settings.deterministic)

    def use_data(self, data: Any) -> None:
        """Take frame size, clip length, rate and types from a DATA section."""
        preprocess = data.PREPROCESS
        self.frame_size = (int(preprocess.RESIZE.H), int(preprocess.RESIZE.W))
        self.image_size = self.frame_size[0]
        self.chunk_length = int(preprocess.CHUNK_LENGTH) if preprocess.DO_CHUNK else None
        self.data_types = list(preprocess.DATA_TYPE)
        self.label_type = str(preprocess.LABEL_TYPE)
        self.fs = float(data.FS)

    def one_cycle(self, optimizer: torch.optim.Optimizer, steps_per_epoch: int) -> torch.optim.lr_scheduler.OneCycleLR:
        """The one-cycle schedule of the published recipes, its constants written out."""
        return torch.optim.lr_scheduler.OneCycleLR(
            optimizer,
            max_lr=[group["lr"] for group in optimizer.param_groups],
            epochs=self.settings.epochs,
            steps_per_epoch=steps_per_epoch,
            pct_start=0.3,
            anneal_strategy="cos",
            div_factor=25.0,
            final_div_factor=1e4,
            cycle_momentum=True,
            base_momentum=0.85,
            max_momentum=0.95,
        )

    def description(self) -> dict[str, Any]:
        """What a weight file's sidecar says of this method, and must agree with when it is loaded."""
        return {
            "method": self.name,
            "options": self.checkpoint_options(),
            "frames": self.chunk_length,
            "size": list(self.frame_size),
            "data_types": self.data_types,
            "label_type": self.label_type,
        }

    def check_needs(self, channels: int | None = None) -> None:
        """Compare `needs` with frame size and types; ValueError names the key to change."""
        found = channels if channels is not None else 3 * len(self.data_types)
        if self.needs.channels is not None and found != self.needs.channels:
            raise ValueError(
                f"{self.name} reads {self.needs.channels} channels, DATA.PREPROCESS.DATA_TYPE {self.data_types} "
                f"gives {found}: list {self.needs.channels // 3} types."
            )
        height, width = self.frame_size
        if self.needs.square and height != width:
            raise ValueError(
                f"{self.name} reads square frames, DATA.PREPROCESS.RESIZE is {width}x{height}: set W and H alike."
            )
        if self.needs.sizes and height not in self.needs.sizes:
            raise ValueError(
                f"{self.name} works with frames of {self.needs.sizes} pixels, DATA.PREPROCESS.RESIZE.H is {height}."
            )
        if self.chunk_length is not None and self.chunk_length < self.time_multiple:
            raise ValueError(
                f"{self.name} needs clips of at least {self.time_multiple} frames, CHUNK_LENGTH is {self.chunk_length}."
            )

    # ---------------------------------------------------------------------------------------------- training

    def fit(
        self,
        train: Dataset,
        valid: Dataset | None = None,
        folder: str | Path | None = None,
        *,
        restart: bool = False,
        refuse_best: str = "",
        plots: Path | None = None,
    ) -> Fitted:
        """Train on clips, validate where asked to, and return the weights to test with.

        `folder` takes state, history and TensorBoard files and is what a killed training is continued from; with
        `restart` an old state there is left aside. `refuse_best` is the reason why no best epoch may be chosen.
        """
        self._check_fit(train, valid, refuse_best)
        folder = Path(folder if folder is not None else self.settings.model_dir)
        training = Training(self, train, valid, folder, plots)
        with torch.random.fork_rng(devices=_cuda_devices(self.device)):
            return training.run(restart)

    def _check_fit(self, train: Any, valid: Any, refuse_best: str) -> None:
        if len(train) == 0:
            raise ValueError(
                "There is not one clip to train on: check TRAIN.DATA.BEGIN, END, and CHUNK_LENGTH against the videos."
            )
        if self.settings.validates and (valid is None or len(valid) == 0):
            raise ValueError(
                "There is not one clip to validate on: set VALID.DATA, or TEST.USE_LAST_EPOCH: True and "
                "VALID.MONITOR: False."
            )
        if refuse_best and not self.settings.use_last_epoch:
            raise ValueError(
                f"The best epoch cannot be chosen: {refuse_best} That would choose by the test set. "
                "Set TEST.USE_LAST_EPOCH: True (VALID.MONITOR: True still shows the validation curve)."
            )
        if self.loss_mixes_samples and self.settings.accumulation_steps > 1:
            raise ValueError(
                f"The loss of {self.name} as configured compares the clips of a batch with each other, so "
                "accumulated batches are not one large batch: set TRAIN.ACCUMULATION_STEPS: 1."
            )
        self.augmentation.check(train, self.heads)

    def build(self) -> nn.Module:
        """The network on the device, initialised from the seed, with the norm layers that MODEL.NORM asks for."""
        with torch.random.fork_rng(devices=_cuda_devices(self.device)):
            torch.manual_seed(self.settings.seed)
            network = replace_norm(self.build_model(), self.settings.norm)
        if self.cpu_layout is not None and self.device.type == "cpu":
            _lay_out(network, self.cpu_layout)
        return network.to(self.device)

    def checkpoint_path(self, epoch: int) -> Path:
        """`<MODEL_DIR>/<MODEL_FILE_NAME>_Epoch<n>.pth`."""
        return Path(self.settings.model_dir) / f"{self.settings.model_file_name}_Epoch{epoch}.pth"

    def load(self, path: str | Path, network: nn.Module | None = None) -> nn.Module:
        """A network with the weights of a file; WeightsError in one sentence when they do not fit."""
        network = network if network is not None else self.build()
        said = checkpoint.load_weights(
            network, path, self.name, self.description(), self.ignored_weights, lambda: other_networks(self.config)
        )
        distributed.say(said)
        return network

    def enter(self, batch: Batch, epoch: int | None = None) -> Batch:
        """A collated batch as `predict` and `loss` get it: moved, normalised, cut to `time_multiple`, prepared.

        With the number of a training epoch it is augmented on the way.
        """
        moved = {
            key: value.to(self.device, non_blocking=True) if isinstance(value, torch.Tensor) else value
            for key, value in batch.items()
        }
        if epoch is None:
            return self.prepare(self._cut(self.normalise(moved)))
        return self.prepare(self._change_rates(self._cut(self.normalise(self.augment(moved, epoch))), epoch))

    def _change_rates(self, batch: Batch, epoch: int) -> Batch:
        if not self.augmentation.rate:
            return batch
        differential = self.label_type == "DiffNormalized"
        return self.augmentation.rates(batch, epoch, self.needs.labels, frame_rates(batch, self.fs), differential)

    def _cut(self, batch: Batch) -> Batch:
        frames = batch["video"].shape[2]
        kept = frames - frames % self.time_multiple
        if kept == frames:
            return batch
        if not kept:
            raise ValueError(
                f"{self.name} needs clips of at least {self.time_multiple} frames; there is one of {frames}."
            )
        cut = {name: batch[name][:, :kept] for name in self.needs.labels if name in batch}
        return {**batch, **cut, "video": batch["video"][:, :, :kept]}

    def forward(self, model: nn.Module, batch: Batch) -> Outputs:
        """`predict` under the precision of TRAIN.AMP; outputs as float32 (float64 stays)."""
        amp = AMP_TYPES.get(self.settings.amp)
        with torch.autocast(self.device.type, dtype=amp, enabled=amp is not None):
            outputs = self.predict(model, batch)
        return {name: value if value.dtype == torch.float64 else value.float() for name, value in outputs.items()}

    def accumulate(
        self,
        model: nn.Module,
        batches: Iterable[Batch],
        window: Sequence[Micro],
        epoch: int = 0,
        scale: Callable[[torch.Tensor], torch.Tensor] | None = None,
    ) -> Losses:
        """Backward passes of one window: afterwards the gradients are those of the mean loss over all its clips.

        `batches` are entered and read one at a time, `window` is their plan. The loss of a micro-batch is a mean over
        its clips, so it counts by its share of the window's clips; plain loss / steps would be wrong for unequal
        micro-batches. Returns the mean loss terms of the window (tensors).
        """
        clips, world = sum(micro.total for micro in window), distributed.size()
        sums: Losses = {}
        for position, (batch, micro) in enumerate(zip(batches, window, strict=True)):
            with distributed.synchronised(model, last=position == len(window) - 1):
                losses = self.loss(self.forward(model, batch), batch, epoch)
                # Gradients are averaged over the processes, so each counts its clips `world` times.
                part = losses["loss"] * (micro.count * world / clips)
                (scale(part) if scale else part).backward()
            for name, value in losses.items():
                # Terms come as tensors of the device, tensors of the CPU and plain numbers; they are stacked later on.
                term = torch.as_tensor(value, dtype=torch.float64, device=self.device).detach()
                share = term * (micro.count / clips)
                sums[name] = sums.get(name, 0) + share
        return sums

    # ---------------------------------------------------------------------------------------------- testing

    @torch.no_grad()
    def evaluate(
        self, network: nn.Module, data: Dataset, visit: Callable[[Outputs, Batch], list[Any]], what: str
    ) -> list[Any]:
        """Run the network once over every clip of `data` and gather what `visit` returns, from all processes."""
        network.eval()
        rows: list[Any] = []
        batches = self._evaluation_loader(data)
        for batch in show_progress(batches, what, unit="batches", keep=False, silent=not distributed.is_main()):
            entered = self.enter(batch)
            rows += visit(self.forward(network, entered), entered)
        return [row for part in distributed.gather(rows) for row in part]

    def _evaluation_loader(self, data: Dataset) -> DataLoader:
        """The loader of a data set, made once, so that its workers live through all epochs."""
        if id(data) not in self._loaders:
            plan = evaluation_plan(
                len(data), self.settings.test_batch_size, distributed.rank(), distributed.size(), clip_lengths(data)
            )
            workers = worker_count(self.settings.num_workers, self.device)
            self._loaders[id(data)] = (loader(data, PlannedBatches(plan), workers, self.device), data)
        return self._loaders[id(data)][0]

    def predictions(self, network: nn.Module, data: Dataset) -> Predictions:
        """recording -> clip number -> {head: (T, ...), "label": (T,)} for every clip, as NumPy arrays."""
        rows = self.evaluate(network, data, self._test_rows, "Testing")
        result: Predictions = {}
        for recording, clip, values in sorted(rows, key=lambda row: row[:2]):
            result.setdefault(recording, {})[clip] = values
        return result

    def _test_rows(self, outputs: Outputs, batch: Batch) -> list[Any]:
        outputs = {name: value.float().cpu().numpy() for name, value in self.finish(outputs, batch).items()}
        labels = {name: batch[name].float().cpu().numpy() for name in self.needs.labels if name in batch}
        rows = []
        for row, recording in enumerate(batch["recording"]):
            values = {name: value[row] for name, value in outputs.items()}
            values |= {"label" if name == "ppg" else f"label_{name}": value[row] for name, value in labels.items()}
            rows.append((str(recording), int(batch["clip"][row]), values))
        return rows


def frame_rates(batch: Batch, fallback: float) -> torch.Tensor:
    """Frames per second of each clip (B,), on the CPU: the clip's own, or `fallback` where it has none.

    ValueError when neither is known.
    """
    found = torch.as_tensor(batch.get("fs", [0.0] * len(batch["ppg"]))).cpu().double()
    rates = torch.where(found > 0, found, torch.full_like(found, fallback))
    if not bool((rates > 0).all()):
        raise ValueError("The loss needs the frame rate of the clips: set DATA.FS (frames per second).")
    return rates


def other_networks(config: Any) -> dict[str, nn.Module]:
    """The network of every registered method without memory for its weights, to compare names and shapes."""
    from registry import METHODS

    networks = {}
    for name in METHODS.names():
        try:
            trainer = METHODS[name](_as_published(config, name, METHODS[name].OPTIONS), device="cpu")
            with torch.device("meta"):
                networks[name] = trainer.build_model()
        except Exception as error:  # a method that cannot be built with these settings is no candidate
            del error
    return networks


def _as_published(config: Any, name: str, options: Mapping[str, Any]) -> Any:
    """`config` with the default options of another method, which it need not declare; unchanged for its own."""
    if name == config.MODEL.NAME:
        return config
    other = config.clone()
    other.defrost()
    for section, values in options.items():
        other.MODEL[section] = CfgNode(values)
    return other


def _lay_out(network: nn.Module, layout: torch.memory_format) -> None:
    """Change the memory format of the kernels that have it; `Module.to` refuses networks that mix 2-D and 3-D ones."""
    rank = 5 if layout == torch.channels_last_3d else 4
    for parameter in network.parameters():
        if parameter.dim() == rank:
            parameter.data = parameter.data.contiguous(memory_format=layout)


def _cuda_devices(device: torch.device) -> list[int]:
    return [device.index or 0] if device.type == "cuda" else []


def _option(options: Any, name: str) -> Any:
    return options.get(name) if isinstance(options, Mapping) else getattr(options, name, None)


def _as_plain(value: Any) -> Any:
    """Option sections as plain dicts, for a JSON file."""
    return {key: _as_plain(entry) for key, entry in value.items()} if isinstance(value, Mapping) else value
