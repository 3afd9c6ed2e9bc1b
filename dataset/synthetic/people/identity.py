"""Who somebody is: shape of the head, tone of the skin, hair, eyes, drawn from a seed."""

from dataclasses import dataclass

import numpy as np

# Individual typology angle (degrees) of the Fitzpatrick types I to VI: Chardon et al., Int. J. Cosmet. Sci. 13, 1991;
# Del Bino and Bernerd, Br. J. Dermatol. 169 (Suppl. 3), 2013. People are drawn inside these ranges, off their ends.
TONE_ANGLES = ((57.0, 64.0), (43.0, 53.0), (30.0, 39.0), (13.0, 26.0), (-24.0, 6.0), (-58.0, -34.0))
HAIR_COLOURS = {  # linear light
    "black": (0.012, 0.010, 0.009), "dark brown": (0.030, 0.018, 0.012), "brown": (0.075, 0.042, 0.022),
    "auburn": (0.130, 0.048, 0.020), "blond": (0.330, 0.225, 0.110), "grey": (0.210, 0.205, 0.200),
}  # fmt: skip
IRIS_COLOURS = {
    "dark brown": (0.045, 0.022, 0.011), "brown": (0.120, 0.060, 0.026), "hazel": (0.170, 0.120, 0.045),
    "green": (0.150, 0.180, 0.090), "blue": (0.130, 0.220, 0.330), "grey": (0.210, 0.230, 0.240),
}  # fmt: skip
STYLES = ("shaved", "short", "medium", "long", "receding")
_STRENGTH = 0.62  # of all shapes below together: at 1 faces look like caricatures
_HEADS = ("oval", "round", "square", "rectangular", "triangular", "invertedtriangular", "diamond")
# Shapes that come in pairs: folder, name, the two ends, standard deviation of the share of an end that is drawn.
_PAIRS = (
    ("head", "head-fat", "decr incr", 0.25), ("head", "head-scale-horiz", "decr incr", 0.30),
    ("head", "head-scale-vert", "decr incr", 0.25), ("forehead", "forehead-nubian", "decr incr", 0.30),
    ("forehead", "forehead-scale-vert", "decr incr", 0.30), ("forehead", "forehead-temple", "decr incr", 0.40),
    ("eyebrows", "eyebrows-angle", "down up", 0.25), ("eyebrows", "eyebrows-trans", "down up", 0.25),
    ("neck", "neck-scale-horiz", "decr incr", 0.30), ("neck", "neck-double", "decr incr", 0.20),
    ("nose", "nose-base", "down up", 0.40), ("nose", "nose-curve", "concave convex", 0.45),
    ("nose", "nose-flaring", "decr incr", 0.35), ("nose", "nose-greek", "decr incr", 0.35),
    ("nose", "nose-hump", "decr incr", 0.40), ("nose", "nose-nostrils-width", "decr incr", 0.35),
    ("nose", "nose-point", "down up", 0.45), ("nose", "nose-point-width", "decr incr", 0.40),
    ("nose", "nose-scale-depth", "decr incr", 0.30), ("nose", "nose-scale-horiz", "decr incr", 0.35),
    ("nose", "nose-scale-vert", "decr incr", 0.30), ("nose", "nose-width1", "decr incr", 0.40),
    ("nose", "nose-width2", "decr incr", 0.40), ("nose", "nose-width3", "decr incr", 0.40),
    ("mouth", "mouth-scale-horiz", "decr incr", 0.30), ("mouth", "mouth-scale-vert", "decr incr", 0.25),
    ("mouth", "mouth-trans", "down up", 0.25), ("mouth", "mouth-upperlip-height", "decr incr", 0.30),
    ("mouth", "mouth-upperlip-volume", "decr incr", 0.40), ("mouth", "mouth-lowerlip-height", "decr incr", 0.30),
    ("mouth", "mouth-lowerlip-volume", "decr incr", 0.40), ("mouth", "mouth-cupidsbow", "decr incr", 0.40),
    ("mouth", "mouth-angles", "down up", 0.25), ("mouth", "mouth-laugh-lines", "in out", 0.30),
    ("chin", "chin-bones", "decr incr", 0.35), ("chin", "chin-height", "decr incr", 0.30),
    ("chin", "chin-prominent", "decr incr", 0.35), ("chin", "chin-width", "decr incr", 0.40),
    ("chin", "chin-jaw-drop", "decr incr", 0.30), ("chin", "chin-prognathism", "decr incr", 0.20),
)  # fmt: skip
_SIDES = (  # one for each side of the face: nearly the same share on both
    ("eyes", "eye-bag", "decr incr", 0.30), ("eyes", "eye-corner1", "down up", 0.35),
    ("eyes", "eye-corner2", "down up", 0.35), ("eyes", "eye-epicanthus", "in out", 0.20),
    ("eyes", "eye-eyefold", "concave convex", 0.35), ("eyes", "eye-eyefold-angle", "down up", 0.35),
    ("eyes", "eye-height1", "decr incr", 0.20), ("eyes", "eye-height2", "decr incr", 0.20),
    ("eyes", "eye-height3", "decr incr", 0.20), ("eyes", "eye-scale", "decr incr", 0.25),
    ("eyes", "eye-trans", "in out", 0.25), ("cheek", "cheek-bones", "decr incr", 0.40),
    ("cheek", "cheek-inner", "decr incr", 0.35), ("cheek", "cheek-volume", "decr incr", 0.40),
    ("ears", "ear-scale", "decr incr", 0.35), ("ears", "ear-wing", "decr incr", 0.45),
    ("ears", "ear-lobe", "decr incr", 0.35), ("ears", "ear-trans", "down up", 0.25),
)  # fmt: skip


@dataclass(frozen=True)
class Identity:
    """All that is drawn of a person; colours are linear light."""

    shapes: dict[str, float]  # of the base mesh, by name
    tone: int  # Fitzpatrick type, 1 to 6
    angle: float  # individual typology angle of the skin (degrees)
    age: float  # years
    male: float  # 0 to 1
    hair: tuple[float, float, float]
    style: str  # one of STYLES
    iris: tuple[float, float, float]
    beard: float  # 0 shaved to 1 full
    freckles: float  # 0 to 1
    glasses: bool
    seed: tuple[int, ...]  # of whatever is drawn further on this person


def draw_identity(seed: int, subject: int, tone: int) -> Identity:
    """The person `subject` (1, 2 ...) of `seed`, with skin of Fitzpatrick type `tone` (1 to 6)."""
    key = (seed, subject, 14)
    rng = np.random.default_rng(key)
    male = float(np.clip(rng.choice([0.08, 0.92]) + rng.normal(0, 0.06), 0, 1))
    age = float(rng.uniform(19, 78))
    mixture = rng.dirichlet(_ANCESTRY[tone - 1])
    shapes = _whole(rng, male, age, mixture) | _parts(rng)
    # The hair of a quarter is grey at 60 (a coarse reading of Panhard et al., Br. J. Dermatol. 167, 2012).
    names = list(HAIR_COLOURS)
    colour = "grey" if rng.random() < (age - 50) / 40 else names[rng.choice(5, p=_HAIR_CHANCE[(tone - 1) // 2])]
    iris = list(IRIS_COLOURS)[rng.choice(6, p=_IRIS_CHANCE[(tone - 1) // 2])]
    brightness = np.exp(rng.normal(0, 0.15))
    return Identity(
        shapes=shapes,
        tone=tone,
        angle=float(rng.uniform(*TONE_ANGLES[tone - 1])),
        age=age,
        male=male,
        hair=tuple(brightness * value for value in HAIR_COLOURS[colour]),
        style=str(rng.choice(STYLES, p=_MALE_STYLES if male > 0.5 else _FEMALE_STYLES)),
        iris=IRIS_COLOURS[iris],
        beard=float(rng.choice([0.05, 0.25, 0.5, 0.95], p=[0.45, 0.25, 0.15, 0.15])) if male > 0.5 else 0.0,
        freckles=float(rng.beta(1, 3)) if tone <= 3 else float(rng.beta(1, 12)),
        glasses=bool(rng.random() < 0.18),
        seed=key,
    )


# Parameters of the Dirichlet distribution of the mesh's three ancestries (african, asian, caucasian) for each tone:
# every mixture is possible with every tone.
_ANCESTRY = ((0.15, 0.3, 2.5), (0.2, 0.7, 2.0), (0.4, 1.2, 1.2), (0.8, 1.2, 0.8), (1.6, 0.7, 0.5), (2.5, 0.4, 0.3))
_HAIR_CHANCE = ((0.05, 0.20, 0.30, 0.15, 0.30), (0.45, 0.40, 0.12, 0.02, 0.01), (0.85, 0.15, 0.0, 0.0, 0.0))
_IRIS_CHANCE = ((0.05, 0.20, 0.15, 0.15, 0.30, 0.15), (0.40, 0.40, 0.12, 0.05, 0.02, 0.01), (0.75, 0.25, 0, 0, 0, 0))
_MALE_STYLES = (0.15, 0.55, 0.08, 0.02, 0.20)
_FEMALE_STYLES = (0.02, 0.13, 0.35, 0.50, 0.0)


def _whole(rng: np.random.Generator, male: float, age: float, mixture: np.ndarray) -> dict[str, float]:
    """Weights of the shapes of the whole body: sex, age, build and ancestry, each mixed linearly."""
    old = float(np.clip((age - 25) / 65, 0, 1))
    muscle, weight = rng.uniform(0.3, 0.7, 2)
    sexes = {"female": 1 - male, "male": male}
    ages = {"young": 1 - old, "old": old}
    muscles = _ends(muscle, "muscle")
    weights = _ends(weight, "weight")
    shapes = {
        f"macrodetails/universal-{sex}-{years}-{strength}-{mass}": a * b * c * d
        for sex, a in sexes.items()
        for years, b in ages.items()
        for strength, c in muscles.items()
        for mass, d in weights.items()
    }
    for origin, share in zip(("african", "asian", "caucasian"), mixture, strict=True):
        for sex, a in sexes.items():
            for years, b in ages.items():
                shapes[f"macrodetails/{origin}-{sex}-{years}"] = float(share) * a * b
    return shapes


def _ends(value: float, name: str) -> dict[str, float]:
    """Shares of the two shapes between which `value` (0 to 1) lies."""
    end = "min" if value < 0.5 else "max"
    share = abs(2 * value - 1)
    return {f"{end}{name}": share, f"average{name}": 1 - share}


def _parts(rng: np.random.Generator) -> dict[str, float]:
    """Weights of the shapes of single parts of the face."""
    shapes = {f"head/head-{_HEADS[rng.integers(len(_HEADS))]}": float(rng.uniform(0, 0.35))}
    for folder, name, ends, spread in _PAIRS:
        _pair(shapes, f"{folder}/{name}", ends, rng.normal(0, _STRENGTH * spread))
    for folder, name, ends, spread in _SIDES:
        common, apart = rng.normal(0, _STRENGTH * spread), rng.normal(0, 0.1 * spread)
        for side, share in (("l", common + apart), ("r", common - apart)):
            _pair(shapes, f"{folder}/{side}-{name}", ends, share)
    for name in ("brown", "cheek", "eye", "jaw", "mouth", "nose"):  # "brown" is how the files spell the brow
        shapes[f"asym/asym-{name}-1-{'lr'[rng.integers(2)]}"] = float(rng.uniform(0, 0.25))
    return shapes


def _pair(shapes: dict[str, float], name: str, ends: str, share: float) -> None:
    low, high = ends.split()
    shapes[f"{name}-{high if share > 0 else low}"] = float(min(abs(share), 0.9))
