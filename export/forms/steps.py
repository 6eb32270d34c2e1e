"""The nodes in the place of one, while a rewrite makes them."""

import numpy as np
from onnx import helper


class Steps:
    """The nodes in the place of one: `add` appends one and gives the name of its output."""

    def __init__(self, graph, node):
        self.graph, self.node, self.nodes = graph, node, []

    def add(self, operator, inputs, suffix="", outputs=None, **options):
        """suffix: makes the name of an intermediate result; "" (the default) is the node's own output."""
        own = self.node.output[0]
        names = outputs or [self.graph.unique(own + suffix) if suffix else own]
        name = f"{self.node.name}{suffix}" if self.node.name else ""
        self.nodes.append(helper.make_node(operator, inputs, names, name, **options))
        return names[0]

    def constant(self, values, kind=np.float32, what="_value"):
        return self.graph.constant(np.array(values, kind), self.node.output[0] + what)


def rank_of(graph, name):
    shape = graph.shapes.get(name)
    return None if shape is None else len(shape)
