"""Names a user writes in a YAML file, looked up: data sets, methods, detectors, metrics.

A registry imports every module of its package on first use, so adding an entry is adding one file.
A module whose optional package is missing is left out, and the error that misses it names the package.
"""

import difflib
import importlib
import os
import pkgutil
import sys
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any


def nearest(name: object, known: Iterable[object]) -> str | None:
    """The one of the `known` names that `name` was probably meant to be; None when none is near.

    Case does not count; a name of at least four letters also stands for the first one that holds it, or is held by it.
    """
    wanted = str(name).lower()
    entries = {str(entry).lower(): str(entry) for entry in known if str(entry)}
    near = difflib.get_close_matches(wanted, entries, n=1, cutoff=0.6)
    parts = [entry for entry in entries if len(wanted) > 3 and (wanted in entry or entry in wanted)]
    return entries[near[0]] if near else entries[parts[0]] if parts else None


def did_you_mean(name: object, known: Iterable[object]) -> str:
    """The question `Did you mean 'NAME'?` after a blank, for the nearest of the `known` names; "" when none is near."""
    near = nearest(name, known)
    return f" Did you mean {near!r}?" if near else ""


class Registry:
    """Entries of one kind by their public name, filled by decorators in the modules of `package`."""

    def __init__(self, kind: str, package: str):
        """`kind` is what messages call an entry; the modules of `package` are imported on first use."""
        self.kind = kind
        self.package = package
        self._entries: dict[str, Any] = {}
        self._missing: dict[str, str] = {}  # module -> the package it could not import
        self._loaded = False

    def register(self, name: str, *aliases: str) -> Callable[[Any], Any]:
        """Enter the decorated class or function as `name`; `aliases` find it, too, but are not listed."""

        def enter(entry: Any) -> Any:
            for key in (name, *aliases):
                if key in self._entries and not _same(self._entries[key][1], entry):
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
        """Whether `name` is an entry or an alias of one."""
        self._load()
        return name in self._entries

    def __iter__(self) -> Iterator[str]:
        """The public names, sorted."""
        return iter(self.names())

    def names(self) -> list[str]:
        """All public names, sorted, without aliases."""
        self._load()
        return sorted({name for name, _ in self._entries.values()}, key=str.lower)

    def unknown(self, name: object) -> str:
        """The sentence for a `name` that is not here: nearest name, known names, missing packages."""
        return f"Unknown {self.kind} {name!r}. {self.hint(name)}"

    def hint(self, name: object) -> str:
        """Nearest name, known names and missing packages, for a `name` that is not here."""
        known = self.names()
        missing = "".join(
            f" ({module.rsplit('.', 1)[-1]} is not available: package {package!r} is not installed.)"
            for module, package in self._missing.items()
        )
        return f"{did_you_mean(name, known)} Known: {', '.join(known)}.{missing}".lstrip()

    def _load(self) -> None:
        if self._loaded:
            return
        self._loaded = True  # before the imports: a module may look names up while it is imported
        try:
            package = importlib.import_module(self.package)
            for module in pkgutil.iter_modules(package.__path__, self.package + "."):
                self._import(module.name)
        except BaseException:
            self._loaded = False  # half a registry must not pass for a whole one
            raise

    def _import(self, module: str) -> None:
        try:
            importlib.import_module(module)
        except ModuleNotFoundError as error:
            if error.name is None or _is_ours(error.name):
                raise
            self._missing[module] = error.name

    def missing(self) -> dict[str, str]:
        """Modules left out, with the package each could not import."""
        self._load()
        return dict(self._missing)


def _same(old: Any, new: Any) -> bool:
    """Whether `new` is `old` imported again."""
    return all(getattr(old, name, old) == getattr(new, name, new) for name in ("__module__", "__qualname__"))


OURS = {"config", "dataset", "evaluation", "neural_methods", "registry", "settings", "unsupervised_methods"}


def _is_ours(module: str) -> bool:
    return module.split(".")[0] in OURS


def import_plugin(path: Path) -> list[str]:
    """Import a .py file, or every .py file of a folder, so that their registrations count; return the module names.

    The folder joins the import path, also of worker processes, so that its files can import one another.
    Raises FileNotFoundError for a path that is not there, ImportError when a name is already another module's.
    """
    path = path.resolve()
    if not (path.is_dir() or (path.is_file() and path.suffix == ".py")):
        raise FileNotFoundError(f"--plugin {path}: no such folder or .py file.")
    folder, files = (path, sorted(path.glob("*.py"))) if path.is_dir() else (path.parent, [path])
    files = [file for file in files if file.stem.isidentifier()]
    if not files:
        raise FileNotFoundError(f"--plugin {path}: holds no .py file.")
    if str(folder) not in sys.path:
        sys.path.append(str(folder))  # last: a plugin never hides a module of the toolbox
        os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, [os.environ.get("PYTHONPATH"), str(folder)]))
    return [_import_file(file) for file in files]


def _import_file(file: Path) -> str:
    importlib.invalidate_caches()
    found = getattr(importlib.import_module(file.stem), "__file__", None)
    if found is None or Path(found).resolve() != file:
        raise ImportError(f"--plugin {file}: a module {file.stem!r} exists already ({found}). Rename the file.")
    return file.stem


DATASETS = Registry("data set", "dataset.data_loader")
DETECTORS = Registry("face detector", "dataset.face")
METHODS = Registry("neural method", "neural_methods.trainer")
UNSUPERVISED = Registry("classical method", "unsupervised_methods.methods")
METRICS = Registry("metric", "evaluation")
KINDS = Registry("kind of output", "evaluation.kinds")
MODES = Registry("mode", "settings.modes")
