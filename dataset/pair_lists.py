"""The fixed list of pairs of clips that a validation, or a test, goes through: drawn once, written down, read again.

It is stratified over the difference of the two heart rates, and names clips by recording and number.
"""

import csv
import io
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from dataset.files.reading import read_text
from dataset.files.writing import write_whole

BINS = (0.0, 5.0, 10.0, 20.0, float("inf"))  # bpm between the two rates: the strata
BOTH = 2_000_000  # pairs up to which all are looked at; of more so many are drawn
OTHER = 1.0  # bpm by which the rate of a clip may differ from what a list says
SAMPLE, PERSON = "sample_id", "person_id"
COLUMNS = (
    "sample_id1", "sample_id2", "person_id1", "person_id2", "recording1", "recording2", "clip1", "clip2", "hr1", "hr2",
    "video_path1", "video_path2", "hr_path1", "hr_path2",
)  # fmt: skip


def sample_id(recording: str, clip: int) -> str:
    """The name of a clip in lists."""
    return f"{recording}_{clip}"


def evaluation_pairs(
    people: Sequence[str], rates: Sequence[float], most: int, min_delta: float = 0.0, seed: int = 0
) -> np.ndarray:
    """Pairs (N, 2) of clips of two people, N at most `most`: as many of each stratum (BINS) as there are, up to even.

    `people` and `rates` (n,), bpm, are those of the clips. Which of the two comes first is drawn.
    """
    random = np.random.default_rng((seed, 22))
    _, who = np.unique(np.asarray(people), return_inverse=True)
    rates = np.asarray(rates, dtype=float)
    first, second = _candidates(len(who), random)
    delta = np.abs(rates[first] - rates[second])
    usable = np.flatnonzero((who[first] != who[second]) & (delta >= min_delta))
    order = random.permutation(usable)
    strata = np.digitize(delta[order], BINS[1:-1])
    groups = [order[strata == one] for one in range(len(BINS) - 1)]
    chosen = np.concatenate([group[:size] for group, size in zip(groups, _sizes(groups, most), strict=True)])
    chosen = np.sort(chosen)
    pairs = np.stack([first[chosen], second[chosen]], axis=1)
    return np.where(random.random((len(pairs), 1)) < 0.5, pairs, pairs[:, ::-1])


def _candidates(count: int, random: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """All pairs of `count` clips; of too many so many that were drawn."""
    if count * (count - 1) // 2 <= BOTH:
        return np.triu_indices(count, 1)
    drawn = np.unique(np.sort(random.integers(0, count, (BOTH, 2)), axis=1), axis=0)
    return drawn[:, 0], drawn[:, 1]


def _sizes(groups: Sequence[np.ndarray], most: int) -> list[int]:
    """How many of each group: even shares of `most`, what one lacks going to the others."""
    sizes = [0] * len(groups)
    while (left := most - sum(sizes)) > 0:
        open_ones = [k for k, group in enumerate(groups) if sizes[k] < len(group)]
        if not open_ones:
            break
        for k in open_ones:
            share = max(1, left // len(open_ones))
            sizes[k] += min(share, len(groups[k]) - sizes[k], most - sum(sizes))
    return sizes


@dataclass(frozen=True)
class Clip:
    """What a list of pairs says of a clip: `rate` in bpm, and where its frames and signals lie."""

    recording: str
    person: str
    clip: int
    rate: float
    video: str = ""
    signals: str = ""


def pairs_csv(clips: Sequence[Clip], pairs: np.ndarray) -> str:
    """The list of `pairs` (N, 2) of `clips` as CSV."""
    text = io.StringIO()
    writer = csv.DictWriter(text, COLUMNS, lineterminator="\n")
    writer.writeheader()
    for pair in pairs:
        line: dict[str, Any] = {}
        for side, number in enumerate(pair, start=1):
            one = clips[number]
            line |= {
                f"{SAMPLE}{side}": sample_id(one.recording, one.clip), f"{PERSON}{side}": one.person,
                f"recording{side}": one.recording, f"clip{side}": one.clip, f"hr{side}": round(one.rate, 3),
                f"video_path{side}": one.video, f"hr_path{side}": one.signals,
            }  # fmt: skip
        writer.writerow(line)
    return text.getvalue()


def read_pairs(path: Path, clips: Iterable[Clip]) -> np.ndarray:
    """The pairs (N, 2) of a list, as numbers of `clips`.

    ValueError for a list that names other clips, or two of one person; FileNotFoundError without the file.
    """
    clips = list(clips)
    known = {sample_id(one.recording, one.clip): (number, one.person) for number, one in enumerate(clips)}
    again = "Delete it: it is made anew."
    rows = list(csv.DictReader(io.StringIO(read_text(path, remedy=again))))
    names = [[row.get(f"{SAMPLE}{side}") or "" for side in (1, 2)] for row in rows]
    for line, pair in enumerate(names, start=2):
        if unknown := [name for name in pair if name not in known]:
            raise ValueError(f"'{path}', line {line}: there is no clip {unknown[0]!r} in these data. {again}")
        if known[pair[0]][1] == known[pair[1]][1]:
            raise ValueError(f"'{path}', line {line}: both clips are of one person, {known[pair[0]][1]}. {again}")
        for side, name in enumerate(pair, start=1):
            _same_rate(rows[line - 2].get(f"hr{side}"), clips[known[name][0]], f"'{path}', line {line}", again)
    if not names:
        raise ValueError(f"'{path}' names no pairs in columns {SAMPLE}1 and {SAMPLE}2. {again}")
    return np.array([[known[name][0] for name in pair] for pair in names])


def _same_rate(text: str | None, clip: Clip, where: str, again: str) -> None:
    """ValueError where a list tells of another rate than the data: it is of others with the same names."""
    try:
        there = float(text) if text else clip.rate
    except ValueError:
        raise ValueError(f"{where}: {text!r} is no rate. {again}") from None
    if not abs(there - clip.rate) <= OTHER:
        name = sample_id(clip.recording, clip.clip)
        raise ValueError(f"{where}: {name} has {there:g} bpm there, here {clip.rate:.1f}: it is of other data. {again}")


def pairs_of(clips: Sequence[Clip], path: str, most: int, min_delta: float, seed: int) -> np.ndarray:
    """The fixed list of pairs: what the file at `path` says, else drawn, and written there ("": nowhere)."""
    if path and Path(path).is_file():
        return read_pairs(Path(path), clips)
    people, rates = [one.person for one in clips], [one.rate for one in clips]
    pairs = evaluation_pairs(people, rates, most, min_delta, seed)
    if path:
        write_whole(path, pairs_csv(clips, pairs))
    return pairs
