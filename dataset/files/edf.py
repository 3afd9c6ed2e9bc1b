"""European Data Format (EDF, EDF+) and BioSemi's (BDF): a header of fixed fields, then records of 16 or 24-bit samples.

Kemp et al., "A simple format for exchange of digitized polygraphic recordings", Electroencephalography and Clinical
Neurophysiology 82(5), 1992; Kemp and Olivan, "European data format 'plus' (EDF+)", Clinical Neurophysiology 114(9),
2003. BDF is EDF with 24 bits and another beginning (BioSemi, "Which file format does BioSemi use?"). Interrupted
recordings (EDF+D) are refused: their records do not follow each other in time.
"""

import math
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import numpy as np

from dataset.data_loader.base import Signal
from dataset.files.names import free_name
from dataset.files.reading import AGAIN, require_file, told

HEAD, PER_SIGNAL = 256, 256  # bytes
MOST_SIGNALS, MOST_SAMPLES = 1000, 1 << 28
FIELDS = {"label": 16, "sensor": 80, "unit": 8, "low": 8, "high": 8, "lowest": 8, "highest": 8, "filter": 80, "each": 8}
NOTES = "EDF Annotations"  # a signal that holds text


@dataclass(frozen=True)
class Format:
    """What tells one kind of file from the other: its name, its first eight bytes, the bytes of a sample."""

    name: str
    begins: bytes
    width: int


EDF = Format("EDF", b"0       ", 2)
BDF = Format("BDF", b"\xffBIOSEMI", 3)


def read_edf(path: Path, kind: Format = EDF) -> dict[str, Signal]:
    """The signals of the file at `path` by label (`ECG`, `ECG 2` where it repeats), in their units.

    ValueError for a file that is none of this `kind`, is cut off or interrupted.
    """
    place = require_file(path)
    with place.open("rb") as file:
        head = file.read(HEAD)
        try:
            first, records, seconds, count = _head(head, kind)
            fields = _fields(file.read(count * PER_SIGNAL), count)
            each = [int(number) for number in fields["each"]]
            scales = _scales(fields)
            if not all(0 < number <= MOST_SAMPLES for number in each) or sum(each) > MOST_SAMPLES:
                raise ValueError("its signals have impossible numbers of samples")
        except (ValueError, OverflowError) as error:
            raise ValueError(f"'{path}' is no {kind.name} file: {told(error)}. {AGAIN}") from None
        there = (place.stat().st_size - first) // (kind.width * sum(each))
        if not there or records > there or (records or there) * sum(each) > MOST_SAMPLES:
            raise ValueError(f"'{path}' holds {max(0, there)} of {records} records: it is cut off. {AGAIN}")
        file.seek(first)
        data = _samples(file, (records or there) * sum(each), kind.width).reshape(-1, sum(each))
    return _signals(data, fields, each, scales, seconds)


def _samples(file: BinaryIO, count: int, width: int) -> np.ndarray:
    """`count` whole numbers of `width` bytes, the lowest first."""
    if width == 2:
        return np.fromfile(file, "<i2", count)
    low, middle, high = np.fromfile(file, np.uint8, width * count).reshape(-1, width).T
    return low.astype(np.int32) | middle.astype(np.int32) << 8 | high.view(np.int8).astype(np.int32) << 16


def _head(head: bytes, kind: Format) -> tuple[int, int, float, int]:
    """Bytes before the first record, number of records (0: unknown), seconds of one, number of signals."""
    text = head.decode("latin-1")
    if len(head) < HEAD or head[:8].strip() != kind.begins.strip():
        raise ValueError("it does not begin as one")
    if text[192:197] == "EDF+D":
        raise ValueError("it is an interrupted recording (EDF+D). Export it as EDF or EDF+C")
    first, records, seconds, count = int(text[184:192]), int(text[236:244]), float(text[244:252]), int(text[252:256])
    possible = 0 < count <= MOST_SIGNALS and first == HEAD + count * PER_SIGNAL
    if not possible or not (math.isfinite(seconds) and seconds > 0):
        raise ValueError(f"its header tells of {count} signals, {first} bytes and records of {seconds:g} s")
    return first, max(0, records), seconds, count


def _fields(data: bytes, count: int) -> dict[str, list[str]]:
    """Each field of all signals."""
    text, found, start = data.decode("latin-1"), {}, 0
    if len(text) < count * PER_SIGNAL:
        raise ValueError("its header is cut off")
    for name, width in FIELDS.items():
        found[name] = [text[start + width * one : start + width * (one + 1)].strip() for one in range(count)]
        start += width * count
    return found


def _scales(fields: dict[str, list[str]]) -> list[tuple[float, float]]:
    """Factor and offset of each signal."""
    found = []
    for name, *edges in zip(*(fields[key] for key in ("label", "low", "high", "lowest", "highest")), strict=True):
        low, high, lowest, highest = (float(edge.replace(",", ".")) for edge in edges)
        if not all(map(math.isfinite, (low, high))) or highest == lowest:
            raise ValueError(f"the signal {name!r} has no range")
        factor = (high - low) / (highest - lowest)
        found.append((factor, low - factor * lowest))
    return found


def _signals(
    data: np.ndarray, fields: dict[str, list[str]], each: list[int], scales: list[tuple[float, float]], seconds: float
) -> dict[str, Signal]:
    found: dict[str, Signal] = {}
    columns = np.split(data, np.cumsum(each)[:-1], axis=1)
    for label, unit, number, (factor, offset), raw in zip(
        fields["label"], fields["unit"], each, scales, columns, strict=True
    ):
        if label == NOTES:
            continue
        found[free_name(label, found)] = Signal(raw.reshape(-1) * factor + offset, fs=number / seconds, unit=unit)
    return found
