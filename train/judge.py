"""The judge: a small convolutional classifier, frozen, by whose eyes `latentjet evaluate` looks at images.

It gives a label (conditional accuracy) and 64 features (FID and KID): its penultimate layer, divided by one number, so
that their mean square over the judge's training images is 1. Judges of MNIST and FashionMNIST ship in judges/, so
everybody measures with the same features; a file's sha256 names the judge.

A judge's file is an .npz without pickle, as checkpoints are: json (model, settings, data, test, feature_rms) and
judge/NAME, its weights in half precision. All that is said of a judge is said of the weights in its file.
"""

import hashlib
from pathlib import Path
from typing import NamedTuple

import torch
from torch import nn

from . import checkpoint
from .errors import CheckpointError, DataError

FEATURES = 64
SHIPPED = Path(__file__).parent / "judges"
JUDGE_OF = {"mnist": "mnist.npz", "fashion-mnist": "fashion-mnist.npz", "fashion-sample": "fashion-mnist.npz"}
BATCH = 500


class Classifier(nn.Module):
    """Three 3x3 convolutions with 16, 32 and 64 channels, two poolings, 64 features, classes.

    image: (C, H, W), H and W at least 4. Shapes: images (N, C, H, W) in [0, 1]; features (N, 64), not negative;
    logits (N, classes).
    """

    def __init__(self, image, classes):
        super().__init__()
        channels, height, width = image
        self.arguments = {"image": list(image), "classes": classes}
        self.eyes = nn.Sequential(
            *_convolution(channels, 16), nn.MaxPool2d(2), *_convolution(16, 32), nn.MaxPool2d(2), *_convolution(32, 64),
            nn.Flatten(), nn.Dropout(0.25), nn.Linear(64 * (height // 4) * (width // 4), FEATURES), nn.ReLU(),
        )  # fmt: skip
        self.last = nn.Linear(FEATURES, classes)

    def features(self, images):
        return self.eyes(images)

    def forward(self, images):
        return self.last(self.eyes(images))


def _convolution(before, after):
    return nn.Conv2d(before, after, 3, padding=1, bias=False), nn.BatchNorm2d(after), nn.ReLU()


class Judge(NamedTuple):
    """A frozen classifier; about: what its file says of it, a dict; sha256: of its file."""

    classifier: Classifier
    about: dict
    sha256: str

    @torch.no_grad()
    def look(self, x8):
        """uint8 images (N, C, H, W) -> features (N, 64), float32 array, and predicted labels (N,), int64 array."""
        features, labels = [], []
        for part in x8.split(BATCH):
            seen = self.classifier.features(part.float() / 255)
            features.append(seen / self.about["feature_rms"])
            labels.append(self.classifier.last(seen).argmax(1))
        return torch.cat(features).numpy(), torch.cat(labels).numpy()


def accuracy(judge, images):
    """The share of the images of a Data that a Judge labels rightly."""
    return float((judge.look(images.images)[1] == images.labels.numpy()).mean())


def classifier_of(about, arrays, path):
    """What a judge's file holds -> its Classifier in float32, evaluating; path is for CheckpointError."""
    try:
        model = Classifier(**about["model"]["arguments"])
    except (KeyError, TypeError, ValueError, RuntimeError) as error:
        raise CheckpointError(f"{path} is no judge: it describes no classifier ({error})") from error
    state = checkpoint.Checkpoint(about, arrays).state("judge")
    state = {name: tensor.float() if tensor.is_floating_point() else tensor for name, tensor in state.items()}
    checkpoint.load_state(model, state, "the judge")
    return model.eval()


def load(path):
    """Path of a judge's file -> Judge. Raises CheckpointError."""
    if not Path(path).is_file():
        raise CheckpointError(f"{path} is no file: expected a judge, which `latentjet judge --out` writes")
    stored = checkpoint.load(path)
    lacking = [key for key in ("data", "settings", "test", "feature_rms") if key not in stored.about]
    if lacking:
        raise CheckpointError(f"{path} is no judge, it lacks '{lacking[0]}': make one with `latentjet judge`")
    classifier = classifier_of(stored.about, stored.arrays, path)
    return Judge(classifier, stored.about, hashlib.sha256(Path(path).read_bytes()).hexdigest())


def find(images, path=None):
    """Data, path of a judge's file (None: the one that ships) -> its Judge. Raises CheckpointError, DataError."""
    if path is None and images.name not in JUDGE_OF:
        raise DataError(
            f"no judge ships for the data set '{images.name}': make one with `latentjet judge --data {images.name} "
            "--out judge.npz`, then give --judge judge.npz"
        )
    path = path or SHIPPED / JUDGE_OF[images.name]
    judge = load(path)
    known, shape = judge.about["data"]["classes"], list(images.images.shape[1:])
    if known != images.classes:
        raise DataError(
            f"the judge {path} knows the classes {', '.join(known)}, the data have {', '.join(images.classes)}: "
            "give a --judge of these classes"
        )
    if judge.classifier.arguments["image"] != shape:
        seen = judge.classifier.arguments["image"]
        raise DataError(f"the judge {path} looks at images {seen}, the data are {shape} (C, H, W): give another")
    return judge
