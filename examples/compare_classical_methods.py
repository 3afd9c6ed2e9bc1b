"""Classical methods on the same recordings: one table, one page, and the baseline that knows nothing."""

# %%
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))  # the toolbox lies one folder above

import main
from config import ROOT, load_config, run_folder
from pulsescope import open_run

# %% Any key of the file can be overridden; this keeps the example short. Three people, eight seconds each.
file = ROOT / "configs" / "demo" / "classical_easy.yaml"
changes = [
    "UNSUPERVISED.METHOD=['POS','CHROM','GREEN']",
    "UNSUPERVISED.DATA.SYNTHETIC.SUBJECTS=3",
    "UNSUPERVISED.DATA.SYNTHETIC.SECONDS=8.0",
    "UNSUPERVISED.DATA.DATA_PATH=runs/examples/faces",
    "UNSUPERVISED.DATA.CACHED_PATH=runs/examples/cache",
    "LOG.PATH=runs/examples",
]
assert main.main(["--config_file", str(file), *changes]) == 0

# %% A run opens as an object. A method that is not better than the constant mean has not measured the pulse.
run = open_run(run_folder(load_config(file, changes)))
exact = run.scores[run.scores.preset == "exact"].set_index("method")
print(exact[["MAE", "MAE_low", "MAE_high", "Pearson", "n", "subjects"]])
constant = next(name for name in exact.index if name.startswith("constant mean"))
assert exact.MAE["POS"] < exact.MAE[constant]

# %% Which recording was hardest for POS?
own = run.recordings[(run.recordings.method == "POS") & (run.recordings.preset == "exact")]
print(own.sort_values("abs_error").iloc[-1][["recording", "hr_true", "hr_pred", "abs_error"]])
print("Open in a browser:", run.page)
