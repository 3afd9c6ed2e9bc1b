"""What the training loop reads from the configuration, as plain values, and the device it runs on."""

import contextlib
import os
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import torch

from neural_methods import distributed


@dataclass(frozen=True)
class Settings:
    """Values of the sections TRAIN, VALID, TEST, INFERENCE and MODEL that the loop itself needs."""

    epochs: int
    batch_size: int  # clips per forward pass, over all processes
    lr: float
    test_batch_size: int = 4
    model_dir: str = "."
    model_file_name: str = "model"
    accumulation_steps: int = 1
    amp: str = ""  # '', 'bf16', 'fp16', or 'auto': bf16 on a GPU
    clip_grad: float = 0.0  # largest norm of a gradient; 0: no clipping
    compile: bool = False
    ema: float = 0.0  # decay per update; 0: off
    keep_checkpoints: str = "all"  # or 'last_and_best'
    early_stopping: int = 0  # epochs without a better validation value; 0: off
    state_every: int = 0  # updates between states inside an epoch; 0: one state per epoch
    monitor: bool = False  # validate every epoch without choosing by it
    use_last_epoch: bool = True
    norm: str = "batch"  # or 'group', 'frozen_batch'
    weights: str = ""  # fine-tune from these
    resume: str = ""  # continue from this state
    seed: int = 100
    deterministic: bool = True
    num_workers: int = -1
    wandb: str = "disabled"  # or 'offline', 'online'

    @classmethod
    def of(cls, config: Any) -> "Settings":
        """The values of a resolved configuration; keys that an older schema lacks keep their defaults."""
        found = {field: _read(config, path) for field, path in _PATHS.items()}
        return cls(**{field: value for field, value in found.items() if value is not None})

    def on(self, device: torch.device) -> "Settings":
        """With the precision that `auto` means on `device`."""
        amp = ("bf16" if device.type == "cuda" else "") if self.amp == "auto" else self.amp
        return replace(self, amp=amp)

    @property
    def validates(self) -> bool:
        """Whether every epoch is followed by a validation."""
        return self.monitor or not self.use_last_epoch


_PATHS = {
    "epochs": "TRAIN.EPOCHS",
    "batch_size": "TRAIN.BATCH_SIZE",
    "lr": "TRAIN.LR",
    "test_batch_size": "INFERENCE.BATCH_SIZE",
    "model_dir": "MODEL.MODEL_DIR",
    "model_file_name": "TRAIN.MODEL_FILE_NAME",
    "accumulation_steps": "TRAIN.ACCUMULATION_STEPS",
    "amp": "TRAIN.AMP",
    "clip_grad": "TRAIN.CLIP_GRAD",
    "compile": "TRAIN.COMPILE",
    "ema": "TRAIN.EMA",
    "keep_checkpoints": "TRAIN.KEEP_CHECKPOINTS",
    "early_stopping": "TRAIN.EARLY_STOPPING",
    "state_every": "TRAIN.STATE_EVERY",
    "monitor": "VALID.MONITOR",
    "use_last_epoch": "TEST.USE_LAST_EPOCH",
    "norm": "MODEL.NORM",
    "weights": "MODEL.WEIGHTS",
    "resume": "MODEL.RESUME",
    "seed": "SEED",
    "deterministic": "DETERMINISTIC",
    "num_workers": "NUM_WORKERS",
    "wandb": "LOG.WANDB",
}


def _read(node: Any, path: str) -> Any:
    for key in path.split("."):
        node = node.get(key) if hasattr(node, "get") else getattr(node, key, None)
        if node is None:
            return None
    return node


def choose_device(wanted: str) -> tuple[torch.device, str]:
    """The device called `wanted` ('auto', 'cpu', 'cuda:0' ...) and a sentence when it had to be another, else ''."""
    if wanted == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu"), ""
    device = torch.device(wanted)
    if device.type == "cuda" and not torch.cuda.is_available():
        return torch.device("cpu"), f"DEVICE is {wanted!r}, but torch sees no CUDA device here: running on the CPU."
    if device.type == "cuda" and (device.index or 0) >= torch.cuda.device_count():
        count = torch.cuda.device_count()
        raise ValueError(
            f"DEVICE is {wanted!r}, but there are only {count} CUDA devices: use cuda:0 to cuda:{count - 1}."
        )
    return device, ""


def cuda_devices(device: torch.device) -> list[int]:
    """The devices whose random numbers matter beside the CPU's: `device` where it is a CUDA one."""
    return [device.index or 0] if device.type == "cuda" else []


def seed_numbers(seed: int, device: torch.device) -> None:
    """Seed the random numbers of the CPU and of `device`.

    torch.manual_seed does it for every kind of device, and notes the stack of its caller, at each call, for those that
    are not in use: that would be a part of every update.
    """
    if device.type == "cpu":
        torch.default_generator.manual_seed(seed)
    else:
        torch.manual_seed(seed)


def make_deterministic(on: bool) -> None:
    """Ask torch for reproducible kernels (a warning where an operation has none), or for the fastest ones."""
    if on:
        os.environ.setdefault(
            "CUBLAS_WORKSPACE_CONFIG", ":4096:8"
        )  # cuBLAS is only reproducible with a fixed workspace
    torch.use_deterministic_algorithms(on, warn_only=True)
    torch.utils.deterministic.fill_uninitialized_memory = False  # a debugging aid that costs memory traffic
    torch.backends.cudnn.deterministic = on
    torch.backends.cudnn.benchmark = not on


@contextlib.contextmanager
def one_thread() -> Iterator[None]:
    """Inside the block torch uses one thread: of a small network's work each would wait longer than it computes."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def worker_count(wanted: int, device: torch.device) -> int:
    """Loader processes: `wanted`, or chosen for -1: none on a CPU that the network needs itself."""
    if wanted >= 0:
        return wanted
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return min(8, max(1, cores // distributed.size() - 1)) if device.type == "cuda" else 0
