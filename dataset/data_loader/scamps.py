"""SCAMPS: 2,800 synthetic avatars of 20 s each with the signals they were rendered from.

McDuff et al., "SCAMPS: Synthetics for Camera Measurement of Physiological Signals", NeurIPS 2022.

    DATA_PATH/P000001.mat, P000002.mat ...   MATLAB 7.3 (HDF5)
        Xsub   (T, H, W, 3) colours from 0 to 1 at 30 fps       d_ppg   (T, 1) pulse, one sample a frame
        d_br   (T, 1) breathing, where the file has it

Train, Val and Test are folders of their own: one DATA_PATH each. The layout is that of rPPG-Toolbox's reader; it has
been tested on rendered files, not on the original ones.
"""

from collections.abc import Iterator
from pathlib import Path

from dataset.data_loader.base import BaseLoader, Recording, Signal
from dataset.files import hdf5
from dataset.files.frames import Frame
from dataset.files.lookup import matching, originals
from dataset.files.tables import require_root, require_some
from registry import DATASETS


@DATASETS.register("SCAMPS")
class SCAMPSLoader(BaseLoader):
    """Every file is a subject; ids are the names of the files with their ending, as rPPG-Toolbox's lists have them."""

    fs = 30.0
    chunk_subject = r"(.+)\.mat"
    signals = ("ppg",)
    optional_signals = ("resp",)
    unaugmented = "SCAMPS"

    def recordings(self, root: Path) -> list[Recording]:
        """One per .mat file, in natural order; FileNotFoundError when there is none."""
        root = require_root(root, "SCAMPS")
        files = originals(matching(root, "*.mat"))
        require_some(
            files, root, "SCAMPS", "P000001.mat, P000002.mat ...; Train, Val and Test are folders of their own"
        )
        return [Recording(id=f"{file.stem}.mat", subject=file.stem, path=file) for file in files]

    def read_video(self, recording: Recording) -> Iterator[Frame]:
        """The frames of `Xsub`, a few at a time."""
        return hdf5.iter_video(recording.path, "Xsub")

    def read_wave(self, recording: Recording) -> dict[str, Signal]:
        """`ppg` (a.u.) and, where the file has it, `resp` (a.u.), one sample a frame."""
        with hdf5.open_file(recording.path) as file:
            signals = {"ppg": Signal(hdf5.signal(file, "d_ppg"))}
            if hdf5.has(file, "d_br"):
                signals["resp"] = Signal(hdf5.signal(file, "d_br"))
        return signals
