"""Data that are millions of windows: one array (n, C, L) or a folder of .npz files, and a table with a row for each.

    windows.npy   (n, C, L) numbers, read as a memory map           windows.csv   subject, targets ..., start
    or <name>.npz  one window each: `x`, (C, L) or (L, C)           (.npz: the same columns as arrays)

Columns of the table: `subject`; `recording` where a subject has several; `start` (s) of the window in its recording;
`window`, the name of its .npz file; all others are targets, NaN where they hold no number. Arrays have that order.
"""

import io
import zipfile
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path, PurePath
from typing import Any, BinaryIO

import numpy as np

from dataset.files.reading import AGAIN, LARGEST_TABLE, LONGEST_LINE, is_there, open_array, require_file, told

LARGEST_WINDOW = 1 << 26  # bytes of one .npz window; ten minutes of twelve channels at 1000 Hz have less than half
LARGEST_ARRAYS = 1 << 30  # bytes of a table in a .npz file
PAGES = 1 << 16  # bytes that the system maps around each place that is read
DROPPED_AFTER = 1 << 25  # bytes mapped before the map is let go: it would grow to the size of the file
NAMES = ("subject", "recording", "window")  # columns of text
NAMED = 5  # files that a message names
EMPTY = ["", "NaN", "nan", "NA", "N/A", "null"]  # cells without a number


@dataclass(frozen=True)
class Windows:
    """Windows ready to be read: `read(number, rows)` gives the channels `rows` of one as (len(rows), L) float32.

    channels    their names                             fs          samples per second
    of          (n,) number of each window's recording  recordings  names, `subjects` of each
    number      (n,) place of each window in its recording, by `start` where the table has it
    targets     columns (n,) float32 of the table
    unfit       row -> why that window cannot be used, where somebody has looked
    parts       section (train, valid, test) of each of `recordings` in the data set's own split; (): it has none
    """

    channels: tuple[str, ...]
    fs: float
    length: int
    store: Any
    of: np.ndarray
    number: np.ndarray
    recordings: tuple[str, ...]
    subjects: tuple[str, ...]
    targets: dict[str, np.ndarray]
    unfit: Mapping[int, str] = field(default_factory=dict)
    parts: tuple[str, ...] = ()

    def __len__(self) -> int:
        """Windows of all recordings."""
        return len(self.of)

    def read(self, number: int, rows: Sequence[int], epoch: int = 0) -> np.ndarray:
        """Channels `rows` of a window, (len(rows), L) float32, a copy; of windows that are drawn, that of `epoch`."""
        return self.store.read(number, rows, epoch) if self.drawn else self.store.read(number, rows)

    def read_many(self, numbers: np.ndarray, rows: Sequence[int], epochs: Sequence[int]) -> np.ndarray:
        """Channels `rows` of windows (n,), each of its epoch, (n, len(rows), L) float32, a copy."""
        if hasattr(self.store, "read_many"):
            return self.store.read_many(numbers, rows)
        return np.stack([self.read(int(row), rows, epoch) for row, epoch in zip(numbers, epochs, strict=True)])

    @property
    def drawn(self) -> bool:
        """Whether the windows are made when they are read, others in each epoch of a training."""
        return getattr(self.store, "drawn", False)


def open_windows(
    data: str | Path, table: str | Path, channels: Sequence[str], fs: float, time_first: bool = False
) -> Windows:
    """The windows in `data` (a .npy file, or a folder of .npz files) with their `table` (.csv or .npz).

    `channels` name the C rows in order; `time_first`: the .npz files hold (L, C). Only headers and the table are read.
    FileNotFoundError for what is missing, ValueError for files that do not fit one another; each names file and remedy.
    """
    columns = read_columns(Path(table))
    if Path(data).is_dir():
        store: Any = WindowFiles(Path(data), columns.get("window"), len(channels), time_first)
    else:
        store = WindowArray(Path(data), len(channels))
    return arrange(store, columns, channels, fs, data, table)


def arrange(
    store: Any, columns: Mapping[str, Any], channels: Sequence[str], fs: float, data: str | Path, table: str | Path
) -> Windows:
    """Windows of what `store` reads and of the `columns` of its table; `data` and `table` name both in messages."""
    if not fs > 0:
        raise ValueError(f"The windows in '{data}' have no rate. Give the samples per second.")
    count = len(columns["subject"])
    if len(store) != count:
        raise ValueError(f"'{table}' has {count} rows, '{data}' {len(store)} windows. They must be of one export.")
    subjects, whose = _numbered(columns["subject"])
    recordings, of = _numbered(columns["recording"]) if "recording" in columns else (subjects, whose)
    owner = np.empty(len(recordings), dtype=np.int32)
    owner[of] = whose
    if (owner[of] != whose).any():
        name = recordings[of[np.flatnonzero(owner[of] != whose)[0]]]
        raise ValueError(f"'{table}': recording {name!r} has several subjects. A recording belongs to one.")
    with np.errstate(over="ignore"):  # what is too large for a number is none: infinite
        targets = {name: values.astype(np.float32) for name, values in columns.items() if name not in NAMES}
    return Windows(
        tuple(channels), float(fs), store.length, store, of, _places(of, columns.get("start")),
        tuple(recordings), tuple(subjects[number] for number in owner), targets,
    )  # fmt: skip


def _numbered(names: Sequence[Any]) -> tuple[list[str], np.ndarray]:
    """The different names in the order in which they come, and the number (n,) int32 of each row's."""
    if isinstance(names, np.ndarray):
        values, first, numbers = np.unique(names, return_index=True, return_inverse=True)
        order = np.argsort(first)
        return [str(value) for value in values[order]], np.argsort(order)[numbers].astype(np.int32)
    known: dict[str, int] = {}
    numbers = np.fromiter((known.setdefault(name, len(known)) for name in names), np.int32, len(names))
    return list(known), numbers


def _places(of: np.ndarray, start: np.ndarray | None) -> np.ndarray:
    """Place (n,) of each window in its recording: by `start`, else by row."""
    order = np.argsort(of, kind="stable") if start is None else np.lexsort((start, of))
    sorted_of = of[order]
    begins = np.searchsorted(sorted_of, sorted_of)
    places = np.empty(len(of), dtype=np.int32)
    places[order] = np.arange(len(of)) - begins
    return places


# --- The samples ----------------------------------------------------------------------------------------------------


class WindowArray:
    """One array (n, C, L), as a memory map that is let go before it fills the memory."""

    def __init__(self, path: Path, channels: int):
        """Check the header against the size of the file; nothing is read. ValueError names the file."""
        self.path = path
        array = _by_channel(open_array(path, AGAIN), channels)
        if array.ndim != 3 or array.shape[1] != channels or array.dtype.kind not in "fiu" or not array.size:
            turned = array.ndim == 3 and array.shape[2] == channels
            remedy = "Its axes are in another order: save array.transpose(0, 2, 1)." if turned else "Save them so."
            raise ValueError(
                f"'{path}' holds {array.dtype} {array.shape}; windows are numbers (n, {channels} channels, L). {remedy}"
            )
        self.count, self._channels, self.length = array.shape
        self._row = array.dtype.itemsize * channels * self.length + PAGES
        self._map: np.ndarray | None = None
        self._mapped = 0

    def __len__(self) -> int:
        """Windows in the file."""
        return self.count

    def __getstate__(self) -> dict[str, Any]:
        """All but the map, which would be copied into the pickle."""
        return {**self.__dict__, "_map": None, "_mapped": 0}

    def read(self, number: int, rows: Sequence[int]) -> np.ndarray:
        """Channels `rows` of a window, (len(rows), L) float32."""
        return self.read_many(np.array([number]), rows)[0]

    def read_many(self, numbers: np.ndarray, rows: Sequence[int]) -> np.ndarray:
        """Channels `rows` of windows (n,), (n, len(rows), L) float32."""
        found = np.empty((len(numbers), len(rows), self.length), dtype=np.float32)
        step = max(1, DROPPED_AFTER // self._row)
        for start in range(0, len(numbers), step):
            part = numbers[start : start + step]
            found[start : start + step] = self._opened(len(part))[part[:, None], rows]
        return found

    def _opened(self, count: int) -> np.ndarray:
        """The map, from which `count` windows are about to be read."""
        if self._map is None or self._mapped > DROPPED_AFTER:
            whole = open_array(self.path, AGAIN).view(np.ndarray)  # as a plain array: np.memmap is slow to cut
            self._map, self._mapped = _by_channel(whole, self._channels), 0
        self._mapped += count * self._row
        return self._map


def _by_channel(array: np.ndarray, channels: int) -> np.ndarray:
    """(n, C, L); of one channel, (n, L) says the same."""
    return array[:, None] if array.ndim == 2 and channels == 1 else array


class WindowParts:
    """Several arrays of windows, one behind the other."""

    def __init__(self, stores: Sequence[WindowArray]):
        """ValueError for windows of different length."""
        self.stores, self.length = tuple(stores), stores[0].length
        if other := next((one for one in stores if one.length != self.length), None):
            raise ValueError(f"'{other.path}' has windows of {other.length} samples, '{stores[0].path}' {self.length}.")
        self._ends = np.cumsum([len(one) for one in stores])

    def __len__(self) -> int:
        """Windows in all of them."""
        return int(self._ends[-1])

    def read(self, number: int, rows: Sequence[int]) -> np.ndarray:
        """Channels `rows` of a window, (len(rows), L) float32."""
        return self.read_many(np.array([number]), rows)[0]

    def read_many(self, numbers: np.ndarray, rows: Sequence[int]) -> np.ndarray:
        """Channels `rows` of windows (n,), (n, len(rows), L) float32."""
        found = np.empty((len(numbers), len(rows), self.length), dtype=np.float32)
        places = np.searchsorted(self._ends, numbers, side="right")
        for place in np.unique(places):
            store, own = self.stores[place], places == place
            found[own] = store.read_many(numbers[own] - self._ends[place] + len(store), rows)
        return found


class WindowFiles:
    """A folder with a .npz file for each window: array `x`, (C, L), or (L, C) where time comes first."""

    def __init__(self, folder: Path, names: Sequence[str] | None, channels: int, time_first: bool):
        """Look up the files that the table names, and the first one's shape."""
        if names is None:
            raise ValueError(f"The table has no column 'window', which says whose each .npz in '{folder}' is.")
        self.folder, self.time_first, self.channels = folder, time_first, channels
        self.names = [name if name.endswith(".npz") else f"{name}.npz" for name in map(str, names)]
        missing = [n for n in self.names if PurePath(n).name != n or "\\" in n or not is_there(folder / n)]
        if missing:
            named = ", ".join(f"'{name}'" for name in missing[:NAMED]) + (", ..." if len(missing) > NAMED else "")
            raise FileNotFoundError(
                f"The table names {named}, but '{folder}' has no such file ({len(missing)} of {len(self.names)} are "
                f"missing). Table and folder must be of one export."
            )
        if not self.names:
            raise ValueError(f"The table of '{folder}' has no rows. {AGAIN}")
        self.length = 0
        self.length = next(array.shape[1] for array in self._readable())

    def _readable(self) -> Iterable[np.ndarray]:
        """The windows that can be read, in order; ValueError of the first file where there is none."""
        first = None
        for number in range(len(self.names)):
            try:
                yield self._array(number)
            except (ValueError, OSError) as error:
                first = first or error
        raise first or ValueError("no window")

    def __len__(self) -> int:
        """Files that the table names."""
        return len(self.names)

    def read(self, number: int, rows: Sequence[int]) -> np.ndarray:
        """Channels `rows` of a window, (len(rows), L) float32; ValueError naming a file that is not like the first."""
        return self._array(number)[list(rows)].astype(np.float32)

    def _array(self, number: int) -> np.ndarray:
        path = require_file(self.folder / self.names[number])
        try:
            array = np.atleast_2d(_member(path, "x.npy", LARGEST_WINDOW))
        except Exception as error:  # zip archives and headers fail in many ways
            raise ValueError(f"'{path}' holds no window: {told(error)}. {AGAIN}") from None
        array = array.T if self.time_first else array
        if array.ndim != 2 or array.dtype.kind not in "fiu" or array.shape != (
            self.channels, self.length or max(array.shape[-1], 1)
        ):  # fmt: skip
            raise ValueError(
                f"'{path}' holds {array.dtype} {array.shape}; a window here is numbers "
                f"({self.channels} channels, {self.length or 'L'} samples). {AGAIN}"
            )
        return array


def examine(store: WindowFiles, constant: bool = False, progress: Any = None) -> dict[int, str]:
    """Row -> why a window cannot be used: damaged, of another shape, with NaN or, unless `constant`, a flat channel.

    Every file is read once; `progress.update(n)` is told of each hundred.
    """
    found: dict[int, str] = {}
    with ThreadPoolExecutor(2) as pool:  # inflating lets other threads run
        for number, reason in enumerate(pool.map(lambda row: _unfit(store, row, constant), range(len(store)))):
            if reason:
                found[number] = reason
            if progress is not None and number % 100 == 99:
                progress.update(100)
    return found


def _unfit(store: WindowFiles, number: int, constant: bool) -> str:
    try:
        array = store.read(number, range(store.channels))
    except (ValueError, OSError) as error:
        return str(error)
    if not np.isfinite(array).all():
        return f"'{store.names[number]}' has {np.count_nonzero(~np.isfinite(array))} samples that are no numbers"
    flat = np.flatnonzero(np.ptp(array, axis=1) == 0)
    if len(flat) and not constant:
        return f"'{store.names[number]}' has a constant channel (number {flat[0] + 1})"
    return ""


def rate_of(path: Path) -> float:
    """Samples per second of an .npz file, which holds it as `fs`; 0 where it does not say."""
    try:
        value = _member(require_file(path), "fs.npy", 1 << 12)
        return float(value.reshape(())) if value.dtype.kind in "fiu" else 0.0
    except KeyError:
        return 0.0
    except Exception as error:
        raise ValueError(f"'{path}' holds no rate: {told(error)}. {AGAIN}") from None


def _member(path: Path, name: str, largest: int) -> np.ndarray:
    """An array of a .npz file, at most `largest` bytes of it, never a pickle."""
    with zipfile.ZipFile(path) as archive:
        if archive.getinfo(name).file_size > largest:
            raise ValueError(f"{name} has over {largest} bytes")
        with archive.open(name) as file:
            content = file.read(largest + 1)
    version = np.lib.format.read_magic(stream := io.BytesIO(content))
    header = {(1, 0): np.lib.format.read_array_header_1_0, (2, 0): np.lib.format.read_array_header_2_0}[version]
    shape, _, kind = header(stream)
    if kind.hasobject or int(np.prod(shape, dtype=object)) * kind.itemsize > len(content):
        raise ValueError(f"{name} has another size than it states")
    return np.lib.format.read_array(io.BytesIO(content), allow_pickle=False)


# --- The table ------------------------------------------------------------------------------------------------------


def read_columns(path: Path, called: Mapping[str, str] | None = None, needed: str = "subject") -> dict[str, Any]:
    """The columns of a table: names of subject, recording and window (lists, or arrays of a .npz), else float64 (n,).

    `called` says how a .csv file calls one of these three, such as {"ssoid": "window"}. ValueError without the column
    `needed`, without rows, or for rows of unequal length.
    """
    columns = _npz_columns(path) if path.suffix == ".npz" else _csv_columns(path, called or {})
    if needed not in columns or not len(columns[needed]):
        own = next((name for name, new in (called or {}).items() if new == needed), needed)
        raise ValueError(f"'{path}' has no {'rows' if needed in columns else f'column {own}'}: each window's is "
                         f"needed. Its columns: {', '.join(columns) or 'none'}.")  # fmt: skip
    if len({len(column) for column in columns.values()}) > 1:
        raise ValueError(f"'{path}' has columns of different lengths. {AGAIN}")
    return columns


def _npz_columns(path: Path) -> dict[str, Any]:
    require_file(path, LARGEST_ARRAYS)
    columns = {}
    try:
        with zipfile.ZipFile(path) as archive:
            members = [name for name in archive.namelist() if name.endswith(".npy")]
        for name in members:
            array = _member(path, name, LARGEST_ARRAYS)
            key = name.removesuffix(".npy")
            columns[key] = array.reshape(len(array)) if key in NAMES else array.reshape(len(array)).astype(float)
    except Exception as error:
        raise ValueError(f"'{path}' is no table of windows: {told(error)}. {AGAIN}") from None
    return columns


def _require_lines(file: BinaryIO) -> None:
    """ValueError for a line longer than any of a table: parsing it as columns would take hours and gigabytes."""
    length = 0
    for block in iter(lambda: file.read(1 << 20), b""):
        first, *others = block.split(b"\n")
        if max(length + len(first), *map(len, others), 0) > LONGEST_LINE:
            raise ValueError(f"a line has more than {LONGEST_LINE} letters")
        length = len(others[-1]) if others else length + len(first)
    file.seek(0)


def _csv_columns(path: Path, called: Mapping[str, str]) -> dict[str, Any]:
    import pandas  # here: nothing else of reading needs it

    require_file(path, LARGEST_TABLE)
    try:
        with path.open("rb") as file:
            _require_lines(file)
            names = list(pandas.read_csv(file, nrows=0))
            file.seek(0)
            own = {name for name in names if called.get(name, name) in NAMES}
            empty = {name: EMPTY for name in names if name not in own}  # a subject may well be called NA
            frame = pandas.read_csv(
                file, dtype=dict.fromkeys(own, str), keep_default_na=False, na_values=empty, low_memory=False
            )
            frame = frame.rename(columns=dict(called))
            names = list(frame)
    except (OSError, ValueError, OverflowError) as error:
        raise ValueError(f"'{path}' is no table of windows: {told(error)}. {AGAIN}") from None
    texts = frame[[name for name in names if name in NAMES]]
    if not isinstance(frame.index, pandas.RangeIndex) or (texts.isna() | texts.eq("")).to_numpy().any():
        raise ValueError(f"'{path}' has rows with more or fewer cells than its first line, or without a name. {AGAIN}")
    return {
        name: frame[name].tolist()
        if name in NAMES
        else pandas.to_numeric(frame[name], errors="coerce").to_numpy(dtype=float)
        for name in names
    }
