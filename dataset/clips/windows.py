"""Samples of data that are millions of windows: the same dicts as `clips` gives, without a cache entry for each."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch.utils.data import Dataset

from dataset.clips import labels
from dataset.clips.clips import Ask
from dataset.clips.inputs import ClipOptions, Input
from dataset.clips.labels import Label
from dataset.clips.resampling import Grid, change_rate
from dataset.files.windows import Windows
from registry import did_you_mean


class WindowDataset(Dataset):
    """The windows of the recordings `ids` in that order, each recording from its first window to its last.

    A sample is a dict:

        an input by its name: (L,) float32, a channel; of several `streams` (C, L)
        labels by name, float32: scalars and codes () or (columns,), targets of the table; waves (L,) or (L, columns),
        channels of the window, transformed as LABEL_TYPE says within it
        has_<name> bool for each optional input
        recording, subject, clip (place in its recording), fs (Hz, of the first input), index, and of an `Ask` epoch

    A window is a clip: length and stride of the options do not count. Where a required label is NaN a window is left
    out (`notes` say how many), and a recording without any window that has it is in `failed` (id, reason). Raises
    ValueError for inputs and required labels that the data do not have.
    """

    def __init__(self, windows: Windows, ids: Sequence[str] | None = None, options: ClipOptions | None = None):
        """Choose the rows of the table; no window is read."""
        self.windows, self.options = windows, options or ClipOptions()
        self.failed: list[tuple[str, str]] = []
        self.dropped: dict[str, int] = {}
        self.notes: list[str] = []
        self._inputs = [self._input(one) for one in self.options.inputs]
        self._labels = [label for label in self.options.labels if self._known(label)]
        waves = (self._numbers_of(label.columns) for label in self._labels if label.kind == "wave")
        needed = [*(channels for _, channels, _ in self._inputs if channels is not None), *waves]
        self._channels = list(dict.fromkeys(channel for channels in needed for channel in channels))  # read at once
        wanted = windows.recordings if ids is None else ids
        self._rows = self._chosen(wanted)
        used = np.zeros(len(windows.recordings), dtype=bool)
        used[windows.of[self._rows]] = True
        self.recordings = [name for name in wanted if used[self._numbers[name]]]

    def __len__(self) -> int:
        """Windows of all recordings."""
        return len(self._rows)

    def __getitem__(self, index: int) -> dict[str, Any]:
        """The sample with this number."""
        sample = {key: value[0] for key, value in self.__getitems__([index]).items()}
        whole = {
            key: value.item()
            for key, value in sample.items()
            if isinstance(value, torch.Tensor) and not value.is_floating_point()
        }
        return sample | whole | {"fs": self._inputs[0][2].fs}

    def __getitems__(self, indices: Sequence[int]) -> dict[str, Any]:
        """What `collate` makes of the samples with these numbers, read at once; a `DataLoader` asks for it."""
        places = np.array(indices, dtype=np.int64)
        rows = self._rows[places]
        epochs = [index.epoch if isinstance(index, Ask) else 0 for index in indices]
        waves = self.windows.read_many(rows, self._channels, epochs)
        batch: dict[str, Any] = {}
        for one, channels, grid in self._inputs:
            batch[one.name] = torch.from_numpy(self._values(one, channels, grid, waves))
            if one.optional:
                batch[f"has_{one.name}"] = torch.full((len(rows),), channels is not None)
        for label in self._labels:
            made = self._wave_label(label, waves) if label.kind == "wave" else self._scalar_label(label, rows)
            batch[label.name] = torch.from_numpy(made)
        asked = {"epoch": torch.tensor(epochs)} if isinstance(indices[0], Ask) else {}
        return batch | self._facts(rows, places) | asked

    def _facts(self, rows: np.ndarray, places: np.ndarray) -> dict[str, Any]:
        """Whose the windows are, where in their recording and in this data set they lie, and their rate."""
        of = self.windows.of[rows].tolist()
        return {
            "recording": [self.windows.recordings[number] for number in of],
            "subject": [self.windows.subjects[number] for number in of],
            "clip": torch.from_numpy(self.windows.number[rows].astype(np.int64)),
            "fs": torch.full((len(rows),), self._inputs[0][2].fs, dtype=torch.float32),
            "index": torch.from_numpy(places),
        }

    def scalars(self, name: str) -> np.ndarray:
        """The scalar label `name` of every window as its samples have it, (n,) or (n, columns); no window is read."""
        return self._scalar_label(next(one for one in self._labels if one.name == name), self._rows)

    def clip_lengths(self) -> None:
        """All windows are alike."""
        return None

    def _input(self, one: Input) -> tuple[Input, list[int] | None, Grid]:
        """An input with the numbers of its channels (None: zeros) and the way to its rate."""
        own, first = Grid(None, self.windows.fs, self.windows.length), self.options.inputs[0]
        grid = own.to(float(one.fs or first.fs or self.options.fs or own.own))
        known = self.windows.channels
        lacking = [name for name in one.parts if name not in known]
        if lacking and not (one.optional and one is not first):
            raise ValueError(f"the windows have no channel {lacking[0]!r} (they have: {', '.join(known)}).")
        if lacking:
            self.notes.append(f"the windows have no {one.name!r}, zeros instead")
        return one, None if lacking else self._numbers_of(one.parts), grid

    def _numbers_of(self, names: Sequence[str]) -> list[int]:
        return [self.windows.channels.index(name) for name in names]

    def _known(self, label: Label) -> bool:
        """Whether the data have this label; ValueError when they lack a required one."""
        there = self.windows.channels if label.kind == "wave" else tuple(self.windows.targets)
        lacking = [name for name in label.columns if name not in there]
        if lacking and label.required:
            what = "channel" if label.kind == "wave" else "target"
            hint = did_you_mean(lacking[0], there)
            raise ValueError(
                f"the windows have no {what} {lacking[0]!r}.{hint} There are: {', '.join(there) or 'none'}."
            )
        return not lacking

    def _chosen(self, wanted: Sequence[str]) -> np.ndarray:
        """Rows (n,) int64 of the windows to use, in the order of `wanted` and of their places."""
        windows = self.windows
        self._numbers = {name: number for number, name in enumerate(windows.recordings)}
        rank = np.full(len(windows.recordings), -1, dtype=np.int32)
        rank[[self._numbers[name] for name in wanted]] = np.arange(len(wanted))
        rows = self._fit(np.flatnonzero(rank[windows.of] >= 0))
        for label in self._labels:
            if label.required and label.kind != "wave":
                rows = self._with_label(label, rows)
        return rows[np.lexsort((windows.number[rows], rank[windows.of[rows]]))]

    def _fit(self, rows: np.ndarray) -> np.ndarray:
        """`rows` without those that cannot be used; a recording of which none is left has failed."""
        unfit, of = self.windows.unfit, self.windows.of
        good = np.array([int(row) not in unfit for row in rows], dtype=bool)
        if not good.all():
            self.notes.append(f"{(~good).sum()} of {len(rows)} windows cannot be used and are left out")
            lost = np.setdiff1d(of[rows], of[rows[good]])
            reasons = {of[row]: unfit[int(row)] for row in rows[~good]}
            self.failed += [(self.windows.recordings[number], reasons[number]) for number in lost]
        return rows[good]

    def _with_label(self, label: Label, rows: np.ndarray) -> np.ndarray:
        good = np.any([np.isfinite(self.windows.targets[name][rows]) for name in label.columns], axis=0)
        if not good.all():
            self.notes.append(f"{(~good).sum()} of {len(rows)} windows have no {label.name!r} and are left out")
            of = self.windows.of
            for number in np.setdiff1d(of[rows], of[rows[good]]):
                self.failed.append((self.windows.recordings[number], f"no window has the target {label.name!r}"))
        return rows[good]

    def _picked(self, waves: np.ndarray, channels: list[int]) -> np.ndarray:
        """`channels` of what was read of windows (n, C, L)."""
        return waves if channels == self._channels else waves[:, [self._channels.index(one) for one in channels]]

    def _values(self, one: Input, channels: list[int] | None, grid: Grid, waves: np.ndarray) -> np.ndarray:
        """An input of windows, (n, L) or (n, C, L); zeros where the data lack it."""
        if channels is None:
            return np.zeros((len(waves), *([len(one.streams)] if one.streams else []), grid.count), dtype=np.float32)
        found = change_rate(self._picked(waves, channels), grid.up, grid.down)
        return found if one.streams else found[:, 0]

    def _wave_label(self, label: Label, waves: np.ndarray) -> np.ndarray:
        """(n, L) or (n, L, columns)."""
        grid, kind = self._inputs[0][2], self.options.label_type
        found = change_rate(self._picked(waves, self._numbers_of(label.columns)), grid.up, grid.down)
        found = np.stack([np.stack([labels.transform(one, kind) for one in window], axis=-1) for window in found])
        return (found if label.parts else found[..., 0]).astype(np.float32)

    def _scalar_label(self, label: Label, rows: np.ndarray) -> np.ndarray:
        """(n,) or (n, columns)."""
        values = np.stack([self.windows.targets[name][rows] for name in label.columns], axis=-1)
        values = np.where(np.isfinite(values), values, np.float32(label.missing))
        return values if label.parts else values[:, 0]
