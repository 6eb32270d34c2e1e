"""Layers of a node that is kept in float32: also those without a name, found through tensors; copies do not count."""

import json
import os

import numpy as np
import onnx
import pytest
from latentjet.benchmarks import layers
from latentjet.runtime import compile as compiling
from latentjet.runtime import kept_layers
from latentjet.runtime.bundle import Bundle
from latentjet.runtime.engine import open_engine
from latentjet.runtime.kept_layers import reformats
from latentjet.runtime.trt import Api
from onnx import TensorProto, helper, numpy_helper

COPY = "Reformatting CopyNode for Output Tensor 0 to "


def certificate(path):
    place = os.path.join(path, "plans")
    name = next(name for name in sorted(os.listdir(place)) if name.startswith("decode.fp16") and name.endswith("json"))
    with open(os.path.join(place, name)) as handle:
        return json.load(handle)


@pytest.mark.parametrize("layer, node", [
    ("node_exp", "node_exp"), ("node_exp_1", "node_exp"), ("Exp (12)_3", "Exp (12)"), ("_3", "_3"), ("a_b", "a_b"),
    ("(Unnamed Layer* 3) [Shuffle]", "(Unnamed Layer* 3) [Shuffle]"),
])  # fmt: skip
def test_the_node_of_a_layer(layer, node):
    assert kept_layers.node_of(layer) == node


def test_honoured_reads_whole_names():
    layers = [
        {"name": "node_exp_12 + node_relu", "precision": "fp16"}, {"name": "PWN(node_exp)", "precision": "fp32"},
        {"name": "node_conv [profile 1]", "precision": "fp16"}, {"name": "node_conv", "precision": "fp32"},
        {"name": "{ForeignNode[node_a...node_b]}", "precision": "fp16"}, {"name": "node_odd", "precision": None},
        {"name": "/up/node_up", "precision": "fp16"},
    ]  # fmt: skip
    asked = ["node_exp", "node_relu", "node_conv", "node_a", "node_b", "node_odd", "node_up", "node_exp_1"]
    assert kept_layers.honoured(layers, asked) == (["node_exp"], ["node_relu", "node_conv"])
    assert kept_layers.honoured(None, ["node_exp"]) == ([], [])



@pytest.mark.parametrize("name, expected", [
    ("Reformatting CopyNode for Output Tensor 0 to node_conv", True), ("node_conv", False),
    ("Reformatting CopyNode for Input Tensor 0 to node_conv + node_relu", True), ("node_conv input reformatter 0", True),
    ("PWN(node_exp)", False), ("my Reformatting CopyNode", False),
])  # fmt: skip
def test_copies_between_formats_are_told_by_their_names(name, expected):
    assert reformats(name) is expected


def test_a_copy_is_not_the_layer_that_it_stands_beside():
    layers = [{"name": "node_conv", "precision": "fp32"}, {"name": COPY + "node_conv", "precision": "fp16"}]
    assert kept_layers.honoured(layers, ["node_conv"]) == (["node_conv"], [])
    layers = [{"name": "node_conv", "precision": "fp16"}, {"name": COPY + "node_conv", "precision": "fp32"}]
    assert kept_layers.honoured(layers, ["node_conv"]) == ([], ["node_conv"])


@pytest.mark.parametrize("version", ["8.2.1", "8.4.1.5", "8.6.0"])
def test_a_kept_layer_among_others_in_half_is_reported_as_honoured(plug, built, version):
    """The engine copies its output to half precision for the next layer: that copy bears its name."""
    plug(version)
    found = certificate(built(keep=["node_relu"]))
    assert COPY + "node_relu" in {layer["name"] for layer in found["layers"]}
    assert found["honoured"] == ["node_relu"] and found["not_honoured"] == []


def test_a_copy_that_is_timed_is_no_operator_of_the_layer_beside_it(board, built):
    bundle = Bundle.open(built(keep=["node_relu"]))
    with open_engine(bundle, "decode", "trt") as engine:
        (entry,) = layers.measure(bundle, engine, "trt", (1,), 1)
    operators = {item["name"]: item["operators"] for item in entry["layers"]}
    assert operators[COPY + "node_relu"] == ["Reformat"] and operators["node_relu"] == ["Relu"]


def graph_of(*nodes, **weights):
    """Nodes (operator, inputs, output) on an input x, weights by name -> an ONNX file's bytes; output y."""
    made = [
        helper.make_node(kind, inputs, [output], "node_" + output, **more)
        for kind, inputs, output, more in [node if len(node) == 4 else node + ({},) for node in nodes]
    ]
    described = [helper.make_tensor_value_info(name, TensorProto.FLOAT, ["batch", 4]) for name in "xy"]
    constants = [numpy_helper.from_array(np.asarray(value, np.float32), name) for name, value in weights.items()]
    graph = helper.make_graph(made, "g", described[:1], described[1:], constants)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)])
    model.ir_version = 7
    onnx.checker.check_model(model)
    return model.SerializeToString()


def asked(board, content, *keep):
    """{name of a layer that was asked to stay in float32} when these nodes are kept."""
    wanted = compiling.Recipe("g", "fp16", "g.onnx", content, False, keep, (1, 4), 1 << 26)
    built, _ = compiling.build(Api(board.trt), wanted)
    assert board.double.builds[-1]["asked"] == list(built.asked)
    return set(built.asked)


EYE = np.eye(4)


def test_a_matrix_product_is_three_layers(board):
    content = graph_of(
        ("Relu", ["x"], "a"), ("Gemm", ["a", "w", "c"], "b"), ("Relu", ["b"], "y"), w=EYE, c=np.zeros(4)
    )
    names = {"(Unnamed Layer* 1) [Shuffle]", "node_b", "(Unnamed Layer* 3) [Shuffle]"}
    assert asked(board, content, "node_b") == names


def test_constants_of_a_kept_node_and_no_others(board):
    """s and t are each brought to the rank of x; what only feeds the other node stays as it is."""
    content = graph_of(("Mul", ["x", "s"], "a"), ("Add", ["a", "t"], "y"), s=np.ones(4), t=np.ones(4))
    assert asked(board, content, "node_a") == {"s", "(Unnamed Layer* 1) [Shuffle]", "node_a"}
    assert asked(board, content, "node_y") == {"t", "(Unnamed Layer* 4) [Shuffle]", "node_y"}


def test_a_constant_with_two_readers_leads_to_none_but_the_kept_one(board):
    content = graph_of(("MatMul", ["x", "w"], "a"), ("MatMul", ["a", "w"], "y"), w=EYE)
    assert asked(board, content, "node_a") == {"w", "node_a"}
    assert asked(board, content, "node_y") == {"w_0", "node_y"}


@pytest.mark.parametrize("kind, end", [("Softmax", "Shuffle"), ("LogSoftmax", "Unary")])
def test_a_softmax_ends_in_a_layer_without_a_name(board, kind, end):
    content = graph_of(("Relu", ["x"], "a"), (kind, ["a"], "b", {"axis": 1}), ("Relu", ["b"], "y"))
    assert asked(board, content, "node_b") == {"node_b", "(Unnamed Layer* 2) [{}]".format(end)}


def test_the_neighbours_of_a_kept_node_are_left_alone(board):
    content = graph_of(
        ("Gemm", ["x", "w", "c"], "a"), ("Exp", ["a"], "b"), ("Gemm", ["b", "w", "c"], "y"), w=EYE, c=np.zeros(4)
    )
    assert asked(board, content, "node_b") == {"node_b"}


def test_all_layers_of_a_kept_node_are_float32_in_the_plan(board, built):
    """That is what was wrong: the unnamed ones stayed in half, so a kept product was rounded on both sides."""
    found = certificate(built(keep=["node_linear_1"]))
    assert len(found["asked_float32"]) == 3
    assert set(found["honoured"]) == set(found["asked_float32"])


def test_a_network_whose_tensors_were_renamed_is_walked_from_the_names(board):
    """A Flatten of two dimensions is no layer: what it reads gets the name of what it writes."""
    content = graph_of(("Gemm", ["x", "w", "c"], "a"), ("Flatten", ["a"], "y"), w=EYE, c=np.zeros(4))
    wanted = {"(Unnamed Layer* 0) [Shuffle]", "node_a", "(Unnamed Layer* 2) [Shuffle]"}
    assert asked(board, content, "node_a") == wanted
