"""latentjet bench compare: its options, its table, its exit status."""

import argparse
import sys

from . import results, unlike
from .compare import compare, verdict
from .report.names import label, order, place

REGRESSION = 3
COLUMNS = "  {:<10} {:>5}  {:<20} {:>12} {:>12}  {:<24} {}"
ABOUT = """Each case that both runs have: the second's time over the first's, of the medians of their rounds, with a
95 % interval. Runs on unlike machines, in unlike modes (power mode, governor, limits of the clocks) or of unlike
bundles are refused."""
STATUS = """exit status: 0 compared; 1 refused or not readable; 2 wrong usage; 3 with --threshold, where a case is
slower by more than that with its whole interval. For CI: latentjet bench compare main.json mine.json --threshold 10%"""
EXPLAINED = (
    "Intervals: each run's rounds drawn by themselves, since the runs were not side by side. They hold\n"
    "what varied within the runs, not what differs from one start to the next: choose a threshold above that,\n"
    "and repeat a run in doubt."
)
FEW_ROUNDS = 10


def share(text):
    """ "10%" or "0.1" -> 0.1"""
    try:
        value = float(text[:-1]) / 100 if text.endswith("%") else float(text)
    except ValueError:
        value = -1
    if not 0 < value < 1:
        raise argparse.ArgumentTypeError(
            "'{}' is no threshold: expected a share of the time like 10% or 0.1".format(text)
        )
    return value


def kinds(text):
    """ "machine,mode" -> ["machine", "mode"]"""
    names = text.split(",")
    for name in names:
        if name not in unlike.KINDS:
            raise argparse.ArgumentTypeError("'{}' is not of: {}".format(name, ", ".join(unlike.KINDS)))
    return names


def add(commands):
    """Add the parser of `compare` to the subcommands of bench."""
    command = commands.add_parser("compare", help="two runs, case by case", description=ABOUT, epilog=STATUS)
    command.add_argument("before", metavar="A.json")
    command.add_argument("after", metavar="B.json")
    command.add_argument(
        "--threshold", type=share, metavar="10%", help="status 3 where a case is slower by surely more than this"
    )
    command.add_argument(
        "--unlike", type=kinds, default=[], metavar="machine,mode,bundle", help="compare although these differ"
    )
    command.set_defaults(run=run)


def run(args):
    """Compare and print -> exit status."""
    one, other = results.load(args.before), results.load(args.after)
    found = compare(one, other, args.unlike)
    verdicts = [verdict(pair.ratio, args.threshold) for pair in found.pairs]
    print("\n".join(lines(args, one, other, found, verdicts)))
    for text in doubts(found, verdicts):
        print("latentjet bench compare: {}".format(text), file=sys.stderr)
    return REGRESSION if "regression" in verdicts else 0


def lines(args, one, other, found, verdicts):
    """The table, what differs above it and what it means below it."""
    text = ["{}  {}: {}".format(name, path, place(run))
            for name, path, run in (("A", args.before, one), ("B", args.after, other))]  # fmt: skip
    text += ["unlike, as allowed: {} is '{}' beside '{}'".format(item.name, item.one, item.other)
             for item in unlike.differences(one, other)]  # fmt: skip
    text += ["changed: {}".format(item) for item in unlike.changed(one.versions, other.versions)]
    text += ["", COLUMNS.format("scenario", "batch", "system", "A, median ms", "B, median ms", "B's time over A's", "")]
    ordered = sorted(zip(found.pairs, verdicts), key=lambda item: order(item[0].case))
    text += [row(pair, word) for pair, word in ordered]
    for name, cases in (("A", found.gone), ("B", found.new)):
        text += ["only in {}: {}, batch {}, {}".format(name, label(case), case.batch, case.scenario) for case in cases]
    text += ["", EXPLAINED, summary(verdicts, args.threshold)]
    return [line.rstrip() for line in text]


def row(pair, word):
    case = pair.case
    threads = "" if case.threads == 1 else ", {} threads".format(case.threads)
    return COLUMNS.format(
        case.scenario, case.batch, label(case) + threads, "{:.4f}".format(1e3 * pair.before.median_s),
        "{:.4f}".format(1e3 * pair.after.median_s), "{:.3f} ({:.3f} to {:.3f})".format(*pair.ratio),
        word.upper() if word == "regression" else word,
    )  # fmt: skip


def summary(verdicts, threshold):
    """One sentence for a log's last line."""
    counts = ", ".join("{} {}".format(verdicts.count(word), word) for word in sorted(set(verdicts)))
    beyond = "" if threshold is None else "; threshold {:.3g} %".format(100 * threshold)
    return "{} cases: {}{}".format(len(verdicts), counts, beyond)


def doubts(found, verdicts):
    """What a reader should know before trusting the verdicts, as sentences."""
    rounds = min(len(side.rounds) for pair in found.pairs for side in (pair.before, pair.after))
    if rounds < FEW_ROUNDS:
        yield "{} rounds make a poor interval: run with --rounds {} or more".format(rounds, 2 * FEW_ROUNDS)
    if "unclear" in verdicts:
        yield "unclear: the median is beyond the threshold, the interval reaches below it: run again with more rounds"
