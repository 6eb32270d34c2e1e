"""The nodes of an ONNX file, and the layer of the model each belongs to, read from the bytes: a board has no onnx.

A node with weights belongs to the layer that these are named after (module.levels.1.couplings.3.last.weight), couplings
as a whole; one without belongs to the layer that its inputs came from last.
"""

import re
from typing import NamedTuple

from ..runtime.errors import BundleError
from ..runtime.onnx_file import fields

WHOLE = re.compile(r"^(.*\bcouplings\.\d+)\..*$")  # what is told as one layer
START = "input"


class Node(NamedTuple):
    """One node: name, operator, names of what it reads and writes, the layer it belongs to."""

    name: str
    operator: str
    inputs: tuple
    outputs: tuple
    layer: str


def read(content):
    """ONNX bytes -> list of Node, in the order of the file. Raises BundleError where the bytes are no ONNX."""
    try:
        graph = next(value for number, value in list(fields(content)) if number == 7)
        parts = list(fields(graph))
        weights = {_text(dict(fields(value)).get(8, b"")) for number, value in parts if number == 5}
        return placed([_node(value) for number, value in parts if number == 1], weights)
    except (StopIteration, ValueError, TypeError, AttributeError) as error:
        raise BundleError("an ONNX file cannot be understood ({}): export it again".format(error or "no graph"))


def placed(nodes, weights):
    """Nodes without layers, names of weights -> nodes with them."""
    made_by, found = {}, []
    for index, node in enumerate(nodes):
        own = [layer_of(name) for name in node.inputs if name in weights and layer_of(name)]
        latest = max((made_by[name] for name in node.inputs if name in made_by), default=None)
        layer = own[0] if own else START if latest is None else found[latest].layer
        found.append(node._replace(layer=layer))
        made_by.update((name, index) for name in node.outputs)
    return found


def layer_of(weight):
    """ "module.levels.1.couplings.3.last.weight" -> "levels.1.couplings.3"; "" for the name of no module's weight."""
    path = re.sub(r"^module\.", "", weight).rpartition(".")[0]
    match = WHOLE.match(path + ".")
    return match.group(1) if match else path


def _node(data):
    parts = list(fields(data))
    texts = {number: tuple(_text(value) for key, value in parts if key == number) for number in (1, 2, 3, 4)}
    name, operator = ((texts[number] or ("",))[0] for number in (3, 4))
    return Node(name, operator, texts[1], texts[2], "")


def _text(value):
    return value.decode("utf-8")
