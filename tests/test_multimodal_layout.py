"""Files of a multimodal recording: they grow, survive a kill, and are read back exactly or refused by name."""

import numpy as np
import pytest

from dataset.multimodal.appending import ArrayFile, TableFile, cut_to_whole_lines, write_json
from dataset.multimodal.layout import STAMP_COLUMNS, Session, read_events, read_integers, read_ppg, sessions


def test_whole_nanoseconds_come_back_exactly(tmp_path):
    """Floats would round them."""
    file = TableFile(tmp_path / "timestamps.csv", STAMP_COLUMNS)
    file.add(0, (1 << 61) + 1, 12345678901234567)
    file.close()
    assert read_integers(tmp_path / "timestamps.csv", STAMP_COLUMNS).tolist() == [[0, (1 << 61) + 1, 12345678901234567]]


def test_an_array_that_was_never_closed_has_the_frames_that_were_flushed(tmp_path):
    """The header states no frame too many."""
    file = ArrayFile(tmp_path / "s1" / "r1" / "thermal" / "frames.npy", (2, 3), "uint16")
    for value in range(5):
        file.add(np.full((2, 3), value, np.uint16))
        if value == 3:
            file.flush()
    file._file.flush()  # the bytes of frame 4 arrive, the header that counts it does not
    found = Session(tmp_path / "s1" / "r1").thermal()
    assert found[:, 0, 0].tolist() == [0, 1, 2, 3]


def test_a_line_that_a_kill_has_cut_is_removed_and_only_that(tmp_path):
    """Whole lines stay."""
    path = tmp_path / "events.csv"
    path.write_bytes(b"t_ns,clock,kind\n1,host,sync\n2,ho")
    assert cut_to_whole_lines(path) == 4
    assert [event.t_ns for event in read_events(path)] == [1]
    assert cut_to_whole_lines(path) == 0


@pytest.mark.parametrize("line", ["1,2", "1,2,x", "1,2,3.5", f"1,2,{1 << 80}", "1,2,3,4"])
def test_a_line_that_is_no_stamp_is_named(tmp_path, line):
    """File and line."""
    path = tmp_path / "timestamps.csv"
    path.write_text(f"index,t_device_ns,t_host_ns\n0,0,0\n{line}\n")
    with pytest.raises(ValueError, match=r"timestamps\.csv', line 3"):
        read_integers(path, STAMP_COLUMNS)


def test_columns_of_a_ppg_go_by_their_names(tmp_path):
    """An empty field is a gap."""
    (tmp_path / "ppg.csv").write_text("t_ns,value,mark\n5,0.25,1\n15,,0\n")
    found = read_ppg(tmp_path / "ppg.csv")
    assert found["t_ns"].tolist() == [5, 15] and found["mark"].tolist() == [1, 0] and np.isnan(found["value"][1])
    (tmp_path / "ppg.csv").write_text("t_ns,volume\n5,0.25\n")
    with pytest.raises(ValueError, match="t_ns,volume"):
        read_ppg(tmp_path / "ppg.csv")


def test_recordings_are_folders_of_subjects_with_a_device_or_a_description(tmp_path):
    """Hidden folders and others are not."""
    write_json(tmp_path / "s002" / "r01" / "meta.json", {"id": "s002_r01"})
    (tmp_path / "s001" / "r01" / "ppg").mkdir(parents=True)
    (tmp_path / "s001" / "notes").mkdir()
    (tmp_path / ".trash" / "r01" / "ppg").mkdir(parents=True)
    assert [one.path.name + one.path.parent.name for one in sessions(tmp_path)] == ["r01s001", "r01s002"]
