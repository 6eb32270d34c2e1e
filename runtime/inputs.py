"""Random inputs of a graph, for what needs numbers that no reference holds: verifying a new plan, benchmarks."""

import numpy as np


def random_inputs(graph, rows, stream):
    """Graph, batch, numpy RandomState -> {input name: float32 array}: normal z, uniform images, labels in turn."""
    found = {}
    for tensor in graph.inputs:
        shape = (rows,) + tuple(tensor.shape[1:])
        if tensor.name == "labels":
            found["labels"] = np.eye(tensor.shape[1], dtype=np.float32)[np.arange(rows) % tensor.shape[1]]
        elif tensor.name == "images":
            found["images"] = stream.random_sample(shape).astype(np.float32)
        else:
            found[tensor.name] = stream.standard_normal(shape).astype(np.float32)
    return found
