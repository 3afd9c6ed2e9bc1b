"""Synthetic recordings in the raw layout of real data sets: one file per layout, found by the data set's name.

A layout is a class with two methods, registered under the name a user writes in DATASET:

    folder(number) -> str                       the folder of subject 1, 2 ... below DATA_PATH
    write(folder: Path, session: Session)       its files, into an existing empty folder
    spread = True                               where the files of a subject lie in several places: `write` is then
                                                given an empty folder in place of DATA_PATH, and `folder` names what in
                                                it is put there last
    finish(root)                optional: what concerns all subjects, after each call that wrote some
"""

import dataclasses
import os
import shutil
import uuid
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from dataset.synthetic.render import Session
from dataset.synthetic.settings import Settings, resolve
from dataset.synthetic.writer import extension
from registry import Registry

LAYOUTS = Registry("synthetic layout", "dataset.synthetic.layouts")
MINIATURE = {"SUBJECTS": 6, "SECONDS": 12.0}  # when nothing is said: raw formats are large
_SEED_STEP = 1_000_003  # between the recordings of one person: no user's own seeds lie so far apart
_PARTIAL = ".partial_"  # matches neither subject* nor *-*, so that no loader takes a half-written one for a recording


def write_layout(name: str, root: str | Path, settings: Settings | Mapping[str, Any] | None = None) -> list[Path]:
    """Render the subjects of `settings` into `root` in the layout of the data set `name`; the new folders.

    `settings` may be a mapping with the keys of D.SYNTHETIC; SUBJECTS and SECONDS are then small by default. Recordings
    whose folder exists are left alone, so an interrupted call can be repeated; each folder appears complete or not at
    all. Raises KeyError for a data set without a layout, ValueError for settings that cannot be.
    """
    if not isinstance(settings, Settings):
        chosen = {key: value for key, value in (settings or {}).items() if value is not None}
        settings = resolve(MINIATURE | chosen)
    return write_subjects(name, root, settings, range(1, settings.subjects + 1))


def write_subjects(name: str, root: str | Path, settings: Settings, numbers: Iterable[int]) -> list[Path]:
    """As `write_layout`, for the subjects with these `numbers`."""
    layout, root = LAYOUTS[name](), Path(root)
    root.mkdir(parents=True, exist_ok=True)
    written = []
    for number in numbers:
        folder = root / layout.folder(number)
        if not folder.exists() and _write_one(layout, root, folder, Session(settings, number)):
            written.append(folder)
    if written and hasattr(layout, "finish"):
        layout.finish(root)
    return written


def takes(session: Session, count: int) -> list[Session]:
    """`count` recordings of one person: the face stays, rhythm, motion and noise differ. The first is `session`."""
    seeds = [session.settings.seed + _SEED_STEP * take for take in range(count)]
    others = [dataclasses.replace(session, settings=dataclasses.replace(session.settings, seed=s)) for s in seeds[1:]]
    for other in others:
        vars(other)["face"] = session.face  # where `Session.face` keeps what it has made
    return [session, *others]


def at_rate(session: Session, fs: float, **changes: Any) -> Session:
    """`session` at the frame rate of the data set, with `changes` of its settings."""
    return dataclasses.replace(session, settings=dataclasses.replace(session.settings, fs=fs, **changes))


def varied(take: Session, **changes: Any) -> Session:
    """`take` with `changes` of its settings that leave the person as he is: the face is not made again."""
    other = dataclasses.replace(take, settings=dataclasses.replace(take.settings, **changes))
    vars(other)["face"] = take.face
    return other


def in_avi(session: Session, codec: str) -> Session:
    """`session` in `codec`, unless its own one goes into an AVI file already."""
    if extension(session.settings.codec) == ".avi":
        return session
    return dataclasses.replace(session, settings=dataclasses.replace(session.settings, codec=codec))


def _write_one(layout: Any, root: Path, folder: Path, session: Session) -> bool:
    """Write one subject under a temporary name and rename it; False when another process was faster."""
    partial = root / f"{_PARTIAL}{uuid.uuid4().hex}"
    partial.mkdir()
    try:
        layout.write(partial, session)
        if getattr(layout, "spread", False):
            _spread(partial, root, folder.relative_to(root))
        else:
            os.rename(partial, folder)
    except OSError:
        if folder.exists():
            return False
        raise
    finally:
        shutil.rmtree(partial, ignore_errors=True)
    return True


def _spread(partial: Path, root: Path, last: Path) -> None:
    """Move the files below `partial` to their places below `root`; `last`, a file or folder, comes last of all."""
    files = [file.relative_to(partial) for file in sorted(partial.rglob("*")) if file.is_file()]
    for file in files:
        if not file.is_relative_to(last):
            (root / file).parent.mkdir(parents=True, exist_ok=True)
            os.replace(partial / file, root / file)
    (root / last).parent.mkdir(parents=True, exist_ok=True)
    os.rename(partial / last, root / last)
