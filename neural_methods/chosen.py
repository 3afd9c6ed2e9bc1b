"""Who measures own videos: what `--method` and `--weights` stand for, as settings. torch only where weights need it."""

import os
from pathlib import Path
from typing import Any

from dataset.prepare.node import plain
from registry import METHODS, UNSUPERVISED, did_you_mean
from settings.layers import Override
from unsupervised_methods.network import crop_settings, settings_of
from unsupervised_methods.onnx_file import ENDING

SHIPPED = Path(__file__).resolve().parent / "weights"
PREPROCESS = "UNSUPERVISED.DATA.PREPROCESS"
ELSEWHERE = {"CROP_FACE", "DECODER", "DATA_AUG", "USE_PSUEDO_PPG_LABEL"}  # of PREPROCESS: not what a network reads


def chosen(method: str, weights: str, file: str | None, changed: list[Override]) -> tuple[str | None, list[Override]]:
    """The file to run (None: the one of own videos) and the settings by which `method` measures.

    `method`: an ONNX file; a neural method, with `weights`, which `file` describes where nothing else does; or a
    classical method. Errors of one sentence for what is none of them, or does not go together.
    """
    if method.lower().endswith(ENDING):
        if weights:
            raise ValueError(f"--weights {weights}: '{method}' holds its own weights. Leave --weights out.")
        return file, settings_of(method)
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


def shipped(method: str) -> str:
    """The weights of `method` that come with the toolbox; "" where none do."""
    path = SHIPPED / f"{method.lower()}.safetensors"
    return str(path) if method in METHODS.listed() and path.is_file() else ""


def _with_weights(method: str, weights: str, file: str | None, changed: list[Override]) -> list[Override]:
    """The settings of mode `measure` for weights of a neural method."""
    from neural_methods.described import described, expects_of

    config = described(weights, method, file, [one for one in changed if _of_model(one)]).config
    trainer = METHODS[config.MODEL.NAME](config)
    section = config[trainer.section].DATA.PREPROCESS
    found: list[tuple[str, Any]] = [
        (f"{PREPROCESS}.{key}", plain(section[key])) for key in section if key not in ELSEWHERE
    ]
    found += crop_settings(expects_of(trainer))
    options = [(f"MODEL.{key}", plain(value)) for key, value in config.MODEL.items() if key != "MODEL_DIR"]
    return [("TOOLBOX_MODE", "measure"), ("INFERENCE.MODEL_PATH", os.path.abspath(weights)), *options, *found]


def _of_model(override: Override) -> bool:
    key = override.partition("=")[0] if isinstance(override, str) else override[0]
    return key.startswith("MODEL.")
