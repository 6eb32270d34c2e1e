"""latentjet bench report: its options, and the files that it writes."""

import importlib
import os

from ...runtime import files
from ...runtime.errors import BackendError, InputError
from .. import results
from . import headline, prediction
from .markdown import markdown
from .sections import sections

ABOUT = """One page about one or more runs: HTML in a single file that needs neither network nor script, Markdown, or a
PNG of the plots. The headline is about the first run. HTML needs jinja2 and matplotlib, PNG matplotlib, Markdown
neither."""


def add(commands):
    """Add the parser of `report` to the subcommands of bench."""
    command = commands.add_parser("report", help="runs as one page: HTML, Markdown, PNG", description=ABOUT)
    command.add_argument("results", nargs="+", metavar="JSON")
    command.add_argument("--out", metavar="page.html", help="the page")
    command.add_argument("--markdown", metavar="page.md", help="the same as Markdown")
    command.add_argument("--png", metavar="plots.png", help="the first run's plots as one picture")
    command.add_argument(
        "--estimate", action="append", default=[], metavar="JSON",
        help="a prediction, as latentjet estimate --json writes it, to stand beside; may be given again",
    )  # fmt: skip
    command.add_argument("--overwrite", action="store_true", help="replace what exists")
    command.set_defaults(run=run)


def run(args):
    """Write what is asked for; nothing is written before all of it is made -> exit status."""
    places = [path for path in (args.out, args.markdown, args.png) if path]
    if not places:
        raise InputError("nowhere to write: name a place with --out page.html, --markdown page.md or --png plots.png")
    if len(set(map(os.path.abspath, places))) < len(places):
        raise InputError("two outputs have one place, {}: name different ones".format(places[-1]))
    for path in places:
        files.refuse_existing(path, args.overwrite)
    runs = [results.load(path) for path in args.results]
    predictions = [item for path in args.estimate for item in prediction.load(path)]
    made = []
    if args.out:
        made.append((args.out, needing("page", "jinja2 matplotlib").page(runs, predictions).encode("utf-8")))
    if args.png:
        made.append((args.png, picture(runs[0], predictions)))
    if args.markdown:
        beside = os.path.relpath(args.png, os.path.dirname(os.path.abspath(args.markdown))) if args.png else None
        made.append((args.markdown, markdown(runs, predictions, beside).encode("utf-8")))
    for path, content in made:
        files.write_file(path, content)
        print(path)
    return 0


def picture(run, predictions):
    """Run -> PNG of the first plot of each section, the headline above."""
    plots = needing("plots", "matplotlib")
    found = [section.pictures[0] for section in sections(run, predictions) if section.pictures]
    if not found:
        raise InputError("nothing in this run can be drawn: it has no timed calls")
    return plots.draw_png(found, headline.sentence(run))


def needing(module, packages):
    """A module of this folder; raises BackendError with the remedy where what it imports is not installed."""
    try:
        return importlib.import_module("latentjet.benchmarks.report." + module)
    except ImportError as error:
        raise BackendError(
            "a report as {} cannot be made ({}): pip install {}; --markdown needs neither".format(
                "HTML" if module == "page" else "PNG", error, packages
            )
        )
