"""README's table of networks: every registered method is in it, its facts are right, and the tool that writes it."""

import subprocess
import sys

import pytest

from registry import METHODS
from tests.conftest import ROOT
from tools import model_card
from tools.model_card import BEGIN, END, CardError, Row, check, inside, networks, row

OURS = [name for name in METHODS.names() if METHODS[name].__module__.startswith("neural_methods.")]
BUILT_IN = [name for name in OURS if model_card.is_listed(METHODS[name])]  # its cells are of frames
CHEAP = [which for which in networks() if which[0] in ("Physnet", "FactorizePhys")]


def cells() -> list[tuple[str, ...]]:
    """The cells of README's table, without head and rule."""
    lines = [line for line in inside(model_card.README.read_text()).splitlines() if line.startswith("|")]
    return [tuple(cell.strip() for cell in line.strip("|").split("|")) for line in lines[2:]]


def test_the_card_has_every_registered_method():
    """And each with a paper and a time."""
    table = cells()
    assert set(BUILT_IN) <= {line[0] for line in table}
    assert all("](http" in line[4] or line[4].startswith("[ours](docs/") for line in table)
    assert all(line[4].startswith("[") and line[6].isdigit() for line in table)


@pytest.mark.parametrize("which", CHEAP, ids=lambda which: f"{which[0]}-{which[1]}")
def test_the_facts_of_cheap_rows_are_those_of_today(which):
    """Parameters, operations, clip, paper, weights: equal but for the measured column."""
    facts = row(*which, repeats=0).facts
    assert facts in [line[:-1] for line in cells()]


def test_published_sizes():
    """PhysNet has 768,577 parameters; its first convolution alone makes 6.2 M operations a frame."""
    facts = row("Physnet", repeats=0).facts
    assert facts[1] == "768,577" and facts[3] == "128 x 72 x 72, DiffNormalized"
    assert 6.2 < float(facts[2].split()[0]) < 200
    assert facts[4] == "[Yu et al., BMVC 2019](https://arxiv.org/abs/1905.02419)"


@pytest.mark.slow
def test_check_finds_the_table_up_to_date():
    """All rows, as the command does it; in a process of its own, where no test has registered methods."""
    command = [sys.executable, "-m", "tools.model_card", "--check"]
    found = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert found.returncode == 0, found.stderr


def test_check_names_the_rows_that_differ(capsys):
    """Another measured time is no difference; another fact is, and so are a row too few and one too many."""
    old = "| method | ms |\n| --- | --- |\n| A | 12 |\n| B | 3 |\n"
    assert check(old, [Row(("A",)), Row(("B",))]) == 0
    assert check(old, [Row(("A",))]) == 1
    assert "row of no network: | B" in capsys.readouterr().err
    assert check(old, [Row(("A",)), Row(("B",)), Row(("C",))]) == 1
    assert "lacks this row: | C" in capsys.readouterr().err


@pytest.mark.parametrize("text", ["no markers", f"{BEGIN} and no end", f"{END}{BEGIN}", f"{BEGIN}{END}{BEGIN}{END}"])
def test_missing_markers_are_said_clearly(tmp_path, capsys, text):
    """Which lines to add, and where; nothing is written."""
    page = tmp_path / "README.md"
    page.write_text(text)
    assert model_card.main([], page) == 1
    assert f"put the two lines\n    {BEGIN}\n    {END}\n" in capsys.readouterr().err
    assert page.read_text() == text
    with pytest.raises(CardError):
        inside(text)


def test_only_the_table_is_replaced(tmp_path, monkeypatch, capsys):
    """What stands before and after the markers stays, and writing twice changes nothing."""
    page = tmp_path / "README.md"
    page.write_text(f"before\n{BEGIN}\nold\n{END}\nafter\n")
    monkeypatch.setattr(model_card, "networks", lambda: [("Physnet", "", [])])
    monkeypatch.setattr(model_card, "row", lambda *which, repeats=3: Row(("Physnet", "1"), "2" if repeats else ""))
    assert model_card.main([], page) == 0
    text = page.read_text()
    assert text.startswith(f"before\n{BEGIN}\n| method |") and text.endswith(f"\n{END}\nafter\n")
    assert "old" not in text and "| Physnet | 1 | 2 |" in text and "| Physnet | 1 | 2 |" in capsys.readouterr().out
    assert model_card.main([], page) == 0 and page.read_text() == text
    assert model_card.main(["--check"], page) == 0
