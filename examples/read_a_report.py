"""What a run leaves, and how to read it from Python: scores with intervals, recordings, windows, where it comes from.

Runs `compare_classical_methods.py` first, for a run to read. Name a folder of your own instead.
"""

# %%
import runpy
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))  # the toolbox lies one folder above

import main
from config import ROOT
from pulsescope import open_run

folder = runpy.run_path(str(ROOT / "examples" / "compare_classical_methods.py"))["run"].folder
run = open_run(folder)

# %% Scores. n counts windows; the interval is over people, so few people give a wide one.
for line in run.scores.itertuples():
    interval = f"[{line.MAE_low:.2f}, {line.MAE_high:.2f}]"
    print(f"{line.preset:8s} {line.method:40s} MAE {line.MAE:6.2f} bpm {interval}, n = {line.n}")

# %% Every window: `quality_db` needs no reference. Where it is low, the rate is a guess.
windows = run.windows[run.windows.method == "POS"]
print(windows[["recording", "window", "hr_true", "hr_pred", "error", "quality_db", "note"]])

# %% Where the numbers come from: data, split and code. Two runs with one fingerprint have read the same data.
for section, one in run.provenance["data"].items():
    print(section, one["dataset"], "split", one["split"]["hash"], "fingerprint", one["fingerprint"])
print("numpy", run.environment["numpy"], "code", run.provenance["code"]["sign"])

# %% Does it give the same numbers again? A new folder; nothing of this one is touched.
assert main.main(["--replay", str(folder)]) == 0
print("Open in a browser:", run.page)
