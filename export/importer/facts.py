"""An ONNX model -> what the importers of TensorRT 8 look at: each node with its attributes, and the type, shape and
value of its inputs, as far as they are known before anything runs.

Types are TensorRT's: INT64 is INT32 there and DOUBLE is FLOAT. A shape has a name or None where an axis is free.
What TensorRT calls weights (a value that is known while the graph is read) is less than what is constant: an
initializer, the output of a Constant node, the Transpose of floating-point weights of rank 4 or less, and what a
Dropout or a Pad with nothing to do passes on. All else is a tensor, although the builder may fold it later.
"""

from typing import Any, NamedTuple, Optional

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

FLOATS, INTEGERS = ("FLOAT", "FLOAT16"), ("INT32",)
AS_READ = {"DOUBLE": "FLOAT", "INT64": "INT32"}
LARGEST_RANK = 8


class Value(NamedTuple):
    """An input of a node. type and stated: as TensorRT and as ONNX name it, None if unknown; shape: tuple, None if
    unknown; array: its value, for weights; is_input: an input of the graph; made_by: the operator that computes it."""

    name: str
    type: Optional[str]
    stated: Optional[str]
    shape: Optional[tuple]
    array: Any = None
    is_input: bool = False
    made_by: str = ""

    @property
    def is_weights(self):
        return self.array is not None

    @property
    def rank(self):
        return None if self.shape is None else len(self.shape)

    @property
    def is_fixed(self):
        return self.shape is not None and all(is_size(size) for size in self.shape)


class Node(NamedTuple):
    """A node: operator, name, attributes by name (texts as str, lists as tuples), inputs (None where a name is empty),
    names of the outputs, their types and shapes, the model's opset, and the version of TensorRT that reads it."""

    operator: str
    name: str
    attributes: dict
    inputs: tuple
    outputs: tuple
    results: tuple
    opset: int
    version: str
    readers: tuple = ()

    def input(self, index):
        """The Value at an index, None where there is none."""
        return self.inputs[index] if index < len(self.inputs) else None

    def array(self, index):
        """The value of an input that is weights, else None."""
        value = self.input(index)
        return None if value is None else value.array

    def rank(self, index=0):
        value = self.input(index)
        return None if value is None else value.rank

    def has_empty(self, index):
        """Is this input there, with an empty name?"""
        return index < len(self.inputs) and self.inputs[index] is None

    def get(self, name, default=None):
        return self.attributes.get(name, default)

    def axis(self, default=0):
        """The attribute axis, counted from the front; None where the rank is not known."""
        axis, rank = self.get("axis", default), self.rank()
        return None if rank is None else axis + rank if axis < 0 else axis


def is_size(size):
    return isinstance(size, int)


def type_name(number):
    """A number of ONNX's -> its name, None where it is not known."""
    return TensorProto.DataType.Name(number) if number else None


class Facts:
    """A model's Nodes, the values that enter it, its initializers and outputs. version: of TensorRT, "8.2" or "8.0"."""

    def __init__(self, model, version="8.2"):
        self.model, self.version = model, version
        self.opset = max([item.version for item in model.opset_import if item.domain in ("", "ai.onnx")] or [1])
        self.types, self.shapes = types_and_shapes(model)
        self.weights = {item.name: item for item in model.graph.initializer}
        self.inputs = {item.name for item in model.graph.input} - set(self.weights)
        self.makers, self.readers = {}, {}
        for node in model.graph.node:
            for name in node.input:
                self.readers.setdefault(name, []).append(node)

    def nodes(self):
        """Every Node, in the order of the graph, which is the order in which its weights become known."""
        for proto in self.model.graph.node:
            node = self.node(proto)
            for name in proto.output:
                self.makers[name] = proto.op_type
            self.pass_weights_on(proto, node)
            yield proto, node

    def node(self, proto):
        attributes = {item.name: plain(helper.get_attribute_value(item)) for item in proto.attribute}
        inputs = tuple(self.value(name) if name else None for name in proto.input)
        results = tuple(self.value(name) if name else None for name in proto.output)
        readers = tuple(item for name in proto.output for item in self.readers.get(name, ()))
        names = tuple(proto.output)
        return Node(proto.op_type, proto.name, attributes, inputs, names, results, self.opset, self.version, readers)

    def value(self, name):
        stated = self.types.get(name)
        weights = self.weights.get(name)
        shape = self.shapes.get(name)
        array = None
        if weights is not None:
            array = weights if isinstance(weights, np.ndarray) else array_of(weights)
            shape = array.shape
        return Value(
            name, AS_READ.get(stated, stated), stated, shape, array, name in self.inputs, self.makers.get(name, "")
        )

    def pass_weights_on(self, proto, node):
        """Weights that a node's output is, as TensorRT sees it."""
        made = passed_on(node)
        if made is not None and proto.output:
            self.weights[proto.output[0]] = made


def passed_on(node):
    """The array that a node's first output is while the graph is read, or None: it is a tensor then."""
    if node.operator == "Constant":
        return constant_of(node)
    data = node.array(0)
    if data is None:
        return None
    if node.operator == "Transpose" and data.ndim <= 4 and data.dtype.kind == "f":
        return np.transpose(data, node.get("perm"))
    if node.operator == "Dropout" and len(node.outputs) == 1:
        return data
    pads = node.get("pads") if node.array(1) is None else node.array(1)
    return data if node.operator == "Pad" and pads is not None and not np.any(pads) else None


def constant_of(node):
    """The value of a Constant node as TensorRT reads it: value_int and value_ints are sought in the wrong fields."""
    if "value" in node.attributes:
        return array_of(node.get("value"))
    if "value_float" in node.attributes:
        return np.array(node.get("value_float"), np.float32)
    if "value_floats" in node.attributes:
        return np.array(node.get("value_floats"), np.float32)
    if "value_int" in node.attributes:
        return np.array(0, np.int64)
    return np.zeros(0, np.int64) if "value_ints" in node.attributes else None


def array_of(tensor):
    """TensorProto -> array; an empty one where its content cannot be had (strings, external data)."""
    try:
        return numpy_helper.to_array(tensor)
    except (TypeError, ValueError, AttributeError, KeyError, OSError, onnx.checker.ValidationError):
        return np.zeros(tuple(tensor.dims), np.uint8)


def plain(value):
    """An attribute as text, number, tuple, or what onnx gives."""
    if isinstance(value, bytes):
        return value.decode("utf-8", "replace")
    if isinstance(value, (list, tuple)) or type(value).__name__.startswith("Repeated"):
        return tuple(plain(item) for item in value)
    return value


def types_and_shapes(model):
    """ModelProto -> ({value name: type name}, {value name: shape}); what shape inference cannot tell is left out."""
    try:
        graph = onnx.shape_inference.infer_shapes(model, data_prop=True).graph
    except Exception:  # a graph that inference refuses still has its stated types
        graph = model.graph
    types = {item.name: type_name(item.data_type) for item in graph.initializer}
    shapes = {item.name: tuple(item.dims) for item in graph.initializer}
    for value in list(graph.output) + list(graph.value_info) + list(graph.input):
        tensor = value.type.tensor_type
        if tensor.elem_type:
            types[value.name] = type_name(tensor.elem_type)
        if tensor.HasField("shape"):
            shapes[value.name] = tuple(size_of(item) for item in tensor.shape.dim)
    return types, shapes


def size_of(dimension):
    return dimension.dim_value if dimension.WhichOneof("value") == "dim_value" else dimension.dim_param or None
