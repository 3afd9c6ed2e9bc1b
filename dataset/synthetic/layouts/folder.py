"""Any videos: one file for each subject, and its labels beside it.

subject1.mp4    in the codec of the settings        subject1.csv    columns time (s) and ppg
"""

from pathlib import Path

import numpy as np

from dataset.synthetic.layouts import LAYOUTS
from dataset.synthetic.render import Session
from dataset.synthetic.writer import extension, write_recording


@LAYOUTS.register("Folder")
class FolderLayout:
    """Writes a video and a table of the contact sensor for each subject."""

    spread = True

    def folder(self, number: int) -> str:
        """Table of subject `number`, which comes after the video whatever its ending."""
        return f"subject{number}.csv"

    def write(self, folder: Path, session: Session) -> None:
        """Video and table."""
        name, truth = f"subject{session.subject}", session.truth()
        write_recording(folder / f"{name}{extension(session.settings.codec)}", session)
        rows = np.stack([truth.ppg_times, truth.ppg_native], axis=1)
        np.savetxt(folder / f"{name}.csv", rows, "%.6f", ",", header="time,ppg", comments="")
