"""Clips in NumPy: the same values as with torch, and no frame left out."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch

from dataset.clips import transforms
from dataset.clips.resampling import measure
from dataset.clips.without_torch import DATA_TYPES, normalise, reel, starts

FACES = np.random.default_rng(0).integers(0, 256, (23, 6, 5, 3), dtype=np.uint8)


def entry(faces=FACES, fs=30.0, times=None):
    """A cache entry of these faces."""
    stats = measure(lambda start, stop: faces[start:stop], len(faces))
    return SimpleNamespace(id="a", subject="a", faces=faces, stats=stats, fs=fs, times=times, signals={}, streams={})


def with_torch(faces, stats, start, stop, types):
    """The clip by the functions that train."""
    video = torch.from_numpy(faces[start:stop]).permute(3, 0, 1, 2)[None]
    after = torch.from_numpy(faces[min(stop, len(faces) - 1)]).permute(2, 0, 1)[None]
    row = torch.tensor([[stats.mean, stats.std, stats.diff_std]])
    return transforms.normalise(video, after, torch.tensor([stop < len(faces)]), row, types)[0].numpy()


@pytest.mark.parametrize("types", [["Raw"], ["DiffNormalized"], ["Standardized"], ["DiffNormalized", "Standardized"]])
def test_clips_are_those_that_networks_are_trained_on(types):
    """In the middle and at the end of a recording, where the last difference is 0."""
    one = entry()
    found = list(reel(one).clips(8, types))
    assert [start for start, _ in found] == [0, 8, 15]
    for start, video in found:
        np.testing.assert_allclose(video, with_torch(FACES, one.stats, start, start + 8, types), rtol=1e-6, atol=1e-6)
        assert video.dtype == np.float32


def test_a_recording_without_any_change_gives_zeros():
    """Not 0/0."""
    one = entry(np.full((10, 4, 4, 3), 7, np.uint8))
    ((_, video),) = reel(one).clips(10, ["DiffNormalized", "Standardized"])
    assert not video.any()


def test_no_frame_is_left_out():
    """Only the last clip overlaps."""
    assert starts(20, 5) == [0, 5, 10, 15] and starts(22, 5) == [0, 5, 10, 15, 17] and starts(5, 5) == [0]


def test_at_another_rate_every_second_frame_is_read():
    """60 per second as 30, with times and statistics of what is read."""
    one = reel(entry(fs=60.0), 30.0)
    np.testing.assert_allclose(one.times, np.arange(12) / 30)
    (_, video), *_ = one.clips(12, ["Raw"])
    np.testing.assert_array_equal(video, np.moveaxis(FACES[::2].astype(np.float32), 3, 0))
    wanted = entry(FACES[::2]).stats
    np.testing.assert_allclose(one.camera.stats, [wanted.mean, wanted.std, wanted.diff_std], rtol=1e-6)


def test_what_cannot_be_cut_is_said():
    """A recording shorter than a clip, an unknown representation; the known ones are those with torch."""
    with pytest.raises(ValueError, match="23 frames at 30 per second are fewer than the 24"):
        list(reel(entry()).clips(24, ["Raw"]))
    with pytest.raises(ValueError, match="DATA_TYPE is .'Grey'."):
        normalise(FACES, 23, np.zeros(3), ["Grey"])
    assert DATA_TYPES == transforms.DATA_TYPES
