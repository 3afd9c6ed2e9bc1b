"""Published data sets as windows of a task: python tools/prepare_downstream.py --dataset NAME --raw DIR --out DIR

OUT gets {train,val,test}_{features,labels,subjects,recordings}.npy and meta.json, which DATASET: Downstream reads.
Signals are brought to 125 Hz with a low-pass, windows are cut or padded to 10 s. Nobody is in two parts. What each data
set's files look like is at the top of dataset/prepare/downstream/<name>.py.

    ppg_dalia_hr  ppg_dalia_rr  bidmc_hr  bidmc_rr  uci_bp  ptb-xl  csn  physionet2017
"""

import argparse
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))  # run as a file, from any folder

from dataset.files.lookup import listed
from dataset.files.names import plural
from dataset.prepare.downstream.common import FS, RESIZES, Done, Options, prepare
from dataset.program import answer
from registry import PREPARATIONS


def main(arguments: list[str] | None = None) -> int:
    """Prepare; 2 and one sentence for what cannot be."""
    asked = parser().parse_args(arguments)
    options = Options(
        asked.rate, asked.resize, asked.seed, asked.label_unit, asked.mode, asked.breaths, asked.annotator,
        asked.drop_unlabelled,
    )  # fmt: skip
    return answer(lambda: run(asked.dataset, asked.raw, asked.out, options))


def parser() -> argparse.ArgumentParser:
    """The flags."""
    made = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    made.add_argument("--dataset", required=True, metavar="NAME", help="one of those above")
    made.add_argument("--raw", type=Path, required=True, metavar="DIR", help="the unpacked data set")
    made.add_argument("--out", type=Path, required=True, metavar="DIR", help="folder to write")
    made.add_argument("--rate", type=float, default=FS, metavar="HZ", help="of the windows; 0: as recorded (125)")
    made.add_argument(
        "--resize", choices=RESIZES, default="crop", help="stretch: as if every window lasted 10 s, as CM-SSL has it"
    )
    made.add_argument("--seed", type=int, default=42, help="of the draw of people (%(default)s)")
    made.add_argument("--label_unit", choices=("", "hz"), default="", help="hz: ppg_dalia_rr in Hz, as CM-SSL has it")
    made.add_argument("--mode", choices=("windows", "padded"), default="windows", help="padded: physionet2017 to 61 s")
    made.add_argument(
        "--breaths", choices=("intervals", "counts"), default="intervals", help="bidmc_rr; counts go in steps of 6"
    )
    made.add_argument("--annotator", type=int, choices=(1, 2), default=1, help="whose breaths, bidmc_rr")
    made.add_argument("--drop_unlabelled", action="store_true", help="ptb-xl: leave out what has no superclass")
    return made


def run(name: str, raw: Path, out: Path, options: Options) -> int:
    """Prepare one data set and say what came of it."""
    name = name if name in PREPARATIONS else name.replace("_", "-") if name.replace("_", "-") in PREPARATIONS else name
    if name not in PREPARATIONS:
        raise ValueError(f"--dataset {name!r} is not known. {PREPARATIONS.hint(name)}")
    if options.rate < 0 or 0 < options.rate < 10:
        raise ValueError(f"--rate {options.rate:g} is too low for a pulse. Give at least 10 Hz, or 0 for as recorded.")
    tell(prepare(name, raw, out, options), out)
    return 0


def tell(done: Done, out: Path) -> None:
    """What was written, dropped and skipped."""
    parts = ", ".join(
        f"{part} {plural(one['windows'], 'window')} of {plural(one['subjects'], 'subject')}"
        for part, one in done.counts.items()
    )
    print(f"{out}: {parts}. {plural(done.dropped, 'window')} without a label or with NaN dropped.")
    for note in done.notes:
        print(f"Note: {note}")
    if done.skipped:
        reason = next(iter(done.skipped.values()))
        print(f"Skipped {plural(len(done.skipped), 'recording')} ({listed(list(done.skipped))}): {reason}")


if __name__ == "__main__":
    sys.exit(main())
