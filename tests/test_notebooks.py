"""The notebooks run, cell by cell, on both kinds of cache, on output pickles and on a run; what they draw is there."""

import json
import pickle
import shutil
import sys
from pathlib import Path

import numpy as np
import pytest

from evaluation.outputs import write_outputs
from evaluation.post_process import next_power_of_2
from tests.conftest import ROOT
from tools.motion_analysis.motion import KINDS, main, motion
from tools.preprocessing_viz.preprocessed import find, open_one, pictures

NOTEBOOKS = sorted((ROOT / "tools").rglob("*.ipynb"))


def run(name: str, monkeypatch, **given):
    """The names a notebook leaves when its first cell is followed by `given`; the figures it has drawn."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    plt.close("all")
    monkeypatch.chdir(ROOT)
    monkeypatch.setattr(sys, "path", list(sys.path))
    path = next(one for one in NOTEBOOKS if one.name == name)
    cells = [cell for cell in json.loads(path.read_text())["cells"] if cell["cell_type"] == "code"]
    names = {}
    for number, cell in enumerate(cells):
        exec(compile("".join(cell["source"]), f"{name}, cell {number}", "exec"), names)
        if number == 0:
            assert given.keys() <= names.keys(), "the first cell holds what is to be set"
            names |= given
    drawn = len(plt.get_fignums())
    plt.close("all")
    return names, drawn


@pytest.fixture(scope="module")
def demo(tmp_path_factory):
    """A classical run on two rendered people: its folder, and its cache."""
    import main as program
    from config import load_config, run_folder

    folder = tmp_path_factory.mktemp("notebooks")
    synthetic = {"SUBJECTS": 2, "SECONDS": 6.0, "WIDTH": 240, "HEIGHT": 180}
    changes = [f"UNSUPERVISED.DATA.SYNTHETIC.{key}={value}" for key, value in synthetic.items()]
    changes += [f"LOG.PATH={folder / 'runs'}", f"UNSUPERVISED.DATA.DATA_PATH={folder / 'raw'}", "PREPROCESS_WORKERS=1"]
    changes += [f"UNSUPERVISED.DATA.CACHED_PATH={folder / 'cache'}", "UNSUPERVISED.METHOD=['POS','GREEN']"]
    file = ROOT / "configs" / "demo" / "classical_easy.yaml"
    assert program.main(["--config_file", str(file), *changes]) == 0
    return run_folder(load_config(file, changes)), folder / "cache"


def test_no_notebook_holds_outputs():
    """They would be of somebody's data; the text is that of nbformat 4."""
    assert {one.name for one in NOTEBOOKS} >= {"viz_preprocessed_data.ipynb", "data_out_viz.ipynb"}
    for path in NOTEBOOKS:
        content = json.loads(path.read_text())
        assert content["nbformat"] == 4 and (path.parent / "README.md").is_file()
        assert not any(cell.get("outputs") or cell.get("execution_count") for cell in content["cells"])


def test_preprocessed_faces_are_shown(demo, monkeypatch):
    """Every recording of a cache is found; frames, labels and colours of one are drawn."""
    names, drawn = run("viz_preprocessed_data.ipynb", monkeypatch, CACHED_PATH=str(demo[1]), NUMBER=1)
    assert len(names["found"]) == 2 and names["one"].name == "subject2" and drawn == 3
    assert {"ppg", "hr"} <= set(names["one"].labels) and names["one"].frames.dtype == np.uint8


def test_chunks_of_rppg_toolbox_are_shown(tmp_path, monkeypatch):
    """With six channels, of which three are drawn, and their label; ten chunks in natural order."""
    for number in range(11):
        frames = np.random.default_rng(number).normal(size=(90, 8, 8, 6)).astype(np.float32)
        np.save(tmp_path / f"s1_input{number}.npy", frames)
        np.save(tmp_path / f"s1_label{number}.npy", np.sin(2 * np.pi * 1.2 * np.arange(90) / 30))
    names, drawn = run("viz_preprocessed_data.ipynb", monkeypatch, CACHED_PATH=str(tmp_path), NUMBER=10)
    assert names["one"].name == "s1, chunk 10" and names["colours"].shape == (90, 3) and drawn == 3
    assert pictures(names["one"].frames[:2]).dtype == np.uint8


def test_what_is_no_preprocessed_data_is_said(tmp_path):
    """An empty folder, a chunk of another shape, a file of another name."""
    with pytest.raises(FileNotFoundError, match="neither preprocessed recordings"):
        find(tmp_path)
    np.save(tmp_path / "a_input0.npy", np.zeros((3, 3)))
    with pytest.raises(ValueError, match="a chunk is"):
        open_one(find(tmp_path)[0])
    with pytest.raises(ValueError, match="is not called"):
        open_one(tmp_path / "x.npy")


@pytest.mark.parametrize("kind", ["Raw", "DiffNormalized"])
def test_an_output_pickle_is_shown(tmp_path, monkeypatch, kind):
    """Rates of two recordings, one of them drawn, also where the waves are differences."""
    times = np.arange(600) / 30
    waves = {name: np.sin(2 * np.pi * bpm / 60 * times) for name, bpm in (("a", 66.0), ("b", 90.0))}
    waves = {name: np.diff(wave, append=wave[-1]) if kind != "Raw" else wave for name, wave in waves.items()}
    clips = {name: {0: wave[:300].astype(np.float32), 1: wave[300:].astype(np.float32)} for name, wave in waves.items()}
    path = write_outputs(tmp_path / "x_outputs.pickle", clips, clips, kind, 30)
    names, drawn = run("data_out_viz.ipynb", monkeypatch, OUTPUT_FILE=str(path), NUMBER=1)
    step = 60 * 30 / next_power_of_2(600)
    assert [row.hr_pred for row in names["measured"]] == pytest.approx([66, 90], abs=step) and drawn == 2
    assert all(abs(row.error) < 1e-6 for row in names["measured"])


def test_a_hostile_pickle_is_refused_by_the_notebook(tmp_path, monkeypatch):
    """What is hidden in it does not run."""

    class Evil:
        def __reduce__(self):
            return Path.touch, (tmp_path / "ran",)

    (tmp_path / "x.pickle").write_bytes(pickle.dumps({"predictions": Evil()}))
    with pytest.raises(ValueError, match="refused"):
        run("data_out_viz.ipynb", monkeypatch, OUTPUT_FILE=str(tmp_path / "x.pickle"))
    assert not (tmp_path / "ran").exists()


def textured(count: int, shift=lambda k: 0.0, turn=lambda k: 0.0, grow=lambda k: 1.0) -> np.ndarray:
    """Frames (count, 120, 120, 3) of one pattern, shifted (pixels), turned (degrees) and scaled about the middle."""
    import cv2

    pattern = cv2.GaussianBlur(np.random.default_rng(0).integers(0, 255, (240, 240, 3)).astype(np.uint8), (0, 0), 3)
    pattern = cv2.normalize(pattern, None, 0, 255, cv2.NORM_MINMAX)
    frames = []
    for k in range(count):
        matrix = cv2.getRotationMatrix2D((120, 120), -turn(k), grow(k))
        matrix[0, 2] += shift(k)
        frames.append(cv2.warpAffine(pattern, matrix, (240, 240), flags=cv2.INTER_CUBIC)[60:180, 60:180])
    return np.array(frames)


def test_motion_is_what_was_made():
    """12 pixels a second of 120 are 10 %; 3 degrees a second; growth of 5 % a second; a still picture does not move."""
    fs = 30.0
    moved = motion(textured(60, shift=lambda k: 12 * k / fs), fs)
    assert np.allclose(moved.translation, 10, atol=0.5) and np.all(moved.rotation < 0.3) and np.all(moved.scale < 0.5)
    turned = motion(textured(60, turn=lambda k: 3 * k / fs), fs)
    assert np.allclose(turned.rotation, 3, atol=0.3)
    grown = motion(textured(60, grow=lambda k: 1.05 ** (k / fs)), fs)
    assert np.allclose(grown.scale, 5, atol=0.5)
    still = motion(textured(60), fs)
    assert max(still.mean(kind) for kind in KINDS) < 0.1


def test_a_box_that_follows_the_face_moves():
    """The same picture in a box that goes 30 pixels of its 100 in a second."""
    boxes = np.array([[k, 5, 100, 100] for k in range(30)])
    assert motion(textured(30), 30.0, boxes).mean("translation") == pytest.approx(30, rel=0.05)


def test_what_cannot_be_followed_is_not_known():
    """A picture of one colour has no corners; a recording of one frame no motion."""
    flat = motion(np.full((30, 32, 32, 3), 90, np.uint8), 30.0)
    assert np.isnan(flat.translation).all() and np.isnan(flat.mean("scale"))
    assert len(motion(np.zeros((1, 32, 32, 3), np.uint8), 30.0).translation) == 0


def test_motion_stands_beside_the_error_of_a_run(demo, tmp_path, capsys, monkeypatch):
    """By command line and in the notebook; a line a recording and a line a second."""
    assert main(["--run", str(demo[0]), "--method", "GREEN", "--output", str(tmp_path)]) == 0
    lines = (tmp_path / "motion_and_error.csv").read_text().splitlines()
    assert len(lines) == 3 and lines[1].startswith("subject1,") and ",GREEN,exact," in lines[1]
    assert len((tmp_path / "motion.csv").read_text().splitlines()) >= 11
    assert (tmp_path / "motion.png").read_bytes().startswith(b"\x89PNG")
    names, drawn = run("motion_analysis.ipynb", monkeypatch, RUN=str(demo[0]))
    assert list(names["table"].recording) == ["subject1", "subject2"] and drawn == 1
    assert main(["--run", str(demo[0]), "--method", "XX"]) == 1 and main(["--run", str(tmp_path)]) == 1
    said = capsys.readouterr().err
    assert "It has: POS, GREEN" in said and "holds no metrics.json" in said and "Traceback" not in said
    shutil.rmtree(tmp_path)
