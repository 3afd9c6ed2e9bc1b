"""Joint tokens of ECG and PPG, learned without labels: reconstruct both from the words of a vocabulary."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.utils.data import Dataset

from dataset.clips.inputs import Input
from neural_methods import distributed, patches, pretrained, schedules
from neural_methods.batches import Micro, seed_of, training_plan
from neural_methods.model.quantizer import health, spherical_kmeans
from neural_methods.model.tokenizer import JointTokenizer
from neural_methods.settings import cuda_devices
from neural_methods.trainer.base import Needs, Trainer
from registry import METHODS

CHOICES = {"INPUT_NORM": patches.NORMS, "SCHEDULE": ("cosine", "step", "plateau")}
SIZES = {  # options of the network -> arguments of `JointTokenizer`
    "PATCH": "patch", "WIDTH": "width", "HEADS": "heads", "LAYERS": "layers", "CODES": "codes",
    "CODE_WIDTH": "code_width", "DECODER_HEADS": "decoder_heads", "DECODER_LAYERS": "decoder_layers",
}  # fmt: skip
TERMS = {
    "loss": "loss", "ecg": "error of the ECG", "ppg": "error of the PPG", "commitment": "commitment",
    "codes/perplexity": "perplexity of the codes", "codes/unused": "codes unused",
    "codes/top10_share": "share of the ten commonest", "validation": "loss in validation",
    "valid/ecg": "error of the ECG in validation", "valid/ppg": "error of the PPG in validation",
    "valid_codes/perplexity": "perplexity in validation", "valid_codes/unused": "codes unused in validation",
}  # fmt: skip
COLLAPSED = 2.0  # perplexity below which a vocabulary says nothing
POOLED = 4  # vectors for each code that k-means starts from


@METHODS.register("Tokenizer")
class TokenizerTrainer(Trainer):
    """AdamW with rates that fall towards the input, a warm-up and a cosine; the codes follow by moving averages."""

    OPTIONS = {
        "TOKENIZER": {
            "CHANNELS": ["ecg", "ppg"],  # or one of them
            "INPUT_NORM": "zscore",  # of each channel of each window; or none
            "PATCH": 125,  # samples that become one token
            "WIDTH": 128,
            "HEADS": 8,
            "LAYERS": 10,
            "DROPOUT": 0.1,
            "DECODER_HEADS": 4,
            "DECODER_LAYERS": 2,
            "CODES": 8192,
            "CODE_WIDTH": 128,
            "DECAY": 0.99,  # of the moving averages that codes are made of
            "DEAD_AFTER": 256,  # updates without use until a code starts anew; 0: never
            "KMEANS": True,  # choose the first codes from the data
            "BETA": 0.25,  # weight of the commitment
            "ECG_WEIGHT": 1.0,  # of the two reconstruction errors
            "PPG_WEIGHT": 1.0,
            "WEIGHT_DECAY": 1e-5,
            "LAYER_DECAY": 0.75,  # rate of a layer, as a share of that of the next one
            "SCHEDULE": "cosine",  # or step, both after a warm-up; or plateau
            "WARMUP_EPOCHS": 10,
            "WARMUP_FROM": 0.01,  # share of TRAIN.LR
            "MIN_LR": 1e-5,  # where the cosine ends
            "STEP_EPOCHS": 10,  # step: epochs between two falls
            "GAMMA": 0.1,  # step and plateau: what a fall leaves of the rate
            "PLATEAU_EPOCHS": 10,  # plateau: epochs without a better validation before a fall
        }
    }
    needs = Needs(signals=(), inputs=(Input("waves", patches.CHANNELS, fs=patches.FS),))
    heads = {}
    ignored_weights = ("quantizer.embedding.idle", "quantizer.embedding.use")  # CM-SSL's files have no such counts

    def __init__(self, config: Any, device: torch.device | str | None = None):
        """ValueError for options that cannot be."""
        self.own = config.MODEL.TOKENIZER
        patches.require(self.own, CHOICES, "MODEL.TOKENIZER")
        self.channels = patches.channels_of(self.own.CHANNELS, "MODEL.TOKENIZER.CHANNELS")
        self.needs = Needs(signals=(), inputs=(Input("waves", self.channels, fs=patches.FS),))
        self._clips: Dataset | None = None
        super().__init__(config, device)

    @property
    def time_multiple(self) -> int:
        """Whole patches."""
        return int(self.own.PATCH)

    def build_model(self) -> nn.Module:
        """As the options say."""
        sizes = {name: int(self.own[key]) for key, name in SIZES.items()}
        return JointTokenizer(
            len(self.channels), dropout=float(self.own.DROPOUT), decay=float(self.own.DECAY),
            dead_after=int(self.own.DEAD_AFTER), kmeans=bool(self.own.KMEANS), **sizes,
        )  # fmt: skip

    def data(self, clips: Dataset, section: str) -> Dataset:
        """The clips; those of the training start the codes."""
        if section == "train":
            self._clips = clips
        return clips

    def prepare(self, batch: dict[str, Any]) -> dict[str, Any]:
        """`patches` (B, N, C, P) of the scaled windows."""
        waves = patches.normalised(batch["waves"], str(self.own.INPUT_NORM))
        return {**batch, "patches": patches.patched(waves, int(self.own.PATCH))}

    def predict(self, model: nn.Module, batch: dict[str, Any]) -> dict[str, torch.Tensor]:
        """The patches again, their tokens, and the commitment."""
        again, quantised = model(batch["patches"])
        return {"again": again, "tokens": quantised.tokens, "commitment": quantised.commitment}

    def loss(self, outputs: dict[str, torch.Tensor], batch: dict[str, Any], epoch: int) -> dict[str, torch.Tensor]:
        """Mean absolute error of each channel with its weight, and the commitment with BETA; all of them recorded."""
        errors = (outputs["again"] - batch["patches"]).abs().mean(dim=(0, 1, 3))
        terms = dict(zip(self.channels, errors, strict=True))
        weighted = sum(float(self.own[f"{name.upper()}_WEIGHT"]) * error for name, error in terms.items())
        return {"loss": weighted + float(self.own.BETA) * outputs["commitment"], **terms,
                "commitment": outputs["commitment"]}  # fmt: skip

    # --- Codes ---------------------------------------------------------------------------------------------------

    def before_epoch(self, network: nn.Module, epoch: int) -> None:
        """Before the first update ever: codes are chosen from the training data."""
        if bool(network.quantizer.embedding.initted):
            return
        codes, sizes = network.quantizer.embedding.weight, network.quantizer.embedding.cluster_size
        if distributed.is_main():
            codes, sizes = self._centres(network)
        network.quantizer.start(distributed.from_main(codes), distributed.from_main(sizes))

    def _centres(self, network: nn.Module) -> tuple[torch.Tensor, torch.Tensor]:
        vectors = self._pool(network)
        with torch.random.fork_rng(devices=cuda_devices(self.device)):
            torch.manual_seed(self.settings.seed)
            found = spherical_kmeans(vectors, int(self.own.CODES))
        distributed.say(f"{int(self.own.CODES)} codes start as centres of {len(vectors)} vectors.")
        return found

    @torch.no_grad()
    def _pool(self, network: nn.Module) -> torch.Tensor:
        """Vectors (n, D) of training clips in a random order until there are enough."""
        from dataset.clips.batch import collate
        from dataset.clips.clips import Ask

        found, wanted = [], POOLED * int(self.own.CODES)
        training = network.training
        network.eval()
        plan = training_plan(len(self._clips), self.settings.batch_size, seed_of(self.settings.seed, 1), 0)
        for micro in plan:
            batch = self.enter(collate([self._clips[Ask(index, 0)] for index in micro.indices]))
            found.append(network.vectors(batch["patches"]).flatten(0, 1))
            if sum(map(len, found)) >= wanted:
                break
        network.train(training)
        return torch.cat(found)

    def accumulate(
        self,
        model: nn.Module,
        batches: Iterable[dict[str, Any]],
        window: Sequence[Micro],
        epoch: int = 0,
        scale: Callable[[torch.Tensor], torch.Tensor] | None = None,
    ) -> dict[str, Any]:
        """As always; what an update that was not made left for the codes is forgotten."""
        quantizer = getattr(model, "module", model).quantizer
        quantizer.clear()

        def counting() -> Iterator[dict[str, Any]]:
            for batch, micro in zip(batches, window, strict=True):
                quantizer.counting = micro.count > 0
                yield batch

        return super().accumulate(model, counting(), window, epoch, scale)

    def after_update(self, network: nn.Module, epoch: int, update: int) -> None:
        """The codes follow."""
        network.quantizer.update()

    def after_epoch(self, network: nn.Module, epoch: int) -> Mapping[str, float | str]:
        """How the codes were used in training."""
        use = network.quantizer.embedding.use
        found = health(use)
        use.zero_()
        if found["perplexity"] < COLLAPSED:
            distributed.say(f"Warning: {self._collapsed(found['perplexity'])}")
        return {f"codes/{name}": value for name, value in found.items()}

    def _collapsed(self, perplexity: float) -> str:
        return (
            f"The vocabulary has collapsed (perplexity {perplexity:.2f} of {int(self.own.CODES)} codes): an encoder "
            "taught by it has nothing to learn. Lower TRAIN.LR or CODES."
        )

    def summary(self, rows: Sequence[Mapping[str, Any]]) -> list[str]:
        """Errors and use of the codes; a warning where all ended in one code."""
        last = rows[-1].get("codes/perplexity", COLLAPSED) if rows else COLLAPSED
        remarks = [self._collapsed(last)] if isinstance(last, float) and last < COLLAPSED else []
        return pretrained.page(f"{self.name}: {' and '.join(self.channels)}", rows, TERMS, remarks)

    # --- Validation ----------------------------------------------------------------------------------------------

    def validation_rows(self, outputs: dict[str, torch.Tensor], batch: dict[str, Any]) -> list[Any]:
        """(clips, loss terms, vectors of each code)."""
        terms = {name: float(value) for name, value in self.loss(outputs, batch, self.settings.epochs).items()}
        use = torch.bincount(outputs["tokens"].long().flatten(), minlength=int(self.own.CODES))
        return [(len(batch["patches"]), terms, use.cpu().numpy())]

    def validation_score(self, rows: list[Any]) -> float:
        """Mean loss over clips."""
        return _mean(rows, "loss")

    def validation_columns(self, rows: list[Any]) -> Mapping[str, float | str]:
        """Reconstruction errors and exact use of the codes, over the validation windows scaled as in training."""
        found = health(torch.from_numpy(np.sum([use for *_, use in rows], axis=0)))
        errors = {f"valid/{name}": _mean(rows, name) for name in (*self.channels, "commitment")}
        told = ", ".join(f"{name.partition('/')[2]} {value:.4f}" for name, value in errors.items())
        distributed.say(
            f"validation: {told}; perplexity {found['perplexity']:.1f}, {found['unused']} of "
            f"{int(self.own.CODES)} codes unused, the ten commonest {100 * found['top10_share']:.0f} %."
        )
        return errors | {f"valid_codes/{name}": value for name, value in found.items()}

    # --- Optimiser and files -------------------------------------------------------------------------------------

    def optimizers(self, model: nn.Module, steps_per_epoch: int) -> tuple[torch.optim.Optimizer, Any, str]:
        """AdamW; the schedule that SCHEDULE names."""
        own, lr, epochs = self.own, self.settings.lr, self.settings.epochs
        optimizer = torch.optim.AdamW(self.parameter_groups(model), lr=lr)
        if own.SCHEDULE == "plateau":
            if not self.settings.validates:
                raise ValueError("MODEL.TOKENIZER.SCHEDULE plateau follows the validation: set VALID.MONITOR: True.")
            found = torch.optim.lr_scheduler.ReduceLROnPlateau(
                optimizer, factor=float(own.GAMMA), patience=int(own.PLATEAU_EPOCHS), min_lr=float(own.MIN_LR)
            )
            return optimizer, found, "validation"
        warmup, first = int(own.WARMUP_EPOCHS) * steps_per_epoch, float(own.WARMUP_FROM)
        if own.SCHEDULE == "step":
            every = int(own.STEP_EPOCHS) * steps_per_epoch
            factor = schedules.warmup_steps(warmup, every, float(own.GAMMA), first)
        else:
            last = min(1.0, float(own.MIN_LR) / lr)
            factor = schedules.warmup_cosine(epochs * steps_per_epoch, warmup, first, last)
        return optimizer, schedules.scheduled(optimizer, factor), "update"

    def parameter_groups(self, model: nn.Module) -> list[dict[str, Any]]:
        """A group for each depth, with weight decay and without; the deepest comes first."""
        decay, depth = float(self.own.LAYER_DECAY), int(self.own.LAYERS) + int(self.own.DECODER_LAYERS)
        groups: dict[tuple[int, bool], list[nn.Parameter]] = {}
        for name, parameter in model.named_parameters():
            below = depth + 1 - _place(name, int(self.own.LAYERS), depth)
            groups.setdefault((below, patches.decays(parameter)), []).append(parameter)
        return [
            {
                "params": found,
                "lr": self.settings.lr * decay**below,
                "weight_decay": float(self.own.WEIGHT_DECAY) if decays else 0.0,
            }
            for (below, decays), found in sorted(groups.items(), key=lambda one: one[0][0])
        ]

    def checkpoint_options(self) -> dict[str, Any]:
        """What the network is and reads, not how it was trained."""
        sizes = {key: int(self.own[key]) for key in SIZES}
        return {"TOKENIZER": {"CHANNELS": list(self.channels), "INPUT_NORM": str(self.own.INPUT_NORM), **sizes}}


def _place(name: str, encoders: int, depth: int) -> int:
    """From 0 for the projection of the input to depth + 1 for what comes after all layers."""
    parts = name.split(".")
    if parts[0] == "te":
        return 0
    if ".layers." in name:
        number = int(parts[parts.index("layers") + 1])
        return 1 + number + (encoders if parts[0] == "de" else 0)
    return depth + 1


def _mean(rows: list[Any], term: str) -> float:
    return sum(clips * terms[term] for clips, terms, _ in rows) / sum(clips for clips, *_ in rows)
