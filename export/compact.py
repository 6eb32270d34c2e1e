"""Finds the numbers that several files of a bundle hold, so that they are stored once (runtime/parts.py)."""

import io

import numpy as np
import onnx

from ..runtime.parts import CONSTANTS, WIDTHS, converted, to_planes

SMALLEST = 256  # bytes of a block of numbers that is worth an entry


def compact(contents):
    """{file: bytes} -> (the same with constants.bin, {file: parts}); nothing is lost, every file reads as before."""
    starts, constants = {}, b""
    for block in sorted(set(blocks(contents)), key=lambda block: (-len(block), block)):
        starts[block] = len(constants)
        constants += block
    found = {name: parts(content, starts) for name, content in contents.items()}
    return {**contents, CONSTANTS: to_planes(constants)}, {name: listed for name, listed in found.items() if listed}


def blocks(contents):
    """The float32 weights of every graph, and the arrays of a reference that is not compressed, as bytes."""
    for name, content in contents.items():
        if name.endswith(".onnx"):
            for item in onnx.load_from_string(content).graph.initializer:
                if item.data_type == onnx.TensorProto.FLOAT and len(item.raw_data) >= SMALLEST:
                    yield item.raw_data
        if name == "reference.npz":
            with np.load(io.BytesIO(content)) as stored:
                for array in stored.values():
                    block = array.tobytes()
                    if array.dtype == np.float32 and len(block) >= SMALLEST and block in content:
                        yield block


def parts(content, starts):
    """A file's bytes, {block: its start in the constants} -> its parts; where two overlap, the first found."""
    taken, found = bytearray(len(content)), []
    for block, start in starts.items():
        for kind, width in WIDTHS.items():
            wanted, at = converted(block, kind), -1
            while (at := content.find(wanted, at + 1)) >= 0:
                if not any(taken[at : at + len(wanted)]):
                    taken[at : at + len(wanted)] = b"\1" * len(wanted)
                    found.append([at, start, len(wanted) // width, kind])
    return sorted(found)
