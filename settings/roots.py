"""Where the data are: a DATA_PATH that does not exist is looked for below the data roots."""

import os
from pathlib import Path

from registry import DATASETS
from settings.layers import COMMAND_LINE, local_file, local_values, node_of
from settings.loaded import Loaded
from settings.modes import used_sections

OUR_PARTS = ("Train", "Val", "Test", "DATASET_2")  # last folders of a DATA_PATH that also exist below a data root


def find_data(loaded: Loaded, new_paths: bool) -> None:
    """Replace a DATA_PATH that does not exist by the data root's folder of that data set, and say so."""
    for section in used_sections(loaded.config):
        data = loaded.config[section].DATA
        key = f"{section}.DATA.DATA_PATH"
        if not data.DATASET or (data.DATA_PATH and os.path.exists(data.DATA_PATH)):
            continue
        if data.DATASET in DATASETS and DATASETS[data.DATASET].generated:
            continue
        if loaded.sources.get(key) == COMMAND_LINE:
            if not new_paths:
                raise loaded.error(key, f"is {data.DATA_PATH!r}, which does not exist.")
            continue
        for place, path in data_candidates(data.DATASET, data.DATA_PATH or ""):
            if path.exists():
                loaded.log.append(f"{key}: {str(data.DATA_PATH)!r} does not exist; reading {str(path)!r} ({place}).")
                data.DATA_PATH = str(path)
                break


def data_candidates(dataset: str, data_path: str) -> list[tuple[str, Path]]:
    """Where else a data set may lie, with who says so: below $RPPG_DATA, then what the local file says."""
    local = local_values()
    last = Path(data_path).name
    parts = [last] if last in OUR_PARTS else []
    mapped = node_of(local, "DATA_PATHS").get(dataset)
    roots = [("RPPG_DATA", os.environ.get("RPPG_DATA")), (str(local_file()), local.get("DATA_ROOT"))]
    found = [(place, Path(root, dataset)) for place, root in roots if root]
    found += [(str(local_file()), Path(mapped))] if mapped else []
    below = [(place, path.joinpath(*parts)) for place, path in found]
    return below + found if last == "DATASET_2" else below
