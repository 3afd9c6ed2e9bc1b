"""All settings of a run: every section declared once, read from YAML files, checked before anything starts.

Read `load_config` first. What wins, from weakest to strongest: the defaults, the `BASE` of a DATA node, the files in
`BASE` in list order, the file itself, `configs/local.yaml`, the environment, `KEY=VALUE` on the command line.

This file puts the parts together: the engine is the package `settings`, and each section is declared by its owner.
"""

import re
from collections.abc import Iterable
from functools import cache
from pathlib import Path
from typing import Any

from yacs.config import CfgNode

from dataset.settings import DATA, DEFAULT_FILE_LIST, data_section
from evaluation.schema import INFERENCE
from neural_methods.schema import NEURAL
from registry import DATASETS, METHODS, MODES, Registry
from settings import names
from settings.checks import at_least, one_of, registered, run_checks
from settings.dialects import translated
from settings.files import ROOT
from settings.layers import (
    Layer,
    Override,
    data_base_layers,
    environment_layers,
    file_layers,
    local_layers,
    named,
    node_of,
    override_layers,
)
from settings.loaded import SECTIONS, Check, ConfigError, Loaded, Owner, value_of
from settings.merging import declare, merge
from settings.modes import mode_of, used_sections
from settings.names import run_name
from settings.roots import find_data
from settings.short_keys import expand
from settings.shown import changes
from unsupervised_methods.schema import CLASSICAL
from unsupervised_methods.signal_schema import SIGNAL

__all__ = [
    "DEFAULT_FILE", "DEFAULT_FILE_LIST", "ROOT", "SECTIONS", "ConfigError", "Loaded", "Override", "dump", "load_config",
    "read", "run_folder", "run_hash", "run_name", "schema", "shard", "used_sections",
]  # fmt: skip

DEFAULT_FILE = ROOT / "configs" / "demo" / "classical.yaml"  # what runs when no file is named: synthetic faces


# --- The general keys -----------------------------------------------------------------------------------------------


def declare_general(node: CfgNode) -> None:
    """Enter the keys of no section."""
    node.BASE = [""]  # files merged before this one, relative to it
    node.TOOLBOX_MODE = ""  # name of a mode; `--list` shows them
    node.SEED = 100  # of all random numbers
    node.DETERMINISTIC = True  # the same numbers at each run on the same machine
    node.DEVICE = "cuda:0"  # cuda:<n>, cpu or auto
    node.NUM_OF_GPU_TRAIN = 1  # more than one needs torchrun
    node.NUM_WORKERS = -1  # processes that read clips; -1: chosen from the machine
    node.PREPROCESS_WORKERS = -1  # processes that preprocess; -1: chosen from cores and memory
    node.ALLOW_INCOMPLETE = False  # go on although recordings failed; tables then say INCOMPLETE
    node.OVERWRITE = False  # preprocess again what is already in the cache (--overwrite)
    node.SHARD = ""  # such as 3/8: preprocess part 3 of 8 of the recordings of each section, and stop (--shard)
    node.DASK = ""  # preprocess on the workers of this dask scheduler, such as tcp://node1:8786 (--dask)
    node.RESTART = False  # start training anew although a state to resume from exists (--restart)
    node.LOG = CfgNode()
    node.LOG.PATH = "runs/exp"  # root of everything written but the cache
    node.LOG.WANDB = "disabled"  # offline or online: curves of trainings to Weights & Biases, too
    node.LOG.BARS = True  # False: no progress bars


def device(value: Any) -> str | None:
    """A device torch can be asked for."""
    if re.fullmatch(r"auto|cpu|mps|cuda(:\d+)?", str(value)):
        return None
    return f"is {value!r}, but must be auto, cpu, mps, cuda or cuda:<number>."


def workers(value: Any) -> str | None:
    """A number of processes, or -1 for as many as fit."""
    return None if value == -1 or value >= 1 else f"is {value!r}, but must be 1 or more, or -1: as many as fit."


def shard(text: str) -> tuple[int, int] | None:
    """(i, n) of a SHARD such as '3/8', counted from 1; None for ''. ValueError says what is wrong."""
    if not text:
        return None
    found = re.fullmatch(r"(\d{1,9})/(\d{1,9})", str(text))
    number, count = map(int, found.groups()) if found else (0, 0)
    if not 1 <= number <= count:
        raise ValueError(f"is {text!r}, but must be i/n with i from 1 to n, such as 3/8: the third of eight parts.")
    return number, count


def shard_text(value: Any) -> str | None:
    """A part of the recordings."""
    try:
        shard(value)
    except ValueError as error:
        return str(error)
    return None


def scheduler(value: Any) -> str | None:
    """Nothing, or the address of a dask scheduler."""
    if not value or re.fullmatch(r"(tcp|tls|wss?|ucx)://\S+:\d+", str(value)):
        return None
    return f"is {value!r}, but must be the address that the scheduler prints, such as tcp://node1:8786."


CHECKS: dict[str, Check] = {
    "SEED": at_least(0),
    "DEVICE": device,
    "NUM_OF_GPU_TRAIN": at_least(0),
    "NUM_WORKERS": at_least(-1),
    "PREPROCESS_WORKERS": workers,
    "SHARD": shard_text,
    "LOG.WANDB": one_of("disabled", "offline", "online"),
    "DASK": scheduler,
}


def check_needs(loaded: Loaded) -> None:
    """What the mode cannot do without; ConfigError."""
    mode = mode_of(loaded.config)
    if mode.sections and not mode.used(loaded.config):
        raise ConfigError(f"{loaded.file}: {mode.name} needs a DATASET in at least one of {', '.join(SECTIONS)}.")
    for key, purpose in mode.needs.items():
        if not value_of(loaded.config, key):
            raise loaded.error(key, f"is not set: {mode.name} needs {purpose}.")


GENERAL = Owner(declare_general, lambda: CHECKS, rules=(check_needs,))
OWNERS = (
    GENERAL,
    NEURAL,
    CLASSICAL,
    SIGNAL,
    DATA,
    INFERENCE,
)  # names are derived from the last to the first: DATA first


# --- Loading --------------------------------------------------------------------------------------------------------


def schema() -> CfgNode:
    """Every key with its default."""
    node = CfgNode()
    for owner in OWNERS:
        owner.declare(node)
    return node


def load_config(path: str | Path | None = None, overrides: Iterable[str] = ()) -> CfgNode:
    """Frozen settings of the file at `path` (None: the synthetic demo), then of `KEY=VALUE` overrides.

    Raises ConfigError with file, key, value and the nearest valid one.
    """
    return read(path, overrides).config


def read(path: str | Path | None = None, overrides: Iterable[Override] = (), *, new_paths: bool = False) -> Loaded:
    """As `load_config`, with the messages for the user.

    An override is `KEY=VALUE`, read as YAML, or (key, value) to be taken as it is.
    `new_paths` True: a DATA_PATH given on the command line need not exist yet.
    """
    path = Path(path or DEFAULT_FILE)
    layers = [*file_layers(path), *local_layers(), *environment_layers(), *override_layers(overrides)]
    layers = translated([*data_base_layers(layers), *layers])
    loaded = Loaded(extended_schema(layers), file=str(path))
    written_out = expand(loaded, layers)
    if loaded.log:  # a short key may name a method or a data set, which has keys of its own: once more, with them
        loaded.config = extended_schema(written_out)
        loaded.log.clear()
        written_out = expand(loaded, layers)
    layers = written_out
    defaults = loaded.config.clone()
    for layer in layers:
        if layer.file:
            loaded.log.append(f"=> Merging a config file from {layer.source}")
        merge(loaded, loaded.config, layer.values, layer.source)
    _check_mode(loaded)
    loaded.changes += changes(loaded, defaults)  # as they were given: nothing is derived yet
    find_data(loaded, new_paths)
    _check(loaded)
    for owner in reversed(OWNERS):
        owner.derive(loaded)
    names.derive_output(loaded.config)
    loaded.config.freeze()
    return loaded


def _check_mode(loaded: Loaded) -> None:
    problem = registered(MODES)(loaded.config.TOOLBOX_MODE)
    if problem:
        raise loaded.error("TOOLBOX_MODE", problem)


def _check(loaded: Loaded) -> None:
    """All checks of keys and of several keys together; ConfigError for the first problem. Then the warnings."""
    run_checks(loaded, {key: check for owner in OWNERS for key, check in owner.checks().items()})
    for rule in (rule for owner in OWNERS for rule in owner.rules):
        rule(loaded)
    loaded.warnings += [warning for owner in OWNERS for rule in owner.warnings for warning in rule(loaded.config)]


def extended_schema(layers: list[Layer]) -> CfgNode:
    """The schema with the OPTIONS of the methods and data sets that any layer names."""
    config = schema()
    if _needs_methods(layers, config):
        for name in named(layers, "MODEL", "NAME"):
            _add_options(config.MODEL, METHODS, name)
    names = [name for section in SECTIONS for name in named(layers, section, "DATA", "DATASET")]
    names += _owners(
        {key for layer in layers for section in SECTIONS for key in node_of(layer.values, section, "DATA")}
    )
    for name in dict.fromkeys(names):
        for section in SECTIONS:
            _add_options(config[section].DATA, DATASETS, name)
    return config


def _needs_methods(layers: list[Layer], config: CfgNode) -> bool:
    """Whether the networks must be imported: a classical run can do without torch."""
    modes = named(layers, "TOOLBOX_MODE")
    if modes and modes[-1] in MODES and MODES[modes[-1]].neural:
        return True
    return any(_has_unknown(node_of(layer.values, "MODEL"), config.MODEL) for layer in layers)


def _has_unknown(values: dict[str, Any], node: CfgNode) -> bool:
    """Whether a key of `values`, or of a section in it, is not in `node`."""
    for key, value in values.items():
        if key not in node:
            return True
        if isinstance(value, dict) and isinstance(node[key], CfgNode) and _has_unknown(value, node[key]):
            return True
    return False


def _owners(keys: set[str]) -> list[str]:
    """The data sets that declare any of these keys, for the keys no data set of the run declares."""
    if keys <= set(data_section()):
        return []
    return [name for name in DATASETS if keys & set(getattr(DATASETS[name], "OPTIONS", {}))]


def _add_options(node: CfgNode, registry: Registry, name: str) -> None:
    if name in registry:
        declare(node, getattr(registry[name], "OPTIONS", {}))


# --- What a run is called -------------------------------------------------------------------------------------------


def run_hash(config: CfgNode) -> str:
    """Eight hexadecimal digits that differ when anything differs that defines the run."""
    return names.run_hash(config, _later())


def run_folder(config: CfgNode) -> Path:
    """<LOG.PATH>/runs/<name>-<hash>: everything a run writes beside rPPG-Toolbox's own files."""
    return names.run_folder(config, _later())


@cache
def _later() -> dict[str, Any]:
    """The keys that are younger than the first run folders, with their defaults."""
    tree = schema()
    keys = [key for owner in OWNERS for key in owner.later]
    sections = [key.replace("D.", f"{section}.DATA.", 1) for key in keys if key[:2] == "D." for section in SECTIONS]
    of_data = {key: DATASETS[name].OPTIONS[key] for name in DATASETS for key in DATASETS[name].LATER}
    return {key: value_of(tree, key) for key in [*sections, *(key for key in keys if key[:2] != "D.")]} | {
        f"{section}.DATA.{key}": value for key, value in of_data.items() for section in SECTIONS
    }


def dump(config: CfgNode) -> str:
    """The resolved settings as YAML; loading that text from anywhere gives the same settings again.

    BASE is left out: what the files it names have said stands there.
    """
    whole, empty = config.clone(), schema()
    whole.defrost()
    whole.BASE = empty.BASE
    for section in SECTIONS:
        whole[section].DATA.BASE = empty[section].DATA.BASE
    return whole.dump()
