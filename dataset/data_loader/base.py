"""What a data set says of itself: which recordings exist, how to read the video, how to read the signals.

Splitting, face boxes, resizing, caching and chunking are shared code elsewhere; a data set is one subclass here.
"""

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from dataset.files.frames import Frame
from dataset.files.names import natural_key as natural_key  # from here to all loaders
from dataset.files.names import natural_sort as natural_sort
from dataset.files.names import shown
from dataset.files.tables import passes_filtering
from dataset.files.windows import Windows
from dataset.signals import PULSE_WAVE
from settings.loaded import Check


@dataclass(frozen=True)
class Recording:
    """What was recorded at once of one person: a video, signals, further cameras, scalars; or some of these.

    `id` names its cache entry; `subject` is what a split never divides.
    """

    id: str
    subject: str
    path: Path
    info: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Names can be printed and written, whatever bytes the names of the files have."""
        object.__setattr__(self, "id", shown(self.id))
        object.__setattr__(self, "subject", shown(self.subject))


@dataclass(frozen=True)
class Signal:
    """A 1-D signal at its native rate: `values` (L,) and either `fs` (Hz) or `times` (L,) in seconds.

    Neither given means: spread evenly over the video (what rPPG-Toolbox assumes of every label).
    """

    values: np.ndarray
    fs: float | None = None
    times: np.ndarray | None = None
    unit: str = "a.u."


@dataclass(frozen=True)
class Frames:
    """A further camera of a recording: its frames in their own size, and when they were taken.

    `frames` yields (H, W, C) or (H, W) arrays, uint8 or float32, all alike, one at a time: they need not fit in memory.
    Either `fs` (Hz; the first frame is at 0 s) or `times` (T,) in seconds on the clock of the recording's video.
    """

    frames: Iterable[np.ndarray]
    fs: float | None = None
    times: np.ndarray | None = None


def wants_motion(options: dict[str, Any]) -> bool:
    """Whether DATA_AUG asks for the motion-augmented .npy videos instead of the originals."""
    augmentations = options.get("DATA_AUG") or ["None"]
    return "Motion" in augmentations and "None" not in augmentations


class BaseLoader:
    """A data set of the toolbox; subclasses register under the name a user writes in `DATASET`.

    A subclass has `recordings` and what its recordings hold: `read_video` (unless `has_video` is False), `read_wave`,
    `read_stream`, `read_targets`. A recording may lack any signal, stream or target; its cache entry then says so.
    """

    fs: float | None = None  # frames per second, where the data set fixes it; without video: samples per second
    has_video = True  # False: read_video is never called, no face is looked for, the cache knows nothing of faces
    version = (
        1  # raise it when the frames or signals read from the same files change: old cache entries then stand aside
    )
    signals: tuple[str, ...] = (PULSE_WAVE,)  # what read_wave returns; () for a data set without labels
    streams: tuple[str, ...] = ()  # names of further cameras, which read_stream opens; they become files of an entry
    split_unit = "subject"  # what BEGIN and END count where SPLIT_UNIT is not set: subject, recording
    optional_signals: tuple[str, ...] = ()  # what it returns for some recordings, or for all, and nothing depends on
    unaugmented = ""  # name of the data set for the refusal of DATA_AUG ['Motion']; "": the loader reads such videos
    generated = False  # True: the loader makes its files itself, so DATA_PATH need not exist
    keep_clip: Callable[[np.ndarray, float], bool] | None = (
        None  # of a clip's label (T,) and its fs: is it good enough?
    )
    bands = "RGB"  # channels of the clips: RGB, T or RGBT where the frames have a `thermal` part, too
    chunk_subject = ""  # pattern of the stems of rPPG-Toolbox's chunks, whose group is the subject; "": they do not say
    side_files: tuple[str, ...] = ()  # files beside the recordings that it reads; see dataset/prepare/unused.py
    searches_below = False  # True: recordings may lie at any depth below DATA_PATH
    OPTIONS: dict[str, Any] = {}  # keys of this data set under its DATA node, with their defaults
    LATER: tuple[str, ...] = ()  # keys of OPTIONS younger than the first runs, whose names they change only when set
    SHARED: dict[str, Any] = {}  # keys that every DATA node has: rPPG-Toolbox's files set them for any data set
    CHECKS: dict[str, Check] = {}  # of both, by key path below DATA

    @property
    def chosen(self) -> bool:
        """Whether the user has named what of DATA_PATH is read: what else lies there is then no loss."""
        return False

    def __init__(self, options: dict[str, Any] | None = None):
        """`options`: the values of OPTIONS, DATA_AUG and DECODER of the DATA node, and all `shared_options`.

        ValueError when motion-augmented videos are asked of a data set that has none.
        """
        self.options = options or {}
        if self.unaugmented and wants_motion(self.options):
            raise ValueError(
                f"PREPROCESS.DATA_AUG is ['Motion'], but {self.unaugmented} is read from its own videos only. Use "
                f"['None']."
            )

    def identity(self) -> dict[str, Any] | None:
        """What the frames and signals depend on beside the files, as plain values: becomes part of the cache's name.

        None, unless a subclass knows better: all of OPTIONS but SPLIT_UNIT, as set in the DATA node.
        """
        return None

    @staticmethod
    def shared_options(data: Any) -> dict[str, Any]:
        """Options that the keys of SHARED in a DATA node give to the reader of any data set, as plain values."""
        return {}

    @staticmethod
    def shared_size(data: Any) -> dict[str, int] | None:
        """W and H that faces of any data set are stored at where the keys of SHARED say so; None: RESIZE counts."""
        return None

    @staticmethod
    def keeps_chunks(stem: str, data: Any) -> bool:
        """Whether the keys of SHARED keep rPPG-Toolbox's chunks `<stem>_input<k>.npy`, whatever the data set."""
        return True

    def recordings(self, root: Path) -> list[Recording]:
        """List every recording under `root` in natural order, without opening the videos."""
        raise NotImplementedError

    def read_video(self, recording: Recording) -> Iterable[Frame | np.ndarray]:
        """Yield the frames one at a time: `Frame`s, or plain arrays (H, W, 3) uint8 RGB. Only with `has_video`."""
        raise NotImplementedError

    def own_face(self, recording: Recording) -> tuple[int, int, int, int] | None:
        """Where its person's face is at first (x, y, w, h in pixels), if there are several; None: as SEVERAL says."""
        return None

    def read_wave(self, recording: Recording) -> dict[str, Signal]:
        """Return the signals (L,) by name (`ppg`, `resp`, `ecg`, `hr` ...); empty without labels.

        Without video a signal needs `fs` or `times`, in seconds from the start of the recording.
        """
        return {}

    def read_stream(self, recording: Recording, name: str) -> Frames | None:
        """The frames of the further camera `name`, one of `streams`; None: this recording lacks it."""
        return None

    def read_targets(self, recording: Recording) -> dict[str, float]:
        """Scalars of the recording by name, in the units the data set states (`sbp` mmHg, `age` years ...).

        NaN: was to be measured, but is missing. Empty: there are none.
        """
        return {}

    def describe(self, recording: Recording) -> dict[str, Any]:
        """What only its files say of a recording, as plain values: joins `info` when it is preprocessed."""
        return {}

    def tasks(self, recording: Recording) -> Iterable[str]:
        """Names by which FILTERING.TASK_LIST may call a recording, beside its id and subject: the parts of its id."""
        return [*re.split(r"[\W_]+", recording.id), recording.id.removeprefix(recording.subject)]

    def select(self, recording: Recording, data: dict[str, Any]) -> bool:
        """Whether the filters of the DATA node (INFO, FILTERING) keep this recording; applied after the split."""
        return passes_filtering(recording.id, [recording.subject, *self.tasks(recording)], data, recording.subject)

    windows = False  # True: the data are windows cut beforehand; `read_windows` is all that is read, nothing is cached

    def read_windows(self, root: Path) -> Windows:
        """The windows under `root` with their table: see `dataset.files.windows.open_windows`."""
        raise NotImplementedError
