"""What every data set has to do, on a miniature of its raw layout: one suite for all that are registered."""

import dataclasses
import json
import re
import shutil

import numpy as np
import pytest

from config import schema
from dataset.clips.labels import align
from dataset.face.crop import FaceCrop
from dataset.prepare.checks import check_signals
from dataset.prepare.recording import preprocess_all
from dataset.prepare.splits import take
from dataset.store.cache import Cache, safe_name
from dataset.synthetic.layouts import LAYOUTS, write_layout, write_subjects
from dataset.synthetic.render import Session
from dataset.synthetic.settings import resolve
from registry import DATASETS

SETTINGS = dataclasses.replace(resolve({"PRESET": "easy", "WIDTH": 128, "HEIGHT": 96, "SUBJECTS": 1}), seconds=0.6)
OURS = [  # not other tests', and of those with a video: test_loader_signals.py has the others
    name for name in DATASETS.names() if DATASETS[name].__module__.startswith("dataset.") and DATASETS[name].has_video
]
NAMES = [name for name in OURS if not DATASETS[name].generated]  # a generated one has no files to damage
CUT = ("iBVP", "BP4DPlusBigSmall")  # leave out frames on purpose: poor labels, frames without coding
VIDEO = {  # the file of a recording that holds pictures, where it is not the largest one
    "ECG-Fitness": "c920-1.avi",
    "iBVP": "*.bmp",
    "MCD-rPPG": "*_FullHDwebcam_*.avi",
    "PairedECG": "*.avi",
}
LABEL = {  # the file that holds the first of the signals, where it is a file of its own
    "BP4DPlus": "BP_mmHg.txt",
    "BP4DPlusBigSmall": "BP_mmHg.txt",
    "COHFACE": "data.hdf5",
    "ECG-Fitness": "viatom-raw.csv",
    "Folder": "*.csv",
    "iBVP": "*_bvp.csv",
    "LGI-PPGI": "cms50_stream_handler.xml",
    "MCD-rPPG": "*.PW",
    "MR-NIRP": "pulseOx.mat",
    "PairedECG": "*.bdf",
    "PhysDrive": "BVP.mat",
    "PURE": "*.json",
    "UBFC-PHYS": "bvp_*.csv",
    "UBFC-rPPG": "ground_truth.txt",
    "UBFC-rPPG-1": "gtdump.xmp",
    "V4V": "*-BP.txt",
    "VIPL-HR": "wave.csv",
}
TASKS = {  # a name for FILTERING.TASK_LIST, and what then ends the ids
    "UBFC-PHYS": ("T1", "T1"),
    "BP4DPlus": ("T2", "T2"),
    "BP4DPlusBigSmall": ("T1", "T1"),
    "ECG-Fitness": ("01", "01_c920-1"),
    "LGI-PPGI": ("talk", "talk"),
    "MCD-rPPG": ("before", "before"),
    "MR-NIRP": ("still", "still_940"),
    "V4V": ("T10", "T10"),
    "VIPL-HR": ("source2", "source2"),
}
UNASKED = {"VIPL-HR": "source4"}  # near infrared: used only where TASK_LIST names it


@pytest.fixture(scope="module", params=NAMES)
def made(request, tmp_path_factory):
    """Name and folder of a data set of the subjects 2 and 10, the later one written first. Not to be changed."""
    root = tmp_path_factory.mktemp("raw") / "data"
    write_subjects(request.param, root, settings_of(request.param), [10, 2])
    return request.param, root


@pytest.fixture
def copied(made, tmp_path):
    """Name and folder of a copy that may be damaged."""
    name, root = made
    shutil.copytree(root, tmp_path / "data")
    return name, tmp_path / "data"


def settings_of(name, **changes):
    """What is rendered: people's own videos are MP4 files, data sets bring their own formats."""
    return dataclasses.replace(SETTINGS, codec="h264" if name == "Folder" else SETTINGS.codec, **changes)


def loader(name):
    """The reader with its ordinary options."""
    return DATASETS[name]({"DATA_AUG": ["None"], "DATA_MODE": "RGB"})


def video_file(name, root):
    """The first file with pictures of the last subject."""
    files = [file for file in sorted(root.rglob(VIDEO.get(name, "*"))) if file.is_file()]
    return max(reversed(files), key=lambda file: file.stat().st_size)


def frames_of(reader, recording):
    """All frames as arrays, and their times."""
    frames = list(reader.read_video(recording))
    return [np.asarray(frame) for frame in frames], [getattr(frame, "time", None) for frame in frames]


def damage_report(reader, root):
    """Recordings that can be read, and the errors of those that cannot."""
    good, errors = [], {}
    for recording in reader.recordings(root):
        try:
            check_signals(reader.read_wave(recording), reader.signals)
            frames_of(reader, recording)
            good.append(recording)
        except (ValueError, OSError) as error:  # what preprocessing reports as the fault of one recording
            errors[recording.id] = str(error)
    return good, errors


def label_of(reader, recording):
    """What the data set's rates are judged by: its pulse wave, or its ECG where it has none."""
    return reader.read_wave(recording)[reader.signals[0]]


def test_every_registered_data_set_has_a_miniature():
    """A data set without one could not be tested here; the generated ones render their own files."""
    assert set(LAYOUTS) == set(NAMES) and set(OURS) - set(NAMES) == {"Synthetic"}


def test_recordings_are_named_by_subject_in_natural_order(made):
    """Ids differ and make file names, subjects are two, 2 comes before 10, paths lie in the data set."""
    name, root = made
    recordings = loader(name).recordings(root)
    ids, subjects = [r.id for r in recordings], list(dict.fromkeys(r.subject for r in recordings))
    assert len(set(ids)) == len(ids) and all(safe_name(one) == one for one in ids)
    assert len(subjects) == 2 and "2" in subjects[0] and "10" in subjects[1]
    assert all(recording.path.is_relative_to(root) for recording in recordings)
    assert ids == [r.id for r in loader(name).recordings(root)]


def test_splits_keep_subjects_together(made):
    """Half of the subjects are one subject, with all its recordings."""
    name, root = made
    recordings = loader(name).recordings(root)
    halves = [take(recordings, *part, "subject") for part in ((0, 0.5), (0.5, 1))]
    assert [len({r.subject for r in half}) for half in halves] == [1, 1]
    assert sum(map(len, halves)) == len(recordings)


def test_frames_are_colour_pictures_of_one_size(made):
    """All frames, uint8 RGB, as many as were written; reading again gives the same."""
    name, root = made
    reader = loader(name)
    for recording in reader.recordings(root):
        frames, _ = frames_of(reader, recording)
        assert all(frame.dtype == np.uint8 and frame.shape == frames[0].shape for frame in frames)
        assert frames[0].ndim == 3 and frames[0].shape[2] == 3 and frames[0].std() > 1
        written = round(SETTINGS.seconds * (reader.fs or SETTINGS.fs))
        assert len(frames) < written if name in CUT else len(frames) == written
    again, _ = frames_of(reader, recording)
    assert np.array_equal(frames, again)


def test_frame_times_rise_from_zero(made):
    """Either no frame has a time, or all have: seconds after the first frame, at the data set's rate."""
    name, root = made
    reader = loader(name)
    _, times = frames_of(reader, reader.recordings(root)[0])
    if any(time is not None for time in times):
        assert times[0] == 0 and (np.diff(times) > 0).all()
        assert np.median(np.diff(times)) == pytest.approx(1 / (reader.fs or SETTINGS.fs), rel=0.02)
    else:
        assert reader.fs, "nothing says how many frames per second there are"


def test_signals_last_as_long_as_the_video(made):
    """Named signals of numbers; with times or a rate they cover the video; the first gives every frame a value."""
    name, root = made
    reader = loader(name)
    for recording in reader.recordings(root):
        frames, times = frames_of(reader, recording)
        signals = reader.read_wave(recording)
        check_signals(signals, reader.signals)
        assert set(reader.signals) <= set(signals) <= {*reader.signals, *reader.optional_signals}
        assert {"ppg", "ecg"} & set(reader.signals)
        seconds = len(frames) / (reader.fs or SETTINGS.fs) if times[-1] is None else times[-1]
        for signal in signals.values():
            first, last = (0, len(signal.values) / signal.fs) if signal.fs else (0, seconds)
            first, last = (signal.times[0], signal.times[-1]) if signal.times is not None else (first, last)
            assert -1 < first < 0.1
            assert last == pytest.approx(seconds, abs=0.1 if not signal.fs else 0.1 + 1 / signal.fs)
        clock = None if times[0] is None else np.array(times)
        label = align(label_of(reader, recording), clock, len(frames))
        assert label.shape == (len(frames),) and np.isfinite(label).all() and np.ptp(label) > 0


def test_signals_are_the_pulse_that_was_rendered(made):
    """The first recording's label follows the painted pulse, to within the last frame's time when it is stretched."""
    name, root = made
    reader = loader(name)
    recording = reader.recordings(root)[0]
    frames, times = frames_of(reader, recording)
    label = align(label_of(reader, recording), None if times[0] is None else np.array(times), len(frames))
    fs = reader.fs or SETTINGS.fs
    session = Session(dataclasses.replace(SETTINGS, fs=fs), 2)
    truth = session.truth()
    painted = session.heart.ecg(truth.ppg_times) if reader.signals[0] == "ecg" else truth.ppg_native
    start = reader.describe(recording).get("first_coded", 1) - 1
    clock = np.arange(len(frames)) / fs if times[0] is None else np.array(times)
    stretched = clock * (clock[-1] + 1 / fs) / clock[-1]
    waves = (np.interp(start / fs + one, truth.ppg_times, painted) for one in (clock, stretched))
    assert max(np.corrcoef(label, wave)[0, 1] for wave in waves) > 0.98


def test_selection_keys_are_understood(made):
    """With every code of INFO and no FILTERING all recordings stay; excluded ones and other tasks go."""
    name, root = made
    reader, data = loader(name), schema().TEST.DATA
    for field, codes in data.INFO.items():
        data.INFO[field] = list(range(1, 7)) if codes else codes
    recordings = [r for r in reader.recordings(root) if not r.id.endswith(UNASKED.get(name, "-"))]
    kept = [r for r in reader.recordings(root) if reader.select(r, data) is True]
    assert kept == recordings
    if name not in TASKS:
        return
    data.FILTERING.update({"USE_EXCLUSION_LIST": True, "EXCLUSION_LIST": [recordings[0].id]})
    assert [r.id for r in recordings if not reader.select(r, data)] == [recordings[0].id]
    task, ending = TASKS[name]
    data.FILTERING.update({"SELECT_TASKS": True, "TASK_LIST": [task]})
    assert [r for r in recordings if reader.select(r, data)] == [r for r in recordings[1:] if r.id.endswith(ending)]


def test_truncated_file_costs_its_recording_only(copied, tmp_path, capsys):
    """Half a video is an error that names it; every other recording reaches the cache."""
    name, root = copied
    damaged = video_file(name, root)
    damaged.write_bytes(damaged.read_bytes()[: damaged.stat().st_size // 2])
    reader = loader(name)
    recordings = reader.recordings(root)
    crop, cache = FaceCrop(size=(16, 16), do_crop=False), Cache(tmp_path / "cache", {"SIZE": 16})
    cache.freeze(recordings)
    statuses = preprocess_all(reader, recordings, crop, cache, workers=1)
    failed = {r.subject: statuses[r.id].reason for r in recordings if statuses[r.id].state != "done"}
    assert len(failed) == 1 and damaged.name in next(iter(failed.values()))
    assert all(status.state in ("done", "failed") for status in statuses.values())
    assert "1 failed" in capsys.readouterr().out or name.startswith("BP4D")  # there one zip holds several recordings


def test_empty_file_costs_its_recording_only(copied):
    """A video of zero bytes, as a full disk leaves it, is an error that names it."""
    name, root = copied
    damaged = video_file(name, root)
    damaged.write_bytes(b"")
    good, errors = damage_report(loader(name), root)
    assert good and errors and all(damaged.name in error for error in errors.values())


def test_missing_video_is_said(copied):
    """A recording whose pictures are gone is an error, or is not there at all when nothing of it is left."""
    name, root = copied
    gone = video_file(name, root)
    before = len(loader(name).recordings(root))
    for file in gone.parent.glob(f"*{gone.suffix}"):
        if file == gone or gone.suffix in (".png", ".bmp", ".pgm"):
            file.unlink()
    good, errors = damage_report(loader(name), root)
    assert good and len(good) < before
    assert errors or len(loader(name).recordings(root)) < before
    assert all(gone.name in error or gone.parent.name in error for error in errors.values())


def test_missing_label_is_said(copied):
    """A label file that is gone is an error that names it."""
    name, root = copied
    if name not in LABEL or name == "Folder":
        pytest.skip("video and labels are one file, or labels need not be")
    shutil.rmtree(root / "ppg_sync", ignore_errors=True)  # which stands in for the label of MCD-rPPG
    gone = sorted(root.rglob(LABEL[name]))[0]
    gone.unlink()
    good, errors = damage_report(loader(name), root)
    assert good and len(errors) == 1 and gone.name in next(iter(errors.values()))


def test_text_in_the_label_is_said(copied):
    """A label file of words is an error that names it."""
    name, root = copied
    if name not in LABEL:
        pytest.skip("video and labels are one file")
    broken = sorted(root.rglob(LABEL[name]))[0]
    broken.write_text("these,are\nno,numbers\n")
    _, errors = damage_report(loader(name), root)
    assert len(errors) == 1 and broken.parent.name in next(iter(errors.values()))


@pytest.mark.parametrize("name", NAMES)
def test_empty_folder_names_the_expected_layout(name, tmp_path):
    """An empty DATA_PATH, one of other files, and one that does not exist are errors that say what to do."""
    with pytest.raises(FileNotFoundError, match="Expected there"):
        loader(name).recordings(tmp_path)
    (tmp_path / "notes.txt").write_text("nothing")
    (tmp_path / "pictures").mkdir()
    with pytest.raises(FileNotFoundError, match="Expected there"):
        loader(name).recordings(tmp_path)
    with pytest.raises(FileNotFoundError, match="DATA_PATH"):
        loader(name).recordings(tmp_path / "nowhere")


def test_files_with_another_ending_are_not_taken(copied):
    """When every file is called .bak, nothing can be read, and that is said."""
    name, root = copied
    for file in [file for file in root.rglob("*") if file.is_file()]:
        file.rename(file.with_name(f"{file.name}.bak"))
    try:
        good, errors = damage_report(loader(name), root)
    except FileNotFoundError as error:
        assert "Expected there" in str(error)
    else:
        assert not good and errors


def test_paths_may_hold_any_letters(made, tmp_path):
    """Blanks and letters of other scripts in the path change nothing."""
    name, root = made
    other = tmp_path / "Дані set ü 心拍"
    shutil.copytree(root, other)
    reader = loader(name)
    for before, after in zip(reader.recordings(root), reader.recordings(other), strict=True):
        assert (before.id, before.subject, before.info) == (after.id, after.subject, after.info)
    assert np.array_equal(frames_of(reader, before)[0], frames_of(reader, after)[0])
    assert np.array_equal(label_of(reader, before).values, label_of(reader, after).values)


@pytest.mark.parametrize("name", NAMES)
def test_one_frame_is_a_recording(name, tmp_path):
    """A video of a single frame is read, with a label value for it."""
    write_layout(name, tmp_path, settings_of(name, seconds=0.02))
    reader = loader(name)
    recording = reader.recordings(tmp_path)[0]
    frames, times = frames_of(reader, recording)
    assert len(frames) == 1
    clock = None if times[0] is None else np.array(times)
    assert align(label_of(reader, recording), clock, 1, "index").shape == (1,)


@pytest.mark.parametrize("name", NAMES)
def test_nan_in_the_label_is_an_error(name, tmp_path, monkeypatch):
    """A label with a hole is refused by name, and never becomes a number."""
    written = Session.truth

    def with_hole(session):
        truth = written(session)
        for values in (truth.ppg, truth.ppg_native):
            values[len(values) // 4] = np.nan
        return truth

    if name not in ("PURE", "ECG-Fitness", "LGI-PPGI"):  # whose waves are whole numbers, or no pulse
        monkeypatch.setattr(Session, "truth", with_hole)
    write_layout(name, tmp_path, settings_of(name))
    if name == "PURE":
        path = next(tmp_path.rglob("*.json"))
        content = json.loads(path.read_text())
        content["/FullPackage"][3]["Value"]["waveform"] = float("nan")
        path.write_text(json.dumps(content))
    if name == "ECG-Fitness":
        path = sorted(tmp_path.rglob("viatom-raw.csv"))[0]
        rows = path.read_text().splitlines()
        rows[len(rows) // 2] = rows[len(rows) // 2].replace(rows[len(rows) // 2].split(",")[1], " nan", 1)
        path.write_text("\n".join(rows))
    if name == "LGI-PPGI":
        path = sorted(tmp_path.rglob(LABEL[name]))[0]
        path.write_text(re.sub(r"<value2>\d+<", "<value2>nan<", path.read_text(), count=1))
    reader = loader(name)
    recording = reader.recordings(tmp_path)[0]
    with pytest.raises(ValueError, match="NaN"):
        check_signals(reader.read_wave(recording), reader.signals)
