"""python -m latentjet.benchmarks.peers: the command line (`make peers` calls it)."""

import argparse
import sys

from ...runtime import files
from ...runtime.errors import LatentjetError
from ...train.errors import TrainError
from .. import section
from ..__main__ import integers
from . import record, table


def names(text):
    """ "a,b" -> ["a", "b"]; "none" -> []"""
    return [] if text == "none" else text.split(",")


def run_run(args):
    files.refuse_existing(args.out, args.overwrite)
    from . import flows, works

    chosen = args.works if args.works is not None else list(works.WORKS)
    libraries = args.libraries if args.libraries is not None else list(flows.LIBRARIES)
    done = works.run(
        chosen, libraries, args.batch, args.rounds, args.burst, args.seed, args.size, args.ways,
        lambda line: print(line, file=sys.stderr, flush=True),
    )  # fmt: skip
    record.save(done, args.out)
    print(table.page(record.load(args.out)))  # as kept: seconds have eight places there
    print(args.out)
    return 0


def run_table(args):
    page = table.page(record.load(args.record))
    if args.into:
        section.replace(args.into, "peers", page)
    else:
        print(page)
    return 0


def make_parser():
    parser = argparse.ArgumentParser(
        prog="python -m latentjet.benchmarks.peers", description="The same work in other libraries and in a bundle."
    )
    commands = parser.add_subparsers(dest="command", metavar="COMMAND")
    commands.required = True
    command = commands.add_parser("run", help="time every system of every work, interleaved")
    command.add_argument("--out", required=True, metavar="JSON", help="keep the raw seconds here")
    command.add_argument("--overwrite", action="store_true", help="replace --out if it exists")
    command.add_argument("--works", type=names, help="flow-conv,flow-dense,flow-decode,vae-mlp,vae-conv (default all)")
    command.add_argument(
        "--libraries", type=names, help="normflows,nflows,zuko,FrEIA, or none for this project and PyTorch alone"
    )
    command.add_argument("--ways", type=names, help="eager,compiled,model,engine,bare (default all)")
    command.add_argument("--size", default="full", help="full, or small: a look at whether it all works")
    command.add_argument("--batch", type=integers, default=[1, 8, 64], metavar="1,8,64")
    command.add_argument("--rounds", type=int, default=20)
    command.add_argument("--burst", type=float, default=0.02, metavar="S", help="seconds a system and round")
    command.add_argument("--seed", type=int, default=0)
    command.set_defaults(run=run_run)
    command = commands.add_parser("table", help="the tables of a record, as Markdown")
    command.add_argument("record", metavar="JSON")
    command.add_argument("--into", metavar="MD", help="write them between this page's markers")
    command.set_defaults(run=run_table)
    return parser


def main(argv=None):
    args = make_parser().parse_args(argv)
    try:
        return args.run(args)
    except (LatentjetError, TrainError) as error:
        print("peers {}: {}".format(args.command, error), file=sys.stderr)
        return 1


if __name__ == "__main__":
    sys.exit(main())
