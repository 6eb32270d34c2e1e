"""What a graph costs, counted on its nodes: the figures of the summary table and of the bundle."""

import collections
import math

from .fused import fused_nodes
from .lower import infer_shapes


def figures(model):
    """ModelProto -> {nodes, fused_nodes, operators {name: count}, macs an image, parameters, bytes}."""
    shapes = infer_shapes(model)
    operators = collections.Counter(node.op_type for node in model.graph.node)
    floats = [item for item in model.graph.initializer if item.data_type in (1, 10, 11)]
    return {
        "nodes": len(model.graph.node),
        "fused_nodes": fused_nodes(model),
        "operators": dict(operators),
        "macs": sum(macs(node, shapes) for node in model.graph.node),
        "parameters": sum(math.prod(item.dims) for item in floats),
        "bytes": model.ByteSize(),
    }


def macs(node, shapes):
    """Multiply-accumulates of one node for a batch of one; 0 for what is not a product of matrices."""
    if node.op_type in ("Conv", "ConvTranspose"):
        weight = shapes[node.input[1]]
        places = shapes[node.output[0]] if node.op_type == "Conv" else shapes[node.input[0]]
        return math.prod(weight) * math.prod(places[2:])
    if node.op_type in ("Gemm", "MatMul"):
        weight, out = shapes.get(node.input[1]) or (), shapes.get(node.output[0]) or ()
        transposed = any(item.name == "transB" and item.i for item in node.attribute)
        inner = weight[-1] if transposed else weight[-2] if len(weight) > 1 else 0
        sizes = [inner, *out[1:]]
        return math.prod(sizes) if all(isinstance(size, int) for size in sizes) else 0
    return 0
