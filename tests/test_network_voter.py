"""A network as the one voter on videos without labels; a function here, so that neither torch nor ONNX is needed."""

import contextlib
import csv
import json
import re
from types import SimpleNamespace

import numpy as np
import pytest

from dataset.clips.resampling import measure
from evaluation.evaluate import whole_wave
from evaluation.presets import preset
from tests.evaluation_data import beat
from tests.test_unsupervised_run import COLOUR, Prepared, config
from unsupervised_methods import network as networks
from unsupervised_methods import onnx_file
from unsupervised_methods import run as mode
from unsupervised_methods.expects import Expects
from unsupervised_methods.network import check_faces, wave_of
from unsupervised_methods.run import run

SIDE = 8


class MeanGreen:
    """The mean of the second channel of each frame; what it was called with is counted."""

    def __init__(self, types=("Raw",), label_type="Raw", frames=100, fs=30.0):
        """As networks are described."""
        self.name, self.calls = "Mean", 0
        self.expects = Expects("Mean", frames, (SIDE, SIDE), types, 3 * len(types), label_type, fs, 1.5)

    def __call__(self, video):
        """(B, 3, T, H, W) -> (B, T)."""
        self.calls += len(video)
        return video[:, 1].mean(axis=(2, 3))


def entry(name, bpm=72.0, seconds=20.0, fs=30.0, signals=None, times=True, classical=75.0):
    """A cache entry whose faces show a pulse of `bpm`, its mean colours one of `classical` bpm."""
    at = np.arange(int(seconds * fs)) / fs
    shades = np.random.default_rng(0).uniform(-20, 20, (1, SIDE, SIDE, 3))
    colours = COLOUR * (1 + 0.02 * beat(bpm, at)[:, None] * [0.33, 0.77, 0.53])
    faces = np.clip(np.rint(colours[:, None, None] + shades), 0, 255).astype(np.uint8)
    trace = COLOUR * (1 + 0.006 * beat(classical, at)[:, None] * [0.33, 0.77, 0.53])
    trace = trace + 0.02 * np.random.default_rng(1).normal(size=trace.shape)
    stats = measure(lambda start, stop: faces[start:stop], len(faces))
    return SimpleNamespace(
        id=name, subject=name, faces=faces, stats=stats, trace=trace, fs=fs, times=at if times else None,
        signals=signals or {}, streams={}, flags={}, info={}, boxes=np.zeros((0, 4)),
    )  # fmt: skip


@pytest.fixture
def measured(tmp_path, monkeypatch):
    """Run the mode on entries with a network; the folder of the run, and what is raised in the end."""

    def go(entries, network):
        class Named(Prepared):
            def entry(self, recording):  # by name, too, as the real one
                name = recording if isinstance(recording, str) else recording.id
                return self.entries[name]

        prepared = Named({one.id: one for one in entries})
        prepared.check = lambda told=False: None  # nothing fails here
        monkeypatch.setattr(mode, "_prepare", lambda config: prepared)
        monkeypatch.setattr(mode, "portraits", lambda *_: ())
        settings = config(tmp_path)
        monkeypatch.setattr("config.run_folder", lambda _: tmp_path / "runs" / "x")
        settings.UNSUPERVISED.DATA.PREPROCESS.RESIZE = SimpleNamespace(W=SIDE, H=SIDE)
        return run(settings, network).parent

    return go


def read(folder):
    """vitals.json by recording."""
    return {one["recording"]: one for one in json.loads((folder / "vitals.json").read_text())["recordings"]}


@pytest.mark.parametrize(("types", "label_type"), [(("Raw",), "Raw"), (("DiffNormalized",), "DiffNormalized")])
def test_the_network_votes_alone_and_the_classical_methods_stand_beside_it(measured, capsys, types, label_type):
    """Its rate is the answer, theirs are in the tables; waves of differences are summed up."""
    folder = measured([entry("a")], MeanGreen(types, label_type))
    one = read(folder)["a"]
    assert abs(one["heart_rate_bpm"] - 72) < 0.5 and one["method"] == "Mean" and list(one["votes_bpm"]) == ["Mean"]
    rows = list(csv.DictReader((folder / "vitals.csv").open()))
    rates = {row["method"]: float(row["rate_bpm"]) for row in rows}
    assert abs(rates["Mean"] - 72) < 1 and abs(rates["POS"] - 75) < 1 and list(rates)[0] == "Mean"
    assert re.search(r"^a: 7[12]\.\d bpm", capsys.readouterr().out, re.M)


def test_a_rate_that_the_classical_methods_are_sure_is_another_is_not_given(measured, tmp_path, capsys):
    """Both are named; networks can be sure of a double rate."""
    with pytest.raises(mode.NoPulseError):
        measured([entry("a", classical=100.0)], MeanGreen())
    assert re.search(r"a: no reliable pulse: Mean finds 7[12] bpm, POS, CHROM find 100", capsys.readouterr().out)


@pytest.mark.parametrize(
    ("odds", "said"), [(4.0, r"a: 7[12]\.\d bpm"), (-1.0, "Mean takes such a wave for right in 27%")]
)
def test_a_network_that_tells_how_sure_it_is_is_heard(measured, tmp_path, capsys, odds, said):
    """The confidence is less by that; where it is not sure there is no number, and the sentence says so."""

    class Sure(MeanGreen):
        def __call__(self, video):
            wave = super().__call__(video)
            return np.stack([wave, np.full_like(wave, odds)], axis=1)

    sure = 1 / (1 + np.exp(-odds))
    assert wave_of(Sure(), entry("a")).sure == pytest.approx(sure) and np.isnan(wave_of(MeanGreen(), entry("a")).sure)
    measured([entry("b", classical=72.0)], MeanGreen())
    plain = read(tmp_path / "runs" / "x")["b"]["confidence"]
    with contextlib.suppress(mode.NoPulseError):
        measured([entry("a", classical=72.0)], Sure())
    assert read(tmp_path / "runs" / "x")["a"]["confidence"] == pytest.approx(plain * sure, rel=1e-6)
    assert re.search(said, capsys.readouterr().out)


def test_the_waves_of_all_stand_at_the_same_times(measured, tmp_path):
    """Also where the network read another rate than the classical methods."""
    measured([entry("a", fs=60.0)], MeanGreen())
    (file,) = [path for path in tmp_path.rglob("a.csv") if "waveforms" not in path.parts]
    rows = list(csv.DictReader(file.open()))
    assert len(rows) == 1200
    wave = np.array([float(row["Mean"] or "nan") for row in rows])
    phase = beat(72.0, np.arange(1200) / 60)
    known = np.isfinite(wave)
    assert known.mean() > 0.99 and np.corrcoef(wave[known], phase[known])[0, 1] > 0.95


def test_a_recording_shorter_than_a_clip_is_refused_with_the_reason(measured, tmp_path):
    """Frames there are, and frames that are read at once; the others are answered."""
    with pytest.raises(mode.NoPulseError, match="short"):
        measured([entry("short", seconds=6.3), entry("a")], MeanGreen(frames=200))
    (file,) = tmp_path.rglob("vitals.json")
    found = read(file.parent)
    assert found["a"]["reliable"] and "189 frames" in found["short"]["reason"] and "200" in found["short"]["reason"]


def test_clips_are_joined_without_a_seam():
    """100 and 100 of 130 frames: the last clip overlaps, each frame counts once."""
    one, network = entry("a", seconds=130 / 30), MeanGreen()
    result = wave_of(network, one)
    np.testing.assert_allclose(result.prediction, one.faces[..., 1].mean(axis=(1, 2)), rtol=1e-5)
    assert network.calls == 2 and result.frames == 130


@pytest.mark.parametrize(("fs", "read_at"), [(60.0, 30.0), (25.0, 25.0), (15.0, 30.0), (120.0, 30.0)])
def test_a_network_gets_the_rate_it_was_trained_at(fs, read_at):
    """Near ones as they are; the pulse stays where it is in time."""
    result = wave_of(MeanGreen(), entry("a", fs=fs))
    _, wave, rate, problem = whole_wave(result, preset("exact"))
    peak = 60 * np.fft.rfftfreq(1 << 14, 1 / rate)[np.abs(np.fft.rfft(wave, 1 << 14)).argmax()]
    assert not problem and abs(rate - read_at) < 1e-6 and abs(peak - 72) < 1


def test_labels_are_not_looked_at_and_that_is_said(measured, capsys):
    """They would be compared by a test."""
    at = np.arange(1280) / 64
    label = SimpleNamespace(values=beat(72.0, at), fs=64.0, times=at, unit="")
    folder = measured([entry("a", signals={"ppg": label})], MeanGreen())
    assert "mode only_test compares a network with labels" in capsys.readouterr().out
    assert read(folder)["a"]["reliable"]


def test_faces_of_another_size_are_refused_before_anything_is_read():
    """With the settings that help."""
    data = SimpleNamespace(PREPROCESS=SimpleNamespace(RESIZE=SimpleNamespace(W=72, H=72)))
    with pytest.raises(ValueError, match="reads frames of 8x8 pixels.* set RESIZE.W=8 RESIZE.H=8"):
        check_faces(MeanGreen(), data)


def test_a_broken_network_is_not_taken_for_a_broken_recording(measured):
    """It would fail on every one of them."""

    class Broken(MeanGreen):
        def __call__(self, video):
            raise networks.NetworkError("it cannot be run")

    with pytest.raises(networks.NetworkError):
        measured([entry("a")], Broken())


def test_missing_packages_are_named_with_the_extra(tmp_path, monkeypatch):
    """In one sentence."""
    monkeypatch.setattr(onnx_file, "PACKAGES", ("onnx_that_is_not_there", "onnxruntime"))
    with pytest.raises(ImportError, match=r"onnx_that_is_not_there is missing: pip install .*the extra `onnx`"):
        onnx_file.OnnxNetwork(tmp_path / "a.onnx")
