"""The documentation site: its pages are made, its links lead somewhere, its commands exist. mkdocs is not needed."""

import contextlib
import importlib
import importlib.util
import io
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

import config
import main
from registry import DATASETS, DIALECTS, METHODS, METRICS, UNSUPERVISED
from tests.conftest import ROOT
from tools.docs.build import FACTS, TASKS, build, file_name

PLACES = re.compile(
    r".*<\w+>.*|[A-Z_]{1,}[\w.]*|x_outputs\.pickle|me\.mp4|my_method\.py|report|FILE|.*\b(NAME|FOLDER)\b.*"
)
LINK = re.compile(r"\]\(<?([^)\s>]+)>?\)")


@pytest.fixture(scope="module")
def site(tmp_path_factory) -> Path:
    """The folder of the built sources."""
    folder = tmp_path_factory.mktemp("site")
    build(folder)
    return folder / "docs"


def pages(site: Path) -> dict[str, str]:
    """Every page, by its path."""
    return {path.relative_to(site).as_posix(): path.read_text() for path in sorted(site.rglob("*.md"))}


def code(text: str) -> list[str]:
    """The lines of a page's code that are commands, without what is behind a `#`; continued lines joined."""
    fenced = re.findall(r"^```(?:bash|sh)?\n(.*?)^```", text, re.M | re.S)
    indented = re.findall(r"(?:^ {4}.*\n)+", re.sub(r"^```.*?^```", "", text, flags=re.M | re.S), re.M)
    lines = "\n".join([*fenced, *indented]).replace("\\\n", " ").splitlines()
    inline = re.findall(r"`((?:python|make|torchrun) [^`]+)`", text)
    return [re.sub(r"\s{2,}#.*|\s#\s.*", "", line).strip() for line in [*lines, *inline]]


def test_every_entry_has_a_page_and_every_page_is_in_the_menu(site):
    """One per data set, network and classical method; nothing that is built is left out."""
    found = pages(site)
    for folder, registry in (("data_sets", DATASETS), ("networks", METHODS), ("classical", UNSUPERVISED)):
        own = {f"{folder}/{file_name(name)}.md" for name in registry.listed() if not name.startswith("Test")}
        assert own <= set(found)
    menu = yaml.safe_load((site.parent / "mkdocs.yml").read_text())["nav"]
    named = set(re.findall(r"[\w/.-]+\.md", yaml.safe_dump(menu, width=10_000)))
    assert set(found) == named and {*TASKS, *FACTS} <= named


def test_the_page_of_a_method_says_what_its_code_says(site):
    """Paper, shapes and keys of a network; parameters of a classical method; layout of a data set; every metric."""
    found = pages(site)
    net = found["networks/PhysFormer.md"]
    assert "Yu et al." in net and "Input" in net and "MODEL.PHYSFORMER.DIM" in net and "configs/demo/physformer" in net
    assert "IEEE TBME 64(7), 2017" in found["classical/POS.md"] and "pos(rgb" in found["classical/POS.md"]
    pure = found["data_sets/PURE.md"]
    assert "    DATA_PATH/01-01/01-01.json" in pure and "PURE_UNSUPERVISED.yaml" in pure and "| Video | yes |" in pure
    assert all(f"## {name}" in found["reference/Metrics.md"] for name in METRICS.listed())
    assert "PhysMamba" in found["model_card.md"] and "no medical devices" in found["model_card.md"]


def test_links_lead_to_pages_and_pictures_that_are_there(site):
    """Relative ones; those to the web are written with their scheme."""
    broken = []
    for name, text in pages(site).items():
        for target in LINK.findall(re.sub(r"```.*?```|`[^`]*`", "", text, flags=re.S)):
            place = target.partition("#")[0]
            if (
                not re.match(r"https?://|mailto:", target)
                and place
                and not (site / name).parent.joinpath(place).exists()
            ):
                broken.append(f"{name}: {target}")
    assert not broken


def test_files_that_are_named_are_there(site):
    """Configurations, programs, notebooks, examples and sources."""
    wanted = re.compile(
        r"(?<![\w/.-])((?:configs|tools|examples|evaluation|dataset|neural_methods|tests)/[\w./-]+\.\w+)"
    )
    gone = {f"{name}: {one}" for name, text in pages(site).items() for one in wanted.findall(text)
            if not (ROOT / one).exists()}  # fmt: skip
    assert not gone


def test_commands_exist(site):
    """Programs, flags, make targets, and keys of the configuration."""
    wrong = []
    for name, text in pages(site).items():
        for line in code(text):
            if problem := _problem(line):
                wrong.append(f"{name}: {line}: {problem}")
    assert not wrong


def test_a_wrong_command_is_found():
    """Of each kind that is looked for."""
    for line in (
        "python main.py --no_such_flag", "python main.py --config_file configs/demo/gone.yaml", "make nothing",
        "python tools/gone.py", "python tools/evaluate.py --no_such", "python main.py TRAIN.NO_SUCH=1",
    ):  # fmt: skip
        assert _problem(line), line
    assert not _problem("RPPG_DATA=/data python main.py --config_file X.yaml TRAIN.LR=1e-3") and not _problem("pip x")


def _problem(line: str) -> str:
    """What is wrong with a command; "" for what is right or none of ours."""
    began = re.match(r"(?:[A-Z_]+=\S+ )*(?=(?:python|make|torchrun) )", line)
    words = shlex.split(line[began.end() :]) if began else []
    if words[:1] == ["make"]:
        targets = re.findall(r"^(\w[\w-]*):", (ROOT / "Makefile").read_text(), re.M)
        return "" if words[1] in targets else "no such target"
    if words[:1] == ["torchrun"]:
        words = ["python", *words[words.index("main.py") :]] if "main.py" in words else words
    if words[:1] != ["python"] or len(words) < 2:
        return ""
    if words[1] == "main.py":
        return _problem_of_main(words[2:])
    path = ROOT / (f"{words[2].replace('.', '/')}.py" if words[1] == "-m" else words[1])
    if not path.is_file():
        return "no such program"
    flags = [word for word in words if word.startswith("--")]
    return next((f"no flag {flag}" for flag in flags if f'"{flag}"' not in path.read_text()), "")


def _problem_of_main(words: list[str]) -> str:
    try:
        with contextlib.redirect_stderr(io.StringIO()):
            asked = main.parse(words)
    except SystemExit:
        return "main.py does not take it"
    named = [
        file for file in (asked.config_file, *(asked.check or [])) if file and not PLACES.fullmatch(Path(file).name)
    ]
    if gone := [file for file in named if "NAME" not in file and not (ROOT / file).exists()]:
        return f"no {gone[0]}"
    dialects = {group: keys for name in DIALECTS for group, keys in DIALECTS[name].groups.items()}
    for override in asked.override:
        key, schema = override.partition("=")[0], {**config.schema(), **dialects}
        for part in key.split("."):
            if part not in schema:
                return f"no key {key}"
            schema = schema[part]
    return ""


def test_python_on_a_page_is_python(site):
    """It compiles, and what it imports of ours is there."""
    for name, text in pages(site).items():
        for block in re.findall(r"^```python\n(.*?)^```", text, re.M | re.S):
            if not name.startswith("classical/"):  # the call of a function
                compile(block, name, "exec")
                for module, names in re.findall(r"^from (\w[\w.]*) import (.+?)(?:  #.*)?$", block, re.M):
                    made = importlib.import_module(module)
                    assert all(hasattr(made, one.strip()) for one in names.split(","))


def test_each_number_has_code_and_a_test_that_knows_it():
    """The function that is named is there, and the test file names it or its module."""
    rows = re.findall(r"^\| (?!number|---)(.+) \|$", (ROOT / "docs" / "where_numbers_come_from.md").read_text(), re.M)
    assert len(rows) > 12
    for row in rows:
        _, _, where, test = [cell.strip().strip("`") for cell in row.split(" | ")]
        file, _, function = where.partition(": ")
        text, known = (ROOT / file).read_text(), (ROOT / test).read_text()
        assert not function or re.search(rf"^(?:def|class) {function}\b", text, re.M), row
        assert (function and function in known) or Path(file).stem in known, row


def test_a_page_per_task_is_short():
    """It is read while one works: a screen or two, with a command or a block of code."""
    for path in sorted((ROOT / "docs" / "tasks").glob("*.md")):
        text = path.read_text()
        assert text.startswith("# ") and len(text.splitlines()) < 60, path
        assert code(text) or "```python" in text, path


@pytest.mark.skipif(importlib.util.find_spec("mkdocs") is None, reason="mkdocs is not installed: make docs installs it")
def test_mkdocs_builds_the_site_without_a_warning(tmp_path):
    """Strict: a page outside the menu or a broken link is an error; nothing is asked from elsewhere."""
    file = build(tmp_path)
    done = subprocess.run(
        [sys.executable, "-m", "mkdocs", "build", "--strict", "-f", str(file)], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    page = (tmp_path / "site" / "index.html").read_text()
    assert not re.findall(r"<(?:script|link|img)[^>]+(?:src|href)=\"https?://", page)
