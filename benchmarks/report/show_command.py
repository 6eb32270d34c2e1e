"""latentjet bench show: results kept earlier, as tables in the terminal."""

from .. import results
from .text import table


def add(commands):
    """Add the parser of `show` to the subcommands of bench."""
    command = commands.add_parser("show", help="the table of results kept earlier")
    command.add_argument("results", nargs="+", metavar="JSON")
    command.set_defaults(run=run)


def run(args):
    for path in args.results:
        print(table(results.load(path)))
    return 0
