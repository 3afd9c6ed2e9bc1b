"""The live page in Chromium without a screen, whose camera is a rendered person of 66 bpm."""

import contextlib
import re
import socket
import statistics
import threading
import time

import psutil
import pytest

from tests.live_tools import BPM, CHROMIUM, browser, fake_camera, served, until

for package in ("starlette", "uvicorn", "websockets"):
    pytest.importorskip(package, reason=f"{package} is not installed (the extra `live`)")

pytestmark = [pytest.mark.slow, pytest.mark.skipif(not CHROMIUM, reason="there is no chromium on this machine")]
OWN = ("", "page.css", "page.js")


@pytest.fixture(scope="module")
def camera(tmp_path_factory):
    """The person as a file."""
    return fake_camera(tmp_path_factory.mktemp("camera") / "person.y4m")


@pytest.fixture(scope="module")
def seen(camera):
    """A process that serves, its address, a browser, and what came to the proxy that stands for all other machines."""
    with served() as (process, address), recording_proxy() as (port, asked):
        with browser(camera, f"--proxy-server=127.0.0.1:{port}") as chromium:
            yield process, address, chromium, asked


@contextlib.contextmanager
def recording_proxy():
    """A port that notes the first line of each request and answers none."""
    asked = []
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def listen():
            with contextlib.suppress(OSError):
                while True:
                    connection, _ = listener.accept()
                    with connection, contextlib.suppress(OSError):
                        connection.settimeout(5)
                        asked.append(connection.recv(4096).split(b"\r\n")[0].decode())

        threading.Thread(target=listen, daemon=True).start()
        yield listener.getsockname()[1], asked


def delay(page) -> float:
    """Milliseconds from picture to plot, as the page has them."""
    found = re.search(r"([\d.]+) ms from picture to plot", page.text("numbers"))
    return float(found[1]) if found else 0.0


def measured(page) -> bool:
    """Whether there is a rate."""
    return page.text("bpm").isdigit()


def test_the_page_shows_66_within_12_s_and_asks_nobody_else(seen):
    """Of the done-when: 66 +/- 3 with interval and confidence, and a plot less than 200 ms old; no request leaves."""
    _, address, chromium, asked = seen
    page = chromium.open(address)
    begun = time.monotonic()
    page.click("start")
    until(lambda: measured(page), 12 - (time.monotonic() - begun))
    until(lambda: abs(float(page.text("bpm")) - BPM) <= 3, 12 - (time.monotonic() - begun))
    assert re.fullmatch(r"\d+ to \d+ bpm", page.text("interval")) and float(page.text("confidence-number")) >= 0.4
    assert page.text("said") == "A reliable pulse."
    until(lambda: delay(page), 10)
    time.sleep(5)
    delays = page.run("run.delays")
    assert statistics.median(delays) < 200 and page.text("numbers").count("times of the camera") == 1
    page.run("fetch('http://elsewhere.example/').catch(() => 0)")
    page.run(
        "new Promise((done) => { const one = new Image(); one.onerror = done; one.src = 'http://elsewhere.example/' })"
    )
    loaded = [told["request"]["url"] for method, told in page.events if method == "Network.requestWillBeSent"]
    sockets = [told["url"] for method, told in page.events if method == "Network.webSocketCreated"]
    assert [url for url in loaded if "elsewhere" not in url] == [address + name for name in OWN]
    assert sockets == [address.replace("http", "ws", 1) + "frames"] and not [
        line for line in asked if "elsewhere" in line
    ]
    assert not [told for method, told in page.events if method == "Runtime.exceptionThrown"]
    other = chromium.open("about:blank")
    other.call("Page.navigate", url="http://elsewhere.example/")
    assert until(lambda: [line for line in asked if "elsewhere" in line], 10), "the proxy would have seen it"
    for one in (page, other):
        one.close()


def test_a_network_measures_on_the_page(camera):
    """The same rate, and the page says whose wave it shows."""
    with served("--method", "GridPulse") as (_, address), browser(camera) as chromium:
        page = chromium.open(address)
        page.click("start")
        until(lambda: measured(page), 30)
        assert float(page.text("bpm")) == pytest.approx(BPM, abs=3)
        assert page.text("caption").startswith("The last 6 s by GridPulse, filtered;")
        page.close()


def test_a_second_tab_has_a_rate_of_its_own_and_a_closed_one_leaves_nothing(seen):
    """Each measures in front, and pauses behind; closed, its connection is gone, and its camera released."""
    process, address, chromium, _ = seen
    pages = [chromium.open(address) for _ in range(2)]
    for page in pages:
        page.call("Page.bringToFront")
        page.click("start")
        until(lambda page=page: measured(page), 25)
        assert float(page.text("bpm")) == pytest.approx(BPM, abs=3)
    until(lambda: pages[0].text("said") == "Paused: this tab is hidden.", 5)
    server = psutil.Process(process.pid)

    def connections() -> int:
        return len([one for one in server.net_connections() if one.status == "ESTABLISHED"])

    assert connections() >= 2
    pages[0].click("stop")
    assert pages[0].text("said") == "The camera is off. Nothing was kept." and pages[0].text("bpm") == "–"
    assert pages[0].run("document.getElementById('video').srcObject") is None
    pages[1].close()
    until(lambda: connections() == 0, 20)
    pages[0].close()


@pytest.mark.parametrize("dark", [False, True])
@pytest.mark.parametrize(("width", "height"), [(400, 860), (1400, 900)])
def test_the_page_fits_phones_and_desktops(seen, width, height, dark, tmp_path):
    """Nothing is wider than the window, everything readable is as dark or light as asked for."""
    _, address, chromium, _ = seen
    page = chromium.open(address, width, height, dark)
    wide = (
        "[...document.querySelectorAll('body *')].filter((one) => one.getBoundingClientRect().right > innerWidth + 1)"
    )
    assert page.run(f"{wide}.map((one) => one.id || one.tagName)") == []
    paper = page.run("getComputedStyle(document.body).backgroundColor")
    assert paper == ("rgb(20, 23, 26)" if dark else "rgb(255, 255, 255)")
    assert "nowhere else. Nothing is stored." in re.sub(r"\s+", " ", page.text("promise"))
    page.close()


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("NotAllowedError", "may not use the camera"),
        ("NotReadableError", "used by another"),
        ("NotFoundError", "no camera"),
    ],
)
def test_a_camera_that_cannot_be_had_is_explained(seen, name, words):
    """And may be tried again."""
    _, address, chromium, _ = seen
    page = chromium.open(address)
    page.run(f"navigator.mediaDevices.getUserMedia = () => Promise.reject(new DOMException('', '{name}'))")
    page.click("start")
    until(lambda: words in page.text("said"), 5)
    assert page.run("document.getElementById('start').disabled") is False
    page.close()


def test_a_browser_that_alters_colours_is_told_so(seen):
    """As one does that guards against fingerprints."""
    _, address, chromium, _ = seen
    page = chromium.open(address)
    page.run(
        "{ const real = CanvasRenderingContext2D.prototype.getImageData;"
        "CanvasRenderingContext2D.prototype.getImageData = function (...of) {"
        "const found = real.apply(this, of); found.data[4] ^= 1; return found; } }"
    )
    page.click("start")
    until(lambda: "changes the colours" in page.text("said"), 5)
    page.close()


def test_a_camera_that_stalls_is_opened_again_and_then_given_up(seen):
    """A stream without pictures: twice, then a sentence."""
    _, address, chromium, _ = seen
    page = chromium.open(address)
    page.run(
        "window.asked = 0; navigator.mediaDevices.getUserMedia = async () => { window.asked += 1;"
        "const still = document.createElement('canvas'); still.getContext('2d'); return still.captureStream(0); }"
    )
    page.click("start")
    until(lambda: "gives no pictures" in page.text("said"), 40)
    assert page.run("window.asked") == 3
    page.close()


def test_a_server_that_ends_is_told(camera):
    """The camera is released."""
    with served() as (process, address), browser(camera) as chromium:
        page = chromium.open(address)
        page.click("start")
        until(lambda: page.run("run && run.sequence > 5"), 20)
        process.terminate()
        until(lambda: "PulseScope has ended" in page.text("said"), 20)
        assert page.run("document.getElementById('video').srcObject") is None


def test_memory_and_delay_stay_flat(camera):
    """Once 30 s of colours are kept: a minute more costs the server and the page nothing."""
    with served() as (process, address), browser(camera) as chromium:
        page, server = chromium.open(address), psutil.Process(process.pid)
        page.click("start")
        until(lambda: measured(page), 30)
        held = []
        for seconds in (40, 60):
            time.sleep(seconds)
            page.events.clear()
            page.call("HeapProfiler.collectGarbage")
            heap = page.run("performance.memory.usedJSHeapSize")
            held.append(
                (server.memory_full_info().uss / 1e6, heap / 1e6, page.run("run.taken.size + run.delays.length"))
            )
        assert held[1][0] - held[0][0] < 10 and held[1][1] - held[0][1] < 5, held
        assert held[1][2] <= 160 and statistics.median(page.run("run.delays")) < 200
