"""Matrix products and einsum in forms that TensorRT 8 reads."""

import string

import numpy as np

from ..remedies import attributes
from .steps import Steps, rank_of


def gemm(graph, node):
    """With a constant B and C, alpha and beta 1: one fully connected layer, whose outputs are counted in C. So C is
    written out, zeros where it is missing; what is not of this kind becomes MatMul, Mul and Add where that helps."""
    b, given = graph.constants.get(node.input[1]), attributes(node)
    if b is None:
        return None
    outputs = b.shape[0] if given.get("transB", 0) else b.shape[1]
    plain = given.get("alpha", 1.0) == 1 and given.get("beta", 1.0) == 1
    c = graph.constants.get(node.input[2]) if len(node.input) > 2 else np.zeros(outputs, b.dtype)
    if plain and c is not None and (c.size == 1 or c.shape in ((outputs,), (1, outputs))):
        return fully_connected(graph, node, np.broadcast_to(c.reshape(-1), outputs), outputs)
    shape = graph.shapes.get(node.input[0])
    return None if shape is None or (shape[-1] != 1 and not given.get("transA", 0)) else spelled_out(graph, node)


def fully_connected(graph, node, c, outputs):
    steps = Steps(graph, node)
    given = attributes(node)
    old = graph.constants.get(node.input[2]) if len(node.input) > 2 else None
    same = old is not None and old.shape == (outputs,)
    name = node.input[2] if same else graph.constant(np.ascontiguousarray(c), node.output[0] + "_zeros")
    if same and not given.get("transA", 0):
        return None
    a = node.input[0]
    if given.get("transA", 0):
        a = steps.add("Transpose", [a], "_transposed", perm=[1, 0])
    steps.add("Gemm", [a, node.input[1], name], alpha=1.0, beta=1.0, transA=0, transB=given.get("transB", 0))
    return steps.nodes


def spelled_out(graph, node):
    """alpha A' B' + beta C as MatMul, Mul and Add."""
    steps, given = Steps(graph, node), attributes(node)
    a, b = node.input[:2]
    if given.get("transA", 0):
        a = steps.add("Transpose", [a], "_a", perm=[1, 0])
    if given.get("transB", 0):
        b = graph.constant(np.ascontiguousarray(graph.constants[b].T), b + "_transposed")
    alpha, beta = given.get("alpha", 1.0), given.get("beta", 1.0)
    biased = len(node.input) > 2 and beta != 0
    product = steps.add("MatMul", [a, b], "_product" if alpha != 1 or biased else "")
    if alpha != 1:
        scale = steps.constant(alpha, what="_alpha")
        product = steps.add("Mul", [product, scale], "_scaled" if biased else "")
    if biased:
        c = node.input[2]
        if beta != 1:
            c = steps.add("Mul", [c, steps.constant(beta, what="_beta")], "_c")
        steps.add("Add", [product, c])
    return steps.nodes


def matmul(graph, node):
    """A vector times a stack of matrices: the vector becomes a matrix of one row, and the row goes afterwards."""
    if rank_of(graph, node.input[0]) != 1 or (rank_of(graph, node.input[1]) or 0) < 3:
        return None
    steps = Steps(graph, node)
    row = steps.add("Unsqueeze", [node.input[0], steps.constant([0], np.int64, "_axis")], "_row")
    product = steps.add("MatMul", [row, node.input[1]], "_rows")
    steps.add("Squeeze", [product, steps.constant([-2], np.int64, "_axis")])
    return steps.nodes


def einsum(graph, node):
    """Lower-case letters, an ellipsis as letters, two inputs at a time from the left."""
    equation = attributes(node)["equation"].decode().replace(" ", "")
    ranks = [rank_of(graph, name) for name in node.input]
    if None in ranks:
        return None
    terms, result = named_axes(equation, ranks)
    if terms is None:
        return None
    return in_pairs(Steps(graph, node), list(node.input), terms, result)


def named_axes(equation, ranks):
    """An equation -> (terms, result) with one lower-case letter per axis; (None, None) if there are too few letters."""
    left, arrow, right = equation.partition("->")
    terms = left.split(",")
    used = sorted(set(equation) & set(string.ascii_letters))
    wide = [rank - len(term.replace("...", "")) for term, rank in zip(terms, ranks, strict=True) if "..." in term]
    widest = max(wide, default=0)
    if len(used) + widest > 26:
        return None, None
    names = dict(zip(used, string.ascii_lowercase, strict=False))
    axes = string.ascii_lowercase[len(used) : len(used) + widest]

    def spelled(term, rank=None):
        wide = widest if rank is None else rank - len(term.replace("...", ""))
        text = "".join(names.get(letter, letter) for letter in term)
        return text.replace("...", axes[widest - wide :])

    result = spelled(right) if arrow else axes + implicit_result(names[item] for item in left if item in names)
    return [spelled(term, rank) for term, rank in zip(terms, ranks, strict=True)], result


def implicit_result(letters):
    """Without an arrow the result has the letters that stand once, in alphabetical order."""
    letters = list(letters)
    return "".join(sorted(letter for letter in set(letters) if letters.count(letter) == 1))


def in_pairs(steps, names, terms, result):
    while len(terms) > 2:
        later = set("".join(terms[2:]) + result)
        kept = "".join(letter for letter in dict.fromkeys(terms[0] + terms[1]) if letter in later)
        pair = steps.add("Einsum", names[:2], f"_pair{len(terms)}", equation=f"{terms[0]},{terms[1]}->{kept}")
        names, terms = [pair, *names[2:]], [kept, *terms[2:]]
    steps.add("Einsum", names, equation=f"{','.join(terms)}->{result}")
    return steps.nodes
