"""Train a small PhysNet on rendered faces and test it on others. Seconds here; see configs/demo for real sizes."""

# %%
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))  # the toolbox lies one folder above

import main
from config import ROOT, load_config, run_folder
from pulsescope import open_run

# %% Four people of eight seconds: the first two to learn from, one to watch by, one to be tested on.
faces = {"PRESET": "easy", "SUBJECTS": 4, "SECONDS": 8.0, "SEED": 100}
parts = {"TRAIN": (0.0, 0.5), "VALID": (0.5, 0.75), "TEST": (0.75, 1.0)}
changes = ["DEVICE=cpu", "TRAIN.EPOCHS=2", "TRAIN.BATCH_SIZE=2", "LOG.PATH=runs/examples"]
for section, (begin, end) in parts.items():
    changes += [f"{section}.DATA.SYNTHETIC.{key}={value}" for key, value in faces.items()]
    changes += [f"{section}.DATA.BEGIN={begin}", f"{section}.DATA.END={end}"]
    changes += [f"{section}.DATA.DATA_PATH=runs/examples/faces", f"{section}.DATA.CACHED_PATH=runs/examples/cache"]
    changes += [f"{section}.DATA.PREPROCESS.CHUNK_LENGTH=64"]
file = ROOT / "configs" / "demo" / "physnet.yaml"
assert main.main(["--config_file", str(file), *changes]) == 0

# %% The course of the training, and what became of it. Two epochs on two people teach nothing: the table says so.
run = open_run(run_folder(load_config(file, changes)))
print(run.history[["epoch", "loss", "lr"]])
print(run.scores[["preset", "method", "MAE", "n"]])
print("Weights:", run.provenance["weights"]["trained"]["path"])
print("Open in a browser:", run.page)
assert run.history.epoch.max() == 1
