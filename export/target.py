"""What a target can run, and what to do about a node that it cannot.

The table of operators beside this file is read off onnx-tensorrt release/8.2-GA (docs/operators.md and the asserts
of builtin_op_importers.cpp, https://github.com/onnx/onnx-tensorrt/tree/release/8.2-GA); what TensorRT 8.0 lacks in
addition is from release/8.0's table. TensorRT casts INT64 to INT32 by itself; it has no DOUBLE.
"""

import functools
import json
from pathlib import Path
from typing import NamedTuple

import onnx

from ..runtime.errors import ExportError
from .remedies import attributes, described, remedy

TABLE = Path(__file__).parent / "tensorrt-8.2-operators.json"


class Target(NamedTuple):
    """What is exported for: name, ONNX opset, TensorRT version, operators missing from an older one still in use."""

    name: str
    opset: int
    tensorrt: str
    older: str
    missing_in_older: frozenset


MISSING_IN_8_0 = ("Einsum", "GatherND", "IsNaN", "Round", "ScatterElements", "ScatterND", "Sign")
TARGETS = {"tx2": Target("tx2", 13, "8.2", "8.0", frozenset(MISSING_IN_8_0))}

CONSTANT_INPUTS = {
    "Clip": (1, 2), "Conv": (1, 2), "ConvTranspose": (1, 2), "CumSum": (1,), "Expand": (1,),
    "InstanceNormalization": (1, 2), "Pad": (1, 2), "Reshape": (1,), "Resize": (1, 2, 3), "Slice": (1, 2, 3, 4),
    "Split": (1,), "Squeeze": (1,), "TopK": (1,), "Tile": (1,), "Unsqueeze": (1,),
}  # fmt: skip
TYPE_NAMES = {"FLOAT": "FP32", "FLOAT16": "FP16", "INT32": "INT32", "INT64": "INT32", "BOOL": "BOOL", "INT8": "INT8"}


@functools.lru_cache(1)
def operator_table():
    """{operator: {supported, types, notes}} of TensorRT 8.2."""
    return json.loads(TABLE.read_text())


def find_target(name):
    """Name -> Target; raises ExportError that lists those there are."""
    if name not in TARGETS:
        raise ExportError(f"target is '{name}', expected one of {', '.join(TARGETS)}")
    return TARGETS[name]


def lint(model, target):
    """ModelProto, Target -> notes for the user (what the older TensorRT lacks).

    Raises ExportError with each node that the target cannot run, the reason, and the remedy.
    """
    constants = {item.name for item in model.graph.initializer}
    constants |= {node.output[0] for node in model.graph.node if node.op_type == "Constant"}
    types = value_types(model)
    problems = [text for node in model.graph.node for text in problems_of(node, constants, types, target)]
    if problems:
        shown = "\n  ".join(problems[:8]) + (f"\n  and {len(problems) - 8} more" if len(problems) > 8 else "")
        raise ExportError(f"TensorRT {target.tensorrt} on the {target.name} cannot run this graph:\n  {shown}")
    older = sorted({node.op_type for node in model.graph.node} & target.missing_in_older)
    return [f"TensorRT {target.older} lacks {', '.join(older)}: JetPack 4.6.1 or later is needed"] if older else []


def problems_of(node, constants, types, target):
    """Sentences on what keeps the target from running a node: what, why, what to do."""
    entry = operator_table().get(node.op_type)
    if entry is None or not entry["supported"] or node.op_type in ("Shape", "If", "Loop", "Scan"):
        return [f"{described(node)}: no such operator there for a graph with a free batch; {remedy(node.op_type)}"]
    found = []
    for index in CONSTANT_INPUTS.get(node.op_type, ()):
        if index < len(node.input) and node.input[index] and node.input[index] not in constants:
            text = f"{described(node)}: its input {index} is computed at run time and must be a constant"
            found.append(f"{text}; {remedy(node.op_type)}")
    data = node.input[1 if node.op_type == "Where" else 0] if node.input else ""
    kind = types.get(data)
    if kind and TYPE_NAMES.get(kind, kind) not in entry["types"]:
        found.append(f"{described(node)}: its data is {kind}, it takes {', '.join(entry['types'])}; cast with .float()")
    if node.op_type == "Resize" and attributes(node).get("mode") == b"cubic":
        found.append(f"{described(node)}: mode 'cubic' is not there; use nearest or bilinear")
    if node.op_type == "MaxPool" and len(node.output) > 1:
        found.append(f"{described(node)}: indices of the maxima are not there; leave return_indices out")
    return found


def value_types(model):
    """ModelProto -> {value name: ONNX type name}."""
    graph = onnx.shape_inference.infer_shapes(model).graph
    kinds = {item.name: item.data_type for item in graph.initializer}
    for value in list(graph.input) + list(graph.output) + list(graph.value_info):
        kinds[value.name] = value.type.tensor_type.elem_type
    return {name: onnx.TensorProto.DataType.Name(kind) for name, kind in kinds.items()}
