"""UNSUPERVISED: the keys of classical methods."""

from yacs.config import CfgNode

from registry import UNSUPERVISED
from settings.checks import each, one_of, registered
from settings.loaded import Check, Loaded, Owner
from settings.modes import mode_of, used_sections

REGIONS = ("box", "inner", "skin", "cheeks_forehead")  # of UNSUPERVISED.ROI
PSEUDO = "UNSUPERVISED.DATA.PREPROCESS.USE_PSUEDO_PPG_LABEL"


def declare_classical(tree: CfgNode) -> None:
    """Enter the node."""
    tree.UNSUPERVISED = unsupervised_section()


def unsupervised_section() -> CfgNode:
    """Classical methods."""
    node = CfgNode()
    node.METHOD = []  # names in the order they run; `--list` shows them
    node.METRICS = []  # as TEST.METRICS
    node.ROI = "box"  # what of the stored face is measured: box (all of it), inner, skin, cheeks_forehead
    node.OUTPUT_SAVE_DIR = ""  # waves as CSV, where set as pickles, too; '': <LOG.PATH>/<EXP_DATA_NAME>/saved_outputs
    node.OVERLAY = False  # of videos without labels: the video with region, wave and rate drawn in (--overlay)
    return node


def check_labels(loaded: Loaded) -> None:
    """ConfigError where a classical method would be judged by another one."""
    config = loaded.config
    judged = mode_of(config).evaluates and "UNSUPERVISED" in used_sections(config)
    if judged and config.UNSUPERVISED.DATA.PREPROCESS.USE_PSUEDO_PPG_LABEL:
        raise loaded.error(PSEUDO, "is True, but a classical method is judged by measured labels. Set it to False.")


def check_overlay(loaded: Loaded) -> None:
    """ConfigError where no classical method measures what would be drawn."""
    config = loaded.config
    if config.UNSUPERVISED.OVERLAY and mode_of(config).video != "UNSUPERVISED":
        problem = (
            f"is True, but TOOLBOX_MODE {config.TOOLBOX_MODE} draws nothing into videos: use --video without a file."
        )
        raise loaded.error("UNSUPERVISED.OVERLAY", problem)


CHECKS: dict[str, Check] = {
    "UNSUPERVISED.METHOD": each(registered(UNSUPERVISED), filled=True),
    "UNSUPERVISED.ROI": one_of(*REGIONS),
}

CLASSICAL = Owner(
    declare_classical,
    lambda: CHECKS,
    rules=(check_labels, check_overlay),
    later=("UNSUPERVISED.OVERLAY", "UNSUPERVISED.ROI"),
)
