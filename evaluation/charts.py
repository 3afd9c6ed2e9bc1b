"""Charts of a page without scripts: lines in SVG that stretch with the page, words and numbers in HTML that do not.

Colours are left to the page's styles: `line`, `area`, `mark` and `dots` are classes.
"""

import base64
import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from html import escape

import numpy as np

from dataset.files.names import shown

WIDE, HIGH = 1000.0, 300.0  # of the drawing; the page stretches it
MOST = 4000  # points of a line
COLUMNS = 800  # of a picture of spectra


@dataclass
class Chart:
    """One drawing over `x` and `y` (first, last), with the words beside its axes; `add` what it shows."""

    x: tuple[float, float]
    y: tuple[float, float]
    x_words: str
    y_words: str
    parts: list[str] = field(default_factory=list)

    def line(self, x: np.ndarray, y: np.ndarray, kind: str = "line", name: str = "") -> None:
        """A line through `x` (N,) and `y` (N,); a page with a script says its `name` beside the values."""
        step = max(1, math.ceil(len(x) / MOST))
        named = f" data-name='{escape(shown(name))}'" if name else ""
        self.parts.append(f"<polyline class='{kind}'{named} points='{self._points(x[::step], y[::step])}'/>")

    def area(self, x: np.ndarray, low: np.ndarray, high: np.ndarray) -> None:
        """All between `low` (N,) and `high` (N,)."""
        around = self._points(np.concatenate([x, x[::-1]]), np.concatenate([high, low[::-1]]))
        self.parts.append(f"<polygon class='area' points='{around}'/>")

    def marks(self, x: np.ndarray) -> None:
        """A line from top to bottom at each of `x` (N,)."""
        drawn = " ".join(f"M{place:.1f} 0V{HIGH:g}" for place in self._across(np.asarray(x, float)))
        self.parts.append(f"<path class='mark' d='{drawn}'/>")

    def dots(self, x: np.ndarray, y: np.ndarray, kind: str = "dots") -> None:
        """A dot at each of `x` (N,) and `y` (N,)."""
        drawn = " ".join(f"M{point.replace(',', ' ')}h0" for point in self._points(x, y).split())
        self.parts.append(f"<path class='{kind}' d='{drawn}'/>")

    def picture(self, png: bytes) -> None:
        """A picture that fills the drawing."""
        data = base64.b64encode(png).decode()
        size = f"width='{WIDE:g}' height='{HIGH:g}' preserveAspectRatio='none'"
        self.parts.append(f"<image {size} href='data:image/png;base64,{data}'/>")

    def html(self, words: str) -> str:
        """The drawing with its axes; `words` are read to those who do not see it."""
        across = "".join(
            f"<span class='x' style='left:{100 * (at - self.x[0]) / (self.x[1] - self.x[0]):.2f}%'>{at:g}</span>"
            for at in ticks(*self.x, 8)
        )
        up = "".join(
            f"<span class='y' style='bottom:{100 * (at - self.y[0]) / (self.y[1] - self.y[0]):.2f}%'>{at:g}</span>"
            for at in ticks(*self.y, 5)
        ) if self.y_words else ""  # fmt: skip
        drawing = (
            f"<svg viewBox='0 0 {WIDE:g} {HIGH:g}' preserveAspectRatio='none' role='img' aria-label='{words}'>"
            f"{''.join(self.parts)}</svg>"
        )
        axis = f"<div class='axis'>{self.x_words}</div>"
        unit = f"<div class='unit'>{self.y_words}</div>" if self.y_words else ""
        ends = f"data-x='{self.x[0]:.6g} {self.x[1]:.6g}' data-y='{self.y[0]:.6g} {self.y[1]:.6g}'"
        return f"{unit}<div class='plot{'' if self.y_words else ' bare'}' {ends}>{drawing}{up}{across}</div>{axis}"

    def _across(self, x: np.ndarray) -> np.ndarray:
        return WIDE * (x - self.x[0]) / (self.x[1] - self.x[0])

    def _points(self, x: np.ndarray, y: np.ndarray) -> str:
        up = HIGH * (1 - (np.asarray(y, float) - self.y[0]) / (self.y[1] - self.y[0]))
        across = self._across(np.asarray(x, float))
        return " ".join(f"{a:.1f},{b:.1f}" for a, b in zip(across, up, strict=True))


def figure(title: str, body: str, caption: str, style: str = "") -> str:
    """A chart below its title; `style` widens what may be scrolled."""
    return f"<div class='chart'><h3>{title}</h3><div class='wide'><div{style}>{body}</div></div><p>{caption}</p></div>"


def ticks(first: float, last: float, most: int) -> list[float]:
    """At most `most` + 1 round numbers from `first` to `last`."""
    rough = (last - first) / most
    size = 10.0 ** math.floor(math.log10(rough))
    step = next(size * one for one in (1, 2, 5, 10) if size * one >= rough * (1 - 1e-9))
    return [round(step * k, 10) for k in range(math.ceil(first / step - 1e-9), math.floor(last / step + 1e-9) + 1)]


def heat(values: np.ndarray) -> bytes:
    """A PNG file of `values` (N, M) from 0 to 1: N columns, the first of M at the bottom."""
    import cv2

    step = max(1, math.ceil(len(values) / COLUMNS))
    grey = np.clip(255 * np.asarray(values)[::step].T[::-1], 0, 255).astype(np.uint8)
    return cv2.imencode(".png", cv2.applyColorMap(grey, cv2.COLORMAP_VIRIDIS))[1].tobytes()


def held(values: Sequence[float]) -> np.ndarray:
    """`values` (N,) with first and last once more: a course reaches half a step beyond its windows' middles."""
    return np.concatenate([[values[0]], values, [values[-1]]])
