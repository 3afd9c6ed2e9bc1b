"""The process of one device: a thread takes its samples, the main one checks and writes them.

Started by the recorder as `python -m tools.multimodal.worker FD`; the link at that descriptor says what to do. When the
recorder is gone, however it ended, this process ends its files and goes, too.
"""

import contextlib
import queue
import signal
import socket
import sys
import threading
import time
from collections import deque
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from dataset.files.locks import holding
from registry import import_plugin
from tools.multimodal.device import DEVICES, Device, DeviceError, Sample, Table, Video, host_ns
from tools.multimodal.link import Link
from tools.multimodal.order import Order
from tools.multimodal.preview import Preview
from tools.multimodal.stores import LOCK, Store

TOLD_EVERY = 0.5  # s between two states
MOST_WAITING = 96 << 20  # bytes of samples between the thread and the disk
MOST_SAMPLES = 4096
MOST_POINTS = 2000  # between two states, so that they fit into a packet
REOPEN_EVERY, REOPEN_FOR = 2.0, 30.0  # s
EXPECTED = (OSError, ValueError, LookupError)


def main() -> int:
    """Serve the device that the recorder names."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl+C goes to all; the recorder says when to end
    link = Link(socket.socket(fileno=int(sys.argv[1])))
    job = _first(link)
    if job is None:
        return 0
    for plugin in job["plugins"]:
        import_plugin(Path(plugin))
    worker = Worker(link, job)
    try:
        worker.run()
    except EXPECTED as error:
        worker.say_last(sentence(error))
        return 1
    worker.say_last("")
    return 0


def _first(link: Link) -> dict[str, Any] | None:
    while not link.gone:
        for message in link.heard():
            return message
        time.sleep(0.01)
    return None


def sentence(error: BaseException) -> str:
    """The error in one sentence."""
    if isinstance(error, OSError) and error.strerror:
        return f"{error.filename}: {error.strerror}" if error.filename else error.strerror
    return str(error.args[0] if error.args else error) or type(error).__name__


def _unwritten(error: OSError) -> DeviceError:
    return DeviceError(f"nothing more could be written ({sentence(error)})")


class Worker:
    """One device from its opening to the end of its files."""

    def __init__(self, link: Link, job: dict[str, Any]):
        """`job`: name, driver, options, folder, and the plugins that may define the driver."""
        self._link, self._name, self._folder = link, job["name"], Path(job["folder"])
        self.device: Device = DEVICES[job["driver"]](job["options"])
        self._waiting: queue.Queue[Sample | Exception] = queue.Queue(MOST_SAMPLES)
        self._held, self._lock, self._ending = 0, threading.Lock(), threading.Event()
        self._order = Order(self.device.noted)  # of its own once the rate is known
        self.device.seconds = job["seconds"]
        self._preview = Preview(link) if isinstance(self.device.store, Video) else None
        self._store: Store | None = None
        self._told, self._events, self._last = 0.0, [], host_ns()
        self._points: deque[tuple[float, float]] | None = None  # times and first values, or numbers of frames

    def run(self) -> None:
        """Open, wait for the start, record until told to stop. An error that ends this device is raised."""
        self.device.open()
        store = self.device.store
        kind = {"store": type(store).__name__} | ({"table": store.name} if isinstance(store, Table) else {})
        self._say(described=self.device.describe() | kind)
        if not self._wait_for_start():
            self.device.stop()
            return
        with holding(self._folder / LOCK, f"recording '{self._folder}'"):  # beyond a recorder that was killed
            self._record_all()

    def _record_all(self) -> None:
        """From the start of the device to the end of its files."""
        self._store = Store(self._folder, self.device.store, self.device.rate or 30.0)
        self._order = Order(self.device.noted, self.device.rate)
        reader = threading.Thread(target=self._take, daemon=True)
        try:
            self.device.start()
            self._last = host_ns()
            reader.start()
            self._record()
        except BaseException:
            with contextlib.suppress(OSError):  # the first reason counts
                self._end(reader)
            raise
        self._end(reader)

    def _end(self, reader: threading.Thread) -> None:
        """Free the device and end its files."""
        self._ending.set()
        if reader.is_alive():
            reader.join(5.0)
        self.device.stop()
        try:
            self._store.close()
        except OSError as error:
            raise _unwritten(error) from error

    def _wait_for_start(self) -> bool:
        while not self._link.gone:
            for message in self._link.heard():
                if isinstance(message, dict) and ("start" in message or "stop" in message):
                    return "start" in message
            time.sleep(0.01)
        return False

    # --- The thread that takes samples ------------------------------------------------------------------------------

    def _take(self) -> None:
        """Take samples from the driver until the end; where too many wait, the newest are dropped and counted."""
        while not self._ending.is_set():
            try:
                for sample in self.device.read():
                    self._put(sample)
            except DeviceError as error:
                if not self._reopened(sentence(error)):
                    self._waiting.put(error)
                    return
            except Exception as error:
                self._waiting.put(error)
                return

    def _put(self, sample: Sample) -> None:
        size = getattr(sample.data, "nbytes", 64)
        with self._lock:
            full = self._held + size > MOST_WAITING and self._held
        if full or self._waiting.qsize() >= MOST_SAMPLES - 1:
            self.device.noted.counts["overrun"] += 1
            return
        with self._lock:
            self._held += size
        self._waiting.put(sample)

    def _reopened(self, why: str) -> bool:
        """Whether the device came back within REOPEN_FOR s. Only one whose times then go on is opened again."""
        if not self.device.restarts:
            return False
        self.device.noted.event(f"stopped: {why}")
        until = time.monotonic() + REOPEN_FOR
        while time.monotonic() < until and not self._ending.wait(REOPEN_EVERY):
            try:
                self.device.stop()
                self.device.open()
                self.device.start()
            except EXPECTED:
                continue
            self.device.noted.event("opened again")
            self.device.noted.counts["reopened"] += 1
            return True
        return False

    # --- The thread that writes ---------------------------------------------------------------------------------------

    def _record(self) -> None:
        while not self._stopped():
            for sample in self._next():
                self._write(sample)
            self._say_state()
            self._check_silence()
        self._ending.set()
        for sample in self._next(wait=0.0):
            self._write(sample)
            self._say_state()  # there may be many: the recorder waits as long as they get fewer

    def _next(self, wait: float = 0.1) -> Iterator[Sample]:
        """Samples that wait, for 0.1 s at most; the error of the thread is raised."""
        until = time.monotonic() + 0.1
        while True:
            try:
                one = self._waiting.get(timeout=wait) if wait else self._waiting.get_nowait()
            except queue.Empty:
                self._store.flush_when_due()
                return
            if isinstance(one, Exception):
                raise one
            with self._lock:
                self._held -= getattr(one.data, "nbytes", 64)
            yield one
            if wait and time.monotonic() >= until:
                return

    def _write(self, sample: Sample) -> None:
        self._last = host_ns()
        if not self._order.keep(sample):
            return
        try:
            self._store.append(sample)
        except OSError as error:
            raise _unwritten(error) from error
        if self._preview:
            self._preview.show(sample)
        if self._points is not None:
            value = float(sample.data[0]) if isinstance(self.device.store, Table) else self._store.count - 1
            self._points.append((round(sample.t_host_ns / 1e9, 5), value))

    def _check_silence(self) -> None:
        silent = (host_ns() - self._last) / 1e9
        if silent > self.device.silent + (REOPEN_FOR + REOPEN_EVERY if self.device.restarts else 0.0):
            raise DeviceError(f"no sample came for {silent:.0f} s")

    # --- What the recorder is told -----------------------------------------------------------------------------------

    def _stopped(self) -> bool:
        for message in self._link.heard():
            if isinstance(message, dict) and "stop" in message:
                return True
            if isinstance(message, dict) and self._preview:
                self._preview.told(message)
            if isinstance(message, dict) and "points" in message and self._points is None:
                self._points = deque(maxlen=MOST_POINTS)
        return self._link.gone

    def _say(self, **what: Any) -> None:
        """Say what must be heard: try until there is room."""
        while not self._link.tell(**what) and not self._link.gone:
            self._link.heard()
            time.sleep(0.01)

    def _say_state(self) -> None:
        now = time.monotonic()
        if now - self._told < TOLD_EVERY:
            return
        self._told = now
        self._events += self._taken_events()
        if self._link.tell(state=self._state(), events=self._events):
            self._events = []

    def _taken_events(self) -> list[tuple[int, str]]:
        events, taken = self.device.noted.events, []
        while events:  # one at a time: the other thread may add some meanwhile
            taken.append(events.pop(0))
        return taken

    def _state(self) -> dict[str, Any]:
        points = list(self._points or ())
        if self._points:
            self._points.clear()
        return {
            "samples": self._store.count if self._store else 0,
            "bytes": self._store.bytes if self._store else 0,
            "offset_ms": round(self._order.offset_ms, 3),
            "counts": dict(self.device.noted.counts),
            "silent_s": round((host_ns() - self._last) / 1e9, 2),
            "waiting": self._waiting.qsize(),
            "points": points,
            "rate": self.device.rate,
        }

    def say_last(self, error: str) -> None:
        """The last words: how it ended (an empty `error`: as it should), and the final counts."""
        self._say(ended=error, state=self._state(), events=self._events + self._taken_events())
        self._link.close()


if __name__ == "__main__":
    sys.exit(main())
