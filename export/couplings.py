"""A flow's graph in the form that costs TensorRT 8 the fewest kernels: no join of still half and label planes.

The first convolution of each coupling sees [still half, planes], and the planes of a level are seen by all its
couplings. By linearity it is conv(planes) + conv(still): TensorRT 8 fuses convolution, sum and ReLU, and merges
convolutions of one array, while a join costs it a copy of the planes for each coupling. ONNX Runtime fuses the sum too
(into its blocked convolutions), but only where it knows that both have the same batch: hence `keep_batch`.

TensorRT for RTX joins for free and merges no convolutions: the graph typed in half, which TensorRT 8 cannot read,
stays joined. ONNX Runtime's file is taken apart where that suits it (`suits_blocks`); else TensorRT 8 has one of its
own.
"""

import math

import numpy as np
import onnx
from onnx import helper, numpy_helper

from .lower import infer_shapes

BLOCK = 16  # channels that a vector of AVX-512 holds
SHARED, SUM = "_shared", "_sum"  # what the names of the two new nodes add to that of the convolution


def take_apart(model):
    """ModelProto -> a new one, the same function, where each convolution of a join with a shared part is two.

    Shared is a part that several such joins have; a join of which no part is shared stays. None if all do.
    """
    apart = onnx.ModelProto()
    apart.CopyFrom(model)
    graph, shapes = apart.graph, infer_shapes(model)
    joins, nodes = shared_joins(graph), []
    if not joins:
        return None
    dropped = {join.name for join, _ in joins.values()}
    for node in graph.node:
        if node.name in joins:
            nodes += in_two(graph, shapes, node, *joins[node.name])
        elif node.name not in dropped:
            nodes.append(node)
    del graph.node[:]
    graph.node.extend(nodes)
    keep_batch(graph, shapes)
    drop_unused(graph)
    onnx.checker.check_model(apart, full_check=True)
    return apart


def suits_blocks(model):
    """Does ONNX Runtime compute a graph taken apart as fast as the joined one?

    Its convolutions take channels in blocks of 8 or 16. Measured on a Xeon: 16 label planes are a fifth to a quarter
    faster apart; 10 are 1 % slower with AVX-512, and 9 to 16 % without it.
    """
    weights = {item.name: item for item in model.graph.initializer}
    shared = [node for node in model.graph.node if node.op_type == "Conv" and node.name.endswith(SHARED)]
    return all(weights[node.input[1]].dims[1] % BLOCK == 0 for node in shared)


def shared_joins(graph):
    """{name of a convolution: (its join, which of the two parts other such joins have too)}."""
    found, counts = {}, {}
    for join, convolution in joined_convolutions(graph):
        found[convolution.name] = join
        for part in join.input:
            counts[part] = counts.get(part, 0) + 1
    shared = {}
    for name, join in found.items():
        often = [index for index, part in enumerate(join.input) if counts[part] > 1]
        if len(often) == 1:
            shared[name] = (join, often[0])
    return shared


def joined_convolutions(graph):
    """Yields (Concat of two arrays by channel, the Conv with constant weights that alone reads it)."""
    readers, constants = {}, {item.name for item in graph.initializer}
    for node in graph.node:
        for name in node.input:
            readers.setdefault(name, []).append(node)
    outputs = {value.name for value in graph.output}
    for join in graph.node:
        if join.op_type != "Concat" or len(join.input) != 2 or attribute(join, "axis") != 1:
            continue
        after = readers.get(join.output[0], [])
        if len(after) == 1 and join.output[0] not in outputs and is_plain(after[0], join.output[0], constants):
            yield join, after[0]


def is_plain(node, data, constants):
    """Is a node a convolution of `data` in one group, with constant weights?"""
    return (
        node.op_type == "Conv" and node.input[0] == data and set(node.input[1:]) <= constants
        and attribute(node, "group", 1) == 1
    )  # fmt: skip


def attribute(node, name, default=None):
    return next((helper.get_attribute_value(item) for item in node.attribute if item.name == name), default)


def in_two(graph, shapes, node, join, shared):
    """A Conv, its join and the place of the shared part -> Conv of the shared part, Conv of the other, their sum.

    The shared one has the bias and comes first: TensorRT gives the sum to the later one, and the first can be merged.
    """
    weight = numpy_helper.to_array(next(item for item in graph.initializer if item.name == node.input[1]))
    first, name, out = shapes[join.input[0]][1], node.name, node.output[0]
    slices, path = (weight[:, :first], weight[:, first:]), node.input[1].rpartition(".")[0] or node.input[1]
    names = [f"{path}.shared.weight" if index == shared else f"{path}.own.weight" for index in (0, 1)]
    graph.initializer.extend(
        numpy_helper.from_array(np.ascontiguousarray(part), key) for key, part in zip(names, slices, strict=True)
    )
    both = helper.make_node("Conv", [join.input[shared], names[shared], *node.input[2:]], [out + SHARED], name + SHARED)
    own = helper.make_node("Conv", [join.input[1 - shared], names[1 - shared]], [out + "_own"], name)
    for made in (both, own):
        made.attribute.extend(node.attribute)
    return [both, own, helper.make_node("Add", [out + SHARED, out + "_own"], [out], name + SUM)]


def keep_batch(graph, shapes):
    """A Reshape to (-1, sizes) that leaves the batch as it is says so: 0, that axis of the input."""
    constants = {item.name: item for item in graph.initializer}
    for node in graph.node:
        if node.op_type == "Reshape" and node.input[1] in constants:
            wanted = numpy_helper.to_array(constants[node.input[1]]).tolist()
            if leaves_batch(shapes.get(node.input[0]), wanted):
                name = node.output[0] + "_kept_batch"
                graph.initializer.append(numpy_helper.from_array(np.array([0, *wanted[1:]], np.int64), name))
                node.input[1] = name


def leaves_batch(shape, wanted):
    """Does -1 stand for just the first axis: shape of what is reshaped (None: unknown), what it is reshaped to?"""
    sizes = [*(shape or [None])[1:], *wanted[1:]]
    known = all(isinstance(size, int) and size > 0 for size in sizes)
    return bool(shape) and wanted[:1] == [-1] and known and math.prod(shape[1:]) == math.prod(wanted[1:])


def drop_unused(graph):
    """Constants that no node reads go."""
    used = {name for node in graph.node for name in node.input} | {value.name for value in graph.output}
    kept = [item for item in graph.initializer if item.name in used]
    del graph.initializer[:]
    graph.initializer.extend(kept)


def kept_apart(keep, model):
    """{node of the joined graph: why it stays in float32}, the graph taken apart -> the same for its nodes."""
    found = {}
    for node in model.graph.node:
        origin = node.name
        for suffix in (SHARED, SUM):
            origin = origin[: -len(suffix)] if origin.endswith(suffix) else origin
        if origin in keep:
            found[node.name] = keep[origin]
    return found
