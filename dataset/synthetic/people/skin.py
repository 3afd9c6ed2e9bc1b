"""Colour of skin from what is in it, by the dichromatic model (W. Wang et al., IEEE TBME 64(7), 2017).

Light from the depth of the skin is what bloodless, unpigmented skin returns, less what melanin and blood absorb; light
from the surface keeps the lamp's colour and knows neither. Colours are linear light of a D65 display's R, G, B.
"""

import numpy as np

_BLOODLESS = np.array([0.87, 0.71, 0.56])  # returned by the depth of the skin without melanin and without blood
_SURFACE = 0.022  # returned by the surface in all directions
_MELANIN = np.array([0.70, 1.0, 1.71])  # optical density, green 1: wavelength^-3.33 (Jacques 2013) at 600, 540, 460 nm
USUAL_BLOOD = 0.32  # optical density in green of the blood of a cheek, both ways
_TO_XYZ = np.array([[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]])


def albedo(melanin: np.ndarray, blood: np.ndarray, response: tuple[float, float, float]) -> np.ndarray:
    """Share of the light that skin returns (..., 3), from optical densities in green (...) of melanin and blood.

    `response` are the relative shares of R, G, B in which blood absorbs, as the pulse shows them.
    """
    melanin, blood = np.asarray(melanin)[..., None], np.asarray(blood)[..., None]
    density = melanin * np.float32(_MELANIN) + blood * np.float32(np.array(response) / response[1])
    return np.float32(_SURFACE) + np.float32((1 - _SURFACE) * _BLOODLESS) * np.exp(-density)


def typology_angle(colour: np.ndarray) -> np.ndarray:
    """Individual typology angle (degrees, ...) of linear colours (..., 3): atan((L* - 50) / b*), CIELAB under D65.

    Chardon, Cretois and Hourseau, "Skin colour typology and suntanning pathways", Int. J. Cosmet. Sci. 13, 1991.
    """
    xyz = np.asarray(colour, float) @ (_TO_XYZ / _TO_XYZ.sum(axis=1, keepdims=True)).T
    f = np.where(xyz > (6 / 29) ** 3, np.cbrt(xyz), xyz * (29 / 6) ** 2 / 3 + 4 / 29)
    return np.degrees(np.arctan2(116 * f[..., 1] - 16 - 50, 200 * (f[..., 1] - f[..., 2])))


def melanin_of(angle: float, response: tuple[float, float, float]) -> float:
    """Optical density of melanin in green at which skin with the usual blood has this typology angle (degrees)."""
    low, high = -0.2, 6.0
    for _ in range(40):
        middle = (low + high) / 2
        darker = typology_angle(albedo(np.array(middle), np.array(USUAL_BLOOD), response)) < angle
        low, high = (low, middle) if darker else (middle, high)
    return (low + high) / 2
