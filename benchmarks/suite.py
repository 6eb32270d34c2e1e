"""The cases: one graph on several systems and batch sizes, checked against the reference, then timed side by side."""

import contextlib
import importlib
import importlib.util
import math
import time

import numpy as np

from ..runtime.check import compare, run_in_parts
from ..runtime.engine import BACKENDS, open_engine
from ..runtime.errors import BackendError, CheckError, InputError
from ..runtime.inputs import random_inputs
from ..runtime.model import valid_seed
from . import device
from .measure import interleave
from .results import Case, Result, Run

SYSTEMS = {
    "eager": ("latentjet.benchmarks.eager", "EagerEngine"),
    "masked": ("latentjet.benchmarks.masked", "MaskedEngine"),
    "bare": ("latentjet.benchmarks.overhead", "BareEngine"),
    "model": ("latentjet.benchmarks.overhead", "ModelEngine"),
}
PACKAGES = {"ort": "onnxruntime", "bare": "onnxruntime", "model": "onnxruntime", "eager": "torch", "masked": "torch"}
UNCHECKED = {"masked": "another model with random weights: not compared with the reference"}


def system_names():
    """Every system that can be timed: the runtime's backends and the baselines of this folder."""
    return sorted(set(SYSTEMS) | set(BACKENDS))


def usual_systems(bundle):
    """What is timed unless told, ONNX Runtime beside eager PyTorch -> (names, why eager is left out, or None)."""
    if "weights.npz" not in bundle.manifest["files"]:
        return ["ort"], "{} holds no weights".format(bundle.path)
    if importlib.util.find_spec("torch") is None:
        return ["ort"], "torch is not installed"
    return ["eager", "ort"], None


def open_system(bundle, graph, name, threads):
    """Name of a system -> Engine. Raises BackendError: unknown, or not installed."""
    if name in BACKENDS:
        return open_engine(bundle, graph, name, threads)
    if name not in SYSTEMS:
        raise BackendError("system is '{}', expected one of: {}".format(name, ", ".join(system_names())))
    module, attribute = SYSTEMS[name]
    try:
        engine = getattr(importlib.import_module(module), attribute)
    except ImportError as error:
        raise BackendError("system '{}' cannot be loaded ({}): pip install {}".format(name, error, PACKAGES[name]))
    return engine.open(bundle, bundle.graph(graph), threads)


def largest_difference(engine, bundle):
    """Run the reference vectors -> largest absolute difference. Raises CheckError where it is more than is allowed."""
    inputs, reference = bundle.reference(engine.graph.name)
    found = compare(engine.graph, run_in_parts(engine, inputs), reference, engine.precision)
    for item in found:
        if not item.passed:
            raise CheckError(
                "system '{}', graph '{}': output '{}' differs from the reference by {:.3g}, allowed are {:.0e}: "
                "a wrong result gets no time".format(
                    engine.backend, item.graph, item.output, item.largest, item.tolerance
                )
            )
    return max(item.largest for item in found)


def inputs_for(bundle, graph, batch, seed=0):
    """Random inputs for a batch: z and noise-like images from the seed, labels in turn; replay takes the reference."""
    return random_inputs(bundle.graph(graph), batch, np.random.RandomState(valid_seed(seed)))


def reference_rows(bundle, graph, batch):
    """The first rows of the reference, repeated to a batch: what the replay engine can answer."""
    inputs, _ = bundle.reference(graph)
    return {name: np.ascontiguousarray(array[np.arange(batch) % len(array)]) for name, array in inputs.items()}


def run(bundle, systems, batches, graph="decode", threads=1, rounds=20, burst_s=0.05, seed=0, progress=None):
    """Bundle, names of systems, batch sizes -> Run. All cases of one batch size are timed side by side.

    Every system is checked against the reference before and after it is timed. Raises BackendError, CheckError,
    InputError.
    """
    if not systems or len(set(systems)) != len(systems):
        raise InputError("systems are {}: expected at least one, each once".format(", ".join(systems) or "none"))
    for batch in batches:
        if batch < 1:
            raise InputError("batch is {}, expected at least 1".format(batch))
    if rounds < 2 or threads < 1:
        raise InputError("rounds is {} and threads {}: expected at least 2 and 1".format(rounds, threads))
    if not 0 < burst_s < math.inf:
        raise InputError("burst is {} s, expected more than 0".format(burst_s))
    started, results = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()), []
    machine = device.describe()
    with contextlib.ExitStack() as stack:
        engines = {name: stack.enter_context(open_system(bundle, graph, name, threads)) for name in systems}
        for name in engines:
            machine.update(version_of(name))
        verify(engines, bundle)
        timed = {}
        for batch in batches:
            timed.update(time_batch(bundle, graph, engines, batch, rounds, burst_s, seed, progress))
        differences = verify(engines, bundle)
        precisions = {name: engine.precision for name, engine in engines.items()}
    for (name, batch), seconds in timed.items():
        case = Case("single" if batch == 1 else "batch", name, precisions[name], batch, threads)
        results.append(Result(case, seconds, differences[name], UNCHECKED.get(name, "")))
    settings = {"rounds": rounds, "burst_s": burst_s, "threads": threads, "seed": seed}
    return Run(started, machine, about(bundle, graph), settings, tuple(results))


def verify(engines, bundle):
    """{name: Engine} -> {name: largest difference}, None for systems that are another model."""
    return {name: None if name in UNCHECKED else largest_difference(engine, bundle) for name, engine in engines.items()}


def time_batch(bundle, graph, engines, batch, rounds, burst_s, seed, progress):
    """{(system, batch): rounds of seconds} for one batch size."""
    calls = {}
    for name, engine in engines.items():
        inputs = reference_rows(bundle, graph, batch) if name == "replay" else inputs_for(bundle, graph, batch, seed)
        if name == "model" and "labels" in inputs:
            inputs["labels"] = engine.model.weights(inputs["labels"])
        calls[name, batch] = caller(engine, inputs)
    return interleave(calls, rounds, burst_s, progress and (lambda number: progress(batch, number)))


def caller(engine, inputs):
    return lambda: engine.run(**inputs)


def version_of(system):
    """{package: version} of what a system runs on."""
    package = PACKAGES.get(system)
    return {package: str(importlib.import_module(package).__version__)} if package else {}


def about(bundle, graph):
    """What a result keeps of the bundle."""
    described = bundle.graph(graph)
    entry = bundle.manifest["files"][described.file]
    figures = {name: described.figures.get(name) for name in ("nodes", "macs", "parameters")}
    return dict(figures, path=bundle.path, family=bundle.family, graph=graph, sha256=entry["sha256"])
