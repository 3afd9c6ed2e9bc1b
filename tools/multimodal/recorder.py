"""One recording: a process per device, one clock, and files that are whole whatever ends it.

The recorder itself touches no sample. It starts the processes, tells them to begin together, collects what they tell
and writes `meta.json` and `events.csv`. A device that fails is one sentence; the others go on.
"""

import contextlib
import os
import select
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from config import ROOT
from dataset import faults
from dataset.files.locks import holding
from dataset.multimodal.appending import TableFile, write_json
from dataset.multimodal.layout import EVENT_COLUMNS, EVENTS, FORMAT, LONGEST_NAME, META
from tools.multimodal.device import SYNC, host_ns
from tools.multimodal.finish import finish
from tools.multimodal.link import Link, pair
from tools.multimodal.setup import Setup
from tools.multimodal.stores import LOCK

OPENING, ENDING = 60.0, 20.0  # s that a device may take
WALL_STEP = 0.05  # s by which the wall clock may move against the monotonic one in a second
DISK_EVERY = 1.0  # s
LEAST_BYTES, LEAST_SECONDS = 200 << 20, 30.0  # of room on the disk, and of time until it is used up
Say = Callable[[str], None]


class DiskFullError(OSError):
    """There is no room to begin a recording."""


@dataclass
class Running:
    """A device's process and what it told last."""

    name: str
    process: subprocess.Popen
    link: Link
    described: dict[str, Any] | None = None
    state: dict[str, Any] = field(default_factory=dict)
    ended: str | None = None  # "" as it should, else why
    seen: list[tuple[float, int]] = field(default_factory=list)  # s, samples

    @property
    def alive(self) -> bool:
        """Whether it may still tell something."""
        return self.ended is None

    @property
    def rate(self) -> float:
        """Samples per second over the last few seconds."""
        (first, before), (last, now) = (self.seen[0], self.seen[-1]) if len(self.seen) > 1 else ((0, 0), (1, 0))
        return (now - before) / max(last - first, 1e-9)


def _exit_code(process: subprocess.Popen) -> int:
    """Of a process that has closed its link; one that lingers is killed."""
    try:
        return process.wait(5)
    except subprocess.TimeoutExpired:
        process.kill()
        return process.wait()


class Recorder:
    """Records `setup` into `folder`, which must not exist: two recordings never share one.

    `values` are entries of meta.json (id, subject, recording); `say` takes the sentences for the user.
    """

    def __init__(
        self, setup: Setup, folder: Path, values: Mapping[str, Any], say: Say = print, plugins: tuple[Path, ...] = ()
    ):
        """Nothing is started yet."""
        self._setup, self.folder, self._values, self._say = setup, folder, dict(values), say
        self._plugins = [str(path.resolve()) for path in plugins]
        self.devices: dict[str, Running] = {}
        self.began, self.free, self.filling = 0.0, 0, 0.0
        self.watchers: list[Callable[[str, bytes], None]] = []  # of cameras' pictures: (device, message)
        self.listeners: list[Callable[[str, list], None]] = []  # to new values of tables: (device, [[s, value] ...])
        self._events: TableFile | None = None
        self._stopping, self._disk_checked, self._wall, self._seconds = "", 0.0, 0.0, 0.0

    def record(self, seconds: float, tick: Callable[[], None] = lambda: None) -> int:
        """Record for `seconds` (0: until Ctrl+C); `tick` is called five times a second. How many devices failed.

        FileExistsError where the recording exists, DiskFullError without room, DeviceError where no device opens.
        """
        self.require_place()
        self._seconds = seconds
        self.folder.mkdir(parents=True)
        with holding(self.folder / LOCK, f"recording '{self.folder}'"):
            self._events = TableFile(self.folder / EVENTS, EVENT_COLUMNS)
            try:
                self._open_all()
                self._start_all()
                self._run(tick)
            finally:
                self._stop_all()
                self._events.close()
        finish(self.folder, self._outcome(), self._say)
        return sum(bool(one.ended) for one in self.devices.values())

    def event(self, kind: str, t_ns: int | None = None) -> None:
        """Note in events.csv what happened now, or at `t_ns`, on the host's clock."""
        text = kind.replace("\n", " ").replace(",", ";")[:LONGEST_NAME]
        self._events.add(host_ns() if t_ns is None else t_ns, "host", text)
        self._events.flush(sync=False)

    def stop(self, why: str = "stopped by the user") -> None:
        """End the recording at the next occasion."""
        self._stopping = self._stopping or why

    @property
    def identity(self) -> str:
        """Name of the recording in its set."""
        return str(self._values.get("id", self.folder.name))

    @property
    def seconds(self) -> float:
        """Since the start; 0 before."""
        return time.monotonic() - self.began if self.began else 0.0

    # --- Beginning ----------------------------------------------------------------------------------------------------

    def require_place(self) -> None:
        """FileExistsError where the recording exists, DiskFullError without room for it."""
        if self.folder.exists():
            raise FileExistsError(
                f"'{self.folder}' exists: a recording is never written over. Choose another --recording, or finish "
                f"that one with --finish {self.folder}."
            )
        place = next(path for path in self.folder.parents if path.exists())
        self.free = shutil.disk_usage(place).free
        if self.free < LEAST_BYTES:
            raise DiskFullError(
                f"'{place}' has {self.free >> 20} MB left, and a recording needs {LEAST_BYTES >> 20} MB to begin. "
                "Make room or choose another --root."
            )

    def _open_all(self) -> None:
        for name, one in self._setup.devices.items():
            self.devices[name] = self._launch(name, one)
        until = time.monotonic() + OPENING
        while any(one.alive and one.described is None for one in self.devices.values()):
            self._listen(0.1)
            if time.monotonic() > until:
                for one in self.devices.values():
                    if one.alive and one.described is None:
                        self._lose(one, f"it did not open within {OPENING:.0f} s")
        if not any(one.alive for one in self.devices.values()):
            raise OSError("No device could be opened: " + "; ".join(f"{d.name}: {d.ended}" for d in self._failed()))

    def _launch(self, name: str, one: Mapping[str, Any]) -> Running:
        ours, theirs = pair()
        command = [sys.executable, "-m", "tools.multimodal.worker", str(theirs.fileno())]
        environment = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", **os.environ}
        process = subprocess.Popen(
            command, cwd=ROOT, pass_fds=[theirs.fileno()], env=environment, stdin=subprocess.DEVNULL
        )
        theirs.close()
        link = Link(ours)
        link.tell(
            name=name, driver=one["driver"], options=one["options"], folder=str(self.folder.resolve() / name),
            plugins=self._plugins, seconds=self._seconds,
        )  # fmt: skip
        return Running(name, process, link)

    def _start_all(self) -> None:
        now = datetime.now(timezone.utc)
        self.began, self._wall = time.monotonic(), time.time() - time.monotonic()
        devices = {name: self._settings(one) for name, one in self.devices.items() if one.described is not None}
        self._values |= {"format": FORMAT, "finished": False, "start_utc": now.isoformat(), "start_host_ns": host_ns()}
        self._values |= {"devices": devices, **self._setup.meta}
        write_json(self.folder / META, self._values)
        self.event("start")
        for one in self.devices.values():
            if one.alive:
                one.link.tell(start=True)

    def _settings(self, one: Running) -> dict[str, Any]:
        """What meta.json says of a device; its own files are written beside its samples."""
        described = dict(one.described)
        for name, content in described.pop("files", {}).items():
            write_json(self.folder / one.name / Path(name).name, content)
        return {"driver": self._setup.devices[one.name]["driver"], **described}

    # --- Going on -----------------------------------------------------------------------------------------------------

    def _run(self, tick: Callable[[], None]) -> None:
        ticks = [tick]
        while not self._stopping and any(one.alive for one in self.devices.values()):
            if self._seconds and self.seconds >= self._seconds:
                break
            self._listen(0.2)
            self._check_disk()
            self._check_wall_clock()
            self._show(ticks)
        if self._stopping:
            self.event(self._stopping)

    def _listen(self, wait: float) -> None:
        """Take in what the devices tell, for `wait` s at most."""
        until = time.monotonic() + wait
        while (left := until - time.monotonic()) > 0:
            links = {one.link: one for one in self.devices.values() if one.alive}
            if not links:
                return
            for link in select.select(list(links), [], [], left)[0]:
                self._hear(links[link])

    def _hear(self, one: Running) -> None:
        for message in one.link.heard():
            if isinstance(message, bytes):
                self._show(self.watchers, one.name, message)
                continue
            one.described = message.get("described", one.described)
            if "state" in message:
                one.state = message["state"]
                if one.state["points"]:
                    self._show(self.listeners, one.name, one.state["points"])
                one.seen = [*one.seen[-10:], (time.monotonic(), one.state["samples"])]
            for t_ns, kind in message.get("events", ()):
                self.event(kind if kind == SYNC else f"{one.name}: {kind}", t_ns)
            if "ended" in message:
                self._lose(one, message["ended"])
        if one.alive and one.link.gone:
            self._lose(one, f"its process ended by itself (exit code {_exit_code(one.process)})")

    def _show(self, views: list[Callable[..., None]], *what: Any) -> None:
        """Tell those who look on. One that fails is said and looks on no more: no sample depends on it."""
        for view in views[:]:
            try:
                view(*what)
            except Exception as error:
                faults.show(error)
                views.remove(view)
                self._say(f"A part of what is shown live has failed ({error!r}). The recording goes on.")

    def _lose(self, one: Running, why: str) -> None:
        """The device has ended; where it should not have, say so and go on without it."""
        one.ended = why
        one.link.close()
        if why:
            self._say(f"{one.name}: {why}. The other devices go on.")
            self.event(f"{one.name}: ended: {why}")

    def _failed(self) -> list[Running]:
        return [one for one in self.devices.values() if one.ended]

    def _check_disk(self) -> None:
        """Stop in time: a recording that ends by itself is whole."""
        now = time.monotonic()
        if now - self._disk_checked < DISK_EVERY:
            return
        self._disk_checked = now
        self.free = shutil.disk_usage(self.folder).free
        used = sum(one.state.get("bytes", 0) for one in self.devices.values())
        self.filling = used / max(self.seconds, 1.0)
        if self.free < max(LEAST_BYTES // 2, LEAST_SECONDS * self.filling):
            self._say(f"The disk has {self.free >> 20} MB left: the recording ends here and is whole.")
            self.stop("disk full")

    def _check_wall_clock(self) -> None:
        """A step of the wall clock is noted; no time of a sample depends on it."""
        wall = time.time() - time.monotonic()
        if abs(wall - self._wall) > WALL_STEP:
            self.event(f"wall clock stepped by {wall - self._wall:+.3f} s")
        self._wall = wall

    # --- Ending -------------------------------------------------------------------------------------------------------

    def _stop_all(self) -> None:
        """Let every device end its files; one that does not in ENDING s is killed."""
        with contextlib.suppress(KeyboardInterrupt):
            for one in self.devices.values():
                if one.alive:
                    one.link.tell(stop=True)
            before, until = {}, time.monotonic() + ENDING
            while any(one.alive for one in self.devices.values()) and time.monotonic() < until:
                self._listen(0.1)
                written = {name: one.state.get("samples") for name, one in self.devices.items()}
                if written != before:  # what waited is being written
                    before, until = written, time.monotonic() + ENDING
        for one in self.devices.values():
            if one.alive:
                one.process.kill()
                self._lose(one, f"it did not end within {ENDING:.0f} s")
            _exit_code(one.process)  # also of one that never opened: nothing goes on behind a recording

    def _outcome(self) -> dict[str, Any]:
        """What was counted and what went wrong, per device."""
        return {
            one.name: {key: one.state.get(key, empty) for key, empty in (("samples", 0), ("counts", {}))}
            | {"problem": one.ended or ""}
            for one in self.devices.values()
        }
