"""What the tests of recording share: small simulated devices, and a recorder as a process."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import yaml

from tests.conftest import ROOT

PROGRAM = ROOT / "tools" / "multimodal" / "record.py"
SMALL = {  # cheap enough for a machine that does other things
    "rgb": {"driver": "simulated rgb", "width": 160, "height": 120, "fps": 15.0, "settle_s": 0.2},
    "thermal": {"driver": "simulated thermal"},
    "radar": {"driver": "simulated radar", "chirps": 2, "samples": 64},
    "ppg": {"driver": "simulated ppg"},
}


def setup_file(folder: Path, devices: dict = SMALL, **other) -> Path:
    """A setup with these devices."""
    path = folder / "setup.yaml"
    path.write_text(yaml.safe_dump({"devices": devices, "scenario": {"light": "lamp"}, **other}))
    return path


def started(*arguments: object) -> subprocess.Popen:
    """The recorder as a process with children of its own, to be killed together; before other programs, if it may."""
    command = [sys.executable, str(PROGRAM), *map(str, arguments), "--priority"]
    return subprocess.Popen(
        command, cwd=ROOT, start_new_session=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )


def kill_all(process: subprocess.Popen) -> None:
    """End the recorder and all that it has started, at once and without a word."""
    os.killpg(process.pid, signal.SIGKILL)
    process.communicate(timeout=20)


def wait_for(path: Path, bytes_: int = 1, seconds: float = 60.0) -> None:
    """Until the file has so many bytes."""
    until = time.monotonic() + seconds
    while not (path.exists() and path.stat().st_size >= bytes_):
        assert time.monotonic() < until, f"{path} did not come"
        time.sleep(0.02)


def take(device, count: int, seconds: float = 20.0) -> list:
    """`count` samples of an open and started device."""
    found, until = [], time.monotonic() + seconds
    while len(found) < count:
        assert time.monotonic() < until, f"{len(found)} of {count} samples came"
        found += device.read()
    return found[:count]
