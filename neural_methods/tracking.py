"""Where the curves of a training go beside history.csv: TensorBoard always, Weights & Biases where it is asked for.

Neither can end a training. Weights & Biases needs its package, and for `online` an account it knows; without them it is
said, and the training goes on. Nothing here holds a key: the package finds its own, also in a file `.env`.
"""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

from dataset.files.reading import read_text, told

SECRET = "WANDB_API_KEY"
LARGEST = 1 << 16  # bytes of .env
TIMEOUT = 20  # s that Weights & Biases may take to answer at the start


class TensorBoard:
    """Event files in <folder>/tensorboard."""

    def __init__(self, folder: Path):
        """Opened at once."""
        from tensorboardX import FileWriter  # slow to import, and only the main process writes

        self.writer = FileWriter(str(folder / "tensorboard"))

    def show(self, values: dict[str, float], step: int) -> None:
        """A point of each curve, all in one event: one for each would wait for the thread that writes them."""
        from tensorboardX.proto.summary_pb2 import Summary

        points = [Summary.Value(tag=name, simple_value=value) for name, value in values.items()]
        self.writer.add_summary(Summary(value=points), step)

    def close(self) -> None:
        """Finish the file."""
        self.writer.close()


class WandB:
    """A run of Weights & Biases, which keeps its files in <folder>/wandb."""

    def __init__(self, folder: Path, mode: str):
        """ImportError without the package; whatever it raises where it cannot begin."""
        import wandb

        settings = {"init_timeout": TIMEOUT, "silent": True, "console": "off"}
        self.run = wandb.init(
            project="pulsescope", name=folder.name, id=folder.name, dir=str(folder), mode=mode, resume="allow",
            settings=wandb.Settings(**settings),
        )  # fmt: skip

    def show(self, values: dict[str, float], step: int) -> None:
        """A point of each curve."""
        self.run.log(values, step=step)

    def close(self) -> None:
        """Finish the run."""
        self.run.finish()


def boards(folder: Path, wandb: str, say: Callable[..., Any] = print) -> list[Any]:
    """What shows curves: objects with `show` and `close`. `wandb`: disabled, offline or online."""
    found: list[Any] = [TensorBoard(folder)]
    if wandb == "disabled":
        return found
    if wandb == "online" and not (read_secret() or (Path.home() / ".netrc").is_file()):
        say(f"Note: LOG.WANDB is online, but there is no {SECRET}: no curves go there. history.csv has them all.")
        return found
    try:
        found.append(WandB(folder, wandb))
    except ImportError:
        say(f"Note: LOG.WANDB is {wandb}, but the package wandb is not installed: pip install wandb.")
    except Exception as error:  # it may fail in any way, and is worth no training
        say(f"Note: Weights & Biases could not begin ({told(error)}). history.csv has all curves.")
    return found


def read_secret(file: Path = Path(".env")) -> bool:
    """Whether there is a key, after that of `file` (lines NAME=VALUE), if it has one, joined the environment."""
    if SECRET not in os.environ and file.is_file():
        try:
            lines = read_text(file, LARGEST).splitlines()
        except (OSError, ValueError):
            lines = []
        found = dict(line.split("=", 1) for line in lines if "=" in line and not line.lstrip().startswith("#"))
        value = {name.strip(): one.strip().strip("'\"") for name, one in found.items()}.get(SECRET)
        if value:
            os.environ[SECRET] = value
    return bool(os.environ.get(SECRET))
