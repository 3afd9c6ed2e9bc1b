"""The recorder with four simulated devices: samples, losses, processor time, memory, bytes on the disk.

    python -m tools.benchmark.recording --root DIR --seconds 600
    python -m tools.benchmark.recording --root DIR --kills 10     # what kill -9 at random moments costs

RGB 640 x 480 at 30 frames per second, thermal 9, radar 20, PPG 100 Hz. What it records is removed afterwards, unless
--keep. Processor time includes that of simulating the devices, which is measured apart for the camera.
"""

import argparse
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np
import psutil

from config import ROOT
from dataset.multimodal.checks import ERROR, check_set
from dataset.multimodal.layout import Session
from tools.multimodal.simulated.body import CLOCK
from tools.multimodal.simulated.cameras import FaceCamera

PROGRAM = ROOT / "tools" / "multimodal" / "record.py"
EVERY = 5.0  # s between two looks at the memory
RATES = {"rgb": 30.0, "thermal": 9.0, "radar": 20.0, "ppg": 100.0}


def main() -> None:
    """Record, and print what it took."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--root", type=Path, required=True)
    parser.add_argument("--seconds", type=float, default=600.0)
    parser.add_argument("--keep", action="store_true")
    parser.add_argument("--kills", type=int, default=0)
    asked, more = parser.parse_known_args()
    if asked.kills:
        return kills(asked.root, asked.kills)
    command = [sys.executable, str(PROGRAM), "--root", str(asked.root), "--simulate", "--seconds", str(asked.seconds)]
    process = subprocess.Popen([*command, "--recording", "measured", *more])
    memory: list[float] = []
    watcher = threading.Thread(target=watch, args=(process.pid, memory), daemon=True)
    watcher.start()
    _, status, usage = _wait(process)
    folder = asked.root / "s001" / "measured"
    print(json.dumps(found(folder, asked.seconds) | {
        "exit code": status,
        "processor share of one core": round((usage.ru_utime + usage.ru_stime) / asked.seconds, 3),
        "of it for simulating the camera, about": round(30 * camera_seconds(), 3),
        "MB of memory at the beginning, in the middle, at the end, most": [
            round(one) for one in (memory[1], memory[len(memory) // 2], memory[-2], max(memory))
        ],
    }, indent=1))  # fmt: skip
    if not asked.keep:
        shutil.rmtree(folder)


def _wait(process: subprocess.Popen) -> tuple:
    return os.wait4(process.pid, 0)


def kills(root: Path, count: int) -> None:
    """Kill recorders with all their processes, finish what they leave, check it; print what each device has lost."""
    chance, lost = random.Random(1), []
    for number in range(count):
        folder = root / "s001" / f"killed{number}"
        command = [sys.executable, str(PROGRAM), "--root", str(root), "--simulate", "--recording", folder.name]
        process = subprocess.Popen([*command, "--quiet"], preexec_fn=os.setpgrp)  # not a session: it keeps its priority
        while not all((folder / name / "timestamps.csv").exists() for name in RATES):
            time.sleep(0.05)
        time.sleep(chance.uniform(1, 8))
        moment = time.monotonic_ns()
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        subprocess.run([sys.executable, str(PROGRAM), "--finish", str(folder)], check=True)
        session, (_, faults) = Session(folder), check_set(root)
        lost.append({name: round(float(moment - session.stamps(name).host[-1]) / 1e9, 3) for name in RATES})
        print(lost[-1], [str(one) for one in faults if one.level == ERROR and "marks" not in str(one)], flush=True)
        shutil.rmtree(folder)
    print("most, s:", {name: max(one[name] for one in lost) for name in RATES})


def watch(pid: int, memory: list[float]) -> None:
    """Memory (MB, shared pages counted once) of the process and all it started, every few seconds."""
    while True:
        total = 0
        try:
            one = psutil.Process(pid)
            for each in (one, *one.children(recursive=True)):
                total += each.memory_full_info().pss
        except psutil.Error:
            return
        memory.append(total / 1e6)
        time.sleep(EVERY)


def found(folder: Path, seconds: float) -> dict:
    """Samples and what was lost, per device; bytes."""
    session = Session(folder)
    devices = {}
    for name, rate in RATES.items():
        stamps = session.stamps(name)
        steps = np.diff(stamps.device) / 1e9 * rate
        devices[name] = {
            "samples": len(stamps),
            "left out, by the device's clock": int(np.maximum(np.round(steps) - 1, 0).sum()),
            "counts": {key: one for key, one in session.meta.devices[name]["counts"].items() if one},
            "longest delay of a sample, ms": round(float(np.ptp(stamps.host - stamps.device) / 1e6), 1),
        }
    size = sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
    return {"devices": devices, "GB": round(size / 1e9, 3), "MB per s": round(size / seconds / 1e6, 2)}


def camera_seconds() -> float:
    """Processor seconds of one simulated picture of 640 x 480."""
    camera = FaceCamera({"width": 640, "height": 480, "fps": 30.0, **CLOCK})
    begun = time.process_time()
    for camera.index in range(60):
        camera.picture(camera.taken)
    return (time.process_time() - begun) / 60


if __name__ == "__main__":
    main()
