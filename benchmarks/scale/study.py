"""The sizes of a study of flows beside what they cost to decode: likelihood, graph, latency, a board's estimate."""

import json
import os

from ...runtime.errors import InputError
from .points import Point
from .table import where

HEADS = (
    "bits/dim", "taken for its label", "nodes, fused", "MMAC", "parameters", "here, ms", "TX2 fp16, predicted, ms",
)  # fmt: skip
SHAPE = ("couplings", "width", "depth", "planes", "bound")  # what a decoder is made of; the rest is of its training


def read(folder):
    """Folder of a study's results -> its rows of flows that have a likelihood. Raises InputError."""
    path = os.path.join(folder, "results.json")
    try:
        with open(path, encoding="utf-8") as handle:
            content = json.load(handle)
        fixed = content["study"]["settings"]
        rows = [row for row in content["rows"] if "bits_per_dim" in row["figures"]]
        if not all(dict(fixed, **row["point"]).get("family") == "realnvp" for row in rows):
            raise KeyError("a family that is not realnvp")
    except OSError as error:
        raise InputError("{} cannot be read: {}".format(path, error.strerror or error))
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise InputError("{} holds no results of a study of flows ({!r})".format(path, error))
    if not rows:
        raise InputError("{} has no run with a likelihood".format(path))
    return rows


def points(rows, classes=10, image=(1, 28, 28)):
    """Rows -> [Point], untrained models of the same shape: what a decoder costs does not depend on its weights."""
    head = {"image": list(image), "classes": classes}
    shapes = [{name: value for name, value in row["point"].items() if name in SHAPE} for row in rows]
    return [Point("realnvp", "study", at, dict(head, **shape), 1) for at, shape in enumerate(shapes)]


def page(rows, record):
    """Rows of the study and the Record of their Points -> Markdown, a line a run, the best likelihood last."""
    axes = list(dict.fromkeys(name for row in rows for name in row["point"]))
    heads = axes + list(HEADS)
    lines = ["| " + " | ".join(heads) + " |", "|" + "---|" * len(heads)]
    pairs = sorted(zip(rows, record.points), key=lambda pair: -pair[0]["figures"]["bits_per_dim"])
    for row, item in pairs:
        lines.append("| " + " | ".join([spelled(row["point"].get(axis)) for axis in axes] + cells(row, item)) + " |")
    return where(record) + "\n\n" + "\n".join(lines)


def spelled(value):
    if value is None or isinstance(value, str):
        return value or ""
    return ",".join(map(str, value)) if isinstance(value, list) else "{:.4g}".format(value)


def cells(row, item):
    figures, board = row["figures"], item.board
    return [
        "{:.3f}".format(figures["bits_per_dim"]),
        "{:.0f} %".format(100 * figures["accuracy"]) if "accuracy" in figures else "",
        str(item.kernels), "{:.1f}".format(item.macs / 1e6), "{:,}".format(item.parameters),
        "{:.3f}".format(1e3 * item.median_s),
        "{:.2f} ({:.2f} to {:.2f})".format(*(1e3 * board[name] for name in ("seconds", "low", "high")))
        if board else "",
    ]  # fmt: skip
