"""latentjet bench: the command line."""

import argparse
import sys

from ..runtime import files
from ..runtime.bundle import Bundle
from ..runtime.errors import LatentjetError
from . import compare_command, quality, report, results, suite, summary, systems
from .report import command as report_command
from .report import show_command

SCENARIOS = {
    "single": "single is batch 1, one call after the other",
    "batch": "batch the same at larger sizes",
    "overlapped": "overlapped two engines at once",
    "paced": "paced a fixed rate with idle gaps",
    "cold": "cold a new process each time",
}


def integers(text):
    """ "1,8,64" -> [1, 8, 64]"""
    try:
        return [int(part) for part in text.split(",")]
    except ValueError:
        raise argparse.ArgumentTypeError("'{}' is not a list of integers like 1,8,64".format(text))


def names(text):
    """ "eager,ort" -> ["eager", "ort"]"""
    return text.split(",")


def run_run(args):
    if args.out:
        files.refuse_existing(args.out, args.overwrite)
    bundle = Bundle.open(args.bundle)
    known = quality.read(args.quality) if args.quality else None
    named = args.systems is not None and args.systems != ["all"]
    chosen = args.systems if named else systems.ALL if args.systems else systems.USUAL
    settings = suite.Settings(
        args.graph, args.scenarios, tuple(args.batch), args.threads, args.rounds, args.burst, args.seed, args.rate,
        args.device, named, not args.without_layers,
    )  # fmt: skip
    done = suite.run(bundle, list(chosen), settings, None, Progress(sys.stderr), known)
    if args.out:
        results.save(done, args.out)
    print(report.shown(done))
    for line in summary.remarks(done):
        print(line, file=sys.stderr)
    if args.out:
        print(args.out)
    return 0


class Progress:
    """Tells a terminal how far a run is, on one line; anything else hears nothing."""

    def __init__(self, stream):
        self.stream = stream

    def __call__(self, scenario, batch, number):
        if self.stream.isatty():
            self.stream.write("\r\033[K{}, batch {}: round {}\r".format(scenario, batch, number))
            self.stream.flush()


def add_run(commands):
    command = commands.add_parser(
        "run",
        help="time a bundle",
        description="Time a bundle: {}".format("; ".join(SCENARIOS.values())),
        epilog="systems: {}; TensorRT's parts combine, as trt-fp16-nograph-mapped".format(
            "; ".join("{} ({})".format(name, systems.find(name).what) for name in systems.names())
        ),
    )
    command.add_argument("bundle", metavar="BUNDLE")
    command.add_argument(
        "--systems", "--backends", type=names, metavar="NAMES",
        help="which, comma separated; all: every one that runs here (default {}, as far as they run here)".format(
            ",".join(systems.USUAL)),
    )  # fmt: skip
    command.add_argument(
        "--scenarios", type=names, metavar="NAMES", help="of {} (default single,batch)".format(", ".join(SCENARIOS))
    )
    command.add_argument("--batch", type=integers, default=[1, 8, 64], metavar="1,8,64")
    command.add_argument("--graph", default="decode")
    command.add_argument("--threads", type=int, default=1, help="processor threads of every system (default 1)")
    command.add_argument("--rounds", type=int, default=20, help="rounds, all systems in turn in each (default 20)")
    command.add_argument(
        "--burst", type=float, default=0.05, metavar="S", help="seconds a system and round (default 0.05)"
    )
    command.add_argument("--rate", type=float, default=30.0, metavar="HZ", help="of the scenario paced (default 30)")
    command.add_argument("--device", default="auto", help="where PyTorch runs: auto, cpu, cuda (default auto)")
    command.add_argument("--seed", type=int, default=0, help="which rows of the reference are run (default 0)")
    command.add_argument("--quality", metavar="JSON", help="figures of `latentjet evaluate`, to keep beside speed")
    command.add_argument("--without-layers", action="store_true", help="do not ask for the times of layers")
    command.add_argument("--out", metavar="JSON", help="keep the raw seconds and the machine here")
    command.add_argument("--overwrite", action="store_true", help="replace --out if it exists")
    command.set_defaults(run=run_run)


def make_parser():
    parser = argparse.ArgumentParser(prog="latentjet bench", description="Latency and throughput, side by side.")
    commands = parser.add_subparsers(dest="command", metavar="COMMAND")
    commands.required = True
    add_run(commands)
    show_command.add(commands)
    compare_command.add(commands)
    report_command.add(commands)
    return parser


def main(argv=None):
    args = make_parser().parse_args(argv)
    try:
        return args.run(args)
    except LatentjetError as error:
        print("latentjet bench {}: {}".format(args.command, error), file=sys.stderr)
        return 1


if __name__ == "__main__":
    sys.exit(main())
