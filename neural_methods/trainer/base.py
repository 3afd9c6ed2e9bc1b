"""The hooks by which a neural method differs from the others.

A method is a subclass of `Trainer` in a file of this folder. It must say `build_model` and `loss`; most also say
`predict`. Everything else exists once, in `passes` and `training`: gradient accumulation, mixed precision, clipping,
several processes, best and last epoch, resuming after a kill, history, plots, prediction of a test set.

The batch that reaches the hooks (`prepare`, `predict`, `loss`, ...) lies on the device and holds
    video      (B, C, T, H, W) float32, normalised as DATA_TYPE says, C = 3 for each type, T cut to `time_multiple`
    ppg        (B, T) float32, the label as LABEL_TYPE says
    others     of `needs.signals` and, where the data have them, `needs.optional`, (B, T) or (B, T, columns) float32:
               waves (by `heads`) as LABEL_TYPE says, others as recorded; NaN, or -1 for classes, where one is missing
    recording, subject  lists of names;  clip, fs  (B,)
A method without video, or without labels, finds neither; its other inputs pass through as the clips hold them.
"""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import nn
from torch.utils.data import DataLoader, Dataset
from yacs.config import CfgNode

from dataset.prepare.node import label_type_of
from dataset.signals import PULSE_WAVE
from neural_methods import checkpoint, distributed
from neural_methods.augment import Augmentation
from neural_methods.needs import (
    BANDS,
    VIDEO,
    Needs,
    channels_of,
    clip_options,
    label_kind,
    lacking_inputs,
    lacking_labels,
    reader_of,
    what_it_has,
)
from neural_methods.settings import Settings, choose_device, cuda_devices, make_deterministic
from neural_methods.trainer.passes import Batch, Losses, Outputs, Passes, clip_count
from neural_methods.training import Fitted, Training, replace_norm, signs_of
from settings.modes import trains, used_sections
from unsupervised_methods.expects import box_of


class Trainer(Passes):
    """The loop; subclasses register under the name a user writes in MODEL.NAME and override the hooks they need."""

    OPTIONS: dict[str, Any] = {}  # own keys under MODEL with their defaults, e.g. {"TSCAN": {"FRAME_DEPTH": 10}}
    needs = Needs()
    heads: dict[str, str] = {PULSE_WAVE: "wave"}  # output name -> kind, a name in KINDS (`evaluation.kinds`)
    units: dict[str, str] = {}  # of what is no wave, by the name of the output or its part, e.g. {"sbp": "mmHg"}
    prefix_module = False  # whether rPPG-Toolbox's weight files of this method carry `module.`
    ignored_weights: tuple[str, ...] = ()  # patterns of entries that a weight file may lack or have over
    cpu_layout: torch.memory_format | None = None  # memory format in which the network is faster on a CPU
    unused_parameters = False  # whether some parameters never enter the forward pass (several processes must know)
    notes: tuple[str, ...] = ()  # sentences on known oddities of the recipe, printed once at start
    optimizer: type[torch.optim.Optimizer] = torch.optim.AdamW
    weight_decay = 0.0
    minimum_gain = 0.0  # by which a validation score must fall to count as better
    shortest_clip = 0  # frames: of networks that take clips of any length from there to CHUNK_LENGTH; 0: only that
    grid = 0  # cells along each side of a picture, whose mean colours are all that is read of it; 0: pixels are read
    schedule = "one_cycle"  # of the learning rate: one_cycle (TRAIN.LR is its peak) or constant

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

    def data(self, clips: Dataset, section: str) -> Dataset:
        """The samples of "train", "valid" or "test" made of its `clips`: pairs, views; the clips themselves by default.

        An index is an `Ask`: what is drawn anew in each epoch comes from (seed, `index.epoch`, `index`) alone, so that
        a resumed training draws the same. Samples of different length share no batch where `clip_lengths` tells them.
        """
        return clips

    def frozen(self, network: nn.Module) -> Iterable[nn.Module | nn.Parameter]:
        """Parts that are not trained: no gradient, no optimiser, always in eval mode, the same bits afterwards."""
        return ()

    def initial_weights(self, state: checkpoint.State) -> tuple[checkpoint.State, Sequence[str]] | None:
        """What a training takes of weights of another method, named by MODEL.WEIGHTS; None: it takes none.

        `state` is name -> tensor as read. Returns it with the names of this network, and patterns of entries that may
        be missing, which start fresh, or be over, which are left out.
        """
        return None

    def begin(self, network: nn.Module) -> None:
        """Called with the fresh network of a training, before MODEL.WEIGHTS: a place for weights of its parts."""

    def evaluation_options(self, head: str) -> dict[str, Any]:
        """Plain values for the kind that evaluates an output, as its `head.options`; none by default."""
        return {}

    def after_update(self, network: nn.Module, epoch: int, update: int) -> None:
        """Called after each update that was made, before TRAIN.EMA averages: a place to re-seed a codebook.

        It may change parameters and buffers of `network`, in all processes alike: torch's generator is seeded for that
        from (seed, epoch, update). Other state is lost when a training is resumed.
        """

    def augment(self, batch: Batch, epoch: int) -> Batch:
        """Change the stored video of a training batch, by (seed, epoch, sample) alone; as TRAIN.AUGMENT says."""
        return self.augmentation.frames(batch, epoch)

    def normalise(self, batch: Batch) -> Batch:
        """Turn the stored uint8 videos of a batch on the device into normalised float ones, if there are any."""
        if "video_float" in batch:  # chunks of rPPG-Toolbox are stored normalised
            return {**batch, "video": batch["video_float"].float()}
        names = [name for name in dict.fromkeys((VIDEO, *self.needs.input_names)) if f"{_prefix(name)}stats" in batch]
        return {**batch, **{name: self._normalised(batch, name) for name in names}}

    def _normalised(self, batch: Batch, name: str) -> torch.Tensor:
        from dataset.clips.transforms import normalise

        parts = (batch[f"{_prefix(name)}{part}"] for part in ("next_frame", "has_next", "stats"))
        video = normalise(batch[name], *parts, self.data_types)
        if name == VIDEO and (problem := self.channel_problem(video.shape[1], "DATA")):
            raise ValueError(problem)
        return video

    def prepare(self, batch: Batch) -> Batch:
        """Turn the normalised batch into what `predict` and `loss` expect; as it is by default."""
        return batch

    def predict(self, model: nn.Module, batch: Batch) -> Outputs:
        """The network's outputs by head; `model` must be called exactly once. By default model(video) -> (B, T)."""
        return {PULSE_WAVE: model(batch["video"])}

    def loss(self, outputs: Outputs, batch: Batch, epoch: int) -> Losses:
        """{"loss": scalar to minimise, further terms to record}, means over the clips of the batch, float32."""
        raise NotImplementedError

    def optimizers(self, model: nn.Module, steps_per_epoch: int) -> tuple[torch.optim.Optimizer, Any, str]:
        """Optimiser, scheduler, and when it steps; `steps_per_epoch` counts updates.

        It steps after each 'update', each 'epoch', or each 'validation', whose score it is given.
        """
        optimizer = self.optimizer(self.parameter_groups(model), lr=self.settings.lr, weight_decay=self.weight_decay)
        if self.schedule == "constant":
            return optimizer, torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: 1.0), "update"
        if self.schedule != "one_cycle":
            raise ValueError(f"{self.name}.schedule is {self.schedule!r}; known: one_cycle, constant.")
        return optimizer, self.one_cycle(optimizer, steps_per_epoch), "update"

    def parameter_groups(self, model: nn.Module) -> list[dict[str, Any]]:
        """The parameters as optimisers take them: groups with rates of their own come after the main one."""
        return [{"params": list(model.parameters())}]

    def validation_rows(self, outputs: Outputs, batch: Batch) -> list[Any]:
        """What validation keeps of one batch; by default (number of clips, loss of the last epoch's weights)."""
        clips = clip_count(batch)
        return [(clips, float(self.loss(outputs, batch, self.settings.epochs)["loss"]))]

    def validation_score(self, rows: list[Any]) -> float:
        """One number for the rows of all batches, lower is better; by default the mean loss over clips."""
        return sum(clips * loss for clips, loss in rows) / sum(clips for clips, _ in rows)

    def validation_columns(self, rows: list[Any]) -> Mapping[str, float | str] | None:
        """Further columns of the history made of the rows of all batches, in every process; see `after_epoch`."""

    def leaves(self, rows: Sequence[Mapping[str, Any]]) -> Mapping[str, str]:
        """Name -> text of files that a training leaves in its folder, from the rows of its history; none by default."""
        return {}

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
        """Changes of `ClipOptions` for the clips of "train", "valid" or "test": what it reads and learns."""
        return clip_options(self.needs, self.heads, training=section != "test")

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
        self.settings = self.settings.on(self.device)
        self.section = "TRAIN" if trains(config) else used_sections(config)[-1]
        self.use_data(config[self.section].DATA)
        self._device_said = False
        self._begun: nn.Module | None = None
        self._loaders: dict[int, tuple[DataLoader, Dataset]] = {}  # by identity; holding the data set keeps it unique
        make_deterministic(self.settings.deterministic)

    def say_device(self) -> None:
        """Print, once, that DEVICE had to be another."""
        if self.device_note and not self._device_said:
            distributed.say(f"Warning: {self.device_note}")
        self._device_said = True

    def use_data(self, data: Any) -> None:
        """Take frame size, clip length, rate and types from a DATA section."""
        preprocess = data.PREPROCESS
        self.frame_size = (int(preprocess.RESIZE.H), int(preprocess.RESIZE.W))
        self.image_size = self.frame_size[0]
        counted = preprocess.DO_CHUNK and not preprocess.get("CHUNK_SECONDS", 0.0)
        self.chunk_length = int(preprocess.CHUNK_LENGTH) if counted else None
        self.data_types = list(preprocess.DATA_TYPE)
        self.label_type = label_type_of(preprocess)
        self.fs = float(data.FS)
        self.box = box_of(preprocess.get("CROP_FACE", {}))

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

    def origin(self) -> dict[str, Any]:
        """What else the sidecar says of the videos that were trained on; other ones are no error."""
        return {"fs": self.fs, "box": self.box}

    def channel_problem(self, found: int, section: str) -> str:
        """What is wrong with a video of `found` channels after normalisation, and the key to change; '' if nothing."""
        wanted, types = self.needs.channels, self.data_types
        if wanted in (None, found):
            return ""
        said = f"{self.name} reads {wanted} channels, {section}.PREPROCESS.DATA_TYPE {types} gives {found}: "
        if found % BANDS["RGB"]:
            return f"{said}set {section}.PREPROCESS.IBVP.DATA_MODE to RGB."
        return f"{said}list {wanted // BANDS['RGB']} types."

    @property
    def smallest(self) -> int:
        """Pixels that both sides of a frame must have at least."""
        return self.needs.smallest

    def check_needs(self) -> None:
        """Compare `needs` with every section that is read; ValueError names the key to change. No data are opened."""
        own, sizes = self.section, {}
        for name in used_sections(self.config):
            if "DATA" in self.config[name]:
                self.use_data(self.config[name].DATA)
                self.check_section(f"{name}.DATA")
                sizes[name] = self.frame_size
        self.use_data(self.config[own].DATA)
        if self.needs.one_size and len(set(sizes.values())) > 1:
            shown = ", ".join(f"{name}.DATA has {width}x{height}" for name, (height, width) in sizes.items())
            raise ValueError(f"{self.name} is built for one frame size: set PREPROCESS.RESIZE alike ({shown}).")
        if "TRAIN" in sizes:
            self.augmentation.check_method(self.needs, self.heads)

    def check_section(self, section: str) -> None:
        """Compare `needs` with the DATA section in use, called `section`; ValueError names the key to change."""
        data = self.config[section.partition(".")[0]].DATA
        reader = reader_of(data)
        if reader is not None:
            self._check_reader(reader, data, section)
        if self.needs.reads_video:
            self._check_frames(section, channels_of(self.needs, len(self.data_types), reader))
        if self.chunk_length is not None and self.chunk_length < self.time_multiple:
            raise ValueError(
                f"{self.name} needs clips of at least {self.time_multiple} frames, {section}.PREPROCESS.CHUNK_LENGTH "
                f"is {self.chunk_length}."
            )

    def _check_reader(self, reader: Any, data: Any, section: str) -> None:
        lacking = lacking_inputs(self.needs, reader)
        if section.startswith(("TRAIN", "VALID")):  # without labels a test gives rates
            scalars = [name for name in self.needs.labels if label_kind(self.needs, self.heads, name) == "scalar"]
            lacking += lacking_labels(self.needs, reader, bool(data.PREPROCESS.USE_PSUEDO_PPG_LABEL), scalars)
        if lacking:
            raise ValueError(
                f"{self.name} needs {', '.join(map(repr, lacking))}, which {section}.DATASET {data.DATASET} does not "
                f"have (it has {what_it_has(reader)}). Choose another data set, or another MODEL.NAME."
            )

    def _check_frames(self, section: str, channels: int | None) -> None:
        if channels is not None and (problem := self.channel_problem(channels, section)):
            raise ValueError(problem)
        height, width = self.frame_size
        if self.needs.square and height != width:
            raise ValueError(
                f"{self.name} reads square frames, {section}.PREPROCESS.RESIZE is {width}x{height}: set W and H alike."
            )
        if min(height, width) < self.smallest:
            raise ValueError(
                f"{self.name} works with frames of at least {self.smallest}x{self.smallest} pixels, "
                f"{section}.PREPROCESS.RESIZE is {width}x{height}."
            )
        if self.needs.sizes and height not in self.needs.sizes:
            raise ValueError(
                f"{self.name} works with frames of {self.needs.sizes} pixels, "
                f"{section}.PREPROCESS.RESIZE.H is {height}."
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
        recordings = signs_of(train, valid)
        train = self.data(train, "train")
        valid = None if valid is None else self.data(valid, "valid")
        self._check_fit(train, valid, refuse_best)
        folder = Path(folder if folder is not None else self.settings.model_dir)
        training = Training(self, train, valid, folder, plots, recordings)
        with torch.random.fork_rng(devices=cuda_devices(self.device)):
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
        self.augmentation.check_method(self.needs, self.heads)
        self.augmentation.check_clips(train)

    def build(self) -> nn.Module:
        """The network on the device, initialised from the seed, with the norm layers that MODEL.NORM asks for."""
        with torch.random.fork_rng(devices=cuda_devices(self.device)):
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

    def check_start(self) -> None:
        """Load MODEL.WEIGHTS ahead of the data: WeightsError or FileNotFoundError when a training cannot start so."""
        self._begun = self._new()

    def start(self) -> nn.Module:
        """The network a training begins with, fresh or with MODEL.WEIGHTS; that of `check_start` after a call of it."""
        network, self._begun = self._begun, None
        return self._new() if network is None else network

    def _new(self) -> nn.Module:
        network = self.build()
        self.begin(network)
        if self.settings.weights:
            self.start_from(self.settings.weights, network)
        return network

    def start_from(self, path: str | Path, network: nn.Module) -> None:
        """Put the weights of MODEL.WEIGHTS into a `network` to be trained: its own, or as `initial_weights` says.

        WeightsError when they do not fit.
        """
        found = None if checkpoint.belongs_to(path, self.name, network) else self._of_another(path)
        if found is None:
            self.load(path, network)
            return
        state, patterns = found
        report = checkpoint.fill(network, state, patterns, f"MODEL.WEIGHTS '{path}'")
        distributed.say(f"Weights {path}, of another method: {report}.")

    def _of_another(self, path: str | Path) -> tuple[checkpoint.State, Sequence[str]] | None:
        return self.initial_weights(checkpoint.read_weights(path))


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


def _prefix(name: str) -> str:
    """What precedes the next frame and the statistics of a video in a batch."""
    return "" if name == VIDEO else f"{name}_"


def _option(options: Any, name: str) -> Any:
    return options.get(name) if isinstance(options, Mapping) else getattr(options, name, None)


def _as_plain(value: Any) -> Any:
    """Option sections as plain dicts, for a JSON file."""
    return {key: _as_plain(entry) for key, entry in value.items()} if isinstance(value, Mapping) else value
