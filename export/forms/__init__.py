"""Exact rewrites of nodes that the parser of TensorRT 8 refuses, or reads as something else, into forms that it reads.

What it does with each operator is in importer/; here stands what to write instead, where that is the same function in
real arithmetic. A node that has no such form is left as it is, and the linter (target.py) refuses it by name. Each
function takes the graph under rewriting (lower.Lowering: constants, shapes and types by name) and a node at the
target's opset, and returns the nodes in its place, the last of which has the node's own outputs.
"""

from . import arithmetic, convolutions, products, shapes

FORMS = {
    "Cast": arithmetic.cast,
    "Celu": arithmetic.celu,
    "ConvTranspose": convolutions.conv_transpose,
    "Einsum": products.einsum,
    "Flatten": shapes.flatten,
    "Gemm": products.gemm,
    "LogSoftmax": arithmetic.log_softmax,
    "MatMul": products.matmul,
    "Pad": shapes.pad,
    "Pow": arithmetic.power,
    "ReduceLogSumExp": arithmetic.reduce_log_sum_exp,
    "Selu": arithmetic.selu,
    "Sign": arithmetic.sign,
    "Slice": shapes.slices,
    "Squeeze": shapes.squeeze,
    "TopK": arithmetic.top_k,
    "Transpose": shapes.transpose,
    "Where": arithmetic.where,
}


def suited(graph, node):
    """Lowering, node -> the nodes in its place, in a form that TensorRT 8 reads where there is one."""
    strip_empty_inputs(node)
    nodes = FORMS.get(node.op_type, as_it_is)(graph, node)
    return [node] if nodes is None else nodes


def as_it_is(graph, node):
    """None: the node stays."""


def strip_empty_inputs(node):
    """An empty name at the end of the inputs says nothing, and crashes some importers."""
    while node.input and not node.input[-1]:
        del node.input[-1]
