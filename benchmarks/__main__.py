"""latentjet bench: the command line."""

import argparse
import sys

from ..runtime import files
from ..runtime.bundle import Bundle
from ..runtime.errors import LatentjetError
from . import compare_command, report, results, suite
from .report import command as report_command
from .report import show_command


def integers(text):
    """ "1,8,64" -> [1, 8, 64]"""
    try:
        return [int(part) for part in text.split(",")]
    except ValueError:
        raise argparse.ArgumentTypeError("'{}' is not a list of integers like 1,8,64".format(text))


def run_run(args):
    if args.out:
        files.refuse_existing(args.out, args.overwrite)
    bundle = Bundle.open(args.bundle)
    systems, left_out = (args.backends.split(","), None) if args.backends is not None else suite.usual_systems(bundle)
    if left_out:
        print("without eager PyTorch: {}".format(left_out), file=sys.stderr)

    def progress(batch, number):
        if sys.stderr.isatty():
            end = "\n" if number == args.rounds else ""
            sys.stderr.write("\rbatch {}: round {} of {}{}".format(batch, number, args.rounds, end))

    done = suite.run(
        bundle,
        systems,
        args.batch,
        args.graph,
        args.threads,
        args.rounds,
        args.burst,
        args.seed,
        progress,
    )
    if args.out:
        results.save(done, args.out)
    print(report.table(done))
    if args.out:
        print(args.out)
    return 0


def make_parser():
    parser = argparse.ArgumentParser(prog="latentjet bench", description="Latency and throughput, side by side.")
    commands = parser.add_subparsers(dest="command", metavar="COMMAND")
    commands.required = True
    command = commands.add_parser("run", help="time a bundle")
    command.add_argument("bundle", metavar="BUNDLE")
    command.add_argument(
        "--backends", help="of {} (default eager,ort, or what of it can run)".format(", ".join(suite.system_names()))
    )
    command.add_argument("--batch", type=integers, default=[1, 8, 64], metavar="1,8,64")
    command.add_argument("--graph", default="decode")
    command.add_argument("--threads", type=int, default=1, help="processor threads of every system (default 1)")
    command.add_argument("--rounds", type=int, default=20, help="rounds, all systems in turn in each (default 20)")
    command.add_argument(
        "--burst", type=float, default=0.05, metavar="S", help="seconds a system and round (default 0.05)"
    )
    command.add_argument("--seed", type=int, default=0)
    command.add_argument("--out", metavar="JSON", help="keep the raw seconds and the machine here")
    command.add_argument("--overwrite", action="store_true", help="replace --out if it exists")
    command.set_defaults(run=run_run)
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
