"""latentjet sample: labels -> a picture of generated images; interpolation, temperatures, latent traversal."""

import io
import re

import numpy as np

from . import files, sheet
from .errors import InputError
from .model import Model

LAYOUTS = ("interpolate", "temperatures", "traverse")


def add_arguments(parser):
    parser.add_argument("--labels", help="class numbers, names and ranges: 0-9, Bag,3 (default all; --traverse: 0)")
    parser.add_argument(
        "--count", type=int, help="images a label (default 8; --temperatures: 1); --interpolate: rows (default 8)"
    )
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--temperature", type=float, help="standard deviation of z (default 1)")
    parser.add_argument("--out", default="samples.png", help="a .png, or a .npy of uint8 (default samples.png)")
    parser.add_argument("--overwrite", action="store_true", help="replace --out if it exists")
    layout = parser.add_argument_group("other pictures (one of them)")
    layout.add_argument(
        "--interpolate",
        metavar="Bag,Sneaker",
        help="from class to class by mixing weights, each row another z; without classes: between the z of seeds, 0,1",
    )
    layout.add_argument("--temperatures", metavar="0.5,0.7,1", help="a row a temperature, the same noise in all")
    layout.add_argument("--traverse", metavar="0,3,7", help="a row a dimension of z, which runs from -3 to 3")
    layout.add_argument("--steps", type=int, help="images from one end to the other, both included (default 9)")


def run(args):
    files.refuse_existing(args.out, args.overwrite)
    layout = chosen_layout(args)
    with Model.load(args.bundle, args.backend, args.threads) as model:
        model.engine("decode")
        images, names, heads = MAKERS[layout](model, args)
        stated = args.temperatures or temperature(args)
        print("{} images from backend '{}', seed {}, temperature {}".format(
            images.shape[0] * images.shape[1], model.backend, args.seed, stated))  # fmt: skip
    write_images(args.out, images, names, heads)
    print(args.out)
    return 0


def chosen_layout(args):
    """The name of the layout that the options ask for. Raises InputError for options that exclude each other."""
    given = [name for name in LAYOUTS if getattr(args, name) is not None]
    if len(given) > 1:
        raise InputError("--{} and --{} exclude each other: each makes a picture of its own".format(*given))
    layout = given[0] if given else "labels"
    excluded = {
        "temperatures": [("--temperature", args.temperature, "the rows' temperatures are named already")],
        "interpolate": [("--labels", args.labels, "--interpolate names the classes itself")],
        "traverse": [("--count", args.count, "a traversal begins from one z; another one: --seed")],
    }
    for option, value, reason in excluded.get(layout, []):
        if value is not None:
            raise InputError("--{} and {} exclude each other: {}".format(layout, option, reason))
    if args.steps is not None and layout not in ("interpolate", "traverse"):
        raise InputError("--steps is for --interpolate and --traverse: give one of them, or leave it out")
    for option, value, least in (("--count", args.count, 1), ("--steps", args.steps, 2)):
        if value is not None and value < least:
            raise InputError("{} is {}, expected at least {}".format(option, value, least))
    return layout


def temperature(args):
    return 1.0 if args.temperature is None else args.temperature


def labels_of(model, args, default="all"):
    """The labels that were asked for; None for an unconditional model. Raises InputError."""
    if model.classes:
        return parse_labels(default if args.labels is None else args.labels, model.classes)
    if args.labels not in (None, "all"):
        raise InputError("--labels {}: this model is unconditional, leave them out".format(args.labels))
    return None


def by_labels(model, args):
    labels, count = labels_of(model, args), args.count or 8
    if labels is None:
        return rows_of_eight(model, count, args.seed, temperature(args)), [], []
    return drawn(model, sheet.labels(model, labels, count, args.seed, temperature(args)))


def rows_of_eight(model, count, seed, temperature):
    """uint8 (rows, at most 8, C, H, W), the last row filled up with black."""
    images = model.sample(seed=seed, temperature=temperature, count=count, uint8=True)
    columns = min(8, count)
    blank = np.zeros((-len(images) % columns,) + images.shape[1:], np.uint8)
    return np.concatenate([images, blank]).reshape((-1, columns) + images.shape[1:])


def by_interpolation(model, args):
    if model.classes:
        ends = parse_labels(args.interpolate, model.classes)
    else:
        ends = numbers(args.interpolate, int, "--interpolate", "two seeds or more, like 0,1: this model has no classes")
    return drawn(
        model, sheet.interpolation(model, ends, args.count or 8, args.steps or 9, args.seed, temperature(args))
    )


def by_temperatures(model, args):
    values = numbers(args.temperatures, float, "--temperatures", "numbers like 0.5,0.7,1")
    labels = labels_of(model, args)
    count = args.count or (8 if labels is None else 1)
    return drawn(model, sheet.temperatures(model, labels, values, count, args.seed))


def by_traversal(model, args):
    dimensions = numbers(args.traverse, int, "--traverse", "dimensions of z like 0,3,7")
    labels = labels_of(model, args, default="0")
    return drawn(model, sheet.traversal(model, labels, dimensions, args.steps or 9, args.seed, temperature(args)))


MAKERS = {
    "labels": by_labels,
    "interpolate": by_interpolation,
    "temperatures": by_temperatures,
    "traverse": by_traversal,
}


def drawn(model, made):
    return sheet.draw(model, made), made.names, made.heads


def numbers(text, kind, option, expected):
    """ "0.5,1" -> [0.5, 1.0]. Raises InputError."""
    try:
        return [kind(part) for part in text.split(",")]
    except ValueError:
        raise InputError("{} is '{}', expected {}".format(option, text, expected))


def parse_labels(text, classes):
    """ "0-9", "Bag,3", "all" -> list of class numbers and names. Raises InputError."""
    if text == "all":
        return list(range(len(classes)))
    labels = []
    for part in map(str.strip, text.split(",")):
        span = re.match(r"^(\d+)-(\d+)$", part)
        if span:
            low, high = int(span.group(1)), int(span.group(2))
            if low > high:
                raise InputError("--labels {}: {} comes after {}".format(text, low, high))
            labels.extend(range(low, min(high, max(low, len(classes))) + 1))  # the first that is no class is named
        else:
            labels.append(int(part) if part.isdecimal() else part)
    return labels


def write_images(path, images, names, heads=()):
    """A .npy holds the uint8 array (rows, columns, C, H, W); any other name gets a PNG."""
    if path.endswith(".npy"):
        buffer = io.BytesIO()
        np.save(buffer, images)
        files.write_file(path, buffer.getvalue())
    else:
        from .picture import grid

        files.write_file(path, grid(images, names, heads=heads))
