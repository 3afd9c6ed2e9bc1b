"""Two processes train and test as one: codebooks, weights, predictions. Each test starts torchrun."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from neural_methods.checkpoint import read_weights
from tests.test_cmssl_finetune import task

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


@pytest.mark.slow
def test_cmssl_fine_tuning_in_two_processes_is_that_of_one(tmp_path):
    """Trained without dropout to 1e-4; the same weights tested to 1e-6, each window once."""
    task(tmp_path / "toy", "regression")
    data = [f"{part}.DATA.DATA_PATH={tmp_path / 'toy'}" for part in ("TRAIN", "VALID", "TEST")]
    small = ["TRAIN.EPOCHS=3", "TRAIN.BATCH_SIZE=10", "TRAIN.PLOT_LOSSES_AND_LR=False", "DEVICE=cpu", "NUM_WORKERS=0"]
    own = ["MODEL.FINETUNE.INIT=random", "MODEL.FINETUNE.METHOD=TestTinyBackbone", "MODEL.FINETUNE.LENGTH=250"]
    plugin = tmp_path / "tiny.py"
    plugin.write_text(PLUGIN)
    base = [
        ROOT / "main.py",
        "--plugin",
        plugin,
        "--config_file",
        ROOT / "configs/cmssl/finetune.yaml",
        *data,
        *small,
        *own,
    ]
    found, weights = {}, {}
    for processes in (1, 2):
        started([*base, f"LOG.PATH={tmp_path / str(processes)}"], processes)
        weights[processes] = read_weights(sorted((tmp_path / str(processes)).rglob("*_Epoch*.pth"))[-1])
    for name, value in weights[1].items():
        torch.testing.assert_close(weights[2][name], value, atol=1e-4, rtol=1e-4)
    path = sorted((tmp_path / "1").rglob("*_Epoch*.pth"))[-1]
    for processes in (1, 2):
        test = ["TOOLBOX_MODE=only_test", f"INFERENCE.MODEL_PATH={path}", f"LOG.PATH={tmp_path / f't{processes}'}"]
        started([*base, *test], processes)
        table = next((tmp_path / f"t{processes}").rglob("hr_per_clip.csv"))
        found[processes] = np.genfromtxt(table, delimiter=",", names=True, dtype=None, encoding="utf-8")
    assert len(found[1]) == 24 and np.array_equal(found[1]["recording"], found[2]["recording"])
    np.testing.assert_allclose(found[2]["predicted"], found[1]["predicted"], atol=1e-6)


PLUGIN = '''
from neural_methods.backbones import Backbone
from neural_methods.model.token_encoder import UnimodalEncoder
from neural_methods.trainer.base import Needs, Trainer
from neural_methods.trainer.token_encoder import Averaged
from registry import METHODS


@METHODS.register("TestTinyBackbone")
class TinyBackbone(Trainer):
    """A small encoder without dropout."""

    needs = Needs(signals=(), inputs=("ppg",))
    heads = {}

    @classmethod
    def backbone(cls, options):
        """Sixteen wide."""
        return Backbone(Averaged(UnimodalEncoder(width=16, heads=2, layers=1, dropout=0.0), 125), 16, "ppg", "zscore")
'''
