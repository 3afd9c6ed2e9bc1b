"""Names a user writes in a YAML file, looked up: data sets, methods, detectors, metrics.

Adding an entry is adding one file to the registry's package. Which file declares which name is read from the decorators
in the source, so that a name can be listed, and its file alone imported, without importing the others.
A module whose optional package is missing is left out, and the error that misses it names the package.
"""

import ast
import difflib
import functools
import importlib
import importlib.util
import os
import pkgutil
import re
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
        self._source: dict[object, tuple[str, str]] | None = None  # of `_declared`, once it was read

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
        if name not in self:
            raise KeyError(self.unknown(name))
        return self._entries[name][1]

    def __contains__(self, name: object) -> bool:
        """Whether `name` is an entry or an alias of one."""
        if not self._loaded and name in self._declared():
            self._import(self._declared()[name][0])  # that module alone: others may take seconds
        if name not in self._entries:
            self._load()
        return name in self._entries

    def __iter__(self) -> Iterator[str]:
        """The public names, sorted."""
        return iter(self.names())

    def names(self) -> list[str]:
        """All public names, sorted, without aliases."""
        self._load()
        return sorted({name for name, _ in self._entries.values()}, key=str.lower)

    def listed(self) -> list[str]:
        """As `names`, from the source of the package: nothing of it is imported."""
        absent = self.absent()
        declared = {public for module, public in self._declared().values() if module not in absent}
        return sorted(declared | {name for name, _ in self._entries.values()}, key=str.lower)

    def absent(self) -> dict[str, str]:
        """As `missing`, from the source of the package: modules that could not be imported, each with the reason."""
        needed = {module: absent_package(module) for module in self._modules()}
        return {module: package for module, package in needed.items() if package}

    def lacks(self, name: str) -> str:
        """The package whose lack keeps the entry called `name` out; "" where nothing does, or there is none."""
        return self.absent().get(self._declared().get(name, ("", ""))[0], "")

    def _modules(self) -> list[str]:
        package = importlib.import_module(self.package)
        return [module.name for module in pkgutil.iter_modules(package.__path__, self.package + ".")]

    def _declared(self) -> dict[object, tuple[str, str]]:
        """Names and aliases in the calls of `register` -> (module, public name), without names that are computed."""
        if self._source is None:
            own = [name for name, value in globals().items() if value is self]
            self._source = {}
            for module in self._modules() if own else []:
                for public, *aliases in _registrations(module, own[0]):
                    self._source |= {name: (module, public) for name in (public, *aliases)}
        return self._source

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
            for module in self._modules():
                self._import(module)
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


# --- What a module says of itself, read without importing it --------------------------------------------------------


ROOT = Path(__file__).resolve().parent


@functools.cache
def _text(module: str) -> str:
    file = _file(module)
    return file.read_text(encoding="utf-8") if file else ""


def _file(module: str) -> Path | None:
    """The source of a module of ours, or of one whose package was imported."""
    if not _is_ours(module):
        spec = importlib.util.find_spec(module)
        return Path(spec.origin) if spec and spec.origin else None
    path = ROOT.joinpath(*module.split("."))  # find_spec would import the packages above
    return next((file for file in (path.with_suffix(".py"), path / "__init__.py") if file.is_file()), None)


def _registrations(module: str, registry: str) -> Iterator[list[str]]:
    """Name and aliases of each call `registry.register("name", ...)` in the source of `module`."""
    text = _text(module)
    for node in ast.walk(ast.parse(text)) if f"{registry}.register" in text else ():
        if isinstance(node, ast.Call) and ast.unparse(node.func) == f"{registry}.register":
            names = [argument.value for argument in node.args if isinstance(argument, ast.Constant)]
            if names and len(names) == len(node.args):
                yield names


@functools.cache
def absent_package(module: str) -> str:
    """The first package that importing `module` would miss, through all our modules that it imports; "": none."""
    for name in _imported(_text(module)):
        if not _is_ours(name):
            found = "" if _is_installed(name.split(".")[0]) else name.split(".")[0]
        elif name != module and _file(name):
            found = absent_package(name)
        else:
            found = ""
        if found:
            return found
    return ""


def _imported(text: str) -> Iterator[str]:
    """The modules that the lines of `text` that are not indented import. Parsing all of them would take a second."""
    for whole, package, names in IMPORT.findall(DOCSTRING.sub("", text)):
        yield from (name.split()[0] for name in whole.split(",") if name.strip())
        if package:
            yield package
            inside = re.findall(r"(\w+)(?: as \w+)?", names) if _is_ours(package) else ()
            yield from (f"{package}.{name}" for name in inside)  # modules of the package, or no module


IMPORT = re.compile(r"^(?:import ([\w., ]+)|from (\w[\w.]*) import (\([^)]*\)|[^\n]*))", re.M)
DOCSTRING = re.compile(r'\A\s*""".*?"""', re.S)


def _is_installed(module: str) -> bool:
    try:
        return importlib.util.find_spec(module) is not None
    except (ModuleNotFoundError, ValueError):  # ValueError: a module without a spec, as notebooks have
        return module in sys.modules


# --- Plug-ins -------------------------------------------------------------------------------------------------------


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
LABEL_FREE = Registry("label-free loss", "neural_methods.label_free")
UNSUPERVISED = Registry("classical method", "unsupervised_methods.methods")
METRICS = Registry("metric", "evaluation")
KINDS = Registry("kind of output", "evaluation.kinds")
MODES = Registry("mode", "settings.modes")
PREPARATIONS = Registry("downstream data set", "dataset.prepare.downstream")
DIALECTS = Registry("dialect of configurations", "settings.dialects")
