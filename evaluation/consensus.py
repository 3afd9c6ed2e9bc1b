"""One answer for a recording: the voters' common rate with an interval and a confidence, or why there is none.

The voters' spectra are averaged and one path is laid through the mean; its median is the rate. The confidence is the
share of the band's power that lies at the rate and its double (the median over the windows), times the share of windows
in which a voter's own path runs within 5 bpm of the common one, times how sure a network is of its wave. Below `LEVEL`
there is no number, nor where the colours change as light changes them, not as blood does. How often the rate is right
at each level, and how often something without a pulse reaches it, is measured: docs/own_videos.md.
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from evaluation.beats import Beats, find_beats
from evaluation.evaluate import even_wave, whole_wave
from evaluation.path import Course, Spectra, course, spectra
from evaluation.presets import Preset
from evaluation.results import RecordingResult
from evaluation.rhythm import Rhythm, rhythm
from evaluation.signature import LEAST_SHARE, likeness

VOTERS = ("POS", "CHROM", "LGI")  # the other classical methods are shown; they do not vote
LEVEL = 0.4  # confidence below which there is no number
NEAR = 5.0  # bpm between two rates that agree
MOST = 2 / 3  # share of the voters' windows; with fewer that agree it is said that they do not
LEAST_FACE = 0.8  # share of the looked-at frames with a face
MEND = "More light, a larger face, less compression; hold still"
INTERVAL = (5, 95)  # percentiles of the rates along the path


@dataclass(frozen=True)
class Answer:
    """What is said of one recording.

    rate        bpm, the median along the common path; also where it is not reliable
    interval    bpm: the middle 90 % of the rates along the path, widened by what one window leaves open
    confidence  0 to 1                      reason  why there is no reliable pulse; "" where there is
    votes       each voter's own rate       course  the common path; None where no voter had a wave
    fps         samples per second          region  of the face, in words
    beats       of the clearest voter       rhythm  what they say
    clearest    that voter's name
    """

    id: str
    rate: float = math.nan
    interval: tuple[float, float] = (math.nan, math.nan)
    confidence: float = 0.0
    reason: str = ""
    votes: Mapping[str, float] = field(default_factory=dict)
    course: Course | None = None
    band: tuple[float, float] = (math.nan, math.nan)
    fps: float = math.nan
    region: str = ""
    beats: Beats | None = None
    rhythm: Rhythm = Rhythm()
    clearest: str = ""

    @property
    def reliable(self) -> bool:
        """Whether the rate may be believed."""
        return not self.reason

    @property
    def heart_rate(self) -> float:
        """The rate (bpm) where it may be believed, else NaN."""
        return self.rate if self.reliable else math.nan


def answer(voters: Mapping[str, RecordingResult], preset: Preset, coverage: float | None = None) -> Answer:
    """The answer of `voters` (name -> what it found in one recording) in the band of `preset`.

    `coverage`: share of the looked-at frames with a face, where faces were looked for.
    """
    first = next(iter(voters.values()))
    found, problems = {}, []
    for name, result in voters.items():
        _, wave, fs, problem = whole_wave(result, preset)
        if problem:
            problems.append(f"the wave of {name} {problem}")
        else:
            found[name] = spectra(wave, fs, preset.band)
    empty = Answer(first.id, band=preset.band, fps=float(first.fs))
    if problems:
        return replace(empty, reason=problems[0])
    common, own, agreement = joint(found)
    share, sure = power_share(common), _sureness(voters.values())
    votes = {name: one.rate for name, one in own.items()}
    clearest = max(own, key=lambda name: np.median(own[name].quality))
    beats, said = _rhythm(voters[clearest], preset, common)
    return replace(
        empty, rate=common.rate, interval=interval(common, share), confidence=agreement * share * sure,
        votes=votes, course=common, beats=beats, rhythm=said, clearest=clearest,
        reason=_reason(agreement, share, sure, votes, coverage, said),
    )  # fmt: skip


def by_blood(one: Answer, trace: np.ndarray, fs: float) -> Answer:
    """The reliable `one`, without its number where colours `trace` (T, 3) at `fs` (Hz, even) do not change as blood."""
    found = likeness(trace, fs, one.course)
    if found.blood:
        return one
    how = "brightness goes against colour" if found.share >= LEAST_SHARE else f"{found.share:.0%} of it as blood does"
    return replace(
        one,
        reason=f"what changes at {one.rate:.0f} bpm changes the colours as light does ({how}). "
        "Steady light, no screen near; hold still",
    )


def _sureness(voters: Iterable[RecordingResult]) -> float:
    """The mean of how sure they are by themselves; 1 where none of them tells."""
    told = [one.sure for one in voters if math.isfinite(one.sure)]
    return float(np.mean(told)) if told else 1.0


def _rhythm(voter: RecordingResult, preset: Preset, common: Course) -> tuple[Beats, Rhythm]:
    """The beats of a voter's wave, and what they say."""
    _, wave, fs = even_wave(voter, preset)
    beats = find_beats(wave, fs, common, preset.beats)
    return beats, rhythm(beats, len(wave) / fs)


def joint(found: Mapping[str, Spectra]) -> tuple[Course, dict[str, Course], float]:
    """The path through the mean of the voters' spectra, each voter's own, and the part of these beside it."""
    common = course(together(list(found.values())))
    own = {name: course(one) for name, one in found.items()}
    near = [np.abs(one.rates - common.rates) <= NEAR for one in own.values()]
    return common, own, float(np.mean(near))


def together(found: Sequence[Spectra]) -> Spectra:
    """The mean of the voters' spectra, and the median of what each rate's quality is."""
    quality = np.median([one.quality for one in found], axis=0)
    return replace(found[0], power=np.mean([one.power for one in found], axis=0), quality=quality)


def power_share(found: Course) -> float:
    """Share (0 to 1) of the band's power at the rate and its double, median over the windows; 0 without any power."""
    decibels = float(np.median(found.quality))
    return 1.0 / (1.0 + 10.0 ** (-decibels / 10.0)) if math.isfinite(decibels) else 0.0


def interval(found: Course, share: float) -> tuple[float, float]:
    """The middle 90 % of the rates, wider by half a resolved step (1/window) times the share that is no pulse."""
    low, high = np.percentile(found.rates, INTERVAL)
    open_to = 30.0 / found.window * (1.0 - share)
    return float(low - open_to), float(high + open_to)


def _reason(
    agreement: float, share: float, sure: float, votes: Mapping[str, float], coverage: float | None, beats: Rhythm
) -> str:
    """Why there is no number, and what to change; "" where there is one."""
    if coverage is not None and coverage < LEAST_FACE:
        return f"a face in {coverage:.0%} of the video only. Keep it in the picture, or cut the video"
    if agreement * share * sure >= LEVEL:
        return ""
    if beats.irregular:
        return (
            f"{beats.intervals} beats are clear, but they follow each other irregularly, so that one rate says little. "
            "If that is new to you, have it looked at with an ECG"
        )
    if agreement < MOST:
        said = ", ".join(f"{name} {rate:.0f}" for name, rate in votes.items())
        return f"the methods disagree ({said} bpm). Hold still, in steady light, and record for longer"
    if agreement * share >= LEVEL:
        return f"{', '.join(votes)} takes such a wave for right in {sure:.0%} of cases only. {MEND}"
    return f"the rate holds {share:.0%} of what changes the colour, the rest is noise. {MEND}"
