"""PairedECG: a video of each person's face and a BioSemi recording of the heart, for pairs (docs/pairing.md).

    DATA_PATH/raw/video/02_EO.mp4     640x480 at 30 fps; the name holds the person's number and EO, EC or back
    DATA_PATH/raw/hr/02_EO.bdf        2048 Hz, electrodes EXG1 to EXG3, and Status with triggers 2 (start) and 8 (end)

DATA_PATH may be the folder `raw` itself. The layout is that of a thesis whose data are private; some of its BDF files
end in `-0`. EXPERIMENT says which videos are read: EO (eyes open), EC (closed), back (from behind). A video is held to
begin at trigger 2, as there; where it lasts longer or shorter than the experiment by more than 2 s, or a twentieth, the
recording fails. The ECG is that of EXG3. Tested on rendered files, not on the original ones.
"""

import re
from collections.abc import Collection, Iterator
from pathlib import Path

import numpy as np

from dataset.data_loader.base import BaseLoader, Recording, Signal
from dataset.files.biosemi import clearest, experiment
from dataset.files.frames import Frame
from dataset.files.lookup import entry, originals, visible
from dataset.files.tables import require_root, require_some
from dataset.files.video import iter_frames
from registry import DATASETS
from settings.checks import one_of

KINDS = ("EO", "EC", "back")
VIDEOS = (".mp4", ".avi", ".mov", ".mkv", ".m4v", ".webm")
APART = 2.0  # s that a video may be longer or shorter than the experiment
SHARE = 0.05  # or this share of it


@DATASETS.register("PairedECG")
class PairedECGLoader(BaseLoader):
    """Ids are person and kind, such as `2_EO`."""

    fs = 30.0
    signals = ("ecg",)
    unaugmented = "PairedECG"
    side_files = ("raw/hr", "hr")
    OPTIONS = {"EXPERIMENT": "EO"}
    CHECKS = {"EXPERIMENT": one_of(*KINDS)}

    def recordings(self, root: Path) -> list[Recording]:
        """One per video of the kind, then hearts without one, in natural order; FileNotFoundError if there is none."""
        root = require_root(root, "PairedECG")
        root = entry(root, "raw") if entry(root, "raw").is_dir() else root
        kind = str(self.options.get("EXPERIMENT") or "EO")
        found = [
            Recording(f"{person}_{kind}", person, path)
            for path in originals(visible(entry(root, "video")))
            if path.suffix.lower() in VIDEOS
            for person, of in [_named(path)]
            if person and of == kind
        ]
        found += _without_video(root, kind, {one.subject for one in found})
        return require_some(found, root, "PairedECG", f"video/02_{kind}.mp4 and hr/02_{kind}.bdf")

    def read_video(self, recording: Recording) -> Iterator[Frame]:
        """The frames, at the times of the container."""
        return iter_frames(recording.path)

    def read_wave(self, recording: Recording) -> dict[str, Signal]:
        """`ecg` (as the file has it) from trigger 2 to trigger 8, in seconds after the first."""
        path = _heart_of(recording.path)
        wave = clearest(experiment(path))
        seconds, frames = len(wave.values) / wave.fs, sum(1 for _ in iter_frames(recording.path))
        if abs(frames / self.fs - seconds) > max(APART, SHARE * seconds):
            raise ValueError(
                f"'{path}': the experiment lasts {seconds:.1f} s, the video {frames / self.fs:.1f} s, so they did not "
                "begin together. Cut the video to begin at trigger 2, or leave the recording out."
            )
        return {"ecg": Signal(wave.values, times=np.arange(len(wave.values)) / wave.fs, unit=wave.unit or "uV")}


def _without_video(root: Path, kind: str, known: Collection[str]) -> list[Recording]:
    """People of whom there is a heart and no video; reading one says that the video is missing."""
    hearts = entry(root, "hr")
    return [
        Recording(f"{person}_{kind}", person, entry(root, "video") / f"{path.stem}.mp4")
        for path in (originals(visible(hearts)) if hearts.is_dir() else [])
        for person, of in [_named(path)]
        if path.suffix.lower() == ".bdf" and of == kind and person and person not in known
    ]


def _heart_of(video: Path) -> Path:
    """The BDF file of the same person and kind; where there is none, the one of the video's name, which is missing."""
    folder = entry(video.parent.parent, "hr")
    found = [path for path in visible(folder) if path.suffix.lower() == ".bdf" and _named(path) == _named(video)]
    return found[0] if found else folder / f"{video.stem}.bdf"


def _named(path: Path) -> tuple[str, str]:
    """Number of the person and kind of experiment in the name of a file; "" for what it does not say."""
    number = re.search(r"\d+", path.stem)
    kind = re.search(r"(?<![A-Za-z])(EO|EC|back)(?![A-Za-z])", path.stem, re.IGNORECASE)
    names = {one.lower(): one for one in KINDS}
    return (str(int(number[0])) if number else "", names[kind[0].lower()] if kind else "")
