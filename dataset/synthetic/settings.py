"""Every property of the rendered videos, with its unit, and the two committed presets.

The numbers are chosen for physical plausibility and are not tuned to any result:

    skin response   W. Wang et al., "Algorithmic principles of remote PPG", IEEE TBME 64(7), 2017 (dichromatic model);
                    de Haan & van Leest, "Improved motion robustness of remote-PPG by using the blood volume pulse
                    signature", Physiol. Meas. 35, 2014: relative pulsatility R:G:B = 0.33:0.77:0.53
    pulse strength  0.3-0.8 % of the skin level under a webcam (Verkruysse et al., Opt. Express 16, 2008)
    skin tone       Nowara et al., "A meta-analysis of the impact of skin tone and gender on non-contact
                    photoplethysmography measurements", CVPRW 2020; melanin absorption ~ wavelength^-3.33 (Jacques 2013)
    rhythm          Task Force of the ESC and NASPE, "Heart rate variability", Circulation 93, 1996 (LF 0.1 Hz, RSA)
"""

import dataclasses
import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from numbers import Integral
from typing import Any

FORMAT = 1  # raise it when the same settings give other frames or other truth: old folders then stand aside
CODECS = ("h264", "mjpg", "mpeg4", "ffv1", "raw", "raw_top_down", "i420")
BACKGROUNDS = ("varied", "plain")
FACES = ("portrait", "modelled")


@dataclass(frozen=True)
class Settings:
    """One synthetic data set. A pair is a range: each subject draws its own value inside it."""

    # The set
    preset: str = "standard"  # name of the preset these values started from
    subjects: int = 12  # number of identities, one recording each
    seed: int = 100  # another seed: other subjects, other rhythms, other noise
    seconds: float = 30.0  # length of a recording (s)
    fs: float = 30.0  # frames per second
    width: int = 320  # pixels
    height: int = 240  # pixels
    # h264 (MP4) | mjpg, mpeg4 (AVI) | ffv1 (MKV, lossless) | raw (bottom-up BGR AVI), raw_top_down, i420
    codec: str = "h264"
    crf: tuple[int, int] = (18, 18)  # h264: constant rate factor, 0 (lossless) to 51
    jpeg_quantiser: int = 2  # mjpg, mpeg4: 2 (best) to 31
    photo: bool = False  # a still photograph held before the camera: no pulse, no blink, nothing alive

    # The heart
    heart_rate: tuple[float, float] = (50.0, 120.0)  # mean rate of a recording (bpm)
    heart_rate_wander: float = 0.015  # slow change of the rate within a recording, std as a share of the rate
    hrv_lf: float = 0.02  # 0.1 Hz (Mayer wave) modulation of the rate, amplitude as a share of the rate
    hrv_rsa: float = 0.03  # respiratory sinus arrhythmia, amplitude as a share of the rate
    hrv_jitter: float = 0.006  # independent change of each beat, std (s)
    dicrotic: float = 0.35  # height of the dicrotic wave as a share of the systolic wave
    breathing_rate: tuple[float, float] = (11.0, 20.0)  # breaths per minute
    breath_baseline: float = 0.15  # breathing wave in the baseline, as a share of the pulse's height
    breath_amplitude: float = 0.10  # breathing wave in the pulse's height, as a share of it
    ppg_fs: float = 60.0  # rate of the contact sensor (Hz)
    sensor_delay: float = 0.0  # the finger lags behind the face by this time (s)

    # The skin
    pulse_amplitude: tuple[float, float] = (0.0055, 0.008)  # peak to valley of green / skin level, Fitzpatrick I
    skin_response: tuple[float, float, float] = (0.33, 0.77, 0.53)  # relative pulsatility of R, G, B
    amplitude_variation: float = 0.3  # std of the pulse's height over the skin, as a share of its mean
    skin_tones: tuple[int, ...] = (1, 2, 3, 4, 5, 6)  # Fitzpatrick types to draw from
    specular: float = 8.0  # height of the shine on forehead, nose and cheeks (grey levels)

    # The person
    # portrait: one photograph in the public domain, warped and toned for each subject | modelled: another head each,
    # with skin, eyes and hair that are computed (needs the files of a package: dataset/synthetic/people/mesh.py)
    face: str = "portrait"
    face_size: float = 0.40  # side of the face box as a share of the frame's height
    face_warp: float = 0.024  # shift of features and outline, std as a share of the face box
    texture: float = 2.0  # contrast of skin texture (grey levels)
    background: str = "varied"  # varied: another scene for each subject | plain: one colour
    sway: float = 0.02  # head translation, rms as a share of the face box
    roll: float = 1.2  # rotation in the picture plane, rms (degrees)
    yaw: float = 3.0  # turning left and right, rms (degrees)
    pitch: float = 2.0  # nodding, rms (degrees)
    turns: float = 3.0  # larger head turns per minute
    turn_angle: float = 9.0  # size of such a turn (degrees of yaw)
    breath_motion: float = 0.006  # rise of the head with a breath, as a share of the face box
    blinks: float = 14.0  # per minute
    talking: float = 0.0  # share of the time with a moving mouth, 0 to 1

    # The light
    light_drift: float = 0.04  # slow change of the illumination (under 0.1 Hz), rms as a share
    light_noise: float = 0.010  # 1/f change of the illumination (0.1 to 5 Hz: screens, people, clouds), rms as a share
    light_colour: float = 0.15  # how differently that change reaches red and blue: 0 = grey light
    side_light: float = 0.02  # change of the light from one side, rms as a share
    shading: float = 0.5  # brightness change of a surface turned by one radian, as a share
    flicker: float = 0.002  # mains flicker, amplitude as a share; a rolling shutter makes moving bands of it
    mains: float = 50.0  # mains frequency (Hz)

    # The camera
    exposure_steps: float = 2.0  # corrections of the automatic exposure per minute
    exposure_step: float = 0.05  # size of a correction, std as a share
    noise: float = 1.8  # sensor noise, std (grey levels)
    dropped_frames: float = 0.005  # probability that a frame is lost

    @property
    def frames(self) -> int:
        """Number of frame times, before any is dropped."""
        return max(1, round(self.seconds * self.fs))


_STANDARD = Settings()
PRESETS = {
    "standard": _STANDARD,
    "easy": dataclasses.replace(
        _STANDARD,
        preset="easy",
        codec="ffv1",
        pulse_amplitude=(0.015, 0.020),
        hrv_lf=0.01,
        hrv_rsa=0.02,
        heart_rate_wander=0.005,
        hrv_jitter=0.004,
        skin_tones=(1, 2, 3, 4),
        sway=0.0,
        roll=0.0,
        yaw=0.0,
        pitch=0.0,
        turns=0.0,
        light_drift=0.005,
        light_noise=0.0,
        side_light=0.0,
        flicker=0.0,
        exposure_steps=0.0,
        noise=1.0,
        dropped_frames=0.0,
        blinks=10.0,
    ),
}

OPTIONS: dict[str, Any] = {field.name.upper(): None for field in dataclasses.fields(Settings)}
OPTIONS["PRESET"] = "standard"

_RANGES: dict[str, tuple[float, float]] = {
    "subjects": (1, 10_000), "seconds": (0.1, 3600), "fs": (5, 240), "width": (96, 4096), "height": (96, 4096),
    "crf": (0, 51), "jpeg_quantiser": (2, 31),
    "heart_rate": (30, 240), "heart_rate_wander": (0, 0.2), "hrv_lf": (0, 0.2), "hrv_rsa": (0, 0.2),
    "hrv_jitter": (0, 0.05), "dicrotic": (0, 1), "breathing_rate": (4, 60), "breath_baseline": (0, 2),
    "breath_amplitude": (0, 0.9), "ppg_fs": (10, 2000), "sensor_delay": (-1, 1), "pulse_amplitude": (0, 0.2),
    "skin_response": (0, 10), "amplitude_variation": (0, 1), "skin_tones": (1, 6), "specular": (0, 60),
    "face_size": (0.2, 0.6), "face_warp": (0, 0.08), "texture": (0, 10), "sway": (0, 0.1), "roll": (0, 10),
    "yaw": (0, 10), "pitch": (0, 10), "turns": (0, 20), "turn_angle": (0, 20), "breath_motion": (0, 0.05),
    "blinks": (0, 60), "talking": (0, 1), "light_drift": (0, 0.3), "light_noise": (0, 0.2), "light_colour": (0, 1),
    "side_light": (0, 0.3), "shading": (0, 2), "flicker": (0, 0.2), "mains": (1, 400), "exposure_steps": (0, 30),
    "exposure_step": (0, 0.3), "noise": (0, 30), "dropped_frames": (0, 0.9),
}  # fmt: skip
_LENGTHS = {"crf": 2, "heart_rate": 2, "breathing_rate": 2, "pulse_amplitude": 2, "skin_response": 3}


def resolve(options: Mapping[str, Any] | None = None) -> Settings:
    """The settings of a node `SYNTHETIC`: upper-case keys; None or left out means the preset's value.

    Raises ValueError naming the key, its value and what is allowed.
    """
    options = {key: value for key, value in (options or {}).items() if value is not None}
    unknown = sorted(set(options) - set(OPTIONS))
    if unknown:
        raise ValueError(f"SYNTHETIC.{unknown[0]} is not a setting. Known: {', '.join(OPTIONS)}.")
    name = options.pop("PRESET", "standard")
    if name not in PRESETS:
        raise ValueError(f"SYNTHETIC.PRESET is {name!r}. Known: {', '.join(sorted(PRESETS))}.")
    changes = {key.lower(): _value(key.lower(), value) for key, value in options.items()}
    return dataclasses.replace(PRESETS[name], **changes)


def fingerprint(settings: Settings) -> str:
    """Eight hex digits of everything that changes a recording; the number of subjects does not."""
    values = dataclasses.asdict(settings)
    del values["subjects"], values["preset"]
    if values["face"] == "portrait":  # what was rendered before there was a choice stays valid
        del values["face"]
    if values["crf"][0] == values["crf"][1]:  # likewise
        values["crf"] = values["crf"][0]
    return hashlib.sha256(json.dumps([FORMAT, values], sort_keys=True).encode()).hexdigest()[:8]


def folder_name(settings: Settings) -> str:
    """Name of the folder that holds the recordings of these settings: preset and fingerprint."""
    return f"{settings.preset}-{fingerprint(settings)}"


def _value(name: str, value: Any) -> Any:
    default = getattr(_STANDARD, name)
    choices = {"codec": CODECS, "background": BACKGROUNDS, "face": FACES}.get(name)
    if choices:
        if value not in choices:
            raise ValueError(f"SYNTHETIC.{name.upper()} is {value!r}. Known: {', '.join(choices)}.")
        return value
    if isinstance(default, tuple):
        return _sequence(name, value, type(default[0]))
    if name == "seed":
        if isinstance(value, bool) or not isinstance(value, Integral) or value < 0:
            raise ValueError(f"SYNTHETIC.SEED is {value!r}; it must be a whole number from 0 on.")
        return int(value)
    if isinstance(default, bool):
        return bool(value)
    return _number(name, value, type(default))


def _sequence(name: str, value: Any, kind: type) -> tuple:
    length = _LENGTHS.get(name)
    values = tuple(value) if isinstance(value, list | tuple) else (value,) * (2 if length == 2 else 1)
    if not values or (length and len(values) != length):
        raise ValueError(f"SYNTHETIC.{name.upper()} is {value!r}; it needs {length or 'one or more'} numbers.")
    numbers = tuple(_number(name, one, kind) for one in values)
    if length == 2 and numbers[0] > numbers[1]:
        raise ValueError(f"SYNTHETIC.{name.upper()} is {value!r}; the lower end comes first.")
    if name == "skin_response" and numbers[1] == 0:
        raise ValueError("SYNTHETIC.SKIN_RESPONSE is relative to green, which must not be 0.")
    return numbers


def _number(name: str, value: Any, kind: type) -> Any:
    low, high = _RANGES[name]
    if isinstance(value, bool) or not isinstance(value, int | float) or not low <= value <= high:
        raise ValueError(f"SYNTHETIC.{name.upper()} is {value!r}; it must be a number from {low} to {high}.")
    if kind is int and value != int(value):
        raise ValueError(f"SYNTHETIC.{name.upper()} is {value!r}; it must be a whole number.")
    return kind(value)
