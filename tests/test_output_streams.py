"""What cannot be printed stops nothing: other encodings, closed outputs, readers that leave. Through main.py."""

import os
import subprocess
import sys

import numpy as np
import pytest

from tests.video_tools import moving_face, write_video
from tools.kill_preprocessing import ROOT

FRAMES, NAMES, BAD = 330, ("张伟", "b"), "坏"
SECTION = "UNSUPERVISED.DATA."


@pytest.fixture(scope="module")
def raw(tmp_path_factory):
    """Two videos with labels, one with a Chinese name, and a file that is none, with one."""
    folder = tmp_path_factory.mktemp("raw")
    for seed, name in enumerate(NAMES):
        write_video(folder / f"{name}.mp4", moving_face(FRAMES, seed=seed), "h264")
        rows = np.stack([np.arange(FRAMES) / 30, np.sin(np.arange(FRAMES) / 4)], axis=1)
        np.savetxt(folder / f"{name}.csv", rows, delimiter=",", header="time,ppg", comments="")
    (folder / f"{BAD}.mp4").write_bytes(b"no video")
    return folder


def command(kind: str, raw, folder) -> list[str]:
    """A run over `raw` that goes on without what cannot be read."""
    small = {
        "DATASET": "Folder", "DATA_PATH": raw, "PREPROCESS.CROP_FACE.DO_CROP_FACE": False, "PREPROCESS.RESIZE.W": 16,
        "PREPROCESS.RESIZE.H": 16, "PREPROCESS.LABEL_TYPE": "Raw",
    }  # fmt: skip
    general = {"TOOLBOX_MODE": "unsupervised_method", "UNSUPERVISED.METHOD": "[POS]", "UNSUPERVISED.METRICS": "[MAE]"}
    (folder / "x.yaml").write_text("SEED: 1\n")
    lines = {
        "classical": ["--config_file", str(folder / "x.yaml")],
        "doctor": ["--config_file", str(folder / "x.yaml"), "--doctor"],
        "video": ["--video", str(raw)],
    }
    settings = {"LOG.PATH": folder / "log", f"{SECTION}CACHED_PATH": folder / "cache", "ALLOW_INCOMPLETE": True}
    settings |= {} if kind == "video" else {**general, **{f"{SECTION}{key}": value for key, value in small.items()}}
    return [sys.executable, "main.py", *lines[kind], "PREPROCESS_WORKERS=2", *(f"{k}={v}" for k, v in settings.items())]


KINDS = ["classical", *(pytest.param(name, marks=pytest.mark.slow) for name in ("doctor", "video"))]


@pytest.mark.parametrize("kind", KINDS)
def test_names_that_the_terminal_does_not_know_are_spelt_out(kind, raw, tmp_path):
    """Under Latin-1, from workers, too; only the file that is no video fails."""
    environment = {**os.environ, "PYTHONIOENCODING": "latin-1"}
    done = subprocess.run(command(kind, raw, tmp_path), cwd=ROOT, env=environment, capture_output=True)
    said = done.stdout.decode("latin-1")
    assert done.returncode == (3 if kind == "doctor" else 0), done.stderr
    assert "\\u574f" in said and "2 done" in said and "1 failed" in said
    assert b"Traceback" not in done.stderr and b"UnicodeEncodeError" not in done.stderr and b"Glyph" not in done.stderr


@pytest.mark.parametrize("kind", KINDS)
def test_closed_outputs_are_no_fault(kind, raw, tmp_path):
    """`>&- 2>&-`: the run does its work, and what it writes holds nothing that was printed."""

    def close():
        os.close(1), os.close(2)

    done = subprocess.run(command(kind, raw, tmp_path), cwd=ROOT, preexec_fn=close)
    assert done.returncode == (3 if kind == "doctor" else 0)
    written = list((tmp_path / "log").rglob("doctor.html" if kind == "doctor" else "report.md"))
    assert len(written) == 1 and "not (wholly) in the cache" not in written[0].read_text(encoding="utf-8")


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["classical", "doctor", "video"])
def test_a_reader_that_leaves_ends_the_run_without_a_word(kind, raw, tmp_path):
    """`| head -1`; the same command then does its work."""
    process = subprocess.Popen(
        [sys.executable, "-u", *command(kind, raw, tmp_path)[1:]],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    process.stdout.readline()
    process.stdout.close()
    assert (process.stderr.read(), process.wait(timeout=120)) == (b"", 141)
    done = subprocess.run(command(kind, raw, tmp_path), cwd=ROOT, capture_output=True)
    assert done.returncode == (3 if kind == "doctor" else 0)
