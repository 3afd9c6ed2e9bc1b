"""What a check says of a recording: one graded sentence, the numbers behind it, and how to mend it."""

import math
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

GRADES = ("ok", "look", "bad")  # from good to bad; "" is a check that could not be made


@dataclass(frozen=True)
class Finding:
    """One check of one recording.

    check   its name                        text    one sentence: what was found
    grade   ok, look or bad; "": unknown    mend    what to do about it
    values  numbers by column of doctor.csv
    source  where the threshold comes from, where that is said
    """

    check: str
    grade: str
    text: str
    mend: str = ""
    values: dict[str, Any] = field(default_factory=dict)
    source: str = ""


def grade(value: float, look: float, bad: float = math.inf) -> str:
    """ok up to `look`, look up to `bad`, bad above; falling limits (`bad` < `look`) grade falling values."""
    if bad < look:
        value, look, bad = -value, -look, -bad
    return "bad" if value > bad else "look" if value > look else "ok"


def worst(grades: Iterable[str]) -> str:
    """The worst of `grades`; ok of none."""
    known = [GRADES.index(one) for one in grades if one]
    return GRADES[max(known)] if known else "ok"


def percent(share: float) -> str:
    """A share as text: one decimal below 10 %, so that a single lost frame does not read as 0 %."""
    return f"{100 * share:.1f} %" if 0 < share < 0.1 else f"{100 * share:.0f} %"
