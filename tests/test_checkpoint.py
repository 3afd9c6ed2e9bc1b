"""Weight files: written atomically and reproducibly, read with or without `module.`, refused readably."""

import pickle

import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from neural_methods.checkpoint import (
    WeightsError,
    load_part,
    load_weights,
    read_sidecar,
    read_weights,
    write_atomically,
    write_weights,
)
from neural_methods.model.physnet import PhysNet
from neural_methods.model.ts_can import TSCAN
from registry import METHODS
from tests.trainer_tools import tiny_config


class Hostile:
    """Pickles to a call of a harmless builtin: code in a weight file."""

    def __reduce__(self):
        """Would print when unpickled."""
        return print, ("code ran",)


@pytest.mark.parametrize(
    "prefix", ["module.module.", "_orig_mod.", "model.", "module._orig_mod.net.", "a.b.", "model.model."]
)
def test_whatever_all_names_begin_with_is_no_part_of_them(tmp_path, prefix):
    """Wrappers of torch, of Lightning, of a class that holds the network."""
    network = torch.nn.Sequential(torch.nn.Linear(2, 3), torch.nn.Linear(3, 1))
    torch.save({prefix + key: value for key, value in network.state_dict().items()}, tmp_path / "a.pth")
    other = torch.nn.Sequential(torch.nn.Linear(2, 3), torch.nn.Linear(3, 1))
    load_weights(other, tmp_path / "a.pth")
    assert all(torch.equal(value, network.state_dict()[key]) for key, value in other.state_dict().items())
    assert load_part(other, tmp_path / "a.pth").share == 1


def test_a_network_may_call_its_only_part_model(tmp_path):
    """Its own names are left alone."""
    network = torch.nn.ModuleDict({"model": torch.nn.Linear(2, 3)})
    torch.save(network.state_dict(), tmp_path / "a.pth")
    load_weights(network, tmp_path / "a.pth")


def test_prefix_is_written_and_stripped(tmp_path):
    """A file with `module.` names loads into a plain network, and the other way round."""
    network = nn.Linear(2, 3)
    write_weights(tmp_path / "a.pth", network, {}, prefix=True)
    assert list(torch.load(tmp_path / "a.pth", weights_only=True)) == ["module.weight", "module.bias"]
    other = nn.Linear(2, 3)
    load_weights(other, tmp_path / "a.pth")
    assert torch.equal(other.weight, network.weight)


def test_equal_weights_make_equal_files(tmp_path):
    """The bytes depend on the weights alone, not on the file's name."""
    network = nn.Linear(2, 3)
    for name in ("one.pth", "another.pth"):
        write_weights(tmp_path / name, network, {})
    assert (tmp_path / "one.pth").read_bytes() == (tmp_path / "another.pth").read_bytes()


def test_safetensors_load(tmp_path):
    """The other file format, with a prefix."""
    network, other = nn.Linear(2, 3), nn.Linear(2, 3)
    save_file({f"module.{key}": value for key, value in network.state_dict().items()}, tmp_path / "a.safetensors")
    load_weights(other, tmp_path / "a.safetensors")
    assert torch.equal(other.bias, network.bias)


def test_missing_file_says_what_to_do(tmp_path):
    """The path, the key and the way to get weights."""
    with pytest.raises(FileNotFoundError, match="INFERENCE.MODEL_PATH"):
        read_weights(tmp_path / "none.pth")


def test_file_with_code_is_refused(tmp_path, capsys):
    """Nothing runs, and the message says why."""
    torch.save({"weight": Hostile()}, tmp_path / "a.pth")
    (tmp_path / "b.pth").write_bytes(pickle.dumps({"weight": Hostile()}))
    for name in ("a.pth", "b.pth"):
        with pytest.raises(WeightsError, match="code"):
            read_weights(tmp_path / name)
    assert "code ran" not in capsys.readouterr().out


@pytest.mark.parametrize("name", ["a.pth", "a.safetensors"])
@pytest.mark.parametrize("content", [b"", b"no weights at all", b"PK\x03\x04 torn"])
def test_damaged_file_is_one_sentence(tmp_path, name, content):
    """An empty, foreign or torn file is a WeightsError that names it."""
    (tmp_path / name).write_bytes(content)
    with pytest.raises(WeightsError, match=name):
        read_weights(tmp_path / name)


def test_something_else_than_a_state_dict_is_refused(tmp_path):
    """A list of tensors is no state dict."""
    torch.save([torch.zeros(2)], tmp_path / "a.pth")
    with pytest.raises(WeightsError, match="state dict"):
        read_weights(tmp_path / "a.pth")


def test_wrong_method_without_sidecar_names_the_right_one(tmp_path):
    """Bare TS-CAN weights in PhysNet: one sentence with both names, found by names and shapes."""
    torch.save(TSCAN(4, 16).state_dict(), tmp_path / "a.pth")
    trainer = METHODS["Physnet"](tiny_config("Physnet", tmp_path))
    with pytest.raises(WeightsError) as error:
        trainer.load(tmp_path / "a.pth")
    message = str(error.value)
    assert "does not fit Physnet" in message and "Tscan" in message
    assert "\n" not in message and len(message) < 600


def test_other_frame_size_is_named(tmp_path):
    """TS-CAN weights for another frame size: the layer and both shapes."""
    torch.save(TSCAN(4, 20).state_dict(), tmp_path / "a.pth")
    trainer = METHODS["Tscan"](tiny_config("Tscan", tmp_path))
    with pytest.raises(WeightsError, match=r"final_dense_1.weight.*\(128, 576\).*\(128, 256\)"):
        trainer.load(tmp_path / "a.pth")


def test_weights_of_no_known_method(tmp_path):
    """Nobody's weights are called nobody's."""
    torch.save({"nobody": torch.zeros(2)}, tmp_path / "a.pth")
    with pytest.raises(WeightsError, match="no method known here"):
        METHODS["Physnet"](tiny_config("Physnet", tmp_path)).load(tmp_path / "a.pth")


@pytest.mark.parametrize(
    ("name", "changes", "words"),
    [
        ("Physnet", {}, "weights of Tscan, but MODEL.NAME is Physnet"),
        ("Tscan", {"MODEL__TSCAN__FRAME_DEPTH": 8}, "FRAME_DEPTH"),
        ("Tscan", {"TRAIN__DATA__PREPROCESS__LABEL_TYPE": "Raw"}, "label_type DiffNormalized instead of Raw"),
        ("Tscan", {"TRAIN__DATA__PREPROCESS__CHUNK_LENGTH": 32}, "frames 16 instead of 32"),
    ],
)
def test_sidecar_tells_what_a_state_dict_cannot(tmp_path, name, changes, words):
    """Method, FRAME_DEPTH, label type and clip length are compared where the sidecar knows them."""
    writer = METHODS["Tscan"](tiny_config("Tscan", tmp_path))
    write_weights(tmp_path / "a.pth", writer.build(), writer.description())
    with pytest.raises(WeightsError) as error:
        METHODS[name](tiny_config(name, tmp_path, **changes)).load(tmp_path / "a.pth")
    assert words in str(error.value)


def test_right_weights_load_and_say_what_was_checked(tmp_path, capsys):
    """With a sidecar all is checked; without it the message says what could not be."""
    trainer = METHODS["Tscan"](tiny_config("Tscan", tmp_path))
    write_weights(tmp_path / "a.pth", trainer.build(), trainer.description())
    trainer.load(tmp_path / "a.pth")
    assert "sidecar" in capsys.readouterr().out
    (tmp_path / "a.json").unlink()
    trainer.load(tmp_path / "a.pth")
    assert "nothing more could be checked" in capsys.readouterr().out


def test_ignored_entries_may_be_missing_or_over(tmp_path):
    """Patterns name entries that do not count."""
    network = nn.Linear(2, 3)
    torch.save({"weight": network.weight, "fsam.extra": torch.zeros(1)}, tmp_path / "a.pth")
    with pytest.raises(WeightsError):
        load_weights(nn.Linear(2, 3), tmp_path / "a.pth")
    load_weights(nn.Linear(2, 3), tmp_path / "a.pth", ignored=("bias", "fsam.*"))


def test_unreadable_sidecar_is_named(tmp_path):
    """Broken JSON beside the weights is an error that names the file."""
    (tmp_path / "a.json").write_text("{")
    with pytest.raises(WeightsError, match="a.json"):
        read_sidecar(tmp_path / "a.pth")


def test_failed_write_leaves_the_old_file(tmp_path, monkeypatch):
    """When the disk refuses, the old file stays and no temporary one is left."""
    target = tmp_path / "a.pth"
    write_atomically(target, b"old")

    def full(descriptor):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(OSError, match="No space"):
        write_atomically(target, b"new")
    assert target.read_bytes() == b"old"
    assert [path.name for path in tmp_path.iterdir()] == ["a.pth"]


def test_networks_load_physnet_in_both_directions(tmp_path):
    """PhysNet writes plain names, as rPPG-Toolbox does for it."""
    trainer = METHODS["Physnet"](tiny_config("Physnet", tmp_path))
    write_weights(tmp_path / "a.pth", trainer.build(), {}, trainer.prefix_module)
    PhysNet().load_state_dict(torch.load(tmp_path / "a.pth", weights_only=True))


# ---------------------------------------------------------------------- parts of a network


def _hundred() -> nn.ModuleDict:
    """A network of 100 entries."""
    return nn.ModuleDict({f"layer{number}": nn.Linear(1, 1) for number in range(50)})


def test_part_is_loaded_under_other_names(tmp_path):
    """A mapping of beginnings or a function renames; what became of every entry is reported."""
    theirs, ours = _hundred(), _hundred()
    state = {f"encoder.{key}": value for key, value in theirs.state_dict().items()} | {"head.weight": torch.ones(1)}
    torch.save(state, tmp_path / "a.pth")
    for rename in ({"encoder.": ""}, lambda key: key.removeprefix("encoder.") if "encoder" in key else None):
        report = load_part(ours, tmp_path / "a.pth", rename)
        assert len(report.loaded) == 100 and not report.missing and not report.mismatched
        assert report.unexpected == (("head.weight",) if isinstance(rename, dict) else ())
        assert torch.equal(ours["layer7"].weight, theirs["layer7"].weight)


def test_part_of_which_too_little_fits_is_refused_and_left_alone(tmp_path):
    """94 of 100 entries are too few, 95 are enough; the sentence says both shares."""
    theirs, ours = _hundred(), _hundred()
    before = ours["layer7"].weight.clone()
    state = dict(list(theirs.state_dict().items())[:95])
    torch.save({**state, "layer3.bias": torch.zeros(2)}, tmp_path / "a.pth")
    with pytest.raises(WeightsError, match="fills 94 % of ModuleDict, and 95 % are asked for: 94 entries loaded"):
        load_part(ours, tmp_path / "a.pth")
    assert torch.equal(ours["layer7"].weight, before)
    torch.save(state, tmp_path / "a.pth")
    assert load_part(ours, tmp_path / "a.pth").share == 0.95


def test_part_is_never_read_from_a_file_with_code(tmp_path, capsys):
    """As whole networks."""
    torch.save({"weight": Hostile()}, tmp_path / "a.pth")
    with pytest.raises(WeightsError, match="code"):
        load_part(nn.Linear(1, 1), tmp_path / "a.pth", minimum=0.0)
    assert "code ran" not in capsys.readouterr().out
