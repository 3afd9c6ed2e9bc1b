"""What the tests of bad input share: a place of three people that a test damages, and a run that must be refused.

Three people are rendered once; every test damages a copy of them, made of hard links and a filled cache, so that only
what a test damages is read again.
"""

import os
import re
import shutil
from pathlib import Path

import main
from dataset.synthetic.layouts import write_layout
from tests.conftest import ROOT

CLASSICAL = str(ROOT / "configs/infer_configs/UBFC-rPPG_UNSUPERVISED.yaml")
PHYSNET = str(ROOT / "configs/infer_configs/PURE_UBFC-rPPG_PHYSNET_BASIC.yaml")
TRAINING = str(ROOT / "configs/train_configs/PURE_PURE_UBFC-rPPG_PHYSNET_BASIC.yaml")
SMALL = {"PRESET": "easy", "SUBJECTS": 3, "SECONDS": 6.0, "WIDTH": 320, "HEIGHT": 240, "CODEC": "mjpg"}
QUICK = ["UNSUPERVISED.METHOD=['POS']", "UNSUPERVISED.METRICS=['MAE']", "PREPROCESS_WORKERS=1"]
VICTIM = "subject2"


class Place:
    """A data set, a cache and a folder for results that belong to one test, and the settings that name them."""

    def __init__(self, root: Path):
        """`root` holds all three."""
        self.root, self.data, self.cache, self.runs = root, root / "UBFC-rPPG", root / "cache", root / "runs"

    @property
    def victim(self) -> Path:
        """Folder of the recording that a test damages."""
        return self.data / VICTIM

    def arguments(self, *more: str, file: str = CLASSICAL, section: str = "UNSUPERVISED") -> list[str]:
        """The command line of a run on this place."""
        node = f"{section}.DATA"
        own = [f"{node}.DATA_PATH={self.data}", f"{node}.CACHED_PATH={self.cache}", f"LOG.PATH={self.runs}"]
        return ["--config_file", file, *own, *QUICK, *more]

    def entries(self) -> set[str]:
        """Recordings in the cache; the folder of unfinished ones must be empty."""
        assert not [file for file in self.cache.rglob(".writing/*")], "something half-written is left"
        return {file.parent.name for file in self.cache.rglob("entry.json")}

    def replace(self, name: str, content: bytes) -> None:
        """Another content for a file of the victim; the original, of which this is a hard link, stays."""
        (self.victim / name).unlink()
        (self.victim / name).write_bytes(content)


def filled_place(tmp_path_factory) -> Place:
    """The undamaged place, its cache filled."""
    place = Place(tmp_path_factory.mktemp("whole"))
    write_layout("UBFC-rPPG", place.data, SMALL)
    assert main.main(place.arguments("TOOLBOX_MODE=preprocess")) == 0
    assert place.entries() == {"subject1", "subject2", "subject3"}
    return place


def damageable_place(whole, tmp_path) -> Place:
    """A copy to damage, in whose cache the victim is missing."""
    shutil.copytree(whole.data, tmp_path / "UBFC-rPPG", copy_function=os.link)
    shutil.copytree(whole.cache, tmp_path / "cache")
    copied = Place(tmp_path)
    for path in [*copied.cache.rglob(VICTIM), *copied.cache.rglob(f"{VICTIM}.json")]:
        shutil.rmtree(path) if path.is_dir() else path.unlink()
    return copied


def refusing_run(capsys):
    """Run a command line that must end with one message; returns all that was printed."""

    def run(arguments: list[str], *words: str, code: int = 1) -> str:
        capsys.readouterr()
        found = main.main(arguments)
        printed = capsys.readouterr()
        assert found == code, printed.err or printed.out[-2000:]
        assert "Traceback" not in printed.out + printed.err
        starts = [match.start() for match in re.finditer(r"^Error: ", printed.err, re.MULTILINE)]
        assert len(starts) == 1, "one message"
        message = printed.err[starts[0] :]
        for word in words:
            assert word in message
        return printed.out + printed.err

    return run


def with_weights(place: Place, weights: Path) -> list[str]:
    """The command line that tests PhysNet with these weights."""
    arguments = place.arguments(file=PHYSNET, section="TEST")
    return [*arguments, f"INFERENCE.MODEL_PATH={weights}", "DEVICE=cpu"]
