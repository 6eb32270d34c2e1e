"""What measure.py runs in the Python that has TensorRT: argv is the folder with latentjet in it, a step, its words.

Each step answers with JSON on its last line, but for `latentjet`, which is the command line itself. CPython 3.6 code.
"""

import contextlib
import json
import sys

sys.path.insert(0, sys.argv[1])

import numpy as np  # noqa: E402
from latentjet.benchmarks.measure import interleave  # noqa: E402
from latentjet.runtime import cli, levels  # noqa: E402
from latentjet.runtime.bundle import Bundle  # noqa: E402
from latentjet.runtime.cuda import KINDS, Cuda  # noqa: E402
from latentjet.runtime.errors import BackendError, LatentjetError  # noqa: E402
from latentjet.runtime.inputs import random_inputs  # noqa: E402
from latentjet.runtime.trt import Api, load  # noqa: E402
from latentjet.runtime.trt_engine import TrtEngine  # noqa: E402


def look():
    """What is here, once CUDA has answered."""
    api, cuda = Api(load()), Cuda()
    found = dict(cuda.identity(), tensorrt=api.version, numpy=np.__version__, python=sys.version.split()[0])
    found["driver"] = "{}.{}".format(*divmod(cuda.drv.get_driver_version() // 10, 100))
    cuda.close()
    return found


def precisions(bundle, graph):
    half = bundle.graph(graph).precision
    return ("fp32", "fp16") if half and half["file"] else ("fp32",)


def open_all(bundle, graph, stack):
    """{(system, precision, memory): engine} of every kind of memory that can be had, with CUDA graphs and without."""
    engines = {}
    for precision in precisions(bundle, graph):
        for kind in KINDS:
            for system, use_graphs in (("engine, CUDA graphs", True), ("engine", False)):
                with contextlib.suppress(BackendError):
                    engine = TrtEngine.open(bundle, bundle.graph(graph), None, precision, kind, use_graphs)
                    engines[system, precision, kind] = stack.enter_context(engine)
    return engines


def time(path, graph, batches, rounds, burst_s):
    """The cases of one turn: [{system, precision, memory, batch, medians_s, note}]."""
    found, bundle = [], Bundle.open(path)
    with contextlib.ExitStack() as stack:
        engines = open_all(bundle, graph, stack)
        for batch in map(int, batches.split(",")):
            inputs = random_inputs(bundle.graph(graph), batch, np.random.RandomState(0))
            calls = {key: caller(engine, inputs) for key, engine in engines.items()}
            for key in [key for key in engines if key[0] == "engine" and key[2] == "device"]:
                lone = TrtEngine.open(bundle, bundle.graph(graph), None, key[1], "device", False)
                stack.enter_context(lone).run(**inputs)
                calls[("TensorRT alone",) + key[1:]] = lone.bare(batch)
            for key, parts in interleave(calls, int(rounds), float(burst_s)).items():
                case = dict(zip(("system", "precision", "memory"), key), batch=batch)
                case["medians_s"] = [float(np.median(part)) for part in parts]
                graphs = engines[key].graphs if key in engines else "off"
                case["note"] = graphs if key[0].endswith("graphs") and graphs != "on" else ""
                found.append(case)
    return found


def caller(engine, inputs):
    out = engine.run(**inputs)
    return lambda: engine.run(out, **inputs)


def differ(path, graph, samples):
    """The plan in half against the one in float32, on the same rows -> differences in levels of 8 bits."""
    bundle, stream, rows = Bundle.open(path), np.random.RandomState(41), int(samples)
    within = values = not_finite = done = 0
    largest, total = 0.0, 0.0
    described = bundle.graph(graph)
    with contextlib.ExitStack() as stack:
        exact, half = [stack.enter_context(TrtEngine.open(bundle, described, None, kind)) for kind in ("fp32", "fp16")]
        while done < rows:
            inputs = random_inputs(described, min(exact.batches[-1], rows - done), stream)
            expected, seen = exact.run(**inputs), half.run(**inputs)
            for name in expected:
                gaps = levels.levels(seen[name], expected[name])
                not_finite += int((~np.isfinite(seen[name])).sum())
                within, values = within + levels.count_within(gaps), values + gaps.size
                largest, total = max(largest, float(gaps.max())), total + float(gaps.sum())
            done += len(next(iter(inputs.values())))
    return {
        "samples": done, "within": within / float(values), "largest": largest, "mean": total / values,
        "not_finite": not_finite,
    }  # fmt: skip


def main(argv):
    step, words = argv[0], argv[1:]
    if step == "latentjet":
        return cli.main(words)
    try:
        print(json.dumps({"look": look, "time": time, "differ": differ}[step](*words)))
    except LatentjetError as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[2:]))
