"""Numbers that several files of a bundle hold, stored once: a flow's graphs, and those typed in half, have the same
weights, and their references the same images.

A file that is made of parts has in bundle.json, beside its size and sum, `parts`: [[at, start, count, kind], ...],
rising. From its byte `at` on it holds `count` float32 values that begin at byte `start` of the constants, as they are
("float32") or rounded to half ("float16"), little-endian; what lies between is stored, in order, under its own name.
A part [at, start, count, kind, rows, step] is `rows` such runs, one after the other, that begin `step` bytes apart in
the constants: some input channels of a convolution's weights.
The sum is that of the whole file, so that a part put together wrongly never gets out. constants.bin holds the first
bytes of all constants, then the second and so on: the bytes of exponents, side by side, are what deflate makes smaller.
"""

import numpy as np

CONSTANTS = "constants.bin"
WIDTHS = {"float32": 4, "float16": 2}


def length(parts):
    """Bytes of a file that come from the constants. Garbled ones raise KeyError, TypeError or ValueError."""
    return sum(rows * count * WIDTHS[kind] for _, _, count, kind, rows, _ in map(unpacked, parts))


def unpacked(part):
    """A part as it is listed -> (at, start, count, kind, rows, step). Raises TypeError, ValueError."""
    at, start, count, kind, *more = part
    rows, step = more or (1, 0)
    if rows < 1 or (rows > 1 and step < 4 * count):
        raise ValueError("part {} has runs that overlap, or none".format(part))
    return at, start, count, kind, rows, step


def converted(block, kind):
    """Bytes of float32 values -> bytes of that kind. What is too large for half becomes infinite, as at export."""
    if kind == "float32":
        return block
    with np.errstate(over="ignore"):
        return np.frombuffer(block, "<f4").astype("<f2").tobytes()


def to_planes(constants):
    """Float32 values as bytes -> as they are in constants.bin."""
    return np.frombuffer(constants, np.uint8).reshape(-1, 4).T.tobytes()


def from_planes(planes):
    """Undoes to_planes. Raises ValueError for a length that is no multiple of 4."""
    return np.frombuffer(planes, np.uint8).reshape(4, -1).T.tobytes()


def assemble(stored, parts, constants):
    """What is stored of a file, its parts, the constants -> the whole file. Raises ValueError for parts outside."""
    pieces, taken, done = [], 0, 0
    for part in parts:
        at, start, count, kind, rows, step = unpacked(part)
        between, end = at - done, start + (rows - 1) * step + 4 * count
        if between < 0 or start < 0 or count < 1 or end > len(constants) or taken + between > len(stored):
            raise ValueError("part {} lies outside".format(part))
        starts = [start + row * step for row in range(rows)]
        block = converted(b"".join(constants[begin : begin + 4 * count] for begin in starts), kind)
        pieces += [stored[taken : taken + between], block]
        taken, done = taken + between, at + len(block)
    return b"".join(pieces + [stored[taken:]])


def cut(content, parts):
    """A whole file -> what is to be stored of it: all but its parts."""
    pieces, done = [], 0
    for part in parts:
        pieces.append(content[done : part[0]])
        done = part[0] + length([part])
    return b"".join(pieces + [content[done:]])
