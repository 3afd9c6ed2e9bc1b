"""WFDB records of PhysioNet: a header (.hea), files of samples beside it, and records put together from segments.

    record 2 250 75000                                 name, signals, samples a second, samples
    record.dat 212 200(0)/mV 12 0 0 0 0 II             file, format, gain(baseline)/unit, ..., description
    record.dat 16x4+24 200/mV ...                      x4: four samples in each frame; +24: the samples begin there
    record/3 2 250 75000, then `part1 25000` ...       three segments

The layout is described in the WFDB Applications Guide under header(5) and signal(5). Formats 16 and 212 are read here,
the others by the package wfdb. Every file must lie beside its header. Samples that are marked as missing are left out,
and the signal then has times. A signal whose header has no gain is not in millivolts: its unit is `uncalibrated`, its
values are those of the converter.
"""

import math
import re
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from dataset.data_loader.base import Signal
from dataset.files.names import free_name
from dataset.files.reading import AGAIN, read_bytes, require_file, told

LARGEST_HEADER = 1 << 20  # bytes
MOST_SIGNALS, MOST_SEGMENTS = 1000, 100_000
MOST_SAMPLES = 1 << 28  # of a signal: three days at 1000 Hz
MISSING = {16: -(1 << 15), 212: -(1 << 11)}  # the value that stands for no sample
SIGNAL = re.compile(r"(?P<format>\d+)(?:x(?P<each>\d+))?(?::(?P<skew>\d+))?(?:\+(?P<offset>\d+))?")
GAIN = re.compile(r"(?P<gain>[-+.\deE]+)?(?:\((?P<baseline>-?\d+)\))?(?:/(?P<unit>\S+))?")
USUAL_RATE = 250.0  # where the header has none
UNCALIBRATED = "uncalibrated"  # unit of a signal whose header has no gain


@dataclass(frozen=True)
class Channel:
    """A signal as its line in the header has it.

    each    samples in a frame      offset  bytes before the first      skew  frames that it comes late
    """

    file: str
    format: int
    each: int
    skew: int
    offset: int
    gain: float
    baseline: int
    unit: str
    name: str


@dataclass(frozen=True)
class Header:
    """A record: frames a second, number of frames (0: unknown), and either channels or segments (name, frames)."""

    fs: float
    frames: int
    channels: tuple[Channel, ...] = ()
    segments: tuple[tuple[str, int], ...] = ()


def read_record(path: Path) -> dict[str, Signal]:
    """The signals of the record with the header at `path`, by name (`II`, `II 2` where it repeats), in its units.

    ValueError for a header that is none, for a format that needs the package wfdb, and for files that are too short.
    """
    header = read_header(path)
    parts = _parts(path, header)
    names = list(dict.fromkeys(name for _, _, read in parts for name in read))
    return {name: _joined(name, parts) for name in names}


def _parts(path: Path, header: Header) -> list[tuple[float, float, dict[str, tuple[np.ndarray, float, str]]]]:
    """(start in s, seconds, name -> (values, Hz, unit)) of each segment; a whole record is one."""
    if not header.segments:
        return [(0.0, 0.0, _samples(path, header))]
    found, start = [], 0.0
    for name, frames in header.segments:
        if name != "~" and frames:  # `~`: nothing was recorded; no frames: only says which signals may come
            inner = read_header(_beside(path, f"{name}.hea"))
            if inner.segments:
                raise ValueError(f"'{path}' has segments inside of segments. {AGAIN}")
            found.append((start, frames / header.fs, _samples(_beside(path, f"{name}.hea"), inner)))
        start += frames / header.fs
    if not found:
        raise ValueError(f"'{path}' has no segment with samples. {AGAIN}")
    return found


def _joined(name: str, parts: list[tuple[float, float, dict[str, tuple[np.ndarray, float, str]]]]) -> Signal:
    """The signal `name` of all segments that have it; with times where samples are missing."""
    own = [(start, *read[name]) for start, _, read in parts if name in read]
    rate, unit = own[0][2], own[0][3]
    if any(abs(one[2] - rate) > 1e-9 * rate for one in own):
        raise ValueError(f"its signal {name!r} changes its rate from segment to segment.")
    values = np.concatenate([one[1] for one in own])
    times = np.concatenate([start + np.arange(len(one)) / rate for start, one, _, _ in own])
    there = np.isfinite(values)
    if not there.any():
        raise ValueError(f"its signal {name!r} has no sample.")
    even = there.all() and times[0] == 0 and abs((times[-1] - times[0]) * rate - (len(times) - 1)) < 0.5
    return Signal(values, fs=rate, unit=unit) if even else Signal(values[there], times=times[there], unit=unit)


# --- The header -----------------------------------------------------------------------------------------------------


def read_header(path: Path) -> Header:
    """What a header says; ValueError naming the file and the line for one that is none."""
    text = read_bytes(path, LARGEST_HEADER).decode("utf-8-sig", "backslashreplace")  # a comment may hold any name
    lines = [line.split() for line in text.splitlines() if line.strip() and not line.lstrip().startswith("#")]
    try:
        name, signals, *rest = lines[0]
        fs = float(rest[0].split("/")[0].split("(")[0]) if rest else USUAL_RATE
        frames = int(rest[1]) if len(rest) > 1 else 0
        if not (0 <= int(signals) <= MOST_SIGNALS and math.isfinite(fs) and fs > 0 and 0 <= frames <= MOST_SAMPLES):
            raise ValueError(f"it has {signals} signals of {frames} samples at {fs:g} Hz")
        if "/" in name:
            return Header(fs, frames, segments=_segments(lines[1:], int(name.split("/")[1])))
        if len(lines) < 1 + int(signals):
            raise ValueError(f"it promises {signals} signals and describes {len(lines) - 1}")
        return Header(fs, frames, tuple(_channel(line) for line in lines[1 : 1 + int(signals)]))
    except (ValueError, IndexError, OverflowError) as error:
        raise ValueError(f"'{path}' is no WFDB header: {told(error)}. {AGAIN}") from None


def _segments(lines: list[list[str]], count: int) -> tuple[tuple[str, int], ...]:
    if not 0 < count <= min(len(lines), MOST_SEGMENTS):
        raise ValueError(f"it promises {count} segments and names {len(lines)}")
    found = tuple((line[0], int(line[1])) for line in lines[:count])
    if any(frames < 0 for _, frames in found) or sum(frames for _, frames in found) > MOST_SAMPLES:
        raise ValueError("its segments have impossible lengths")
    return found


def _channel(words: list[str]) -> Channel:
    """A channel of its line; ValueError for a line that describes none."""
    how, gain = SIGNAL.fullmatch(words[1]), GAIN.fullmatch(words[2]) if len(words) > 2 else None
    if how is None or (len(words) > 2 and gain is None):
        raise ValueError(f"no signal is described by {' '.join(words)!r}")
    per_unit = float(gain["gain"] or 0) if gain else 0.0
    zero = int(words[4]) if len(words) > 4 else 0
    each = int(how["each"] or 1)
    if not (math.isfinite(per_unit) and 0 < each <= 10_000):
        raise ValueError(f"no signal is described by {' '.join(words)!r}")
    baseline = int(gain["baseline"]) if gain and gain["baseline"] else zero
    unit = (gain["unit"] or "mV") if gain and per_unit else UNCALIBRATED
    return Channel(
        words[0], int(how["format"]), each, int(how["skew"] or 0), int(how["offset"] or 0), per_unit or 1.0, baseline,
        unit, " ".join(words[8:]) or "signal",
    )  # fmt: skip


# --- The samples ----------------------------------------------------------------------------------------------------


def _samples(path: Path, header: Header) -> dict[str, tuple[np.ndarray, float, str]]:
    """Name -> (values (L,), NaN where missing; samples a second; unit) of a record without segments."""
    files = {channel.file: _beside(path, channel.file) for channel in header.channels}  # none elsewhere, whoever reads
    if {channel.format for channel in header.channels} - set(MISSING):
        return _by_wfdb(path, header)
    found: dict[str, tuple[np.ndarray, float, str]] = {}
    for file, place in files.items():
        own = [channel for channel in header.channels if channel.file == file]
        columns = np.split(_frames(place, own, header), np.cumsum([one.each for one in own])[:-1], axis=1)
        for channel, raw in zip(own, columns, strict=True):
            raw = raw.reshape(-1)
            values = np.where(raw == MISSING[channel.format], np.nan, (raw - float(channel.baseline)) / channel.gain)
            values = np.concatenate(
                [values[channel.skew * channel.each :], np.full(channel.skew * channel.each, np.nan)]
            )
            found[free_name(channel.name, found)] = (values, header.fs * channel.each, channel.unit)
    return found


def _frames(path: Path, channels: list[Channel], header: Header) -> np.ndarray:
    """The frames (L, samples in one) of a file; ValueError where it holds fewer than the header says."""
    if len({(one.format, one.offset) for one in channels}) > 1:
        raise ValueError(f"'{path}' would hold samples of several formats. {AGAIN}")
    width, first = sum(one.each for one in channels), channels[0]
    place = require_file(path)
    size = place.stat().st_size - first.offset
    there = max(0, size // 2 if first.format == 16 else size * 2 // 3) // width
    if header.frames > there or not there:
        raise ValueError(f"'{path}' holds {there} of {header.frames} samples of each signal: it is cut off. {AGAIN}")
    count = (header.frames or there) * width
    if count > MOST_SAMPLES:
        raise ValueError(f"'{path}' holds {count} samples, more than can be meant. {AGAIN}")
    if first.format == 16:
        return np.fromfile(place, "<i2", count, offset=first.offset).reshape(-1, width)
    return unpack_212(np.fromfile(place, np.uint8, -(-count * 3 // 2), offset=first.offset), count).reshape(-1, width)


def unpack_212(data: np.ndarray, count: int) -> np.ndarray:
    """`count` samples of 12 bits, two in three bytes of `data` (uint8): int16."""
    padded = np.zeros(-(-count // 2) * 3, np.int16)
    padded[: len(data)] = data[: len(padded)]
    low, both, high = padded.reshape(-1, 3).T
    pairs = np.stack([low | (both & 0x0F) << 8, high | (both & 0xF0) << 4], axis=1).reshape(-1)[:count]
    return np.where(pairs >= 1 << 11, pairs - (1 << 12), pairs).astype(np.int16)


def _by_wfdb(path: Path, header: Header) -> dict[str, tuple[np.ndarray, float, str]]:
    """The same by the package, where it is installed."""
    formats = ", ".join(str(one) for one in sorted({channel.format for channel in header.channels}))
    try:
        import wfdb
    except ImportError:
        raise ValueError(f"'{path}' has samples of format {formats}: pip install wfdb, which reads them.") from None
    try:
        record = wfdb.rdrecord(str(path.with_suffix("")), smooth_frames=False)
    except Exception as error:  # it fails in many ways on a damaged file
        raise ValueError(f"'{path}' cannot be read by wfdb: {told(error)}. {AGAIN}") from None
    found: dict[str, tuple[np.ndarray, float, str]] = {}
    for channel, values in zip(header.channels, record.e_p_signal, strict=True):
        found[free_name(channel.name, found)] = (
            np.asarray(values, dtype=float),
            header.fs * channel.each,
            channel.unit,
        )
    return found


def _beside(path: Path, name: str) -> Path:
    """The file `name` in the folder of the header at `path`; ValueError for one that leads out of it."""
    if name in ("", ".", "..", "-") or "/" in name or "\\" in name or "\0" in name:
        raise ValueError(f"'{path}' names {name!r}: only files beside it are read. {AGAIN}")
    return path.with_name(name)
