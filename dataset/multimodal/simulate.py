"""A multimodal recording of an invented person: one truth, four sensors, clocks that start and run differently.

What is known of it lies beside it in truth.json (offsets, drifts, rates) and truth.npz (waves on the true time axis).
"""

import dataclasses
import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

import numpy as np

from dataset.files.writing import write_whole
from dataset.multimodal import bursts
from dataset.multimodal.appending import ArrayFile, TableFile, write_json
from dataset.multimodal.layout import (
    DEVICES,
    EVENT_COLUMNS,
    EVENTS,
    FORMAT,
    META,
    STAMP_COLUMNS,
    STAMPS,
    SUBJECT_COLUMNS,
    UNITS,
    Chirp,
    Scale,
)
from dataset.multimodal.simulated_chest import Chest
from dataset.multimodal.simulated_sensors import Finger, Heat, dark, with_led
from dataset.synthetic.render import Session as Person
from dataset.synthetic.settings import PRESETS
from dataset.synthetic.writer import write_video

HOST_START = 5_000_000_000_000  # ns on the computer's clock at the true time 0
RATES = {"rgb": 30.0, "thermal": 9.0, "radar": 20.0, "ppg": 100.0}  # Hz
EPOCHS = {"rgb": 7_300_000_000, "thermal": 61_000_000, "radar": 0, "ppg": 912_000_000}  # ns each device begins with
STARTS = {"rgb": 0.0, "thermal": 0.213, "radar": 0.131, "ppg": 0.057}  # s after the recording begins
DELAYS = {"rgb": 0.008, "thermal": 0.0, "radar": 0.0008, "ppg": 0.0}  # s from the stamp to the middle of exposure
FILTER_DELAY = 0.020  # s by which the oximeter's filter delays the pulse wave
TRANSIT = 0.15  # s from the pulse in the face to the pulse in the finger
LEAD = 1.5  # s before the first burst and after the last one
CHIRP = Chirp(77e9, 60e12, 2.5e6, 4, 4e-4, 0.05, [{"tx": 0, "rx": 0}, {"tx": 0, "rx": 1}])
SCALE = Scale(0.01, 0.0, 0.98)
LARGEST_OFFSET, LARGEST_DRIFT = 0.3, 80.0  # s, millionths
_SEED_STEP = 7919  # between recordings of one person


@dataclass(frozen=True)
class Setup:
    """What is recorded, and how.

    size           (width, height) of the RGB picture             heat_size     (width, height) of the thermal one
    offsets        s by which a device's stamps come late         drifts        millionths by which its clock runs fast
                   (both drawn where they are not given)          jitter        s, mean of the exponential late arrivals
    light          "normal", or "dark": the RGB camera sees next to nothing
    missing        devices that were not there                    seed           other people
    """

    seconds: float = 60.0
    size: tuple[int, int] = (192, 144)
    heat_size: tuple[int, int] = (80, 60)
    offsets: dict[str, float] = field(default_factory=dict)
    drifts: dict[str, float] = field(default_factory=dict)
    jitter: float = 0.002
    light: str = "normal"
    missing: tuple[str, ...] = ()
    seed: int = 100

    def __post_init__(self) -> None:
        """ValueError for what no recording can be."""
        if self.seconds < bursts.SECONDS + 2 * LEAD:
            raise ValueError(
                f"A recording of {self.seconds:g} s is shorter than a burst of marks with its surroundings: use "
                f"{bursts.SECONDS + 2 * LEAD:.0f} s or more."
            )
        unknown = sorted({*self.offsets, *self.drifts, *self.missing} - set(DEVICES))
        if unknown:
            raise ValueError(f"There is no device {unknown[0]!r}. Known: {', '.join(DEVICES)}.")
        if set(self.missing) >= set(DEVICES):
            raise ValueError("A recording without any device holds nothing. Leave one of them in.")


@dataclass(frozen=True)
class Simulation:
    """Recording number `take` (1, 2 ...) of `subject` (1, 2 ...) as `setup` says; the same seed gives the same."""

    setup: Setup
    subject: int
    take: int = 1

    @property
    def devices(self) -> tuple[str, ...]:
        """Those that were there."""
        return tuple(device for device in DEVICES if device not in self.setup.missing)

    @cached_property
    def offsets(self) -> dict[str, float]:
        """Seconds by which the stamps of each device come late."""
        drawn = self._random(1).uniform(-LARGEST_OFFSET, LARGEST_OFFSET, len(DEVICES))
        return {device: self.setup.offsets.get(device, float(x)) for device, x in zip(DEVICES, drawn, strict=True)}

    @cached_property
    def drifts(self) -> dict[str, float]:
        """Millionths by which the clock of each device runs fast."""
        drawn = self._random(2).uniform(-LARGEST_DRIFT, LARGEST_DRIFT, len(DEVICES))
        return {device: self.setup.drifts.get(device, float(x)) for device, x in zip(DEVICES, drawn, strict=True)}

    @cached_property
    def person(self) -> Person:
        """Heart, breath, face; its time 0 is the middle of the first RGB exposure."""
        width, height = self.setup.size
        settings = dataclasses.replace(
            PRESETS["easy"], seconds=self.setup.seconds, fs=self._rate("rgb"), width=width, height=height,
            face_size=0.5, seed=self.setup.seed + _SEED_STEP * (self.take - 1),
        )  # fmt: skip
        return Person(settings, self.subject)

    @cached_property
    def marks(self) -> np.ndarray:
        """True times (s) at which a burst begins: near the start, every minute, near the end."""
        last = self.setup.seconds - LEAD - bursts.SECONDS
        inner = np.arange(LEAD, last - 2 * bursts.SECONDS, bursts.PERIOD)
        return np.unique(np.append(inner if len(inner) else [], last))

    def times(self, device: str) -> np.ndarray:
        """True times (n,) of the middle of each exposure, in seconds."""
        count = int((self.setup.seconds - STARTS[device]) * self._rate(device))
        return STARTS[device] + np.arange(count) / self._rate(device)

    def stamps(self, device: str) -> tuple[np.ndarray, np.ndarray]:
        """Device and host stamps (n,) int64 ns."""
        count = len(self.times(device))
        own = EPOCHS[device] + np.rint(np.arange(count) * (1e9 / RATES[device])).astype(np.int64)
        late = self._random(3, DEVICES.index(device)).exponential(self.setup.jitter, count)
        late = np.maximum.accumulate(self._stamped(device) + late)  # what comes late delays what follows
        return own, HOST_START + np.rint(1e9 * late).astype(np.int64)

    def offset(self, device: str) -> float:
        """Seconds by which a stamp comes late, half of the stamps more and half of them less."""
        _, host = self.stamps(device)
        return float(np.median((host - HOST_START) / 1e9 - self._stamped(device) + self.offsets[device]))

    def write(self, folder: Path) -> None:
        """All files of the recording; FileExistsError where they are."""
        for device in self.devices:
            getattr(self, f"_write_{device}")(folder)
            self._write_stamps(folder, device)
        events = TableFile(folder / EVENTS, EVENT_COLUMNS)
        for mark in self.marks:
            events.add(HOST_START + round(1e9 * mark), "host", "sync")
        events.close()
        self._write_truth(folder)
        write_json(folder / META, self._meta(folder))

    def _random(self, *stream: int) -> np.random.Generator:
        return np.random.default_rng([self.setup.seed, self.subject, self.take, 70, *stream])

    def _rate(self, device: str) -> float:
        """Samples per true second."""
        return RATES[device] * (1 + 1e-6 * self.drifts[device])

    def _stamped(self, device: str) -> np.ndarray:
        """When a stamp would reach the computer if nothing came late: true time and offset (s)."""
        return self.times(device) - DELAYS[device] + self.offsets[device]

    def _lit(self, times: np.ndarray, lag: float = 0.0, width: float = 0.0) -> np.ndarray:
        return sum(bursts.lit(times - mark, lag, width) for mark in self.marks)

    # --- the four sensors

    def _write_rgb(self, folder: Path) -> None:
        times = self.times("rgb")
        (folder / "rgb").mkdir(parents=True)
        settings = dataclasses.replace(self.person.settings, codec="ffv1", fs=RATES["rgb"])
        frames = self._rgb_frames(self._lit(times, width=2 * DELAYS["rgb"]))
        write_video(folder / "rgb" / "video.mkv", frames, np.arange(len(times)) / RATES["rgb"], settings)

    def _rgb_frames(self, led: np.ndarray) -> Iterator[np.ndarray]:
        rng = self._random(4)
        for frame, light in zip(self.person.frames(), led, strict=False):
            yield with_led(dark(frame, rng) if self.setup.light == "dark" else frame, light, rng)

    def _write_thermal(self, folder: Path) -> None:
        times = self.times("thermal")
        heat = Heat(self.person, self.setup.heat_size)
        file = ArrayFile(folder / "thermal" / "frames.npy", self.setup.heat_size[::-1], "uint16")
        rng = self._random(5)
        for time, glow in zip(times, self._lit(times, lag=heat.lag), strict=True):
            file.add(np.rint(heat.kelvin(time, glow, rng) / SCALE.kelvin_per_count).astype(np.uint16))
        file.close()
        write_json(folder / "thermal" / "scale.json", dataclasses.asdict(SCALE))

    def _write_radar(self, folder: Path) -> None:
        times = self.times("radar")
        chest = Chest(self.person, CHIRP)
        file = ArrayFile(folder / "radar" / "adc.npy", chest.shape, "int16")
        rng = self._random(6)
        for time, plate in zip(times, self._lit(times, lag=chest.lag, width=CHIRP.frame_seconds), strict=True):
            file.add(chest.frame(time, plate, rng))
        file.close()
        write_json(folder / "radar" / "chirp.json", dataclasses.asdict(CHIRP))

    def _write_ppg(self, folder: Path) -> None:
        times, (own, _) = self.times("ppg"), self.stamps("ppg")
        finger = Finger(self.person, TRANSIT, FILTER_DELAY)
        rng = self._random(7)
        columns = zip(own, finger.pulse(times, rng), self._lit(times), finger.belt(times, rng), strict=True)
        file = TableFile(folder / "ppg" / "ppg.csv", ("t_ns", "value", "mark", "resp"))
        for t_ns, value, mark, belt in columns:
            file.add(t_ns, f"{value:.5f}", f"{mark:.3f}", f"{belt:.5f}")
        file.close()

    def _write_stamps(self, folder: Path, device: str) -> None:
        own, host = self.stamps(device)
        file = TableFile(folder / device / STAMPS, STAMP_COLUMNS)
        for index, (first, second) in enumerate(zip(own, host, strict=True)):
            file.add(index, first, second)
        file.close()

    # --- what is said of them

    def _meta(self, folder: Path) -> dict:
        devices = {
            device: {"driver": "simulated", "rate_hz": RATES[device], "delay_ns": round(1e9 * DELAYS[device])}
            for device in self.devices
        }
        if "ppg" in devices:
            devices["ppg"]["filter_delay_ns"] = round(1e9 * FILTER_DELAY)
        both = {"rgb", "thermal"} <= set(self.devices)
        return {
            "format": FORMAT,
            "id": f"{folder.parent.name}_{folder.name}",
            "subject": folder.parent.name,
            "recording": folder.name,
            "start_utc": "2026-01-01T00:00:00Z",
            "finished": True,
            "synthetic": True,
            "scenario": {"light": self.setup.light, "motion": "still", "exercise": "rest"},
            "devices": devices,
            **({"thermal_to_rgb": Heat(self.person, self.setup.heat_size).to_rgb.tolist()} if both else {}),
        }

    def _write_truth(self, folder: Path) -> None:
        truth, heart = self.person.truth(), self.person.heart
        clock = np.arange(round(self.setup.seconds * 250)) / 250.0
        values = {
            "host_start_ns": HOST_START,
            "offset_s": {device: self.offset(device) for device in self.devices},
            "drift_ppm": {device: self.drifts[device] for device in self.devices},
            "transit_s": TRANSIT,
            "heart_rate_bpm": truth.hr,
            "breathing_rate_bpm": truth.rr,
        }
        write_whole(folder / "truth.json", json.dumps(values, indent=2) + "\n")
        with open(folder / "truth.npz", "wb") as file:
            chest = Chest(self.person, CHIRP).displacement(clock)
            np.savez(file, times=clock, pulse=heart.pulse(clock), breath=heart.breath(clock), chest=chest)


def write_set(root: Path, setup: Setup, subjects: int, takes: int = 1, dark_from: int = 0) -> list[Path]:
    """`subjects` people with `takes` recordings each below `root`; the folders. ValueError where one is there.

    Recordings from number `dark_from` on (0: none) are made in the dark.
    """
    if (root / "dataset.json").exists() or (root.is_dir() and any(root.glob("s*/r*"))):
        raise ValueError(f"'{root}' holds a multimodal data set already. Name another folder, or remove it.")
    names = [f"s{number:03d}" for number in range(1, subjects + 1)]
    folders = []
    people = TableFile(root / "subjects.csv", SUBJECT_COLUMNS)
    for number, name in enumerate(names, 1):
        for take in range(1, takes + 1):
            light = "dark" if dark_from and take >= dark_from else setup.light
            one = Simulation(dataclasses.replace(setup, light=light), number, take)
            folders.append(root / name / f"r{take:02d}")
            one.write(folders[-1])
        people.add(name, "", "", one.person.truth().tone, "no", "no")
    people.close()
    about = {"name": "synthetic multimodal set", "version": 1, "licence": "made by PulseScope", "synthetic": True}
    write_json(root / "dataset.json", about | {"subjects": names, "units": UNITS})
    return folders
