"""iBVP's thermal frames from the raw files to a training step: stored beside the faces, normalised by their own."""

import dataclasses
import json
import shutil

import numpy as np
import pytest
import torch
from yacs.config import CfgNode

from dataset.clips.batch import collate
from dataset.clips.clips import ClipDataset
from dataset.clips.inputs import ClipOptions
from dataset.clips.transforms import normalise
from dataset.face.crop import FaceCrop
from dataset.prepare.recording import preprocess_recording
from dataset.store.cache import Cache
from dataset.store.entry import Entry
from dataset.synthetic.layouts import write_layout
from dataset.synthetic.settings import resolve
from registry import DATASETS, METHODS
from tests.toy_training import losses, method_config

SETTINGS = dataclasses.replace(resolve({"PRESET": "easy", "WIDTH": 128, "HEIGHT": 96, "SUBJECTS": 1}), seconds=1.2)
CROP = FaceCrop(size=(72, 72), do_crop=False)
LENGTH = 8  # frames of a clip


@pytest.fixture(scope="module")
def raw(tmp_path_factory):
    """The raw files of one recording, its thermal frames all different. Not to be changed."""
    root = tmp_path_factory.mktemp("raw")
    write_layout("iBVP", root, SETTINGS)
    rng = np.random.default_rng(0)
    for file in sorted((root / "p01_a" / "p01_a_t").iterdir()):
        counts = np.fromfile(file, "<u2") + rng.integers(0, 20, 512 * 640).astype("<u2")
        file.unlink()  # frames of one second share their bytes
        counts.tofile(file)
    return root


def made(root, folder, mode) -> tuple[Entry, Cache]:
    """The cache entry of the recording in this mode."""
    reader, cache = DATASETS["iBVP"]({"DATA_MODE": mode}), Cache(folder, {"MODE": mode})
    recording = reader.recordings(root)[0]
    preprocess_recording(reader, recording, CROP, cache)
    return cache.entry(recording.id), cache


@pytest.fixture(scope="module")
def both(raw, tmp_path_factory):
    """An entry with colour and heat. Not to be changed."""
    return made(raw, tmp_path_factory.mktemp("cache") / "rgbt", "RGBT")[0]


def clips(entry, **options):
    """Clips of one entry."""
    return ClipDataset(lambda name: entry, [entry.id], ClipOptions(length=LENGTH, **options))


def test_colour_entries_have_no_thermal_file_and_heat_changes_no_face(raw, both, tmp_path):
    """RGB: three files as ever; RGBT: one more, and the same bytes of the faces."""
    colour, _ = made(raw, tmp_path / "rgb", "RGB")
    assert {file.name for file in colour.path.iterdir()} == {"faces.npy", "signals.npz", "entry.json"}
    assert colour.thermal is None and "thermal" not in json.loads((colour.path / "entry.json").read_text())
    assert {file.name for file in both.path.iterdir()} == {"faces.npy", "thermal.npy", "signals.npz", "entry.json"}
    assert (both.path / "faces.npy").read_bytes() == (colour.path / "faces.npy").read_bytes()


def test_stored_heat_is_that_of_the_kept_frames(raw, both):
    """(T, H, W, 1) float32 in degrees, of the frames whose colour is kept, without the rows below the picture."""
    reader = DATASETS["iBVP"]({"DATA_MODE": "RGBT"})
    recording = reader.recordings(raw)[0]
    degrees = np.array([frame[:480].mean() for frame in reader.read_thermal(recording)])[reader.kept(recording)]
    assert both.thermal.shape == (*both.faces.shape[:3], 1) and both.thermal.dtype == np.float32
    assert np.allclose(both.thermal.mean(axis=(1, 2, 3)), degrees, atol=1e-3)


def test_statistics_are_those_of_the_whole_recording(both):
    """Mean, std and std of the relative differences, gathered frame by frame."""
    x = np.asarray(both.thermal, dtype=float)
    d = ((x[1:] - x[:-1]) / (x[1:] + x[:-1] + 1e-7)).astype(np.float32)
    found = dataclasses.astuple(both.thermal_stats)
    assert found == pytest.approx((x.mean(), x.std(), d.std()), rel=1e-5)


def test_the_shorter_series_decides(raw, tmp_path):
    """Ten thermal frames fewer: as many colour frames are used, and the label is spread over those."""
    shutil.copytree(raw / "p01_a", tmp_path / "raw" / "p01_a")
    for file in sorted((tmp_path / "raw" / "p01_a" / "p01_a_t").iterdir())[-10:]:
        file.unlink()
    entry, _ = made(tmp_path / "raw", tmp_path / "cache", "T")
    assert entry.info["all_frames"] == 26 and len(entry.thermal) == len(entry.faces) <= 26


def test_clips_hold_the_channels_that_were_asked_for(both):
    """RGB: uint8 as ever; T: one float channel; RGBT: four, the first three being the grey levels."""
    colour, heat, all_four = (clips(both, bands=bands)[1] for bands in ("RGB", "T", "RGBT"))
    assert colour["video"].dtype == torch.uint8 and colour["stats"].shape == (3,)
    assert heat["video"].shape == (1, LENGTH, 72, 72) and heat["next_frame"].shape == (1, 72, 72)
    assert all_four["video"].dtype == heat["video"].dtype == torch.float32
    assert torch.equal(all_four["video"][:3], colour["video"].float())
    assert torch.equal(all_four["video"][3:], heat["video"])
    assert all_four["stats"].shape == (4, 3) and torch.equal(all_four["stats"][3], heat["stats"])


def test_each_band_is_normalised_by_its_own_statistics(both):
    """RGBT normalised is RGB normalised, then T normalised, type by type."""
    types = ["DiffNormalized", "Standardized"]
    found = []
    for bands in ("RGB", "T", "RGBT"):
        data = clips(both, bands=bands)
        batch = collate([data[index] for index in range(2)])
        found.append(normalise(batch["video"], batch["next_frame"], batch["has_next"], batch["stats"], types))
    colour, heat, all_four = found
    expected = torch.cat([colour[:, :3], heat[:, :1], colour[:, 3:], heat[:, 1:]], dim=1)
    assert torch.allclose(all_four, expected, atol=1e-5)
    assert heat[:, 1].std() == pytest.approx(1, abs=0.05) and all_four[:, 3].std() > 0.5


def test_heat_can_be_resampled(both):
    """At half the frame rate there are half the frames, still float32, with statistics of their own."""
    data = clips(both, bands="RGBT", fs=15.0)
    assert data[0]["video"].shape == (4, LENGTH, 72, 72) and data[0]["video"].dtype == torch.float32
    assert data[0]["stats"][3, 0] == pytest.approx(both.thermal_stats.mean, abs=0.1)


def test_an_entry_without_heat_says_so(raw, tmp_path):
    """A mode that the cache cannot serve fails that recording, with the remedy."""
    entry, _ = made(raw, tmp_path, "RGB")
    assert "no thermal frames" in clips(entry, bands="T").failed[0][1]


def test_a_cut_thermal_file_is_a_damaged_entry(raw, tmp_path):
    """It counts as missing, so that it is made again; a changed byte is found by its checksum."""
    entry, cache = made(raw, tmp_path, "T")
    path = entry.path / "thermal.npy"
    content = path.read_bytes()
    assert cache.verify(entry.id)
    path.write_bytes(content[:-1])
    assert cache.status(entry.id).state == "missing" and "thermal.npy" in cache.status(entry.id).reason
    path.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
    assert cache.status(entry.id).state == "done" and not cache.verify(entry.id)


@pytest.mark.parametrize("name", ["iBVPNet", "FactorizePhys"])
@pytest.mark.parametrize(("bands", "channels"), [("T", 1), ("RGBT", 4)])
def test_networks_train_on_heat(name, bands, channels, both, tmp_path):
    """One update with CHANNELS 1 and 4 gives a finite loss."""
    options = CfgNode({**METHODS[name].OPTIONS[name], "CHANNELS": channels})
    config = method_config(name, tmp_path, 72, TRAIN__EPOCHS=1, **{f"MODEL__{name}": options})
    config.TRAIN.DATA.PREPROCESS.merge_from_list(["DATA_TYPE", ["Raw"], "LABEL_TYPE", "Raw", "CHUNK_LENGTH", LENGTH])
    data = clips(both, bands=bands)
    data.clips = data.clips[:2]
    curve = losses(config, data, tmp_path / "run")
    assert curve and np.isfinite(curve).all()
