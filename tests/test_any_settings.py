"""Settings of any value: taken, or refused in a sentence that names a key; never a traceback."""

import random

import pytest
import yaml
from hypothesis import strategies as st

from config import ConfigError, dump, read, run_folder, schema
from tests.config_tools import CLASSICAL, TESTING, TRAINING, write_yaml
from tests.searching import EFFORTS, search
from tests.test_config_hostile import keys

KEYS = [key for key, _ in keys(schema())]
BASES = {"training": TRAINING, "testing": TESTING, "classical": CLASSICAL}
HUGE = st.sampled_from([10**400, -(10**30), 2**63, 1e308, -1e308, 5e-324, float("nan"), float("inf"), float("-inf")])
TEXTS = st.one_of(
    st.text(max_size=30),
    st.sampled_from(
        ["", "None", "on", "~", "a\nb", "\x1b[2J", "1e400", "9" * 5000, "[" * 200, "{'a': 1}", "(1,)", "b'x'", "1j",
         "../..", "/dev/null", "\ud800", "a" * 5000, "__class__", "%s", "{}", "0x10", "1_0", "...", "set()", "-" * 300,
         "0x" + "f" * 5000]
    ),
)  # fmt: skip
SINGLE = st.one_of(
    st.none(), st.booleans(), st.integers(), st.floats(), HUGE, TEXTS, st.dates(), st.datetimes(), st.binary(max_size=8)
)
VALUES = st.recursive(
    SINGLE,
    lambda inner: st.one_of(
        st.lists(inner, max_size=4),
        st.dictionaries(
            st.one_of(st.text(max_size=8), st.sampled_from(KEYS), st.integers(), st.none()), inner, max_size=3
        ),
    ),
    max_leaves=8,
)


def tried(path, *changes) -> str:
    """What reading the file says when it refuses; "" when all that follows from its settings can be made, too."""
    try:
        loaded = read(path, changes)
    except ConfigError as error:
        return str(error)
    dump(loaded.config)
    run_folder(loaded.config)
    assert all(isinstance(line, str) for line in (*loaded.changes, *loaded.warnings, *loaded.log))
    return ""


def with_value(values: dict, key: str, value) -> dict:
    """A copy of nested `values` with `value` at the key path `key`."""
    first, _, rest = key.partition(".")
    below = values.get(first)
    inner = with_value(below if isinstance(below, dict) else {}, rest, value) if rest else value
    return {**values, first: inner}


@pytest.mark.parametrize("effort", EFFORTS)
def test_any_value_in_a_file_is_taken_or_refused(effort, tmp_path):
    """One to three keys of the schema, each with anything that YAML can hold."""

    def holds(base, changes):
        values = BASES[base]
        for key, value in changes.items():
            values = with_value(values, key, value)
        path = tmp_path / "x.yaml"
        path.write_text(yaml.safe_dump(values))  # in ASCII, with escapes
        said = tried(path)
        assert not said or said.startswith(str(path))

    changes = st.dictionaries(st.sampled_from(KEYS), VALUES, min_size=1, max_size=3)
    search(holds, effort, 120, base=st.sampled_from(sorted(BASES)), changes=changes)


@pytest.mark.parametrize("effort", EFFORTS)
def test_any_value_of_the_command_line_is_taken_or_refused(effort, tmp_path):
    """Whatever follows KEY=, and keys that are nearly right."""
    path = write_yaml(CLASSICAL, tmp_path / "x.yaml")
    near = st.one_of(
        st.sampled_from(KEYS), st.sampled_from(KEYS).map(lambda key: key.rpartition(".")[2]), st.text(max_size=12)
    )

    def holds(key, text):
        said = tried(path, f"{key}={text}")
        assert not said or said.startswith(("command line", str(path)))

    written = VALUES.map(lambda value: yaml.safe_dump(value, default_flow_style=True))
    search(holds, effort, 120, key=near, text=st.one_of(TEXTS, written))


@pytest.mark.parametrize("effort", EFFORTS)
def test_any_file_is_taken_or_refused(effort, tmp_path):
    """Text that is YAML nearly, and bytes that are no text."""
    whole = yaml.safe_dump(TRAINING).encode()

    def holds(seed, content, alone):
        draw = random.Random(seed)
        at = draw.randrange(len(whole))
        text = content if alone else whole[:at] + content + whole[at + draw.randrange(40) :]
        path = tmp_path / "x.yaml"
        path.write_bytes(text)
        said = tried(path)
        assert not said or said.startswith(str(path))

    search(holds, effort, 100, seed=st.integers(0, 2**32), content=st.binary(max_size=40), alone=st.booleans())
