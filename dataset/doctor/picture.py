"""Checks of what the camera saw: the face, its size and motion, the light, the compression."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
import scipy

from dataset.doctor.finding import Finding, grade, percent, worst
from dataset.face.boxes import largest
from dataset.files.frames import LUMA
from dataset.files.names import plural
from unsupervised_methods.checks import is_grey

COVERAGE_LOOK, COVERAGE_BAD = 0.95, 0.70  # share of the looked-at time with a face
LEFT_LOOK, LEFT_BAD = 0.05, 0.30  # share of the looked-at time with the face outside the fixed box
SECOND = 0.5  # width of a second face that matters, of that of the widest
SIZE_LOOK, SIZE_BAD = 60.0, 30.0  # pixels: width of the face
STEP, STEP_BAD = 0.15, 0.40  # change of the brightness within a second; a pulse is 0.005
PUMPING_LOOK, PUMPING_BAD = 0.03, 0.10  # rms of the brightness between 0.1 and 0.7 Hz
DARK, BRIGHT, BLOWN = 40.0, 225.0, 0.10  # grey levels of the face; share of its pixels at full scale
ALIGNED, ALIKE = 48, 0.7  # pixels: width at which motion is measured; least correlation of what was aligned
SPEED = 0.15  # widths of the stored picture per second, 95th percentile
BLOCKY_LOOK, BLOCKY_BAD = 1.25, 1.8  # steps between 8 x 8 blocks over those inside
LOSSLESS = {"rawvideo", "ffv1", "png", "huffyuv", "ffvhuff", "utvideo", "bmp", "tif", "tiff", "qtrle", "magicyuv"}
STILLS = {"mjpeg", "jpg", "jpeg", "mjpegb", "jpeg2000", "dvvideo", "prores", "webp"}  # every frame for itself
BITS_LOOK, BITS_BAD = {"stills": 0.8, "video": 0.05}, {"stills": 0.3, "video": 0.015}  # per pixel and frame


@dataclass(frozen=True)
class Video:
    """What the raw file says. `codec` "" and `bits` 0: unknown. `frame` (H, W, 3): its first picture."""

    codec: str = ""
    bits: float = 0.0  # per pixel and frame
    blockiness: float | None = None
    frame: np.ndarray | None = None
    later: np.ndarray | None = None  # (H, W, 3): the picture a second later, or the last
    problem: str = ""


def check_coverage(flags: dict[str, Any]) -> Finding:
    """How often there was a face when it was looked for, and whether it stayed in the box; `flags` of the entry."""
    coverage, left = flags.get("face_coverage"), float(flags.get("face_left_box", 0.0))
    if coverage is None:
        return Finding("face", "", "Not checked: faces were not looked for (DO_CROP_FACE is False).")
    found = {"face_coverage": coverage, "face_left_box": left, "first_face_s": flags.get("first_face_s", 0.0)}
    level = worst([
        grade(coverage, COVERAGE_LOOK, COVERAGE_BAD) if coverage < 1 else "ok", grade(left, LEFT_LOOK, LEFT_BAD),
        grade(found["first_face_s"], 1.0),
    ])  # fmt: skip
    text = f"A face in {percent(coverage)} of the looked-at time"
    text += f", first after {found['first_face_s']:.1f} s" if found["first_face_s"] else ""
    text += f", outside the box in {percent(left)}" if left else ""
    if level == "ok":
        return Finding("face", "ok", f"{text}.", values=found)
    mend = "Cut the recording to where the face is, or follow it: CROP_FACE.DETECTION.DO_DYNAMIC_DETECTION: True."
    return Finding("face", level, f"{text}: without it the stored pictures show no skin.", mend, found)


def check_several(several: int, confirmed: bool | None) -> Finding:
    """Looks that found more than one face; `confirmed`: whether a second look agrees, None where there can be none."""
    found = {"several_faces": several}
    if not several:
        return Finding("one face", "ok", "Never more than one face in view.", values=found)
    text = f"{plural(several, 'look')} found more than one face"
    if confirmed is False:
        return Finding("one face", "ok", f"{text}, but none of its size stays: a false alarm.", values=found)
    mend = "See on the first picture whose face the box holds. If it is the wrong one, cut the video to the right one."
    return Finding("one face", "look", f"{text}; the widest was taken.", mend, found)


def second_face(boxes: Sequence[np.ndarray]) -> bool:
    """Whether every frame's `boxes` (N, 4) hold a second face at least half as wide as the widest and apart from it."""
    return all(_others(frame) > 0 for frame in boxes)


def _others(boxes: np.ndarray) -> int:
    face = largest(boxes)
    if face is None:
        return 0
    apart = np.abs(boxes[:, 0] + boxes[:, 2] / 2 - face[0] - face[2] / 2) > face[2] / 2
    apart |= np.abs(boxes[:, 1] + boxes[:, 3] / 2 - face[1] - face[3] / 2) > face[3] / 2
    return int(np.count_nonzero(apart & (boxes[:, 2] >= SECOND * face[2])))


def check_size(boxes: np.ndarray, factor: float, stored: tuple[int, int]) -> Finding:
    """Width of the face in pixels: `boxes` (T, 4) are `factor` times the face; `stored` = (W, H) of what is kept."""
    if not len(boxes):
        return Finding("face size", "", "Not checked: no face boxes.")
    width = float(np.median(boxes[:, 2]))
    found = {"face_px": width / factor, "box_px": width}
    text = f"The face is about {width / factor:.0f} pixels wide"
    text += f", its box of {width:.0f} enlarged to {stored[0]}" if width < stored[0] else ""
    level = grade(width / factor, SIZE_LOOK, SIZE_BAD)
    if level == "ok":
        return Finding("face size", "ok", f"{text}.", values=found)
    return Finding(
        "face size", level, f"{text}: few pixels to average, so noise and compression weigh more.",
        "Sit closer or record at a higher resolution; a larger RESIZE does not help.", found,
    )  # fmt: skip


def check_colour(trace: np.ndarray) -> Finding:
    """Whether there are colours to compare in the mean colour `trace` (T, 3)."""
    if not is_grey(trace):
        return Finding("colour", "ok", "The three channels differ.")
    mend = "Record in colour, read the colour camera, or use what needs none: GREEN, or a network made for it."
    return Finding("colour", "bad", "Grey or infrared: all three channels are equal, and no colours to compare.", mend)


def check_light(trace: np.ndarray, fs: float, blown: float) -> Finding:
    """Steps and slow pumping of the brightness, by the mean colour `trace` (T, 3) at `fs` Hz; `blown`: share at 255."""
    light = trace @ LUMA
    middle = float(np.median(light))
    smooth = scipy.ndimage.uniform_filter1d(light, max(1, int(round(0.3 * fs)))) / max(middle, 1e-9)
    change = _changes(smooth, max(1, int(round(fs))))
    steps, _ = scipy.signal.find_peaks(np.concatenate([[0.0], change, [0.0]]), height=STEP, distance=max(1, fs))
    largest, pumping = float(change.max(initial=0.0)), _rms(smooth, fs, (0.1, 0.7))
    found = {"brightness": middle, "light_steps": len(steps), "light_step_max": largest}
    found |= {"light_pumping": pumping, "blown_pixels": blown}
    level = worst(
        [
            *(grade(largest, STEP, STEP_BAD), grade(pumping, PUMPING_LOOK, PUMPING_BAD)),
            *(grade(middle, DARK, DARK / 2), grade(middle, BRIGHT), grade(blown, BLOWN)),
        ]
    )
    text = f"Brightness of the face {middle:.0f} of 255, changing by at most {percent(largest)} in 1 s"
    if level == "ok":
        return Finding("light", "ok", f"{text}.", values=found)
    said = [f"{plural(len(steps), 'step')} of more than {percent(STEP)}"] * (len(steps) > 0)
    said += [f"slow pumping of {percent(pumping)} (rms)"] * (pumping > PUMPING_LOOK)
    said += ["too dark to see a pulse in much of it"] * (middle < DARK) + ["too bright"] * (middle > BRIGHT)
    said += [f"{percent(blown)} of the pixels at full scale, where no pulse shows"] * (blown > BLOWN)
    mend = "Fix exposure, gain and white balance of the camera, and the light; POS and CHROM suffer least from steps."
    return Finding("light", level, f"{text}; {'; '.join(said)}.", mend, found)


def _changes(smooth: np.ndarray, lag: int) -> np.ndarray:
    """|Difference| over `lag` samples; empty for shorter waves."""
    return np.abs(smooth[lag:] - smooth[:-lag]) if len(smooth) > lag else np.empty(0)


def _rms(wave: np.ndarray, fs: float, band: tuple[float, float]) -> float:
    """Root mean square of what `wave` (L,) has inside `band` (Hz)."""
    wave = scipy.signal.detrend(wave)
    freqs, spectrum = np.fft.rfftfreq(len(wave), 1 / fs), np.fft.rfft(wave)
    inside = (freqs >= band[0]) & (freqs <= band[1])
    return float(np.sqrt(2 * np.sum(np.abs(spectrum[inside]) ** 2)) / len(wave))


def speeds(faces: np.ndarray, boxes: np.ndarray, times: np.ndarray) -> np.ndarray:
    """How fast the face moves between sampled pictures (N, H, W, 3) at `times` (s), in their widths per second.

    Motion inside the box by alignment, plus that of the box (N, 4) itself; (M,) of the pictures that could be aligned.
    """
    grey = [_small_grey(face) for face in faces]
    found = [_shift(before, after) for before, after in zip(grey[:-1], grey[1:], strict=True)]
    moved = np.array([move for move, _ in found]).reshape(-1, 2) / grey[0].shape[1]
    if len(boxes) == len(faces):
        moved = moved + np.diff(boxes[:, :2] + boxes[:, 2:] / 2, axis=0) / boxes[1:, 2:3]
    speed = np.linalg.norm(moved, axis=1) / np.maximum(np.diff(times), 1e-3)
    return speed[np.array([alike for _, alike in found]) >= ALIKE]


def _small_grey(face: np.ndarray) -> np.ndarray:
    grey = cv2.cvtColor(np.ascontiguousarray(face), cv2.COLOR_RGB2GRAY).astype(np.float32)
    height = round(ALIGNED * grey.shape[0] / grey.shape[1])
    return cv2.resize(grey, (ALIGNED, height), interpolation=cv2.INTER_AREA) if grey.shape[1] > ALIGNED else grey


def _shift(before: np.ndarray, after: np.ndarray) -> tuple[np.ndarray, float]:
    """Move (x, y) in pixels between two grey pictures, and how alike they then are (0: no move fits).

    Evangelidis and Psarakis, "Parametric image alignment using enhanced correlation coefficient maximization", IEEE
    PAMI 30(10), 2008: indifferent to brightness and contrast, and it fails on noise instead of inventing a move.
    """
    stop = (cv2.TERM_CRITERIA_COUNT | cv2.TERM_CRITERIA_EPS, 30, 1e-3)
    start = np.eye(2, 3, dtype=np.float32)
    try:
        alike, warp = cv2.findTransformECC(before, after, start, cv2.MOTION_TRANSLATION, stop, None, 5)
    except cv2.error:  # it did not converge
        return np.zeros(2), 0.0
    return warp[:, 2].astype(float), float(alike)


def check_motion(speed: np.ndarray) -> Finding:
    """How much the head moves, by its `speed` (N,) in widths of the stored face per second."""
    if not len(speed):
        return Finding("motion", "", "Not told: the pictures are too few, or too unlike one another.")
    fast = float(np.percentile(speed, 95))
    text = f"The head moves by up to {percent(fast)} of the stored picture's width in a second (95th percentile)"
    if grade(fast, SPEED) == "ok":
        return Finding("motion", "ok", f"{text}.", values={"motion": fast})
    mend = "Expect larger errors; compare with recordings at rest, and set DO_DYNAMIC_DETECTION: True."
    return Finding(
        "motion", "look", f"{text}: motion changes the colour more than a pulse does.", mend, {"motion": fast}
    )


def blockiness(frame: np.ndarray) -> float:
    """Mean step between 8 x 8 blocks over the mean step inside them, of a picture (H, W, 3); about 1 without blocks.

    After Wang, Sheikh and Bovik, "No-reference perceptual quality assessment of JPEG compressed images", ICIP 2002.
    """
    grey = cv2.cvtColor(np.ascontiguousarray(frame), cv2.COLOR_RGB2GRAY).astype(np.float32)
    ratios = []
    for steps in (np.abs(np.diff(grey, axis=1)).mean(axis=0), np.abs(np.diff(grey, axis=0)).mean(axis=1)):
        edge = np.arange(len(steps)) % 8 == 7
        ratios.append(steps[edge].mean() / max(float(steps[~edge].mean()), 1e-6))
    return float(np.mean(ratios))


def check_compression(video: Video) -> Finding:
    """Codec, bits per pixel and blockiness of the raw video."""
    found = {"codec": video.codec, "bits_per_pixel": video.bits or None, "blockiness": video.blockiness}
    if video.frame is None:
        reason = video.problem or "the raw video is not there"
        return Finding("compression", "", f"Not checked: {reason}.", values=found)
    kind = "lossless" if video.codec in LOSSLESS else "stills" if video.codec in STILLS else "video"
    known = video.codec and video.bits and kind != "lossless"
    level = worst(
        [
            grade(video.bits, BITS_LOOK[kind], BITS_BAD[kind]) if known else "ok",
            grade(video.blockiness or 0.0, BLOCKY_LOOK, BLOCKY_BAD),  # also of a lossless copy of a compressed video
        ]
    )
    text = f"Stored as {video.codec or 'plain pixels'}"
    text += ", lossless" if kind == "lossless" else f" with {video.bits:.3f} bits per pixel" if video.bits else ""
    if (video.blockiness or 0.0) > BLOCKY_LOOK:
        text += f", with 8 x 8 blocks whose edges are {percent(video.blockiness - 1)} sharper than their inside"
    if level == "ok":
        return Finding("compression", "ok", f"{text}.", values=found)
    return Finding(
        "compression", level, f"{text}: strong compression removes changes as small as a pulse.",
        "Record anew at a higher bit rate or quality; re-encoding cannot bring the pulse back.", found,
    )  # fmt: skip
