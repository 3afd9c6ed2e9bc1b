"""Pair: whose heart is it? Choices between two videos, and what they are worth.

Every clip comes as a vector of its video, one of its heart and the rate of a baseline; the pairs are a fixed list.
Next to the accuracy stand the permutation of people, a comparison of rates by the baseline, and an oracle that knows
the true rate of each video, all on the same trials.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from dataset.files.names import escaped, plural
from dataset.pair_lists import Clip, pairs_csv, pairs_of
from evaluation import figures, pairing, report, tables
from evaluation.kinds.base import Head, Kind, Picture, Predicted
from evaluation.pairing import Classes, Difference, Permuted, Score, Trials
from registry import KINDS

ORACLE = "oracle (true rates)"
HUMANS = (
    "People who do this by eye (Galvez-Pol et al., Cortex 151, 2022: 120 of them, about 10 s of video) are reliably "
    "above 50 %, modestly so; worse with inverted, masked or still faces, better the more the two rates differ."
)
EXPLAINED = (
    "Each pair of clips gives two trials, one with the heart of each person. In brackets Wilson's 95 % interval and, "
    "behind it, the binomial p: both pretend that trials which share people are independent. What counts is p "
    "(people): the share of {draws} permutations of whole people, of whose hearts go with whose videos, that do as "
    "well; chance reaches what lies in `chance`, 95 % of them."
)
COLUMNS = (
    "sample_id1", "sample_id2", "person_id1", "person_id2", "hr1", "hr2", "heart_of", "probability1", "probability2",
    "right", "right_rate_baseline",
)  # fmt: skip


@dataclass(frozen=True)
class ClipRow:
    """What a clip leaves: vectors of `video` and `heart`, its `rate` (bpm), and what the baseline `told` of that.

    `changed`: by perturbation the vector of the changed video, and what the baseline told of it.
    """

    id: str
    subject: str
    clip: int
    rate: float
    video: np.ndarray
    heart: np.ndarray
    told: np.ndarray
    changed: Mapping[str, tuple[np.ndarray, np.ndarray]] = field(default_factory=dict)
    video_path: str = ""
    heart_path: str = ""
    note: str = ""

    @property
    def listed(self) -> Clip:
        """As lists of pairs have it."""
        return Clip(self.id, self.subject, self.clip, self.rate, self.video_path, self.heart_path)


@dataclass(frozen=True)
class Perturbed:
    """A perturbation: the score of the model on the changed clips, and what it lost; the same of the baseline."""

    score: Score
    loss: Difference
    baseline: Score


@dataclass(frozen=True)
class Found:
    """All that is known of one list of pairs."""

    rows: list[ClipRow]
    pairs: np.ndarray
    trials: Trials
    score: Score
    chance: Permuted
    bins: dict[tuple[float, float], Score]
    classes: Classes
    others: dict[str, Trials]
    scores: dict[str, Score]
    gains: dict[str, Difference]
    perturbed: dict[str, Perturbed]

    @property
    def not_better_than(self) -> list[str]:
        """Baselines, but for the oracle and the model itself, that the model does not beat beyond chance."""
        itself = [
            name for name, one in self.others.items() if np.allclose(one.logit, self.trials.logit, equal_nan=True)
        ]
        return [name for name in pairing.marks(self.gains) if name not in (ORACLE, *itself)]


@KINDS.register("pair")
class Pair(Kind):
    """Outputs of a clip: `<name>` (D,), `<name>_heart` (E,), `<name>_rate` (R,), `heart` (2,): interval (ms), CV.

    `head.options`: rule (`evaluation.pairing.RULES`), baseline, compared (its rule), pairs (a file), most, min_delta,
    seed, draws, perturbed.
    """

    per = "clip"
    label = None

    def rows(self, recordings: Sequence[Predicted], head: Head) -> list[ClipRow]:
        """A row per clip, in the order of recordings and clips."""
        rows = [_row(one, number, parts, head) for one in recordings for number, parts in one.ordered]
        return sorted(rows, key=lambda row: (row.id, row.clip))

    def metrics(self, rows: Sequence[ClipRow], head: Head) -> Found:
        """Everything about the fixed list of pairs of these clips."""
        how, rows = head.options, list(rows)
        pairs = pairs_of(
            [row.listed for row in rows], str(how["pairs"]), int(how["most"]), float(how["min_delta"]), int(how["seed"])
        )
        if not len(pairs):
            raise ValueError("No pair of clips of two people is left to test: use more people, or lower MIN_DELTA_HR.")
        _, people = np.unique([row.subject for row in rows], return_inverse=True)
        rates = np.array([row.rate for row in rows])
        hearts = np.stack([row.heart for row in rows]).astype(float)
        score = partial(pairing.trials, pairs, people, rates=rates)
        own = score(videos=np.stack([row.video for row in rows]).astype(float), hearts=hearts, rule=how["rule"])
        others = {
            _baseline(head): score(
                videos=np.stack([row.told for row in rows]), hearts=rates[:, None], rule=how["compared"]
            ),
            ORACLE: score(videos=rates[:, None], hearts=rates[:, None], rule="absolute"),
        }
        chance = pairing.permuted(
            pairs, people, np.stack([row.video for row in rows]).astype(float), hearts, how["rule"], int(how["draws"]),
            int(how["seed"]),
        )  # fmt: skip
        return Found(
            rows, pairs, own, pairing.score_of(own), chance, pairing.by_difference(own), pairing.classes_of(own),
            others,
            {name: pairing.score_of(one) for name, one in others.items()},
            {name: pairing.difference(own, one) for name, one in others.items()},
            {name: _perturbed(name, rows, own, hearts, score, how, rates) for name in how["perturbed"]},
        )  # fmt: skip

    def title(self, head: Head) -> str:
        """What reports call it."""
        return "Whose heart is it?"

    def lines(self, found: Found, head: Head) -> list[str]:
        """The table as it stands in the report, in plain text."""
        said = [f"{self.title(head)} {_size(found)}"]
        said += [f"  {name}: {_in_words(one)}" for name, one in _named(found, head).items()]
        said.append(f"  p (people) {found.chance.p:.3g}; chance {_range(found.chance.interval)}")
        said += [f"  {_bin(edges)} bpm: {_in_words(one)}" for edges, one in found.bins.items() if one.count]
        said += [f"  {name}: {_in_words(one.score)}" for name, one in found.perturbed.items()]
        return said + [f"  {line}" for line in _marks(found, head)]

    def section(self, found: Found, head: Head) -> report.Section:
        """Accuracy, chance, baselines, bins, perturbations; the list of pairs and every trial as CSV."""
        files = {
            f"{head.name}_trials.csv": tables.csv_text(COLUMNS, _trial_rows(found)),
            f"{head.name}_confusion.csv": tables.csv_text(("heart_of", "said_1", "said_2"), _confusion_rows(found)),
            "test_pairs.csv": pairs_csv([row.listed for row in found.rows], found.pairs),
        }
        return report.Section(head.name, _content(found, head), _markdown(found, head, self.title(head)), files)

    def plots(self, found: Found, head: Head) -> list[Picture]:
        """Accuracy over the difference of the rates, and the confusion matrix."""
        return [
            Picture(f"{head.name}_by_difference.png", f"Accuracy over the difference of the two heart rates. "
                    f"{_size(found)}", partial(draw_bins, found, head)),
            Picture(f"{head.name}_confusion.png", f"Whose heart it was, and whose it was said to be. {_size(found)}",
                    partial(draw_confusion, found)),
        ]  # fmt: skip

    def notes(self, found: Found) -> list[str]:
        """A network that loses to a comparison of rates is said to."""
        return [f"The accuracy is not better than that of {name}." for name in found.not_better_than]

    def summary(self, found: Found) -> dict[str, Any]:
        """Of a fold."""
        return {"accuracy": found.score.accuracy, "p (people)": found.chance.p, "trials": found.score.count}


def _row(one: Predicted, number: int, parts: Mapping[str, np.ndarray], head: Head) -> ClipRow:
    name = head.name
    changed = {
        how: (np.ravel(parts[f"{name}.{how}"]), np.ravel(parts[f"{name}_rate.{how}"]))
        for how in head.options["perturbed"]
    }
    places = ("", "")
    if one.entry is not None:
        folder = Path(*one.entry.path.parts[-2:])  # below the cache: the list is the same on another machine
        places = (str(folder / "faces.npy"), str(folder / "signals.npz"))
    return ClipRow(
        one.id, one.subject, number, 60_000.0 / float(np.ravel(parts["heart"])[0]), np.ravel(parts[name]),
        np.ravel(parts[f"{name}_heart"]), np.ravel(parts[f"{name}_rate"]), changed, *places,
    )  # fmt: skip


def _perturbed(
    name: str,
    rows: Sequence[ClipRow],
    own: Trials,
    hearts: np.ndarray,
    score: Any,
    how: Mapping[str, Any],
    rates: np.ndarray,
) -> Perturbed:
    videos = np.stack([row.changed[name][0] for row in rows]).astype(float)
    told = np.stack([row.changed[name][1] for row in rows])
    found = score(videos=videos, hearts=hearts, rule=how["rule"])
    baseline = score(videos=told, hearts=rates[:, None], rule=how["compared"])
    return Perturbed(pairing.score_of(found), pairing.difference(found, own), pairing.score_of(baseline))


def _baseline(head: Head) -> str:
    peaks = ", peaks" if head.options["compared"] == "absolute" else ""
    return f"PairRate ({head.options['baseline']}{peaks})"


def _named(found: Found, head: Head) -> dict[str, Score]:
    return {head.method: found.score, **found.scores}


# --- Words ------------------------------------------------------------------------------------------------------------


def _size(found: Found) -> str:
    people = len({row.subject for row in found.rows})
    return f"{plural(found.score.count, 'trial')} of {plural(len(found.pairs), 'pair')}, {people} people."


def _range(pair: tuple[float, float]) -> str:
    return f"[{_share(pair[0])}, {_share(pair[1])}]"


def _share(value: float) -> str:
    return f"{value:.3f}" if math.isfinite(value) else "–"


def _in_words(one: Score) -> str:
    return f"{_share(one.accuracy)} {_range(one.wilson)}, n = {one.count}"


def _bin(edges: tuple[float, float]) -> str:
    low, high = edges
    return f"{low:g}-{high:g}" if math.isfinite(high) else f"above {low:g}"


def _marks(found: Found, head: Head) -> list[str]:
    return [f"{head.method} is not better than {name} beyond chance." for name in found.not_better_than]


def _markdown(found: Found, head: Head, title: str) -> list[str]:
    columns = ["", "accuracy", "95 % (Wilson)", "95 % (over people)", "binomial p", "p (people)", "chance", "better by"]
    lines = []
    for name, one in _named(found, head).items():
        mine = name == head.method
        gain = found.gains.get(name)
        better = "" if gain is None else f"{gain.value:+.3f} [{gain.low:+.3f}, {gain.high:+.3f}]"
        chance = [f"{found.chance.p:.3g}", _range(found.chance.interval)] if mine else ["", ""]
        mark = " (not better)" if mine and found.not_better_than else ""
        lines.append([escaped(f"{name}{mark}"), _share(one.accuracy), _range(one.wilson), _range(one.people),
                      f"{one.naive_p:.3g}" if one.naive_p else "< 1e-300", *chance, better])  # fmt: skip
    bins = [[_bin(edges), str(one.count), _share(one.accuracy), _range(one.wilson),
             *(_share(pairing.by_difference(other)[edges].accuracy) for other in found.others.values())]
            for edges, one in found.bins.items()]  # fmt: skip
    parts = [
        f"## {title}", _size(found), report.markdown_table(columns, lines),
        EXPLAINED.format(draws=len(found.chance.accuracies)) + " Better by: the model's accuracy less the other's, on "
        "the same trials, with the interval over people.",
        *_marks(found, head), HUMANS, "By the difference of the two rates:",
        report.markdown_table(["bpm", "trials", "accuracy", "95 % (Wilson)", *map(escaped, found.others)], bins),
    ]  # fmt: skip
    if found.perturbed:
        rows = [[name, _share(one.score.accuracy), _range(one.score.wilson),
                 f"{one.loss.value:+.3f} [{one.loss.low:+.3f}, {one.loss.high:+.3f}]", _share(one.baseline.accuracy)]
                for name, one in found.perturbed.items()]  # fmt: skip
        head_row = ["clips", "accuracy", "95 % (Wilson)", "less, over people", escaped(_baseline(head))]
        parts += ["Clips that were changed, on the same trials:", report.markdown_table(head_row, rows)]
    one = found.classes
    return [
        *parts,
        f"Macro precision {one.precision:.3f}, recall {one.recall:.3f}, F1 {one.f1:.3f}; AUROC {one.auroc:.3f}.",
    ]


def _content(found: Found, head: Head) -> dict[str, Any]:
    return {
        "kind": head.kind,
        "people": len({row.subject for row in found.rows}),
        "pairs": len(found.pairs),
        "accuracy": _score(found.score),
        "permutation": {"p": found.chance.p, "draws": len(found.chance.accuracies), "chance": found.chance.interval},
        "methods": {
            name: {**_score(one), "better_by": [gain.value, gain.low, gain.high]}
            for (name, one), gain in zip(found.scores.items(), found.gains.values(), strict=True)
        },
        "not_better_than": found.not_better_than,
        "by_difference": {_bin(edges): _score(one) for edges, one in found.bins.items()},
        "perturbed": {
            name: {**_score(one.score), "less": [one.loss.value, one.loss.low, one.loss.high],
                   "rate_baseline": _score(one.baseline)}
            for name, one in found.perturbed.items()
        },
        "classes": {name: getattr(found.classes, name) for name in ("precision", "recall", "f1", "auroc", "confusion")},
        "people_by_eye": HUMANS,
    }  # fmt: skip


def _score(one: Score) -> dict[str, Any]:
    return {
        "n": one.count, "accuracy": one.accuracy, "wilson": one.wilson, "over_people": one.people,
        "naive_p": one.naive_p,
    }  # fmt: skip


def _trial_rows(found: Found) -> list[dict[str, Any]]:
    """A line per trial."""
    probability, count = pairing.probability(found.trials.logit), len(found.pairs)
    right, beside = found.trials.right, next(iter(found.others.values())).right
    lines = []
    for number in range(2 * count):
        line: dict[str, Any] = {"heart_of": 1 + number // count, "right": right[number]}
        for side, place in enumerate(found.pairs[number % count], start=1):
            row = found.rows[place]
            line |= {f"sample_id{side}": f"{row.id}_{row.clip}", f"person_id{side}": row.subject, f"hr{side}": row.rate}
        line |= {"probability1": 1 - probability[number], "probability2": probability[number]}
        lines.append({**line, "right_rate_baseline": beside[number]})
    return lines


def _confusion_rows(found: Found) -> list[dict[str, Any]]:
    return [
        {"heart_of": number, "said_1": counts[0], "said_2": counts[1]}
        for number, counts in enumerate(found.classes.confusion, start=1)
    ]


# --- Pictures ---------------------------------------------------------------------------------------------------------


def draw_bins(found: Found, head: Head, path: Path) -> Path:
    """Accuracy in each bin with Wilson's interval, the baselines beside it."""
    figure = figures.new_figure(7, 4, layout="constrained")
    axes = figure.subplots()
    named = {head.method: found.trials, **found.others}
    for place, (name, one) in enumerate(named.items()):
        scores = pairing.by_difference(one)
        at = np.flatnonzero([score.count for score in scores.values()])
        known = [list(scores.values())[k] for k in at]
        values = np.array([score.accuracy for score in known])
        reach = np.abs(np.array([score.wilson for score in known]).T - values)
        axes.errorbar(at + 0.08 * (place - 1), values, reach, marker="o", capsize=3, label=name)
    axes.axhline(0.5, color="grey", linestyle="--", linewidth=1, label="chance")
    axes.set_xticks(range(len(found.bins)), [f"{_bin(edges)}\nn = {one.count}" for edges, one in found.bins.items()])
    axes.set(xlabel="difference of the two rates [bpm]", ylabel="accuracy", ylim=(0, 1.05))
    axes.legend(fontsize=8, loc="lower right")
    axes.grid(axis="y", alpha=0.3)
    return figures.save(figure, path)


def draw_confusion(found: Found, path: Path) -> Path:
    """Counts of trials by whose heart it was, and whose it was said to be."""
    figure = figures.new_figure(4, 3.4, layout="constrained")
    axes = figure.subplots()
    counts = np.array(found.classes.confusion)
    axes.imshow(counts, cmap="Blues", vmin=0)
    for (row, column), value in np.ndenumerate(counts):
        colour = "white" if value > counts.max() / 2 else "black"
        axes.text(column, row, f"{value:g}", ha="center", va="center", color=colour)
    axes.set_xticks((0, 1), ("video 1", "video 2"))
    axes.set_yticks((0, 1), ("video 1", "video 2"))
    axes.set(xlabel="said", ylabel="true")
    return figures.save(figure, path)
