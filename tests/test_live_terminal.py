"""`--live` without a browser, its advice, and what it refuses."""

import builtins
import re
import sys
import time
from types import SimpleNamespace

import cv2
import numpy as np
import pytest

import main
from tests.live_tools import BPM, person
from tests.video_tools import moving_face, write_video
from unsupervised_methods.live import camera as cameras
from unsupervised_methods.live.advice import Look, advice, light
from unsupervised_methods.live.camera import camera, film
from unsupervised_methods.live.session import Session
from unsupervised_methods.live.terminal import bars, watch

GOOD = (100, 50, 120, 120)


def looks(*changed: dict) -> list[Look]:
    """A look every half second, each as good as can be but for what is changed."""
    return [Look(**{"time": k / 2, "face": GOOD, "level": 120.0, "white": 0.0, **one}) for k, one in enumerate(changed)]


@pytest.mark.parametrize(
    ("changed", "fps", "words"),
    [
        ([{}] * 6, 30.0, []),
        ([{}] * 6, np.nan, []),
        ([{"face": None}] * 8, 30.0, ["No face found"]),
        ([{"level": 20.0}] * 6, 30.0, ["More light"]),
        ([{"white": 0.3}] * 6, 30.0, ["Less light"]),
        ([{"level": 100.0}, {"level": 130.0}] * 3, 30.0, ["Steady light"]),
        ([{}, {"face": (140, 50, 120, 120)}] * 3, 30.0, ["Hold still"]),
        ([{"face": (100, 50, 40, 40)}] * 6, 30.0, ["Come closer: the face is 40 pixels wide"]),
        ([{}] * 6, 9.0, ["The camera gives 9 frames per second"]),
        ([{"level": 20.0, "face": (100, 50, 40, 40)}] * 6, 9.0, ["More light", "Come closer", "The camera gives"]),
        ([{"level": 20.0}] + [{}] * 8, 30.0, []),  # it is mended
    ],
)
def test_advice_says_what_to_change(changed, fps, words):
    """By the last 3 s; nothing where the picture is good."""
    said = advice(looks(*changed), fps)
    assert len(said) == len(words) and all(line.startswith(word) for line, word in zip(said, words, strict=True))


def test_a_rendered_person_needs_no_advice_until_the_light_goes():
    """By the pictures themselves."""
    session = Session()
    for number, frame in enumerate(person(8.0, FS=16.0).frames()):
        session.push(frame if number < 64 else frame // 4, number / 16)
        if number == 63:
            assert session.advice() == []
    assert len(session.advice()) == 1 and session.advice()[0].startswith("More light: the face is dark (level 3")


def test_light_of_pixels():
    """Their mean, and the share that is cut off."""
    pixels = np.zeros((10, 10, 3), np.uint8)
    pixels[:5, :, 0] = 255
    assert light(pixels) == (pytest.approx(42.5), 0.5)


def test_the_wave_rises_as_the_blood_does():
    """Upright, also its last second, and whole: the newest part is as high as the rest."""
    shown, session = person(8.0), Session()
    truth = shown.truth()
    for frame, at in zip(shown.frames(), truth.times, strict=True):
        session.push(frame, float(at))
    times, wave = session.wave(6.0)
    blood = np.interp(times, truth.times, truth.ppg)
    assert np.corrcoef(wave, blood)[0, 1] > 0.8 and np.corrcoef(wave[-30:], blood[-30:])[0, 1] > 0.7
    assert times[-1] == pytest.approx(truth.times[-1]) and times[-1] - times[0] == pytest.approx(6.0, abs=0.05)
    assert wave[-30:].std() > 0.6 * wave[:-30].std()


def test_a_region_may_be_measured_by_somebody_else():
    """Pixels of a region that is told: the same rate as from whole frames."""
    shown, whole, parts = person(8.0), Session(), Session()
    for number, (frame, at) in enumerate(zip(shown.frames(), shown.truth().times, strict=True)):
        whole.push(frame, float(at))
        if number % 30 == 0:
            parts.look(frame, parts.detect(frame), float(at), frame.shape[:2])
        x, y, w, h = parts.box
        parts.add(frame[y : y + h, x : x + w], float(at), parts.number)
    assert parts.colours.answer.rate == pytest.approx(whole.colours.answer.rate, abs=0.5)
    assert parts.colours.answer.rate == pytest.approx(BPM, abs=3)


def test_bars_follow_the_wave():
    """From the lowest to the highest; a flat one is low."""
    assert bars(np.arange(100.0))[0] == "▁" and bars(np.arange(100.0))[-1] == "█"
    assert set(bars(np.ones(50))) == {"▁"}


def test_a_video_plays_in_real_time(tmp_path):
    """No frame comes before its time."""
    path = write_video(tmp_path / "a.avi", moving_face(12), fs=20.0)
    begun, late = time.monotonic(), []
    for number, (frame, at) in enumerate(film(path)):
        late.append(time.monotonic() - begun - at)
        assert frame.shape == (240, 320, 3) and at == pytest.approx(number / 20)
    assert len(late) == 12 and min(late) > -0.01


def test_times_that_stand_still_or_jump_cost_neither_the_video_nor_hours(monkeypatch):
    """As files claim them: such a frame is left out, a gap is not waited for."""
    times = [0.0, 0.02, 0.02, 0.01, 1e9, 1e9 + 0.02]
    frames = [SimpleNamespace(time=one, rgb=lambda: None) for one in times]
    monkeypatch.setattr(cameras, "iter_frames", lambda path: iter(frames))
    begun = time.monotonic()
    assert [at for _, at in film("a.mp4")] == [0.0, 0.02, 1e9, 1e9 + 0.02] and time.monotonic() - begun < 5


def test_an_error_is_told_on_a_line_of_its_own(capsys, monkeypatch):
    """As when the camera is unplugged: what was shown before it is gone."""

    def frames():
        yield np.full((64, 64, 3), 90, np.uint8), 0.0
        raise OSError("Camera 0 gives no frames any more.")

    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    with pytest.raises(OSError):
        watch(frames())
    assert capsys.readouterr().out.endswith("\r\x1b[K")


def test_the_view_prints_the_rate_as_it_comes(capsys):
    """A line when something changes, and the answer at the end; the exit code says that there is one."""
    shown = person(9.0)
    assert watch(zip(shown.frames(), map(float, shown.truth().times), strict=True)) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "measuring, 0 of the first 5 s"
    assert re.match(r"6[567] bpm \(\d+ to \d+\), confidence 0\.\d\d", lines[-2])
    assert float(lines[-1].split()[0]) == pytest.approx(BPM, abs=3)


def test_the_last_line_leaves_nothing_of_the_one_before_it(capsys, monkeypatch):
    """Which may have been longer."""
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    assert watch(iter([(np.full((64, 64, 3), 90, np.uint8), 0.0)])) == 3
    shown, last = capsys.readouterr().out.rsplit("\r", 1)
    assert "looking for the face" in shown and last.startswith("\x1b[KNo answer")


def test_a_video_without_a_face_has_exit_code_3(tmp_path, capsys):
    """By the command line, with the reason."""
    path = write_video(tmp_path / "wall.avi", [np.full((64, 64, 3), 90, np.uint8)] * 5, fs=20.0)
    assert main.main(["--live", f"file:{path}"]) == 3
    said = capsys.readouterr().out
    assert "looking for the face. No face found." in said and "a face has to be seen for 5 s" in said


@pytest.mark.parametrize("place", ["cam", "cam:", "file:", "x:1", "page:x", "page:99999", "0"])
def test_no_such_place(place, capsys):
    """One sentence."""
    assert main.main(["--live", place]) == 1
    assert capsys.readouterr().err.startswith(f"Error: --live {place}: ")


def test_a_camera_that_is_not_there_is_named(capfd):
    """And what to look at; so is a video that is not."""
    assert main.main(["--live", "cam:77"]) == 1
    assert "Error: Camera 77 cannot be opened. Is it connected" in capfd.readouterr().err
    assert main.main(["--live", "file:nothing.mp4"]) == 1
    assert "Error: 'nothing.mp4'" in capfd.readouterr().err


@pytest.mark.parametrize("more", [["SEED=3"], ["--video", "a.mp4"], ["--config_file", "x.yaml"]])
def test_live_stands_alone(more, capsys):
    """Settings would have no effect."""
    with pytest.raises(SystemExit):
        main.main(["--live", "page", *more])
    assert "--live: takes no settings" in capsys.readouterr().err


def test_packages_that_are_missing_are_named(monkeypatch, capsys):
    """With the line that installs them."""
    real = builtins.__import__

    def without(name, *rest):
        if name.partition(".")[0] == "uvicorn" or name == "unsupervised_methods.live.server":
            raise ModuleNotFoundError("No module named 'uvicorn'", name="uvicorn")
        return real(name, *rest)

    monkeypatch.setattr(builtins, "__import__", without)
    assert main.main(["--live"]) == 1
    assert "(uvicorn is missing): pip install starlette uvicorn websockets." in capsys.readouterr().err


class Driver:
    """A camera of the operating system: 20 frames of which the colour is the number, then none."""

    def __init__(self, stamp):
        """`stamp`: its answer to when a frame was taken (ms), given the number."""
        self.number, self.stamp, self.released = -1, stamp, False

    def isOpened(self):
        """It is."""
        return True

    def set(self, *_):
        """As some drivers: nothing happens, and it says so."""
        return False

    def get(self, key):
        """The stamp."""
        assert key == cv2.CAP_PROP_POS_MSEC
        return self.stamp(self.number)

    def grab(self):
        """Another one, after a while."""
        time.sleep(0.002)
        self.number += 1
        return self.number < 20

    def retrieve(self):
        """Blue, green, red."""
        return True, np.full((4, 4, 3), (self.number, 100, 200), np.uint8)

    def release(self):
        """It is free again."""
        self.released = True


@pytest.mark.parametrize("kind", ["none", "monotonic", "backwards", "foreign"])
def test_a_camera_gives_its_newest_frames_at_growing_times(monkeypatch, kind):
    """By the driver's stamps where they are of this machine's clock; when it is unplugged that is said."""
    begun = time.monotonic()
    stamps = {
        "none": lambda k: 0.0,
        "monotonic": lambda k: 1000 * (begun + k / 30 - 0.4),
        "backwards": lambda k: 1000 * (begun - 0.01 * k),
        "foreign": lambda k: 1000.0 * k,
    }
    driver = Driver(stamps[kind])
    monkeypatch.setattr(cameras, "cv2", SimpleNamespace(**{**vars(cv2), "VideoCapture": lambda _: driver}))
    seen = []
    with pytest.raises(OSError, match="Camera 0 gives no frames any more"):
        for frame, at in camera("0"):
            seen.append((int(frame[0, 0, 2]), at))
    numbers, times = zip(*seen, strict=True)
    assert frame[0, 0, 0] == 200 and list(numbers) == sorted(set(numbers)) and list(times) == sorted(set(times))
    assert driver.released
    if kind == "monotonic":
        assert times[-1] - times[0] == pytest.approx((numbers[-1] - numbers[0]) / 30)
    elif kind != "backwards":
        assert begun <= times[0] <= times[-1] <= time.monotonic()


def test_a_slow_reader_costs_frames_and_no_time(monkeypatch):
    """What it gets is at most two frames old."""
    driver = Driver(lambda k: 0.0)
    monkeypatch.setattr(cameras, "cv2", SimpleNamespace(**{**vars(cv2), "VideoCapture": lambda _: driver}))
    frames = camera("0")
    next(frames)
    until = time.monotonic() + 5
    while driver.number < 12 and time.monotonic() < until:
        time.sleep(0.001)
    frame, _ = next(frames)
    assert frame[0, 0, 2] >= 9
    frames.close()
    assert driver.released
