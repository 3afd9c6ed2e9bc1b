"""A run that is done, as an object: its numbers as tables, its curves, its settings; in Jupyter it shows itself.

from pulsescope import open_run
run = open_run("runs/exp/runs/NAME")
run.scores, run.recordings, run.windows, run.history    # pandas tables
"""

import io
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dataset.files.reading import LARGEST_TABLE, read_json, read_text
from evaluation.page import scores
from evaluation.page.report import PAGE
from evaluation.provenance import PROVENANCE, read
from evaluation.tables import incomplete

if TYPE_CHECKING:
    import pandas

METRICS = "metrics.json"


class Run:
    """The run in `folder`. What is asked for is read then; a file that this run does not have gives an empty table."""

    def __init__(self, folder: str | Path):
        """FileNotFoundError where no report lies."""
        self.folder = Path(folder)
        if not (self.folder / METRICS).is_file():
            raise FileNotFoundError(
                f"'{folder}' holds no {METRICS}: it is no folder of a run that has ended. Name the folder that the "
                "report lies in, such as runs/exp/runs/NAME."
            )

    def __repr__(self) -> str:
        """The title and where it lies."""
        return f"<Run {self.title!r} in '{self.folder}'>"

    @cached_property
    def metrics(self) -> dict[str, Any]:
        """All of metrics.json."""
        return read_json(self.folder / METRICS)

    @property
    def title(self) -> str:
        """What the report is called."""
        return str(self.metrics["title"])

    @cached_property
    def scores(self) -> "pandas.DataFrame":
        """A row per preset and method: each metric, its standard error (`_se`) and 95 % interval (`_low`, `_high`)."""
        import pandas

        return pandas.DataFrame([_line(table) for table in self.metrics["tables"]])

    @cached_property
    def recordings(self) -> "pandas.DataFrame":
        """A row per method, preset and recording; failed ones with the reason."""
        return self._table("per_recording.csv")

    @cached_property
    def windows(self) -> "pandas.DataFrame":
        """A row per method, preset, recording and window."""
        return self._table("per_window.csv")

    @cached_property
    def history(self) -> "pandas.DataFrame":
        """A row per update of the training."""
        return self._table("history.csv")

    @cached_property
    def config(self) -> Any:
        """The settings, as the run had them."""
        from config import load_config

        return load_config(self.folder / "config.yaml")

    @cached_property
    def environment(self) -> dict[str, Any]:
        """The machine and the versions of the libraries."""
        return read_json(self.folder / "environment.json")

    @cached_property
    def provenance(self) -> dict[str, Any]:
        """Code, splits, data and weights; {} of a run from before these were written down."""
        return read(self.folder) if (self.folder / PROVENANCE).is_file() else {}

    @property
    def page(self) -> Path:
        """report.html, to be opened in a browser."""
        return self.folder / PAGE

    def _repr_html_(self) -> str:
        """The tables, as Jupyter shows them; nothing in it runs."""
        warning = incomplete(self.metrics)
        warning = warning and f"<p><b>{warning}</b></p>"
        parts = [
            f"<p>{scores.words(said)}</p>{html}" for said, html in scores.by_preset(self.metrics["tables"], "tables")
        ]
        parts += [
            f"<h4>{scores.words(name)}</h4>{scores.head(name, content)}"
            for name, content in self.metrics.get("heads", {}).items()
        ]
        where = f"<p>The whole report: <code>{scores.words(self.page)}</code></p>"
        return f"<h3>{scores.words(self.title)}</h3>{warning}{scores.headed(''.join(parts), self.metrics)}{where}"

    def _table(self, name: str) -> "pandas.DataFrame":
        import pandas

        if not (self.folder / name).is_file():
            return pandas.DataFrame()
        return pandas.read_csv(
            io.StringIO(read_text(self.folder / name, LARGEST_TABLE)), dtype={"recording": str, "subject": str}
        )


def open_run(folder: str | Path) -> Run:
    """The run in `folder` (the one its report lies in) as an object; FileNotFoundError where no report lies."""
    return Run(folder)


def _line(table: dict[str, Any]) -> dict[str, Any]:
    line = {key: table[key] for key in ("preset", "method", "baseline", "n", "subjects")}
    for name, score in table["metrics"].items():
        low, high = score["ci95"]
        line |= {name: score["value"], f"{name}_se": score["standard_error"], f"{name}_low": low, f"{name}_high": high}
    return {**line, "median": table["median_abs_error"], "within_5": table["within"]["5"]}
