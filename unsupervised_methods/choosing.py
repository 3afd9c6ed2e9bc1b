"""Two videos and a heart: whose is it? By the rates of both videos, or by the scores of a network."""

import csv
import filecmp
import io
import json
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from dataset.clips.hearts import Heart, heart_at, heart_of_intervals
from dataset.files.biosemi import clearest, experiment
from dataset.files.frames import VideoError
from dataset.files.names import is_number
from dataset.files.reading import read_text
from evaluation.consensus import Answer
from evaluation.ecg import r_peaks
from evaluation.pairing import probability, rate_logit
from unsupervised_methods.door import measure

Logit = Callable[[Sequence[Path], Heart], float]


@dataclass(frozen=True)
class Choice:
    """The answer: probabilities of both videos; None where neither shows a reliable pulse, as `reason` then says."""

    probabilities: tuple[float, float] | None
    reason: str
    heart: Heart
    rates: tuple[float, float]  # bpm that the videos show; NaN: no reliable one
    names: tuple[str, str]
    method: str

    @property
    def reliable(self) -> bool:
        """Whether there is an answer."""
        return self.probabilities is not None

    @property
    def lines(self) -> list[str]:
        """What is printed."""
        said = [f"Heart: {self.heart.rate:.1f} bpm."]
        for number, (name, rate) in enumerate(zip(self.names, self.rates, strict=True), start=1):
            shown = f"{rate:.1f} bpm" if math.isfinite(rate) else "no reliable pulse"
            chance = "" if self.probabilities is None else f", probability {self.probabilities[number - 1]:.3f}"
            said.append(f"Video {number}, {name}: {shown}{chance}.")
        return said + ([self.reason] if self.reason else [])


def as_json(found: Choice) -> str:
    """The answer as JSON: probabilities, reliable, reason, and what they rest on."""
    rates = [None if math.isnan(rate) else round(rate, 3) for rate in found.rates]
    content = {
        "probabilities": None if found.probabilities is None else list(found.probabilities),
        "reliable": found.reliable, "reason": found.reason, "heart_rate": round(found.heart.rate, 3),
        "video_rates": rates, "videos": list(found.names), "method": found.method,
    }  # fmt: skip
    return json.dumps(content, indent=1, allow_nan=False) + "\n"


def heart_from(rate: float | None = None, intervals: Path | None = None, ecg: Path | None = None) -> Heart:
    """The heart by its rate (bpm), by a file of intervals (ms), or by a BioSemi recording.

    ValueError for a rate that no heart has, for too few beats, and for files that cannot be read.
    """
    if rate is not None:
        return heart_at(rate)
    if intervals is not None:
        return _told(intervals, lambda: heart_of_intervals(read_intervals(intervals)))
    wave = clearest(experiment(ecg))
    beats = r_peaks(wave.values, float(wave.fs)) / float(wave.fs)
    return _told(ecg, lambda: heart_of_intervals(1000.0 * np.diff(beats)))


def _told(path: Path, action: Callable[[], Heart]) -> Heart:
    try:
        return action()
    except ValueError as error:
        text = str(error)
        raise ValueError(text if str(path) in text else f"'{path}': {text}") from None


def read_intervals(path: Path) -> np.ndarray:
    """Intervals (N,) in ms: the column `rr` or `rr_ms` of a table, else its first; a heading is allowed."""
    try:
        rows = [row for row in csv.reader(io.StringIO(read_text(path))) if any(cell.strip() for cell in row)]
    except csv.Error as error:
        raise ValueError(f"'{path}' is no table: {error}.") from None
    column = 0
    if rows and not is_number(rows[0][0]):
        names = [cell.strip().lower() for cell in rows[0]]
        column = next((names.index(name) for name in ("rr", "rr_ms") if name in names), 0)
        rows = rows[1:]
    try:
        return np.array([float(row[column]) for row in rows])
    except (ValueError, IndexError):
        raise ValueError(f"'{path}' holds something else than intervals in ms, one a line.") from None


def choose(
    first: Path, second: Path, heart: Heart, logit: Logit | None = None, method: str = "measured rates"
) -> Choice:
    """Whose heart it is. `logit`: a network's, in place of the comparison of rates; both need a reliable pulse.

    FileNotFoundError for a video that is not there, ValueError for one that cannot be read, is too short, shows no
    face, or is both of them.
    """
    for path in (first, second):
        if not Path(path).is_file():
            raise FileNotFoundError(f"{path}: no such video.")
    if filecmp.cmp(first, second, shallow=False):
        raise ValueError(f"{first} and {second} are the same video: name videos of two people.")
    answers = [_measured(path) for path in (first, second)]
    rates = tuple(one.heart_rate for one in answers)
    names = (str(first), str(second))
    reason = _reason(answers)
    if not any(one.reliable for one in answers):
        return Choice(None, reason, heart, rates, names, method)
    found = float(probability(rate_logit(*rates, heart.rate) if logit is None else logit((first, second), heart)))
    return Choice((1.0 - found, found), reason, heart, rates, names, method)


def _measured(path: Path) -> Answer:
    """What is said of a video; ValueError, which names it, where there is nothing to measure in it."""
    try:
        found = measure(path)
    except VideoError as error:
        raise ValueError(f"{path}: {_first_sentence(error)} Name another video.") from error
    if found.course is None:
        raise ValueError(f"{path}: {found.reason}. Name another video.")
    return found


def _first_sentence(error: Exception) -> str:
    """What is wrong, without remedies for settings that nobody chose here."""
    return str(error).split(". ")[0].rstrip(".") + "."


def _reason(answers: Sequence[Answer]) -> str:
    said = [f"video {number}: {one.reason}" for number, one in enumerate(answers, start=1) if not one.reliable]
    if not said:
        return ""
    head = "Neither video shows a reliable pulse" if len(said) == len(answers) else "One video shows no reliable pulse"
    return f"{head} ({'; '.join(said)})."
