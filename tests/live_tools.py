"""What the tests of the live page share: a rendered camera, messages as the page sends them, a browser."""

import contextlib
import json
import re
import shutil
import subprocess
import sys
import tempfile
import time
import urllib.request
from pathlib import Path

import cv2
import numpy as np

from dataset.synthetic.render import Session as Rendered
from dataset.synthetic.settings import resolve
from tests.conftest import ROOT
from unsupervised_methods.live.protocol import HEADER, PICTURE, PIXELS, SIDE, VERSION

BPM = 66.0
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or ""
FLAGS = (
    "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run", "--mute-audio",
    "--disable-background-networking", "--disable-component-update", "--disable-sync", "--disable-default-apps",
    "--disable-extensions", "--hide-scrollbars", "--no-default-browser-check", "--remote-debugging-port=0",
    "--disable-features=OptimizationHints,MediaRouter,Translate,AutofillServerCommunication",
)  # fmt: skip


def person(seconds: float, **changed) -> Rendered:
    """A rendered person who sits still, with a heart of 66 bpm as regular as a clock."""
    steady = dict.fromkeys(("HEART_RATE_WANDER", "HRV_LF", "HRV_RSA", "HRV_JITTER"), 0.0)
    options = {"PRESET": "easy", "HEART_RATE": [BPM, BPM], "SECONDS": seconds, "SUBJECTS": 1, "FS": 30.0, **steady}
    return Rendered(resolve(options | changed), 1)


def fake_camera(path: Path, seconds: float = 20.0) -> Path:
    """That person as the Y4M file that Chromium takes for a camera. It is played in a loop: 10 s are whole beats."""
    shown = person(seconds)
    with path.open("wb") as file:
        file.write(f"YUV4MPEG2 W{shown.settings.width} H{shown.settings.height} F30:1 Ip A1:1 C420jpeg\n".encode())
        for frame in shown.frames():
            file.write(b"FRAME\n" + cv2.cvtColor(frame, cv2.COLOR_RGB2YUV_I420).tobytes())
    return path


def message(kind: int, sequence: int, number: int, seconds: float, shape: tuple[int, int], content: bytes) -> bytes:
    """As the page packs it; `shape` (H, W)."""
    return HEADER.pack(VERSION, kind, 0, sequence, number, 1000 * seconds, shape[1], shape[0]) + content


def picture(sequence: int, seconds: float, frame: np.ndarray) -> bytes:
    """`frame` (H, W, 3) RGB as the page sends it to have the face found."""
    jpeg = cv2.imencode(".jpg", cv2.cvtColor(frame, cv2.COLOR_RGB2BGR))[1].tobytes()
    return message(PICTURE, sequence, 0, seconds, frame.shape[:2], jpeg)


def pixels(sequence: int, number: int, seconds: float, frame: np.ndarray, region: list[float]) -> bytes:
    """The `region` (shares of the frame) of `frame` as the page sends it."""
    height, width = frame.shape[:2]
    x, y, w, h = (round(share * size) for share, size in zip(region, (width, height, width, height), strict=True))
    small = cv2.resize(frame[y : y + h, x : x + w], (SIDE, SIDE), interpolation=cv2.INTER_AREA)
    return message(PIXELS, sequence, number, seconds, frame.shape[:2], small.tobytes())


@contextlib.contextmanager
def served(*more: str):
    """`python main.py --live`, and `more` arguments, as a process; yields it and the page's address."""
    command = [sys.executable, str(ROOT / "main.py"), "--live", *more]
    process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    try:
        said = (re.search(r"http://127\.0\.0\.1:\d+/\S+/", line) for line in process.stdout)
        yield process, next(address[0] for address in said if address)
    finally:
        process.terminate()
        process.communicate(timeout=20)


@contextlib.contextmanager
def browser(camera: Path, *flags: str):
    """Chromium without a screen that takes `camera` for its camera; yields it."""
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as home:
        fake = ["--use-fake-ui-for-media-stream", "--use-fake-device-for-media-stream"]
        command = [CHROMIUM, *FLAGS, *fake, f"--use-file-for-fake-video-capture={camera}", *flags, "about:blank"]
        process = subprocess.Popen(
            [*command[:-1], f"--user-data-dir={home}", command[-1]],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        try:
            yield Browser(_port(Path(home) / "DevToolsActivePort"), process)
        finally:
            process.terminate()
            process.wait(20)


def _port(file: Path) -> int:
    """Where Chromium listens, once it has said so."""
    return int(until(lambda: file.is_file() and file.read_text().split()[:1], 60)[0])


def until(ask, seconds: float, every: float = 0.1):
    """The first true answer of `ask`; AssertionError when there is none in time."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if found := ask():
            return found
        time.sleep(every)
    raise AssertionError(f"not within {seconds:g} s")


class Browser:
    """Chromium by its DevTools protocol."""

    def __init__(self, port: int, process: subprocess.Popen):
        """`port` on which it listens."""
        self.port, self.process = port, process

    def open(self, address: str, width: int = 1400, height: int = 900, dark: bool = False) -> "Page":
        """A new tab at `address`."""
        request = urllib.request.Request(f"http://127.0.0.1:{self.port}/json/new?about:blank", method="PUT")
        with urllib.request.urlopen(request, timeout=30) as answer:
            target = json.load(answer)
        page = Page(target["webSocketDebuggerUrl"])
        for domain in ("Page", "Runtime", "Network", "Log"):
            page.call(f"{domain}.enable")
        page.look(width, height, dark)
        page.call("Page.navigate", url=address)
        until(lambda: page.run("document.readyState") == "complete" and page.run("location.href") == address, 30)
        return page


class Page:
    """One tab. `events`: what it told, as (method, parameters)."""

    def __init__(self, address: str):
        """Connect to it."""
        from websockets.sync.client import connect

        # Events are read while the test sleeps, too: behind a full queue no answer to a ping is seen.
        self._connection, self._number, self.events = connect(address, max_size=None, max_queue=None), 0, []
        self._socket = self._connection.__enter__()

    def call(self, method: str, **parameters):
        """The result of a DevTools method."""
        self._number += 1
        self._socket.send(json.dumps({"id": self._number, "method": method, "params": parameters}))
        while True:
            told = json.loads(self._socket.recv(timeout=60))
            if "method" in told:
                self.events.append((told["method"], told["params"]))
            elif told["id"] == self._number:
                assert "error" not in told, told
                return told["result"]

    def run(self, script: str):
        """The value of `script`, of a promise what it resolves to."""
        told = self.call("Runtime.evaluate", expression=script, returnByValue=True, awaitPromise=True, userGesture=True)
        assert "exceptionDetails" not in told, told
        return told["result"].get("value")

    def look(self, width: int, height: int, dark: bool) -> None:
        """The size and the colours that the person wants."""
        self.call("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=False)
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        self.call("Emulation.setEmulatedMedia", features=[scheme])

    def text(self, name: str) -> str:
        """What the element of that id says."""
        return self.run(f"document.getElementById({name!r}).textContent")

    def click(self, name: str) -> None:
        """Press the element of that id."""
        self.run(f"document.getElementById({name!r}).click()")

    def screenshot(self, path: Path) -> None:
        """The whole page as PNG."""
        import base64

        path.write_bytes(base64.b64decode(self.call("Page.captureScreenshot", captureBeyondViewport=True)["data"]))

    def close(self) -> None:
        """Close the tab."""
        self._socket.send(json.dumps({"id": 0, "method": "Page.close"}))
        self._connection.__exit__(None, None, None)
