"""What an error advises works: every `KEY: VALUE` of a sentence in the source is accepted as `KEY=VALUE`."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from config import ConfigError, load_config
from tests.config_tools import CLASSICAL, TESTING, TRAINING, changed, write_yaml
from tests.conftest import ROOT

SOURCES = ("dataset", "evaluation", "neural_methods", "settings", "unsupervised_methods", "config.py", "main.py")
ADVICE = re.compile(
    r"\b(?:[Ss]et|[Uu]se|[Tt]ry|[Rr]un|with|or|and|choose|is|again|:|\() +(?:\{\}\.)?"
    r"([A-Z][A-Z0-9]*_?[A-Z0-9_]*(?:\.[A-Z0-9_]+)*)(?:: |=)(True|False|-?\d[\d.]*|[a-z][a-z_0-9]*)\b"
)
NO_VALUE = {"the", "a", "it", "no", "every", "only", "they", "an", "reading", "there", "file", "name"}  # prose


def sentences(tree: ast.AST) -> Iterator[str]:
    """Every text of the code but docstrings; `{}` stands for what an f-string fills in."""
    inside = {id(part) for node in ast.walk(tree) if isinstance(node, ast.JoinedStr) for part in ast.walk(node)}
    prose = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
    for node in ast.walk(tree):
        if isinstance(node, ast.JoinedStr):
            yield "".join(part.value if isinstance(part, ast.Constant) else "{}" for part in node.values)
        elif isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in inside | prose:
            yield node.value


def advised() -> dict[str, str]:
    """KEY=VALUE -> the file that advises it."""
    found = {}
    for source in SOURCES:
        for file in [ROOT / source] if source.endswith(".py") else sorted((ROOT / source).rglob("*.py")):
            for text in sentences(ast.parse(file.read_text(encoding="utf-8"))):
                for key, value in ADVICE.findall(text):
                    if value not in NO_VALUE:
                        found.setdefault(f"{key}={value.rstrip('.')}", str(file.relative_to(ROOT)))
    return found


ADVISED = advised()


@pytest.fixture(scope="module")
def files(tmp_path_factory) -> list[Path]:
    """Three classical runs, one that trains, one that tests."""
    folder = tmp_path_factory.mktemp("remedies")
    rendered = changed(CLASSICAL, UNSUPERVISED__DATA__DATASET="Synthetic")
    own = changed(CLASSICAL, UNSUPERVISED__DATA__DATASET="Folder")
    modes = {"classical": CLASSICAL, "rendered": rendered, "own": own, "training": TRAINING, "testing": TESTING}
    return [write_yaml(values, folder / f"{name}.yaml") for name, values in modes.items()]


def known(file: Path, setting: str) -> bool:
    """Whether the run of `file` takes the setting, or says in which sections it may be meant, which then take it."""
    try:
        load_config(file, [setting])
    except ConfigError as error:
        places = re.search(r" may be (.*)\. Write one of them, or each\.", str(error))
        value = setting.partition("=")[2]
        if places:
            return all(known(file, f"{place}={value}") for place in places[1].split(" or "))
        return "unknown key" not in str(error) and "must be" not in str(error)  # else it only lacks its companions
    return True


@pytest.mark.parametrize("setting", ADVISED)
def test_a_setting_that_a_sentence_advises_is_taken(files, setting):
    """By its short name, in some mode; where several sections have it they are named, and each takes it."""
    assert any(known(file, setting) for file in files), f"advised in {ADVISED[setting]}"


def test_there_is_advice():
    """The walk finds what it looks for."""
    assert len(ADVISED) > 15 and "CROP_FACE.NO_FACE=full_frame" in ADVISED
