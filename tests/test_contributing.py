"""The examples of CONTRIBUTING.md run as they are printed, on files made as their docstrings say."""

import re
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest

from dataset.data_loader.base import BaseLoader, Signal
from dataset.faults import ProgramFault
from dataset.prepare.checks import check_returned
from tests.conftest import ROOT

RATE, SECONDS = 72.0, 20.0  # bpm of every made recording, s
REGISTERED = re.compile(r'@(\w+)\.register\("([^"]+)"')
BLOCKS = re.findall(r"^```python\n(.*?)^```", (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8"), re.M | re.S)
EXAMPLES = {match[2]: (match[1], block) for block in BLOCKS for match in REGISTERED.finditer(block)}
VIDEO = [name for name, (kind, text) in EXAMPLES.items() if kind == "DATASETS" and "def read_video" in text]


def run(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """`main.py` with these arguments, in `folder`."""
    command = [sys.executable, str(ROOT / "main.py"), *arguments]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True)


def plugin(folder: Path, name: str) -> str:
    """The example that registers `name`, as a file."""
    path = folder / ("example_" + re.sub(r"\W", "_", name).lower() + ".py")
    path.write_text(EXAMPLES[name][1])
    return str(path)


def make_data(root: Path, text: str) -> None:
    """Every file of the lines `DATA_PATH/...  how it looks` of a docstring, for two people."""
    lines = re.findall(r"^\s*DATA_PATH/(\S+)\s+(.*)$", text, re.M)
    assert lines, "the docstring of a data set shows its files: DATA_PATH/p01/video.avi   640x480 at 30 fps"
    rates = re.findall(r"([\d.]+) Hz", text)
    for shown, looks in lines:
        for person in "12":
            path = root / re.sub(r"(?<=0)1(?=/)|(?<=\D)1(?=/)", person, shown)
            path.parent.mkdir(parents=True, exist_ok=True)
            if path.suffix in (".avi", ".mp4"):
                write_video(path, float(re.search(r"([\d.]+) fps", looks)[1]))
            else:
                write_table(path, re.findall(r"column \d+: (\w+)", looks), float(rates[0]) if rates else 30.0)


def write_video(path: Path, fs: float) -> None:
    """A grey wall whose colour beats."""
    writer = cv2.VideoWriter(
        str(path), cv2.VideoWriter_fourcc(*"MJPG" if path.suffix == ".avi" else "mp4v"), fs, (64, 48)
    )
    noise = np.random.default_rng(0).integers(0, 40, (48, 64, 1))
    for time in np.arange(0, SECONDS, 1 / fs):
        writer.write((noise + 100 + np.array([1, 4, 2]) * np.sin(2 * np.pi * RATE / 60 * time)).astype(np.uint8))
    writer.release()


def write_table(path: Path, columns: list[str], fs: float) -> None:
    """Numbers in columns: the time, or the pulse."""
    assert columns, f"the docstring says what is in {path.name}: column 0: time (s), column 1: PPG"
    times = np.arange(0, SECONDS, 1 / fs)
    values = [times if name == "time" else np.sin(2 * np.pi * RATE / 60 * times) for name in columns]
    np.savetxt(path, np.stack(values, axis=1), delimiter=",")


@pytest.mark.parametrize("name", VIDEO)
def test_a_data_set_of_the_page_is_read_and_judged(tmp_path, name):
    """Copied to a file, named by --plugin: the rate that its files hold is found in them."""
    make_data(tmp_path / "raw", EXAMPLES[name][1])
    places = ["LOG.PATH=runs", "CACHED_PATH=cache", "DATA_PATH=raw", "PREPROCESS_WORKERS=1"]
    chosen = ["--config_file", str(ROOT / "configs/demo/own_videos.yaml"), f"DATASET={name}", "METHOD=[GREEN]"]
    done = run(tmp_path, "--plugin", plugin(tmp_path, name), *chosen, *places, "DO_CROP_FACE=False")
    assert done.returncode == 0, done.stdout + done.stderr
    errors = [float(found) for found in re.findall(r"FFT MAE \(FFT Label\): ([\d.]+)", done.stdout)]
    assert errors and max(errors) < 3, done.stdout


@pytest.mark.parametrize("name", EXAMPLES)
def test_an_example_of_the_page_registers_what_it_says(tmp_path, name):
    """Nothing beside the block is needed."""
    done = run(tmp_path, "--plugin", plugin(tmp_path, name), "--list")
    assert done.returncode == 0 and re.search(rf"\b{re.escape(name)}\b", done.stdout), done.stdout + done.stderr


def test_the_page_has_a_data_set():
    """The tests above are not empty."""
    assert VIDEO


FAULTY = '''"""Broken in two ways."""
import numpy as np
from dataset.data_loader.base import BaseLoader, Recording
from registry import DATASETS

@DATASETS.register("FAULTY")
class Faulty(BaseLoader):
    fs = 30.0
    def recordings(self, root):
        return [Recording(id=name, subject=name, path=root / name) for name in ("key", "text")]
    def read_video(self, recording):
        yield from np.zeros((90, 48, 64, 3), np.uint8)
    def read_wave(self, recording):
        return {}["ppg"] if recording.id == "key" else float("a")
'''


@pytest.mark.parametrize("debug", [[], ["--debug"]])
def test_a_loader_of_ones_own_is_told_its_line(tmp_path, debug):
    """File and line in the sentence; the traceback with --debug."""
    (tmp_path / "faulty.py").write_text(FAULTY)
    (tmp_path / "raw").mkdir()
    places = ["LOG.PATH=runs", "CACHED_PATH=cache", "DATA_PATH=raw", "PREPROCESS_WORKERS=1", "DO_CROP_FACE=False"]
    chosen = ["--config_file", str(ROOT / "configs/demo/own_videos.yaml"), "DATASET=FAULTY", "TOOLBOX_MODE=preprocess"]
    done = run(tmp_path, "--plugin", "faulty.py", *chosen, *places, *debug)
    printed = done.stdout.replace(f"{tmp_path}/", "")
    assert done.returncode and "KeyError: 'ppg' (faulty.py, line 14). If its file is damaged" in printed, printed
    assert "'raw/text': could not convert string to float: 'a' (faulty.py, line 14)" in printed
    assert "Copy or download" not in printed and done.stderr.count("Traceback") == 2 * len(debug)


class Mine(BaseLoader):
    """Declares a pulse."""

    def read_wave(self, recording):
        """Not called."""


@pytest.mark.parametrize(
    ("waves", "said"),
    [
        (np.zeros(9), "returned ndarray, but must return a dict, such as {'ppg': Signal(values, times=seconds)}"),
        ({"ppg": np.zeros(9)}, "returned ndarray as 'ppg', but must return a Signal"),
        ({"bvp": Signal(np.zeros(9))}, "'bvp', which Mine does not declare; declared: ppg."),
        (None, "returned NoneType"),
    ],
)
def test_what_read_wave_may_not_return(waves, said):
    """The loader's own line is named."""
    with pytest.raises(ProgramFault, match=r"^read_wave \(tests/test_contributing.py, line \d+\) returned") as error:
        check_returned(Mine(), waves)
    assert said in str(error.value)
