"""Signals and frame numbers of a recording on the Lab Streaming Layer, for laboratories that record EEG with it.

Needs the package pylsl. The recording's own files stay primary: what the network loses is lost on the network only.
Times are those of the samples, on LSL's clock; they come in bundles, twice a second.
"""

import time
from typing import Any

from tools.multimodal.recorder import Recorder, Running

SOURCE = "PulseScope"
MISSING = "--lsl offers signals with the package pylsl, which is not installed: pip install pylsl."


class Outlets:
    """One outlet per device: the first column of a table, or the numbers of frames."""

    def __init__(self, recorder: Recorder):
        """Take part in `recorder`. ValueError without pylsl."""
        try:
            import pylsl
        except (ImportError, RuntimeError):  # RuntimeError: the package is there, and its library is not
            raise ValueError(MISSING) from None
        self._lsl, self._recorder = pylsl, recorder
        self._outlets: dict[str, Any] = {}
        self._ahead = pylsl.local_clock() - time.monotonic()
        recorder.listeners.append(self._push)

    def ask(self) -> None:
        """Ask devices that have begun for their values, and open their outlets."""
        for name, one in self._recorder.devices.items():
            if one.alive and one.state and name not in self._outlets:
                self._outlets[name] = self._lsl.StreamOutlet(self._info(name, one))
                one.link.tell(points=True)

    def _info(self, name: str, one: Running) -> Any:
        table = one.described.get("table")
        kind, channel = ("Signal", table) if table else ("Frames", "frame number")
        identity = str(self._recorder.identity)
        info = self._lsl.StreamInfo(
            f"{SOURCE} {name}", kind, 1, one.state.get("rate") or 0.0, "double64", f"{SOURCE} {identity} {name}"
        )
        info.desc().append_child("channels").append_child("channel").append_child_value("label", channel)
        info.desc().append_child_value("recording", identity)
        return info

    def _push(self, name: str, points: list[list[float]]) -> None:
        outlet = self._outlets.get(name)
        if outlet is not None and points:
            outlet.push_chunk([[value] for _, value in points], [moment + self._ahead for moment, _ in points])

    def close(self) -> None:
        """End all outlets."""
        self._outlets.clear()
