"""A kernel: what one launch does, in numbers that do not depend on the board or the precision."""

from typing import NamedTuple

CONVOLUTIONS = ("conv3x3", "conv1x1", "conv", "depthwise", "deconv", "dense")
KINDS = CONVOLUTIONS + ("pointwise", "pool", "reduce", "copy", "other")


class Kernel(NamedTuple):
    """One launch.

    name: its nodes joined by " + "; kind: one of KINDS; macs: multiply-accumulates; weights: numbers of weights read;
    read, written: numbers of activations read and written; rows x columns: the matrix that its outputs form (pixels of
    the batch x channels), which says how many blocks can share its work; depth: multiply-accumulates an output;
    float32: computed in single precision even where the engine is in half.
    """

    name: str
    kind: str
    macs: int
    weights: int
    read: int
    written: int
    rows: int
    columns: int
    depth: int
    float32: bool = False

    def bytes_moved(self, item_bytes):
        """Memory traffic if each number is moved once, in bytes."""
        return (4 if self.float32 else item_bytes) * (self.weights + self.read + self.written)


def to_row(kernel):
    """Kernel -> a short list for JSON, without its name."""
    return [kernel.kind, kernel.macs, kernel.weights, kernel.read, kernel.written, kernel.rows, kernel.columns,
            kernel.depth]  # fmt: skip


def from_row(row):
    """The inverse of to_row; the name is left empty."""
    return Kernel("", *row)
