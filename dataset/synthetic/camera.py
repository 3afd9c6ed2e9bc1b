"""What changes from frame to frame besides the pulse: head, light, exposure, lost frames, noise."""

from dataclasses import dataclass

import numpy as np

from dataset.synthetic.pulse import Heart
from dataset.synthetic.settings import Settings


@dataclass(frozen=True)
class Course:
    """One value per kept frame (T,) unless said otherwise."""

    times: np.ndarray  # s, as a real clock gives them: a lost frame leaves a gap
    lost: np.ndarray  # indices (at the nominal rate) of the lost frames
    shift: np.ndarray  # (T, 2) head translation right and down, as a share of the face box
    roll: np.ndarray  # radians
    yaw: np.ndarray  # radians, positive to the right of the picture
    pitch: np.ndarray  # radians, positive down
    jaw: np.ndarray  # opening of the mouth, 0 to 1
    lids: np.ndarray  # 0 open, 1 closed
    gain: np.ndarray  # (T, 3) light and exposure on R, G, B
    side: np.ndarray  # extra light from the right as a share
    lamp: float  # direction of the main light: to the right relative to straight ahead, -0.5 to 0.5


def make_course(settings: Settings, subject: int, heart: Heart) -> Course:
    """Draw everything that happens to `subject` (1, 2 ...) during the recording."""
    clock = np.arange(settings.frames) / settings.fs
    rng = {name: np.random.default_rng([settings.seed, subject, 20 + i]) for i, name in enumerate(_STREAMS)}
    alive = 0.0 if settings.photo else 1.0  # a photograph moves as a flat picture: it does not turn, blink or breathe
    head = _head(settings, clock, rng["head"])
    shift = head[:, :2]
    shift[:, 1] -= alive * settings.breath_motion * heart.breath(clock)
    keep = rng["lost"].random(len(clock)) >= settings.dropped_frames
    keep[0] = True
    columns = {
        "shift": shift,
        "roll": head[:, 2],
        "yaw": alive * head[:, 3],
        "pitch": alive * head[:, 4],
        "jaw": alive * _talking(settings, clock, rng["mouth"]),
        "lids": alive * _blinks(settings, clock, rng["lids"]),
        "gain": _light(settings, clock, rng["light"]) * _exposure(settings, clock, rng["exposure"])[:, None],
        "side": settings.side_light * coloured(rng["side"], len(clock), settings.fs, 0.03, 3.0, 1.0),
    }
    kept = {name: values[keep] for name, values in columns.items()}
    return Course(times=clock[keep], lost=np.flatnonzero(~keep), lamp=lamp_direction(settings, subject), **kept)


def lamp_direction(settings: Settings, subject: int) -> float:
    """Where the main light comes from: to the right of the picture relative to straight ahead, -0.5 to 0.5."""
    return np.random.default_rng([settings.seed, subject, 20 + _STREAMS.index("lamp")]).uniform(-0.5, 0.5)


_STREAMS = ("head", "lost", "mouth", "lids", "light", "exposure", "side", "lamp")


def coloured(rng: np.random.Generator, count: int, fs: float, low: float, high: float, exponent: float) -> np.ndarray:
    """Noise (count,) with power ~ 1 / frequency^exponent between `low` and `high` (Hz), rms 1 on average.

    A recording shorter than the slowest period sees a piece of it.
    """
    length = max(count, int(2 * fs / low))
    freqs = np.fft.rfftfreq(length, 1 / fs)
    inside = (freqs >= low) & (freqs <= min(high, fs / 2))
    amplitude = np.zeros(len(freqs))
    amplitude[inside] = freqs[inside] ** (-exponent / 2)
    spectrum = amplitude * np.exp(2j * np.pi * rng.random(len(freqs)))
    values = np.fft.irfft(spectrum, length)
    return values[:count] / max(values.std(), 1e-12)


def flicker_rows(settings: Settings, time: float, readout: float) -> np.ndarray:
    """Gain (H,) of each row under mains light, which pulses at twice the mains frequency.

    Row after row is exposed during `readout` seconds (a rolling shutter), which makes bands of it.
    """
    rows = time + readout * np.arange(settings.height) / settings.height
    return 1 + settings.flicker * np.sin(2 * np.pi * 2 * settings.mains * rows)


def noise_bank(settings: Settings, subject: int, margin: int = 64) -> np.ndarray:
    """Sensor noise (H + margin, (W + margin) * 3), grey levels; each frame takes a window at a random place.

    Cheaper than new noise per frame, and no two of the `margin`^2 windows agree in any pixel.
    """
    rng = np.random.default_rng([settings.seed, subject, 30])
    shape = (settings.height + margin, (settings.width + margin) * 3)
    return settings.noise * rng.standard_normal(shape, dtype=np.float32)


def _head(settings: Settings, clock: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Translation x, y (shares of the face box), roll, yaw, pitch (radians): (T, 5).

    Postural sway is low-frequency noise; larger turns come on top.
    """
    units = np.array([settings.sway, 0.6 * settings.sway, *np.radians([settings.roll, settings.yaw, settings.pitch])])
    motion = np.stack([coloured(rng, len(clock), settings.fs, 0.05, 2.5, 2.5) for _ in units], axis=1) * units
    for start, direction in _events(clock, settings.turns, rng):
        length = rng.uniform(1.2, 3.0)
        course = _hump(clock, start, length) * np.radians(settings.turn_angle) * rng.uniform(0.5, 1.0) * direction
        motion[:, 3] += course
        motion[:, 0] += 0.25 * course  # the neck leans along
    return motion * np.clip(clock, 0, 1)[:, None]  # who is recorded looks straight ahead when it begins


def _events(clock: np.ndarray, per_minute: float, rng: np.random.Generator) -> list[tuple[float, float]]:
    """Random start times (s) with a sign each."""
    seconds = clock[-1] + 1.0
    count = rng.poisson(per_minute * seconds / 60.0)
    return [(start, float(rng.choice([-1, 1]))) for start in np.sort(rng.uniform(0, seconds, count))]


def _hump(clock: np.ndarray, start: float, length: float) -> np.ndarray:
    """0, up to 1 and back to 0 between `start` and `start + length` (s)."""
    share = np.clip((clock - start) / length, 0, 1)
    return 0.5 - 0.5 * np.cos(2 * np.pi * share)


def _blinks(settings: Settings, clock: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    lids = np.zeros(len(clock))
    for start, _ in _events(clock, settings.blinks, rng):
        lids = np.maximum(lids, _hump(clock, start, rng.uniform(0.18, 0.32)))
    return lids


def _talking(settings: Settings, clock: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Syllables at 3 to 6 Hz during phrases that take the set share of the time."""
    syllables = np.abs(coloured(rng, len(clock), settings.fs, 2.5, 6.0, 0.0)) / 2.0
    phrases = coloured(rng, len(clock), settings.fs, 0.05, 0.4, 1.0)
    if settings.talking == 0:
        return np.zeros(len(clock))
    level = np.quantile(phrases, 1 - settings.talking)
    return np.clip(syllables, 0, 1) * np.clip((phrases - level) * 4 + (settings.talking == 1), 0, 1)


def _light(settings: Settings, clock: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Gain (T, 3): slow drift of all colours, and faster changes whose colour differs from the main light's."""
    slow = settings.light_drift * coloured(rng, len(clock), settings.fs, 0.01, 0.1, 1.0)
    fast = settings.light_noise * coloured(rng, len(clock), settings.fs, 0.1, 5.0, 1.0)
    colour = 1 + settings.light_colour * np.array([rng.uniform(-1, 1), 0.0, rng.uniform(-1, 1)])
    return np.maximum(1 + slow[:, None] + fast[:, None] * colour, 0.05)


def _exposure(settings: Settings, clock: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Gain (T,) of the automatic exposure: a new level now and then, reached within a quarter of a second."""
    gain = np.ones(len(clock))
    level = 1.0
    for start, _ in _events(clock, settings.exposure_steps, rng):
        target = np.exp(rng.normal(0, settings.exposure_step))
        gain += (target - level) * np.clip((clock - start) / 0.25, 0, 1)
        level = target
    return np.maximum(gain, 0.05)
