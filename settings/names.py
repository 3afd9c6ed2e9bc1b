"""What a run is called: the hash of what defines it, its name for people, its folder."""

import hashlib
import json
import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from yacs.config import CfgNode

from settings.loaded import SECTIONS
from settings.modes import mode_of, used_sections

# How and where a run is computed and written; two runs that differ only in these give the same results.
NOT_THE_RUN = {
    "BASE", "DEVICE", "NUM_OF_GPU_TRAIN", "NUM_WORKERS", "PREPROCESS_WORKERS", "SHARD", "DASK", "OVERWRITE", "RESTART",
    "LOG", "CACHED_PATH", "CACHE_ROOT", "DO_PREPROCESS", "DATA_FORMAT", "MODEL_DIR", "OUTPUT_SAVE_DIR", "RESUME",
    "KEEP_CHECKPOINTS", "STATE_EVERY", "PLOT_LOSSES_AND_LR",
}  # fmt: skip
INPUT_PATHS = {"DATA_PATH", "MODEL_PATH", "WEIGHTS", "FOLD_PATH", "FILES", "NETWORK"}


def run_hash(config: CfgNode, later: Mapping[str, Any]) -> str:
    """Eight hexadecimal digits that differ when anything differs that defines the run.

    `later`: keys that are younger than the first run folders, with their defaults. At these they are left out, so that
    a file of before keeps its folder.
    """
    used = used_sections(config)
    kept = {key: value for key, value in config.items() if key not in SECTIONS or key in used}
    text = json.dumps(_essential(kept, "", later), sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:8]


def _essential(node: Any, path: str, later: Mapping[str, Any], beside: Mapping[str, Any] | None = None) -> Any:
    """What of `node`, which stands at `path` among the keys `beside`, defines the run."""
    key = path.rpartition(".")[2]
    if isinstance(node, dict):
        parts = {name: (value, f"{path}.{name}" if path else name) for name, value in node.items()}
        return {
            name: _essential(value, full, later, node)
            for name, (value, full) in parts.items()
            if name not in NOT_THE_RUN and not (full in later and value == later[full])
        }
    if key in INPUT_PATHS and node:
        return [_real(one) for one in node] if isinstance(node, list) else _real(node)
    return _list_identity(beside) if key == "FILE_LIST_PATH" and beside else node


def own_list(data: Mapping[str, Any]) -> bool:
    """Whether FILE_LIST_PATH of a DATA node is a list that somebody named, and not a folder or a name that was derived.

    Names are derived on loading, which sets CACHE_ROOT; files written by `dump` have them, too.
    """
    name = os.path.basename(data["FILE_LIST_PATH"])
    derived = data.get("CACHE_ROOT") and name.startswith(f"{data.get('EXP_DATA_NAME')}_")
    return os.path.splitext(name)[1] == ".csv" and not derived


def _list_identity(data: Mapping[str, Any]) -> str:
    """What a file list says where somebody named one; a name that was derived stands for itself wherever caches lie."""
    path = data["FILE_LIST_PATH"]
    if not own_list(data):
        return os.path.basename(path)
    try:
        return hashlib.sha256(Path(path).read_bytes()).hexdigest() if os.path.isfile(path) else _real(path)
    except OSError:
        return _real(path)


def _real(path: Any) -> Any:
    """`path` with links followed; as it is where it holds letters that no file system takes, or is no path at all."""
    try:
        return os.path.realpath(path)
    except (UnicodeEncodeError, TypeError):
        return path


def run_name(config: CfgNode) -> str:
    """What a person calls the run; by default the first word of the mode and its data sets."""
    mode = mode_of(config)
    if mode.title:
        return mode.title(config)
    names = dict.fromkeys(config[section].DATA.DATASET for section in mode.used(config))
    return f"{mode.name.partition('_')[0]}_{'_'.join(names)}"


def run_folder(config: CfgNode, later: Mapping[str, Any]) -> Path:
    """<LOG.PATH>/runs/<name>-<hash>: everything a run writes beside rPPG-Toolbox's own files."""
    name = re.sub(r"[^\w.+-]+", "_", run_name(config))
    return Path(config.LOG.PATH) / "runs" / f"{name}-{run_hash(config, later)}"


def derive_output(config: CfgNode) -> None:
    """Set the OUTPUT_SAVE_DIR of the mode's section, unless the user did."""
    section, folder = mode_of(config).output or ("", "")
    if section and not config[section].OUTPUT_SAVE_DIR:
        config[section].OUTPUT_SAVE_DIR = os.path.join(config.LOG.PATH, config[section].DATA.EXP_DATA_NAME, folder)
