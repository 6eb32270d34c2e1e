"""latentjet build: plans on the device that will run them.

For each graph, in a process of its own (child.py): compile -> run the very engine that was built (never one marked for
debugging: marking outputs changes what TensorRT fuses) on the reference vectors, as replayed CUDA graphs and on fresh
samples, with each kind of staging memory -> choose the fastest kind -> read back which layers run in which precision ->
write the plan with its certificate. Nothing is written for a graph before everything about it is right.
"""

import argparse
import functools
import sys
from typing import NamedTuple

from . import child, plan, staging
from .bundle import Bundle
from .checks_board import power_mode
from .compile import build, read_cache, recipe, workspace, write_cache
from .cuda import KINDS, Cuda
from .errors import BackendError, InputError, LatentjetError, PlanError
from .kept_layers import honoured
from .levels import LEVELS
from .machine import Machine
from .trt import Api, load
from .trt_engine import TrtEngine
from .verify import SAMPLES, Verdict, verify

INTERRUPTED = 130  # what shells report of a command that Ctrl-C ended


class Trial(NamedTuple):
    """A new plan that is right: kind of memory to run it with, its Verdict, CUDA graphs ("on", or why not), the layers
    that the inspector tells; measured {kind: {batch: Measured}} (empty: the kind was named), left_out {kind: why};
    dropped {kind: why it runs without CUDA graphs, as they were wrong}."""

    memory: str
    verdict: Verdict
    graphs: str
    layers: list
    measured: dict
    left_out: dict
    dropped: dict


def try_out(bundle, wanted, content, api, cuda, memory, samples):
    """Run a new plan with one kind of memory, or with each ("auto") -> Trial. Raises PlanError: wrong with all."""

    def open_(kind):
        return TrtEngine(bundle.graph(wanted.graph), content, cuda, api, wanted.batches, kind)

    engines, left_out = staging.opened(open_, KINDS if memory == "auto" else (memory,))
    try:
        verdicts = verify_each(engines, bundle, wanted, samples, left_out)
        right = {kind: engines[kind] for kind in verdicts}
        measured = staging.measure(right, staging.sizes(wanted.batches)) if memory == "auto" else {}
        kind = staging.fastest(measured) if measured else memory
        layers, graphs = engines[kind].layers(), engines[kind].graphs
        dropped = {kind: verdict.graphs_dropped for kind, verdict in verdicts.items() if verdict.graphs_dropped}
        return Trial(kind, verdicts[kind], graphs, layers, measured, left_out, dropped)
    finally:
        for engine in engines.values():
            engine.release()


def verify_each(engines, bundle, wanted, samples, left_out):
    """{kind: engine} -> {kind: Verdict} of those that are right; why not goes into left_out. Raises PlanError,
    BackendError: none is."""
    verdicts, first = {}, None
    for kind, engine in engines.items():
        try:
            verdict = verify(engine, bundle, wanted.precision, samples)
            if verdict.passed:
                verdicts[kind] = verdict
                continue
            problem = PlanError(wrong(wanted, verdict))
        except BackendError as error:
            problem = BackendError(str(error))  # without the traceback, which would keep the engine's parts alive
        first, left_out[kind] = first or problem, str(problem)
    if not verdicts:
        raise first
    return verdicts


def wrong(wanted, verdict):
    return (
        "graph '{}' in {} differs from the reference by {:.3g} ({:.3f} % within {} levels), {} values not finite "
        "in {} rows: nothing was written; build it with --precision fp32".format(
            wanted.graph, wanted.precision, verdict.largest, 100 * verdict.within, LEVELS, verdict.not_finite,
            verdict.samples,
        )
    )  # fmt: skip


def build_graph(bundle, wanted, api, cuda, memory="auto", samples=SAMPLES, mode=None):
    """Build and verify the plan of one Recipe; mode: name of the board's power mode, None where there is none.

    Returns: the certificate, the plan's bytes, the timing cache's bytes. Raises PlanError.
    """
    device = dict(cuda.identity(), tensorrt=api.version, **({"power_mode": mode} if mode else {}))
    built, cache = build(api, wanted, read_cache(device))
    trial = try_out(bundle, wanted, built.content, api, cuda, memory, samples)
    kept, lost = honoured(trial.layers, built.asked)
    certificate = {
        "graph": wanted.graph,
        "precision": wanted.precision,
        "typed": wanted.typed,
        "onnx_sha256": bundle.manifest["files"][wanted.file]["sha256"],
        "device": device,
        "profile": {"batches": list(wanted.batches)},
        "memory": trial.memory,
        "memory_measured": {
            kind: {str(batch): dict(seconds._asdict()) for batch, seconds in found.items()}
            for kind, found in trial.measured.items()
        },
        "memory_left_out": trial.left_out,
        "cuda_graphs": trial.graphs,
        "cuda_graphs_dropped": trial.dropped,
        "layers": trial.layers,
        "asked_float32": list(built.asked),
        "honoured": kept,
        "not_honoured": lost,
        "constraint": built.constraint,
        "verdict": dict(trial.verdict._asdict()),
        "seconds": round(built.seconds, 2),
        "workspace_bytes": wanted.workspace_bytes,
        "tactics": None if wanted.tactics is None else list(wanted.tactics),
    }
    return certificate, built.content, cache


def rehearse(wanted, api):
    """Parse and build without running or writing anything -> a line on it: for machines without a GPU."""
    built, _ = build(api, wanted, b"")
    return "{:<9} {}  TensorRT {} built it in {:.1f} s, {:.0f} kB; not run, not written".format(
        wanted.graph, wanted.precision, api.version, built.seconds, len(built.content) / 1e3
    )


def choices(bundle, graphs, precision):
    """[(graph, precision)] to build: "auto" is fp16 for graphs that may run in it, fp32 for the others."""
    for name in graphs or sorted(bundle.graphs):
        graph = bundle.graph(name)
        may = bool(graph.precision and graph.precision["file"])
        if precision == "auto":
            yield name, "fp16" if may else "fp32"
        elif precision == "fp32" or may:
            yield name, precision
        else:
            raise PlanError("graph '{}' may not run in fp16: build it with --precision fp32 or auto".format(name))


def described(certificate):
    """A certificate as a line."""
    verdict, asked = certificate["verdict"], len(certificate["asked_float32"])
    text = "{:<9} {}  {:.0f} s, {:.0f} kB; largest difference {:.2g}, {} of {} values within 2 levels".format(
        certificate["graph"], certificate["precision"], certificate["seconds"], certificate["plan_bytes"] / 1e3,
        verdict["largest"], "{:.3f} %".format(100 * verdict["within"]), "reference",
    )  # fmt: skip
    if asked:
        kept, lost = len(certificate["honoured"]), len(certificate["not_honoured"])
        text += "; float32 asked for {} layers, honoured {}, not {}".format(asked, kept, lost)
        if kept + lost < asked:
            text += ", TensorRT does not tell of {}".format(asked - kept - lost)
    return text + "; CUDA graphs {}; {}".format(certificate["cuda_graphs"], memory_of(certificate))


def memory_of(certificate):
    """The kind of memory that a certificate names, and what was measured, as a part of a line."""
    times, text = certificate["memory_measured"], "memory {}".format(certificate["memory"])
    if times:
        told = ["{} {:.3f}".format(kind, 1e3 * times[kind]["1"]["median_s"]) for kind in KINDS if kind in times]
        text += " is fastest (ms at batch 1: {})".format(", ".join(told))
    for kind, why in sorted(certificate["cuda_graphs_dropped"].items()):
        if kind != certificate["memory"]:  # of the one that was taken the line says it already
            text += "; {} without CUDA graphs: {}".format(kind, why)
    return text + "".join("; {} left out: {}".format(*item) for item in sorted(certificate["memory_left_out"].items()))


def make_parser():
    parser = argparse.ArgumentParser(
        prog="latentjet build",
        description="Build TensorRT plans for this device, verify them, keep them in BUNDLE/plans.",
    )
    parser.add_argument("bundle", metavar="BUNDLE")
    parser.add_argument("--graphs", help="which graphs, comma separated (default all)")
    parser.add_argument("--precision", choices=["auto", "fp16", "fp32"], default="auto", help="default auto")
    parser.add_argument("--batch", default="1,8,64", help="largest batch of each profile (default 1,8,64)")
    parser.add_argument("--workspace", type=int, metavar="MB", help="default: a quarter of the free memory, 64 to 1024")
    kinds = ("auto",) + KINDS
    parser.add_argument("--memory", choices=kinds, default="auto", help="kind of staging memory (default: the fastest)")
    parser.add_argument("--tactics", metavar="NAMES", help="the only sources of kernels, comma separated, or none")
    parser.add_argument("--samples", type=int, default=SAMPLES, help="fresh rows to run (default {})".format(SAMPLES))
    parser.add_argument("--rehearse", action="store_true", help="build only: run nothing, write nothing, need no GPU")
    return parser


def batches_of(text):
    """ "1,8,64" -> (1, 8, 64). Raises InputError."""
    try:
        batches = tuple(int(part) for part in text.split(","))
    except ValueError:
        batches = ()
    if not batches or batches[0] < 1 or list(batches) != sorted(set(batches)):
        raise InputError("--batch is '{}', expected rising sizes like 1,8,64".format(text))
    return batches


def tactics_of(text):
    """ "CUBLAS,CUDNN" -> the names; "none" -> (), None -> None."""
    if text is None:
        return None
    return tuple(part.strip().upper() for part in text.split(",") if part.strip().lower() not in ("", "none"))


def run(args):
    batches_of(args.batch)
    for option, number in (("--workspace", args.workspace), ("--samples", args.samples)):
        if number is not None and number < 1:
            raise InputError("{} is {}, expected at least 1".format(option, number))
    bundle = Bundle.open(args.bundle)
    bundle.verify()
    mode = power_mode(Machine())
    for graph, precision in list(choices(bundle, args.graphs.split(",") if args.graphs else None, args.precision)):
        what = "graph '{}' in {}".format(graph, precision)
        found = child.run(functools.partial(one, args, bundle, graph, precision, mode), what, heartbeat(what))
        clear_line()
        print("\n          ".join(found["lines"]))
        if found["note"]:
            print(found["note"], file=sys.stderr)
    return 0


def one(args, bundle, graph, precision, mode):
    """In the child: build a graph -> {lines to print, a note for stderr}."""
    api, batches, tactics = Api(load()), batches_of(args.batch), tactics_of(args.tactics)
    if args.rehearse:
        wanted = recipe(bundle, graph, precision, api, batches, size_of(args), tactics)
        return {"lines": [rehearse(wanted, api)], "note": ""}
    cuda = Cuda()
    try:
        wanted = recipe(bundle, graph, precision, api, batches, size_of(args, cuda.free_bytes()), tactics)
        name = mode.name if mode else None
        certificate, content, cache = build_graph(bundle, wanted, api, cuda, args.memory, args.samples, name)
    finally:
        cuda.close()
    child.keep_from_interrupts()  # a plan and its certificate are written both or not at all
    place, kept = plan.write(bundle.path, certificate, content)
    return {"lines": [described(kept), place], "note": write_cache(certificate["device"], cache)}


def size_of(args, free_bytes=None):
    """Bytes of workspace: what was asked for, or what fits the free memory."""
    return args.workspace * (1 << 20) if args.workspace else workspace(free_bytes)


def heartbeat(what):
    """Progress on a terminal: TensorRT says nothing for minutes."""
    if not sys.stderr.isatty():
        return None

    def progress(seconds):
        sys.stderr.write("\rbuilding {}: {:.0f} s ".format(what, seconds))
        sys.stderr.flush()

    return progress


def clear_line():
    """Take the progress away again."""
    if sys.stderr.isatty():
        sys.stderr.write("\r" + 60 * " " + "\r")
        sys.stderr.flush()


def main(argv=None):
    args = make_parser().parse_args(argv)
    try:
        return run(args)
    except LatentjetError as error:
        clear_line()
        print("latentjet build: {}".format(error), file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        clear_line()
        print("latentjet build: interrupted; plans that were finished are kept, no other was written", file=sys.stderr)
        return INTERRUPTED


if __name__ == "__main__":
    sys.exit(main())
