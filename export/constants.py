"""What depends on constants alone is computed once, before anything else is rewritten.

An importer of TensorRT 8 that wants a constant wants an initializer: the same value behind a Cast, a Reshape or a Mul
is "computed at run time" to it (importer/facts.py). Evaluated by onnx's own reference implementation.
"""

import warnings

import numpy as np
from onnx import helper, numpy_helper
from onnx.reference import ReferenceEvaluator

NEVER = ("RandomNormal", "RandomUniform", "RandomNormalLike", "RandomUniformLike", "Bernoulli", "Multinomial", "If",
         "Loop", "Scan")  # fmt: skip
SPARE_BYTES = 1 << 20


def compute_constants(model):
    """ModelProto, changed in place: nodes whose inputs are all constants, and Constant nodes, become initializers.

    A result that is larger than what it is made of by more than a megabyte stays a node (an Expand of a constant).
    """
    graph, opset = model.graph, max(item.version for item in model.opset_import if item.domain in ("", "ai.onnx"))
    known = {item.name: item for item in graph.initializer}
    outputs, kept = {value.name for value in graph.output}, []
    for node in graph.node:
        arrays = None if outputs & set(node.output) else values_of(node, known, opset)
        if arrays is None:
            kept.append(node)
            continue
        for name, array in zip(node.output, arrays, strict=True):
            if name:
                known[name] = numpy_helper.from_array(np.asarray(array), name)
                graph.initializer.append(known[name])
    del graph.node[:]
    graph.node.extend(kept)


def values_of(node, known, opset):
    """Arrays of a node's outputs, None if they depend on more than constants or cannot be computed here."""
    names = [name for name in node.input if name]
    if node.domain not in ("", "ai.onnx") or node.op_type in NEVER or not set(names) <= set(known):
        return None
    if not names and node.op_type != "Constant":
        return None
    feeds = {name: numpy_helper.to_array(known[name]) for name in set(names)}
    graph = helper.make_graph(
        [node], "constants", [helper.make_empty_tensor_value_info(name) for name in feeds],
        [helper.make_empty_tensor_value_info(name) for name in node.output if name],
    )  # fmt: skip
    single = helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)])
    try:
        with warnings.catch_warnings(), np.errstate(all="ignore"):
            warnings.simplefilter("ignore")
            arrays = ReferenceEvaluator(single).run(None, feeds)
    except Exception:  # what onnx cannot evaluate stays a node; the linter speaks of it
        return None
    sizes = sum(np.asarray(array).nbytes for array in arrays), sum(array.nbytes for array in feeds.values())
    if sizes[0] > sizes[1] + SPARE_BYTES:
        return None
    found = iter(arrays)
    return [next(found) if name else None for name in node.output]
