"""Layers that the ONNX parser of TensorRT 8 makes of a graph: most nodes become one that bears their name, some several.

By onnx-tensorrt's ImporterContext.hpp, onnx2trt_utils.cpp and builtin_op_importers.cpp, release/8.2-GA: a node's first
layer has its name, further ones that name and a number, counted once for the whole network; helpers have none, and are
told as "(Unnamed Layer* n) [Kind]"; a constant has the name of its initializer. What a node writes is a tensor of that
name; between a node's own layers tensors are named after the layer that writes them.
"""

from typing import NamedTuple

ELEMENTWISE = ("Add", "Sub", "Mul", "Div", "Pow", "Min", "Max", "Less", "Greater", "Equal", "PRelu")
WITH_CONSTANTS = ("MatMul", "Concat", "Where")


class Made(NamedTuple):
    """A layer: name; kind, its ONNX operator or what a helper does; names of the tensors it reads and writes; ONNX type."""

    name: str
    kind: str
    inputs: tuple
    outputs: tuple
    type: int


def made_of(graph):
    """onnx_file.Graph -> list of Made, in the order of the network."""
    maker = Maker(graph.weights)
    for node in graph.nodes:
        maker.add_node(node)
    return maker.layers


class Maker:
    def __init__(self, weights):
        self.weights, self.layers, self.taken, self.counter = weights, [], set(), 0
        self.rows = set()  # tensors that are known to have two dimensions

    def add_node(self, node):
        read = [name for name in node.inputs if name not in self.weights]
        if node.kind == "Gemm":
            rows = self.add("Shuffle", node, read[:1])
            self.add("Shuffle", node, [self.add("Gemm", node, [rows], node.name)], None, node.outputs[:1])
            self.rows.add(node.outputs[0])
        elif node.kind == "Flatten" and read[0] in self.rows:
            self.rename(read[0], node.outputs[0])
        elif node.kind in ("Softmax", "LogSoftmax"):
            made = self.add(node.kind, node, read, node.name)
            self.add("Shuffle" if node.kind == "Softmax" else "Unary", node, [made], None, node.outputs)
        elif node.kind == "Split":
            for output in node.outputs:
                self.add(node.kind, node, read, node.name, [output])
        elif node.kind in ELEMENTWISE + WITH_CONSTANTS:
            operands = [self.operand(node, name) for name in node.inputs]
            self.add(node.kind, node, operands, node.name, node.outputs)
        else:
            self.add(node.kind, node, read, node.name, node.outputs)

    def rename(self, old, new):
        """A node that changes nothing is no layer: what it reads gets the name of what it writes."""
        self.layers = [
            made._replace(
                inputs=tuple(new if name == old else name for name in made.inputs),
                outputs=tuple(new if name == old else name for name in made.outputs),
            )
            for made in self.layers
        ]

    def operand(self, node, name):
        """A tensor's name; of an initializer, that of a constant's output, brought to the rank of the others."""
        if name not in self.weights:
            return name
        constant = self.add("Constant", node, [], name)
        return self.add("Shuffle", node, [constant]) if node.kind in ELEMENTWISE else constant

    def add(self, kind, node, inputs, name=None, outputs=None):
        """One layer -> the name of its first output."""
        unnamed = "(Unnamed Layer* {}) [{}]".format(len(self.layers), kind)
        outputs = tuple(outputs or [unnamed + "_output"])
        self.layers.append(Made(self.unique(name) if name else unnamed, kind, tuple(inputs), outputs, node.type))
        return outputs[0]

    def unique(self, name):
        if name in self.taken:
            name, self.counter = "{}_{}".format(name, self.counter), self.counter + 1
        self.taken.add(name)
        return name
