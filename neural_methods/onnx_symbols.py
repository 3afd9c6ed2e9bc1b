"""What torch's ONNX exporter does not know of our networks, in operators that every ONNX program knows."""

import contextlib
from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch.onnx import register_custom_op_symbolic, symbolic_helper, unregister_custom_op_symbolic

OPSET = 17
END = 2**62  # of a slice: to the last
DOMAIN, SCAN = "pulsescope", "SelectiveScan"  # as `selective_scan` calls it
FLOAT, INT64 = 1, 7  # ONNX's numbers of types


def diff(g: Any, x: Any, n: Any, dim: Any, prepend: Any = None, append: Any = None) -> Any:
    """torch.diff of the first order: what follows less what is there."""
    axis = symbolic_helper._get_const(dim, "i", "dim")
    later, earlier = _slice(g, x, axis, 1, END), _slice(g, x, axis, 0, -1)
    return g.op("Sub", later, earlier)


def transposed(g: Any, x: Any) -> Any:
    """Tensor.mT: the last two axes exchanged."""
    axes = list(range(symbolic_helper._get_tensor_rank(x)))
    return g.op("Transpose", x, perm_i=[*axes[:-2], axes[-1], axes[-2]])


def adaptive_max_pool(g: Any, x: Any, output_size: Any) -> tuple[Any, Any]:
    """Maxima over windows of unequal length, axis by axis; in place of their places the maxima again."""
    sizes = symbolic_helper._get_tensor_sizes(x)
    for axis, wanted in enumerate(symbolic_helper._get_const(output_size, "is", "output_size"), start=2):
        x = _pooled(g, x, axis, sizes[axis], wanted)
    return x, x


def _pooled(g: Any, x: Any, axis: int, size: int, wanted: int) -> Any:
    if wanted == 1:
        return g.op("ReduceMax", x, axes_i=[axis], keepdims_i=1)
    first = [place * size // wanted for place in range(wanted)]
    last = [-(-(place + 1) * size // wanted) - 1 for place in range(wanted)]
    widest = max(b - a for a, b in zip(first, last, strict=True))
    parts = []
    for step in range(widest + 1):
        places = torch.tensor([min(a + step, b) for a, b in zip(first, last, strict=True)])
        parts.append(g.op("Gather", x, g.op("Constant", value_t=places), axis_i=axis))
    return g.op("Max", *parts) if len(parts) > 1 else parts[0]


def _slice(g: Any, x: Any, axis: int, start: int, end: int) -> Any:
    numbers = [g.op("Constant", value_t=torch.tensor([number])) for number in (start, end, axis)]
    return g.op("Slice", x, *numbers)


SYMBOLS: dict[str, Callable[..., Any]] = {
    "aten::diff": diff,
    "aten::mT": transposed,
    "aten::adaptive_max_pool3d": adaptive_max_pool,
}


@contextlib.contextmanager
def known() -> Iterator[None]:
    """Inside the block the exporter knows these, too."""
    for name, symbol in SYMBOLS.items():
        register_custom_op_symbolic(name, symbol, OPSET)
    try:
        yield
    finally:
        for name in SYMBOLS:
            unregister_custom_op_symbolic(name, OPSET)


def completed(model: Any) -> None:
    """Put the function that a parsed model calls, where it does and ONNX has none, into it."""
    if any((node.domain, node.op_type) == (DOMAIN, SCAN) for node in model.graph.node):
        model.functions.append(_selective_scan())


def _selective_scan() -> Any:
    """The ONNX function of `selective_scan._Scan`: chunks (B, K, S, ...) scanned empty, linked, scanned as they begin.

    delta, w (B, K, S, E), a (N, E), b, c (B, K, S, N) -> y (B, K, S, E).
    """
    from onnx import helper

    node = helper.make_node
    axes = {f"axis{k}": helper.make_tensor(f"axis{k}", INT64, [1], [k]) for k in (2, 3)}
    axes |= {"first": helper.make_tensor("first", INT64, [], [0]), "zero": helper.make_tensor("zero", FLOAT, [], [0.0])}
    nodes = [node("Constant", [], [name], value=value) for name, value in axes.items()]
    nodes += [
        node("Gather", ["w", "first"], ["w0"], axis=2),
        node("Gather", ["b", "first"], ["b0"], axis=2),
        *_outer("w0", "b0", "one0"),
        node("Mul", ["one0", "zero"], ["empty"]),
        node("Scan", ["empty", "delta", "w", "b"], ["left"], body=_step(("d", "v", "k")), num_scan_inputs=3,
             scan_input_axes=[2, 2, 2]),
        node("ReduceSum", ["delta", "axis2"], ["long"], keepdims=1),
        node("Mul", ["long", "a"], ["exponent"]),
        node("Exp", ["exponent"], ["decay"]),
        node("Gather", ["empty", "first"], ["none"], axis=1),
        node("Scan", ["none", "left", "decay"], ["end", "start"], body=_link(), num_scan_inputs=2,
             scan_input_axes=[1, 1], scan_output_axes=[1]),
        node("Scan", ["start", "delta", "w", "b", "c"], ["last", "y"], body=_step(("d", "v", "k", "m")),
             num_scan_inputs=4, scan_input_axes=[2, 2, 2, 2], scan_output_axes=[2]),
    ]  # fmt: skip
    names = ["delta", "w", "a", "b", "c"]
    return helper.make_function(DOMAIN, SCAN, names, ["y"], nodes, [helper.make_opsetid("", OPSET)])


def _outer(v: str, k: str, out: str) -> list[Any]:
    """v (B, K, E) times k (B, K, N): (B, K, N, E)."""
    from onnx import helper

    return [
        helper.make_node("Unsqueeze", [v, "axis2"], [f"{out}_v"]),
        helper.make_node("Unsqueeze", [k, "axis3"], [f"{out}_k"]),
        helper.make_node("Mul", [f"{out}_v", f"{out}_k"], [out]),
    ]


def _step(inputs: tuple[str, ...]) -> Any:
    """One sample of all chunks: h = exp(d a) h + v k; with `m`, the weights of the output, also y = sum of m h."""
    from onnx import helper

    tag = str(len(inputs))  # names are told apart where a function is put into its place
    h, new, decay, inflow, y = (f"{name}{tag}" for name in ("h", "new", "step", "inflow", "out"))
    d, v, k, *m = (f"{name}{tag}" for name in inputs)
    nodes = [
        helper.make_node("Unsqueeze", [d, "axis2"], [f"{d}_wide"]),
        helper.make_node("Mul", [f"{d}_wide", "a"], [f"{d}_a"]),
        helper.make_node("Exp", [f"{d}_a"], [decay]),
        *_outer(v, k, inflow),
        helper.make_node("Mul", [decay, h], [f"{h}_left"]),
        helper.make_node("Add", [f"{h}_left", inflow], [new]),
    ]
    for weights in m:
        nodes += [
            helper.make_node("Unsqueeze", [weights, "axis3"], [f"{weights}_wide"]),
            helper.make_node("Mul", [new, f"{weights}_wide"], [f"{y}_parts"]),
            helper.make_node("ReduceSum", [f"{y}_parts", "axis2"], [y], keepdims=0),
        ]
    inputs, outputs = {h: 4} | dict.fromkeys((d, v, k, *m), 3), {new: 4} | dict.fromkeys([y] if m else [], 3)
    return helper.make_graph(nodes, f"step{tag}", _floats(inputs), _floats(outputs))


def _link() -> Any:
    """From the state before a chunk to that before the next: what it leaves behind, and the rest decayed."""
    from onnx import helper

    nodes = [
        helper.make_node("Identity", ["state"], ["before"]),
        helper.make_node("Mul", ["fade", "state"], ["kept"]),
        helper.make_node("Add", ["kept", "leaves"], ["after"]),
    ]
    inputs, outputs = ("state", "leaves", "fade"), ("after", "before")
    return helper.make_graph(nodes, "link", _floats(dict.fromkeys(inputs, 3)), _floats(dict.fromkeys(outputs, 3)))


def _floats(ranks: dict[str, int]) -> list[Any]:
    """Arrays of any size with so many axes, which a Scan must know."""
    from onnx import helper

    return [helper.make_tensor_value_info(name, FLOAT, [None] * rank) for name, rank in ranks.items()]
