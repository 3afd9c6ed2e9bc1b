"""The rate of a camera in the terminal: one line, written over and over; a line for each change in a file."""

import shutil
import sys
from collections.abc import Iterator

import numpy as np

from dataset.program import INCOMPLETE
from evaluation.vitals import in_words
from unsupervised_methods.live.camera import Timed
from unsupervised_methods.live.session import Session
from unsupervised_methods.live.tab import state
from unsupervised_methods.live.voters import Voter

BARS = "▁▂▃▄▅▆▇█"
WAVE = 24  # letters
TERMINAL, FILE = 0.2, 1.0  # s between two lines


def watch(frames: Iterator[Timed], voter: Voter | None = None) -> int:
    """Measure `frames`, by `voter`, until they end, or Ctrl+C; 0, or 3 where there was no reliable pulse at the end."""
    session, told, before = Session(voter=voter), -np.inf, ""
    terminal = sys.stdout.isatty()
    try:
        for frame, time in frames:
            session.push(frame, time)
            if time - told >= (TERMINAL if terminal else FILE):
                told, line = time, in_a_line(state(session))
                if terminal:
                    print(f"\r{_cut(line, session)}\x1b[K", end="", flush=True)
                elif line != before:
                    print(line, flush=True)
                before = line
    except KeyboardInterrupt:
        pass
    finally:  # also before an error is told
        print("\r\x1b[K" * terminal, end="", flush=True)
    answer = session.colours.answer
    print(in_words(answer) if answer else "No answer: a face has to be seen for 5 s.")
    return 0 if answer is not None and answer.reliable else INCOMPLETE


def in_a_line(known: dict) -> str:
    """What `state` knows, in words."""
    if known.get("reliable"):
        said = (
            f"{known['rate']:.0f} bpm ({known['low']:.0f} to {known['high']:.0f}), confidence {known['confidence']:.2f}"
        )
    elif "reliable" in known:
        said = f"no reliable pulse yet, confidence {known['confidence']:.2f}"
    else:
        said = (
            f"measuring, {min(5.0, known['seconds']):.0f} of the first 5 s" if known["face"] else "looking for the face"
        )
    return ". ".join([said, *(line.removesuffix(".") for line in known["advice"])])


def _cut(line: str, session: Session) -> str:
    """The wave and `line`, no longer than the terminal is wide."""
    found = session.wave() if "utf" in (sys.stdout.encoding or "").lower() else None
    wave = "" if found is None else bars(found[1]) + "  "
    return (wave + line)[: shutil.get_terminal_size().columns - 1]


def bars(wave: np.ndarray) -> str:
    """`wave` (L,) as a row of bars, the newest at the right."""
    points = np.interp(np.linspace(0, len(wave) - 1, WAVE), np.arange(len(wave)), wave)
    height = (points - points.min()) / (np.ptp(points) or 1.0)
    return "".join(BARS[int(round(one * (len(BARS) - 1)))] for one in height)
