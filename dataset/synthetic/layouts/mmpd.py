"""MMPD: a folder of MATLAB files for each subject, video, label and description in one file.

Tang et al., "MMPD: Multi-Domain Mobile Video Physiology Dataset", EMBC 2023; fields as rPPG-Toolbox's reader has them:

    subject1/p1_0.mat, p1_1.mat   video (T, H, W, 3) from 0 to 1 at 30 fps, GT_ppg (1, T), light, motion, exercise,
                                  gender, glasser, hair_cover, makeup (words), skin_color (number)
"""

from pathlib import Path

import numpy as np
import scipy.io

from dataset.synthetic.layouts import LAYOUTS, at_rate, takes
from dataset.synthetic.render import Session

_SCENES = (  # light, motion, exercise
    ("LED-low", "Stationary", "False"),
    ("Nature", "Stationary (after exercise)", "True"),
)


@LAYOUTS.register("MMPD")
class MMPDLayout:
    """Writes two recordings of each subject; `codec` has no meaning here, videos are single precision."""

    def folder(self, number: int) -> str:
        """Folder of subject `number`."""
        return f"subject{number}"

    def write(self, folder: Path, session: Session) -> None:
        """One .mat file per scene."""
        tone = session.truth().tone
        for number, (take, scene) in enumerate(zip(takes(at_rate(session, 30.0), 2), _SCENES, strict=True)):
            path = folder / f"p{session.subject}_{number}.mat"
            scipy.io.savemat(path, _content(take, tone, scene), do_compression=True)


def _content(session: Session, tone: int, scene: tuple[str, str, str]) -> dict:
    truth = session.truth()
    video = np.empty((len(truth.times), session.settings.height, session.settings.width, 3), np.float32)
    for index, frame in enumerate(session.frames()):
        np.divide(frame, 255, out=video[index])
    light, motion, exercise = scene
    return {
        "video": video,
        "GT_ppg": truth.ppg[None],
        "light": light,
        "motion": motion,
        "exercise": exercise,
        "skin_color": np.array([[min(max(tone, 3), 6)]], np.uint8),
        "gender": "female" if session.subject % 2 else "male",
        "glasser": "False",
        "hair_cover": "False",
        "makeup": "True" if session.subject % 3 == 0 else "False",
    }
