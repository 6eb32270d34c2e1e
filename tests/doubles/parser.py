"""What the stand-in parser of TensorRT says of a graph before it makes layers of it.

For 8.0 and 8.2: what the real parser says, by the rules that agree with its verdicts (latentjet.export.importer). For
later versions only which operators there are. The texts are the real ones where they are known (NVIDIA/TensorRT#2096).
"""

import re

from latentjet.export.importer import contract

PLUGIN = (
    "In node {} (importFallbackPluginImporter): UNSUPPORTED_NODE: Assertion failed: creator && "
    '"Plugin not found, are the plugin name, version, and namespace correct?"; No importer registered for op: {}'
)


def version_of(double):
    """The version of the importers' rules, None where there are none."""
    found = re.match(r"8\.[02]\b", double.table["version"])
    return found.group(0) if found else None


def refusal(double, graph, content):
    """(number of the node, lines for the log, the parser's message) of the first node that is refused, else None."""
    known = contract.operators(version_of(double) or "8.2")
    for number, node in enumerate(graph.nodes):
        if node.kind in double.unsupported or node.kind not in known:
            line = "getPluginCreator could not find plugin: {} version: 1".format(node.kind)
            return number, [line], PLUGIN.format(number, node.kind)
    return by_the_rules(graph, content, version_of(double)) if graph.nodes and version_of(double) else None


def by_the_rules(graph, content, version):
    import onnx
    from latentjet.export.importer import REFUSED, UNDEFINED, findings_of

    model = onnx.load_from_string(content)
    for node, finding in findings_of(model, version):
        if finding.level in (REFUSED, UNDEFINED):
            if node is None:
                return -1, [], "In node -1 (importModel): UNSUPPORTED_NODE: {}".format(finding.reason)
            number = list(model.graph.node).index(node)
            return (number,) + texts(graph, node, number, finding)
    return None


def texts(graph, node, number, finding):
    """What the log and the parser's error say."""
    name = node.name or "(Unnamed Layer* {}) [{}]".format(number, node.op_type)
    if "#2096" in finding.reason:
        count = 1
        for size in graph.weights.get(node.input[1], ()):
            count *= size
        line = "{}: kernel weights has count {} but 0 was expected".format(name, count)
        return [line], "In node {} (parseGraph): INVALID_NODE: Invalid Node - {}\n{}".format(number, name, line)
    if finding.by == "importer":
        text = "In node {} (import{}): UNSUPPORTED_NODE: Assertion failed: {}"
        return [], text.format(number, node.op_type, finding.reason)
    line = "{}: {}".format(name, finding.reason)
    return [line], "In node {} (parseGraph): INVALID_NODE: Invalid Node - {}\n{}".format(number, name, line)
