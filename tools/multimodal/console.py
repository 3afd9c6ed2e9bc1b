"""What is seen while it records: a line per device, written over; a page where it is asked for."""

import shutil
import sys
import time
from typing import Any

from tools.multimodal.recorder import Recorder, Running

EVERY, EVERY_IN_FILE = 0.5, 10.0  # s between two views


class Console:
    """`tick` shows what there is to show when its time has come."""

    def __init__(self, recorder: Recorder, quiet: bool = False, page: int | None = None):
        """`page`: the port of the page, 0 for any, None for no page."""
        self._recorder, self._quiet, self._port = recorder, quiet, page
        self._terminal, self._shown, self._height = sys.stdout.isatty(), time.monotonic(), 0
        self._page: Any = None

    def tick(self) -> None:
        """Called often."""
        now = time.monotonic()
        if self._quiet or now - self._shown < (EVERY if self._terminal else EVERY_IN_FILE):
            return
        self._shown = now
        lines = view(self._recorder)
        if self._terminal:
            width = shutil.get_terminal_size().columns - 1
            up = f"\x1b[{self._height}F" if self._height else ""
            print(up + "\n".join(f"{line[:width]}\x1b[K" for line in lines), flush=True)
            self._height = len(lines)
        else:
            print("; ".join(lines), flush=True)

    def close(self) -> None:
        """End the page."""
        if self._page:
            self._page.close()


def view(recorder: Recorder) -> list[str]:
    """The state of the recording, a line for all and one for each device."""
    left = f", {recorder.free / recorder.filling / 60:.0f} minutes of room" if recorder.filling > 1e3 else ""
    first = f"{recorder.seconds:6.0f} s  {recorder.filling / 1e6:.1f} MB/s, {recorder.free / 1e9:.1f} GB free{left}"
    return [first, *(line(one) for one in recorder.devices.values())]


def line(one: Running) -> str:
    """One device in words."""
    if one.ended:
        return f"{one.name:8} ended: {one.ended}"
    state = one.state
    if not state:
        return f"{one.name:8} waits for its first sample"
    counts = ", ".join(f"{count} {kind}" for kind, count in sorted(state["counts"].items()) if count)
    said = f"{one.name:8} {one.rate:6.1f}/s {state['samples']:8d}  clock {state['offset_ms']:+8.1f} ms"
    return f"{said}  {counts or 'nothing lost'}" + (f"  silent for {state['silent_s']:.0f} s" * (state["silent_s"] > 2))
