"""Damaged files of contact sensors: each way to damage a file ends in one sentence that names it, or loses nothing.

The ways are those of the corpus of damaged inputs; the data sets are those without video, and the study's HDF5 file.
"""

import contextlib
import shutil
import warnings

import h5py
import numpy as np
import pytest

import prepare_kailuan_npz
from dataset.data_loader import signal_files, wfdb_pressure
from dataset.files.wfdb import read_record
from dataset.synthetic.kailuan import write_kailuan
from registry import DATASETS
from tests import damage_formats as formats
from tests.damage import GENERAL, Kind
from tests.signal_miniatures import pressure_record, write_npz, write_ppg_bp, write_pulsedb

FILES = {  # data set -> the files of it that are damaged
    "Kailuan": ("npz/w3.npz", "labels.csv", "labels_people.csv"),
    "PPG-BP": ("0_subject/3_2.txt", "PPG-BP dataset.csv"),
    "PulseDB": ("X_Subset.mat",),
    "WFDB-ABP": ("bad.hea", "bad.dat"),
}
CASES = [
    pytest.param(name, file, marks=[pytest.mark.slow] if file.endswith(".csv") else [])  # tables of millions of lines
    for name, files in FILES.items()
    for file in files
]


@pytest.fixture(scope="module")
def good(tmp_path_factory):
    """A whole miniature of each data set, to be copied."""
    root = tmp_path_factory.mktemp("signals")
    write_npz(root / "Kailuan", people=3)
    write_ppg_bp(root / "PPG-BP", people=2)
    (root / "PulseDB").mkdir()
    write_pulsedb(root / "PulseDB" / "X_Subset.mat", people=2)
    pressure_record(root / "WFDB-ABP", "bad", seconds=20.5)
    pressure_record(root / "WFDB-ABP", "good", seconds=20.5, number=4)
    return root


def read_all(name, root):
    """Everything of a data set: how many samples and numbers there are."""
    signal_files._windows.cache_clear()
    wfdb_pressure._windows.cache_clear()
    reader = DATASETS[name]({})
    if name == "PPG-BP":
        return sum(_piece(reader, recording) for recording in reader.recordings(root))
    windows = reader.read_windows(root / "npz" if name == "Kailuan" else root)
    rows = [row for row in range(len(windows)) if row not in windows.unfit]
    return sum(int(np.isfinite(windows.read(row, [0])).all()) for row in rows)


def _piece(reader, recording):
    try:
        reader.read_targets(recording)
        return len(reader.read_wave(recording)["ppg"].values) // 2100
    except (ValueError, OSError) as error:
        assert error.args and str(recording.path.parents[1]) in str(error), error
        return 0


@pytest.mark.parametrize(("name", "file"), CASES)
def test_every_damage_ends_in_a_sentence(good, tmp_path, name, file):
    """ValueError or OSError naming the folder, or a data set of which the rest is there; never another error."""
    whole, problems = {"Kailuan": 6, "PPG-BP": 6, "PulseDB": 4, "WFDB-ABP": 4}[name], []
    for number, kind in enumerate([*GENERAL, *(Kind(*one) for one in formats.of(good / name / file))]):
        root = tmp_path / str(number) / name
        shutil.copytree(good / name, root)
        with contextlib.suppress(IndexError, KeyError):  # damages of a second line or of an array that is not here
            kind.change(root / file)
        problem = judged(name, root, whole)
        problems += [f"{kind.name}: {problem}"] if problem else []
        shutil.rmtree(root)
    assert not problems, "\n".join(problems)


def judged(name, root, whole):
    """What is wrong with how a damaged data set was read; "" for nothing."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", RuntimeWarning)
            found = read_all(name, root)
    except (ValueError, OSError) as error:
        return "" if str(root) in str(error) and "\n" not in str(error) else f"says {error!r}"
    except Exception as error:
        return f"ends in {error!r}"
    return "" if 0 <= found <= whole else f"has {found} of {whole}"


def damaged_study(path, change):
    """A small study whose file `change` has changed."""
    write_kailuan(path, 6, fs=100.0)
    with h5py.File(path, "r+") as file:
        change(file)


def _replace(file, name, values, **options):
    del file[name]
    file.create_dataset(name, data=values, **options)


NOISE = np.random.default_rng(0).normal(size=(6, 705))
STUDIES = {
    "signals of one length": (lambda f: [_replace(f, "signals/ecg", NOISE[:, :605]),
                                         _replace(f, "signals/ppg", NOISE)], 6, ""),
    "an empty row": (lambda f: f["signals/ecg"].__setitem__(3, np.zeros(0, np.float32)), 5, "less than 2 s of ECG"),
    "a label that is NaN": (lambda f: f["metadata/right_arm_sbp"].__setitem__(0, np.nan), 5, "no right_arm_sbp"),
    "names of Latin-1": (lambda f: _replace(f, "metadata/name", np.array([b"Jos\xe9"] * 6, object),
                                            dtype=h5py.string_dtype("ascii")), 6, ""),
    "columns of other lengths": (lambda f: _replace(f, "metadata/right_arm_sbp", np.full(5, 120.0)), 0,
                                 "different lengths"),
    "signals that are texts": (lambda f: _replace(f, "signals/ecg", np.array(["x"] * 6, object),
                                                  dtype=h5py.string_dtype()), 0, "holds no signals"),
    "ids that are numbers": (lambda f: _replace(f, "metadata/new_id", np.arange(6)), 0, "is no list of names"),
    "a column that leads out": (lambda f: [f.pop("metadata/right_arm_sbp"),
                                f["metadata"].__setitem__("right_arm_sbp", h5py.ExternalLink("/etc/passwd", "/x"))], 0,
                                "not an array inside this file"),
    "signals of a MATLAB file": (lambda f: _replace(f, "signals/ecg", np.array([f["metadata"].ref] * 6, h5py.ref_dtype),
                                                    dtype=h5py.ref_dtype), 0, "holds no signals"),
}  # fmt: skip


@pytest.mark.parametrize("study", STUDIES)
def test_studies_that_are_not_as_they_should_be(tmp_path, capsys, study):
    """What cannot be used is counted or named; what can is exported."""
    change, exported, words = STUDIES[study]
    damaged_study(tmp_path / "x.h5", change)
    paths = ["--h5_path", str(tmp_path / "x.h5"), "--output_npz", str(tmp_path / "npz")]
    paths += ["--output_csv", str(tmp_path / "labels.csv")]
    arguments = [*paths, "--fs", "100", "--target_cols", "right_arm_sbp", "--subject_key", "name"]
    assert prepare_kailuan_npz.main(arguments) == (0 if exported else 2)
    said = capsys.readouterr()
    assert words in said.out + said.err and "Traceback" not in said.err
    assert len(list((tmp_path / "npz").glob("*.npz"))) == exported


def test_a_header_may_state_more_than_there_is(tmp_path):
    """Samples, signals and rates that no file has: one sentence, little memory."""
    pressure_record(tmp_path, "r", seconds=4)
    text = (tmp_path / "r.hea").read_text()
    for old, new in (
        ("r 3 250", "r 999999999 250"),
        (" 250 1000", " 250 999999999999"),
        (" 250 ", " 1e400 "),
        (" 250 ", " 0 "),
    ):
        (tmp_path / "r.hea").write_text(text.replace(old, new, 1))
        with pytest.raises(ValueError, match="r.hea|r.dat"):
            read_record(tmp_path / "r.hea")
