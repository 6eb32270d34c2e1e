"""latentjet evaluate: how good is a checkpoint, or a bundle on any backend? A table, and a JSON for model cards."""

import argparse
import json
import math
import platform
import sys
import time
from pathlib import Path

import numpy as np
import torch

from ..runtime.engine import BACKENDS
from ..runtime.errors import LatentjetError
from ..runtime.files import refuse_existing, write_file
from ..runtime.version import VERSION
from ..train import curves, data, evaluate, judge
from ..train.bootstrap import PARTS, REPLICATES
from ..train.errors import SettingsError, TrainError
from ..train.features import KID_PART
from ..train.run import describe
from ..train.settings import FAMILIES
from .subject import opened

FORMAT = 1
NOTES = [
    "FID and KID: features of this project's judge, not comparable with Inception FID; the floor is the other split "
    "of the real images against this one",
    f"95 % intervals: of means {REPLICATES} bootstraps over images; of FID {PARTS} random halves of both sets; of KID "
    f"{PARTS} random subsets of at most {KID_PART}, scaled to the full size",
]


def load_data(args, about):
    """Arguments, what a checkpoint or manifest says -> the Data to measure on, and the other split's."""
    settings = about.get("settings") or {}
    name = args.data or settings.get("data") or (about.get("data") or {}).get("name")
    if not name:
        raise SettingsError("this bundle does not say what it was trained on: give --data")
    side = settings.get("size") if name == settings.get("data") else None
    load = [name, args.data_dir, not args.no_download, (side, side) if side else None]
    train, test = (data.load(load[0], split, *load[1:]) for split in ("train", "test"))
    if args.split == "validation":
        if not settings.get("validation"):
            raise SettingsError("--split validation: nothing says what its training held out; take test or train")
        whole = data.first(train, settings.get("limit"))
        train, test = data.hold_out(whole, settings["validation"], settings["seed"])
        seen, now = about["data"], describe(train)
        if any(seen[key] != now[key] for key in now):
            raise SettingsError(
                f"--split validation: it was trained on {seen['images']} images of {seen['name']}, and these leave "
                f"{now['images']} of {now['name']}: give the data of its training, or take --split test"
            )
    images, others = (train, test) if args.split == "train" else (test, train)
    return limited(images, args.limit, args.seed), others


def with_names(found, classes):
    """Opened -> its Subject; a module of one's own whose classes were never named takes the data's names."""
    subject = found.subject
    numbers = [str(number) for number in range(len(classes))]
    return subject._replace(classes=classes) if found.family == "module" and subject.classes == numbers else subject


def limited(images, limit, seed):
    """Data -> a seeded random part of so many images, in their order (files may be sorted by class or by ease)."""
    if limit is None or limit >= len(images.labels):
        return images
    return data.take(images, torch.from_numpy(np.random.RandomState(seed).permutation(len(images.labels))[:limit]))


def document(args, found, images, seen_by, report, seconds):
    """Everything that was measured and how, as JSON values: what a model card is made from."""
    made_by = {"latentjet": VERSION, "torch": torch.__version__, "numpy": np.__version__}
    about_judge = {key: seen_by.about[key] for key in ("data", "settings", "test")}
    return {
        "format": FORMAT,
        "evaluated": {
            "path": str(args.path), "kind": found.kind, "family": found.family, "model": found.about["model"],
            "settings": found.about.get("settings"), "ran": found.subject.how,
        },
        "data": {"name": images.name, "split": args.split, "images": len(images.labels), "classes": images.classes},
        "judge": {"sha256": seen_by.sha256, "features": judge.FEATURES, **about_judge},
        "options": {
            "seed": args.seed, "temperature": args.temperature, "samples": args.samples or len(images.labels),
            "importance": args.importance, "binarise": args.binarise, "judge": args.judge,
        },
        "notes": NOTES,
        "figures": {name: figure._asdict() for name, figure in report.figures.items()},
        "absent": report.absent,
        "spectrum": report.spectrum,
        "made_by": {**made_by, "python": platform.python_version()},
        "seconds": round(seconds, 1),
    }  # fmt: skip


def shown(value, unit):
    """Four significant digits: 2.960, 105.6, 0.001234; counts of dimensions as they are."""
    if unit == "dimensions":
        return f"{value:g}"
    if value == 0 or abs(value) < 1e-4:
        return f"{value:.1e}" if value else "0"
    return f"{value:.{max(0, 3 - math.floor(math.log10(abs(value))))}f}"


def table(written):
    """A document -> what a person reads: a line a figure, classes and dimensions and frequencies in one line each."""
    evaluated, images, seen_by = written["evaluated"], written["data"], written["judge"]
    seen = seen_by["test"]
    lines = [
        f"{evaluated['path']}: {evaluated['family']}, {evaluated['ran']}",
        f"  data   {images['name']}, {images['images']} images of split '{images['split']}'",
        f"  judge  sha256 {seen_by['sha256']}",
        f"         {seen['accuracy']:.2%} of {seen['images']} {seen_by['data']['name']} test images right",
        "",
        f"  {'figure':<24} {'value':>10}  {'95 % interval':<22} {'images':>7}  unit; note",
    ]
    parts = {}
    for name, figure in written["figures"].items():
        head, slash, part = name.partition("/")
        if slash:
            parts.setdefault(head, []).append(f"{part} {shown(figure['value'], figure['unit'])}")
            continue
        value, low, high = (shown(figure[key], figure["unit"]) for key in ("value", "low", "high"))
        text = "; ".join(filter(None, (figure["unit"], figure["note"])))
        lines.append(f"  {name:<24} {value:>10}  {low + ' to ' + high:<22} {figure['count']:>7}  {text}")
    lines += ["", *(f"  {note}" for note in written["notes"])]
    lines += [f"  {titles(head)}: {', '.join(items)}" for head, items in parts.items()]
    lines += [f"  no {name}: {why}" for name, why in written["absent"].items()]
    return "\n".join(lines)


def titles(head):
    return {
        "kl": "kl by latent dimension, nats",
        "accuracy": "accuracy by class",
        "spectrum": "spectrum, power of samples over real images by cycles an image",
    }.get(head, head)


def make_parser():
    parser = argparse.ArgumentParser(
        prog="latentjet evaluate",
        description="Likelihood, conditional accuracy, FID and KID, sharpness, posterior of a checkpoint or a bundle.",
    )
    parser.add_argument("path", metavar="CHECKPOINT|BUNDLE", help="what `latentjet train` or `latentjet export` wrote")
    parser.add_argument("--data", help="the data set, as `latentjet train` takes it (default: what it was trained on)")
    parser.add_argument("--data-dir", metavar="DIR", help="where the data lie")
    parser.add_argument("--no-download", action="store_true", help="never use the network")
    parser.add_argument(
        "--split", choices=["test", "train", "validation"], default="test",
        help="what to measure on; validation: what its own training held out (default test)",
    )  # fmt: skip
    parser.add_argument("--limit", type=int, metavar="N", help="a random N of these images only")
    parser.add_argument("--samples", type=int, metavar="N", help="how many to draw (default: as many as images)")
    parser.add_argument("--temperature", type=float, help="standard deviation of z (default: the family's)")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument(
        "--importance", type=int, default=1, metavar="K",
        help="draws an image for the bounds: of noise (flows), of z (VAEs: 500 gives the usual IWAE)",
    )  # fmt: skip
    parser.add_argument(
        "--binarise", choices=["threshold", "stochastic"], default="threshold",
        help="how pixels become 0 or 1 for ELBO and IWAE (default threshold: 1 above 127)",
    )  # fmt: skip
    parser.add_argument("--backend", default="auto", help=f"of a bundle: auto, eager, {', '.join(sorted(BACKENDS))}")
    parser.add_argument("--device", default="auto", help="of eager PyTorch: auto, cpu, cuda, cuda:N")
    parser.add_argument("--threads", type=int, help="processor threads (default: the backend's own choice)")
    parser.add_argument("--judge", metavar="FILE.npz", help="made by `latentjet judge` (default: the one that ships)")
    parser.add_argument("--out", metavar="FILE.json", help="write everything here, and the spectrum beside it as .png")
    parser.add_argument("--overwrite", action="store_true", help="replace --out if it exists")
    return parser


def refuse(args):
    """Raises SettingsError or OutputError for the first option that does not fit, before anything is computed."""
    for name in ("limit", "samples", "importance", "threads"):
        value = getattr(args, name)
        if value is not None and value < 1:
            raise SettingsError(f"--{name} is {value}, expected at least 1")
    if not 0 <= args.seed < 2**32 - 1:
        raise SettingsError(f"--seed is {args.seed}, expected between 0 and {2**32 - 2}")
    if args.temperature is not None and not 0 <= args.temperature < math.inf:
        raise SettingsError(f"--temperature is {args.temperature}, expected a number of at least 0")
    if args.out:
        if not args.out.endswith(".json"):
            raise SettingsError(f"--out is {args.out}, expected a name that ends in .json")
        if not Path(args.out).absolute().parent.is_dir():
            raise SettingsError(f"--out {args.out}: there is no folder {Path(args.out).parent}")
        for place in (args.out, picture_of(args.out)):
            refuse_existing(place, args.overwrite)


def picture_of(out):
    return str(Path(out).with_suffix(".png"))


def run(args):
    refuse(args)
    began = time.monotonic()
    with opened(args.path, args.backend, args.device, args.threads) as found:
        if args.temperature is None:
            args.temperature = FAMILIES[found.family].temperature if found.family in FAMILIES else 1.0
        images, others = load_data(args, found.about)
        progress(f"data: {images.name}, {len(images.labels)} images of split '{args.split}', {images.source}")
        subject = with_names(found, images.classes)
        evaluate.refuse_misfit(subject, images)
        seen_by = judge.find(images, args.judge)
        options = evaluate.Options(args.seed, args.temperature, args.samples, args.importance, args.binarise)
        report = evaluate.evaluate(subject, images, others, seen_by, options, progress)
        written = document(args, found, images, seen_by, report, time.monotonic() - began)
    print(table(written))
    if args.out:
        write(args.out, written)
    return 0


def write(out, written):
    """The picture first: where the JSON is, everything is."""
    if written["spectrum"]:
        title = f"{written['evaluated']['family']} on {written['data']['name']}"
        write_file(picture_of(out), curves.draw_spectrum(written["spectrum"], title))
    write_file(out, (json.dumps(written, indent=1, allow_nan=False) + "\n").encode())
    print(out)


def progress(line):
    print(line, file=sys.stderr, flush=True)


def main(argv=None):
    args = make_parser().parse_args(argv)
    try:
        return run(args)
    except (LatentjetError, TrainError) as error:
        print(f"latentjet evaluate: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("\nstopped: nothing was written", file=sys.stderr)
        return 130


if __name__ == "__main__":
    sys.exit(main())
