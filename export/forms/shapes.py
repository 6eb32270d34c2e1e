"""Operators that move, cut and pad data in forms that TensorRT 8 reads."""

import numpy as np
from onnx import helper

from ..remedies import attributes
from .steps import Steps, rank_of


def squeeze(graph, node):
    """Without axes: those of size 1. The batch is no such axis."""
    shape = graph.shapes.get(node.input[0])
    if len(node.input) > 1 or shape is None:
        return None
    steps = Steps(graph, node)
    axes = [axis for axis, size in enumerate(shape) if size == 1]
    steps.add("Squeeze", [node.input[0], steps.constant(axes, np.int64, "_axes")]) if axes else steps.add(
        "Identity", [node.input[0]]
    )
    return steps.nodes


def flatten(graph, node):
    """Of two axes or fewer, or at the last axis: a Reshape, or nothing."""
    rank, axis = rank_of(graph, node.input[0]), attributes(node).get("axis", 1)
    if rank is None or (rank > 2 and axis != rank):
        return None
    steps = Steps(graph, node)
    if rank == 2 and axis in (1, -1):
        steps.add("Identity", [node.input[0]])
    else:
        shape = [1, -1] if axis in (0, -rank) else [-1, 1]
        steps.add("Reshape", [node.input[0], steps.constant(shape, np.int64, "_shape")])
    return steps.nodes


def transpose(graph, node):
    """To the order that is there: nothing."""
    perm = attributes(node).get("perm")
    if perm is None or list(perm) != list(range(len(perm))):
        return None
    return [helper.make_node("Identity", list(node.input), list(node.output), node.name)]


def pad(graph, node):
    """Negative pads: a Slice crops, then what is left is padded."""
    pads = graph.constants.get(node.input[1])
    if pads is None or not (pads < 0).any():
        return None
    steps, rank = Steps(graph, node), pads.size // 2
    cropped, grown = np.minimum(pads, 0), np.maximum(pads, 0)
    ends = [int(end) if end else np.iinfo(np.int32).max for end in cropped[rank:]]
    edges = [steps.constant(edge, np.int64, "_edge") for edge in (-cropped[:rank], ends, range(rank))]
    inner = steps.add("Slice", [node.input[0], *edges], "_cropped" if grown.any() else "")
    if grown.any():
        mode = attributes(node).get("mode", b"constant")
        steps.add("Pad", [inner, steps.constant(grown, np.int64, "_pads"), *node.input[2:]], mode=mode)
    return steps.nodes


def slices(graph, node):
    """Axes that are left out are written: as many as there are starts."""
    starts = graph.shapes.get(node.input[1])
    if (len(node.input) > 3 and node.input[3]) or not starts or not isinstance(starts[0], int):
        return
    axes = graph.constant(np.arange(starts[0], dtype=np.int64), node.output[0] + "_axes")
    if len(node.input) > 3:
        node.input[3] = axes
    else:
        node.input.append(axes)
