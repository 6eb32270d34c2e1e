"""Reading any ONNX file: the batch is set, every shape is known, or an error says which tensor is not."""

import pytest
from latentjet.runtime.errors import InputError

onnx = pytest.importorskip("onnx")
from latentjet.benchmarks.estimate import graph  # noqa: E402


def test_the_batch_reaches_every_tensor(make):
    made = make.conv("x", 3, 8)
    content = make.content([made], x=["N", 3, 6, 6])
    assert graph.read(content).shapes[made] == (1, 8, 6, 6)
    read = graph.read(content, 5)
    assert read.batch == 5 and read.shapes["x"] == (5, 3, 6, 6) and read.shapes[made] == (5, 8, 6, 6)


def test_a_fixed_batch_is_taken_as_it_is(make):
    content = make.content([make.node("Relu", "x")], x=[4, 3])
    assert graph.read(content).batch == 4 and graph.read(content, 4).batch == 4
    with pytest.raises(InputError, match=r"--batch 8 cannot be set.*'x' 4.*leave --batch out"):
        graph.read(content, 8)


def test_shapes_computed_in_the_graph_are_known(make):
    pytest.importorskip("onnx.reference", reason="onnx 1.11, the last for CPython 3.6, computes few shapes")
    size = make.node("Shape", "x")
    first = make.node("Gather", size, make.ints(0))
    flat = make.node("Reshape", "x", make.node("Concat", first, make.ints(-1), axis=0))
    assert graph.read(make.content([flat], x=["N", 3, 4]), 2).shapes[flat] == (2, 12)


def test_a_free_axis_that_is_not_the_batch_is_refused_by_name(make):
    content = make.content([make.node("Relu", "picture")], picture=["N", 3, "height", 8])
    with pytest.raises(InputError, match=r"input 'picture' has the free axis 2 \(height\), only the first"):
        graph.read(content)


def test_a_tensor_of_unknown_shape_is_named(make):
    found = make.node("NonZero", "x")
    content = make.content([make.node("Cast", found, to=1)], x=[4, 3])
    with pytest.raises(InputError, match="shape of tensor '{}', made by NonZero".format(found)):
        graph.read(content, name="mine")


def test_what_repeats_by_its_data_is_refused(make):
    body = onnx.helper.make_graph([], "body", [], [])
    make.nodes.append(onnx.helper.make_node("If", ["c"], ["y"], then_branch=body, else_branch=body))
    with pytest.raises(InputError, match="is If: how often it runs depends on the data"):
        graph.read(make.content(["y"], c=[1]))


@pytest.mark.parametrize("content", [b"", b"hello world" * 9, b"\x00" * 64])
def test_no_onnx_file(content, tmp_path):
    place = tmp_path / "model.onnx"
    place.write_bytes(content)
    with pytest.raises(InputError, match="is no ONNX file"):
        graph.read(str(place), name="model.onnx")
    with pytest.raises(InputError, match="cannot be read: No such file"):
        graph.read(str(tmp_path / "missing.onnx"))


def test_weights_are_not_needed(make):
    """A file whose weights lie beside it, and are not there, is read all the same."""
    made = make.conv("x", 64, 64)
    model = onnx.load_model_from_string(make.content([made], x=[1, 64, 4, 4]))
    (weight,) = [item for item in model.graph.initializer if len(item.dims) == 4]
    weight.ClearField("float_data")
    weight.data_location = onnx.TensorProto.EXTERNAL
    weight.external_data.add(key="location", value="elsewhere.bin")
    assert graph.read(model.SerializeToString()).shapes[made] == (1, 64, 4, 4)
