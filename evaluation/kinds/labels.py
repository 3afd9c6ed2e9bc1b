"""Labels: for a clip any of several things are there or not, such as the diagnoses of an ECG."""

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from evaluation import classification, console, figures, report, tables
from evaluation.action_units import THRESHOLD, measures
from evaluation.intervals import interval, owners
from evaluation.kinds.base import Head, Kind, Picture, Predicted, left_out, size_of, targets_of
from registry import KINDS

MARK = "–"
UNJUDGED = "no label is known, so there are predictions and no scores."
SCALE_OF = {"Cohen kappa": "fisher", "calibration error": "plain"}  # of intervals; the others lie between 0 and 1
AREAS = ("AUROC", "AUC-PR")


@dataclass(frozen=True)
class Row:
    """One judged answer, of a clip or (clip None) of a recording: probabilities (K,), and what is there (K,) of 0, 1.

    `prior` (K,) is how often each is there in training, of which `note` says nothing: it says why there is no score.
    """

    id: str
    subject: str
    clip: int | None
    probabilities: np.ndarray
    there: np.ndarray
    clips: int = 1
    note: str = ""
    prior: np.ndarray | None = field(default=None, repr=False)


@dataclass(frozen=True)
class Table:
    """All numbers of one method; 95 % intervals over subjects by name; `ranked` columns have rows of both kinds."""

    method: str
    columns: tuple[str, ...]
    rows: list[Row]
    scores: dict[str, float]
    intervals: dict[str, tuple[float, float]]
    ranked: int
    baseline: bool = False

    @property
    def valid(self) -> list[Row]:
        """The rows that enter the scores."""
        return [row for row in self.rows if not row.note]


@dataclass(frozen=True)
class Found:
    """The method's table, then those of its baselines."""

    rows: list[Row]
    tables: list[Table]

    @property
    def own(self) -> Table:
        """The method's."""
        return self.tables[0]


@KINDS.register("labels")
class Labels(Kind):
    """Probabilities (K,) of the K labels that the method's `parts` name, found from 0.5; the label (K,) holds 0 and 1.

    Option `vote`: all clips of a recording answer one question, so their probabilities are averaged.
    """

    label = "scalar"
    windows = True
    simplest = "nothing there"  # the baseline that always says the same

    def columns(self, head: Head) -> tuple[str, ...]:
        """What the columns of the probabilities are called."""
        return head.columns

    def there(self, label: np.ndarray, count: int) -> np.ndarray:
        """The label of a clip as 0 and 1 of each column, (count,); NaN where it is unknown."""
        return np.ravel(label).astype(float)

    def decided(self, probabilities: np.ndarray) -> np.ndarray:
        """(n, K) bool: what is taken for there."""
        return probabilities >= THRESHOLD

    def measures(self, rows: Sequence[Row]) -> dict[str, classification.Measure]:
        """Name -> number of these rows as a function of their weights (..., n)."""
        probabilities, there = arrays(rows)
        found = self.decided(probabilities)
        rankings = [classification.auroc, classification.average_precision]
        return {
            **{name: classification.macro(of, probabilities, there > 0.5)
               for name, of in zip(AREAS, rankings, strict=True)},
            **self.decisions(there > 0.5, found),
            "calibration error": self.calibration(probabilities, there > 0.5),
        }  # fmt: skip

    def decisions(self, there: np.ndarray, found: np.ndarray) -> dict[str, classification.Measure]:
        """Scores of what was decided, (n, K) bool each."""
        of = partial(classification.counts, there, found)
        return {
            "label accuracy": lambda weights: classification.label_accuracy(of(weights)),
            "weighted F1": lambda weights: classification.weighted_f1(of(weights)),
        }

    def calibration(self, probabilities: np.ndarray, there: np.ndarray) -> classification.Measure:
        """Of every probability of every label."""
        return classification.calibration_error(probabilities, there)

    def constants(self, rows: Sequence[Row]) -> dict[str, np.ndarray]:
        """Probabilities (K,), or (n, K), that know nothing of the clip, by the name of the baseline."""
        known = all(row.prior is not None for row in rows)  # by row: folds differ
        prior = np.stack([row.prior for row in rows]) if known else np.mean([row.there for row in rows], axis=0)
        return {self.simplest: self.same(prior), f"{'training' if known else 'test'} frequencies": prior}

    def same(self, prior: np.ndarray) -> np.ndarray:
        """The answer of the simplest baseline where the classes are as frequent as `prior` (..., K) says."""
        return np.zeros_like(prior)

    # ------------------------------------------------------------------ as every kind

    def training(self, entries: Iterable[Any], head: Head) -> dict[str, list[float]]:
        """How often each column is there in the clips that are trained on."""
        count = len(self.columns(head))
        found = [self.there(label, count) for entry in entries for label in targets_of(entry, head.columns)]
        known = [one for one in found if np.isfinite(one).all()]
        return {"prior": np.mean(known, axis=0).tolist()} if known else {}

    def remembered(self, head: Head) -> dict[str, Any] | None:
        """The frequencies of training, for a later test of the same weights."""
        return {"constant": head.constant} if head.constant else None

    def rows(self, recordings: Sequence[Predicted], head: Head) -> list[Row]:
        """A row per clip; with `vote` one per recording."""
        vote = bool(head.options.get("vote"))
        return [row for one in recordings for row in self._rows(one, head, vote)]

    def _rows(self, one: Predicted, head: Head, vote: bool) -> list[Row]:
        count = len(self.columns(head))
        prior = (head.constant or {}).get("prior")
        found = []
        for number, parts in one.ordered:
            given, label = np.ravel(parts[head.name]).astype(float), one.label(number, head.name)
            if len(given) != count:
                raise ValueError(f"{one.id}: {len(given)} probabilities of {head.name!r}, but {count} columns.")
            there = np.full(count, np.nan) if label is None else self.there(label, count)
            found.append(Row(one.id, one.subject, number, given, there, prior=prior and np.array(prior)))
        if vote and found:
            mean = np.mean([row.probabilities for row in found], axis=0)
            found = [replace(found[0], clip=None, probabilities=mean, clips=len(found))]
        return [replace(row, note=_note(row)) for row in found]

    def metrics(self, rows: Sequence[Row], head: Head) -> Found:
        """Scores of the method, and of answers that know nothing of the clip."""
        used = [row for row in rows if not row.note]
        own = self.table(head.method, rows, head)
        others = []
        for name, answer in self.constants(used).items() if used else ():
            answers = np.broadcast_to(answer, (len(used), len(own.columns)))
            changed = [replace(row, probabilities=one) for row, one in zip(used, answers, strict=True)]
            others.append(self.table(name, changed, head, baseline=True))
        return Found(list(rows), [own, *others])

    def table(self, method: str, rows: Sequence[Row], head: Head, baseline: bool = False) -> Table:
        """The numbers of one method, with intervals over subjects."""
        used, columns = [row for row in rows if not row.note], self.columns(head)
        people, scores, intervals, ranked = owners(row.subject for row in used), {}, {}, 0
        if used:
            ranked = sum(map(classification.both, (arrays(used)[1] > 0.5).T))
        for name, measure in self.measures(used).items() if used else ():
            scores[name] = float(measure(np.ones(len(used))))
            reach = interval(measure, *people, SCALE_OF.get(name, "logit"))
            intervals[name] = tuple(float(np.clip(end, -1 if name == "Cohen kappa" else 0, 1)) for end in reach)
        return Table(method, columns, list(rows), scores, intervals, ranked, baseline)

    def judged(self, found: Found) -> bool:
        """Whether any label is known."""
        return bool(found.own.valid)

    def summary(self, found: Found) -> dict[str, Any]:
        """The scores of the method."""
        return dict(found.own.scores)

    # ------------------------------------------------------------------ words and files

    def lines(self, found: Found, head: Head) -> list[str]:
        """A text table of the method and its baselines."""
        if not found.own.valid:
            return [f"{self.title(head)}: {scope(found.own)}: {UNJUDGED}"]
        names = list(found.own.scores)
        cells = [[one.method, *(_cell(one.scores[name]) for name in names)] for one in found.tables]
        return [f"{self.title(head)}: {scope(found.own)}", *console.text_table(["method", *names], cells).splitlines()]

    def section(self, found: Found, head: Head) -> report.Section:
        """Scores with intervals, a line per class, and a CSV file of every answer."""
        files = {f"{head.name}_predictions.csv": predictions_csv(found.own, self.decided)}
        if not found.own.valid:
            return report.Section(head.name, {"kind": head.kind}, [f"## {self.title(head)}", UNJUDGED], files)
        classes = self.per_class(found.own)
        content = {
            "kind": head.kind, "classes": list(found.own.columns), "tables": [as_dict(one) for one in found.tables],
            "per_class": classes,
        }  # fmt: skip
        names = list(found.own.scores)
        lines = [[one.method, *(with_interval(one, name) for name in names)] for one in found.tables]
        markdown = [
            f"## {self.title(head)}",
            f"{scope(found.own)}. {self.about()} In brackets the 95 % interval over subjects (needs three). Areas are "
            f"means over the {found.own.ranked} of {len(found.own.columns)} that some rows have and some have not.",
            report.markdown_table(["method", *names], lines),
            report.markdown_table(list(classes[0]), [[_word(value) for value in one.values()] for one in classes]),
            *left_out(found.own.rows, "the file of predictions"),
        ]
        return report.Section(head.name, content, markdown, files)

    def about(self) -> str:
        """How decisions are made, as a sentence."""
        return f"A label is taken for there from a probability of {THRESHOLD:g}."

    def per_class(self, one: Table) -> list[dict[str, Any]]:
        """A line per column: how often it is there, and how well it is told."""
        probabilities, there = arrays(one.valid)
        there, ones = there > 0.5, np.ones(len(one.valid))
        parts = classification.counts(there, self.decided(probabilities), ones)
        lines = []
        for k, name in enumerate(one.columns):
            f1, precision, recall, _ = (float(value) / 100 for value in measures(parts[k]))
            areas = [of(probabilities[:, k], there[:, k])(ones) if classification.both(there[:, k]) else math.nan
                     for of in (classification.auroc, classification.average_precision)]  # fmt: skip
            whose = len({row.subject for row, is_there in zip(one.valid, there[:, k], strict=True) if is_there})
            lines.append({
                "class": name, "n": int(there[:, k].sum()), "subjects": whose, "share": float(there[:, k].mean()),
                **dict(zip(AREAS, map(float, areas), strict=True)), "F1": f1, "precision": precision, "recall": recall,
            })  # fmt: skip
        return lines

    def plots(self, found: Found, head: Head) -> list[Picture]:
        """Each class's area, and how far probabilities can be believed."""
        if not found.own.valid:
            return []
        caption = f"{self.title(head)}: {self.drawn()}, and the share that is right at each probability"
        return [Picture(f"{head.name}_classes.png", caption, partial(self._draw, found.own))]

    def drawn(self) -> str:
        """What the left picture shows."""
        return "area under the curve of each label (line: chance)"

    def _draw(self, one: Table, path: Path) -> Path:
        figure = figures.new_figure(11, max(4.4, 0.16 * len(one.columns)), layout="constrained")
        left, right = figure.subplots(1, 2)
        self.draw_classes(one, left)
        _reliability(*self.believed(one), right)
        return figures.save(figure, path)

    def draw_classes(self, one: Table, axes: Any) -> None:
        """A bar per label."""
        areas = [line["AUROC"] for line in self.per_class(one)]
        axes.barh(range(len(areas)), np.nan_to_num(areas), height=0.7)
        axes.axvline(0.5, color="k", linewidth=1)
        axes.set(xlim=(0, 1), xlabel="AUROC", ylim=(len(areas) - 0.4, -0.6))
        axes.set_yticks(range(len(areas)), one.columns, fontsize=7 if len(areas) > 30 else 9)

    def believed(self, one: Table) -> tuple[np.ndarray, np.ndarray]:
        """Confidences and whether they were right, (m,) each."""
        probabilities, there = arrays(one.valid)
        return probabilities.ravel(), there.ravel()


# --- Parts ----------------------------------------------------------------------------------------------------------


def arrays(rows: Sequence[Row]) -> tuple[np.ndarray, np.ndarray]:
    """Probabilities and what is there, (n, K) each."""
    return np.stack([row.probabilities for row in rows]), np.stack([row.there for row in rows])


def _note(row: Row) -> str:
    if not np.isfinite(row.there).all():
        return "no label"
    return "" if np.isfinite(row.probabilities).all() else "prediction is NaN"


def scope(one: Table) -> str:
    """What the numbers are of."""
    return size_of(one.rows, "recording" if any(row.clip is None for row in one.rows) else "clip")


def with_interval(one: Table, name: str) -> str:
    """A score with its interval, as text."""
    low, high = one.intervals[name]
    known = math.isfinite(low) and math.isfinite(high)
    return f"{_cell(one.scores[name])} [{_cell(low)}, {_cell(high)}]" if known else _cell(one.scores[name])


def _cell(value: float) -> str:
    return f"{value:.3f}" if math.isfinite(value) else MARK


def _word(value: Any) -> str:
    return _cell(value) if isinstance(value, float) else str(value)


def as_dict(one: Table) -> dict[str, Any]:
    """One table for metrics.json."""
    return {
        "method": one.method, "baseline": one.baseline, "n": len(one.valid), "ranked": one.ranked,
        "recordings": len({row.id for row in one.valid}), "subjects": len({row.subject for row in one.valid}),
        "metrics": {
            name: {"unit": "", "value": value, "ci95": list(one.intervals[name])} for name, value in one.scores.items()
        },
    }  # fmt: skip


def predictions_csv(one: Table, decided: Callable[[np.ndarray], np.ndarray]) -> str:
    """Every answer: whose, what is there, what was found, and the probability of each class."""
    heads = [f"{part}_{name}" for part in ("true", "found", "p") for name in one.columns]
    lines: list[Mapping[str, Any]] = []
    for row in one.rows:
        known = np.isfinite(row.there)
        values = [*np.where(known, row.there, -1).astype(int), *decided(row.probabilities[None])[0].astype(int)]
        numbers = [*values, *(float(value) for value in row.probabilities)]
        whose = {"recording": row.id, "subject": row.subject, "clip": "" if row.clip is None else row.clip}
        lines.append({**whose, **dict(zip(heads, numbers, strict=True)), "note": row.note})
    return tables.csv_text(["recording", "subject", "clip", *heads, "note"], lines)


def _reliability(confidence: np.ndarray, right: np.ndarray, axes: Any) -> None:
    bins = classification.BINS
    place = np.clip((confidence * bins).astype(int), 0, bins - 1)
    count = np.bincount(place, minlength=bins)
    sums = [np.bincount(place, values, bins) for values in (confidence, right)]
    there = count > 0
    means = [one[there] / count[there] for one in sums]
    axes.plot([0, 1], [0, 1], "k--", linewidth=1)
    axes.plot(*means, marker="o")
    axes.set(xlim=(0, 1), ylim=(0, 1), aspect="equal", xlabel="probability given", ylabel="share that is right")
    axes.grid(alpha=0.4)
