"""The mode that makes data ready and stops."""

from yacs.config import CfgNode

from registry import MODES
from settings.loaded import SECTIONS
from settings.modes import Mode


def named(config: CfgNode) -> list[str]:
    """Every section that names a data set."""
    return [section for section in SECTIONS if config[section].DATA.DATASET]


MODES.register("preprocess")(Mode("preprocess", named, run="dataset.run:run", video="UNSUPERVISED"))
