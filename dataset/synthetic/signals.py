"""Mean colours of the cells of a face over time, made of arithmetic alone: what a network learns from before it sees a
picture.

A cell's colour is skin that blood darkens (dichromatic model: Wang et al., "Algorithmic principles of remote PPG",
IEEE TBME 64(7), 2017), under light that changes in common and in places, moved by the head over its own gradients,
with gloss of the light's colour on it; then a camera and a codec take their part. Every effect is one function of
`Scene` and can be left out by name.
"""

from collections.abc import Callable, Collection
from dataclasses import dataclass, field

import numpy as np

from dataset.files.frames import LUMA

RATES = (40.0, 200.0)  # bpm
FRAME_RATES = (15.0, 20.0, 24.0, 25.0, 29.97, 30.0, 30.0, 50.0, 60.0, 90.0, 120.0)
NO_PULSE = 10  # one window of so many has none
MELANIN = np.array([0.45, 0.75, 1.20])  # absorbance of red, green and blue per unit: falls with the wavelength
BLOOD = np.array([0.20, 1.00, 0.62])  # of haemoglobin, relative to green
GAIN = np.array([1.2, 0.8, 1.5])  # noise of the colours: half the pixels are green, blue is amplified most
CHROMA = np.array([0.8, 0.6, 1.8])  # how far the colours wander by themselves
FINEST = 6.0  # Hz: a slower camera than most would show higher harmonics as other rates
SLOWEST, FASTEST = 0.02, 0.4  # Hz: where drifts lie


@dataclass
class Scene:
    """One window while it is made: `colours` (T, C, 3) relative to white, at `times` (T,) s; C = grid * grid, or 1
    where one trace of them all is all there is.

    `skin` (C,) is the share of skin in each cell, `pulse` (T,) the wave of the blood volume (0: none), `head` (T, 2)
    how far the head has moved, in cells.
    """

    rng: np.random.Generator
    times: np.ndarray
    grid: int
    rate: float
    skin: np.ndarray
    pulse: np.ndarray
    head: np.ndarray
    colours: np.ndarray = field(default_factory=lambda: np.zeros(0))

    @property
    def cells(self) -> int:
        """How many."""
        return self.colours.shape[1]

    @property
    def fs(self) -> float:
        """Frames per second."""
        return (len(self.times) - 1) / (self.times[-1] - self.times[0])


@dataclass(frozen=True)
class Drawn:
    """A window at an even rate: `colours` (T, C, 3), the pulse wave `ppg` (T,) of unit spread, `rate` (bpm)."""

    colours: np.ndarray
    ppg: np.ndarray
    rate: float
    has_pulse: bool


def draw(
    key: tuple[int, ...], frames: int, fs: float = 30.0, grid: int = 4, has_pulse: bool = True,
    without: Collection[str] = (),
) -> Drawn:  # fmt: skip
    """The window of `key`, always the same, of `frames` samples at `fs` (Hz), recorded at a rate of its own.

    `without` leaves out effects by their names in EFFECTS. ValueError for a name that is none.
    """
    if unknown := set(without) - set(EFFECTS):
        raise ValueError(f"{sorted(unknown)[0]!r} is no effect; known: {', '.join(EFFECTS)}.")
    rng = np.random.default_rng(key)
    native = rng.choice(FRAME_RATES)
    wanted = np.arange(frames) / fs
    times = np.arange(int(wanted[-1] * native) + 3) / native
    scene = _scene(rng, times, grid, has_pulse)
    for name, effect in EFFECTS.items():
        own = np.random.default_rng([*key, *name.encode()])  # what is left out changes no other effect
        scene.rng = own
        if name not in without:
            effect(scene)
    colours = np.broadcast_to(at(scene.colours, wanted * native), (frames, grid**2, 3))
    ppg = at(scene.pulse, wanted * native)
    spread = ppg.std()
    return Drawn(
        colours.astype(np.float32), ((ppg - ppg.mean()) / (spread or 1.0)).astype(np.float32), scene.rate, has_pulse
    )


def at(values: np.ndarray, places: np.ndarray) -> np.ndarray:
    """`values` (T, ...) at `places` (N, ...) counted in samples, linearly; the first and last one beyond the ends."""
    before = np.clip(np.floor(places).astype(int), 0, len(values) - 2)
    part = np.clip(places - before, 0, 1)
    part = part.reshape(*part.shape, *(1,) * (values.ndim - 1))
    return values[before] * (1 - part) + values[before + 1] * part


def _scene(rng: np.random.Generator, times: np.ndarray, grid: int, has_pulse: bool) -> Scene:
    """A still face: its skin map with holes, its tones, its heart, how its head will move."""
    rate = float(rng.uniform(*RATES) if rng.random() < 0.5 else np.clip(rng.normal(75, 20), *RATES))
    cells = grid**2
    place = (
        np.stack(np.meshgrid(np.arange(grid), np.arange(grid), indexing="ij"), axis=-1).reshape(-1, 2) + 0.5
    ) / grid
    middle = rng.normal(0.5, 0.08, 2)
    far = np.hypot(*((place - middle) / rng.uniform(0.3, 0.75, 2)).T)
    skin = 1 / (1 + np.exp((far - 1) * rng.uniform(3, 12)))
    skin *= rng.random(cells) > rng.uniform(0, 0.3)  # eyes, hair, glasses, a mask
    if skin.max() < 0.3:
        skin[rng.integers(cells)] = rng.uniform(0.5, 1.0)
    melanin, blood = rng.uniform(0.1, 1.9), rng.uniform(0.15, 0.45)
    tone = np.exp(-(melanin * MELANIN + blood * BLOOD) * rng.uniform(0.85, 1.15, 3))
    own = tone * np.exp(rng.normal(0, 0.15, (cells, 1)))
    other = rng.uniform(0.02, 0.9, (cells, 1)) * np.exp(rng.normal(0, 0.3, (cells, 3)))
    colours = skin[:, None] * own + (1 - skin[:, None]) * other
    pulse = heart(rng, times, rate) if has_pulse else np.zeros(len(times))
    scene = Scene(rng, times, grid, rate, skin, pulse, movement(rng, times), np.tile(colours, (len(times), 1, 1)))
    _blood(scene)
    return scene


def heart(rng: np.random.Generator, times: np.ndarray, rate: float) -> np.ndarray:
    """A pulse wave (T,) about `rate` (bpm), from -1 to 1 or so: harmonics, variability, breathing.

    Slow hearts often have a second harmonic as strong as the first.
    """
    breath = rng.uniform(0.12, 0.45)
    wander = rng.uniform(0, 0.04) * np.sin(2 * np.pi * breath * times + rng.uniform(0, 6.3))
    wander += rng.uniform(0, 0.03) * np.sin(2 * np.pi * rng.uniform(0.03, 0.12) * times + rng.uniform(0, 6.3))
    wander += rng.normal(0, 0.03) * (times - times.mean()) / (np.ptp(times) or 1.0)
    cycles = np.concatenate([[0.0], np.cumsum((rate / 60 * (1 + wander))[:-1] * np.diff(times))]) + rng.random()
    strongest = np.clip(1.1 - (rate - 40) / 150, 0.15, 1.0)
    heights = rng.uniform(0, 1, 3) * strongest * np.array([1.0, 0.6, 0.35])
    heights *= np.arange(2, 5) * rate / 60 < FINEST
    lags = rng.uniform(-np.pi, np.pi, 3)  # any: waves of a finger, of a cheek, upside down, with and without a notch
    wave = np.cos(2 * np.pi * cycles)
    for number, (high, lag) in enumerate(zip(heights, lags, strict=True), start=2):
        wave += high * np.cos(2 * np.pi * number * cycles + lag)
    height = 1 + rng.uniform(0, 0.3) * np.sin(2 * np.pi * breath * times + rng.uniform(0, 6.3))
    return wave * height


def movement(rng: np.random.Generator, times: np.ndarray) -> np.ndarray:
    """How far a head moves (T, 2), in cells: sway, a rhythm of its own at times, and jerks."""
    size = 10 ** rng.uniform(-2.8, -0.3)
    path = np.stack([smooth(rng, times, 0.05, rng.uniform(0.3, 1.5)) for _ in range(2)], axis=1)
    if rng.random() < 0.4:  # nodding, walking, typing: as periodic as a pulse
        course = np.cumsum(rng.uniform(0.4, 3.5) * (1 + 0.1 * smooth(rng, times, 0.05, 0.5)))
        steps = course / len(times) * (times[-1] - times[0])
        envelope = np.clip(smooth(rng, times, 0.02, 0.3) + rng.uniform(-0.5, 1.5), 0, None)
        path += (envelope * np.sin(2 * np.pi * steps))[:, None] * rng.normal(0, 1, 2)
    for _ in range(rng.poisson(0.6)):
        at = rng.uniform(times[0], times[-1])
        path += rng.normal(0, 2, 2) / (1 + np.exp(-np.clip((times - at) / rng.uniform(0.05, 0.3), -50, 50)))[:, None]
    return size * path


def smooth(rng: np.random.Generator, times: np.ndarray, low: float, high: float, parts: int = 12) -> np.ndarray:
    """A random course (T,) of unit spread with frequencies from `low` to `high` (Hz), the low ones stronger."""
    rates = np.exp(rng.uniform(np.log(low), np.log(high), parts))
    heights = rng.normal(0, 1, parts) * (rates / low) ** -rng.uniform(0.3, 1.0)
    wave = (heights[:, None] * np.sin(2 * np.pi * rates[:, None] * times + rng.uniform(0, 6.3, (parts, 1)))).sum(axis=0)
    return wave / (wave.std() or 1.0)


# --- Effects, in the order in which light takes them ---------------------------------------------------------------


def _blood(scene: Scene) -> None:
    """Blood darkens skin, most of all in green; each cell a little later and stronger or weaker."""
    rng = scene.rng
    strength = 10 ** rng.uniform(-3.2, -1.9)
    red, blue = 10 ** rng.uniform(-0.3, 0.6), 10 ** rng.uniform(-0.3, 0.3)  # a camera's filters overlap, lamps differ
    parts = BLOOD * np.array([red, 1.0, blue])
    each = scene.skin * np.exp(rng.normal(0, 0.35, scene.cells))
    late = rng.normal(0, 0.012, scene.cells)
    waves = at(scene.pulse, np.arange(len(scene.times))[:, None] - late * scene.fs)
    scene.colours = scene.colours * (1 - strength * (each * waves)[..., None] * parts)


def _light(scene: Scene) -> None:
    """The light changes: slowly and for all cells, tinted, and more on one side."""
    rng, times = scene.rng, scene.times
    size = 10 ** rng.uniform(-3.5, -0.9)
    common = size * smooth(rng, times, SLOWEST, rng.uniform(0.1, FASTEST))
    if rng.random() < 0.3:  # a screen, clouds, people who pass
        common += size * rng.uniform(0, 0.5) * smooth(rng, times, 0.3, 3.0)
    tint = 1 + rng.normal(0, 0.15, 3)
    side = _slope(rng, scene.grid, rng.uniform(0, 1))
    scene.colours = scene.colours * (1 + (common[:, None] * side)[..., None] * tint)
    second = 10 ** rng.uniform(-4, -1.6) * smooth(rng, times, SLOWEST, 1.0)
    scene.colours = scene.colours * (
        1 + (second[:, None] * _slope(rng, scene.grid, 1.0))[..., None] * (1 + rng.normal(0, 0.3, 3))
    )


def _drift(scene: Scene) -> None:
    """Skin changes its tone by itself, slower than the heart and stronger: pressure, warmth, breathing."""
    rng = scene.rng
    size = 10 ** rng.uniform(-3.5, -1.7)
    course = size * smooth(rng, scene.times, SLOWEST, rng.uniform(0.1, 0.5))
    each = np.exp(rng.normal(0, 0.4, scene.cells)) * scene.skin
    parts = BLOOD * rng.uniform(0.5, 1.5, 3)
    scene.colours = scene.colours * (1 - (course[:, None] * each)[..., None] * parts)


def _motion(scene: Scene) -> None:
    """A moved cell shows its neighbour's skin: by its gradient along both axes, in all channels nearly alike."""
    rng = scene.rng
    gradient = rng.normal(0, 0.35, (2, scene.cells, 1)) + rng.normal(0, 0.08, (2, scene.cells, 3))
    moved = np.tensordot(scene.head, gradient, axes=(1, 0))
    bend = np.tensordot(scene.head**2, rng.normal(0, 0.3, (2, scene.cells, 1)), axes=(1, 0))
    scene.colours = scene.colours * np.clip(1 + moved + bend, 0.1, 3.0)


def _gloss(scene: Scene) -> None:
    """White light on the skin's surface, which moves with the head."""
    rng = scene.rng
    share = rng.exponential(0.06) * rng.random(scene.cells) ** 2 * scene.skin
    moved = 1 + np.tensordot(scene.head, rng.normal(0, 2.0, (2, scene.cells)), axes=(1, 0))
    light = 1 + rng.normal(0, 0.05, 3)
    scene.colours = scene.colours + (share * np.clip(moved, 0, 4))[..., None] * light


def _face(scene: Scene) -> None:
    """Talking about the lower middle, blinks in the upper half: short, local, in all channels."""
    rng, times = scene.rng, scene.times
    colours = scene.colours
    if rng.random() < 0.35:
        cell = (scene.grid - 1) * scene.grid + scene.grid // 2 - int(rng.integers(2))
        envelope = np.clip(smooth(rng, times, 0.1, 0.8), 0, None)
        talk = rng.exponential(0.02) * envelope * smooth(rng, times, 1.0, 6.0)
        colours[:, cell] *= (1 + talk)[:, None] * (1 + talk[:, None] * rng.normal(0, 0.3, 3))
    for _ in range(rng.poisson(0.25 * (times[-1] - times[0]))):
        shape = np.exp(-0.5 * ((times - rng.uniform(times[0], times[-1])) / rng.uniform(0.05, 0.12)) ** 2)
        cell = scene.grid + int(rng.integers(scene.grid)) if scene.grid > 1 else 0
        colours[:, cell] *= 1 + rng.normal(0, 0.04) * shape[:, None]


def _exposure(scene: Scene) -> None:
    """The camera changes its exposure and its white balance, in steps that settle."""
    rng, times = scene.rng, scene.times
    for _ in range(rng.poisson(0.35)):
        since = times - rng.uniform(times[0], times[-1])
        step = np.where(since > 0, 1 - np.exp(-np.clip(since, 0, None) / rng.uniform(0.02, 0.6)), 0.0)
        scene.colours = scene.colours * np.exp(rng.normal(0, 0.04) * step[:, None, None] * (1 + rng.normal(0, 0.2, 3)))


def _balance(scene: Scene) -> None:
    """Each colour wanders by itself: white balance, coarse chroma; noise that is stronger where it is slower."""
    rng, length = scene.rng, len(scene.times)
    if rng.random() < 0.4:
        return
    rates = np.fft.rfftfreq(length, 1 / scene.fs)
    size, steep = 10 ** rng.uniform(-4.5, -2.3), rng.uniform(0.4, 1.2)
    shape = np.zeros(len(rates))
    shape[1:] = (rates[1:] / 0.1) ** -steep
    each = size * np.exp(rng.normal(0, 0.5, 3)) * CHROMA
    local = rng.uniform(0, 0.7)
    noise = np.fft.rfft(rng.normal(0, 1, (length, scene.cells + 1, 3)) @ _mixing(rng), axis=0) * shape[:, None, None]
    wander = np.fft.irfft(noise, length, axis=0) / np.sqrt(0.1 / scene.fs)
    scene.colours = scene.colours * (1 + each * (wander[:, :1] + local * wander[:, 1:]))


def _flicker(scene: Scene) -> None:
    """Lamps on the mains flicker at twice its frequency, which a camera sees slower."""
    rng = scene.rng
    if rng.random() < 0.3:
        mains = 2 * rng.choice([50.0, 60.0]) * (1 + rng.normal(0, 5e-4))
        wave = np.sin(2 * np.pi * mains * scene.times + rng.uniform(0, 6.3))  # sampled at the frames: aliased
        size = 10 ** rng.uniform(-4, -2) * (1 + rng.normal(0, 0.2, (scene.cells, 3)))
        scene.colours = scene.colours * (1 + size * wave[:, None, None])


def _one_cell(scene: Scene) -> None:
    """One trace of a whole region is all there is: every cell has it, with the same noise."""
    if scene.rng.random() < 0.25:
        weights = scene.skin + scene.rng.uniform(0, 0.3)
        scene.colours = np.tensordot(scene.colours, weights / weights.sum(), axes=(1, 0))[:, None]


def _sensor(scene: Scene) -> None:
    """Noise of the mean of a cell, more where it is dark and in each colour its own; part of it common to the row."""
    rng = scene.rng
    size = 10 ** rng.uniform(-4.2, -2.3) * np.exp(rng.normal(0, 0.5, 3)) * GAIN
    shape = scene.colours.shape
    noise = rng.normal(0, 1, shape) @ _mixing(rng)
    scene.colours = scene.colours + size * np.sqrt(np.abs(scene.colours) + 0.05) * noise
    scene.colours = scene.colours + 0.3 * size * rng.normal(0, 1, (shape[0], 1, 3))


def _codec(scene: Scene) -> None:
    """Pictures in groups: each begins with a small step, and blocks in which little moves are not sent at all."""
    rng, length = scene.rng, len(scene.times)
    if rng.random() < 0.3:
        return  # raw video
    every = int(rng.choice([8, 12, 15, 24, 30, 48, 60, 120, 250]))
    place = (np.arange(length) + rng.integers(every)) % every
    size = 10 ** rng.uniform(-4.3, -2.6)
    fade = np.exp(-place / (rng.uniform(0.1, 1.0) * every))
    scene.colours = scene.colours + size * fade[:, None, None] * rng.normal(0, 1, (scene.cells, 3))
    groups = np.cumsum(place == 0)
    scene.colours = scene.colours + size * rng.normal(0, 1, (groups[-1] + 1, scene.cells, 3))[groups]
    if rng.random() < 0.4:
        _skipped_blocks(scene, rng.uniform(0.05, 0.7), place == 0)


def _skipped_blocks(scene: Scene, share: float, key: np.ndarray) -> None:
    """Part of each cell keeps its colour of the frame before, luma and chroma apart."""
    keeps = share * scene.rng.random((len(key), scene.cells, 2))
    keeps[key] = 0
    news = 1 - keeps[..., [0, 1, 1, 1]]
    luma = (scene.colours @ LUMA)[..., None]
    sent = np.concatenate([luma, scene.colours - luma], axis=-1)
    for t in range(1, len(key)):
        sent[t] = sent[t - 1] + news[t] * (sent[t] - sent[t - 1])
    scene.colours = sent[..., :1] + sent[..., 1:]


def _frames(scene: Scene) -> None:
    """Frames are lost, shown twice, or come a little early and late; where nothing beats, at times in any order."""
    rng, length = scene.rng, len(scene.times)
    if not scene.pulse.any() and rng.random() < 0.25:
        scene.colours = rng.permutation(scene.colours)
    if rng.random() < 0.3:
        source = np.arange(length)
        doubled = np.flatnonzero(rng.random(length) < rng.uniform(0, 0.08))
        source[doubled] = np.maximum(doubled - 1, 0)
        scene.colours = scene.colours[source]
    if rng.random() < 0.3:
        off = rng.normal(0, rng.uniform(0, 0.25) / scene.fs, length)
        scene.colours = at(scene.colours, np.arange(length) + off * scene.fs)


def _mixing(rng: np.random.Generator) -> np.ndarray:
    """(3, 3) by which noises of the three colours are mixed, each of unit spread after it as before.

    A camera's colour matrix subtracts some of each colour from the others; a codec keeps brightness better than colour.
    """
    matrix = np.eye(3) + rng.normal(0, 0.6, (3, 3)) * (1 - np.eye(3))
    return matrix / np.linalg.norm(matrix, axis=0)


def _slope(rng: np.random.Generator, grid: int, share: float) -> np.ndarray:
    """(C,) about 1, by `share` more on one side than on the other."""
    place = np.stack(np.meshgrid(np.linspace(-1, 1, grid), np.linspace(-1, 1, grid), indexing="ij"), axis=-1)
    angle = rng.uniform(0, 2 * np.pi)
    return 1 + share * (place.reshape(-1, 2) @ np.array([np.sin(angle), np.cos(angle)]))


EFFECTS: dict[str, Callable[[Scene], None]] = {
    "light": _light, "drift": _drift, "motion": _motion, "gloss": _gloss, "face": _face, "exposure": _exposure,
    "balance": _balance, "flicker": _flicker, "one_cell": _one_cell, "sensor": _sensor, "codec": _codec,
    "frames": _frames,
}  # fmt: skip
