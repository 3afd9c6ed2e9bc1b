"""XDF files: written and read back, read as another reader does, damaged in every way we know."""

import math
import struct

import numpy as np
import pytest

from dataset.files import xdf
from dataset.files.xdf import Stream, read_xdf, write_xdf
from dataset.files.xml import small_tree
from dataset.multimodal.layout import read_integers
from tests.damage import GENERAL
from tests.test_multimodal_record import recorded  # noqa: F401 - a fixture
from tools.multimodal.xdf import main


def streams() -> list[Stream]:
    """One of each type, with clocks that were compared, and markers."""
    rng = np.random.default_rng(4)
    found = [
        Stream(f"of {name}", "EEG", 250.0, rng.integers(-90, 90, (500, 3)).astype(code), 7.5 + np.arange(500) / 250,
               ("Fz", "C<z", "Pz"), ("uV",), np.array([[7.0, 3.0], [8.0, 3.0001], [9.5, 3.00025]]), "cap")
        for name, code in xdf.FORMATS.items()
    ]  # fmt: skip
    marks = Stream("marks", "Markers", 0.0, [("start",), ("Überraschung, 2",)], np.array([7.6, 9.25]))
    return [*found, marks, Stream("nothing", "EEG", 10.0, np.zeros((0, 2), "<f4"), np.zeros(0))]


@pytest.fixture
def file(tmp_path):
    """A file with these streams."""
    return write_xdf(tmp_path / "all.xdf", streams())


def same(one: Stream, other: Stream) -> bool:
    """Whether everything is what it was, but units that were not said."""
    return (
        (one.name, one.type, one.fs, one.source, tuple(one.labels)) ==
        (other.name, other.type, other.fs, other.source, tuple(other.labels))
        and np.array_equal(one.times, other.times) and np.array_equal(one.offsets, other.offsets)
        and (one.values == other.values if isinstance(one.values, list) else
             np.array_equal(one.values, other.values) and one.values.dtype == other.values.dtype)
    )  # fmt: skip


def test_what_is_written_is_read(file):
    """Every type, markers, a stream without samples; times on both clocks."""
    found = read_xdf(file)
    assert len(found) == len(streams()) and all(map(same, found, streams()))
    np.testing.assert_allclose(found[0].synced, found[0].times + 3 + 1e-4 * (found[0].times - 7), atol=1e-6)
    assert found[-2].synced is found[-2].times and list(found[0].units) == ["uV", "", ""]


def test_another_reader_reads_the_same(file):
    """The reference of the format, where it is installed."""
    pyxdf = pytest.importorskip("pyxdf")
    found, _ = pyxdf.load_xdf(str(file), synchronize_clocks=False, dejitter_timestamps=False)
    by_name = {one["info"]["name"][0]: one for one in found}
    for stream in streams():
        one = by_name[stream.name]
        np.testing.assert_allclose(one["time_stamps"], stream.times)
        if isinstance(stream.values, list):
            assert [tuple(row) for row in one["time_series"]] == stream.values
        elif len(stream.values):
            np.testing.assert_array_equal(one["time_series"], stream.values)


def chunk(tag: int, content: bytes, width: int = 4) -> bytes:
    """A chunk with a length of `width` bytes."""
    return bytes([width]) + (len(content) + 2).to_bytes(width, "little") + struct.pack("<H", tag) + content


def header(**changed) -> bytes:
    """The header of stream 1: two channels of int16 at 100 Hz."""
    info = {"name": "x", "channel_count": 2, "nominal_srate": 100, "channel_format": "int16", **changed}
    inside = "".join(f"<{key}>{value}</{key}>" for key, value in info.items())
    return chunk(xdf.STREAM_HEADER, struct.pack("<I", 1) + f"<?xml version='1.0'?><info>{inside}</info>".encode())


def samples(*rows: bytes, count: int | None = None) -> bytes:
    """A chunk of stream 1."""
    count = len(rows) if count is None else count
    return chunk(xdf.SAMPLES, struct.pack("<IBB", 1, 1, count) + b"".join(rows))


def row(time: float | None, *values: int) -> bytes:
    """A sample with or without its time."""
    stamp = b"\0" if time is None else b"\x08" + struct.pack("<d", time)
    return stamp + struct.pack(f"<{len(values)}h", *values)


def read(tmp_path, *chunks: bytes, partial: bool = False) -> list[Stream]:
    """A file of these chunks."""
    path = tmp_path / "made.xdf"
    path.write_bytes(xdf.MAGIC + b"".join(chunks))
    return read_xdf(path, partial)


def test_stamps_that_were_left_out_follow_from_the_rate(tmp_path):
    """Within and across chunks, as recorders of regular streams write them; unknown chunks and 8-byte lengths."""
    chunks = (
        chunk(77, b"of the future", 8), samples(row(5.0, 1, 2), row(None, 3, 4), row(None, 5, 6)),
        samples(row(None, 7, 8), row(6.0, 9, 10)),
    )  # fmt: skip
    found = read(tmp_path, header(), *chunks)[0]
    np.testing.assert_allclose(found.times, [5.0, 5.01, 5.02, 5.03, 6.0])
    np.testing.assert_array_equal(found.values, np.arange(1, 11).reshape(5, 2))


GOOD = samples(row(5.0, 1, 2))


@pytest.mark.parametrize(("chunks", "said"), [
    ((GOOD,), "stream 1 has no header"),
    ((header(), header()), "a second header"),
    ((header(channel_format="complex"),), "a stream of 'complex'"),
    ((header(channel_count=0),), "a stream of 0 channels"),
    ((header(channel_count=10**9),), "channels"),
    ((header(channel_count="many"),), "invalid literal"),
    ((header(nominal_srate="nan"),), "channels at nan Hz"),
    ((header(), samples(row(5.0, 1, 2), count=200)), "states 200 samples"),
    ((header(), chunk(xdf.SAMPLES, struct.pack("<IBQ", 1, 8, 1 << 60))), "samples"),
    ((header(), chunk(xdf.SAMPLES, struct.pack("<IBB", 1, 3, 1))), "a length of 3 bytes"),
    ((header(), chunk(xdf.SAMPLES, b"\x01")), "unpack"),
    ((header(), samples(row(math.inf, 1, 2))), "a time that is no number"),
    ((header(), samples(row(5.0, 1, 2), row(5.0, 1))), "states 2 samples|belong to none|a whole time|buffer"),
    ((header(), samples(row(5.0, 1, 2, 3))), "belong to none"),
    ((header(), chunk(xdf.CLOCK_OFFSET, struct.pack("<Idd", 1, 1.0, math.nan))), "a time that is no number"),
    ((header(channel_format="string"), samples(b"\0" + b"\x08" + struct.pack("<Q", 1 << 40) + b"\0" * 30)), "a text"),
    ((header(), b"\x02\x05\x00"), "a length of 2 bytes"),
    ((header(), b"\x08" + struct.pack("<Q", 1 << 50)), "are left"),
    ((header(), b"\x04\x09"), "in the middle of a chunk"),
    ((header(name="&lol;"),), "XML that is none"),
    ((chunk(xdf.STREAM_HEADER, struct.pack("<I", 1) + b"<!DOCTYPE x [<!ENTITY a 'b'>]><x/>"),), "document type"),
    ((header(desc="<a>" * 40 + "</a>" * 40),), "nested more than"),
    ((), "it has no stream"),
])  # fmt: skip
def test_what_cannot_be_meant_is_a_sentence(tmp_path, chunks, said):
    """That names the file and how to go on; nothing is allocated for what a header claims."""
    with pytest.raises(ValueError, match=said) as caught:
        read(tmp_path, *chunks)
    assert "made.xdf' is no whole XDF file: " in str(caught.value) and "--partial" in str(caught.value)


def test_more_than_a_file_may_hold_is_refused(tmp_path, monkeypatch):
    """Numbers, texts and streams are counted while they are read."""
    monkeypatch.setattr(xdf, "MOST_VALUES", 3)
    with pytest.raises(ValueError, match="more than 3 numbers"):
        read(tmp_path, header(), GOOD, GOOD)
    monkeypatch.setattr(xdf, "MOST_STREAMS", 0)
    with pytest.raises(ValueError, match="or more than 0 streams"):
        read(tmp_path, header())
    with pytest.raises(ValueError, match="bytes, where at most"):
        small_tree(b" " * (1 << 21))


def test_of_a_cut_file_what_is_whole_can_be_read(file):
    """As a recorder that was killed leaves it: every length of the file, by parts."""
    whole, data = read_xdf(file), file.read_bytes()
    for length in range(4, len(data), len(data) // 60):
        file.write_bytes(data[:length])
        try:
            found = read_xdf(file, partial=True)
        except ValueError:
            assert length < 400  # no header of a stream yet
            continue
        for one, all_of_it in zip(found, whole, strict=False):
            np.testing.assert_array_equal(one.times, all_of_it.times[: len(one.times)])
            assert len(one.values) == len(one.times)


@pytest.mark.parametrize("kind", GENERAL, ids=lambda kind: kind.name)
def test_every_damage_ends_in_a_sentence(file, kind):
    """That names the file; or what is read has as many values as times."""
    kind.change(file)
    try:
        found = read_xdf(file)
    except (ValueError, OSError) as error:
        assert str(file) in str(error) and " " in str(error)
    else:
        assert kind.harmless and all(len(one.values) == len(one.times) for one in found)


def test_flipped_bits_never_end_in_another_error(file):
    """A few hundred files, always the same."""
    data = file.read_bytes()
    for seed in range(300):
        rng = np.random.default_rng(seed)
        changed = bytearray(data)
        for at in rng.integers(4, len(data), 1 + seed % 5):
            changed[at] ^= 1 << int(rng.integers(8))
        file.write_bytes(changed)
        try:
            read_xdf(file)
        except ValueError as error:
            assert str(file) in str(error)


def test_values_without_their_times_are_not_written(tmp_path):
    """And nothing is left of the file."""
    for stream in (
        Stream("x", values=np.zeros((3, 1)), times=np.zeros(2)), Stream("x", values=np.zeros(3), times=np.zeros(3)),
        Stream("x", values=np.zeros((3, 1), bool), times=np.zeros(3)),
    ):  # fmt: skip
        with pytest.raises(ValueError, match="stream 'x'"):
            write_xdf(tmp_path / "x.xdf", [stream])
    assert not any(tmp_path.iterdir())


def test_a_recording_goes_out_and_in(recorded, tmp_path, capsys):  # noqa: F811
    """Signals, numbers of frames and events at host times; a file is never written over."""
    folder = recorded[0] / "s001" / "r01"
    assert main(["--export", str(folder), "--out", str(tmp_path / "r.xdf")]) == 0
    found = {one.name: one for one in read_xdf(tmp_path / "r.xdf")}
    assert list(found["ppg"].labels) == ["value", "mark", "resp"] and ("start",) in found["events"].values
    assert main(["--import", str(tmp_path / "r.xdf"), "--out", str(tmp_path / "in")]) == 0
    stamps = read_integers(folder / "ppg" / "timestamps.csv", ("index", "t_device_ns", "t_host_ns"))
    again = read_integers(tmp_path / "in" / "ppg" / "timestamps.csv", ("index", "t_device_ns", "t_host_ns"))
    assert np.abs(stamps[:, 2] - again[:, 2]).max() < 100_000 and len(again) == len(stamps)
    assert (tmp_path / "in" / "ppg" / "values.csv").read_text().startswith("t_ns,value,mark,resp\n")
    assert main(["--import", str(tmp_path / "r.xdf"), "--out", str(tmp_path / "in")]) == 2
    assert "is not written over" in capsys.readouterr().err


def test_names_of_streams_stay_within_their_folder(tmp_path):
    """Whatever the file calls them, and however often."""
    values, times = np.zeros((2, 1), "<f4"), np.arange(2.0)
    write_xdf(
        tmp_path / "x.xdf", [Stream(name, values=values, times=times) for name in ("../../up", "/etc", "", "x", "x")]
    )
    assert main(["--import", str(tmp_path / "x.xdf"), "--out", str(tmp_path / "out")]) == 0
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["etc", "stream", "up", "x", "x_2"]
    assert open(tmp_path / "out" / "x" / "values.csv").readline() == "t_ns,channel_1\n"


def test_without_its_package_the_outlet_is_a_sentence(monkeypatch, tmp_path, capsys):
    """Before anything is recorded."""
    import sys

    from tools.multimodal.record import main as record

    monkeypatch.setitem(sys.modules, "pylsl", None)
    assert record(["--root", str(tmp_path / "set"), "--simulate", "--lsl"]) == 2
    assert "pip install pylsl" in capsys.readouterr().err and not (tmp_path / "set").exists()
