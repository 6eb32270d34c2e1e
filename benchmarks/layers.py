"""Seconds of each layer, as the backend's own profiler tells them, with the layer of the model that each belongs to.

Profiling costs time in every node, so these are shares of a call rather than parts of the latency that is reported.
"""

import json
import os
import re
import shutil
import tempfile

import numpy as np

from ..runtime.kept_layers import reformats
from . import loads, nodes

TOLD = ("ort", "trt", "trt-fp16", "trt-fp32")  # the systems that are asked
CALLS, UNCOUNTED = 40, 5
ENDING = "_kernel_time"


def measure(bundle, engine, system, batches, threads, seed=0):
    """An open engine, batch sizes -> [{system, batch, layers [{name, operators, layer, seconds}]}]; [] for systems that
    tell nothing of their layers. Raises BackendError."""
    tell = {"ort": of_onnx_runtime, "trt": of_tensorrt}.get(engine.backend)
    if tell is None:
        return []
    file = engine.graph.tensorrt8 if engine.backend == "trt" else None
    known = nodes.read(bundle.read(file or engine.graph.file))
    found = []
    for batch in batches:
        inputs, _ = loads.rows(bundle, engine.graph.name, batch, seed)
        told = tell(bundle, engine, inputs, threads, known)
        if told:
            found.append({"system": system, "batch": batch, "layers": told})
    return found


def of_onnx_runtime(bundle, engine, inputs, threads, known):
    """Inputs of one batch -> [{name, operators, layer, seconds}], in the order they ran."""
    from ..runtime.ort import open_session  # here, for machines that have TensorRT alone

    folder = tempfile.mkdtemp(prefix="latentjet-")
    try:
        content = bundle.read(engine.graph.file)
        session = open_session(content, engine.graph.name, threads, os.path.join(folder, "profile"))
        for _ in range(UNCOUNTED + CALLS):
            session.run(None, inputs)
        with open(session.end_profiling(), encoding="utf-8") as handle:
            events = json.load(handle)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    return from_events(events, known)


def from_events(events, known):
    """Events of a profile of UNCOUNTED + CALLS calls, Nodes of the graph -> as of_onnx_runtime."""
    kernels = [event for event in events if event.get("cat") == "Node" and event["name"].endswith(ENDING)]
    each, rest = divmod(len(kernels), UNCOUNTED + CALLS)
    if rest or not each:
        return []
    runs = [kernels[start : start + each] for start in range(UNCOUNTED * each, len(kernels), each)]
    places, found, layer = places_of(known), [], nodes.START
    for index, event in enumerate(runs[0]):
        label = event["name"][: -len(ENDING)]
        node = node_in(label, places)
        layer = node.layer if node else layer
        seconds = typical([run[index]["dur"] for run in runs]) / 1e6
        operators = [event["args"].get("op_name", "")]
        if node and node.operator not in operators[0]:
            operators.append(node.operator)
        found.append({"name": label, "operators": operators, "layer": layer, "seconds": seconds})
    return found


def of_tensorrt(bundle, engine, inputs, threads, known):
    """As of_onnx_runtime, from TensorRT's profiler; [] where the engine cannot be profiled."""
    engine.run(**inputs)
    told = engine.profile(len(next(iter(inputs.values()))), UNCOUNTED, CALLS)
    places, found, layer = places_of(known), [], nodes.START
    for label, seconds in told:
        parts = [places[word] for word in re.findall(r"[\w./:-]+", label) if word in places]
        layer = parts[-1].layer if parts else layer
        operators = ["Reformat"] if reformats(label) else [node.operator for node in parts]
        found.append({"name": label, "operators": operators, "layer": layer, "seconds": typical(seconds)})
    return found


def typical(values):
    """The mean of the middle half: as steady as a median, and finer where a profiler counts in whole microseconds."""
    ordered = np.sort(values)
    return float(np.mean(ordered[len(ordered) // 4 : len(ordered) - len(ordered) // 4]))


def places_of(known):
    """Nodes -> {name of a node, or of what it writes: Node}."""
    found = {name: node for node in known for name in node.outputs}
    found.update((node.name, node) for node in known if node.name)
    return found


def node_in(label, places):
    """ONNX Runtime's label of a kernel -> the Node it computes, the last of those that were fused; None for a kernel of
    its own, that changes a layout."""
    return places.get(re.sub(r"_nchwc$", "", re.sub(r"^fused ", "", label)))


def by_layer(told):
    """Layers of one entry -> [(layer of the model, seconds)], in the order they ran, each once."""
    found = {}
    for item in told:
        found[item["layer"]] = found.get(item["layer"], 0.0) + item["seconds"]
    return list(found.items())
