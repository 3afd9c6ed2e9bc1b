"""What lets a test look better than it is: a signal twice, ids that tell the label, people in two parts of a split."""

import re
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

BLOCKS = 64  # means of stretches by which signals are compared first
ROUGHLY, SAME, NEARLY = 0.995, 0.999999, 0.999  # correlation of these means; of the whole signals
ROWS = 1000  # signals compared with all others at once
BY_CHANCE = 4.0  # times as often as with ids in another order: then a label stands in the ids
LEAST = 0.2  # share of the ids
NUMBER = re.compile(r"\d+(?:\.\d+)?")


@dataclass(frozen=True)
class Twins:
    """Two signals that are one: their ids, the channel, and the correlation of the whole signals."""

    first: str
    second: str
    channel: str
    r: float

    @property
    def same(self) -> bool:
        """Whether they differ by scale and offset alone, not by noise."""
        return self.r >= SAME


def fingerprint(signal: np.ndarray) -> np.ndarray:
    """(BLOCKS,) float32 of length 1: means of stretches of the z-scored `signal` (L,); zeros of a constant one."""
    edges = np.linspace(0, len(signal), BLOCKS + 1).astype(int)
    means = np.add.reduceat(np.asarray(signal, dtype=float), edges[:-1]) / np.maximum(np.diff(edges), 1)
    means -= means.mean()
    length = np.linalg.norm(means)
    return (means / length if length > 0 else means).astype(np.float32)


def twins(
    ids: Sequence[str], channels: Sequence[str], prints: np.ndarray, read: Callable[[int], np.ndarray]
) -> list[Twins]:
    """Signals that occur under two ids, whatever their scale and offset.

    `prints` (n, C, BLOCKS) of `fingerprint`; `read(k)` gives the whole signals (C, L) of `ids[k]`. Moved copies and
    windows that overlap are not found.
    """
    found = []
    for number, channel in enumerate(channels):
        for first, second in _candidates(prints[:, number]):
            r = _correlation(read(first)[number], read(second)[number])
            if r >= NEARLY:
                found.append(Twins(ids[first], ids[second], channel, r))
    return found


def _candidates(prints: np.ndarray) -> Iterable[tuple[int, int]]:
    """Pairs whose fingerprints agree, each once."""
    for start in range(0, len(prints), ROWS):
        alike = prints[start : start + ROWS] @ prints[start:].T
        for row, column in zip(*np.nonzero(alike >= ROUGHLY), strict=True):
            if column > row:
                yield start + int(row), start + int(column)


def _correlation(a: np.ndarray, b: np.ndarray) -> float:
    a, b = (np.asarray(one, dtype=float) - np.mean(one, dtype=float) for one in (a, b))
    norm = np.linalg.norm(a) * np.linalg.norm(b)
    return float(a @ b / norm) if len(a) == len(b) and norm > 0 else 0.0


def labels_in_ids(ids: Sequence[str], labels: Mapping[str, np.ndarray]) -> dict[str, tuple[float, float]]:
    """Label -> (share of `ids` in which its value stands as a number, the same with the ids in another order).

    Only labels that stand there more often than by chance. Values count rounded, cut, and as they are.
    """
    numbers = [{text.lstrip("0") or "0" for text in NUMBER.findall(one)} for one in ids]
    other = np.roll(np.arange(len(ids)), max(1, len(ids) // 3))
    found = {}
    for name, values in labels.items():
        texts = [_texts(value) for value in values]
        own = np.mean([bool(said & text) for said, text in zip(numbers, texts, strict=True)])
        chance = np.mean([bool(numbers[k] & text) for k, text in zip(other, texts, strict=True)])
        if (own >= LEAST and own > BY_CHANCE * chance) or (own == 1.0 and chance < 1.0):
            found[name] = (float(own), float(chance))
    return found


def _texts(value: float) -> set[str]:
    if not np.isfinite(value):
        return set()
    return {str(round(value)), str(int(value)), f"{value:g}"}


def on_both_sides(parts: Mapping[str, str], subjects: Mapping[str, str]) -> dict[str, list[str]]:
    """Subject -> the parts of a split (id -> part) in which it occurs, of those that occur in several."""
    seen: dict[str, set[str]] = defaultdict(set)
    for name, part in parts.items():
        if name in subjects:
            seen[subjects[name]].add(part)
    return {subject: sorted(own) for subject, own in seen.items() if len(own) > 1}
