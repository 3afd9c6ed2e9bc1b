"""Any windows of ECG and PPG: a folder with one .npz file each, and a table of whose they are and what was measured.

    DATA_PATH/<id>.npz     x (L, channels), or (channels, L) with TIME_FIRST: False; fs (Hz), or FS in the DATA node
    DATA_PATH/labels.csv   (or beside DATA_PATH, or TABLE)   ssoid, targets ..., subject
    <table>_people.csv     optional: ssoid, age, sex (1: a man), bmi ... of the same rows

Without a column of subjects a subject is what precedes the first `_` of an id, or the id: that may divide people.
"""

import os
from functools import lru_cache
from pathlib import Path, PurePath
from typing import Any

import numpy as np

from dataset.data_loader.base import BaseLoader
from dataset.files.names import plural
from dataset.files.reading import is_there
from dataset.files.windows import WindowFiles, Windows, arrange, examine, rate_of, read_columns
from dataset.progress import show_progress
from registry import DATASETS

REMEMBERED = 8  # data sets whose files were looked at: the sections of a run share them


@DATASETS.register("SignalFiles")
class SignalFilesLoader(BaseLoader):
    """Windows of ECG and PPG, the targets of their table, and age, sex and BMI where somebody says them."""

    has_video, windows = False, True
    signals = ()
    OPTIONS = {
        "FS": 0,  # samples per second; 0: what the files say
        "TABLE": "",  # "": labels.csv in DATA_PATH or beside it
        "ID_COLUMN": "ssoid",
        "SUBJECT_COLUMN": "auto",  # auto: `subject`, else made of the id
        "CHANNELS": ["ecg", "ppg"],  # what the columns of x are
        "TIME_FIRST": True,  # x is (samples, channels)
        "ALLOW_CONSTANT": False,  # use files with a channel that never changes
    }

    def read_windows(self, root: Path) -> Windows:
        """All files that the table names, each looked at once; FileNotFoundError and ValueError for what cannot be."""
        asked = tuple(tuple(value) if isinstance(value, list) else value for value in self._asked())
        table = table_of(Path(root), self.options.get("TABLE", ""))
        return _windows(Path(root), table, asked, os.stat(root).st_mtime_ns, os.stat(table).st_mtime_ns)

    def _asked(self) -> list[Any]:
        return [self.options.get(key, default) for key, default in self.OPTIONS.items() if key != "TABLE"]


def table_of(root: Path, named: str) -> Path:
    """The table of the files in `root`; FileNotFoundError naming where it was looked for."""
    places = [Path(named), root / named] if named else [root / "labels.csv", root.parent / "labels.csv"]
    for place in places:
        if is_there(place):
            return place
    looked = " nor ".join(f"'{place}'" for place in dict.fromkeys(places))
    raise FileNotFoundError(f"There is neither {looked}. Expected there: ids, targets and subjects; TABLE names it.")


@lru_cache(maxsize=REMEMBERED)
def _windows(root: Path, table: Path, asked: tuple[Any, ...], *changed: int) -> Windows:
    fs, own_id, own_subject, channels, time_first, constant = asked
    called = {own_id: "window"} | ({own_subject: "subject"} if own_subject != "auto" else {})
    columns = read_columns(table, called, needed="window")
    if own_subject != "auto" and "subject" not in columns:
        raise ValueError(f"'{table}' has no column {own_subject!r}, which SUBJECT_COLUMN names: {', '.join(columns)}.")
    _add_people(columns, table, own_id)
    names = [str(name).removesuffix(".npz") for name in columns["window"]]
    _require_different(names, table)
    columns["recording"] = names
    if "subject" not in columns:
        columns["subject"] = _subjects_of(names, table)
    store = WindowFiles(root, columns["window"], len(channels), time_first)
    with show_progress(None, f"Looking at '{root.name}'", len(store), "files", keep=False) as progress:
        unfit = examine(store, bool(constant), progress)
    rate = float(fs) or next((rate_of(root / store.names[row]) for row in range(len(store)) if row not in unfit), 0.0)
    found = arrange(store, columns, channels, rate, root, table)
    _tell(root, store, unfit)
    return Windows(**{**vars(found), "unfit": unfit})


def _add_people(columns: dict[str, Any], table: Path, own_id: str) -> None:
    """Enter what is known of the people, NaN where their table lacks a row."""
    path = table.with_name(f"{table.stem}_people.csv")
    if not is_there(path):
        return
    people = read_columns(path, {own_id: "window"}, needed="window")
    place = {name: row for row, name in enumerate(people["window"])}
    rows = np.array([place.get(name, -1) for name in columns["window"]])
    for name, values in people.items():
        if name != "window" and name not in columns:
            columns[name] = np.where(rows >= 0, values[rows], np.nan)


def _require_different(names: list[str], table: Path) -> None:
    if len(set(names)) < len(names):
        twice = next(name for row, name in enumerate(names) if name in names[:row])
        raise ValueError(f"'{table}' has several rows of {twice!r}. Each file belongs to one.")


def _subjects_of(names: list[str], table: Path) -> list[str]:
    subjects = [PurePath(name).stem.split("_")[0] or name for name in names]
    made = (
        "what precedes the first _ of an id" if any("_" in name for name in names) else "each file a person of its own"
    )
    print(f"Warning: '{table}' has no column of subjects; taken is {made}. A person may be on both sides of a split.")
    return subjects


def _tell(root: Path, store: WindowFiles, unfit: dict[int, str]) -> None:
    extra = sum(path.suffix == ".npz" for path in root.iterdir()) - len(store)
    if extra > 0:
        print(f"{plural(extra, 'file')} in '{root}' that the table does not name: not used.")
    for reason in list(unfit.values())[:5]:
        print(f"Left out: {reason}")
