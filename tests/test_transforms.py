"""Normalisation of clips: equal to normalising the whole recording first, on any cut."""

import json

import numpy as np
import pytest
import torch

from dataset.clips import transforms
from dataset.clips.resampling import measure
from tests.conftest import reference

TYPES = ["Raw", "DiffNormalized", "Standardized"]


def whole(frames, types):
    """The recording (T, H, W, C) normalised at once in float64, channels stacked: the definition."""
    x = frames.astype(float)
    with np.errstate(all="ignore"):
        steps = (x[1:] - x[:-1]) / (x[1:] + x[:-1] + 1e-7)
        made = {
            "Raw": x,
            "Standardized": np.nan_to_num((x - x.mean()) / x.std(), nan=0, posinf=0, neginf=0),
            "DiffNormalized": np.concatenate([np.nan_to_num(steps / steps.std(), nan=0), np.zeros_like(x[:1])]),
        }
    return np.concatenate([made[name] for name in types], axis=-1)


def clipwise(frames, types, length, stats=None):
    """The same by way of `normalise`, clip by clip of `length`, as (T', H, W, C)."""
    measured = measure(lambda start, stop: frames[start:stop], len(frames))
    stats = stats or (measured.mean, measured.std, measured.diff_std)
    video = torch.from_numpy(frames).permute(3, 0, 1, 2)
    starts = range(0, len(frames) - length + 1, length)
    batch = torch.stack([video[:, s : s + length] for s in starts])
    has_next = torch.tensor([s + length < len(frames) for s in starts])
    following = torch.stack([video[:, min(s + length, len(frames) - 1)] for s in starts])
    following[~has_next] = 0
    statistics = torch.tensor([stats] * len(starts), dtype=torch.float32)
    out = transforms.normalise(batch, following, has_next, statistics, types)
    assert out.dtype == torch.float32 and out.is_contiguous()
    return torch.cat(list(out), dim=1).permute(1, 2, 3, 0).numpy()


def relative(found, expected):
    """Largest difference over the largest expected value."""
    return float(np.abs(found - expected[: len(found)]).max() / np.abs(expected).max())


@pytest.fixture
def frames():
    """A noisy recording (45, 6, 5, 3) uint8 with black and white pixels."""
    rng = np.random.default_rng(4)
    video = rng.integers(0, 256, (45, 6, 5, 3), dtype=np.uint8)
    video[:, 0, 0], video[:, 0, 1] = 0, 255
    return video


@pytest.mark.parametrize("types", [[name] for name in TYPES] + [TYPES, ["DiffNormalized", "Standardized"]])
@pytest.mark.parametrize("length", [1, 7, 15, 45])
def test_clips_equal_the_normalised_recording(frames, types, length):
    """Whatever the chunk length, each clip is the same cut of the whole normalised recording."""
    assert relative(clipwise(frames, types, length), whole(frames, types)) <= 1e-6


def test_the_recording_ends_with_a_zero_difference(frames):
    """The last frame of the recording has no successor: 0; the last of an inner clip has one."""
    made = clipwise(frames, ["DiffNormalized"], 15)
    assert (made[-1] == 0).all() and (made[14] != 0).any()


@pytest.mark.parametrize("level", [0, 77])
def test_constant_recordings_become_zeros(level):
    """No variation, nothing to divide by: zeros, and no NaN."""
    still = np.full((12, 3, 3, 3), level, dtype=np.uint8)
    assert (clipwise(still, ["DiffNormalized", "Standardized"], 6) == 0).all()


def test_broken_statistics_do_not_spread_nan(frames):
    """NaN as standard deviation counts as none."""
    nan = float("nan")
    assert (clipwise(frames, ["DiffNormalized", "Standardized"], 15, (100.0, nan, nan)) == 0).all()


def test_each_clip_uses_its_own_statistics(frames):
    """Clips of different recordings in one batch are scaled separately."""
    video = torch.from_numpy(frames).permute(3, 0, 1, 2)[None].repeat(2, 1, 1, 1, 1)
    stats = torch.tensor([[0.0, 1.0, 1.0], [10.0, 2.0, 4.0]])
    out = transforms.normalise(video, video[:, :, 0], torch.tensor([False, False]), stats, ["Standardized"])
    torch.testing.assert_close(out[1], (out[0] - 10) / 2)


@pytest.mark.parametrize("types", [[], ["diffnormalized"], ["Raw", ""]])
def test_unknown_types_raise(types):
    """A type that does not exist names those that do."""
    with pytest.raises(ValueError, match="Raw, DiffNormalized, Standardized"):
        transforms.check_types(types)


def test_normalised_recordings_equal_the_recorded_ones():
    """rPPG-Toolbox's diff-normalised and standardised frames to 1e-6."""
    stored = np.load(reference("parity/preprocessing.npz"))
    frames = stored["frames_u8"]
    worst = {
        name: relative(clipwise(frames, [name], len(frames)), stored[key])
        for name, key in (("DiffNormalized", "diffnorm"), ("Standardized", "standardized"))
    }
    print(worst)
    assert max(worst.values()) <= 1e-6


@pytest.mark.parametrize("case", ["pre_tscan", "pre_physnet", "pre_raw", "pre_eff", "pre_nochunk"])
def test_chunks_equal_the_recorded_ones(case):
    """rPPG-Toolbox's saved chunks: resize, types, labels and cuts, to 1e-6."""
    cv2 = pytest.importorskip("cv2")
    from dataset.clips import labels

    stored = np.load(reference("parity/preprocessing.npz"))
    setting = json.loads(reference("parity/preprocessing.json").read_text())[case]
    frames = np.stack([cv2.resize(frame, (12, 10), interpolation=cv2.INTER_AREA) for frame in stored["frames_u8"]])
    expected, label = stored[f"{case}_x"], stored[f"{case}_y"]
    made = clipwise(frames, setting.get("DATA_TYPE", ["Raw"]), setting.get("CHUNK", len(frames)))
    found = relative(made, expected.reshape(-1, *expected.shape[2:]))
    wave = labels.transform(stored["label"], setting.get("LABEL_TYPE", "Raw"))[: label.size]
    print(f"{case}: frames {found:.1e}, label {relative(wave, label.ravel()):.1e}")
    assert found <= 1e-6 and relative(wave, label.ravel()) <= 1e-12
    assert len(made) == label.size
