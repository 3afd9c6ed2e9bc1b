"""Go on from weights that are there, on other people: the network learns from where it was left.

Runs `train_on_rendered_faces.py` first, for the weights. Name your own, or those of rPPG-Toolbox, instead.
"""

# %%
import runpy
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))  # the toolbox lies one folder above

import main
from config import ROOT, load_config, run_folder
from pulsescope import open_run

before = runpy.run_path(str(ROOT / "examples" / "train_on_rendered_faces.py"))
weights = before["run"].provenance["weights"]["trained"]["path"]

# %% MODEL.WEIGHTS starts from a file; a small learning rate changes it gently. SEED=101: other people.
changes = [
    *(one.replace("SYNTHETIC.SEED=100", "SYNTHETIC.SEED=101") for one in before["changes"]),
    f"MODEL.WEIGHTS={weights}",
    "TRAIN.LR=1e-4",
    "TRAIN.EPOCHS=1",
    "TRAIN.MODEL_FILE_NAME=fine_tuned",
]
file = before["file"]
assert main.main(["--config_file", str(file), *changes]) == 0

# %% Both runs side by side.
run = open_run(run_folder(load_config(file, changes)))
print("loss of the first update, trained from nothing:", before["run"].history.loss.iloc[0])
print("loss of the first update, fine-tuned:", run.history.loss.iloc[0])
assert run.provenance["weights"]["MODEL.WEIGHTS"]["path"] == weights
