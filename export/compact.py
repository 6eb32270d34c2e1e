"""Finds the numbers that several files of a bundle hold, so that they are stored once (runtime/parts.py)."""

import io

import numpy as np
import onnx
from onnx import numpy_helper

from ..runtime.parts import CONSTANTS, WIDTHS, converted, to_planes

SMALLEST = 256  # bytes of a block of numbers that is worth an entry


def compact(contents):
    """{file: bytes} -> (the same with constants.bin, {file: parts}); nothing is lost, every file reads as before."""
    held = {array.tobytes(): array for array in arrays(contents)}
    ordered = sorted(held, key=lambda block: (-len(block), block))
    places, constants = {}, b""
    for block in ordered:
        found = columns(held[block], [(held[other], start) for other, (start, *runs) in places.items() if not runs])
        places[block] = found or (len(constants),)
        constants += b"" if found else block
    found = {name: parts(content, places) for name, content in contents.items()}
    return {**contents, CONSTANTS: to_planes(constants)}, {name: listed for name, listed in found.items() if listed}


def arrays(contents):
    """The float32 weights of every graph, and arrays of the reference and the model that are not compressed."""
    for name, content in contents.items():
        if name.endswith(".onnx"):
            for item in onnx.load_from_string(content).graph.initializer:
                if item.data_type == onnx.TensorProto.FLOAT and len(item.raw_data) >= SMALLEST:
                    yield numpy_helper.to_array(item)
        if name in ("reference.npz", "weights.npz"):
            with np.load(io.BytesIO(content)) as stored:
                for array in stored.values():
                    if array.dtype == np.float32 and array.nbytes >= SMALLEST and array.tobytes() in content:
                        yield array


def columns(array, others):
    """Weights (outputs, inputs, h, w), [(array, its start in the constants)] -> (start, count, rows, step) where they
    are an array's weights of some inputs, else None."""
    for other, start in others if array.ndim == 4 else ():
        if other.ndim == 4 and other.shape[0] == array.shape[0] and other.shape[2:] == array.shape[2:]:
            for first in range(other.shape[1] - array.shape[1] + 1):
                if np.array_equal(other[:, first : first + array.shape[1]], array):
                    return start + other[0, :first].nbytes, array[0].size, len(array), other[0].nbytes
    return None


def parts(content, places):
    """A file's bytes, {block: its place in the constants} -> its parts; where two overlap, the first found."""
    taken, found = bytearray(len(content)), []
    for block, (start, *runs) in places.items():
        count, *runs = runs or (len(block) // 4,)
        for kind in WIDTHS:
            wanted, at = converted(block, kind), -1
            while (at := content.find(wanted, at + 1)) >= 0:
                if not any(taken[at : at + len(wanted)]):
                    taken[at : at + len(wanted)] = b"\1" * len(wanted)
                    found.append([at, start, count, kind, *runs])
    return sorted(found)
