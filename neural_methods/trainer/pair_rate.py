"""PairRate: no training at all. Chosen is the video in which the heart's rate is likelier.

Any method of the toolbox gives the wave that tells of the rate: a classical one of the mean colours, or a network of
the toolbox. It is the baseline that a network for pairs has to beat. MODEL.PAIR.COMPARE peak goes by the rate at the
highest peak of each spectrum instead, and chooses the nearer one.
"""

from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.utils.data import Dataset
from yacs.config import CfgNode

from dataset.signals import PULSE_WAVE
from evaluation.evaluate import filtered
from evaluation.presets import PRESETS
from neural_methods import checkpoint, distributed
from neural_methods.trainer.pair import HEART, OPTIONS, PAIR, PairTrainer
from neural_methods.training import Fitted
from registry import METHODS, UNSUPERVISED, did_you_mean
from settings.modes import used_sections
from unsupervised_methods.rates import COMPARED, rate_told


@METHODS.register("PairRate")
class PairRateTrainer(PairTrainer):
    """Waves by MODEL.PAIR.BASELINE, a classical method, or by the network NETWORK with the weights NETWORK_WEIGHTS."""

    OPTIONS = {"PAIR": {**OPTIONS["PAIR"], "NETWORK": "", "NETWORK_WEIGHTS": ""}}
    inner: Any = None  # the trainer of NETWORK

    def __init__(self, config: Any, device: torch.device | str | None = None):
        """ValueError for a method that gives no pulse wave."""
        super().__init__(config, device)
        self.inner = self._inner(config)
        self.use_data(config[self.section].DATA)

    @property
    def rule(self) -> str:
        """As COMPARE says."""
        return COMPARED[str(self.pair.COMPARE)]

    def use_data(self, data: Any) -> None:
        """As any method; frames are then normalised as the network was trained."""
        super().use_data(data)
        if self.inner is not None:
            self.data_types, self.label_type = self.inner.data_types, self.inner.label_type

    @property
    def time_multiple(self) -> int:
        """The network's."""
        return 1 if self.inner is None else self.inner.time_multiple

    def _inner(self, config: Any) -> Any:
        """The trainer of NETWORK, with the types and options its weights were trained with; None without."""
        name, weights = str(self.pair.NETWORK), str(self.pair.NETWORK_WEIGHTS)
        if not name:
            if self.pair.BASELINE not in UNSUPERVISED:
                raise ValueError(f"MODEL.PAIR.BASELINE: {UNSUPERVISED.unknown(self.pair.BASELINE)}")
            return None
        if PULSE_WAVE not in METHODS[name].heads:
            known = [one for one in METHODS.names() if PULSE_WAVE in METHODS[one].heads]
            raise ValueError(f"MODEL.PAIR.NETWORK {name!r} gives no pulse wave.{did_you_mean(name, known)}")
        found = METHODS[name](_config_of(config, name, weights), self.device)
        found.chunk_length = None  # a clip is as long as pairs need it
        return found

    def build_model(self) -> nn.Module:
        """The network of NETWORK, else one of nothing."""
        return Nothing() if self.inner is None else self.inner.build_model()

    def begin(self, network: nn.Module) -> None:
        """Put NETWORK_WEIGHTS into it; ValueError where they are not named. What is written holds them."""
        if self.inner is None:
            return
        weights = str(self.pair.NETWORK_WEIGHTS)
        if not weights:
            name = self.pair.NETWORK
            raise ValueError(f"MODEL.PAIR.NETWORK is {name}: name its weights, MODEL.PAIR.NETWORK_WEIGHTS.")
        self.inner.load(weights, network)

    def fit(self, train: Dataset, valid: Any = None, folder: Any = None, **options: Any) -> Fitted:
        """Nothing is trained: what is there is written as weights, so that it is tested like any other."""
        path = self.checkpoint_path(0)
        checkpoint.write_weights(path, self.start(), {**self.description(), **self.origin(), "epoch": 0})
        distributed.say(f"{self.name} learns nothing: rates by {self.pair.NETWORK or self.pair.BASELINE}.")
        return Fitted(Path(path), 0, None, trained=False)

    def predict(self, model: nn.Module, batch: dict[str, Any]) -> dict[str, torch.Tensor]:
        """What each video tells of its rate, (B, R) or (B, 1) as COMPARE says; the rate of each heart (B, 1), bpm."""
        videos = self.told_by_colours(batch) if self.inner is None else self._told_by_network(model, batch)
        return {PAIR: videos, HEART: 60_000.0 / batch["heart"].double()[:, :1].cpu()}

    def _told_by_network(self, model: nn.Module, batch: dict[str, Any]) -> torch.Tensor:
        waves = self.inner.predict(model, self.inner.prepare(dict(batch)))[PULSE_WAVE].float().cpu().numpy()
        differential, how = self.inner.label_type == "DiffNormalized", str(self.pair.COMPARE)
        told = [
            rate_told(in_band_of_exact(wave.ravel(), fs, differential), fs, how)
            for wave, fs in zip(waves, batch["rates"].tolist(), strict=True)
        ]
        return torch.from_numpy(np.stack(told))

    def checkpoint_options(self) -> dict[str, Any]:
        """Whose rates."""
        own = {"BASELINE": str(self.pair.BASELINE), "NETWORK": str(self.pair.NETWORK)}
        return {"PAIR": own, **({} if self.inner is None else self.inner.checkpoint_options())}


def _config_of(config: Any, name: str, weights: str) -> Any:
    """`config` for the method `name`, with the options, and the types of frames and labels, that `weights` state."""
    other = config.clone()
    other.defrost()
    other.MODEL.NAME = name
    sidecar = checkpoint.read_sidecar(weights) if weights else {}
    sidecar = sidecar if sidecar.get("method") == name else {}
    own = {key: value for key, value in METHODS[name].OPTIONS.items() if key not in other.MODEL}
    for key, value in {**own, **sidecar.get("options", {})}.items():
        other.MODEL[key] = CfgNode(value) if isinstance(value, dict) else value
    for part in used_sections(other):
        preprocess = other[part].DATA.PREPROCESS
        preprocess.DATA_TYPE = sidecar.get("data_types", preprocess.DATA_TYPE)
        preprocess.LABEL_TYPE = sidecar.get("label_type", preprocess.LABEL_TYPE)
    return other


class Nothing(nn.Module):
    """A network without parameters."""

    def __init__(self):
        """One number, so that there is something to write."""
        super().__init__()
        self.register_buffer("learns_nothing", torch.zeros(1))


def in_band_of_exact(wave: np.ndarray, fs: float, differential: bool) -> np.ndarray | None:
    """`wave` (T,) at `fs` (Hz), filtered as `exact` does; None for a constant, and where there is too little of it.

    `differential`: the wave is a derivative, and is summed up first.
    """
    wave, exact = wave.astype(float), PRESETS["exact"]
    if not np.isfinite(wave).all() or np.ptp(wave) == 0:
        return None
    found, problem = filtered(wave, fs, exact.summed(fs) if differential else exact, differential)
    return None if problem else found
