"""What is seen while it records: a line per device, written over; a page where it is asked for; pulses in both."""

import math
import shutil
import sys
import time
from typing import Any

from tools.multimodal.recorder import Recorder, Running

EVERY, EVERY_IN_FILE = 0.5, 10.0  # s between two views
QUIET = 2.0  # s without a sample that are said, of a device that sends all the time
PACKAGES = ("starlette", "uvicorn", "websockets")
WORDS = "It shows this recording to whoever knows the address on this machine."


class Console:
    """`tick` shows what there is to show when its time has come."""

    def __init__(self, recorder: Recorder, quiet: bool = False, page: int | None = None, lsl: bool = False):
        """`page`: the port of the page, 0 for any, None for none. ValueError where packages for page or `lsl` lack."""
        self._recorder, self._quiet = recorder, quiet
        self._outlets = _outlets(recorder) if lsl else None
        self._terminal, self._height = sys.stdout.isatty(), 0
        self._shown, self._printed = time.monotonic(), -math.inf
        self._seen: dict[str, Any] = {}
        self._pulses = None if quiet and page is None else _pulses(recorder)
        self._page = None if page is None else self._serve(page)

    def _serve(self, port: int) -> Any:
        try:
            from tools.multimodal.monitor import Page
        except ModuleNotFoundError as error:
            if (error.name or "").partition(".")[0] not in PACKAGES:
                raise
            raise ValueError(
                f"--page serves its page with packages that are not all installed ({error.name} is missing): "
                f"pip install {' '.join(PACKAGES)}. Without --page the terminal shows the same."
            ) from None
        self._look()
        page = Page(lambda: self._seen, port)
        print(f"Page: {page.address}\n{WORDS}", flush=True)
        return page

    def tick(self) -> None:
        """Called often, by the recorder."""
        now = time.monotonic()
        for part in (self._pulses, self._outlets):
            if part:
                part.ask()
        if now - self._shown < (EVERY if self._terminal or self._page else EVERY_IN_FILE):
            return
        self._shown = now
        self._look()
        if not self._quiet:
            self._print(lines(self._seen))

    def _look(self) -> None:
        self._seen = view(self._recorder, self._pulses.seen() if self._pulses else {})

    def _print(self, said: list[str]) -> None:
        if self._terminal:
            width = shutil.get_terminal_size().columns - 1
            up = f"\x1b[{self._height}F" if self._height else ""
            print(up + "\n".join(f"{line[:width]}\x1b[K" for line in said), flush=True)
            self._height = len(said)
        elif time.monotonic() - self._printed >= EVERY_IN_FILE:
            self._printed = time.monotonic()
            print("; ".join(said), flush=True)

    def close(self) -> None:
        """End the page and all that listens."""
        for part in (self._page, self._pulses, self._outlets):
            if part:
                part.close()


def _pulses(recorder: Recorder) -> Any:
    from tools.multimodal.pulses import Pulses  # its filters take a second to import

    return Pulses(recorder)


def _outlets(recorder: Recorder) -> Any:
    from tools.multimodal.outlet import Outlets

    return Outlets(recorder)


def view(recorder: Recorder, pulses: dict[str, dict[str, Any]]) -> dict[str, Any]:
    """The state of a recording, as the page gets it."""
    filling = recorder.filling
    return {
        "seconds": round(recorder.seconds, 1),
        "free_gb": round(recorder.free / 1e9, 2),
        "mb_per_s": round(filling / 1e6, 2),
        "minutes": round(recorder.free / filling / 60) if filling > 1e3 else None,
        "devices": [device(one) for one in recorder.devices.values()],
        "pulses": pulses,
    }


def device(one: Running) -> dict[str, Any]:
    """One device."""
    state = one.state
    counts = [f"{count} {kind}" for kind, count in sorted(state.get("counts", {}).items()) if count]
    if state.get("rate") and state["silent_s"] > QUIET:
        counts.append(f"silent for {state['silent_s']:.0f} s")
    return {
        "name": one.name, "rate": round(one.rate, 1), "samples": state.get("samples", 0),
        "offset_ms": state.get("offset_ms", 0.0), "problems": ", ".join(counts), "ended": one.ended or "",
    }  # fmt: skip


def lines(seen: dict[str, Any]) -> list[str]:
    """What `view` gives, in lines: one for all, one for each device with its pulse."""
    room = f", room for {seen['minutes']} minutes" if seen["minutes"] is not None else ""
    first = f"{seen['seconds']:6.0f} s  {seen['mb_per_s']:.1f} MB/s, {seen['free_gb']:.1f} GB free{room}"
    return [first, *(_line(one, seen["pulses"].get(one["name"])) for one in seen["devices"])]


def _line(one: dict[str, Any], pulse: dict[str, Any] | None) -> str:
    if one["ended"]:
        return f"{one['name']:8} ended: {one['ended']}"
    said = f"{one['name']:8} {one['rate']:6.1f}/s {one['samples']:8d}  clock {one['offset_ms']:+8.1f} ms"
    if pulse is not None:
        said += "  pulse " + ("   -" if pulse["rate"] is None else f"{pulse['rate']:4.0f}") + " bpm"
    return f"{said}  {one['problems'] or 'nothing lost'}"
