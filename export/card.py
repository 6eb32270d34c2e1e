"""latentjet card: a bundle and what `latentjet evaluate` measured -> its model card, NAME.md and NAME.png."""

import argparse
import json
import math
import sys
from pathlib import Path

from ..runtime import shipped
from ..runtime.bundle import Bundle
from ..runtime.errors import InputError, LatentjetError, OutputError
from ..runtime.files import cannot_write, refuse_existing, write_file
from . import card_texts
from .recipe import evaluate_command, export_command, train_commands, wrapped

FORMATS = (1,)
DAMAGE = (ValueError, LookupError, TypeError, AttributeError, RecursionError)
RECORDED = ("kind", "model", "settings", "ran")


def read_evaluation(path, bundle):
    """Path of the JSON of `latentjet evaluate`, the Bundle -> its content. Raises InputError: none, or of another."""
    try:
        found = json.loads(Path(path).read_text(encoding="utf-8"))
        right = found["format"] in FORMATS and all(key in found["evaluated"] for key in RECORDED)
        right = right and measured(found) and evaluate_command(found, "")  # all that the card takes of it
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror or error}") from error
    except DAMAGE as error:
        raise InputError(f"{path} is no evaluation ({error}): make one with latentjet evaluate --out") from error
    if not right:
        raise InputError(f"{path} is no evaluation of this latentjet: make one with latentjet evaluate --out")
    for key in ("model", "settings"):
        if found["evaluated"][key] != bundle.manifest[key]:
            raise InputError(f"{path} is of another model than {bundle.path}, its {key} differ: evaluate this one")
    return found


def name_of(path):
    """What a bundle is called: the name it ships under, or its file name without .zip or .bundle."""
    name = Path(path).name
    for end in (shipped.END, ".bundle"):
        if name.endswith(end) and name != end:
            return name[: -len(end)]
    return name


def card(name, bundle, evaluations):
    """Name, Bundle, contents of evaluations -> the card's Markdown. Raises InputError for a bundle without a recipe."""
    manifest = bundle.manifest
    if not manifest["settings"] or not manifest["data"]:
        raise InputError(f"{bundle.path} says nothing of its training: a card needs a bundle made by latentjet export")
    parts = [
        f"# {name}",
        f"![Samples]({name}.png)",
        drawn(name, bundle),
        described(bundle),
        "## Graphs",
        graphs(bundle),
        "## Measured",
        *(measured(evaluation) for evaluation in evaluations),
        card_texts.convention(bundle, evaluations),
        "## How to make it again",
        recipe(name, bundle, evaluations),
        "## What it is not good for",
        "\n".join(f"- {text}" for text in card_texts.limits(bundle)),
        "## Licence",
        card_texts.licence(manifest["data"]["name"]),
    ]
    return "\n\n".join(parts) + "\n"


def drawn(name, bundle):
    """What the picture shows."""
    temperature = "0.8" if bundle.pixels == "dequantised" else "1"
    rows = "A class a row" if bundle.classes else "Samples"
    return f"*{rows}, as drawn: `latentjet sample {name} --seed 0 --temperature {temperature}`.*"


def described(bundle):
    """Family, images, classes, size."""
    manifest, size = bundle.manifest, "x".join(map(str, bundle.image))
    parameters = max(graph.figures["parameters"] for graph in bundle.graphs.values())
    classes = f"classes {', '.join(bundle.classes)}" if bundle.classes else "without classes"
    return (
        f"{manifest['model']['class']} ({bundle.family}), images {size}, {classes}; latent size {bundle.latent}, "
        f"{parameters:,} parameters in its largest graph, {bytes_on_disk(bundle) / 1e3:,.0f} kB as a bundle. "
        f"Trained: {manifest['trained']}."
    )


def bytes_on_disk(bundle):
    """Size of a bundle's .zip, or of the files in its folder."""
    place = Path(shipped.find(bundle.path))
    return sum(item.stat().st_size for item in ([place] if place.is_file() else place.glob("*")) if item.is_file())


def graphs(bundle):
    """The table of graphs, and what was found about half precision."""
    lines = ["| graph | nodes | MMAC an image | parameters | kB | half precision |", "|---|---|---|---|---|---|"]
    for name, graph in sorted(bundle.graphs.items()):
        figures, size = graph.figures, bundle.manifest["files"][graph.file]["bytes"] / 1e3
        cells = [name, figures["nodes"], f"{figures['macs'] / 1e6:.2f}", f"{figures['parameters']:,}", f"{size:,.0f}"]
        lines.append(row([*cells, half(graph)]))
    return "\n".join(lines)


def row(cells):
    """Cells of a table -> its line."""
    return f"| {' | '.join(str(cell).replace('|', chr(92) + '|') for cell in cells)} |"


def half(graph):
    if not graph.precision:
        return "float32 only"
    gate = graph.precision["gate"]
    within = math.floor(1e5 * gate["within"]) / 1e3  # 100 % is all of them
    seen = f"{within:.3f} % of pixels within 2 of 255 levels in {gate['samples']:,} samples"
    return f"{'' if graph.precision['file'] else 'refused: '}{seen}, emulated"


def measured(evaluation):
    """One evaluation as a table: every figure with its interval and count; parts of a figure in a line each."""
    evaluated, data, options, judge = (evaluation[key] for key in ("evaluated", "data", "options", "judge"))
    lines = [
        f"{data['images']:,} images of {data['name']}, split '{data['split']}'; {options['samples']:,} samples at "
        f"temperature {options['temperature']}, seed {options['seed']}; {evaluated['ran']}. Judge sha256 "
        f"{judge['sha256']}, right on {100 * judge['test']['accuracy']:.2f} % of {judge['test']['images']:,} "
        f"{judge['data']['name']} test images.",
        "",
        "| figure | value | 95 % interval | images | unit; note |",
        "|---|---|---|---|---|",
    ]
    parts = {}
    for name, figure in evaluation["figures"].items():
        head, slash, part = name.partition("/")
        if slash:
            parts.setdefault(head, []).append(f"{part} {figure['value']:.4g}")
            continue
        text = "; ".join(filter(None, (figure["unit"], figure["note"])))
        interval = f"{figure['low']:.4g} to {figure['high']:.4g}"
        lines.append(row([name, f"{figure['value']:.4g}", interval, f"{figure['count']:,}", text]))
    lines += ["", *(f"- {head} by part: {', '.join(items)}" for head, items in parts.items())]
    lines += [f"- no {name}: {why}" for name, why in evaluation["absent"].items()]
    lines += [f"- {note}" for note in evaluation["notes"]]
    return "\n".join(lines)


def recipe(name, bundle, evaluations):
    """Data, versions and the commands that make the bundle and this page again."""
    manifest, run = bundle.manifest, f"runs/{name}"
    data, settings = manifest["data"], manifest["settings"]
    train, others = train_commands(settings, run)
    results = [f"{run}{'' if index == 0 else f'-{index + 1}'}.json" for index in range(len(evaluations))]
    commands = [
        *train,
        export_command(manifest, run, f"{run}.zip"),
        *evaluating(manifest, evaluations, run, results),
        ["latentjet", "card", f"{run}.zip", *results, "--out", "docs/models"],
    ]
    made = ", ".join(f"{key} {value}" for key, value in sorted(manifest["made_by"].items()))
    lines = [f"Seed {settings['seed']}; {data['images']:,} training images of {data['name']}; exported with {made}."]
    if others:
        told = ", ".join(f"{key} {value}" for key, value in others.items())
        lines.append(f"Settings without an option: {told}.")
    return "\n".join([*lines, "", "```sh", *map(wrapped, commands), "```"])


def evaluating(manifest, evaluations, run, results):
    """The commands of the evaluations: of the checkpoint or the bundle, as it was; where the bundle has no weights but
    an encoder was measured, of one that has them."""
    whole, exported = f"{run}.bundle", False
    for evaluation, result in zip(evaluations, results, strict=True):
        encoded = "bce_kl" in evaluation["figures"] and "weights.npz" not in manifest["files"]
        if evaluation["evaluated"]["kind"] == "checkpoint":
            yield evaluate_command(evaluation, run, result)
        elif encoded:
            if not exported:
                yield ["latentjet", "export", run, whole]
            exported = True
            yield evaluate_command(evaluation, whole, result)
        else:
            yield evaluate_command(evaluation, f"{run}.zip", result)


def picture(bundle):
    """The bundle's own preview, or a new one where it has none."""
    if "preview.png" in bundle.manifest["files"]:
        return bundle.read("preview.png")
    from .pack import draw_preview

    return draw_preview(bundle)


def write(bundle, evaluations, folder, name=None, overwrite=False):
    """Bundle, paths of evaluations -> path of the card in a folder; the picture is written first.

    Raises InputError for what is no evaluation of this bundle, OutputError: the card exists, or cannot be written.
    """
    name = name or name_of(bundle.path)
    places = [Path(folder) / f"{name}{end}" for end in (".png", ".md")]
    for place in places:
        refuse_existing(place, overwrite)
    if bundle.image is None:
        raise InputError(f"{bundle.path} makes no images: a card needs a model of images")
    text = card(name, bundle, [read_evaluation(path, bundle) for path in evaluations])
    try:
        Path(folder).mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError(cannot_write(folder, error)) from error
    write_file(str(places[0]), picture(bundle))
    write_file(str(places[1]), text.encode())
    return str(places[1])


def make_parser():
    parser = argparse.ArgumentParser(
        prog="latentjet card", description="A bundle and its evaluations -> its model card, with a picture beside it."
    )
    parser.add_argument("bundle", metavar="BUNDLE", help="a bundle's folder or .zip, or a name from `latentjet models`")
    parser.add_argument("evaluations", nargs="+", metavar="EVALUATION.json", help="what latentjet evaluate --out wrote")
    parser.add_argument("--out", default="docs/models", metavar="DIR", help="where to write (default docs/models)")
    parser.add_argument("--name", help="of the card (default: the bundle's)")
    parser.add_argument("--overwrite", action="store_true", help="replace a card that exists")
    return parser


def main(argv=None):
    args = make_parser().parse_args(argv)
    try:
        print(write(Bundle.open(args.bundle), args.evaluations, args.out, args.name, args.overwrite))
    except LatentjetError as error:
        print(f"latentjet card: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
