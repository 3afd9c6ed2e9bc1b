"""The protocol's numbers: what it says a number of people gives is what its own lines compute."""

import contextlib
import io
import re

from tests.conftest import ROOT

TEXT = (ROOT / "docs" / "multimodal_protocol.md").read_text()


def test_the_power_calculation_gives_what_is_written_beside_it():
    """The block of Python in the page, run."""
    code = re.search(r"```python\n(.*?)```", TEXT, re.S)[1]
    said = [line.split("  # ")[1].split(":")[0].strip() for line in code.splitlines() if line.startswith("print")]
    with contextlib.redirect_stdout(io.StringIO()) as out:
        exec(code, {})
    assert out.getvalue().splitlines() == said


def test_scenarios_and_groups_add_up():
    """Minutes of recording, and people of each group."""
    minutes = [int(one) for one in re.findall(r"^\| r\d\d .*\| (\d+) \|$", TEXT, re.M)]
    assert len(minutes) == 9 and sum(minutes) == 30
    each = [int(one) for one in re.findall(r"^\| (?:skin tone|sex|age) \|.*\| (\d+) \|$", TEXT, re.M)]
    assert [3 * each[0], 2 * each[1], 4 * each[2]] == [120] * 3
