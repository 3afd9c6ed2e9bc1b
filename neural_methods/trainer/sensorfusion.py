"""SensorFusion: pulse and breath from whatever sensors a multimodal recording has."""

from typing import Any

import numpy as np
import torch
from torch import nn

from dataset.clips.inputs import Input
from neural_methods.loss.neg_pearson import neg_pearson_per_clip
from neural_methods.model.sensor_fusion import SENSORS, SensorFusion
from neural_methods.needs import reader_of
from neural_methods.trainer.base import Batch, Losses, Needs, Outputs, Trainer
from registry import METHODS

THERE = Input("there", streams=("valid_rgb", "valid_thermal", "valid_radar"), fs=30.0)  # in the order of SENSORS
INPUTS = {
    "rgb": Input("colour", streams=("faces",), fs=30.0, optional=True),
    "thermal": Input("heat", fs=10.0, optional=True),
    "radar": Input("radar", fs=150.0, optional=True),
}
AXES = {"colour": 5, "heat": 5, "radar": 2}  # of a batch; fewer: no recording has that sensor
DROPPED = 73  # stream of random numbers


@METHODS.register("SensorFusion")
class SensorFusionTrainer(Trainer):
    """AdamW, one cycle of the learning rate; 1 - r of pulse and of breath, of all sensors together and of each one.

    Each sensor's trust in its waves is trained beside them, to be the r that they reach. DATA.MODALITIES of a section
    says which sensors there are, MODEL.FUSION.SENSORS ([]: all) which of them are read, so a network that was trained
    with all can be tested without some. In training each sensor of a clip is left out with the probability
    MODEL.FUSION.DROP, though never all of them, and spoiled with the probability MODEL.FUSION.SPOIL, so that trust
    meets what does not deserve it. RGB frames enter as stored, whatever DATA_TYPE says: the network needs their level.
    """

    OPTIONS = {"FUSION": {"DROP": 0.2, "SPOIL": 0.3, "WIDTH": 16, "SENSORS": []}}
    needs = Needs(optional=("resp",), inputs=(THERE, *INPUTS.values()))
    heads = {"ppg": "wave", "resp": "wave"}
    weight_decay = 1e-3
    unused_parameters = True  # encoders of sensors that no recording has

    def __init__(self, config: Any, device: torch.device | str | None = None):
        """ValueError for options that cannot be."""
        asked = [str(one) for one in config.MODEL.FUSION.SENSORS] or list(INPUTS)
        if unknown := [one for one in asked if one not in INPUTS]:
            raise ValueError(f"MODEL.FUSION.SENSORS has {unknown[0]!r}. Known: {', '.join(INPUTS)}; []: all.")
        self.read = torch.tensor([float(name in asked) for name in INPUTS])
        self.needs = Needs(optional=("resp",), inputs=(THERE, *(INPUTS[name] for name in INPUTS if name in asked)))
        super().__init__(config, device)
        options = config.MODEL.FUSION
        self.drop, self.spoil = (_probability(options, name) for name in ("DROP", "SPOIL"))

    def check_section(self, section: str) -> None:
        """Also: ValueError where nothing is left to read."""
        super().check_section(section)
        reader = reader_of(self.config[section.partition(".")[0]].DATA)
        there = getattr(reader, "modalities", tuple(INPUTS))
        if not any(read and name in there for name, read in zip(INPUTS, self.read, strict=True)):
            raise ValueError(
                f"{self.name} reads any of {', '.join(INPUTS)}: {section}.MODALITIES ({', '.join(there)}) and "
                f"MODEL.FUSION.SENSORS leave none of them. Add one."
            )

    def build_model(self) -> nn.Module:
        """The network."""
        return SensorFusion(int(self.config.MODEL.FUSION.WIDTH))

    def checkpoint_options(self) -> dict:
        """DROP, SPOIL and SENSORS do not change the network."""
        return {"FUSION": {"WIDTH": int(self.config.MODEL.FUSION.WIDTH)}}

    def augment(self, batch: Batch, epoch: int) -> Batch:
        """Leave sensors out and spoil others, by (seed, epoch, sample) alone."""
        there = batch["there"] * self.read.to(batch["there"])[:, None]
        changed = {name: batch[name].clone() for name in SPOILT if _is_there(batch, name)}
        for row, sample in enumerate(batch["index"].tolist()):
            draw = np.random.default_rng((self.settings.seed, epoch, int(sample), DROPPED))
            had = (there[row].amax(dim=1) > 0).cpu().numpy()
            kept = draw.random(len(SENSORS)) >= self.drop
            if not (kept & had).any():
                kept[draw.choice(np.flatnonzero(had))] = True if had.any() else kept[0]
            there[row] *= torch.as_tensor(kept, dtype=there.dtype, device=there.device)[:, None]
            for name, spoilt in SPOILT.items():
                if draw.random() < self.spoil and name in changed:
                    changed[name][row] = spoilt(changed[name][row].float(), draw).to(changed[name])
        return {**batch, **changed, "there": there}

    def normalise(self, batch: Batch) -> Batch:
        """Grey levels from 0 to 1, degrees as they are."""
        return {**batch, "colour": batch["colour"].float() / 255} if _is_there(batch, "colour") else batch

    def predict(self, model: nn.Module, batch: Batch) -> Outputs:
        """{"ppg": (B, T), "resp": (B, T)}, and `own` (B, S, 2, T) and `trust` (B, S, 2) of each sensor."""
        given = [torch.nan_to_num(batch[name].float()) if _is_there(batch, name) else None for name in AXES]
        there = (batch["there"] > 0.5).float() * self.read.to(batch["there"])[:, None]
        found = model(there, *given)
        return {"ppg": found.waves[:, 0], "resp": found.waves[:, 1], "own": found.own, "trust": found.trust}

    def loss(self, outputs: Outputs, batch: Batch, epoch: int) -> Losses:
        """Pulse, and breath where a belt was worn."""
        losses = {"pulse": self._of_one(outputs, batch["ppg"], 0)}
        if batch.get("resp") is not None:
            losses["breath"] = self._of_one(outputs, batch["resp"], 1)
        unused = 0 * outputs["resp"].mean()  # every output takes part, belt or not
        return {"loss": sum(losses.values()) + unused, **losses}

    def _of_one(self, outputs: Outputs, label: torch.Tensor, kind: int) -> torch.Tensor:
        """1 - r of all sensors, the same of each one, and how wrong the trust in it is; `label` (B, T)."""
        worn = torch.isfinite(label).all(dim=1)
        label = torch.where(worn[:, None], label, 0)
        own, trust = outputs["own"][:, :, kind], outputs["trust"][:, :, kind]
        alone = neg_pearson_per_clip(own, label[:, None].expand_as(own))
        used = (trust > 0) & worn[:, None]
        doubt = (trust - (1 - alone.detach())) ** 2  # of noise, r is as often below 0 as above: trust goes to 0
        each = torch.where(used, alone + doubt, 0).sum() / used.sum().clamp_min(1)
        joint = neg_pearson_per_clip(outputs[("ppg", "resp")[kind]], label)
        return torch.where(worn, joint, 0).mean() + each


def _is_there(batch: Batch, name: str) -> bool:
    """Whether any recording of the batch has the sensor."""
    return batch.get(name) is not None and batch[name].ndim == AXES[name]


def _probability(options: Any, name: str) -> float:
    value = float(options[name])
    if not 0 <= value < 1:
        raise ValueError(f"MODEL.FUSION.{name} is {value}; it is a probability from 0 to below 1.")
    return value


def dimmed(frames: torch.Tensor, draw: np.random.Generator) -> torch.Tensor:
    """`frames` (C, T, H, W), grey levels, in a darker room: less light, the noise of the camera, whole levels."""
    noise = _normal(frames.shape, draw).to(frames) * 10 ** draw.uniform(-0.5, 0.5)
    return (frames * 10 ** draw.uniform(-2, -0.3) + 4 + noise).round().clamp(0, 255)


def unsteady(heat: torch.Tensor, draw: np.random.Generator) -> torch.Tensor:
    """`heat` (1, T, h, w) in degrees of a sensor that wanders: all of the picture together, up to half a degree rms."""
    walk = _wander(heat.shape[1], draw) * 10 ** draw.uniform(-1.5, -0.3)
    return heat + walk.to(heat)[None, :, None, None]


def restless(motion: torch.Tensor, draw: np.random.Generator) -> torch.Tensor:
    """`motion` (L,) in mm of a chest whose owner does not sit still: up to some centimetres rms."""
    return motion + (_wander(len(motion), draw) * 10 ** draw.uniform(0, 1.5)).to(motion)


def _wander(count: int, draw: np.random.Generator) -> torch.Tensor:
    """A course (count,) of rms 1 whose power falls off as 1 / f or steeper, up to 1 / f^3."""
    spectrum = np.fft.rfft(draw.standard_normal(count))
    spectrum *= np.maximum(np.arange(len(spectrum)), 1) ** -draw.uniform(0.5, 1.5)
    course = np.fft.irfft(spectrum, count)
    return torch.as_tensor(course / course.std())


def _normal(shape: torch.Size, draw: np.random.Generator) -> torch.Tensor:
    return torch.as_tensor(draw.standard_normal(tuple(shape), dtype=np.float32))


SPOILT = {"colour": dimmed, "heat": unsteady, "radar": restless}
