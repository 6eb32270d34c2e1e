"""What board.py runs on the board, each step in a process of its own: argv is the folder with latentjet in it, a step, its
words. A step answers with JSON on its last line. CPython 3.6 code."""

import importlib
import json
import os
import sys
import threading

sys.path.insert(0, sys.argv[1])

from latentjet.benchmarks import clocks, device, rails  # noqa: E402
from latentjet.runtime import cli, plan  # noqa: E402
from latentjet.runtime.bundle import Bundle  # noqa: E402
from latentjet.runtime.check import rows_from  # noqa: E402
from latentjet.runtime.cuda import KINDS, Cuda  # noqa: E402
from latentjet.runtime.errors import BackendError, LatentjetError  # noqa: E402
from latentjet.runtime.machine import Machine  # noqa: E402
from latentjet.runtime.trt import Api, load  # noqa: E402
from latentjet.runtime.trt_engine import TrtEngine  # noqa: E402
from latentjet.runtime.verify import Tally  # noqa: E402

RUNS = 40


def look():
    """What is here, once CUDA has answered."""
    api, cuda = Api(load()), Cuda()
    found = dict(cuda.identity(), tensorrt=api.version, **device.describe())
    cuda.close()
    return found


def replays(path, graph):
    """Every kind of memory at each profile's largest batch, CUDA graphs on whatever the certificate says, with rows that
    change in each of RUNS runs -> [{memory, batch, graphs, right, largest, within, not_finite}]."""
    bundle, found = Bundle.open(path), []
    for kind in KINDS:
        try:
            engine = TrtEngine.open(bundle, bundle.graph(graph), None, None, kind)
        except BackendError as error:
            found.append({"memory": kind, "right": None, "problem": str(error)})
            continue
        with engine:
            engine.graphs = "on"
            for batch in engine.batches:
                tally = compared(bundle, engine, batch, RUNS)
                found.append({
                    "memory": kind, "batch": batch, "graphs": engine.graphs, "right": tally.right(),
                    "largest": tally.largest, "within": tally.within, "not_finite": tally.not_finite,
                })  # fmt: skip
    return found


def compared(bundle, engine, batch, runs):
    """Runs of one batch size with changing rows of the reference -> Tally."""
    inputs, reference = bundle.reference(engine.graph.name)
    tally = Tally(engine.graph, engine.precision)
    for turn in range(runs):
        given, expected = (
            {name: rows_from(array, turn, batch) for name, array in side.items()} for side in (inputs, reference)
        )
        tally.add(engine.run(**given), expected)
    return tally


def again(path, graph):
    """Open, run and close three times in one process -> [right]."""
    bundle, found = Bundle.open(path), []
    for _ in range(3):
        with TrtEngine.open(bundle, bundle.graph(graph)) as engine:
            found.append(compared(bundle, engine, engine.batches[0], 4).right())
    return found


def capture(path, graph):
    """Can every profile be captured, and is the run after the capture right? -> [{batch, graphs, right_after}]"""
    bundle, found = Bundle.open(path), []
    _, kept = plan.certificates(path, graph)[0]
    for batch in kept["profile"]["batches"]:
        with TrtEngine.open(bundle, bundle.graph(graph)) as engine:
            engine.graphs = "on"
            compared(bundle, engine, batch, 2)
            graphs = engine.graphs
            found.append({"batch": batch, "graphs": graphs, "right_after": compared(bundle, engine, batch, 1).right()})
    return found


def inspector(path):
    """What the plans' certificates hold of layers and of float32."""
    found = []
    for stem, kept in plan.certificates(path):
        layers = kept["layers"]
        told = {} if layers is None else {str(layer["precision"]): 0 for layer in layers}
        for layer in layers or []:
            told[str(layer["precision"])] += 1
        found.append({
            "plan": os.path.basename(stem), "json": layers is not None, "precisions": told,
            "asked": len(kept["asked_float32"]), "honoured": len(kept["honoured"]),
            "not_honoured": kept["not_honoured"], "constraint": kept["constraint"],
        })  # fmt: skip
    return found


def together():
    """Everything that is used on a board in one process, in the order of an application -> versions or problems."""
    found = {"LD_LIBRARY_PATH": os.environ.get("LD_LIBRARY_PATH", "")}
    for name in ("numpy", "pycuda.driver", "tensorrt", "torch", "onnxruntime"):
        try:
            module = importlib.import_module(name)
            found[name] = str(getattr(module, "__version__", "imported"))
        except Exception as error:
            found[name] = "{}: {}".format(type(error).__name__, error)
    return found


def user():
    """What an ordinary user may read of the board."""
    machine = Machine()
    outcome = machine.run(["nvpmodel", "-q"])
    seen = clocks.read(machine, clocks.find(machine))
    return {
        "uid": os.getuid(), "nvpmodel": [outcome.status, outcome.out[-300:], outcome.err[-300:]],
        "rails_w": {rail.name: rails.power(machine, rail) for rail in rails.find(machine)},
        "clocks_hz": seen, "unlocked": clocks.unlocked(seen),
    }  # fmt: skip


def leave(path, graph, how):
    """End with an engine left open: "normally", by an "exception", or after runs from "two threads"."""
    bundle = Bundle.open(path)
    engine = TrtEngine.open(bundle, bundle.graph(graph))
    if how == "two threads":
        threads = [threading.Thread(target=compared, args=(bundle, engine, 1, 50)) for _ in range(2)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    compared(bundle, engine, engine.batches[-1], 4)
    if how == "exception":
        raise KeyError("on purpose")
    return "left"


STEPS = {step.__name__: step for step in (look, replays, again, capture, inspector, together, user, leave)}


def main(argv):
    step, words = argv[0], argv[1:]
    if step == "latentjet":
        return cli.main(words)
    try:
        print(json.dumps(STEPS[step](*words)))
    except LatentjetError as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[2:]))
