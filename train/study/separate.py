"""latentjet study pixels: which images one pixel is tried on, real ones and generated ones, and the page about it."""

import sys
from pathlib import Path

import numpy as np
import torch

from .. import checkpoint, data, subject
from ..errors import DataError, StudyError
from ..settings import FAMILIES
from . import page, pixels, plots, results

HEADING = """# Study: pixels

How easy is the data set: how far does one pixel tell two classes apart?"""
SEEDS = (0, 1)  # of the noise of generated images to choose on, and to test on


def run(args):
    """Arguments of the command line -> results.json and pictures beside the page, and its table."""
    parts = []
    for name in filter(None, args.data.split(",")):
        parts += real(name, args)
    for path in args.checkpoint:
        parts += generated(path, args)
    if not parts:
        raise StudyError("nothing to look at: give --data, --checkpoint or both")
    target = Path(args.out).with_suffix("")
    target.mkdir(parents=True, exist_ok=True)
    found = [part["result"] for part in parts]
    content = {"kind": "pixels", "made_on": results.machine(), "rows": found}
    results.write_json(target, content)
    plots.draw_matrices(target / "matrices.png", found)
    plots.draw_means(target / "pixels.png", [(part["result"], part["means"]) for part in parts if part["own"]])
    text = [*table(found), "", *pictures(target.name)]
    page.put(args.out, HEADING, text)
    print("\n".join(table(found)))
    return 0


def read(name, split, args):
    found = data.load(name, split, args.data_dir, not args.no_download)
    print(f"data: {found.name}, {len(found.labels)} images of split '{split}', {found.source}", file=sys.stderr)
    return found


def part(name, chosen, tested, training, test, own=True):
    """Words and two Data -> what one pixel tells: the results, and the mean image of each class chosen on."""
    pairs = pixels.separability(*((one.images.numpy(), one.labels.numpy()) for one in (training, test)))
    classes = range(len(training.classes))
    means = [training.images[training.labels == label].float().mean(0).numpy() / 255 for label in classes]
    result = {
        "name": name, "chosen_on": chosen, "tested_on": tested, "images": [len(training.labels), len(test.labels)],
        "classes": training.classes, **pixels.summary(pairs), "each": pairs,
    }  # fmt: skip
    return {"result": result, "means": np.stack(means), "own": own}


def real(name, args):
    return [part(name, "real train", "real test", read(name, "train", args), read(name, "test", args))]


def generated(path, args):
    """A checkpoint -> what one pixel tells of its samples; chosen on real images, tested on samples; and back."""
    stored = checkpoint.load(path)
    about, family = stored.about["data"], stored.about["settings"]["family"]
    model = stored.model()
    if not model.classes:
        raise DataError(f"{path} holds an unconditional {family}: its samples have no classes to tell apart")
    own = subject.of_model(model, about["classes"], torch.device("cpu"), "eager")
    temperature = FAMILIES[family].temperature if args.temperature is None else args.temperature
    labels = torch.arange(model.classes).repeat_interleave(args.count)
    samples = [
        data.Data(subject.draw(own, labels, temperature, seed), labels, about["classes"], family, str(path))
        for seed in SEEDS
    ]
    training, test = (read(about["name"], split, args) for split in ("train", "test"))
    words = f"{family} on {about['name']}, temperature {temperature:g}"
    return [
        part(words, "generated", "generated", *samples),
        part(words, "real train", "generated", training, samples[1], own=False),
        part(words, "generated", "real test", samples[0], test, own=False),
    ]


def table(rows):
    lines = ["| images | rule chosen on | tested on | median | lowest (pair) | pairs >= 0.8 |", "|" + " --- |" * 6]
    for row in rows:
        pair = " / ".join(row["classes"][label] for label in row["hardest"])
        reach = f"{row['at_least_0.8']} of {row['pairs']}"
        chosen = f"{row['chosen_on']}, {row['images'][0]:,}"
        tested = f"{row['tested_on']}, {row['images'][1]:,}"
        words = [row["name"], chosen, tested, f"{row['median']:.4f}", f"{row['lowest']:.4f} ({pair})", reach]
        lines.append("| " + " | ".join(words) + " |")
    return lines


def pictures(folder):
    shown = [
        ("Balanced accuracy of the best pixel and threshold for each pair of classes.", "matrices.png"),
        ("Mean image of each class, and the pixels that were chosen to tell it from the nine others.", "pixels.png"),
    ]
    return [line for words, file in shown for line in (f"![{words}]({folder}/{file})", "", f"*{words}*", "")][:-1]
