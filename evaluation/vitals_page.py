"""The answers of a run as one HTML page for people: no script, nothing from elsewhere, light and dark."""

import base64
import math
from collections.abc import Callable, Mapping, Sequence
from html import escape

import numpy as np

from dataset.files.names import shown
from evaluation.charts import Chart, figure, heat, held
from evaluation.consensus import LEVEL, Answer
from evaluation.path import STRIDE
from evaluation.rhythm import LEAST, SHORTEST
from evaluation.view import View
from evaluation.vitals_style import FOOT, HEAD, MEANINGS

SHOWN = 20  # recordings on a page: a browser opens no book of a thousand
WAVE_SECONDS = 60.0  # of the wave that is drawn, from the middle
ROOM = 10.0  # bpm above and below the rates that a chart shows
NUMBERS = (  # name, key of a Rhythm, how it is written, the time that it needs, what it is
    (
        "Breathing",
        "breathing",
        "{:.0f} breaths/min",
        "breathing",
        "by how the beats' intervals, strength and level change",
    ),
    ("Mean interval", "mean_rr", "{:.0f} ms", "variability", "mean time from beat to beat (mean RR)"),
    ("RMSSD", "rmssd", "{:.0f} ms", "variability", "how much an interval differs from the one before"),
    ("SDNN", "sdnn", "{:.0f} ms", "variability", "how much the intervals scatter about their mean"),
    ("pNN50", "pnn50", "{:.0%}", "variability", "share of intervals over 50 ms from the one before"),
    ("LF/HF", "lf_hf", "{:.1f}", "spectrum", "slow changes (0.04 to 0.15 Hz) over fast ones (to 0.4 Hz)"),
)


def page(
    title: str,
    answers: Sequence[Answer],
    views: Mapping[str, View],
    failed: Mapping[str, str],
    sentence: Callable[[Answer], str],
    beside: str,
) -> str:
    """The page: an overview, a part for each of the first `SHOWN` of `answers`, what failed, what numbers mean.

    `views`: recording -> its wave, spectra and pictures, where there are any. `sentence`: an answer in words.
    `beside`: what lies beside the page.
    """
    drawn = answers[:SHOWN]
    parts = [HEAD.replace("TITLE", _words(title)), _overview(drawn, failed, sentence)]
    if len(answers) > len(drawn):
        parts.append(
            f"<p class='note'>The first {len(drawn)} of {len(answers)} recordings are shown. The answers of all are in "
            "vitals.json; name fewer files to see others.</p>"
        )
    parts += [_recording(one, views.get(one.id), number) for number, one in enumerate(drawn)]
    parts.append(_failed(failed))
    return "\n".join([*filter(None, parts), MEANINGS.replace("LEVEL", f"{LEVEL:.2f}"), FOOT.replace("BESIDE", beside)])


def _words(text: object) -> str:
    return escape(shown(text))


def _overview(answers: Sequence[Answer], failed: Mapping[str, str], sentence: Callable[[Answer], str]) -> str:
    """A line for each, where there are several."""
    if len(answers) + len(failed) < 2:
        return ""
    lines = "".join(
        f"<li><a href='#r{k}'>{_words(one.id)}</a>: {_words(sentence(one))}</li>" for k, one in enumerate(answers)
    )
    lost = f"<li><a href='#failed'>failed</a>: {_words(', '.join(failed))}</li>" if failed else ""
    return f"<ul class='all'>{lines}{lost}</ul>"


def _failed(failed: Mapping[str, str]) -> str:
    if not failed:
        return ""
    lines = "".join(f"<li><b>{_words(name)}</b>: {_words(reason)}</li>" for name, reason in failed.items())
    return f"<section id='failed'><h2>Failed</h2><ul>{lines}</ul></section>"


def _recording(one: Answer, seen: View | None, number: int) -> str:
    charts = [] if one.course is None else [_wave(one, seen), _rate(one, beats=seen is None), _spectrum(one, seen)]
    return (
        f"<section id='r{number}'><h2>{_words(one.id)}</h2><div class='top'><div class='said'>{_answer(one)}</div>"
        f"{_photos(seen)}</div>{''.join(charts)}{_numbers(one)}</section>"
    )


def _answer(one: Answer) -> str:
    """The rate in large type with what belongs to it, or why there is none."""
    votes = ", ".join(f"{_words(name)} {rate:.1f}" for name, rate in one.votes.items())
    methods = f"By each method: {votes} bpm. " if len(one.votes) > 1 else ""
    about = f"<p class='about'>{methods}{_measured(one)}</p>"
    sure = f"confidence {one.confidence:.2f} of 1 ({LEVEL:.2f} needed)"
    if not one.reliable:
        low = f"<p>{sure[0].upper()}{sure[1:]}.</p>" if one.votes else ""
        reason = f"{one.reason[0].upper()}{one.reason[1:]}"
        return f"<p class='none'>No reliable pulse</p><p class='why'>{_words(reason)}.</p>{low}{about}"
    low, high = one.interval
    irregular = "<p class='why'>The beats follow each other irregularly.</p>" if one.rhythm.irregular else ""
    return f"<p class='rate'><b>{one.rate:.1f}</b> bpm</p><p>{low:.1f} to {high:.1f} bpm, {sure}</p>{irregular}{about}"


def _measured(one: Answer) -> str:
    """What was measured, for how long and how often."""
    words = [_words(one.region)] if one.region else []
    if one.course is not None:
        words.append(f"{_seconds(one):.1f} s")
    if math.isfinite(one.fps):
        words.append(f"{one.fps:.4g} samples per second")
    return f"Measured: {', '.join(words)}." if words else ""


def _seconds(one: Answer) -> float:
    """How long the recording lasts (s), up to half a stride."""
    return float(one.course.times[-1] + one.course.window / 2)


def _photos(seen: View | None) -> str:
    """The pictures of the face, side by side."""
    if seen is None or not seen.photos:
        return ""
    tags = "".join(
        f"<figure><img alt='{_words(words)}' src='data:image/jpeg;base64,{base64.b64encode(content).decode()}'>"
        f"<figcaption>{_words(words)}</figcaption></figure>"
        for words, content in seen.photos
    )
    return f"<div class='photos'>{tags}</div>"


def _wave(one: Answer, seen: View | None) -> str:
    if seen is None:
        return ""
    last, begin = float(seen.times[-1]), max(0.0, (float(seen.times[-1]) - WAVE_SECONDS) / 2)
    inside = (seen.times >= begin) & (seen.times <= begin + WAVE_SECONDS)
    times, wave = seen.times[inside], seen.wave[inside] / (seen.wave[inside].std() or 1.0)
    edge = 1.1 * float(np.abs(wave).max()) or 1.0
    chart = Chart((float(times[0]), float(times[-1])), (-edge, edge), "time [s]", "")
    beats = seen.beats[inside[seen.beats]] if one.reliable or one.rhythm.irregular else np.zeros(0, int)
    if len(beats):
        chart.marks(seen.times[beats])
    chart.line(times, wave)
    part = f" {WAVE_SECONDS:g} s from the middle of {last:.0f} s." if last > WAVE_SECONDS else ""
    said = f"The wave of {_words(seen.method)}, filtered.{part} " + (
        f"Each vertical line is a beat ({len(beats)} here)."
        if len(beats)
        else "No beats are marked: it is no pulse to rely on."
    )
    width = f" style='min-width:{30 * (times[-1] - times[0]):.0f}px'"
    return figure("Wave", chart.html("pulse wave with its beats"), said, width)


def _shares(one: Answer) -> np.ndarray:
    """(N,) share of each window's power that lies at the rate and its double; of an ECG, which has none, the beats'."""
    quality = np.asarray(one.course.quality, float)
    if not quality.any():
        return np.full(len(quality), one.confidence)
    return 1 / (1 + 10 ** (-np.where(np.isfinite(quality), quality, -np.inf) / 10))


def _span(one: Answer) -> tuple[np.ndarray, tuple[float, float]]:
    """Times (N + 2,) of the course held to the ends of its windows' strides, and the first and last of them."""
    times = one.course.times
    half = STRIDE / 2 if len(times) > 1 else one.course.window / 2
    return np.concatenate([[times[0] - half], times, [times[-1] + half]]), (times[0] - half, times[-1] + half)


def _rate(one: Answer, beats: bool) -> str:
    """The course of the rate; with `beats` the rate by each interval between clean ones, too."""
    times, span = _span(one)
    open_to = 30.0 / one.course.window * (1 - _shares(one))
    rates, low, high = (
        held(line) for line in (one.course.rates, one.course.rates - open_to, one.course.rates + open_to)
    )
    chart = Chart(span, (max(0.0, float(low.min()) - ROOM), float(high.max()) + ROOM), "time [s]", "bpm")
    chart.area(times, low, high)
    more = ""
    if beats and one.beats is not None and len(one.beats.times) > 1:
        at, rates_of = one.beats.times[1:], 60.0 / np.diff(one.beats.times)
        kept = one.beats.clean[1:] & one.beats.clean[:-1] & (rates_of >= chart.y[0]) & (rates_of <= chart.y[1])
        kept &= (at >= span[0]) & (at <= span[1])
        chart.dots(at[kept], rates_of[kept])
        more = " Dots: the rate by each interval between clean beats."
    chart.line(times, rates, "line" if one.reliable else "line doubt")
    said = (
        f"Each point is the rate of {one.course.window:.3g} s around it; the band is what such a window leaves open."
        if one.reliable
        else "What the rate would be. It is not to be relied on: the reason is given above."
    )
    return figure("Rate over time", chart.html("rate over time with its interval"), said + more)


def _spectrum(one: Answer, seen: View | None) -> str:
    if seen is None or seen.spectra is None:
        return ""
    times, span = _span(one)
    rates = seen.spectra.rates
    chart = Chart(span, (float(rates[0]), float(rates[-1])), "time [s]", "bpm")
    chart.picture(heat(seen.spectra.power))
    chart.line(times, held(one.course.rates), "path under")
    chart.line(times, held(one.course.rates), "path")
    said = (
        "Brighter: more of the colour's change beats at that rate. The white line is the path that was read as the "
        "rate. A pulse is one bright band along it, often with a fainter one at the double."
    )
    return figure("Spectrum", chart.html("spectrogram with the path of the rate"), said)


def _numbers(one: Answer) -> str:
    """Breathing and variability, with the time each needs and what it means."""
    if one.course is None:
        return ""
    lines = "".join(
        f"<tr><th>{name}</th><td class='v'>{_value(one, getattr(one.rhythm, key), shape, kind)}</td>"
        f"<td class='need'>{SHORTEST[kind]:g} s</td><td>{meaning}</td></tr>"
        for name, key, shape, kind, meaning in NUMBERS
    )
    head = "<tr><th></th><th>measured</th><th>needs</th><th>what it is</th></tr>"
    return f"<div class='chart'><h3>Breathing and heart rate variability</h3><table>{head}{lines}</table></div>"


def _value(one: Answer, value: float, shape: str, kind: str) -> str:
    """The number, or why there is none."""
    if math.isfinite(value) and one.reliable:
        return f"<b>{shape.format(value)}</b>"
    return f"<span class='missing'>{_missing(one, kind)}</span>"


def _missing(one: Answer, kind: str) -> str:
    if one.rhythm.irregular:
        return "not of an irregular rhythm"
    if not one.reliable:
        return "not without a reliable pulse"
    if _seconds(one) < SHORTEST[kind] - 0.5:
        return f"too short: {_seconds(one):.0f} s"
    if one.rhythm.coverage < LEAST:
        return f"clean beats cover {one.rhythm.coverage:.0%} of the time; {LEAST:.0%} needed"
    if kind == "breathing":
        return "the three ways to read it disagree"
    return "too few clean beats"
