"""latentjet show, check, sample: the command line of the runtime."""

import argparse
import re
import sys

import numpy as np

from . import files
from .bundle import Bundle
from .check import check
from .engine import BACKENDS
from .errors import BundleError, InputError, LatentjetError
from .model import Model


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


def run_show(args):
    bundle = Bundle.open(args.bundle)
    try:
        print(describe(bundle))
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise BundleError("{}: bundle.json lacks or garbles {}: export it again".format(bundle.path, error))
    return 0


def describe(bundle):
    """Bundle -> what a person wants to know of it."""
    manifest = bundle.manifest
    made = ", ".join("{} {}".format(name, version) for name, version in sorted(manifest["made_by"].items()))
    lines = [
        "{}: {} ({})".format(bundle.path, bundle.family, manifest["model"]["class"]),
        "  images   {}, latent size {}".format(
            "not known" if bundle.image is None else "x".join(map(str, bundle.image)), bundle.latent
        ),
        "  classes  {}".format(", ".join(bundle.classes) or "none (unconditional)"),
        "  trained  {}".format(manifest["trained"]),
        "  target   {}".format(manifest["target"]),
        "  made by  {}".format(made),
        "",
        "  {:<9} {:>6} {:>6} {:>10} {:>11} {:>10} {:>13}  {}".format(
            "graph", "nodes", "fused", "MMAC", "parameters", "kB", "largest diff", "inputs -> outputs"
        ),
    ]
    for name, graph in sorted(bundle.graphs.items()):
        figures = graph.figures
        lines.append(
            "  {:<9} {:>6} {:>6} {:>10.2f} {:>11,} {:>10.0f} {:>13.1e}  {} -> {}".format(
                name, figures["nodes"], figures["fused_nodes"], figures["macs"] / 1e6, figures["parameters"],
                manifest["files"][graph.file]["bytes"] / 1e3, figures["largest_difference"],
                ", ".join(map(_signature, graph.inputs)), ", ".join(map(_signature, graph.outputs)),
            )
        )  # fmt: skip
        counts = sorted(figures["operators"].items(), key=lambda item: (-item[1], item[0]))
        lines.append("            " + ", ".join("{} {}".format(count, operator) for operator, count in counts))
        lines.extend("            note: " + note for note in figures.get("notes", []))
        if graph.precision:
            lines.append("            " + _half(graph.precision))
    total = sum(entry["bytes"] for entry in manifest["files"].values())
    lines += [
        "",
        "  {} files, {:.0f} kB: {}".format(len(manifest["files"]), total / 1e3, ", ".join(sorted(manifest["files"]))),
    ]
    return "\n".join(lines)


def _half(precision):
    """What the export's gate found about half precision, as a line."""
    gate = precision["gate"]
    if not precision["file"]:
        return "fp16: refused, {:.3f} % of pixels within 2 levels: runs in float32".format(100 * gate["within"])
    return "fp16: {} nodes kept in float32; {:.3f} % of pixels within 2 levels, largest {:.2f}, {} samples".format(
        len(precision["keep_float32"]), 100 * gate["within"], gate["largest_levels"], gate["samples"]
    )


def _signature(tensor):
    return "{} ({})".format(tensor.name, ", ".join(map(str, tensor.shape)))


def run_check(args):
    bundle = Bundle.open(args.bundle)
    bundle.verify()
    backend, found = check(bundle, args.backend, threads=args.threads)
    print("{} on backend '{}': {} files as exported".format(args.bundle, backend, len(bundle.manifest["files"])))
    print(
        "  {:<9} {:<9} {:>5} {:>13} {:>11} {:>10}".format(
            "graph", "output", "rows", "largest diff", "mean diff", "allowed"
        )
    )
    for item in found:
        print(
            "  {:<9} {:<9} {:>5} {:>13.2e} {:>11.2e} {:>10.0e}  {}".format(
                item.graph,
                item.output,
                item.rows,
                item.largest,
                item.mean,
                item.tolerance,
                "ok" if item.passed else "FAILED",
            )
        )
    failed = [item for item in found if not item.passed]
    if failed:
        names = ", ".join("'{}'".format(item.graph) for item in failed)
        print(
            "latentjet check: {} differ from eager PyTorch by more than is allowed: do not use this backend".format(
                names
            ),
            file=sys.stderr,
        )
    return 1 if failed else 0


def run_sample(args):
    files.refuse_existing(args.out, args.overwrite)
    with Model.load(args.bundle, args.backend, args.threads) as model:
        if args.count < 1:
            raise InputError("--count is {}, expected at least 1".format(args.count))
        labels = parse_labels(args.labels, model.classes) if model.classes else None
        if labels is None and args.labels != "all":
            raise InputError("--labels {}: this model is unconditional, leave them out".format(args.labels))
        names = [model.classes[row] for row in model.weights(labels).argmax(axis=1)] if labels else []
        images = sample_rows(model, labels, args)
        print("{} images from backend '{}', seed {}, temperature {}".format(
            images.shape[0] * images.shape[1], model.backend, args.seed, args.temperature))  # fmt: skip
    write_images(args.out, images, names)
    print(args.out)
    return 0


def sample_rows(model, labels, args):
    """-> uint8 (rows, columns, C, H, W): a row a label; without labels, eight a row."""
    if labels is None:
        images = model.sample(seed=args.seed, temperature=args.temperature, count=args.count, uint8=True)
        columns = min(8, args.count)
        blank = np.zeros((-len(images) % columns,) + images.shape[1:], np.uint8)
        return np.concatenate([images, blank]).reshape((-1, columns) + images.shape[1:])
    repeated = [label for label in labels for _ in range(args.count)]
    images = model.sample(repeated, seed=args.seed, temperature=args.temperature, uint8=True)
    return images.reshape((len(labels), args.count) + images.shape[1:])


def write_images(path, images, names):
    """A .npy holds the uint8 array (rows, columns, C, H, W); any other name gets a PNG."""
    if path.endswith(".npy"):
        import io

        buffer = io.BytesIO()
        np.save(buffer, images)
        files.write_file(path, buffer.getvalue())
    else:
        from .picture import grid

        files.write_file(path, grid(images, names))


def make_parser():
    parser = argparse.ArgumentParser(prog="latentjet", description="Use a bundle.")
    commands = parser.add_subparsers(dest="command", metavar="COMMAND")
    commands.required = True
    shared = argparse.ArgumentParser(add_help=False)
    shared.add_argument("bundle", metavar="BUNDLE", help="a bundle's folder or .zip")
    running = argparse.ArgumentParser(add_help=False)
    running.add_argument("--backend", default="auto", help="auto, " + ", ".join(sorted(BACKENDS)))
    running.add_argument("--threads", type=int, help="processor threads (default: the backend's own choice)")
    command = commands.add_parser("show", parents=[shared], help="what is in a bundle")
    command.set_defaults(run=run_show)
    command = commands.add_parser("check", parents=[shared, running], help="compare with the reference vectors")
    command.set_defaults(run=run_check)
    command = commands.add_parser("sample", parents=[shared, running], help="labels -> a picture of generated images")
    command.add_argument("--labels", default="all", help="class numbers, names and ranges: 0-9, Bag,3 (default all)")
    command.add_argument("--count", type=int, default=8, help="images a label (default 8)")
    command.add_argument("--seed", type=int, default=0)
    command.add_argument("--temperature", type=float, default=1.0, help="standard deviation of z (default 1)")
    command.add_argument("--out", default="samples.png", help="a .png, or a .npy of uint8 (default samples.png)")
    command.add_argument("--overwrite", action="store_true", help="replace --out if it exists")
    command.set_defaults(run=run_sample)
    return parser


def main(argv=None):
    args = make_parser().parse_args(argv)
    try:
        return args.run(args)
    except LatentjetError as error:
        print("latentjet {}: {}".format(args.command, error), file=sys.stderr)
        return 1


if __name__ == "__main__":
    sys.exit(main())
