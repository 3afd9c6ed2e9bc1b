"""Cross-validation: parts of the subjects, the configuration of each, and one table of all test recordings."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from config import SECTIONS, run_name, schema
from dataset.data_loader.base import natural_key
from dataset.prepare.section import Prepared
from evaluation import tables
from evaluation.metrics import UNITS
from evaluation.summary import Table, per_subject, summary
from neural_methods.heads import merged as merged_heads
from neural_methods.testing import Tested

CONSTANT = "constant mean"


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
        return f"Fold {self.number} of {self.count}: {len(self.train)} subjects trained{validated}, tested: {shown}"


def subjects_of(pool: Prepared) -> list[str]:
    """Subjects of the section that have a usable recording, in natural order; ValueError for ready-made chunks."""
    if pool.legacy:
        raise ValueError(
            "SPLIT.KIND needs subjects, which rPPG-Toolbox's chunks do not name: give TRAIN.DATA.DATA_PATH."
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
    train = config.TRAIN.DATA
    for section, subjects in zip(SECTIONS, (fold.train, fold.valid, fold.test, ()), strict=True):
        if not subjects:
            continue
        data = changed[section].DATA
        name = f"fold{fold.number}of{fold.count}_{section.lower()}"
        data.BEGIN, data.END = train.BEGIN, train.END
        data.DO_PREPROCESS = False  # the whole pool is preprocessed before the first fold
        data.FOLD.FOLD_NAME, data.FOLD.SUBJECTS = name, list(subjects)
        data.FILE_LIST_PATH = f"{Path(data.FILE_LIST_PATH).with_suffix('')}_{name}.csv"
    changed.freeze()
    return changed


# --- The result of all folds ----------------------------------------------------------------------------------------


def merged(done: Sequence[tuple[Fold, Tested]], pool: Prepared) -> Tested:
    """All test recordings of all folds in one table per method and preset; what no fold could test has failed.

    ValueError when no fold had a label to test against.
    """
    judged = [tested for _, tested in done if tested.tables]
    if not judged:
        raise ValueError("No fold has a label to test against: SPLIT.KIND needs labels for all subjects.")
    together = {
        method: [pooled(parts) for parts in zip(*(tested.tables[method] for tested in judged), strict=True)]
        for method in judged[0].tables
    }
    silent = {name for fold, tested in done if not tested.tables for name in fold.test}
    lost = {recording.id: reason for recording, reason in pool.failed}
    lost |= {recording.id: "no label to test against" for recording in pool.recordings if recording.subject in silent}
    lost |= {name: reason for _, tested in done for name, reason in tested.failed}
    notes = dict.fromkeys(note for _, tested in done for note in tested.notes)
    heads = tuple(merged_heads([tested.heads for tested in judged]))
    return Tested(judged[0].path, together, list(lost.items()), judged[len(judged) // 2].typical, tuple(notes), heads)


def pooled(parts: Sequence[Table]) -> Table:
    """One table over the rows of several of one method and preset."""
    first = parts[0]
    rows = [row for part in parts for row in part.rows]
    names = list(first.scores)
    method = f"{CONSTANT} (training rates of each fold)" if first.baseline else first.method
    return replace(first, method=method, rows=rows, scores=summary(rows, names), subjects=per_subject(rows, names))


def add_fold_table(report: Path, folds: Sequence[tuple[Fold, Path, Tested]]) -> Path:
    """Write `folds.csv` beside `report` and the same table at its end; a line per fold, in its first preset."""
    folds = [(fold, folder, tested) for fold, folder, tested in folds if tested.tables]
    lines = [_line(*fold) for fold in folds]
    columns = list(lines[0])
    path = tables.write_text(report.parent / "folds.csv", tables.csv_text(columns, lines))
    rows = [columns, ["---"] * len(columns), *[[_text(line[name]) for name in columns] for line in lines]]
    table = "\n".join(f"| {' | '.join(cell.replace('|', '/') for cell in row)} |" for row in rows)
    preset = next(iter(folds[0][2].tables.values()))[0].preset.name
    head = f"## Folds, preset `{preset}`\n\nEach fold has a report of its own in the folder named in the last column."
    tables.write_text(report, f"{report.read_text(encoding='utf-8')}\n{head}\n\n{table}\n")
    return path


def _line(fold: Fold, folder: Path, tested: Tested) -> dict[str, Any]:
    own, constant = (tested.tables[name][0] for name in (next(iter(tested.tables)), CONSTANT))
    line: dict[str, Any] = {"fold": fold.number, "tested": " ".join(fold.test), "trained": len(fold.train)}
    for name, score in own.scores.items():
        line[f"{name} [{UNITS[name]}]" if name in UNITS else name] = score.value
    if "MAE" in constant.scores:
        line["MAE of the constant mean"] = constant.scores["MAE"].value
    return {**line, "n": len(own.valid), "excluded": len(own.excluded), "folder": folder.name}


def _text(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:.2f}" if np.isfinite(value) else "–"
    return str(value)
