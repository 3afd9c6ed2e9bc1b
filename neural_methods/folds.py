"""Parts of TRAIN.DATA: folds of a cross-validation with one table of all test recordings, or one draw (split.csv)."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from config import SECTIONS, run_folder, run_name, schema
from dataset.data_loader.base import natural_key
from dataset.files.names import plural
from dataset.prepare.section import Prepared
from dataset.prepare.splits import draw
from evaluation import tables
from evaluation.kinds.base import Head
from evaluation.publish import Outcome, Tested
from evaluation.report import headed
from neural_methods import distributed


@dataclass(frozen=True)
class Fold:
    """One part of a cross-validation: which subjects are trained on, validated (or none) and tested."""

    number: int  # from 1
    count: int
    train: tuple[str, ...]
    valid: tuple[str, ...]
    test: tuple[str, ...]

    def __str__(self) -> str:
        """The fold as a sentence."""
        shown = ", ".join(self.test[:5]) + (", ..." if len(self.test) > 5 else "")
        validated = f", {len(self.valid)} validated" if self.valid else ""
        trained = f"{plural(len(self.train), 'subject')} trained{validated}"
        return f"Fold {self.number} of {self.count}: {trained}, tested: {shown}"


def subjects_of(pool: Prepared) -> list[str]:
    """Subjects of the section that have a usable recording, in natural order; ValueError for ready-made chunks."""
    if pool.chunks:
        raise ValueError(
            "SPLIT.KIND divides the recordings of a data set, but TRAIN.DATA reads rPPG-Toolbox's chunks: give "
            "TRAIN.DATA.DATA_PATH."
        )
    names = {recording.subject for recording in pool.recordings}
    return sorted(names, key=lambda name: (natural_key(name), name))


def make_folds(subjects: Sequence[str], kind: str, folds: int = 5, validates: bool = False) -> list[Fold]:
    """Folds over `subjects` in their order: 'kfold' in `folds` runs of neighbours, 'loso' one subject each.

    Every subject is tested exactly once. With `validates` the next fold is validated and not trained on. ValueError
    when there are too few subjects.
    """
    count = len(subjects) if kind == "loso" else folds
    needed = max(count, 3 if validates else 2)
    if len(subjects) < needed:
        raise ValueError(
            f"SPLIT.KIND {kind!r} needs at least {needed} subjects, TRAIN.DATA has {len(subjects)} "
            f"({', '.join(subjects[:5])}). Lower SPLIT.FOLDS, or widen TRAIN.DATA.BEGIN and END."
        )
    parts = [tuple(str(name) for name in part) for part in np.array_split(np.array(subjects, dtype=object), count)]
    made = []
    for number, test in enumerate(parts):
        valid = parts[(number + 1) % count] if validates else ()
        train = tuple(str(name) for name in subjects if name not in {*test, *valid})
        made.append(Fold(number + 1, count, train, valid, test))
    return made


def fold_config(config: Any, fold: Fold) -> Any:
    """The configuration of one fold: a complete one, which trains and tests this fold alone when it is run."""
    changed = config.clone()
    changed.defrost()
    changed.SPLIT = schema().SPLIT
    changed.TRAIN.MODEL_FILE_NAME = f"{run_name(config)}_fold{fold.number}"
    _choose(changed, (fold.train, fold.valid, fold.test), f"fold{fold.number}of{fold.count}", "SUBJECTS")
    changed.freeze()
    return changed


def _choose(changed: Any, parts: Sequence[Sequence[str]], name: str, what: str) -> None:
    """Let TRAIN, VALID and TEST of an open configuration read these SUBJECTS or RECORDINGS of TRAIN.DATA."""
    train = changed.TRAIN.DATA
    for section, names in zip(SECTIONS, parts, strict=False):
        if not names:
            continue
        data, own = changed[section].DATA, f"{name}_{section.lower()}"
        data.BEGIN, data.END = train.BEGIN, train.END
        data.DO_PREPROCESS = False  # the whole pool is preprocessed before the first part is read
        data.FOLD.FOLD_NAME, data.FOLD[what] = own, list(names)
        data.FILE_LIST_PATH = f"{Path(data.FILE_LIST_PATH).with_suffix('')}_{own}.csv"


def walk(config: Any, folds: Sequence[Fold], once: Callable[[Any], Tested | None]) -> list[tuple[Fold, Path, Any]]:
    """Run `once` with the configuration of every fold: (fold, its run folder, what was returned)."""
    done = []
    for fold in folds:
        distributed.say(f"\n=== {fold} ===")
        changed = fold_config(config, fold)
        done.append((fold, run_folder(changed), once(changed)))
    return done


# --- One draw -------------------------------------------------------------------------------------------------------

PARTS = ("train", "valid", "test")


def draw_parts(pool: Prepared, ratios: Sequence[float], seed: int, by: str = "subject") -> dict[str, str]:
    """Recording -> train, valid or test, drawn by `seed` over the subjects of TRAIN.DATA (or its recordings).

    Those that failed are drawn, too: a failure moves nobody to another part. SplitError when there are too few;
    ValueError for ready-made chunks.
    """
    subjects_of(pool)
    units = {one.id: getattr(one, "id" if by == "recording" else "subject") for one in _wanted(pool)}
    drawn = draw(list(dict.fromkeys(units.values())), ratios, seed)
    part_of = {unit: part for part, names in zip(PARTS, drawn, strict=True) for unit in names}
    return {name: part_of[unit] for name, unit in units.items()}


def drawn_config(config: Any, parts: dict[str, str]) -> Any:
    """`config` with TRAIN, VALID and TEST limited to their part of the recordings."""
    changed = config.clone()
    changed.defrost()
    names = [[one for one, part in parts.items() if part == wanted] for wanted in PARTS]
    _choose(changed, names, "drawn", "RECORDINGS")
    changed.freeze()
    return changed


def write_split(folder: Path, pool: Prepared, parts: dict[str, str], restart: bool = False) -> Path:
    """Write `split.csv` (recording, subject, part); ValueError when this run was started with another one."""
    rows = [{"recording": one.id, "subject": one.subject, "part": parts[one.id]} for one in _wanted(pool)]
    path, text = folder / "split.csv", tables.csv_text(["recording", "subject", "part"], rows)
    if path.is_file() and not restart and path.read_text(encoding="utf-8") != text:
        raise ValueError(
            f"'{path}' is not what SPLIT draws now: recordings of TRAIN.DATA came or went since this run was started. "
            "Bring them back, or start it anew with --restart."
        )
    return tables.write_text(path, text)


def _wanted(pool: Prepared) -> list[Any]:
    """Recordings of the section in natural order, ready or failed."""
    every = [*pool.recordings, *(recording for recording, _ in pool.failed)]
    return sorted(every, key=lambda one: (natural_key(one.id), one.id))


# --- The result of all folds ----------------------------------------------------------------------------------------


def merged(done: Sequence[tuple[Fold, Tested]], pool: Prepared) -> Tested:
    """All test recordings of all folds together, output by output; what no fold could test has failed.

    ValueError when no fold had a label to test against.
    """
    judged = [tested for _, tested in done if tested.judged]
    if not judged:
        raise ValueError("No fold has a label to test against: SPLIT.KIND needs labels for all subjects.")
    first = judged[0].judged[0].head.name  # the output whose recordings are counted
    silent = {
        name for fold, tested in done if first not in [one.head.name for one in tested.judged] for name in fold.test
    }
    lost = {recording.id: reason for recording, reason in pool.failed}
    lost |= {recording.id: "no label to test against" for recording in pool.recordings if recording.subject in silent}
    lost |= {name: reason for _, tested in done for name, reason in tested.failed}
    notes = dict.fromkeys(note for _, tested in done for note in tested.notes)
    heads = {one.head.name: one.head for tested in judged for one in tested.outcomes}
    outcomes = tuple(_merged(head, [one for tested in judged for one in tested.outcomes]) for head in heads.values())
    tested_subjects = {name for fold, _ in done for name in fold.test}
    left_out = {one.id: reason for one, reason in pool.excluded if one.subject not in tested_subjects}
    left_out |= {name: reason for _, tested in done for name, reason in tested.left_out}
    return Tested(judged[0].path, outcomes, tuple(lost.items()), tuple(notes), tuple(left_out.items()))


def _merged(head: Head, outcomes: Sequence[Outcome]) -> Outcome:
    """One output of all folds, of those in which it could be judged."""
    found = [one.found for one in outcomes if one.head.name == head.name and one.judged]
    return Outcome(head, head.evaluator.merge(found, head) if found else None)


def add_fold_table(report: Path, folds: Sequence[tuple[Fold, Path, Tested]], warning: str = "") -> Path:
    """Write `folds.csv` beside `report` and the same table at its end; a line per fold, of the first output judged.

    `warning`: what stands above the table, of folds that lack recordings.
    """
    folds = [(fold, folder, tested) for fold, folder, tested in folds if tested.judged]
    lines = [_line(*fold) for fold in folds]
    columns = list(dict.fromkeys(name for line in lines for name in line))
    path = tables.write_text(report.parent / "folds.csv", tables.csv_text(columns, lines))
    rows = [columns, ["---"] * len(columns), *[[_text(line.get(name, "")) for name in columns] for line in lines]]
    table = "\n".join(f"| {' | '.join(cell.replace('|', '/') for cell in row)} |" for row in rows)
    first = folds[0][2].judged[0]
    scope = first.head.evaluator.scope(first.found)
    where = "Each fold has a report of its own in the folder named in the last column."
    head = f"## Folds{f', {scope}' if scope else ''}\n\n{where}"
    tables.write_text(report, f"{report.read_text(encoding='utf-8')}\n{head}\n\n{headed(table, warning)}\n")
    return path


def _line(fold: Fold, folder: Path, tested: Tested) -> dict[str, Any]:
    line: dict[str, Any] = {"fold": fold.number, "tested": " ".join(fold.test), "trained": len(fold.train)}
    first = tested.judged[0]
    return {**line, **first.head.evaluator.summary(first.found), "folder": folder.name}


def _text(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:.2f}" if np.isfinite(value) else "–"
    return str(value)
