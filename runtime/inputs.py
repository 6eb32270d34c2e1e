"""Random inputs of a graph, for what needs numbers that no reference holds: verifying a new plan, benchmarks."""

import numpy as np


def random_inputs(graph, rows, stream):
    """Graph, batch, numpy RandomState -> {input name: float32 array}: random z, images, levels; labels in turn."""
    found = {}
    for tensor in graph.inputs:
        shape = (rows,) + tuple(tensor.shape[1:])
        if tensor.name == "labels":
            found["labels"] = np.eye(tensor.shape[1], dtype=np.float32)[np.arange(rows) % tensor.shape[1]]
        elif tensor.name in ("images", "uniform"):
            found[tensor.name] = stream.random_sample(shape).astype(np.float32)
        elif tensor.name == "levels":
            found["levels"] = stream.randint(0, 256, shape).astype(np.float32)
        else:
            found[tensor.name] = stream.standard_normal(shape).astype(np.float32)
    return found
