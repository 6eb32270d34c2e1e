"""latentjet judge: trains the classifier that `latentjet evaluate` judges with, and writes its file."""

import argparse
import sys
from pathlib import Path

import numpy as np
import torch
from torch.nn import functional

from . import checkpoint, data
from .errors import SettingsError, TrainError
from .judge import Classifier, Judge, accuracy, classifier_of, load

SHIFT = 1


def shifted(images, generator):
    """Images (N, C, H, W), all moved by the same random step of at most SHIFT pixels, zeros moved in."""
    down, right = torch.randint(0, 2 * SHIFT + 1, (2,), generator=generator).tolist()
    padded = functional.pad(images, (SHIFT,) * 4)
    return padded[:, :, down : down + images.shape[2], right : right + images.shape[3]]


def train(training, settings, progress):
    """Data, settings (seed, epochs, batch, lr) -> a trained Classifier; progress: called with a line an epoch."""
    torch.manual_seed(settings["seed"])
    generator = torch.Generator().manual_seed(settings["seed"])
    model = Classifier([int(size) for size in training.images.shape[1:]], len(training.classes))
    optimizer = torch.optim.AdamW(model.parameters(), lr=settings["lr"], weight_decay=0.02)
    steps = -(-len(training.labels) // settings["batch"]) * settings["epochs"]
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, settings["lr"], total_steps=steps, pct_start=0.2)
    for epoch in range(1, settings["epochs"] + 1):
        total = 0.0
        for rows in torch.randperm(len(training.labels), generator=generator).split(settings["batch"]):
            logits = model(shifted(training.images[rows].float() / 255, generator))
            loss = functional.cross_entropy(logits, training.labels[rows])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            schedule.step()
            total += loss.item() * len(rows)
        progress(f"epoch {epoch:>2}/{settings['epochs']}  cross-entropy {total / len(training.labels):.4f}")
    return model.eval()


def in_half(model):
    """A Classifier's weights as half-precision arrays by name; counters stay integers."""
    state = checkpoint.arrays_of("judge", model.state_dict())
    return {name: array.astype(np.float16) if array.dtype == np.float32 else array for name, array in state.items()}


def make(training, test, settings, path, progress):
    """Train a judge, measure it on test images as its file has it, write it -> Judge."""
    arrays = in_half(train(training, settings, progress))
    shape = list(training.images.shape[1:])
    about = {
        "model": {"class": "Classifier", "arguments": {"image": shape, "classes": len(training.classes)}},
        "settings": settings,
        "data": {"name": training.name, "classes": list(training.classes), "images": len(training.labels)},
    }  # fmt: skip
    unscaled = Judge(classifier_of(about, arrays, path), {**about, "feature_rms": 1.0}, "")
    about["feature_rms"] = float(np.sqrt(np.square(unscaled.look(training.images)[0], dtype=np.float64).mean()))
    about["test"] = {"accuracy": accuracy(unscaled, test), "images": len(test.labels)}
    checkpoint.save(path, about, arrays)
    return load(path)


def make_parser():
    parser = argparse.ArgumentParser(
        prog="latentjet judge", description="Train the classifier that `latentjet evaluate` judges samples with."
    )
    parser.add_argument("--data", default="fashion-mnist", help="a data set, as `latentjet train` takes it")
    parser.add_argument("--data-dir", metavar="DIR", help="where the data lie")
    parser.add_argument("--no-download", action="store_true", help="never use the network")
    parser.add_argument("--size", type=int, help="resize the images of a folder to SIZE x SIZE")
    parser.add_argument("--limit", type=int, metavar="N", help="take the first N training images only")
    parser.add_argument("--epochs", type=int, default=10)
    parser.add_argument("--batch", type=int, default=128)
    parser.add_argument("--lr", type=float, default=4e-3, help="peak learning rate")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", required=True, metavar="FILE.npz", help="where to write; must not exist")
    return parser


def refuse(args):
    """Raises SettingsError that names the first option out of range, or an --out that is taken."""
    for name in ("epochs", "batch", "limit", "size"):
        value = getattr(args, name)
        if value is not None and value < 1:
            raise SettingsError(f"--{name} is {value}, expected at least 1")
    if not 0 < args.lr < 1:
        raise SettingsError(f"--lr is {args.lr}, expected between 0 and 1")
    if not 0 <= args.seed < 2**32:
        raise SettingsError(f"--seed is {args.seed}, expected between 0 and {2**32 - 1}")
    if Path(args.out).exists():
        raise SettingsError(f"--out {args.out} exists: name another file, or delete it")
    if not Path(args.out).parent.is_dir():
        raise SettingsError(f"--out {args.out}: there is no folder {Path(args.out).parent}")


def run(args):
    refuse(args)
    size = (args.size, args.size) if args.size else None
    training, test = (
        data.load(args.data, split, args.data_dir, not args.no_download, size) for split in ("train", "test")
    )
    training = data.first(training, args.limit)
    print(f"data: {training.name}, {len(training.labels)} training images, {training.source}", file=sys.stderr)
    settings = {name: getattr(args, name) for name in ("epochs", "batch", "lr", "seed")}
    judge = make(training, test, settings, args.out, lambda line: print(line, file=sys.stderr, flush=True))
    print(f"{args.out}: {judge.about['test']['accuracy']:.2%} of {len(test.labels)} test images right")
    print(f"sha256 {judge.sha256}")
    return 0


def main(argv=None):
    args = make_parser().parse_args(argv)
    try:
        return run(args)
    except TrainError as error:
        print(f"latentjet judge: {error}", file=sys.stderr)
        return 1
    except OSError as error:
        print(f"latentjet judge: {args.out} cannot be written: {error.strerror or error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("\nstopped: nothing was written", file=sys.stderr)
        return 130


if __name__ == "__main__":
    sys.exit(main())
