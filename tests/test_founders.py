"""Pre-trained encoders: every way in which published files name their entries, and what is refused."""

import pickle

import pytest
import torch

from neural_methods.checkpoint import WeightsError
from neural_methods.founders import branches_in, load_encoder
from neural_methods.model.net1d import Net1D
from neural_methods.model.ppg_net1d import PPGNet1D

SMALL = {"first": (16, 16, 2), "filters": (16, 32), "blocks": (2, 2), "kernel": 16}


def small(**changes):
    """An encoder shaped like ECGFounder, quick to build."""
    return Net1D(**{**SMALL, **changes})


def filled(network, seed=3):
    """The entries of `network`, drawn anew."""
    torch.manual_seed(seed)
    state = network.state_dict()
    return {k: torch.randn_like(v) if v.is_floating_point() else v for k, v in state.items()}


def saved(folder, content):
    """A file with `content`."""
    torch.save(content, folder / "weights.pth")
    return folder / "weights.pth"


def same(network, state):
    """Whether the network holds these entries."""
    return all(torch.equal(value, state[name]) for name, value in network.state_dict().items())


def test_a_published_file_arrives_whole(tmp_path):
    """1_lead_ECGFounder.pth: `state_dict` with 509 entries, of which the classifier is left out: 507 of 507."""
    network = Net1D()
    state = filled(network)
    content = {"state_dict": {**state, "dense.weight": torch.zeros(150, 1024), "dense.bias": torch.zeros(150)}}
    said = load_encoder(network, "ecg", saved(tmp_path, content))
    assert said.startswith("ECG encoder: 507/507 tensors loaded") and same(network, state)


@pytest.mark.parametrize("wrapper", ["model", "state_dict", "model_state_dict", ""])
@pytest.mark.parametrize("prefix", ["", "module.", "ecg_enc.backbone.", "module.ecg_encoder.", "encoders.ecg."])
def test_every_wrapper_and_prefix(tmp_path, wrapper, prefix):
    """With the other encoder beside it where the names tell."""
    network = small()
    state = filled(network)
    content = {prefix + name: value for name, value in state.items()}
    if "ecg" in prefix:
        content |= {prefix.replace("ecg", "ppg") + name: value + 1 for name, value in state.items()}
    load_encoder(network, "ecg", saved(tmp_path, {wrapper: content} if wrapper else content))
    assert same(network, state)


def test_aliases_of_names(tmp_path):
    """`first`, `stages`, `blocks`, `se1`, `se2`."""
    network = small()
    state = filled(network)
    other = {"first_conv": "first", "stage_list": "stages", "block_list": "blocks", "se_fc1": "se1", "se_fc2": "se2"}
    content = {".".join(other.get(part, part) for part in name.split(".")): value for name, value in state.items()}
    load_encoder(network, "ecg", saved(tmp_path, content))
    assert same(network, state)


@pytest.mark.parametrize("place", ["ppg_encoder.backbone.cbam.", "ppg_encoder.cbam."])
def test_attention_beside_or_inside_the_backbone_under_foreign_names(tmp_path, place):
    """By shape: convolutions of one step are matrices."""
    network = PPGNet1D()
    state = filled(network)
    content = {f"ppg_encoder.{name}": value for name, value in state.items() if not name.startswith("cbam.")}
    content |= {
        f"{place}ca.mlp.0.weight": state["cbam.channel.0.weight"][..., None],
        f"{place}ca.mlp.2.weight": state["cbam.channel.2.weight"][..., None],
        f"{place}sa.conv.weight": state["cbam.temporal.weight"],
    }
    said = load_encoder(network, "ppg", saved(tmp_path, {"model_state_dict": content}))
    assert "435/435" in said and same(network, state)


def test_less_than_95_percent_is_refused_and_changes_nothing(tmp_path):
    """94 % of the entries; with `partial` they are taken."""
    network = small()
    before, state = {k: v.clone() for k, v in network.state_dict().items()}, filled(small())
    kept = dict(list(state.items())[: int(0.945 * len(state))])
    path = saved(tmp_path, kept)
    with pytest.raises(WeightsError, match="95 % are needed.*--allow_partial"):
        load_encoder(network, "ecg", path)
    assert same(network, before)
    assert f"{len(kept)}/{len(state)} tensors" in load_encoder(network, "ecg", path, partial=True)


def test_the_encoder_of_the_other_modality_is_named(tmp_path):
    """Bare by its first kernel, otherwise by its prefix."""
    ppg = filled(PPGNet1D())
    for content in (ppg, {f"ppg_encoder.{name}": value for name, value in ppg.items()}):
        with pytest.raises(WeightsError, match="holds a PPG encoder"):
            load_encoder(small(), "ecg", saved(tmp_path, content))
    assert branches_in({"ppg_encoder.first_conv.conv.weight": ppg["first_conv.conv.weight"]}) == ("ppg",)


class Bad:
    """What a hostile file holds."""

    def __reduce__(self):
        """Code that would run."""
        return print, ("run",)


def test_a_pickle_is_not_opened(tmp_path, capsys):
    """Neither bare nor inside a file of torch; nothing of it runs."""
    (tmp_path / "bare.pth").write_bytes(pickle.dumps({"state_dict": Bad()}))
    for path in (tmp_path / "bare.pth", saved(tmp_path, {"state_dict": {"first_conv.conv.weight": Bad()}})):
        with pytest.raises(WeightsError, match="could run that code"):
            load_encoder(small(), "ecg", path)
    assert "run" not in capsys.readouterr().out


def test_an_encoder_of_twelve_leads_is_refused(tmp_path):
    """All but one of its entries would fit, and the one that does not is the first thing a wave meets."""
    path = saved(tmp_path, {"state_dict": filled(small(channels=12))})
    with pytest.raises(WeightsError, match="12 leads, this network 1"):
        load_encoder(small(), "ecg", path)
