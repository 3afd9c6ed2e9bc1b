"""What is wrong with a multimodal set: python tools/multimodal/validate.py --root DIR

Structure, clocks, counts and units of every recording, a line for each fault. Exit code 0 without errors (notes may
be there), 2 with any.
"""

import argparse
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))  # run as a file, from any folder

from dataset.files.names import plural
from dataset.multimodal.checks import ERROR, check_set
from dataset.program import BAD_INPUT, answer


def main(arguments: list[str] | None = None) -> int:
    """Check the set; 2 where anything is wrong with it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--root", type=Path, required=True, help="folder with dataset.json and s001/r01 ...")
    asked = parser.parse_args(arguments)
    return answer(lambda: validate(asked.root))


def validate(root: Path) -> int:
    """Print what was found; the exit code."""
    found, faults = check_set(root)
    for fault in faults:
        print(fault)
    errors = sum(fault.level == ERROR for fault in faults)
    print(f"{plural(len(found), 'recording')}: {plural(errors, 'error')}, {plural(len(faults) - errors, 'note')}.")
    return BAD_INPUT if errors else 0


if __name__ == "__main__":
    sys.exit(main())
