"""Numbers that several files of a bundle hold, stored once: a flow's graphs, and those typed in half, have the same
weights, and their references the same images.

A file that is made of parts has in bundle.json, beside its size and sum, `parts`: [[at, start, count, kind], ...],
rising. From its byte `at` on it holds `count` float32 values that begin at byte `start` of the constants, as they are
("float32") or rounded to half ("float16"), little-endian; what lies between is stored, in order, under its own name.
The sum is that of the whole file, so that a part put together wrongly never gets out. constants.bin holds the first
bytes of all constants, then the second and so on: the bytes of exponents, side by side, are what deflate makes smaller.
"""

import numpy as np

CONSTANTS = "constants.bin"
WIDTHS = {"float32": 4, "float16": 2}


def length(parts):
    """Bytes of a file that come from the constants. Garbled ones raise KeyError, TypeError or ValueError."""
    return sum(count * WIDTHS[kind] for _, _, count, kind in parts)


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
    for at, start, count, kind in parts:
        between, end = at - done, start + 4 * count
        if between < 0 or start < 0 or count < 1 or end > len(constants) or taken + between > len(stored):
            raise ValueError("part {} lies outside".format([at, start, count, kind]))
        block = converted(constants[start:end], kind)
        pieces += [stored[taken : taken + between], block]
        taken, done = taken + between, at + len(block)
    return b"".join(pieces + [stored[taken:]])


def cut(content, parts):
    """A whole file -> what is to be stored of it: all but its parts."""
    pieces, done = [], 0
    for at, _, count, kind in parts:
        pieces.append(content[done:at])
        done = at + count * WIDTHS[kind]
    return b"".join(pieces + [content[done:]])
