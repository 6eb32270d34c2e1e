"""Boards: TensorRT of some version and pycuda, as doubles (tests/doubles, imported as `doubles`)."""

from doubles.plugged import board, built, copied, hidden, plug, without_libcuda

__all__ = ["board", "built", "copied", "hidden", "plug", "without_libcuda"]
