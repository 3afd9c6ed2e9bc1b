"""The keys of iBVPNet."""

from collections.abc import Iterator
from pathlib import Path

from yacs.config import CfgNode

from neural_methods.options import Published


def _unreleased_weights(config: CfgNode) -> Iterator[str]:
    if Path(config.INFERENCE.MODEL_PATH).name == "iBVP_iBVPNet.pth":
        yield "INFERENCE.MODEL_PATH: rPPG-Toolbox names iBVP_iBVPNet.pth but never released it; train it first."


METHOD = Published(
    "iBVPNet",
    {
        "iBVPNet": {
            "FRAME_NUM": 160,  # frames per clip
            "CHANNELS": 3,  # 1, 3 or 4 input channels
        }
    },
    warnings=(_unreleased_weights,),
)
