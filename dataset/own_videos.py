"""Videos that somebody names in the place of a configuration's data: `--video`, and `measure` of Python."""

import os
from collections.abc import Sequence
from pathlib import Path

import config as settings
from settings.modes import mode_of

READER = "Folder"  # any videos, labels optional
FILE = "own_videos.yaml"  # what is run where no file is named


def own_videos(
    file: str | None, videos: Sequence[str], changed: Sequence[settings.Override], faces: str = ""
) -> tuple[str, list[settings.Override]]:
    """The file and the settings by which a run reads `videos` and nothing else; `changed`: what else was asked for.

    `faces`: "all" answers for each face of a video.
    FileNotFoundError for a video that is not there, ValueError for a file that trains.
    """
    file = file or str(settings.DEFAULT_FILE.with_name(FILE))
    root, names = _together(videos)
    mode = mode_of(settings.read(file, changed).config)
    if not mode.video:
        raise ValueError(f"--video measures, it cannot train: {file} has TOOLBOX_MODE {mode.name}. Use only_test.")
    whole = {"DATASET": READER, "DATA_PATH": root, "VIDEOS": names, "BEGIN": 0.0, "END": 1.0, "FS": 0}
    whole |= {"FACES": faces} if faces else {}
    whole |= {
        "EXP_DATA_NAME": "",
        "FILE_LIST_PATH": settings.DEFAULT_FILE_LIST,
        "FOLD": {"FOLD_NAME": "", "FOLD_PATH": "", "SUBJECTS": []},
    }
    return file, [(f"{mode.video}.DATA.{key}", value) for key, value in whole.items()]


def _together(videos: Sequence[str]) -> tuple[str, list[str]]:
    """The folder that holds all `videos`, and their paths in it; one alone is the root itself, with no paths."""
    missing = [video for video in videos if not Path(video).exists()]
    if missing:
        raise FileNotFoundError(f"--video {' '.join(missing)}: no such file or folder.")
    places = list(dict.fromkeys(os.path.abspath(video) for video in videos))
    if len(places) == 1:
        return videos[0], []
    root = os.path.commonpath([os.path.dirname(place) for place in places])
    return root, [os.path.relpath(place, root) for place in places]
