"""Progress of long work: a bar in a terminal, a plain line now and then in a log."""

import sys
import threading
import time
from collections.abc import Iterable, Iterator
from typing import Any

from tqdm import tqdm

tqdm.set_lock(threading.RLock())  # its own is shared with other processes, which leave it behind when they are killed
INTERVAL = 30.0  # seconds between two lines of one piece of work
WANTED = {"bars": True}  # see `want`


def want(bars: bool) -> None:
    """Whether this process shows any progress from now on."""
    WANTED["bars"] = bars


def show_progress(
    items: Iterable[Any] | None = None,
    desc: str = "",
    total: int | None = None,
    unit: str = "it",
    keep: bool = True,
    silent: bool = False,
) -> "tqdm | Lines":
    """Iterate over `items`, or call `update` in a `with` block, and show on stderr how far it is.

    `keep` leaves the bar, or a closing line, behind; `silent` shows nothing. Both have `update`, `set_postfix`.
    """
    silent = silent or not WANTED["bars"]
    if silent or sys.stderr.isatty():
        return tqdm(items, desc=desc, total=total, unit=unit, leave=keep, disable=silent)
    return Lines(items, desc, total, unit, keep)


class Lines:
    """Like a bar of tqdm, for output that cannot move its cursor: a log file, a pipe, a CI job."""

    def __init__(self, items: Iterable[Any] | None, desc: str, total: int | None, unit: str, keep: bool):
        """Nothing is printed yet."""
        self.items, self.desc, self.unit, self.keep = items, desc, unit, keep
        self.total = len(items) if total is None and hasattr(items, "__len__") else total
        self.done, self.postfix = 0, ""
        self.start = self.last = time.monotonic()

    def __iter__(self) -> Iterator[Any]:
        """The items, each counted when the next one is asked for."""
        with self:
            for item in self.items:
                yield item
                self.update()

    def __enter__(self) -> "Lines":
        """Itself."""
        return self

    def __exit__(self, kind: type | None, *error: Any) -> None:
        """The closing line, unless the work broke off."""
        if self.keep and kind is None:
            self._print()

    def update(self, n: int = 1) -> None:
        """Count `n` more; a line when the last one is long ago."""
        self.done += n
        if time.monotonic() - self.last >= INTERVAL and self.done != self.total:
            self._print()

    def set_postfix(self, **values: Any) -> None:
        """Values to show with the next line."""
        self.postfix = "".join(f", {name} {value}" for name, value in values.items())

    def _print(self) -> None:
        self.last = time.monotonic()
        of = "" if self.total is None else f"/{self.total}"
        seconds = self.last - self.start
        left = seconds * (self.total - self.done) / self.done if self.total and self.done else 0.0
        more = f", about {left:.0f} s left" if left > 0 else ""
        text = f"{self.desc}: {self.done}{of} {self.unit}{self.postfix}, {seconds:.1f} s{more}"
        print(text, file=sys.stderr, flush=True)
