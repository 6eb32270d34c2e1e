"""What a rule says of a node, and the registry of rules."""

from typing import NamedTuple

REFUSED = "refused"  # by the importer, or by a documented rule of the layer that it makes
CHANGED = "changed"  # read, but it computes something else than ONNX says
UNDEFINED = "undefined"  # what happens is not known: the sources leave it open
DEPENDS = "depends"  # read and right, except for the values that the reason names

IMPORTER, LAYER = "importer", "layer rule"
RULES = {}


class Finding(NamedTuple):
    """level: REFUSED, CHANGED, UNDEFINED or DEPENDS; reason: what TensorRT does; remedy: what to write instead;
    by: who refuses, the importer while the graph is read, or the layer when the engine is built."""

    level: str
    reason: str
    remedy: str = ""
    by: str = IMPORTER


def refused(reason, remedy="", by=IMPORTER):
    return Finding(REFUSED, reason, remedy, by)


def layer_refuses(reason, remedy=""):
    return Finding(REFUSED, reason, remedy, LAYER)


def changed(reason, remedy=""):
    return Finding(CHANGED, reason, remedy)


def undefined(reason, remedy=""):
    return Finding(UNDEFINED, reason, remedy)


def depends(reason, remedy=""):
    return Finding(DEPENDS, reason, remedy)


def rule(*operators):
    """Decorator: a generator of Findings about a Node of these operators."""

    def register(function):
        for operator in operators:
            RULES.setdefault(operator, []).append(function)
        return function

    return register
