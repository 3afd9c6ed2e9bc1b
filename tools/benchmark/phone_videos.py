"""Rendered people as a phone's camera stores them, each as three copies: python -m tools.benchmark.phone_videos

Rates of 48, 72, 110 and 165 bpm, six skin tones, sitting still and moving, at 30 and 60 frames per second: of these 96
a quarter, so that every pair of properties occurs equally often. H.264 of 480 x 270 in MP4, 12 s, with the bits per
pixel of a phone's 1080p; the preset `easy` (a strong pulse, as so few pixels average less noise than a phone's do), and
for those who move the motion of `standard`. The copies: constant frame rate; variable (in the middle third every second
frame is left out, elsewhere 3 %); stored turned by a quarter, with the rotation in the header. The first is measured by
every region (UNSUPERVISED.ROI), too. Prints tables for docs/own_videos.md. A run that was ended goes on where it was.

    python -m tools.benchmark.phone_videos --work runs/phone_videos
"""

import argparse
import contextlib
import struct
from collections.abc import Callable, Sequence
from functools import partial
from itertools import product
from pathlib import Path

import numpy as np

from dataset.synthetic.render import Session
from dataset.synthetic.settings import PRESETS, resolve
from evaluation.consensus import LEVEL
from tools.benchmark.rendered import Line, every, given, said, table
from unsupervised_methods.overlay import Writer
from unsupervised_methods.schema import REGIONS

RATES, TONES, MOTIONS, SPEEDS = (48, 72, 110, 165), (1, 2, 3, 4, 5, 6), ("still", "moving"), (30, 60)
MOTION = ("sway", "roll", "yaw", "pitch", "turns")  # of the preset `standard`, for those who move
SIZE = {"SECONDS": 12.0, "WIDTH": 480, "HEIGHT": 270, "FACE_SIZE": 0.5, "SEED": 3000}
NEAR = 3.0  # bpm
BITS = 0.27  # per pixel: 17 Mbit/s at 1920 x 1080 and 30 frames per second; a key frame every second
COPIES = ("constant", "variable", "rotated")
QUARTER = (0, 1 << 16, 0, -1 << 16, 0, 0, 0, 0, 1 << 30)  # matrix of a track that is shown turned by 90 degrees (MP4)


def cases() -> dict[str, Callable[[Path], Line]]:
    """A quarter of all combinations: motion and frame rate follow from the other two."""
    made = {}
    for number, ((r, rate), (t, tone)) in enumerate(product(enumerate(RATES), enumerate(TONES)), 1):
        case = {"rate": rate, "tone": tone, "motion": MOTIONS[(r + t) % 2], "speed": SPEEDS[(r // 2 + t) % 2]}
        made[" ".join(map(str, case.values()))] = partial(person, case, number)
    return made


def person(case: dict, number: int, folder: Path) -> Line:
    """Render one, write its copies, measure each, and the first by every region."""
    session = Session(settings(case), number)
    found = {name: said(folder / f"{name}.mp4") for name in write_copies(folder, session)}
    for region in REGIONS:
        asked = (f"UNSUPERVISED.ROI={region}", "UNSUPERVISED.DATA.PREPROCESS.CROP_FACE.LARGE_BOX_COEF=1.0")
        found[f"region {region}"] = said(folder / "constant.mp4", asked, folder / "cache")
    return {**case, **found, "true": session.truth().hr}


def settings(case: dict) -> object:
    """How `case` is rendered."""
    taken = MOTION if case["motion"] == "moving" else ()
    moves = {name.upper(): getattr(PRESETS["standard"], name) for name in taken}
    own = {"HEART_RATE": (case["rate"],) * 2, "SKIN_TONES": (case["tone"],), "FS": case["speed"]}
    return resolve({"PRESET": "easy", **SIZE, **moves, **own})


def write_copies(folder: Path, session: Session) -> Sequence[str]:
    """`constant.mp4`, `variable.mp4` and `rotated.mp4` of one recording; their names."""
    times, fs = session.course.times, session.settings.fs
    thirds, kept = np.floor(3 * np.arange(len(times)) / len(times)), np.random.default_rng(session.subject)
    left_out = np.where(thirds == 1, np.arange(len(times)) % 2 == 1, kept.random(len(times)) < 0.03)
    with contextlib.ExitStack() as stack:
        rate = BITS * session.settings.width * session.settings.height * fs
        how = {"preset": "veryfast", "tune": "zerolatency", "b": f"{rate:.0f}", "g": f"{fs:.0f}"}
        files = {name: Writer(folder / f"{name}.mp4", fs, how) for name in COPIES}
        for file in files.values():
            stack.enter_context(contextlib.closing(file))
        for frame, time, gone in zip(session.frames(), times, left_out, strict=True):
            files["constant"].add(frame, time)
            if not gone:
                files["variable"].add(frame, time)
            files["rotated"].add(np.ascontiguousarray(np.rot90(frame)), time)
    turn(folder / "rotated.mp4")
    return COPIES


def turn(path: Path) -> None:
    """Say in the header of the MP4 file `path` that its picture is shown turned (ISO/IEC 14496-12, box `tkhd`)."""
    content = bytearray(path.read_bytes())
    start = content.index(b"tkhd") + 4 + 40  # the box's type, then what stands before its matrix in version 0
    content[start : start + 36] = struct.pack(">9i", *QUARTER)
    path.write_bytes(content)


def report(lines: Sequence[Line]) -> str:
    """Errors by each property, what the copies differ by, and every recording."""
    head = [
        "",
        "n",
        "get a rate",
        f"of these within {NEAR:g} bpm",
        "mean absolute error of these",
        "of all, without a level",
    ]
    rows = [_row("all", lines)]
    for key, values in (("rate", RATES), ("tone", TONES), ("motion", MOTIONS), ("speed", SPEEDS)):
        rows += [_row(_words(key, one), [line for line in lines if line[key] == one]) for one in values]
    rows += [_row(f"copy: {name}", lines, (name,)) for name in COPIES]
    return "\n\n".join((table(head, rows), _copies(lines), _regions(lines), _each(lines)))


def _regions(lines: Sequence[Line]) -> str:
    """By tone and by motion: who gets a rate within 3 bpm by each region; in brackets, without a level."""
    groups = {_words(key, one): [line for line in lines if line[key] == one]
              for key, values in (("tone", TONES), ("motion", MOTIONS)) for one in values}  # fmt: skip
    rows = []
    for words, of in {**groups, "all": lines}.items():
        cells = []
        for region in REGIONS:
            near = [(line[f"region {region}"], line["true"]) for line in of]
            near = [one for one, true in near if abs((one["rate"] or np.nan) - true) <= NEAR]
            cells.append(f"{sum(map(given, near))} ({len(near)})")
        rows.append([words, str(len(of)), *cells])
    return table([f"within {NEAR:g} bpm", "n", *REGIONS], rows)


def _words(key: str, value: object) -> str:
    return {"rate": f"{value} bpm", "tone": f"skin tone {value}", "speed": f"{value} frames/s"}.get(key, str(value))


def _row(words: str, lines: Sequence[Line], copies: Sequence[str] = COPIES) -> list[str]:
    found = [(line[name], abs((line[name]["rate"] or np.nan) - line["true"])) for line in lines for name in copies]
    kept = [error for one, error in found if given(one)]
    near = f"{sum(error <= NEAR for error in kept)}/{len(kept)}"
    mean = f"{np.mean(kept):.2f}" if kept else "-"
    return [words, str(len(found)), str(len(kept)), near, mean, f"{np.nanmean([error for _, error in found]):.1f}"]


def _copies(lines: Sequence[Line]) -> str:
    """How far the copies of one recording lie apart."""
    spread = {name: [] for name in ("every copy gets a rate", "some copy gets none")}
    for line in lines:
        rates = [line[name]["rate"] for name in COPIES]
        if None not in rates:
            sure = all(given(line[name]) for name in COPIES)
            spread["every copy gets a rate" if sure else "some copy gets none"].append(max(rates) - min(rates))
    rows = (
        [words, str(len(of)), str(sum(one <= 1 for one in of)), *(f"{np.quantile(of, q):.2f}" for q in (0.5, 1.0))]
        for words, of in spread.items()
        if of
    )
    return table(["copies of one recording", "recordings", "within 1 bpm", "median (bpm)", "most (bpm)"], rows)


def _each(lines: Sequence[Line]) -> str:
    def cell(one: Line) -> str:
        rate = "none" if one["rate"] is None else f"{one['rate']:.1f}"
        return f"{rate}, {one['confidence']:.2f}" if given(one) else f"({rate}, {one['confidence']:.2f})"

    head = [f"recording; in brackets: below {LEVEL:.2f}", "true", *COPIES]
    return table(
        head, ([line["name"], f"{line['true']:.1f}", *(cell(line[name]) for name in COPIES)] for line in lines)
    )


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure what is missing and print the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--work", type=Path, required=True, help="folder for the lines of the recordings")
    asked = parser.parse_args(arguments)
    print(report(every(asked.work / "recordings.jsonl", cases())))


if __name__ == "__main__":
    main()
