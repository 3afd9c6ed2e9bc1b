"""How often something without a pulse gets a rate, and how often a person does: python -m tools.benchmark.false_pulse

Renders short H.264 clips and measures each as `--video` does. Without a pulse: photographs held before the camera,
printed faces on a page, walls, and frames of people in random order. With one: people who sit still in steady light
(preset `easy`), and people who move in changing light (`standard`). Every input but the people comes under the light
and camera of both presets, in turn. Prints tables for docs/own_videos.md and draws docs/risk_coverage.png. A run that
was ended goes on where it was.

    python -m tools.benchmark.false_pulse --work runs/false_pulse                   500 without a pulse, 120 with one
    python -m tools.benchmark.false_pulse --work runs/look --each 10 --people 10    a quick look
"""

import argparse
import dataclasses
from collections.abc import Callable, Sequence
from functools import cached_property, partial
from pathlib import Path

import cv2
import numpy as np

from config import ROOT
from dataset.synthetic.background import make_background
from dataset.synthetic.face import Face
from dataset.synthetic.render import Session
from dataset.synthetic.settings import resolve
from dataset.synthetic.writer import write_video
from evaluation import figures
from evaluation.consensus import LEVEL, NEAR
from tools.benchmark.rendered import Line, every, given, said, share, table

FORMAT = {"CODEC": "h264", "SECONDS": 15.0, "WIDTH": 240, "HEIGHT": 180, "FACE_SIZE": 0.5}
SEED = 2000
PRESETS = ("easy", "standard")
STILL, MOVING = "person, still (`easy`)", "person, moving (`standard`)"
LEVELS = (0.2, 0.25, 0.3, 0.35, 0.4, 0.45, 0.5, 0.6)
PAGE, INK = 0.72, (40.0, 0.8)  # of the frame's height that a printed face fills; darkest ink, and what paper adds to it
PICTURE = ROOT / "docs" / "risk_coverage.png"


class Printed(Session):
    """A portrait printed on white paper that stands in a room; nothing moves but the light."""

    @cached_property
    def face(self) -> Face:
        """The page in its room."""
        person, settings = super().face, self.settings
        random = np.random.default_rng([settings.seed, self.subject, 40])
        room = make_background(random, settings.width, settings.height)
        print_ = cv2.resize(person.picture, None, fx=PAGE, fy=PAGE, interpolation=cv2.INTER_AREA)
        h, w = print_.shape[:2]
        edge = h // 10
        sheet = cv2.copyMakeBorder(INK[0] + INK[1] * print_, *[edge] * 4, cv2.BORDER_CONSTANT, value=(235, 235, 230))
        y, x = (settings.height - h) // 2 - edge, (settings.width - w) // 2 - edge
        room[y : y + len(sheet), x : x + sheet.shape[1]] = sheet
        return dataclasses.replace(person, picture=room, pulse=np.zeros_like(room))


class Wall(Session):
    """A room with nobody in it."""

    @cached_property
    def face(self) -> Face:
        """The room in the place of a face."""
        random = np.random.default_rng([self.settings.seed, self.subject, 41])
        room = make_background(random, self.settings.width, self.settings.height)
        return dataclasses.replace(super().face, picture=room, pulse=np.zeros_like(room))


FLAT = {"PHOTO": True, "SWAY": 0.0, "ROLL": 0.0}


def clip(kind: Callable[..., Session], preset: str, number: int, more: dict, folder: Path) -> Line:
    """Render a clip, measure it, and say what it holds; in random order where `more` says SHUFFLED."""
    options = {key: value for key, value in more.items() if key != "SHUFFLED"}
    session = kind(resolve({**FORMAT, "PRESET": preset, "SEED": SEED, **options}), number)
    frames, video = session.frames(), folder / "clip.mp4"
    if more.get("SHUFFLED"):
        pictures = list(frames)
        frames = (pictures[place] for place in np.random.default_rng([SEED, number]).permutation(len(pictures)))
    write_video(video, frames, session.course.times, session.settings)
    alive = not (options.get("PHOTO") or more.get("SHUFFLED"))
    return {"true": session.truth().hr if alive else None, **said(video)}


def cases(each: int, people: int) -> dict[str, Callable[[Path], Line]]:
    """Every clip by its name, `<what>: <number>`."""
    without = {
        "photograph in a hand": (Session, {"PHOTO": True}),
        "printed face on a page": (Printed, FLAT),
        "wall": (Wall, FLAT),
        "frames in random order": (Session, {"SHUFFLED": True}),
    }
    made = {
        f"{what}: {n}": partial(clip, kind, PRESETS[n % 2], 1000 * place + n, more)
        for place, (what, (kind, more)) in enumerate(without.items(), 1)
        for n in range(1, each + 1)
    }
    for what, preset in ((STILL, "easy"), (MOVING, "standard")):
        made |= {f"{what}: {n}": partial(clip, Session, preset, n, {}) for n in range(1, people + 1)}
    return made


def right(line: Line) -> bool:
    """Whether the rate lies within 5 bpm of the true one."""
    return line["rate"] is not None and abs(line["rate"] - line["true"]) <= NEAR


def report(lines: Sequence[Line]) -> str:
    """Both tables, and the shares at the level that decides."""
    kinds = _kinds(lines)
    people = {what: found for what, found in kinds.items() if found[0]["true"] is not None}
    nothing = {what: found for what, found in kinds.items() if what not in people}
    nothing["all without a pulse"] = [line for of in nothing.values() for line in of]
    levels = [f"**{level:.2f}**" if level == LEVEL else f"{level:.2f}" for level in LEVELS]
    counts = table(
        ["without a pulse: rates given", "n", *levels],
        ([what, str(len(of)), *(str(sum(given(one, level) for one in of)) for level in LEVELS)]
         for what, of in nothing.items()),
    )  # fmt: skip
    rates = table(
        ["with a pulse: rates right of those given", "n", *levels],
        ([what, str(len(of)), *(_right_of(of, level) for level in LEVELS)] for what, of in people.items()),
    )
    shares = table(
        [f"at {LEVEL:.2f}", "n", "get a rate (95 % interval)", "within 5 bpm"],
        ([what, str(len(of)), share(sum(map(given, of)), len(of)), "-" if what in nothing else
          share(*map(int, _right_of(of, LEVEL).split("/")))] for what, of in (nothing | people).items()),
    )  # fmt: skip
    return "\n\n".join((counts, rates, shares))


def _right_of(lines: Sequence[Line], level: float) -> str:
    kept = [line for line in lines if given(line, level)]
    return f"{sum(map(right, kept))}/{len(kept)}"


def _kinds(lines: Sequence[Line]) -> dict[str, list[Line]]:
    found: dict[str, list[Line]] = {}
    for line in lines:
        found.setdefault(line["name"].rpartition(":")[0], []).append(line)
    return found


def draw(lines: Sequence[Line], path: Path) -> Path:
    """Risk against coverage for people, and who gets a rate at each level."""
    figure = figures.new_figure(9.5, 3.8, layout="constrained")
    left, right_side = figure.subplots(1, 2)
    for colour, (what, found) in zip(("C0", "C1", "C2", "C3", "C4", "C5"), _kinds(lines).items(), strict=False):
        words = what.replace("`", "")
        if found[0]["true"] is not None:
            _risk(left, found, colour, words)
        levels = np.linspace(0, 1, 101)
        right_side.plot(
            levels, [100 * np.mean([given(one, at) for one in found]) for at in levels], colour, label=words
        )
    left.set(
        xlabel=f"get a rate (%); dots: at a confidence of {LEVEL:.2f}",
        ylabel="of these wrong by over 5 bpm (%)",
        xlim=(0, 101),
    )
    right_side.set(xlabel="confidence that is asked for", ylabel="get a rate (%)", xlim=(0, 1))
    right_side.axvline(LEVEL, color="0.5", linestyle=":")
    figure.legend(handles=right_side.lines[:-1], loc="outside lower center", ncols=6, fontsize=7.5)
    return figures.save(figure, path, dpi=80)


def _risk(axes: object, found: Sequence[Line], colour: str, words: str) -> None:
    """Share of wrong rates against the share that is kept, from the highest confidence on; a dot at the level."""
    order = sorted((one for one in found if one["seen"]), key=lambda one: -one["confidence"])
    kept = np.arange(1, len(order) + 1)
    risk = np.cumsum([not right(one) for one in order]) / kept
    axes.plot(100 * kept / len(found), 100 * risk, colour, label=words)
    if count := sum(map(given, found)):
        axes.plot(100 * count / len(found), 100 * risk[count - 1], "o", color=colour)


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure what is missing, print the tables, draw the plot."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--work", type=Path, required=True, help="folder for the lines of the clips")
    parser.add_argument("--each", type=int, default=125, help="clips of each kind without a pulse")
    parser.add_argument("--people", type=int, default=60, help="clips of each preset with a pulse")
    parser.add_argument("--plot", type=Path, default=PICTURE)
    asked = parser.parse_args(arguments)
    lines = every(asked.work / "clips.jsonl", cases(asked.each, asked.people))
    print(report(lines))
    print(f"\nPlot: {draw(lines, asked.plot)}")


if __name__ == "__main__":
    main()
