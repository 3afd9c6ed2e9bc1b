"""What a killed or failed recording left becomes a valid one: files end where all of them still agree.

    python tools/multimodal/record.py --finish root/s001/r01

Every file of a recording only grows, so all that is lost is what was not yet handed to the system: less than a second.
Per device, samples and times are cut to the same number; a video gets its index. Safe to repeat.
"""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from dataset.files.locks import TakenError, is_owned
from dataset.files.matroska import was_ended
from dataset.files.names import plural
from dataset.files.reading import read_json
from dataset.multimodal.appending import cut_to_frames, cut_to_whole_lines, frames_there, write_json
from dataset.multimodal.layout import EVENTS, META, STAMPS, Meta
from tools.multimodal.setup import require_name
from tools.multimodal.stores import FLAGS, LOCK

TABLES = (STAMPS, FLAGS)
MOST_SECONDS = 5.0  # by which samples and times of one device differ after a kill; a second or two where it was starved


def finish(folder: Path, outcome: Mapping[str, Any] | None = None, say: Callable[[str], None] = print) -> None:
    """Cut the files in `folder` to what is whole, count it and mark the recording as finished.

    `outcome`: what the recorder counted; None where it was killed. FileNotFoundError without meta.json, TakenError
    while it is being recorded.
    """
    if any(map(is_owned, [folder / LOCK, *folder.glob(f"*/{LOCK}")])):
        raise TakenError(f"'{folder}' is being recorded. Stop that first; nothing was changed.")
    meta = read_json(folder / META, "A recording begins with this file; a folder without it holds none.")
    if meta.get("finished") is True:
        say(f"'{folder}' is finished already.")
        return
    devices = Meta(meta, folder / META).devices
    for path in (folder / EVENTS, *(folder / require_name(name, "A device") for name in devices)):
        _require_own(path)
    cut_to_whole_lines(folder / EVENTS)
    for name in sorted(devices):
        devices[name]["samples"] = _samples(folder / name, (outcome or {}).get(name, {"problem": "killed"}))
    _note_outcome(meta, outcome)
    write_json(folder / META, meta)
    for lock in (folder / LOCK, *folder.glob(f"*/{LOCK}")):
        lock.unlink(missing_ok=True)
    counted = ", ".join(f"{name} {plural(one.get('samples', 0), 'sample')}" for name, one in sorted(devices.items()))
    say(f"'{folder}' is finished: {counted}.")


def _samples(folder: Path, ended: Mapping[str, Any]) -> int:
    """How many samples a device has, its files cut where it has not `ended` in order; OSError with the remedy."""
    if not folder.is_dir():
        return 0
    try:
        return finish_device(folder) if ended["problem"] else ended["samples"]
    except OSError as error:
        raise OSError(
            f"'{folder}' could not be finished ({error.strerror or error}). Nothing is lost; make room and run "
            f"--finish {folder.parent} again."
        ) from error


def _note_outcome(meta: dict[str, Any], outcome: Mapping[str, Any] | None) -> None:
    meta["finished"], meta["interrupted"] = True, outcome is None
    for name, one in (outcome or {}).items():
        meta["devices"].setdefault(name, {}).update(counts=one["counts"], problem=one["problem"])


def finish_device(folder: Path) -> int:
    """Cut the files of one device to their common number of samples, and return that.

    ValueError, and nothing is changed, where they differ by more than a kill leaves: then one of them is damaged.
    """
    for path in folder.iterdir():
        _require_own(path)
    stamps, data = folder / STAMPS, _data_file(folder)
    rows = _rows(stamps) if stamps.exists() else 0
    there = rows if data is None else _count(data)
    count = min(rows, there)
    if _seconds(stamps, rows, there) > MOST_SECONDS:
        raise ValueError(
            f"'{data}' holds {there} whole samples, and '{stamps}' {rows} lines: no kill leaves that, one of them is "
            "damaged. Nothing was changed. Copy it again, or leave the device out of meta.json."
        )
    for table in folder.glob("*.csv"):
        cut_to_whole_lines(table)
    if data is not None:
        _cut(data, count)
    if stamps.exists():
        _keep_rows(stamps, count)
    if (folder / FLAGS).exists():
        _keep_indices(folder / FLAGS, count)
    return count


def _require_own(path: Path) -> None:
    """ValueError for a link: what it leads to is no part of the recording and is not to be cut."""
    if path.is_symlink():
        raise ValueError(f"'{path}' is a link to another place. Put the file itself there. Nothing was changed.")


def _seconds(stamps: Path, rows: int, there: int) -> float:
    """By how many seconds a table of `rows` times and a file of `there` samples differ."""
    if rows == there or not rows:
        return 0.0
    with stamps.open("rb") as file:
        lines = file.read().split(b"\n")[1 : rows + 1]
    try:
        host = [int(line.split(b",")[2]) for line in (lines[0], lines[min(there, rows) - 1], lines[-1])]
    except (IndexError, ValueError):
        raise ValueError(
            f"'{stamps}' is no table of times: it is damaged. Nothing was changed. Copy it again."
        ) from None
    if there < rows:
        return (host[2] - host[1 if there else 0]) / 1e9
    return (there - rows) * (host[2] - host[0]) / 1e9 / max(rows - 1, 1)


def _data_file(folder: Path) -> Path | None:
    """The file with the samples: there is one, beside the tables of times and flags."""
    found = [path for path in folder.iterdir() if path.suffix in (".npy", ".mkv", ".csv") and path.name not in TABLES]
    return next((path for path in sorted(found) if not path.name.startswith(".")), None)


def _count(path: Path) -> int:
    """Whole samples in a file of a device."""
    if path.suffix == ".mkv":
        from tools.multimodal.video_store import whole_packets

        return whole_packets(path)
    return _rows(path) if path.suffix == ".csv" else frames_there(path)


def _cut(path: Path, count: int) -> None:
    """Keep the first `count` samples; a file without any may lack its header, and stays as it is."""
    if count == 0 and path.suffix != ".csv":
        return
    if path.suffix == ".mkv":
        from tools.multimodal.video_store import finish_video

        if not was_ended(path) or _count(path) != count:
            finish_video(path, count)
    elif path.suffix == ".csv":
        _keep_rows(path, count)
    else:
        cut_to_frames(path, count)


def _rows(path: Path) -> int:
    """Lines after the first."""
    with path.open("rb") as file:
        return max(0, sum(block.count(b"\n") for block in iter(lambda: file.read(1 << 20), b"")) - 1)


def _keep_rows(path: Path, count: int) -> None:
    """Cut a table after `count` lines below the first one."""
    with path.open("rb+") as file:
        for _ in range(count + 1):
            file.readline()
        file.truncate(file.tell())


def _keep_indices(path: Path, count: int) -> None:
    """Cut a table of flags before the first that is about a sample which is not there; none is left: no file."""
    with path.open("rb+") as file:
        file.readline()
        while (start := file.tell()) >= 0 and (line := file.readline()):
            if int(line.split(b",")[0]) >= count:
                file.truncate(start)
                break
