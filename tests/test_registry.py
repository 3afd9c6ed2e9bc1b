"""Registries: names find entries, mistakes name the nearest one, missing packages and plugins behave."""

import subprocess
import sys

import pytest

import registry
from registry import Registry, import_plugin, nearest
from tests.conftest import ROOT


@pytest.fixture
def package(tmp_path, monkeypatch):
    """Make a package of the given modules and return a registry over it."""
    count = iter(range(100))

    def make(**modules: str) -> Registry:
        name = f"made_{tmp_path.name}_{next(count)}".replace("-", "_")
        (tmp_path / name).mkdir()
        (tmp_path / name / "__init__.py").write_text('"""Entries."""\n')
        for module, text in modules.items():
            (tmp_path / name / f"{module}.py").write_text(text)
        monkeypatch.syspath_prepend(str(tmp_path))
        made = Registry("thing", name)
        monkeypatch.setattr(registry, "MADE", made, raising=False)
        return made

    return make


ENTRY = "from registry import MADE\n\n@MADE.register('Tscan', 'TSCAN')\nclass A:\n    pass\n"


def test_a_module_of_the_package_registers_itself_on_first_use(package):
    """Adding a file is all it takes; nothing imports it by name."""
    things = package(a=ENTRY, b=ENTRY.replace("'Tscan', 'TSCAN'", "'POS'").replace("class A", "class B"))
    assert things.names() == ["POS", "Tscan"]
    assert things["Tscan"].__name__ == "A"
    assert list(things) == ["POS", "Tscan"]
    assert "POS" in things


def test_an_alias_finds_the_entry_but_is_not_listed(package):
    """Aliases serve old spellings without doubling the list."""
    things = package(a=ENTRY)
    assert things["TSCAN"] is things["Tscan"]
    assert things.names() == ["Tscan"]


@pytest.mark.parametrize(("name", "near"), [("Tscam", "Tscan"), ("tscan", "Tscan"), ("TScan", "Tscan")])
def test_an_unknown_name_is_answered_by_the_nearest(package, name, near):
    """Case and typing mistakes are recognised."""
    with pytest.raises(KeyError) as error:
        package(a=ENTRY)[name]
    assert error.value.args[0] == f"Unknown thing {name!r}. Did you mean {near!r}? Known: Tscan."


def test_a_name_like_no_other_gets_no_suggestion(package):
    """A wild guess would mislead."""
    assert package(a=ENTRY).unknown("xyz") == "Unknown thing 'xyz'. Known: Tscan."


def test_a_missing_optional_package_leaves_the_others_and_is_named(package):
    """One method's extra never blocks the rest."""
    things = package(a=ENTRY, heavy="import a_package_nobody_has\n")
    assert things.names() == ["Tscan"]
    assert list(things.missing().values()) == ["a_package_nobody_has"]
    assert "heavy is not available: package 'a_package_nobody_has' is not installed" in things.unknown("heavy")


@pytest.mark.parametrize("text", ["import dataset.nothing_here\n", "raise ModuleNotFoundError('odd')\n"])
def test_a_broken_module_of_our_own_is_an_error_each_time(package, text):
    """Half a registry must not pass for a whole one on the second look."""
    things = package(a=ENTRY, broken=text)
    for _ in range(2):
        with pytest.raises(ModuleNotFoundError):
            things.names()


@pytest.mark.parametrize("kind", ["DATASETS", "DETECTORS", "METHODS", "UNSUPERVISED", "METRICS", "KINDS", "MODES"])
def test_what_is_listed_unseen_is_what_importing_registers(kind):
    """The decorators in the source are the only list: names, aliases, and the module of each."""
    found = getattr(registry, kind)
    assert found.listed() == found.names()
    assert found.absent() == found.missing()
    below = _below(found.package)
    own = {name: public for name, (public, entry) in found._entries.items() if entry.__module__ in below}
    assert {name: public for name, (_, public) in found._declared().items()} == own


def _below(package: str) -> set[str]:
    return {name for name in sys.modules if f"{name}.".startswith(f"{package}.")}


def test_a_name_imports_its_own_module_only(package):
    """One network does not pay for what another one imports."""
    things = package(a=ENTRY, slow="raise RuntimeError('imported')\n" + ENTRY.replace("'Tscan', 'TSCAN'", "'Slow'"))
    assert things["Tscan"].__name__ == "A" and "TSCAN" in things
    assert things.listed() == ["Slow", "Tscan"]
    with pytest.raises(RuntimeError, match="imported"):
        things["Slow"]


def test_a_name_that_is_computed_is_found_by_importing(package):
    """The source alone does not tell it."""
    things = package(a=ENTRY, b=ENTRY.replace("'Tscan', 'TSCAN'", "'P' + 'OS'"))
    assert things.listed() == ["Tscan"]
    assert "POS" in things and things.listed() == ["POS", "Tscan"]


def test_two_entries_of_one_name_are_refused():
    """Which of them runs would depend on file order."""
    things = Registry("thing", "tests")
    things.register("A")(type("First", (), {}))
    with pytest.raises(ValueError, match="Two entries called 'A'"):
        things.register("A")(type("Second", (), {}))


def test_the_same_entry_may_register_again():
    """A module imported twice, as notebooks do, is no conflict."""
    things = Registry("thing", "tests")
    entry = type("Entry", (), {})
    assert things.register("A")(entry) is things.register("A")(entry)


def plugin_text(name: str) -> str:
    """A file that registers a classical method."""
    return (
        "from registry import UNSUPERVISED\n\n"
        f"@UNSUPERVISED.register('{name}')\n"
        "def method(rgb, fs):\n    return rgb[:, 1]\n"
    )


def in_new_process(code: str) -> str:
    """Run code where nothing is imported yet; its output."""
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def test_a_plugin_folder_registers_and_its_files_import_each_other(tmp_path):
    """A network and its trainer are two files of one folder."""
    (tmp_path / "plug_helper.py").write_text("NAME = 'FromPlugin'\n")
    (tmp_path / "plug_method.py").write_text("import plug_helper\n" + plugin_text("FromPlugin"))
    code = f"""
from pathlib import Path
from registry import UNSUPERVISED, import_plugin
print(import_plugin(Path({str(tmp_path)!r})), 'FromPlugin' in UNSUPERVISED)
import os; print({str(tmp_path)!r} in os.environ['PYTHONPATH'])
"""
    assert in_new_process(code).splitlines() == ["['plug_helper', 'plug_method'] True", "True"]


def test_a_plugin_may_be_one_file(tmp_path):
    """Only that file of its folder is imported."""
    (tmp_path / "only_this.py").write_text(plugin_text("OnlyThis"))
    (tmp_path / "not_this.py").write_text("raise RuntimeError\n")
    code = f"import pathlib, registry; print(registry.import_plugin(pathlib.Path({str(tmp_path)!r}, 'only_this.py')))"
    assert in_new_process(code) == "['only_this']"


def test_a_plugin_cannot_take_the_place_of_a_module_of_the_toolbox(tmp_path):
    """A file called config.py would otherwise silently not be loaded."""
    (tmp_path / "config.py").write_text("")
    with pytest.raises(ImportError, match="Rename the file"):
        import_plugin(tmp_path)


@pytest.mark.parametrize("name", ["missing", "empty", "text.txt"])
def test_a_plugin_that_is_none_says_so(tmp_path, name):
    """A path that is not there, an empty folder, another file type."""
    (tmp_path / "empty").mkdir()
    (tmp_path / "text.txt").write_text("")
    with pytest.raises(FileNotFoundError, match=name):
        import_plugin(tmp_path / name)


@pytest.mark.parametrize(
    ("name", "expected"),
    [("tscan", "Tscan"), ("PURE2", "PURE"), ("LARGE_BOX", "USE_LARGE_BOX"), ("xyz", None), ("", None), (3, None)],
)
def test_the_nearest_name(name, expected):
    """Case, typing mistakes and parts of names are seen through; nothing is guessed."""
    assert nearest(name, ["Tscan", "PURE", "USE_LARGE_BOX"]) == expected


def test_one_place_knows_what_was_probably_meant():
    """Four had their own idea of it."""
    files = [file for file in ROOT.rglob("*.py") if ".venv" not in file.parts]
    assert [file.name for file in files if "import difflib" in file.read_text() and "tests" not in file.parts] == [
        "registry.py"
    ]
