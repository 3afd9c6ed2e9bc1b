"""Multimodal recordings as aligning leaves them: one HDF5 file of all sensors, and a description.

What the devices write before that, each on its own clock, is made by tools/multimodal/synth.py.

    s001/r01/meta.json, s001/r01/aligned/aligned.h5
"""

from pathlib import Path

import cv2
import h5py
import numpy as np

from dataset.multimodal.appending import write_json
from dataset.multimodal.layout import DEVICES, FORMAT, UNITS
from dataset.multimodal.simulate import CHIRP
from dataset.multimodal.simulated_chest import Chest
from dataset.synthetic.layouts import LAYOUTS, at_rate, takes
from dataset.synthetic.render import Session

_HEAT = (40, 30)  # width, height
_RADAR = 5  # samples for each frame


@LAYOUTS.register("Multimodal")
class MultimodalLayout:
    """Writes two recordings of each subject with all four sensors; `codec` has no meaning here."""

    def folder(self, number: int) -> str:
        """Folder of subject `number`."""
        return f"s{number:03d}"

    def write(self, folder: Path, session: Session) -> None:
        """Recordings r01 and r02."""
        for name, take in zip(("r01", "r02"), takes(at_rate(session, 30.0, dropped_frames=0.0), 2), strict=True):
            self._write_take(folder / name, take)

    def _write_take(self, take: Path, session: Session) -> None:
        (take / "aligned").mkdir(parents=True)
        with h5py.File(take / "aligned" / "aligned.h5", "w") as file:
            self._write_data(file, session)
        write_json(
            take / "meta.json",
            {
                "format": FORMAT,
                "id": f"{self.folder(session.subject)}_{take.name}",
                "scenario": {"light": "normal", "motion": "still", "exercise": "rest"},
                "devices": {device: {"driver": "simulated"} for device in DEVICES},
                "sync": {"sync_ok": True, "problems": []},
            },
        )

    def finish(self, root: Path) -> None:
        """What holds for all of them."""
        names = sorted(folder.name for folder in root.glob("s[0-9]*"))
        about = {"name": "synthetic multimodal set", "version": 1, "licence": "made by PulseScope"}
        write_json(root / "dataset.json", about | {"subjects": names, "units": UNITS})

    def _write_data(self, file: h5py.File, session: Session) -> None:
        times = session.course.times
        chest, truth = Chest(session, CHIRP), session.truth()
        fine = np.arange(_RADAR * len(times)) / (_RADAR * session.settings.fs)
        file["t"] = times
        file["rgb"] = frames = np.stack(list(session.frames()))
        file["thermal"] = np.stack([_warm(frame) for frame in frames])
        file["radar/displacement"], file["radar/t"] = np.float32(chest.displacement(fine)), fine
        for name, wave in (("ppg", truth.ppg_native), ("resp", truth.resp_native)):
            file[f"{name}_native"], file[f"{name}_native_t"] = wave, truth.ppg_times
            file[name] = np.interp(times, truth.ppg_times, wave)
        file["valid"] = np.ones((len(times), len(DEVICES)), bool)
        file["valid"].attrs["modalities"] = list(DEVICES)


def _warm(frame: np.ndarray) -> np.ndarray:
    """A thermal picture (h, w) float32 in kelvin, warm where the colour picture is bright."""
    return 295 + cv2.resize(frame[..., 0], _HEAT, interpolation=cv2.INTER_AREA).astype(np.float32) / 20
