"""Tiny configurations and clips for tests of trainers: seconds on one core, no files of a data set."""

from typing import Any

import numpy as np
import torch
from torch.utils.data import Dataset
from yacs.config import CfgNode


def tiny_config(name: str, folder: Any = ".", **changes: Any) -> CfgNode:
    """A configuration of what trainers read; `changes` are dotted keys with `__` for the dot (TRAIN__LR=1e-3)."""
    data = {
        "FS": 30,
        "PREPROCESS": {
            "RESIZE": {"H": 16, "W": 16},
            "DO_CHUNK": True,
            "CHUNK_LENGTH": 16,
            "DATA_TYPE": ["DiffNormalized"],
            "LABEL_TYPE": "DiffNormalized",
        },
    }
    config = CfgNode(
        {
            "TOOLBOX_MODE": "train_and_test",
            "DEVICE": "cpu",
            "SEED": 100,
            "DETERMINISTIC": True,
            "NUM_WORKERS": 0,
            "TRAIN": {
                "EPOCHS": 2,
                "BATCH_SIZE": 2,
                "LR": 1e-3,
                "MODEL_FILE_NAME": "tiny",
                "PLOT_LOSSES_AND_LR": False,
                "ACCUMULATION_STEPS": 1,
                "AMP": "",
                "CLIP_GRAD": 0.0,
                "COMPILE": False,
                "EMA": 0.0,
                "KEEP_CHECKPOINTS": "all",
                "EARLY_STOPPING": 0,
                "STATE_EVERY": 0,
                "DATA": data,
            },
            "VALID": {"MONITOR": False},
            "TEST": {"USE_LAST_EPOCH": True, "DATA": data},
            "INFERENCE": {"BATCH_SIZE": 2},
            "MODEL": {
                "NAME": name,
                "MODEL_DIR": str(folder),
                "DROP_RATE": 0.0,
                "WEIGHTS": "",
                "RESUME": "",
                "NORM": "batch",
            },
        }
    )
    config.MODEL.TSCAN = CfgNode({"FRAME_DEPTH": 4})
    config.MODEL.PHYSNET = CfgNode({"FRAME_NUM": 16})
    for key, value in changes.items():
        *path, last = key.split("__")
        node = config
        for part in path:
            node = node.setdefault(part, CfgNode())
        node[last] = value
    return config


class ToyClips(Dataset):
    """Noise with a pulse painted on it, already normalised, as chunks of rPPG-Toolbox come: (C, T, H, W) and (T,)."""

    def __init__(self, n: int = 6, channels: int = 3, frames: int = 16, size: int = 16, seed: int = 0):
        """`n` clips, two to a recording."""
        rng = np.random.default_rng(seed)
        phase = rng.uniform(0, 2 * np.pi, (n, 1))
        self.labels = np.sin(2 * np.pi * 1.2 * np.arange(frames) / 30 + phase).astype(np.float32)
        noise = rng.normal(size=(n, channels, frames, size, size))
        self.videos = (0.3 * noise + self.labels[:, None, :, None, None]).astype(np.float32)

    def __len__(self) -> int:
        """Number of clips."""
        return len(self.labels)

    def __getitem__(self, index: int) -> dict[str, Any]:
        """One clip as the loop expects it."""
        return {
            "video_float": torch.from_numpy(self.videos[index]),
            "ppg": torch.from_numpy(self.labels[index]),
            "recording": f"r{index // 2}",
            "subject": f"s{index // 2}",
            "clip": index % 2,
            "fs": 30.0,
        }
