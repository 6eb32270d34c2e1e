"""latentjet study: the command line."""

import argparse
import json
import shlex
import sys
from pathlib import Path

import optuna

from .. import checkpoint
from ..device import choose_device
from ..errors import StudyError, TrainError
from . import definition as definitions
from . import page, plots, results, runs, separate, trials

RECORD = "study.json"


def make_parser():
    parser = argparse.ArgumentParser(
        prog="latentjet study", description="Many training runs that answer a question, and how easy the data are."
    )
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("list", help="the studies that ship")
    run = commands.add_parser(
        "run", help="do the runs of a study", description="Start it as often, and on as many machines, as you like."
    )
    run.add_argument("study", metavar="NAME|FILE.toml", help="a study that ships, or your own")
    run.add_argument("--out", required=True, metavar="DIR", help="where the runs go; goes on with what is there")
    run.add_argument("--storage", metavar="URL|FILE", help="who does what, shared by all processes (DIR/journal.log)")
    run.add_argument("--data-dir", metavar="DIR", help="where the data lie")
    run.add_argument("--no-download", action="store_true", help="never use the network")
    run.add_argument("--judge", metavar="FILE.npz", help="made by `latentjet judge` (default: the one that ships)")
    run.add_argument("--device", default="auto", help="auto, cpu, cuda, cuda:N")
    report = commands.add_parser("report", help="results of a study -> table, plots, page")
    report.add_argument("folder", metavar="DIR", help="the --out of run, or a folder with results.json")
    report.add_argument("--out", metavar="PAGE.md", help="page to write, or whose results to replace (else DIR)")
    look = commands.add_parser("pixels", help="how far one pixel tells classes apart, in real and generated images")
    look.add_argument("--data", default="mnist,fashion-mnist", help="data sets, separated by commas")
    look.add_argument(
        "--checkpoint", action="append", default=[], metavar="DIR", help="a conditional model's; repeatable"
    )
    look.add_argument("--count", type=int, default=500, metavar="N", help="samples of each class (default 500), twice")
    look.add_argument("--temperature", type=float, help="standard deviation of z (default: the family's)")
    look.add_argument("--data-dir", metavar="DIR", help="where the data lie")
    look.add_argument("--no-download", action="store_true", help="never use the network")
    look.add_argument("--out", required=True, metavar="PAGE.md", help="page to write, or whose results to replace")
    return parser


def list_studies(args):
    for name in definitions.shipped():
        found = definitions.load(name)
        count = found.trials or len(found.points())
        print(f"{name:<10} {count:>4} runs  {found.question}")
    return 0


def claim(out, definition, storage):
    """Make --out this study's folder, or raise StudyError where it is another's; returns the storage's place."""
    record, place = out / RECORD, str(storage or out / "journal.log")
    if record.is_file():
        check_record(out, definition, place)
        return place
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise StudyError(f"--out {out} exists and holds no study: name another folder")
    out.mkdir(parents=True, exist_ok=True)
    content = {"storage": place, "definition": definition._asdict()}
    checkpoint.write_atomically(record, json.dumps(content, indent=1).encode())
    return place


def check_record(out, definition, place):
    record, stored = read_record(out)
    theirs, mine = definitions.as_json(stored), definitions.as_json(definition)
    if theirs != mine:
        name, left, right = definitions.difference(theirs, mine)
        raise StudyError(
            f"--out {out} holds another study: its {name} is {json.dumps(left)}, this one's is {json.dumps(right)}; "
            "name another folder"
        )
    if place != record["storage"]:
        raise StudyError(f"--out {out} goes with --storage {record['storage']}, not with {place}")


def read_record(out):
    """Folder of a study -> what its record says, and its Definition."""
    try:
        record = json.loads((out / RECORD).read_text(encoding="utf-8"))
        return record, definitions.Definition(**record["definition"])
    except (ValueError, KeyError, TypeError) as error:
        raise StudyError(f"{out / RECORD} is damaged ({error}): name another --out") from error


def run(args):
    definition, out = definitions.load(args.study), Path(args.out)
    device = choose_device(args.device)
    place = runs.Place(out, device, args.data_dir, not args.no_download, args.judge)
    runs.check(place, definition)
    study = trials.open_study(definition, claim(out, definition, args.storage))

    def say(line):
        print(line, file=sys.stderr, flush=True)
        with open(out / "study.log", "a", encoding="utf-8") as log:
            log.write(line + "\n")

    trials.work(study, definition, lambda point: runs.measure(place, definition, point), say)
    print(f"{out}: all {len(trials.finished(study))} runs are done; see latentjet study report {shlex.quote(str(out))}")
    return 0


def report(args):
    folder = Path(args.folder)
    target = Path(args.out).with_suffix("") if args.out else folder
    if (folder / RECORD).is_file():
        record, definition = read_record(folder)
        study = trials.open_study(definition, record["storage"])
        found = results.gather(trials.finished(study), definition)
    else:
        definition, found = None, results.read(folder)
    if not found["rows"]:
        raise StudyError(f"{folder} has no finished run yet: go on with latentjet study run")
    target.mkdir(parents=True, exist_ok=True)
    results.write(target, found)
    lines = page.lines(found, draw(folder, target, definition, found))
    if args.out:
        page.put(args.out, page.heading(found), lines)
    print("\n".join(line for line in lines if line.startswith("|")))
    return 0


def draw(folder, target, definition, found):
    """Draw what there is to see into the target folder -> [(caption, file beside the page)]."""
    plots.draw_figures(target / "figures.png", found)
    pictures = [("Means over the seeds; bars reach from the lowest to the highest.", "figures.png")]
    if any(row["spectrum"] for row in found["rows"]):
        plots.draw_spectra(target / "spectra.png", found)
        pictures.append(("Power of samples over that of real images, by frequency; 1 is as real.", "spectra.png"))
    strips = runs.strips(runs.Place(folder, "cpu"), definition, found["rows"]) if definition else []
    if strips:
        plots.draw_strips(target / "samples.png", strips)
    if (target / "samples.png").is_file():
        words = "Samples of one run of each row, the same noise in all; columns are classes where there are labels."
        pictures.append((words, "samples.png"))
    return [(caption, f"{target.name}/{file}") for caption, file in pictures]


def main(argv=None):
    args = make_parser().parse_args(argv)
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    try:
        return {"list": list_studies, "run": run, "report": report, "pixels": separate.run}[args.command](args)
    except TrainError as error:
        print(f"latentjet study: {error}", file=sys.stderr)
        return 1
    except OSError as error:
        print(f"latentjet study: {error.filename or ''} cannot be used: {error.strerror or error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("\nstopped; go on with the same command", file=sys.stderr)
        return 130


if __name__ == "__main__":
    sys.exit(main())
