"""The live page's messages and who may send them: each is the claim of a stranger."""

import itertools
import math
import struct
from types import SimpleNamespace

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as some

from tests.live_tools import BPM, message, person, picture, pixels
from unsupervised_methods.live.guard import Place
from unsupervised_methods.live.protocol import HEADER, MOST_BYTES, PICTURE, PIXELS, SIDE, RefusedError, read_message
from unsupervised_methods.live.tab import MOST_MESSAGES, Tab

FULL = bytes(3 * SIDE * SIDE)
SHAPE = (240, 320)
SECONDS = 9.0


def sized_jpeg(width: int, height: int) -> bytes:
    """A JPEG of 16 x 16 pixels whose header states another size."""
    made = cv2.imencode(".jpg", np.zeros((16, 16, 3), np.uint8))[1].tobytes()
    return made.replace(struct.pack(">HH", 16, 16), struct.pack(">HH", height, width), 1)


def png() -> bytes:
    """Another kind of picture."""
    return cv2.imencode(".png", np.zeros((64, 64, 3), np.uint8))[1].tobytes()


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\x01",
        message(PIXELS, 1, 1, 0.0, SHAPE, FULL)[:-1],
        message(PIXELS, 1, 1, 0.0, SHAPE, FULL) + b"x",
        b"\x02" + message(PIXELS, 1, 1, 0.0, SHAPE, FULL)[1:],
        message(3, 1, 1, 0.0, SHAPE, FULL),
        message(PIXELS, 1, 1, math.nan, SHAPE, FULL),
        message(PIXELS, 1, 1, math.inf, SHAPE, FULL),
        message(PIXELS, 1, 1, -1.0, SHAPE, FULL),
        message(PIXELS, 1, 1, 1e300, SHAPE, FULL),
        message(PIXELS, 1, 1, 0.0, (0, 320), FULL),
        message(PIXELS, 1, 1, 0.0, (240, 9000), FULL),
        message(PICTURE, 1, 0, 0.0, SHAPE, b"no JPEG"),
        message(PICTURE, 1, 0, 0.0, SHAPE, b"\xff\xd8\xff"),
        message(PICTURE, 1, 0, 0.0, SHAPE, png()),
        message(PICTURE, 1, 0, 0.0, SHAPE, sized_jpeg(65535, 65535)),
        message(PICTURE, 1, 0, 0.0, SHAPE, sized_jpeg(0, 0)),
        message(PICTURE, 1, 0, 0.0, SHAPE, bytes(MOST_BYTES)),
        HEADER.pack(1, PIXELS, 7, 1, 1, 0.0, 320, 240) + FULL,
    ],
)
def test_what_the_page_does_not_send_is_refused(data):
    """Before a decoder sees it."""
    with pytest.raises(RefusedError):
        read_message(data)


@settings(max_examples=200, deadline=None)
@given(some.binary(max_size=200), some.sampled_from([PIXELS, PICTURE]))
def test_any_bytes_are_a_message_or_refused(content, kind):
    """Nothing else comes out of them, with a good header or without one."""
    good = message(kind, 1, 0, 0.0, SHAPE, b"\xff\xd8" + content)
    for data in (content, good, bytes(a ^ b for a, b in zip(good, content, strict=False))):
        with pytest.raises(RefusedError):
            read_message(data)


def test_pixels_arrive_as_they_were():
    """All 15552 of them, with their time in seconds and the camera's size."""
    sent = np.random.default_rng(0).integers(0, 256, (SIDE, SIDE, 3), dtype=np.uint8)
    read = read_message(message(PIXELS, 7, 3, 1.25, SHAPE, sent.tobytes()))
    assert (read.pixels == sent).all()
    assert (read.sequence, read.number, read.time, read.shape, read.whole) == (7, 3, 1.25, SHAPE, False)


# --- A tab ----------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def film():
    """9 s of a rendered person, and the times."""
    shown = person(SECONDS)
    return list(shown.frames()), shown.truth().times


class Talk:
    """A page that talks with a tab about the frames of a film."""

    def __init__(self, film):
        """Nothing is said yet."""
        self.frames, self.times = film
        self.tab, self.sequence, self.told = Tab(now=itertools.count().__next__), 0, {}

    def picture(self, at: int, time: float | None = None) -> dict:
        """Frame `at`, to have the face found."""
        self.sequence += 1
        time = float(self.times[at]) if time is None else time
        assert self.tab.take(picture(self.sequence, time, self.frames[at])) == {"sequence": self.sequence}
        return self._hear(self.tab.found(self.tab.detect()))

    def pixels(self, at: int, time: float | None = None, number: int | None = None) -> dict:
        """The region of frame `at`."""
        self.sequence += 1
        time = float(self.times[at]) if time is None else time
        number = self.told["number"] if number is None else number
        return self._hear(self.tab.take(pixels(self.sequence, number, time, self.frames[at], self.told["region"])))

    def _hear(self, told: dict) -> dict:
        self.told |= told
        return told


def test_a_page_is_told_the_rate(film):
    """Within 3 bpm of 66 after 9 s, with interval, wave and no advice."""
    talk = Talk(film)
    for at in range(len(talk.frames)):
        if at % 30 == 0:
            talk.picture(at)
        talk.pixels(at)
    state = talk.told["state"]
    assert state["reliable"] and state["rate"] == pytest.approx(BPM, abs=3) and state["advice"] == []
    assert state["low"] <= state["rate"] <= state["high"] and state["confidence"] >= state["needed"]
    assert len(talk.told["wave"]) == pytest.approx(6000 / talk.told["step"], abs=2)


def test_a_page_without_a_face_is_told_so():
    """Twice a second, and no region."""
    wall = np.full((240, 320, 3), 120, np.uint8)
    talk = Talk(([wall], [0.0]))
    told = talk.picture(0)
    assert told["region"] is None and told["face"] is None
    assert told["state"]["advice"] == ["No face found. Look into the camera, with light from the front."]


def test_frames_sent_twice_or_late_count_for_nothing(film):
    """Neither the same pixels, nor an older time; a clock that was set back starts anew."""
    talk = Talk(film)
    talk.picture(0)
    session = talk.tab._session
    for at, time in ((0, 10.0), (1, 10.1), (1, 10.2), (2, 10.05)):
        talk.pixels(at, time)
    assert session.colours.kept.seconds == pytest.approx(0.1)
    talk.pixels(3, 2.0)
    assert session.colours.kept.seconds == 0 and session.box is None
    talk.picture(4, 2.1)
    talk.pixels(5, 2.2)
    talk.pixels(6, 2.3)
    assert session.colours.kept.seconds == pytest.approx(0.1)


def test_claims_that_cannot_be_are_refused(film):
    """A region that nobody was told, a sequence that goes back."""
    talk = Talk(film)
    talk.picture(0)
    with pytest.raises(RefusedError, match="Region 99"):
        talk.pixels(0, number=99)
    talk.sequence = 0
    with pytest.raises(RefusedError, match="message 1 after"):
        talk.pixels(1)


def test_pixels_of_a_region_that_was_given_up_count_for_nothing(film):
    """They may be under way when the face is lost and another one is found."""
    talk = Talk(film)
    talk.picture(0)
    talk.pixels(0, 10.0)
    old, session = talk.told["number"], talk.tab._session
    session._forget(SHAPE)
    talk.picture(1, 10.1)
    assert talk.told["number"] > old
    talk.pixels(2, 10.2, number=old)
    assert not session.colours.kept
    talk.pixels(3, 10.3)
    assert len(session.colours.kept) == 1


def test_a_flood_is_refused():
    """More than a camera gives; the same number in more time is not."""
    for apart, refused in ((0.001, True), (0.02, False)):
        clock = SimpleNamespace(at=0.0)
        tab = Tab(now=lambda clock=clock: clock.at)
        wall = picture(1, 0.0, np.zeros((32, 32, 3), np.uint8))
        said = []
        for sequence in range(2 * MOST_MESSAGES):
            clock.at += apart
            try:
                tab.take(wall[:4] + struct.pack("<I", sequence) + wall[8:])
            except RefusedError as error:
                said.append(str(error))
        assert bool(said) is refused, said


def test_a_tab_keeps_no_pixels_and_no_more_than_30_s(film):
    """After a minute: mean colours, some looks, and the last region's pixels."""
    talk = Talk(film)
    for number, time in enumerate(np.arange(0, 60, 0.25)):
        at = number % len(talk.frames)
        if number % 20 == 0:
            talk.picture(at, float(time))
        talk.pixels(at, float(time))
    session = talk.tab._session
    assert len(session.colours.kept) <= 121 and len(session._looks) <= 31
    assert talk.tab.picture is None and len(talk.tab._before) == len(FULL)


# --- Who may ask ----------------------------------------------------------------------------------------------------

PLACE = Place(8080, "secret")
GOOD = [(b"host", b"127.0.0.1:8080"), (b"origin", b"http://127.0.0.1:8080")]


@pytest.mark.parametrize(
    ("kind", "path", "headers", "status"),
    [
        ("http", "/secret/", GOOD, 0),
        ("http", "/secret/page.js", GOOD[:1], 0),
        ("websocket", "/secret/frames", GOOD, 0),
        ("websocket", "/secret/frames", [(b"Host", b"localhost:8080"), (b"Origin", b"http://localhost:8080")], 0),
        ("websocket", "/secret/frames", GOOD[:1], 403),  # no browser leaves Origin out
        ("websocket", "/secret/frames", [GOOD[0], (b"origin", b"http://evil.example")], 403),
        ("websocket", "/secret/frames", [GOOD[0], (b"origin", b"http://localhost:8080")], 403),
        ("websocket", "/secret/frames", [GOOD[0], (b"origin", b"null")], 403),
        ("websocket", "/secret/frames", [*GOOD, (b"origin", b"http://evil.example")], 403),
        ("websocket", "/secret/frames", [(b"host", b"evil.example"), (b"origin", b"http://evil.example")], 421),
        ("http", "/secret/", [(b"host", b"127.0.0.1")], 421),
        ("http", "/secret/", [(b"host", b"127.0.0.1:8080.evil.example")], 421),
        ("http", "/secret/", [*GOOD, (b"host", b"evil.example")], 421),
        ("http", "/secret/", [], 421),
        ("http", "/", GOOD, 404),
        ("http", "secret", GOOD, 404),
        ("http", "//secret/", GOOD, 404),
        ("http", "/secret1/", GOOD, 404),
        ("http", "/\u00e9\udcff/", GOOD, 404),
        ("websocket", "/frames", GOOD, 404),
    ],
)
def test_only_the_page_itself_may_ask(kind, path, headers, status):
    """A name that resolves to this machine has another Host, another site another Origin, a guess another path."""
    assert PLACE.refusal(kind, "GET", path, headers) == status


def test_nothing_is_written_to_the_server():
    """It has nothing to write to."""
    assert PLACE.refusal("http", "POST", "/secret/", GOOD) == 405


def test_no_two_runs_share_an_address():
    """And nobody guesses it."""
    one, other = Place(8080), Place(8080)
    assert one.token != other.token and len(one.token) >= 32


def test_the_page_may_load_and_reach_nothing_else():
    """By its policy: own script and style, own websocket, no frame around it, no form."""
    policy = PLACE.headers()["Content-Security-Policy"]
    rules = dict(rule.strip().split(" ", 1) for rule in policy.split(";"))
    assert rules["default-src"] == "'none'" and rules["connect-src"] == "ws://127.0.0.1:8080 ws://localhost:8080"
    assert rules["script-src"] == rules["style-src"] == "'self'" and rules["frame-ancestors"] == "'none'"
