"""Recordings without labels: one answer each, and below it the rate by every method with a quality without label."""

import math
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from dataset.files.names import escaped, shown
from evaluation import console, figures, pictures, tables
from evaluation.consensus import LEVEL, Answer
from evaluation.results import UNLABELLED, RecordingResult
from evaluation.rhythm import Rhythm
from evaluation.summary import Table
from evaluation.view import View
from evaluation.vitals_files import PAGE, write_page

COLUMNS = (
    "recording", "subject", "method", "status", "window", "start_s", "seconds", "rate_bpm", "quality_db", "note",
    "flags",
)  # fmt: skip
DISAGREEMENT = 10.0  # bpm between the rates of two methods, beyond which at least one of them is wrong


def failures(results: Sequence[Table]) -> dict[str, str]:
    """Recordings for which no method gave a rate, with the first reason."""
    rated = {row.id for table in results for row in table.rows if math.isfinite(row.hr_pred)}
    lost: dict[str, str] = {}
    for table in results:
        for row in table.rows:
            if row.id not in rated:
                lost.setdefault(row.id, row.note)
    return lost


def vitals_rows(
    results: Sequence[Table], failed: Sequence[tuple[str, str]], flags: Mapping[str, str]
) -> list[dict[str, Any]]:
    """One line per recording, method and window; failed recordings last, with the reason."""
    lost, flags = {**failures(results), **dict(failed)}, with_doubts(results, flags)
    found = [
        {
            "recording": row.id, "subject": row.subject, "method": table.method,
            "status": "ok" if math.isfinite(row.hr_pred) else "no rate", "window": row.window, "start_s": row.start_s,
            "seconds": row.seconds, "rate_bpm": row.hr_pred, "quality_db": row.quality,
            "note": "" if row.note in UNLABELLED else row.note, "flags": flags.get(row.id, ""),
        }
        for table in results
        for row in table.rows
        if row.id not in lost
    ]  # fmt: skip
    failed_lines = [
        {"recording": name, "status": "failed", "note": reason, "flags": flags.get(name, "")}
        for name, reason in lost.items()
    ]
    return found + failed_lines


def csv_of(results: Sequence[Table], failed: Sequence[tuple[str, str]], flags: Mapping[str, str]) -> str:
    """`vitals_rows` as CSV text."""
    return tables.csv_text(COLUMNS, vitals_rows(results, failed, flags))


def vitals_table(results: Sequence[Table], failed: Sequence[tuple[str, str]], flags: Mapping[str, str]) -> str:
    """Text for the screen: a line per recording, a column per method (bpm, mean over windows), then what failed."""
    lost, flags = {**failures(results), **dict(failed)}, with_doubts(results, flags)
    names = list(dict.fromkeys(row.id for table in results for row in table.rows if row.id not in lost))
    cells = []
    for name in names:
        rates, best = _rates(results, name)
        cells.append([name, *map(_number, rates), _number(best), flags.get(name, "")])
    text = console.text_table(["recording", *[table.method for table in results], "best dB", "flags"], cells)
    return "\n".join([text, *[f"FAILED {name}: {reason}" for name, reason in lost.items()]])


def answer_lines(answers: Sequence[Answer], results: Sequence[Table], failed: Sequence[tuple[str, str]] = ()) -> str:
    """Text for the screen: a line per recording, with its rate or why it has none, then what failed."""
    lost = {**failures(results), **dict(failed)}
    said = [f"{shown(one.id)}: {in_words(one)}" for one in answers if one.id not in lost]
    return "\n".join([*said, *[f"FAILED {shown(name)}: {shown(reason)}" for name, reason in lost.items()]])


def in_words(one: Answer) -> str:
    """The answer as a sentence."""
    if not one.reliable:
        low = f" (confidence {one.confidence:.2f}, {LEVEL:.2f} needed)" if one.votes and one.confidence < LEVEL else ""
        return f"no reliable pulse{low}: {one.reason}."
    low, high = one.interval
    said = f"{one.rate:.1f} bpm ({low:.1f} to {high:.1f}), confidence {one.confidence:.2f}"
    found = one.rhythm
    more = [f"{found.breathing:.0f} breaths/min"] if math.isfinite(found.breathing) else []
    more += [f"RMSSD {found.rmssd:.0f} ms"] if math.isfinite(found.rmssd) else []
    more += ["irregular rhythm"] if found.irregular else []
    return ", ".join([said, *more])


def answer_content(one: Answer) -> dict[str, Any]:
    """The answer for vitals.json; what was not measured, or is not reliable, is null."""
    known = one.reliable
    return {
        "recording": one.id,
        "heart_rate_bpm": one.rate if known else None,
        "interval_bpm": list(one.interval) if known else None,
        "confidence": one.confidence,
        "reliable": known,
        "reason": one.reason,
        "respiratory_rate_bpm": _known(one.rhythm.breathing) if known else None,
        "hrv": variability_content(one.rhythm) if known or one.rhythm.irregular else None,
        "method": " + ".join(one.votes),
        "votes_bpm": dict(one.votes),
        "band_hz": list(one.band),
        "window_s": None if one.course is None else round(one.course.window, 3),
        "fps": one.fps,
        "region": one.region,
    }


def variability_content(found: Rhythm) -> dict[str, Any]:
    """A rhythm for vitals.json; null: too short for it, or too few clean beats."""
    return {
        "intervals": found.intervals,
        "coverage": found.coverage,
        "mean_rr_ms": _known(found.mean_rr),
        "rmssd_ms": _known(found.rmssd),
        "sdnn_ms": _known(found.sdnn),
        "pnn50": _known(found.pnn50),
        "lf_hf": _known(found.lf_hf),
        "irregular": found.irregular,
    }


def _known(value: float) -> float | None:
    return value if math.isfinite(value) else None


def with_doubts(results: Sequence[Table], flags: Mapping[str, str]) -> dict[str, str]:
    """`flags` of every recording, and a word of warning where no rate deserves trust.

    The pulse is called weak where no method finds more power at its rate than in the rest of the band.
    """
    doubted = dict(flags)
    for name in dict.fromkeys(row.id for table in results for row in table.rows):
        rates, best = _rates(results, name)
        known = [rate for rate in rates if math.isfinite(rate)]
        doubts = ["weak pulse"] if best < 0 else []
        doubts += ["methods disagree"] if known and max(known) - min(known) > DISAGREEMENT else []
        if doubts:
            doubted[name] = "; ".join([flags[name], *doubts] if flags.get(name) else doubts)
    return doubted


def _rates(results: Sequence[Table], name: str) -> tuple[list[float], float]:
    """Mean rate (bpm) of a recording by each method, and its best quality (dB)."""
    own = [[row for row in table.rows if row.id == name] for table in results]
    best = max((row.quality for rows in own for row in rows if math.isfinite(row.quality)), default=math.nan)
    return [tables.mean(row.hr_pred for row in rows) for rows in own], best


def _number(value: float) -> str:
    return f"{value:.1f}" if math.isfinite(value) else "-"


def write_vitals(
    folder: Path,
    title: str,
    results: Sequence[Table],
    failed: Iterable[tuple[Any, str]] = (),
    *,
    flags: Mapping[str, str] | None = None,
    examples: Mapping[str, RecordingResult] | None = None,
    left_out: Sequence[tuple[str, str]] = (),
    answers: Sequence[Answer] = (),
    views: Mapping[str, View] | None = None,
) -> Path:
    """Write vitals.json, vitals.csv, report.md and what shows the waves to `folder`; returns the path of report.md.

    With `answers` that is vitals.html, and of each recording in `views` its wave in the folder waveforms; else the
    picture of an example.

    `results`: one table per method. `flags`: recording -> what is unusual about it (a face part of the time).
    `left_out`: (id, reason) of recordings that nobody wanted rated.
    """
    folder, lost, flags = Path(folder), tables.as_failed(failed), dict(flags or {})
    missing = {**failures(results), **dict(lost)}
    content = {
        "recordings": [answer_content(one) for one in answers if one.id not in missing],
        "failed": [{"recording": name, "reason": reason} for name, reason in missing.items()],
    }
    tables.write_text(folder / "vitals.json", tables.json_text(content))
    tables.write_text(folder / "vitals.csv", csv_of(results, lost, flags))
    drawn, told = "", [one for one in answers if one.id not in missing]
    if told and write_page(folder, title, told, views or {}, missing, in_words, _BESIDE):
        drawn = f"\nThe answers as a page to look at: [{PAGE}]({PAGE}); the waves are in `waveforms`.\n"
    elif examples and figures.attempt(
        "waveform.png", pictures.waveform, folder / "waveform.png", dict(examples), results[0].preset
    ):
        drawn = "\n![Filtered wave and its spectrum](waveform.png)\n"
    text = _markdown(title, results, lost, flags, left_out, answers) + drawn
    return tables.write_text(folder / "report.md", text)


def _markdown(
    title: str,
    results: Sequence[Table],
    failed: list[tuple[str, str]],
    flags: Mapping[str, str],
    left_out: Sequence[tuple[str, str]],
    answers: Sequence[Answer],
) -> str:
    lost = {**failures(results), **dict(failed)}
    total = len({row.id for table in results for row in table.rows} | set(lost))
    warning = tables.incomplete({"complete": not lost, "evaluated": total - len(lost), "recordings": total})
    head = f"# {escaped(title)}\n\n" + (f"**{warning}**\n\n" if warning else "")
    head += f"{escaped(tables.left_out_line(left_out))}\n\n" if left_out else ""
    low, high = results[0].preset.band if results else (0.0, 0.0)
    estimator = results[0].estimator if results else "none"
    said = f"```\n{answer_lines(answers, results, failed)}\n```\n\n{_EXPLAINED}\n\n" if answers else ""
    return (
        f"{head}{said}## Every method\n\n"
        f"Rates in beats per minute. No reference, so no errors. Band {low:g}-{high:g} Hz, {estimator}. "
        "`best dB`: power at the strongest method's predicted rate and its double over the rest of the band. "
        "Low values, or methods that disagree, mean: do not trust the rate.\n\n"
        f"```\n{vitals_table(results, failed, flags)}\n```\n\n"
        "The answers are in `vitals.json`, all windows in `vitals.csv`. Research software, not a medical device.\n"
    )


_BESIDE = "The waves are in the folder waveforms, the answers in vitals.json, all methods in report.md."
_EXPLAINED = (
    "Rate: median of the best path through windows of 10 s. In brackets the middle 90 % of the rates along it, "
    "widened by what one window leaves open. Confidence, from 0 to 1: the share of the band's power at the rate and "
    "its double, times the share of windows in which the voters agree. Breaths and RMSSD come from the intervals "
    "between clean beats, where at least half of the recording has them: `hrv` in vitals.json, with the share covered."
)
