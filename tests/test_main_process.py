"""The command line as a process of its own: plug-ins, folders, signals, a reader that leaves, what it imports."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

import main
from tests.conftest import ROOT
from tests.main_tools import classical_file

x = pytest.fixture(classical_file)


def run_main(*arguments: str, cwd: Path = ROOT) -> subprocess.CompletedProcess:
    """The real program in a new process."""
    command = [sys.executable, str(ROOT / "main.py"), *arguments]
    return subprocess.run(command, cwd=cwd, capture_output=True, text=True, timeout=120)


def test_a_plugin_adds_a_method_without_touching_the_toolbox(tmp_path, x):
    """Its registration counts in that run."""
    (tmp_path / "plug_mine.py").write_text(
        "from registry import UNSUPERVISED\n\n"
        "@UNSUPERVISED.register('MINE')\ndef mine(rgb, fs):\n    return rgb[:, 1]\n"
    )
    arguments = ["--check", str(x), "UNSUPERVISED.METHOD=[MINE]"]
    assert run_main(*arguments).returncode == 1
    done = run_main("--plugin", str(tmp_path), *arguments)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "no such folder or .py file" in run_main("--plugin", "nowhere", "--list").stderr


def test_it_works_from_any_working_directory(tmp_path):
    """Files of the toolbox are found; BASE starts from the file that names it."""
    done = run_main("--check", str(ROOT / "configs" / "demo" / "tscan.yaml"), cwd=tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr


def test_ctrl_c_exits_with_130(tmp_path, x):
    """No traceback, and the next start continues."""
    (tmp_path / "plug_wait.py").write_text("import time\nprint('waiting', flush=True)\ntime.sleep(60)\n")
    command = [sys.executable, str(ROOT / "main.py"), "--plugin", str(tmp_path / "plug_wait.py"), "--list"]
    process = subprocess.Popen(
        command,
        cwd=tmp_path,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # a shell's background jobs ignore it
    )
    assert process.stdout.readline() == "waiting\n"
    time.sleep(0.2)
    os.kill(process.pid, signal.SIGINT)
    _, err = process.communicate(timeout=30)
    assert process.returncode == 130
    assert "Traceback" not in err


@pytest.mark.parametrize("arguments", [("--list",), ("--help",), ("--check", "configs/demo", "--debug")])
def test_it_ends_silently_when_its_reader_leaves(arguments):
    """`main.py --list | head` shows a beginning, not a broken pipe."""
    command = [sys.executable, "-u", str(ROOT / "main.py"), *arguments]
    process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    process.stdout.close()
    err = process.stderr.read()
    assert (process.wait(timeout=120), err) == (141, "")


def test_a_run_ends_silently_too_and_blames_no_recording(tmp_path, monkeypatch):
    """The error of the pipe is none of the data's: what catches damaged recordings must not catch it."""
    read, write = os.pipe()
    os.close(read)
    out = main.Printed(os.fdopen(write, "w"))
    with pytest.raises(main.ReaderGone):
        try:
            print("a line", file=out, flush=True)
        except Exception as error:
            pytest.fail(f"passed for {error!r}")
    with pytest.raises(main.ReaderGone):
        out.flush()
    os.dup2(os.open(os.devnull, os.O_WRONLY), out.fileno())


WITHOUT_TORCH = """
import sys

class Missing:
    def find_spec(self, name, path=None, target=None):
        if name == "torch":
            raise ModuleNotFoundError("No module named 'torch'", name="torch")

sys.meta_path.insert(0, Missing())
import main
sys.exit(main.main(["--list"]))
"""


def test_names_are_listed_without_torch():
    """Only the networks are left out, and it is said why."""
    done = subprocess.run([sys.executable, "-c", WITHOUT_TORCH], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "Data sets (DATASET): BP4DPlus" in done.stdout and "Metrics (METRICS): CCC, MACC" in done.stdout
    assert "neural_methods.trainer.tscan is not available: package 'torch' is not installed" in done.stdout


LISTED = "import sys, main; main.main(['--list']); sys.exit('torch' in sys.modules or 'scipy' in sys.modules)"


def test_a_list_of_names_imports_none_of_them():
    """Neither a network nor a library of signals is needed to say what they are called: half a second, not four."""
    done = subprocess.run([sys.executable, "-c", LISTED], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "Neural methods (MODEL.NAME): BigSmall" in done.stdout
