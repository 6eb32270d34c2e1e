"""A prediction: the kernels of a graph, what each costs on a board, and how sure that is."""

import json
import math
import os
from typing import NamedTuple

from ...runtime.bundle import Bundle
from ...runtime.errors import InputError
from . import graph as graphs
from .cost import Calibration, costs, fixed_s, run_s, with_ends, work_of
from .fusion import fuse
from .readable import unreadable
from .targets import Device, find

PRECISIONS = ("fp16", "fp32")
PLACE = os.path.join(os.path.dirname(os.path.abspath(__file__)), "calibration.json")


class Layer(NamedTuple):
    """One kernel: seconds = launch_s + the longer of memory_s and arithmetic_s; bound: the longest of the three."""

    name: str
    kind: str
    precision: str
    seconds: float
    launch_s: float
    memory_s: float
    arithmetic_s: float
    macs: int
    moved_bytes: int
    bound: str


class Estimate(NamedTuple):
    """A predicted latency of one run, and where it goes.

    seconds = fixed_s + launch_s + memory_s + arithmetic_s, where each kernel counts as the longer of its memory traffic
    and its arithmetic; interval: (low, high) seconds, see `interval`; layers; device, precision, batch;
    half_s, float32_s: the whole in either precision; fused_kernels, fused_s: if slices, concatenations and all between
    matrix products were fused, as TensorRT for RTX does; idle_s: arithmetic that filling the GPU would save;
    notes: what this prediction leaves out or guesses.
    """

    seconds: float
    interval: tuple
    layers: tuple
    fixed_s: float
    launch_s: float
    memory_s: float
    arithmetic_s: float
    device: Device
    precision: str
    batch: int
    half_s: float
    float32_s: float
    fused_kernels: int
    fused_s: float
    idle_s: float
    notes: tuple


def calibration():
    """calibration.json, as plain values."""
    with open(PLACE, encoding="utf-8") as handle:
        return json.load(handle)


def estimate(source, target="tx2", mode=None, precision="fp16", batch=None, graph="decode"):
    """A path of an ONNX file or its bytes, a bundle (its path, name or Bundle), or a read Graph -> Estimate.

    target, mode: from targets.json; precision: "fp16" or "fp32"; batch: what the free first axis is set to (1);
    graph: which of a bundle's graphs. Raises InputError, and BundleError for a bundle that cannot be read.
    """
    if precision not in PRECISIONS:
        raise InputError("precision is '{}', expected one of: {}".format(precision, ", ".join(PRECISIONS)))
    if batch is not None and (isinstance(batch, bool) or not isinstance(batch, int) or batch < 1):
        raise InputError("batch is {!r}, expected a whole number from 1".format(batch))
    device = find(target, mode)
    read, float32, notes = open_source(source, graph, batch, device.tensorrt)
    if float32 is None and precision == "fp16":
        precision = "fp32"
        notes.append("the exporter's gate refused half precision for this graph: predicted in float32")
    return predict(read, device, precision, float32 or (), notes)


def open_source(source, graph, batch, tensorrt=None):
    """-> (Graph, names of nodes that stay in float32 or None where half precision was refused, notes).

    tensorrt: version of the board's parser, whose objections are notes.
    """

    def objections(content, name):
        return unreadable(content, name, tensorrt) if tensorrt else []

    if isinstance(source, graphs.Graph):
        return source, (), []
    if isinstance(source, bytes):
        return graphs.read(source, batch), (), objections(source, "the graph")
    if not isinstance(source, Bundle):
        source = str(source)
        if graphs.is_onnx(source):
            name = os.path.basename(source)
            return graphs.read(source, batch, name), (), objections(source, name)
        source = Bundle.open(source)
    described = source.graph(graph)
    content = source.read(tensorrt and described.tensorrt8 or described.file)
    name = "{} '{}'".format(source.path, graph)
    read, notes = graphs.read(content, batch, name), objections(content, name)
    if described.precision is None:
        return read, (), notes
    if not described.precision["file"]:
        return read, None, notes
    kept = described.precision["keep_float32"]
    if kept:
        notes.append("{} nodes stay in float32, as the exporter decided".format(len(kept)))
    return read, tuple(kept), notes


def predict(read, device, precision, float32=(), notes=()):
    """Graph, Device -> Estimate."""
    content = calibration()
    fitted = Calibration(**content["parameters"])
    half = precision == "fp16"
    mixed, plain = fuse(read, False, float32), fuse(read)
    fused, whole = (mixed if half else plain), fuse(read, True, float32 if half else ())
    kernels = with_ends(fused.kernels, fused.ends) if half else list(fused.kernels)
    work = work_of(kernels)
    spent = costs(work, device, half, fitted)
    layers = tuple(layer(*item, half=half) for item in zip(kernels, *spent))
    each_run_s = fixed_s(device, fitted)
    total = each_run_s + sum(item.seconds for item in layers)
    busy = costs(work, device, half, fitted._replace(fill=0.0)).seconds
    return Estimate(
        seconds=total,
        interval=interval(total, work, device, half, content),
        layers=layers,
        fixed_s=each_run_s,
        launch_s=sum(item.launch_s for item in layers),
        memory_s=sum(item.memory_s for item in layers if item.memory_s >= item.arithmetic_s),
        arithmetic_s=sum(item.arithmetic_s for item in layers if item.memory_s < item.arithmetic_s),
        device=device,
        precision=precision,
        batch=read.batch,
        half_s=whole_run(mixed, device, True, fitted),
        float32_s=whole_run(plain, device, False, fitted),
        fused_kernels=len(whole.kernels),
        fused_s=whole_run(whole._replace(ends=()), device, half, fitted),
        idle_s=total - each_run_s - float(sum(busy)),
        notes=tuple(notes) + tuple(caveats(total, fused, device, half, content)),
    )


def whole_run(fused, device, half, fitted):
    """Seconds of a run of fused kernels."""
    kernels = with_ends(fused.kernels, fused.ends) if half else fused.kernels
    return run_s(work_of(kernels), device, half, fitted)


def layer(kernel, launch_s, memory_s, arithmetic_s, half):
    """Kernel and its costs -> Layer."""
    item_bytes = 2 if half else 4
    longer = max(memory_s, arithmetic_s)
    bound = "launch" if launch_s >= longer else "memory" if memory_s >= arithmetic_s else "arithmetic"
    return Layer(
        kernel.name, kernel.kind, "fp16" if half and not kernel.float32 else "fp32", float(launch_s + longer),
        float(launch_s), float(memory_s), float(arithmetic_s), kernel.macs, kernel.bytes_moved(item_bytes), bound,
    )  # fmt: skip


def interval(seconds, work, device, half, content):
    """Seconds predicted -> (low, high): of ten published latencies nine lie so near the prediction of a fit that has
    not seen their family. To that is added, as independent, how far other fits go on this very graph: those without a
    family, and the one that takes the ReLU6 of the published MobileNets for fused."""
    spread = max(
        abs(math.log(run_s(work, device, half, Calibration(**other)) / seconds))
        for other in content["other_fits"].values()
    )
    factor = math.exp(math.hypot(math.log(content["family_left_out"]["factor"]), spread))
    return seconds / factor, seconds * factor


def caveats(seconds, fused, device, half, content):
    """What a reader has to know of this prediction, as sentences."""
    if seconds < content["shortest_s"]:
        yield (
            "shorter than any latency that was fitted ({:.2f} ms): mostly launches and the cost of a run, which the "
            "published figures fix least".format(1e3 * content["shortest_s"])
        )
    if not device.calibrated:
        yield "no latency of a {} was fitted: the TX2's parameters at its clocks and cores".format(device.name)
    if half and device.half_rate > 2:
        yield "tensor cores are taken to reach the part of their peak that a TX2's cores do: too much for small layers"
    if any(kernel.kind == "deconv" for kernel in fused.kernels):
        yield "no network that was fitted has transposed convolutions: taken as convolutions"
    if fused.unknown:
        yield "arithmetic not known, only memory traffic counted: {}".format(", ".join(fused.unknown))
