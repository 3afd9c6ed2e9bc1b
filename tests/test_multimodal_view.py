"""What is seen of a recording while it goes on: lines, a page, the pulse of finger and face."""

import json
import re
import signal
import socket
import urllib.error
import urllib.request
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from tests.live_tools import BPM, person
from tests.recording_tools import SMALL, setup_file, started
from tools.multimodal.console import device, lines
from tools.multimodal.device import Sample
from tools.multimodal.preview import Preview, bgr, region_pixels
from tools.multimodal.pulses import Face, Finger
from tools.multimodal.recorder import Running
from unsupervised_methods.live.protocol import SIDE, read_message


class Kept:
    """A link that keeps what is sent."""

    def __init__(self):
        """Nothing yet."""
        self.sent = []

    def send(self, data):
        """Keep it."""
        self.sent.append(data)
        return True


def test_a_recorded_face_has_the_pulse_that_the_live_page_would_find():
    """From frames of a camera through messages to the rate: 66 bpm, in frames of 30 per second."""
    link = Kept()
    moment = iter(range(10_000))
    preview, face = Preview(link), Face(ThreadPoolExecutor(1), lambda: next(moment) / 30)
    preview.told({"preview": True})
    for number, frame in enumerate(person(14.0).frames()):
        preview.show(Sample(frame, number * 33_333_333, number * 33_333_333 + 1))
        while link.sent:
            told = face.take(link.sent.pop(0))
            if face._look is not None:
                face._look.result()
            if told:
                preview.told(told)
    assert abs(face.state["rate"] - BPM) < 3 and len(face.wave) > 50


def test_nothing_is_sent_while_nobody_looks():
    """And a region's pixels have the colours of the frame, also of a camera that sends YUYV."""
    link = Kept()
    preview = Preview(link)
    frame = np.zeros((120, 160, 2), np.uint8)
    frame[..., 0], frame[:, ::2, 1], frame[:, 1::2, 1] = 120, 100, 160
    preview.show(Sample(frame, 0, 10**10))
    assert not link.sent
    preview.told({"preview": True, "region": [0.25, 0.25, 0.5, 0.5], "number": 3})
    preview.show(Sample(frame, 0, 10**10))
    picture, pixels = map(read_message, link.sent)
    assert picture.whole and not pixels.whole and (pixels.number, pixels.shape, pixels.time) == (3, (120, 160), 10.0)
    assert abs(pixels.pixels.astype(int) - bgr(frame)[0, 0, ::-1]).max() <= 1
    assert region_pixels(frame, [-1.0, 0.99, 3.0, 2.0]).shape == (SIDE, SIDE, 3)  # a face at the edge


def test_the_finger_has_its_rate_and_a_still_one_has_none():
    """By the times of the samples; nothing before there is enough of it."""
    times = np.arange(0, 25, 0.01)
    finger, still = Finger(), Finger()
    finger.add([[time, np.sin(2 * np.pi * 1.2 * time)] for time in times[:500]])
    assert finger.seen() == {"rate": None, "wave": []}
    finger.add([[time, np.sin(2 * np.pi * 1.2 * time)] for time in times[500:]])
    still.add([[time, 7.0] for time in times])
    assert abs(finger.seen()["rate"] - 72.0) < 0.5 and len(finger.seen()["wave"]) == 150
    assert still.seen()["rate"] is None


def test_lines_say_what_is_lost_and_who_is_silent():
    """Of devices that send all the time; one that ended says why."""
    state = {"samples": 90, "offset_ms": -3.0, "counts": {"missing": 4, "late": 0}, "silent_s": 3.2, "rate": 9.0}
    one = Running("thermal", None, None, state=state)
    quiet = Running("marks", None, None, state=state | {"rate": 0.0, "counts": {}})
    gone = Running("radar", None, None, ended="no sample came for 5 s")
    seen = {
        "seconds": 10.0, "mb_per_s": 2.0, "free_gb": 20.0, "minutes": 160,
        "devices": [device(each) for each in (one, quiet, gone)], "pulses": {"thermal": {"rate": None}},
    }  # fmt: skip
    said = lines(seen)
    assert "room for 160 minutes" in said[0]
    assert said[1].endswith("clock     -3.0 ms  pulse    - bpm  4 missing, silent for 3 s")
    assert said[2].endswith("nothing lost") and said[3] == "radar    ended: no sample came for 5 s"


# --- The page -------------------------------------------------------------------------------------------------------


@pytest.fixture
def page(tmp_path):
    """A recorder that serves its page, and the address of that."""
    for package in ("starlette", "uvicorn", "websockets"):
        pytest.importorskip(package, reason=f"{package} is not installed (the extra `live`)")
    setup = setup_file(tmp_path, {"ppg": SMALL["ppg"]})
    process = started("--root", tmp_path / "set", "--setup", setup, "--quiet", "--page")
    try:
        yield re.search(r"http://127\.0\.0\.1:\d+/\S+/", process.stdout.readline())[0]
    finally:
        process.send_signal(signal.SIGINT)
        assert process.wait(60) == 0


def test_the_page_tells_what_is_recorded_and_takes_nothing(page):
    """Its files come with the guard of the live page; it hears the devices; what it says closes it."""
    from websockets.exceptions import ConnectionClosed
    from websockets.sync.client import connect

    for name in ("", "recording.js", "recording.css", "page.css"):
        with urllib.request.urlopen(page + name, timeout=20) as answer:
            assert answer.status == 200 and "default-src 'none'" in answer.headers["Content-Security-Policy"]
    wrong = urllib.request.Request(page.replace(page.split("/")[3], "x" * 32))
    with pytest.raises(urllib.error.HTTPError, match="404"):
        urllib.request.urlopen(wrong, timeout=20)
    origin = "/".join(page.split("/")[:3])
    with connect(page.replace("http", "ws", 1) + "frames", origin=origin) as told:
        while not (seen := json.loads(told.recv(timeout=60)))["devices"] or not seen["devices"][0]["samples"]:
            pass
        assert seen["devices"][0]["name"] == "ppg" and seen["free_gb"] > 0
        told.send(b"1")
        with pytest.raises(ConnectionClosed, match="this page has nothing to say"):
            while True:
                told.recv(timeout=60)


def test_a_port_that_is_taken_is_a_sentence(tmp_path, capsys):
    """And nothing is recorded; without the packages that is the sentence."""
    from tools.multimodal.record import main

    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        assert main(["--root", str(tmp_path / "set"), "--simulate", "--page", str(port)]) == 2
    said = capsys.readouterr().err
    assert f"port {port} is in use. Name another one, or none: --page" in said or "pip install starlette" in said
    assert not (tmp_path / "set").exists()


# --- Lab Streaming Layer ---------------------------------------------------------------------------------------------


@pytest.mark.slow
def test_signals_are_offered_on_the_lab_streaming_layer(tmp_path):
    """Values of the finger at the times of its samples; where pylsl is installed and streams can be found."""
    pylsl = pytest.importorskip("pylsl")
    setup = setup_file(tmp_path, {"ppg": SMALL["ppg"], "radar": SMALL["radar"]})
    process = started("--root", tmp_path / "set", "--setup", setup, "--quiet", "--lsl")
    try:
        found = {name: pylsl.resolve_byprop("name", f"PulseScope {name}", timeout=60) for name in ("ppg", "radar")}
        assert all(found.values())
        inlet = pylsl.StreamInlet(found["ppg"][0])
        assert (inlet.info(30).nominal_srate(), inlet.info(30).channel_count()) == (100.0, 1)
        values, times = [], []
        while len(times) < 200:
            more, stamps = inlet.pull_chunk(timeout=5.0)
            values, times = values + [value for (value,) in more], times + stamps
        assert np.ptp(values) > 300 and abs(np.median(np.diff(times)) - 0.01) < 0.003 and (np.diff(times) >= 0).all()
    finally:
        process.send_signal(signal.SIGINT)
        assert process.wait(60) == 0
