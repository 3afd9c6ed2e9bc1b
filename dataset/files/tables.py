"""What several data sets need: look for folders and files, read tables, and say clearly what is missing or wrong."""

import re
import warnings
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from dataset.files.reading import AGAIN, LARGEST_TABLE, iter_lines, require_file, told

MOST_NUMBERS = 1 << 24  # of a table: they take 128 MB; an hour of four columns at 1000 Hz has fewer


def require_root(root: Path, name: str) -> Path:
    """`root` as a path; FileNotFoundError when it is no folder."""
    root = Path(root)
    if not root.is_dir():
        raise FileNotFoundError(f"DATA_PATH '{root}' of {name} is not a folder. Set it to where the data set lies.")
    return root


def require_some(found: list[Any], root: Path, name: str, layout: str) -> list[Any]:
    """`found` itself; FileNotFoundError with the expected `layout` when it is empty."""
    if not found:
        raise FileNotFoundError(f"'{root}' holds no recording of {name}. Expected there: {layout}.")
    return found


def chosen(name: str, known: Iterable[str], key: str = "CAMERA") -> tuple[str, ...]:
    """The one of `known` that `name` is, or all of them for `all`; ValueError naming `key` for anything else."""
    known = tuple(known)
    if name not in (*known, "all"):
        raise ValueError(f"{key} is {name!r}. Known: {', '.join(known)}, all.")
    return known if name == "all" else (name,)


def passes_filtering(recording_id: str, tasks: Iterable[str], data: dict[str, Any], subject: str = "") -> bool:
    """Whether FILTERING of the DATA node keeps this recording.

    EXCLUSION_LIST must name neither it nor its `subject`; TASK_LIST has to name it, or one of its `tasks`. Case, signs
    and zeros in front count for nothing: `01-02` and `S1_t3` are PURE's 102 and UBFC-PHYS' s1_T3.
    """
    how = data["FILTERING"]
    if how["USE_EXCLUSION_LIST"] and plain_names((recording_id, subject)) & plain_names(how["EXCLUSION_LIST"]):
        return False
    return not how["SELECT_TASKS"] or bool(plain_names((recording_id, *tasks)) & plain_names(how["TASK_LIST"]))


def plain_names(names: Iterable[Any]) -> set[str]:
    """`names` without what people write differently; empty ones left out."""
    return {re.sub(r"^0+(?=.)", "", re.sub(r"[\W_]+", "", str(name).casefold())) for name in names} - {""}


def read_table(path: Path, skip: int = 0, delimiter: str | None = ",") -> np.ndarray:
    """The numbers of a text file as (rows, columns) float64, without its first `skip` lines.

    FileNotFoundError when it is missing; ValueError when it is empty, too large for a table or no file, or holds
    anything but rows of equal length.
    """
    require_file(path, LARGEST_TABLE)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)  # that a file is empty is said below
            lines = _counted(iter_lines(path), delimiter)
            table = np.loadtxt(lines, delimiter=delimiter, skiprows=skip, ndmin=2, comments=None)
    except (ValueError, OverflowError) as error:
        raise ValueError(f"'{path}' is no table of numbers: {told(error)}. {AGAIN}") from None
    if not table.size:
        raise ValueError(f"'{path}' holds no numbers. Copy it again, or leave the recording out.")
    return table


def _counted(lines: Iterable[str], delimiter: str | None) -> Iterator[str]:
    """The same lines; ValueError when they hold more than MOST_NUMBERS fields."""
    count = 0
    for line in lines:
        count += len(line.split(delimiter))
        require_few(count)
        yield line


def require_few(count: int) -> None:
    """ValueError, without the name of the file, when so many numbers are no signal: while they are read, not after."""
    if count > MOST_NUMBERS:
        raise ValueError(f"it has more than {MOST_NUMBERS} numbers")


def column(table: np.ndarray, index: int, path: Path) -> np.ndarray:
    """Column `index` of what `read_table` returned; ValueError when there are fewer."""
    if table.shape[1] <= index:
        raise ValueError(f"'{path}' has {table.shape[1]} columns; column {index + 1} is needed. Copy it again.")
    return table[:, index]
