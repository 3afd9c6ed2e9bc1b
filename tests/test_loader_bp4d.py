"""BP4D+ and what BigSmall takes of it: zip files, first samples, action units of the coded part."""

import io
import zipfile

import cv2
import numpy as np
import pytest

from dataset.data_loader.bp4d_plus import iter_zip
from dataset.data_loader.bp4d_plus_bigsmall import UNITS
from dataset.files.frames import VideoError
from dataset.synthetic.layouts import write_layout
from registry import DATASETS
from tests.loader_tools import SETTINGS, pixels

# --- BP4D+ -----------------------------------------------------------------------------------------------------------


def jpeg(level):
    """A small picture of one grey level."""
    return cv2.imencode(".jpg", np.full((16, 16, 3), level, np.uint8))[1].tobytes()


def zipped(path, members):
    """A deflated zip file of names and contents."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in members:
            archive.writestr(name, data)
    return path


def test_zip_members_come_in_natural_order(tmp_path):
    """Whatever their order in the file; other tasks and other endings are passed over."""
    names = [f"F001/T1/{k}.jpg" for k in (10, 2, 9, 1)] + ["F001/T10/3.jpg", "F001/T1/3.obj"]
    path = zipped(tmp_path / "F001.zip", [(n, jpeg(int(n.split("/")[2].split(".")[0]) * 10)) for n in names])
    frames = list(iter_zip(path, "T1", 25))
    assert [round(np.asarray(frame).mean(), -1) for frame in frames] == [10, 20, 90, 100]
    assert [frame.time for frame in frames] == [0, 0.04, 0.08, 0.12]
    with pytest.raises(VideoError, match="no picture of T7"):
        list(iter_zip(path, "T7", 25))


@pytest.mark.parametrize("name", ["../T1/1.jpg", "F001/T1/../../../1.jpg", "/F001/T1/1.jpg", "F001\\..\\T1\\1.jpg"])
def test_zip_members_that_lead_out_are_refused(name, tmp_path):
    """Nothing is unpacked anyway; such a file is not what it says it is."""
    path = zipped(tmp_path / "F001.zip", [("F001/T1/1.jpg", jpeg(9)), (name, jpeg(9))])
    with pytest.raises(VideoError, match="leads out of it"):
        list(iter_zip(path, "T1", 25))
    assert [file.name for file in tmp_path.iterdir()] == ["F001.zip"]


def test_zip_bombs_are_refused(tmp_path):
    """A member that inflates to more than a picture is an error, also when its header says it is small."""
    path = zipped(tmp_path / "F001.zip", [("F001/T1/1.jpg", bytes(1 << 26))])
    with pytest.raises(VideoError, match="is no picture: 67108864 bytes"):
        list(iter_zip(path, "T1", 25))
    data = path.read_bytes().replace((1 << 26).to_bytes(4, "little"), (100).to_bytes(4, "little"))
    path.write_bytes(data)
    with pytest.raises(VideoError, match="F001"):
        [np.asarray(frame) for frame in iter_zip(path, "T1", 25)]


def test_damaged_zips_are_said(tmp_path):
    """No zip at all, a flipped byte inside a member, a member that is no picture."""
    path = tmp_path / "F001.zip"
    path.write_bytes(b"PK nothing")
    with pytest.raises(VideoError, match="cannot be read as a zip"):
        list(iter_zip(path, "T1", 25))
    zipped(path, [("F001/T1/1.jpg", b"words")])
    with pytest.raises(VideoError, match="'F001/T1/1.jpg' in .* cannot be decoded"):
        [np.asarray(frame) for frame in iter_zip(path, "T1", 25)]
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("F001/T1/1.jpg", jpeg(50))
    data = bytearray(buffer.getvalue())
    data[300] ^= 255
    path.write_bytes(data)
    with pytest.raises(VideoError, match="Bad CRC-32"):
        list(iter_zip(path, "T1", 25))


def test_bp4d_keeps_the_first_sample(tmp_path):
    """The files have no heading: as many samples as lines; the tasks without files are passed over."""
    write_layout("BP4DPlus", tmp_path, SETTINGS)
    reader = DATASETS["BP4DPlus"]()
    recordings = reader.recordings(tmp_path)
    assert [recording.id for recording in recordings] == ["F001T2", "F001T10"]
    path = recordings[0].path / "BP_mmHg.txt"
    values = reader.read_wave(recordings[0])["ppg"].values
    assert len(values) == len(path.read_text().splitlines()) == 500
    assert values[0] == float(path.read_text().split()[0])
    (tmp_path / "Physiology" / "F042" / "T11").mkdir(parents=True)
    (tmp_path / "Physiology" / "notes").mkdir()
    assert len(reader.recordings(tmp_path)) == 2


def test_bigsmall_has_every_signal_of_the_coded_part(tmp_path):
    """Waves and action units of the coded frames by name; the lower square; -1 where there is no coding."""
    write_layout("BP4DPlusBigSmall", tmp_path, SETTINGS)
    reader = DATASETS["BP4DPlusBigSmall"]()
    recording = reader.recordings(tmp_path)[0]
    signals = reader.read_wave(recording)
    frames = pixels(reader.read_video(recording))
    assert recording.id == "F001T1" and reader.describe(recording) == {"first_coded": 3, "last_coded": 10}
    assert frames.shape == (8, 72, 72, 3) and len(signals["ppg"].values) == 320
    waves = {"ppg", "bp_wave", "hr", "systolic_bp", "diastolic_bp", "mean_bp", "resp", "resp_bpm", "eda"}
    units = {f"AU{unit:02d}" for unit in UNITS} | {f"AU{unit:02d}int" for unit in (6, 10, 12, 14, 17)}
    assert set(signals) == waves | units and len(units) == 39
    assert all(
        len(signals[name].values) == 8 and set(signals[name].values) <= {0, 1} for name in units if "int" not in name
    )
    assert set(signals["AU12int"].values) <= set(range(6))
    (tmp_path / "AUCoding" / "AU_INT" / "AU12" / "F001_T1_AU12.csv").unlink()
    assert set(reader.read_wave(recording)["AU12int"].values) == {-1}
    (tmp_path / "AUCoding" / "AU_OCC" / "F001_T1.csv").unlink()
    signals = reader.read_wave(recording)
    assert signals["AU01"].values.tolist() == [-1] and len(signals["ppg"].values) == 500
    assert len(pixels(reader.read_video(recording))) == 12


def test_bigsmall_refuses_codes_that_do_not_fit(tmp_path):
    """Frames out of order, or more of them than pictures, are errors that name the file or the recording."""
    write_layout("BP4DPlusBigSmall", tmp_path, SETTINGS)
    reader = DATASETS["BP4DPlusBigSmall"]()
    recording = reader.recordings(tmp_path)[0]
    path = tmp_path / "AUCoding" / "AU_OCC" / "F001_T1.csv"
    head, *rows = path.read_text().splitlines()
    more = [f"{number}{row[row.index(',') :]}" for number, row in zip(range(7, 15), rows, strict=True)]
    path.write_text("\n".join([head, *more]))
    with pytest.raises(VideoError, match="Frames 7 to 14 of 'F001T1' are coded"):
        list(reader.read_video(recording))
    path.write_text("\n".join([head, *rows[::-1]]))
    with pytest.raises(ValueError, match="not numbers in a row"):
        reader.read_wave(recording)
