"""The page of measurements: each section is written in its place, the others stay."""

import pytest

from tools.benchmark import all as benchmarks
from tools.benchmark.all import HEAD, TITLES, with_section


def test_a_section_takes_the_place_of_its_older_self():
    """The text before, between and after stays; backslashes are no escapes."""
    page = "# Measured\n\nintro\n\n## Signals\n\nold\n\n## Training on a GPU\n\nby hand\n"
    new = with_section(page, "Signals", "new \\1\n")
    assert new == page.replace("old", "new \\1")
    assert with_section(new, "Training on a GPU", "again") == new.replace("by hand", "again")


def test_a_new_section_comes_last():
    """One whose title starts another's is no match for it."""
    page = with_section(HEAD, "Training on a GPU", "by hand")
    assert with_section(page, "Training", "more") == page + "\n## Training\n\nmore\n"


def test_what_is_measured_is_written_at_once(tmp_path, monkeypatch, capsys):
    """Also when a later section fails."""

    def broken():
        raise MemoryError

    monkeypatch.setattr(benchmarks, "PAGE", tmp_path / "benchmarks.md")
    monkeypatch.setattr(
        benchmarks, "measurements", lambda *_: dict.fromkeys(TITLES, broken) | {"signals": lambda: "ms"}
    )
    monkeypatch.setattr("sys.argv", ["all", "--only", "signals", "loading"])
    with pytest.raises(MemoryError):
        benchmarks.main()
    text = (tmp_path / "benchmarks.md").read_text()
    assert text.startswith(HEAD) and "## Signals" in text and "## Reading clips" not in text
