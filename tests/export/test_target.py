"""What the target cannot run is an error with the node, the reason and the remedy; what it can run passes."""

import numpy as np
import pytest
from latentjet.export.target import find_target, lint
from latentjet.runtime.errors import ExportError
from onnx import TensorProto, helper, numpy_helper

TX2 = find_target("tx2")


def graph(nodes, kind=TensorProto.FLOAT, constants=None, shape=("batch", 4, 4, 4)):
    value = helper.make_tensor_value_info("x", kind, shape)
    out = helper.make_tensor_value_info("y", kind, None)
    initializers = [numpy_helper.from_array(array, name) for name, array in (constants or {}).items()]
    return helper.make_model(
        helper.make_graph(nodes, "test", [value], [out], initializers), opset_imports=[helper.make_opsetid("", 13)]
    )


def node(operator, inputs=("x",), **attributes):
    return helper.make_node(operator, list(inputs), ["y"], name=f"the_{operator}", **attributes)


@pytest.mark.parametrize("operator", ["Relu", "Tanh", "Erf", "DepthToSpace", "Softmax"])
def test_what_the_table_has_passes_without_a_note(operator):
    attributes = {"blocksize": 2} if operator == "DepthToSpace" else {}
    assert lint(graph([node(operator, **attributes)]), TX2) == []


@pytest.mark.parametrize(
    ("operator", "remedy"),
    [
        ("RandomNormalLike", "input of the graph"),
        ("NonZero", "multiplication"),
        ("Mod", "floor"),
        ("Shape", "batch as -1"),
        ("Celu", "elu"),
    ],
)
def test_what_it_lacks_is_an_error_with_node_reason_and_remedy(operator, remedy):
    with pytest.raises(ExportError) as caught:
        lint(graph([node(operator)]), TX2)
    text = str(caught.value)
    assert f"'the_{operator}' ({operator})" in text and "TensorRT 8.2" in text and "tx2" in text and remedy in text


def test_every_offending_node_is_listed():
    nodes = [
        helper.make_node("NonZero", ["x"], ["a"], name="one"),
        helper.make_node("Mod", ["x", "x"], ["y"], name="two"),
    ]
    with pytest.raises(ExportError, match="(?s)'one'.*'two'"):
        lint(graph(nodes), TX2)


@pytest.mark.parametrize("operator", ["Sign", "Round", "IsNaN"])
def test_what_only_the_older_tensorrt_lacks_is_a_note(operator):
    (note,) = lint(graph([node(operator)]), TX2)
    assert operator in note and "8.0" in note and "4.6.1" in note


def test_double_is_refused_with_the_cast_to_make():
    with pytest.raises(ExportError, match=r"DOUBLE.*\.float\(\)"):
        lint(graph([node("Relu")], TensorProto.DOUBLE), TX2)


def test_weights_computed_at_run_time_are_refused():
    nodes = [helper.make_node("Mul", ["w", "w"], ["v"]), node("ConvTranspose", ["x", "v"])]
    with pytest.raises(ExportError, match="the_ConvTranspose.*input 1 is computed at run time"):
        lint(graph(nodes, constants={"w": np.zeros((4, 2, 2, 2), np.float32)}), TX2)


def test_cubic_resizing_is_refused():
    scales = {"scales": np.array([1, 1, 2, 2], np.float32)}
    with pytest.raises(ExportError, match="cubic.*nearest or bilinear"):
        lint(graph([node("Resize", ["x", "", "scales"], mode="cubic")], constants=scales), TX2)


def test_an_unknown_target_lists_those_there_are():
    with pytest.raises(ExportError, match="'tx3', expected one of tx2"):
        find_target("tx3")


def test_a_product_without_a_third_input_is_refused_with_the_real_words():
    weights = {"w": np.ones((4, 5), np.float32)}
    with pytest.raises(ExportError, match="kernel weights has count X but 0 was expected.*export it again"):
        lint(graph([node("Gemm", ["x", "w"])], constants=weights, shape=("batch", 4)), TX2)


def test_values_that_decide_are_a_note():
    (note,) = lint(graph([node("LogSoftmax")]), TX2)
    assert "'the_LogSoftmax'" in note and "minus infinity" in note


@pytest.mark.parametrize(
    ("made", "says"),
    [
        (lambda: node("Pad", ["x", "pads"], mode="reflect"), "constant 0 only"),
        (lambda: node("Flatten", axis=4), "axis below the rank"),
        (lambda: node("CumSum", ["x", "axis"]), None),
    ],
)
def test_the_older_parser_has_notes_of_its_own(made, says):
    constants = {"pads": np.array([0, 0, 1, 1, 0, 0, 1, 1]), "axis": np.array(1)}
    notes = lint(graph([made()], constants=constants), TX2)
    assert (says is None) == (notes == [])
    assert all(says in note and "4.6.1" in note for note in notes)


@pytest.mark.parametrize("how", ["initializer", "Constant node"])
def test_an_integer_beyond_int32_is_refused_wherever_it_stands(how):
    tensor = numpy_helper.from_array(np.array([2**35, 1]), "big")
    add = helper.make_node("Add", ["x", "big"], ["y"], "add")
    nodes = [add] if how == "initializer" else [helper.make_node("Constant", [], ["big"], value=tensor), add]
    model = graph(nodes, TensorProto.INT64, shape=("batch", 2))
    if how == "initializer":
        model.graph.initializer.append(tensor)
    with pytest.raises(ExportError, match=r"becomes INT32: values beyond 2\*\*31 are cut"):
        lint(model, TX2)


def test_the_end_of_a_slice_may_be_the_largest_integer():
    ends = {"s": np.array([1]), "e": np.array([2**63 - 1]), "a": np.array([1])}
    assert lint(graph([node("Slice", ["x", "s", "e", "a"])], constants=ends), TX2) == []


@pytest.mark.parametrize(
    ("operator", "inputs"),
    [("Cast", [""]), ("Clip", [""]), ("ReduceMax", [""]), ("MatMul", ["x"]), ("Gemm", ["", "x"]), ("Conv", ["x", ""]),
     ("TopK", ["x"]), ("Cast", []), ("Transpose", [""]), ("CumSum", ["x", ""])],
)  # fmt: skip
def test_an_input_that_is_missing_is_named(operator, inputs):
    with pytest.raises(ExportError, match=rf"'the_{operator}'.*its input \d is missing"):
        lint(graph([node(operator, inputs, **({"to": 1} if operator == "Cast" else {}))]), TX2)


def test_einsum_that_stretches_one_over_the_batch_is_refused():
    weights = {"w": np.ones((1, 4), np.float32)}
    with pytest.raises(ExportError, match="does not broadcast"):
        lint(graph([node("Einsum", ["x", "w"], equation="bi,bi->bi")], constants=weights, shape=("batch", 4)), TX2)


@pytest.mark.parametrize(("padding", "reads"), [([1, 0, 0], False), ([0, 1, 1], True)])
def test_the_older_parser_has_no_output_padding_on_the_first_of_three_axes(padding, reads):
    weights = {"w": np.ones((4, 2, 2, 2, 2), np.float32)}
    made = node("ConvTranspose", ["x", "w"], strides=[2, 2, 2], output_padding=padding)
    notes = lint(graph([made], constants=weights, shape=("batch", 4, 3, 3, 3)), TX2)
    assert (notes == []) == reads


def test_a_note_does_not_hide_what_this_project_refuses():
    """A seed is ignored there, which is a note; noise drawn inside of a graph is refused all the same."""
    with pytest.raises(ExportError, match="cannot be repeated"):
        lint(graph([node("RandomUniformLike", seed=1.0)]), TX2)
    with pytest.raises(ExportError, match="DOUBLE"):
        lint(graph([node("LogSoftmax")], TensorProto.DOUBLE), TX2)
