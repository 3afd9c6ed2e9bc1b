"""Pairs of clips of two people, and the heart of one of them: which of the two is it?

For training, pairs are drawn as they are asked for: people uniformly, then a stretch of each one's recordings, in
random order, all of it from (seed, epoch, index) alone, and nothing grows with their number. Validation and test have a
fixed list: dataset/pair_lists.py.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import cv2
import numpy as np
import torch
from torch.utils.data import Dataset

from dataset.clips.hearts import Heart, beats_in, heart_of
from dataset.files.names import plural
from dataset.pair_lists import sample_id

SHOWN = (45.0, 150.0)  # bpm of training clips that are shown at another speed
TRIES = 200  # draws of a training pair until its rates differ enough


@dataclass(frozen=True)
class Window:
    """A clip of which it is known what the heart did: `place` is its number among the clips."""

    place: int
    recording: str
    person: str
    clip: int
    heart: Heart

    @property
    def id(self) -> str:
        """Its name in lists."""
        return sample_id(self.recording, self.clip)


@dataclass(frozen=True)
class Hearts:
    """The clips of a data set with what their hearts did.

    windows  those that can be used        dropped  (recording, clip, reason) of the others
    beats    recording -> places (N,) of its beats, in frames
    """

    windows: list[Window]
    dropped: list[tuple[str, int, str]] = field(default_factory=list)
    beats: Mapping[str, np.ndarray] = field(default_factory=dict)

    @property
    def people(self) -> dict[str, list[int]]:
        """Person -> numbers of the windows, in order."""
        found: dict[str, list[int]] = {}
        for number, one in enumerate(self.windows):
            found.setdefault(one.person, []).append(number)
        return found

    @property
    def note(self) -> str:
        """How many clips are not used, and why the first; "" where all are."""
        if not self.dropped:
            return ""
        recording, clip, reason = self.dropped[0]
        return f"{plural(len(self.dropped), 'clip')} of {len(self.windows) + len(self.dropped)} not used, such as " + (
            f"clip {clip} of {recording}: {reason}"
        )


def hearts_of(clips: Any) -> Hearts:
    """What the hearts did in the clips of a `ClipDataset`."""
    windows, dropped, beats = [], [], {}
    problems: dict[str, str] = {}
    for place, (number, start, stop, clip) in enumerate(clips.clips):
        track = clips.tracks[number]
        if track.id not in beats:
            beats[track.id], problems[track.id] = _beats(clips, track)
        heart = _within(beats[track.id], start, stop, track.fs)
        problem = problems[track.id] or heart.problem
        if problem:
            dropped.append((track.id, clip, problem))
        else:
            windows.append(Window(place, track.id, track.subject, clip, heart))
    return Hearts(windows, dropped, beats)


def _beats(clips: Any, track: Any) -> tuple[np.ndarray, str]:
    try:
        return beats_in(clips.entries(track.id), track.fs, track.count, clips.options.label_align), ""
    except ValueError as error:
        return np.zeros(0), str(error)


def _within(beats: np.ndarray, start: int, stop: int, fs: float, speed: float = 1.0) -> Heart:
    first, last = np.searchsorted(beats, (start, stop - 1 + 1e-9))
    return heart_of(beats[first:last] / fs, speed)


def require_people(hearts: Hearts, section: str, min_delta: float) -> None:
    """ValueError in one sentence where no pair can be made."""
    people = hearts.people
    if len(people) < 2:
        names = f" ({', '.join(people)})" if people else ""
        said = f" {hearts.note}." if hearts.note else ""
        raise ValueError(
            f"{section.upper()}.DATA: pairs need two people with usable clips, there are {len(people)}{names}.{said} "
            "Use more recordings, or another split."
        )
    rates = [[hearts.windows[one].heart.rate for one in numbers] for numbers in people.values()]
    if not _differ(rates, min_delta):
        raise ValueError(
            f"{section.upper()}.DATA: no two people's rates differ by {min_delta:g} bpm or more: lower "
            "MODEL.PAIR.MIN_DELTA_HR (data.min_delta_hr), or use more people."
        )


def _differ(rates: Sequence[Sequence[float]], least: float) -> bool:
    """Whether a rate of one person is `least` above one of another."""
    lows, highs = sorted((min(own), who) for who, own in enumerate(rates)), [max(own) for own in rates]
    for who, high in enumerate(highs):
        low = next(value for value, other in lows if other != who)
        if high - low >= least:
            return True
    return False


# --- Training -------------------------------------------------------------------------------------------------------


class PairDataset(Dataset):
    """`pairs` pairs an epoch of the clips of people, drawn anew in each.

    A sample holds what two clips hold: `video`, `next_frame`, `has_next`, `stats`, `fs`, `heart` (2,) float32 (mean
    interval in ms, its coefficient of variation), and the same of the second behind `other_`; recording, subject, clip,
    index, epoch. With `speed` s a clip is shown 1/(1+s) to 1+s times as fast, so that its rate is any of `shown`,
    whoever it is: the face no longer tells it. `shown` (bpm) is what of SHOWN all clips can be shown at; None where
    there is no such rate, and then each gets one that it can have, of which the face tells something. Stretches begin
    anywhere in a recording. ValueError where no pair can be made.
    """

    def __init__(self, clips: Any, seed: int, pairs: int, min_delta: float = 0.0, speed: float = 0.0):
        """`clips`: a ClipDataset whose first input is the video; `min_delta` in bpm."""
        self.clips, self.seed, self.pairs = clips, int(seed), int(pairs)
        self.min_delta, self.speed = float(min_delta), float(speed)
        self.hearts = hearts_of(clips)
        require_people(self.hearts, "train", self.min_delta)
        self.people = list(self.hearts.people.values())
        self.shown = _common([self._reach(window) for window in self.hearts.windows])

    def __len__(self) -> int:
        """Pairs in an epoch."""
        return self.pairs

    @property
    def recordings(self) -> list[str]:
        """Ids of the recordings."""
        return self.clips.recordings

    def __getitem__(self, index: int) -> dict[str, Any]:
        """The pair with this number in the epoch of an `Ask`."""
        epoch = int(getattr(index, "epoch", 0))
        first, second = self.draw(epoch, int(index))
        sample = self._read(*first)
        sample |= {f"other_{key}": value for key, value in self._read(*second).items()}
        window = self.hearts.windows[first[0]]
        names = {"recording": window.recording, "subject": window.person, "clip": window.clip}
        return {**sample, **names, "index": int(index), "epoch": epoch}

    def draw(self, epoch: int, index: int) -> tuple[tuple[int, int, int, Heart], tuple[int, int, int, Heart]]:
        """Of both clips the window they are near, first frame, frame behind the last, and the heart meanwhile."""
        random = np.random.default_rng((self.seed, epoch, index, 18))
        for _ in range(TRIES):
            who = random.choice(len(self.people), 2, replace=False)
            first, second = (self._stretch(random, self.people[one]) for one in who)
            if abs(first[3].rate - second[3].rate) >= self.min_delta:
                return first, second
        raise ValueError(
            f"{TRIES} draws gave no pair whose rates differ by {self.min_delta:g} bpm: lower MODEL.PAIR.MIN_DELTA_HR."
        )

    def _stretch(self, random: np.random.Generator, numbers: Sequence[int]) -> tuple[int, int, int, Heart]:
        """A window of a person, moved and sped up at random; as it lies where its heart is not known there."""
        number = int(random.choice(numbers))
        window = self.hearts.windows[number]
        track, start, stop, _ = self.clips.clips[window.place]
        wanted = np.exp(random.uniform(*np.log(self.shown or SHOWN))) / window.heart.rate
        speed = float(np.clip(wanted, 1.0 / (1.0 + self.speed), 1.0 + self.speed))
        count = self.clips.tracks[track].count
        length = min(round((stop - start) * speed), count)
        begin = int(random.integers(0, count - length + 1)) if self.speed else start
        fs = self.clips.tracks[track].fs
        heart = _within(self.hearts.beats[window.recording], begin, begin + length, fs, length / (stop - start))
        return (number, start, stop, window.heart) if heart.problem else (number, begin, begin + length, heart)

    def _reach(self, window: Window) -> tuple[float, float]:
        """The least and the highest rate (bpm) that a clip can be shown at; a fast one takes more of the recording."""
        track, start, stop, _ = self.clips.clips[window.place]
        most = min(1.0 + self.speed, self.clips.tracks[track].count / (stop - start))
        return window.heart.rate / (1.0 + self.speed), window.heart.rate * most

    def _read(self, number: int, start: int, stop: int, heart: Heart) -> dict[str, Any]:
        window = self.hearts.windows[number]
        track, first, last, _ = self.clips.clips[window.place]
        frames, stats = self.clips.frames(track, start, stop + 1)
        whole = len(frames) > stop - start
        frames = at_speed(frames, stop - start, last - first)
        return {
            "video": torch.from_numpy(frames[:-1]).permute(3, 0, 1, 2),
            "next_frame": torch.from_numpy(frames[-1]).permute(2, 0, 1),
            "has_next": whole, "stats": torch.from_numpy(stats), "fs": self.clips.tracks[track].fs,
            "heart": torch.from_numpy(heart.features),
        }  # fmt: skip


def _common(reaches: Sequence[tuple[float, float]]) -> tuple[float, float] | None:
    """The rates of SHOWN that lie within all of `reaches`."""
    low, high = max(SHOWN[0], *(one[0] for one in reaches)), min(SHOWN[1], *(one[1] for one in reaches))
    return (low, high) if low < high else None


def at_speed(frames: np.ndarray, length: int, count: int) -> np.ndarray:
    """(count + 1, ...) frames: the first `length` of `frames` shown as `count`, and the one behind them.

    Between two frames lies their mixture, in the type of the frames; where the speed is the same they are as they were.
    Where nothing follows the last frame it stands for what does.
    """
    if length == count:
        return frames if len(frames) > count else np.concatenate([frames, frames[-1:]])
    places = np.minimum(np.arange(count + 1) * (length / count), len(frames) - 1)
    made = np.empty((count + 1, *frames.shape[1:]), frames.dtype)
    for number, place in enumerate(places):
        before = int(place)
        after, share = min(before + 1, len(frames) - 1), place - before
        made[number] = cv2.addWeighted(frames[before], 1.0 - share, frames[after], share, 0.0).reshape(made.shape[1:])
    return made
