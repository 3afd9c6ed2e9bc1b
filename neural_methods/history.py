"""The course of a training, one CSV row per update, correct after any interruption; and where else it is shown."""

import csv
import io
import math
from collections import defaultdict
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TextIO

from dataset.files.reading import read_text
from dataset.files.writing import replacing
from neural_methods.tracking import boards

Row = dict[str, Any]


class History:
    """Rows of `history.csv` (epoch, update, samples, loss terms, lr, seconds, validation), written as they arrive.

    `update` counts within the epoch. Columns are fixed by the first row, so that a killed run leaves a readable file.
    """

    def __init__(self, folder: Path, wandb: str = "disabled"):
        """Rows go to `folder`, from `open` on; `wandb` as LOG.WANDB."""
        self.path = Path(folder) / "history.csv"
        self.rows: list[Row] = []
        self._columns: list[str] = []
        self._file: TextIO | None = None  # stays open from row to row
        self._boards: list[Any] | None = None
        self._wandb = wandb
        self._folder = Path(folder)

    def open(self, epoch: int = 0, update: int = 0) -> None:
        """Start, or continue before (epoch, update): rows from there on belong to work that is done again."""
        old = _read(self.path) if (epoch, update) > (0, 0) else []
        self.rows = [row for row in old if (row["epoch"], row["update"]) < (epoch, update)]
        self._columns = list(self.rows[0]) if self.rows else []
        self.path.parent.mkdir(parents=True, exist_ok=True)
        self._rewrite()

    def add(self, row: Mapping[str, Any]) -> None:
        """Append the row of one update."""
        row = dict(row)
        self.rows.append(row)
        if set(row) - set(self._columns):
            self._columns += [name for name in row if name not in self._columns]
            self._rewrite()
        else:
            if self._file is None:
                self._file = self.path.open("a", newline="")
            csv.DictWriter(self._file, self._columns, restval="").writerow(row)
            self._file.flush()
        self._show({name: row[name] for name in row if name not in ("epoch", "update", "samples")}, len(self.rows))

    def note(self, columns: Mapping[str, float | str]) -> None:
        """Enter what is known once an epoch, after its last update, into its last row; names hold a `/`."""
        if self.rows:
            self.rows[-1] |= columns
            self._columns += [name for name in columns if name not in self._columns]
            self._rewrite()
            self._show(columns, len(self.rows))

    def epoch_losses(self, term: str = "loss") -> list[float]:
        """Mean of a loss term over the samples of each epoch."""
        return [_weighted_mean(rows, term) for rows in self._by_epoch().values()]

    def validation(self) -> list[tuple[int, float]]:
        """(epoch, value) of every validation."""
        return [(row["epoch"], row["validation"]) for row in self.rows if row.get("validation") not in (None, "")]

    def learning_rates(self) -> list[float]:
        """Learning rate of every update."""
        return [row["lr"] for row in self.rows]

    def terms(self) -> list[str]:
        """Names of the loss terms that are recorded; a name with a `/` is a statistic of an epoch."""
        known = {"epoch", "update", "samples", "lr", "seconds", "validation", "skipped"}
        return [name for name in self._columns if name not in known and "/" not in name]

    def close(self) -> None:
        """Finish the file, and what shows the curves elsewhere."""
        self._release()
        for board in self._boards or ():
            board.close()
        self._boards = None

    def _by_epoch(self) -> dict[int, list[Row]]:
        epochs: dict[int, list[Row]] = defaultdict(list)
        for row in self.rows:
            epochs[row["epoch"]].append(row)
        return dict(sorted(epochs.items()))

    def _rewrite(self) -> None:
        self._release()
        with replacing(self.path) as temporary, temporary.open("w", newline="") as file:
            writer = csv.DictWriter(file, self._columns, restval="")
            writer.writeheader()
            writer.writerows(self.rows)

    def _release(self) -> None:
        """Close the file that rows are added to."""
        if self._file is not None:
            self._file.close()
        self._file = None

    def _show(self, values: Mapping[str, Any], step: int) -> None:
        if self._boards is None:
            self._boards = boards(self._folder, self._wandb)
        shown = {
            f"train/{name}" if name != "validation" else name: value
            for name, value in values.items()
            if isinstance(value, (int, float)) and math.isfinite(value)
        }
        for board in self._boards:
            board.show(shown, step)


def _weighted_mean(rows: list[Row], term: str) -> float:
    values = [
        (row["samples"], row[term]) for row in rows if isinstance(row.get(term), float) and math.isfinite(row[term])
    ]
    total = sum(samples for samples, _ in values)
    return sum(samples * value for samples, value in values) / total if total else math.nan


def _read(path: Path) -> list[Row]:
    """The rows that are whole: what is damaged is a curve, and no reason to stop a training."""
    try:
        text = read_text(path)
        rows = [{name: _number(text) for name, text in row.items()} for row in csv.DictReader(io.StringIO(text))]
    except (OSError, ValueError, csv.Error):
        return []
    return [row for row in rows if isinstance(row.get("epoch"), int) and isinstance(row.get("update"), int)]


def _number(text: str | None) -> Any:
    for kind in (int, float):
        try:
            return kind(text)  # type: ignore[arg-type]
        except (TypeError, ValueError):
            continue
    return text
