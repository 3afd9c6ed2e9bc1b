"""Synthetic: faces rendered with a known pulse, made on first use. See dataset/synthetic/settings.py.

    DATA_PATH/<preset>-<hash of the settings>/subject1.mp4    in the codec of the settings (mp4, avi or mkv)
    DATA_PATH/<preset>-<hash of the settings>/subject1.npz    the truth: `dataset.synthetic.render.Truth`

The videos are encoded and read back like those of any data set, so real compression is part of what is measured.
"""

from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

from dataset.data_loader.base import BaseLoader, Recording, Signal
from dataset.files.frames import Frame
from dataset.files.reading import require_file
from dataset.files.video import iter_frames
from dataset.files.writing import replacing
from dataset.synthetic.people.mesh import data_folder
from dataset.synthetic.render import Session, Truth
from dataset.synthetic.settings import OPTIONS, fingerprint, folder_name, resolve
from dataset.synthetic.writer import extension, write_recording
from registry import DATASETS


@DATASETS.register("Synthetic")
class SyntheticLoader(BaseLoader):
    """Renders each recording when it is first read: workers render in parallel, and a rerun finds the files."""

    OPTIONS = {"SYNTHETIC": dict(OPTIONS)}
    signals = ("ppg", "hr", "resp")
    generated = True  # DATA_PATH need not exist

    def __init__(self, options: dict[str, Any] | None = None):
        """`options["SYNTHETIC"]`: the settings; ValueError names one that cannot be."""
        super().__init__(options)
        self.settings = resolve(self.options.get("SYNTHETIC"))
        self.fs = self.settings.fs
        self.version = int(fingerprint(self.settings), 16)  # covers the values of the preset, which no key states
        if self.settings.photo:
            self.signals = ()

    def recordings(self, root: Path) -> list[Recording]:
        """The subjects that the settings define, whether their videos exist already or not."""
        folder = Path(root) / folder_name(self.settings)
        names = [f"subject{number}" for number in range(1, self.settings.subjects + 1)]
        ending = extension(self.settings.codec)
        if self.settings.face == "modelled" and not all((folder / f"{name}{ending}").is_file() for name in names):
            data_folder()  # says what is missing before a worker does
        return [
            Recording(
                id=name,
                subject=f"seed{self.settings.seed}-{name}",
                path=folder / f"{name}{ending}",
                info={"number": number},
            )
            for number, name in enumerate(names, start=1)
        ]

    def read_video(self, recording: Recording) -> Iterator[Frame]:
        """Yield the decoded frames with the real times of the camera, which an AVI file cannot hold."""
        self.materialise(recording)
        times = _load(recording).times
        for index, frame in enumerate(iter_frames(recording.path)):
            frame.time = float(times[index])
            yield frame

    def read_wave(self, recording: Recording) -> dict[str, Signal]:
        """The pulse wave `ppg` at the sensor's rate, `hr` (bpm) and the breathing wave `resp`; {} for a photograph."""
        if self.settings.photo:
            return {}
        self.materialise(recording)
        truth = _load(recording)
        return {
            "ppg": Signal(truth.ppg_native, times=truth.ppg_times),
            "hr": Signal(truth.hr_native, times=truth.ppg_times, unit="bpm"),
            "resp": Signal(truth.resp_native, times=truth.ppg_times),
        }

    def materialise(self, recording: Recording) -> None:
        """Render `recording` unless its files are there: truth first, then the video, each renamed into place."""
        if recording.path.is_file() and _truth_path(recording).is_file():
            return
        recording.path.parent.mkdir(parents=True, exist_ok=True)
        session = Session(self.settings, int(recording.info["number"]))
        _write(_truth_path(recording), session.truth().save)
        _write(recording.path, partial(write_recording, session=session))


def _truth_path(recording: Recording) -> Path:
    return recording.path.with_suffix(".npz")


def _load(recording: Recording) -> Truth:
    return Truth.load(require_file(_truth_path(recording)))


def _write(path: Path, write: Any) -> None:
    """Call `write(temporary path)`, then rename; another process that does the same writes the same bytes."""
    try:
        with replacing(path, tidy=True, ending=path.suffix) as temporary:
            write(temporary)
    except FileNotFoundError:  # another process was faster and has tidied up
        if not path.is_file():
            raise
