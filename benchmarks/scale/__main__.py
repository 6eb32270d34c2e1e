"""python -m latentjet.benchmarks.scale: the command line (`make scale` calls it)."""

import argparse
import os
import sys

from ...runtime import files
from ...runtime.errors import LatentjetError
from ...train.errors import TrainError
from .. import section
from . import record, study, table
from .points import SWEEPS, points


def names(text):
    """ "a,b" -> ["a", "b"]"""
    return text.split(",")


def run_run(args):
    files.refuse_existing(args.out, args.overwrite)
    chosen = points(args.families, args.sweeps, args.least)
    from .measured import run

    done = run(chosen, args.rounds, args.burst, args.seed, lambda line: print(line, file=sys.stderr, flush=True))
    record.save(done, args.out)
    print(table.page(done))
    print(args.out)
    return 0


def run_report(args):
    done = record.load(args.record)
    from .plot import draw

    folder = args.pictures or os.path.dirname(os.path.abspath(args.record))
    for family in SWEEPS:
        if any(item.family == family for item in done.points):
            draw(done, family, os.path.join(folder, "scale-{}.png".format(family)))
    page = table.page(done)
    if args.into:
        section.replace(args.into, "scale", page)
    else:
        print(page)
    return 0


def run_study(args):
    rows, kept = study.read(args.folder), os.path.join(args.folder, "decoding.json")
    from .measured import run

    chosen = study.points(rows)
    done = run(chosen, args.rounds, args.burst, args.seed, lambda line: print(line, file=sys.stderr, flush=True))
    record.save(done, kept)
    page = study.page(rows, record.load(kept))
    if args.into:
        section.replace(args.into, "decoding", page)
    else:
        print(page)
    print(kept)
    return 0


def timing(command):
    """The options of what is timed."""
    command.add_argument("--rounds", type=int, default=20)
    command.add_argument("--burst", type=float, default=0.02, metavar="S", help="seconds a point and round")
    command.add_argument("--seed", type=int, default=0)


def make_parser():
    parser = argparse.ArgumentParser(
        prog="python -m latentjet.benchmarks.scale", description="Latency and memory against the size of a model."
    )
    commands = parser.add_subparsers(dest="command", metavar="COMMAND")
    commands.required = True
    command = commands.add_parser("run", help="export, time and weigh every point")
    command.add_argument("--out", required=True, metavar="JSON", help="keep the raw seconds here")
    command.add_argument("--overwrite", action="store_true", help="replace --out if it exists")
    command.add_argument("--families", type=names, help="realnvp,vae (default both)")
    command.add_argument("--sweeps", type=names, help="batch,couplings,width,image (default all)")
    command.add_argument("--least", action="store_true", help="two points a sweep: a look at whether it all works")
    timing(command)
    command.set_defaults(run=run_run)
    command = commands.add_parser("study", help="what the flows of a study cost to decode, beside their likelihood")
    command.add_argument("folder", metavar="FOLDER", help="with the results.json of `latentjet study report`")
    command.add_argument("--into", metavar="MD", help="write the table between this page's markers")
    timing(command)
    command.set_defaults(run=run_study)
    command = commands.add_parser("report", help="pictures and tables of a record")
    command.add_argument("record", metavar="JSON")
    command.add_argument("--pictures", metavar="FOLDER", help="for the PNGs (default beside the record)")
    command.add_argument("--into", metavar="MD", help="write the tables between this page's markers")
    command.set_defaults(run=run_report)
    return parser


def main(argv=None):
    args = make_parser().parse_args(argv)
    try:
        return args.run(args)
    except (LatentjetError, TrainError) as error:
        print("scale {}: {}".format(args.command, error), file=sys.stderr)
        return 1


if __name__ == "__main__":
    sys.exit(main())
