"""Preprocessing on a dask cluster: the same entries as here, and a worker that dies costs one recording."""

import re
import subprocess
import sys

import pytest

from dataset.face.crop import FaceCrop
from dataset.prepare import cluster, workers
from dataset.prepare.recording import preprocess_all
from dataset.store.cache import Cache, Status
from dataset.synthetic.layouts import write_layout
from tests.conftest import ROOT
from tests.test_preprocess import Arrays
from tests.video_tools import moving_face
from tools.kill_preprocessing import content


@pytest.fixture
def scheduler():
    """Address of a cluster of two processes on this machine."""
    distributed = pytest.importorskip("distributed", reason="dask[distributed] is not installed")
    import dask

    options = {"n_workers": 2, "threads_per_worker": 1, "processes": True, "dashboard_address": None}
    # On a busy machine a worker may need longer than the usual 15 s to start again.
    with dask.config.set({"distributed.deploy.lost-worker-timeout": "120s"}):
        with distributed.LocalCluster(**options, silence_logs=50) as local:
            yield local.scheduler_address


def test_a_missing_package_names_the_command_that_installs_it(monkeypatch, tmp_path):
    """Before anything is read."""
    monkeypatch.setitem(sys.modules, "distributed", None)
    loader = Arrays({"one": moving_face(2)})
    with pytest.raises(ImportError, match=re.escape("pip install 'dask[distributed]'")):
        preprocess_all(loader, loader.recordings(""), FaceCrop(size=(8, 8)), Cache(tmp_path, {}), "tcp://x:1")


def test_a_scheduler_that_does_not_answer_is_named(monkeypatch, tmp_path):
    """With the command that starts one."""
    pytest.importorskip("distributed", reason="dask[distributed] is not installed")
    monkeypatch.setattr(cluster, "CONNECT", 0.5)
    loader = Arrays({"one": moving_face(2)})
    with pytest.raises(ConnectionError, match="--dask tcp://127.0.0.1:9: no scheduler answers.*dask scheduler"):
        preprocess_all(loader, loader.recordings(""), FaceCrop(size=(8, 8)), Cache(tmp_path, {}), "tcp://127.0.0.1:9")


def test_an_entry_that_is_written_elsewhere_is_not_done(monkeypatch, tmp_path):
    """A worker says done, but nothing is here: the two do not see the same folder."""
    loader, cache = Arrays({"one": moving_face(2)}), Cache(tmp_path / "cache", {})
    cache.freeze(loader.recordings(""))
    monkeypatch.setattr(workers, "SEEN_SECONDS", 0.1)
    monkeypatch.setattr(cluster, "run", lambda *_: iter([("one", ("one", Status("done")))]))
    statuses = preprocess_all(loader, loader.recordings(""), FaceCrop(size=(8, 8)), cache, "tcp://x:1")
    assert statuses["one"].state == "failed" and "CACHED_PATH" in statuses["one"].reason


def test_what_workers_run_is_there(monkeypatch):
    """It is text, which no import of this file checks."""
    monkeypatch.setattr(cluster, "work", lambda payload: payload + 1)
    assert eval(cluster.WORK, {"payload": 1}) == 2


@pytest.mark.slow
def test_a_cluster_makes_the_entries_of_one_process(scheduler, tmp_path, monkeypatch):
    """The same bytes, also with a relative cache; a failure is reported with its reason."""
    monkeypatch.chdir(tmp_path)
    loader = Arrays({name: moving_face(5, seed=index) for index, name in enumerate("abcd")} | {"bad": ["fail"]})
    for place, where in (("here", 1), ("cluster", scheduler)):
        found = loader.recordings(tmp_path)  # reasons name the place, which a worker knows by its whole path
        statuses = preprocess_all(loader, found, FaceCrop(size=(24, 24)), Cache(place, {}), where)
        assert "fail on purpose" in statuses.pop("bad").reason
        assert {name: status.state for name, status in statuses.items()} == dict.fromkeys("abcd", "done")
    assert content(tmp_path / "cluster") == content(tmp_path / "here")


@pytest.mark.slow
def test_a_worker_of_a_cluster_that_dies_costs_one_recording(scheduler, tmp_path):
    """That one is reported, all others are done, and nothing unfinished is left."""
    videos = {f"r{index}": moving_face(3) for index in range(6)} | {"r2": [*moving_face(2), "kill"]}
    loader, cache = Arrays(videos), Cache(tmp_path / "cache", {})
    statuses = preprocess_all(loader, loader.recordings(""), FaceCrop(size=(24, 24)), cache, scheduler)
    assert {name for name, status in statuses.items() if status.state == "done"} == set(videos) - {"r2"}
    assert statuses["r2"].state == "failed" and "died" in statuses["r2"].reason
    assert list((cache.root / ".writing").iterdir()) == []


@pytest.mark.slow
def test_the_command_line_preprocesses_on_workers_started_elsewhere(scheduler, tmp_path):
    """Workers find the toolbox whatever folder they were started in."""
    write_layout("UBFC-rPPG", tmp_path / "raw", {"SUBJECTS": 3, "SECONDS": 4.0, "WIDTH": 320, "HEIGHT": 240})
    node = "UNSUPERVISED.DATA"
    command = [sys.executable, str(ROOT / "main.py"), "--dask", scheduler, "TOOLBOX_MODE=preprocess", "LOG.PATH=runs"]
    command += ["--config_file", str(ROOT / "configs/infer_configs/UBFC-rPPG_UNSUPERVISED.yaml")]
    command += [f"{node}.DATA_PATH=raw", f"{node}.CACHED_PATH=cache"]
    made = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
    assert made.returncode == 0, made.stderr[-2000:]
    assert f"{node} UBFC-rPPG: 3 of 3 ready" in made.stdout
