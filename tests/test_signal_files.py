"""Files of contact sensors: WFDB records, EDF files and tables, as others write them; what they claim is judged."""

import struct

import numpy as np
import pytest

from dataset.files.channels import has_beats, is_ecg, read_channels
from dataset.files.edf import read_edf
from dataset.files.wfdb import read_header, read_record, unpack_212
from tests.conftest import reference

RANDOM = np.random.default_rng(0)


def pack_212(samples: np.ndarray) -> bytes:
    """Samples of 12 bits, two in three bytes."""
    first, second = (samples & 0xFFF).reshape(-1, 2).T
    return np.stack([first & 0xFF, first >> 8 | second >> 8 << 4, second & 0xFF], axis=1).astype(np.uint8).tobytes()


def write_record(folder, name="r", header=None, samples=None, form=16):
    """A record of two signals (L, 2) at 250 Hz; returns its header."""
    samples = RANDOM.integers(-2000, 2000, (500, 2)) if samples is None else samples
    data = pack_212(samples.reshape(-1)) if form == 212 else samples.astype("<i2").tobytes()
    (folder / f"{name}.dat").write_bytes(data)
    lines = [
        f"{name} 2 250 {len(samples)}",
        f"{name}.dat {form} 200(10)/mV 12 0 0 0 0 II",
        f"{name}.dat {form} 50 12 0 0 0 0 PLETH",
    ]
    (folder / f"{name}.hea").write_text("\n".join(header or lines) + "\n# a remark\n")
    return folder / f"{name}.hea"


@pytest.mark.parametrize("form", [16, 212])
def test_a_record_of_wfdb(tmp_path, form):
    """Values in the units of the header, each signal under its name."""
    samples = RANDOM.integers(-2000, 2000, (500, 2))
    found = read_record(write_record(tmp_path, samples=samples, form=form))
    assert list(found) == ["II", "PLETH"] and found["II"].fs == 250 and found["II"].unit == "mV"
    np.testing.assert_allclose(found["II"].values, (samples[:, 0] - 10) / 200)
    np.testing.assert_allclose(found["PLETH"].values, samples[:, 1] / 50)


def test_twelve_bits():
    """Every value, negative ones too; an odd number of samples."""
    every = np.arange(-2048, 2048, dtype=np.int16)
    np.testing.assert_array_equal(unpack_212(np.frombuffer(pack_212(every), np.uint8), len(every)), every)
    assert unpack_212(np.frombuffer(pack_212(every), np.uint8)[:-1], 4095)[-1] == 2046


@pytest.mark.parametrize(("form", "missing"), [(16, -32768), (212, -2048)])
def test_missing_samples_are_left_out_and_the_rest_keeps_its_time(tmp_path, form, missing):
    """The signal then has times."""
    samples = np.zeros((100, 2), dtype=int)
    samples[40:60, 0] = missing
    found = read_record(write_record(tmp_path, samples=samples, form=form))
    assert len(found["II"].values) == 80 and found["II"].fs is None
    np.testing.assert_allclose(found["II"].times[[0, 39, 40]], [0, 39 / 250, 60 / 250])
    assert found["PLETH"].times is None


def test_segments_follow_each_other(tmp_path):
    """Between two of them nothing was recorded for a second; the layout in front has no samples."""
    for name in ("a", "b"):
        write_record(tmp_path, name)
    (tmp_path / "whole.hea").write_text("whole/4 2 250 1250\nlayout 0\na 500\n~ 250\nb 500\n")
    found = read_record(tmp_path / "whole.hea")
    assert len(found["II"].values) == 1000 and found["II"].times[500] == pytest.approx(3.0)
    (tmp_path / "whole.hea").write_text("whole/2 2 250 1000\na 500\nb 500\n")
    assert read_record(tmp_path / "whole.hea")["II"].fs == 250


def test_several_samples_in_a_frame_and_an_offset(tmp_path):
    """Each signal has its own rate; a .mat file has bytes in front."""
    raw = np.arange(50, dtype="<i2")
    (tmp_path / "r.mat").write_bytes(b"m" * 24 + raw.tobytes())
    (tmp_path / "r.hea").write_text("r 2 100 10\nr.mat 16x4+24 1/mV 16 0 0 0 0 ECG\nr.mat 16+24 1/NU 16 0 0 0 0 ECG\n")
    found = read_record(tmp_path / "r.hea")
    assert found["ECG"].fs == 400 and found["ECG"].values[:5].tolist() == [0, 1, 2, 3, 5]
    assert found["ECG 2"].fs == 100 and found["ECG 2"].values[:2].tolist() == [4, 9]


@pytest.mark.parametrize(
    ("header", "said"),
    [
        (["r 2 250 500", "../r.dat 16 200 12 0 0 0 0 II", "r.dat 16"], "only files beside it"),
        (["r 2 250 500", "/etc/passwd 16 200 12 0 0 0 0 II", "r.dat 16"], "only files beside it"),
        (["r 2 250 500", "r.dat 516 200 12 0 0 0 0 II", "r.dat 516"], "pip install wfdb"),
        (["r 2 250 5000000", "r.dat 16", "r.dat 16"], "cut off"),
        (["r 2 250 500", "r.dat 16"], "promises 2 signals"),
        (["r 2 0 500", "r.dat 16", "r.dat 16"], "no WFDB header"),
        (["r 2 nan 500", "r.dat 16", "r.dat 16"], "no WFDB header"),
        (["r 999999999 250 500", "r.dat 16"], "no WFDB header"),
        (["r 2 250 99999999999999", "r.dat 16", "r.dat 16"], "no WFDB header"),
        (["r 2 250 500", "r.dat 16x999999999", "r.dat 16"], "no WFDB header"),
        (["r 1 250 500", "r.dat 16 1e999/mV"], "no WFDB header"),
        (["r/99999999 2 250 500", "r 500"], "promises"),
        (["r/1 2 250 500", "r 500"], "segments inside of segments"),
        (["r/1 2 250 500", "../r 500"], "only files beside it"),
        (["nonsense"], "no WFDB header"),
        (["<html>"], "no WFDB header"),
    ],
)
def test_headers_that_cannot_be_meant(tmp_path, header, said):
    """One sentence that names the file; no other file is opened, no memory asked for."""
    path = write_record(tmp_path, header=header)
    with pytest.raises(ValueError, match=said):
        read_record(path)
    with pytest.raises(ValueError, match="r.hea|r.dat"):
        read_record(path)


def test_a_record_without_its_file(tmp_path):
    """The missing file is named."""
    path = write_record(tmp_path)
    (tmp_path / "r.dat").unlink()
    with pytest.raises(FileNotFoundError, match="r.dat"):
        read_record(path)


def edf(records=3, labels=("ECG II", "Pleth"), each=(100, 50), seconds="1", plain="", data=None) -> bytes:
    """An EDF file whose samples count up."""
    count = len(labels)
    head = "0".ljust(8) + "X".ljust(80) + "".ljust(80) + "01.01.2601.01.26" + str(256 * (count + 1)).ljust(8)
    head += plain.ljust(44) + str(records).ljust(8) + seconds.ljust(8) + str(count).ljust(4)
    columns = [(labels, 16), ([""] * count, 80), (["mV"] * count, 8), (["-1"] * count, 8), (["1"] * count, 8)]
    columns += [
        (["-1000"] * count, 8),
        (["1000"] * count, 8),
        ([""] * count, 80),
        (map(str, each), 8),
        ([""] * count, 32),
    ]
    head += "".join(str(value).ljust(width) for values, width in columns for value in values)
    samples = np.arange(sum(each) * max(records, 3)) if data is None else data
    return head.encode() + struct.pack(f"<{len(samples)}h", *samples)


@pytest.mark.parametrize("records", [3, -1])
def test_an_edf_file(tmp_path, records):
    """Values in their units at their own rates; a number of records that was never written is counted."""
    (tmp_path / "a.edf").write_bytes(edf(records))
    found = read_edf(tmp_path / "a.edf")
    assert found["ECG II"].fs == 100 and found["Pleth"].fs == 50 and found["Pleth"].unit == "mV"
    np.testing.assert_allclose(found["ECG II"].values[[0, 99, 100]], np.array([0, 99, 150]) / 1000)
    assert len(found["Pleth"].values) == 150


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "no EDF file"),
        (b"noise" * 200, "no EDF file"),
        (edf(labels=("ECG",) * 2, plain="EDF+D"), "interrupted"),
        (edf(seconds="0"), "no EDF file"),
        (edf(seconds="nan"), "no EDF file"),
        (edf(each=(100, 0)), "no EDF file"),
        (edf(each=(99999999, 99999999), data=[0]), "cut off|no EDF file"),
        (edf()[:700], "no EDF file|cut off"),
        (edf()[:-200], "cut off"),
    ],
)
def test_edf_files_that_cannot_be_meant(tmp_path, content, said):
    """One sentence that names the file."""
    (tmp_path / "a.edf").write_bytes(content)
    with pytest.raises(ValueError, match=f"a.edf.*({said})"):
        read_edf(tmp_path / "a.edf")


def test_what_a_name_says():
    """Leads are ECG; breathing and rates have no beats."""
    assert all(map(is_ecg, ("II", "v5", "MLII", "aVR", "ECG", "ECG II", "EKG", "ecg_1", "I 2")))
    assert not any(map(is_ecg, ("PLETH", "ppg", "ir", "red", "value", "RESP", "ABP")))
    wave = read_channels_like(np.sin(np.arange(100.0)))
    assert has_beats("PLETH", wave) and has_beats("II", wave) and has_beats("red", wave)
    assert not any(has_beats(name, wave) for name in ("RESP", "hr", "spo2", "acc_x", "temp"))
    assert not has_beats("g", read_channels_like(np.zeros(100)))


def read_channels_like(values):
    """A signal of `values`."""
    from dataset.data_loader.base import Signal

    return Signal(values, fs=50.0)


@pytest.mark.parametrize(
    ("text", "names", "rate"),
    [
        ("time_ms,red,ir\n0,1,2\n10,3,4\n20,5,6\n", ["red", "ir"], None),
        ("ppg\n1\n2\n3\n", ["ppg"], 50),
        ("1\n2\n3\n", ["column 1"], 50),
        ("1\t2\t3\t\n", ["column 1"], 50),
        ("1,2,3\n4,5,6\n7,8,9\n", ["column 1", "column 2", "column 3"], 50),
    ],
)
def test_tables(tmp_path, text, names, rate):
    """Each column is a channel; times stand in the table, or the rate is told."""
    (tmp_path / "a.csv").write_text(text)
    found = read_channels(tmp_path / "a.csv", fs=50.0)
    assert list(found) == names and found[names[0]].fs == rate
    if rate is None:
        np.testing.assert_allclose(found["red"].times, [0, 0.01, 0.02])


def test_a_table_without_a_clock_asks_for_it(tmp_path):
    """And with the option that the sentence names it is read."""
    (tmp_path / "a.csv").write_text("ppg\n1\n2\n")
    with pytest.raises(ValueError, match="--fs 100"):
        read_channels(tmp_path / "a.csv")
    assert read_channels(tmp_path / "a.csv", fs=100.0)["ppg"].fs == 100


def test_a_real_record():
    """Twelve leads of 10 s at 500 Hz, in a .mat file."""
    found = read_record(reference("data/ecg12/HR06000.hea"))
    assert len(found) == 12 and all(len(one.values) == 5000 and one.fs == 500 for one in found.values())
    assert read_header(reference("data/ecg12/HR06000.hea")).channels[0].offset == 24
