"""Is a result for blood pressure too good? python tools/bp_audit.py --npz_dir npz --labels_csv labels.csv

Looks for one signal under two ids, for ids that hold label values and, with --split_csv, for signals and people in two
parts of a split. With --train DIR it also trains three small networks: on a split by people, on a split by records
(which shows how much that flatters), and on shuffled labels (which none may predict better than their mean does).
Exit code 1 where something was found, 2 for input that cannot be used.
"""

import argparse
import csv
import io
import json
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))  # run as a file, from any folder

import numpy as np

from config import ROOT
from dataset.doctor import leaks
from dataset.files.lookup import listed
from dataset.files.names import plural
from dataset.files.reading import read_text
from dataset.files.windows import Windows
from dataset.files.writing import write_whole
from dataset.program import answer
from dataset.progress import show_progress
from evaluation.intervals import interval
from registry import DATASETS

TRAINER = ROOT / "train_bp.py"
ABOUT_PEOPLE = ("age", "sex", "bmi", "height", "weight")


def main(arguments: list[str] | None = None) -> int:
    """Examine what is named; 1 where something was found."""
    asked = parser().parse_args(arguments)
    return answer(lambda: audit(asked))


def parser() -> argparse.ArgumentParser:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add = parser.add_argument
    add("--npz_dir", type=Path, required=True, help="folder of the <ssoid>.npz files")
    add("--labels_csv", type=Path, required=True, help="the table of labels")
    add("--split_csv", type=Path, help="ssoid, split: as train_bp.py writes it")
    add("--channels", nargs="+", default=["ecg", "ppg"], help="what the columns of the files are (ecg ppg)")
    add("--train", type=Path, metavar="DIR", help="train the three networks, too; their folders")
    add("--target_cols", nargs="+", help="with --train: the pressures (those of the table)")
    add("--epochs", type=int, default=20, help="with --train (20)")
    add("--seed", type=int, default=666)
    add("--device", default="auto", help="with --train")
    return parser


def audit(asked: argparse.Namespace) -> int:
    """Print what was found, one check after the other."""
    windows = DATASETS["SignalFiles"]({"TABLE": str(asked.labels_csv), "CHANNELS": asked.channels}).read_windows(
        asked.npz_dir
    )
    parts = read_split(asked.split_csv) if asked.split_csv else {}
    subjects = dict(zip(windows.recordings, windows.subjects, strict=True))
    found = [*check_signals(windows, parts, subjects), *check_ids(windows), *check_people(parts, subjects)]
    for line in found:
        print(f"FOUND  {line}")
    if not found:
        people = plural(len(set(subjects.values())), "subject")
        print(f"Nothing was found in {plural(len(windows), 'record')} of {people}.")
    if asked.train:
        found += train(asked, windows)
    return 1 if found else 0


# --- What needs no training -----------------------------------------------------------------------------------------


def read_split(path: Path) -> dict[str, str]:
    """Record -> its part; ValueError for a file without the columns ssoid and split."""
    try:
        rows = list(csv.DictReader(io.StringIO(read_text(path))))
    except csv.Error as error:
        raise ValueError(f"'{path}' is no table: {error}.") from None
    if not rows or not {"ssoid", "split"} <= set(rows[0]):
        raise ValueError(f"'{path}' has no rows with the columns ssoid and split.")
    return {row["ssoid"]: row["split"] for row in rows}


def check_signals(windows: Windows, parts: dict[str, str], subjects: dict[str, str]) -> Iterator[str]:
    """One signal under two ids."""
    rows = [row for row in range(len(windows)) if row not in windows.unfit]
    ids = [windows.recordings[windows.of[row]] for row in rows]
    every, prints = range(len(windows.channels)), []
    for row in show_progress(rows, "Comparing signals", unit="records", keep=False):
        prints.append([leaks.fingerprint(one) for one in windows.read(row, every)])
    pairs = leaks.twins(ids, windows.channels, np.array(prints), lambda k: windows.read(rows[k], every))
    for what, chosen in (
        ("the same", [p for p in pairs if p.same]),
        ("nearly the same", [p for p in pairs if not p.same]),
    ):
        if not chosen:
            continue
        names = listed([f"{one.first} and {one.second} ({one.channel})" for one in chosen])
        across = [p for p in chosen if parts.get(p.first) and parts.get(p.first) != parts.get(p.second, parts[p.first])]
        others = sum(subjects[p.first] != subjects[p.second] for p in chosen)
        yield (
            f"{plural(len(chosen), 'pair')} of records with {what} signal: {names}. Of different subjects: {others}. "
            f"In different parts of the split: {len(across)}."
        )


def check_ids(windows: Windows) -> Iterator[str]:
    """Labels that can be read off the ids."""
    ids = [windows.recordings[number] for number in windows.of]
    for name, (share, chance) in leaks.labels_in_ids(ids, windows.targets).items():
        yield (
            f"{name} stands in {share:.0%} of the ids (by chance {chance:.0%}), such as {ids[0]!r}: prepare them with "
            "--pseudonymize_ids."
        )


def check_people(parts: dict[str, str], subjects: dict[str, str]) -> Iterator[str]:
    """People in several parts of the split."""
    both = leaks.on_both_sides(parts, subjects)
    if both:
        names = [f"{name} ({' and '.join(own)})" for name, own in both.items()]
        yield f"{plural(len(both), 'subject')} in several parts of the split: {listed(names)}."


# --- What needs training --------------------------------------------------------------------------------------------


def train(asked: argparse.Namespace, windows: Windows) -> list[str]:
    """Train the three networks and compare them; what is wrong."""
    if not TRAINER.is_file():
        raise FileNotFoundError(f"'{TRAINER}' is not there, which --train runs.")
    pressures = [name for name in windows.targets if name not in ABOUT_PEOPLE]
    targets = asked.target_cols or pressures
    results = {}
    for name, table in tables(asked, windows, targets).items():
        print(f"Training: {name}", flush=True)
        results[name] = run(asked, asked.train / name, table, targets)
    print_results(results, targets)
    counts = Counter(windows.subjects)
    several = sum(count for count in counts.values() if count > 1)
    print(f"{plural(several, 'record')} are of people with several: only these can flatter a split by records.")
    return list(too_good(results["shuffled"], targets))


def tables(asked: argparse.Namespace, windows: Windows, targets: Sequence[str]) -> dict[str, Path]:
    """Name of each training -> its table of labels."""
    ids = [windows.recordings[number] for number in windows.of]
    people = [windows.subjects[number] for number in windows.of]
    values = np.stack([windows.targets[name] for name in targets], axis=1)
    mixed = values[np.random.default_rng(asked.seed).permutation(len(values))]
    made = {"by_people": (people, values), "by_records": (ids, values), "shuffled": (people, mixed)}
    about = [name for name in ABOUT_PEOPLE if name in windows.targets]
    found = {}
    for name, (subjects, pressures) in made.items():
        found[name] = asked.train / f"{name}.csv"
        write_rows(found[name], ["ssoid", *targets, "subject"], zip(ids, *pressures.T, subjects, strict=True))
        columns = [windows.targets[one] for one in about]
        write_rows(asked.train / f"{name}_people.csv", ["ssoid", *about], zip(ids, *columns, strict=True))
    return found


def write_rows(path: Path, names: Sequence[str], rows: Any) -> None:
    """A CSV file."""
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows([names, *rows])
    write_whole(path, text.getvalue())


def run(asked: argparse.Namespace, out: Path, table: Path, targets: Sequence[str]) -> dict[str, Any]:
    """One training of the small network by train_bp.py; its predictions for the test, and the mean of its training."""
    command = [sys.executable, str(TRAINER), "--npz_dir", str(asked.npz_dir), "--labels_csv", str(table)]
    command += ["--out_dir", str(out), "--encoder", "small", "--epochs", str(asked.epochs), "--seed", str(asked.seed)]
    command += ["--device", asked.device, "--target_cols", *targets]
    done = subprocess.run(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    if done.returncode:
        raise ValueError(f"train_bp.py ended with code {done.returncode}: {done.stderr.strip().splitlines()[-1:]}.")
    rows = list(csv.DictReader(io.StringIO(read_text(out / "test_predictions.csv"))))
    subjects = dict(csv_pairs(table))
    return {
        "subjects": [subjects[row["ssoid"]] for row in rows],
        "stats": json.loads(read_text(out / "target_stats.json")),
        **{t: np.array([[float(row[f"{t}_{what}"]) for row in rows] for what in ("true", "pred")]) for t in targets},
    }


def csv_pairs(table: Path) -> Iterator[tuple[str, str]]:
    """(record, person) of each row."""
    for row in csv.DictReader(io.StringIO(read_text(table))):
        yield row["ssoid"], row["subject"]


def errors(result: dict[str, Any], target: str) -> tuple[np.ndarray, np.ndarray]:
    """Absolute errors (n,) of the network, and of the mean of its training data."""
    true, predicted = result[target]
    return np.abs(predicted - true), np.abs(result["stats"][target]["mu"] - true)


def print_results(results: dict[str, dict[str, Any]], targets: Sequence[str]) -> None:
    """MAE of each training beside the mean predictor's, and how much a split by records flatters."""
    print("\nTest MAE in mmHg (network / mean of the training data)")
    for target in targets:
        cells = {name: tuple(float(e.mean()) for e in errors(one, target)) for name, one in results.items()}
        shown = ", ".join(f"{name} {own:.2f} / {mean:.2f}" for name, (own, mean) in cells.items())
        shares = {name: own / mean for name, (own, mean) in cells.items()}
        gain = 100 * (shares["by_people"] - shares["by_records"])
        flatters = f"flatters by {gain:.0f} % of the mean's error" if gain >= 0.5 else "does not flatter here"
        print(f"  {target}: {shown}. The split by records {flatters}.")


def too_good(result: dict[str, Any], targets: Sequence[str]) -> Iterator[str]:
    """Targets whose shuffled labels are predicted better than their mean does: the network saw them elsewhere."""
    people = np.unique(result["subjects"], return_inverse=True)[1]
    for target in targets:
        own, mean = errors(result, target)
        low, high = interval(lambda weights, of=mean: weights @ of / weights.sum(axis=-1), people, people.max() + 1)
        said = f"{target}, shuffled: {own.mean():.2f}, mean predictor {mean.mean():.2f}"
        if not np.isfinite(low):
            print(f"  {said}: not judged, an interval needs three people in the test.")
            continue
        said += f" ({low:.2f} to {high:.2f})"
        if own.mean() < low:
            yield said
            print(f"FOUND  {said}: better than can be without a leak.")
        else:
            print(f"  {said}: as it must be.")


if __name__ == "__main__":
    sys.exit(main())
