"""SiNC: the pulse is what has a spectrum like one. See neural_methods/loss/sinc.py."""

import torch

from neural_methods import distributed
from neural_methods.label_free.base import LabelFree
from neural_methods.loss import sinc
from neural_methods.loss.spectrum import power_spectrum, rate_bins, standardise
from neural_methods.trainer.base import Batch, Losses, Outputs
from neural_methods.trainer.passes import frame_rates
from registry import LABEL_FREE


@LABEL_FREE.register("sinc")
class Sinc(LabelFree):
    """Bandwidth, sparsity and variance, weighted alike as published; bins of one beat per minute, a Hann window."""

    @property
    def loss_mixes_samples(self) -> bool:
        """The variance is that of a batch."""
        return True

    def loss(self, outputs: Outputs, batch: Batch, epoch: int) -> Losses:
        """The sum of the three, and each of them."""
        wave, fs = standardise(outputs["ppg"].float()), frame_rates(batch, self.fs)
        bins = rate_bins(1, int(30 * distributed.lowest(float(fs.min()))))
        power = power_spectrum(wave, fs, bins)
        bins = bins.to(power)
        speed = batch.get("speed", torch.ones(len(wave))).to(power)
        band = sinc.band_of(bins, speed)
        every, _ = distributed.gathered(torch.cat([power, band.to(power)], dim=1))
        terms = {
            "bandwidth": sinc.bandwidth(power, band).mean(),
            "sparsity": sinc.sparsity(power, band, bins).mean(),
            "variance": sinc.variance(every[:, : len(bins)], every[:, len(bins) :] > 0),
        }
        return {"loss": sum(terms.values()), **terms}
