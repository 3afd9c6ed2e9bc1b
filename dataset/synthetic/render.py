"""One recording: its frames, one at a time, and its truth."""

from collections.abc import Iterator
from dataclasses import dataclass, fields
from functools import cached_property
from pathlib import Path

import cv2
import numpy as np

from dataset.synthetic.camera import Course, flicker_rows, make_course, noise_bank
from dataset.synthetic.face import Face, make_face, make_placement, pulse_amplitude
from dataset.synthetic.pulse import SILVER, Heart, make_heart, spread
from dataset.synthetic.settings import Settings

_READOUT = 0.6  # share of the time between two frames during which the rows are read one after the other
_SHINE_CHANGE = 3.0  # relative change of the shine for a head turned by one radian
_LAMP_HEIGHT = -0.5  # the main light comes from above: its direction down the picture relative to straight ahead
_JAW_DROP = 0.05  # of the face box at full opening


@dataclass(frozen=True)
class Truth:
    """What is known about a recording; times in s from its first frame."""

    times: np.ndarray  # (T,) of the frames
    ppg: np.ndarray  # (T,) blood volume wave at the frames; 0 throughout for a photograph
    ppg_times: np.ndarray  # (L,) of the contact sensor's samples
    ppg_native: np.ndarray  # (L,) the same wave at the sensor's rate
    hr_native: np.ndarray  # (L,) bpm, of the beat under way
    resp_native: np.ndarray  # (L,) breathing wave, -1 to 1
    beats: np.ndarray  # (N,) onsets of the beats inside the recording
    hr: float  # mean heart rate (bpm); nan for a photograph
    rr: float  # breaths per minute; nan for a photograph
    box: np.ndarray  # (T, 4) face box x, y, w, h (pixels)
    lost: np.ndarray  # indices of lost frames at the nominal rate
    tone: int  # Fitzpatrick type, 1 to 6
    amplitude: float  # peak to valley of green over the skin level
    fs: float  # nominal frames per second

    def save(self, path: Path) -> None:
        """Write all of it as `.npz`."""
        with open(path, "wb") as file:
            np.savez(file, **{field.name: getattr(self, field.name) for field in fields(self)})

    @classmethod
    def load(cls, path: Path) -> "Truth":
        """Read what `save` wrote."""
        with np.load(path, allow_pickle=False) as stored:
            return cls(
                **{f.name: stored[f.name] if stored[f.name].ndim else stored[f.name].item() for f in fields(cls)}
            )


@dataclass(frozen=True)
class Session:
    """The recording of `subject` (1, 2 ...) under `settings`: the same seed gives the same bytes."""

    settings: Settings
    subject: int

    @cached_property
    def heart(self) -> Heart:
        """Rhythm and breathing."""
        return make_heart(self.settings, self.subject)

    @property
    def crf(self) -> int:
        """Rate factor of this recording in H.264: the steps of the range CRF fall evenly on the subjects."""
        low, high = self.settings.crf
        return int(spread((low, high + 1 - 1e-9), self.settings.seed, self.subject, stream=4, step=SILVER))

    @cached_property
    def course(self) -> Course:
        """Motion, light and lost frames."""
        return make_course(self.settings, self.subject, self.heart)

    @cached_property
    def face(self) -> Face:
        """The subject's picture and maps (takes a moment)."""
        return make_face(self.settings, self.subject)

    def truth(self) -> Truth:
        """The truth, without rendering anything."""
        settings, heart, times = self.settings, self.heart, self.course.times
        alive = 0.0 if settings.photo else 1.0
        clock = np.arange(round(settings.seconds * settings.ppg_fs) + 1) / settings.ppg_fs
        finger = clock - settings.sensor_delay
        inside = heart.beats[(heart.beats >= 0) & (heart.beats <= settings.seconds)]
        breaths = heart.breath_grid[[0, -1]]
        length = (len(heart.breath_grid) - 1) / 250.0
        return Truth(
            times=times,
            ppg=alive * heart.pulse(times - settings.sensor_delay),
            ppg_times=clock,
            ppg_native=alive * heart.pulse(finger),
            hr_native=heart.rate(finger) if alive else np.full(len(clock), np.nan),
            resp_native=alive * heart.breath(clock),
            beats=inside if alive else inside[:0],
            hr=_mean_rate(heart, inside) if alive else float("nan"),
            rr=float(60 * (breaths[1] - breaths[0]) / length) if alive else float("nan"),
            box=self._boxes(),
            lost=self.course.lost,
            tone=make_placement(settings, self.subject).tone,
            amplitude=pulse_amplitude(settings, self.subject),
            fs=settings.fs,
        )

    def frames(self) -> Iterator[np.ndarray]:
        """Yield the frames (H, W, 3), uint8 RGB, in order; lost ones are left out."""
        painter = _Painter(self)
        for index in range(len(self.course.times)):
            yield painter.paint(index)

    def _boxes(self) -> np.ndarray:
        """Face box at each frame: the box at rest, carried along by translation and turning."""
        box, course = make_placement(self.settings, self.subject).box, self.course
        boxes = np.tile(box, (len(course.times), 1))
        turn = 0.5 * np.sin(np.stack([course.yaw, course.pitch], axis=1))  # mean depth of the face: half its width
        boxes[:, :2] += (course.shift + turn) * box[2:]
        return boxes


class _Painter:
    """Adds up precomputed pictures, moves the head, sets the light, adds noise, quantises."""

    def __init__(self, session: Session):
        settings, face, course = session.settings, session.face, session.course
        self.settings, self.face, self.course = settings, face, course
        self.pulse = pulse_amplitude(settings, session.subject) * (session.heart.pulse(course.times) - 0.35)
        self.rng = np.random.default_rng([settings.seed, session.subject, 31])
        self.noise = noise_bank(settings, session.subject)
        x, y, w, h = cv2.boundingRect((face.follows > 0).astype(np.uint8))
        self.roi = roi = (slice(y, y + h), slice(x, x + w))
        picture = face.picture[roi]
        self.picture, self.pulse_map, self.shine, self.lids = (
            np.ascontiguousarray(image[roi]) for image in (face.picture, face.pulse, face.shine, face.lids)
        )
        self.shade_x = picture * face.normal_x[roi][..., None]
        self.shade_y = picture * face.normal_y[roi][..., None]
        self.shade_z = picture * face.normal_z[roi][..., None]
        self.still = face.picture
        self._prepare_motion()

    def _prepare_motion(self) -> None:
        """Pictures whose weighted sum is each pixel's origin: the head moves, its surroundings give way."""
        face, roi = self.face, self.roi
        rows, columns = np.mgrid[: self.picture.shape[0], : self.picture.shape[1]].astype(np.float32)
        follows = face.follows[roi]
        (centre_x, centre_y), side = face.placement.centre, float(face.placement.box[3])
        self.here = (columns, rows)
        self.side = side
        self.follows = np.ascontiguousarray(follows)
        self.arm_x = (columns + roi[1].start - centre_x) * follows
        self.arm_y = (rows + roi[0].start - centre_y - side) * follows  # rolls about the neck
        self.depth, self.jaw = (np.ascontiguousarray(m[roi] * follows) for m in (face.depth, face.jaw))

    def paint(self, index: int) -> np.ndarray:
        """Frame `index` (H, W, 3) uint8."""
        frame = self.still.copy()
        frame[self.roi] = self._move(self._head(index), index)
        flat = frame.reshape(frame.shape[0], -1)
        self._light(flat, index)
        row, column = self.rng.integers(0, 64, 2)
        window = self.noise[row : row + flat.shape[0], 3 * column : 3 * column + flat.shape[1]]
        cv2.add(flat, window, flat)
        # Rounds and saturates in one pass; it would mirror what is below 0, hence the maximum.
        return cv2.convertScaleAbs(np.maximum(flat, 0, out=flat)).reshape(frame.shape)

    def _head(self, index: int) -> np.ndarray:
        """The head unmoved: base picture plus pulse, shading, shine and lids, each times its weight now."""
        course, shading = self.course, self.settings.shading
        yaw, pitch = course.yaw[index], course.pitch[index]
        total = self.picture.copy()
        for image, weight in (
            (self.pulse_map, self.pulse[index]),
            # A surface (x, y, z) turned by small angles: x grows by yaw z, y by pitch z, z shrinks by yaw x + pitch y.
            (self.shade_x, course.side[index] - shading * yaw),
            (self.shade_y, -shading * pitch),
            (self.shade_z, shading * (course.lamp * yaw + _LAMP_HEIGHT * pitch)),
            (self.shine, _SHINE_CHANGE * (pitch - 0.5 * abs(yaw))),
            (self.lids, course.lids[index]),
        ):
            if weight:
                cv2.scaleAdd(image, float(weight), total, total)
        return total

    def _move(self, head: np.ndarray, index: int) -> np.ndarray:
        course = self.course
        shift_x, shift_y = course.shift[index] * self.side
        roll, yaw, pitch = (np.sin(course.roll[index]), np.sin(course.yaw[index]), np.sin(course.pitch[index]))
        jaw = course.jaw[index] * _JAW_DROP * self.side
        across = ((self.follows, shift_x), (self.arm_y, -roll), (self.depth, yaw))
        down = ((self.follows, shift_y), (self.arm_x, roll), (self.depth, pitch), (self.jaw, jaw))
        if not any(weight for _, weight in across + down):
            return head
        map_x, map_y = (self._origin(here, terms) for here, terms in zip(self.here, (across, down), strict=True))
        return cv2.remap(head, map_x, map_y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)

    @staticmethod
    def _origin(here: np.ndarray, terms: tuple) -> np.ndarray:
        origin = here.copy()
        for image, weight in terms:
            if weight:
                cv2.scaleAdd(image, -float(weight), origin, origin)
        return origin

    def _light(self, flat: np.ndarray, index: int) -> None:
        """Multiply rows and colours of `flat` (H, W * 3) by the light of the moment, in place."""
        gain = self.course.gain[index].astype(np.float32)
        if self.settings.flicker:
            time = self.course.times[index]
            flat *= flicker_rows(self.settings, time, _READOUT / self.settings.fs).astype(np.float32)[:, None]
        if np.ptp(gain) == 0:
            flat *= gain[0]
        else:
            flat *= np.tile(gain, flat.shape[1] // 3)


def _mean_rate(heart: Heart, inside: np.ndarray) -> float:
    if len(inside) > 1:
        return float(60 * (len(inside) - 1) / (inside[-1] - inside[0]))
    return float(heart.rate(np.zeros(1))[0])
