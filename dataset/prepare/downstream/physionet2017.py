"""PhysioNet/CinC Challenge 2017: 8,528 ECGs of one lead, 9 to 61 s at 300 Hz: normal, fibrillation, other, noise.

Clifford et al., "AF classification from a short single lead ECG recording", Computing in Cardiology 44, 2017:

    RAW/**/A00001.mat           16-bit samples behind 24 bytes, 1000 per mV (MATLAB level 4, named `val`)
    RAW/**/A00001.hea           A00001 1 300 9000 ...; where it is missing, the .mat is read alone
    RAW/**/REFERENCE-v3.csv     A00001,N
"""

import csv
import struct
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np

from dataset.files.lookup import below
from dataset.files.reading import AGAIN, iter_lines, read_bytes
from dataset.files.wfdb import read_record
from dataset.prepare.downstream.common import Options, Piece, Preparation, fitted, part_of
from registry import PREPARATIONS

CLASSES = ("N", "A", "O", "~")
FS, SECONDS = 300.0, 10.0
PADDED = 18_300  # samples: 61 s
LARGEST = 1 << 22  # bytes of a record
REFERENCES = ("REFERENCE-v3.csv", "REFERENCE.csv")


@PREPARATIONS.register("physionet2017")
class PhysioNet2017(Preparation):
    """Windows of 10 s whose answers are averaged over the record; or, `padded`, one window of 61 s as CM-SSL has it."""

    channels, task, labels, classes = ("ecg",), "choice", ("rhythm",), CLASSES
    source = "Clifford et al., Computing in Cardiology 44, 2017 (CinC 2017); ODC-By 1.0"
    used = ("mode",)

    def __init__(self, raw: Path, options: Options):
        """Read the reference."""
        if options.mode == "padded" and options.resize != "stretch":
            options = replace(options, rate=0.0)  # 61 s are no window of 10 s at any rate
        super().__init__(raw, options)
        self.vote = options.mode != "padded"
        self.about["rate"] = FS
        reference = next((path for name in REFERENCES for path in below(raw, name)), None)
        if reference is None:
            raise FileNotFoundError(f"'{raw}' holds no {REFERENCES[0]}: the classes of the records.")
        known = references(reference)
        paths = {path.stem: path for path in self.files("A*.mat", "records such as A00001.mat")}
        self.skipped |= {name: f"has no file {name}.mat" for name in known if name not in paths}
        self.records = {name: (paths[name], label) for name, label in known.items() if name in paths}

    def subjects(self) -> list[str]:
        """A record is a person: nobody tells more."""
        return list(self.records)

    def parts(self) -> dict[str, str]:
        """Drawn class by class, so that each part has them in the same shares."""
        found: dict[str, str] = {}
        for number in range(len(CLASSES)):
            own = [name for name, (_, label) in self.records.items() if label == number]
            if own:
                found |= part_of(own, self.ratios, self.options.seed)
        return found

    def pieces(self) -> Iterator[Piece]:
        """A record at a time; one that cannot be read is skipped."""
        for name, (path, label) in self.records.items():
            try:
                wave = read_wave(path)
            except (ValueError, OSError) as error:
                self.skipped[name] = str(error)
                continue
            windows = self._padded(wave) if self.options.mode == "padded" else self._windows(wave)
            yield Piece(name, windows, np.full(len(windows), label), name)

    def _windows(self, wave: np.ndarray) -> np.ndarray:
        """All whole windows, or one padded; a rest of at least half a window gives the last 10 s once more."""
        short = max(0, round(SECONDS * FS) - len(wave))
        wave = np.pad(wave, (0, short), mode="mean")
        windows, _ = self.windows(wave, FS, SECONDS, SECONDS)
        if len(wave) / FS % SECONDS >= SECONDS / 2:
            last, _ = self.windows(wave[-round(SECONDS * FS) :], FS, SECONDS, SECONDS)
            windows = np.concatenate([windows, last])
        return windows

    def _padded(self, wave: np.ndarray) -> np.ndarray:
        """Zeros behind it to 61 s, at 300 Hz; with `resize` stretch those are 1,250 samples."""
        whole = np.zeros((1, 1, PADDED), np.float32)
        whole[0, 0, : min(len(wave), PADDED)] = wave[:PADDED]
        return fitted(whole, self.options) if self.options.resize == "stretch" else whole


def references(path: Path) -> dict[str, int]:
    """Record -> number of its class; ValueError for a class that is none."""
    found = {}
    for line in csv.reader(iter_lines(path)):
        if not line:
            continue
        if len(line) < 2 or line[1].strip() not in CLASSES:
            raise ValueError(f"'{path}' has the line {','.join(line)!r}; a record and one of {', '.join(CLASSES)} were "
                             f"expected. {AGAIN}")  # fmt: skip
        found[line[0].strip()] = CLASSES.index(line[1].strip())
    return found


def read_wave(path: Path) -> np.ndarray:
    """The ECG (L,) in mV of a record; ValueError for one that is cut off or none."""
    header = path.with_suffix(".hea")
    if header.is_file():
        signal = next(iter(read_record(header).values()))
        if signal.times is not None or abs((signal.fs or 0) - FS) > 0.5:
            raise ValueError(f"'{header}' has gaps, or {signal.fs} Hz instead of {FS:g}.")
        return np.asarray(signal.values, dtype=float)
    content = read_bytes(path, LARGEST)
    if len(content) < 24:
        raise ValueError(f"'{path}' is no record: it has {len(content)} bytes. {AGAIN}")
    kind, rows, columns, imaginary, letters = struct.unpack("<5i", content[:20])
    if (kind, rows, imaginary, letters) != (30, 1, 0, 4) or len(content) < 24 + 2 * columns or columns < 1:
        raise ValueError(f"'{path}' is no record of 16-bit samples, or it is cut off. {AGAIN}")
    return np.frombuffer(content, "<i2", columns, offset=24).astype(float) / 1000
