"""The live page's server as a process: who gets in, what is refused, what a closed tab leaves."""

import contextlib
import json
import os
import signal
import socket
import urllib.error
import urllib.parse
import urllib.request

import numpy as np
import psutil
import pytest

import main
from tests.live_tools import message, person, picture, pixels, served, until
from unsupervised_methods.live.protocol import MOST_BYTES, PIXELS

for package in ("starlette", "uvicorn", "websockets"):
    pytest.importorskip(package, reason=f"{package} is not installed (the extra `live`)")

from websockets.exceptions import ConnectionClosed, InvalidStatus  # noqa: E402
from websockets.sync.client import connect  # noqa: E402

WALL = np.full((64, 64, 3), 120, np.uint8)


@pytest.fixture(scope="module")
def server():
    """The running server and its address."""
    with served() as found:
        yield found


def origin(address: str) -> str:
    """As a browser names it."""
    parts = urllib.parse.urlsplit(address)
    return f"{parts.scheme}://{parts.netloc}"


@contextlib.contextmanager
def tab(address: str, **changed):
    """A page's connection."""
    options = {"origin": origin(address), "compression": None, **changed}
    with connect(address.replace("http", "ws", 1) + "frames", **options) as connection:
        yield connection


def status(address: str, **headers: str) -> int:
    """What a request gets."""
    try:
        with urllib.request.urlopen(urllib.request.Request(address, headers=headers), timeout=20) as answer:
            return answer.status
    except urllib.error.HTTPError as error:
        return error.code


def heard(connection) -> dict:
    """The next thing that a page is told."""
    return json.loads(connection.recv(timeout=20))


def closed(connection) -> tuple[int, str]:
    """How a connection is closed, and why."""
    with pytest.raises(ConnectionClosed) as error:
        while True:
            connection.recv(timeout=20)
    return error.value.rcvd.code, error.value.rcvd.reason


def test_the_page_is_three_files_and_nothing_else(server):
    """Under the address of this run only; every answer carries the policy."""
    _, address = server
    for name in ("", "page.js", "page.css"):
        with urllib.request.urlopen(address + name, timeout=20) as answer:
            assert answer.status == 200 and "default-src 'none'" in answer.headers["Content-Security-Policy"]
            assert answer.headers["Cache-Control"] == "no-store" and answer.headers.get("Server") is None
    root = origin(address)
    for other in ("/", "/page.js", "/x/", "/x/page.js", "/favicon.ico"):
        assert status(root + other) == 404
    for other in ("server.py", "../server.py", "%2e%2e/server.py", "page/", "docs", "openapi.json"):
        assert status(address + other) == 404


def test_it_listens_on_this_machine_only(server):
    """On the loopback address."""
    process, _ = server
    listening = [one.laddr.ip for one in psutil.Process(process.pid).net_connections() if one.status == "LISTEN"]
    assert listening == ["127.0.0.1"]


def test_other_hosts_and_origins_get_nothing(server):
    """Neither a file nor a socket."""
    _, address = server
    assert status(address, Host="evil.example") == 421
    assert status(address, Origin="http://evil.example") == 403
    for changed in (
        {"origin": "http://evil.example"},
        {"origin": None},
        {"additional_headers": {"Host": "evil.example"}},
    ):
        with pytest.raises(InvalidStatus), tab(address, **changed):
            pass
    with pytest.raises(InvalidStatus), tab(origin(address) + "/guess/", origin=origin(address)):
        pass


@pytest.mark.parametrize(
    ("data", "code", "words"),
    [
        ("text", 1008, "text"),
        (b"", 1008, "0 bytes"),
        (b"\x00" * 500, 1008, "version 0"),
        (message(PIXELS, 1, 5, 0.0, (240, 320), bytes(15552)), 1008, "Region 5"),
        (message(PIXELS, 1, 5, float("nan"), (240, 320), bytes(15552)), 1008, "nan ms"),
        (bytes(MOST_BYTES + 1), 1009, ""),
    ],
)
def test_hostile_messages_close_their_tab_alone(server, data, code, words):
    """With a reason; the tab beside it goes on."""
    _, address = server
    with tab(address) as good, tab(address) as bad:
        bad.send(data)
        found, reason = closed(bad)
        assert found == code and words in reason
        good.send(picture(1, 0.0, WALL))
        assert heard(good)["sequence"] == 1


def test_a_flood_closes_its_tab_alone(server):
    """Of small pictures, as fast as they can be sent."""
    _, address = server
    with tab(address) as good, tab(address) as bad:
        with contextlib.suppress(ConnectionClosed):
            for sequence in range(1000):
                bad.send(picture(sequence, 0.0, WALL))
        assert closed(bad) == (1008, "more than 160 messages in a second")
        good.send(picture(1, 0.0, WALL))
        assert heard(good)["sequence"] == 1


def test_two_tabs_have_a_face_each(server):
    """What one shows the other does not see."""
    _, address = server
    face = next(iter(person(1.0).frames()))
    with tab(address) as one, tab(address) as other:
        one.send(picture(1, 0.0, face))
        other.send(picture(1, 0.0, WALL))
        told = [[heard(connection) for _ in range(2)][1] for connection in (one, other)]
        assert told[0]["region"] and told[1]["region"] is None
        one.send(pixels(2, told[0]["number"], 0.1, face, told[0]["region"]))
        assert heard(one)["state"]["face"]


def test_a_ninth_tab_waits_for_one_to_close(server):
    """And is told; a closed tab makes room."""
    _, address = server
    with contextlib.ExitStack() as tabs:
        first = [until(lambda: accepted(tabs, address), 30) for _ in range(8)]
        with tab(address) as ninth:
            assert closed(ninth) == (1013, "8 tabs are open already")
        first[0].close()
        assert until(lambda: accepted(tabs, address), 30)


def accepted(tabs, address):
    """A connection that stays open with `tabs`, or None where there was no room."""
    connection = tabs.enter_context(tab(address))
    with contextlib.suppress(ConnectionClosed):
        connection.send(picture(1, 0.0, WALL))
        if heard(connection)["sequence"] == 1:
            return connection
    return None


def test_a_broken_connection_frees_its_tab(server):
    """Without a word of farewell, more often than there is room."""
    process, address = server
    for _ in range(20):
        with tab(address) as connection:
            connection.send(picture(1, 0.0, WALL))
            heard(connection)
            connection.socket.shutdown(socket.SHUT_RDWR)
    found = psutil.Process(process.pid)
    assert until(lambda: not [one for one in found.net_connections() if one.status == "ESTABLISHED"], 20) is True


def test_ctrl_c_ends_it_at_once_and_well():
    """With a tab open; exit code 0, nothing on the side of errors."""
    with served() as (process, address), tab(address) as connection:
        os.kill(process.pid, signal.SIGINT)
        assert closed(connection)[0] in (1001, 1012)
        said, errors = process.communicate(timeout=20)
        assert process.returncode == 0 and "Nothing was kept." in said and errors == ""


def test_a_port_that_is_taken_is_an_error_in_a_sentence(capsys):
    """And the right place for another one."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        assert main.main(["--live", f"page:{port}"]) == 1
    assert f"Error: port {port} is in use. Name another one, or none: --live" in capsys.readouterr().err
