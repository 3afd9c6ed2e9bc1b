"""The file of a whole run on faces of 16 x 16 pixels, from which the tests of training start."""

from collections.abc import Mapping
from pathlib import Path

DATA = """
  DATA:
    DATASET: {dataset}
    DATA_PATH: {folder}/raw
    CACHED_PATH: {folder}/cache
    FS: 30
    BEGIN: {begin}
    END: {end}
    PREPROCESS:
      DATA_TYPE: ['DiffNormalized']
      LABEL_TYPE: DiffNormalized
      CHUNK_LENGTH: {length}
      CROP_FACE: {{DO_CROP_FACE: False}}
      RESIZE: {{W: 16, H: 16}}
"""
ALL_OF_IT = {"TRAIN": (0.0, 1.0), "VALID": (0.0, 1.0), "TEST": (0.0, 1.0)}


def write_run(
    path: Path, dataset: str, parts: Mapping[str, tuple[float, float]] = ALL_OF_IT, length: int = 32, more: str = ""
) -> Path:
    """A file that trains and tests on these parts (BEGIN, END) of a data set, beside which raw data and cache lie."""
    (path.parent / "raw").mkdir(exist_ok=True)
    text = f"TOOLBOX_MODE: train_and_test\nDEVICE: cpu\nNUM_WORKERS: 0\nPREPROCESS_WORKERS: 1\n{more}"
    for name, (begin, end) in parts.items():
        text += f"{name}:" + DATA.format(dataset=dataset, folder=path.parent, begin=begin, end=end, length=length)
    path.write_text(text)
    return path
