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
    node.NETWORK = ""  # an ONNX file that votes alone on videos without labels (--method FILE.onnx)
    node.OVERLAY = False  # of videos without labels: the video with region, wave and rate drawn in (--overlay)
    return node


def check_labels(loaded: Loaded) -> None:
    """ConfigError where a classical method would be judged by another one."""
    config = loaded.config
    judged = mode_of(config).evaluates and "UNSUPERVISED" in used_sections(config)
    if judged and config.UNSUPERVISED.DATA.PREPROCESS.USE_PSUEDO_PPG_LABEL:
        raise loaded.error(PSEUDO, "is True, but a classical method is judged by measured labels. Set it to False.")


def check_own_videos(loaded: Loaded) -> None:
    """ConfigError where a mode does not read what is asked of own videos."""
    config = loaded.config
    asked = {"OVERLAY": "draws nothing into videos", "NETWORK": "runs no ONNX file"}
    for key, does in asked.items() if mode_of(config).video != "UNSUPERVISED" else ():
        if config.UNSUPERVISED[key]:
            problem = f"is {config.UNSUPERVISED[key]}, but TOOLBOX_MODE {config.TOOLBOX_MODE} {does}: use --video "
            raise loaded.error(f"UNSUPERVISED.{key}", f"{problem}without a file.")


CHECKS: dict[str, Check] = {
    "UNSUPERVISED.METHOD": each(registered(UNSUPERVISED), filled=True),
    "UNSUPERVISED.ROI": one_of(*REGIONS),
}

CLASSICAL = Owner(
    declare_classical,
    lambda: CHECKS,
    rules=(check_labels, check_own_videos),
    later=("UNSUPERVISED.OVERLAY", "UNSUPERVISED.ROI", "UNSUPERVISED.NETWORK"),
)
