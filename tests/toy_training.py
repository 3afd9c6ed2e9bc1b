"""Short trainings on toy clips, and the question whether a clip's prediction depends on its company."""

from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch.utils.data import Dataset, default_collate
from yacs.config import CfgNode

from registry import METHODS
from tests.trainer_tools import tiny_config


def method_config(name: str, folder: Path, size: int = 16, **changes: Any) -> CfgNode:
    """A tiny configuration of `name` for square frames of `size`, with the method's own options at their defaults."""
    for section, values in METHODS[name].OPTIONS.items():
        changes.setdefault(f"MODEL__{section}", CfgNode(values))
    resize = {"TRAIN__DATA__PREPROCESS__RESIZE__H": size, "TRAIN__DATA__PREPROCESS__RESIZE__W": size}
    return tiny_config(name, folder, **resize, **changes)


def losses(config: CfgNode, clips: Dataset, folder: Path) -> list[float]:
    """Train and return the loss of every update."""
    METHODS[config.MODEL.NAME](config).fit(clips, folder=folder)
    rows = (folder / "history.csv").read_text().splitlines()
    column = rows[0].split(",").index("loss")
    return [float(row.split(",")[column]) for row in rows[1:]]


def change_by_company(config: CfgNode, clips: Dataset, head: str = "ppg") -> float:
    """Largest change of the second clip's output when the first one leaves the batch, relative to its spread."""
    trainer = METHODS[config.MODEL.NAME](config)
    network = trainer.build().eval()
    samples = [clips[index] for index in range(2)]
    together, alone = (_outputs(trainer, network, part)[head][-1] for part in (samples, samples[1:]))
    return float(np.abs(together - alone).max() / together.std())


@torch.no_grad()
def _outputs(trainer: Any, network: torch.nn.Module, samples: list[dict]) -> dict[str, np.ndarray]:
    batch = trainer.enter(default_collate(samples))
    return {name: value.numpy() for name, value in trainer.finish(trainer.forward(network, batch), batch).items()}
