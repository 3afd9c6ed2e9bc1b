"""INFERENCE: from predicted signals to rates and errors."""

from typing import Any

from yacs.config import CfgNode

from registry import METRICS
from settings.checks import above, at_least, each, not_known, one_of
from settings.loaded import Check, Owner


def declare_inference(tree: CfgNode) -> None:
    """Enter the node."""
    tree.INFERENCE = inference_section()


def inference_section() -> CfgNode:
    """From predicted signals to heart rates and errors."""
    node = CfgNode()
    node.BATCH_SIZE = 4  # clips per forward pass when testing
    node.EVALUATION_METHOD = (
        "FFT"  # FFT, peak detection, welch, or path (PRESET exact): best path through the recording
    )
    node.PRESET = "toolbox"  # toolbox (rPPG-Toolbox's numbers), neurips2023, rhythmformer, exact or cta2065
    node.HR_BAND = []  # lowest and highest rate looked for (Hz), such as [0.6, 3.3]; []: the preset's
    node.REFERENCE = "auto"  # true rates: ppg spectrum, ppg beats, ecg beats, rate column; auto: spectrum of the pulse
    node.BEATS = "own"  # who finds beats in videos and signals without labels: own, or neurokit2 (a package)
    node.BLAND_ALTMAN_CORRECTION = True  # rPPG-Toolbox's presets: limits of agreement times sqrt(2), as it draws them
    node.EVALUATION_WINDOW = CfgNode()
    node.EVALUATION_WINDOW.USE_SMALLER_WINDOW = False  # rate windows shorter than the recording
    node.EVALUATION_WINDOW.WINDOW_SIZE = 10  # seconds
    node.MODEL_PATH = ""  # weights for only_test
    return node


def metric(value: Any) -> str | None:
    """A registered metric, or rPPG-Toolbox's families: every name with BA (Bland-Altman) or AU (action units)."""
    if isinstance(value, str) and ("BA" in value or "AU" in value or value in METRICS):
        return None
    return f"holds {value!r}. {METRICS.hint(value)} Also: BA."


def preset(value: Any) -> str | None:
    """The name of an evaluation preset."""
    from evaluation.presets import PRESETS  # late: only runs that evaluate need it

    return None if value in PRESETS else not_known(value, PRESETS)


def band(value: Any) -> str | None:
    """Nothing, or two rising frequencies in Hz."""
    numbers = isinstance(value, list) and all(isinstance(edge, (int, float)) for edge in value)
    if numbers and (not value or (len(value) == 2 and 0 < value[0] < value[1])):
        return None
    return f"is {value!r}, but must be [] or two rising frequencies in Hz, such as [0.6, 3.3]."


CHECKS: dict[str, Check] = {
    "TEST.METRICS": each(metric),
    "UNSUPERVISED.METRICS": each(metric),
    "INFERENCE.BATCH_SIZE": at_least(1),
    "INFERENCE.EVALUATION_METHOD": one_of("FFT", "peak detection", "welch", "path"),
    "INFERENCE.PRESET": preset,
    "INFERENCE.REFERENCE": one_of("auto", "ppg spectrum", "ppg beats", "ecg beats", "rate column"),
    "INFERENCE.BEATS": one_of("own", "neurokit2"),
    "INFERENCE.HR_BAND": band,
    "INFERENCE.EVALUATION_WINDOW.WINDOW_SIZE": above(0),
}

INFERENCE = Owner(declare_inference, lambda: CHECKS, later=("INFERENCE.REFERENCE", "INFERENCE.BEATS"))
