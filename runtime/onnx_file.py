"""The nodes, inputs and outputs of an ONNX file, read from the bytes of its protobuf: a board has no package onnx."""

import struct
from typing import NamedTuple

FLOAT, INT32, INT64, BOOL, HALF = 1, 6, 7, 9, 10


class Node(NamedTuple):
    """A node: name, operator, names of its inputs and outputs, the element type of its outputs as far as it can be
    told, and its attributes that are one number, by name."""

    name: str
    kind: str
    inputs: tuple
    outputs: tuple
    type: int
    numbers: dict


class Graph(NamedTuple):
    """Nodes; inputs and outputs as [(name, element type, shape with -1 for what is free)]; shapes of the initializers
    by name."""

    nodes: list
    inputs: list
    outputs: list
    weights: dict


def fields(data):
    """Yields (field number, value) of a message: an int, or bytes. Raises ValueError where it is cut off."""
    place = 0
    while place < len(data):
        tag, place = _varint(data, place)
        kind = tag & 7
        if kind == 0:
            value, place = _varint(data, place)
        else:
            if kind == 2:
                size, place = _varint(data, place)
            else:
                size = {1: 8, 5: 4}.get(kind)
            if size is None or place + size > len(data):
                raise ValueError("a message that is cut off")
            value, place = data[place : place + size], place + size
        yield tag >> 3, value


def _varint(data, place):
    value, shift = 0, 0
    while True:
        if place >= len(data) or shift > 63:
            raise ValueError("a number that is cut off")
        value |= (data[place] & 127) << shift
        place, shift = place + 1, shift + 7
        if data[place - 1] < 128:
            return value, place


def read(content):
    """ONNX bytes -> Graph. Text and empty files have no fields that a model has: no nodes, no error."""
    if content[:1] != b"\x08":
        return Graph([], [], [], {})
    graph = dict(fields(content)).get(7, b"")
    parts = list(fields(graph))
    constants = [_constant(value) for number, value in parts if number == 5]
    known = {name: kind for name, kind, _ in constants}
    inputs = [_value_info(value) for number, value in parts if number == 11]
    outputs = [_value_info(value) for number, value in parts if number == 12]
    known.update((name, kind) for name, kind, _ in inputs)
    nodes = []
    for number, value in parts:
        if number == 1:
            nodes.append(_node(value, known))
            known.update((name, nodes[-1].type) for name in nodes[-1].outputs)
    weights = {name: dims for name, _, dims in constants}
    return Graph(nodes, [item for item in inputs if item[2] is not None and item[0] not in weights], outputs, weights)


def _text(value):
    return value.decode("utf-8")


def _constant(data):
    parts = list(fields(data))
    found = dict(parts)
    return _text(found.get(8, b"")), found.get(2, 0), tuple(_sizes(value for number, value in parts if number == 1))


def _sizes(values):
    """Sizes that stand each in a field of its own, or packed into one."""
    for value in values:
        place = 0
        if isinstance(value, int):
            yield value
            continue
        while place < len(value):
            size, place = _varint(value, place)
            yield size


def _value_info(data):
    found = dict(fields(data))
    tensor = dict(fields(dict(fields(found[2])).get(1, b"")))
    sizes = [dict(fields(dim)).get(1, -1) for number, dim in fields(tensor.get(2, b"")) if number == 1]
    sizes = [size if isinstance(size, int) else -1 for size in sizes]
    return _text(found[1]), tensor.get(1, 0), tuple(sizes)


def _node(data, known):
    parts = list(fields(data))
    inputs = tuple(_text(value) for number, value in parts if number == 1)
    outputs = tuple(_text(value) for number, value in parts if number == 2)
    found = dict(parts)
    name, kind = _text(found.get(3, b"")), _text(found.get(4, b""))
    attributes = [dict(fields(value)) for number, value in parts if number == 5]
    values = {_text(item.get(1, b"")): item for item in attributes}
    if kind in ("Shape", "Size", "NonZero", "ArgMax"):
        type_ = INT64
    elif kind == "Cast":
        type_ = values["to"][3]
    elif kind == "Constant":
        type_ = dict(fields(values["value"][5])).get(2, 0) if "value" in values else FLOAT
    elif kind in ("Less", "Greater", "Equal", "And", "Or", "Not"):
        type_ = BOOL
    else:
        type_ = known.get(inputs[1 if kind == "Where" else 0], FLOAT) if inputs else FLOAT
    return Node(name, kind, inputs, outputs, type_, dict(_numbers(attributes)))


def _numbers(attributes):
    """Attributes that are one float or one integer, as (name, number)."""
    for item in attributes:
        if isinstance(item.get(2), bytes) and len(item[2]) == 4:
            yield _text(item[1]), struct.unpack("<f", item[2])[0]
        elif isinstance(item.get(3), int):
            yield _text(item[1]), item[3] - (1 << 64) if item[3] >> 63 else item[3]
