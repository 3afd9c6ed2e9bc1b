"""Blood pressure from ECG and pulse wave: several targets at once, from pre-trained encoders or a small network.

The waves come at rates the encoders know: ECGFounder at 500 Hz, since an ECG at another rate shows it a heart of
another speed. The network gives mmHg; losses are on z-scores of the training targets.
"""

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.utils.data import Dataset

from dataset.clips.altered import AlteredClips
from dataset.clips.ecg_filter import founder_filter
from dataset.clips.inputs import Input
from evaluation.standards import kind_of
from neural_methods import checkpoint, distributed, founders
from neural_methods.loss.pressure import LOSSES, regression_loss
from neural_methods.model.net1d import Net1D
from neural_methods.model.ppg_net1d import PPGNet1D
from neural_methods.model.pressure_net import CONSTRAINTS, PressureNet, SmallPressureNet
from neural_methods.trainer.base import Needs, Trainer
from registry import METHODS, did_you_mean

HEAD = "bp"  # the one output and label: a column for each target
RATES = {"founder": {"ecg": 500.0, "ppg": 600.0}, "small": {"ecg": 125.0, "ppg": 125.0}}  # Hz where nothing is said
STORED = -1.0  # ECG_FS, PPG_FS: as the data have it
ENCODERS = {"ecg": Net1D, "ppg": PPGNet1D}
CHOICES = {
    "MODALITY": ("both", "ecg", "ppg"), "ENCODER": tuple(RATES), "CONSTRAIN": CONSTRAINTS, "LOSS": LOSSES,
    "INPUT_NORM": ("zscore", "none"), "ECG_FILTER": ("none", "founder"), "SCHEDULE": ("constant", "one_cycle"),
    "CALIBRATE": ("none", "linear_val", "personal"), "PERSONAL_PICK": ("random", "first"),
}  # fmt: skip
OF_THE_NETWORK = ("TARGETS", "MODALITY", "ENCODER", "CONSTRAIN", "ECG_FS", "PPG_FS", "INPUT_NORM", "ECG_FILTER")


@METHODS.register("BP")
class BPTrainer(Trainer):
    """Two rates of learning, AdamW without decay on biases and norms, the best epoch by the mean MAE of validation."""

    OPTIONS = {
        "BP": {
            "TARGETS": ["sbp", "dbp"],  # of the data set, in the order of the output
            "MODALITY": "both",  # ecg, ppg, both: the other branch is not built
            "ENCODER": "founder",  # founder (34.6 M parameters), or small: for little data, sees the delay of both
            "ECG_FS": 0.0,  # Hz; 0: 500 for founder, 125 for small; -1: as stored
            "PPG_FS": 0.0,  # Hz; 0: 600 for founder, 125 for small; -1: as stored
            "INPUT_NORM": "zscore",  # of each wave of each clip; or none
            "ECG_FILTER": "none",  # founder: what ECGFounder was trained on
            "PRETRAIN": "",  # weights of both encoders, or of the ECG's alone
            "ECG_CKPT": "",  # of one encoder; wins over PRETRAIN
            "PPG_CKPT": "",
            "ALLOW_PARTIAL": False,  # take an encoder of which less than 95 % arrives
            "FREEZE": False,  # train the head alone
            "LR_HEAD": 3e-4,  # of all but the encoders, whose rate is TRAIN.LR
            "WEIGHT_DECAY": 1e-4,
            "SCHEDULE": "constant",  # or one_cycle
            "CONSTRAIN": "none",  # none, clip, sigmoid, tanh: keep predictions between bounds
            "Y_MARGIN": 5.0,  # of the bounds, beyond the least and the largest training target
            "LOSS": "huber",  # mse, huber, mae_pearson
            "MAEPEARSON_ALPHA": 0.5,
            "MAEPEARSON_BETA": 0.5,
            "ALPHA_CORR": 0.0,  # weight of 1 - r beside mse and huber
            "CALIBRATE": "none",  # linear_val, personal
            "PERSONAL_K": 1,  # readings of each tested person for personal
            "PERSONAL_PICK": "random",  # or first: neighbours in time flatter
        }
    }
    needs = Needs(signals=(HEAD,), parts={HEAD: ("sbp", "dbp")}, inputs=("ecg", "ppg"))
    heads = {HEAD: "pressure"}
    unused_parameters = True  # batch norms that published files hold and no founder of ECGs uses
    minimum_gain = 1e-4

    def __init__(self, config: Any, device: torch.device | str | None = None):
        """ValueError for options that cannot be."""
        self.bp = config.MODEL.BP
        _check(self.bp)
        targets = tuple(str(name) for name in self.bp.TARGETS)
        self.needs = Needs(signals=(HEAD,), parts={HEAD: targets}, kinds={HEAD: "scalar"}, inputs=inputs_of(self.bp))
        self.units = {name: "mmHg" for name in targets if kind_of(name)}
        self.schedule, self.weight_decay = str(self.bp.SCHEDULE), float(self.bp.WEIGHT_DECAY)
        self.statistics: dict[str, list[float]] | None = None
        super().__init__(config, device)
        self.notes = tuple(notes_of(self.bp))

    @property
    def targets(self) -> tuple[str, ...]:
        """Names of the targets, in the order of the columns."""
        return self.needs.parts[HEAD]

    @property
    def branches(self) -> tuple[str, ...]:
        """The branches that are built."""
        return branches_of(self.bp)

    @property
    def loss_mixes_samples(self) -> bool:
        """Correlations are over a batch."""
        return self.bp.LOSS == "mae_pearson" or self.bp.ALPHA_CORR > 0

    def build_model(self) -> nn.Module:
        """Encoders of the branches and the head; the founders' head starts fresh."""
        count, constrain = len(self.targets), str(self.bp.CONSTRAIN)
        if self.bp.ENCODER == "small":
            return SmallPressureNet(len(self.branches), count, constrain)
        return PressureNet({name: ENCODERS[name]() for name in self.branches}, count, constrain)

    def begin(self, network: nn.Module) -> None:
        """Load the encoders; WeightsError when too little of one arrives."""
        for line in load_encoders(network, self.bp, self.branches):
            distributed.say(line)

    def start(self) -> nn.Module:
        """The network with mean, spread and bounds of the training targets."""
        network = super().start()
        if self.statistics is not None:
            network.head.know(**self.statistics)
        return network

    def load(self, path: Any, network: nn.Module | None = None) -> nn.Module:
        """As any method; what the weights know of the training targets becomes known here."""
        network = super().load(path, network)
        head = network.head
        self.statistics = {name: getattr(head, name).tolist() for name in ("mean", "spread", "low", "high")}
        return network

    def data(self, clips: Dataset, section: str) -> Dataset:
        """The clips, filtered where asked for; those of the training say what the targets are like."""
        if section == "train":
            self.statistics = statistics_of(clips.scalars(HEAD), float(self.bp.Y_MARGIN), self.targets)
        return Filtered(clips, self.needs.inputs) if self.bp.ECG_FILTER == "founder" else clips

    def frozen(self, network: nn.Module) -> Iterable[nn.Module]:
        """The encoders, for a linear probe."""
        return [network.encoders] if self.bp.FREEZE else []

    def prepare(self, batch: dict[str, Any]) -> dict[str, Any]:
        """Every wave (B, 1, L) of a branch by its name, z-scored within its clip."""
        return {**batch, "waves": waves_of(batch, self.branches, self.bp.INPUT_NORM == "zscore")}

    def predict(self, model: nn.Module, batch: dict[str, Any]) -> dict[str, torch.Tensor]:
        """(B, K) in mmHg."""
        return {HEAD: model(batch["waves"])}

    def loss(self, outputs: dict[str, torch.Tensor], batch: dict[str, Any], epoch: int) -> dict[str, torch.Tensor]:
        """On z-scores of the training targets."""
        mean, spread = (torch.tensor(self.statistics[name], device=self.device) for name in ("mean", "spread"))
        predicted, true = ((values - mean) / spread for values in (outputs[HEAD], batch[HEAD]))
        bp = self.bp
        return regression_loss(
            predicted, true, str(bp.LOSS), float(bp.MAEPEARSON_ALPHA), float(bp.MAEPEARSON_BETA), float(bp.ALPHA_CORR)
        )

    def parameter_groups(self, model: nn.Module) -> list[dict[str, Any]]:
        """Encoders at TRAIN.LR, all else at LR_HEAD; no decay on biases and norms."""
        encoders = {id(parameter) for parameter in model.encoders.parameters()}
        groups: dict[tuple[bool, bool], list[nn.Parameter]] = {(a, b): [] for a in (True, False) for b in (True, False)}
        for parameter in model.parameters():
            groups[id(parameter) in encoders, parameter.ndim > 1].append(parameter)
        return [
            {
                "params": found,
                "lr": self.settings.lr if inside else float(self.bp.LR_HEAD),
                "weight_decay": self.weight_decay if decays else 0.0,
            }
            for (inside, decays), found in groups.items()
        ]

    def validation_rows(self, outputs: dict[str, torch.Tensor], batch: dict[str, Any]) -> list[Any]:
        """Of each clip the absolute error of every target, (K,) in mmHg."""
        return list((outputs[HEAD] - batch[HEAD]).abs().cpu().numpy())

    def validation_score(self, rows: list[Any]) -> float:
        """Mean over the targets of their MAE; a label that is missing counts nowhere."""
        errors = np.stack(rows)
        known = np.isfinite(errors).any(axis=0)
        return float(np.nanmean(errors[:, known], axis=0).mean()) if known.any() else float("nan")

    def checkpoint_options(self) -> dict[str, Any]:
        """What the network is, not how it was trained."""
        return {"BP": {name: _plain(self.bp[name]) for name in OF_THE_NETWORK}}

    def evaluation_options(self, head: str) -> dict[str, Any]:
        """How to calibrate; mean and spread of the training targets, as the weights know them."""
        known = self.statistics or {"mean": [], "spread": []}
        found = {name: dict(zip(self.targets, known[name], strict=False)) for name in ("mean", "spread")}
        return {
            "calibrate": str(self.bp.CALIBRATE), "k": int(self.bp.PERSONAL_K), "seed": self.settings.seed,
            "first": self.bp.PERSONAL_PICK == "first", **found,
        }  # fmt: skip


class Filtered(AlteredClips):
    """Clips whose ECG has gone through ECGFounder's filter."""

    def __init__(self, clips: Dataset, inputs: Iterable[Input]):
        """`inputs` of the method: the row of the ECG in each."""
        super().__init__(clips)
        self.rate = next((float(one.fs or 0.0) for one in inputs if "ecg" in one.parts), 0.0)
        self.rows = {one.name: one.parts.index("ecg") if one.streams else None for one in inputs if "ecg" in one.parts}

    def altered(self, sample: dict[str, Any], index: int) -> dict[str, Any]:
        """The sample with its ECG filtered."""
        for name, row in self.rows.items():
            waves = sample[name].clone()
            place = ... if row is None else row
            waves[place] = torch.from_numpy(founder_filter(waves[place].numpy(), self.rate or float(sample["fs"])))
            sample[name] = waves
        return sample


# --- Parts ----------------------------------------------------------------------------------------------------------


def branches_of(bp: Mapping[str, Any]) -> tuple[str, ...]:
    """The branches that MODALITY names."""
    return ("ecg", "ppg") if bp.MODALITY == "both" else (str(bp.MODALITY),)


def inputs_of(bp: Mapping[str, Any]) -> tuple[Input, ...]:
    """An input for each branch at its rate; of the small network on both one input with two rows."""
    names = branches_of(bp)
    rates = {name: float(bp[f"{name.upper()}_FS"]) or RATES[bp.ENCODER][name] for name in names}
    rates = {name: None if rate == STORED else rate for name, rate in rates.items()}
    if bp.ENCODER == "small" and len(names) > 1:
        return (Input("waves", streams=names, fs=rates["ecg"]),)
    return tuple(Input(name, fs=rate) for name, rate in rates.items())


def waves_of(batch: Mapping[str, Any], branches: Iterable[str], normed: bool) -> dict[str, torch.Tensor]:
    """Branch -> its waves (B, 1, L) of a batch; `normed`: zero mean and unit spread in each clip, constants zero."""
    found = {}
    for row, name in enumerate(branches):
        wave = (batch[name] if name in batch else batch["waves"][:, row]).unsqueeze(1)
        if normed:
            wave = wave - wave.mean(dim=-1, keepdim=True)
            wave = wave / wave.square().mean(dim=-1, keepdim=True).sqrt().clamp(min=1e-6)
        found[name] = wave
    return found


def statistics_of(labels: np.ndarray, margin: float, targets: Iterable[str]) -> dict[str, list[float]]:
    """Mean, population spread and bounds of training targets (n, K); ValueError for one that nobody has."""
    labels = np.asarray(labels, dtype=float)
    for column, target in enumerate(targets):
        if not np.isfinite(labels[:, column]).any():
            raise ValueError(f"No training recording has the target {target!r}: see MODEL.BP.TARGETS.")
    return {
        "mean": np.nanmean(labels, axis=0).tolist(),
        "spread": np.maximum(np.nanstd(labels, axis=0), 1e-6).tolist(),
        "low": (np.nanmin(labels, axis=0) - margin).tolist(),
        "high": (np.nanmax(labels, axis=0) + margin).tolist(),
    }


def load_encoders(network: nn.Module, bp: Mapping[str, Any], branches: Iterable[str]) -> list[str]:
    """Load what PRETRAIN, ECG_CKPT and PPG_CKPT name; a line for each encoder that has weights, or lacks them."""
    own = {"ecg": str(bp.ECG_CKPT), "ppg": str(bp.PPG_CKPT)}
    if bp.ENCODER == "small":
        if bp.PRETRAIN or any(own.values()):
            raise ValueError(
                "MODEL.BP.PRETRAIN, ECG_CKPT and PPG_CKPT are for ENCODER founder; small has no such file."
            )
        return []
    if unused := [name.upper() for name, path in own.items() if path and name not in branches]:
        raise ValueError(f"MODEL.BP.{unused[0]}_CKPT is set, but MODALITY {bp.MODALITY} has no such encoder.")
    shared = checkpoint.read_weights(bp.PRETRAIN) if bp.PRETRAIN else None
    lines = []
    for name in branches:
        path, state = (own[name], None) if own[name] else (str(bp.PRETRAIN), shared)
        if not path:
            continue
        bare = state is not None and not founders.branches_in(state)
        if bare and name == "ppg":
            lines.append(f"PPG encoder: {path} holds the ECG encoder alone, so it starts fresh.")
            continue
        lines.append(founders.load_encoder(network.encoders[name], name, path, bool(bp.ALLOW_PARTIAL), state))
    return lines


def notes_of(bp: Mapping[str, Any]) -> list[str]:
    """What a user of these options should know before hours of training."""
    notes = []
    if bp.ENCODER == "founder" and "ecg" in branches_of(bp) and bp.ECG_FS not in (0.0, 500.0):
        notes.append("the ECG encoder was trained at 500 Hz; at another rate it sees a heart of another speed.")
    if bp.ENCODER == "founder" and bp.MODALITY == "both":
        notes.append("each encoder averages over time on its own: the delay from ECG to PPG is not seen.")
    if bp.FREEZE and not (bp.PRETRAIN or bp.ECG_CKPT or bp.PPG_CKPT):
        notes.append("FREEZE without pre-trained weights: the encoders stay as they were drawn.")
    if bp.CONSTRAIN == "clip":
        notes.append("CONSTRAIN clip has no gradient outside its bounds: better for a test than for a training.")
    return notes


def _check(bp: Mapping[str, Any]) -> None:
    for key, known in CHOICES.items():
        if bp[key] not in known:
            raise ValueError(f"MODEL.BP.{key} is {bp[key]!r}.{did_you_mean(bp[key], known)} Known: {', '.join(known)}.")
    names = list(bp.TARGETS)
    if not names or len(set(names)) < len(names):
        raise ValueError(f"MODEL.BP.TARGETS is {names}: name the targets, each once, such as ['sbp', 'dbp'].")
    if bp.PERSONAL_K < 1:
        raise ValueError(f"MODEL.BP.PERSONAL_K is {bp.PERSONAL_K}: at least one reading calibrates a person.")
    for key in ("ECG_FS", "PPG_FS"):
        if bp[key] < 0 and bp[key] != STORED:
            raise ValueError(f"MODEL.BP.{key} is {bp[key]}: give a rate in Hz, 0 for the encoder's, -1 for as stored.")
    if bp.ENCODER == "small" and bp.MODALITY == "both" and bp.ECG_FS != bp.PPG_FS:
        raise ValueError("MODEL.BP.ECG_FS and PPG_FS differ; ENCODER small reads both waves as rows of one input.")


def _plain(value: Any) -> Any:
    return list(value) if isinstance(value, (list, tuple)) else value
