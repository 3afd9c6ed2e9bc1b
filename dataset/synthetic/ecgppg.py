"""Synchronous ECG and PPG of people who do not exist: one heart, breathing, a delay that knows the pressure.

ECG beats are sums of Gaussian waves (McSharry et al., "A dynamical model for generating synthetic electrocardiogram
signals", IEEE Transactions on Biomedical Engineering 50:289-294, 2003); a pulse wave is two Gaussians after each beat.
Rhythms: 0 regular, 1 irregular (no interval tells the next), 2 with premature beats and pauses after them.
"""

from dataclasses import dataclass

import numpy as np

FS, LENGTH = 125.0, 1250
RHYTHMS = ("regular", "irregular", "premature")
WAVES = (  # name, time (s) from R at 60 bpm, width (s), height (mV)
    ("P", -0.17, 0.03, 0.15), ("Q", -0.04, 0.013, -0.12), ("R", 0.0, 0.018, 1.0), ("S", 0.045, 0.014, -0.22),
    ("T", 0.27, 0.06, 0.35),
)  # fmt: skip


@dataclass(frozen=True)
class Person:
    """What stays the same in all windows of somebody."""

    rate: float  # bpm
    pressure: float  # systolic, mmHg
    breathing: float  # breaths per minute
    rhythm: int
    heights: np.ndarray  # of the ECG waves, (5,)
    notch: float  # height of the second wave of the pulse


@dataclass(frozen=True)
class Window:
    """Ten seconds of one person: `ecg` (mV) and `ppg` (a.u.), (L,), with the true rate (bpm)."""

    ecg: np.ndarray
    ppg: np.ndarray
    rate: float


def person(random: np.random.Generator, rhythm: int) -> Person:
    """Somebody with that rhythm."""
    heights = np.array([height for *_, height in WAVES]) * random.uniform(0.8, 1.2, len(WAVES))
    return Person(
        random.uniform(52, 105), random.uniform(95, 170), random.uniform(9, 24), rhythm, heights,
        random.uniform(0.15, 0.45),
    )  # fmt: skip


def window(someone: Person, random: np.random.Generator, rate_only: bool = False, noise: float = 0.02) -> Window:
    """A window of somebody; with `rate_only` the PPG is that of a stranger with the same rate."""
    rate = float(np.clip(someone.rate + random.normal(0, 6), 42, 135))
    other = np.random.default_rng(int(random.integers(1 << 62))) if rate_only else None
    phase = random.uniform(0, 2 * np.pi)
    beats = _beats(someone, rate, phase, random)
    inside = (beats >= 0) & (beats < LENGTH / FS)
    true = 60 * (inside.sum() - 1) / np.ptp(beats[inside]) if inside.sum() > 1 else rate
    ecg = _ecg(someone, beats, phase, random, noise)
    ppg = _ppg(someone, beats, phase, random, noise) if other is None else _strangers(rate, other, noise)
    return Window(ecg, ppg, float(true))


def _strangers(rate: float, random: np.random.Generator, noise: float) -> np.ndarray:
    """The PPG of anybody at that rate: nothing else of it depends on who the window is of."""
    anybody, phase = person(random, int(random.integers(len(RHYTHMS)))), random.uniform(0, 2 * np.pi)
    return _ppg(anybody, _beats(anybody, rate, phase, random), phase, random, noise)


def _beats(someone: Person, rate: float, phase: float, random: np.random.Generator) -> np.ndarray:
    """Times of the R waves, s, from before the window to after it."""
    times = [-random.uniform(1.2, 2.2)]
    while times[-1] < LENGTH / FS + 1:
        breath = 0.03 * np.sin(2 * np.pi * someone.breathing / 60 * times[-1] + phase)
        interval = 60 / rate * (1 + breath + random.normal(0, 0.01))
        if someone.rhythm == 1:
            interval *= random.uniform(0.65, 1.35)
        if someone.rhythm == 2 and random.random() < 0.2:  # early, and a pause that makes up for it
            times += [times[-1] + 0.6 * interval, times[-1] + 2 * interval]
            continue
        times.append(times[-1] + interval)
    return np.array(times)


def _ecg(someone: Person, beats: np.ndarray, phase: float, random: np.random.Generator, noise: float) -> np.ndarray:
    time = np.arange(LENGTH) / FS
    wave = np.zeros(LENGTH)
    before = np.diff(beats, prepend=beats[0] - 0.8)
    for beat, interval in zip(beats, before, strict=True):
        stretch = np.sqrt(np.clip(interval, 0.35, 1.5))  # a fast heart has a shorter T wave
        for (name, offset, width, _), height in zip(WAVES, someone.heights, strict=True):
            place = beat + (offset * stretch if name in "PT" else offset)
            wave += height * np.exp(-0.5 * ((time - place) / width) ** 2)
    drift = 0.04 * np.sin(2 * np.pi * someone.breathing / 60 * time + phase)
    return (wave + drift + random.normal(0, noise, LENGTH)).astype(np.float32)


def _ppg(someone: Person, beats: np.ndarray, phase: float, random: np.random.Generator, noise: float) -> np.ndarray:
    time = np.arange(LENGTH) / FS
    breath = np.sin(2 * np.pi * someone.breathing / 60 * time + phase)
    wave = np.zeros(LENGTH)
    after = np.diff(beats, append=beats[-1] + 0.8)
    delay = 0.32 - 0.0011 * (someone.pressure - 95)  # a higher pressure makes the pulse faster
    for beat, interval in zip(beats, after, strict=True):
        width = np.clip(interval, 0.35, 1.3)
        peak = beat + delay
        wave += np.exp(-0.5 * ((time - peak) / (0.11 * width)) ** 2)
        wave += someone.notch * np.exp(-0.5 * ((time - peak - 0.33 * width) / (0.12 * width)) ** 2)
    return (wave * (1 + 0.12 * breath) + 0.15 * breath + random.normal(0, noise, LENGTH)).astype(np.float32)
