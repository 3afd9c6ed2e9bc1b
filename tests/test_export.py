"""Weights out: every method as an ONNX file that gives the same, with what it expects inside; what cannot is said."""

import json
import re
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest
import torch

import main
from neural_methods import exporting
from neural_methods.checkpoint import write_weights
from neural_methods.described import NoWaveError, TorchNetwork, Wave, described, expects_of
from neural_methods.exporting import ExportError, clips, export, simplified
from neural_methods.model.selective_scan import selective_scan
from neural_methods.model.temporal_difference import TemporalDifferenceConv
from neural_methods.onnx_symbols import completed
from registry import METHODS
from tests.conftest import ROOT, few
from tests.test_every_method import NAMES, make
from tests.video_tools import write_video
from tools import export as tool

REASON = "onnx and onnxruntime are not installed (the extra `onnx`)"


@pytest.fixture
def onnx_there():
    """Skip without the packages."""
    pytest.importorskip("onnx", reason=REASON)
    pytest.importorskip("onnxruntime", reason=REASON)


def trained(folder, name="Physnet", **changes):
    """Weights of a tiny network with their sidecar; its trainer."""
    trainer = make(name, folder, **changes)
    path = folder / f"{name}.pth"
    write_weights(path, trainer.build(), {**trainer.description(), **trainer.origin()}, trainer.prefix_module)
    return path, trainer


NOT_YET = {"RhythmFormer"}  # see docs/onnx.md


@pytest.mark.parametrize("name", few(NAMES, "BigSmall", "GridPulse", "Physnet", "RhythmFormer", "Tscan"))
def test_every_method_with_a_pulse_of_videos_gives_the_same_as_an_onnx_file(tmp_path, onnx_there, name):
    """For one clip and for three, and it says what it expects; other methods say why they cannot."""
    from unsupervised_methods.onnx_file import OnnxNetwork

    types = ["DiffNormalized", "Standardized"][: (METHODS[name].needs.channels or 3) // 3]
    trainer = make(name, tmp_path, TRAIN__DATA__PREPROCESS__DATA_TYPE=types)
    if trainer.needs.input_names != ("video",):
        with pytest.raises(NoWaveError, match=name):
            expects_of(trainer)
        return
    if name in NOT_YET:
        with pytest.raises(ExportError, match="cannot be run"):
            export(trainer, trainer.build(), tmp_path / "a.onnx")
        return
    found = export(trainer, trainer.build(), tmp_path / "a.onnx")
    assert found.parity <= 1e-4
    network = OnnxNetwork(found.path)
    assert network.expects == replace(expects_of(trainer), shortest=0)  # of one length
    assert network(np.zeros((2, *network.expects.shape), np.float32)).any


class Scan(torch.nn.Module):
    """A selective scan of the rows of a video's pixels, as PhysMamba has many."""

    def forward(self, video):
        """Video (B, 1, 20, 2, 2) -> wave (B, 20)."""
        u = video.flatten(3).squeeze(1)
        a = -torch.arange(1.0, 4.0).repeat(4, 1)
        return selective_scan(u, u.abs(), a, u[..., :3], u[..., 1:]).mean(dim=2)


def test_a_scan_becomes_a_function_of_the_file(onnx_there):
    """For any number of clips, also one whose length does not fill its chunks."""
    import onnx
    import onnxruntime

    model = onnx.ModelProto.FromString(exporting.traced(Scan(), torch.randn(2, 1, 20, 2, 2)))
    completed(model)
    assert len(model.functions) == 1
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    for clips_at_once in (1, 3):
        video = torch.randn(clips_at_once, 1, 20, 2, 2)
        np.testing.assert_allclose(session.run(None, {"video": video.numpy()})[0], Scan()(video), atol=1e-5)


def test_a_file_that_gives_something_else_is_not_kept(tmp_path, onnx_there, monkeypatch):
    """An older file of that name stays."""
    trainer = make("Physnet", tmp_path)
    (tmp_path / "a.onnx").write_text("before")
    monkeypatch.setattr(exporting, "parity", lambda *_: 2e-4)
    with pytest.raises(ExportError, match="gives other waves as an ONNX file"):
        export(trainer, trainer.build(), tmp_path / "a.onnx")
    assert [path.name for path in tmp_path.glob("*.onnx")] == ["a.onnx"]
    assert (tmp_path / "a.onnx").read_text() == "before"


def test_what_torch_cannot_write_is_said_in_one_sentence(tmp_path, onnx_there):
    """Instead of pages of a graph."""

    class Odd(torch.nn.Module):
        def forward(self, video):
            return torch.linalg.svdvals(video)

    with pytest.raises(ExportError, match=r"^torch cannot export it \([^\n]*\)\.$"):
        exporting.traced(Odd(), torch.zeros(2, 3, 4, 4))


def test_a_folded_convolution_gives_the_same():
    """And the network that was copied stays as it was."""
    network = torch.nn.Sequential(TemporalDifferenceConv(2, 3, 0.7))
    video = torch.randn(1, 2, 4, 5, 5)
    plain = simplified(network)
    torch.testing.assert_close(plain(video), network(video))
    assert type(plain[0]) is torch.nn.Conv3d and isinstance(network[0], TemporalDifferenceConv)


def test_a_sidecar_says_all_that_goes_with_weights(tmp_path):
    """Method, options, clip, size, types, rate and region; nothing has to be named."""
    options = {"PHYSFORMER": {"DIM": 32, "FF_DIM": 32, "NUM_LAYERS": 3}}
    path, trainer = trained(tmp_path, "PhysFormer")
    sidecar = json.loads(path.with_suffix(".json").read_text())
    path.with_suffix(".json").write_text(json.dumps({**sidecar, "fs": 25.0, "box": 1.2}))
    config = described(str(path), device="cpu").config
    assert all(config.MODEL.PHYSFORMER[key] == value for key, value in options["PHYSFORMER"].items())
    again = METHODS["PhysFormer"](config, device="cpu")
    again.load(path)
    expects = expects_of(again)
    assert (expects.frames, expects.size) == (trainer.chunk_length, trainer.frame_size)
    assert (expects.data_types, expects.label_type) == (("DiffNormalized",), "DiffNormalized")
    assert (expects.fs, expects.box) == (25.0, 1.2)


def test_weights_without_a_sidecar_are_described_by_name_or_by_a_file(tmp_path):
    """As published for their method; or as the file trains."""
    path, _ = trained(tmp_path)
    path.with_suffix(".json").unlink()
    expects = expects_of(METHODS["Physnet"](described(str(path), "Physnet", device="cpu").config))
    assert (expects.frames, expects.size, expects.data_types) == (128, (72, 72), ("DiffNormalized",))
    assert (expects.label_type, expects.fs, expects.box) == ("DiffNormalized", 30.0, 1.5)
    file = ROOT / "configs/train_configs/PURE_PURE_UBFC-rPPG_PHYSNET_BASIC.yaml"
    config = described(str(path), file=str(file), changed=["TRAIN.DATA.PREPROCESS.CHUNK_LENGTH=64"]).config
    assert expects_of(METHODS["Physnet"](config, device="cpu")).frames == 64


@pytest.mark.parametrize(
    ("method", "words"), [("", "has no sidecar file .*--method NAME.*--config_file"), ("Phisnet", "Did you mean 'Phys")]
)
def test_weights_of_which_nothing_is_known_are_refused(tmp_path, method, words):
    """With what helps."""
    path, _ = trained(tmp_path)
    path.with_suffix(".json").unlink()
    with pytest.raises((ValueError, KeyError), match=words):
        described(str(path), method)


def test_a_network_with_torch_gives_what_its_trainer_gives(tmp_path):
    """With what the trainer does behind the network: RhythmFormer's waves are standardised."""
    trainer = make("RhythmFormer", tmp_path)
    network = trainer.build().eval()
    one = TorchNetwork(trainer, network)
    video = clips(one.expects, 2)
    with torch.no_grad():
        wanted = Wave(trainer, network)(video)
    np.testing.assert_allclose(one(video.numpy()), wanted, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(one(video.numpy()).std(axis=1, ddof=1), 1, rtol=1e-4)


def noise_video(folder):
    """A video without a face, to be measured as a whole: 6.7 s of noise."""
    frames = np.random.default_rng(0).integers(90, 160, (200, 48, 64, 3), dtype=np.uint8)
    return write_video(folder / "clip.mp4", frames)


def test_both_ways_to_measure_a_video_agree_and_one_needs_no_torch(tmp_path, onnx_there, capsys):
    """--method NAME --weights FILE, and the ONNX file of the same weights in a process that never imports torch."""
    path, _ = trained(tmp_path)
    assert tool.main(["--weights", str(path), "--to", "onnx", "--output", str(tmp_path / "a.onnx")]) == 0
    assert "Largest difference to torch" in capsys.readouterr().out
    video = noise_video(tmp_path)
    more = ["CROP_FACE.DO_CROP_FACE=False", "UNSUPERVISED.ROI=box", "ALLOW_INCOMPLETE=True"]
    more += [f"UNSUPERVISED.DATA.CACHED_PATH={tmp_path / 'cache'}", "UNSUPERVISED.METHOD=[POS]"]
    with_torch = ["--video", str(video), "--weights", str(path), f"LOG.PATH={tmp_path / 'torch'}", *more]
    assert main.main(with_torch) == 0
    without = ["--video", str(video), "--method", str(tmp_path / "a.onnx"), f"LOG.PATH={tmp_path / 'onnx'}", *more]
    code = f"import main, sys; print(main.main({without!r}), 'torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert done.stdout.splitlines()[-1] == "0 False", done.stdout + done.stderr
    waves = []
    for way in ("torch", "onnx"):
        (file,) = (tmp_path / way).rglob("saved_outputs/clip.csv")
        rows = [line.split(",") for line in file.read_text().splitlines()]
        waves.append(np.array([float(row[rows[0].index("Physnet")]) for row in rows[1:]]))
    assert len(waves[0]) == 200
    np.testing.assert_allclose(waves[0], waves[1], atol=1e-4 * np.abs(waves[0]).max())


@pytest.mark.parametrize(
    ("asked", "words"),
    [
        (["--method", "Phisnet"], "no known method and no .onnx file. Did you mean 'Physnet'"),
        (["--method", "Physnet"], "is a network: name a file of its weights, --weights FILE.pth"),
        (["--method", "Physnet", "--weights", "none.pth"], "none.pth"),
        (["--method", "none.onnx", "--weights", "w.pth"], "holds its own weights"),
    ],
)
def test_what_does_not_go_together_is_said_before_anything_is_read(tmp_path, capsys, asked, words):
    """In one sentence."""
    video = tmp_path / "a.mp4"
    video.touch()
    assert main.main(["--video", str(video), *asked, f"LOG.PATH={tmp_path}"]) == 1
    said = capsys.readouterr().err
    assert words in said and said.startswith("Error: ") and said.count("\n") == 1


def test_a_classical_method_can_be_named_too(tmp_path, monkeypatch):
    """It alone measures."""
    seen = []
    monkeypatch.setattr("unsupervised_methods.run.run", seen.append)
    (tmp_path / "a.mp4").touch()
    assert main.main(["--video", str(tmp_path / "a.mp4"), "--method", "POS", f"LOG.PATH={tmp_path}"]) == 0
    assert seen[0].UNSUPERVISED.METHOD == ["POS"]


def test_who_measures_is_asked_of_videos_alone(capsys):
    """Wrong usage otherwise."""
    with pytest.raises(SystemExit):
        main.main(["--method", "POS"])
    assert "--video" in capsys.readouterr().err


def test_weights_of_another_method_are_not_exported(tmp_path, capsys, onnx_there):
    """The sidecar knows better."""
    path, _ = trained(tmp_path)
    assert tool.main(["--weights", str(path), "--method", "DeepPhys", "--output", str(tmp_path / "a.onnx")]) == 1
    assert "holds weights of Physnet" in capsys.readouterr().err and not (tmp_path / "a.onnx").exists()


def test_the_page_has_a_line_for_every_method():
    """Made by the tool; a method that was added since is missed here."""
    text = tool.PAGE.read_text()
    table = text.partition(tool.BEGIN)[2].partition(tool.END)[0]
    rows = [line.split("|")[1].strip() for line in table.splitlines() if line.startswith("|")][2:]
    assert {re.sub(r" \(.*", "", row) for row in rows} >= set(NAMES)
