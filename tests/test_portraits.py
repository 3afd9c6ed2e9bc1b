"""Pictures of the face that was measured."""

from types import SimpleNamespace

import cv2
import numpy as np
import pytest

from config import load_config
from dataset.prepare.section import prepare
from tests.video_tools import moving_face, write_video
from unsupervised_methods.portraits import portraits


@pytest.fixture
def run(tmp_path):
    """A configuration of own videos, and its prepared section of one clip."""
    write_video(tmp_path / "videos" / "clip.mp4", moving_face(6), "h264")
    changes = [f"UNSUPERVISED.DATA.DATA_PATH={tmp_path / 'videos'}", f"CACHED_PATH={tmp_path / 'cache'}"]
    config = load_config("configs/demo/own_videos.yaml", [*changes, f"LOG.PATH={tmp_path / 'log'}"])
    return config, prepare(config.UNSUPERVISED.DATA, "unsupervised", config, False)


def seen(content: bytes) -> np.ndarray:
    """The picture in a JPEG file, (H, W, 3) RGB."""
    return cv2.imdecode(np.frombuffer(content, np.uint8), cv2.IMREAD_COLOR)[:, :, ::-1].astype(int)


def test_the_frame_has_the_region_drawn_in_and_the_region_stands_beside_it(run):
    """A green rectangle where the entry's box is; the stored face at its size."""
    config, prepared = run
    (_, whole), (_, face) = portraits(prepared, config.UNSUPERVISED.DATA, "clip")
    whole, (x, y, w, _) = seen(whole), prepared.entry("clip").boxes[0]
    assert whole.shape == (240, 320, 3) and seen(face).shape == (72, 72, 3)
    top = whole[y, x : x + w]
    assert (top[:, 1] - np.maximum(top[:, 0], top[:, 2])).mean() > 60


def test_without_the_video_there_is_the_stored_face(run, tmp_path):
    """The cache outlives the videos; a damaged entry costs a warning, not the run."""
    config, prepared = run
    (tmp_path / "videos" / "clip.mp4").unlink()
    (tmp_path / "videos").rmdir()
    assert [words for words, _ in portraits(prepared, config.UNSUPERVISED.DATA, "clip")] == [
        "what was measured, as stored: face box"
    ]
    broken = SimpleNamespace(recordings=[], legacy=False, entry=lambda name: 1 / 0)
    assert portraits(broken, config.UNSUPERVISED.DATA, "clip") == ()
