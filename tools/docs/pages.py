"""One page per method and data set, from what they say of themselves."""

import inspect
import re
import sys
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import yaml

from dataset.faults import ROOT
from registry import DATASETS, DETECTORS, METHODS, METRICS, UNSUPERVISED, Registry

TITLES = {
    "data_sets": "Data sets",
    "networks": "Neural methods",
    "classical": "Classical methods",
    "reference": "Other names",
}
BASE = ROOT / "configs" / "base"
MOST = 12  # shipped files that a page lists


def every() -> dict[str, dict[str, str]]:
    """Folder -> name -> the text of its page."""
    return {
        "data_sets": {name: data_set(name) for name in DATASETS.listed()},
        "networks": {name: network(name) for name in METHODS.listed()},
        "classical": {name: classical(name) for name in UNSUPERVISED.listed()},
        "reference": {
            "Metrics": names(METRICS, "Metrics", "What `METRICS` may name; `BA` asks for Bland-Altman plots."),
            "Face detectors": names(DETECTORS, "Face detectors", "What `CROP_FACE.BACKEND` may name."),
        },
    }


def data_set(name: str) -> str:
    """The page of a data set: layout, what it holds, its own keys, files to start from."""
    kind = DATASETS[name]
    about = _first_line(module_text(kind))
    facts = {
        "Video": "yes" if kind.has_video else "no",
        "Signals": ", ".join(f"`{one}`" for one in kind.signals) or "none",
        "BEGIN and END count": f"{kind.split_unit}s",
        "Further cameras": ", ".join(f"`{one}`" for one in kind.streams),
    }
    rows = [f"| {key} | {value} |" for key, value in facts.items() if value]
    keys = _options(kind.OPTIONS, "DATA.")
    tried = (
        f"    python main.py --config_file {_first_file(name, 'data') or 'X.yaml'} --synthesize\n\n"
        "fills an empty `DATA_PATH` with a small rendered copy of this layout.\n"
    )
    parts = [
        f"# {name}", about, _layout(module_text(kind)), f"| | |\n| --- | --- |\n{chr(10).join(rows)}",
        _text(kind), keys, "## Without the data" if not kind.generated else "", tried if not kind.generated else "",
        _files(name, "data"), _source(kind),
    ]  # fmt: skip
    return _joined(parts)


def network(name: str) -> str:
    """The page of a neural method: its recipe, its network with paper and shapes, its own keys, files."""
    trainer = METHODS[name]
    about = [module_text(model) for model in _networks(trainer)]
    heads = ", ".join(f"`{head}` ({kind})" for head, kind in trainer.heads.items()) or "none"
    parts = [
        f"# {name}", _layout(module_text(trainer), whole=True), f"Outputs: {heads}.", "## Recipe", _text(trainer),
        "## Network", *[_layout(text, whole=True) for text in about], _options(trainer.OPTIONS, "MODEL."),
        _files(name, "methods"), _source(trainer), *[_source(model) for model in _networks(trainer)],
    ]  # fmt: skip
    return _joined(parts)


def classical(name: str) -> str:
    """The page of a classical method: what it does, by which paper, with which parameters."""
    method = UNSUPERVISED[name]
    call = f"```python\n{method.__name__}{inspect.signature(method)}\n```"
    config = "configs/infer_configs/UBFC-rPPG_UNSUPERVISED.yaml"
    use = f"    python main.py --config_file {config} UNSUPERVISED.METHOD=['{name}']"
    parts = [f"# {name}", _layout(module_text(method), whole=True), call, _text(method), "## Use", use, _source(method)]
    return _joined(parts)


def names(registry: Registry, title: str, about: str) -> str:
    """A page that says of every name of a registry what it is."""
    rows = [f"## {name}\n\n{_text(registry[name])}\n\n{_source(registry[name])}" for name in registry.listed()]
    return _joined([f"# {title}", about, *rows])


# --- Parts of a page ------------------------------------------------------------------------------------------------


def module_text(entry: Any) -> str:
    """The docstring of the module in which something is defined."""
    module = entry if inspect.ismodule(entry) else sys.modules[entry.__module__]
    return inspect.cleandoc(module.__doc__ or "")


def _networks(trainer: type) -> list[Any]:
    """The modules of the networks that a trainer's module uses."""
    used = [value for value in vars(sys.modules[trainer.__module__]).values() if inspect.isclass(value)]
    found = dict.fromkeys(one.__module__ for one in used if one.__module__.startswith("neural_methods.model."))
    return [sys.modules[module] for module in found]


def _text(entry: Any) -> str:
    return _layout(inspect.cleandoc(entry.__doc__ or ""), whole=True)


def _first_line(text: str) -> str:
    return _words(text.partition("\n\n")[0].replace("\n", " "))


def _layout(text: str, whole: bool = False) -> str:
    """A docstring as Markdown: paragraphs as words, what is indented or aligned in columns as it stands."""
    parts = text.split("\n\n") if whole else text.split("\n\n")[1:]
    return "\n\n".join(_block(part) if _is_drawn(part) else _words(part) for part in parts)


def _is_drawn(part: str) -> bool:
    lines = part.splitlines()
    return all(line.startswith("    ") for line in lines) or any(re.search(r"\S {2,}\S", line) for line in lines)


def _block(part: str) -> str:
    return "\n".join(line if line.startswith("    ") else f"    {line}" for line in part.splitlines())


def _words(part: str) -> str:
    """Words of a docstring: what Markdown would read as a mark is none, outside of code."""
    pieces = re.split(r"(`[^`]*`)", part)
    escaped = [piece if piece.startswith("`") else re.sub(r"([<*_\[\]])", r"\\\1", piece) for piece in pieces]
    return re.sub(r"(https?://[^\s)]+)", lambda found: f"<{found[1]}>".replace("\\", ""), "".join(escaped))


def _options(options: Mapping[str, Any], prefix: str) -> str:
    rows = [f"| `{prefix}{key}` | `{value!r}` |" for key, value in _leaves(options)]
    return f"## Keys\n\n| key | default |\n| --- | --- |\n{chr(10).join(rows)}" if rows else ""


def _leaves(options: Mapping[str, Any], path: str = "") -> Iterator[tuple[str, Any]]:
    for key, value in options.items():
        if isinstance(value, dict) and value:
            yield from _leaves(value, f"{path}{key}.")
        else:
            yield f"{path}{key}", value


def _files(name: str, folder: str) -> str:
    found = shipped(name, folder)
    if not found:
        return ""
    lines = [f"- `{file}`" for file in found[:MOST]]
    more = [f"- and {len(found) - MOST} more in `configs/`"] if len(found) > MOST else []
    return "\n".join(["## Files to start from\n\n`python main.py --config_file FILE` with one of:\n", *lines, *more])


def _first_file(name: str, folder: str) -> str:
    return next(iter(shipped(name, folder)), "")


def shipped(name: str, folder: str) -> list[str]:
    """The configurations that inherit a fragment in configs/base/<folder> in which `name` is named."""
    says: Callable[[dict], bool] = {
        "data": lambda content: content.get("DATASET") == name,
        "methods": lambda content: content.get("MODEL", {}).get("NAME") == name,
    }[folder]
    own = {file.name for file in (BASE / folder).glob("*.yaml") if says(yaml.safe_load(file.read_text()) or {})}
    own |= {file.name for file in (BASE / folder).glob("*.yaml") if own & set(_bases(file, ""))}
    folders = [ROOT / "configs" / one for one in ("demo", "infer_configs", "train_configs")]
    files = [file for one in folders for file in sorted(one.glob("*.yaml"))]
    return [file.relative_to(ROOT).as_posix() for file in files if own & set(_bases(file, f"{folder}/"))]


def _bases(file: Path, folder: str) -> list[str]:
    """The names of the fragments that a file names, of those in `folder` of configs/base."""
    return re.findall(rf"(?<![\w-]){re.escape(folder)}([\w-]+\.yaml)", file.read_text(encoding="utf-8"))


def _source(entry: Any) -> str:
    module = entry.__name__ if inspect.ismodule(entry) else entry.__module__
    return f"Source: `{module.replace('.', '/')}.py`"


def _joined(parts: list[str]) -> str:
    return "\n\n".join(part.strip("\n") for part in parts if part.strip()) + "\n"
