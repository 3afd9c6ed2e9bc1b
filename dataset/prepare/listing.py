"""Which recordings a section works on: the frozen listing, a range of it, a fold or a file list, and the filters."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Collection, Sequence
from pathlib import Path
from typing import Any

from dataset.data_loader.base import BaseLoader, Recording, natural_key
from dataset.files.lookup import listed as some_of
from dataset.files.names import plural, shown
from dataset.files.tables import plain_names
from dataset.prepare.exported import require_unchanged
from dataset.prepare.node import has_raw
from dataset.prepare.splits import Split, SplitError, by_fold, read_fold, take
from dataset.prepare.unused import elsewhere, list_recordings
from dataset.store.cache import Cache
from settings.files import ROOT
from settings.names import own_list

CHUNK_NAME = re.compile(r".+_input\d{1,9}\.npy", re.DOTALL)
LEFT_OUT = "left out by INFO or FILTERING"
_TOLD: set[tuple[Path, str]] = set()  # what was said of a data set: its sections and folds share it


def listed(data: Any, name: str) -> tuple[list[Path], dict[str, list[int]] | None]:
    """Chunk files, or clips by recording id, that a file list names; ([], None) without a list."""
    path, cached = Path(data.FILE_LIST_PATH), Path(data.CACHED_PATH)
    if data.DO_PREPROCESS:
        return [], None
    by_name = _chosen_by_name(data)
    if by_name and own_list(data):
        raise SplitError(
            f"{name.upper()}.DATA has a list, FILE_LIST_PATH '{path}', and FOLD names {by_name}: only one of them can "
            "choose. Remove the other."
        )
    if by_name or not path.is_file():  # lists and chunks that rPPG-Toolbox left do not say whose they are
        if own_list(data):
            raise FileNotFoundError(
                f"{name.upper()}.DATA.FILE_LIST_PATH '{path}' does not exist. Name an existing list or a folder."
            )
        return ([] if by_name or has_raw(data) else _bare_chunks(cached, data)), None
    from dataset.prepare import legacy  # late: imports torch

    lines = legacy.read_list(path, cached, Path(data.CACHE_ROOT or cached))
    require_unchanged(path, [line.text for line in lines], data, name)
    print(f"{name.upper()}.DATA: {plural(len(lines), 'clip')} as listed in '{path}'.")
    if lines[0].path is not None:
        return [line.path for line in lines if line.path is not None], None
    wanted: dict[str, list[int]] = {}
    for line in lines:
        wanted.setdefault(line.stem, []).append(line.number)
    return [], wanted


def _chosen_by_name(data: Any) -> str:
    """Which of SUBJECTS and RECORDINGS chooses; '' where neither does."""
    return next((key for key in ("SUBJECTS", "RECORDINGS") if data.FOLD.get(key)), "")


def _bare_chunks(cached: Path, data: Any) -> list[Path]:
    """rPPG-Toolbox's chunks in a folder without list and without raw data: usable only as a whole."""
    if not cached.is_dir() or not any(CHUNK_NAME.fullmatch(file.name) for file in cached.iterdir()):
        return []
    from dataset.prepare.legacy import find_chunks

    if (data.BEGIN, data.END) != (0, 1) or data.FOLD.FOLD_PATH:
        raise SplitError(
            f"'{cached}' holds rPPG-Toolbox's chunks, but '{data.FILE_LIST_PATH}', the list of those between BEGIN "
            f"{data.BEGIN} and END {data.END}, does not exist, nor do the raw data to tell. Give FILE_LIST_PATH."
        )
    return find_chunks(cached)


def listing_of(loader: BaseLoader, root: Path, cache: Cache, data: Any, name: str) -> list[Recording]:
    """The recordings that are there; those of the frozen listing where the raw data are not."""
    if has_raw(data, loader):
        recordings = list_recordings(loader, root, name)
        if not recordings:
            raise FileNotFoundError(
                f"{name.upper()}.DATA.DATA_PATH '{root}' holds no recording of {data.DATASET}. "
                f"The expected layout is at the top of {type(loader).__module__.replace('.', '/')}.py."
                f"{elsewhere(loader, root)}"
            )
        cache.claim(root.resolve())  # first: other processes take a cache with a list and no owner for a stranger's
        cache.freeze(recordings)
        return list(recordings)
    if not cache.root.is_dir():
        raise FileNotFoundError(
            f"No preprocessed data for {name.upper()}.DATA ({data.DATASET}) in '{cache.root}', and "
            f"DATA_PATH '{data.DATA_PATH}' does not exist.\n"
            f"Set {name.upper()}.DATA.DATA_PATH to the raw data (or RPPG_DATA to the folder above them), or "
            f"{name.upper()}.DATA.CACHED_PATH to an existing cache."
        )
    return [_without_path(row, root) for row in cache.listing()]


def _without_path(row: dict[str, Any], root: Path) -> Recording:
    return Recording(id=row["id"], subject=row["subject"], path=root / row["id"], info={"absent": True})


def by_range(listing: Sequence[Recording], loader: BaseLoader, data: Any, name: str) -> list[Recording]:
    """Those between BEGIN and END, of the fold where there is one; SplitError when there are none."""
    chosen = take(listing, data.BEGIN, data.END, unit(loader, data))
    if subjects := _fold(data):
        chosen, absent = by_fold(chosen, subjects)
        _say_absent(name, "subject", subjects, absent)
    if drawn := dict.fromkeys(str(one) for one in data.FOLD.get("RECORDINGS") or []):
        present = {recording.id for recording in chosen}
        chosen = [recording for recording in chosen if recording.id in drawn]
        _say_absent(name, "recording", drawn, [one for one in drawn if one not in present])
    if not chosen:
        raise SplitError(
            f"{name.upper()}.DATA: BEGIN {data.BEGIN} to END {data.END} of {plural(len(listing), 'recording')} "
            f"({plural(len({r.subject for r in listing}), 'subject')}) is empty. Widen the range or check the fold."
        )
    return chosen


def _say_absent(name: str, noun: str, wanted: Collection[str], absent: Sequence[str]) -> None:
    if absent:
        print(f"{name.upper()}.DATA: {len(absent)} of {plural(len(wanted), noun)} of the fold absent: {absent[:5]}")


def _fold(data: Any) -> list[str]:
    """Subjects of the section's fold; [] without one."""
    path = _fold_file(data)
    return [str(name) for name in data.FOLD.get("SUBJECTS") or []] if path is None else read_fold(path)


def _fold_file(data: Any) -> Path | None:
    """The file that names the fold's subjects; None where there is no fold, or they are named in the settings."""
    if data.FOLD.get("SUBJECTS") or not (data.FOLD.FOLD_NAME and data.FOLD.FOLD_PATH):
        return None
    path = Path(data.FOLD.FOLD_PATH)
    return path if path.exists() else ROOT / path


def files_that_choose(data: Any) -> dict[str, Path]:
    """The list or the fold's file by which a DATA node chooses recordings, by its key; {} without either."""
    listed_in, fold = Path(data.FILE_LIST_PATH), _fold_file(data)
    if listed_in.is_file() and not data.DO_PREPROCESS and not _chosen_by_name(data):
        return {"FILE_LIST_PATH": listed_in}
    return {} if fold is None else {"FOLD.FOLD_PATH": fold}


def by_list(listing: Sequence[Recording], wanted: dict[str, list[int]], data: Any) -> list[Recording]:
    """Those that a file list names; SplitError when it names others."""
    known = {recording.id for recording in listing}
    unknown = sorted(set(wanted) - known, key=natural_key)
    if unknown:
        raise SplitError(
            f"The list '{data.FILE_LIST_PATH}' names {plural(len(unknown), 'recording')} that "
            f"{data.DATASET} does not have: {', '.join(unknown[:5])}{', ...' if len(unknown) > 5 else ''}. There are: "
            f"{', '.join(recording.id for recording in listing[:5])}{', ...' if len(listing) > 5 else ''}."
        )
    return [recording for recording in listing if recording.id in wanted]


def unit(loader: BaseLoader, data: Any) -> str:
    """What BEGIN and END count: subjects, or recordings."""
    return data.get("SPLIT_UNIT") or loader.split_unit


def filtered(
    chosen: Sequence[Recording], loader: BaseLoader, data: Any
) -> tuple[list[Recording], list[tuple[Recording, str]]]:
    """Those that the data set's filters keep, and those left out on purpose."""
    kept, excluded = [], []
    for recording in chosen:
        if _selected(loader, recording, data):
            kept.append(recording)
        else:
            excluded.append((recording, LEFT_OUT))
    return kept, excluded


def _selected(loader: BaseLoader, recording: Recording, data: Any) -> bool:
    try:
        return loader.select(recording, data)
    except KeyError:  # what the filter asks for is known only after the recording was read
        return True


def unmatched(listing: Sequence[Recording], loader: BaseLoader, data: Any) -> list[str]:
    """A sentence for each list of FILTERING that has names no recording of the data set is called by."""
    filtering, people = data.FILTERING, plain_names(name for one in listing for name in (one.id, one.subject))
    found = []
    if filtering.USE_EXCLUSION_LIST:
        found.append(("EXCLUSION_LIST", _unknown(filtering.EXCLUSION_LIST, people)))
    own = type(loader).select is BaseLoader.select or type(loader).tasks is not BaseLoader.tasks
    if filtering.SELECT_TASKS and own:  # a `select` of its own may know tasks by other names
        with contextlib.suppress(KeyError):  # what its tasks are is known only after a recording was read
            tasks = plain_names(name for one in listing for name in loader.tasks(one))
            found.append(("TASK_LIST", _unknown(filtering.TASK_LIST, people | tasks)))
    return [
        f"FILTERING.{key} has {plural(len(names), 'name')} of no recording in {data.DATASET}: {some_of(names)}."
        for key, names in found
        if names
    ]


def _unknown(names: Sequence[Any], known: set[str]) -> list[str]:
    return [str(name) for name in names if plain_names([name]) - known]


def tell_once(about: Path, lines: Sequence[str], name: str) -> None:
    """Print what is to be said of the data set at `about`, but nothing a second time."""
    for line in lines:
        if (about, line) not in _TOLD:
            _TOLD.add((about, line))
            print(shown(f"{name.upper()}.DATA: {line}"))


def label_notes(recordings: Sequence[Recording]) -> list[str]:
    """What was made of the times of labels that are in other units than seconds."""
    notes = dict.fromkeys(str(one.info["label_times"]) for one in recordings if one.info.get("label_times"))
    return [f"labels, {note}." for note in notes]


def share(
    chosen: Sequence[Recording], listing: Sequence[Recording], shard: tuple[int, int] | None
) -> tuple[list[Recording], list[Recording]]:
    """Those of `chosen` that belong to a shard (i, n), and the rest: every n-th of the frozen `listing`, from the i-th.

    Places are counted over the whole listing, so sections that share recordings agree on whose they are.
    """
    if shard is None:
        return list(chosen), []
    number, count = shard
    own = {recording.id for recording in listing[number - 1 :: count]}
    return [r for r in chosen if r.id in own], [r for r in chosen if r.id not in own]


def make_split(data: Any, loader: BaseLoader, chosen: Sequence[Recording], by_list: bool = False) -> Split:
    """The split as it is stored and compared."""
    return Split(
        dataset=data.DATASET,
        ids=tuple(recording.id for recording in chosen),
        subjects={recording.id: recording.subject for recording in chosen},
        unit="recording" if by_list else unit(loader, data),
        begin=0.0 if by_list else float(data.BEGIN),
        end=1.0 if by_list else float(data.END),
        fold="" if by_list else data.FOLD.FOLD_NAME,
    )
