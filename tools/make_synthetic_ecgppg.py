"""Windows of ECG and PPG of people who do not exist, for pre-training and for two tasks: everything runs on them.

    python -m tools.make_synthetic_ecgppg --subjects 40 --windows 20
    OUT/pretraining.npy          (n, 2, 1250) float32, ECG (mV) and PPG, with pretraining_subjects.npy
    OUT/synth_hr/                heart rate (bpm) from the PPG, as tools/prepare_downstream.py writes a task
    OUT/synth_rhythm/            rhythm from the ECG: 0 regular, 1 irregular, 2 premature beats

People of the tasks are others than those of pre-training. --rate-only: ECG and PPG share the rate and nothing else.
--shuffle-pairs: every PPG comes from another person than its ECG.
"""

import argparse
import json
import sys
from pathlib import Path

import numpy as np

from dataset.files.downstream import FolderWriter, Meta
from dataset.files.names import plural
from dataset.files.writing import replacing, write_whole
from dataset.program import answer
from dataset.synthetic.ecgppg import FS, LENGTH, RHYTHMS, Person, Window, person, window

PARTS = ("train", "val", "test")
RHYTHM_OF = ((0, 0, 1, 0, 2), (0,), (0, 1, 2))  # of the people of pre-training and of each task, in turn
RENDERED = {"source": "dataset/synthetic/ecgppg.py: nobody was measured"}
TASKS = {
    "synth_hr": Meta("synth_hr", FS, LENGTH, ("ppg",), ("hr",), units={"hr": "bpm"}, about=RENDERED),
    "synth_rhythm": Meta(
        "synth_rhythm", FS, LENGTH, ("ecg",), ("rhythm",), "choice", classes=RHYTHMS, vote=False, about=RENDERED
    ),
}


def main(arguments: list[str] | None = None) -> int:
    """Write the files; 2 and one sentence for numbers that cannot be."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=Path("data/synthetic_ecgppg"), help="folder (%(default)s)")
    parser.add_argument("--subjects", type=int, default=40, help="people of pre-training (%(default)s)")
    parser.add_argument("--windows", type=int, default=20, help="windows of each (%(default)s)")
    parser.add_argument("--task-subjects", type=int, default=60, help="people of each task (%(default)s)")
    parser.add_argument("--seed", type=int, default=42, help="another seed, other people (%(default)s)")
    parser.add_argument("--rate-only", action="store_true", help="ECG and PPG share the rate alone")
    parser.add_argument("--shuffle-pairs", action="store_true", help="every PPG is another person's")
    return answer(lambda: write(parser.parse_args(arguments)))


def write(asked: argparse.Namespace) -> int:
    """Everything that `asked` names. ValueError for too few people or windows: every rhythm is in every part."""
    if asked.subjects < 3 or asked.task_subjects < 15 or asked.windows < 1:
        raise ValueError("Give --subjects of at least 3, --task-subjects of at least 15 and --windows of at least 1.")
    people = _people(asked.seed, 0, asked.subjects, asked.windows, asked.rate_only)
    waves = np.stack([[one.ecg, one.ppg] for _, one, _ in people])
    if asked.shuffle_pairs:
        waves[:, 1] = np.roll(waves[:, 1], (asked.subjects // 2) * asked.windows, axis=0)
    asked.out.mkdir(parents=True, exist_ok=True)
    _save(asked.out / "pretraining.npy", waves)
    _save(asked.out / "pretraining_subjects.npy", np.array([name for *_, name in people]))
    write_whole(asked.out / "pretraining.json", json.dumps({"fs": FS, "channels": ["ecg", "ppg"], "synthetic": True}))
    for number, task in enumerate(TASKS):
        _write_task(asked.out / task, task, _people(asked.seed, number + 1, asked.task_subjects, asked.windows))
    print(f"{plural(len(waves), 'window')} of {plural(asked.subjects, 'subject')}, and {', '.join(TASKS)}: {asked.out}")
    return 0


def _people(
    seed: int, group: int, count: int, windows: int, rate_only: bool = False
) -> list[tuple[Person, Window, str]]:
    """Every window of a group of people, with whose it is and their name."""
    found = []
    for number in range(count):
        random = np.random.default_rng((seed, group, number))
        someone = person(random, RHYTHM_OF[group][number % len(RHYTHM_OF[group])])
        found += [(someone, window(someone, random, rate_only), f"g{group}p{number:04d}") for _ in range(windows)]
    return found


def _write_task(folder: Path, task: str, people: list[tuple[Person, Window, str]]) -> None:
    """The parts 60/20/20 by person, every rhythm in each of them."""
    meta = TASKS[task]
    persons = list(dict.fromkeys(name for *_, name in people))
    part_of = {name: PARTS[(0, 0, 0, 1, 2)[number // len(RHYTHMS) % 5]] for number, name in enumerate(persons)}
    with FolderWriter(folder, meta) as writer:
        for name in persons:
            mine = [(who, one) for who, one, whose in people if whose == name]
            waves = np.stack([getattr(one, meta.channels[0]) for _, one in mine])[:, None]
            labels = [one.rate if meta.task == "regression" else who.rhythm for who, one in mine]
            writer.add(part_of[name], name, waves, np.array(labels))


def _save(path: Path, array: np.ndarray) -> None:
    with replacing(path, ending=".npy") as temporary:
        np.save(temporary, array)


if __name__ == "__main__":
    sys.exit(main())
