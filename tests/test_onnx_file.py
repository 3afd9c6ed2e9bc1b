"""ONNX files of strangers: what is sound runs, all else is refused in one sentence, and no other file is opened."""

import json
import os

import numpy as np
import pytest

from tests.onnx_tools import EXPECTS, model, written
from unsupervised_methods import onnx_file
from unsupervised_methods.expects import Expects
from unsupervised_methods.onnx_file import INPUT, KEY, OUTPUT, NetworkError, OnnxNetwork

REASON = "onnx and onnxruntime are not installed (the extra `onnx`)"
onnx = pytest.importorskip("onnx", reason=REASON)
pytest.importorskip("onnxruntime", reason=REASON)
helper, FLOAT = onnx.helper, onnx.TensorProto.FLOAT


def refusal(path):
    """The one sentence for a file; it ends with what helps."""
    with pytest.raises(NetworkError) as caught:
        OnnxNetwork(path)(np.zeros((1, *EXPECTS.shape), np.float32))
    said = str(caught.value)
    assert str(path) in said and said.endswith(onnx_file.AGAIN) and "\n" not in said
    return said


def test_a_sound_file_runs_with_any_number_of_clips(tmp_path):
    """And says what it expects."""
    network = OnnxNetwork(written(tmp_path / "a.onnx", model()))
    video = np.random.default_rng(0).random((3, *EXPECTS.shape), np.float32)
    np.testing.assert_allclose(network(video), video.mean(axis=(1, 3, 4)), rtol=1e-5)
    assert network.expects == EXPECTS and network.name == "Toy"


def outside(name, location=None):
    """A tensor whose bytes lie in another file."""
    tensor = onnx.TensorProto(name=name, data_type=FLOAT, dims=[1], data_location=onnx.TensorProto.EXTERNAL)
    tensor.external_data.add(key="location", value=location or "secret.bin")
    return tensor


@pytest.mark.parametrize("location", ["secret.bin", "../secret.bin", "/etc/passwd"])
def test_weights_in_other_files_are_refused(tmp_path, location):
    """Inside its folder and outside, as an initialiser."""
    nodes = [helper.make_node("Mul", [INPUT, "w"], [OUTPUT])]
    path = written(tmp_path / "a.onnx", model(nodes=nodes, initializers=[outside("w", location)]))
    assert "keeps weights in other files" in refusal(path)


def test_weights_in_other_files_are_found_wherever_they_hide(tmp_path):
    """In an attribute, in a branch, in a function that the file brings, in a sparse tensor."""
    constant = helper.make_node("Constant", [], ["c"], value=outside("c"))
    branch = helper.make_graph([constant], "then", [], [helper.make_tensor_value_info("c", FLOAT, None)])
    hidden = [model(nodes=[constant]), model(nodes=[helper.make_node("If", ["x"], [OUTPUT], then_branch=branch)])]
    hidden.append(model())
    hidden[2].functions.append(helper.make_function("own", "f", [], ["c"], [constant], [helper.make_opsetid("", 17)]))
    hidden.append(model())
    hidden[3].graph.sparse_initializer.add().values.CopyFrom(outside("s"))
    for number, one in enumerate(hidden):
        assert "keeps weights in other files" in refusal(written(tmp_path / f"{number}.onnx", one))


def test_operators_that_are_not_onnx_s_own_and_endless_loops_are_not_run(tmp_path):
    """Also inside a branch."""
    custom = model(nodes=[helper.make_node("Run", [INPUT], [OUTPUT], domain="com.example")])
    assert "operator 'Run'" in refusal(written(tmp_path / "a.onnx", custom))
    body = helper.make_graph([], "body", [], [])
    loop = model(nodes=[helper.make_node("Loop", ["", "on"], [OUTPUT], body=body)])
    assert "operator 'Loop'" in refusal(written(tmp_path / "b.onnx", loop))


@pytest.mark.parametrize("count", [0, 2])
def test_a_file_must_describe_itself_once(tmp_path, count):
    """Two descriptions are none."""
    assert "does not say what its network expects" in refusal(written(tmp_path / "a.onnx", model(described=count)))


@pytest.mark.parametrize("change", [{"frames": 10**12}, {"size": [10**6, 8]}, {"method": "\x1b]0;x"}, {"format": 7}])
def test_descriptions_that_cannot_be_meant_are_refused(tmp_path, change):
    """Before memory is taken for them; nothing that steers a terminal is printed."""
    made = model(described=0)
    made.metadata_props.add(key=KEY, value=json.dumps({**json.loads(EXPECTS.text()), **change}))
    assert refusal(written(tmp_path / "a.onnx", made)).isprintable()


def test_a_file_that_reads_other_clips_than_it_says_is_refused(tmp_path):
    """Its metadata and its network must agree."""
    made = model()
    other = Expects("Toy", 16, (9, 8), ("Raw",), 3, "Raw", 30.0, 0.0)
    made.metadata_props[0].value = other.text()
    assert "reads other clips than it describes" in refusal(written(tmp_path / "a.onnx", made))


def test_a_file_that_gives_something_else_is_refused(tmp_path):
    """One number a clip in place of a wave."""
    made = model(nodes=[helper.make_node("ReduceMean", [INPUT], [OUTPUT], axes=[1, 2, 3, 4], keepdims=0)])
    assert "where it describes waves" in refusal(written(tmp_path / "a.onnx", made))


def test_a_network_that_asks_for_all_memory_fails_and_the_program_goes_on(tmp_path):
    """4 TB of zeros, asked for while it runs."""
    long = helper.make_tensor("n", onnx.TensorProto.INT64, [1], [1 << 40])
    nodes = [
        helper.make_node("ReduceMean", [INPUT], ["mean"], axes=[0, 1, 3, 4], keepdims=0),
        helper.make_node("Cast", ["mean"], ["whole"], to=onnx.TensorProto.INT64),
        helper.make_node("Sub", ["whole", "whole"], ["none"]),
        helper.make_node("Add", ["none", "n"], ["many"]),
        helper.make_node("ConstantOfShape", ["many"], [OUTPUT]),
    ]
    assert "cannot be run" in refusal(written(tmp_path / "a.onnx", model(nodes=nodes, initializers=[long])))
    test_a_sound_file_runs_with_any_number_of_clips(tmp_path)


def test_damaged_files_are_refused(tmp_path):
    """Cut short, noise, empty, of another kind, a folder, a pipe, far too large."""
    whole = model(initializers=[helper.make_tensor("w", FLOAT, [99], [0.5] * 99)]).SerializeToString()
    for number, data in enumerate((whole[:100], whole[:-3], b"", b"\x80\x02}q\x00.", bytes(range(256)))):
        (tmp_path / f"{number}.onnx").write_bytes(data)
        refusal(tmp_path / f"{number}.onnx")
    (tmp_path / "folder.onnx").mkdir()
    os.mkfifo(tmp_path / "pipe.onnx")
    with (tmp_path / "large.onnx").open("wb") as file:
        file.truncate(onnx_file.LARGEST + 1)
    for name, what in (("folder", "is a folder"), ("pipe", "is a pipe"), ("large", "bytes, but at most")):
        assert what in refusal(tmp_path / f"{name}.onnx")
    with pytest.raises(FileNotFoundError, match="does not exist"):
        OnnxNetwork(tmp_path / "none.onnx")
