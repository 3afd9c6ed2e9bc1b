"""Whether the disk of the cache has room for what is still to be made: said before hours are spent on it.

What an entry will take is told by the header of its video, where `path` is one, and otherwise by the entries that are
finished. A header is only a claim and a mean only likely: they warn. What stops is that the rest would not fit even if
every recording took as little as the smallest of several finished ones.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import islice

from dataset.data_loader.base import Recording
from dataset.files.names import plural
from dataset.files.video import frame_count
from dataset.store import disk
from dataset.store.cache import Cache
from dataset.store.disk import CacheError

SURE = 3  # finished entries of which the smallest is a measure for the others
LOOKED_AT = 50  # of those that were there before, and of the headers
SMALLEST = 8  # bytes of a file that a coded frame takes at least: more frames than that are not believed


@dataclass
class Sizes:
    """Some sizes in bytes: what is asked of them costs the same however many there are."""

    count: int = 0
    total: float = 0.0
    least: float = math.inf

    def add(self, size: float) -> None:
        """One more."""
        self.count, self.total, self.least = self.count + 1, self.total + size, min(self.least, size)


class Room:
    """Compares what `todo` will take with what is free: when it is made, and when `ended` is told of a recording.

    `frame`: bytes of a stored frame, 0 where there is no video. Raises CacheError when the rest cannot fit, and warns
    once when it will probably not.
    """

    def __init__(self, cache: Cache, todo: Sequence[Recording], frame: int):
        """Look for the first time; nothing has been written then."""
        self._cache, self._warned = cache, False
        self._made, self._stated = Sizes(), Sizes()  # finished entries; by headers
        for folder in islice(cache.finished(), LOOKED_AT) if todo else ():
            self._made.add(disk.taken(folder))
        self._tried = self._made.count
        # What is made again takes the place of what is there.
        new = [recording for recording in todo if not cache.path(recording.id).exists()]
        self._left = {recording.id: 0 for recording in new}
        for recording in new[:: -(-len(new) // LOOKED_AT) or 1] if frame else ():
            if frames := _frames(recording):
                self._left[recording.id] = frames * frame
                self._stated.add(frames * frame)
        self._known = self._stated.total, self._stated.count  # of those that are left: bytes, and how many
        self._look()

    def ended(self, name: str, done: bool) -> None:
        """A recording has ended, `done` or not."""
        stated = self._left.pop(name, None)
        if stated is None:
            return
        self._known = self._known[0] - stated, self._known[1] - bool(stated)
        self._tried += 1
        if done:
            self._made.add(disk.taken(self._cache.path(name)))
        self._look()

    def _look(self) -> None:
        free = disk.free(self._cache.root) if self._left else None
        if free is None:
            return
        free += disk.taken(self._cache.path_of_unfinished)  # it belongs to those that are left
        if self._least() > free:
            raise CacheError(self._sentence("at least", self._least(), free))
        if self._likely() > free and not self._warned:
            self._warned = True
            print(f"Warning: {self._sentence('about', self._likely(), free)}")

    def _likely(self) -> float:
        known = self._made if self._made.count else self._stated
        mean = known.total / known.count if known.count else 0.0
        return self._known[0] + (len(self._left) - self._known[1]) * mean

    def _least(self) -> float:
        if self._made.count < SURE:
            return 0.0
        return self._made.least * len(self._left) * self._made.count / self._tried  # others may fail, too

    def _sentence(self, how: str, needed: float, free: float) -> str:
        return (
            f"{plural(len(self._left), 'recording')} still to be preprocessed will take {how} {_size(needed)} in the "
            f"cache '{self._cache.root}', whose disk has {_size(free)} left: {disk.MAKE_ROOM}"
        )


def _frames(recording: Recording) -> int:
    """Frames by the header of the recording's video; 0 where `path` is none, or does not say."""
    if not recording.path.is_file():
        return 0
    return min(frame_count(recording.path) or 0, recording.path.stat().st_size // SMALLEST)


def _size(count: float) -> str:
    return f"{count / 1e9:.1f} GB" if count >= 1e9 else f"{count / 1e6:.1f} MB"
