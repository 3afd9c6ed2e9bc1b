"""Mode `measure`: recordings without labels by a network with weights, the classical methods beside it."""

from pathlib import Path
from typing import Any

from neural_methods.described import TorchNetwork
from neural_methods.run import make_trainer
from unsupervised_methods import run as classical


def run(config: Any) -> Path:
    """Measure UNSUPERVISED.DATA by MODEL.NAME with the weights of INFERENCE.MODEL_PATH; returns the report's path.

    Raises what loading weights and the mode of the classical methods raise.
    """
    return classical.run(config, network_of(config))


def network_of(config: Any) -> TorchNetwork:
    """MODEL.NAME with the weights of INFERENCE.MODEL_PATH; raises what loading weights raises."""
    trainer = make_trainer(config)
    return TorchNetwork(trainer, trainer.load(config.INFERENCE.MODEL_PATH))
