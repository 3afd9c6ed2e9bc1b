"""What a finished run says of itself: the rates of its windows, what failed, and on what it was trained and tested.

A run is the folder of a report (metrics.json, per_window.csv, config.yaml); FOLDER:METHOD names another of its methods.
"""

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import yaml

from dataset.files.reading import LARGEST_TABLE, read_text
from evaluation.results import Row
from evaluation.tables import csv_lines, incomplete
from registry import MODES, did_you_mean

NEEDED = ("metrics.json", "per_window.csv")


@dataclass(frozen=True)
class Data:
    """Of a section of the configuration: the data set and the part of it; "" where that is unknown."""

    name: str = ""
    begin: float = 0.0
    end: float = 1.0

    @property
    def words(self) -> str:
        """`PURE 0.6-1`, without the part where it is all."""
        return self.name if (self.begin, self.end) == (0.0, 1.0) else f"{self.name} {self.begin:g}-{self.end:g}"


@dataclass(frozen=True)
class Run:
    """One method of one run under one preset.

    label       what tables call it                   rows      of all its windows
    method      as its own report calls it            table     of metrics.json, that of this method
    train       None for what is not trained          failed    recording -> reason
    incomplete  INCOMPLETE n/m of a run that lacks recordings; "" otherwise
    """

    label: str
    method: str
    folder: Path
    rows: tuple[Row, ...] = field(repr=False)
    table: Mapping[str, Any] = field(repr=False)
    failed: Mapping[str, str] = field(default_factory=dict)
    train: Data | None = None
    test: Data = Data()
    incomplete: str = ""
    seed: int | None = None

    @property
    def specification(self) -> Mapping[str, Any]:
        """What an evaluation is."""
        return self.table["specification"]

    @property
    def by_window(self) -> dict[tuple[str, int], Row]:
        """(recording, window) -> row, of those with both rates."""
        return {(row.id, row.window): row for row in self.rows if row.valid}

    @property
    def excluded(self) -> list[Row]:
        """The windows without an error."""
        return [row for row in self.rows if not row.valid]


def read_runs(words: Sequence[str], preset: str = "") -> list[Run]:
    """The runs that `words` name, under `preset` ("": the first that all have results under, `exact` before others).

    ValueError for what is no run, has no such method or preset, or was judged in another way than the others.
    """
    opened = [_opened(word) for word in words]
    found = _common(opened, preset)
    runs = [_run(one, found) for one in opened]
    for other in runs[1:]:
        _require_alike(runs[0], other)
    return _labelled(runs)


@dataclass(frozen=True)
class _Opened:
    """A run's files, read."""

    folder: Path
    method: str
    content: Mapping[str, Any]
    windows: Sequence[Mapping[str, str]]
    config: Mapping[str, Any]

    @property
    def presets(self) -> list[str]:
        """Those under which the method has errors."""
        return [one["preset"] for one in self.content["tables"] if one["method"] == self.method and one["n"]]


def _opened(word: str) -> _Opened:
    folder, method = _named(word)
    try:
        content = json.loads(read_text(folder / NEEDED[0], LARGEST_TABLE))
        tables = [one for one in content["tables"] if not one["baseline"]]
        windows = csv_lines(folder / NEEDED[1])
        config = yaml.safe_load(read_text(folder / "config.yaml")) if (folder / "config.yaml").is_file() else {}
    except (KeyError, TypeError, ValueError, yaml.YAMLError) as error:
        raise ValueError(f"'{folder}' holds no report that can be read: {type(error).__name__}: {error}") from None
    methods = list(dict.fromkeys(one["method"] for one in tables))
    if not methods:
        raise ValueError(f"'{folder}' has no table of a pulse: nothing in it can be compared.")
    if method and method not in methods:
        raise ValueError(
            f"'{folder}' has no method {method!r}.{did_you_mean(method, methods)} It has: {', '.join(methods)}."
        )
    return _Opened(folder, method or methods[0], content, windows, config or {})


def _named(word: str) -> tuple[Path, str]:
    """The folder, and the method behind a colon."""
    path, method = Path(word), ""
    if not path.exists() and ":" in word:
        head, _, method = word.rpartition(":")
        path = Path(head)
    path = path.parent if path.is_file() else path
    missing = [name for name in NEEDED if not (path / name).is_file()]
    if not missing:
        return path, method
    inside = sorted(one.parent for one in path.glob("*/metrics.json"))[:5] if path.is_dir() else []
    hint = f" Did you mean one of {', '.join(map(str, inside))}?" if inside else " Name the folder of its report.md."
    raise ValueError(f"'{path}' is no finished run: {' and '.join(missing)} missing.{hint}")


def _common(opened: Sequence[_Opened], preset: str) -> str:
    """The preset under which all are compared."""
    each = [one.presets for one in opened]
    shared = [name for name in each[0] if all(name in presets for presets in each)]
    if preset and preset in shared:
        return preset
    if not preset and shared:
        return "exact" if "exact" in shared else shared[0]
    said = "; ".join(f"'{one.folder}' ({one.method}): {', '.join(one.presets) or 'none'}" for one in opened)
    wanted = f"preset {preset!r}" if preset else "any one preset"
    raise ValueError(f"Not all runs have results under {wanted}. {said}.")


def _run(one: _Opened, preset: str) -> Run:
    table = next(t for t in one.content["tables"] if (t["method"], t["preset"]) == (one.method, preset))
    if "specification" not in table:
        raise ValueError(f"'{one.folder}' was evaluated before tables said what they are of. Run its test again.")
    rows = [_row(line) for line in one.windows if line.get("method") == one.method and line.get("preset") == preset]
    if sum(row.valid for row in rows) != table["n"]:
        raise ValueError(f"'{one.folder}': per_window.csv and metrics.json are not of the same run. Run it again.")
    failed = {item["recording"]: item["reason"] for item in one.content.get("failed", ())}
    mode = MODES[one.config["TOOLBOX_MODE"]] if one.config.get("TOOLBOX_MODE") in MODES else None
    section = "UNSUPERVISED" if mode and not mode.neural else "TEST"
    trained = _data(one.config, "TRAIN") if mode and "TRAIN" in mode.reads else None
    own = one.content["tables"][0]["method"] == one.method or section == "UNSUPERVISED"
    return Run(
        one.method, one.method, one.folder, tuple(rows), table, failed, trained if own else None,
        _data(one.config, section), incomplete(one.content), one.config.get("SEED"),
    )  # fmt: skip


def _data(config: Mapping[str, Any], section: str) -> Data:
    node = (config.get(section) or {}).get("DATA") or {}
    return Data(str(node.get("DATASET", "")), float(node.get("BEGIN", 0.0)), float(node.get("END", 1.0)))


def _row(line: Mapping[str, str]) -> Row:
    def number(name: str) -> float:
        return float(line.get(name) or math.nan)

    return Row(
        line["recording"], line["subject"], int(line["window"]), number("start_s"), number("hr_true"),
        number("hr_pred"), number("snr_db"), number("macc"), line.get("note") or "", number("seconds"),
        number("quality_db"),
    )  # fmt: skip


def _require_alike(first: Run, other: Run) -> None:
    """ValueError where two runs were judged in different ways: their numbers do not mean the same."""
    names = ("window_s", "stride_s", "band_hz", "estimator", "filter", "detrending", "reference", "shortest_s", "unit")
    for name in names:
        one, two = (run.specification.get(name) for run in (first, other))
        if one != two:
            raise ValueError(
                f"'{first.folder}' and '{other.folder}' were judged in different ways: {name} is {one} and {two}. "
                "Evaluate both with the same settings of INFERENCE."
            )


def _labelled(runs: Sequence[Run]) -> list[Run]:
    """With labels that differ: the method, where that is not enough the seed, the data or the folder, too."""
    labels = [one.method for one in runs]
    ways = (
        lambda one: f"{one.method}, seed {one.seed}",
        lambda one: f"{one.method}, {one.train.words}" if one.train else one.method,
        lambda one: f"{one.method} ({one.folder.name})",
        lambda one: f"{one.method} ({one.folder})",
    )
    for way in ways:
        again = {label for label in labels if labels.count(label) > 1}
        tried = [way(one) if label in again else label for one, label in zip(runs, labels, strict=True)]
        if len(set(tried)) > len(set(labels)):
            labels = tried
    if len(set(labels)) < len(labels):
        raise ValueError("One run is named twice: " + ", ".join(sorted({x for x in labels if labels.count(x) > 1})))
    return [replace(one, label=label) for one, label in zip(runs, labels, strict=True)]
