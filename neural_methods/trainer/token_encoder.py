"""An encoder of one signal that learns to say the joint tokens of ECG and PPG of the same second."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

from dataset.clips.inputs import Input
from neural_methods import distributed, patches, pretrained, schedules
from neural_methods.backbones import Backbone
from neural_methods.checkpoint import WeightsError
from neural_methods.model.token_encoder import TokenPredictor, UnimodalEncoder
from neural_methods.teachers import open_teacher, sign_of
from neural_methods.trainer.base import Needs, Trainer
from registry import METHODS

CHOICES = {
    "CHANNEL": patches.CHANNELS,
    "INPUT_NORM": patches.NORMS,
    "LOSS_ON": ("all", "masked"),
    "TEACHER_CHANNEL": ("", *patches.CHANNELS),
}
SIZES = {"WIDTH": "width", "HEADS": "heads", "LAYERS": "layers"}
TOP = 5
COLLAPSED = 2.0  # perplexity of the tokens below which a low loss says nothing
FEW = "The tokens have collapsed to one or two: a low loss says nothing. Train another tokenizer."
TERMS = {
    "loss": "loss", "top1": "token right", "top5": "among five", "validation": "loss in validation",
    "valid/entropy": "entropy of the tokens", "valid/top1": "token right in validation",
    "valid/top5": "among five in validation", "valid/chance": "share of the commonest token",
    "valid/used": "tokens that occur",
}  # fmt: skip


@METHODS.register("TokenEncoder")
class TokenEncoderTrainer(Trainer):
    """Cross-entropy per patch; AdamW, a warm-up over a tenth of all steps and a cosine; the teacher is frozen."""

    OPTIONS = {
        "TOKENENCODER": {
            "TOKENIZER": "",  # file of the tokenizer that teaches
            "TEACHER_CHANNEL": "",  # ecg or ppg: of a CM-SSL file with one channel, which does not say it
            "CHANNEL": "ppg",  # what the encoder reads: ecg or ppg
            "INPUT_NORM": "zscore",  # as the tokenizer's
            "PATCH": 125,
            "WIDTH": 1024,
            "HEADS": 16,
            "LAYERS": 12,
            "DROPOUT": 0.3,
            "SKIP": 0.0,  # probability with which the last layer is skipped in training
            "MASK_RATIO": 0.0,  # share of the patches that the encoder does not see
            "LOSS_ON": "all",  # or masked: only what it does not see is judged
            "WEIGHT_DECAY": 0.1,
            "WARMUP": 0.1,  # share of all steps
        }
    }
    needs = Needs(signals=(), inputs=(Input("waves", patches.CHANNELS, fs=patches.FS),))
    heads = {}

    def __init__(self, config: Any, device: torch.device | str | None = None):
        """Look at the teacher. ValueError, WeightsError, FileNotFoundError for what cannot be."""
        self.own = config.MODEL.TOKENENCODER
        patches.require(self.own, CHOICES, "MODEL.TOKENENCODER")
        if not self.own.TOKENIZER:
            raise ValueError("MODEL.TOKENENCODER.TOKENIZER names no file: train a tokenizer first, and name it there.")
        single = [self.own.TEACHER_CHANNEL] if self.own.TEACHER_CHANNEL else []
        self.teacher = open_teacher(self.own.TOKENIZER, single)
        self._check_teacher()
        channels = tuple(name for name in patches.CHANNELS if name in (*self.teacher.channels, self.own.CHANNEL))
        self.needs = Needs(signals=(), inputs=(Input("waves", channels, fs=patches.FS),))
        first = channels.index(self.teacher.channels[0])
        self._taught = slice(first, first + len(self.teacher.channels))  # not a list, which would copy the windows
        self._seen = channels.index(str(self.own.CHANNEL))
        self._sign = ""
        super().__init__(config, device)

    def _check_teacher(self) -> None:
        own, path = self.own, self.teacher.path
        if not 0 <= float(own.MASK_RATIO) < 1:
            raise ValueError(f"MODEL.TOKENENCODER.MASK_RATIO is {own.MASK_RATIO}, but must be from 0 to below 1.")
        if own.LOSS_ON == "masked" and not own.MASK_RATIO:
            raise ValueError("MODEL.TOKENENCODER.LOSS_ON masked needs a MASK_RATIO above 0.")
        if str(own.INPUT_NORM) != self.teacher.norm:
            raise WeightsError(
                f"MODEL.TOKENENCODER.INPUT_NORM is {str(own.INPUT_NORM)!r}, but the tokenizer '{path}' was trained "
                f"with {self.teacher.norm!r}: its tokens would be others. Set it alike."
            )
        if int(own.PATCH) != self.teacher.sizes["patch"]:
            raise WeightsError(
                f"MODEL.TOKENENCODER.PATCH is {own.PATCH}, the tokenizer '{path}' has patches of "
                f"{self.teacher.sizes['patch']} samples. Set it alike."
            )

    @property
    def time_multiple(self) -> int:
        """Whole patches."""
        return int(self.own.PATCH)

    def build_model(self) -> nn.Module:
        """Encoder, its head, and the teacher, still without its weights."""
        return TokenPredictor(self.teacher.build(), encoder_of(self.own), self.teacher.sizes["codes"])

    def begin(self, network: nn.Module) -> None:
        """The teacher gets its weights; WeightsError where it is not whole."""
        self.teacher.load(network.tokenizer)
        self._sign = sign_of(network.tokenizer)
        distributed.say(
            f"Teacher {self.teacher.path}: {' and '.join(self.teacher.channels)}, {self.teacher.sizes['codes']} "
            f"tokens, {self._sign[:12]}."
        )

    def before_epoch(self, network: nn.Module, epoch: int) -> None:
        """ValueError where a training goes on that was begun with another teacher."""
        if sign_of(network.tokenizer) != self._sign:
            raise ValueError(
                f"This training was begun with another tokenizer than '{self.teacher.path}' is now: bring that one "
                "back, or start anew with --restart."
            )

    def frozen(self, network: nn.Module) -> Iterable[nn.Module]:
        """The teacher."""
        return [network.tokenizer]

    def prepare(self, batch: dict[str, Any]) -> dict[str, Any]:
        """`taught` (B, N, C, P) for the teacher, `seen` (B, N, P) for the encoder."""
        waves = patches.normalised(batch["waves"], str(self.own.INPUT_NORM))
        found = patches.patched(waves, int(self.own.PATCH))
        return {**batch, "taught": found[:, :, self._taught], "seen": found[:, :, self._seen]}

    def predict(self, model: nn.Module, batch: dict[str, Any]) -> dict[str, torch.Tensor]:
        """Scores of all tokens for each patch, the true ones, and which patches are judged."""
        mask = self._mask(batch["seen"], model.training)
        scores, tokens = model(batch["taught"], batch["seen"], mask)
        judged = mask if mask is not None and self.own.LOSS_ON == "masked" else torch.ones_like(tokens, dtype=bool)
        return {"scores": scores, "tokens": tokens.double(), "judged": judged.double()}  # exact, whatever the precision

    def _mask(self, seen: torch.Tensor, training: bool) -> torch.Tensor | None:
        """Which patches (B, N) are hidden: drawn anew in training, always the same in validation."""
        ratio = float(self.own.MASK_RATIO)
        if not ratio:
            return None
        generator = None if training else torch.Generator().manual_seed(self.settings.seed)
        mask = torch.rand(seen.shape[:2], generator=generator) < ratio
        mask[:, 0] |= ~mask.any(dim=1)  # at least one of each window
        return mask.to(seen.device)

    def loss(self, outputs: dict[str, torch.Tensor], batch: dict[str, Any], epoch: int) -> dict[str, torch.Tensor]:
        """Cross-entropy of each window's judged patches, and how often the token, or one of five, is right."""
        tokens, judged = outputs["tokens"].long(), outputs["judged"]
        entropy = F.cross_entropy(outputs["scores"].flatten(0, 1), tokens.flatten(), reduction="none").view_as(tokens)
        with torch.no_grad():  # its place among all scores, which need not be sorted for that; 0 where they are NaN
            own = outputs["scores"].gather(-1, tokens[..., None])
            place = (outputs["scores"] >= own).sum(dim=-1, dtype=torch.int32)
        terms = {"loss": entropy, "top1": place == 1, f"top{TOP}": (place > 0) & (place <= TOP)}
        share = judged / judged.sum(dim=1, keepdim=True)
        return {name: (value * share).sum(dim=1).mean() for name, value in terms.items()}

    # --- Validation ----------------------------------------------------------------------------------------------

    def validation_rows(self, outputs: dict[str, torch.Tensor], batch: dict[str, Any]) -> list[Any]:
        """(clips, loss terms, patches of each true token)."""
        terms = {name: float(value) for name, value in self.loss(outputs, batch, self.settings.epochs).items()}
        use = torch.bincount(outputs["tokens"].long().flatten(), minlength=self.teacher.sizes["codes"])
        return [(len(batch["seen"]), terms, use.cpu().numpy())]

    def validation_score(self, rows: list[Any]) -> float:
        """Mean loss over clips."""
        return _mean(rows, "loss")

    def validation_columns(self, rows: list[Any]) -> Mapping[str, float | str]:
        """Accuracies beside chance, and the entropy of the tokens: what a guess without looking at the signal costs."""
        share = np.sum([use for *_, use in rows], axis=0, dtype=float)
        share = share[share > 0] / share.sum()
        found = {"top1": _mean(rows, "top1"), f"top{TOP}": _mean(rows, f"top{TOP}")}
        found |= {"chance": float(share.max()), "entropy": float(-(share * np.log(share)).sum()), "used": len(share)}
        distributed.say(
            f"validation: token right {100 * found['top1']:.1f} % (among five {100 * found[f'top{TOP}']:.1f} %), the "
            f"commonest alone {100 * found['chance']:.1f} %; entropy of the {len(share)} tokens {found['entropy']:.3f}."
        )
        if found["entropy"] < np.log(COLLAPSED):
            distributed.say(f"Warning: {FEW}")
        return {f"valid/{name}": value for name, value in found.items()}

    def leaves(self, rows: Sequence[Mapping[str, Any]]) -> Mapping[str, str]:
        """Loss and accuracy beside what is known without looking."""
        last = rows[-1].get("valid/entropy") if rows else None
        remarks = [FEW] if isinstance(last, float) and last < np.log(COLLAPSED) else []
        taught = f"{self.name}: {self.own.CHANNEL}, taught by {' and '.join(self.teacher.channels)}"
        return {pretrained.PAGE: pretrained.page(taught, rows, TERMS, remarks)}

    # --- Optimiser and files -------------------------------------------------------------------------------------

    def optimizers(self, model: nn.Module, steps_per_epoch: int) -> tuple[torch.optim.Optimizer, Any, str]:
        """AdamW; warm-up and cosine over all steps."""
        optimizer = torch.optim.AdamW(self.parameter_groups(model), lr=self.settings.lr)
        total = self.settings.epochs * steps_per_epoch
        factor = schedules.warmup_cosine(total, round(float(self.own.WARMUP) * total))
        return optimizer, schedules.scheduled(optimizer, factor), "update"

    def parameter_groups(self, model: nn.Module) -> list[dict[str, Any]]:
        """With weight decay, and the vectors without."""
        groups: dict[bool, list[nn.Parameter]] = {True: [], False: []}
        for parameter in model.parameters():
            groups[patches.decays(parameter)].append(parameter)
        return [
            {"params": found, "weight_decay": float(self.own.WEIGHT_DECAY) if decays else 0.0}
            for decays, found in groups.items()
        ]

    def checkpoint_options(self) -> dict[str, Any]:
        """What the encoder is and reads, not how it was trained."""
        return {"TOKENENCODER": described(self.own)}

    def origin(self) -> dict[str, Any]:
        """Who taught it."""
        taught = {"channels": list(self.teacher.channels), "sign": self._sign}
        return {**super().origin(), "teacher": taught}

    @classmethod
    def backbone(cls, options: Mapping[str, Any]) -> Backbone:
        """The encoder for fine-tuning, its tokens averaged, from the options of a weight file."""
        own = {**cls.OPTIONS["TOKENENCODER"], **options.get("TOKENENCODER", {})}
        encoder = encoder_of(own)
        return Backbone(
            Averaged(encoder, int(own["PATCH"])), encoder.width, str(own["CHANNEL"]), str(own["INPUT_NORM"]),
            rename=lambda key: key if key.startswith("encoder.") else None,
        )  # fmt: skip


class Averaged(nn.Module):
    """Windows (B, L) through an encoder of patches: the mean over its tokens, (B, E)."""

    def __init__(self, encoder: UnimodalEncoder, patch: int):
        """`patch`: samples."""
        super().__init__()
        self.encoder, self.patch = encoder, patch

    def forward(self, waves: torch.Tensor) -> torch.Tensor:
        """Encode."""
        return self.encoder(waves.unflatten(-1, (-1, self.patch))).mean(dim=1)


def encoder_of(own: Mapping[str, Any]) -> UnimodalEncoder:
    """The encoder that the options describe."""
    sizes = {name: int(own[key]) for key, name in SIZES.items()}
    return UnimodalEncoder(
        int(own["PATCH"]), dropout=float(own["DROPOUT"]), skip=float(own["SKIP"]),
        masked=float(own["MASK_RATIO"]) > 0, **sizes,
    )  # fmt: skip


def described(own: Mapping[str, Any]) -> dict[str, Any]:
    """What a weight file says of the encoder."""
    plain = {"CHANNEL": str(own["CHANNEL"]), "INPUT_NORM": str(own["INPUT_NORM"])}
    ratio = {"MASK_RATIO": float(own["MASK_RATIO"])}
    return {**plain, **ratio, **{key: int(own[key]) for key in ("PATCH", *SIZES)}}


def _mean(rows: list[Any], term: str) -> float:
    return sum(clips * terms[term] for clips, terms, _ in rows) / sum(clips for clips, *_ in rows)
