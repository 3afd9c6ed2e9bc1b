"""What the tests of the data doctor share: a recording with planted defects, and what is said of it."""

from pathlib import Path

import cv2
import numpy as np

from dataset.data_loader.base import BaseLoader, Recording, Signal
from dataset.doctor.examine import Job, Report
from dataset.doctor.finding import Finding
from dataset.face.crop import FaceCrop
from dataset.store.cache import Cache

FS = 30.0
SKIN, RESPONSE = np.array([170.0, 120.0, 100.0]), np.array([0.33, 0.77, 0.53])
CROP = FaceCrop(size=(16, 16))


def heart(times: np.ndarray, bpm: float = 72.0, seed: int = 0) -> np.ndarray:
    """A pulse wave at `times` (s), rising with the blood, whose rate wanders as that of a person."""
    clock = np.arange(-10.0, times[-1] + 10.0, 0.01)
    wander = np.interp(clock, clock[::200], np.random.default_rng(seed).normal(0, 0.05, len(clock[::200])))
    phase = 2 * np.pi * np.cumsum(bpm / 60 * (1 + wander)) * 0.01
    angle = np.interp(times, clock, phase)
    return np.sin(angle) + 0.3 * np.sin(2 * angle)


def make(
    folder: Path, name: str = "one", times=None, faces=lambda faces: faces, flags=None, ppg=None, box=90, **more
) -> Job:
    """A cache entry of 20 s with a painted pulse, and the job to examine it; the arguments plant defects.

    `faces` changes the frames (T, H, W, 3), `ppg` is the signal in place of one in step with the video,
    `more` are signals beside it.
    """
    times = np.arange(600) / FS if times is None else times
    noise = np.random.default_rng(1).normal(0, 2, (len(times), 16, 16, 3))
    features = cv2.GaussianBlur(np.random.default_rng(2).normal(0, 60, (16, 16)), (0, 0), 1.5)[..., None]
    pictures = SKIN * (1 - 0.02 * heart(times)[:, None] * RESPONSE)[:, None, None] + features + noise
    pictures = np.clip(np.rint(faces(pictures)), 0, 255).astype(np.uint8)
    native = np.arange(0.0, 20.0, 1 / 64)
    recording = Recording(name, name, folder / name, {"absent": True})
    cache = Cache(folder / "cache", {})
    with cache.write(recording) as entry:
        for face, time in zip(pictures, times, strict=True):
            entry.append(face, (10, 10, box, box), float(time))
        entry.signals = {"ppg": ppg or Signal(heart(native), times=native), **more}
        entry.flags = {"face_coverage": 1.0, **(flags or {})}
    return Job("TEST", recording, BaseLoader(), cache, CROP, {"TEST.DATA.FS": FS})


def asked_for():
    """Asked for by the tests that look at the pictures of waves."""


def draws_where_asked(request, monkeypatch):
    """Drawing takes longer than all checks."""
    if "plots" not in request.fixturenames:
        monkeypatch.setattr("dataset.doctor.examine.draw", lambda *_: b"")


def noticed(report: Report) -> dict[str, str]:
    """Check -> grade of everything that is not fine."""
    assert not report.error
    return {finding.check: finding.grade for finding in report.findings if finding.grade not in ("ok", "")}


def found(report: Report, check: str) -> Finding:
    """The finding of one check."""
    return next(finding for finding in report.findings if finding.check == check)
