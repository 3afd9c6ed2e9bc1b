"""A DATA node of millions of windows, made ready: the same splits and checks as recordings have, but no cache."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from dataset.data_loader.base import BaseLoader, Recording, Signal
from dataset.files.windows import Windows
from dataset.prepare.listing import by_range, filtered, make_split
from dataset.prepare.node import clip_options
from dataset.prepare.prepared import Prepared
from dataset.prepare.splits import SplitError

if TYPE_CHECKING:
    from dataset.clips.windows import WindowDataset

SECTIONS = ("train", "valid", "test")


@dataclass(frozen=True)
class WindowSource:
    """What the data hold of the windows of one recording: `rows` of the table, in their order."""

    id: str
    subject: str
    windows: Windows
    rows: np.ndarray

    def pieces(self, every: int = 1) -> Iterator[tuple[int, dict[str, float], dict[str, Signal]]]:
        """(place, targets, signals by channel) of one in `every` windows, read when it is its turn."""
        whole, channels = self.windows, range(len(self.windows.channels))
        for row in map(int, self.rows[::every]):
            waves = zip(whole.channels, whole.read(row, channels), strict=True)
            targets = {name: float(values[row]) for name, values in whole.targets.items()}
            yield int(whole.number[row]), targets, {name: Signal(wave, fs=whole.fs) for name, wave in waves}


@dataclass
class PreparedWindows(Prepared):
    """As `Prepared`; a recording is what the table calls one, and there are no cache entries."""

    windows: Windows | None = field(default=None, repr=False)

    @property
    def legacy(self) -> bool:
        """True: there are no cache entries and no native signals, only what the windows hold."""
        return True

    def source(self, recording: str) -> WindowSource:
        """The windows of a recording with their table."""
        number = self._numbers[recording]
        rows = self._order[slice(*np.searchsorted(self._sorted, [number, number + 1]))]
        return WindowSource(recording, self.windows.subjects[number], self.windows, rows)

    @cached_property
    def _numbers(self) -> dict[str, int]:
        return {name: number for number, name in enumerate(self.windows.recordings)}

    @cached_property
    def _order(self) -> np.ndarray:
        return np.lexsort((self.windows.number, self.windows.of))

    @cached_property
    def _sorted(self) -> np.ndarray:
        return self.windows.of[self._order]

    def clips(self, **changes: Any) -> "WindowDataset":
        """The windows of all recordings; `changes` replace fields of `ClipOptions`. Errors as by `Prepared.clips`."""
        from dataset.clips.inputs import ClipOptions
        from dataset.clips.windows import WindowDataset

        options = replace(ClipOptions(**self.clip_options), **changes)
        try:
            dataset = WindowDataset(self.windows, [recording.id for recording in self.recordings], options)
        except ValueError as error:
            raise ValueError(f"{self.name.upper()}.DATA ({self.dataset}): {error}") from None
        for note in dataset.notes:
            print(f"{self.name.upper()}.DATA: {note}")
        reasons = dict(dataset.failed)
        self.failed += [(r, reasons[r.id]) for r in self.recordings if r.id in reasons]
        self.recordings = [r for r in self.recordings if r.id not in reasons]
        self.check()
        return dataset


def prepare_windows(loader: BaseLoader, data: Any, name: str, config: Any, listed: bool = False) -> PreparedWindows:
    """Make a section of windows ready: `loader.read_windows(root)`, split by BEGIN, END and folds, then the filters.

    Raises FileNotFoundError when DATA_PATH is missing, SplitError for an impossible split, for a list of clips
    (`listed`: there is none for windows), and when the filters leave nothing.
    """
    root = Path(data.DATA_PATH or "")
    if listed:
        raise SplitError(f"{name.upper()}.DATA.FILE_LIST_PATH lists clips, which windows do not have. Use a fold.")
    if not loader.generated and (not data.DATA_PATH or not root.exists()):
        raise FileNotFoundError(
            f"{name.upper()}.DATA.DATA_PATH '{data.DATA_PATH}' does not exist; windows are read where they lie. "
            f"Set it, or RPPG_DATA to the folder above it."
        )
    windows = loader.read_windows(root)
    pairs = zip(windows.recordings, windows.subjects, strict=True)
    listing = [Recording(id=recording, subject=subject, path=root) for recording, subject in pairs]
    listing = own_part(listing, windows.parts, data, name, config)
    chosen = by_range(listing, loader, data, name)
    split = make_split(data, loader, chosen)
    kept, excluded = filtered(chosen, loader, data)
    if not kept:
        raise SplitError(
            f"{name.upper()}.DATA: the filters (INFO, FILTERING) leave none of {len(excluded)} recordings of "
            f"{data.DATASET}. Widen them."
        )
    return PreparedWindows(
        name=name,
        dataset=data.DATASET,
        root=root,
        fs=float(data.get("RESAMPLE_FS", 0.0)) or windows.fs,
        split=split,
        recordings=kept,
        excluded=excluded,
        clip_options=_options(data, loader, name) | {"inputs": windows.channels, "labels": ()},
        types=tuple(data.PREPROCESS.DATA_TYPE),
        allow_incomplete=bool(config.ALLOW_INCOMPLETE),
        windows=windows,
    )


def own_part(listing: list[Recording], parts: Sequence[str], data: Any, name: str, config: Any) -> list[Recording]:
    """Those that the data set's own split gives to the section `name`; all where a fold or SPLIT.KIND divides them."""
    divided = data.FOLD.FOLD_PATH or data.FOLD.SUBJECTS or data.FOLD.RECORDINGS
    divided = divided or (config.get("SPLIT") and config.SPLIT.KIND)
    if divided or not parts or name not in SECTIONS:
        return listing
    own = [one for one, part in zip(listing, parts, strict=True) if part == name]
    if not own:
        raise SplitError(f"{name.upper()}.DATA: the split of '{data.DATA_PATH}' has no part for it. Prepare it anew.")
    return own


def _options(data: Any, loader: BaseLoader, name: str) -> dict[str, Any]:
    """Fields of ClipOptions; of length and stride nothing: a window is a clip."""
    options = clip_options(data, loader, name in ("train", "valid"))
    return {key: value for key, value in options.items() if key not in ("length", "seconds", "stride")}
