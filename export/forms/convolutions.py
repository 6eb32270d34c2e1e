"""Transposed convolutions in forms that TensorRT 8 reads."""

import numpy as np

from ..remedies import attributes
from .steps import Steps, rank_of


def conv_transpose(graph, node):
    """In one dimension without output_padding and output_shape; in three with equal pads and a crop."""
    rank, given = rank_of(graph, node.input[0]), attributes(node)
    if rank == 3 and not given.get("output_shape"):
        if any(given.get("output_padding", ())) and given.get("auto_pad", b"NOTSET") == b"NOTSET":
            return in_two_dimensions(Steps(graph, node), given)
        drop_attribute(node, "output_padding")
    if rank == 5 and given.get("auto_pad", b"NOTSET") in (b"NOTSET", b""):
        return cropped(Steps(graph, node), given)
    return None


def drop_attribute(node, name):
    kept = [item for item in node.attribute if item.name != name]
    del node.attribute[:]
    node.attribute.extend(kept)


def in_two_dimensions(steps, given):
    """(N, C, L) as (N, C, L, 1)."""
    graph, node = steps.graph, steps.node
    weights = graph.constants.get(node.input[1])
    if weights is None:
        return None
    axis = steps.constant([3], np.int64, "_axis")
    kernel = graph.constant(weights[..., None], node.input[1] + "_2d")
    options = {"group": given.get("group", 1), "kernel_shape": [weights.shape[2], 1]}
    for name, neutral in (("strides", 1), ("dilations", 1), ("output_padding", 0)):
        options[name] = [*given.get(name, [neutral]), neutral]
    start, end = given.get("pads", [0, 0])
    options["pads"] = [start, 0, end, 0]
    wide = steps.add("Unsqueeze", [node.input[0], axis], "_wide")
    made = steps.add("ConvTranspose", [wide, kernel, *node.input[2:]], "_2d", **options)
    steps.add("Squeeze", [made, axis])
    return steps.nodes


def cropped(steps, given):
    """pads that differ at the two ends once output_padding is off the end: no pads, and a Slice."""
    node = steps.node
    pads, extra = list(given.get("pads", [0] * 6)), list(given.get("output_padding", [0] * 3))
    ends = [end - more for end, more in zip(pads[3:], extra, strict=True)]
    if ends == pads[:3] or min(ends) < 0 or given.get("output_shape"):
        return None
    options = {name: given[name] for name in ("group", "kernel_shape", "strides", "dilations") if name in given}
    whole = steps.add("ConvTranspose", list(node.input), "_whole", **options)
    stops = [-end if end else np.iinfo(np.int32).max for end in ends]
    edges = [steps.constant(edge, np.int64, "_edge") for edge in (pads[:3], stops, [2, 3, 4])]
    steps.add("Slice", [whole, *edges])
    return steps.nodes
