"""latentjet bench show: results kept earlier, as tables in the terminal."""

import sys

from .. import results, summary
from .text import shown


def add(commands):
    """Add the parser of `show` to the subcommands of bench."""
    command = commands.add_parser("show", help="the tables of results kept earlier")
    command.add_argument("results", nargs="+", metavar="JSON")
    command.set_defaults(run=run)


def run(args):
    for path in args.results:
        found = results.load(path)
        print(shown(found))
        for line in summary.remarks(found):
            print(line, file=sys.stderr)
    return 0
