"""What a TI radar is told before it sends: the lines of its profile, compared with what the driver expects of frames.

Commands of the mmWave SDK up to version 3; the numbers that count here:

    channelCfg  <receivers, a bit each> ...
    adcCfg  <2: 16 bits> <0: real; 1 or 2: complex>
    profileCfg  <profile> <start GHz> <idle us> <> <ramp end us> <> <> <slope MHz/us> <> <samples> <ksps> ...
    chirpCfg  <first> <last> <profile> <> <> <> <> <transmitters of these chirps, a bit each>
    frameCfg  <first chirp> <last chirp> <loops> <> <period ms> ...
    lvdsStreamCfg  <> <1: headers among the data> <1: samples alone> ...
"""

import math
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from dataset.files.reading import read_text

NEEDED = ("chirps", "rx", "samples")  # a frame cannot be read without them
NEAR = 1e-5  # relative difference of what was rounded when it was typed
Row = list[float]
# Per command that is looked at: place of a number, what it has to be, and what it is otherwise.
KNOWN: dict[str, tuple[tuple[int, tuple[int, ...], str], ...]] = {
    "channelCfg": (),
    "adcCfg": ((0, (2,), "other than 16 bits"), (1, (1, 2), "real samples")),
    "profileCfg": (),
    "chirpCfg": (),
    "frameCfg": (),
    "lvdsStreamCfg": ((1, (0,), "headers"), (2, (1,), "other data than samples alone")),
}


def read_profile(path: Path) -> list[str]:
    """The lines of a profile without comments, and without its order to begin."""
    lines = [line.strip() for line in read_text(path).splitlines()]
    return [line for line in lines if line and not line.startswith("%") and line != "sensorStart"]


def compare(lines: Sequence[str], options: Mapping[str, Any], name: str) -> list[str]:
    """ValueError where the profile `name` makes other frames than `options` of the driver say; names both values.

    Returns which of NEEDED the profile does not state.
    """
    rows = [_row(line, name) for line in lines]
    refused = [words for command, values in rows for words in _unreadable(command, values)]
    if refused:
        raise ValueError(f"radar: '{name}' has {'; '.join(refused)}. Mend the profile.")
    stated = list(_stated(rows))
    other = {key: value for key, value in stated if not math.isclose(options[key], value, rel_tol=NEAR)}
    if other:
        both = ", ".join(f"{key} is {options[key]:g} in the setup and {value:g} there" for key, value in other.items())
        mended = ", ".join(f"{key}: {value:g}" for key, value in other.items())
        raise ValueError(f"radar: '{name}' makes other frames: {both}. Give the device {mended}, or mend the profile.")
    return [key for key in NEEDED if key not in dict(stated)]


def _row(line: str, name: str) -> tuple[str, Row]:
    command, *words = line.split()
    try:
        values = [float(word) for word in words] if command in KNOWN else []
    except ValueError:
        values = [math.nan]
    if not all(map(math.isfinite, values)):
        raise ValueError(f"radar: '{name}' has {line!r}, where numbers are needed. Mend the profile.")
    return command, values


def _unreadable(command: str, values: Row) -> Iterator[str]:
    """What of a line makes data that are no complex samples of 16 bits one after the other."""
    for at, good, words in KNOWN.get(command, ()):
        if len(values) > at and values[at] not in good:
            yield f"{command} with {words} ({values[at]:g}), which the driver cannot read"


def _stated(rows: Sequence[tuple[str, Row]]) -> Iterator[tuple[str, float]]:
    """Options of the driver and their values by the profile; one that several profiles state comes several times."""
    last = {command: values for command, values in rows if values}
    if "channelCfg" in last:
        yield "rx", int(last["channelCfg"][0]).bit_count()
    frame = last.get("frameCfg", [])
    chirps = [values for command, values in rows if command == "chirpCfg" and len(values) > 7]
    if len(frame) > 2:
        first, end, loops = frame[:3]
        yield "chirps", (end - first + 1) * loops
        chirps = [values for values in chirps if values[0] <= end and values[1] >= first]
        if chirps and not any(command == "bpmCfg" for command, _ in rows):
            yield "tx", len({values[7] for values in chirps})
    if len(frame) > 4:
        yield "frame_period_ms", frame[4]
    used = {values[2] for values in chirps}
    for values in (values for command, values in rows if command == "profileCfg"):
        if values and (not used or values[0] in used):
            yield from _of_profile(values)


def _of_profile(values: Row) -> Iterator[tuple[str, float]]:
    places = {"start_frequency_ghz": 1, "slope_mhz_per_us": 7, "samples": 9, "sample_rate_ksps": 10}
    yield from ((key, values[at]) for key, at in places.items() if len(values) > at)
    if len(values) > 4:
        yield "chirp_period_us", values[2] + values[4]
