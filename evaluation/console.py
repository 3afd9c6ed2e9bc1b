"""The lines rPPG-Toolbox prints for a test, word for word: scripts of its users search for them.

The words are kept where they are wrong (a peak SNR that says FFT); `metrics.json` has the exact names.
"""

import math
from collections.abc import Iterable, Sequence

from dataset.files.names import plural
from evaluation.metrics import computed, unit_of
from evaluation.summary import Score, Table

_NEURAL = {
    "FFT": {"MACC": "FFT MACC (FFT Label)"},
    "peak detection": {
        "MAE": "Peak MAE (Peak Label)",
        "RMSE": "PEAK RMSE (Peak Label)",
        "MAPE": "PEAK MAPE (Peak Label)",
        "Pearson": "PEAK Pearson (Peak Label)",
        "SNR": "PEAK SNR (PEAK Label)",
        "MACC": "PEAK MACC (PEAK Label)",
    },
}
_OTHERS = {
    "FFT": "FFT {} (FFT Label)",
    "peak detection": "PEAK {} (Peak Label)",
    "welch": "Welch {} (Welch Label)",
    "path": "Path {} (spectral peak Label)",
}
_UNSUPERVISED = {"SNR": "FFT SNR (FFT Label)", "MACC": "MACC (avg)"}


def lines(table: Table, metrics: Iterable[str], method: str = "FFT", unsupervised: bool = False) -> list[str]:
    """One line per metric of `table`, in the order of METRICS; plots and action units have none.

    `method` is INFERENCE.EVALUATION_METHOD; lines about windows that were left out follow at the end.
    """
    method = table.preset.fixed or method
    names = {**_NEURAL.get(method, {}), **(_UNSUPERVISED if unsupervised else {})}
    printed = []
    for name in computed(metrics):
        score = table.scores[name]
        words = (
            _OTHERS[method].format(name)
            if method in ("path", "welch")
            else names.get(name, _OTHERS[method].format(name))
        )
        unit = " (dB)" if unit_of(name) == "dB" else ""
        printed.append(f"{words}: {said(name, score)}{unit if math.isfinite(score.value) else ''}")
    return printed + excluded_lines(table)


def said(name: str, score: Score) -> str:
    """A score in rPPG-Toolbox's words: value +/- standard error; what is not defined is said, never printed as NaN."""
    if not math.isfinite(score.value):
        reason = "3 windows with different rates are needed" if name == "Pearson" else "no window has one"
        return f"undefined ({reason}; n = {score.n})"
    error = score.standard_error if math.isfinite(score.standard_error) else "undefined"
    return f"{score.value} +/- {error}"


def excluded_lines(table: Table) -> list[str]:
    """The windows that enter no error, counted and named."""
    left_out = table.excluded
    if not left_out:
        return []
    named = "; ".join(f"{row.id} window {row.window}: {row.note}" for row in left_out[:10])
    more = f"; and {len(left_out) - 10} more" if len(left_out) > 10 else ""
    return [f"Excluded windows: {len(left_out)} of {len(table.rows)} ({named}{more})"]


def header(table: Table) -> str:
    """One line that says what the numbers are: preset, band, window, estimator, n."""
    low, high = table.preset.band
    window = f"{table.window_seconds:g} s windows" if table.window_seconds else "whole recordings"
    return (
        f"{table.method}: preset {table.preset.name}, band {low:g}-{high:g} Hz, {window}, {table.estimator}, "
        f"n = {extent(table)}"
    )


def extent(table: Table) -> str:
    """How much a table is of: `12 windows of 1 subject`."""
    return f"{plural(len(table.valid), 'window')} of {plural(len({row.subject for row in table.valid}), 'subject')}"


def comparison(tables: Sequence[Table]) -> str:
    """All methods of one preset as a text table: value and standard error of every metric, n."""
    names = list(dict.fromkeys(name for table in tables for name in table.scores))
    cells = [
        [
            table.method,
            *[_cell(table.scores.get(name)) for name in names],
            str(len(table.valid)),
            str(len(table.excluded)),
        ]
        for table in tables
    ]
    heads = [f"{name} [{unit}]" if (unit := unit_of(name, tables[0].preset.unit)) else name for name in names]
    return text_table(["method", *heads, "n", "excluded"], cells)


def _cell(score: Score | None) -> str:
    if score is None or not math.isfinite(score.value):
        return "-"
    error = f" +/- {score.standard_error:.2f}" if math.isfinite(score.standard_error) else ""
    return f"{score.value:.2f}{error}"


def text_table(heads: list[str], cells: list[list[str]]) -> str:
    """A plain text table with aligned columns, first column to the left, the others to the right."""
    widths = [max(len(row[k]) for row in [heads, *cells]) for k in range(len(heads))]
    return "\n".join(
        "  ".join(
            text.ljust(width) if k == 0 else text.rjust(width)
            for k, (text, width) in enumerate(zip(row, widths, strict=True))
        )
        for row in [heads, *cells]
    )
