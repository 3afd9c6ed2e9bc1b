"""Contact sheet of synthetic subjects: `python -m tools.show_synthetic sheet.png [PRESET=easy KEY=VALUE ...]`."""

import argparse
import ast
import sys
from pathlib import Path

import cv2
import numpy as np

from dataset.program import EXPECTED, answer
from dataset.synthetic.render import Session
from dataset.synthetic.settings import Settings, resolve


def contact_sheet(settings: Settings, columns: int = 4, frame: int = 0, box: bool = False) -> np.ndarray:
    """One frame of each subject side by side, (rows * H, columns * W, 3) uint8 RGB, rate and skin type written in."""
    tiles = []
    for subject in range(1, settings.subjects + 1):
        session = Session(settings, subject)
        truth = session.truth()
        index = min(frame, len(truth.times) - 1)
        picture = next(image for number, image in enumerate(session.frames()) if number == index)
        if box:
            x, y, w, h = np.rint(truth.box[index]).astype(int)
            cv2.rectangle(picture, (x, y), (x + w, y + h), (0, 255, 0), 1)
        text = f"{subject}: type {truth.tone}"
        if settings.width > 200:
            text += f", {truth.hr:.0f} bpm, {100 * truth.amplitude:.2f} %"
        cv2.putText(picture, text, (4, 12), cv2.FONT_HERSHEY_SIMPLEX, 0.4, (255, 255, 255), 1, cv2.LINE_AA)
        tiles.append(picture)
    tiles += [np.zeros_like(tiles[0])] * (-len(tiles) % columns)
    return np.concatenate([np.concatenate(tiles[i : i + columns], axis=1) for i in range(0, len(tiles), columns)])


def main(arguments: list[str] | None = None) -> int:
    """Write the picture; 2 and one sentence for what cannot be."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("picture", type=Path, help="PNG or JPEG to write")
    parser.add_argument(
        "settings", nargs="*", type=_setting, metavar="KEY=VALUE", help="of DATA.SYNTHETIC: PRESET=easy SUBJECTS=6"
    )
    parser.add_argument("--frame", type=int, default=0, help="which frame to show")
    parser.add_argument("--columns", type=int, default=4)
    parser.add_argument("--box", action="store_true", help="draw the face box")
    asked = parser.parse_args(arguments)
    return answer(lambda: show(asked), (*EXPECTED, ImportError))


def show(asked: argparse.Namespace) -> None:
    """Draw the sheet and write it."""
    if asked.picture.suffix.lower() not in (".png", ".jpg", ".jpeg") or not asked.picture.parent.is_dir():
        raise ValueError(f"'{asked.picture}' cannot be written: name a .png or .jpg in a folder that is there.")
    settings = resolve(dict(asked.settings))
    sheet = contact_sheet(settings, asked.columns, asked.frame, asked.box)
    written = cv2.imencode(asked.picture.suffix, cv2.cvtColor(sheet, cv2.COLOR_RGB2BGR), [cv2.IMWRITE_JPEG_QUALITY, 85])
    asked.picture.write_bytes(written[1].tobytes())
    print(f"{asked.picture}: {settings.subjects} subjects, preset {settings.preset}")


def _setting(text: str) -> tuple[str, object]:
    """KEY=VALUE as key and value, which is a word where it is no literal of Python."""
    key, is_there, value = text.partition("=")
    if not is_there:
        raise argparse.ArgumentTypeError(f"{text!r} is not KEY=VALUE")
    try:
        return key, ast.literal_eval(value)
    except (ValueError, SyntaxError):
        return key, value


if __name__ == "__main__":
    sys.exit(main())
