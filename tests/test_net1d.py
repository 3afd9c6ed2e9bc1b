"""Net1D as published: names, sizes, padding, and features equal to a plain computation from the description."""

import pytest
import torch
import torch.nn.functional as F

from neural_methods.model.net1d import Net1D, SameConv, same_pool
from neural_methods.model.ppg_net1d import PPGNet1D

SMALL = {"first": (16, 5, 2), "filters": (16, 32, 32), "blocks": (2, 1, 2), "kernel": 6}


def parameters(network):
    """How many."""
    return sum(parameter.numel() for parameter in network.parameters())


def plain(state, wave, blocks, kernel, width=16):
    """The features of `wave` by the entries of `state` alone, without batch norm and dropout."""

    def conv(values, name, stride=1, groups=1):
        weight, length = state[f"{name}.conv.weight"], values.shape[-1]
        out = (length + stride - 1) // stride
        total = max(0, (out - 1) * stride + weight.shape[-1] - length)
        zeros = torch.zeros(*values.shape[:2], total)
        left = total // 2
        padded = torch.cat([zeros[..., :left], values, zeros[..., left:]], dim=-1)
        return F.conv1d(padded, weight, state[f"{name}.conv.bias"], stride, groups=groups)

    def swish(values):
        return values * torch.sigmoid(values)

    wave = swish(conv(wave, "first_conv", 2))
    for stage, count in enumerate(blocks):
        for number in range(count):
            name, stride = f"stage_list.{stage}.block_list.{number}", 1 if number else 2
            out = conv(wave if stage == number == 0 else swish(wave), f"{name}.conv1")
            out = conv(swish(out), f"{name}.conv2", stride, groups=out.shape[1] // width)
            out = conv(swish(out), f"{name}.conv3")
            weight = F.linear(out.mean(-1), state[f"{name}.se_fc1.weight"], state[f"{name}.se_fc1.bias"])
            weight = F.linear(swish(weight), state[f"{name}.se_fc2.weight"], state[f"{name}.se_fc2.bias"])
            identity = wave
            if not number:
                identity = torch.cat([wave, torch.zeros(*wave.shape[:2], 1)], dim=-1)
                identity = torch.maximum(identity[..., 0:-1:2], identity[..., 1::2])
            grown = out.shape[1] - identity.shape[1]
            more = [torch.zeros(len(wave), size, identity.shape[-1]) for size in (grown // 2, grown - grown // 2)]
            wave = out * torch.sigmoid(weight)[..., None] + torch.cat([more[0], identity, more[1]], dim=1)
    return wave.mean(-1)


def test_ecg_founder_has_its_published_size_and_names():
    """30,807,750 parameters with the classifier of 150 classes; 507 entries without it, as published."""
    with torch.device("meta"):
        network = Net1D()
    names = list(network.state_dict())
    assert parameters(network) + 150 * 1024 + 150 == 30_807_750
    assert len(names) == 507 and names[0] == "first_conv.conv.weight" and "first_bn.running_var" in names
    assert "stage_list.6.block_list.3.se_fc2.bias" in names and "stage_list.0.block_list.0.bn1.weight" in names


def test_ppg_encoder_has_its_published_size():
    """2,905,214 parameters with attention and the projection to 512."""
    with torch.device("meta"):
        network = PPGNet1D()
    assert parameters(network) + 512 * 512 + 512 == 2_905_214


@pytest.mark.parametrize(("network", "length", "steps"), [
    (Net1D, 5000, 20), (Net1D, 3630, 15), (Net1D, 7500, 30), (PPGNet1D, 3630, 114),
])  # fmt: skip
def test_steps_in_time(network, length, steps):
    """As published for three lengths."""
    with torch.device("meta"):
        assert network().steps(torch.zeros(1, 1, length)).shape[-1] == steps


@pytest.mark.parametrize("length", [33, 34, 100])
def test_features_are_those_of_a_plain_net1d_in_training_too(length):
    """To 1e-6; what batch norm and dropout would do in training does not happen."""
    torch.manual_seed(1)
    network, wave = Net1D(**SMALL), torch.randn(3, 1, length)
    wanted = plain(network.state_dict(), wave, SMALL["blocks"], SMALL["kernel"])
    with torch.no_grad():
        for mode in (network.train(), network.eval()):
            torch.testing.assert_close(mode(wave), wanted, atol=1e-6, rtol=0)


@pytest.mark.parametrize("length", range(1, 12))
@pytest.mark.parametrize("stride", [1, 2, 3])
def test_padding_keeps_ceil_of_length_over_stride(length, stride):
    """Convolution and pooling agree, whatever the length."""
    wave = torch.randn(1, 1, length)
    assert SameConv(1, 1, 4, stride)(wave).shape[-1] == -(-length // stride) == same_pool(wave, stride).shape[-1]


def test_the_odd_zero_of_pooling_comes_at_the_end():
    """[-3, -1, -2] in twos: the last one stands beside a zero."""
    assert same_pool(torch.tensor([[[-3.0, -1.0, -2.0]]]), 2).tolist() == [[[-1.0, 0.0]]]


def test_a_batch_norm_that_is_not_used_keeps_its_statistics():
    """The entries of published files stay as they are through a training step."""
    network = Net1D(**SMALL).train()
    before = {name: value.clone() for name, value in network.state_dict().items() if "bn" in name}
    network(torch.randn(4, 1, 64)).sum().backward()
    torch.optim.AdamW(network.parameters(), lr=0.1, weight_decay=0.0).step()
    assert all(torch.equal(network.state_dict()[name], value) for name, value in before.items())


def test_attention_weighs_channels_and_steps_between_nothing_and_all():
    """No value grows, none changes its sign."""
    from neural_methods.model.ppg_net1d import CBAM

    wave = torch.randn(2, 32, 50)
    share = CBAM(32)(wave) / wave
    assert (share > 0).all() and (share < 1).all()
