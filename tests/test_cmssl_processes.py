"""Two processes train a tokenizer as one does: codebooks and weights. The test starts torchrun."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from neural_methods.checkpoint import read_weights

ROOT = Path(__file__).resolve().parent.parent
TOKENIZER = """
import json, sys
from pathlib import Path
from neural_methods import distributed
from tests.cmssl_tools import Waves, make
folder = Path(sys.argv[1])
own = {"DROPOUT": 0.0, "DEAD_AFTER": 5}
trainer = make("Tokenizer", folder, own, TRAIN__EPOCHS=17, TRAIN__LR=1e-3)
networks = []
trainer.before_epoch = lambda network, epoch, old=trainer.before_epoch: (networks.append(network), old(network, epoch))
trainer.fit(Waves(11), Waves(3, seed=1), folder / "run")
signs = distributed.gather(networks[0].quantizer.embedding.weight.double().sum().item())
if distributed.is_main():
    (folder / "signs.json").write_text(json.dumps(signs))
distributed.stop()
"""


def started(arguments, processes):
    """Run Python on `arguments` in so many processes."""
    many = ["-m", "torch.distributed.run", "--standalone", f"--nproc_per_node={processes}"]
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        [sys.executable, *(many if processes > 1 else []), *map(str, arguments)],
        cwd=ROOT, env=environment, capture_output=True, text=True, timeout=500,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-3000:]


@pytest.mark.slow
def test_cmssl_codebooks_are_equal_in_all_processes_and_those_of_one(tmp_path):
    """After 51 updates with ragged batches, a k-means start and codes that start anew; without dropout to 1e-4."""
    script, found = tmp_path / "child.py", {}
    script.write_text(TOKENIZER)
    for processes in (1, 2):
        folder = tmp_path / str(processes)
        folder.mkdir()
        started([script, folder], processes)
        found[processes] = read_weights(sorted((folder / "models").glob("*_Epoch16.pth"))[0])
    first, second = json.loads((tmp_path / "2" / "signs.json").read_text())
    assert first == second
    for name, value in found[1].items():
        torch.testing.assert_close(found[2][name], value, atol=1e-4, rtol=1e-4, msg=lambda text, n=name: f"{n}: {text}")
