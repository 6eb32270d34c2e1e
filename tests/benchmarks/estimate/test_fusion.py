"""Fusion: which nodes share a kernel, and that no work is lost by it."""

import pytest

onnx = pytest.importorskip("onnx")
from latentjet.benchmarks.estimate import fusion, graph  # noqa: E402
from latentjet.runtime import shipped  # noqa: E402
from latentjet.runtime.bundle import Bundle  # noqa: E402

# what TensorRT for RTX 1.7.1 makes of the shipped bundles' float32 graphs at batch 1 (tests/rtx_layers.py)
RTX = {
    "fashion-realnvp": {"decode": 57, "dequantise": 24, "encode": 58, "log_prob": 59},
    "mnist-realnvp": {"decode": 72, "dequantise": 24, "encode": 73, "log_prob": 74},  # 16 planes: taken apart
    "fashion-cvae": {"decode": 9},
    "fashion-gan": {"decode": 7},
    "mnist-vae": {"decode": 4},
    "mnist-cvae": {"decode": 4},
}


def kernels(make, outputs, whole=False, chains=True, float32=(), **inputs):
    read = graph.read(make.content(outputs, **inputs))
    return fusion.fuse(read, whole, float32, chains).kernels


def kinds(found):
    return [item.kind for item in found]


def test_a_convolution_takes_scale_bias_norm_residual_and_relu(make):
    first = make.conv("x", 4, 4)
    norm = [make.weight(4) for _ in range(4)]
    second = make.node("BatchNormalization", make.conv(first, 4, 4), *norm)
    second = make.node("Mul", second, make.weight(1))
    last = make.node("Relu", make.node("Add", second, first))
    found = kernels(make, [last], x=[1, 4, 8, 8])
    assert kinds(found) == ["conv3x3", "conv3x3"]
    assert found[1].read == 4 * 64 and found[1].written == 4 * 64


def test_the_later_of_two_convolutions_takes_their_sum(make):
    total = make.node("Add", make.conv("x", 4, 8), make.conv("x", 4, 8, 1))
    found = kernels(make, [total], x=[1, 4, 8, 8])
    assert kinds(found) == ["conv3x3", "conv1x1"] and " + add" in found[1].name


@pytest.mark.parametrize("activation", ["Sigmoid", "Tanh", "LeakyRelu"])
def test_other_activations_are_kernels_of_their_own(make, activation):
    assert kinds(kernels(make, [make.node(activation, make.conv("x", 3, 8))], x=[1, 3, 8, 8])) == ["conv3x3", "pointwise"]


def test_what_another_node_reads_is_written_before_the_activation(make):
    first = make.conv("x", 4, 4)
    outputs = [make.node("Relu", first), make.node("Exp", first)]
    assert kinds(kernels(make, outputs, x=[1, 4, 8, 8])) == ["conv3x3", "pointwise", "pointwise"]


def test_convolutions_of_one_array_become_one_and_their_parts_of_a_join_are_copied(make):
    ways = [make.node("Relu", make.conv("x", 8, width, 1)) for width in (4, 2)]
    third = make.node("Relu", make.conv(ways[1], 2, 6))
    found = kernels(make, [make.node("Concat", ways[0], third, axis=1)], x=[1, 8, 8, 8])
    assert kinds(found) == ["conv1x1", "conv3x3", "copy"]
    assert found[0].columns == 6 and found[0].macs == 64 * 8 * 6


def test_chains_of_elementwise_operators_are_one_kernel_since_tensorrt_6(make):
    first = make.node("Tanh", "x")
    last = make.node("Mul", make.node("Exp", first), make.node("Add", first, "y"))
    shapes = {"x": [2, 6], "y": [2, 6]}
    (found,) = kernels(make, [last], **shapes)
    assert (found.kind, found.read, found.written) == ("pointwise", 24, 12)
    assert len(kernels(make, [last], chains=False, **shapes)) == 4


def test_views_vanish_and_moves_do_not(make):
    flat = make.node("Reshape", "x", make.ints(1, 64))
    square = make.node("Reshape", make.node("Transpose", flat, perm=[1, 0]), make.ints(8, 8))
    assert kinds(kernels(make, [make.node("Exp", square)], x=[1, 8, 8])) == ["pointwise"]
    turned = make.node("Transpose", square, perm=[1, 0])
    assert kinds(kernels(make, [make.node("Exp", turned)], x=[1, 8, 8])) == ["copy", "pointwise"]


def test_every_part_of_a_split_is_a_kernel_and_none_in_the_other_fusion(make):
    parts = make.node("Split", make.conv("x", 4, 8), axis=1, made=2)
    last = make.node("Mul", parts[0], make.node("Exp", parts[1]))
    assert kinds(kernels(make, [last], x=[1, 4, 8, 8])) == ["conv3x3", "copy", "copy", "pointwise"]
    assert kinds(kernels(make, [last], whole=True, x=[1, 4, 8, 8])) == ["conv3x3", "pointwise"]


def test_constants_and_what_is_computed_from_them_cost_nothing(make):
    constant = make.node("Exp", make.weight(8))
    assert kinds(kernels(make, [make.node("Add", "x", constant)], x=[2, 8])) == ["pointwise"]


def test_precisions_meet_in_a_conversion(make):
    first = make.conv("x", 4, 4)
    last = make.conv(make.node("Exp", first), 4, 4)
    found = kernels(make, [last], float32={make.nodes[1].name}, x=[1, 4, 8, 8])
    assert kinds(found) == ["conv3x3", "pointwise", "conv3x3", "copy", "copy"]
    assert [item.float32 for item in found] == [False, True, False, True, True]


def test_a_join_in_place_is_no_conversion(make):
    joined = make.node("Concat", make.conv("x", 4, 4), make.conv("x", 4, 4, 1), axis=1)
    assert kinds(kernels(make, [make.node("Exp", joined)], x=[1, 4, 8, 8])) == ["conv3x3", "conv1x1", "pointwise"]


@pytest.mark.parametrize("kind, groups, size, stride", [
    ("conv3x3", 1, 3, 1), ("conv", 1, 3, 2), ("conv1x1", 1, 1, 1), ("depthwise", 8, 3, 1), ("conv", 2, 3, 1),
])  # fmt: skip
def test_multiply_accumulates_of_convolutions(make, kind, groups, size, stride):
    made = make.conv("x", 8, 8, size, group=groups, strides=[stride, stride])
    (found,) = kernels(make, [made], x=[3, 8, 8, 8])
    side = 8 // stride
    assert found.kind == kind and found.macs == 3 * side * side * 8 * (8 // groups) * size * size


def test_multiply_accumulates_of_products(make):
    turned = make.node("ConvTranspose", "x", make.weight(8, 4, 2, 2), strides=[2, 2])
    flat = make.node("Flatten", turned)
    dense = make.node("Gemm", flat, make.weight(4 * 256, 10), make.weight(10))
    other = make.node("MatMul", dense, make.weight(10, 7))
    found = kernels(make, [other], x=[3, 8, 8, 8])
    assert kinds(found) == ["deconv", "dense", "dense"]
    assert [item.macs for item in found] == [3 * 64 * 8 * 4 * 4, 3 * 1024 * 10, 3 * 10 * 7]
    assert found[1].weights == 1024 * 10 + 10


@pytest.mark.parametrize("name", sorted(RTX))
def test_no_work_is_lost_and_kernels_are_as_many_as_tensorrt_for_rtx_makes(name):
    """Within two kernels, or a tenth: it joins all between matrix products, which `whole` does."""
    bundle = Bundle.open(shipped.find(name))
    for graph_name, counted in RTX[name].items():
        described = bundle.graph(graph_name)
        read = graph.read(bundle.read(described.file))
        classic, whole = fusion.fuse(read), fusion.fuse(read, whole=True)
        assert abs(len(whole.kernels) - counted) <= max(2, counted // 10)
        for fused in (classic, whole):
            assert sum(item.macs for item in fused.kernels) == described.figures["macs"] and not fused.unknown
        assert len(classic.kernels) >= len(whole.kernels)


@pytest.mark.parametrize("name", ["fashion-realnvp", "mnist-realnvp"])
def test_what_tensorrt_8_reads_of_a_flow_has_88_kernels(name):
    """103 where each coupling joins its half and the label planes."""
    bundle = Bundle.open(shipped.find(name))
    described = bundle.graph("decode")
    apart = graph.read(bundle.read(described.tensorrt8 or described.file))
    typed = graph.read(bundle.read(described.precision["file"]))
    joins = [len([node for node in read.nodes if node.operator == "Concat"]) for read in (apart, typed)]
    assert len(fusion.fuse(apart).kernels) == 88 and joins == [2, 15]
