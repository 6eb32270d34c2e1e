"""latentjet models, show, copy, check: the command line of the runtime; sample is in sample.py."""

import argparse
import os
import sys

from . import bundle as bundles
from . import files, old_products, sample, shipped
from .bundle import Bundle
from .check import check
from .engine import BACKENDS
from .errors import BundleError, LatentjetError
from .parts import CONSTANTS, length


def run_models(args):
    opened = [Bundle.open(name) for name in shipped.names()]
    print("{:<16} {:<8} {:<8} {:>7} {:>6}  {}".format("name", "family", "images", "classes", "kB", "trained"))
    for bundle in opened:
        place = shipped.find(bundle.path)
        print("{:<16} {:<8} {:<8} {:>7} {:>6.0f}  {}".format(
            bundle.path, bundle.family, size_of(bundle), len(bundle.classes), os.path.getsize(place) / 1e3,
            bundle.manifest["trained"]))  # fmt: skip
    print("a name stands wherever a command or load() takes a bundle; the files lie in {}".format(shipped.FOLDER))
    return 0


def run_copy(args):
    files.refuse_existing(args.place, args.overwrite)
    source = Bundle.open(args.bundle)
    contents = {name: source.read(name) for name in source.manifest["files"] if name != CONSTANTS}
    bundles.write(args.place, source.manifest, contents, args.overwrite)
    print(args.place)
    return 0


def size_of(bundle):
    """The images' size, as text."""
    return "not known" if bundle.image is None else "x".join(map(str, bundle.image))


def run_show(args):
    bundle = Bundle.open(args.bundle)
    try:
        print(describe(bundle))
        outdated = old_products.note(bundle)
        if outdated:
            print("\n  " + outdated)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise BundleError("{}: bundle.json lacks or garbles {}: export it again".format(bundle.path, error))
    return 0


def describe(bundle):
    """Bundle -> what a person wants to know of it."""
    manifest = bundle.manifest
    made = ", ".join("{} {}".format(name, version) for name, version in sorted(manifest["made_by"].items()))
    lines = [
        "{}: {} ({})".format(bundle.path, bundle.family, manifest["model"]["class"]),
        "  images   {}, latent size {}".format(size_of(bundle), bundle.latent),
        "  classes  {}".format(", ".join(bundle.classes) or "none (unconditional)"),
        "  trained  {}".format(manifest["trained"]),
        "  target   {}".format(manifest["target"]),
        "  made by  {}".format(made),
        "",
        "  {:<10} {:>6} {:>6} {:>10} {:>11} {:>10} {:>13}  {}".format(
            "graph", "nodes", "fused", "MMAC", "parameters", "kB", "largest diff", "inputs -> outputs"
        ),
    ]
    for name, graph in sorted(bundle.graphs.items()):
        figures = graph.figures
        lines.append(
            "  {:<10} {:>6} {:>6} {:>10.2f} {:>11,} {:>10.0f} {:>13.1e}  {} -> {}".format(
                name, figures["nodes"], figures["fused_nodes"], figures["macs"] / 1e6, figures["parameters"],
                manifest["files"][graph.file]["bytes"] / 1e3, figures["largest_difference"],
                ", ".join(map(_signature, graph.inputs)), ", ".join(map(_signature, graph.outputs)),
            )
        )  # fmt: skip
        counts = sorted(figures["operators"].items(), key=lambda item: (-item[1], item[0]))
        lines.append("            " + ", ".join("{} {}".format(count, operator) for operator, count in counts))
        lines.extend("            note: " + note for note in figures.get("notes", []))
        if graph.precision:
            lines.extend("            " + line for line in _half(graph.precision))
    total = sum(entry["bytes"] for entry in manifest["files"].values())
    shared = sum(length(entry.get("parts", ())) for entry in manifest["files"].values())
    once = ", {:.0f} kB of it from {}".format(shared / 1e3, CONSTANTS) if shared else ""
    names = sorted(manifest["files"])
    lines += ["", "  {} files, {:.0f} kB{}: {}".format(len(names), total / 1e3, once, ", ".join(names))]
    return "\n".join(lines)


def _half(precision):
    """What the export's gate found about half precision, as lines: the gate, the ranges, each node kept in float32."""
    gate, kept = precision["gate"], precision["keep_float32"]
    verdict = "{:.3f} % of pixels within 2 levels, largest {:.2f}, {} not finite, {} samples".format(
        100 * gate["within"], gate["largest_levels"], gate["not_finite"], gate["samples"]
    )
    if not precision["file"]:
        return ["fp16: refused, {}: runs in float32".format(verdict)]
    lines = [
        "fp16: {} nodes kept in float32, {} promotions; {}".format(len(kept), precision["promotions"], verdict),
        "      values up to {:.4g} of the 65504 that half holds{}".format(precision["largest_value"], _flow(precision)),
    ]
    return lines + ["      float32: {}: {}".format(name, kept[name]) for name in sorted(kept)]


def _flow(precision):
    """What there is to say of a flow besides: exponentials, how much its couplings can scale, round trip."""
    text, trip = "", precision["gate"].get("round_trip")
    if precision.get("exp_inputs"):
        text += "; largest exponent {:.3g} of 11.09".format(max(precision["exp_inputs"].values()))
    if precision.get("product_bound"):
        text += "; all couplings together scale by at most {:.4g}".format(precision["product_bound"])
    if trip:
        text += "; z comes back within {:.2g} on average".format(trip["mean"])
    return text


def _signature(tensor):
    return "{} ({})".format(tensor.name, ", ".join(map(str, tensor.shape)))


def run_check(args):
    bundle = Bundle.open(args.bundle)
    bundle.verify()
    backend, found = check(bundle, args.backend, threads=args.threads)
    print("{} on backend '{}': {} files as exported".format(args.bundle, backend, len(bundle.manifest["files"])))
    outdated = old_products.note(bundle)
    print(
        "  {:<10} {:<9} {:>5} {:>13} {:>11} {:>10}".format(
            "graph", "output", "rows", "largest diff", "mean diff", "allowed"
        )
    )
    for item in found:
        print(
            "  {:<10} {:<9} {:>5} {:>13.2e} {:>11.2e} {:>10.0e}  {}".format(
                item.graph,
                item.output,
                item.rows,
                item.largest,
                item.mean,
                item.tolerance,
                "ok" if item.passed else ": ".join(filter(None, ("FAILED", item.note))),
            )
        )
    if outdated:
        print("  note: " + outdated)
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


def make_parser():
    parser = argparse.ArgumentParser(prog="latentjet", description="Use a bundle.")
    commands = parser.add_subparsers(dest="command", metavar="COMMAND")
    commands.required = True
    shared = argparse.ArgumentParser(add_help=False)
    shared.add_argument("bundle", metavar="BUNDLE", help="a bundle's folder or .zip, or a name from `latentjet models`")
    running = argparse.ArgumentParser(add_help=False)
    running.add_argument("--backend", default="auto", help="auto, " + ", ".join(sorted(BACKENDS)))
    running.add_argument("--threads", type=int, help="processor threads (default: the backend's own choice)")
    command = commands.add_parser("models", help="the pretrained bundles that ship")
    command.set_defaults(run=run_models)
    command = commands.add_parser("show", parents=[shared], help="what is in a bundle")
    command.set_defaults(run=run_show)
    command = commands.add_parser("copy", parents=[shared], help="a bundle -> a plain one, each file whole")
    command.add_argument("place", metavar="PLACE", help="a folder to make, or a .zip")
    command.add_argument("--overwrite", action="store_true", help="replace PLACE if it exists")
    command.set_defaults(run=run_copy)
    command = commands.add_parser("check", parents=[shared, running], help="compare with the reference vectors")
    command.set_defaults(run=run_check)
    command = commands.add_parser("sample", parents=[shared, running], help="labels -> a picture of generated images")
    sample.add_arguments(command)
    command.set_defaults(run=sample.run)
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
