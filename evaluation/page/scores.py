"""The tables of metrics.json as HTML: each number says where it stands there, so that both can be compared."""

import math
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from html import escape
from typing import Any

from dataset.files.names import shown
from evaluation.tables import incomplete

Tables = Sequence[Mapping[str, Any]]  # as `evaluation.tables.as_dict` makes them
OWN = (  # heading, place in a table, how it is written, what it is
    ("n", "n", "{:d}", "windows with both rates"),
    ("subjects", "subjects", "{:d}", "people among them"),
    ("median", "median_abs_error", "{:.2f}", "median of the absolute errors"),
    ("within 5", "within.5", "{:.0%}", "share of windows with an error of at most 5"),
    ("within 10", "within.10", "{:.0%}", "share of windows with an error of at most 10"),
    ("doubled", "doubled", "{:.0%}", "share of windows whose rate is within 5 % of twice the true one"),
    ("halved", "halved", "{:.0%}", "share of windows whose rate is within 5 % of half the true one"),
)
AGREEMENT = ("bias", "low", "high")
MOST = 300  # numbers of an output that is no rate


def words(text: object) -> str:
    """`text`, whoever chose it, as words of the page."""
    return escape(shown(text))


def specification(table: Mapping[str, Any]) -> str:
    """One line: how the numbers of a table came about."""
    if known := table.get("specification"):
        return known["line"]
    low, high = table["band_hz"]
    window = f"{table['window_s']:g} s windows" if table["window_s"] else "whole recordings"
    return (
        f"preset {table['preset']}: band {low:g}-{high:g} Hz, filter of order {table['filter_order']}, {window}, "
        f"estimator {table['estimator']}, reference: {table['reference']}"
    )


def by_preset(tables: Tables, place: str) -> Iterator[tuple[str, str]]:
    """(specification, tables as HTML) of each preset; `place`: where `tables` stand in metrics.json."""
    presets = list(dict.fromkeys(one["preset"] for one in tables))
    for preset in presets:
        found = [(f"{place}.{number}", one) for number, one in enumerate(tables) if one["preset"] == preset]
        if not any(one["n"] for _, one in found):
            yield specification(found[0][1]), "<p>No window has both a predicted and a true rate: no errors.</p>"
            continue
        few = any(one.get("few_people") for _, one in found if one["n"])
        warned = "<p class='lost'>Fewer than 10 people: intervals over so few say little.</p>" if few else ""
        parts = (_windows(found), _people(found), _agreement(found), _groups(found))
        yield specification(found[0][1]), warned + "".join(parts)


def _windows(found: Sequence[tuple[str, Mapping[str, Any]]]) -> str:
    names = list(dict.fromkeys(name for _, one in found for name in one["metrics"]))
    heads = [("method", ""), *[(_head(found, name), "") for name in names], *[(one[0], one[3]) for one in OWN]]
    lines = []
    for place, one in found:
        cells = [_score(f"{place}.metrics.{name}", one["metrics"].get(name)) for name in names]
        cells += [cell(f"{place}.{where}", looked_up(one, where), shape) for _, where, shape, _ in OWN]
        lines.append((one, cells))
    said = (
        "<p class='about'>± standard error over windows; below it the 95 % interval over people. "
        "Grey: baselines, which know nothing of the recordings.</p>"
    )
    return table(heads, lines) + said


def _people(found: Sequence[tuple[str, Mapping[str, Any]]]) -> str:
    """The same with each person counting once."""
    names = list(dict.fromkeys(n for _, one in found for n, score in one["metrics"].items() if score["per_subject"]))
    heads = [("each person counting once", ""), *[(_head(found, name), "") for name in names]]
    lines = []
    for place, one in found:
        cells = []
        for name in names:
            each = (one["metrics"].get(name) or {}).get("per_subject") or {}
            key = f"{place}.metrics.{name}.per_subject"
            cells.append(_with_error(f"{key}.value", each.get("value"), each.get("standard_error"), ""))
        lines.append((one, cells))
    return table(heads, lines) if names else ""


def _agreement(found: Sequence[tuple[str, Mapping[str, Any]]]) -> str:
    """Bias, limits of agreement and coverage of each method that looked at the recordings."""
    heads = [("agreement, predicted - true", ""), ("bias", "mean over people of each one's mean difference"),
             ("lower limit", "95 % of the differences lie above or below"), ("upper limit", ""),
             ("coverage", "share of the windows with a true rate that also have a predicted one")]  # fmt: skip
    lines = []
    for place, one in found:
        known = one.get("agreement")
        if not known or one["baseline"]:
            continue
        cells = [_with_span(f"{place}.agreement.{key}", known[key], known[f"{key}_ci95"]) for key in AGREEMENT]
        lines.append((one, [*cells, cell(f"{place}.coverage", one.get("coverage"), "{:.0%}")]))
    return table(heads, lines) if lines else ""


def _groups(found: Sequence[tuple[str, Mapping[str, Any]]]) -> str:
    """Errors by attribute of the recordings, a closed part per method."""
    return "".join(
        f"<details><summary>{words(one['method'])} by attribute of the recordings</summary>{_groups_of(place, one)}"
        "</details>"
        for place, one in found
        if one.get("subgroups")
    )


def _groups_of(place: str, one: Mapping[str, Any]) -> str:
    groups = one["subgroups"]
    names = list(dict.fromkeys(name for group in groups for name in group["metrics"]))
    heads = [("attribute", ""), ("n", "windows"), ("people", "* fewer than 10"), *[(name, "") for name in names]]
    lines = []
    for number, group in enumerate(groups):
        at = f"{place}.subgroups.{number}"
        cells = [cell(f"{at}.n", group["n"], "{:d}"), cell(f"{at}.people", group["people"], "{:d}", _few(group))]
        for name in names:
            score = group["metrics"].get(name) or {"value": None, "ci95": (None, None)}
            cells.append(_with_span(f"{at}.metrics.{name}.value", score["value"], score["ci95"]))
        lines.append(
            (
                {"method": f"{group['attribute']}: {group['value']}"},
                [*cells, cell(f"{at}.bias", group["bias"], "{:+.2f}")],
            )
        )
    return table([*heads, ("bias", "mean of predicted - true")], lines)


def _few(group: Mapping[str, Any]) -> str:
    return "*" if group["few_people"] else ""


def _with_span(key: str, value: float | None, span: Sequence[float | None]) -> str:
    low, high = span
    small = "" if low is None or high is None else f"<small>{low:.2f} to {high:.2f}</small>"
    return cell(key, value, "{:.2f}", small)


def _head(found: Sequence[tuple[str, Mapping[str, Any]]], name: str) -> str:
    unit = next((one["metrics"][name].get("unit") for _, one in found if name in one["metrics"]), "")
    return f"{name} [{unit}]" if unit else name


def headed(html: str, metrics: Mapping[str, Any]) -> str:
    """`html` with INCOMPLETE n/m above each of its tables of numbers where recordings of a run are missing."""
    said = incomplete(metrics)
    return re.sub(r"<table[^>]*>", rf"\g<0><caption class='lost'>{said}</caption>", html) if said else html


def table(heads: Sequence[tuple[str, str]], lines: Iterable[tuple[Mapping[str, Any], Sequence[str]]]) -> str:
    """A table that sorts: `heads` (words, what it is), and lines of (method and baseline, cells)."""
    top = "".join(f"<th scope='col' title='{words(about)}'>{words(name)}</th>" for name, about in heads)
    rows = "".join(
        f"<tr{' class=base' if one.get('baseline') else ''}><td>{words(one['method'])}</td>{''.join(cells)}</tr>"
        for one, cells in lines
    )
    return f"<div class='scroll'><table class='sort'><thead><tr>{top}</tr></thead><tbody>{rows}</tbody></table></div>"


def _score(key: str, score: Mapping[str, Any] | None) -> str:
    if score is None:
        return cell(key, None, "")
    low, high = score["ci95"]
    small = "" if low is None else f"<small>{low:.2f} to {high:.2f}</small>"
    return _with_error(f"{key}.value", score["value"], score["standard_error"], small)


def _with_error(key: str, value: float | None, error: float | None, more: str) -> str:
    return cell(key, value, "{:.2f}", ("" if error is None else f" ± {error:.2f}") + more)


def cell(key: str, value: float | None, shape: str, more: str = "") -> str:
    """A cell of the number at the place `key` of metrics.json, in full for sorting; what is missing has none."""
    if value is None or not math.isfinite(value):
        return f"<td data-key='{words(key)}'>–</td>"
    return f"<td data-key='{words(key)}' data-v='{value!r}'>{shape.format(value)}{more}</td>"


def looked_up(node: Any, place: str) -> Any:
    """What stands at `place` (names and numbers with dots between) of plain data; None where nothing does."""
    if not place:
        return node
    if isinstance(node, list):
        first, _, rest = place.partition(".")
        return looked_up(node[int(first)], rest) if first.isdigit() and int(first) < len(node) else None
    if isinstance(node, dict):  # a name may hold dots: the longest that fits is meant
        for name in sorted(node, key=len, reverse=True):
            if place == name or place.startswith(f"{name}."):
                return looked_up(node[name], place[len(name) + 1 :])
    return None


def head(name: str, content: Mapping[str, Any]) -> str:
    """What an output beside the pulse came to: its tables of rates, or every number it has."""
    if known := tables_of_rates(content):
        return "".join(f"<p class='spec'>{words(spec)}</p>{html}" for spec, html in by_preset(known, _at(name)))
    numbers = [(place, value) for place, value in leaves(content) if not isinstance(value, str)]
    lines = [({"method": place}, [cell(f"heads.{name}.{place}", value, "{:.4g}")]) for place, value in numbers[:MOST]]
    more = f"<p>and {len(numbers) - MOST} more in metrics.json</p>" if len(numbers) > MOST else ""
    return table([("what", ""), ("value", "")], lines) + more


def tables_of_rates(content: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """The tables of an output where they are of rates, which have presets; [] for those of other kinds."""
    known = content.get("tables")
    return known if isinstance(known, list) and all("preset" in one for one in known) else []


def _at(name: str) -> str:
    return f"heads.{name}.tables"


def leaves(node: Any, place: str = "") -> Iterator[tuple[str, Any]]:
    """(place, value) of every number and text in plain data."""
    parts = node.items() if isinstance(node, dict) else enumerate(node) if isinstance(node, list) else None
    if parts is None:
        if isinstance(node, (int, float, str)) and not isinstance(node, bool):
            yield place, node
        return
    for name, value in parts:
        yield from leaves(value, f"{place}.{name}" if place else str(name))
