"""The keys of EfficientPhys."""

from collections.abc import Iterator
from pathlib import Path

from yacs.config import CfgNode

from neural_methods.options import Published
from settings.modes import used_sections

FRAMES, LABELS = "Standardized", "DiffNormalized"  # that the released weights were trained on


def _other_representation(config: CfgNode) -> Iterator[str]:
    section, weights = used_sections(config)[-1], Path(config.INFERENCE.MODEL_PATH).stem
    prepared = config[section].DATA.PREPROCESS
    differs = (list(prepared.DATA_TYPE), prepared.LABEL_TYPE) != ([FRAMES], LABELS)
    if weights.endswith("_EfficientPhys") and differs:
        yield (
            f"{section}.DATA feeds {'+'.join(prepared.DATA_TYPE)} frames and {prepared.LABEL_TYPE} labels to "
            f"{weights}, which was trained on {FRAMES} frames and {LABELS} labels."
        )


METHOD = Published(
    "EfficientPhys",
    {"EFFICIENTPHYS": {"FRAME_DEPTH": 10}},  # frames per temporal shift segment
    warnings=(_other_representation,),
)
