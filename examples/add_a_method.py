"""A classical method of your own: one function from mean skin colour to a pulse wave, judged like all the others."""

# %%
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))  # the toolbox lies one folder above

import numpy as np

import main
from config import ROOT, load_config, run_folder
from pulsescope import open_run
from registry import UNSUPERVISED


# %% Colour (T, 3) and frames per second go in, a wave (T,) comes out. In a file of its own: --plugin FILE.
@UNSUPERVISED.register("GreenMinusRed")
def green_minus_red(rgb: np.ndarray, fs: float) -> np.ndarray:
    """Green less red, each by its own mean: what moves both alike, such as the light, goes."""
    red, green, _ = (rgb / rgb.mean(axis=0)).T
    return green - red


# %% Beside two published ones on rendered people who sit still.
file = ROOT / "configs" / "demo" / "classical_easy.yaml"
changes = [
    "UNSUPERVISED.METHOD=['GreenMinusRed','GREEN','POS']",
    "UNSUPERVISED.DATA.SYNTHETIC.SUBJECTS=3",
    "UNSUPERVISED.DATA.SYNTHETIC.SECONDS=8.0",
    "UNSUPERVISED.DATA.DATA_PATH=runs/examples/faces",
    "UNSUPERVISED.DATA.CACHED_PATH=runs/examples/cache",
    "LOG.PATH=runs/examples",
]
assert main.main(["--config_file", str(file), *changes]) == 0

# %%
run = open_run(run_folder(load_config(file, changes)))
print(run.scores[["method", "preset", "MAE", "SNR", "n"]])
assert "GreenMinusRed" in set(run.scores.method)
