"""The output pickle: written for rPPG-Toolbox's readers, read without running anything hidden in it."""

import io
import os
import pickle

import numpy as np
import pytest

from evaluation import outputs
from evaluation.outputs import read_outputs, results, write_outputs
from evaluation.presets import PRESETS
from evaluation.summary import evaluate
from tests.conftest import reference
from tests.evaluation_data import METRICS, beat

torch = pytest.importorskip("torch")
WAVE = beat(75, np.arange(900) / 30).astype(np.float32)


def content() -> dict:
    """Two recordings in clips, as tensors of both shapes, clip 10 after clip 9 only when sorted as numbers."""
    clips = {k: torch.from_numpy(WAVE[k * 75 : (k + 1) * 75].copy()) for k in (10, 2, 0, 1, *range(3, 10), 11)}
    return {"s1": clips, "s2": {0: torch.from_numpy(WAVE.copy())[:, None]}}


class Hostile:
    """Something that runs code when unpickled."""

    def __init__(self, path):
        """Remember the folder to make."""
        self.path = path

    def __reduce__(self):
        """Make a folder: harmless, and visible."""
        return os.mkdir, (str(self.path),)


def test_a_written_pickle_reads_back(tmp_path, capsys):
    """Clips come back in integer order as float32, with label type and rate; nothing half-written stays."""
    path = write_outputs(tmp_path / "new" / "x_outputs.pickle", content(), content(), "Raw", 30.0)
    found = read_outputs(path)
    assert list(found["predictions"]["s1"]) == list(range(12)) and found["fs"] == 30 and found["label_type"] == "Raw"
    assert np.array_equal(np.concatenate(list(found["predictions"]["s1"].values())), WAVE)
    assert f"Saving outputs to: {path}" in capsys.readouterr().out and os.listdir(path.parent) == [path.name]


def test_rppg_toolboxs_own_reader_understands_it(tmp_path):
    """Plain pickle gives tensors on the CPU that own their storage, and an integer rate."""
    batch = torch.arange(4000.0).reshape(4, 1000).requires_grad_()
    path = write_outputs(tmp_path / "x.pickle", {"s": {0: batch[0]}}, {"s": {"0": np.zeros(1000)}}, "Raw", 30.0)
    with path.open("rb") as file:
        found = pickle.load(file)
    assert found["fs"] == 30 and isinstance(found["fs"], int) and not found["predictions"]["s"][0].requires_grad
    assert path.stat().st_size < 16_000  # not the whole batch
    half = write_outputs(tmp_path / "y.pickle", {}, {}, "Raw", 29.97)
    assert read_outputs(half)["fs"] == 29.97


def test_results_are_ready_for_the_evaluation(tmp_path):
    """Clips are joined, subjects can be given, a recording without label has none; exact has no reference here."""
    labels = {"s1": content()["s1"]}
    path = write_outputs(tmp_path / "x.pickle", content(), labels, "Raw", 30)
    first, second = results(path, {"s1": "anna"})
    assert (first.subject, second.subject, sum(first.clips)) == ("anna", "s2", 900) and second.label is None
    exact, toolbox = evaluate("X", [first], [PRESETS["exact"], PRESETS["toolbox"]], metrics=METRICS)
    assert exact.rows[0].note == "no reference" and exact.rows[0].hr_pred == pytest.approx(75, abs=0.2)
    assert toolbox.scores["MAE"].value == 0


def test_a_hostile_pickle_is_refused(tmp_path):
    """Code in the pickle is not run, and the message names what was there."""
    path = tmp_path / "bad.pickle"
    path.write_bytes(pickle.dumps({"predictions": Hostile(tmp_path / "ran")}))
    with pytest.raises(ValueError, match="bad.pickle' is refused as output pickle: it holds posix.mkdir"):
        read_outputs(path)
    assert not (tmp_path / "ran").exists()


def test_a_hostile_pickle_nested_in_a_tensor_is_refused(tmp_path):
    """The bytes of a tensor's storage are a pickle of their own: code there is not run, either."""

    class Nested:
        def __reduce__(self):
            buffer = io.BytesIO()
            torch.save(Hostile(tmp_path / "ran"), buffer, _use_new_zipfile_serialization=False)
            return torch.storage._load_from_bytes, (buffer.getvalue(),)

    path = tmp_path / "nested.pickle"
    path.write_bytes(pickle.dumps({"predictions": {"s": {0: Nested()}}, "labels": {}, "label_type": "Raw", "fs": 30}))
    with pytest.raises(
        ValueError, match="nested.pickle' is refused as output pickle: a tensor in it holds more than numbers"
    ):
        read_outputs(path)
    assert not (tmp_path / "ran").exists()


def test_damaged_missing_and_foreign_files_are_named(tmp_path):
    """A truncated file, no file and another pickle each get one clear message."""
    path = write_outputs(tmp_path / "x.pickle", content(), content(), "Raw", 30)
    path.write_bytes(path.read_bytes()[:2000])
    with pytest.raises(ValueError, match="x.pickle' (cannot be read|is refused) as output pickle"):
        read_outputs(path)
    path.write_bytes(b"")
    with pytest.raises(ValueError, match="cannot be read as output pickle"):
        read_outputs(path)
    with pytest.raises(FileNotFoundError, match="No output pickle at"):
        read_outputs(tmp_path / "none.pickle")
    for other in ({"fs": 3}, [1]):
        path.write_bytes(pickle.dumps(other))
        with pytest.raises(ValueError, match="no output pickle of a test run: predictions"):
            read_outputs(path)


def test_a_failed_write_leaves_nothing(tmp_path, monkeypatch):
    """A write that breaks off leaves the old file and no temporary one."""
    path = write_outputs(tmp_path / "x.pickle", content(), content(), "Raw", 30)
    before = path.read_bytes()
    monkeypatch.setattr(outputs.pickle, "dump", lambda *_: (_ for _ in ()).throw(OSError("disk full")))
    with pytest.raises(OSError, match="disk full"):
        write_outputs(path, {}, {}, "Raw", 30)
    assert path.read_bytes() == before and os.listdir(tmp_path) == ["x.pickle"]


def test_parity_of_the_released_pickle():
    """The published DeepPhys outputs (PURE to UBFC-rPPG) give the published table to 1e-5."""
    found = results(reference("parity/PURE_PURE_UBFC_deepphys_outputs.pickle"))
    scores = evaluate("DeepPhys", found, [PRESETS["toolbox"]], "FFT", None, METRICS)[0].scores
    expected = {
        "MAE": (2.657645, 1.673712), "RMSE": (11.167727, 10.779076), "MAPE": (2.625305, 1.522412),
        "Pearson": (0.831351, 0.087872), "SNR": (0.325691, 0.577986), "MACC": (0.815343, 0.014513),
    }  # fmt: skip
    for name, values in expected.items():
        assert (scores[name].value, scores[name].standard_error) == pytest.approx(values, abs=1e-5)
        assert (scores[name].n, scores[name].subjects) == (42, 42)
