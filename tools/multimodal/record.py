"""Record several sensors at once: python tools/multimodal/record.py --root DATA --subject s001 --setup setup.yaml

One process per device, one clock, files that survive a kill. --simulate records four devices that are not there, to
rehearse. --finish FOLDER turns what a killed recording left into a valid one. Ctrl+C ends a recording in order.
docs/multimodal_recording.md has the setup file, the drivers and the page; docs/multimodal_protocol.md how to collect.
Exit code 1 where a device failed, 2 for input that cannot be used.
"""

import argparse
import contextlib
import os
import signal
import sys
import uuid
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent.parent))  # run as a file, from any folder

from dataset.files.locks import TakenError
from dataset.multimodal.bursts import PERIOD
from dataset.program import answer
from registry import import_plugin
from tools.multimodal.console import Console
from tools.multimodal.dataset_files import add_subject
from tools.multimodal.finish import finish
from tools.multimodal.recorder import Recorder
from tools.multimodal.setup import read_setup, require_name, simulated

NICE = -10  # of 20 to -20


def main(arguments: list[str] | None = None) -> int:
    """Record or finish what is named."""
    asked = parser().parse_args(arguments)
    return answer(lambda: run(asked))


def parser() -> argparse.ArgumentParser:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add = parser.add_argument
    add("--root", type=Path, help="folder of the data set; made where it is missing")
    add("--subject", default="s001", help="pseudonym and folder (s001)")
    add("--recording", help="folder of the recording (the next free: r01, r02 ...)")
    add("--setup", type=Path, help="YAML file that names the devices")
    add("--simulate", action="store_true", help="four simulated devices in place of a setup")
    add("--marks_every", type=float, default=PERIOD, metavar="S", help="with --simulate: s between two marks (60)")
    add("--seconds", type=float, default=0.0, help="how long (until Ctrl+C)")
    add(
        "--page", nargs="?", const=0, type=int, metavar="PORT", help="a page with everything live, on this machine only"
    )
    add("--lsl", action="store_true", help="offer signals and frame numbers on the Lab Streaming Layer (pylsl)")
    add("--priority", action="store_true", help="run before other programs; takes root, or the right CAP_SYS_NICE")
    add("--quiet", action="store_true", help="no live lines")
    add("--plugin", type=Path, action="append", default=[], metavar="FILE", help="file or folder with further drivers")
    add("--finish", type=Path, metavar="FOLDER", help="make a killed recording valid")
    return parser


def run(asked: argparse.Namespace) -> int:
    """Do what is asked; an exit code."""
    try:
        if asked.finish:
            finish(asked.finish)
            return 0
        return record(asked)
    except TakenError as error:
        raise ValueError(str(error)) from None


def record(asked: argparse.Namespace) -> int:
    """Record what the setup names."""
    for plugin in asked.plugin:
        import_plugin(plugin)
    if asked.root is None or (asked.setup is None) == (not asked.simulate):
        raise ValueError("A recording needs --root DATA, and --setup FILE or --simulate: one of both.")
    if not 0 <= asked.seconds < 1e6:
        raise ValueError(f"--seconds {asked.seconds:g}: from 0 (until Ctrl+C) to 1000000.")
    setup = read_setup(asked.setup) if asked.setup else simulated(asked.marks_every)
    subject = require_name(asked.subject, "--subject")
    name = require_name(asked.recording or next_free(asked.root / subject), "--recording")
    values = {"id": f"{subject}-{name}-{uuid.uuid4().hex[:8]}", "subject": subject, "recording": name}
    recorder = Recorder(setup, asked.root / subject / name, values, plugins=tuple(asked.plugin))
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: recorder.stop())
    recorder.require_place()
    if asked.priority and not prefer():
        print("The system gives no priority (that takes root, or CAP_SYS_NICE): it records without.", file=sys.stderr)
    console = Console(recorder, asked.quiet, asked.page, asked.lsl)
    add_subject(asked.root, subject)
    try:
        failed = recorder.record(asked.seconds, console.tick)
    finally:
        console.close()
    return 1 if failed else 0


def prefer() -> bool:
    """Whether this process and those that it starts come before others from now on."""
    try:
        os.setpriority(os.PRIO_PROCESS, 0, NICE)
        with contextlib.suppress(FileNotFoundError):
            Path("/proc/self/autogroup").write_text(str(NICE))  # counts where sessions share the processor evenly
    except OSError:
        return False
    return True


def next_free(folder: Path) -> str:
    """The first of r01, r02 ... that is not there."""
    return next(name for number in range(1, 10_000) if not (folder / (name := f"r{number:02d}")).exists())


if __name__ == "__main__":
    sys.exit(main())
