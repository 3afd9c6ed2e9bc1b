"""Modes with a network: train and test it, only train it, only test it, measure recordings without labels by it."""

from pathlib import Path

from yacs.config import CfgNode

from registry import MODES
from settings.modes import Mode

ONLY_TEST = "only_test"  # for commands that test weights they are given; as registered below
TRAIN_AND_TEST = "train_and_test"  # for dialects of configurations that know one mode


def validates(config: CfgNode) -> bool:
    """Whether a training looks at VALID.DATA after its epochs."""
    return bool(not config.TEST.USE_LAST_EPOCH or config.VALID.MONITOR)


def trained(config: CfgNode) -> list[str]:
    """TRAIN, and VALID where it is looked at."""
    return ["TRAIN", "VALID"] if validates(config) else ["TRAIN"]


def trained_and_tested(config: CfgNode) -> list[str]:
    """As `trained`, and TEST."""
    return [*trained(config), "TEST"]


def model_title(config: CfgNode) -> str:
    """The name of the model file."""
    return config.TRAIN.MODEL_FILE_NAME or f"{config.MODEL.NAME}_{config.TRAIN.DATA.DATASET}"


def weights_title(config: CfgNode) -> str:
    """The tested weights and the data set."""
    return f"{Path(config.INFERENCE.MODEL_PATH).stem}_{config.TEST.DATA.DATASET}"


def weights_on_videos(config: CfgNode) -> str:
    """The weights and the data set of recordings without labels."""
    return f"{Path(config.INFERENCE.MODEL_PATH).stem}_{config.UNSUPERVISED.DATA.DATASET}"


MODES.register("train_and_test")(
    Mode(
        TRAIN_AND_TEST,
        trained_and_tested,
        run="neural_methods.run:train_and_test",
        output=("TEST", "saved_test_outputs"),
        reads=("TRAIN", "VALID", "TEST", "MODEL", "INFERENCE"),
        splits=("kfold", "loso", "random"),
        title=model_title,
    )
)
MODES.register("train")(
    Mode(
        "train",
        trained,
        run="neural_methods.run:train",
        reads=("TRAIN", "VALID", "MODEL"),
        splits=("random",),
        title=model_title,
    )
)
MODES.register("only_test")(
    Mode(
        ONLY_TEST,
        ("TEST",),
        run="neural_methods.run:only_test",
        output=("TEST", "saved_test_outputs"),
        reads=("TEST", "MODEL", "INFERENCE"),
        needs={"INFERENCE.MODEL_PATH": "a file of weights"},
        video="TEST",
        title=weights_title,
    )
)
MODES.register("measure")(
    Mode(
        "measure",
        ("UNSUPERVISED",),
        run="neural_methods.measuring:run",
        output=("UNSUPERVISED", "saved_outputs"),
        reads=("UNSUPERVISED", "MODEL", "INFERENCE"),
        needs={"INFERENCE.MODEL_PATH": "a file of weights"},
        video="UNSUPERVISED",
        title=weights_on_videos,
    )
)
