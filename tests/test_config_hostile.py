"""Settings that nobody means: keys without a value, files that name each other, aliases that multiply."""

import time

import pytest
from yacs.config import CfgNode

from config import ConfigError, read
from tests.config_tools import CLASSICAL, TRAINING, changed, refusal, write_yaml


def keys(node, path=""):
    """Every key path of a tree that is no section."""
    for key, value in node.items():
        full = f"{path}.{key}" if path else key
        if isinstance(value, CfgNode):
            yield from keys(value, full)
        else:
            yield full, value


@pytest.mark.parametrize(
    "values", [pytest.param(TRAINING, marks=pytest.mark.slow), CLASSICAL], ids=["training", "classical"]
)
def test_a_key_without_a_value_is_empty_or_refused(tmp_path, values):
    """Over the whole schema: never None where the default is something, else a ConfigError that names it."""
    path = write_yaml(values, tmp_path / "x.yaml")
    whole = read(path).config
    refused = 0
    for key, default in keys(whole):
        try:
            found = dict(keys(read(path, [f"{key}=null"]).config)).get(key)
        except ConfigError as error:
            assert key.rpartition(".")[2] in str(error)
            refused += 1
        else:
            assert (found is None) == (default is None), key
    assert refused > 50


def test_files_that_share_their_bases_are_read_once_each(tmp_path):
    """Thirty storeys of two files that both name both below: two to the power of thirty ways, and the last one wins."""
    (tmp_path / "a0.yaml").write_text("TRAIN:\n  LR: 0.5\n")
    (tmp_path / "b0.yaml").write_text("TRAIN:\n  LR: 0.25\n")
    for k in range(1, 30):
        for name in "ab":
            (tmp_path / f"{name}{k}.yaml").write_text(f"BASE: ['a{k - 1}.yaml', 'b{k - 1}.yaml']\n")
    path = write_yaml({**CLASSICAL, "BASE": ["a29.yaml", "b29.yaml"]}, tmp_path / "x.yaml")
    start = time.monotonic()
    assert read(path).config.TRAIN.LR == 0.25 and time.monotonic() - start < 20


@pytest.mark.parametrize(
    "text",
    [
        "A0: &a0 [1, 1]\n" + "".join(f"A{k}: &a{k} [*a{k - 1}, *a{k - 1}]\n" for k in range(1, 40)),
        "A: &a [*a]\n",
    ],
    ids=["lists", "of itself"],
)
def test_aliases_that_multiply_are_refused(tmp_path, text):
    """In a file and in a value of the command line."""
    path = tmp_path / "x.yaml"
    path.write_text(text)
    assert "more than 100,000" in refusal(path)


def test_a_value_of_the_command_line_that_multiplies_is_refused(tmp_path):
    """Sixty characters that stand for millions."""
    value = "[&a [1,1,1,1,1,1,1,1,1,1], &b [*a,*a,*a,*a,*a,*a,*a,*a,*a,*a], &c [*b,*b,*b,*b,*b,*b,*b,*b,*b,*b], "
    value += "&d [*c,*c,*c,*c,*c,*c,*c,*c,*c,*c], [*d,*d,*d,*d,*d,*d,*d,*d,*d,*d]]"
    path = write_yaml(CLASSICAL, tmp_path / "x.yaml")
    assert "more than 100,000" in refusal(path, f"UNSUPERVISED.METRICS={value}")


def test_a_short_key_beside_its_empty_section(tmp_path):
    """A section with nothing behind it is none; one that holds a single value is refused by name."""
    made = changed(CLASSICAL, UNSUPERVISED__DATA__PREPROCESS={"RESIZE": None, "W": 40})
    assert read(write_yaml(made, tmp_path / "x.yaml")).config.UNSUPERVISED.DATA.PREPROCESS.RESIZE.W == 40
    made["UNSUPERVISED"]["DATA"]["PREPROCESS"]["RESIZE"] = 3
    assert "RESIZE" in refusal(write_yaml(made, tmp_path / "x.yaml"))


@pytest.mark.parametrize("value", [10**400, ".nan", ".inf", "0x" + "f" * 5000])
def test_numbers_that_no_setting_means_are_refused(tmp_path, value):
    """Too long to be a float or to be printed, or none at all."""
    path = write_yaml(CLASSICAL, tmp_path / "x.yaml")
    assert "LR" in refusal(path, f"TRAIN.LR={value}")


@pytest.mark.parametrize("value", [[None], [["a"]], [{"a": 1}]])
def test_lists_hold_names(tmp_path, value):
    """Also those of sections that the run does not use: their names are made of them."""
    path = write_yaml(changed(CLASSICAL, TRAIN__DATA__PREPROCESS__DATA_AUG=value), tmp_path / "x.yaml")
    assert "TRAIN.DATA.PREPROCESS.DATA_AUG holds" in refusal(path)
