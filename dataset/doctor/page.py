"""What the doctor found, as a table for programs and as one HTML page for people: no script, nothing from elsewhere."""

import base64
from collections import Counter
from collections.abc import Sequence
from html import escape

from dataset.doctor.examine import Report
from dataset.doctor.finding import Finding
from dataset.files.names import plural
from evaluation.tables import csv_text

ORDER = ("failed", "bad", "look", "ok")  # worst first
COLUMNS = (
    "section", "recording", "subject", "grade", "bad", "look", "findings", "seconds", "fps", "fps_stated",
    "fps_jitter", "dropped_frames", "longest_gap_s", "times_out_of_order", "doubled_by_time", "repeated_frames",
    "hardly_changed", "label_s", "video_s", "label_missing", "label_gap_s", "label_flat", "label_clipped",
    "hr_bpm", "hr_min", "hr_max", "hr_jump", "label_snr_db", "lag_s", "lag_correlation", "lag_trusted",
    "lag_rivals", "pos_bpm", "pos_quality_db", "pos_snr_db", "face_coverage", "face_left_box", "first_face_s",
    "several_faces", "face_px", "box_px", "brightness", "light_steps", "light_step_max", "light_pumping",
    "blown_pixels", "motion", "codec", "bits_per_pixel", "blockiness",
)  # fmt: skip


def sorted_reports(reports: Sequence[Report]) -> list[Report]:
    """Worst first: failed, then by grade and number of findings; equals stay in their order."""
    return sorted(reports, key=lambda one: (ORDER.index(one.grade), -len(one.graded("bad")), -len(one.graded("look"))))


def counts(reports: Sequence[Report]) -> list[tuple[str, int, int]]:
    """(check, recordings graded bad, recordings graded look) of every check that found something."""
    found = Counter((f.check, f.grade) for one in reports for f in one.findings if f.grade in ("bad", "look"))
    names = dict.fromkeys(f.check for one in reports for f in one.findings if f.grade in ("bad", "look"))
    return [(name, found[name, "bad"], found[name, "look"]) for name in names]


def summary(reports: Sequence[Report]) -> str:
    """One line: how many recordings are how good."""
    grades = Counter(one.grade for one in reports)
    said = [f"{grades[name]} {words}" for name, words in WORDS.items() if grades[name]]
    return f"{plural(len(reports), 'recording')}: {', '.join(said)}"


WORDS = {"failed": "failed", "bad": "bad", "look": "to look at", "ok": "ok"}


def table(reports: Sequence[Report]) -> str:
    """doctor.csv: a line a recording, worst first; numbers of contact sensors have columns of their own."""
    rows = [_row(one) for one in sorted_reports(reports)]
    more = dict.fromkeys(name for row in rows for name in row if name not in COLUMNS)
    return csv_text((*COLUMNS, *more), rows)


def _row(one: Report) -> dict:
    numbers = {name: value for finding in one.findings for name, value in finding.values.items()}
    noticed = [f"{f.grade}: {f.check}: {f.text}" for level in ("bad", "look") for f in one.graded(level)]
    return {
        "section": one.section, "recording": one.id, "subject": one.subject, "grade": one.grade,
        "bad": len(one.graded("bad")), "look": len(one.graded("look")),
        "findings": one.error or " | ".join(noticed), **numbers,
    }  # fmt: skip


def page(title: str, reports: Sequence[Report], pictures: str = "") -> str:
    """doctor.html: counts, then every recording, worst first, with its findings, faces and waves.

    `pictures` says what the pictures show: VIDEO or SENSORS.
    """
    ordered = sorted_reports(reports)
    return "\n".join(
        [_head(title, pictures or VIDEO), _overview(ordered), *map(_recording, ordered, range(len(ordered))), _FOOT]
    )


def _head(title: str, pictures: str) -> str:
    return _HEAD.replace("TITLE", escape(title)).replace("PICTURES", pictures)


def _overview(reports: Sequence[Report]) -> str:
    rows = "".join(
        f"<tr><td>{escape(name)}</td><td class=n>{bad or ''}</td><td class=n>{look or ''}</td></tr>"
        for name, bad, look in counts(reports)
    )
    noticed = f"<table><tr><th>check</th><th>bad</th><th>look</th></tr>{rows}</table>" if rows else ""
    lines = "".join(
        f"<li><a href='#r{k}'>{_chip(one.grade)} {escape(one.id)}</a> {escape(_short(one))}</li>"
        for k, one in enumerate(reports)
    )
    return f"<p><b>{escape(summary(reports))}.</b></p>{noticed}<ol>{lines}</ol>"


def _short(one: Report) -> str:
    """The names of what was found."""
    return one.error or ", ".join(f.check for level in ("bad", "look") for f in one.graded(level))


def _recording(one: Report, number: int) -> str:
    shown = " open" if one.grade != "ok" else ""
    subject = f", subject {escape(one.subject)}" if one.subject != one.id else ""
    head = f"{_chip(one.grade)} <b>{escape(one.id)}</b> <small>{escape(one.section)}{subject}</small>"
    body = f"<p>{escape(one.error)}</p>" if one.error else _pictures(one) + _findings(one.findings)
    return f"<details id=r{number}{shown}><summary>{head}</summary>{body}</details>"


def _pictures(one: Report) -> str:
    tags = [_image(one.frame, "first frame with the face box", "jpeg")]
    tags += [_image(face, when, "jpeg") for face, when in zip(one.faces, ("start", "middle", "end"), strict=False)]
    return f"<p>{''.join(tags)}</p><p>{_image(one.plot, 'brightness, frame intervals, waves, spectra, fit', 'png')}</p>"


def _image(content: bytes, words: str, kind: str) -> str:
    if not content:
        return ""
    data = base64.b64encode(content).decode()
    return f"<img alt='{escape(words)}' title='{escape(words)}' src='data:image/{kind};base64,{data}'>"


def _findings(found: Sequence[Finding]) -> str:
    rank = {"bad": 0, "look": 1, "ok": 2, "": 3}
    rows = "".join(
        f"<tr><td class=w>{_chip(f.grade)}</td><td class=w>{escape(f.check)}</td>"
        f"<td>{escape(f.text)}{f' <i>{escape(f.mend)}</i>' if f.mend else ''}"
        f"{f' <small>({escape(f.source)})</small>' if f.source else ''}</td></tr>"
        for f in sorted(found, key=lambda f: rank[f.grade])
    )
    return f"<table>{rows}</table>"


def _chip(level: str) -> str:
    return f"<span class='chip {level or 'none'}'>{level or '–'}</span>"


_HEAD = """<!DOCTYPE html>
<html lang="en"><head><meta charset="utf-8"><title>TITLE</title>
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; img-src data:; style-src 'unsafe-inline'">
<meta name="viewport" content="width=device-width">
<style>
body { font: 14px/1.45 sans-serif; max-width: 62em; margin: 1.5em auto; padding: 0 1em; color: #222; }
table { border-collapse: collapse; } th, td { text-align: left; padding: 2px 10px 2px 0; vertical-align: top; }
td.n { text-align: right; } td.w { white-space: nowrap; }
i { color: #555; } small { color: #666; } img { margin-right: 6px; max-width: 100%; }
details { border: 1px solid #ccc; border-radius: 4px; padding: 6px 12px; margin: 10px 0; overflow-wrap: anywhere; }
summary { cursor: pointer; } a { color: inherit; }
.chip { display: inline-block; min-width: 3em; text-align: center; border-radius: 3px; font-size: 12px; color: #fff; }
.failed { background: #333; } .bad { background: #b3261e; } .look { background: #9a6700; } .ok { background: #1a7f37; }
.none { background: #999; }
</style></head><body>
<h1>TITLE</h1>
<p>Every recording was checked before anything is trained or measured on it, worst first. <b>bad</b>: results from this
recording will be wrong unless it is mended or left out. <b>look</b>: unusual; see for yourself. <b>–</b>: this check
could not be made, for the reason given. PICTURES All numbers are in doctor.csv.</p>"""
VIDEO = """The first picture is the first frame with the face box, then the stored face at
start, middle and end. In the plots, red is the pulse that POS finds in the video, grey the label; the last one
shows how well they fit when the label is moved: a peak at 0 means that both beat at the same time, many peaks of one
height mean that beats are too alike to tell."""
SENSORS = """The picture shows eight seconds of each signal on one clock, with a line at each beat that was found.
Behind each finding stands where its threshold comes from; <i>own threshold</i> means that we chose it and tried it on
simulated and a few real recordings only."""
_FOOT = """<p><small>This page shows faces and signals of people: keep it as you keep the recordings. Research software,
not a medical device.</small></p></body></html>"""
