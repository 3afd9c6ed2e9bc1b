"""How much every recording of a run moves, and its error beside it.

    python tools/motion_analysis/motion.py --run runs/exp/runs/NAME [--method POS] [--output DIR]

Corners of the stored faces are followed from one frame to a later one and back (dataset/face/flow.py has the paper);
a similarity fitted to those that return (RANSAC) says how the face was shifted, scaled and turned. What the box did is
added, so a face that its box follows moves, too. Sums of the absolute steps in each second: the way that was covered.
"""

import argparse
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))  # run as a file, from any folder

from dataset.program import EXPECTED, answer
from evaluation import figures
from evaluation.opened import Run, open_run
from evaluation.tables import csv_text, write_text
from settings.modes import used_sections

if TYPE_CHECKING:
    import pandas

RATE = 6.0  # steps a second: shorter ones are smaller than what a corner can be placed by
SIDE = 144  # pixels that a smaller face is enlarged to
FEWEST = 8  # corners that must return
RETURN = 0.5  # pixels: how far from its start
COLUMNS = ("recording", "second", "translation", "scale", "rotation")
KINDS = {"translation": "% of the face's width a second", "scale": "% a second", "rotation": "degrees a second"}


@dataclass(frozen=True)
class Motion:
    """Of each second (N,): `translation` (% of the face's width), `scale` (%), `rotation` (degrees); NaN: not known."""

    translation: np.ndarray
    scale: np.ndarray
    rotation: np.ndarray

    def mean(self, kind: str) -> float:
        """Of the whole recording; NaN where no second is known."""
        values = getattr(self, kind)
        return float(np.nanmean(values)) if np.isfinite(values).any() else float("nan")


def motion(faces: np.ndarray, fs: float, boxes: np.ndarray | None = None) -> Motion:
    """The motion in `faces` (T, H, W, 3) uint8 at `fs` (Hz), cut out at `boxes` (T, 4) x, y, w, h of the frame."""
    step = max(1, round(fs / RATE))
    places = np.arange(0, len(faces), step)
    steps = np.array([_step(faces, boxes, *pair) for pair in zip(places, places[1:], strict=False)]).reshape(-1, 3)
    seconds = (places[1:] / fs).astype(int)
    found = np.full((int(seconds.max()) + 1 if len(seconds) else 0, 3), np.nan)
    for second in range(len(found)):
        own = np.abs(steps[seconds == second])
        known = own[np.isfinite(own).all(axis=1)]
        if len(known):
            found[second] = known.mean(axis=0) * fs / step
    return Motion(*found.T) if len(found) else Motion(*np.zeros((3, 0)))


def _step(faces: np.ndarray, boxes: np.ndarray | None, first: int, second: int) -> tuple[float, float, float]:
    """Translation (% of the width), scale (%) and rotation (degrees) from one frame to another; NaN where not known."""
    before, after = _grey(faces[first]), _grey(faces[second])
    points = cv2.goodFeaturesToTrack(before, 80, 0.01, 4)
    if points is None or len(points) < FEWEST:
        return (np.nan,) * 3
    there, found, _ = cv2.calcOpticalFlowPyrLK(before, after, points, None)
    back, returned, _ = cv2.calcOpticalFlowPyrLK(after, before, there, None)
    good = (found & returned).ravel().astype(bool) & (np.abs(back - points).max(axis=(1, 2)) < RETURN)
    if good.sum() < FEWEST:
        return (np.nan,) * 3
    fitted, _ = cv2.estimateAffinePartial2D(points[good], there[good], ransacReprojThreshold=1.0)
    if fitted is None:
        return (np.nan,) * 3
    middle = np.array(before.shape[::-1]) / 2
    shift = (fitted[:, :2] @ middle + fitted[:, 2] - middle) / before.shape[1]
    growth, turn = float(np.hypot(*fitted[:, 0])), float(np.degrees(np.arctan2(fitted[1, 0], fitted[0, 0])))
    if boxes is not None and len(boxes):
        old, new = (np.asarray(boxes[number], dtype=float) for number in (first, second))
        shift = shift * new[2] / old[2] + (new[:2] + new[2:] / 2 - old[:2] - old[2:] / 2) / old[2]
        growth *= new[2] / old[2]
    return 100 * float(np.hypot(*shift)), 100 * (growth - 1), turn


def _grey(rgb: np.ndarray) -> np.ndarray:
    grey = cv2.cvtColor(np.ascontiguousarray(rgb), cv2.COLOR_RGB2GRAY)
    scale = SIDE / max(grey.shape)
    return cv2.resize(grey, None, fx=scale, fy=scale, interpolation=cv2.INTER_CUBIC) if scale > 1 else grey


# --- A whole run ----------------------------------------------------------------------------------------------------


def of_run(run: Run) -> dict[str, Motion]:
    """The motion of every recording that was evaluated; ValueError for data without stored faces."""
    from dataset.prepare.section import prepare

    section = used_sections(run.config)[-1]
    prepared = prepare(run.config[section].DATA, section.lower(), run.config)
    if prepared.legacy:
        raise ValueError(f"{section}.DATA reads rPPG-Toolbox's chunks or windows: there are no stored faces to follow.")
    return {recording.id: _of_entry(prepared.entry(recording)) for recording in prepared.recordings}


def _of_entry(entry: Any) -> Motion:
    if entry.faces is None:
        raise ValueError(f"{entry.id} has no video: nothing moves that could be seen.")
    return motion(entry.faces, float(entry.fs), entry.boxes)


def joined(run: Run, found: dict[str, Motion], method: str = "") -> "pandas.DataFrame":
    """A row per recording: its motion, mean over its seconds, beside its absolute error (bpm) by `method`.

    Under the first preset of the report; '' for the first method. ValueError for a method that is not in it.
    """
    recordings = run.recordings
    known = list(dict.fromkeys(recordings.method.dropna()))
    if method and method not in known:
        raise ValueError(f"The run has no method {method!r}. It has: {', '.join(known)}.")
    own = recordings[(recordings.method == (method or known[0])) & (recordings.preset == recordings.preset.iloc[0])]
    own = own[own.recording.isin(found)].copy()
    for kind in KINDS:
        own[kind] = [found[name].mean(kind) for name in own.recording]
    return own[["recording", "subject", "method", "preset", *KINDS, "abs_error", "snr_db"]].reset_index(drop=True)


def draw(table: "pandas.DataFrame") -> Any:
    """Error against each kind of motion: a figure of three panels, with the rank correlation and n above each."""
    figure = figures.new_figure(12, 4, layout="constrained")
    axes = figure.subplots(1, 3, sharey=True)
    for panel, (kind, unit) in zip(axes, KINDS.items(), strict=True):
        good = table[[kind, "abs_error"]].dropna()
        panel.plot(good[kind], good.abs_error, "o", color="tab:red", alpha=0.7)
        many = len(good) >= 3 and good[kind].nunique() > 1 and good.abs_error.nunique() > 1
        rank = f"rank correlation {good.corr('spearman').iloc[0, 1]:.2f}, " if many else ""
        panel.set_title(f"{kind}: {rank}n = {len(good)}", fontsize=10)
        panel.set_xlabel(f"{kind} [{unit}]")
        panel.grid(alpha=0.3)
    axes[0].set_ylabel("absolute error [bpm]")
    first = table.iloc[0] if len(table) else None
    figure.suptitle(f"{first.method}, preset {first.preset}" if first is not None else "no recording")
    return figure


def write(folder: Path, found: dict[str, Motion], table: "pandas.DataFrame") -> Path:
    """Write motion.csv (a line a second), motion_and_error.csv (one a recording) and motion.png; the picture's path."""
    rows = [
        {"recording": name, "second": second, **{kind: float(getattr(one, kind)[second]) for kind in KINDS}}
        for name, one in found.items()
        for second in range(len(one.translation))
    ]
    write_text(folder / "motion.csv", csv_text(COLUMNS, rows))
    lines = table.astype(object).where(table.notna(), "").to_dict("records")
    write_text(folder / "motion_and_error.csv", csv_text(list(table.columns), lines))
    return figures.save(draw(table), folder / "motion.png")


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, join, write; 1 and one sentence for what cannot be."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--run", type=Path, required=True, help="the folder that report.md lies in")
    parser.add_argument("--method", default="", help="whose errors; without it the first of the report")
    parser.add_argument("--output", type=Path, help="folder to write to; without it <run>/motion")
    asked = parser.parse_args(arguments)
    return answer(lambda: show(asked), (*EXPECTED, RuntimeError), code=1)


def show(asked: argparse.Namespace) -> None:
    """Print the table, write it with the plot."""
    run = open_run(asked.run)
    found = of_run(run)
    table = joined(run, found, asked.method)
    print(table.to_string(index=False, float_format=lambda value: f"{value:.2f}"))
    print(f"Plot: {write(asked.output or asked.run / 'motion', found, table)}")


if __name__ == "__main__":
    sys.exit(main())
