"""Checks of the clock: frames per second, even spacing, dropped and doubled frames."""

import numpy as np
import scipy

from dataset.doctor.finding import Finding, grade, percent, worst
from dataset.files.names import plural
from dataset.prepare.checks import time_flags
from dataset.store.streams import frame_rate
from evaluation.presets import PRESETS

RATE_LOOK, RATE_BAD = 0.01, 0.03  # relative error of the rate: so many per cent is every heart rate off
SHORT_LOOK, SHORT_BAD = 10.0, PRESETS["exact"].min_seconds  # s: a rate from less is rough, or refused
JITTER = 0.10  # spread of the ordinary frame intervals over their median
DROPPED_LOOK, DROPPED_BAD = 0.01, 0.05  # share of the frames
DOUBLED_LOOK, DOUBLED_BAD = 0.01, 0.10  # share of the frames
ALIKE, ALIKE_LOOK = 0.3, 0.2  # change of a frame over its neighbours' that hardly is one; share of the frames
BLOCKS, BLOCK = 10, 30  # stretches of consecutive frames that are compared, spread over the recording
GAP_LOOK, GAP_BAD = 0.5, 2.0  # s without a frame: half a beat, and several


def check_duration(times: np.ndarray | None, count: int, fs: float) -> Finding:
    """Whether the video of `count` frames at `times` (s) or `fs` (Hz) lasts long enough for a heart rate."""
    seconds = count / fs if times is None else float(times[-1] - times[0]) + 1 / fs
    level = grade(seconds, SHORT_LOOK, SHORT_BAD)
    text = f"{plural(count, 'frame')} in {seconds:.1f} s"
    if level == "ok":
        return Finding("duration", "ok", f"{text}.", values={"seconds": seconds})
    why = "a rate is refused" if level == "bad" else "a rate is rough"
    mend = "Record at least 10 s, better 30."
    return Finding(
        "duration",
        level,
        f"{text}: below {SHORT_BAD if level == 'bad' else SHORT_LOOK:g} s {why}.",
        mend,
        {"seconds": seconds},
    )


def check_rate(times: np.ndarray | None, fs: float, stated: dict[str, float]) -> Finding:
    """Frames per second by the frame times (T,) s against what is `stated` by somebody (name -> Hz; 0: not).

    `fs` is what the cache took: measured where there are times.
    """
    stated = {name: value for name, value in stated.items() if value}
    measured = None if times is None else frame_rate(np.asarray(times))
    values = {"fps": fs, "fps_stated": next(iter(stated.values()), None)}
    if measured is None:
        text = f"The video has no frame times; {fs:g} frames per second are taken on trust."
        return Finding("frame rate", "", text, values=values)
    off = {name: abs(value / measured - 1) for name, value in stated.items()}
    name = max(off, key=off.get, default="")
    level = grade(off[name], RATE_LOOK, RATE_BAD) if name else "ok"
    if level == "ok":
        said = f", as {' and '.join(stated)} {'say' if len(stated) > 1 else 'says'}" if stated else ""
        return Finding("frame rate", "ok", f"{measured:.2f} frames per second{said}.", values=values)
    share = percent(off[name])
    return Finding(
        "frame rate",
        level,
        f"{measured:.2f} frames per second by the frame times, but {name} says {stated[name]:g}: whatever trusts that "
        f"number gets times and rates wrong by {share}.",
        f"Set FS to {measured:.2f}, or RESAMPLE_FS to read all recordings at one rate.",
        values,
    )


def check_spacing(times: np.ndarray | None) -> Finding:
    """Whether frames come evenly, by the spread of the ordinary intervals between frame times (T,) s."""
    steps = np.diff(times) if times is not None else np.empty(0)
    steps = steps[steps > 0]
    if len(steps) < 3:
        return Finding("even frames", "", "Not checked: the video has no frame times.")
    middle = np.median(steps)
    ordinary = steps[(steps > 0.25 * middle) & (steps < 1.5 * middle)]
    jitter = float(ordinary.std() / middle)
    values = {"fps_jitter": jitter}
    if grade(jitter, JITTER) == "ok":
        return Finding("even frames", "ok", "Frames come evenly.", values=values)
    return Finding(
        "even frames",
        "look",
        f"Frames come unevenly: intervals differ by {percent(jitter)} (standard deviation; median "
        f"{1000 * middle:.0f} ms). Methods that count frames see a pulse that speeds up and slows down.",
        "Set RESAMPLE_FS to the mean rate; the preset exact works in real time already.",
        values,
    )


def check_dropped(times: np.ndarray | None, count: int) -> Finding:
    """Frames that are missing by the frame times (T,) s of a video of `count` frames."""
    if times is None or len(times) < 3:
        return Finding("dropped frames", "", "Not checked: the video has no frame times, so a gap does not show.")
    lost, _, backwards = _by_time(times)
    steps, gap = np.diff(times), float(np.max(np.diff(times)))
    values = {"dropped_frames": lost, "longest_gap_s": gap, "times_out_of_order": backwards}
    if backwards:
        return Finding(
            "dropped frames",
            "bad",
            f"{plural(backwards, 'frame time')} run backwards: the clock of this video cannot be trusted.",
            "Repair the file of the frame times, or leave the recording out.",
            values,
        )
    level = worst([grade(lost / (count + lost), DROPPED_LOOK, DROPPED_BAD), grade(gap, GAP_LOOK, GAP_BAD)])
    if not lost and level == "ok":
        perfect = "; they are perfectly even, as some recorders write them whatever happened"
        even = perfect if np.ptp(steps) < 1e-4 else ""
        return Finding("dropped frames", "ok", f"None is missing by the frame times{even}.", values=values)
    text = f"{plural(lost, 'frame')} of {count + lost} missing ({percent(lost / (count + lost))})"
    text += f", the longest gap {gap:.2f} s."
    if level == "ok":
        return Finding("dropped frames", "ok", text, values=values)
    mend = "Read in real time: LABEL_ALIGN: timestamps and RESAMPLE_FS. With gaps of seconds, leave the recording out."
    return Finding("dropped frames", level, text + " Methods that count frames lose their place.", mend, values)


def hardly_changed(faces: np.ndarray) -> float:
    """Share of sampled frames of `faces` (T, H, W, C) that differ from the one before by far less than others nearby.

    A doubled frame that was encoded again is not equal to the first one, but a real one brings new noise.
    """
    small = []
    for start in np.linspace(0, max(0, len(faces) - BLOCK - 1), BLOCKS if len(faces) > BLOCK else 1).astype(int):
        block = np.asarray(faces[start : start + BLOCK + 1]).astype(np.int16)
        change = np.abs(np.diff(block, axis=0)).mean(axis=(1, 2, 3))
        small.append(change < ALIKE * scipy.ndimage.maximum_filter1d(change, 5) if len(change) else change)
    return float(np.mean(np.concatenate(small))) if len(faces) > 1 else 0.0


def check_doubled(times: np.ndarray | None, repeated: int, count: int, fs: float, alike: float) -> Finding:
    """Frames shown twice: by the clock (T,) s, or equal to the one before (`repeated`), or nearly (share `alike`)."""
    by_time = _by_time(times)[1]
    values = {"doubled_by_time": by_time, "repeated_frames": repeated, "hardly_changed": alike}
    share = max(by_time, repeated) / count
    level = worst([grade(share, DOUBLED_LOOK, DOUBLED_BAD), grade(alike, ALIKE_LOOK)])
    said = [
        f"{number} of {count} {words} ({percent(number / count)})"
        for number, words in ((repeated, "faces equal the one before in every pixel"), (by_time, "frames came twice"))
        if number
    ]
    if not repeated and alike > ALIKE_LOOK:
        said.append(f"{percent(alike)} of the faces hardly differ from the one before")
    text = f"{' and '.join(said)}." if said else "None is shown twice."
    if level == "ok":
        return Finding("doubled frames", "ok", text, values=values)
    real = fs * (1 - max(share, alike))
    return Finding(
        "doubled frames",
        level,
        f"{text} The camera or a converter filled gaps, or froze: about {real:.0f} pictures a second are real.",
        "Look for the original recording; if there is none, set RESAMPLE_FS to the rate of the real pictures.",
        values,
    )


def _by_time(times: np.ndarray | None) -> tuple[int, int, int]:
    """Frames lost, doubled and out of order by their times (T,) s.

    Several late frames and those that catch up with them look like lost and doubled ones: such pairs are no loss.
    """
    flags = time_flags(times)
    lost, doubled = flags.get("dropped_frames", 0), flags.get("doubled_frames", 0)
    return max(lost - doubled, 0), max(doubled - lost, 0), flags.get("times_out_of_order", 0)
