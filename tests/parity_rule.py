"""The rule that makes the parameters and inputs of the networks' parity numbers, and the comparison with them."""

import json
import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from torch import nn

from tests.conftest import reference

# Absolute tolerance on outputs by family: about ten times the float32 noise measured between kernels and thread counts.
TOLERANCE = {
    **dict.fromkeys(("DeepPhys", "TSCAN", "EfficientPhys"), 2e-6),
    **dict.fromkeys(("PhysNet", "PhysFormer", "RhythmFormer", "BigSmall"), 1e-5),
    "PhysMamba": 5e-5,
    **dict.fromkeys(("iBVPNet", "FactorizePhys", "FactorizePhysBig"), 5e-4),
}
Call = Callable[[nn.Module, torch.Tensor], Any]


def uniform(n: int, index: int) -> np.ndarray:
    """`n` reproducible numbers in [0, 1), float64: entry `index` of the family of sequences."""
    start = (index * 40503 * 65537 + 12345) % 2**32
    steps = np.arange(n, dtype=np.uint64) * np.uint64(2654435761) % np.uint64(2**32)
    return ((steps + np.uint64(start)) % np.uint64(2**32)).astype(np.float64) / 2**32


def signed(n: int, index: int) -> np.ndarray:
    """`uniform` stretched to [-1, 1)."""
    return 2 * uniform(n, index) - 1


def fill(network: nn.Module, keys: Sequence[str] | None = None) -> nn.Module:
    """Overwrite every entry of the state dict by the rule; returns the network.

    `keys` gives rPPG-Toolbox's order of the entries where this network's own order differs or lacks some of them
    (names that the network does not have are counted and passed over).
    """
    state = network.state_dict()
    for index, key in enumerate(keys if keys is not None else list(state)):
        if key in state:
            with torch.no_grad():
                state[key].copy_(torch.from_numpy(_values(key, tuple(state[key].shape), index)))
    return network


def _values(key: str, shape: tuple[int, ...], index: int) -> np.ndarray:
    n = math.prod(shape)
    if key.endswith("num_batches_tracked"):
        return np.zeros(shape)
    if not shape:
        return np.ones(shape)
    if key.endswith("running_mean"):
        return 0.1 * signed(n, index)
    if key.endswith("running_var"):
        return 1 + 0.5 * uniform(n, index)
    if len(shape) >= 2:
        return (signed(n, index) * math.sqrt(6 * shape[0] / n)).reshape(shape)
    return 1 + 0.2 * signed(n, index) if key.endswith("weight") else 0.1 * signed(n, index)


def rule_input(shape: Sequence[int], time_axis: int, raw: bool = False, index: int = 777) -> torch.Tensor:
    """The rule-made network input of `shape`, float32, with a 1.2 Hz wave along `time_axis`; `raw` as grey levels."""
    time = np.arange(shape[time_axis]).reshape([-1 if axis == time_axis else 1 for axis in range(len(shape))])
    values = signed(math.prod(shape), index).reshape(shape) + 0.5 * np.sin(2 * np.pi * 1.2 * time / 30)
    return torch.from_numpy(128 + 50 * values if raw else values).float()


def check_forward(name: str, network_factory: Callable[[], nn.Module], call: Call | None = None) -> dict[str, float]:
    """Compare the network with `models.json[name]`: keys, parameter count, outputs and gradient norms.

    `call(network, input)` gives the outputs (a tensor or a tuple) where it is not `network(input)`. Returns the
    largest differences found (`outputs` absolute, `gradients` relative); skips when the reference is not there.
    """
    case = json.loads(reference("parity/models.json").read_text())[name]
    stored = np.load(reference("parity/models.npz"))
    network = fill(network_factory(), [key for key, _, _ in case["state_dict"]]).eval()
    _check_parameters(network, case)
    inputs = rule_input(case["input_shape"], case["time_axis"], case["raw"])
    outputs = (call or (lambda model, x: model(x)))(network, inputs)
    outputs = outputs if isinstance(outputs, (tuple, list)) else (outputs,)
    worst = {"outputs": max(_output_difference(*pair, stored) for pair in zip(outputs, case["outputs"], strict=False))}
    tolerance = TOLERANCE[name.split("/")[0]]
    assert worst["outputs"] <= tolerance, f"{name}: outputs differ by {worst['outputs']:.2e}, allowed {tolerance:.0e}"
    if case.get("grad"):
        worst["gradients"] = _gradient_difference(name, network, outputs, case["grad"])
        assert worst["gradients"] <= 1e-3, f"{name}: gradient norms differ by {worst['gradients']:.2e}, allowed 1e-3"
    return worst


def _check_parameters(network: nn.Module, case: dict) -> None:
    """Every saved entry has rPPG-Toolbox's name and shape; only 0-dimensional ones may be missing here."""
    expected = {key: tuple(shape) for key, shape, _ in case["state_dict"]}
    found = {key: tuple(value.shape) for key, value in network.state_dict().items()}
    missing = [key for key in expected if key not in found and expected[key]]
    assert not missing, f"missing: {missing[:5]}"
    assert not [key for key in found if found[key] != expected.get(key)], "names or shapes differ"
    constants = sum(1 for key in expected if key not in found and not expected[key])
    assert sum(p.numel() for p in network.parameters()) + constants == case["n_params"]


def _output_difference(output: torch.Tensor, entry: dict, stored: Any) -> float:
    assert list(output.shape) == entry["shape"], f"{list(output.shape)} instead of {entry['shape']}"
    values, expected = output.detach().numpy(), stored[entry["key"]]
    if entry["stored"] != "full":
        values = values.reshape(-1)[:: int(entry["stored"].removeprefix("flat[::").removesuffix("]"))]
    return float(np.abs(values - expected.reshape(values.shape)).max()) if values.size else 0.0


def _gradient_difference(name: str, network: nn.Module, outputs: Sequence[torch.Tensor], expected: dict) -> float:
    out = torch.cat([each.flatten() for each in outputs]) if name.startswith("BigSmall") else outputs[0]
    weights = torch.from_numpy(signed(out.numel(), 999)).float().reshape(out.shape)
    network.zero_grad()
    (out * weights).sum().backward()
    norms = {key: value for key, value in expected["param_grad_l2"].items() if value is not None}
    floor = 1e-6 * max(norms.values())  # smaller norms are rounding noise
    grads = {key: p.grad for key, p in network.named_parameters() if p.grad is not None}
    return max(abs(float(grads[key].norm()) - n) / n for key, n in norms.items() if n >= floor and key in grads)
