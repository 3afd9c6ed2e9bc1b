"""Versions: a changed library or a bug in a reader ends the run and is told as one; what is tried with what."""

import os
import re
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from dataset import faults
from dataset.data_loader.base import BaseLoader, Recording
from dataset.doctor.examine import examine
from dataset.face.crop import FaceCrop
from dataset.faults import ProgramFault
from dataset.files.frames import ArrayFrame, VideoError
from dataset.files.hdf5 import open_file, signal
from dataset.files.reading import open_array
from dataset.prepare.recording import preprocess_all
from dataset.store.cache import Cache
from tests.conftest import ROOT
from tests.doctor_tools import make
from tests.video_tools import moving_face, write_video
from tools.versions import chain, environment, interpreters, relock, whole

# A package `av` in front of the real one, whose `open` no longer knows an argument that the readers pass.
FAKE_AV = """
import importlib, os, sys

here = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
path, sys.path = sys.path, [entry for entry in sys.path if os.path.abspath(entry) != here]
del sys.modules["av"]
real = importlib.import_module("av")
sys.path, known = path, real.open


def without_timeout(*arguments, **named):
    if "timeout" in named:
        raise TypeError("open() got an unexpected keyword argument 'timeout'")
    return known(*arguments, **named)


real.open = without_timeout
"""
PLUGIN = """
from dataset.data_loader.base import BaseLoader, Recording
from registry import DATASETS


@DATASETS.register("Mine")
class Mine(BaseLoader):
    fs = 30.0

    def recordings(self, root):
        return [Recording(id=name, subject=name, path=root) for name in "abc"]

    def read_video(self, recording):
        return frames_of(recording.path)

    def read_wave(self, recording):
        return {}
"""
CONFIG = """
TOOLBOX_MODE: preprocess
LOG: {PATH: runs}
UNSUPERVISED:
  DATA: {DATASET: Mine, DATA_PATH: ., CACHED_PATH: cache}
"""


@pytest.fixture
def fake_av(tmp_path) -> dict[str, str]:
    """An environment for programs that find that package first."""
    package = tmp_path / "site-packages" / "av"
    package.mkdir(parents=True)
    (package / "__init__.py").write_text(FAKE_AV)
    return {**os.environ, "PYTHONPATH": str(package.parent), "RPPG_LOCAL": ""}


def main(folder: Path, *arguments: str, env: dict[str, str] | None = None) -> subprocess.CompletedProcess:
    """`python main.py` as a user runs it."""
    command = [sys.executable, str(ROOT / "main.py"), *arguments]
    return subprocess.run(command, cwd=folder, env=env, capture_output=True, text=True, timeout=300)


# --- A fault of code is no broken file --------------------------------------------------------------------------------


@pytest.mark.slow
def test_a_library_that_lacks_an_argument_ends_the_run(tmp_path, fake_av):
    """One sentence that names the call, the place and the versions; no recording is said to be broken."""
    for name in "abc":
        write_video(tmp_path / "videos" / f"{name}.avi", moving_face(4))
    ended = main(tmp_path, "--video", "videos", "PREPROCESS_WORKERS=2", "LOG.PATH=runs", env=fake_av)
    said = ended.stderr.strip().splitlines()[-1]
    assert ended.returncode == 1 and "Traceback" not in ended.stderr
    assert re.search(r"^Error: Recording '\w': TypeError: open\(\) got an unexpected keyword argument 'timeout'", said)
    assert re.search(r"\(dataset/files/containers\.py, line \d+\)", said)
    assert "This looks like a fault of PulseScope or of the version of a package, not of the recording." in said
    assert f"av {faults.metadata.version('av')}, " in said and f"numpy {np.__version__}" in said
    assert "Copy or download it again" not in ended.stdout + ended.stderr
    assert not list(tmp_path.rglob(".status/*.json")), "the recordings are good, and made by the next run"


def test_the_doctor_tells_it_as_well(tmp_path):
    """Though it has in the cache all that most of its checks need."""
    job = make(tmp_path)
    loader = Broken()
    loader.error = TypeError("no such argument")
    job = replace(job, loader=loader, recording=Recording("one", "one", tmp_path))
    with pytest.raises(ProgramFault, match="Recording 'one': TypeError: no such argument"):
        examine(job)


@pytest.mark.slow
def test_the_smoke_test_fails_over_it(tmp_path, fake_av, monkeypatch, capsys):
    """With the same sentence, and without trying what comes after."""
    monkeypatch.setattr(chain, "VIDEOS", (".mp4",))
    monkeypatch.setitem(chain.PERSON, "SECONDS", 1.0)
    monkeypatch.setattr("sys.argv", ["chain", str(tmp_path), "containers", "doctor"])
    monkeypatch.setenv("PYTHONPATH", fake_av["PYTHONPATH"])
    assert chain.main() == 1
    said = capsys.readouterr().out
    assert "containers: FAILED." in said and "doctor: " not in said
    assert "This looks like a fault of PulseScope or of the version of a package" in said


def test_a_bug_in_a_plug_in_is_told_with_its_line(tmp_path):
    """It would come out of every recording: it is no damage of the first."""
    (tmp_path / "mine.py").write_text(PLUGIN)
    (tmp_path / "mine.yaml").write_text(CONFIG)
    ended = main(tmp_path, "--plugin", "mine.py", "--config_file", "mine.yaml", "PREPROCESS_WORKERS=1")
    said = ended.stderr.strip().splitlines()[-1]
    line = PLUGIN.splitlines().index("        return frames_of(recording.path)") + 1
    assert ended.returncode == 1
    assert f"NameError: name 'frames_of' is not defined ({tmp_path / 'mine.py'}, line {line})" in said
    assert "This looks like a fault of that file or of a version, not of the recording." in said


class Broken(BaseLoader):
    """Two recordings; all but the second raise something."""

    fs = 30.0
    error: Exception

    def recordings(self, root):
        """The two."""
        return [Recording(id=name, subject=name, path=Path(root)) for name in "ab"]

    def read_video(self, recording):
        """An error, or a frame."""
        if recording.id != "b":
            raise self.error
        return [ArrayFrame(frame, index / 30) for index, frame in enumerate(moving_face(2))]

    def read_wave(self, recording):
        """None."""
        return {}


def preprocess(tmp_path, error):
    """What became of the two recordings."""
    loader = Broken()
    loader.error = error
    cache = Cache(tmp_path / "cache", {})
    crop = FaceCrop(do_crop=False, size=(8, 8))
    return preprocess_all(loader, loader.recordings(tmp_path), crop, cache, workers=1)


@pytest.mark.parametrize("kind", [TypeError, AttributeError, NameError, ImportError, NotImplementedError])
def test_errors_of_code_end_the_run(tmp_path, kind):
    """Whatever library they come from."""
    with pytest.raises(ProgramFault, match=f"Recording 'a': {kind.__name__}: odd .*{Path(__file__).name}, line"):
        preprocess(tmp_path, kind("odd"))


@pytest.mark.parametrize("kind", [ValueError, KeyError, IndexError, ZeroDivisionError, OSError, VideoError])
def test_errors_that_damaged_data_raise_cost_one_recording(tmp_path, kind):
    """The others are made."""
    states = preprocess(tmp_path, kind("odd"))
    assert [states[name].state for name in "ab"] == ["failed", "done"]


def test_an_error_that_was_not_written_for_users_says_where_it_arose(tmp_path):
    """A key that is not there may be the fault of either side."""
    assert re.search(
        r"KeyError: 'odd' \(\S*test_versions.py, line \d+\)", preprocess(tmp_path, KeyError("odd"))["a"].reason
    )


def test_a_call_that_hdf5_does_not_know_is_no_damaged_file(tmp_path, monkeypatch):
    """The library fails in many ways on damaged files, but it does so inside of itself."""
    import h5py

    with h5py.File(tmp_path / "a.mat", "w") as file:
        file["ppg"] = np.arange(3.0)
    with pytest.raises(AttributeError), open_file(tmp_path / "a.mat") as file:
        file.no_such_method()
    with h5py.File(tmp_path / "a.mat", "w") as file:
        file["ppg"] = h5py.Empty("f8")
    with pytest.raises(VideoError, match="'ppg' is not an array"), open_file(tmp_path / "a.mat") as file:
        signal(file, "ppg")
    (tmp_path / "a.mat").write_bytes(b"nothing")
    with pytest.raises(VideoError, match="a.mat"), open_file(tmp_path / "a.mat"):
        pass
    np.save(tmp_path / "a.npy", np.arange(3))
    monkeypatch.setattr(np.lib.format, "open_memmap", lambda path: None)
    with pytest.raises(TypeError, match="mode"):
        open_array(tmp_path / "a.npy")


# --- Which versions are tried ----------------------------------------------------------------------------------------


def test_every_requirement_has_both_bounds():
    """A version that nobody has tried is not installed."""
    for name, rest in environment.requirements().items():
        assert re.fullmatch(r">=[\d.]+,<[\d.]+", rest), f"{name}{rest}"


def test_locked_versions_are_within_the_bounds_and_without_torch():
    """Any build of torch may be chosen."""
    files = sorted((ROOT / "constraints").glob("py3.*.txt"))
    assert {file.stem for file in files} >= {"py3.10", "py3.11", "py3.12", "py3.13"}
    for file in files:
        packages = environment.locked(file.stem.removeprefix("py"))
        assert not [name for name in packages if re.match("torch|nvidia|triton|cuda|sympy", name)]
        for name, rest in environment.requirements().items():
            low, high = re.findall(r"[\d.]+", rest)
            assert name == "torch" or number(low) <= number(packages[name]) < number(high), (file.name, name)


def number(version: str) -> list[int]:
    """To be compared."""
    return [int(part) for part in re.findall(r"\d+", version)]


def test_lower_bounds_are_versions():
    """With a `*` or none there would be no lowest version to try."""
    assert environment.lowest()["joblib"] == "1.4" and set(environment.lowest()) == set(environment.requirements())


def test_interpreters_are_found_by_name_on_the_path_and_in_pyenv(tmp_path, monkeypatch):
    """Links to none and other programs are passed over."""
    version = f"3.{sys.version_info[1]}"
    for folder, name in (("path", f"python{version}"), ("named", "own"), ("root/versions/3.99.1/bin", "python")):
        (tmp_path / folder).mkdir(parents=True)
        (tmp_path / folder / name).symlink_to("/bin/false")
    monkeypatch.setenv("PATH", str(tmp_path / "path"))
    monkeypatch.setenv("PYENV_ROOT", str(tmp_path / "root"))
    monkeypatch.setenv(interpreters.VARIABLE, str(tmp_path / "named" / "own"))
    assert interpreters.interpreters() == {}
    for place in ("path/python" + version, "root/versions/3.99.1/bin/python", "named/own"):
        (tmp_path / place).unlink()
        (tmp_path / place).symlink_to(sys.executable)
        assert list(interpreters.interpreters()) == [version]
        (tmp_path / place).unlink()


def test_a_list_is_written_where_something_has_changed(tmp_path, monkeypatch):
    """What changed is said, and the second time nothing."""
    monkeypatch.setattr(environment, "ROOT", tmp_path)
    assert relock.write("3.11", {"av": "1.0", "numpy": "2.0"}) == "2 packages"
    assert relock.write("3.11", {"av": "1.1", "numpy": "2.0"}) == "av 1.0 -> 1.1"
    assert relock.write("3.11", {"av": "1.1", "numpy": "2.0"}) == "nothing new"
    assert environment.locked("3.11") == {"av": "1.1", "numpy": "2.0"}


def test_a_row_takes_the_place_of_its_older_self():
    """Rows are in order of Python and level, and what follows the table stays."""
    shown = ("1",) * len(whole.SHOWN)
    page = whole.HEAD + "\nAfterwards.\n"
    for python, level in (("3.12.1", "locked"), ("3.10.2", "newest"), ("3.10.2", "lowest"), ("3.12.4", "locked")):
        page = whole.with_row(page, whole.row(python, level, whole.Counts(7, 1, 2, 3.4), shown))
    rows = [line.split(" | ")[:6] for line in page.splitlines() if line.startswith("| 3")]
    expected = [("3.10.2", "lowest"), ("3.10.2", "newest"), ("3.12.4", "locked")]
    assert rows == [[f"| {python}", level, "7", "1", "2", "3"] for python, level in expected]
    assert page.startswith(whole.HEAD) and page.endswith("\nAfterwards.\n")


def test_a_run_is_counted_from_its_report(tmp_path):
    """A run that left no report has failed."""
    report = tmp_path / "tests.xml"
    assert whole.counted(report, 1.0).failed == 1
    report.write_text('<testsuites><testsuite tests="10" failures="1" errors="2" skipped="3"/></testsuites>')
    assert whole.counted(report, 1.0) == whole.Counts(4, 3, 3, 1.0)


def test_the_page_of_versions_has_a_row_for_every_list():
    """What is locked was tried."""
    rows = re.findall(r"^\| (3\.\d+)\.\d+ \| (\w+) \|", whole.PAGE.read_text(), re.MULTILINE)
    for file in (ROOT / "constraints").glob("py3.*.txt"):
        assert (file.stem.removeprefix("py"), "locked") in rows
