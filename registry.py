"""Names a user writes in a YAML file, looked up: data sets, methods, detectors, metrics.

A registry imports every module of its package on first use, so adding an entry is adding one file.
A module whose optional package is missing is left out, and the error that misses it names the package.
"""

import difflib
import importlib
import pkgutil
from collections.abc import Callable, Iterator
from typing import Any


class Registry:
    """Entries of one kind by their public name, filled by decorators in the modules of `package`."""

    def __init__(self, kind: str, package: str):
        self.kind = kind
        self.package = package
        self._entries: dict[str, Any] = {}
        self._missing: dict[str, str] = {}  # module -> the package it could not import
        self._loaded = False

    def register(self, name: str, *aliases: str) -> Callable[[Any], Any]:
        """Enter the decorated class or function as `name`; `aliases` find it, too, but are not listed."""

        def enter(entry: Any) -> Any:
            for key in (name, *aliases):
                if key in self._entries and self._entries[key][1].__qualname__ != entry.__qualname__:
                    raise ValueError(f"Two entries called {key!r} in the registry of {self.kind}s.")
                self._entries[key] = (name, entry)
            return entry

        return enter

    def __getitem__(self, name: str) -> Any:
        """The entry called `name`; KeyError with the nearest known name otherwise."""
        self._load()
        if name not in self._entries:
            raise KeyError(self.unknown(name))
        return self._entries[name][1]

    def __contains__(self, name: object) -> bool:
        self._load()
        return name in self._entries

    def __iter__(self) -> Iterator[str]:
        return iter(self.names())

    def names(self) -> list[str]:
        """All public names, sorted, without aliases."""
        self._load()
        return sorted({name for name, _ in self._entries.values()}, key=str.lower)

    def unknown(self, name: object) -> str:
        """The sentence for a `name` that is not here: nearest name, known names, missing packages."""
        near = difflib.get_close_matches(str(name), self.names(), n=1, cutoff=0.5) or [
            known for known in self.names() if known.lower() == str(name).lower()
        ]
        hint = f" Did you mean {near[0]!r}?" if near else ""
        missing = "".join(
            f" ({module.rsplit('.', 1)[-1]} is not available: package {package!r} is not installed.)"
            for module, package in self._missing.items()
        )
        return f"Unknown {self.kind} {name!r}.{hint} Known: {', '.join(self.names())}.{missing}"

    def _load(self) -> None:
        if self._loaded:
            return
        self._loaded = True
        package = importlib.import_module(self.package)
        for module in pkgutil.iter_modules(package.__path__, self.package + "."):
            try:
                importlib.import_module(module.name)
            except ModuleNotFoundError as error:
                if error.name is None or _is_ours(error.name):
                    raise
                self._missing[module.name] = error.name


def _is_ours(module: str) -> bool:
    return module.split(".")[0] in {"dataset", "evaluation", "neural_methods", "unsupervised_methods", "registry", "config"}


DATASETS = Registry("data set", "dataset.data_loader")
DETECTORS = Registry("face detector", "dataset.face")
METHODS = Registry("neural method", "neural_methods.trainer")
UNSUPERVISED = Registry("classical method", "unsupervised_methods.methods")
METRICS = Registry("metric", "evaluation")
