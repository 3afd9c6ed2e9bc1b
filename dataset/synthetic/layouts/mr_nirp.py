"""MR-NIRP: folders of 16-bit pictures of a colour and a near infrared camera, and a MATLAB file of the oximeter.

Nowara et al., CVPRW 2018 and IEEE T-ITS 2020; names and formats as public readers have them:

    Subject1/subject1_garage_still_940/RGB/Frame00000.pgm   in a car: 12-bit mosaic (RGGB), shifted to 16 bits
    .../NIR/Frame00000.pgm, PulseOX/pulseOx.mat             every second NIR frame is dark
    Subject2_still_940/RGB, NIR, PulseOX, CameraTimeLog0.txt (NIR), CameraTimeLog1.txt (RGB)    indoors
"""

from pathlib import Path

import numpy as np
import scipy.io

from dataset.synthetic.layouts import LAYOUTS, at_rate, takes
from dataset.synthetic.render import Session

_FPS = 30.0
_START = 1_540_577_618.7  # s since 1970; any start will do
_NIR = np.array([0.1, 0.8, 0.1], np.float32)  # what the rendered colours would look like to the NIR camera


@LAYOUTS.register("MR-NIRP")
class MRNIRPLayout:
    """Subjects with odd numbers sit in a car, the others indoors: one session each way. `codec` has no meaning here."""

    spread = True

    def folder(self, number: int) -> str:
        """What is there last of subject `number`."""
        if number % 2:
            return f"Subject{number}/subject{number}_garage_still_940"
        return f"Subject{number}_still_940"

    def write(self, folder: Path, session: Session) -> None:
        """Two sessions: in motion and still."""
        number = session.subject
        motions = ("small_motion", "still") if number % 2 else ("motion", "still")
        for motion, take in zip(motions, takes(at_rate(session, _FPS, dropped_frames=0.0), 2), strict=True):
            name = f"subject{number}_garage_{motion}_940" if number % 2 else f"Subject{number}_{motion}_940"
            place = folder / f"Subject{number}" / name if number % 2 else folder / name
            for part in ("RGB", "NIR", "PulseOX"):
                (place / part).mkdir(parents=True)
            _write_frames(place, take, dark=bool(number % 2))
            _write_pulse(place / "PulseOX" / "pulseOx.mat", take)
            if not number % 2:
                lines = "".join(f"{_START + time:.6f}\n" for time in take.course.times)
                for camera in (0, 1):
                    (place / f"CameraTimeLog{camera}.txt").write_text(lines)


def _write_frames(place: Path, take: Session, dark: bool) -> None:
    for index, frame in enumerate(take.frames()):
        write_pgm(place / "RGB" / f"Frame{index:05d}.pgm", mosaic(frame))
        grey = np.rint(frame.astype(np.float32) @ _NIR)
        if dark:
            write_pgm(place / "NIR" / f"Frame{2 * index:05d}.pgm", np.rint(grey / 20))
        write_pgm(place / "NIR" / f"Frame{2 * index + 1 if dark else index:05d}.pgm", grey)


def _write_pulse(path: Path, take: Session) -> None:
    """Whole numbers from 128 to 255, one cell each; the first sample is taken with the first frame."""
    truth = take.truth()
    low, high = truth.ppg_native.min(), truth.ppg_native.max()
    values = np.rint(128 + 127 * (truth.ppg_native - low) / ((high - low) or 1.0))
    cells = np.empty((1, len(values)), dtype=object)
    cells[0] = [np.array([[value]]) for value in values]
    content = {"pulseOxRecord": cells, "pulseOxTime": _START + truth.ppg_times[None], "numPulseSample": len(values)}
    scipy.io.savemat(path, content)


def mosaic(frame: np.ndarray) -> np.ndarray:
    """`frame` (H, W, 3) RGB as the sensor sees it: (H, W), red at the even rows and columns, blue at the odd ones."""
    levels = frame[..., 1].copy()
    levels[::2, ::2], levels[1::2, 1::2] = frame[::2, ::2, 0], frame[1::2, 1::2, 2]
    return levels


def write_pgm(path: Path, levels: np.ndarray) -> None:
    """Write `levels` (H, W) from 0 to 255 as twelve bits in the upper part of sixteen."""
    data = (np.rint(levels * (4095 / 255)).astype(np.uint16) << 4).astype(">u2")
    path.write_bytes(b"P5\n%d %d\n65535\n" % (levels.shape[1], levels.shape[0]) + data.tobytes())
