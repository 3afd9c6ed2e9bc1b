"""All devices of a multimodal set on one time axis: python tools/multimodal/align.py --root DIR

Each recording gets aligned/aligned.h5, aligned/report.html and the results in its meta.json. Exit code 2 where a
recording cannot be aligned or its clocks are not to be trusted (`sync_ok: false`): it is then left out of default
splits, and nothing else is lost.
"""

import argparse
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))  # run as a file, from any folder

from dataset.faults import is_own
from dataset.files.names import plural
from dataset.files.writing import write_whole
from dataset.multimodal.align import Aligned, align
from dataset.multimodal.checks import ERROR, SET, Fault, check_set, name_of
from dataset.multimodal.layout import ALIGNED, Session
from dataset.program import BAD_INPUT, answer


def main(arguments: list[str] | None = None) -> int:
    """Align the set; 2 where a recording of it is not to be trusted."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--root", type=Path, required=True, help="folder with dataset.json and s001/r01 ...")
    parser.add_argument(
        "--size", type=int, nargs=2, metavar=("WIDTH", "HEIGHT"), help="of the RGB pictures in the file"
    )
    parser.add_argument("--again", action="store_true", help="also recordings that are aligned already")
    asked = parser.parse_args(arguments)
    return answer(lambda: run(asked.root, tuple(asked.size) if asked.size else None, asked.again))


def run(root: Path, size: tuple[int, int] | None, again: bool) -> int:
    """Align what is not yet; the exit code."""
    if size is not None and not all(16 <= side <= 8192 for side in size):
        raise ValueError(f"--size is {size[0]} {size[1]}; use 16 to 8192 pixels on each side.")
    found, faults = check_set(root)
    errors = [fault for fault in faults if fault.level == ERROR]
    bad = 0
    for session in found:
        name = name_of(session)
        if (session.path / ALIGNED).exists() and not again:
            print(f"{name}: aligned before (--again makes it anew)")
            continue
        bad += not _one(session, name, size, [one for one in errors if f"{one.where}/".startswith(f"{name}/")])
    of_set = [fault for fault in errors if fault.where == SET]
    print(*of_set, f"{plural(len(found), 'recording')}: {bad} not to be trusted or not aligned.", sep="\n")
    return BAD_INPUT if bad or of_set else 0


def _one(session: Session, name: str, size: tuple[int, int] | None, faults: list[Fault]) -> bool:
    """Align one recording, in which checking has found `faults`, and say how; whether it can be trusted."""
    from tools.multimodal.page import page  # it draws with what stands above the data

    begin = time.monotonic()
    try:
        found = align(session, size, [f"{fault.where}: {fault.kind}: {fault.words}" for fault in faults])
    except (ValueError, OSError) as error:
        if is_own(error):
            raise
        print("\n".join(map(str, faults)) or f"error: {name}: {error}")  # what follows from a fault says less
        return False
    write_whole(session.path / ALIGNED.replace("aligned.h5", "report.html"), page(found))
    print(f"{name}: {found.t[-1]:.1f} s in {time.monotonic() - begin:.1f} s; {_clocks(found)}")
    for problem in found.problems:
        print(f"error: {name}: sync_ok: false: {problem}")
    for note in found.notes:
        print(f"note: {name}: {note}")
    return found.ok


def _clocks(found: Aligned) -> str:
    return ", ".join(
        f"{device} {1000 * one.offset:+.1f} ms {one.drift_ppm:+.1f} ppm" for device, one in found.synced.items()
    )


if __name__ == "__main__":
    sys.exit(main())
