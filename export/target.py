"""What a target can run, and what to do about a node that it cannot.

What the parser of TensorRT 8.2 says of a node is in importer/ (its contract, and rules that agree with its verdicts).
STRICTER is where this project asks for more than that parser does, and why.
"""

from typing import NamedTuple

from ..runtime.errors import ExportError
from .importer import DEPENDS, VERSIONS, findings_of
from .importer.facts import Facts
from .importer.finding import refused
from .importer.judge import graph_findings, node_findings
from .remedies import described, remedy


class Target(NamedTuple):
    """What is exported for: name, ONNX opset, TensorRT version, an older one that is still in use."""

    name: str
    opset: int
    tensorrt: str
    older: str


TARGETS = {"tx2": Target("tx2", 13, *VERSIONS)}

FREE_BATCH = "sizes of a graph with a free batch are not worked out while it runs"
SUBGRAPH = "a bundle holds no subgraphs: what they contain cannot be checked without onnx"
NO_INT8 = "a TX2 has no arithmetic in INT8"
NO_SEED = "noise drawn inside the graph cannot be repeated"

# what TensorRT 8.2 reads and this project refuses: {operator: why}, and the rules of `stricter`
STRICTER = {
    "Shape": FREE_BATCH,
    "Size": FREE_BATCH,
    "If": SUBGRAPH,
    "Loop": SUBGRAPH,
    "Scan": SUBGRAPH,
    "QuantizeLinear": NO_INT8,
    "DequantizeLinear": NO_INT8,
    "RandomUniform": NO_SEED,
    "RandomUniformLike": NO_SEED,
    "NonMaxSuppression": "its plugin is experimental and pads its output to a fixed size",
}
# between a Shape and the operation that it is for
SHAPE_ARITHMETIC = (
    "Concat", "Gather", "Slice", "Squeeze", "Unsqueeze", "Cast", "Identity", "Reshape", "Add", "Mul", "Sub", "Div",
)  # fmt: skip
STRICTER_TYPES = {
    "DOUBLE": ("TensorRT computes DOUBLE in float32, which is another function", "cast with .float()"),
    "INT8": (NO_INT8, "cast with .float()"),
}


def find_target(name):
    """Name -> Target; raises ExportError that lists those there are."""
    if name not in TARGETS:
        raise ExportError(f"target is '{name}', expected one of {', '.join(TARGETS)}")
    return TARGETS[name]


def lint(model, target):
    """ModelProto, Target -> notes for the user: values for which a node is wrong, and what the older TensorRT refuses.

    Raises ExportError with each node that the target cannot run, the reason, and the remedy.
    """
    findings = everything(model, target.tensorrt)
    problems = [sentence(node, item) + wanted_by(node, model) for node, item in findings if item.level != DEPENDS]
    if problems:
        shown = "\n  ".join(problems[:8]) + (f"\n  and {len(problems) - 8} more" if len(problems) > 8 else "")
        raise ExportError(f"TensorRT {target.tensorrt} on the {target.name} cannot run this graph:\n  {shown}")
    notes = [sentence(node, item) for node, item in findings]
    return notes + older_notes(model, target)


def everything(model, version):
    """[(node or None, Finding)]: what the parser says, and where this project is stricter."""
    facts = Facts(model, version)
    found = [(None, item) for item in graph_findings(facts)]
    for proto, node in facts.nodes():
        said = node_findings(node)
        if all(item.level == DEPENDS for item in said):  # read as it is meant: here this project may ask for more
            said = said + stricter(node)
        found += [(proto, item) for item in said]
    return found


def stricter(node):
    """Findings about a node that TensorRT reads and this project refuses."""
    found = []
    if node.operator in STRICTER:
        found.append(refused(STRICTER[node.operator]))
    for kind in sorted({value.stated for value in node.inputs + node.results if value} & set(STRICTER_TYPES)):
        why, what = STRICTER_TYPES[kind]
        found.append(refused(f"its data is {kind}: {why}", what))
    if node.operator == "Cast" and node.get("to") == 9:
        found.append(refused("no conversion of integers to BOOL is documented", "compare instead: x != 0"))
    if node.operator == "Resize" and node.array(3) is not None and not node.inputs[0].is_fixed:
        found.append(refused("sizes as numbers fix the batch", "give a scale, or write the batch as 1 in the scales"))
    return found


def sentence(node, finding):
    """A finding for the user: which node, what TensorRT does with it, what to write instead."""
    if node is None:
        return f"{finding.reason}; {finding.remedy}" if finding.remedy else finding.reason
    return f"{described(node)}: {finding.reason}; {finding.remedy or remedy(node.op_type)}"


def wanted_by(node, model):
    """Of a Shape: "; it is for node ...", the operation that computes on it, which a user knows. Else nothing."""
    if node is None or node.op_type not in ("Shape", "Size"):
        return ""
    names = set(node.output)
    for reader in model.graph.node:
        if names & set(reader.input):
            if reader.op_type not in SHAPE_ARITHMETIC:
                return f"; it is for {described(reader)}"
            names.update(reader.output)
    return ""


def older_notes(model, target):
    """A sentence on what the older TensorRT refuses or reads wrongly, in a list; empty if it reads all of it."""
    lacking = [
        (node, item) for node, item in findings_of(model, target.older) if item.level != DEPENDS and node is not None
    ]
    if not lacking:
        return []
    parts = dict.fromkeys(f"{node.op_type} ({item.reason})" for node, item in lacking)
    return [
        f"TensorRT {target.older} (JetPack 4.6.0) cannot run this graph: {'; '.join(parts)}. "
        "JetPack 4.6.1 or later is needed"
    ]
