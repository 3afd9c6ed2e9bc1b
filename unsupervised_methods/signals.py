"""Mode `signal`: the rate, breathing and variability in files of contact PPG or ECG, one answer each."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import chain
from pathlib import Path
from typing import Any

from config import run_folder
from dataset.data_loader.base import Signal
from dataset.files.channels import SUFFIXES, has_beats, is_ecg, read_channels
from dataset.files.lookup import visible
from dataset.files.names import distinct
from dataset.files.reading import told
from dataset.prepare.clock import wave_problem
from dataset.program import INCOMPLETE
from dataset.progress import show_progress
from evaluation.answered import publish_answers
from evaluation.consensus import Answer
from evaluation.contact import of_ecg, of_pulse
from evaluation.neurokit import require
from evaluation.presets import Preset, preset

NAMED = 10  # files without a rate that the last line names


@dataclass(frozen=True)
class Asked:
    """How files are read: Hz of tables without times, the channel ("": the clearest), the unit of times without one."""

    fs: float = 0.0
    channel: str = ""
    unit: str = "s"


class NoRateError(RuntimeError):
    """Files without an answer; raised when everything is written."""

    exit_code = INCOMPLETE


def run(config: Any) -> Path:
    """Measure the files of SIGNAL; returns the path of the report.

    FileNotFoundError where there is none. NoRateError when some have no rate, after the answers of the others are
    written.
    """
    require(config.INFERENCE.BEATS)
    files = find_files([Path(str(one)) for one in config.SIGNAL.FILES])
    asked = Asked(float(config.SIGNAL.FS), config.SIGNAL.CHANNEL, config.SIGNAL.TIME_UNIT)
    exact = replace(preset("exact", list(config.INFERENCE.HR_BAND)), beats=config.INFERENCE.BEATS)
    answers, failed = [], []
    for name, path in show_progress(list(files.items()), desc="Measuring", unit="files", keep=False):
        try:
            answers.append(measure(name, path, asked, exact))
        except (ValueError, OSError) as error:
            failed.append((name, told(error) if isinstance(error, OSError) and error.strerror else str(error)))
    report = publish_answers(Path(run_folder(config)), "Rates of contact sensors", answers, failed)
    silent = [one.id for one in answers if not one.reliable] + [name for name, _ in failed]
    if silent and not config.ALLOW_INCOMPLETE:
        shown = ", ".join(silent[:NAMED]) + (f" and {len(silent) - NAMED} more" if silent[NAMED:] else "")
        raise NoRateError(f"{len(silent)} of {len(files)} files have no reliable rate: {shown}. Why is said above.")
    return report


def find_files(places: Sequence[Path]) -> dict[str, Path]:
    """Name -> file of every signal among `places` and below folders, in natural order; a WFDB record is its header."""
    if not places:
        raise FileNotFoundError("SIGNAL.FILES is empty: name files or folders, such as --signal ppg.csv --fs 100.")
    found = list(dict.fromkeys(chain.from_iterable(_below(one) if one.is_dir() else [one] for one in places)))
    if not found:
        named = ", ".join(map(str, places))
        raise FileNotFoundError(f"No signal in {named}: files ending in {', '.join(SUFFIXES)} are read.")
    root = found[0].parent if len({one.parent for one in found}) == 1 else None
    names = [one.stem if root else "_".join([one.parent.name, one.stem]) for one in found]
    return dict(zip(distinct(names, found, places[0]), found, strict=True))


def _below(folder: Path) -> Iterator[Path]:
    """The signals in a folder and the folders in it; links to folders are not followed."""
    entries = visible(folder)
    headers = [one.stem for one in entries if one.suffix.lower() == ".hea"]
    for one in entries:
        part = any(one.stem.startswith(f"{name}_") for name in headers)  # a segment of the record
        if one.is_dir() and not one.is_symlink():
            yield from _below(one)
        elif one.is_file() and one.suffix.lower() in SUFFIXES and not part:
            yield one


def measure(name: str, path: Path, asked: Asked, exact: Preset) -> Answer:
    """The answer of the file at `path` by the channel that was asked for, or by the clearest of those with beats.

    ValueError for a file that cannot be read or has no such channel.
    """
    channels = read_channels(path, asked.fs, asked.unit)
    problems, found = {}, []
    for channel, signal in _wanted(channels, asked.channel, path).items():
        try:
            found.append(_answer(name, channel, signal, exact))
        except ValueError as error:
            problems[channel] = str(error)
    if not found:
        said = "; ".join(f"{channel}: {problem}" for channel, problem in problems.items())
        raise ValueError(f"'{path}' has no channel that can be measured. {said}")
    best = max(found, key=lambda one: (one.reliable, one.confidence))
    return best


def _wanted(channels: dict[str, Signal], wanted: str, path: Path) -> dict[str, Signal]:
    """The channel called `wanted`, in any case of letters, or all with beats where none is wanted."""
    if not wanted:
        beating = {name: one for name, one in channels.items() if has_beats(name, one)}
        if not beating:
            raise ValueError(f"'{path}' has no channel with beats among {', '.join(channels)}. Name one: --channel.")
        return beating
    named = {name: one for name, one in channels.items() if name.strip().lower() == wanted.strip().lower()}
    if not named:
        raise ValueError(f"'{path}' has no channel {wanted!r}. It has {', '.join(channels)}.")
    return named


def _answer(name: str, channel: str, signal: Signal, exact: Preset) -> Answer:
    """The answer of one channel; ValueError for one whose clock cannot be meant."""
    if problem := wave_problem(signal):
        unit = " Or say in which unit they are, such as TIME_UNIT=ms." if "times" in problem else ""
        raise ValueError(f"it {problem}{unit}")
    found = of_ecg(name, signal, exact) if is_ecg(channel) else of_pulse(name, signal, exact)
    return replace(found, region=f"{'ECG' if is_ecg(channel) else 'pulse wave'} {channel!r}")
