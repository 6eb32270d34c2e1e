"""Each rewrite from the exporter's opset to the target's is the same function, to the bit where it says so."""

import numpy as np
import onnx
import onnxruntime
import pytest
from latentjet.export.lower import IR_VERSION, WIDENED, lower, since
from latentjet.runtime.errors import ExportError
from onnx import TensorProto, helper, numpy_helper

BATCH = "s0"


def model_of(nodes, inputs, output, constants=None, opset=18):
    """Nodes, {input: shape}, (output, shape), {name: array} -> ModelProto at an opset."""
    values = [helper.make_tensor_value_info(name, TensorProto.FLOAT, shape) for name, shape in inputs.items()]
    out = helper.make_tensor_value_info(output[0], TensorProto.FLOAT, output[1])
    initializers = [numpy_helper.from_array(array, name) for name, array in (constants or {}).items()]
    graph = helper.make_graph(nodes, "test", values, [out], initializers)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=10)


def run(model, feeds):
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    session = onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
    return session.run(None, feeds)[0]


def values(shape, seed=0):
    return np.random.RandomState(seed).standard_normal(shape).astype(np.float32)


def operators(model):
    return [node.op_type for node in model.graph.node]


def integers(*numbers):
    return np.array(numbers, np.int64)


def reduce_case(name, keepdims):
    node = helper.make_node(name, ["x", "axes"], ["y"], keepdims=keepdims)
    shape = [BATCH, 1, 5] if keepdims else [BATCH, 5]
    return [node], {"x": [BATCH, 4, 5]}, ("y", shape), {"axes": integers(1)}


def node_case(operator, inputs, shape, constants=None, **attributes):
    return (
        [helper.make_node(operator, ["x", *inputs], ["y"], **attributes)],
        {"x": [BATCH, 4, 6]},
        ("y", shape),
        constants,
    )


FULL = [BATCH, 4, 6]
CASES = {
    **{f"{name} keepdims {keep}": reduce_case(name, keep) for name in ("ReduceMean", "ReduceMax", "ReduceMin", "ReduceL2",
       "ReduceL1", "ReduceProd", "ReduceSumSquare") for keep in (0, 1)},
    "Relu": node_case("Relu", [], FULL),
    "LeakyRelu": node_case("LeakyRelu", [], FULL, alpha=0.2),
    "PRelu": node_case("PRelu", ["slope"], FULL, {"slope": values((4, 1))}),
    "Pow": node_case("Pow", ["two"], FULL, {"two": np.array(2, np.float32)}),
    "Pad of some axes": node_case("Pad", ["pads", "", "axes"], [BATCH, 4, 9], {"pads": integers(1, 2), "axes": integers(-1)}),
    "Pad of all axes": node_case("Pad", ["pads"], [BATCH, 6, 6], {"pads": integers(0, 1, 0, 0, 1, 0)}, mode="reflect"),
    "Reciprocal": node_case("Reciprocal", [], FULL),
    "CastLike": node_case("CastLike", ["one"], FULL, {"one": np.array(1, np.float32)}),
    "Reshape, allowzero": node_case("Reshape", ["shape"], [BATCH, 24], {"shape": integers(-1, 24)}, allowzero=1),
    "reduce over no axes": node_case("ReduceMean", ["none"], FULL, {"none": integers()}, noop_with_empty_axes=1),
    "reduce over all axes": ([helper.make_node("ReduceMax", ["x"], ["y"], keepdims=1)], {"x": FULL}, ("y", [1, 1, 1]), {}),
    "BatchNormalization": (
        [helper.make_node("BatchNormalization", ["x", "s", "b", "m", "v"], ["y"], epsilon=1e-3)], {"x": FULL}, ("y", FULL),
        {"s": values(4, 1), "b": values(4, 2), "m": values(4, 3), "v": np.abs(values(4, 4)) + 0.1},
    ),
    "Resize": (
        [helper.make_node("Resize", ["x", "", "scales"], ["y"], mode="nearest", coordinate_transformation_mode="asymmetric",
                          nearest_mode="floor", keep_aspect_ratio_policy="stretch", antialias=0)],
        {"x": [BATCH, 4, 6, 6]}, ("y", [BATCH, 4, 12, 12]), {"scales": np.array([1, 1, 2, 2], np.float32)},
    ),
    "Identity inside": (
        [helper.make_node("Identity", ["x"], ["i"]), helper.make_node("Tanh", ["i"], ["y"])], {"x": FULL}, ("y", FULL), {},
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", CASES)
def test_the_lowered_graph_gives_the_same_bits(name):
    nodes, inputs, output, constants = CASES[name]
    before = model_of(nodes, inputs, output, constants)
    after = lower(before, 13)
    assert [entry.version for entry in after.opset_import] == [13] and after.ir_version == IR_VERSION
    for rows in (1, 5):
        feeds = {key: values([rows, *shape[1:]], rows) for key, shape in inputs.items()}
        np.testing.assert_array_equal(run(after, feeds), run(before, feeds))


@pytest.mark.parametrize("parts", [1, 2, 3, 4, 7])
def test_split_into_parts_gets_sizes_the_last_of_which_may_be_smaller(parts):
    """10 into 3 is 4, 4 and 2."""
    names = [f"part{number}" for number in range(parts)]
    nodes = [
        helper.make_node("Split", ["x"], names, axis=1, num_outputs=parts),
        helper.make_node("Concat", list(reversed(names)), ["y"], axis=1),
    ]
    size = 10 if parts in (1, 2, 3, 4) else 13
    before = model_of(nodes, {"x": [BATCH, size]}, ("y", [BATCH, size]))
    after = lower(before, 13)
    feeds = {"x": values((3, size))}
    np.testing.assert_array_equal(run(after, feeds), run(before, feeds))


@pytest.mark.parametrize("axis", [-1, 1])
@pytest.mark.parametrize("bias", [True, False])
def test_layer_normalization_is_its_definition(axis, bias):
    shape = (6,) if axis == -1 else (4, 6)
    constants = {"scale": values(shape, 1), **({"bias": values(shape, 2)} if bias else {})}
    node = helper.make_node("LayerNormalization", ["x", *constants], ["y"], axis=axis, epsilon=1e-3)
    before = model_of([node], {"x": FULL}, ("y", FULL), constants)
    after = lower(before, 13)
    assert "LayerNormalization" not in operators(after)
    feeds = {"x": values((3, 4, 6))}
    np.testing.assert_allclose(run(after, feeds), run(before, feeds), rtol=1e-5, atol=1e-6)


def shape_arithmetic(target):
    """x -> Reshape or Expand to a shape computed from x's own."""
    sizes = [24] if target == "Reshape" else [4, 6]
    nodes = [
        helper.make_node("Shape", ["x"], ["batch"], start=0, end=1),
        helper.make_node("Concat", ["batch", "rest"], ["shape"], axis=0),
        helper.make_node(target, ["x", "shape"], ["y"]),
    ]
    entering = FULL if target == "Reshape" else [BATCH, 1, 6]
    return model_of(nodes, {"x": entering}, ("y", [BATCH, *sizes]), {"rest": integers(*sizes)})


@pytest.mark.parametrize("target", ["Reshape", "Expand"])
def test_shapes_computed_from_the_batch_become_constants(target):
    before = shape_arithmetic(target)
    after = lower(before, 13)
    assert operators(after) == [target]
    for rows in (1, 7):
        shape = [rows, *(dimension.dim_value for dimension in before.graph.input[0].type.tensor_type.shape.dim[1:])]
        feeds = {"x": values(shape)}
        np.testing.assert_array_equal(run(after, feeds), run(before, feeds))


def test_a_range_of_a_shape_that_is_needed_stays_what_it_was():
    nodes = [
        helper.make_node("Shape", ["x"], ["batch"], start=0, end=1),
        helper.make_node("Cast", ["batch"], ["number"], to=TensorProto.FLOAT),
        helper.make_node("Mul", ["x", "number"], ["y"]),
    ]
    before = model_of(nodes, {"x": FULL}, ("y", FULL))
    feeds = {"x": values((3, 4, 6))}
    np.testing.assert_array_equal(run(lower(before, 13), feeds), run(before, feeds))


@pytest.mark.parametrize(
    ("operator", "attributes", "says"),
    [("Trilu", {}, "Trilu"), ("GridSample", {}, "GridSample"), ("Mish", {}, "opset 13 has no such operator")],
)
def test_an_operator_without_a_counterpart_is_an_error_that_names_the_node(operator, attributes, says):
    inputs = ["x", "grid"] if operator == "GridSample" else ["x"]
    node = helper.make_node(operator, inputs, ["y"], name="the_node", **attributes)
    constants = {"grid": values((1, 3, 3, 2))} if operator == "GridSample" else {}
    shapes = {"x": [BATCH, 1, 4, 6]}
    with pytest.raises(ExportError, match="'the_node'") as caught:
        lower(model_of([node], shapes, ("y", [BATCH, 1, None, None]), constants), 13)
    assert says in str(caught.value)


def test_a_new_attribute_with_a_new_meaning_is_refused():
    node = helper.make_node("Resize", ["x", "", "scales"], ["y"], name="shrink", mode="linear", antialias=1)
    scales = {"scales": np.array([1, 1, 0.5, 0.5], np.float32)}
    with pytest.raises(ExportError, match=r"'shrink'.*'antialias' is not known at opset 13"):
        lower(model_of([node], {"x": [BATCH, 1, 4, 4]}, ("y", [BATCH, 1, 2, 2]), scales), 13)


def test_axes_computed_at_run_time_are_refused():
    nodes = [
        helper.make_node("Shape", ["x"], ["axes"], start=0, end=1),
        helper.make_node("ReduceMean", ["x", "axes"], ["y"], name="mean"),
    ]
    with pytest.raises(ExportError, match="'mean'.*axes are computed at run time"):
        lower(model_of(nodes, {"x": FULL}, ("y", [None, None, None])), 13)


def test_every_widened_operator_exists_in_both_opsets_and_did_change():
    for operator in WIDENED:
        older, newer = since(operator, 13), since(operator, 18)
        assert older is not None and older != newer, operator


def test_the_input_is_left_as_it_was():
    before = shape_arithmetic("Reshape")
    copy = onnx.ModelProto()
    copy.CopyFrom(before)
    lower(before, 13)
    assert before == copy
