"""Graphs taken apart are the same functions, with fewer kernels by TensorRT 8's rules, and fused by ONNX Runtime."""

import collections
import functools

import numpy as np
import onnx
import pytest
import torch
from latentjet.benchmarks.estimate import fusion
from latentjet.benchmarks.estimate import graph as estimated
from latentjet.export.couplings import SHARED, SUM, kept_apart, shared_joins, suits_blocks, take_apart
from latentjet.export.fold import fold
from latentjet.export.graphs import GRAPHS, Method, graphs_of, reference_inputs
from latentjet.export.half import emulate, to_half
from latentjet.export.precision import session
from latentjet.export.target import find_target, lint
from latentjet.export.to_onnx import to_onnx
from latentjet.runtime.bundle import Bundle
from latentjet.train.models import RealNVP
from onnx import TensorProto, helper, numpy_helper

DECODE = GRAPHS["RealNVP"][0]
FLOWS = {
    "one level": {"image": (1, 8, 8), "classes": 3, "couplings": (3,), "width": (6,), "planes": 2},
    "two levels, deep": {"image": (1, 8, 8), "couplings": (2, 4), "width": (6, 5), "depth": 2, "bound": 0.5},
    "colours, no 1x1": {
        "image": (3, 8, 8),
        "classes": 2,
        "couplings": (3, 2),
        "width": (4, 4),
        "depth": 0,
        "planes": 16,
    },
    "noise": {"image": (1, 8, 8), "classes": 3, "couplings": (2,), "width": (4,), "dequantiser": 4, "bound": 2.0},
    "unconditional, noise": {"image": (1, 8, 8), "classes": 0, "couplings": (2, 1), "width": (4, 4), "dequantiser": 4},
    "one coupling a level": {"image": (1, 8, 8), "classes": 3, "couplings": (1, 1), "width": (4, 4)},
}


@functools.lru_cache(None)
def flow(name):
    """A flow no weight of which is at its initial value."""
    torch.manual_seed(0)
    model = RealNVP(**FLOWS[name]).eval()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(0.1 * torch.randn(parameter.shape))
    return model


@functools.lru_cache(None)
def traced(name, spec):
    """Name of a flow, one of its GraphSpecs -> (inputs, graph)."""
    model = flow(name)
    known = reference_inputs(model)
    inputs = {key: known[key] for key in spec.inputs if key in known}
    return inputs, to_onnx(Method(fold(model), spec.method), inputs, spec.outputs, find_target("tx2"))


def run(model, inputs):
    return session(model).run(None, {name: tensor.numpy() for name, tensor in inputs.items()})


def kernels(model):
    return len(fusion.fuse(estimated.read(model.SerializeToString())).kernels)


@pytest.fixture(scope="module")
def decode():
    return traced("two levels, deep", DECODE)[1]


@pytest.mark.parametrize("name", FLOWS)
def test_a_graph_taken_apart_is_what_eager_pytorch_computes(name):
    model = flow(name)
    for spec in graphs_of(model):
        inputs, graph = traced(name, spec)
        apart = take_apart(graph)
        if apart is None:
            continue
        lint(apart, find_target("tx2"))
        with torch.no_grad():
            expected = getattr(model, spec.method)(*inputs.values())
        expected = expected if isinstance(expected, tuple) else (expected,)
        for seen, right in zip(run(apart, inputs), expected, strict=True):
            scale = max(1.0, float(right.abs().max()))
            np.testing.assert_allclose(
                seen, right.numpy(), rtol=0, atol=2e-6 * scale if spec.name == "decode" else 1e-4 * scale
            )
        assert kernels(apart) <= kernels(graph)


@pytest.mark.parametrize(
    "name, joins", [("two levels, deep", 6), ("unconditional, noise", 0), ("one coupling a level", 0)]
)
def test_every_coupling_is_taken_apart_whose_planes_others_see_too(name, joins):
    graph = traced(name, DECODE)[1]
    counts, apart = collections.Counter(), take_apart(graph)
    assert (apart is None) == (joins == 0)
    if apart is None:
        return
    for model, sign in ((apart, 1), (graph, -1)):
        for node in model.graph.node:
            counts[node.op_type] += sign
    changed = {name: count for name, count in counts.items() if count}
    assert changed == {"Conv": joins, "Add": joins, "Concat": -joins}
    assert kernels(apart) < kernels(graph)


def test_weights_and_the_graph_given_stay_as_they_are(decode):
    before = decode.SerializeToString()
    apart = take_apart(decode)
    assert decode.SerializeToString() == before
    sizes = [
        sum(numpy_helper.to_array(item).size for item in model.graph.initializer if item.data_type == 1)
        for model in (decode, apart)
    ]
    assert sizes[0] == sizes[1]


def test_onnx_runtime_knows_the_batch_of_every_array(decode):
    """Else it fuses no sum into a convolution: it cannot tell whether one of the two is stretched."""
    apart = onnx.shape_inference.infer_shapes(take_apart(decode))
    free = {value.name: value.type.tensor_type.shape.dim[0].dim_param for value in apart.graph.value_info}
    assert set(free.values()) == {"batch"}


def test_what_stays_in_float32_does_so_in_both_of_its_parts(decode):
    apart = take_apart(decode)
    shared = [node.name[: -len(SHARED)] for node in apart.graph.node if node.name.endswith(SHARED)]
    joins = [node.name for node in decode.graph.node if node.op_type == "Concat"]
    keep = kept_apart({shared[0]: "large", joins[0]: "first", "none": "gone"}, apart)
    assert keep == {shared[0]: "large", shared[0] + SHARED: "large", shared[0] + SUM: "large"}
    every = {node.name: "all" for node in decode.graph.node}
    assert set(kept_apart(every, apart)) == {node.name for node in apart.graph.node}


def test_it_can_be_typed_and_emulated_in_half(decode):
    apart = take_apart(decode)
    for model in (to_half(apart, ()), emulate(apart, ())):
        onnx.checker.check_model(model, full_check=True)


def of_nodes(nodes, outputs, **weights):
    """A graph of x and y (batch, 2, 4, 4) and weights."""
    values = [helper.make_tensor_value_info(name, TensorProto.FLOAT, ["batch", 2, 4, 4]) for name in ("x", "y")]
    made = [
        helper.make_tensor_value_info(name, TensorProto.FLOAT, ["batch", *sizes]) for name, sizes in outputs.items()
    ]
    items = [numpy_helper.from_array(array, name) for name, array in weights.items()]
    return helper.make_model(
        helper.make_graph(nodes, "g", values, made, items), opset_imports=[helper.make_opsetid("", 13)]
    )


def joined(index, parts, axis=1, **options):
    """Nodes: a join of parts and a convolution of it with the weights w."""
    return [
        helper.make_node("Concat", parts, [f"j{index}"], f"join{index}", axis=axis),
        helper.make_node("Conv", [f"j{index}", "w"], [f"o{index}"], f"conv{index}", pads=[1, 1, 1, 1], **options),
    ]


WEIGHT = np.random.RandomState(0).standard_normal((6, 4, 3, 3)).astype(np.float32)
EACH = {"o0": (6, 4, 4), "o1": (6, 4, 4)}


@pytest.mark.parametrize("parts", [(["x", "y"], ["a", "y"]), (["y", "x"], ["y", "a"])])
def test_the_shared_part_may_stand_first_or_second(parts):
    first, second = (joined(index, names) for index, names in enumerate(parts))
    nodes = [helper.make_node("Exp", ["x"], ["a"], "exp"), *first, *second]
    nodes[-1].input[1] = "v"
    model = of_nodes(nodes, EACH, w=WEIGHT, v=2 * WEIGHT)
    apart = take_apart(model)
    assert "Concat" not in {node.op_type for node in apart.graph.node}
    inputs = {name: torch.randn(3, 2, 4, 4) for name in "xy"}
    for seen, right in zip(run(apart, inputs), run(model, inputs), strict=True):
        np.testing.assert_allclose(seen, right, rtol=0, atol=1e-4)


OTHERS = {
    "no part is shared": [*joined(0, ["x", "y"]), *joined(1, ["a", "b"])],
    "both parts are": [*joined(0, ["x", "y"]), *joined(1, ["x", "y"])],
    "another axis": [*joined(0, ["x", "y"], axis=2), *joined(1, ["a", "y"], axis=2)],
    "groups": [*joined(0, ["x", "y"], group=2), *joined(1, ["a", "y"], group=2)],
    "one is read by others": [
        *joined(0, ["x", "y"]),
        *joined(1, ["a", "y"]),
        helper.make_node("Exp", ["j0"], ["e"], "e"),
    ],
}


@pytest.mark.parametrize("name", OTHERS)
def test_other_joins_stay(name):
    graph = onnx.GraphProto(node=OTHERS[name], initializer=[numpy_helper.from_array(WEIGHT, "w")])
    assert shared_joins(graph) == {}


@pytest.mark.parametrize(("name", "suits"), [("colours, no 1x1", True), ("two levels, deep", False)])
def test_sixteen_planes_suit_onnx_runtime_and_ten_do_not(name, suits):
    assert suits_blocks(take_apart(traced(name, DECODE)[1])) == suits


def test_tensorrt_8_has_a_file_of_its_own_where_onnx_runtime_is_better_off_without(bundles):
    bundle = Bundle.open(bundles / "realnvp.bundle")
    for name, described in bundle.graphs.items():
        assert described.tensorrt8 == f"{name}.trt8.onnx"
        joined, apart = (onnx.load_from_string(bundle.read(file)) for file in (described.file, described.tensorrt8))
        assert len(shared_joins(joined.graph)) > 0 == len(shared_joins(apart.graph))
        inputs, reference = bundle.reference(name)
        made = session(apart).run(list(reference), inputs)
        for seen, right in zip(made, reference.values(), strict=True):
            assert np.abs(seen - right).max() <= described.tolerance
    typed = onnx.load_from_string(bundle.read("decode.fp16.onnx")).graph
    assert shared_joins(typed), "TensorRT for RTX joins for free"
    for family in ("vae", "cvae", "gan"):
        assert all(item.tensorrt8 is None for item in Bundle.open(bundles / f"{family}.bundle").graphs.values())
