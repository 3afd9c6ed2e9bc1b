"""Breathing: a wave in a slower band, with rates in breaths per minute."""

from collections.abc import Iterable

from evaluation import console, respiration
from evaluation.kinds.base import Head, Predicted
from evaluation.kinds.wave import Wave
from evaluation.presets import Preset
from evaluation.results import RecordingResult
from evaluation.summary import Table
from registry import KINDS


@KINDS.register("breathing")
class Breathing(Wave):
    """The respiration; a wave called `resp` is one, whatever kind its method names."""

    quantity = respiration.QUANTITY

    def title(self, head: Head) -> str:
        """What reports call it."""
        return "Respiration" if head.name == "resp" else head.name

    def presets(self, head: Head) -> list[Preset]:
        """Those of the pulse, with the band and the trend of breathing."""
        return respiration.presets(head.settings.presets)

    def names(self, head: Head) -> list[str]:
        """Without MACC: waves this slow always look alike."""
        return respiration.metrics(head.settings.metrics)

    def results(self, recordings: Iterable[Predicted], head: Head) -> list[RecordingResult]:
        """With references of an ordinary rate."""
        return respiration.prepared(super().results(recordings, head))

    def lines(self, found: list[Table], head: Head) -> list[str]:
        """rPPG-Toolbox's box and lines of the last preset."""
        last = found[-1]
        words = respiration.lines(last, head.settings.estimator)
        return [*respiration.header(found), console.header(last), *words, *console.excluded_lines(last)]
