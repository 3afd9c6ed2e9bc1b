"""ICA: independent component analysis (JADE) of the three colours; the most periodic source is the pulse.

Poh, McDuff and Picard, "Non-contact, automated cardiac pulse measurements using video imaging and blind source
separation", Optics Express 18(10), 2010. JADE: Cardoso and Souloumiac, "Blind beamforming for non-Gaussian
signals", IEE Proceedings F 140(6), 1993.
"""

import numpy as np

from evaluation.post_process import bandpass, detrend, in_band
from registry import UNSUPERVISED
from unsupervised_methods.checks import checked, ratio

ROUNDING = 1e-10  # of a channel's level: what moves less does not move
SWEEPS = 200  # Jacobi needs fewer than ten; the limit only guards against an endless loop


@UNSUPERVISED.register("ICA")
def ica(rgb: np.ndarray, fs: float, band: tuple[float, float] | None = None) -> np.ndarray:
    """Pulse (T,) up to its sign from mean skin colour `rgb` (T, 3) at `fs` (Hz), band-passed to 0.7-2.5 Hz.

    With `band` (Hz) the colours are unmixed, and the source is chosen, by what they do inside it, and the source comes
    unfiltered: drift and motion outside the band decide nothing. Raises ValueError for fewer than 22 frames, or 28 with
    `band`. Channels that move exactly alike give fewer sources.
    """
    rgb = checked(rgb, fs, "ICA", shortest=22 if band is None else 28)
    if band is None:
        return bandpass(most_periodic(jade(_scaled(detrend(rgb), rgb).T)), fs, (0.7, 2.5), order=3)
    inside = in_band(rgb, fs, band)
    first, second = unmixing(_scaled(inside, rgb).T)
    mixed = ratio(rgb - rgb.mean(axis=0), _spread(inside, rgb))
    return (first @ (second @ mixed.T))[chosen(first @ (second @ _scaled(inside, rgb).T))]


def _scaled(moving: np.ndarray, rgb: np.ndarray) -> np.ndarray:
    """`moving`, the detrended or filtered `rgb` (T, 3), centred and of unit spread in every channel that moves."""
    return ratio(moving - moving.mean(axis=0), _spread(moving, rgb))


def _spread(moving: np.ndarray, rgb: np.ndarray) -> np.ndarray:
    spread = moving.std(axis=0)
    spread[spread <= ROUNDING * np.abs(rgb).max(axis=0)] = (
        0.0  # a still channel must not become scaled-up rounding noise
    )
    return np.broadcast_to(spread, rgb.shape)


def most_periodic(sources: np.ndarray) -> np.ndarray:
    """The row of `sources` (n, T) whose normalised power spectrum has the highest single bin (DC left out)."""
    return sources[chosen(sources)]


def chosen(sources: np.ndarray) -> int:
    """The number of that row."""
    length = sources.shape[1]
    power = np.abs(np.fft.rfft(sources, axis=1))[:, 1 : (length - 1) // 2 + 1] ** 2
    return int(ratio(power.max(axis=1), power.sum(axis=1)).argmax())


def jade(signals: np.ndarray) -> np.ndarray:
    """Independent sources (n, T) of real `signals` (n, T), up to order and sign."""
    rotation, whitening = unmixing(signals)
    return rotation @ (whitening @ signals)


def unmixing(signals: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The two matrices (n, n) by which `signals` (n, T) become independent: the second is applied first."""
    whitening = _whitening(signals)
    matrices = _cumulant_matrices(whitening @ signals)
    rotation = _joint_diagonaliser(matrices, threshold=0.01 / np.sqrt(signals.shape[1]))
    return rotation.T, whitening


def _whitening(signals: np.ndarray) -> np.ndarray:
    """What makes `signals` (n, T) decorrelated and of unit power: the inverse square root of their second moments."""
    values, vectors = np.linalg.eigh(signals @ signals.T / signals.shape[1])
    keep = values > values[-1] * 1e-12  # equal channels leave directions without power
    inverse = np.where(keep, 1 / np.sqrt(np.where(keep, values, 1.0)), 0.0)
    return (vectors * inverse) @ vectors.T


def _cumulant_matrices(white: np.ndarray) -> np.ndarray:
    """The n strongest eigenmatrices (n, n, n) of the fourth-order cumulants, scaled by their eigenvalues."""
    n, length = white.shape
    products = (white[:, None] * white[None]).reshape(n * n, length)
    moments = (white @ white.T) / length
    cumulants = (products @ products.T / length).reshape(n, n, n, n)  # axes l, k, j, i
    for axes in ("ij,lk->lkji", "ik,lj->lkji", "il,jk->lkji"):
        cumulants = cumulants - np.einsum(axes, moments, moments)
    values, vectors = np.linalg.eigh(cumulants.reshape(n * n, n * n))
    strongest = np.argsort(-np.abs(values))[:n]
    return (np.abs(values[strongest]) * vectors[:, strongest]).T.reshape(n, n, n)


def _joint_diagonaliser(matrices: np.ndarray, threshold: float) -> np.ndarray:
    """The rotation (n, n) that makes all symmetric `matrices` (k, n, n) as diagonal as possible: Jacobi sweeps."""
    matrices, n = matrices.copy(), matrices.shape[1]
    rotation = np.eye(n)
    pairs = [(p, q) for p in range(n) for q in range(p + 1, n)]
    for _ in range(SWEEPS):
        if not any([_rotate(matrices, rotation, p, q, threshold) for p, q in pairs]):
            break
    return rotation


def _rotate(matrices: np.ndarray, rotation: np.ndarray, p: int, q: int, threshold: float) -> bool:
    """Turn the plane (p, q) of `matrices` and `rotation` in place; False when the angle is below `threshold`."""
    difference = matrices[:, p, p] - matrices[:, q, q]
    off = matrices[:, p, q] + matrices[:, q, p]
    gram = np.array([[difference @ difference, difference @ off], [difference @ off, off @ off]])
    a1, a2 = np.linalg.eigh(gram)[1][:, -1]
    if a1 < 0:
        a1, a2 = -a1, -a2
    c = np.sqrt(0.5 + a1 / 2)
    s = a2 / (2 * c)
    if abs(s) <= threshold:
        return False
    turn = np.array([[c, -s], [s, c]])
    pair = [p, q]
    rotation[:, pair] = rotation[:, pair] @ turn
    matrices[:, pair, :] = turn.T @ matrices[:, pair, :]
    matrices[:, :, pair] = matrices[:, :, pair] @ turn
    return True
