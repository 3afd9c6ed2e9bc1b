"""Whether the disk of the cache has room for what is still to be made: said before hours are spent on it.

What an entry will take is told by the header of its video, where `path` is one, and otherwise by the entries that are
finished. A header is only a claim and a mean only likely: they warn. What stops is that the rest would not fit even if
every recording took as little as the smallest of several finished ones.
"""

from collections.abc import Sequence
from itertools import islice
from statistics import fmean

from dataset.data_loader.base import Recording
from dataset.files.names import plural
from dataset.files.video import frame_count
from dataset.store import disk
from dataset.store.cache import Cache
from dataset.store.disk import CacheError

SURE = 3  # finished entries of which the smallest is a measure for the others
LOOKED_AT = 50  # of those that were there before
SMALLEST = 8  # bytes of a file that a coded frame takes at least: more frames than that are not believed


class Room:
    """Compares what `todo` will take with what is free: when it is made, and when `ended` is told of a recording.

    `frame`: bytes of a stored frame, 0 where there is no video. Raises CacheError when the rest cannot fit, and warns
    once when it will probably not.
    """

    def __init__(self, cache: Cache, todo: Sequence[Recording], frame: int):
        """Look for the first time; nothing has been written then."""
        self._cache, self._warned = cache, False
        self._sizes = [disk.taken(folder) for folder in islice(cache.finished(), LOOKED_AT)] if todo else []
        self._tried = len(self._sizes)
        # What is made again takes the place of what is there.
        new = [recording for recording in todo if not cache.path(recording.id).exists()]
        self._left = {recording.id: frame and frame * _frames(recording) for recording in new}
        self._look()

    def ended(self, name: str, done: bool) -> None:
        """A recording has ended, `done` or not."""
        if self._left.pop(name, None) is None:
            return
        self._tried += 1
        if done:
            self._sizes.append(disk.taken(self._cache.path(name)))
        self._look()

    def _look(self) -> None:
        free = disk.free(self._cache.root)
        if free is None or not self._left:
            return
        free += disk.taken(self._cache.path_of_unfinished)  # it belongs to those that are left
        if self._least() > free:
            raise CacheError(self._sentence("at least", self._least(), free))
        if self._likely() > free and not self._warned:
            self._warned = True
            print(f"Warning: {self._sentence('about', self._likely(), free)}")

    def _likely(self) -> float:
        stated = [size for size in self._left.values() if size]
        mean = fmean(self._sizes or stated or [0])
        return sum(size or mean for size in self._left.values())

    def _least(self) -> float:
        if len(self._sizes) < SURE:
            return 0.0
        return min(self._sizes) * len(self._left) * len(self._sizes) / self._tried  # others may fail, too

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
