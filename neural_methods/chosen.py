"""Who measures own videos: what `--method` and `--weights` stand for, as settings, and for frames as they come.

torch only where weights need it.
"""

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

from config import DEFAULT_FILE, read
from dataset.own_videos import FILE
from dataset.prepare.node import plain
from registry import METHODS, UNSUPERVISED, did_you_mean
from settings.layers import Override
from unsupervised_methods.network import crop_settings, named_network, settings_of
from unsupervised_methods.onnx_file import ENDING

if TYPE_CHECKING:
    from unsupervised_methods.live.voters import Voter

MEASURE = "measure"  # the mode of networks with weights
SHIPPED = Path(__file__).resolve().parent / "weights"
PREPROCESS = "UNSUPERVISED.DATA.PREPROCESS"
NEEDS = "{}: this network needs {}, which is not installed: pip install -r requirements.txt."
ELSEWHERE = {"CROP_FACE", "DECODER", "DATA_AUG", "USE_PSUEDO_PPG_LABEL"}  # of PREPROCESS: not what a network reads


def chosen(method: str, weights: str, file: str | None, changed: list[Override]) -> tuple[str | None, list[Override]]:
    """The file to run (None: the one of own videos) and the settings by which `method` measures.

    `method`: an ONNX file; a neural method, with `weights`, which `file` describes where nothing else does; or a
    classical method. Errors of one sentence for what is none of them, does not go together, or lacks a package.
    """
    if method.lower().endswith(ENDING):
        if weights:
            raise ValueError(f"--weights {weights}: '{method}' holds its own weights. Leave --weights out.")
        return file, settings_of(method)
    if package := METHODS.lacks(method):
        raise ImportError(NEEDS.format(f"--method {method}", package))
    if not weights and method not in UNSUPERVISED:
        weights = shipped(method)
    if weights:
        return None, _with_weights(method, weights, file, changed)
    if method in UNSUPERVISED:
        return file, [("UNSUPERVISED.METHOD", [method])]
    if method in METHODS.listed():
        raise ValueError(f"--method {method} is a network: name a file of its weights, --weights FILE.pth.")
    known = [*UNSUPERVISED.listed(), *METHODS.listed()]
    raise ValueError(
        f"--method {method} is no known method and no {ENDING} file.{did_you_mean(method, known)} "
        f"Known: {', '.join(known)}."
    )


def live(method: str, weights: str = "") -> "Voter":
    """Who measures frames as they come: what `method` and `weights` stand for, with the errors of `chosen`.

    ValueError for a network that reads pixels.
    """
    from unsupervised_methods.live.voters import Classical, OfNetwork

    config = read(str(DEFAULT_FILE.with_name(FILE)), chosen(method, weights, None, [])[1]).config
    if config.TOOLBOX_MODE == MEASURE:
        from neural_methods.measuring import network_of

        return OfNetwork(network_of(config))
    network = named_network(config)
    return OfNetwork(network) if network else Classical(config.UNSUPERVISED.METHOD)


def shipped(method: str) -> str:
    """The weights of `method` that come with the toolbox; "" where none do."""
    path = SHIPPED / f"{method.lower()}.safetensors"
    return str(path) if method in METHODS.listed() and path.is_file() else ""


def _with_weights(method: str, weights: str, file: str | None, changed: list[Override]) -> list[Override]:
    """The settings of mode `measure` for weights of a neural method."""
    try:
        from neural_methods.described import described, expects_of
    except ModuleNotFoundError as error:
        raise ImportError(NEEDS.format(f"--weights {weights}", error.name)) from None
    config = described(weights, method, file, [one for one in changed if _of_model(one)]).config
    trainer = METHODS[config.MODEL.NAME](config)
    section = config[trainer.section].DATA.PREPROCESS
    found: list[tuple[str, Any]] = [
        (f"{PREPROCESS}.{key}", plain(section[key])) for key in section if key not in ELSEWHERE
    ]
    found += crop_settings(expects_of(trainer))
    options = [(f"MODEL.{key}", plain(value)) for key, value in config.MODEL.items() if key != "MODEL_DIR"]
    return [("TOOLBOX_MODE", MEASURE), ("INFERENCE.MODEL_PATH", os.path.abspath(weights)), *options, *found]


def _of_model(override: Override) -> bool:
    key = override.partition("=")[0] if isinstance(override, str) else override[0]
    return key.startswith("MODEL.")
