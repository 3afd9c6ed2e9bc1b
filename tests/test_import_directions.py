"""Imports point one way: what stands lower knows nothing of what stands higher, and preprocessing needs no torch."""

import ast
import re
from pathlib import Path

import pytest

from tests.conftest import ROOT

LEVELS = [  # from the lowest to the highest; the longest prefix counts; a module may import its own level and all below
    ("registry",),
    ("settings",),
    (  # the owners' sections
        "dataset.settings",
        "evaluation.presets",  # named values, which the schema checks names against
        "evaluation.schema",
        "neural_methods.options",
        "neural_methods.schema",
        "unsupervised_methods.schema",
        "unsupervised_methods.signal_schema",
    ),
    ("config",),
    ("evaluation.post_process", "unsupervised_methods.checks", "unsupervised_methods.methods"),
    ("dataset",),
    ("evaluation", "unsupervised_methods.measure"),  # measure: from colour to rates, without the mode
    ("dataset.doctor", "dataset.run", "unsupervised_methods"),
    ("neural_methods",),
    ("main", "pulsescope"),
]
OURS = {prefix.split(".")[0] for level in LEVELS for prefix in level}
EXCEPTIONS = {  # (module, imported) -> the reason
    ("dataset.clips.references", "evaluation.ecg"): "pure array functions: the R peaks that a pulse is judged by",
    ("dataset.clips.hearts", "evaluation.beats"): "pure array functions: the beats that describe a heart",
    ("dataset.clips.hearts", "evaluation.path"): "pure array functions: the course that beats follow",
}
TORCH_FREE = (
    "config", "main", "pulsescope", "registry", "settings", "unsupervised_methods", "dataset.data_loader",
    "dataset.face", "dataset.files", "dataset.prepare", "dataset.run", "dataset.settings", "dataset.store",
    "dataset.synthetic",
)  # fmt: skip
NEEDS_TORCH = (
    "dataset.face.networks",  # imported when such a detector is built
    "dataset.prepare.legacy",  # rPPG-Toolbox's chunks, imported when a list names some: nothing is preprocessed then
)


def _modules() -> dict[str, Path]:
    """Every module of the toolbox, by its name."""
    files = [file for top in OURS for file in [*(ROOT / top).rglob("*.py"), ROOT / f"{top}.py"] if file.is_file()]
    names = [file.relative_to(ROOT).with_suffix("").as_posix().replace("/", ".") for file in files]
    return {name.removesuffix(".__init__"): file for name, file in zip(names, files, strict=True)}


MODULES = _modules()


def imported(tree: ast.AST, known: dict[str, Path] = MODULES, whole: bool = True) -> set[str]:
    """Names of the modules that `tree` imports; `whole` False: only those it imports when it is imported itself."""
    found = set()
    for node in ast.walk(tree) if whole else _at_once(tree):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            parts = {f"{node.module}.{alias.name}" for alias in node.names}
            modules = parts & set(known)
            found |= modules | ({node.module} if parts - modules else set())
    return found


def _at_once(tree: ast.AST):
    for node in ast.iter_child_nodes(tree):
        of_types = isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test)
        if not of_types and not isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda)):
            yield node
            yield from _at_once(node)


def within(module: str, rooms: tuple[str, ...]) -> bool:
    """Whether `module` is one of `rooms` or lies in one."""
    return f"{module}.".startswith(tuple(f"{room}." for room in rooms))


def level(module: str) -> int:
    """The level of `module`."""
    found = [(len(p), n) for n, prefixes in enumerate(LEVELS) for p in prefixes if within(module, (p,))]
    return max(found)[1]


def upward(module: str, tree: ast.AST) -> list[str]:
    """The imports of `module` that point the wrong way."""
    ours = [name for name in imported(tree) if name.split(".")[0] in OURS]
    return sorted(name for name in ours if level(name) > level(module) and (module, name) not in EXCEPTIONS)


@pytest.mark.parametrize("module", sorted(MODULES))
def test_imports_point_one_way(module):
    """Also those inside functions: a late import is a dependency, too."""
    assert upward(module, ast.parse(MODULES[module].read_text())) == []


def test_an_import_upward_is_found():
    """Of a module, of a name in it, inside a function."""
    for text in ("import main", "from neural_methods import run", "def f():\n    from config import read"):
        assert upward("settings.layers", ast.parse(text)) != []
    assert upward("dataset.run", ast.parse("from config import shard\nimport numpy")) == []


def test_every_exception_is_still_needed():
    """The list shrinks when the code does."""
    for module, name in EXCEPTIONS:
        assert name in imported(ast.parse(MODULES[module].read_text()))


def reached(module: str) -> dict[str, str]:
    """Every module that importing `module` imports -> the one that does."""
    found, waiting = {}, [module]
    while waiting:
        one = waiting.pop()
        for name in imported(ast.parse(MODULES[one].read_text()), whole=False) if one in MODULES else ():
            packages = [name.rsplit(".", count)[0] for count in range(name.count(".") + 1)]
            new = [package for package in packages if package not in found]
            found |= dict.fromkeys(new, one)
            waiting += new
    return found


@pytest.mark.parametrize("module", sorted(m for m in MODULES if within(m, TORCH_FREE) and not within(m, NEEDS_TORCH)))
def test_what_a_preprocessing_worker_imports_needs_no_torch(module):
    """Two seconds and half a gigabyte for each of many workers; classical runs start without it, too."""
    found = reached(module)
    assert "torch" not in found, f"{found['torch']} imports torch"


OWN_ROOT = {  # the two that others take it from, and one that runs before anything is installed
    "settings/files.py", "tests/conftest.py", "tools/versions/environment.py",
}  # fmt: skip


def test_where_the_repository_lies_is_worked_out_once():
    """But for the line by which a file that is run as a program finds the others."""
    lines = [
        (file.relative_to(ROOT).as_posix(), line)
        for top in (*OURS, "tests", "tools", "examples")
        for file in [*(ROOT / top).rglob("*.py"), ROOT / f"{top}.py"]
        if file.is_file()
        for line in file.read_text(encoding="utf-8").splitlines()
    ]
    worked_out = r"Path\(__file__\)(\.resolve\(\))?\.(parents\[[1-9]|parent\.parent)"
    found = {name for name, line in lines if re.search(worked_out, line) and not line.startswith("sys.path.insert")}
    assert found == OWN_ROOT
