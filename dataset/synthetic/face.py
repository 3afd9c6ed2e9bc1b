"""One subject: a photograph warped and toned, or a modelled head, before a background, with maps of what can change.

Dichromatic model (Wang et al., TBME 2017): a pixel is light x (diffuse reflection + shine), and the pulse changes the
diffuse part alone, each channel by its own share. Blood absorbs, so the pixel darkens while the pulse wave rises.
Everything is in grey levels as stored: a camera's power-law tone curve turns a factor of light into another factor,
so relative changes keep their form.
"""

from collections.abc import Container
from dataclasses import dataclass

import cv2
import numpy as np

from dataset.files.frames import LUMA
from dataset.synthetic.background import make_background
from dataset.synthetic.camera import lamp_direction
from dataset.synthetic.photo import CENTRE, EYES, FACE_BOX, HEAD_RADII, MOUTH, Photo, load_photo
from dataset.synthetic.settings import Settings

# Optical density of melanin (linear light, green, both ways) added to the photograph's light skin; types I to VI.
_MELANIN = (-0.05, 0.10, 0.35, 0.75, 1.35, 2.30)
_MELANIN_COLOUR = (0.70, 1.0, 1.71)  # R, G, B: wavelength^-3.33 (Jacques 2013) at 600, 540 and 460 nm
_SURFACE_SHARE = (0.05, 0.08, 0.11)  # R, G, B: of the light from light skin, what its surface returns, melanin or not
_TONE_CURVE = 1 / 2.2  # from linear light to grey levels
_EXPOSURE = 0.88  # the photograph's whites move down, so that brighter light does not clip
_HAIR = ((38, 32, 30), (62, 46, 36), (98, 70, 48), (135, 82, 48), (150, 146, 142), None)  # None: as photographed


@dataclass(frozen=True)
class Placement:
    """Where the face is in the frame and how its outline differs; photo pixel = CENTRE + offset / scale + warp."""

    tone: int  # Fitzpatrick type, 1 to 6
    scale: tuple[float, float]  # frame pixels per photo pixel across and down
    centre: tuple[float, float]  # of the face box, in the frame
    mirrored: bool
    bumps: np.ndarray  # (N, 5): x, y, radius (photo pixels about CENTRE) and the shift dx, dy there
    size: tuple[int, int]  # width and height of the frame

    @property
    def box(self) -> np.ndarray:
        """The face box x, y, w, h (frame pixels) of the head at rest."""
        w, h = FACE_BOX[2] * self.scale[0], FACE_BOX[3] * self.scale[1]
        return np.array([self.centre[0] - w / 2, self.centre[1] - h / 2, w, h])

    def offsets(self) -> tuple[np.ndarray, np.ndarray]:
        """Each pixel's place relative to the face's centre in photo pixels, (H, W) each, before the warp."""
        width, height = self.size
        x = (np.arange(width, dtype=np.float32) - self.centre[0]) / self.scale[0]
        y = (np.arange(height, dtype=np.float32) - self.centre[1]) / self.scale[1]
        x, y = np.meshgrid(-x if self.mirrored else x, y)
        return x, y


@dataclass(frozen=True)
class Face:
    """All of a subject that stays the same during a recording; maps (H, W[, 3]) float32 at the frame's size."""

    placement: Placement
    picture: np.ndarray  # the scene at rest (grey levels)
    pulse: np.ndarray  # change (grey levels) at full rise of the pulse wave for an amplitude of 1
    shine: np.ndarray  # specular reflection that comes and goes with the head's angle (grey levels)
    lids: np.ndarray  # closed eyes minus open eyes (grey levels)
    skin: np.ndarray  # 0 to 1
    normal_x: np.ndarray  # direction of the surface, -1 to 1, 0 outside the head
    normal_y: np.ndarray
    normal_z: np.ndarray
    depth: np.ndarray  # how far the surface is before the axis of the head (frame pixels)
    follows: np.ndarray  # 1 on the head, falling to 0 around it: what moves with it
    jaw: np.ndarray  # how far an opening mouth carries the pixel, 0 to 1


def make_placement(settings: Settings, subject: int) -> Placement:
    """Draw tone, position, proportions and warp of `subject` (1, 2 ...)."""
    rng = np.random.default_rng([settings.seed, subject, 10])
    scale = settings.face_size * settings.height / FACE_BOX[3]
    strength = settings.face_warp
    aspect = np.exp(rng.normal(0, strength, 2))
    size = np.exp(rng.normal(0, 0.03))
    centre = (
        settings.width * (0.5 + rng.uniform(-0.04, 0.04)),
        settings.height * (0.52 + rng.uniform(-0.03, 0.03)),
    )
    return Placement(
        tone=_tone(settings, subject),
        scale=(scale * size * aspect[0], scale * size * aspect[1]),
        centre=centre,
        mirrored=bool(rng.integers(2)),
        bumps=_bumps(rng, strength * FACE_BOX[2]),
        size=(settings.width, settings.height),
    )


def pulse_amplitude(settings: Settings, subject: int) -> float:
    """Peak to valley of green over the skin level, 0 for a photograph; melanin takes its share of it.

    Light from the surface carries no pulse; the darker the skin, the larger its share of all light that returns.
    """
    if settings.photo:
        return 0.0
    rng = np.random.default_rng([settings.seed, subject, 11])
    return rng.uniform(*settings.pulse_amplitude) * tone_share(_tone(settings, subject))


def tone_share(tone: int) -> float:
    """Pulse amplitude of a Fitzpatrick type relative to type I."""

    def carried(kind: int) -> float:
        diffuse, surface = (part[1] for part in _returned(kind))
        return diffuse / (diffuse + surface)

    return float(carried(tone) / carried(1))


def make_face(settings: Settings, subject: int) -> Face:
    """Paint `subject` (1, 2 ...) and all maps of what can change."""
    placement = make_placement(settings, subject)
    rng = np.random.default_rng([settings.seed, subject, 12])
    parts = _modelled(settings, subject, placement) if settings.face == "modelled" else _photographed(placement, rng)
    texture = _texture(settings, placement, rng)
    flesh = parts["flesh"][..., None]
    person, closed = (parts[name] * (1 + texture[..., None] * flesh) for name in ("open", "closed"))
    behind = make_background(rng, *placement.size, settings.background)
    warmth = rng.normal(0, 0.03)  # colour of the lamp, as far as the white balance leaves it
    tint = np.float32(_EXPOSURE * np.exp(rng.normal(0, 0.05)) * np.array([1 + warmth, 1.0, 1 - warmth]))
    alpha = parts["person"][..., None]
    picture = (person * alpha + behind * (1 - alpha)) * tint
    shine = settings.specular * parts["shine"][..., None] * tint / _EXPOSURE
    strength = _amplitude_map(settings, placement, parts["skin"], rng)
    response = np.float32(np.array(settings.skin_response) / settings.skin_response[1])
    return Face(
        placement=placement,
        picture=_float(picture + shine),
        pulse=_float(-picture * strength[..., None] * response),
        shine=_float(shine),
        lids=_float((closed - person) * alpha * tint),
        skin=parts["skin"],
        **(_geometry(placement) | parts.get("geometry", {})),
    )


def _photographed(placement: Placement, rng: np.random.Generator) -> dict[str, np.ndarray]:
    """Layers of the photograph in the frame."""
    parts = _to_frame(placement, _look(load_photo(), placement, rng))
    return parts | {"shine": _shine(parts, placement)}


def _modelled(settings: Settings, subject: int, placement: Placement) -> dict[str, np.ndarray]:
    """Layers of a modelled head in the frame, with the geometry of its surface."""
    from dataset.synthetic.people.canvas import FIT, ORIGIN  # here, so that the photograph does not pay for it
    from dataset.synthetic.people.portrait import portrait

    # Painted finer than the frame is; from the settings alone, so that all subjects are painted alike.
    dots = int(np.clip(np.ceil(1.2 * FIT * settings.face_size * settings.height / FACE_BOX[3]), 1, 4))
    side = -1 if placement.mirrored else 1
    lamp = side * lamp_direction(settings, subject)
    layers = portrait(settings.seed, subject, placement.tone, lamp, settings.skin_response, dots)
    normal, depth = layers.pop("normal"), layers.pop("depth")
    surface = {
        "normal_x": _float(side * normal[..., 0]),
        "normal_y": _float(normal[..., 1]),
        "normal_z": _float(normal[..., 2] * (depth > 0)),
        "depth": _float(depth * FIT * min(placement.scale)),
    }
    parts = _to_frame(placement, layers | surface, dots / FIT, (ORIGIN[0] * FIT, ORIGIN[1] * FIT), unbounded=surface)
    return parts | {"geometry": {name: parts.pop(name) for name in surface}}


def _tone(settings: Settings, subject: int) -> int:
    """Every run of as many subjects as there are tones shows each of them once, in an order of its own."""
    turn, place = divmod(subject - 1, len(settings.skin_tones))
    order = np.random.default_rng([settings.seed, turn, 13]).permutation(len(settings.skin_tones))
    return settings.skin_tones[order[place]]


def _bumps(rng: np.random.Generator, strength: float) -> np.ndarray:
    """Shifts of the features (symmetric, as in faces) and smaller ones anywhere, hair included."""
    rows = []

    def pair(x: float, y: float, radius: float, dx: float, dy: float) -> None:
        rows.extend([(x, y, radius, dx, dy), (-x, y, radius, -dx, dy)])

    eye_x, eye_y = (EYES[1][0] - EYES[0][0]) / 2, EYES[0][1] + 1 - CENTRE[1]
    mouth_y = MOUTH[1] - CENTRE[1]
    pair(eye_x, eye_y, 15, *rng.normal(0, 0.45 * strength, 2))  # distance and height of the eyes
    pair(eye_x, eye_y - 13, 12, 0, rng.normal(0, 0.5 * strength))  # brows
    pair(11, 14, 11, rng.normal(0, 0.6 * strength), 0)  # width of the nose
    rows.append((0, 14, 16, 0, rng.normal(0, 0.6 * strength)))  # length of the nose
    pair(21, mouth_y, 15, *rng.normal(0, 0.6 * strength, 2))  # width of the mouth, and its corners
    rows.append((0, mouth_y + 8, 14, 0, rng.normal(0, 0.6 * strength)))  # lips
    pair(40, 45, 28, rng.normal(0, 1.3 * strength), 0)  # jaw
    pair(42, 5, 26, rng.normal(0, 0.8 * strength), 0)  # cheekbones
    rows.append((0, 68, 30, 0, rng.normal(0, 1.2 * strength)))  # chin
    pair(72, -30, 45, rng.normal(0, 3.0 * strength), rng.normal(0, strength))  # hair at the sides
    rows.append((0, -95, 55, 0, rng.normal(0, 3.0 * strength)))  # hair on top
    for _ in range(6):
        rows.append((*rng.uniform(-70, 70, 2), rng.uniform(20, 40), *rng.normal(0, 0.3 * strength, 2)))
    return np.array(rows, dtype=np.float32)


def _look(photo: Photo, placement: Placement, rng: np.random.Generator) -> dict[str, np.ndarray]:
    """The photograph's parts in this subject's colours of skin, hair and clothes."""
    dark = placement.tone >= 5
    hair = _HAIR[rng.integers(2)] if dark else _HAIR[rng.integers(len(_HAIR))]
    undertone = np.exp(rng.normal(0, 0.015, 3)) * np.exp(rng.normal(0, 0.03))
    factor = _melanin_factor(placement.tone) * undertone.astype(np.float32)
    hue, colourful, bright = rng.integers(180), rng.uniform(0.15, 0.8), rng.uniform(0.55, 1.05)
    look = {}
    for name, picture in (("open", photo.rgb), ("closed", photo.closed)):
        picture = _dye_hair(picture, photo.hair, hair)
        picture = _dye_clothes(picture, photo.clothes, hue, colourful, bright)
        flesh = photo.flesh if name == "open" else np.maximum(photo.flesh, _eye_region(photo))
        inner = photo.inner * (1 - flesh)
        # Exposure and shade of the sockets: eyes and teeth look darker in a dark face, yet keep their colour.
        look[name] = picture * (1 + (factor - 1) * flesh[..., None] + (factor.mean() ** 0.5 - 1) * inner[..., None])
    return look | {"person": photo.person, "flesh": photo.flesh, "skin": photo.skin}


def _melanin_factor(tone: int) -> np.ndarray:
    """Grey levels of a skin type relative to the photograph's, (3,)."""
    return np.float32(sum(_returned(tone)) ** _TONE_CURVE)


def _returned(tone: int) -> tuple[np.ndarray, np.ndarray]:
    """Light from the depth of the skin and from its surface, (3,) each, relative to all light from the photograph's."""
    surface = np.array(_SURFACE_SHARE)
    return (1 - surface) * np.exp(-_MELANIN[tone - 1] * np.array(_MELANIN_COLOUR)), surface


def _eye_region(photo: Photo) -> np.ndarray:
    """What the lids cover, grown a little so that no bright rim is left around them."""
    return cv2.dilate(photo.eyes, np.ones((3, 3)))


def _dye_hair(picture: np.ndarray, mask: np.ndarray, colour: tuple[int, int, int] | None) -> np.ndarray:
    if colour is None:
        return picture
    grey = picture @ LUMA.astype(np.float32)
    relative = grey / (float((grey * mask).sum() / mask.sum()) + 1e-6)
    dyed = np.array(colour, np.float32) * np.clip(relative, 0, 2.2)[..., None] ** 0.85
    return picture + (dyed - picture) * mask[..., None]


def _dye_clothes(picture: np.ndarray, mask: np.ndarray, hue: int, colourful: float, bright: float) -> np.ndarray:
    hsv = cv2.cvtColor(np.clip(picture / 255, 0, 1), cv2.COLOR_RGB2HSV)  # float: hue in degrees
    hsv[..., 0] = np.mod(hsv[..., 0] + 2 * hue, 360)
    hsv[..., 1] *= colourful
    hsv[..., 2] *= bright
    dyed = 255 * cv2.cvtColor(hsv, cv2.COLOR_HSV2RGB)
    return picture + (dyed - picture) * mask[..., None]


def _to_frame(
    placement: Placement,
    look: dict[str, np.ndarray],
    density: float = 1.0,
    centre: tuple[float, float] = CENTRE,
    unbounded: Container[str] = (),
) -> dict[str, np.ndarray]:
    """Warp and scale all parts from where they were painted into the frame.

    They have `density` pixels for one of the photograph, in whose pixels `centre`, the middle of the face, is given.
    Pictures are bounded to 0 to 255 and masks to 0 to 1, but for the `unbounded`.
    """
    x, y = placement.offsets()
    shift_x, shift_y = np.zeros_like(x), np.zeros_like(y)
    for centre_x, centre_y, radius, dx, dy in placement.bumps:
        weight = np.exp(-((x - centre_x) ** 2 + (y - centre_y) ** 2) / (2 * radius**2))
        shift_x += dx * weight
        shift_y += dy * weight
    map_x, map_y = (
        _float((at + shift + c) * density) for at, shift, c in zip((x, y), (shift_x, shift_y), centre, strict=True)
    )
    blur = 0.5 * density / min(placement.scale) - 0.5  # shrinking would alias
    frame = {}
    for name, image in look.items():
        if blur > 0.1:
            image = cv2.GaussianBlur(image, (0, 0), blur)
        frame[name] = cv2.remap(image, map_x, map_y, cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE)
        if name not in unbounded:
            frame[name] = np.clip(frame[name], 0, 255 if image.ndim == 3 else 1)
    return frame


def _texture(settings: Settings, placement: Placement, rng: np.random.Generator) -> np.ndarray:
    """Relative brightness of pores, blotches and a few moles (H, W), about 0."""
    width, height = placement.size
    scale = min(placement.scale)
    field = np.zeros((height, width), np.float32)
    for sigma, weight in ((0.45, 0.6), (1.2, 0.5), (5.0, 0.7)):
        noise = rng.standard_normal((height, width), dtype=np.float32)
        noise = cv2.GaussianBlur(noise, (0, 0), max(0.3, sigma * scale))
        field += weight * noise / noise.std()
    field *= settings.texture / 160.0
    x, y = placement.offsets()
    for _ in range(rng.integers(0, 9)):
        spot_x, spot_y = rng.uniform(-38, 38), rng.uniform(-20, 60)
        radius = rng.uniform(0.6, 1.3)
        near = np.exp(-((x - spot_x) ** 2 + (y - spot_y) ** 2) / (2 * radius**2))
        field -= settings.texture / 2.0 * rng.uniform(0.05, 0.3) * near
    return field


def _shine(parts: dict[str, np.ndarray], placement: Placement) -> np.ndarray:
    """Where light from above is mirrored towards the camera, 0 to 1, on skin only."""
    x, y = placement.offsets()
    shine = np.zeros_like(x)
    for centre_x, centre_y, a, b, height in (
        (0, -24, 26, 8, 0.7), (0, 10, 5, 12, 1.0), (-26, 10, 10, 7, 0.8), (24, 12, 10, 7, 0.7), (0, 56, 9, 5, 0.5),
    ):  # fmt: skip
        shine += height * np.exp(-0.5 * (((x - centre_x) / a) ** 2 + ((y - centre_y) / b) ** 2))
    return shine * parts["skin"]


def _amplitude_map(settings: Settings, placement: Placement, skin: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Relative height of the pulse (H, W), mean 1 over the skin: stronger on forehead and cheeks, and patchy."""
    x, y = placement.offsets()
    field = np.zeros_like(x)
    for centre_x, centre_y, a, b in ((0, -22, 32, 10), (-27, 14, 13, 14), (27, 14, 13, 14)):
        field += np.exp(-0.5 * (((x - centre_x) / a) ** 2 + ((y - centre_y) / b) ** 2))
    for _ in range(12):
        centre, radius = rng.uniform((-45, -40), (45, 75)), rng.uniform(8, 20)
        field += rng.normal(0, 0.5) * np.exp(-((x - centre[0]) ** 2 + (y - centre[1]) ** 2) / (2 * radius**2))
    total = float(skin.sum()) + 1e-6
    mean = float((field * skin).sum()) / total
    std = np.sqrt(float(((field - mean) ** 2 * skin).sum()) / total) + 1e-6
    field = np.maximum(1 + settings.amplitude_variation * (field - mean) / std, 0.0)
    return field * skin * total / float((field * skin).sum() + 1e-6)


def _geometry(placement: Placement) -> dict[str, np.ndarray]:
    """The head as an ellipsoid: normals, depth, what follows its motion, what the jaw carries."""
    x, y = placement.offsets()
    across, down = x / HEAD_RADII[0], y / HEAD_RADII[1]
    radius = np.hypot(across, down)
    fall = _smooth((1.35 - radius) / 0.3)
    if placement.mirrored:
        across = -across
    front = cv2.GaussianBlur(np.sqrt(np.clip(1 - radius**2, 0, 1)), (0, 0), 4 * placement.scale[0])
    reach = np.hypot(x / 84.0, (y + 4) / 102.0)  # hair and neck move along
    below = _smooth((y - 30) / 12) * _smooth((70 - np.abs(y - 30)) / 40) * _smooth((46 - np.abs(x)) / 20)
    return {
        "normal_x": _float(across * fall),
        "normal_y": _float(down * fall),
        "normal_z": _float(front),
        "depth": _float(front * HEAD_RADII[0] * placement.scale[0]),
        "follows": _float(_smooth((1.35 - reach) / 0.35)),
        "jaw": _float(below),
    }


def _smooth(share: np.ndarray) -> np.ndarray:
    share = np.clip(share, 0, 1)
    return share * share * (3 - 2 * share)


def _float(values: np.ndarray) -> np.ndarray:
    return np.ascontiguousarray(values, dtype=np.float32)
