"""Names of any letters and bytes: every recording is found, has an id of its own that is a name, and is told of."""

import contextlib
import csv
import io
import os
import shutil
import tempfile
import unicodedata
from pathlib import Path

import numpy as np
import pytest
from hypothesis import strategies as st

from dataset.data_loader.folder import FolderLoader
from dataset.face.crop import FaceCrop
from dataset.files.lookup import copy_of, is_system
from dataset.files.names import FORMULA, cell, escaped, is_number, natural_key, shown
from dataset.prepare.recording import preprocess_all
from dataset.store.cache import Cache
from evaluation.report import markdown_table
from evaluation.tables import csv_text
from tests.searching import EFFORTS, search
from tests.video_tools import write_video

LETTERS = st.one_of(
    st.characters(), st.characters(categories=["Cs", "Cc", "Cf", "Nd", "No"]), st.sampled_from("=+-@|<>`[]()\\")
)
TEXTS = st.text(LETTERS, max_size=40)
FILES = st.one_of(
    st.binary(min_size=1, max_size=40), st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=30)
).map(lambda name: name if isinstance(name, bytes) else name.encode())  # fmt: skip
FORBIDDEN = bytes.maketrans(b"/\0", b"__")


@pytest.fixture(scope="module")
def video(tmp_path_factory) -> Path:
    """One that takes a moment to read."""
    path = tmp_path_factory.mktemp("video") / "one.mp4"
    return write_video(path, [np.full((48, 64, 3), level, np.uint8) for level in range(4)], "h264")


def plain(text: str) -> bool:
    """Whether it is one line that can be written and steers nothing."""
    text.encode()
    return not any(unicodedata.category(letter) in ("Cc", "Cs", "Zl", "Zp") for letter in text)


@pytest.mark.parametrize("effort", EFFORTS)
def test_any_text_sorts_is_shown_and_written(effort):
    """On the terminal, in tables for spreadsheets, and in Markdown."""

    def holds(name, other):
        assert (natural_key(name) < natural_key(other)) in (True, False)
        for text in (shown(name), escaped(name), cell(name)):
            assert plain(text)
        assert shown(shown(name)) == shown(name)
        _, (value,) = csv.reader(io.StringIO(csv_text(["id"], [{"id": name}])))
        assert value.lstrip(" ")[:1] not in FORMULA or len(value) == 1 or is_number(value)
        (_, _, line) = markdown_table(["id"], [[name]]).strip("\n").split("\n")
        assert "<" not in line and line.replace("\\|", "").count("|") == 2

    search(holds, effort, 200, name=TEXTS, other=TEXTS)


@pytest.mark.parametrize("effort", EFFORTS)
def test_videos_of_any_name_have_their_entries(effort, video):
    """Some files with any bytes in their names, in folders with such names: found, distinct, preprocessed, listed."""

    def holds(names):
        folder = Path(tempfile.mkdtemp(dir=video.parent))
        made = {place for name in names if (place := _link(video, folder / "raw", name))}
        with contextlib.redirect_stdout(io.StringIO()) as printed:
            recordings = FolderLoader({}).recordings(folder / "raw") if made else []
            cache = Cache(folder / "cache", {"any": 1})
            cache.freeze(recordings)
            crop = FaceCrop(do_crop=False, size=(16, 16))
            states = preprocess_all(FolderLoader({}), recordings, crop, cache, workers=1)
        ids = [one.id for one in recordings]
        assert len(ids) == len(made) == len(set(ids)) == len(states)
        assert all(status.state == "done" for status in states.values()), states
        assert plain(printed.getvalue().replace("\n", "")) and all(map(plain, ids))
        assert all(cache.entry(name).id == name for name in ids)
        assert {path.name for path in folder.iterdir()} <= {"raw", "cache"}
        shutil.rmtree(folder)

    search(holds, effort, 12, names=st.lists(st.tuples(FILES, st.none() | FILES), max_size=4))


def _link(video: Path, root: Path, name: tuple[bytes, bytes | None]) -> Path | None:
    """The video under a `name` (file, folder) below `root`; None for one that no person gives, or that is there."""
    file, folder = (None if part is None else os.fsdecode(part.translate(FORBIDDEN)) for part in name)
    place = root / (folder or ".") / f"{file}.mp4"
    if is_system(f"{file}.mp4") or folder and (is_system(folder) or folder == "..") or copy_of(place):
        return None
    try:
        place.parent.mkdir(parents=True, exist_ok=True)
        os.link(video, place)
    except OSError:
        return None
    return place
