"""What is wrong with a multimodal set: structure, clocks, counts and units; each fault has a name and a remedy.

Nothing is decoded but headers, so a set of hours is checked in seconds.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from dataset.faults import is_own
from dataset.files.names import shown
from dataset.files.reading import read_json, told
from dataset.multimodal import clocks
from dataset.multimodal.layout import DEVICES, FORMAT, META, UNITS, Session, Stamps, require_sessions

ERROR, NOTE = "error", "note"
SET = "dataset.json"
GAP = 0.5  # s without a sample: longer ones are invalid when the recording is aligned
DEAD = 2.0  # s before the end of the others at which a device has stopped
RATE = 0.05  # share by which the measured rate may differ from the stated one
KELVIN = (223.0, 423.0)  # what a thermal picture of a room with a person may hold
BODY = (290.0, 320.0)  # the warmest part of such a picture
WRAP = 2**15  # a counter that falls by more has begun anew
AT_ONCE = 64  # frames looked at of a long recording


@dataclass(frozen=True)
class Fault:
    """One thing that is wrong: where, what kind, and in words."""

    where: str
    kind: str
    words: str
    level: str = ERROR

    def __str__(self) -> str:
        """One line."""
        return f"{self.level}: {self.where}: {self.kind}: {self.words}"


def check_set(root: Path) -> tuple[list[Session], list[Fault]]:
    """All recordings below `root` and what is wrong with them and with the set.

    FileNotFoundError when `root` is no folder or holds no recording.
    """
    found = require_sessions(root)
    faults = list(_set(root, found))
    for session in found:
        faults += check(session)
    return found, faults + list(_doubled(found))


def check(session: Session) -> list[Fault]:
    """What is wrong with one recording."""
    where = name_of(session)
    faults = [Fault(where, kind, words, level) for kind, words, level in _recording(session)]
    stamps = {}
    for device in session.present:
        with_device = f"{where}/{device}"
        for kind, words, level in _guarded("unreadable", lambda device=device: _stamps_of(session, device, stamps)):
            faults.append(Fault(with_device, kind, words, level))
        for kind, words, level in _guarded("unreadable", lambda device=device: _DATA[device](session, stamps)):
            faults.append(Fault(with_device, kind, words, level))
    faults += [Fault(f"{where}/{device}", *rest) for device, *rest in _together(stamps)]
    return faults


Found = Iterator[tuple[str, str, str]]  # kind, words, level


def _guarded(kind: str, look: Callable[[], Found]) -> Found:
    """What `look` finds; a file that cannot be read is found, too."""
    try:
        yield from look()
    except (ValueError, OSError) as error:
        if is_own(error):
            raise
        words = str(error)
        yield _kind_of(words, kind), words, ERROR


def _kind_of(words: str, kind: str) -> str:
    if "does not exist" in words or "holds neither" in words:
        return "missing file"
    return "cut file" if "cut in the middle" in words else kind


def name_of(session: Session) -> str:
    """What a recording is called in faults."""
    return shown(f"{session.path.parent.name}/{session.path.name}")


# --- the set


def _set(root: Path, found: list[Session]) -> Iterator[Fault]:
    try:
        about = read_json(root / SET)
    except (OSError, ValueError) as error:
        yield Fault(SET, "missing file", str(error))
        return
    units = about.get("units")
    for name, unit in UNITS.items():
        stated = units.get(name) if isinstance(units, dict) else None
        if stated != unit:
            words = f"`units` states {str(stated)[:20]!r} for {name}; files of this layout hold {unit}. Convert them."
            yield Fault(SET, "wrong units", words)
    known = about.get("subjects")
    known = known if isinstance(known, list) else []
    for name in sorted({session.path.parent.name for session in found} - {str(one) for one in known}):
        yield Fault(shown(name), "unknown subject", "dataset.json does not list it among `subjects`. Add it.", NOTE)


def _doubled(found: list[Session]) -> Iterator[Fault]:
    seen: dict[str, str] = {}
    for session in found:
        try:
            name = session.meta.id
        except (ValueError, OSError):
            continue
        where = name_of(session)
        if name and name in seen:
            words = f"'{name}' is the id of {seen[name]}, too. Give one of them another `id` in {META}."
            yield Fault(where, "doubled id", words)
        seen.setdefault(name, where)


# --- a recording


def _recording(session: Session) -> Found:
    yield from _guarded("unreadable", lambda: _meta(session))
    yield from _guarded("unreadable", lambda: _events(session))


def _meta(session: Session) -> Found:
    meta = session.meta
    if not meta.id:
        yield "no id", f"{META} has no `id`. Give it one that no other recording of the set has.", ERROR
    if meta.values.get("format") != FORMAT:
        yield "other format", f"`format` is {str(meta.values.get('format'))[:20]!r}, known: {FORMAT}.", ERROR
    for device in sorted(set(meta.devices) & set(DEVICES) - set(session.present)):
        yield "missing device", f"{META} lists {device}, but its folder is not there.", ERROR
    for device in sorted(set(session.present) - set(meta.devices)):
        yield "unknown device", f"{META} says nothing of {device} (rate, delays). Add it to `devices`.", ERROR
    if meta.thermal_to_rgb is None and {"rgb", "thermal"} <= set(session.present):
        yield (
            "missing homography",
            f"{META} has no `thermal_to_rgb`. Film the heated checkerboard with both cameras and add it.",
            ERROR,
        )
    if not meta.finished:
        yield (
            "unfinished",
            f"the recorder was killed; `python tools/multimodal/record.py --finish {session.path}` keeps what is whole",
            NOTE,
        )


def _events(session: Session) -> Found:
    marks = len(session.syncs())
    if marks == 0:
        yield "no marks", "events.csv has no `sync` on the clock `host`: offsets of the clocks stay unknown.", ERROR
    elif marks == 1:
        yield "few marks", "events.csv has one `sync`; a mark at the end would show a clock that was set.", NOTE


# --- the clocks


def _stamps_of(session: Session, device: str, stamps: dict[str, Stamps]) -> Found:
    found = session.stamps(device)
    if len(found) < 2:
        yield "dead device", f"timestamps.csv has {len(found)} lines: the device has sent nothing.", ERROR
        return
    stamps[device] = found
    wrapped = _wrapped(session.stamp_index(device)) or _wrapped_clock(found.device)
    if wrapped:
        yield "counter wrap-around", wrapped, ERROR
    else:
        yield from _order(found)
        yield from _steps(found)
        yield from _rate(session, device, found)
    gaps = np.diff(found.host) / 1e9
    if (gaps > GAP).any():
        k = int(gaps.argmax())
        words = f"{int((gaps > GAP).sum())} of more than {GAP:g} s, the longest {gaps[k]:.2f} s after sample {k}."
        yield "gap", words, NOTE


def _wrapped(index: np.ndarray) -> str:
    falls = np.flatnonzero(np.diff(index) <= -WRAP)
    if not len(falls):
        return ""
    k = int(falls[0])
    return f"the counter falls from {index[k]} to {index[k + 1]} at line {k + 3} of timestamps.csv. Unwrap it."


def _wrapped_clock(device_ns: np.ndarray) -> str:
    """A clock of so many bits (of ns, us or ms) begins anew: it falls by nearly its whole range."""
    falls = np.diff(device_ns)
    usual = float(np.median(falls))
    for k in np.flatnonzero(falls < 0):
        for unit in (1, 1000, 1_000_000):
            ranges = (usual - float(falls[k])) / (unit * 2.0 ** np.array([16, 24, 32]))
            if (np.abs(ranges - 1) < 0.01).any():
                return (
                    f"t_device_ns falls by {-falls[k] / 1e9:.3f} s, the range of its clock, at line {k + 3} of "
                    f"timestamps.csv. Unwrap it."
                )
    return ""


def _order(found: Stamps) -> Found:
    for name, times in (("t_device_ns", found.device), ("t_host_ns", found.host)):
        back, same = np.flatnonzero(np.diff(times) < 0), np.flatnonzero(np.diff(times) == 0)
        if len(back):
            k = int(back[0])
            words = (
                f"{name} runs back {len(back)} times, first by {(times[k] - times[k + 1]) / 1e9:.3f} s at line {k + 3}."
            )
            yield "time runs back", f"{words} Leave these samples out, or the recording.", ERROR
        # A computer may hand over several samples at once; a device takes them one after the other.
        if len(same) and name == "t_device_ns":
            words = f"{len(same)} stamps of t_device_ns are those before, first at line {int(same[0]) + 3}."
            yield "doubled stamps", f"{words} Leave the repeated samples out.", ERROR


def _steps(found: Stamps) -> Found:
    if (np.diff(found.device) <= 0).any():
        return
    for k, size in clocks.steps(found.device, found.host):
        yield (
            "clock step",
            f"host and device clock part by {size:+.2f} s at line {k + 2} of timestamps.csv: one of them was set. "
            f"Cut the recording there.",
            ERROR,
        )


def _rate(session: Session, device: str, found: Stamps) -> Found:
    step = float(np.median(np.diff(found.device)))
    stated = session.meta.devices.get(device, {}).get("rate_hz")
    if not isinstance(stated, int | float) or isinstance(stated, bool) or not stated > 0 or step <= 0:
        return
    ratio = 1e9 / step / stated
    for factor, unit in ((1e3, "microseconds"), (1e6, "milliseconds"), (1e9, "seconds")):
        if abs(ratio / factor - 1) < RATE:
            yield "wrong units", f"t_device_ns seems to count {unit}: {ratio:.3g} times the rate of {META}.", ERROR
            return
    if abs(ratio - 1) > RATE:
        yield "other rate", f"{ratio * stated:.2f} Hz by its clock, {META} states {stated:g} Hz.", ERROR


def _together(stamps: dict[str, Stamps]) -> Iterator[tuple[str, str, str, str]]:
    """A device that stops before the others, or whose host stamps are not on their clock."""
    if len(stamps) < 2:
        return
    end, begin = (np.array([one.host[k] for one in stamps.values()]) for k in (-1, 0))
    for device, one in stamps.items():
        early = (np.max(end) - one.host[-1]) / 1e9
        if early > DEAD:
            yield device, "dead device", f"its last sample comes {early:.1f} s before the end of the others.", ERROR
        late = (one.host[0] - np.median(begin)) / 1e9
        if abs(late) > 3600:
            yield device, "other clock", f"t_host_ns begins {late:.0f} s beside that of the others.", ERROR


# --- the data


def _rgb(session: Session, stamps: dict[str, Stamps]) -> Found:
    count = session.frame_count()
    if count is not None:
        yield from _count(session, "rgb", count, "frames", stamps)


def _thermal(session: Session, stamps: dict[str, Stamps]) -> Found:
    _require_whole(session.path / "thermal" / "frames.npy")
    counts, scale = session.thermal(), session.scale()
    yield from _count(session, "thermal", len(counts), "frames", stamps)
    if not len(counts):
        return
    some = scale.kelvin(counts[:: max(len(counts) // AT_ONCE, 1)])
    low, high = float(np.percentile(some, 0.1)), float(np.percentile(some, 99.9))
    if not (KELVIN[0] < low and high < KELVIN[1] and BODY[0] < high):
        yield (
            "wrong units",
            f"{low:.0f} to {high:.0f} K by scale.json is no room with a person in it. Mend `kelvin_per_count` "
            f"(0.01 or 0.1 for radiometric cameras) and `offset_kelvin`.",
            ERROR,
        )
    same = (counts[1:] == counts[:-1]).reshape(len(counts) - 1, -1).all(axis=1) if len(counts) < 1 << 15 else None
    if same is not None and same.sum() > 2:
        yield "frozen frames", f"{int(same.sum())} of {len(counts)} frames repeat the one before.", NOTE


def _radar(session: Session, stamps: dict[str, Stamps]) -> Found:
    _require_whole(session.path / "radar" / "adc.npy")
    samples, chirp = session.radar(), session.chirp()
    yield from _count(session, "radar", len(samples), "frames", stamps)
    if samples.shape[1] != chirp.chirps_per_frame:
        words = f"adc.npy has {samples.shape[1]} chirps a frame, chirp.json states {chirp.chirps_per_frame}."
        yield "other shape", words, ERROR
    if not (1e9 < chirp.start_frequency_hz < 1e12 and 1e9 < chirp.slope_hz_per_s < 1e16):
        yield (
            "wrong units",
            f"chirp.json states a start of {chirp.start_frequency_hz:g} Hz and a slope of "
            f"{chirp.slope_hz_per_s:g} Hz/s: it is meant in Hz and s (77 GHz is 77e9).",
            ERROR,
        )
    if chirp.frame_period_s > 0.5 or chirp.frame_seconds > chirp.frame_period_s:
        words = f"frames of {chirp.frame_seconds:g} s every {chirp.frame_period_s:g} s by chirp.json: it is meant in s."
        yield "wrong units", words, ERROR


def _ppg(session: Session, stamps: dict[str, Stamps]) -> Found:
    table = session.ppg()
    yield from _count(session, "ppg", len(table["t_ns"]), "samples", stamps)
    one = stamps.get("ppg")
    if one is not None and len(one) == len(table["t_ns"]) and (one.device != table["t_ns"]).any():
        yield "other times", "t_ns of ppg.csv is not t_device_ns of its timestamps.csv.", ERROR
    values = table["value"][np.isfinite(table["value"])]
    if len(values) < 2 or np.ptp(values) == 0:
        yield "dead device", "the PPG has one value throughout: no finger, or a cable that is off.", ERROR


def _count(session: Session, device: str, count: int, what: str, stamps: dict[str, Stamps]) -> Found:
    if device not in stamps or count == len(stamps[device]):
        return
    lines = len(stamps[device])
    # A kill comes between picture and stamp: up to a second of either.
    second = 1.0 / max(float(np.median(np.diff(stamps[device].host))) / 1e9, 1e-6)
    level = NOTE if not session.meta.finished and abs(count - lines) <= second + 1 else ERROR
    yield "other count", f"{count} {what}, but {lines} lines in timestamps.csv.", level


def _require_whole(path: Path) -> None:
    """ValueError for an array file that ends in the middle of a frame, or before the last one."""
    import numpy.lib.format as npy

    with open(path, "rb") as file:
        try:
            version = npy.read_magic(file)
            shape, _, dtype = npy.read_array_header_1_0(file) if version == (1, 0) else npy.read_array_header_2_0(file)
        except Exception as error:
            if is_own(error):
                raise
            raise ValueError(f"'{path}' cannot be read as a .npy array: {told(error)}.") from None
        stored = path.stat().st_size - file.tell()
    size = int(np.prod(shape[1:], dtype=object)) * dtype.itemsize
    if size > 0 and stored < shape[0] * size:
        raise ValueError(
            f"'{path}' is cut in the middle of frame {stored // size}: {shape[0]} frames are stated. Copy it again."
        )


_DATA = {"rgb": _rgb, "thermal": _thermal, "radar": _radar, "ppg": _ppg}
