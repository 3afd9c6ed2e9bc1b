"""A split as files that a later run reads: `<name>.csv`, its clips, and `<name>.split.json`, who is in it.

    <name>.csv          running number, column `input_files`: rPPG-Toolbox's layout, which FILE_LIST_PATH names
    <name>.split.json   format; dataset, ids, subjects, unit, begin, end, fold and their `hash`; `list`: the hash of
                        the names in the list, and how the clips were cut

Who is in a section is read from the list alone. The JSON beside it tells whether the list is still the one that was
written, and whether its numbers still mean the same clips; a list without one is read as it is.
"""

import csv
import io
import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from dataset.files.reading import read_json, told
from dataset.files.writing import write_whole
from dataset.prepare.node import cutting
from dataset.prepare.splits import Split, SplitError
from dataset.store.sources import digest

FORMAT = 1


def write_split(path: Path, split: Split, names: Sequence[str], cut: Mapping[str, Any]) -> None:
    """Write the list `path` of the clips `names`, and the JSON beside it; `cut`: see `dataset.prepare.node.cutting`."""
    text = io.StringIO(newline="")
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["", "input_files"])
    writer.writerows(enumerate(names))
    content = {"format": FORMAT, "hash": split.hash, **split.plain()}
    content["list"] = {"hash": _list_hash(names, cut), "cut": dict(cut)}
    write_whole(path, text.getvalue())
    write_whole(_json_of(path), json.dumps(content, indent=1, ensure_ascii=False) + "\n")


def require_unchanged(path: Path, names: Sequence[str], data: Any, section: str) -> None:
    """SplitError when the list `path` of `names` was exported for other clips than a DATA node has, or was changed.

    A list without a JSON beside it is not asked.
    """
    about = _json_of(path)
    if not about.is_file():
        return
    remedy = f"Export both anew, or delete '{about}': then the list is read as it is."
    split, cut, signed = _read(about, remedy)
    if _list_hash(names, cut) != signed:
        raise SplitError(f"'{path}' is not the list that was exported with '{about}': it was changed. {remedy}")
    node = f"{section.upper()}.DATA"
    if split.dataset != data.DATASET:
        raise SplitError(f"'{path}' lists clips of {split.dataset}, but {node}.DATASET is {data.DATASET}. {remedy}")
    now = cutting(data)
    for key, value in cut.items():
        if now.get(key, value) != value:
            raise SplitError(
                f"'{path}' was exported with {key} {value}, but {node}.{key} is {now[key]}: the same numbers would "
                f"mean other clips. Set it to {value}. {remedy}"
            )


def _json_of(path: Path) -> Path:
    return path.with_suffix(".split.json")


def _read(about: Path, remedy: str) -> tuple[Split, dict[str, Any], str]:
    """Split, cut and hash of the list, as the JSON says; SplitError when it is damaged or was changed."""
    try:
        stored = read_json(about, remedy="")
        version, claimed, listed = stored.pop("format"), stored.pop("hash"), stored.pop("list")
        split = Split(**{**stored, "ids": tuple(stored["ids"])})
        found, cut, signed = split.hash, dict(listed["cut"]), listed["hash"]
    except (OSError, ValueError, TypeError, KeyError, AttributeError) as error:
        raise SplitError(f"'{about}' is not a split of this toolbox ({told(error)}). {remedy}") from error
    if version != FORMAT:
        raise SplitError(f"'{about}' has format {version}; this version reads {FORMAT}. {remedy}")
    if found != claimed:
        raise SplitError(f"'{about}' does not match its hash: it was changed after it was written. {remedy}")
    return split, cut, signed


def _list_hash(names: Iterable[str], cut: Mapping[str, Any]) -> str:
    """A sign of the names, in whatever order, and how their clips were cut."""
    return digest([sorted(set(names)), dict(cut)])
