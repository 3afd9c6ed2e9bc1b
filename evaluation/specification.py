"""What an evaluation is: everything that changes its numbers, in one frozen object that is saved with every table."""

from dataclasses import asdict, dataclass
from typing import Any

from evaluation.presets import Preset


@dataclass(frozen=True)
class Specification:
    """How rates and errors come about. Two tables with equal ones may stand side by side.

    window_s, stride_s  seconds of a window and from one to the next; None: whole recordings
    band_hz             lowest and highest rate looked for; the filter's band, too
    estimator           from a filtered wave to a rate            reference  what the true rate is read off
    filter, detrending  what a wave goes through before           weighting  what counts once in a mean
    shortest_s          shorter windows are listed, not judged    unit       of the rates
    """

    preset: str
    window_s: float | None
    stride_s: float | None
    band_hz: tuple[float, float]
    estimator: str
    filter: str
    detrending: str
    reference: str
    weighting: str = "each window counts once"
    shortest_s: float = 0.0
    unit: str = "bpm"

    @classmethod
    def of(cls, preset: Preset, estimator: str, window_s: float | None) -> "Specification":
        """That of `preset` with windows of `window_s` seconds; `estimator` is the name of what runs."""
        low, high = preset.band
        return cls(
            preset.name, window_s, window_s, (float(low), float(high)), estimator, _filter(preset),
            _detrending(preset), preset.reference_words, shortest_s=preset.min_seconds, unit=preset.unit,
        )  # fmt: skip

    @property
    def line(self) -> str:
        """All of it in one line."""
        window = "whole recordings"
        if self.window_s:
            window = f"{self.window_s:g} s windows every {self.stride_s:g} s"
        shortest = f" of at least {self.shortest_s:g} s" if self.shortest_s else ""
        return (
            f"preset {self.preset}; {window}{shortest}; band {self.band_hz[0]:g}-{self.band_hz[1]:g} Hz; "
            f"{self.estimator}; {self.filter}; {self.detrending}; reference: {self.reference}; {self.weighting}"
        )

    def as_dict(self) -> dict[str, Any]:
        """For metrics.json."""
        return {**asdict(self), "band_hz": list(self.band_hz), "line": self.line}

    def difference(self, other: "Specification") -> list[str]:
        """The names of the fields in which `other` differs."""
        return [name for name, value in asdict(self).items() if value != getattr(other, name)]


def _filter(preset: Preset) -> str:
    if preset.flat:
        return f"band-pass of order {preset.filter_order}, flat within 1 dB over the band (order 1 for summed waves)"
    return f"Butterworth band-pass of order {preset.filter_order}, both ways"


def _detrending(preset: Preset) -> str:
    if preset.flat:
        return "smoothness priors that follow band and frame rate"
    return f"smoothness priors, lambda {preset.detrend:g}"
