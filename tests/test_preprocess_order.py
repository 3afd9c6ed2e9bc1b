"""Containers that give pictures the times of their neighbours: the frames keep their order, the times are sorted."""

import av
import numpy as np
import pytest

from dataset.data_loader.folder import FolderLoader
from dataset.face.crop import FaceCrop
from dataset.prepare.recording import preprocess_all
from dataset.store.cache import Cache
from dataset.store.order import FARTHEST, in_order


def write(path, frames=90, rate=30):
    """A video with B-frames, each picture brighter than the last."""
    with av.open(str(path), "w", format={".wmv": "asf", ".avi": "avi"}.get(path.suffix)) as container:
        stream = container.add_stream("libx264", rate=rate)
        stream.width, stream.height, stream.pix_fmt = 96, 72, "yuv420p"
        stream.options = {"bf": "2", "b_strategy": "0"}
        for k in range(frames):
            picture = av.VideoFrame.from_ndarray(np.full((72, 96, 3), 20 + 2 * k, np.uint8), format="rgb24")
            container.mux(stream.encode(picture))
        container.mux(stream.encode())
    return path


@pytest.mark.parametrize("name", ["a.wmv", "a.avi", "a.mp4", "a.mkv"])
def test_times_rise_and_the_rate_is_the_true_one(tmp_path, name):
    """30 frames a second; what had to be moved is flagged; pictures stay as decoded."""
    write(tmp_path / name)
    loader, cache = FolderLoader({}), Cache(tmp_path / "cache", {"any": 1})
    recordings = loader.recordings(tmp_path)
    cache.freeze(recordings)
    preprocess_all(loader, recordings, FaceCrop(do_crop=False, size=(24, 24)), cache, workers=1)
    entry = cache.entry(recordings[0].id)
    assert entry.fs == pytest.approx(30, abs=0.1) and (np.diff(entry.times) > 0).all()
    np.testing.assert_allclose(np.diff(entry.times), 1 / 30, atol=0.002)
    assert (np.diff(np.asarray(entry.faces).mean(axis=(1, 2, 3))) > 0).all()
    assert ("reordered_times" in entry.flags) == (name in ("a.wmv", "a.avi"))


def test_a_clock_that_jumps_back_stays():
    """Two files joined to one are no permutation; neither is anything without an order."""
    joined = np.r_[np.arange(100), np.arange(100)] / 30
    assert in_order(joined)[1] == 0 and in_order(joined)[0] is not None
    np.testing.assert_array_equal(in_order(joined)[0], joined)
    with_nan = np.array([0.0, 2.0, np.nan, 1.0])
    np.testing.assert_array_equal(in_order(with_nan)[0], with_nan)
    straight = np.arange(50) / 30
    assert in_order(straight)[1] == 0


def test_the_farthest_neighbour():
    """Sixteen frames away, and one more."""
    for far, moves in ((FARTHEST, True), (FARTHEST + 1, False)):
        times = np.arange(100.0)
        times[10 : 10 + far + 1] = np.roll(times[10 : 10 + far + 1], 1)
        assert bool(in_order(times)[1]) == moves
