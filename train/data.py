"""Data sets: where they are looked for, and what comes back.

Looked for in this order: the folder that was named, $LATENTJET_DATA, what the system has (Debian's package
dataset-fashion-mnist), earlier downloads, torchvision's download, and for FashionMNIST the sample that ships here.
A folder that was named is taken or refused, never passed over.
"""

import collections
import os
import socket
import sys
from http.client import HTTPException
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch

from . import idx
from .errors import DataError

DIGITS = [str(digit) for digit in range(10)]
CLOTHES = [
    "T-shirt/top", "Trouser", "Pullover", "Dress", "Coat", "Sandal", "Shirt", "Sneaker", "Bag", "Ankle boot",
]  # fmt: skip
SAMPLE = Path(__file__).parent / "sample"
SYSTEM = Path("/usr/share/datasets")
NAMES = ("mnist", "fashion-mnist", "fashion-sample", "cifar10")


class Data(NamedTuple):
    """images uint8 (N, C, H, W); labels int64 (N,); classes: their names; name and source: what it is and whence."""

    images: torch.Tensor
    labels: torch.Tensor
    classes: list
    name: str
    source: str


def load(name, split="train", data_dir=None, download=True, size=None):
    """Name of a data set, or path of a folder of class folders -> Data of its "train" or "test" split.

    size: (H, W) to which the images of a folder are resized; without it they must all be of one size.
    Raises DataError that names the file or folder, and what to do.
    """
    if split not in idx.FILES:
        raise DataError(f"split is '{split}', expected 'train' or 'test'")
    if size and name in NAMES:
        raise DataError(f"--size resizes the images of a folder, and {name} is none: leave it out")
    if name == "fashion-sample":
        return _load_idx(name, split, SAMPLE, "ships with latentjet", CLOTHES)
    if name in ("mnist", "fashion-mnist"):
        return _find_idx(name, split, data_dir, download)
    if name == "cifar10":
        return _find_cifar(split, data_dir, download)
    if Path(name).is_dir():
        return _load_folder(Path(name), split, size)
    raise DataError(f"data set '{name}' is neither a folder nor one of {', '.join(NAMES)}")


def hold_out(data, fraction, seed):
    """Data -> (training, validation): a seeded random share of the training set is held out, the same every time."""
    order = torch.randperm(len(data.labels), generator=torch.Generator().manual_seed(seed))
    count = max(1, int(len(order) * fraction))
    if count >= len(order):
        raise DataError(f"{data.name} has {len(order)} images: too few to hold {count} out for validation")
    return take(data, order[count:]), take(data, order[:count])


def first(data, count):
    """Data -> its first `count` images, all of them where count is None."""
    return data._replace(images=data.images[:count], labels=data.labels[:count])


def take(data, rows):
    """Data, tensor of row numbers -> these images, in their order in the data."""
    rows = rows.sort().values
    return data._replace(images=data.images[rows], labels=data.labels[rows])


def cache():
    """The folder that downloads go to."""
    return Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "latentjet"


def _torchvision(name):
    from torchvision import datasets

    return {"mnist": datasets.MNIST, "fashion-mnist": datasets.FashionMNIST, "cifar10": datasets.CIFAR10}[name]


def _named_folder(data_dir):
    if data_dir:
        return Path(data_dir), f"--data-dir {data_dir}"
    if os.environ.get("LATENTJET_DATA"):
        return Path(os.environ["LATENTJET_DATA"]), f"$LATENTJET_DATA {os.environ['LATENTJET_DATA']}"
    return None, None


def _within(folder, name):
    """The places inside a folder where an idx data set may lie: itself, its own name, torchvision's name."""
    torchvision = {"mnist": "MNIST", "fashion-mnist": "FashionMNIST"}[name]
    return [folder, folder / name, folder / torchvision / "raw"]


def _complete(folder, name):
    return next((place for place in _within(folder, name) if len(idx.find(place)) == 4), None)


def _find_idx(name, split, data_dir, download):
    classes = {"mnist": DIGITS, "fashion-mnist": CLOTHES}[name]
    folder, source = _named_folder(data_dir)
    if folder:
        place = _complete(folder, name)
        if not place:
            raise DataError(_incomplete(folder, name, source))
        return _load_idx(name, split, place, source, classes)
    for folder, source in ((SYSTEM, "this system's package"), (cache(), "an earlier download")):
        place = _complete(folder / name, name) or _complete(folder, name)
        if place:
            return _load_idx(name, split, place, f"{source}, {place}", classes)
    problem = _download(name) if download else "downloading is off"
    if problem is None:
        return _load_idx(name, split, _complete(cache(), name), f"downloaded to {cache()}", classes)
    if name == "fashion-mnist":
        print(f"fashion-mnist cannot be downloaded ({problem}): taking the sample that ships here", file=sys.stderr)
        return _load_idx("fashion-sample", split, SAMPLE, "ships with latentjet", classes)
    raise DataError(
        f"{name} is not on this machine and cannot be downloaded ({problem}): put its four idx files "
        f"(plain or .gz) into a folder and name it with --data-dir or $LATENTJET_DATA"
    )


def _incomplete(folder, name, source):
    if not folder.is_dir():
        return f"{source} is no folder: expected one with the four idx files of {name}"
    found = max((idx.find(place) for place in _within(folder, name)), key=len)
    missing = [file for file in idx.SHA256[name] if file not in found]
    return f"{source} lacks {', '.join(missing)} (plain or .gz), looked for there and in its folder '{name}'"


def _load_idx(name, split, place, source, classes):
    images, labels = idx.read_split(idx.find(place), split, idx.SHA256[name])
    return Data(_tensor(images[:, None]), _tensor(labels).long(), list(classes), name, source)


def _tensor(array):
    return torch.from_numpy(np.array(array))


def _download(name):
    """Download with torchvision's own progress bar into cache(); None, or why it could not."""
    before = socket.getdefaulttimeout()
    socket.setdefaulttimeout(20)
    try:
        cache().mkdir(parents=True, exist_ok=True)
        _torchvision(name)(str(cache()), download=True)
    except (OSError, RuntimeError, HTTPException) as error:
        return (str(error).strip() or type(error).__name__).splitlines()[-1]
    finally:
        socket.setdefaulttimeout(before)
    return None


def _find_cifar(split, data_dir, download):
    folder, source = _named_folder(data_dir)
    problem = None
    if not folder:
        folder, source = cache(), f"downloaded to {cache()}"
        problem = _download("cifar10") if download else "downloading is off"
    try:
        data = _torchvision("cifar10")(str(folder), train=split == "train")
    except (RuntimeError, OSError) as error:
        reason = problem or (str(error).strip() or type(error).__name__).splitlines()[0]
        raise DataError(
            f"cifar10 is not complete in {folder} ({reason}): unpack cifar-10-python.tar.gz there, "
            "or name its folder with --data-dir or $LATENTJET_DATA"
        ) from error
    images = _tensor(data.data).permute(0, 3, 1, 2).contiguous()
    return Data(images, torch.tensor(data.targets), list(data.classes), "cifar10", source)


def _load_folder(folder, split, size):
    from torchvision import datasets, transforms

    root = _split_folder(folder, split)
    steps = ([transforms.Resize(size)] if size else []) + [transforms.PILToTensor()]
    try:
        data = datasets.ImageFolder(str(root), transform=transforms.Compose(steps), allow_empty=True)
    except FileNotFoundError as error:
        raise DataError(f"{root} has no class folders: expected one for each class, with its images in it") from error
    empty = sorted(set(data.class_to_idx.values()) - set(data.targets))
    if empty:
        raise DataError(
            f"{root / data.classes[empty[0]]} has no images (of {', '.join(datasets.folder.IMG_EXTENSIONS)}): "
            "every class needs some; add them, or remove the folder"
        )
    order = _in_turn(data.targets)
    labels = torch.tensor(data.targets)[order]
    return Data(_one_size(data)[order], labels, list(data.classes), folder.name, str(root))


def _in_turn(targets):
    """Classes of images -> the order that takes the classes in turn, so that the first N are of all of them."""
    seen, places = collections.Counter(), []
    for row, target in enumerate(targets):
        places.append((seen[target], target, row))
        seen[target] += 1
    return [row for *_, row in sorted(places)]


def _split_folder(folder, split):
    """The folder itself, or its train/ or test/ where it has one of them."""
    halves = [half for half in idx.FILES if (folder / half).is_dir()]
    if halves and split not in halves:
        raise DataError(f"{folder} has a folder '{halves[0]}', but none named '{split}'")
    return folder / split if halves else folder


def _one_size(data):
    """An ImageFolder -> its images (N, C, H, W); raises DataError that names two files of different sizes."""
    images, shapes = [], {}
    for index, (path, _) in enumerate(data.samples):
        try:
            images.append(data[index][0])
        except (OSError, SyntaxError, ValueError) as error:  # Pillow raises each of them
            raise DataError(f"{path} cannot be read as an image: {error}") from error
        shapes.setdefault(tuple(images[-1].shape), path)
    if len(shapes) > 1:
        (first, one), (second, other), *_ = shapes.items()
        raise DataError(f"{one} is {first} and {other} is {second} (C, H, W): make them one size, or give --size")
    return torch.stack(images)
