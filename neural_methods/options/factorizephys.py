"""The keys of FactorizePhys."""

from collections.abc import Iterator
from pathlib import Path

from yacs.config import CfgNode

from neural_methods.options import Published


def _weights_without_fsam(config: CfgNode) -> Iterator[str]:
    weights = Path(config.INFERENCE.MODEL_PATH).name
    if "FSAM_Res" in weights and not config.MODEL.FactorizePhys.MD_FSAM:
        yield f"MODEL.FactorizePhys.MD_FSAM is False: {weights} runs without the attention block it was trained with."


METHOD = Published(
    "FactorizePhys",
    {
        "FactorizePhys": {
            "FRAME_NUM": 160,  # frames per clip
            "CHANNELS": 3,  # 1, 3 or 4 input channels
            "TYPE": "Standard",  # Standard or Big
            "MD_FSAM": False,  # use the factorised attention block
            "MD_TYPE": "NMF",  # NMF or VQ
            "MD_TRANSFORM": "T_KAB",  # T_KAB, TK_AB or K_TAB: which axes form the matrix
            "MD_R": 1,  # rank
            "MD_S": 1,  # groups
            "MD_STEPS": 4,  # iterations
            "MD_INFERENCE": True,  # the block also when testing
            "MD_RESIDUAL": True,  # residual form
        }
    },
    warnings=(_weights_without_fsam,),
)
