"""One run: every model exported, every point timed side by side on ONNX Runtime, its memory taken in a process."""

import contextlib
import importlib
import json
import math
import os
import platform
import tempfile
import time

from ...runtime.engine import open_engine
from ...runtime.errors import InputError
from ...train.models import build
from .. import device
from ..exported import decode_bundle, perturbed
from ..loads import rows
from ..measure import interleave
from .memory import apart
from .points import CLASSES
from .predicted import on_board
from .record import Measured, Record


def run(points, rounds=20, burst_s=0.02, seed=0, progress=None):
    """[Point] -> Record. Raises InputError, BackendError, ExportError."""
    if not points or rounds < 2 or not 0 < burst_s < math.inf:
        raise InputError("{} points, {} rounds, bursts of {} s: expected at least 1, 2, more than 0".format(
            len(points), rounds, burst_s))  # fmt: skip
    tell = progress or (lambda line: None)
    started = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
    machine = dict(device.describe(), python=platform.python_version(), load=round(os.getloadavg()[0], 1))
    with contextlib.ExitStack() as stack:
        folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="latentjet-"))
        bundles = exported(points, folder, tell)
        taken = {}
        for index, point in enumerate(points):
            key = name_of(point), point.batch
            if key not in taken:
                tell("memory: {} of {}".format(index + 1, len(points)))
                taken[key] = apart(bundles[key[0]].path, point.batch)
        engines = {
            name: stack.enter_context(open_engine(bundle, "decode", "ort", 1)) for name, bundle in bundles.items()
        }
        calls = {}
        for point in points:
            key = name_of(point), point.batch
            calls[key] = caller(engines[key[0]], rows(bundles[key[0]], "decode", point.batch, seed)[0])
        seconds = interleave(calls, rounds, burst_s, lambda number: tell("round {} of {}".format(number, rounds)))
        found = [measured(point, bundles[name_of(point)], taken, seconds) for point in points]
    settings = {"rounds": rounds, "burst_s": burst_s, "threads": 1, "seed": seed}
    return Record(started, machine, versions(), settings, tuple(found))


def name_of(point):
    """Points of one model have one name."""
    return point.family + json.dumps(point.arguments, sort_keys=True)


def exported(points, folder, tell):
    """[Point] -> {name: Bundle}, each model once."""
    found = {}
    for point in points:
        name = name_of(point)
        if name not in found:
            tell("export {}: {} {} {}".format(len(found) + 1, point.family, point.sweep, point.value))
            model = perturbed(build(CLASSES[point.family], point.arguments))
            place = os.path.join(folder, "{}.bundle".format(len(found)))
            found[name] = decode_bundle(model, model.latent, place)
    return found


def caller(engine, inputs):
    return lambda: engine.run(**inputs)


def measured(point, bundle, taken, seconds):
    """A Point and what was found of it -> Measured."""
    graph, key = bundle.graph("decode"), (name_of(point), point.batch)
    figures, (board, moved_bytes) = graph.figures, on_board(bundle, point.batch)
    return Measured(
        *point, nodes=figures["nodes"], kernels=figures["fused_nodes"], macs=figures["macs"],
        moved_bytes=moved_bytes, parameters=figures["parameters"], graph_bytes=figures["bytes"], memory=taken[key],
        board=board, seconds=seconds[key],
    )  # fmt: skip


def versions():
    """{package: version} of what was timed."""
    version = importlib.import_module("importlib.metadata").version
    return {name: version(name) for name in ("torch", "onnxruntime")}
