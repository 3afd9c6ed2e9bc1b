"""ECG and PPG of people whose blood pressure is known, in the layout of the Kailuan file (HDF5).

    /metadata/<name>   (n,)   texts and float32      /signals/ecg, /signals/ppg   (n,) rows of float32

Both signals begin together; of the ECG the first `lead` samples, which held a calibration pulse, are left away. A beat
of the PPG follows its R peak after a delay. What depends on the pressure is the `cue`: the shape of the beat (width,
dicrotic wave), the delay, both, or nothing. All else (rate, gain, noise, phase) is drawn without looking at the
pressure. The truth lies beside it: /truth/delay (s from the R peak to the steepest rise of the PPG), /truth/rate (bpm).
"""

from dataclasses import dataclass
from pathlib import Path

import h5py
import numpy as np

from dataset.files.writing import replacing

CUES = ("shape", "delay", "both", "none")
SECONDS = 7.05  # of the PPG: 4,230 samples at 600 Hz
SBP, DBP, AGE, BMI = (132.0, 18.7), (78.9, 12.5), (52.5, 14.0), (24.8, 3.4)  # published mean and SD, mmHg, years
RECORDS_OF_A_PERSON = (0.6, 0.3, 0.1)  # chances of one, two, three
MEAN_DELAY, DELAY_PER_MMHG, DELAY_NOISE = 0.26, -0.0015, 0.003  # s
WAVES = ((-0.17, 0.12, 0.025), (-0.03, -0.1, 0.008), (0.0, 1.0, 0.010), (0.03, -0.2, 0.010), (0.25, 0.28, 0.045))
"""Time after the R peak (s), height (mV) and width (s) of P, Q, R, S and T."""


@dataclass(frozen=True)
class Person:
    """Somebody with a mean pressure; `sex` 1 is a man."""

    number: int
    sex: int
    age: float
    height: float
    weight: float
    sbp: float

    @property
    def bmi(self) -> float:
        """Weight over squared height, kg/m2."""
        return self.weight / (self.height / 100) ** 2


def write_kailuan(
    path: Path, n: int = 200, seed: int = 0, cue: str = "both", fs: float = 600.0, lead: int | None = None
) -> None:
    """Write `n` records sampled at `fs` (Hz); `lead` samples of the ECG are left away, one second where None.

    ValueError for a cue, number, rate or lead that cannot be, and for a file that this program did not write.
    """
    lead = round(fs) if lead is None else lead
    length = round(SECONDS * fs)
    if cue not in CUES or n < 1 or not 20 <= fs <= 10_000 or not 0 <= lead < length:
        raise ValueError(
            f"{n} records, cue {cue!r}, {fs:g} Hz and a lead of {lead} of {length} samples cannot be made. Cues: "
            f"{', '.join(CUES)}; rates: 20 to 10,000 Hz."
        )
    _require_own(path)
    with replacing(path) as temporary, h5py.File(temporary, "w", locking=False) as file:
        file.attrs.update({"n_samples": n, "calibration_threshold": lead, "created": "2000-01-01", "synthetic": True})
        _write_records(file, n, seed, cue, fs, lead)


def _require_own(path: Path) -> None:
    """ValueError where `path` holds anything but a file of ours: real data may be called so."""
    if not path.exists():
        return
    try:
        with h5py.File(path, "r", locking=False) as file:
            own = bool(file.attrs.get("synthetic", False))
    except OSError:
        own = False
    if not own:
        raise ValueError(f"'{path}' exists and is no synthetic file: it is left alone. Name another file.")


def _write_records(file: h5py.File, n: int, seed: int, cue: str, fs: float, lead: int) -> None:
    rows = h5py.vlen_dtype(np.float32)
    ecg, ppg = (file.create_dataset(f"signals/{name}", (n,), dtype=rows, chunks=True) for name in ("ecg", "ppg"))
    table: dict[str, list] = {}
    people = _people(n, seed)
    for number, (person, visit) in enumerate(people):
        rng = np.random.default_rng((seed, 1, number))
        row = _metadata(person, visit, rng)
        first, second, truth = render(row["right_arm_sbp"], row["right_arm_dbp"], cue, fs, rng)
        ecg[number], ppg[number] = first[lead:], second
        row |= {"ecg_length": float(len(first) - lead), "ppg_length": float(len(second))}
        for name, value in (*row.items(), *truth.items()):
            table.setdefault(name, []).append(value)
    for name, values in table.items():
        place = f"truth/{name}" if name in ("delay", "rate") else f"metadata/{name}"
        kind = h5py.string_dtype() if isinstance(values[0], str) else np.float32
        file.create_dataset(place, data=np.array(values, dtype=object if kind != np.float32 else kind), dtype=kind,
                            compression="gzip")  # fmt: skip


def _people(n: int, seed: int) -> list[tuple[Person, int]]:
    """Whose the records are, with the number of the visit."""
    found: list[tuple[Person, int]] = []
    number = 0
    while len(found) < n:
        rng = np.random.default_rng((seed, 0, number))
        sex, old, stout = int(rng.random() < 0.552), rng.normal(), rng.normal()
        age, height = float(np.clip(AGE[0] + AGE[1] * old, 18, 90)), 160 + 11 * sex + 6 * rng.normal()
        weight = float(np.clip(BMI[0] + BMI[1] * stout, 16, 42)) * (height / 100) ** 2
        level = 0.4 * old + 0.15 * stout + 0.1 * (2 * sex - 1) + 0.7 * rng.normal()
        person = Person(number, sex, round(age), float(height), weight, SBP[0] + SBP[1] * level)
        visits = 1 + int(rng.choice(3, p=RECORDS_OF_A_PERSON))
        found += [(person, visit) for visit in range(visits)]
        number += 1
    return found[:n]


def _metadata(person: Person, visit: int, rng: np.random.Generator) -> dict[str, str | float]:
    """The columns of a record; like the real ones its id holds what it should not: name, age, sex and pressure."""
    sbp = float(np.clip(person.sbp + 0.5 * SBP[1] * rng.normal(), 85, 236))
    dbp = DBP[0] + DBP[1] * (0.7 * (sbp - SBP[0]) / SBP[1] + 0.7 * rng.normal())
    dbp = float(np.clip(dbp, 40, min(150.0, sbp - 15)))
    name, sex = f"Person{person.number:05d}", "male" if person.sex else "female"
    code = f"P{person.number:05d}_{visit + 1}_{person.age:.0f}_{sex}_{person.height:.0f}_{sbp:.0f}_{dbp:.0f}"
    row: dict[str, str | float] = {
        "new_id": code, "uid": f"u{person.number:05d}{visit}", "name": name, "sex": sex,
        "record_time": f"2000-01-{1 + visit:02d} 08:00:00", "age": person.age, "height": person.height,
        "weight": person.weight, "sex_encoded": float(person.sex), "bmi": person.bmi,
        "abdomen_circumference": float("nan") if rng.random() < 0.1 else 60 + 1.1 * person.bmi,
        "lbaPWV": float("nan") if rng.random() < 0.1 else 800 + 5 * sbp,
        "rbaPWV": float("nan") if rng.random() < 0.1 else 800 + 5 * sbp,
    }  # fmt: skip
    for arm, off in (("right", 0.0), ("left", 3.0 * rng.normal())):
        high, low = sbp + off, dbp + 0.6 * off
        row |= {f"{arm}_arm_sbp": high, f"{arm}_arm_mbp": low + 0.4 * (high - low), f"{arm}_arm_dbp": low,
                f"{arm}_arm_pp": high - low}  # fmt: skip
    return row


def render(
    sbp: float, dbp: float, cue: str, fs: float, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray, dict[str, float]]:
    """ECG (L,) mV and PPG (L,) a.u. that begin together, and the truth: `delay` (s) and `rate` (beats a minute)."""
    times = np.arange(round(SECONDS * fs)) / fs
    rate = float(np.clip(rng.normal(70, 9), 48, 110))
    delay = MEAN_DELAY + DELAY_NOISE * rng.normal()
    delay += DELAY_PER_MMHG * (sbp - SBP[0]) if cue in ("delay", "both") else 0.0
    delay = float(np.clip(delay, 0.08, 0.5))
    high, low = (sbp - SBP[0]) / SBP[1], (dbp - DBP[0]) / DBP[1]
    if cue not in ("shape", "both"):
        high, low = rng.normal(), rng.normal()  # shapes differ as much, and say nothing
    peaks = _beats(rate, times[-1], rng)
    after = times[:, None] - peaks
    ecg = rng.uniform(0.7, 1.4) * sum(h * np.exp(-0.5 * ((after - t) / w) ** 2) for t, h, w in WAVES).sum(axis=1)
    pulse = _pulse(after - delay, high + 0.1 * rng.normal(), low + 0.1 * rng.normal()).sum(axis=1)
    breath = 0.05 * np.sin(2 * np.pi * rng.uniform(0.2, 0.3) * times + rng.uniform(0, 6.28))
    ecg += breath + 0.02 * rng.normal(size=len(times))
    ppg = rng.uniform(0.6, 1.6) * (pulse + 2 * breath + 0.01 * rng.normal(size=len(times)))
    return ecg.astype(np.float32), ppg.astype(np.float32), {"delay": delay, "rate": rate}


def _beats(rate: float, seconds: float, rng: np.random.Generator) -> np.ndarray:
    """Times (s) of R peaks from before the start to after the end; intervals differ by 2 %."""
    intervals = 60 / rate * (1 + 0.02 * rng.normal(size=int(seconds * rate / 60) + 6))
    return np.cumsum(intervals) - (2 + rng.random()) * 60 / rate


def _pulse(after: np.ndarray, high: float, low: float) -> np.ndarray:
    """Beats whose steepest rise is at 0 s of `after`; `high` and `low` are SBP and DBP in SD from their means."""
    width, share, lag = (
        0.075 + 0.009 * np.tanh(0.4 * high),
        0.45 + 0.2 * np.tanh(0.4 * high),
        0.22 - 0.05 * np.tanh(0.4 * low),
    )

    def beat(time: np.ndarray) -> np.ndarray:
        return np.exp(-0.5 * (time / width) ** 2) + share * np.exp(-0.5 * ((time - lag) / 0.085) ** 2)

    fine = np.arange(-0.3, 0.1, 1e-4)
    steepest = fine[np.gradient(beat(fine)).argmax()]
    return beat(after + steepest)
