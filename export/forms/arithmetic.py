"""Elementwise operators, casts and reductions in forms that TensorRT 8 reads."""

import numpy as np
from onnx import TensorProto, helper

from ..remedies import attributes
from .steps import Steps, rank_of

INTEGERS = (TensorProto.INT32, TensorProto.INT64)
FLOATS = (TensorProto.FLOAT, TensorProto.FLOAT16, TensorProto.DOUBLE)


def where(graph, node):
    """Branches that are booleans: (c and a) or (not c and b)."""
    if graph.types.get(node.input[1]) != TensorProto.BOOL:
        return None
    steps = Steps(graph, node)
    condition, yes, no = node.input
    first = steps.add("And", [condition, yes], "_first")
    second = steps.add("And", [steps.add("Not", [condition], "_not"), no], "_second")
    steps.add("Or", [first, second])
    return steps.nodes


def sign(graph, node):
    """Of integers: (x > 0) - (x < 0)."""
    kind = graph.types.get(node.input[0])
    if kind not in INTEGERS:
        return None
    steps = Steps(graph, node)
    zero = steps.constant(0, helper.tensor_dtype_to_np_dtype(kind), "_zero")
    parts = [
        steps.add("Cast", [steps.add(operator, [node.input[0], zero], f"_{operator}")], f"_{operator}_number", to=kind)
        for operator in ("Greater", "Less")
    ]
    steps.add("Sub", parts)
    return steps.nodes


def power(graph, node):
    """A constant integer exponent becomes a float; of an integer base it becomes products."""
    exponent = graph.constants.get(node.input[1])
    base, kind = graph.types.get(node.input[0]), graph.types.get(node.input[1])
    if base in FLOATS and kind in INTEGERS and exponent is not None:
        steps = Steps(graph, node)
        dtype = helper.tensor_dtype_to_np_dtype(base)
        steps.add("Pow", [node.input[0], graph.constant(exponent.astype(dtype), node.output[0] + "_exponent")])
        return steps.nodes
    if base in INTEGERS and exponent is not None and exponent.size == 1 and not exponent.ndim:
        times = float(exponent.reshape(-1)[0])
        if times.is_integer() and 1 <= times <= 8:
            return products(Steps(graph, node), node.input[0], int(times))
    return None


def products(steps, name, times):
    power = name
    for count in range(2, times + 1):
        power = steps.add("Mul", [power, name], f"_{count}" if count < times else "")
    if times == 1:
        steps.add("Identity", [name])
    return steps.nodes


def celu(graph, node):
    """alpha ELU(x / alpha)."""
    alpha = attributes(node).get("alpha", 1.0)
    if not alpha > 0:  # another function there
        return None
    steps = Steps(graph, node)
    if alpha == 1:
        steps.add("Elu", [node.input[0]], alpha=1.0)
        return steps.nodes
    scale = steps.constant(alpha, what="_alpha")
    inner = steps.add("Elu", [steps.add("Div", [node.input[0], scale], "_inner")], "_elu", alpha=1.0)
    steps.add("Mul", [inner, scale])
    return steps.nodes


def selu(graph, node):
    """Its constants written out."""
    constants = {"alpha": 1.67326319217681884765625, "gamma": 1.05070102214813232421875}
    node.attribute.extend(
        helper.make_attribute(name, value) for name, value in constants.items() if name not in attributes(node)
    )


def cast(graph, node):
    """To a boolean: not x = 0."""
    kind = graph.types.get(node.input[0])
    if attributes(node)["to"] != TensorProto.BOOL or kind in (None, TensorProto.BOOL):
        return None
    steps = Steps(graph, node)
    zero = steps.constant(0, helper.tensor_dtype_to_np_dtype(kind), "_zero")
    steps.add("Not", [steps.add("Equal", [node.input[0], zero], "_is_zero")])
    return steps.nodes


def log_softmax(graph, node):
    """(x - m) - log sum exp(x - m), m the maximum."""
    rank = rank_of(graph, node.input[0])
    axis = attributes(node).get("axis", -1)
    if rank is None:
        return None
    steps = Steps(graph, node)
    shifted, _ = shift(steps, [axis % rank])
    total = log_sum(steps, shifted, [axis % rank], 1, "_log")
    steps.add("Sub", [shifted, total])
    return steps.nodes


def reduce_log_sum_exp(graph, node):
    """m + log sum exp(x - m), m the maximum, made finite: a row of infinities stays what it is."""
    given, rank = attributes(node), rank_of(graph, node.input[0])
    if rank is None:
        return None
    steps, keep = Steps(graph, node), given.get("keepdims", 1)
    axes = [axis % rank for axis in given.get("axes", range(rank))]
    shifted, maximum = shift(steps, axes, finite=True)
    total = log_sum(steps, shifted, axes, keep, "_log")
    if not keep:
        maximum = steps.add("Squeeze", [maximum, steps.constant(axes, np.int64, "_axes")], "_squeezed")
    steps.add("Add", [total, maximum])
    return steps.nodes


def shift(steps, axes, finite=False):
    """-> names of x - maximum and of the maximum, clipped to the numbers of float32 where it must be finite."""
    maximum = steps.add("ReduceMax", [steps.node.input[0]], "_maximum", axes=axes, keepdims=1)
    if finite:
        most = np.finfo(np.float32).max
        bounds = [steps.constant(-most, what="_least"), steps.constant(most, what="_most")]
        maximum = steps.add("Clip", [maximum, *bounds], "_finite")
    return steps.add("Sub", [steps.node.input[0], maximum], "_shifted"), maximum


def log_sum(steps, name, axes, keep, suffix):
    exponentials = steps.add("Exp", [name], "_exp")
    over = steps.constant(axes, np.int64, "_over")
    return steps.add("Log", [steps.add("ReduceSum", [exponentials, over], "_sum", keepdims=keep)], suffix)


def top_k(graph, node):
    """The smallest values: the largest of the negated ones, negated."""
    given = attributes(node)
    if given.get("largest", 1):
        return None
    steps = Steps(graph, node)
    negated = steps.add("Neg", [node.input[0]], "_negated")
    options = {name: given[name] for name in ("axis", "sorted") if name in given}
    values = graph.unique(node.output[0] + "_largest")
    steps.add("TopK", [negated, node.input[1]], "_largest", outputs=[values, *node.output[1:]], largest=1, **options)
    if node.output[0]:
        steps.add("Neg", [values], outputs=[node.output[0]])
    return steps.nodes
