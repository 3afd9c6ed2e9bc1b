"""What an evaluation needs of the configuration, read once and as plain values."""

from dataclasses import dataclass, replace
from typing import Any

from evaluation.metrics import check_names
from evaluation.neurokit import require
from evaluation.presets import METHODS, Preset, preset
from evaluation.truth import check_source


@dataclass(frozen=True)
class Settings:
    """How a run is evaluated.

    preset, exact  the one whose lines are printed, and the exact one     fs     configured frames per second; 0: own
    chunk          frames of a chunk that counts as a recording; 0: whole recordings
    """

    metrics: list[str]
    estimator: str
    window_seconds: float | None
    preset: Preset
    exact: Preset
    fs: float
    chunk: int

    @property
    def presets(self) -> tuple[Preset, ...]:
        """All that is evaluated: `exact` first, then the chosen one unless it is the same."""
        return tuple(dict.fromkeys([self.exact, self.preset]))


def read_settings(config: Any, section: str) -> Settings:
    """The settings of `section` (TEST or UNSUPERVISED), checked before hours of work: ValueError names the key.

    Chunks count as recordings for classical methods alone, as in rPPG-Toolbox.
    """
    node, inference = getattr(config, section), config.INFERENCE
    check_names(node.METRICS, f"{section}.METRICS")
    if inference.EVALUATION_METHOD not in METHODS:
        raise ValueError(
            f"INFERENCE.EVALUATION_METHOD is {inference.EVALUATION_METHOD!r}; known: {', '.join(METHODS)}."
        )
    preset(inference.PRESET).follows(inference.EVALUATION_METHOD)
    window, band, process = inference.EVALUATION_WINDOW, list(inference.HR_BAND), node.DATA.PREPROCESS
    source = str(inference.REFERENCE)
    check_source(source)
    require(str(inference.BEATS))
    exact, chosen = (
        replace(preset(name, band, source), beats=str(inference.BEATS)) for name in ("exact", inference.PRESET)
    )
    return Settings(
        metrics=list(node.METRICS),
        estimator=inference.EVALUATION_METHOD,
        window_seconds=float(window.WINDOW_SIZE) if window.USE_SMALLER_WINDOW else None,
        preset=replace(chosen, widened=chosen.widened and bool(inference.BLAND_ALTMAN_CORRECTION)),
        exact=exact,
        fs=float(node.DATA.RESAMPLE_FS or node.DATA.FS),
        chunk=int(process.CHUNK_LENGTH) if section == "UNSUPERVISED" and process.DO_CHUNK else 0,
    )
