"""Which part of each frame is kept: the settings of the face crop, and the box for every frame of one recording."""

import itertools
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np

from dataset.face import get_detector
from dataset.face.boxes import Box, clip_box, enlarge, full_frame, median_box, schedule, to_box
from dataset.face.follow import TRACKERS, NoFaceInTimeError, Track, choose, every_box, looks_at
from dataset.files.frames import Frame, VideoError
from dataset.files.reading import AGAIN

SEARCH_SECONDS = 5.0  # how long a video may last before its first face
SEARCH_STEP = 5  # frames between looks while searching
WATCH_MARGIN = 1.5  # the region that is watched, relative to the detected face
EMPTY = f"The video has no frames. {AGAIN}"
PAST = {"keep": "kept", "interpolate": "interpolated", "drop": "dropped"}  # what became of frames without a face


class NoFaceError(VideoError):
    """No face where one is needed."""


@dataclass(frozen=True)
class FaceCrop:
    """How faces are found, cut out and resized: plain values.

    size       (width, height) of the stored faces          do_crop    False: the whole frame is resized
    backend    name of the detector                          large_box  whether boxes grow by large_coef
    dynamic    look every `frequency` frames, not once       median     one box: the median of all that were found
    no_face    "search": the first face within 5 s, else the recording fails; later gaps keep the box before
               "full_frame": the whole frame stands in for a face that is not found
    decoder    "pyav" or "opencv"
    track      "": the box stays between two looks; "flow": it follows the face        several  which of several faces:
    smooth     seconds over which boxes are smoothed; 0: not                            "auto", "biggest" or "track"
    lost       frames without a face "keep" the box before, "interpolate" it, or are left out ("drop")
    device     where detectors of torch run; what they find does not depend on it
    """

    size: tuple[int, int] = (128, 128)
    do_crop: bool = True
    backend: str = "HC"
    large_box: bool = True
    large_coef: float = 1.5
    dynamic: bool = False
    frequency: int = 30
    median: bool = False
    no_face: str = "search"
    decoder: str = "pyav"
    track: str = ""
    smooth: float = 0.0
    lost: str = "keep"
    several: str = "auto"
    device: str = "cpu"

    @property
    def follows(self) -> bool:
        """Whether every frame gets a box of its own, for which the video is read twice."""
        follows = self.track or self.smooth > 0 or self.lost != "keep" or self.several == "track"
        return bool(self.do_crop and self.dynamic and not self.median and follows)

    def detector(self) -> Any:
        """The detector of `backend`; None where no face is looked for."""
        return get_detector(self.backend, self.device) if self.do_crop else None


class FaceFinder:
    """Finds the box for every frame of one recording and remembers how often there was a face to find."""

    def __init__(self, crop: FaceCrop, detector: Any, fs: float, own: Box | None = None):
        """`fs` paces the looks where frames have no times. `own`: where the one face is that counts, of several."""
        self.crop, self.detector, self.fs = crop, detector, fs
        self._own = None if own is None else np.asarray(own, dtype=float)  # where it was last
        self.looks: list[tuple[float, bool]] = []  # weight of a look in seconds, whether there was a face
        self.several = 0  # looks that found more than one face
        self.moved = 0.0  # seconds with a face, but not in the fixed box
        self.first_face: float | None = None  # seconds, when not in the first frame
        self.thermal: np.ndarray | None = None  # (H, W) float32 of the face yielded last, where there is such a camera
        self.times: np.ndarray | None = None  # of all frames (s), where some were left out
        self.assumed = False  # whether those times are but an assumption
        self._track: Track | None = None  # a box for every frame, where they follow the face
        self._found: Box | None = None  # as detected, before it grows
        self._next_look = 0.0

    def faces(self, read: Callable[[], Iterable[Frame]]) -> Iterator[tuple[np.ndarray, Box, float | None]]:
        """Yield (face (H, W, 3) uint8 as stored, box, time) of every frame; `read` opens the video, again if need be.

        A face is valid until the next one is asked for.
        """
        if self.crop.follows:
            yield from self._followed(read)
            return
        frames = iter(read())
        first = next(frames, None)
        if first is None:
            raise VideoError(EMPTY)
        crop = self.crop
        box = self._start(first, read) if crop.do_crop else full_frame(first.shape)
        following = crop.do_crop and crop.dynamic and not crop.median
        watching = crop.do_crop and not crop.dynamic
        shape, inside = None, box
        for index, frame in enumerate(itertools.chain([first], frames)):
            if following and index and schedule(index, True, crop.frequency):
                box, shape = self._detect(frame) or self._without_face(frame, box), None
            if frame.shape != shape:
                shape = frame.shape
                inside = clip_box(box, shape) if crop.do_crop else full_frame(shape)
            if watching:
                self._watch(index, frame)
            yield self._cut_out(frame, inside), inside, frame.time

    def flags(self) -> dict[str, Any]:
        """`face_coverage` (share of the looks with a face; None without looks) and what else was unusual."""
        if self._track is not None:
            return self._followed_flags(self._track)
        seconds = sum(weight for weight, _ in self.looks)
        seen = sum(weight for weight, there in self.looks if there)
        flags: dict[str, Any] = {"face_coverage": round(seen / seconds, 4) if seconds else None}
        if self.several:
            flags["several_faces"] = self.several
        if self.first_face:
            flags["first_face_s"] = round(self.first_face, 3)
        if seconds and self.moved:
            flags["face_left_box"] = round(self.moved / seconds, 4)
        return flags

    def _cut_out(self, frame: Frame, box: Box) -> np.ndarray:
        """The part inside `box` at the size of the stored faces; `thermal` becomes the same part of the heat."""
        size, heat = self.crop.size, frame.thermal(box)
        self.thermal = None if heat is None else cv2.resize(heat, size, interpolation=cv2.INTER_AREA)
        return cv2.resize(frame.rgb(box), size, interpolation=cv2.INTER_AREA)

    def _followed(self, read: Callable[[], Iterable[Frame]]) -> Iterator[tuple[np.ndarray, Box, float | None]]:
        """As `faces`, with a box for every frame: the video is read for the boxes, then for the faces."""
        crop, searching = self.crop, self.crop.no_face == "search"
        track = self._track = Track(self.fs, SEARCH_SECONDS if searching else np.inf, own=self._own)
        several = crop.several if self._own is None else "track"
        try:
            TRACKERS[crop.track](read(), self.detector, crop.frequency, several, track)
        except NoFaceInTimeError:
            raise self._no_face() from None
        if not track.boxes:
            raise VideoError(EMPTY)
        if track.first is None and searching:
            raise self._no_face()
        boxes = every_box(track, crop.smooth, crop.lost == "interpolate", whole_frames=not searching)
        dropping = crop.lost == "drop" and track.lost().any()
        self.times, self.assumed = np.array(track.times) if dropping else None, bool(dropping) and not track.timed
        for frame, box, time, lost in zip(read(), boxes, track.times, track.lost(), strict=True):
            if not (dropping and lost):
                inside = clip_box(self._grown(box), frame.shape)
                yield self._cut_out(frame, inside), inside, time if dropping else frame.time

    def _followed_flags(self, track: Track) -> dict[str, Any]:
        lost = int(track.lost().sum())
        flags: dict[str, Any] = {"face_coverage": round(1 - lost / len(track.boxes), 4)}
        if track.several:
            flags["several_faces"] = track.several
        if track.first:
            flags["first_face_s"] = round(track.times[track.first] - track.times[0], 3)
        if lost and self.crop.no_face == "search":
            flags[f"lost_frames_{PAST[self.crop.lost]}"] = lost
        return flags

    def _start(self, first: Frame, read: Callable[[], Iterable[Frame]]) -> Box:
        """Box of the first frame, or of all frames."""
        if self.crop.dynamic and self.crop.median:
            return self._median(read)
        box = self._detect(first, count=self.crop.dynamic)
        if box is not None:
            if not self.crop.dynamic:  # this look spares the first of the watch
                self.looks.append((2.0, True))
                self._next_look = 2.0 - 1e-6
            return box
        return self._grown(full_frame(first.shape)) if self.crop.no_face == "full_frame" else self._search(read)

    def _median(self, read: Callable[[], Iterable[Frame]]) -> Box:
        found, track = [], Track(self.fs)
        for _, boxes in looks_at(read(), self.detector, self.crop.frequency, track):
            if boxes is not None:
                box = self._chosen(boxes)
                if box is None and self.crop.no_face == "full_frame":
                    box = self._grown(full_frame(track.shape))
                found += [] if box is None else [box]
        return median_box(found) if found else self._search(read)

    def _search(self, read: Callable[[], Iterable[Frame]]) -> Box:
        for index, frame in enumerate(read()):
            time = index / self.fs if frame.time is None else frame.time
            if time > SEARCH_SECONDS:
                break
            if index % SEARCH_STEP == 0:
                box = self._detect(frame, count=False)
                if box is not None:
                    self.first_face = time
                    return box
        raise self._no_face()

    def _no_face(self) -> NoFaceError:
        return NoFaceError(
            f"No face in the first {SEARCH_SECONDS:g} s (detector {self.crop.backend}). Leave the recording out, or "
            f"set CROP_FACE.NO_FACE: full_frame or DO_CROP_FACE: False to use whole frames."
        )

    def _detect(self, frame: Frame, count: bool = True) -> Box | None:
        """The box of the widest face in `frame`, grown as set; None without a face."""
        return self._chosen(self.detector.detect(frame.rgb()), count)

    def _chosen(self, found: np.ndarray, count: bool = True) -> Box | None:
        several = self.crop.several if self._own is None else "track"
        face = choose(found, several, self.detector, self._own)
        self.several += len(found) > 1 and self._own is None
        if count:
            self.looks.append((1.0, face is not None))
        if face is None:
            return None
        if self._own is not None:
            self._own = np.asarray(face, dtype=float)
        self._found = to_box(face)
        return self._grown(self._found)

    def _grown(self, box: Box) -> Box:
        return enlarge(box, self.crop.large_coef) if self.crop.large_box else box

    def _without_face(self, frame: Frame, before: Box) -> Box:
        return self._grown(full_frame(frame.shape)) if self.crop.no_face == "full_frame" else before

    def _watch(self, index: int, frame: Frame) -> None:
        """Now and then, see whether the face is still in the fixed box: every 2 s at first, every 5 s after 10 s."""
        time = index / self.fs if frame.time is None else frame.time
        if time < self._next_look or self._found is None:
            return
        weight = 2.0 if time < 10 else 5.0
        self._next_look = time + weight - 1e-6
        there = self._face_in_place(frame)
        if not there and self._own is None and self._face_anywhere(frame):  # elsewhere it may be somebody else's
            self.moved += weight
            there = True
        self.looks.append((weight, there))

    def _face_in_place(self, frame: Frame) -> bool:
        region = frame.rgb(clip_box(enlarge(self._found, WATCH_MARGIN), frame.shape))
        near = getattr(self.detector, "near", None)
        return near(region) if near else len(self.detector.detect(region)) > 0

    def _face_anywhere(self, frame: Frame) -> bool:
        anywhere = getattr(self.detector, "anywhere", None)
        return anywhere(frame.rgb(), self._found[2]) if anywhere else len(self.detector.detect(frame.rgb())) > 0
