"""What a pre-training came to, as a page: the first, the best and the last epoch of what its history holds."""

from collections.abc import Mapping, Sequence
from typing import Any

from evaluation.report import markdown_table

Rows = Sequence[Mapping[str, Any]]


def page(title: str, rows: Rows, terms: Mapping[str, str], remarks: Sequence[str] = ()) -> list[str]:
    """Markdown lines; `terms`: column of the history -> what it is called. Columns that no row has are left out."""
    epochs = of_epochs(rows)
    if not epochs:
        return []
    judged = [one for one in epochs if _number(one.get("validation")) is not None]
    best = min(judged, key=lambda one: one["validation"]) if judged else epochs[-1]
    chosen = {"first": epochs[0], f"best ({best['epoch']})": best, f"last ({epochs[-1]['epoch']})": epochs[-1]}
    known = {key: name for key, name in terms.items() if any(_number(one.get(key)) is not None for one in epochs)}
    lines = [[name, *(_cell(one.get(key)) for one in chosen.values())] for key, name in known.items()]
    warned = [f"**{remark}**" for remark in remarks]
    files = "Every update and epoch: `history.csv`; all settings: `config.yaml`."
    text = [f"# {title}", *warned, markdown_table(["", *(f"{name} epoch" for name in chosen)], lines), files]
    return "\n\n".join(text).split("\n")


def of_epochs(rows: Rows) -> list[dict[str, Any]]:
    """Of each epoch the means of its updates' terms, weighted by samples, and the columns of its last row."""
    found: dict[int, list[Mapping[str, Any]]] = {}
    for row in rows:
        found.setdefault(int(row["epoch"]), []).append(row)
    return [_epoch(updates) for _, updates in sorted(found.items())]


def _epoch(updates: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    total = sum(row["samples"] for row in updates)
    plain = [key for key, value in updates[0].items() if _number(value) is not None and "/" not in key]
    means = {key: sum(row[key] * row["samples"] for row in updates) / total for key in plain}
    return {**updates[-1], **means, "epoch": int(updates[-1]["epoch"]), "validation": updates[-1].get("validation")}


def _number(value: Any) -> float | None:
    return value if isinstance(value, (int, float)) and not isinstance(value, bool) else None


def _cell(value: Any) -> str:
    return "" if _number(value) is None else f"{value:.4g}"
