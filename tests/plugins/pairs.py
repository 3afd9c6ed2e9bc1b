"""Twins: decides which of two recordings a pressure belongs to, on pairs that are drawn anew in each epoch."""

import numpy as np
import torch
import torch.nn.functional as F
from pressure import Waves
from torch.utils.data import Dataset

from dataset.clips.inputs import Input
from neural_methods.trainer.base import Needs, Trainer
from registry import METHODS


class Pairs(Dataset):
    """Clip k beside a partner of (seed, epoch, k): the same pairs again after a kill, others in the next epoch."""

    drawn: list = []  # (epoch, clip, partner) as they were read, for the test

    def __init__(self, clips, seed):
        """Pairs of `clips`."""
        self.clips, self.seed = clips, seed

    def __len__(self):
        """A pair per clip."""
        return len(self.clips)

    def clip_lengths(self):
        """All alike."""
        return self.clips.clip_lengths()

    def __getitem__(self, index):
        """The sample of a clip, and its partner's waves and pressure."""
        epoch = getattr(index, "epoch", 0)
        partner = int(np.random.default_rng((self.seed, epoch, int(index))).integers(len(self.clips)))
        self.drawn.append((epoch, int(index), partner))
        first, second = self.clips[int(index)], self.clips[partner]
        return {**first, "other": second["waves"], "other_sbp": second["sbp"]}


@METHODS.register("Twins")
class TwinsTrainer(Trainer):
    """Which of two people has the higher pressure."""

    needs = Needs(signals=("sbp",), kinds={"sbp": "scalar"}, inputs=(Input("waves", streams=("ecg", "ppg"), fs=125.0),))
    heads = {}

    def build_model(self):
        """One network for both."""
        return Waves(2)

    def data(self, clips, section):
        """Pairs of the clips."""
        return Pairs(clips, self.settings.seed)

    def predict(self, model, batch):
        """The difference of both estimates, (B,); one call of the network for both halves."""
        first, second = model(torch.cat([batch["waves"], batch["other"]])).chunk(2)
        return {"difference": first - second}

    def loss(self, outputs, batch, epoch):
        """Squared error of the difference."""
        return {"loss": F.mse_loss(outputs["difference"], batch["sbp"] - batch["other_sbp"]) / 100}
