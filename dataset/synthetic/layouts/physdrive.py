"""PhysDrive: sessions of each driver, a folder of aligned face images and MATLAB files of the sensors.

Wang et al., "PhysDrive: A Multimodal Remote Physiological Measurement Dataset for In-vehicle Driver Monitoring", 2025;
names as rPPG-Toolbox's reader has them:

    AFH1/A1/Align/00000.png ...   30 fps        AFH1/A1/Label/BVP.mat   variable BVP
"""

from pathlib import Path

import cv2
import scipy.io

from dataset.synthetic.layouts import LAYOUTS, at_rate, takes
from dataset.synthetic.render import Session

_STEADY = 3  # PNG compression: the level trades time for size only


@LAYOUTS.register("PhysDrive")
class PhysDriveLayout:
    """Writes two sessions of each driver; `codec` has no meaning here."""

    def folder(self, number: int) -> str:
        """Folder of subject `number`."""
        return f"AFH{number}"

    def write(self, folder: Path, session: Session) -> None:
        """Images and labels of the sessions A1 and B1."""
        for name, take in zip(("A1", "B1"), takes(at_rate(session, 30.0, dropped_frames=0.0), 2), strict=True):
            (folder / name / "Align").mkdir(parents=True)
            (folder / name / "Label").mkdir()
            for index, frame in enumerate(take.frames()):
                picture = cv2.cvtColor(frame, cv2.COLOR_RGB2BGR)
                write_image(
                    folder / name / "Align" / f"{index:05d}.png", picture, [cv2.IMWRITE_PNG_COMPRESSION, _STEADY]
                )
            scipy.io.savemat(folder / name / "Label" / "BVP.mat", {"BVP": take.truth().ppg_native[None]})


def write_image(path: Path, picture, options: list[int] | None = None) -> None:
    """Write `picture` (H, W, 3) BGR in the format of the file's ending, whatever letters its path has."""
    good, data = cv2.imencode(path.suffix, picture, options or [])
    if not good:
        raise OSError(f"OpenCV cannot encode a {path.suffix} of {picture.shape}.")
    path.write_bytes(data.tobytes())
