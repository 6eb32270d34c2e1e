"""A float32 graph -> the same graph typed in half precision, but for named nodes; inputs and outputs stay float32.

This is the form for strongly typed TensorRT (10, 11, TensorRT for RTX), which has no precision flags. Own code, because
the converters there are (onnxconverter-common, onnxruntime's) block by operator, leave nodes out of order or declare
wrong output types; here each node is either half or float32, and a Cast stands wherever one feeds the other.
"""

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

# inputs that are sizes or axes, whatever the node's precision
INDEX_INPUTS = {"Reshape": (1,), "Split": (1,), "Slice": (1, 2, 3, 4), "Pad": (1,), "Expand": (1,), "Resize": (1, 2, 3),
                "Unsqueeze": (1,), "Squeeze": (1,), "ReduceSum": (1,), "Tile": (1,)}  # fmt: skip


def to_half(model, keep):
    """ModelProto in float32, names of nodes to keep in float32 -> a new ModelProto."""
    typed = onnx.ModelProto()
    typed.CopyFrom(model)
    del typed.graph.value_info[:]
    Typing(typed.graph, frozenset(keep)).apply()
    onnx.checker.check_model(typed, full_check=True)
    return typed


class Typing:
    """Gives each value of a graph the type that its reader wants, with one Cast a value and direction."""

    def __init__(self, graph, keep):
        self.graph, self.keep = graph, keep
        self.constants = {item.name: item for item in graph.initializer}
        self.is_half = {value.name: False for value in graph.input}
        self.casts, self.nodes, self.halves = {}, [], {}

    def apply(self):
        outputs = {value.name for value in self.graph.output}
        for node in list(self.graph.node):
            half = node.name not in self.keep
            for index, name in enumerate(node.input):
                if name and index not in INDEX_INPUTS.get(node.op_type, ()):
                    node.input[index] = self.wanted(name, half)
            for index, name in enumerate(node.output):
                self.is_half[name] = half
                if half and name in outputs:
                    self.is_half[name + "_half"] = True
                    node.output[index] = name + "_half"
            self.nodes.append(node)
            for name in [name for name in self.is_half if name in outputs and self.is_half[name]]:
                self.nodes.append(cast(name + "_half", name, TensorProto.FLOAT))
                self.is_half[name] = False
        del self.graph.node[:]
        self.graph.node.extend(self.nodes)
        used = {name for node in self.nodes for name in node.input}
        kept = [item for item in [*self.graph.initializer, *self.halves.values()] if item.name in used]
        del self.graph.initializer[:]
        self.graph.initializer.extend(kept)

    def wanted(self, name, half):
        """The name under which a value is there in the wanted precision."""
        if name in self.constants:
            return self.constant(name) if half else name
        if self.is_half[name] == half:
            return name
        key = (name, half)
        if key not in self.casts:
            self.casts[key] = f"{name}_{'half' if half else 'float'}_cast"
            self.nodes.append(cast(name, self.casts[key], TensorProto.FLOAT16 if half else TensorProto.FLOAT))
        return self.casts[key]

    def constant(self, name):
        """A float32 constant rounded to half; other types are left alone."""
        item = self.constants[name]
        if item.data_type != TensorProto.FLOAT:
            return name
        if name not in self.halves:
            array = numpy_helper.to_array(item)
            with np.errstate(over="ignore"):  # the gate sees what overflows
                self.halves[name] = numpy_helper.from_array(array.astype(np.float16), name + "_half_constant")
        return self.halves[name].name


def cast(source, result, kind):
    return helper.make_node("Cast", [source], [result], f"cast_{result}", to=kind)


def emulate(model, keep):
    """The arithmetic of `to_half(model, keep)` as a float32 graph that rounds to half after every half node.

    ONNX Runtime's processor kernels have no half: given the typed graph it computes in float32 and drops the roundings
    between neighbours, so that half looks better than it is. Two Casts after each node round for certain.
    Products still accumulate in float32.
    """
    emulated = onnx.ModelProto()
    emulated.CopyFrom(model)
    del emulated.graph.value_info[:]
    Rounding(emulated.graph, frozenset(keep)).apply()
    onnx.checker.check_model(emulated)
    return emulated


class Rounding:
    """Rounds what half nodes read (once a value) and what they write."""

    def __init__(self, graph, keep):
        self.graph, self.keep = graph, keep
        self.constants = {item.name: item for item in graph.initializer}
        self.rounded, self.nodes = {}, []

    def apply(self):
        for node in list(self.graph.node):
            if node.name in self.keep:
                self.nodes.append(node)
                continue
            for index, name in enumerate(node.input):
                if name and index not in INDEX_INPUTS.get(node.op_type, ()):
                    node.input[index] = self.read(name)
            names = list(node.output)
            for index, name in enumerate(names):
                node.output[index] = name + "_exact"
            self.nodes.append(node)
            for name in names:
                self.round(name + "_exact", name)
                self.rounded[name] = name
        del self.graph.node[:]
        self.graph.node.extend(self.nodes)

    def read(self, name):
        """The name under which a half node finds a value rounded."""
        if name not in self.rounded:
            self.rounded[name] = name + "_rounded"
            item = self.constants.get(name)
            if item is None:
                self.round(name, name + "_rounded")
            elif item.data_type == TensorProto.FLOAT:
                with np.errstate(over="ignore"):
                    array = numpy_helper.to_array(item).astype(np.float16).astype(np.float32)
                self.graph.initializer.append(numpy_helper.from_array(array, name + "_rounded"))
            else:
                self.rounded[name] = name
        return self.rounded[name]

    def round(self, source, result):
        self.nodes.append(cast(source, result + "_in_half", TensorProto.FLOAT16))
        self.nodes.append(cast(result + "_in_half", result, TensorProto.FLOAT))
