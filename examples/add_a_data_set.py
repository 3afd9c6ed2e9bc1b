"""A data set of your own: one class that says which recordings there are and how they are read."""

# %%
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))  # the toolbox lies one folder above

import numpy as np
import yaml

import main
from config import load_config, run_folder
from dataset.data_loader.base import BaseLoader, Recording, Signal, natural_sort
from pulsescope import open_run
from registry import DATASETS

# %% Files in a layout of our own: frames (T, H, W, 3) and a pulse wave at 60 samples a second, in one .npz each.
folder = Path("runs/examples/my_lab")
folder.mkdir(parents=True, exist_ok=True)
for number, bpm in enumerate((58, 71, 84), start=1):
    frames, wave = np.arange(300) / 30, np.arange(600) / 60
    pulse = 0.8 * np.sin(2 * np.pi * bpm / 60 * frames)[:, None] * [0.3, 1.0, 0.5]
    noise = np.random.default_rng(number).normal(0, 4, (300, 36, 36, 3))
    video = np.clip([150, 110, 90] + pulse[:, None, None] + noise, 0, 255).astype(np.uint8)
    np.savez(folder / f"p{number}.npz", video=video, ppg=np.sin(2 * np.pi * bpm / 60 * wave))


# %% Three answers: which recordings, their frames, their signals. In a file of its own it is used by --plugin FILE.
@DATASETS.register("MyLab")
class MyLabLoader(BaseLoader):
    """MyLab: videos of a lab, with a finger's pulse wave."""

    fs = 30.0  # frames per second

    def recordings(self, root):
        """One person a file."""
        return [Recording(id=f.stem, subject=f.stem, path=f) for f in natural_sort(root.glob("*.npz"))]

    def read_video(self, recording):
        """Frames (H, W, 3) uint8 RGB, one after the other."""
        with np.load(recording.path, allow_pickle=False) as file:
            yield from file["video"]

    def read_wave(self, recording):
        """Signals by name; `ppg` is what a pulse is judged by."""
        with np.load(recording.path, allow_pickle=False) as file:
            return {"ppg": Signal(file["ppg"], fs=60.0)}


# %% Splits, cache, methods and report come with it.
process = {"CROP_FACE": {"DO_CROP_FACE": False}, "RESIZE": {"W": 36, "H": 36}}
data = {"DATASET": "MyLab", "DATA_PATH": str(folder), "CACHED_PATH": "runs/examples/cache", "FS": 30}
section = {"METHOD": ["POS", "GREEN"], "METRICS": ["MAE", "Pearson"], "DATA": {**data, "PREPROCESS": process}}
settings = {"TOOLBOX_MODE": "unsupervised_method", "UNSUPERVISED": section, "LOG": {"PATH": "runs/examples"}}
file = Path("runs/examples/my_lab.yaml")
file.write_text(yaml.safe_dump({**settings, "PREPROCESS_WORKERS": 1, "INFERENCE": {"PRESET": "exact"}}))
assert main.main(["--config_file", str(file)]) == 0

# %%
run = open_run(run_folder(load_config(file)))
own = run.recordings[run.recordings.method == "GREEN"]
print(own[["recording", "hr_true", "hr_pred", "abs_error"]])
assert own.abs_error.max() < 1
