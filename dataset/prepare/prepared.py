"""A section that is ready to be read: its recordings, what failed of them, their entries and clips."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dataset.data_loader.base import Recording
from dataset.files.names import plural
from dataset.prepare.splits import Side, Split
from dataset.program import INCOMPLETE
from dataset.store.cache import Cache
from dataset.store.disk import CacheError
from dataset.store.entry import DamagedEntryError, Entry

if TYPE_CHECKING:
    from dataset.clips.clips import ClipDataset
    from dataset.prepare.legacy import LegacyChunks

NAMED = 20  # recordings that a remedy names


class IncompleteError(RuntimeError):
    """A section lacks recordings; the message names them with the reasons. `prepared` is what there is."""

    exit_code = INCOMPLETE

    def __init__(self, prepared: Prepared, told: bool = False):
        """Compose the message; without the reasons where they were `told` a line before."""
        self.prepared = prepared
        lines = [] if told else [f"  {recording.id}: {reason}" for recording, reason in prepared.failed]
        super().__init__(
            f"{prepared.name.upper()}.DATA ({prepared.dataset}) is incomplete: {len(prepared.failed)} of "
            f"{plural(prepared.total, 'recording')} missing{', as said above' if told else ''}.\n"
            + "".join(f"{line}\n" for line in lines)
            + mend_or_leave_out([recording.id for recording, _ in prepared.failed], f"{prepared.name.upper()}.DATA.")
        )


def mend_or_leave_out(ids: Sequence[str], section: str = "") -> str:
    """What helps where recordings are missing; the keys as a command line takes them, with `section` before them."""
    return (
        f"Mend or remove these recordings, leave them out on purpose ({exclusion(ids, section)}, or a list), or set "
        "ALLOW_INCOMPLETE: True; every table then says INCOMPLETE."
    )


def exclusion(ids: Sequence[str], section: str = "") -> str:
    """The keys that leave recordings out, as a command line takes them, with `section` before them."""
    names = ", ".join(f"'{name}'" for name in ids[:NAMED]) + (", ..." if len(ids) > NAMED else "")
    return f'{section}FILTERING.USE_EXCLUSION_LIST=True "{section}FILTERING.EXCLUSION_LIST=[{names}]"'


@dataclass
class Prepared:
    """One section, ready to be read.

    recordings  selected and done, in the order of the split      failed    (recording, reason)
    excluded    (recording, reason): left out on purpose          split     what BEGIN, END, folds or a list chose
    others      chosen, but of another shard (none without --shard)
    cache       None when rPPG-Toolbox's own chunks are read      chunks    those chunk files
    fs          frames per second of the clips (FS, or what the recordings say)
    select      clips by recording when a list chose them, else None
    """

    name: str
    dataset: str
    root: Path
    fs: float
    split: Split
    cache: Cache | None = None
    recordings: list[Recording] = field(default_factory=list)
    failed: list[tuple[Recording, str]] = field(default_factory=list)
    excluded: list[tuple[Recording, str]] = field(default_factory=list)
    others: list[Recording] = field(default_factory=list)
    select: dict[str, list[int]] | None = None
    chunks: list[Path] = field(default_factory=list)
    clip_options: dict[str, Any] = field(default_factory=dict)
    types: tuple[str, ...] = ()
    allow_incomplete: bool = False
    anonymous: bool = False  # nobody knows whose the recordings are: each counts as a person
    rendered: bool = False  # made by the toolbox, wholly or in part: no measurement of people

    @property
    def total(self) -> int:
        """Recordings wanted: ready and failed."""
        return len(self.recordings) + len(self.failed)

    @property
    def used(self) -> Split:
        """The split without what was left out on purpose: what overlaps with other sections are judged by."""
        left_out = {recording.id for recording, _ in self.excluded}
        return replace(self.split, ids=tuple(name for name in self.split.ids if name not in left_out))

    @property
    def side(self) -> Side:
        """What overlaps with other sections are judged by."""
        every = [*self.recordings, *(recording for recording, _ in self.failed)]
        paths = {} if self.legacy else {recording.id: recording.path for recording in every}
        return Side(self.root, self.used, paths, self.anonymous)

    @property
    def remarks(self) -> tuple[str, ...]:
        """What everybody must know who reads numbers of these recordings."""
        said = (
            f"{self.name.upper()}.DATA: the names of these chunks do not say whose they are: each recording counts as "
            "a person, also where sections are compared for people they share; intervals are too narrow where some "
            "are of one person."
        )
        return (said,) if self.anonymous else ()

    @property
    def legacy(self) -> bool:
        """Whether rPPG-Toolbox's own chunks are read: no cache entries, no native signals."""
        return bool(self.chunks)

    def entry(self, recording: Recording | str) -> Entry:
        """Cache entry of a recording; its signals are read, and may turn out to be damaged, when they are asked for."""
        if self.cache is None:
            raise ValueError(f"{self.name.upper()}.DATA reads rPPG-Toolbox's chunks; they have no cache entry.")
        return self.cache.open(recording if isinstance(recording, str) else recording.id)

    def source(self, recording: str) -> Any:
        """What the data set holds of a recording beside its clips: the cache entry; None for ready-made chunks."""
        return None if self.cache is None else self.entry(recording)

    def clips(self, **changes: Any) -> ClipDataset | LegacyChunks:
        """The clips of all recordings; `changes` replace fields of `dataset.clips.clips.ClipOptions`.

        Recordings that cannot be cut move to `failed`; IncompleteError unless ALLOW_INCOMPLETE, or if none is left.
        """
        if self.legacy:
            from dataset.prepare.legacy import LegacyChunks

            dataset: ClipDataset | LegacyChunks = LegacyChunks(self.chunks, self.fs, self.split.subjects)
        else:
            from dataset.clips.clips import ClipDataset, ClipOptions

            options = replace(ClipOptions(**self.clip_options), **changes)
            ids = [recording.id for recording in self.recordings]
            dataset = ClipDataset(self.entry, ids, options, self.select, self._others)
        for note in dataset.notes:
            print(f"{self.name.upper()}.DATA: {note}")
        self.fail(dict(dataset.failed))
        self.check()
        return dataset

    def _others(self) -> Iterator[Entry]:
        """Entries of the data set that are not in this section; those that cannot be read are left out."""
        own = {recording.id for recording in self.recordings}
        for row in self.cache.listing() if self.cache is not None else ():
            with contextlib.suppress(CacheError):
                if row["id"] not in own:
                    yield self.cache.open(row["id"])

    def verify(self) -> None:
        """Read every entry whole; recordings whose entry is damaged move to `failed`."""
        reasons = {}
        for recording in self.recordings if self.cache is not None else ():
            try:
                self.cache.verified(recording.id)
            except DamagedEntryError as error:
                reasons[recording.id] = str(error)
        self.fail(reasons)

    def check(self, told: bool = False) -> None:
        """IncompleteError when recordings are missing and may not be, or none is left; `told`: why is on screen."""
        if self.failed and (not self.allow_incomplete or not self.recordings):
            raise IncompleteError(self, told)

    def fail(self, reasons: Mapping[str, str]) -> None:
        """Recordings (id) with a reason are failed from now on."""
        self.failed += [(recording, reasons[recording.id]) for recording in self.recordings if recording.id in reasons]
        self.recordings = [recording for recording in self.recordings if recording.id not in reasons]
