"""Published numbers, with source and protocol, and what a run is beside them. They are read from configs/reference/."""

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from config import ROOT
from dataset.files.reading import read_text
from evaluation.comparing.runs import Data, Run

FOLDER = ROOT / "configs" / "reference"
LEAST = 0.5  # bpm: tables of one project differ by more than that between its versions
COLUMNS = ("MAE", "RMSE", "MAPE", "Pearson")


@dataclass(frozen=True)
class Published:
    """One published line; NaN where a number was not published.

    preset  that its protocol is; "": not known how it was evaluated
    """

    setting: str
    method: str
    values: Mapping[str, float]
    train: Data
    test: Data
    protocol: str
    preset: str
    says: str
    source: str


@dataclass(frozen=True)
class Verdict:
    """A run beside a published line of its method.

    differs     what is another protocol: then there is no verdict      difference  of the mean absolute errors (bpm)
    tolerance   bpm that count as reached: 0.5, or two standard errors of the run
    """

    run: str
    published: Published
    measured: float
    difference: float
    tolerance: float
    differs: tuple[str, ...] = ()

    @property
    def words(self) -> str:
        """reached, better or worse, and by how much."""
        if self.differs:
            return f"not comparable ({'; '.join(self.differs)})"
        if abs(self.difference) <= self.tolerance:
            return f"reached ({self.difference:+.2f} bpm, within {self.tolerance:.2f})"
        return f"{'better' if self.difference < 0 else 'worse'} by {abs(self.difference):.2f} bpm"


def read_published(folder: Path = FOLDER) -> list[Published]:
    """All lines of all files; ValueError names a file that is not in order."""
    found = []
    for path in sorted(folder.glob("*.yaml")):
        try:
            found += _lines(yaml.safe_load(read_text(path)))
        except (KeyError, TypeError, ValueError, yaml.YAMLError) as error:
            raise ValueError(f"'{path}' is no list of published numbers: {type(error).__name__}: {error}") from None
    return found


def _lines(content: Mapping[str, Any]) -> Iterable[Published]:
    for setting, method, *values, protocol, source in content["ROWS"]:
        how, data = content["PROTOCOLS"][protocol], content["SETTINGS"][setting]
        numbers = [math.nan if value is None else float(value) for value in values]
        yield Published(
            setting, method, dict(zip(COLUMNS, numbers, strict=True)), Data(*data["TRAIN"]), Data(*data["TEST"]),
            protocol, how["PRESET"], how["SAYS"], content["SOURCES"][source],
        )  # fmt: skip


def beside(run: Run, lines: Iterable[Published]) -> list[Published]:
    """The lines of the data sets that a run was trained and tested on, of all methods; of other data there are none."""
    names = {one.test.name for one in (run,)}
    trained = run.train.name if run.train else None
    return [one for one in lines if one.test.name in names and trained in (None, one.train.name)]


def verdicts(run: Run, lines: Iterable[Published]) -> list[Verdict]:
    """`run` beside the lines of its own method."""
    own = [one for one in beside(run, lines) if one.method == run.method and run.train]
    score = run.table["metrics"]["MAE"]
    error = score["standard_error"] or 0.0
    return [
        Verdict(
            run.label, one, score["value"], score["value"] - one.values["MAE"], max(LEAST, 2 * error),
            tuple(_differs(run, one)),
        )
        for one in own
    ]  # fmt: skip


def _differs(run: Run, line: Published) -> Iterable[str]:
    """What keeps the two numbers from meaning the same."""
    if not line.preset:
        yield "its evaluation is not known"
    elif run.specification["preset"] != line.preset:
        yield f"preset {run.specification['preset']} here, {line.preset} there"
    if run.specification["window_s"]:
        yield f"windows of {run.specification['window_s']:g} s here, whole recordings there"
    if run.train != line.train:
        yield f"trained on {run.train.words if run.train else 'nothing'} here, {line.train.words} there"
    if run.test != line.test:
        yield f"tested on {run.test.words} here, {line.test.words} there"
    if run.incomplete:
        yield "the run is incomplete"
