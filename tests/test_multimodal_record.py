"""The recorder: simulated devices go in, a valid recording comes out, whatever ends it."""

import json
import os
import random
import re
import shutil
import signal
import subprocess
import sys
import time

import numpy as np
import pytest

from dataset.multimodal.checks import ERROR, check_set
from dataset.multimodal.layout import Session
from tests.conftest import ROOT
from tests.recording_tools import PROGRAM, SMALL, kill_all, setup_file, started, wait_for
from tools.multimodal.device import DEVICES, Array, Flag, Noted, Sample, Table, Video
from tools.multimodal.finish import finish, finish_device
from tools.multimodal.link import Link, pair
from tools.multimodal.order import GIVEN_UP, ClockError, Order
from tools.multimodal.record import main
from tools.multimodal.recorder import DiskFullError, Recorder, Running
from tools.multimodal.setup import Setup, checked_devices, read_setup, simulated
from tools.multimodal.stores import Store

SECOND = 1_000_000_000
MARKED = {**SMALL, "marks": {"driver": "sync marks", "every_s": 8.0}}


def counted(session: Session) -> dict[str, tuple[int, int]]:
    """Samples in the file and lines of times of each device."""
    read = {
        "rgb": lambda: sum(1 for _ in session.frames()),
        "thermal": lambda: len(session.thermal()),
        "radar": lambda: len(session.radar()),
        "ppg": lambda: len(session.ppg()["t_ns"]),
    }
    return {name: (read[name](), len(session.stamps(name))) for name in session.present}


def errors(root) -> list[str]:
    """What validating says is wrong, but for marks, of which a short recording has none, and late arrivals.

    A machine that does other things lets a sample wait; at the end of a recording that looks like a clock that was set.
    """
    found = [str(one) for one in check_set(root)[1] if one.level == ERROR]
    return [said for said in found if "marks" not in said and "clock step" not in said]


@pytest.fixture(scope="module")
def recorded(tmp_path_factory):
    """A recording of 4 s, and what the recorder said."""
    folder = tmp_path_factory.mktemp("recorded")
    setup = setup_file(folder, MARKED, thermal_to_rgb=np.eye(3).tolist())
    arguments = ("--root", folder / "set", "--setup", setup, "--seconds", 4)
    process = started(*arguments)
    said, wrong = process.communicate(timeout=120)
    assert process.returncode == 0, wrong
    return folder / "set", said


# --- A whole recording ----------------------------------------------------------------------------------------------


def test_four_devices_become_a_valid_recording(recorded):
    """As many samples as times, one clock, numbers of samples in meta.json; the subject is entered, without a name."""
    root, said = recorded
    session = Session(root / "s001" / "r01")
    assert errors(root) == [] and session.meta.finished and session.meta.values["interrupted"] is False
    for name, (samples, times) in counted(session).items():
        stamps, device = session.stamps(name), session.meta.devices[name]
        assert 0 < samples == times == device["samples"] and device["problem"] == "", name
        assert (np.diff(stamps.device) > 0).all() and (np.diff(stamps.host) > 0).all(), name
        begun = session.meta.values["start_host_ns"]
        assert begun - SECOND < stamps.host[0] and stamps.host[-1] < begun + 90 * SECOND, name
    assert session.meta.values["scenario"] == {"light": "lamp"} and "is finished: marks" in said
    assert json.loads((root / "dataset.json").read_text())["subjects"] == ["s001"]
    assert (root / "subjects.csv").read_text().splitlines()[1] == "s001,,,,,"
    assert session.scale().kelvin_per_count == 0.01 and session.chirp().chirps_per_frame == 2


def test_the_pulse_is_in_what_was_recorded(recorded):
    """One heart: in the finger's wave it swings as far as the simulated one."""
    values = Session(recorded[0] / "s001" / "r01").ppg()
    assert np.ptp(values["value"]) > 400 and np.ptp(values["mark"]) in (0, 1023)


def test_a_recording_is_never_written_over(recorded, capsys):
    """The next free name is taken where none is given."""
    root = recorded[0]
    before = (root / "s001" / "r01" / "meta.json").read_bytes()
    assert main(["--root", str(root), "--simulate", "--recording", "r01"]) == 2
    assert "is never written over. Choose another --recording" in capsys.readouterr().err
    assert (root / "s001" / "r01" / "meta.json").read_bytes() == before
    assert main(["--finish", str(root / "s001" / "r01")]) == 0 and "finished already" in capsys.readouterr().out


@pytest.mark.parametrize(("arguments", "said"), [
    (["--simulate"], "needs --root DATA"),
    (["--root", "x"], "--setup FILE or --simulate: one of both"),
    (["--root", "x", "--simulate", "--subject", "../y"], "--subject is called"),
    (["--root", "x", "--simulate", "--seconds", "-1"], "--seconds -1"),
    (["--root", "x", "--setup", "absent.yaml"], "'absent.yaml' does not exist"),
    (["--finish", "absent"], "does not exist"),
])  # fmt: skip
def test_arguments_that_cannot_be_meant(arguments, said, capsys, tmp_path, monkeypatch):
    """One sentence, exit code 2, and nothing is made."""
    monkeypatch.chdir(tmp_path)
    assert main(arguments) == 2 and said in capsys.readouterr().err and not list(tmp_path.iterdir())


@pytest.mark.parametrize(("text", "said"), [
    ("devices: [", "is no YAML file"),
    ("a: 1", "has no table `devices`"),
    ("devices: {}", "0 devices"),
    ("devices: {rgb: {driver: uvc camera, widht: 3}}", "rgb (uvc camera) has no setting 'widht'"),
    ("devices: {rgb: {driver: uvc}}", "Unknown device 'uvc'"),
    ("devices: {rgb: uvc}", "needs a table with its `driver`"),
    ("devices: {../x: {driver: uvc camera}}", "A device is called"),
    ("devices: {rgb: {driver: uvc camera}}\nscene: 1", "has scene, which is none of"),
])  # fmt: skip
def test_setups_that_cannot_be_meant(text, said, tmp_path):
    """The file and the entry are named."""
    path = tmp_path / "setup.yaml"
    path.write_text(text)
    with pytest.raises(ValueError, match=re.escape(said)) as caught:
        read_setup(path)
    assert str(path) in str(caught.value)


def test_two_simulated_setups_share_their_marks():
    """All devices of one are told the same moment."""
    times = {one["options"]["first_ns"] for one in simulated(9.0).devices.values()}
    assert len(times) == 1 and {one["options"]["every_s"] for one in simulated(9.0).devices.values()} == {9.0}


# --- Kills ----------------------------------------------------------------------------------------------------------


def killed(tmp_path, after):
    """A recording whose processes were all killed `after` s of samples, and the time of that on the host's clock."""
    setup = setup_file(tmp_path, thermal_to_rgb=np.eye(3).tolist())
    process = started("--root", tmp_path / "set", "--setup", setup, "--quiet")
    folder = tmp_path / "set" / "s001" / "r01"
    for name in SMALL:
        wait_for(folder / name / "timestamps.csv", 100)
    time.sleep(after)
    moment = time.monotonic_ns()
    kill_all(process)
    return folder, moment


def test_a_kill_leaves_what_can_be_read_and_finishing_makes_it_valid(tmp_path, capsys):
    """Of every device all but the last moment; a second time nothing changes."""
    folder, moment = killed(tmp_path, 2.0)
    assert "--finish" in "".join(map(str, check_set(folder.parents[1])[1]))
    assert main(["--finish", str(folder)]) == 0
    session = Session(folder)
    assert errors(folder.parents[1]) == [] and session.meta.finished and session.meta.values["interrupted"]
    for name, (samples, times) in counted(session).items():
        assert samples == times == session.meta.devices[name]["samples"], name
        assert moment - session.stamps(name).host[-1] < 5 * SECOND, name  # how little is lost: the slow test
    before = {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    assert main(["--finish", str(folder)]) == 0
    assert before == {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.mark.slow
def test_kills_at_ten_moments_lose_a_second_at_most(tmp_path):
    """Each validates afterwards."""
    chance, lost = random.Random(7), {}
    for number in range(10):
        (tmp_path / str(number)).mkdir()
        folder, moment = killed(tmp_path / str(number), chance.uniform(0.0, 5.0))
        finish(folder, say=lambda text: None)
        session = Session(folder)
        assert errors(folder.parents[1]) == []
        for name, (samples, times) in counted(session).items():
            assert samples == times
            lost[number, name] = (moment - session.stamps(name).host[-1]) / SECOND
    assert max(lost.values()) <= 1.0


@pytest.mark.slow
def test_a_recorder_that_is_killed_alone_leaves_whole_files(tmp_path):
    """Its devices notice that it is gone, and end by themselves; they are not finished meanwhile."""
    setup = setup_file(tmp_path, thermal_to_rgb=np.eye(3).tolist())
    process = started("--root", tmp_path / "set", "--setup", setup, "--quiet")
    folder = tmp_path / "set" / "s001" / "r01"
    for name in SMALL:
        wait_for(folder / name / "timestamps.csv", 100)
    assert main(["--finish", str(folder)]) == 2
    os.kill(process.pid, signal.SIGKILL)
    process.wait(20)
    until = time.monotonic() + 30
    while main(["--finish", str(folder)]) and time.monotonic() < until:
        time.sleep(0.2)
    assert errors(folder.parents[1]) == [] and Session(folder).meta.finished


@pytest.mark.slow
def test_ctrl_c_ends_a_recording_in_order(tmp_path):
    """Also where all processes get it, as from a terminal."""
    setup = setup_file(tmp_path, {"ppg": SMALL["ppg"], "radar": SMALL["radar"]})
    process = started("--root", tmp_path / "set", "--setup", setup)
    folder = tmp_path / "set" / "s001" / "r01"
    wait_for(folder / "ppg" / "timestamps.csv", 100)
    wait_for(folder / "radar" / "timestamps.csv", 100)
    os.killpg(process.pid, signal.SIGINT)
    assert process.wait(60) == 0
    session = Session(folder)
    assert session.meta.finished and not session.meta.values["interrupted"]
    assert [event.kind for event in session.events()][-1] == "stopped by the user"


# --- Devices that fail ----------------------------------------------------------------------------------------------

FAILING = """
import errno, os, time
from tools.multimodal.device import DEVICES, Device, DeviceError, Sample, Table, host_ns

@DEVICES.register("failing")
class Failing(Device):
    OPTIONS = {"how": "stops", "after": 5}
    store = Table("values", ("value",))
    rate, silent = 50.0, 1.0

    def open(self):
        self._count = 0
        if self.options["how"] == "absent":
            raise DeviceError("it is not there. Plug it in")

    def start(self): ...
    def stop(self): ...
    def describe(self): return {}

    def read(self):
        time.sleep(0.02)
        self._count += 1
        after = self._count > self.options["after"]
        now, how = host_ns(), self.options["how"]
        if after and how == "silent":
            return []
        if after and how == "unplugged":
            raise DeviceError("it was unplugged")
        if after and how == "bug":
            raise RuntimeError("a fault of the driver")
        if after and how == "killed":
            os.kill(os.getpid(), 9)
        device = now - 1_000_000_000_000 * (after and how == "set back") + 600_000_000 * (after and how == "away")
        return [Sample((1.0,), device, now)]
"""


@pytest.fixture
def plugin(tmp_path):
    """A file with a driver that fails as it is told."""
    path = tmp_path / f"failing_{abs(hash(tmp_path))}.py"  # a module of its own in each test
    path.write_text(FAILING)
    return path


RETURNING = """

@DEVICES.register("returning")
class Returning(Failing):
    restarts, opened = True, 0

    def open(self):
        Returning.opened += 1
        self._count = 0

    def read(self):
        if self._count == 25 and Returning.opened == 1:
            raise DeviceError("it was pulled out")
        return super().read()
"""


@pytest.mark.slow
def test_a_device_whose_times_go_on_is_opened_again(plugin, tmp_path):
    """A camera that was pulled out for a moment: a gap that is an event."""
    plugin.write_text(FAILING + RETURNING)
    devices = {"extra": {"driver": "returning", "after": 10_000}}
    setup = setup_file(tmp_path, devices)
    process = started("--root", tmp_path / "set", "--setup", setup, "--seconds", 6, "--quiet", "--plugin", plugin)
    out, wrong = process.communicate(timeout=120)
    session = Session(tmp_path / "set" / "s001" / "r01")
    counts = session.meta.devices["extra"]["counts"]
    assert process.returncode == 0 and counts["reopened"] == 1 and counts["missing"] > 50, (out, wrong)
    assert [one.kind for one in session.events()][1:3] == ["extra: stopped: it was pulled out", "extra: opened again"]
    assert len(session.stamps("extra")) > 50


FAILURES = {  # how a device fails -> what is said
    "absent": "it is not there. Plug it in",
    "silent": "no sample came for 1 s",
    "unplugged": "it was unplugged",
    "bug": "its process ended by itself (exit code 1)",
    "killed": "its process ended by itself (exit code -9)",
    "set back": "; samples after that cannot be put in order",
}


def test_devices_that_fail_are_a_sentence_each_and_the_others_go_on(plugin, tmp_path):
    """In one recording; what they had recorded stays."""
    failing = {how.replace(" ", "-"): {"driver": "failing", "how": how, "after": 25} for how in FAILURES}
    setup = setup_file(tmp_path, {"ppg": SMALL["ppg"], **failing})
    process = started("--root", tmp_path / "set", "--setup", setup, "--seconds", 4, "--quiet", "--plugin", plugin)
    out, _ = process.communicate(timeout=120)
    session = Session(tmp_path / "set" / "s001" / "r01")
    assert process.returncode == 1 and session.meta.finished
    for name, said in zip(failing, FAILURES.values(), strict=True):
        assert re.search(rf"^{name}: .*{re.escape(said)}\. The other devices go on\.$", out, re.M), out
        assert any(event.kind.startswith(f"{name}: ended: ") for event in session.events())
        if name != "absent":
            assert session.meta.devices[name]["problem"]
            assert 5 < len(session.stamps(name)) == session.meta.devices[name]["samples"] <= 25
    assert session.stamps("ppg").host[-1] > session.meta.values["start_host_ns"] + 3 * SECOND


def test_a_clock_that_runs_away_is_told_and_recorded(plugin, tmp_path):
    """By more than 500 ms since the first sample; the device goes on."""
    devices = {"extra": {"driver": "failing", "how": "away"}}
    arguments = ["--root", tmp_path / "set", "--setup", setup_file(tmp_path, devices), "--seconds", 1.5, "--quiet"]
    assert main([*map(str, arguments), "--plugin", str(plugin)]) == 0
    session = Session(tmp_path / "set" / "s001" / "r01")
    assert session.meta.devices["extra"]["counts"]["clock off"] == 1
    assert any("clock off by +600 ms" in event.kind for event in session.events())


def test_where_no_device_opens_nothing_is_recorded(plugin, tmp_path):
    """A sentence with each reason."""
    setup = setup_file(tmp_path, {"extra": {"driver": "failing", "how": "absent"}})
    process = started("--root", tmp_path / "set", "--setup", setup, "--plugin", plugin)
    _, wrong = process.communicate(timeout=60)
    assert process.returncode == 2 and "No device could be opened: extra: it is not there" in wrong


# --- The disk -------------------------------------------------------------------------------------------------------


def test_a_disk_that_is_full_at_the_beginning_is_a_sentence(tmp_path, monkeypatch):
    """Before anything is opened."""
    monkeypatch.setattr(shutil, "disk_usage", lambda path: shutil._ntuple_diskusage(10**9, 10**9, 1 << 20))
    with pytest.raises(DiskFullError, match="has 1 MB left, and a recording needs 200 MB to begin. Make room"):
        Recorder(Setup({}), tmp_path / "s" / "r", {}).record(1.0)
    assert not any(tmp_path.iterdir())


def test_a_disk_that_fills_ends_the_recording_in_time(tmp_path, monkeypatch):
    """It is whole then."""
    room, said = iter([1 << 40, 1 << 40]), []
    monkeypatch.setattr(shutil, "disk_usage", lambda path: shutil._ntuple_diskusage(1, 1, next(room, 50 << 20)))
    devices = checked_devices({"ppg": SMALL["ppg"]})
    recorder = Recorder(Setup(devices), tmp_path / "s" / "r", {"id": "x"}, said.append)
    assert recorder.record(60.0) == 0
    assert said[0] == "The disk has 50 MB left: the recording ends here and is whole."
    assert Session(tmp_path / "s" / "r").meta.finished and recorder.seconds < 30


def test_a_view_that_fails_ends_no_recording(tmp_path):
    """It is said once; the others go on being told."""
    said, seen, (ours, theirs) = [], [], pair()
    recorder = Recorder(Setup({}), tmp_path / "s" / "r", {}, said.append)
    recorder.watchers += [lambda *_: 1 / 0, lambda name, message: seen.append((name, message))]
    camera = Running("rgb", None, Link(ours))
    for message in (b"one", b"two"):
        theirs.send(message)
        recorder._hear(camera)
    theirs.close()
    assert seen == [("rgb", b"one"), ("rgb", b"two")] and len(recorder.watchers) == 1
    assert said == ["A part of what is shown live has failed (ZeroDivisionError('division by zero')). "
                    "The recording goes on."]  # fmt: skip


@pytest.mark.slow
def test_a_full_disk_ends_one_device_and_what_it_wrote_stays_whole(tmp_path):
    """A limit on the size of files in place of a disk: the radar reaches it, the finger does not."""
    setup = setup_file(tmp_path, {"radar": {**SMALL["radar"], "chirps": 8}, "ppg": SMALL["ppg"]})
    code = (
        "import resource, sys; resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 18, 1 << 18)); "
        f"sys.path.insert(0, {str(ROOT)!r}); from tools.multimodal.record import main; sys.exit(main(sys.argv[1:]))"
    )
    arguments = ["--root", tmp_path / "set", "--setup", setup, "--seconds", 5, "--quiet"]
    ended = subprocess.run([sys.executable, "-c", code, *map(str, arguments)], cwd=ROOT, capture_output=True, text=True)
    session = Session(tmp_path / "set" / "s001" / "r01")
    assert ended.returncode == 1 and "radar: nothing more could be written (" in ended.stdout, ended
    assert len(session.radar()) == len(session.stamps("radar")) == session.meta.devices["radar"]["samples"] > 5
    assert session.meta.devices["ppg"]["problem"] == "" and len(session.stamps("ppg")) > 200


# --- Parts ----------------------------------------------------------------------------------------------------------


def samples_at(*times):
    """Samples with these device times in ms; host times follow them."""
    return [Sample((1.0,), round(1e6 * time), round(1e6 * time) + 7) for time in times]


def test_only_later_samples_are_kept_and_the_others_counted():
    """Backward and doubled stamps; samples that are missing by the device's clock."""
    noted = Noted()
    order = Order(noted, rate=100.0)
    kept = [order.keep(one) for one in samples_at(0, 10, 10, 20, 15, 30, 60, 70)]
    assert kept == [True, True, False, True, False, True, True, True]
    assert noted.counts == {"doubled stamp": 1, "backward stamp": 1, "missing": 2} and len(noted.events) == 2


def test_a_clock_that_was_set_back_is_given_up():
    """After so many samples in a row that are earlier."""
    order = Order(Noted())
    order.keep(samples_at(10_000)[0])
    with pytest.raises(ClockError, match=r"set from 10.000 s back to 0.0\d\d s"):
        for one in samples_at(*range(GIVEN_UP)):
            assert not order.keep(one)


@pytest.mark.parametrize("codec", ["h264", "ffv1"])
@pytest.mark.parametrize("depth", [2, 3])
def test_a_video_gives_back_every_byte(tmp_path, codec, depth):
    """YUYV as the camera sent it, RGB as it is; finishing keeps the times."""
    import av

    from dataset.files.video import iter_frames
    from tools.multimodal.video_store import finish_video

    frames = np.random.default_rng(1).integers(16, 230, (8, 48, 64, depth)).astype(np.uint8)
    store = Store(tmp_path / "rgb", Video(codec=codec), 30.0)
    for number, frame in enumerate(frames):
        store.append(Sample(frame, 40_000_000 * number, 40_000_000 * number + 1))
    store.close()
    path = tmp_path / "rgb" / "video.mkv"
    finish_video(path, 5)
    with av.open(str(path)) as container:
        how = {2: "yuyv422", 3: "rgb24"}[depth]
        found = [frame.reformat(format=how).to_ndarray().reshape(48, 64, depth) for frame in container.decode(video=0)]
    np.testing.assert_array_equal(found, frames[:5])
    assert [round(frame.time, 3) for frame in iter_frames(path)] == [0.0, 0.04, 0.08, 0.12, 0.16]


@pytest.mark.parametrize("kind", [Array("frames"), Table("values", ("value", "other")), Video()])
@pytest.mark.parametrize("cut", ["data", "timestamps.csv"])
def test_files_that_end_anywhere_are_cut_to_what_all_have(tmp_path, kind, cut):
    """In the middle of a sample, of a line, of a number."""
    folder = tmp_path / "device"
    store = Store(folder, kind, 30.0)
    for number in range(30):
        data = (number, float("nan")) if isinstance(kind, Table) else np.full((16, 16, 3), number, np.uint8)
        store.append(Sample(data, 10_000_000 * number, 10_000_000 * number + 1, (Flag("odd"),) if number % 2 else ()))
    store.close()
    data = next(one for one in folder.iterdir() if one.stem in ("frames", "values", "video"))
    path = data if cut == "data" else folder / cut
    os.truncate(path, path.stat().st_size * 2 // 3)
    count = finish_device(folder)
    assert 15 <= count < 30
    lines = (folder / "timestamps.csv").read_text().splitlines()
    assert len(lines) == count + 1 and lines[-1].startswith(f"{count - 1},")
    assert all(int(line.split(",")[0]) < count for line in (folder / "flags.csv").read_text().splitlines()[1:])
    assert finish_device(folder) == count


@pytest.mark.parametrize("name", ["frames.npy", "video.mkv", "values.csv"])
def test_files_that_were_killed_at_their_first_byte_are_no_samples(tmp_path, name):
    """Empty ones, and half a header."""
    (tmp_path / "timestamps.csv").write_text("index,t_device_ns,t_host_ns\n0,1,2\n1,2,")
    for content in (b"", b"\x93NUMPY" if name.endswith("npy") else b"\x1a\x45"):
        (tmp_path / name).write_bytes(content)
        assert finish_device(tmp_path) == 0
    assert (tmp_path / "timestamps.csv").read_text() == "index,t_device_ns,t_host_ns\n"


def test_finishing_a_strangers_recording_changes_nothing_outside_it(tmp_path):
    """Names that lead out of it, links, tables of no devices."""
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "timestamps.csv").write_text("index,t_device_ns,t_host_ns\n0,1,")
    folder = tmp_path / "s" / "r"
    folder.mkdir(parents=True)
    (folder / "events.csv").write_text("t_ns,clock,kind\n")
    (folder / "linked").symlink_to(outside)
    (folder / "within").mkdir()
    (folder / "within" / "timestamps.csv").symlink_to(outside / "timestamps.csv")
    for devices, said in (
        ({"../../outside": {}}, "A device is called"), ({"linked": {}}, "is a link to another place"),
        ({"within": {}}, "is a link to another place"), ([1], "has no table `devices`"), ({"x": 1}, "has no table"),
    ):  # fmt: skip
        (folder / "meta.json").write_text(json.dumps({"devices": devices, "finished": False}))
        with pytest.raises(ValueError, match=said):
            finish(folder)
    assert (outside / "timestamps.csv").read_text().endswith("0,1,")


@pytest.mark.parametrize("damaged", ["frames.npy", "timestamps.csv"])
def test_what_is_damaged_and_not_merely_cut_is_left_as_it_is(tmp_path, damaged):
    """A file that has lost ten seconds was not left by a kill: the other one is not cut to it."""
    store = Store(tmp_path / "device", Array("frames"), 30.0)
    for number in range(200):
        store.append(Sample(np.full((4, 4), number, np.uint8), 100_000_000 * number, 100_000_000 * number + 1))
    store.close()
    path = tmp_path / "device" / damaged
    os.truncate(path, path.stat().st_size // 3)
    before = {one: one.read_bytes() for one in path.parent.iterdir()}
    with pytest.raises(ValueError, match="no kill leaves that, one of them is damaged. Nothing was changed"):
        finish_device(path.parent)
    assert before == {one: one.read_bytes() for one in path.parent.iterdir()}


@pytest.mark.slow
def test_a_step_of_the_wall_clock_is_an_event_and_moves_nothing(tmp_path, monkeypatch):
    """By one second, in the middle of a recording."""
    true, begun = time.time, time.monotonic()
    monkeypatch.setattr(time, "time", lambda: true() + (time.monotonic() - begun > 4.0))
    devices = checked_devices({"ppg": SMALL["ppg"]})
    Recorder(Setup(devices), tmp_path / "s" / "r", {"id": "x"}, lambda text: None).record(5.0)
    session = Session(tmp_path / "s" / "r")
    assert [one.kind for one in session.events() if "wall" in one.kind] == ["wall clock stepped by +1.000 s"]
    assert session.stamps("ppg").host[-1] - session.stamps("ppg").host[0] < 60 * SECOND


def test_every_driver_says_where_its_samples_go():
    """One of the three kinds of file."""
    assert all(isinstance(DEVICES[name].store, (Video, Array, Table)) for name in DEVICES.names())


def test_the_program_runs_as_a_file_from_anywhere(tmp_path):
    """And says what it can."""
    ended = subprocess.run([sys.executable, str(PROGRAM), "--help"], cwd=tmp_path, capture_output=True, text=True)
    assert ended.returncode == 0 and "--finish" in ended.stdout


def test_last_words_are_heard_although_the_other_side_has_not_read_everything():
    """A socket that is closed with something unread in it resets the connection; what it sent before is still there."""
    ours, theirs = map(Link, pair())
    assert ours.tell(stop=True) and theirs.tell(state={"samples": 3}) and theirs.tell(ended="")
    theirs.close()
    assert ours.heard() == [{"state": {"samples": 3}}, {"ended": ""}] and ours.gone


def test_a_link_never_makes_anybody_wait():
    """What nobody reads is dropped; pictures and words keep their order and their borders."""
    ours, theirs = map(Link, pair())
    sent = [ours.send(b"\x01" + bytes(50_000)) for _ in range(200)]
    assert sent[0] and not all(sent) and not ours.send(bytes(10_000_000))
    assert len(theirs.heard()) == sum(sent) and ours.tell(a=1) and theirs.heard() == [{"a": 1}]
