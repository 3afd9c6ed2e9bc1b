"""Choice: a clip belongs to one of several classes, such as the rhythm of a heart."""

from functools import partial
from typing import Any

import numpy as np

from evaluation import classification
from evaluation.kinds.base import Head
from evaluation.kinds.labels import Labels, Table, arrays
from registry import KINDS


@KINDS.register("choice")
class Choice(Labels):
    """Probabilities (K,) of K classes, the largest is taken; the label is the number of the class.

    Options: `classes` names them, `vote` as of `labels`. Areas are of each class against all others.
    """

    simplest = "most frequent class"

    def columns(self, head: Head) -> tuple[str, ...]:
        """The names of the classes; ValueError where the method does not say them."""
        names = tuple(map(str, head.options.get("classes", ())))
        if len(names) < 2:
            raise ValueError(f"{head.method}: `evaluation_options({head.name!r})` must name the `classes` of a choice.")
        return names

    def there(self, label: np.ndarray, count: int) -> np.ndarray:
        """1 for the class of that number, 0 for the others."""
        number = float(np.ravel(label)[0])
        if not np.isfinite(number):
            return np.full(count, np.nan)
        if number not in range(count):
            raise ValueError(f"A label is {number:g}, but the classes are 0 to {count - 1}.")
        return np.eye(count)[int(number)]

    def decided(self, probabilities: np.ndarray) -> np.ndarray:
        """The largest; the first of several."""
        return np.eye(probabilities.shape[1], dtype=bool)[probabilities.argmax(axis=1)]

    def decisions(self, there: np.ndarray, found: np.ndarray) -> dict[str, classification.Measure]:
        """Balanced accuracy, kappa and weighted F1."""
        of = partial(classification.counts, there, found)
        matrix = partial(classification.confusion, there.argmax(axis=1), found.argmax(axis=1), there.shape[1])
        return {
            "balanced accuracy": lambda weights: classification.balanced_accuracy(matrix(weights)),
            "Cohen kappa": lambda weights: classification.kappa(matrix(weights)),
            "weighted F1": lambda weights: classification.weighted_f1(of(weights)),
        }

    def calibration(self, probabilities: np.ndarray, there: np.ndarray) -> classification.Measure:
        """Of the class that is taken."""
        return classification.calibration_error(*_of_the_taken(probabilities, there))

    def same(self, prior: np.ndarray) -> np.ndarray:
        """The most frequent class for all."""
        return np.eye(prior.shape[-1])[prior.argmax(axis=-1)]

    def about(self) -> str:
        """How decisions are made, as a sentence."""
        return "The class of the largest probability is taken."

    def drawn(self) -> str:
        """What the left picture shows."""
        return "which class (rows) was taken for which, in shares of each row"

    def draw_classes(self, one: Table, axes: Any) -> None:
        """The confusion matrix, each row summing up to one."""
        probabilities, there = arrays(one.valid)
        count = len(one.columns)
        matrix = classification.confusion(
            there.argmax(axis=1), probabilities.argmax(axis=1), count, np.ones(len(there))
        )
        shares = matrix / np.maximum(matrix.sum(axis=1, keepdims=True), 1)
        axes.imshow(shares, cmap="Blues", vmin=0, vmax=1)
        for row in range(count):
            for column in range(count):
                colour = "white" if shares[row, column] > 0.6 else "black"
                text = f"{shares[row, column]:.2f}\n({matrix[row, column]:.0f})"
                axes.text(column, row, text, ha="center", va="center", color=colour, fontsize=9)
        axes.set_xticks(range(count), one.columns)
        axes.set_yticks(range(count), one.columns)
        axes.set(xlabel="taken for", ylabel="true class")

    def believed(self, one: Table) -> tuple[np.ndarray, np.ndarray]:
        """Probability of the class that was taken, and whether it is right."""
        return _of_the_taken(*arrays(one.valid))


def _of_the_taken(probabilities: np.ndarray, there: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    taken = probabilities.argmax(axis=1)
    rows = np.arange(len(taken))
    return probabilities[rows, taken], there[rows, taken].astype(float)
