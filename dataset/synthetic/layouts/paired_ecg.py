"""PairedECG: videos and BioSemi recordings in two folders.

The layout of dataset/data_loader/paired_ecg.py; BDF as BioSemi describes it ("Which file format does BioSemi use?"):

    raw/video/02_EO.avi     30 fps       raw/hr/02_EO.bdf     EXG1 to EXG3 and Status, 24 bits at 2048 Hz
"""

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from dataset.synthetic.layouts import LAYOUTS, at_rate, in_avi
from dataset.synthetic.render import Session
from dataset.synthetic.writer import write_recording

_RATE = 2048  # Hz
_AHEAD = 1.5  # s of ECG before trigger 2, and behind trigger 8
_PULSE = 40  # samples that a trigger lasts
_FULL = 1 << 23  # of 24 bits
_UNIT = 1 / 32.0  # uV of one step


@LAYOUTS.register("PairedECG")
class PairedECGLayout:
    """One video of each subject, eyes open; a codec that goes into an AVI is kept, another becomes mjpg."""

    spread = True

    def folder(self, number: int) -> str:
        """The file of a subject that is put there last."""
        return f"raw/hr/{number:02d}_EO.bdf"

    def write(self, folder: Path, session: Session) -> None:
        """Video and recording; the heart is the same, EXG3 is upside down to EXG2."""
        (number,) = [session.subject]
        take = in_avi(at_rate(session, 30.0), "mjpg")
        for name in ("video", "hr"):
            (folder / "raw" / name).mkdir(parents=True)
        write_recording(folder / "raw" / "video" / f"{number:02d}_EO.avi", take)
        clock = np.arange(round((take.settings.seconds + 2 * _AHEAD) * _RATE)) / _RATE - _AHEAD
        wave = 1000.0 * take.heart.ecg(clock)
        status = np.zeros(len(clock))
        for time, code in ((0.0, 2), (take.settings.seconds, 8)):
            start = int(np.searchsorted(clock, time))
            status[start : start + _PULSE] = code
        signals = {"EXG1": 0.4 * wave, "EXG2": -wave, "EXG3": wave, "Status": status}
        write_bdf(folder / "raw" / "hr" / f"{number:02d}_EO.bdf", signals, _RATE)


def write_bdf(path: Path, signals: Mapping[str, np.ndarray], fs: int) -> Path:
    """Write `signals` (L,) in uV, all at `fs` (Hz), in records of a second; `Status` as it is. Returns `path`."""
    records = -(-len(next(iter(signals.values()))) // fs)
    raw = {
        name: np.pad(np.rint(values / (1.0 if name == "Status" else _UNIT)), (0, records * fs - len(values)))
        for name, values in signals.items()
    }
    data = np.stack([one.reshape(records, fs) for one in raw.values()], axis=1).astype("<i4")
    path.write_bytes(_header(list(signals), records, fs) + data[..., None].view(np.uint8)[..., :3].tobytes())
    return path


def _header(names: list[str], records: int, fs: int) -> bytes:
    count = len(names)
    main = [("", 80), ("", 80), ("01.01.20", 8), ("00.00.00", 8), (256 * (1 + count), 8), ("24BIT", 44),
            (records, 8), (1, 8), (count, 4)]  # fmt: skip
    text = "".join(str(value).ljust(width) for value, width in main)
    edges = [(1.0 if name == "Status" else _UNIT) * _FULL for name in names]
    for values, width in (
        (names, 16), (["electrode"] * count, 80), (["Boolean" if name == "Status" else "uV" for name in names], 8),
        ([f"{-edge:.0f}" for edge in edges], 8), ([f"{edge - 1:.0f}" for edge in edges], 8),
        ([-_FULL] * count, 8), ([_FULL - 1] * count, 8), ([""] * count, 80), ([fs] * count, 8), ([""] * count, 32),
    ):  # fmt: skip
        text += "".join(str(value).ljust(width) for value in values)
    return b"\xffBIOSEMI" + text.encode("ascii")
