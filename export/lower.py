"""Exact rewrites of an ONNX graph from the exporter's opset to the target's, and into forms that its parser reads.

An operator whose definition is the same in both opsets (onnx's own schemas say so) passes. One whose definition
was only widened, to more types or by attributes with the old meaning as default, is in WIDENED and passes where it
uses nothing new. The others have a rewrite in REWRITES. Whatever is in none of the three is an error, never a guess.
"""

import numpy as np
import onnx
from onnx import defs, helper, numpy_helper

from ..runtime.errors import ExportError
from .constants import compute_constants
from .forms import suited
from .remedies import attributes, described, remedy

IR_VERSION = 7  # what the ONNX Runtime and the parsers of JetPack 4.6 read

# operator -> attributes that are new, with the value that means what the older opset does
WIDENED = {
    "Add": {}, "Sub": {}, "Mul": {}, "Div": {}, "Relu": {}, "Identity": {}, "CumSum": {}, "Pow": {}, "Where": {},
    "GreaterOrEqual": {}, "LessOrEqual": {}, "LeakyRelu": {}, "PRelu": {}, "If": {}, "Loop": {}, "Scan": {},
    "Shape": {"start": 0}, "GRU": {"layout": 0}, "LSTM": {"layout": 0}, "RNN": {"layout": 0},
    "ScatterND": {"reduction": b"none"}, "ScatterElements": {"reduction": b"none"},
    "Resize": {"antialias": 0, "keep_aspect_ratio_policy": b"stretch"},
    "BatchNormalization": {"training_mode": 0},
}  # fmt: skip


def lower(model, opset):
    """ModelProto of the exporter -> a new ModelProto at `opset`, IR 7, free of shape arithmetic on a free batch.

    Raises ExportError that names the node which has no exact counterpart there.
    """
    lowered = onnx.ModelProto()
    lowered.CopyFrom(model)
    compute_constants(lowered)
    graph = Lowering(lowered, opset)
    graph.name_batch()
    graph.settle_shapes()
    graph.rewrite()
    graph.suit()
    graph.prune()
    graph.finish()
    return lowered


class Lowering:
    """A graph under rewriting: its nodes; constants, inferred shapes and types (numbers of ONNX's) by name."""

    def __init__(self, model, opset):
        self.model, self.graph, self.opset = model, model.graph, opset
        self.before = next(entry.version for entry in model.opset_import if entry.domain in ("", "ai.onnx"))
        self.constants = {item.name: numpy_helper.to_array(item) for item in self.graph.initializer}
        self.taken = set(self.constants) | {value.name for value in [*self.graph.input, *self.graph.output]}
        self.taken |= {name for node in self.graph.node for name in node.output}

    def name_batch(self):
        """The first axis of every input and output is called "batch"; stale shapes and traces of the source go."""
        for value in list(self.graph.input) + list(self.graph.output):
            dimensions = value.type.tensor_type.shape.dim
            if dimensions and dimensions[0].WhichOneof("value") != "dim_value":
                dimensions[0].dim_param = "batch"
            del value.metadata_props[:]
            value.doc_string = ""
        del self.graph.value_info[:]
        self.shapes, self.types = infer_shapes(self.model), infer_types(self.model)

    def settle_shapes(self):
        """A Reshape or Expand whose shape is computed from the batch gets a constant shape, where that is exact.

        All sizes but one are known, so -1 (Reshape) stands for just that one; an Expand keeps an axis of the input
        with 1, and here the input's axis already has the output's size.
        """
        for node in self.graph.node:
            if node.op_type not in ("Reshape", "Expand") or node.input[1] in self.constants:
                continue
            shape = self.shapes.get(node.output[0], ())
            free = [axis for axis, size in enumerate(shape) if not isinstance(size, int)]
            if not shape or len(free) > 1:
                continue
            fixed = [size if isinstance(size, int) else -1 for size in shape]
            if node.op_type == "Expand" and free:
                entering = self.shapes.get(node.input[0], ())
                if len(entering) != len(shape) or entering[free[0]] != shape[free[0]]:
                    continue
                fixed[free[0]] = 1
            node.input[1] = self.constant(np.array(fixed, np.int64), node.output[0] + "_shape")

    def constant(self, array, name):
        """Add a constant -> its name, made unique."""
        name = self.unique(name)
        self.constants[name] = array
        self.graph.initializer.append(numpy_helper.from_array(array, name))
        return name

    def unique(self, name):
        """A name for a new value that no other value has: this one, or this one and a number."""
        number, free = 0, name
        while free in self.taken:
            number += 1
            free = f"{name}_{number}"
        self.taken.add(free)
        return free

    def rewrite(self):
        """Every node in its form at the target's opset."""
        self.replace(self.rewritten)

    def suit(self):
        """Every node in a form that TensorRT 8's parser reads, where there is one (forms.py)."""
        self.replace(lambda node: suited(self, node))

    def replace(self, rewrite):
        """Each node by the nodes that a function gives for it; they inherit the note on where it came from."""
        nodes = []
        for node in self.graph.node:
            for new in rewrite(node):
                if new is not node and not new.metadata_props:
                    new.metadata_props.extend(node.metadata_props)
                nodes.append(new)
        del self.graph.node[:]
        self.graph.node.extend(nodes)

    def rewritten(self, node):
        """Node -> the nodes in its place."""
        if node.domain not in ("", "ai.onnx"):
            raise ExportError(
                f"{described(node)}: its domain '{node.domain}' is not ONNX's own; write the module without it"
            )
        if node.op_type in REWRITES:
            return REWRITES[node.op_type](self, node)
        before, after = (since(node.op_type, version) for version in (self.before, self.opset))
        if before == after:
            return [node]
        if node.op_type not in WIDENED:
            raise ExportError(
                f"{described(node)}: opset {self.opset} has no such operator as opset {self.before} has; "
                f"{remedy(node.op_type)}"
            )
        return [without_new_attributes(node, WIDENED[node.op_type], self.opset)]

    def prune(self):
        """Remove nodes and constants that no output needs, and Identity nodes inside the graph."""
        outputs = {value.name for value in self.graph.output}
        renamed, kept = {}, []
        for node in self.graph.node:
            for index, name in enumerate(node.input):
                node.input[index] = renamed.get(name, name)
            if node.op_type == "Identity" and node.output[0] not in outputs:
                renamed[node.output[0]] = node.input[0]
            else:
                kept.append(node)
        needed, alive = set(outputs), []
        for node in reversed(kept):
            if needed & set(node.output):
                needed.update(name for name in node.input if name)
                alive.append(node)
        del self.graph.node[:]
        self.graph.node.extend(reversed(alive))
        used = [item for item in self.graph.initializer if item.name in needed]
        del self.graph.initializer[:]
        self.graph.initializer.extend(used)

    def finish(self):
        """Opset and IR version; the checker has the last word."""
        del self.model.opset_import[:]
        self.model.opset_import.append(helper.make_opsetid("", self.opset))
        self.model.ir_version = IR_VERSION
        del self.model.functions[:]
        del self.model.metadata_props[:]
        del self.graph.metadata_props[:]
        self.graph.doc_string = self.model.doc_string = ""
        onnx.checker.check_model(self.model, full_check=True)


def since(operator, opset):
    """The opset in which an operator got the definition that is in force at `opset`; None if it is not there."""
    try:
        return defs.get_schema(operator, opset, "").since_version
    except defs.SchemaError:
        return None


def infer_shapes(model):
    """ModelProto -> {value name: tuple of int or str (a free axis) or None (unknown)}."""
    inferred = onnx.shape_inference.infer_shapes(model, data_prop=True).graph
    shapes = {item.name: tuple(item.dims) for item in inferred.initializer}
    for value in list(inferred.input) + list(inferred.output) + list(inferred.value_info):
        if value.type.tensor_type.HasField("shape"):
            dimensions = value.type.tensor_type.shape.dim
            shapes[value.name] = tuple(
                item.dim_value if item.WhichOneof("value") == "dim_value" else item.dim_param or None
                for item in dimensions
            )
    return shapes


def infer_types(model):
    """ModelProto -> {value name: ONNX's number of its type}."""
    inferred = onnx.shape_inference.infer_shapes(model).graph
    types = {item.name: item.data_type for item in inferred.initializer}
    for value in list(inferred.input) + list(inferred.output) + list(inferred.value_info):
        types[value.name] = value.type.tensor_type.elem_type
    return types


def without_new_attributes(node, new, opset):
    """Drop attributes that the older opset lacks; raises ExportError where one of them means something new."""
    for name, neutral in new.items():
        if attributes(node).get(name, neutral) != neutral:
            raise ExportError(f"{described(node)}: attribute '{name}' is not known at opset {opset}")
    kept = [item for item in node.attribute if item.name not in new]
    del node.attribute[:]
    node.attribute.extend(kept)
    return node


def constant_input(graph, node, index, what):
    """The constant that is a node's input, as a list of ints; None if there is no such input."""
    if len(node.input) <= index or not node.input[index]:
        return None
    if node.input[index] not in graph.constants:
        raise ExportError(f"{described(node)}: its {what} are computed at run time, expected constants")
    return [int(item) for item in graph.constants[node.input[index]].reshape(-1)]


def axes_to_attribute(graph, node):
    """Reduce* took its axes as an input at 18, as an attribute before."""
    axes = constant_input(graph, node, 1, "axes")
    given = attributes(node)
    if not axes and given.get("noop_with_empty_axes", 0):
        return [helper.make_node("Identity", [node.input[0]], list(node.output), node.name)]
    options = {"axes": axes} if axes else {}
    return [
        helper.make_node(
            node.op_type, [node.input[0]], list(node.output), node.name, keepdims=given.get("keepdims", 1), **options
        )
    ]


def split_sizes(graph, node):
    """Split may give a number of equal parts at 18; before, the sizes are an input."""
    given = attributes(node)
    if "num_outputs" in given:
        axis, shape = given.get("axis", 0), graph.shapes.get(node.input[0])
        if not shape or not isinstance(shape[axis], int):
            raise ExportError(f"{described(node)}: the split axis has no fixed size; split with integer sizes")
        part = -(-shape[axis] // given["num_outputs"])
        sizes = [min(part, shape[axis] - start) for start in range(0, shape[axis], part)]
        name = graph.constant(np.array(sizes, np.int64), node.output[0] + "_sizes")
        return [helper.make_node("Split", [node.input[0], name], list(node.output), node.name, axis=axis)]
    return [node]


def pad_all_axes(graph, node):
    """Pad may name axes at 18; before, it pads all of them."""
    axes = constant_input(graph, node, 3, "axes")
    mode = attributes(node).get("mode", b"constant").decode()
    if mode == "wrap":
        raise ExportError(f"{described(node)}: mode 'wrap' is not known at opset {graph.opset}")
    inputs = list(node.input[:3])
    if axes is not None:
        rank, pads = len(graph.shapes[node.input[0]]), constant_input(graph, node, 1, "pads")
        full = [0] * (2 * rank)
        for place, axis in enumerate(axes):
            full[axis % rank], full[axis % rank + rank] = pads[place], pads[place + len(axes)]
        inputs[1] = graph.constant(np.array(full, np.int64), node.output[0] + "_pads")
    return [helper.make_node("Pad", inputs, list(node.output), node.name, mode=mode)]


def layer_normalization(graph, node):
    """LayerNormalization (17) spelled out by its definition: (x - mean) / sqrt(variance + epsilon) * scale + bias."""
    given, out = attributes(node), node.output[0]
    if len([name for name in node.output if name]) > 1:
        raise ExportError(f"{described(node)}: its mean and deviation are used as outputs; compute them apart")
    rank = len(graph.shapes[node.input[0]])
    axes = list(range(given.get("axis", -1) % rank, rank))
    epsilon = graph.constant(np.array(given.get("epsilon", 1e-5), np.float32), out + "_epsilon")

    def step(operator, inputs, suffix, **options):
        name = out + suffix if suffix else out
        nodes.append(helper.make_node(operator, inputs, [name], f"{node.name}{suffix}", **options))
        return name

    nodes = []
    mean = step("ReduceMean", [node.input[0]], "_mean", axes=axes, keepdims=1)
    centred = step("Sub", [node.input[0], mean], "_centred")
    square = step("Mul", [centred, centred], "_square")
    variance = step("ReduceMean", [square], "_variance", axes=axes, keepdims=1)
    deviation = step("Sqrt", [step("Add", [variance, epsilon], "_shifted")], "_deviation")
    biased = len(node.input) > 2 and node.input[2]
    normed = step("Div", [centred, deviation], "_normed")
    scaled = step("Mul", [normed, node.input[1]], "_scaled" if biased else "")
    if biased:
        step("Add", [scaled, node.input[2]], "")
    return nodes


def cast_like(graph, node):
    """CastLike (15) as a Cast to the type of its second input, which must be a constant."""
    if node.input[1] not in graph.constants:
        raise ExportError(f"{described(node)}: the type to cast to is not known; write it out with .to(dtype)")
    kind = helper.np_dtype_to_tensor_dtype(graph.constants[node.input[1]].dtype)
    return [helper.make_node("Cast", [node.input[0]], list(node.output), node.name, to=kind)]


def reshape(graph, node):
    """allowzero (14) says what a 0 in the shape means: without a 0 it says nothing."""
    shape = graph.constants.get(node.input[1])
    if attributes(node).get("allowzero") and (shape is None or (shape == 0).any()):
        raise ExportError(f"{described(node)}: its shape is computed at run time or holds a 0; write the batch as -1")
    return [helper.make_node("Reshape", list(node.input), list(node.output), node.name)]


def shape(graph, node):
    """Shape may name a range of axes at 15; before, a Slice takes it from the whole shape."""
    given, out = attributes(node), node.output[0]
    if not given.get("start", 0) and "end" not in given:
        return [helper.make_node("Shape", [node.input[0]], [out], node.name)]
    ends = given.get("end", np.iinfo(np.int64).max)
    low, high = (graph.constant(np.array([edge], np.int64), out + "_edge") for edge in (given.get("start", 0), ends))
    return [
        helper.make_node("Shape", [node.input[0]], [out + "_whole"], node.name),
        helper.make_node("Slice", [out + "_whole", low, high], [out], node.name + "_slice"),
    ]


def without_traces(model):
    """ModelProto -> the same without the exporter's notes on where each node came from (paths of this machine)."""
    for node in model.graph.node:
        del node.metadata_props[:]
        node.doc_string = ""
    return model


REDUCTIONS = ("L1", "L2", "LogSum", "LogSumExp", "Max", "Mean", "Min", "Prod", "SumSquare")
REWRITES = {f"Reduce{name}": axes_to_attribute for name in REDUCTIONS}
REWRITES.update(
    CastLike=cast_like,
    LayerNormalization=layer_normalization,
    Pad=pad_all_axes,
    Reshape=reshape,
    Shape=shape,
    Split=split_sizes,
)
