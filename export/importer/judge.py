"""Facts and rules -> findings: what TensorRT 8 says of each node of a graph, and of the graph as a whole."""

from onnx import TensorProto, defs, numpy_helper

from . import contract, rules_arithmetic, rules_others, rules_products, rules_reductions, rules_shapes  # noqa: F401
from .facts import LARGEST_RANK, Facts
from .finding import LAYER, RULES, changed, depends, layer_refuses, refused

VERSIONS = ("8.2", "8.0")
GRAPH_TYPE = "the parser knows no such type: FLOAT, FLOAT16, INT32, INT64, BOOL and INT8 only"


def findings_of(model, version="8.2"):
    """ModelProto -> [(NodeProto, or None for the graph as a whole; Finding)], in the graph's order.

    version: "8.2" (JetPack 4.6.1 and later) or "8.0" (JetPack 4.6). Types and shapes are inferred here.
    """
    facts = Facts(model, version)
    found = [(None, finding) for finding in graph_findings(facts)]
    for proto, node in facts.nodes():
        found += [(proto, finding) for finding in node_findings(node)]
    return found


def graph_findings(facts):
    """What is wrong with the types of a graph's inputs, outputs and initializers, used or not."""
    for kind, names, known in (
        ("input", facts.inputs, contract.KNOWN_INPUTS),
        ("output", [item.name for item in facts.model.graph.output], contract.KNOWN_INPUTS),
        ("initializer", facts.weights, contract.KNOWN_WEIGHTS),
    ):
        for name in sorted(names):
            stated = facts.types.get(name)
            if stated is not None and stated not in known:
                yield refused(f"{kind} '{name}' is {stated}: {GRAPH_TYPE}", "cast it before it enters")
    for item in facts.model.graph.initializer:
        if item.data_type == TensorProto.INT64 and is_cut(item, facts.readers.get(item.name, ())):
            yield changed("initializer '{}' is INT64 and becomes INT32: values beyond 2**31 are cut".format(item.name))
    for name in sorted(facts.inputs):
        if facts.types.get(name) == "INT64":
            yield depends(f"input '{name}' is INT64, its binding is INT32: values beyond 2**31 are cut")


def is_cut(item, readers):
    """Does an INT64 initializer hold a value that INT32 does not, for others than Slices, to which it means the end?"""
    if all(reader.op_type == "Slice" for reader in readers):
        return False
    array = numpy_helper.to_array(item)
    return bool(array.size) and (array.max() > 2**31 - 1 or array.min() < -(2**31))


def missing_inputs(node):
    """Indices of inputs that ONNX wants and the node has not, or under an empty name."""
    try:
        schema = defs.get_schema(node.operator, node.opset, "")
    except defs.SchemaError:
        return []
    single = defs.OpSchema.FormalParameterOption.Single
    wanted = [index for index, item in enumerate(schema.inputs) if item.option == single]
    return [index for index in wanted if node.input(index) is None]


def node_findings(node):
    """Every Finding about a Node."""
    if node.operator not in contract.operators(node.version):
        return [refused("there is no importer and no plugin of this name")]
    missing = missing_inputs(node)
    if missing:
        return [refused("its input {} is missing".format(missing[0]), "export it again")]
    found = list(general(node))
    if not any(item.level == "refused" for item in found):  # the rules count on what the contract asks for
        for rule in RULES.get(node.operator, ()):
            found += rule(node)
    return found


def general(node):
    """What the contract says of every operator: types, ranks, which inputs must be weights."""
    data = node.input(0)
    taken = contract.types(node.operator)
    if data is not None and data.type and taken is not None and data.type not in taken:
        by = LAYER if data.type == "FLOAT16" else "importer"
        yield refused(
            "its data is {}, it takes {}".format(data.stated, " ".join(sorted(taken))),
            "keep this node in float32" if data.type == "FLOAT16" else "cast it with .float()", by,
        )  # fmt: skip
    least, most = contract.ranks(node.operator)
    if data is not None and data.rank is not None and not least <= data.rank <= most:
        yield layer_refuses(f"its data has {data.rank} axes, it takes {least} to {most}", "reshape it")
    for value in node.results:
        if value is not None and value.rank is not None and value.rank > LARGEST_RANK:
            yield layer_refuses(f"its result has {value.rank} axes, at most {LARGEST_RANK} fit", "reshape it")
    for index in contract.constant_inputs(node.operator):
        value = node.input(index)
        if value is not None and not value.is_weights:
            yield refused(f"its input {index} is computed at run time and must be a constant", "write it as a number")
