"""A run once more: is what it read still there, does it give the same numbers, and if not, why may that be.

A replay has a folder of its own, `<LOG.PATH>/replays/<run>-<n>`, in which all that a run writes lies; nothing of the
first run is touched. What it found is `replay.json` in the new run folder.
"""

import itertools
import json
import math
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

import config as settings
from dataset.files.names import plural
from dataset.files.reading import read_json, read_text
from dataset.prepare.node import has_raw, make_loader
from dataset.prepare.unused import list_recordings
from dataset.store.sources import sign
from evaluation.provenance import PROVENANCE, file_sign, known, read
from evaluation.tables import csv_lines, write_text
from settings.modes import used_sections
from settings.names import INPUT_PATHS

ABOUT = ("config.yaml", "environment.json", PROVENANCE, "replay.json", "doctor.csv", "run.lock")  # no results
CLOCKS = {"history.csv": {"seconds"}}  # columns that measure the machine
TOLD = 12  # differences on the screen
KEPT = 10_000  # differences in replay.json
ANOTHER = "To run the same settings on what is there now: python main.py --config_file '{file}' LOG.PATH=OTHER_FOLDER"


@dataclass(frozen=True)
class Plan:
    """What a replay does: the run folder `old`, its settings `file`, what is changed of them, and where it goes."""

    old: Path
    file: Path
    root: Path
    overrides: list[settings.Override]


def planned(old: Path, more: Sequence[settings.Override] = ()) -> Plan:
    """The plan to repeat the run in `old`; `more` are settings that win, such as another DEVICE.

    ValueError, before anything is written, for a folder that is none of a run, and where recordings, their files or
    the weights are not what the run has read; it names them.
    """
    file = old / "config.yaml"
    if not file.is_file() or not (old / PROVENANCE).is_file():
        raise ValueError(
            f"'{old}' is no folder of a run: a replay needs its config.yaml and {PROVENANCE}. Name the folder that the "
            "report lies in, such as runs/exp/runs/NAME."
        )
    then = read(old)
    moved = _absolute(file, Path(then["folder"]))
    changed = changes(then, settings.read(file, [*moved, *more]).config)
    if changed:
        lines = "\n".join(f"  {line}" for line in changed[:TOLD])
        rest = f"\n  and {len(changed) - TOLD} more" if len(changed) > TOLD else ""
        again = ANOTHER.format(file=file)
        raise ValueError(f"What '{old}' has read is not what is there now:\n{lines}{rest}\nBring it back. {again}")
    root = _new_folder(old)
    return Plan(old, file, root, [*moved, *_redirected(file, root), *more])


def _absolute(file: Path, folder: Path) -> list[settings.Override]:
    """Paths of the settings that are relative to `folder`, where the run was started, when this is another one."""
    if folder == Path.cwd():
        return []
    named = [*_leaves(yaml.safe_load(read_text(file)))]
    paths = {*INPUT_PATHS, "CACHED_PATH", "CACHE_ROOT", "FILE_LIST_PATH"}
    return [
        (key, [str(folder / one) for one in value] if isinstance(value, list) else str(folder / value))
        for key, value in named
        if key.rpartition(".")[2] in paths and value
    ]


def _leaves(node: Mapping[str, Any], path: str = "") -> Iterator[tuple[str, Any]]:
    for name, value in node.items():
        if isinstance(value, dict):
            yield from _leaves(value, f"{path}{name}.")
        else:
            yield f"{path}{name}", value


def _redirected(file: Path, root: Path) -> list[settings.Override]:
    """All that is written goes below `root`: also what the settings put elsewhere."""
    then = dict(_leaves(yaml.safe_load(read_text(file))))
    found: list[settings.Override] = [("LOG.PATH", str(root))]
    old = os.path.join(then["LOG.PATH"], "")
    for key in ("TEST.OUTPUT_SAVE_DIR", "UNSUPERVISED.OUTPUT_SAVE_DIR"):
        if folder := then.get(key):
            found.append((key, "" if folder.startswith(old) else str(root / "outputs")))
    if weights := then.get("MODEL.MODEL_DIR"):
        found.append(("MODEL.MODEL_DIR", os.path.basename(os.path.normpath(weights))))
    return found


def _new_folder(old: Path) -> Path:
    """A folder that was not there: the number behind its name is the first that is free."""
    above = old.absolute().parent
    above = (above.parent if above.name == "runs" else above) / "replays"
    above.mkdir(parents=True, exist_ok=True)
    for number in itertools.count(1):
        try:
            (above / f"{old.absolute().name}-{number}").mkdir()
        except FileExistsError:
            continue
        return above / f"{old.absolute().name}-{number}"
    raise AssertionError("there is no last number")


# --- Is everything still there? -------------------------------------------------------------------------------------


def changes(then: Mapping[str, Any], config: Any) -> list[str]:
    """What of the data and the weights of a run is not as it was, a line each; [] where nothing tells it."""
    found = []
    for section in used_sections(config):
        if (old := then.get("data", {}).get(section)) is not None:
            for key, file in old.get("chosen_by", {}).items():
                found += _changed_file(f"{section}.DATA.{key}", file, "names")
            found += [f"{section}.DATA: {line}" for line in _changes(old, config[section].DATA)]
    for key in ("INFERENCE.MODEL_PATH", "MODEL.WEIGHTS"):
        if old := then.get("weights", {}).get(key):
            found += _changed_file(key, old, "weights")
    return found


def _changes(old: Mapping[str, Any], data: Any) -> Iterator[str]:
    """Lines for one DATA node; where the raw data are gone the cache is all there is, and nothing is said."""
    loader = make_loader(data)
    if not has_raw(data, loader):
        return
    root = Path(data.DATA_PATH)
    base = root.parent if root.is_file() else root
    for name, one in old["recordings"].items():
        for kind, files in one.get("files", {}).items():
            gone = [file for file, was in files.items() if _is_other(base, file, kind, was, loader.generated)]
            if gone:
                yield f"{name}: {', '.join(gone)}"
    yield from (f"{file}" for file, was in old.get("files", {}).items() if _is_other(base, file, "labels", was, False))
    if old["listing"]:
        now = [recording.id for recording in list_recordings(loader, root, "replay")]
        if new := [name for name in now if name not in set(old["listing"])]:
            yield f"{plural(len(new), 'recording')} not there then: {', '.join(new[:TOLD])}"
        if gone := [name for name in old["listing"] if name not in set(now)]:
            yield f"{plural(len(gone), 'recording')} gone: {', '.join(gone[:TOLD])}"


def _is_other(base: Path, file: str, kind: str, was: Any, makes: bool) -> bool:
    """Whether a file is not as it was; one that is missing is no change where the data set makes its files itself."""
    if kind == "chunks":
        base, file = Path(file).parent, Path(file).name
    now = sign(base, file, "video" if kind == "video" else "labels")
    return now != was and not (now is None and makes)


def _changed_file(key: str, old: Mapping[str, str], holding: str) -> list[str]:
    try:
        now = file_sign(old["path"])
    except OSError:
        return [f"{key}: {old['path']} is gone"]
    return [] if now == old["sha256"] else [f"{key}: {old['path']} holds other {holding}"]


# --- Are the numbers the same? --------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Difference:
    """A number that is not the same: where it stands, what it was and what it is; None: not there."""

    file: str
    where: str
    then: Any
    now: Any

    def __str__(self) -> str:
        """One line for the screen."""
        return f"{self.file}, {self.where}: {_said(self.then)} then, {_said(self.now)} now"


def _said(value: Any) -> str:
    return "none" if value is None else repr(value)


def compared(plan: Plan) -> int:
    """Compare every number of the run with those of its replay, print and write what differs; 0 when nothing does."""
    folders = [folder for folder in sorted((plan.root / "runs").iterdir()) if folder.is_dir()]
    main = next((one for one in folders if one.name == plan.old.name), folders[0] if folders else plan.root)
    count, found = 0, []
    for new in folders:
        old = plan.old if new is main else plan.old.parent / new.name
        if old.is_dir():
            numbers, differences = compare(old, new)
            label = "" if new is main else f"{new.name}/"
            count += numbers
            found += [Difference(label + one.file, one.where, one.then, one.now) for one in differences]
    reasons = why(plan.old, main)
    _write(plan, main, count, found, reasons)
    if not count:
        print(f"There is no number to compare in {plan.old}.")
    elif not found:
        print(f"All {plural(count, 'number')} of {plan.old} are the same again, to the last digit.")
    else:
        lines = [f"{len(found)} of {plural(count, 'number')} of {plan.old} differ:", *map(str, found[:TOLD])]
        lines += [f"and {len(found) - TOLD} more: {main / 'replay.json'}"] if len(found) > TOLD else []
        print("\n  ".join(lines))
        print("\n  ".join(["They may differ because of:", *(reasons or [UNKNOWN])]))
    return 1 if found or not count else 0


UNKNOWN = "nothing that is written down: same code, versions, threads and data (is SEED random, or DETERMINISTIC off?)"


def compare(old: Path, new: Path) -> tuple[int, list[Difference]]:
    """How many numbers the files of two run folders hold, and those that are not the same."""
    then, now = numbers(old), numbers(new)
    places = list(dict.fromkeys([*then, *now]))
    found = [
        Difference(*place, then.get(place), now.get(place))
        for place in places
        if not _same(then.get(place), now.get(place))
    ]
    return len(places), found


def _same(then: Any, now: Any) -> bool:
    both_nan = isinstance(then, float) and isinstance(now, float) and math.isnan(then) and math.isnan(now)
    return both_nan or (then == now and then is not None)


def numbers(folder: Path) -> dict[tuple[str, str], float]:
    """(file, place in it) -> number of every result that a run has left in its folder, with its trained weights."""
    found: dict[tuple[str, str], Any] = {}
    for path in sorted(folder.rglob("*"), key=lambda path: (path.name != "metrics.json", str(path))):
        name = path.relative_to(folder).as_posix()
        if name in ABOUT or path.name.startswith("."):
            continue
        if path.suffix == ".json":
            found |= {(name, place): value for place, value in _of_json(read_json(path, remedy=""))}
        elif path.suffix == ".csv":
            found |= {(name, place): value for place, value in _of_csv(path)}
    trained = read(folder).get("weights", {}).get("trained")
    return found | ({("weights", "trained"): trained["sha256"]} if trained else {})


def _of_json(node: Any, path: str = "") -> Iterator[tuple[str, float]]:
    if isinstance(node, dict):
        for name, value in node.items():
            yield from _of_json(value, f"{path}.{name}" if path else str(name))
    elif isinstance(node, list):
        for number, value in enumerate(node):
            yield from _of_json(value, f"{path}{_label(value, number)}")
    elif isinstance(node, (int, float)) and not isinstance(node, bool):
        yield path, node


def _label(value: Any, number: int) -> str:
    """What a part of a list is called: a table by its preset and method."""
    if isinstance(value, dict) and {"preset", "method"} <= value.keys():
        return f"[{value['preset']}, {value['method']}]"
    return f"[{number}]"


def _of_csv(path: Path) -> Iterator[tuple[str, float]]:
    left_out = CLOCKS.get(path.name, set())
    for number, row in enumerate(csv_lines(path), start=2):
        for name, text in row.items():
            value = _number(text)
            if value is not None and name not in left_out:
                yield f"line {number}, {name}", value


def _number(text: Any) -> float | None:
    try:
        return float(text)
    except (TypeError, ValueError):
        return None


def why(old: Path, new: Path) -> list[str]:
    """What else than the data is not as it was, and what became of the data on the way: a sentence each."""
    then, now = known(old / "environment.json"), known(new / "environment.json")
    names = [name for name in {**then, **now} if name not in ("date", "data")]
    found = [
        f"{name}: {then.get(name, 'not set')} then, {now.get(name, 'not set')} now"
        for name in names
        if then.get(name) != now.get(name)
    ]
    before, after = read(old), read(new)
    return [*found, *_other_code(before.get("code", {}), after.get("code", {})), *_other_entries(before, after)]


def _other_code(then: Mapping[str, Any], now: Mapping[str, Any]) -> list[str]:
    if then.get("sign") == now.get("sign"):
        return []
    told = [f"version {one.get('version')}, commit {str(one.get('commit') or 'unknown')[:12]}" for one in (then, now)]
    return [f"code of the toolbox: {told[0]} then, {told[1]} now, and its files differ"]


def _other_entries(then: Mapping[str, Any], now: Mapping[str, Any]) -> Iterator[str]:
    """Recordings whose files are as they were, but which were read otherwise; and another choice of them."""
    for section, old in then.get("data", {}).items():
        new = now.get("data", {}).get(section)
        if new is None:
            continue
        if old["split"]["hash"] != new["split"]["hash"]:
            yield f"{section}.DATA: another split"
        both = [name for name in old["recordings"] if name in new["recordings"]]
        other = [n for n in both if old["recordings"][n].get("entry") != new["recordings"][n].get("entry")]
        if other:
            yield f"{section}.DATA: {', '.join(other[:TOLD])} read from the same files, with other frames or signals"
        if lost := [name for name in old["recordings"] if name not in new["recordings"]]:
            yield f"{section}.DATA: not read now: {', '.join(lost[:TOLD])}"


def _write(plan: Plan, new: Path, count: int, found: Sequence[Difference], reasons: Sequence[str]) -> None:
    content = {
        "of": str(plan.old.absolute()),
        "numbers": count,
        "equal": count - len(found),
        "differences": [vars(one) for one in found[:KEPT]],
        "why": list(reasons),
    }
    write_text(new / "replay.json", json.dumps(content, indent=1) + "\n")
