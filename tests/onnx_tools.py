"""Small ONNX networks made by hand: the mean colour of each frame as the wave."""

from pathlib import Path
from typing import Any

from unsupervised_methods.expects import Expects
from unsupervised_methods.onnx_file import INPUT, KEY, OUTPUT

EXPECTS = Expects("Toy", 16, (8, 8), ("Raw",), 3, "Raw", 30.0, 0.0)


def model(expects: Expects = EXPECTS, nodes: Any = None, initializers: Any = (), described: int = 1) -> Any:
    """An ONNX model that reads what `expects` says; `nodes` from video to wave."""
    from onnx import TensorProto, helper

    nodes = nodes or [helper.make_node("ReduceMean", [INPUT], [OUTPUT], axes=[1, 3, 4], keepdims=0)]
    video = helper.make_tensor_value_info(INPUT, TensorProto.FLOAT, ["clips", *expects.shape])
    wave = helper.make_tensor_value_info(OUTPUT, TensorProto.FLOAT, ["clips", None])
    graph = helper.make_graph(nodes, "toy", [video], [wave], list(initializers))
    made = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    for _ in range(described):
        one = made.metadata_props.add()
        one.key, one.value = KEY, expects.text()
    return made


def written(path: Path, made: Any) -> Path:
    """`made` in a file."""
    path.write_bytes(made.SerializeToString())
    return path
