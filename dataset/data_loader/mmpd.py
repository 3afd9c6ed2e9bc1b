"""MMPD: 33 subjects filmed by a phone, up to 20 recordings of a minute each in different light and motion.

Tang et al., "MMPD: Multi-Domain Mobile Video Physiology Dataset", EMBC 2023.

    DATA_PATH/subject1/p1_0.mat, p1_1.mat ...   MATLAB up to version 7
        video        (T, 320, 240, 3) colours from 0 to 1 at 30 fps (Mini-MMPD: 80x60)
        GT_ppg       (1, T) finger PPG
        light, motion, exercise, gender, glasser, hair_cover, makeup   words; skin_color   Fitzpatrick type

INFO of the DATA node chooses recordings by the codes below, which are rPPG-Toolbox's. The layout is that of its reader;
it has been tested on rendered files, not on the original ones.
"""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from dataset.data_loader.base import BaseLoader, Recording, Signal
from dataset.files.frames import Frame
from dataset.files.lookup import matching, originals
from dataset.files.matlab import iter_video, read_numbers, read_variables
from dataset.files.tables import require_root, require_some
from registry import DATASETS

YES_NO = {"True": 1, "False": 2}
CODES = {  # field of the file -> code of each word; INFO has the field's name in capitals
    "light": {"LED-low": 1, "LED-high": 2, "Incandescent": 3, "Nature": 4},
    # Older files say 'Watching Videos' where 'Walking' is meant.
    "motion": {
        "Stationary": 1,
        "Stationary (after exercise)": 1,
        "Rotation": 2,
        "Talking": 3,
        "Walking": 4,
        "Watching Videos": 4,
    },
    "exercise": YES_NO,
    "skin_color": {"3": 3, "4": 4, "5": 5, "6": 6},
    "gender": {"male": 1, "female": 2},
    "glasser": YES_NO,
    "hair_cover": YES_NO,
    "makeup": YES_NO,
}


# What rPPG-Toolbox calls the chunks of a recording; its fields are those of CODES, in their order.
STEM = re.compile(r"[^_]+_L(\d)_MO(\d)_E(\d)_S(\d)_GE(\d)_GL(\d)_H(\d)_MA(\d)")


@DATASETS.register("MMPD")
class MMPDLoader(BaseLoader):
    """Ids are the names of the files: recordings of one subject may share all codes."""

    fs = 30.0
    chunk_subject = r"(subject\d+)_.+"  # and its codes
    signals = ("ppg",)
    unaugmented = "MMPD"
    SHARED = {
        "INFO": {  # the codes of the recordings that are kept
            "LIGHT": [""],  # 1 LED-low, 2 LED-high, 3 incandescent, 4 nature
            "MOTION": [""],  # 1 stationary, 2 rotation, 3 talking, 4 walking
            "EXERCISE": [True],  # 1 yes, 2 no (True equals code 1)
            "SKIN_COLOR": [1],  # Fitzpatrick 3 to 6; the default keeps nothing
            "GENDER": [""],  # 1 male, 2 female
            "GLASSER": [True],  # glasses: 1 yes, 2 no (rPPG-Toolbox's spelling)
            "HAIR_COVER": [True],  # 1 yes, 2 no
            "MAKEUP": [True],  # 1 yes, 2 no
        }
    }

    @staticmethod
    def keeps_chunks(stem: str, data: Any) -> bool:
        """Whether INFO names each of the codes that the stem carries (`subject1_L1_MO1_E2_S3_GE1_GL2_H2_MA2`)."""
        found = STEM.fullmatch(stem)
        codes = dict(zip(CODES, map(int, found.groups()), strict=True)) if found else {}
        return _kept(codes, data)

    def recordings(self, root: Path) -> list[Recording]:
        """One per .mat file in the folders `subject*`, in natural order; FileNotFoundError when there is none."""
        root = require_root(root, "MMPD")
        folders = originals(folder for folder in matching(root, "subject*") if folder.is_dir())
        files = [file for folder in folders for file in originals(matching(folder, "*.mat"))]
        require_some(files, root, "MMPD", "subject1/p1_0.mat, subject1/p1_1.mat, subject2/...")
        return [Recording(id=file.stem.lower(), subject=file.parent.name.lower(), path=file) for file in files]

    def read_video(self, recording: Recording) -> Iterator[Frame]:
        """The frames of `video`."""
        return iter_video(recording.path, "video")

    def read_wave(self, recording: Recording) -> dict[str, Signal]:
        """`ppg` (a.u.), spread evenly over the video."""
        return {"ppg": Signal(read_numbers(recording.path, "GT_ppg"))}

    def describe(self, recording: Recording) -> dict[str, Any]:
        """The codes of the recording, as `info_<field>`; ValueError for a word that has none."""
        found = read_variables(recording.path, CODES)
        return {f"info_{field}": _code(field, found[field], recording.path) for field in CODES}

    def select(self, recording: Recording, data: dict[str, Any]) -> bool:
        """Whether FILTERING keeps it and INFO names each of its codes; KeyError while nothing says what they are."""
        if not super().select(recording, data):
            return False
        codes = recording.info
        if "info_light" not in codes:
            try:
                codes = self.describe(recording)  # a look at a few bytes: the video is not read
            except (OSError, ValueError) as error:
                raise KeyError(f"codes of {recording.id}") from error  # reading the recording will say why
        return _kept({field: codes[f"info_{field}"] for field in CODES}, data)


def _kept(codes: dict[str, int], data: Any) -> bool:
    """Whether INFO names each of these codes."""
    return all(code in data["INFO"][field.upper()] for field, code in codes.items())


def _code(field: str, value: np.ndarray, path: Path) -> int:
    word = str(np.asarray(value).reshape(-1)[0]).strip() if np.size(value) else ""
    code = CODES[field].get(word.removesuffix(".0"))
    if code is None:
        raise ValueError(
            f"'{path}': {field} is {word!r}; known: {', '.join(CODES[field])}. Mend the file or leave it out."
        )
    return code
