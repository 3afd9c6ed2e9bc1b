"""Whole-recording statistics gathered on the way equal those of the normalised video."""

import numpy as np
import pytest

from dataset.store.statistics import PairCounter, Stats
from tests.conftest import reference


def counted(frames: np.ndarray, block: int) -> Stats:
    """Statistics of `frames`, entered in blocks as a writer does."""
    counter = PairCounter()
    for start in range(0, len(frames) - 1, block):
        stop = min(start + block, len(frames) - 1)
        counter.add(frames[start:stop], frames[start + 1 : stop + 1])
    counter.add_last(frames[-1])
    return counter.stats()


def direct(frames: np.ndarray) -> tuple[float, float, float]:
    """The same by their definition, with the whole video as floats."""
    x = frames.astype(float)
    d = ((x[1:] - x[:-1]) / (x[1:] + x[:-1] + 1e-7)).astype(np.float32)
    return x.mean(), x.std(), float(d.std()) if d.size else 0.0


@pytest.mark.parametrize("block", [1, 7, 100])
def test_statistics_equal_those_of_the_whole_video(block):
    """Mean and std to 1e-12, std of the differences to 1e-6 (its definition sums in float32), in any blocks."""
    rng = np.random.default_rng(0)
    frames = (128 + 60 * rng.standard_normal((40, 9, 11, 3))).clip(0, 255).astype(np.uint8)
    frames[:, :2] = 0  # 0 / 0
    found, expected = counted(frames, block), direct(frames)
    assert (found.mean, found.std) == pytest.approx(expected[:2], rel=1e-12)
    assert found.diff_std == pytest.approx(expected[2], rel=1e-6)


def test_the_size_of_blocks_changes_no_bit():
    """Counting is exact, so the blocks of a writer do not show in the result."""
    frames = np.random.default_rng(1).integers(0, 256, (30, 8, 8, 3), dtype=np.uint8)
    assert counted(frames, 4) == counted(frames, 29)


def test_a_constant_video_and_a_single_frame_have_no_differences():
    """Their std of differences is 0, not NaN."""
    assert counted(np.full((5, 4, 4, 3), 7, np.uint8), 2) == Stats(7.0, 0.0, 0.0)
    assert counted(np.full((1, 4, 4, 3), 9, np.uint8), 2) == Stats(9.0, 0.0, 0.0)


def test_statistics_reproduce_the_recorded_normalisation():
    """rPPG-Toolbox's DiffNormalized and Standardized frames follow from the three numbers to 1e-6."""
    recorded = np.load(reference("parity/preprocessing.npz"))
    frames = recorded["frames_u8"]
    stats = counted(frames, 8)
    x = frames.astype(float)
    diff = (x[1:] - x[:-1]) / (x[1:] + x[:-1] + 1e-7) / stats.diff_std
    np.testing.assert_allclose(diff, recorded["diffnorm"][:-1], rtol=1e-6, atol=1e-7)
    np.testing.assert_allclose((x - stats.mean) / stats.std, recorded["standardized"], rtol=1e-9, atol=1e-12)
