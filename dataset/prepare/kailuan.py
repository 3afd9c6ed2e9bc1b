"""The Kailuan file (HDF5) made into one .npz file for each record and a table of labels, rows and files one to one.

    /metadata/<name> (n,)    texts and numbers: `new_id`, `name`, `sex`, `age`, `bmi`, `right_arm_sbp` (mmHg) ...
    /signals/ecg, ppg (n,)   rows of samples; both were recorded together, then the ECG lost its first ones

    <output_npz>/<ssoid>.npz    x (L, 2) float32, ECG and PPG; fs (Hz) of x; ssoid; subject where asked for
    <output_npz>/prepared.json  how they were made
    <output_csv>                ssoid, the targets, subject; beside it <name>_people.csv: age, sex, BMI ...

Stretching both signals to one length on their own moves the PPG against the ECG by up to a second: the pulse arrival
time is then lost. So the PPG loses the same first samples, and both are resampled by one factor.
"""

import csv
import hashlib
import io
import json
import secrets
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path

import numpy as np

from dataset.files import hdf5
from dataset.files.names import cell, plural, shown
from dataset.files.reading import read_json, read_text, require_file
from dataset.files.writing import write_whole
from dataset.progress import show_progress
from registry import did_you_mean

BLOCK = 64  # records read at once: some two megabytes
SHORTEST = 2.0  # seconds of both signals
LIMITS = {"sbp": (50.0, 280.0), "dbp": (20.0, 180.0), "mbp": (20.0, 280.0), "pp": (1.0, 230.0)}  # mmHg
PEOPLE = {"age": "age", "sex_encoded": "sex", "bmi": "bmi", "height": "height", "weight": "weight"}
"""Columns that describe a person -> their names in the table of people (sex: 1 a man, 0 a woman)."""
SETTINGS_FILE = "prepared.json"
MODES, RESAMPLERS, NORMALIZERS = ("trim_resample", "truncate", "resample"), ("linear", "polyphase"), ("none", "zscore")


@dataclass(frozen=True)
class Settings:
    """What the flags of prepare_kailuan_npz.py say; `ppg_lead_trim` None: the difference of the two lengths."""

    h5_path: Path
    output_npz: Path
    output_csv: Path
    target_cols: tuple[str, ...]
    id_key: str = "new_id"
    target_seq_len: int = 7500
    align_mode: str = "trim_resample"
    ppg_lead_trim: int | None = None
    resample: str = "linear"
    fs: float = 600.0
    subject_key: tuple[str, ...] = ()
    pseudonymize_ids: bool = True
    id_map_csv: Path | None = None
    lowercase_ids: bool = False
    overwrite: bool = False
    limit: int = 0
    normalize: str = "none"

    def __post_init__(self) -> None:
        """ValueError for what cannot be."""
        if not (20 <= self.fs <= 100_000 and 16 <= self.target_seq_len <= 1 << 20 and self.limit >= 0):
            raise ValueError(
                f"--fs {self.fs:g}, --target_seq_len {self.target_seq_len} and --limit {self.limit}: a rate of 20 to "
                f"100,000 Hz, a length of 16 to {1 << 20} samples and a limit of at least 0 are possible."
            )
        if self.ppg_lead_trim is not None and self.ppg_lead_trim < 0:
            raise ValueError(f"--ppg_lead_trim {self.ppg_lead_trim}: give auto, or a number of samples.")
        if doubled := [name for name, count in Counter(self.target_cols).items() if count > 1]:
            raise ValueError(f"--target_cols names {doubled[0]!r} more than once.")

    def of_arrays(self) -> dict[str, object]:
        """What the arrays depend on: files made with other values are never mixed with new ones."""
        lead = "auto" if self.ppg_lead_trim is None else self.ppg_lead_trim
        return {
            "channels": ["ecg", "ppg"], "align_mode": self.align_mode, "target_seq_len": self.target_seq_len,
            "ppg_lead_trim": lead, "resample": self.resample, "fs": self.fs, "normalize": self.normalize,
        }  # fmt: skip


@dataclass
class Outcome:
    """What was exported: rows of the table, and how many records were left out for which reason."""

    rows: list[int] = field(default_factory=list)
    left_out: Counter[str] = field(default_factory=Counter)
    kept: int = 0  # files that were there already
    shape: tuple[int, ...] = ()
    rate: float = 0.0


@dataclass(frozen=True)
class Table:
    """The metadata: names (n) of records and people, `columns` (n,) float64 by name, why a row is unfit ("": fit)."""

    raw: list[str]
    names: list[str]
    subjects: list[str]
    columns: dict[str, np.ndarray]
    problems: list[str]


def prepare(settings: Settings) -> Outcome:
    """Write files and table; the records that cannot be used are counted by reason and left out.

    ValueError and FileNotFoundError, before anything is written, for a file or settings that cannot be used.
    """
    table = read_metadata(settings)
    _require_same_settings(settings)
    settings.output_npz.mkdir(parents=True, exist_ok=True)
    write_whole(settings.output_npz / SETTINGS_FILE, json.dumps(settings.of_arrays(), indent=1) + "\n")
    outcome = Outcome(left_out=Counter(problem for problem in table.problems if problem))
    fit = [row for row, problem in enumerate(table.problems) if not problem]
    exporter = Exporter(settings, table, outcome)
    with ThreadPoolExecutor(2) as pool, show_progress(None, "Preparing", len(fit), "records") as progress:
        for block in iter_blocks(settings.h5_path, fit):  # packing lets other threads run
            for row, problem in zip(block, pool.map(exporter.export, block, block.values()), strict=True):
                outcome.rows += [] if problem else [row]
                outcome.left_out.update([problem] if problem else [])
            progress.update(len(block))
    if outcome.rows:
        write_tables(settings, table, outcome.rows)
    return outcome


# --- The metadata ---------------------------------------------------------------------------------------------------


def read_metadata(settings: Settings) -> Table:
    """Names, people and labels of all records, or of the first `limit`; ValueError for columns that are not there."""
    require_file(settings.h5_path)
    with hdf5.open_file(settings.h5_path) as file:
        _require_columns(file, settings)
        raw = hdf5.texts(file, f"metadata/{settings.id_key}")
        keys = [_as_texts(file, name) for name in settings.subject_key]
        known = [name for name in file["metadata"] if name in PEOPLE or name.endswith(tuple(f"_{x}" for x in LIMITS))]
        wanted = dict.fromkeys([*settings.target_cols, *known])
        columns = {name: hdf5.signal(file, f"metadata/{name}") for name in wanted}
        counts = {name: len(values) for name, values in [*columns.items(), (settings.id_key, raw)]}
        counts |= {name: len(hdf5.ragged(file, f"signals/{name}")) for name in ("ecg", "ppg")}
    if len(set(counts.values())) > 1:
        raise ValueError(f"'{settings.h5_path}' has columns of different lengths: {counts}. Export it again.")
    count = min(len(raw), settings.limit or len(raw))
    columns = {name: values[:count] for name, values in columns.items()}
    names, subjects = _names(settings, raw[:count], [key[:count] for key in keys])
    return Table(raw[:count], names, subjects, columns, _problems(settings, raw[:count], names, columns))


def _require_columns(file: hdf5.h5py.File, settings: Settings) -> None:
    """ValueError naming the first column that is not there, and the one that was probably meant."""
    for group, names in (("signals", ("ecg", "ppg")),
                         ("metadata", (settings.id_key, *settings.subject_key, *settings.target_cols))):  # fmt: skip
        known = list(file[group]) if isinstance(file.get(group), hdf5.h5py.Group) else []
        for name in names:
            if name not in known:
                raise hdf5.VideoError(
                    f"'{settings.h5_path}' has no /{group}/{name}.{did_you_mean(name, known)} "
                    f"There are: {', '.join(known) or 'none'}."
                )


def _as_texts(file: hdf5.h5py.File, name: str) -> list[str]:
    if hdf5.h5py.check_string_dtype(file[f"metadata/{name}"].dtype) is not None:
        return hdf5.texts(file, f"metadata/{name}")
    return [f"{value:g}" for value in hdf5.signal(file, f"metadata/{name}")]


def _names(settings: Settings, raw: list[str], keys: list[list[str]]) -> tuple[list[str], list[str]]:
    """Name of each record, and of its person ("" where no key says who it is), as they are written."""
    ids = [one.strip().lower() if settings.lowercase_ids else one.strip() for one in raw]
    salt = _salt(settings) if settings.pseudonymize_ids or keys else ""
    names = [_hashed(salt, "record", one) if settings.pseudonymize_ids and one else one for one in ids]
    people = [[part.strip() for part in whole] for whole in zip(*keys, strict=True)] if keys else [[]] * len(raw)
    nobody = [f"record {name}" for name in names]  # whoever has no name is a person of its own
    return names, [
        "" if not keys else _hashed(salt, "subject", "\x1f".join(parts) if any(parts) else alone)
        for parts, alone in zip(people, nobody, strict=True)
    ]


def _salt(settings: Settings) -> str:
    """What is hashed together with names, so that a list of names cannot be tried; made once, kept beside the table."""
    path = settings.output_csv.with_suffix(".salt")
    if path.exists():
        return read_text(path, 1000).strip()
    salt = secrets.token_hex(16)
    write_whole(path, salt + "\n").chmod(0o600)
    return salt


def _hashed(salt: str, kind: str, text: str) -> str:
    return hashlib.sha256(f"{salt}\x1f{kind}\x1f{text}".encode("utf-8", "surrogatepass")).hexdigest()[:16]


def _problems(settings: Settings, raw: list[str], names: list[str], columns: dict[str, np.ndarray]) -> list[str]:
    """Why a record cannot be used, "" where nothing of its metadata speaks against it."""
    problems = [""] * len(raw)
    seen: set[str] = set()
    for row, name in enumerate(names):
        if not name:
            problems[row] = "no id"
        elif not settings.pseudonymize_ids and (shown(name) != name or "/" in name or "\\" in name or name[0] == "."):
            problems[row] = "an id that can be no file's name"
        elif name in seen:
            problems[row] = "an id that came before"
        seen.add(name)
    for target in settings.target_cols:
        for row in np.flatnonzero(~np.isfinite(columns[target])):
            problems[row] = problems[row] or f"no {target}"
    for arm in dict.fromkeys(name.rsplit("_", 1)[0] for name in settings.target_cols):
        for row, problem in _implausible(arm, columns):
            problems[row] = problems[row] or problem
    return problems


def _implausible(arm: str, columns: dict[str, np.ndarray]) -> Iterator[tuple[int, str]]:
    """Rows whose pressures of one arm no person has."""
    found = {kind: columns[f"{arm}_{kind}"] for kind in LIMITS if f"{arm}_{kind}" in columns}
    for kind, values in found.items():
        low, high = LIMITS[kind]
        for row in np.flatnonzero((values < low) | (values > high)):
            yield int(row), f"{arm}_{kind} outside of {low:g} to {high:g} mmHg"
    if "sbp" in found and "dbp" in found:
        for row in np.flatnonzero(found["sbp"] <= found["dbp"]):
            yield int(row), f"{arm}_sbp not above {arm}_dbp"


# --- The signals ----------------------------------------------------------------------------------------------------


Pair = tuple[np.ndarray, np.ndarray]


def iter_blocks(path: Path, rows: list[int]) -> Iterator[dict[int, Pair | None]]:
    """Row -> (ECG, PPG), some records at a time; None where they cannot be read."""
    with hdf5.open_file(path) as file:
        ecg, ppg = hdf5.ragged(file, "signals/ecg"), hdf5.ragged(file, "signals/ppg")
        for start in range(0, len(rows), BLOCK):
            block = rows[start : start + BLOCK]
            first, last = block[0], block[-1] + 1
            try:
                read = ecg[first:last], ppg[first:last]
                yield {row: (read[0][row - first], read[1][row - first]) for row in block}
            except OSError:  # some of them are damaged
                yield {row: _read_one(ecg, ppg, row) for row in block}


def _read_one(ecg: hdf5.h5py.Dataset, ppg: hdf5.h5py.Dataset, row: int) -> Pair | None:
    try:
        return ecg[row], ppg[row]
    except OSError:
        return None


class Exporter:
    """Makes the file of one record at a time; safe to call from several threads."""

    def __init__(self, settings: Settings, table: Table, outcome: Outcome):
        """The first record that can be used says how long all are; `outcome` learns shape and rate of the files."""
        self.settings, self.table, self.outcome = settings, table, outcome
        self._there = {path.stem for path in settings.output_npz.glob("*.npz")} if not settings.overwrite else set()

    def export(self, row: int, pair: Pair | None) -> str:
        """Write the file of record `row`; why it cannot be ("": it is written)."""
        if pair is None:
            return "signals that cannot be read"
        problem = _unfit(*pair, self.settings.fs)
        if problem:
            return problem
        try:
            x, rate = aligned(*pair, self.settings)
        except ValueError as error:
            return str(error)
        if self.outcome.shape and (x.shape != self.outcome.shape or abs(rate / self.outcome.rate - 1) > 1e-9):
            return f"another length than the others ({len(pair[0])} samples of ECG, {len(pair[1])} of PPG)"
        self.outcome.shape, self.outcome.rate = x.shape, rate
        self._write(row, x, rate)
        return ""

    def _write(self, row: int, x: np.ndarray, rate: float) -> None:
        name, subject = self.table.names[row], self.table.subjects[row]
        if name in self._there:
            self.outcome.kept += 1
            return
        content = io.BytesIO()
        more = {"subject": np.array(subject)} if subject else {}
        np.savez_compressed(content, x=x, fs=np.array(rate), ssoid=np.array(name), **more)
        write_whole(self.settings.output_npz / f"{name}.npz", content.getvalue())


def _unfit(ecg: np.ndarray, ppg: np.ndarray, fs: float) -> str:
    """Why a record is no use, "" for none of these reasons."""
    for name, values in (("ECG", ecg), ("PPG", ppg)):
        if len(values) < SHORTEST * fs:
            return f"less than {SHORTEST:g} s of {name}"
        if not np.isfinite(values).all():
            return f"NaN in the {name}"
        if np.ptp(values) == 0:
            return f"a constant {name}"
    return ""


def aligned(ecg: np.ndarray, ppg: np.ndarray, settings: Settings) -> tuple[np.ndarray, float]:
    """ECG and PPG as (L, 2) float32 on one clock, and its rate (Hz); ValueError where nothing is left of them.

    In the mode `resample` each is stretched on its own: the rate is then that of the ECG.
    """
    length = settings.target_seq_len
    if settings.align_mode == "resample":
        both = [stretched(values, length, settings.resample) for values in (ecg, ppg)]
        rate = settings.fs * length / len(ecg)
    else:
        lead = settings.ppg_lead_trim
        ppg = ppg[max(len(ppg) - len(ecg), 0) if lead is None else lead :]
        common = min(len(ecg), len(ppg))
        if common < SHORTEST * settings.fs:
            raise ValueError(f"less than {SHORTEST:g} s of both signals")
        both, rate = [ecg[:common], ppg[:common]], settings.fs
        if settings.align_mode == "trim_resample":
            both, rate = [stretched(one, length, settings.resample) for one in both], settings.fs * length / common
    x = np.stack(both, axis=1).astype(np.float32)
    return (zscored(x) if settings.normalize == "zscore" else x), rate


def stretched(values: np.ndarray, length: int, how: str) -> np.ndarray:
    """`values` (L,) as `length` samples at the places i L / length: the last sample stands for what lies behind it."""
    values = np.asarray(values, dtype=float)
    if how == "linear":
        return np.interp(np.arange(length) * (len(values) / length), np.arange(len(values)), values)
    from dataset.clips.resampling import change_rate  # here: its filter needs a library that takes time to import

    ratio = Fraction(length, len(values))
    return change_rate(values, ratio.numerator, ratio.denominator)[:length]


def zscored(x: np.ndarray) -> np.ndarray:
    """Each column of `x` (L, C) with mean 0 and standard deviation 1."""
    return ((x - x.mean(axis=0)) / x.std(axis=0)).astype(np.float32)


# --- The tables -----------------------------------------------------------------------------------------------------


def write_tables(settings: Settings, table: Table, rows: list[int]) -> None:
    """The labels, the people beside them, and the private list of names where one is asked for."""
    own = ["subject"] if settings.subject_key else []
    lines = [["ssoid", *settings.target_cols, *own]]
    lines += [
        [table.names[row], *(_number(table.columns[name][row]) for name in settings.target_cols),
         *([table.subjects[row]] if own else [])]
        for row in rows
    ]  # fmt: skip
    _write_csv(settings.output_csv, lines)
    people = {name: new for name, new in PEOPLE.items() if name in table.columns}
    lines = [["ssoid", *people.values()]]
    lines += [[table.names[row], *(_number(table.columns[name][row]) for name in people)] for row in rows]
    _write_csv(people_of(settings.output_csv), lines)
    if settings.id_map_csv:
        lines = [["id", "ssoid"], *([table.raw[row], table.names[row]] for row in rows)]
        _write_csv(settings.id_map_csv, lines).chmod(0o600)


def people_of(labels: Path) -> Path:
    """The table of people that belongs to a table of labels."""
    return labels.with_name(f"{labels.stem}_people.csv")


def _number(value: float) -> str:
    return "" if not np.isfinite(value) else f"{np.float32(value)!s}".removesuffix(".0")


def _write_csv(path: Path, lines: list[list[str]]) -> Path:
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows([[cell(one) for one in line] for line in lines])
    path.parent.mkdir(parents=True, exist_ok=True)
    return write_whole(path, text.getvalue())


def _require_same_settings(settings: Settings) -> None:
    """ValueError where the folder holds files that were made in another way, and they are to be kept."""
    path = settings.output_npz / SETTINGS_FILE
    if settings.overwrite or not settings.output_npz.is_dir() or not any(settings.output_npz.glob("*.npz")):
        return
    before = read_json(path) if path.exists() else {}
    other = [
        f"{name} {before.get(name)!r}" for name, value in settings.of_arrays().items() if before.get(name) != value
    ]
    if other:
        raise ValueError(
            f"'{settings.output_npz}' holds files that were made in another way ({', '.join(other)}). Name another "
            f"folder, or give --overwrite to make them again."
        )


# --- What is said ---------------------------------------------------------------------------------------------------


def remarks(settings: Settings) -> Iterator[str]:
    """Warnings before the work begins."""
    if settings.align_mode == "resample":
        yield ("Warning: --align_mode resample stretches ECG and PPG each on its own, as older programs do. The PPG "
               "moves by up to a second, and the pulse arrival time is lost. Use trim_resample.")  # fmt: skip
    if not settings.pseudonymize_ids:
        yield ("Warning: --no-pseudonymize_ids names files by the ids of the study, which may hold names, ages and the "
               "blood pressure itself. Do not pass them on.")  # fmt: skip
    if not settings.subject_key:
        yield ("Note: without --subject_key nobody knows which records are of one person: a split cannot keep people "
               "apart. In the study's file `--subject_key name sex` does.")  # fmt: skip


def summary(settings: Settings, outcome: Outcome) -> Iterator[str]:
    """What was exported and what was left out."""
    count, lost = len(outcome.rows), sum(outcome.left_out.values())
    yield f"{plural(count, 'record')} of {count + lost} exported" + (
        f": files of {outcome.shape} (ECG, PPG) at {outcome.rate:.6g} Hz in '{settings.output_npz}', labels in "
        f"'{settings.output_csv}', age, sex and BMI in '{people_of(settings.output_csv)}'." if count else "."
    )  # fmt: skip
    if outcome.kept:
        yield f"{plural(outcome.kept, 'file')} of them had been there already (--overwrite makes them again)."
    if lost:
        yield f"{plural(lost, 'record')} left out:"
        yield from (f"  {number:6d}  {reason}" for reason, number in outcome.left_out.most_common())
    salt = settings.output_csv.with_suffix(".salt")
    if salt.exists():
        yield f"Ids are hashes with the salt in '{salt}': keep it to yourself, and to make the same ids again."
