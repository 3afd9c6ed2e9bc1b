"""Random changes of training clips: what each does, that it comes from (seed, epoch, clip) alone, that it resumes."""

import pickle
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from yacs.config import CfgNode

from config import ConfigError, load_config
from dataset.clips.batch import collate
from dataset.clips.clips import Ask, ClipDataset
from dataset.clips.inputs import ClipOptions
from dataset.clips.resampling import measure
from dataset.clips.transforms import normalise
from dataset.data_loader.base import Signal
from neural_methods import augment
from neural_methods.augment import Augmentation
from neural_methods.needs import Needs
from neural_methods.schema import train_section
from neural_methods.training import Training
from registry import METHODS
from tests.trainer_tools import ToyClips, tiny_config

FS = 30.0
ALL = {"FLIP": "sample", "RATE": True, "JITTER": 9, "CROP_JITTER": 0.2, "GAIN": 0.1}


def _entry(name: str, count: int = 70, bpm: float = 60.0) -> SimpleNamespace:
    """Noise of 16x16 pixels; the label counts its frames (a ramp on a sine), so that a cut can be read off it."""
    rng = np.random.default_rng(len(name) + count)
    faces = rng.integers(60, 190, (count, 16, 16, 3), dtype=np.uint8)
    stats = measure(lambda start, stop: faces[start:stop], count)
    label = Signal(np.sin(2 * np.pi * bpm / 60 * np.arange(count) / FS))
    made = {"faces": faces, "trace": faces.mean(axis=(1, 2)), "times": None, "fs": FS, "stats": stats}
    return SimpleNamespace(id=name, subject=name, signals={"ppg": label}, **made)


def _clips(*entries: SimpleNamespace, length: int = 16, select=None, **options) -> ClipDataset:
    by_id = {one.id: one for one in entries}
    return ClipDataset(by_id.__getitem__, list(by_id), ClipOptions(length=length, **options), select)


def _same(first: torch.Tensor, second: torch.Tensor) -> bool:
    return torch.equal(first.contiguous(), second.contiguous())


# --- Where a clip is cut --------------------------------------------------------------------------------------------


def test_moved_clip_is_cut_at_the_same_place_from_frames_and_label():
    """Video, following frame and label of a moved clip are the recording's frames `shift` later."""
    one = _entry("a")
    sample = _clips(one)[Ask(1, shift=5)]
    assert (sample["video"].permute(1, 2, 3, 0).numpy() == one.faces[21:37]).all()
    assert (sample["next_frame"].permute(1, 2, 0).numpy() == one.faces[37]).all() and sample["has_next"]
    np.testing.assert_array_equal(sample["ppg"], one.signals["ppg"].values[21:37].astype(np.float32))
    assert sample["clip"] == 1 and sample["index"] == 1


def test_clips_never_leave_their_recording():
    """However far clips may move, they stay inside, and they reach the frames no clip held before."""
    data = _clips(_entry("a", 70), _entry("b", 40))
    seen = np.zeros((2, 70), dtype=bool)
    for epoch in range(60):
        for index in range(len(data)):
            number, start, stop, _ = data.clips[index]
            shift = Augmentation(jitter=500).shift(data, epoch, index)
            start, stop = start + shift, stop + shift
            assert 0 <= start and stop <= data.tracks[number].count
            seen[number, start:stop] = True
    assert seen[0].all() and seen[1, :40].all()


def test_place_depends_on_seed_epoch_and_clip_alone():
    """The same numbers again; others for another seed, epoch or clip."""
    data = _clips(_entry("a", 700))
    moves = {
        (seed, epoch): [Augmentation(seed, jitter=8).shift(data, epoch, index) for index in range(len(data))]
        for seed in (1, 2) for epoch in (0, 1)
    }  # fmt: skip
    assert moves[1, 0] == [Augmentation(1, jitter=8).shift(data, 0, index) for index in range(len(data))]
    assert len({tuple(values) for values in moves.values()}) == 4
    values = [value for numbers in moves.values() for value in numbers]
    assert min(values) == -8 and max(values) == 8 and len(set(moves[1, 0])) > 5


def test_clips_that_a_list_chose_stay_among_them():
    """A clip moves only over frames of listed clips: others may belong to the test."""
    data = _clips(_entry("a", 80), select={"a": [0, 1, 3]})
    assert [data.room(index) for index in range(3)] == [(0, 16), (-16, 0), (0, 0)]


def test_number_with_a_shift_survives_a_worker():
    """Workers get it as a pickle."""
    again = pickle.loads(pickle.dumps(Ask(3, 2, -4)))
    assert (again, again.epoch, again.shift, type(again)) == (3, 2, -4, Ask)


# --- What happens to frames -----------------------------------------------------------------------------------------


def _batch(data: ClipDataset, count: int = 4, **more) -> dict:
    return {**collate([data[index] for index in range(count)]), **more}


def test_mirrored_clips_keep_their_last_difference():
    """The following frame is mirrored with its clip: normalising afterwards mirrors the normalised clip."""
    batch = _batch(_clips(_entry("a")))
    chosen = torch.tensor([True, False, True, False])
    turned = {name: augment.mirror(batch[name], chosen) for name in ("video", "next_frame")}
    plain, changed = (
        normalise(b["video"], b["next_frame"], b["has_next"], b["stats"], ["DiffNormalized", "Standardized"])
        for b in (batch, {**batch, **turned})
    )
    assert _same(changed[0], plain[0].flip(-1)) and _same(changed[1], plain[1])


def test_half_of_the_clips_are_mirrored():
    """Chosen one by one, or a batch as a whole; about half of them."""
    frames = torch.arange(2.0).view(1, 1, 1, 1, 2).expand(400, 1, 1, 1, 2)
    batch = {"video": frames, "next_frame": frames[:, :, 0], "index": torch.arange(400)}
    turned = Augmentation(flip="sample").frames(batch, 0)["video"][:, 0, 0, 0, 0]
    assert 160 < turned.sum() < 240
    whole = [Augmentation(flip="batch").frames(batch, epoch)["video"][:, 0, 0, 0, 0] for epoch in range(40)]
    assert all(len(values.unique()) == 1 for values in whole) and 8 < sum(values[0] for values in whole) < 32


def test_crop_of_the_whole_frame_changes_nothing():
    """Left 0, top 0, side 1 is the frame itself."""
    video = torch.rand(2, 3, 4, 8, 6)
    whole = torch.tensor([[0.0, 0.0, 1.0]] * 2)
    torch.testing.assert_close(augment.crop(video, whole), video, atol=1e-5, rtol=0)


def test_crop_enlarges_the_part_it_names():
    """On a ramp along x the crop reads the ramp between its own edges; every frame of a clip alike."""
    width = 20
    ramp = ((torch.arange(width) + 0.5) / width).expand(1, 3, 5, width, width)
    found = augment.crop(ramp, torch.tensor([[0.3, 0.1, 0.5]]))[0, 1, 2, 3]
    torch.testing.assert_close(found, 0.3 + 0.5 * (torch.arange(width) + 0.5) / width, atol=1e-5, rtol=0)


def test_drawn_boxes_lie_inside_the_frame():
    """Left and top at least 0, right and bottom at most 1, the side at least 1 - share."""
    boxes = np.array([augment.draw_box(np.random.default_rng(number), 0.2) for number in range(500)])
    left, top, side = boxes.T
    assert left.min() >= 0 and top.min() >= 0 and (left + side).max() <= 1 and (top + side).max() <= 1
    assert 0.8 <= side.min() < 0.81 and side.max() > 0.99


def test_gain_is_one_number_per_colour():
    """Frame and following frame are multiplied alike, so relative differences stay."""
    batch = _batch(_clips(_entry("a")))
    lit = Augmentation(gain=0.2).frames(batch, 3)
    ratio = lit["video"] / batch["video"].float()
    assert torch.allclose(ratio, ratio[:, :, :1, :1, :1]) and 0.8 <= ratio.min() < ratio.max() <= 1.2
    assert torch.allclose(lit["next_frame"] / batch["next_frame"].float(), ratio[:, :, 0])


@pytest.mark.parametrize("part", [{"flip": "sample"}, {"crop_jitter": 0.2}, {"gain": 0.2}])
def test_changes_do_not_depend_on_the_batch(part):
    """A clip alone, or last among others: the same pixels; another epoch: others."""
    data = _clips(_entry("a", 400))
    one = Augmentation(seed=5, **part)
    together = one.frames(_batch(data, 20), 1)["video"]
    for index in (0, 7, 19):
        alone = one.frames(collate([data[index]]), 1)["video"]
        assert _same(alone[0], together[index])
    assert not _same(together, one.frames(_batch(data, 20), 2)["video"])


# --- How fast the heart beats ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("length", [160, 161])
def test_slow_and_fast_clips_keep_their_length(length):
    """Each kept frame is followed by its mean with the next; every second frame is repeated."""
    ramp = torch.arange(float(length))
    torch.testing.assert_close(augment.slow_down(ramp, 7, 0), 7 + ramp / 2)
    half = (length + 1) // 2
    fast = augment.speed_up(ramp, 0)
    assert len(fast) == length and _same(fast[:half], ramp[::2]) and _same(fast[half:], ramp[::2][: length - half])
    assert augment.slow_down(torch.rand(3, length, 2, 2), length, 1).shape == (3, length, 2, 2)


@pytest.mark.parametrize("differential", [False, True])
@pytest.mark.parametrize(("bpm", "expected"), [(110.0, 55.0), (67.5, 135.0), (80.0, 80.0)])
def test_rates_are_halved_above_90_and_doubled_below_75(bpm, expected, differential):
    """About half of the clips change, video and label alike; the others are untouched."""
    t = torch.arange(161) / FS
    wave = torch.sin(2 * np.pi * bpm / 60 * t)
    wave = torch.diff(wave) if differential else wave[:160]
    count = 40
    batch = {
        "ppg": wave.repeat(count, 1),
        "video": wave.view(1, 1, 160, 1, 1).repeat(count, 3, 1, 2, 2),
        "index": torch.arange(count),
    }
    made = Augmentation(rate=True).rates(batch, 0, ("ppg",), torch.full((count,), FS), differential)
    rates = [augment.label_rate(row, FS, differential) for row in made["ppg"]]
    changed = [abs(rate - bpm) > 3 for rate in rates]
    assert all(
        rate == pytest.approx(expected if moved else bpm, abs=2) for rate, moved in zip(rates, changed, strict=True)
    )
    assert sum(changed) == 0 if bpm == 80 else 10 < sum(changed) < 30
    assert torch.equal(made["video"][:, 0, :, 0, 0], made["ppg"])


# --- In the loop ----------------------------------------------------------------------------------------------------


def _config(folder: Path, **changes) -> CfgNode:
    return tiny_config("Physnet", folder / "models", TRAIN__EPOCHS=2, TRAIN__BATCH_SIZE=3, **changes)


def _fit(folder: Path, on: dict | None = None, **changes):
    config = _config(folder, TRAIN__AUGMENT=CfgNode(ALL if on is None else on), **changes)
    data = _clips(_entry("a", 90, 110.0), _entry("b", 60, 60.0), label_type="DiffNormalized")
    METHODS["Physnet"](config).fit(data, folder=folder / "run")
    return {path.name: path.read_bytes() for path in sorted((folder / "models").glob("*.pth"))}


class Killed(BaseException):
    """Stands for a kill."""


@pytest.mark.parametrize("moment", [1, 4])
def test_augmented_training_resumes_with_the_same_bits(tmp_path, monkeypatch, moment):
    """Everything on, killed in an update of the first or second epoch: the weights of an uninterrupted run."""
    whole = _fit(tmp_path / "whole", TRAIN__STATE_EVERY=1)
    original, calls = Training._update, []

    def update(self, *arguments):
        calls.append(1)
        if len(calls) > moment:
            raise Killed
        return original(self, *arguments)

    with monkeypatch.context() as patch:
        patch.setattr(Training, "_update", update)
        with pytest.raises(Killed):
            _fit(tmp_path / "killed", TRAIN__STATE_EVERY=1)
    assert _fit(tmp_path / "killed", TRAIN__STATE_EVERY=1) == whole


def test_workers_change_nothing(tmp_path):
    """Clips cut by other processes, kept over the epochs, are the same clips."""
    assert _fit(tmp_path / "alone") == _fit(tmp_path / "helped", NUM_WORKERS=2)


@pytest.mark.slow
def test_every_change_reaches_the_network(tmp_path):
    """Each key alone gives other weights than none."""
    plain = _fit(tmp_path / "plain", {})
    for key, value in ALL.items():
        assert _fit(tmp_path / key, {key: value}) != plain, key


def test_test_clips_are_left_alone(tmp_path):
    """The same outputs with and without augmentation in the settings."""
    data, found = _clips(_entry("a"), label_type="DiffNormalized"), []
    for on in ({}, ALL):
        trainer = METHODS["Physnet"](_config(tmp_path, TRAIN__AUGMENT=CfgNode(on)))
        found.append(trainer.predictions(trainer.build(), data)["a"][0]["ppg"])
    np.testing.assert_array_equal(*found)


def test_what_cannot_be_changed_is_refused(tmp_path):
    """Ready-made clips cannot move or change their levels; classes cannot be stretched."""
    for key, value in (("JITTER", 4), ("GAIN", 0.1)):
        config = _config(tmp_path, **{"TRAIN__AUGMENT": CfgNode({key: value})})
        with pytest.raises(ValueError, match=f"AUGMENT.{key} .*Set it to 0"):
            METHODS["Physnet"](config).fit(ToyClips(), folder=tmp_path / "run")
    with pytest.raises(ValueError, match="RATE stretches waves; this method also learns au"):
        Augmentation(rate=True).check_method(Needs(), {"ppg": "wave", "au": "classes"})


def test_everything_is_off_by_default_and_checked(tmp_path):
    """The defaults say nothing; wrong values are named."""
    node = CfgNode({"TRAIN": train_section(), "SEED": 3})
    assert Augmentation.of(node) == Augmentation(seed=3) and Augmentation.of(node).describe() == ""
    assert "moved by up to 9 frames" in Augmentation(jitter=9).describe()
    for key, value in (("FLIP", "often"), ("JITTER", -1), ("CROP_JITTER", 0.9), ("GAIN", 1)):
        with pytest.raises(ConfigError, match=f"TRAIN.AUGMENT.{key} is"):
            load_config("configs/demo/physnet.yaml", [f"TRAIN.AUGMENT.{key}={value}"])
