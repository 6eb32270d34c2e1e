"""An ONNX file as plain data: nodes, and the shape of every tensor. The only file here that imports onnx.

Weights are never read, only their shapes: a file of gigabytes, or one whose weights lie beside it, takes no longer.
"""

import os
from typing import NamedTuple

import numpy as np
import onnx
from onnx import helper, numpy_helper, shape_inference

from ...runtime.errors import InputError

LARGE = 1024  # initializers of more elements than this are weights, of less may be shapes or axes
SUBGRAPHS = ("If", "Loop", "Scan")
GROWING = ("ConstantOfShape", "Expand", "Tile", "Range", "Pad", "Resize")  # may make much of little


class Node(NamedTuple):
    """One node: its name (its first output's, where it has none), operator, tensors in and out, attributes."""

    name: str
    operator: str
    inputs: tuple
    outputs: tuple
    attributes: dict


class Graph(NamedTuple):
    """nodes in an order that can run; shapes {tensor: tuple}; floating, the tensors of real numbers; constants, the
    tensors that do not depend on an input; inputs and outputs by name; batch."""

    nodes: tuple
    shapes: dict
    floating: frozenset
    constants: frozenset
    inputs: tuple
    outputs: tuple
    batch: int

    def elements(self, tensor):
        """How many numbers a tensor holds."""
        return product(self.shapes[tensor])


def read(source, batch=None, name=None):
    """A path or the bytes of an ONNX file -> Graph, with its free first axis set to `batch` (1 unless told).

    name: what messages call the file. Raises InputError: no ONNX file, a free axis that is not the batch, a batch
    that the file does not allow, a tensor whose shape cannot be known.
    """
    name = name or (source if isinstance(source, str) else "the graph")
    model = load(source, name)
    graph = model.graph
    for node in graph.node:
        if node.op_type in SUBGRAPHS:
            raise InputError(
                "{}: node '{}' is {}: how often it runs depends on the data, so its time cannot be predicted; "
                "export the model without it".format(name, node.name or node.output[0], node.op_type)
            )
    weights = weights_to_shapes(graph)
    batch = set_batch(graph, weights, batch, name)
    forget_shapes(graph)
    inferred = infer(model, name)
    while lacking(inferred) and fold(model, inferred):
        inferred = infer(model, name)
    shapes, floating = known_shapes(inferred, weights)
    nodes = tuple(as_node(node) for node in inferred.node)
    constants = constant_tensors(nodes, set(weights) | {item.name for item in inferred.initializer})
    refuse_unknown(nodes, shapes, constants, name)
    inputs = tuple(item.name for item in inferred.input if item.name not in weights)
    outputs = tuple(item.name for item in inferred.output)
    return Graph(nodes, shapes, frozenset(floating), frozenset(constants), inputs, outputs, batch)


def load(source, name):
    """A path or bytes -> ModelProto without outside weights. Raises InputError."""
    try:
        if isinstance(source, bytes):
            model = onnx.load_model_from_string(source)
        else:
            model = onnx.load(source, load_external_data=False)
    except OSError as error:
        raise InputError("{} cannot be read: {}".format(name, error.strerror or error))
    except Exception as error:  # protobuf's DecodeError, which has moved between its versions
        text = "{} is no ONNX file ({:.100}): give one that `latentjet export` or torch.onnx wrote, or a bundle"
        raise InputError(text.format(name, first_line(error)))
    if not model.graph.node or not model.graph.output:
        raise InputError("{} is no ONNX file: it has {} nodes and {} outputs".format(
            name, len(model.graph.node), len(model.graph.output)))  # fmt: skip
    return model


def weights_to_shapes(graph):
    """Turn large initializers into inputs with a shape, in place -> {name: shape} of every initializer."""
    shapes = {item.name: tuple(item.dims) for item in graph.initializer}
    listed = {item.name for item in graph.input}
    kept = []
    for item in graph.initializer:
        if product(tuple(item.dims)) <= LARGE and item.data_location != onnx.TensorProto.EXTERNAL:
            kept.append(item)
        elif item.name not in listed:
            graph.input.append(helper.make_tensor_value_info(item.name, item.data_type, list(item.dims)))
    del graph.initializer[:]
    graph.initializer.extend(kept)
    return shapes


def set_batch(graph, weights, batch, name):
    """Write the batch into every input's free first axis, in place -> the batch. Raises InputError."""
    inputs = [item for item in graph.input if item.name not in weights]
    free, fixed = set(), {}
    for item in inputs:
        for axis, size in enumerate(item.type.tensor_type.shape.dim):
            if size.HasField("dim_value") and size.dim_value > 0:
                if axis == 0:
                    fixed[item.name] = size.dim_value
            elif axis == 0:
                free.add(size.dim_param)
    value = batch or (1 if free or not fixed else fixed[sorted(fixed)[0]])
    for item in inputs:
        if not item.type.HasField("tensor_type") or not item.type.tensor_type.HasField("shape"):
            raise InputError("{}: input '{}' has no shape: export it with one".format(name, item.name))
        for axis, size in enumerate(item.type.tensor_type.shape.dim):
            if size.HasField("dim_value") and size.dim_value > 0:
                continue
            if axis and (not size.dim_param or size.dim_param not in free):
                raise InputError(
                    "{}: input '{}' has the free axis {} ({}), only the first, the batch, may be free: export it "
                    "with a fixed size".format(name, item.name, axis, size.dim_param or "not named")
                )
            size.dim_value = value
    if batch and not free and batch not in fixed.values():
        seen = ", ".join("'{}' {}".format(key, fixed[key]) for key in sorted(fixed)) or "none"
        raise InputError(
            "{}: --batch {} cannot be set, the first axis of its inputs is fixed ({}): leave --batch out, or export it "
            "with a free first axis".format(name, batch, seen)
        )
    return value


def forget_shapes(graph):
    """Drop what the exporter wrote about shapes inside, which still names the free axis, in place."""
    del graph.value_info[:]
    for item in graph.output:
        item.type.tensor_type.ClearField("shape")


def infer(model, name):
    """ModelProto -> its GraphProto with every shape that onnx can infer. Raises InputError."""
    try:
        return shape_inference.infer_shapes(model, data_prop=True).graph
    except Exception as error:  # onnx's InferenceError is a RuntimeError in some versions, not in others
        raise InputError("{}: onnx {} cannot infer its shapes: {}".format(name, onnx.__version__, first_line(error)))


def lacking(graph):
    """Does a GraphProto make tensors whose shapes are not known?"""
    known, _ = known_shapes(graph, {})
    return any(tensor not in known for node in graph.node for tensor in node.output if tensor)


def fold(model, inferred):
    """Turn nodes that only compute on shapes into initializers, in place -> how many.

    onnx infers most of them by itself; for the rest this needs its reference implementation (onnx 1.13 and later).
    """
    known, _ = known_shapes(inferred, {})
    values = {item.name: numpy_helper.to_array(item) for item in model.graph.initializer}
    kept, before = [], len(values)
    for node in model.graph.node:
        made = evaluated(model, node, known, values)
        if made is None:
            kept.append(node)
        else:
            values[node.output[0]] = made
            model.graph.initializer.append(numpy_helper.from_array(made, node.output[0]))
    del model.graph.node[:]
    model.graph.node.extend(kept)
    return len(values) - before


def evaluated(model, node, known, values):
    """The small array that a node makes of known ones, or None."""
    if node.op_type == "Shape" and node.input[0] in known:
        limits = {item.name: item.i for item in node.attribute}
        return np.array(known[node.input[0]][limits.get("start", 0) : limits.get("end")], dtype=np.int64)
    if len(node.output) != 1 or not all(item in values for item in node.input if item):
        return None
    if node.op_type.startswith("Random") or node.op_type in GROWING and product(known.get(node.output[0])) > LARGE:
        return None
    try:
        from onnx.reference import ReferenceEvaluator

        names = sorted({item for item in node.input if item})
        inputs = [helper.make_tensor_value_info(item, onnx.TensorProto.UNDEFINED, None) for item in names]
        output = helper.make_tensor_value_info(node.output[0], onnx.TensorProto.UNDEFINED, None)
        alone = helper.make_model(helper.make_graph([node], "one", inputs, [output]), opset_imports=model.opset_import)
        made = np.asarray(ReferenceEvaluator(alone).run(None, {item: values[item] for item in names})[0])
    except Exception:  # no reference implementation of this node: its shape stays unknown, and a message names it
        return None
    return made if made.size <= LARGE else None


def product(shape):
    """The number of elements of a shape; None, not known, counts as too many."""
    return int(np.prod(shape, dtype=np.int64)) if shape is not None else LARGE + 1


def known_shapes(graph, weights):
    """GraphProto -> {tensor: shape} of those known in full, and the set of tensors that hold real numbers."""
    shapes, floating = dict(weights), set()
    items = list(graph.value_info) + list(graph.input) + list(graph.output)
    for item in items:
        kind = item.type.tensor_type
        if kind.elem_type in (1, 10, 11, 16):
            floating.add(item.name)
        if kind.HasField("shape") and all(size.HasField("dim_value") for size in kind.shape.dim):
            shapes[item.name] = tuple(size.dim_value for size in kind.shape.dim)
    for item in graph.initializer:
        if item.data_type in (1, 10, 11, 16):
            floating.add(item.name)
    return shapes, floating


def as_node(node):
    """NodeProto -> Node."""
    attributes = {}
    for item in node.attribute:
        if item.type in (1, 2, 3, 6, 7, 8):  # numbers, texts and lists of them; tensors are not needed
            attributes[item.name] = helper.get_attribute_value(item)
    outputs = tuple(node.output)
    return Node(node.name or outputs[0], node.op_type, tuple(node.input), outputs, attributes)


def constant_tensors(nodes, known):
    """The tensors that do not depend on the graph's inputs; shapes are known, so what computes on them does not."""
    constants = set(known)
    for node in nodes:
        inputs = [item for item in node.inputs if item]
        if node.operator in ("Shape", "Size") or all(item in constants for item in inputs):
            if not node.operator.startswith("Random"):
                constants.update(node.outputs)
    return constants


def refuse_unknown(nodes, shapes, constants, name):
    """Raise InputError for the first tensor whose shape is not known."""
    for node in nodes:
        for tensor in node.outputs:
            if tensor and tensor not in shapes and tensor not in constants:
                raise InputError(
                    "{}: the shape of tensor '{}', made by {} '{}', is not known: it depends on data, or onnx {} "
                    "cannot compute it (1.13 can more); fix the sizes of the inputs, or simplify the file".format(
                        name, tensor, node.operator, node.name, onnx.__version__
                    )
                )


def first_line(error):
    """An exception as one short line."""
    return " ".join(str(error).split())[:200] or type(error).__name__


def is_onnx(path):
    """Does a path name an ONNX file rather than a bundle?"""
    return path.endswith(".onnx") or (os.path.isfile(path) and not path.endswith(".zip"))
