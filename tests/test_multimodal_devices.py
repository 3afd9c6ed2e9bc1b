"""Drivers of sensors, on hardware that is not there: cameras, a pseudo-terminal, UDP on the loopback."""

import contextlib
from types import SimpleNamespace

import cv2
import numpy as np
import pytest

from tests.recording_tools import take
from tools.multimodal import capture, cms50
from tools.multimodal.device import DEVICES, DeviceError, host_ns
from tools.multimodal.devices.uvc import UvcCamera
from tools.multimodal.devices.y16 import Y16Camera
from tools.multimodal.lepton import HEIGHT, WIDTH, Telemetry, joined, split
from tools.multimodal.simulated.body import CLOCK
from tools.multimodal.simulated.cameras import FaceCamera, Lepton, Paced
from tools.multimodal.simulated.serial import Controller, Oximeter

CAMERA = {"width": 160, "height": 120, "fps": 60.0}
THERMAL = {"fps": 60.0, "ppm": 0.0, "ffc_s": 0.0, "frozen_from": 0, **CLOCK}


@contextlib.contextmanager
def opened(device):
    """The device while it is open and started."""
    try:
        device.open()
        device.start()
        yield device
    finally:
        device.stop()


# --- Registry -------------------------------------------------------------------------------------------------------


def test_every_driver_has_settings_that_are_its_own():
    """And refuses others with a sentence."""
    assert {"uvc camera", "uvc y16", "dca1000", "cms50", "microcontroller"} <= set(DEVICES.names())
    for name in DEVICES.names():
        DEVICES[name]()
        with pytest.raises(ValueError, match="has no setting 'colour'. It has: "):
            DEVICES[name]({"colour": 1})
    with pytest.raises(ValueError, match="width is '640', where a value such as 640 is meant"):
        UvcCamera({"width": "640"})


# --- Cameras --------------------------------------------------------------------------------------------------------


class Webcam(FaceCamera):
    """A simulated camera; what tests change of it."""

    def __init__(self, refuse=None, offset_ns=0, **changed):
        """Properties that it refuses to change, and by how much its stamps are off."""
        super().__init__({**CAMERA, **CLOCK, **changed})
        self._refuse |= refuse or {}
        self._values |= refuse or {}
        self._offset, self.unplugged = offset_ns, False

    def get(self, key):
        """As the simulated one."""
        value = super().get(key)
        return value + self._offset / 1e6 if key == cv2.CAP_PROP_POS_MSEC else value

    def grab(self):
        """False once it is gone."""
        return super().grab() and not self.unplugged


def webcam(camera, **options):
    """The driver on `camera`."""
    device = UvcCamera({**CAMERA, "settle_s": 0.0, "device": "/dev/video9", **options})
    device.opener = lambda name: camera
    return device


def test_a_camera_keeps_the_drivers_times_and_the_bytes_it_sent():
    """YUYV as it came; times a 60th of a second apart although the frames are taken late."""
    camera = Webcam()
    with opened(webcam(camera)) as device:
        samples = take(device, 5)
        np.testing.assert_array_equal(samples[-1].data, camera.picture(samples[-1].t_device_ns))
        assert device.describe()["clock"] == "driver, monotonic"
    assert all(abs(b.t_device_ns - a.t_device_ns - 1e9 / 60) < 2 for a, b in zip(samples, samples[1:], strict=False))


@pytest.mark.parametrize("offset", [5_000_000_000, -(1 << 61)])
def test_times_of_another_clock_are_not_believed(offset):
    """Wall time or zero: the frame's arrival counts, and meta.json says so."""
    with opened(webcam(Webcam(offset_ns=offset))) as device:
        sample = take(device, 1)[0]
        assert sample.t_device_ns == sample.t_host_ns and device.describe()["clock"] == "host, at arrival"


def test_what_a_camera_refuses_is_said():
    """Exposure that stays automatic is not called locked; half the rate is an event; another size ends it."""
    with opened(webcam(Webcam(), exposure_ms=10.0)) as device:
        assert device.describe()["settings"]["locked"] and not device.noted.events
    with opened(webcam(Webcam({cv2.CAP_PROP_AUTO_EXPOSURE: 3}), exposure_ms=10.0)) as device:
        assert not device.describe()["settings"]["locked"]
        assert device.noted.events[0][1] == "does not take manual exposure"
    with opened(webcam(Webcam(fps=30.0), settle_s=0.5)) as device:
        assert "of 60 frames per second" in device.noted.events[0][1]
    with (
        pytest.raises(DeviceError, match="gives 320x120 YUYV, not 160x120 YUYV"),
        opened(webcam(Webcam({cv2.CAP_PROP_FRAME_WIDTH: 320}))),
    ):
        pass


def test_a_camera_that_wants_another_order_gets_it():
    """It takes the size only after the format was set a second time."""

    class Picky(Webcam):
        def set(self, key, value):
            if key == cv2.CAP_PROP_FRAME_WIDTH and not self._values.get(cv2.CAP_PROP_FRAME_HEIGHT) == 120:
                return False
            return super().set(key, value)

    camera = Picky()
    camera._refuse.clear()
    camera._values |= {cv2.CAP_PROP_FRAME_WIDTH: 320, cv2.CAP_PROP_FRAME_HEIGHT: 240}
    with opened(webcam(camera)):
        assert camera.get(cv2.CAP_PROP_FRAME_WIDTH) == 160


def test_a_camera_of_motion_jpeg_gives_rgb():
    """OpenCV decodes it, to BGR."""
    camera = Webcam({cv2.CAP_PROP_FOURCC: cv2.VideoWriter_fourcc(*"MJPG")})
    camera.picture = lambda t_ns: np.full((120, 160, 3), (10, 20, camera.index % 200), np.uint8)
    with opened(webcam(camera, pixels="mjpg")) as device:
        sample = take(device, 1)[0]
        assert sample.data.shape == (120, 160, 3) and sample.data[0, 0].tolist() == [camera.index % 200, 20, 10]


def test_a_shorter_frame_than_the_size_says_is_a_sentence():
    """As drivers hand on when a transfer broke."""
    camera = Webcam()
    camera.picture = lambda t_ns: np.zeros((1, 1000), np.uint8)
    with (
        pytest.raises(DeviceError, match="a frame of 1000 bytes, where 38400 belong to YUYV"),
        opened(webcam(camera)) as device,
    ):
        take(device, 1)


def test_repeated_frames_are_flagged_and_an_unplugged_camera_is_a_sentence():
    """A frame that is the one before, byte by byte."""
    camera = Webcam()
    with opened(webcam(camera)) as device:
        take(device, 1)
        held = camera.picture(camera.taken)
        camera.picture = lambda t_ns: held
        assert [flag.kind for sample in take(device, 3)[1:] for flag in sample.flags] == ["repeated"] * 2
        camera.unplugged = True
        with pytest.raises(DeviceError, match="gives no frames any more"):
            take(device, 1)


def test_another_camera_under_that_number_is_refused(tmp_path):
    """By the USB ids that the system tells; where it tells none, nothing is known."""
    device = tmp_path / "video2" / "device"
    device.mkdir(parents=True)
    assert capture.require_usb("/dev/video2", "1e4e:0100", tmp_path) == ""
    for name, value in (("idVendor", "046d"), ("idProduct", "0825")):
        (device / name).write_text(value + "\n")
    with pytest.raises(DeviceError, match="is 046d:0825, and 1e4e:0100 is wanted"):
        capture.require_usb("2", "1e4e:0100", tmp_path)
    link = tmp_path / "by-id" / "usb-camera"  # as /dev/v4l names cameras
    link.parent.mkdir()
    link.symlink_to(tmp_path / "video2")
    assert capture.usb_ids(str(link), tmp_path) == "046d:0825"


# --- Thermal --------------------------------------------------------------------------------------------------------


def thermal(camera, **options):
    """The driver on `camera`."""
    device = Y16Camera({"fps": 60.0, **options})
    device.opener = lambda name: camera
    return device


def test_telemetry_goes_through_the_frame():
    """As it was put in; the picture without its rows."""
    picture, told = np.arange(HEIGHT * WIDTH, dtype=np.uint16).reshape(HEIGHT, WIDTH), Telemetry(70_001, 2, 99_999, 0.1)
    seen, found = split(joined(picture, told))
    assert found == told and np.array_equal(seen, picture) and split(picture)[1] is None


def test_a_thermal_camera_gives_counts_and_its_own_time():
    """Also where OpenCV hands the bytes on flat; 122 rows are 120."""
    camera = Lepton(THERMAL)
    whole = camera.picture
    camera.picture = lambda t_ns: whole(t_ns).reshape(1, -1).view(np.uint8)
    with opened(thermal(camera)) as device:
        sample = take(device, 1)[0]
        assert sample.data.shape == (120, 160) and sample.data.dtype == np.uint16
        assert 29_500 < sample.data.min() and sample.data.max() < 30_700  # no telemetry in the picture
        assert sample.t_device_ns == camera._clock.at(camera.taken) // 1_000_000 * 1_000_000
        assert device.describe()["files"]["scale.json"]["kelvin_per_count"] == 0.01


def test_time_since_power_on_goes_on_after_its_32_bits():
    """49.7 days are over during the recording."""
    camera = Lepton(THERMAL)
    camera._clock._begin = ((1 << 32) - 30) * 1_000_000
    with opened(thermal(camera)) as device:
        times = [sample.t_device_ns for sample in take(device, 6)]
    assert times == sorted(times) and times[-1] >= (1 << 32) * 1_000_000


@pytest.mark.parametrize(("camera", "said"), [
    (lambda: Lepton(THERMAL, radiometric=False), "its counts are no temperatures"),
    (lambda: Lepton(THERMAL, radiometric=False, telemetry=False), "its counts are no temperatures"),
    (lambda: Webcam(), "gives YUYV, not Y16"),
    (lambda: Webcam({cv2.CAP_PROP_FOURCC: 0}, width=162), "bytes, not 120 or 122 rows of 160 counts of 16 bits"),
])  # fmt: skip
def test_what_is_no_thermal_camera_is_refused(camera, said):
    """Faces at -195 deg C, and a webcam."""
    with pytest.raises(DeviceError, match=said):
        thermal(camera()).open()


def test_the_shutter_and_a_standing_picture_are_flagged(monkeypatch):
    """And after FROZEN s the camera is opened again."""
    with opened(thermal(Lepton({**THERMAL, "ffc_s": 1.0}))) as device:
        assert {flag.kind for sample in take(device, 4) for flag in sample.flags} == {"ffc", "frozen"}
    monkeypatch.setattr("tools.multimodal.devices.y16.FROZEN", 0.1)
    with opened(thermal(Lepton({**THERMAL, "frozen_from": 3}))) as device, pytest.raises(DeviceError, match="the same"):
        take(device, 60)


# --- Oximeters ------------------------------------------------------------------------------------------------------

READINGS = [cms50.Reading(wave, rate, 97.0, True) for wave, rate in ((3, 62.0), (127, 140.0), (64, 200.0))]
PROTOCOLS = [(cms50.old, cms50.five_bytes), (cms50.new, cms50.nine_bytes)]


@pytest.mark.parametrize(("parser", "packed"), PROTOCOLS)
def test_packets_of_oximeters_give_back_what_was_measured(parser, packed):
    """140 bpm is not 12: the top bit of the rate lies elsewhere. A finger that is out has no rate."""
    assert parser().feed(b"".join(map(packed, READINGS))) == READINGS
    out = parser().feed(packed(cms50.Reading(5, float("nan"), float("nan"), False)))[0]
    assert not out.finger and np.isnan([out.rate, out.saturation]).all()


@pytest.mark.parametrize(("parser", "packed"), PROTOCOLS)
def test_a_byte_lost_anywhere_costs_one_packet(parser, packed):
    """At each position; what comes after is read."""
    size = len(packed(READINGS[0]))
    stream = b"".join(map(packed, READINGS * 3))
    for place in range(size, 2 * size):
        found = parser().feed(stream[:place] + stream[place + 1 :])
        assert found == (READINGS * 3)[:1] + (READINGS * 3)[2:], place


def test_packets_of_other_kinds_count_for_nothing():
    """Of the new protocol: other types, other lengths."""
    other = bytes([0x0F, 0x80, 0x81, 0x82]), bytes([0x02, *[0x80] * 11])
    found = cms50.new().feed(cms50.nine_bytes(READINGS[0]) + b"".join(other) + cms50.nine_bytes(READINGS[1]))
    assert found == READINGS[:2]


@pytest.mark.parametrize("protocol", ["old", "new"])
def test_an_oximeter_is_asked_which_protocol_it_speaks(protocol):
    """And counts its samples, whose host times never stand still although they come in bursts."""
    fake = Oximeter(200.0, protocol, rate=140.0, burst=5)
    try:
        with opened(DEVICES["cms50"]({"port": fake.path, "hz": 200.0})) as device:
            samples = take(device, 30)
            assert device.protocol == protocol and samples[0].data[1:] == (98.0, 140.0)
        assert [one.t_device_ns for one in samples] == [5_000_000 * number for number in range(30)]
        assert (np.diff([one.t_host_ns for one in samples]) > 0).all()
    finally:
        fake.end()


def test_a_silence_is_a_gap_and_the_oximeter_is_told_to_begin_again(monkeypatch):
    """As those do that stop after half a minute: the count goes on by what is missing."""
    monkeypatch.setattr("tools.multimodal.devices.cms50.SILENT", 0.3)
    fake = Oximeter(100.0, "new", silent=range(120, 200))
    try:
        with opened(DEVICES["cms50"]({"port": fake.path, "hz": 100.0})) as device:
            times = np.array([one.t_device_ns for one in take(device, 200)]) // 10_000_000
            assert fake.commands.count(cms50.command(cms50.BEGIN)) >= 2
        jump = np.diff(times).max()
        assert 60 <= jump <= 110 and "silent for 0." in device.noted.events[0][1]
    finally:
        fake.end()


def test_no_oximeter_is_a_sentence(tmp_path, monkeypatch):
    """No port, no packets, a port that is pulled out."""
    with pytest.raises(DeviceError, match="cannot be opened"):
        DEVICES["cms50"]({"port": str(tmp_path / "none")}).open()
    monkeypatch.setattr("tools.multimodal.devices.cms50.PROBE", 0.2)
    quiet = Oximeter(10.0, "new", silent=range(10_000))
    with pytest.raises(DeviceError, match="no packets. Switch it on"):
        DEVICES["cms50"]({"port": quiet.path}).open()
    quiet.end()
    fake = Oximeter(200.0)
    with opened(DEVICES["cms50"]({"port": fake.path, "hz": 200.0})) as device:
        take(device, 3)
        fake.end()
        with pytest.raises(DeviceError, match="is gone"):
            take(device, 2000)


def test_two_halves_are_no_packet(monkeypatch):
    """The end of what came before the start was thrown away with the port's."""
    packet = cms50.nine_bytes(cms50.Reading(70, 66.0, 98.0, True))
    heard = iter([10 * packet + packet[:3], packet[3:] + packet])
    port = SimpleNamespace(read=lambda wait: next(heard), write=len, flush=lambda: None, close=lambda: None)
    monkeypatch.setattr("tools.multimodal.devices.cms50.Port", lambda *_: port)
    with opened(DEVICES["cms50"]({"protocol": "new"})) as device:
        assert len(device.read()) == 1 and not device.noted.counts["broken packets"]


def test_a_finger_that_is_out_is_flagged():
    """Sample by sample."""
    fake = Oximeter(200.0)
    fake.finger = False
    try:
        with opened(DEVICES["cms50"]({"port": fake.path, "hz": 200.0})) as device:
            sample = take(device, 1)[0]
            assert sample.flags[0].kind == "no finger" and np.isnan(sample.data[2])
    finally:
        fake.end()


# --- Microcontroller ------------------------------------------------------------------------------------------------

BOARD = {"hz": 200.0, "ppm": 0.0, **CLOCK}
COLUMNS = {"columns": "value,mark,resp", "hz": 200.0}


def test_a_board_has_a_clock_that_goes_on_after_71_minutes():
    """Its 32 bits of microseconds begin anew; a damaged line is left out and counted."""
    fake = Controller(
        BOARD, line=lambda number, data: b"12,4\n" if number == 100 else data, on_ns=(1 << 32) * 1000 - 400_000_000
    )
    try:
        with opened(DEVICES["microcontroller"]({**COLUMNS, "port": fake.path})) as device:
            samples = take(device, 200)
        steps = np.diff([one.t_device_ns for one in samples])
        assert (steps >= 4_999_000).all() and steps.max() <= 10_001_000 and samples[-1].t_device_ns > (1 << 32) * 1000
        assert device.noted.counts["damaged lines"] == 1
    finally:
        fake.end()


def test_the_end_of_a_line_is_no_line(monkeypatch):
    """Whoever begins to listen in the middle of a line has only the last digits of its time."""
    heard = iter([b"567,5,0,1\n4000000567,5,0,1\n", b"90,5,0,1\n4000000600,6,0,1\n", b"4000000700,7,0,1\n"])
    port = SimpleNamespace(read=lambda wait: next(heard), flush=lambda: None, close=lambda: None)
    monkeypatch.setattr("tools.multimodal.devices.microcontroller.Port", lambda *_: port)
    with opened(DEVICES["microcontroller"](COLUMNS)) as device:
        found = [one for _ in range(2) for one in device.read()]
    assert [one.t_device_ns for one in found] == [4_000_000_600_000, 4_000_000_700_000]
    assert device.noted.counts["damaged lines"] == 0


def test_a_board_that_says_something_else_is_a_sentence(monkeypatch):
    """Two numbers where three are meant."""
    monkeypatch.setattr("tools.multimodal.devices.microcontroller.PROBE", 0.2)
    fake = Controller(BOARD)
    try:
        with pytest.raises(DeviceError, match=r"no line of 3 numbers \(micros,value,mark\)"):
            DEVICES["microcontroller"]({"port": fake.path, "columns": "value,mark"}).open()
        with pytest.raises(ValueError, match="value first, then any of"):
            DEVICES["microcontroller"]({"port": fake.path, "columns": "mark"}).open()
    finally:
        fake.end()


def test_a_simulated_driver_holds_what_a_camera_would_hold_and_no_more():
    """Who comes late finds the last four frames."""
    camera = Paced(1000.0)
    camera._begin = host_ns() - 1_000_000_000
    camera.grab()
    assert 990 <= camera.index <= 1100
