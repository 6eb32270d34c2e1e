"""The work of one node: multiply-accumulates and the matrix that its outputs form."""

from ...runtime.errors import InputError


class Size(object):
    """kind, macs, rows, columns, depth of a product, or of a kernel that only moves numbers."""

    def __init__(self, kind, macs, rows, columns, depth):
        self.kind, self.macs, self.rows, self.columns, self.depth = kind, macs, rows, columns, depth


def product(values):
    total = 1
    for value in values:
        total *= value
    return total


def of_product(graph, node):
    """Conv, ConvTranspose, Gemm or MatMul -> Size. Raises InputError for weights of a strange shape."""
    try:
        return {"Conv": convolution, "ConvTranspose": transposed, "Gemm": dense, "MatMul": dense}[node.operator](
            graph, node
        )
    except (IndexError, KeyError, ZeroDivisionError) as error:
        raise InputError("{} '{}' has inputs of shapes that do not fit ({}): {}".format(
            node.operator, node.name, error, [graph.shapes.get(item) for item in node.inputs]))  # fmt: skip


def convolution(graph, node):
    """y (N, C_out, ...) = x (N, C_in, ...) * w (C_out, C_in / groups, ...)."""
    weights, output = graph.shapes[node.inputs[1]], graph.shapes[node.outputs[0]]
    groups, depth = node.attributes.get("group", 1), product(weights[1:])
    rows, columns = output[0] * product(output[2:]), output[1]
    strides = set(node.attributes.get("strides", [1]))
    if groups > 1 and weights[1] == 1:
        kind = "depthwise"
    elif product(weights[2:]) == 1:
        kind = "conv1x1"
    else:
        wide = weights[2:] == (3, 3) and strides == {1} and set(node.attributes.get("dilations", [1])) == {1}
        kind = "conv3x3" if wide and groups == 1 else "conv"
    return Size(kind, rows * columns * depth, rows, columns, depth)


def transposed(graph, node):
    """y (N, C_out, ...) from x (N, C_in, ...) and w (C_in, C_out / groups, ...)."""
    weights, given = graph.shapes[node.inputs[1]], graph.shapes[node.inputs[0]]
    output = graph.shapes[node.outputs[0]]
    macs = product(given) * product(weights[1:])
    rows, columns = output[0] * product(output[2:]), output[1]
    return Size("deconv", macs, rows, columns, max(1, macs // max(1, rows * columns)))


def dense(graph, node):
    """y (..., M, N) = a (..., M, K) b (..., K, N)."""
    left, right = graph.shapes[node.inputs[0]], graph.shapes[node.inputs[1]]
    output = graph.shapes[node.outputs[0]]
    depth = left[0] if node.operator == "Gemm" and node.attributes.get("transA", 0) else left[-1]
    columns = output[-1] if len(right) > 1 else 1
    macs = product(output) * depth
    return Size("dense", macs, product(output) // max(1, columns), columns, depth)


def of_mover(graph, node, kind):
    """A node that is no product -> Size: no multiply-accumulates worth counting."""
    shape = graph.shapes[node.outputs[0]]
    columns = shape[1] if len(shape) > 1 else 1
    return Size(kind, 0, product(shape) // max(1, columns), columns, 0)
