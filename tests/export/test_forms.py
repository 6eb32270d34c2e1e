"""Each form that TensorRT 8 refuses, or reads as something else, leaves as one that it reads, and is the same function.

Same: ONNX Runtime gives the same numbers for both graphs, to the bit where `exact` says so, else within float32 rounding.
"""

import numpy as np
import onnx
import onnxruntime
import pytest
from latentjet.export.importer import DEPENDS, findings_of
from latentjet.export.lower import lower
from onnx import TensorProto, helper, numpy_helper

BATCH = "s0"
STREAM = np.random.RandomState(3)
FLOAT, INT64, BOOL = TensorProto.FLOAT, TensorProto.INT64, TensorProto.BOOL


def floats(*shape):
    return STREAM.standard_normal(shape).astype(np.float32)


def integers(*numbers):
    return np.array(numbers, np.int64)


class Case:
    """A node: operator, {graph input: (type, shape)}, its inputs by name, {constant: array}, attributes, output type."""

    def __init__(self, operator, entering, names, constants=None, kind=FLOAT, exact=False, outputs=("y",), shape=None,
                 **attributes):
        self.entering, self.constants, self.kind, self.exact = entering, constants or {}, kind, exact
        self.node = helper.make_node(operator, list(names), list(outputs), "the_node", **attributes)
        self.outputs, self.shape = outputs, shape

    def model(self, opset=18):
        values = [helper.make_tensor_value_info(name, kind, shape) for name, (kind, shape) in self.entering.items()]
        made = [helper.make_tensor_value_info(name, self.kind, self.shape) for name in self.outputs[:1]]
        weights = [numpy_helper.from_array(array, name) for name, array in self.constants.items()]
        graph = helper.make_graph([self.node], "test", values, made, weights)
        return inferred(helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=8))

    def feeds(self, rows):
        return {name: drawn(kind, [rows if size == BATCH else size for size in shape]) for name, (kind, shape) in
                self.entering.items()}  # fmt: skip


def inferred(model):
    """The model with the shape of its output."""
    return onnx.shape_inference.infer_shapes(model)


def drawn(kind, shape):
    if kind == INT64:
        return STREAM.randint(-4, 5, shape).astype(np.int64)
    return STREAM.rand(*shape) > 0.5 if kind == BOOL else 3 * STREAM.standard_normal(shape).astype(np.float32)


def x(*shape, kind=FLOAT):
    return {"x": (kind, [BATCH, *shape])}


def with_weights(operator, shape, weights, bias=None, **attributes):
    constants = {"w": floats(*weights), **({} if bias is None else {"c": bias})}
    return Case(operator, x(*shape), ["x", *constants], constants, **attributes)


CASES = {
    "Linear without bias": with_weights("Gemm", (4,), (5, 4), transB=1),
    "Gemm without C": with_weights("Gemm", (4,), (4, 5), exact=True),
    "Gemm with an empty C": Case("Gemm", x(4), ["x", "w", ""], {"w": floats(4, 5)}, exact=True),
    "Gemm, C of one value": with_weights("Gemm", (4,), (4, 5), floats(1), exact=True),
    "Gemm of one column, scaled": with_weights("Gemm", (1,), (1, 5), floats(5), alpha=0.5, beta=2.0),
    "Gemm of one column, C of one row": with_weights("Gemm", (1,), (1, 5), floats(1, 5)),
    "Gemm, transA": Case("Gemm", {"x": (FLOAT, [4, 4])}, ["x", "w", "c"], {"w": floats(4, 5), "c": floats(5)}, transA=1),
    "Gemm, transA, scaled": Case("Gemm", {"x": (FLOAT, [4, 1])}, ["x", "w"], {"w": floats(5, 4)}, transA=1, transB=1,
                                 alpha=0.5),
    "vector times matrices": Case("MatMul", x(4, 5), ["w", "x"], {"w": floats(4)}),
    "Einsum with an ellipsis": Case("Einsum", x(3, 4), ["x", "w"], {"w": floats(4, 5)}, equation="...j,jk->...k"),
    "Einsum, ellipsis and no arrow": Case("Einsum", x(3, 4), ["x", "w"], {"w": floats(4, 5)}, equation="...j,jk"),
    "Einsum of three": Case("Einsum", x(4), ["x", "w", "v"], {"w": floats(4, 5), "v": floats(5, 2)},
                            equation="ij,jk,kl->il"),
    "Einsum of three with a kept axis": Case("Einsum", x(4), ["x", "w", "v"], {"w": floats(4, 5), "v": floats(4, 5)},
                                             equation="ij,jk,jk->ik"),
    "Einsum in capitals": Case("Einsum", x(4), ["x", "w"], {"w": floats(4, 5)}, equation="bI,Ik->bk"),
    "Sign of integers": Case("Sign", x(4, kind=INT64), ["x"], kind=INT64, exact=True),
    "Pow by an integer": Case("Pow", x(4), ["x", "p"], {"p": np.array(3)}),
    "Pow of integers": Case("Pow", x(4, kind=INT64), ["x", "p"], {"p": np.array(3)}, kind=INT64, exact=True),
    "Celu": Case("Celu", x(4), ["x"]),
    "Celu, alpha 0.5": Case("Celu", x(4), ["x"], alpha=0.5),
    "Celu, alpha 2": Case("Celu", x(4), ["x"], alpha=2.0),
    "Selu without attributes": Case("Selu", x(4), ["x"], exact=True),
    "Cast to a boolean": Case("Cast", x(4), ["x"], kind=BOOL, to=BOOL, exact=True),
    "Cast of integers to a boolean": Case("Cast", x(4, kind=INT64), ["x"], kind=BOOL, to=BOOL, exact=True),
    "LogSoftmax": Case("LogSoftmax", x(4, 5), ["x"], axis=1),
    "LogSoftmax of the last axis": Case("LogSoftmax", x(5), ["x"]),
    "ReduceLogSumExp": Case("ReduceLogSumExp", x(4, 5), ["x", "axes"], {"axes": integers(1)}, keepdims=0),
    "ReduceLogSumExp, kept": Case("ReduceLogSumExp", x(4, 5), ["x", "axes"], {"axes": integers(-1, 1)}, keepdims=1),
    "ReduceLogSumExp of all": Case("ReduceLogSumExp", x(4), ["x"], keepdims=0),
    "the smallest": Case("TopK", x(9), ["x", "k"], {"k": integers(3)}, outputs=("y", "i"), largest=0, exact=True),
    "Flatten of an input with two axes": Case("Flatten", x(4), ["x"], exact=True),
    "Flatten into one row": Case("Flatten", x(4), ["x"], axis=0, exact=True),
    "Flatten into one column": Case("Flatten", x(4), ["x"], axis=2, exact=True),
    "Flatten at the last axis": Case("Flatten", x(3, 4), ["x"], axis=3, exact=True),
    "Transpose of nothing": Case("Transpose", x(4, 5), ["x"], perm=[0, 1, 2], exact=True),
    "Pad that crops": Case("Pad", x(2, 6, 6), ["x", "p"], {"p": integers(0, 0, -1, -1, 0, 0, -2, 0)}, exact=True),
    "Pad that crops and grows": Case("Pad", x(6), ["x", "p", "v"], {"p": integers(0, -1, 0, 2), "v": np.array(0.5, np.float32)},
                                     exact=True),
    "Slice without axes": Case("Slice", {"x": (FLOAT, [4, 6])}, ["x", "s", "e", "", "d"],
                               {"s": integers(0, 1), "e": integers(4, 6), "d": integers(1, 2)}, exact=True),
    "Slice of the first axes": Case("Slice", x(4, 6), ["x", "s", "e"], {"s": integers(0, 1), "e": integers(9, 4)}, exact=True),
    "ConvTranspose1d, output_padding": with_weights("ConvTranspose", (4, 9), (4, 8, 3), floats(8), strides=[2], pads=[1, 1],
                                                    output_padding=[1]),
    "ConvTranspose1d, output_padding 0": with_weights("ConvTranspose", (4, 9), (4, 8, 3), floats(8), strides=[2],
                                                      output_padding=[0], exact=True),
    "ConvTranspose1d of groups": with_weights("ConvTranspose", (4, 9), (4, 2, 3), floats(4), strides=[3], group=2,
                                              output_padding=[2], pads=[1, 2], dilations=[2]),
    "ConvTranspose3d, output_padding": with_weights("ConvTranspose", (4, 4, 4, 4), (4, 3, 3, 3, 3), floats(3),
                                                    strides=[2, 2, 2], pads=[1] * 6, output_padding=[1, 1, 1]),
    "ConvTranspose3d, unequal pads": with_weights("ConvTranspose", (4, 4, 4, 4), (4, 3, 3, 3, 3), floats(3),
                                                  strides=[2, 1, 2], pads=[0, 1, 0, 1, 2, 0]),
    "bias that is an empty name": Case("Conv", x(4, 6, 6), ["x", "w", ""], {"w": floats(8, 4, 3, 3)}, exact=True),
}  # fmt: skip


def run(model, feeds):
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    options.log_severity_level = 3
    session = onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
    return session.run(None, feeds)[0]


def objections(model, version="8.2"):
    return [finding for _, finding in findings_of(model, version)]


@pytest.mark.parametrize("name", CASES)
def test_the_new_form_is_the_same_function_and_is_read(name):
    case = CASES[name]
    before, after = case.model(), lower(case.model(), 13)
    assert [item for item in objections(after) if item.level != DEPENDS] == []
    for rows in (1, 2, 5):
        feeds = case.feeds(rows)
        seen, expected = run(after, feeds), run(before, feeds)
        assert seen.shape == expected.shape and seen.dtype == expected.dtype
        if case.exact:
            np.testing.assert_array_equal(seen, expected)
        else:
            np.testing.assert_allclose(seen, expected, rtol=2e-6, atol=4e-6)


@pytest.mark.parametrize("name", [name for name in CASES if "keepdims" not in name and not name.startswith("Reduce")])
def test_the_old_form_has_an_objection(name):
    """Else the rewrite would be for nothing. (Forms for TensorRT 8.0 alone have theirs there.)"""
    model = CASES[name].model(13)
    assert objections(model) or objections(model, "8.0")


def test_where_on_booleans_is_logic():
    """ONNX Runtime has no Where on booleans, so numpy says what is right."""
    entering = {"c": (BOOL, [BATCH, 4]), "a": (BOOL, [BATCH, 4]), "b": (BOOL, [BATCH, 1])}
    case = Case("Where", entering, ["c", "a", "b"], kind=BOOL)
    feeds = case.feeds(5)
    assert objections(case.model(13)) and not objections(lower(case.model(), 13))
    np.testing.assert_array_equal(run(lower(case.model(), 13), feeds), np.where(feeds["c"], feeds["a"], feeds["b"]))


def test_squeezing_without_axes_keeps_the_batch():
    """For two rows and more it is the same function; a batch of one keeps its axis, which ONNX's Squeeze would drop."""
    case = Case("Squeeze", x(1, 4, 1), ["x"], shape=[BATCH, 4])
    after = lower(case.model(), 13)
    assert objections(case.model(13)) and not objections(after)
    feeds = case.feeds(3)
    np.testing.assert_array_equal(run(after, feeds), run(case.model(), feeds))
    assert run(after, case.feeds(1)).shape == (1, 4)


def test_a_logarithm_of_sums_of_large_numbers_is_finite():
    case = CASES["ReduceLogSumExp, kept"]
    feeds = {"x": np.full((2, 4, 5), 5000.0, np.float32)}
    made = run(lower(case.model(), 13), feeds)
    np.testing.assert_allclose(made, 5000 + np.log(20), rtol=1e-6)


def test_a_wide_spread_of_logits_is_finite():
    feeds = {"x": np.array([[0.0, -2000.0, -5.0, 3.0, 900.0]], np.float32)}
    made = run(lower(CASES["LogSoftmax of the last axis"].model(), 13), feeds)
    np.testing.assert_allclose(made, feeds["x"] - 900, rtol=1e-6)


def test_a_zero_third_input_changes_no_bit():
    case = CASES["Gemm without C"]
    after = lower(case.model(), 13)
    (node,) = after.graph.node
    (zeros,) = [item for item in after.graph.initializer if item.name == node.input[2]]
    assert not numpy_helper.to_array(zeros).any() and list(zeros.dims) == [5]


def test_weights_behind_constant_operators_are_weights_again():
    nodes = [
        helper.make_node("Mul", ["v", "g"], ["scaled"]),
        helper.make_node("Reshape", ["scaled", "shape"], ["w"]),
        helper.make_node("Identity", ["c"], ["bias"]),
        helper.make_node("Conv", ["x", "w", "bias"], ["y"]),
    ]
    constants = {"v": floats(288), "g": floats(1), "shape": integers(8, 4, 3, 3), "c": floats(8)}
    weights = [numpy_helper.from_array(array, name) for name, array in constants.items()]
    values = [helper.make_tensor_value_info("x", FLOAT, [BATCH, 4, 6, 6])], [helper.make_tensor_value_info("y", FLOAT, None)]
    graph = helper.make_graph(nodes, "test", *values, weights)
    before = inferred(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=8))
    after = lower(before, 13)
    assert [node.op_type for node in after.graph.node] == ["Conv"] and not objections(after)
    feeds = {"x": floats(3, 4, 6, 6)}
    np.testing.assert_allclose(run(after, feeds), run(before, feeds), rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("row", [[-np.inf] * 4, [np.inf, 1, 2, 3], [-np.inf, 1, 2, 3], [3e38, -3e38, 0, 1]])
def test_a_logarithm_of_sums_of_infinities_is_what_it_was(row):
    """A row that is masked altogether has minus infinity, not NaN."""
    case = Case("ReduceLogSumExp", x(4), ["x", "axes"], {"axes": integers(1)}, keepdims=0)
    feeds = {"x": np.array([row], np.float32)}
    with np.errstate(over="ignore"):
        expected = np.logaddexp.reduce(feeds["x"], axis=1)
    np.testing.assert_array_equal(run(lower(case.model(), 13), feeds), expected)


def test_a_celu_below_zero_is_left_to_the_linter():
    after = lower(Case("Celu", x(4), ["x"], alpha=-1.5).model(), 13)
    assert [node.op_type for node in after.graph.node] == ["Celu"] and objections(after)


@pytest.mark.parametrize("taken", ["y_sum", "y_maximum", "y_over", "y_least"])
def test_names_of_what_is_made_in_between_are_new(taken):
    """An output, or a constant, of the user's may have the name that a rewrite would give."""
    node = helper.make_node("ReduceLogSumExp", ["x", "axes"], ["y"], keepdims=0)
    other = helper.make_node("Neg", ["x"], [taken])
    values = [helper.make_tensor_value_info("x", FLOAT, [BATCH, 4])]
    outputs = [helper.make_tensor_value_info("y", FLOAT, [BATCH]), helper.make_tensor_value_info(taken, FLOAT, [BATCH, 4])]
    graph = helper.make_graph([node, other], "test", values, outputs, [numpy_helper.from_array(integers(1), "axes")])
    before = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=8)
    after = lower(before, 13)
    feeds = {"x": floats(3, 4)}
    np.testing.assert_allclose(run(after, feeds), run(before, feeds), rtol=1e-6)
    assert [value.name for value in after.graph.output] == ["y", taken]
