"""Videos with what was measured drawn in: the same pictures at the same times, nothing held, refused in words."""

from types import SimpleNamespace

import numpy as np
import pytest

import main
from dataset.files.frames import ArrayFrame
from dataset.files.video import iter_frames
from dataset.synthetic.render import Session
from dataset.synthetic.settings import resolve
from evaluation.consensus import answer
from evaluation.view import view
from tests.test_consensus import EXACT, votes
from tests.test_unsupervised import skin
from tests.video_tools import write_video
from unsupervised_methods.overlay import REGION, Painter, write_overlay

TIMES = np.cumsum(np.tile([0.033, 0.033, 0.034, 0.067], 46)) - 0.033  # a camera that drops every fifth frame


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """Exit code, folder of the run and source of `--video FOLDER --overlay`: a person, and one for 3 s."""
    root = tmp_path_factory.mktemp("overlay")
    made = resolve({"PRESET": "easy", "HEART_RATE": [70.0, 70.0], "SECONDS": 7.0, "SUBJECTS": 1, "FS": 30.0})
    frames = [frame for frame, _ in zip(Session(made, 1).frames(), TIMES, strict=False)]
    write_video(root / "data" / "clip.mp4", frames, "h264", 30.0, TIMES)
    write_video(root / "data" / "short.mp4", frames[:60], "h264", 30.0)
    arguments = [f"LOG.PATH={root / 'log'}", f"UNSUPERVISED.DATA.CACHED_PATH={root / 'cache'}"]
    code = main.main(["--video", str(root / "data"), "--overlay", *arguments])
    return code, next((root / "log" / "runs").iterdir()), root / "data"


def test_the_overlay_has_the_size_and_the_clock_of_the_video(run):
    """Also of one whose frames come unevenly; the region is green in it, and it lies beside the page and the waves."""
    _, folder, source = run
    before, after = (list(iter_frames(path)) for path in (source / "clip.mp4", folder / "overlay" / "clip.mp4"))
    assert [frame.shape for frame in after] == [frame.shape for frame in before] and len(after) == len(before)
    assert np.allclose([frame.time for frame in after], [frame.time for frame in before], atol=1e-4)
    change = np.abs(after[90].rgb().astype(int) - before[90].rgb())
    strip = round(0.16 * len(change))
    assert change[-strip:].mean() > 20 and change[: len(change) // 8].mean() < 5
    assert {"vitals.html", "vitals.json", "waveforms", "overlay"} <= {path.name for path in folder.iterdir()}
    assert "(vitals.html)" in (folder / "report.md").read_text()


def test_where_nothing_was_measured_there_is_no_overlay(run):
    """And the exit code is that of the run without it."""
    code, folder, _ = run
    assert code == 3 and [path.name for path in (folder / "overlay").iterdir()] == ["clip.mp4"]


def test_it_is_written_where_a_run_without_labels_asks_for_it(tmp_path, capsys):
    """A mode that draws nothing says so before it starts."""
    assert main.main(["--overlay", "--config_file", "configs/demo/physnet.yaml", f"LOG.PATH={tmp_path}"]) == 1
    assert "OVERLAY" in capsys.readouterr().err


def seen(fs=30.0):
    """An answer, its view and an entry that lies behind it: 8 s at 72 bpm, the box in the upper left."""
    found = votes(skin(72.0, 8.0), fs)
    one = answer(found, EXACT)
    count = round(8 * fs)
    entry = SimpleNamespace(
        trace=np.zeros((count, 3)), fs=fs, times=None, flags={}, boxes=np.tile([4, 4, 30, 20], (count, 1))
    )
    return one, view(one, found, EXACT), entry


def test_frames_of_an_odd_size_are_written_one_at_a_time(tmp_path):
    """No list of them is made: each is asked for when the one before is written."""
    one, drawn, entry = seen()
    alive = []

    def frames():
        for index in range(240):
            alive.append(index)
            yield ArrayFrame(np.full((61, 81, 3), 100, np.uint8), index / 30)

    path = write_overlay(tmp_path / "a.mp4", frames(), entry, one, drawn)
    assert {frame.shape for frame in iter_frames(path)} == {(61, 81)} and len(alive) == 240
    assert [file.name for file in tmp_path.iterdir()] == ["a.mp4"]


def test_a_video_that_breaks_leaves_no_half_overlay(tmp_path):
    """The error goes on, the file does not stay."""
    one, drawn, entry = seen()

    def frames():
        yield ArrayFrame(np.full((60, 80, 3), 100, np.uint8), 0.0)
        raise ValueError("damaged")

    with pytest.raises(ValueError, match="damaged"):
        write_overlay(tmp_path / "a.mp4", frames(), entry, one, drawn)
    assert not list(tmp_path.iterdir())


def test_a_painted_frame_shows_region_and_wave():
    """The region's border is green, the strip dark with a red line; before the first window as well."""
    one, drawn, entry = seen()
    painter = Painter(one, drawn, np.arange(240) / 30, entry.boxes)
    for time in (0.0, 4.0, 8.5):
        frame = painter.paint(np.full((120, 160, 3), 100, np.uint8), time)
        assert tuple(frame[4, 10]) == REGION and frame[118, 2].max() < 40
        assert (frame[-19:, :, 0] > 150).any() == (time > 0)
