"""Can the board's TensorRT read a graph at all? A sentence where it cannot; no latency means anything then.

What the parser says is asked of export/importer, whose rules agree with the parser's own verdicts.
"""

from . import graph as graphs

SHOWN = 3


def unreadable(source, name, version):
    """A path or bytes of an ONNX file, its name, TensorRT's version -> sentences, one per way in which it fails."""
    from ...export.importer import CHANGED, DEPENDS, findings_of

    findings = findings_of(graphs.load(source, name), version)
    found = [(node, item) for node, item in findings if item.level != DEPENDS]
    refused = [told(*pair) for pair in found if pair[1].level != CHANGED]
    changed = [told(*pair) for pair in found if pair[1].level == CHANGED]
    sentences = []
    if refused:
        sentences.append("TensorRT {} cannot read this graph: {}".format(version, joined(refused)))
    if changed:
        sentences.append("TensorRT {} reads this graph as another function: {}".format(version, joined(changed)))
    return sentences


def told(node, finding):
    """A finding as a part of a sentence."""
    where = "node '{}' ({}): ".format(node.name or node.output[0], node.op_type) if node is not None else ""
    return where + finding.reason


def joined(parts):
    rest = len(parts) - SHOWN
    return "; ".join(parts[:SHOWN]) + ("; and {} more".format(rest) if rest > 0 else "")
