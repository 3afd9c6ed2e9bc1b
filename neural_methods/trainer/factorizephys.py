"""FactorizePhys: whole raw clips in, the pulse wave out, with or without the factorised attention (FSAM)."""

import torch
from torch import nn

from neural_methods.model.factorize_phys import SMALLEST, Factorisation, FactorizePhys
from neural_methods.options.factorizephys import METHOD
from neural_methods.trainer.base import Batch, Outputs
from neural_methods.trainer.ibvpnet import DifferencedTrainer, with_repeated_end
from registry import METHODS

TYPES = ("Standard", "Big")


@METHODS.register("FactorizePhys")
class FactorizePhysTrainer(DifferencedTrainer):
    """Adam, one-cycle rate, negative Pearson correlation along time (MODEL.LEGACY_LOSS: across the batch).

    rPPG-Toolbox subtracts the smallest feature of the whole batch in FSAM, and standardises test outputs over the whole
    batch; here both are done per clip, so that no prediction depends on its neighbours. MD_PER_CLIP: False brings the
    batch's minimum back; at a batch of one both are the same. Weights with FSAM run without it (MD_FSAM: False), as the
    published inference settings do. The network takes the clip length from the video: FRAME_NUM is read and not needed.
    """

    channels_of = "FactorizePhys"
    OPTIONS = {"FactorizePhys": {**METHOD.options["FactorizePhys"], "MD_PER_CLIP": True}}
    prefix_module = True

    @property
    def ignored_weights(self) -> tuple[str, ...]:
        """The constant that files trained on a CPU carry, and FSAM's weights where it is off."""
        return ("rppg_head.bias1",) if self._factorisation() else ("rppg_head.bias1", "rppg_head.fsam.*")

    @property
    def smallest(self) -> int:
        """As TYPE says."""
        return SMALLEST["Big" if self._is_big() else "Standard"]

    def build_model(self) -> nn.Module:
        """FactorizePhys as MODEL.FactorizePhys describes it."""
        node = self.options.FactorizePhys
        return FactorizePhys(int(node.CHANNELS), self._factorisation(), self._is_big(), float(self.options.DROP_RATE))

    def predict(self, model: nn.Module, batch: Batch) -> Outputs:
        """Video (B, C, T, H, W) -> {"ppg": (B, T)}."""
        return {"ppg": model(with_repeated_end(batch["video"]))[0]}

    def finish(self, outputs: Outputs, batch: Batch) -> Outputs:
        """Each clip's wave with mean 0 and standard deviation 1."""
        wave = outputs["ppg"]
        centred = wave - wave.mean(dim=1, keepdim=True)
        return {**outputs, "ppg": centred / wave.std(dim=1, keepdim=True).clamp(min=torch.finfo(wave.dtype).tiny)}

    def checkpoint_options(self) -> dict:
        """What decides which weights fit; FSAM may be switched off, or take more steps, at the test."""
        kind = "Big" if self._is_big() else "Standard"
        return {"FactorizePhys": {"CHANNELS": int(self.options.FactorizePhys.CHANNELS), "TYPE": kind}}

    def _is_big(self) -> bool:
        kind = str(self.options.FactorizePhys.TYPE)
        if kind.lower() not in {name.lower() for name in TYPES}:
            raise ValueError(f"MODEL.FactorizePhys.TYPE is {kind!r}: choose one of {', '.join(TYPES)}.")
        return kind.lower() == "big"

    def _factorisation(self) -> Factorisation | None:
        node = self.options.FactorizePhys
        if not node.MD_FSAM:
            return None
        return Factorisation(
            kind=str(node.MD_TYPE),
            transform=str(node.MD_TRANSFORM),
            rank=int(node.MD_R),
            groups=int(node.MD_S),
            steps=int(node.MD_STEPS),
            inference=bool(node.MD_INFERENCE),
            residual=bool(node.MD_RESIDUAL),
            per_clip=bool(node.MD_PER_CLIP),
        )
