"""Tables as data: what goes into metrics.json, per_recording.csv and per_window.csv."""

import csv
import io
import json
import math
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from dataset.files.names import cell, plural
from dataset.files.reading import LARGEST_TABLE, read_text
from dataset.files.writing import write_whole
from evaluation.intervals import FEW
from evaluation.metrics import DEFINITIONS, unit_of
from evaluation.results import UNLABELLED, Row
from evaluation.subgroups import subgroups
from evaluation.summary import LIMITS, Table

RECORDING_COLUMNS = (
    "recording", "subject", "method", "preset", "estimator", "window_s", "status", "windows", "excluded", "hr_true",
    "hr_pred", "error", "abs_error", "snr_db", "macc", "quality_db", "note",
)  # fmt: skip
WINDOW_COLUMNS = (
    "recording", "subject", "method", "preset", "window", "start_s", "seconds", "hr_true", "hr_pred", "error", "snr_db",
    "macc", "quality_db", "note",
)  # fmt: skip


def ordered(tables: Iterable[Table]) -> list[Table]:
    """The tables, preset `exact` first, otherwise in their order."""
    return sorted(tables, key=lambda table: table.preset.name != "exact")


def judged(tables: Iterable[Table]) -> list[Table]:
    """Those of `ordered` whose single windows say something: without the rows of chance."""
    return [table for table in ordered(tables) if not table.chance]


def as_failed(failed: Iterable[Any]) -> list[tuple[str, str]]:
    """(id, reason) of failed recordings given as (recording or id, reason)."""
    return [(str(getattr(recording, "id", recording)), str(reason)) for recording, reason in failed]


def completeness(
    tables: Sequence[Table], failed: Sequence[tuple[str, str]], total: int | None = None
) -> dict[str, Any]:
    """How many recordings were evaluated, of how many, and which failed why.

    A recording without one usable window in any table has failed, too, with its first note as the reason; so has one
    without a label where others have one.
    """
    rows = [row for table in tables for row in table.rows if not table.baseline]
    seen = {row.id for row in rows if row.valid}
    seen = seen or {row.id for row in rows if row.note in UNLABELLED}
    lost = dict(failed)
    for row in sorted(rows, key=lambda row: row.note in UNLABELLED):  # a reason of its own comes first
        if row.id not in seen:
            lost.setdefault(row.id, f"{row.note}, as others have" if row.note in UNLABELLED else row.note)
    seen -= set(lost)
    total = len(seen) + len(lost) if total is None else total
    reasons = [{"recording": name, "reason": reason} for name, reason in lost.items()]
    return {"evaluated": len(seen), "recordings": total, "complete": len(seen) == total, "failed": reasons}


def incomplete(complete: Mapping[str, Any]) -> str:
    """`INCOMPLETE n/m` where recordings are missing by `completeness`, or metrics.json; otherwise ""."""
    return "" if complete.get("complete", True) else f"INCOMPLETE {complete['evaluated']}/{complete['recordings']}"


def left_out_line(left_out: Sequence[tuple[str, str]], most: int = 20) -> str:
    """`3 recordings left out by INFO or FILTERING: a, b, c.`, a sentence for each reason; "" where there are none."""
    reasons: dict[str, list[str]] = {}
    for name, reason in left_out:
        reasons.setdefault(reason, []).append(name)
    return " ".join(_counted(names, reason, most) for reason, names in reasons.items())


def _counted(names: Sequence[str], reason: str, most: int) -> str:
    how = reason if reason.startswith("left out") else f"left out on purpose ({reason})"
    more = ", ..." if len(names) > most else ""
    return f"{plural(len(names), 'recording')} {how}: {', '.join(names[:most])}{more}."


def as_dict(table: Table) -> dict[str, Any]:
    """One table for metrics.json: what was computed how, on how much, with which result."""
    preset = table.preset
    return {
        "method": table.method,
        "baseline": table.baseline,
        "preset": preset.name,
        "specification": table.specification.as_dict(),
        "band_hz": list(preset.band),
        "window_s": table.window_seconds,
        "estimator": table.estimator,
        "reference": "native signal" if preset.reference == "native" else "label at the frames",
        "filter_order": preset.filter_order,
        "n": len(table.valid),
        "recordings": len({row.id for row in table.valid}),
        "subjects": table.people,
        "few_people": table.people < FEW,
        "metrics": {name: _score(table, name) for name in table.scores},
        "median_abs_error": table.median_error,
        "within": {f"{limit:g}": table.within(limit) for limit in LIMITS},
        "doubled": table.share(2.0),
        "halved": table.share(0.5),
        "agreement": None if table.chance else table.limits.as_dict(),
        **({"bar": table.bar} if table.bar else {}),
        "coverage": table.coverage,
        "failures": table.reasons,
        "subgroups": [] if table.baseline else [group.as_dict() for group in subgroups(table)],
        "excluded": [{"recording": row.id, "window": row.window, "reason": row.note} for row in table.excluded],
    }


def _score(table: Table, name: str) -> dict[str, Any]:
    score, subject = table.scores[name], table.subjects.get(name)
    return {
        "unit": unit_of(name, table.preset.unit),
        "value": score.value,
        "standard_error": score.standard_error,
        "ci95": [score.low, score.high],
        "n": score.n,
        "subjects": score.subjects,
        "excluded": score.excluded,
        **({"floor": score.floor} if math.isfinite(score.floor) else {}),
        **({"definition": DEFINITIONS[name]} if name in DEFINITIONS else {}),
        "per_subject": {"value": subject.value, "standard_error": subject.standard_error} if subject else None,
    }


def recording_rows(tables: Iterable[Table], failed: Sequence[tuple[str, str]]) -> list[dict[str, Any]]:
    """One line per method, preset and recording, means over its windows; failed recordings last, with the reason."""
    found = []
    for table in judged(tables):
        by_recording: dict[str, list[Row]] = {}
        for row in table.rows:
            by_recording.setdefault(row.id, []).append(row)
        found += [_recording(table, rows) for rows in by_recording.values()]
    return found + [{"recording": name, "status": "failed", "note": reason} for name, reason in failed]


def _recording(table: Table, rows: list[Row]) -> dict[str, Any]:
    used = [row for row in rows if row.valid]
    errors = [row.error for row in used]
    notes = list(dict.fromkeys(row.note for row in rows if row.note))
    return {
        "recording": rows[0].id,
        "subject": rows[0].subject,
        "method": table.method,
        "preset": table.preset.name,
        "estimator": table.estimator,
        "window_s": table.window_seconds or "",
        "status": "evaluated" if used else "excluded",
        "windows": len(used),
        "excluded": len(rows) - len(used),
        "hr_true": mean(row.hr_true for row in used or rows),
        "hr_pred": mean(row.hr_pred for row in used or rows),
        "error": mean(errors),
        "abs_error": mean(map(abs, errors)),
        "snr_db": mean(row.snr for row in used),
        "macc": mean(row.macc for row in used),
        "quality_db": mean(row.quality for row in rows),
        "note": "; ".join(notes),
    }


def window_rows(tables: Iterable[Table]) -> list[dict[str, Any]]:
    """One line per method, preset, recording and window."""
    return [
        {
            "recording": row.id, "subject": row.subject, "method": table.method, "preset": table.preset.name,
            "window": row.window, "start_s": row.start_s, "seconds": row.seconds, "hr_true": row.hr_true,
            "hr_pred": row.hr_pred, "error": row.error, "snr_db": row.snr, "macc": row.macc,
            "quality_db": row.quality, "note": row.note,
        }
        for table in judged(tables)
        for row in table.rows
    ]  # fmt: skip


def mean(values: Iterable[float]) -> float:
    """Mean of the finite values; NaN without any."""
    finite = [value for value in values if math.isfinite(value)]
    return float(np.mean(finite)) if finite else math.nan


def csv_lines(path: Path) -> list[dict[str, str]]:
    """The lines of a CSV file that a run has left, by the names of its columns; OSError, ValueError or csv.Error."""
    return list(csv.DictReader(io.StringIO(read_text(path, LARGEST_TABLE), newline="")))


def csv_text(columns: Sequence[str], lines: Iterable[dict[str, Any]]) -> str:
    """CSV with a header; numbers with at most six decimals, undefined ones left empty."""
    text = io.StringIO()
    writer = csv.DictWriter(text, columns, restval="", lineterminator="\n")
    writer.writeheader()
    writer.writerows({key: _cell(value) for key, value in line.items()} for line in lines)
    return text.getvalue()


def _cell(value: Any) -> Any:
    if not isinstance(value, float):
        return cell(value)
    return round(value, 6) if math.isfinite(value) else ""


def json_text(content: Any) -> str:
    """JSON of plain data, indented; NaN and infinities become null."""
    return json.dumps(_plain(content), indent=1, allow_nan=False) + "\n"


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {str(key): _plain(part) for key, part in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(part) for part in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value


def write_text(path: Path, text: str) -> Path:
    """Write the whole of `text` to `path` or nothing: a temporary name first, then a rename."""
    return write_whole(path, text, tidy=True)
