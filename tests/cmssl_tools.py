"""Tiny tokenizers and encoders, and windows for them, in memory."""

from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch.utils.data import Dataset
from yacs.config import CfgNode

from neural_methods.checkpoint import write_bundle
from neural_methods.model.tokenizer import JointTokenizer
from registry import METHODS
from tests.trainer_tools import tiny_config

SMALL = {"WIDTH": 16, "HEADS": 2, "LAYERS": 1}
TOKENIZER = {**SMALL, "DECODER_HEADS": 2, "DECODER_LAYERS": 1, "CODES": 12, "CODE_WIDTH": 8, "WARMUP_EPOCHS": 1}
SECTIONS = {"Tokenizer": ("TOKENIZER", TOKENIZER), "TokenEncoder": ("TOKENENCODER", SMALL)}


class Waves(Dataset):
    """Windows (C, 250) of sines with a rate of their own, as the loop gets them."""

    def __init__(self, n: int = 12, channels: int = 2, seed: int = 0):
        """`n` windows of n // 2 people."""
        random = np.random.default_rng(seed)
        time = np.arange(250) / 125
        phases = random.uniform(0, 6.28, (n, channels, 1))
        rates = random.uniform(0.8, 2.0, (n, 1, 1))
        waves = np.sin(2 * np.pi * rates * time + phases) + 0.1 * random.normal(size=(n, channels, 250))
        self.waves = torch.from_numpy(waves.astype(np.float32))

    def __len__(self) -> int:
        """Windows."""
        return len(self.waves)

    def __getitem__(self, index: int) -> dict[str, Any]:
        """One window."""
        row = int(index)
        names = {"recording": f"r{row // 2}", "subject": f"r{row // 2}", "clip": row % 2, "fs": 125.0}
        return {"waves": self.waves[row], **names}


def make(name: str, folder: Path, own: dict[str, Any] | None = None, **changes: Any) -> Any:
    """A trainer; `own` are keys of its section of MODEL."""
    section, small = SECTIONS[name]
    node = CfgNode({**METHODS[name].OPTIONS[section], **small, **(own or {})})
    settings = {"TRAIN__BATCH_SIZE": 4, **changes, f"MODEL__{section}": node}
    return METHODS[name](tiny_config(name, folder / "models", **settings))


def trained_tokenizer(folder: Path, own: dict[str, Any] | None = None) -> Path:
    """The bundle of a tokenizer that has trained for two epochs."""
    channels = len((own or {}).get("CHANNELS", "ab"))
    fitted = make("Tokenizer", folder, own).fit(Waves(channels=channels), folder=folder / "run")
    write_bundle(folder / "tokenizer.pth", fitted.path, {})
    return folder / "tokenizer.pth"


def trained_encoder(folder: Path, channel: str = "ppg") -> Path:
    """The bundle of an encoder that has trained for two epochs."""
    own = {"TOKENIZER": str(trained_tokenizer(folder / "tokenizer")), "CHANNEL": channel}
    trainer = make("TokenEncoder", folder, own)
    write_bundle(folder / "encoder.pth", trainer.fit(Waves(), folder=folder / "run").path, {})
    return folder / "encoder.pth"


def original_file(path: Path, drop: str = "", layers: int = 2) -> JointTokenizer:
    """A checkpoint as CM-SSL's program writes it, without names beginning with `drop`; returns its network."""
    torch.manual_seed(3)
    network = JointTokenizer(width=32, heads=8, layers=layers, codes=40, code_width=16, dropout=0.1, kmeans=False)
    own = ("quantizer.embedding.idle", "quantizer.embedding.use")
    state = {key: value for key, value in network.state_dict().items() if key not in own}
    state = {key: value for key, value in state.items() if not (drop and key.startswith(drop))}
    torch.save({"state_dict": state, "epoch": 3, "global_step": 12}, path)
    return network.eval()


def files(folder: Path) -> dict[str, bytes]:
    """Content of every weight file."""
    return {path.name: path.read_bytes() for path in sorted((folder / "models").glob("*.pth"))}
