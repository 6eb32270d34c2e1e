"""The graph typed in half is the float32 graph with every value of a half node rounded, and nothing else."""

import numpy as np
import onnx
import onnxruntime
import pytest
from latentjet.export.half import emulate, to_half
from latentjet.runtime.bundle import Bundle


@pytest.fixture(params=["cvae", "gan", "realnvp", "vae"])
def model(request, bundles):
    opened = Bundle.open(bundles / f"{request.param}.bundle")
    return onnx.load_from_string(opened.read("decode.onnx")), opened.reference("decode")


def run(model, feeds):
    return onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"]).run(None, feeds)[
        0
    ]


def types(model):
    inferred = onnx.shape_inference.infer_shapes(model, strict_mode=True, data_prop=True).graph
    return {value.name: value.type.tensor_type.elem_type for value in [*inferred.value_info, *inferred.output]}


def test_every_node_computes_in_half_and_inputs_and_outputs_stay_float32(model):
    exact, (inputs, outputs) = model
    half = to_half(exact, set())
    kinds = types(half)
    for node in half.graph.node:
        wanted = onnx.TensorProto.FLOAT16
        if node.op_type == "Cast":
            wanted = next(item.i for item in node.attribute if item.name == "to")
        assert all(kinds[name] == wanted for name in node.output), node.name
    for value in [*half.graph.input, *half.graph.output]:
        assert value.type.tensor_type.elem_type == onnx.TensorProto.FLOAT
    seen = run(half, inputs)
    assert seen.dtype == np.float32 and np.abs(seen - outputs["images"]).max() < 0.02


def test_kept_nodes_stay_float32_and_casts_stand_only_between(model):
    exact, _ = model
    keep = {node.name for node in exact.graph.node if node.op_type in ("Exp", "Tanh", "Sigmoid")}
    half = to_half(exact, keep)
    kinds = types(half)
    for node in half.graph.node:
        if node.name in keep:
            assert kinds[node.output[0]] == onnx.TensorProto.FLOAT
    casts = [(node.input[0], node.attribute[0].i) for node in half.graph.node if node.op_type == "Cast"]
    assert len(casts) == len(set(casts)), "no value is cast twice the same way"


def test_all_kept_is_the_float32_graph(model):
    exact, (inputs, _) = model
    same = to_half(exact, {node.name for node in exact.graph.node})
    assert [node.op_type for node in same.graph.node] == [node.op_type for node in exact.graph.node]
    np.testing.assert_array_equal(run(same, inputs), run(exact, inputs))


def test_the_original_is_not_changed(model):
    exact, _ = model
    before = exact.SerializeToString()
    to_half(exact, set())
    assert exact.SerializeToString() == before


def test_half_graphs_are_about_half_the_size(model):
    exact, _ = model
    small = to_half(exact, set())
    floats = sum(onnx.numpy_helper.to_array(item).nbytes for item in exact.graph.initializer if item.data_type == 1)
    halves = sum(onnx.numpy_helper.to_array(item).nbytes for item in small.graph.initializer if item.data_type == 10)
    assert halves * 2 == floats


def test_the_emulation_rounds_after_every_half_node(model):
    exact, (inputs, _) = model
    emulated = emulate(exact, set())
    emulated.graph.output.extend(
        onnx.helper.make_empty_tensor_value_info(name) for node in exact.graph.node for name in node.output[:1]
    )
    session = onnxruntime.InferenceSession(emulated.SerializeToString(), providers=["CPUExecutionProvider"])
    for value in session.run(None, inputs):
        np.testing.assert_array_equal(value, value.astype(np.float16).astype(np.float32))


def test_the_emulation_leaves_kept_nodes_and_their_constants_alone(model):
    exact, (inputs, _) = model
    same = emulate(exact, {node.name for node in exact.graph.node})
    np.testing.assert_array_equal(run(same, inputs), run(exact, inputs))
