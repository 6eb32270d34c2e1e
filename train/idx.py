"""The idx format of MNIST and its relatives (http://yann.lecun.com/exdb/mnist), gzipped or plain, checked.

torchvision's own reader does not take gzipped files and knows no checksum of what is inside them, so a file that
somebody recompressed (Debian's package does) fails there. The sums here are of the contents.
"""

import gzip
import hashlib
import math
import zlib
from pathlib import Path

import numpy as np

from .errors import DataError

FILES = {
    "train": ("train-images-idx3-ubyte", "train-labels-idx1-ubyte"),
    "test": ("t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte"),
}

SHA256 = {
    "mnist": {
        "train-images-idx3-ubyte": "ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db",
        "train-labels-idx1-ubyte": "65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5",
        "t10k-images-idx3-ubyte": "0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7",
        "t10k-labels-idx1-ubyte": "ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2",
    },
    "fashion-mnist": {
        "train-images-idx3-ubyte": "c59f468a2f672dc815687fe0f83887768d799fd8a3f3276145d20f83aa44d888",
        "train-labels-idx1-ubyte": "bad3541b69d912435c50bb6ba87bec294ff4f6a2e1246121d8633921760443d9",
        "t10k-images-idx3-ubyte": "5b4141f0afbad91edebe8549f8fcffe087ea10ca49f1dbef5c9a5cd8815ce37b",
        "t10k-labels-idx1-ubyte": "0402a96d92fd2663957122ceb108a494c5af83dab82d92729df917d7dec38c34",
    },
    "fashion-sample": {
        "train-images-idx3-ubyte": "cf313073c7eb485392848071d5c433571d7166043e971e3345b095cc30518084",
        "train-labels-idx1-ubyte": "097b93fbcf9bd5bc648b1a457ddc55c9e4ab49afb33f9ecae8ce068399a75e3a",
        "t10k-images-idx3-ubyte": "7cee33c3c6414b1b86c25e665a6c4f41584269de3b7cc9768b1d351922845eef",
        "t10k-labels-idx1-ubyte": "3128d790775889812b73c4f13923559c8b9e281d112c6ea7862acf60a206a909",
    },
}


def find(folder):
    """Folder -> {name without .gz: path} of the idx files in it; complete only if it has all four."""
    found = {}
    for name in FILES["train"] + FILES["test"]:
        for path in (Path(folder) / name, Path(folder) / (name + ".gz")):
            if path.is_file():
                found.setdefault(name, path)
    return found


def read(path, sha256=None):
    """Path of an idx file of bytes -> uint8 array. Raises DataError, with the file's name, if it is damaged."""
    content = _content(path)
    if len(content) < 4 or content[:3] != b"\x00\x00\x08":
        raise DataError(f"{path} is no idx file of bytes: it starts with {content[:4].hex()}, expected 000008..")
    rank = content[3]
    shape = [int.from_bytes(content[4 + 4 * i : 8 + 4 * i], "big") for i in range(rank)]
    expected = 4 + 4 * rank + math.prod(shape)
    if len(content) != expected:
        raise DataError(f"{path} holds {len(content)} bytes, expected {expected} for shape {shape}: fetch it again")
    if sha256 and hashlib.sha256(content).hexdigest() != sha256:
        raise DataError(
            f"{path} is not the published file: sha256 of its contents is {hashlib.sha256(content).hexdigest()[:16]}…, "
            f"expected {sha256[:16]}…; fetch it again"
        )
    return np.frombuffer(content, np.uint8, offset=4 + 4 * rank).reshape(shape)


def _content(path):
    try:
        content = Path(path).read_bytes()
        return gzip.decompress(content) if str(path).endswith(".gz") else content
    except (EOFError, gzip.BadGzipFile, zlib.error) as error:
        raise DataError(f"{path} is truncated or damaged ({error}): fetch it again") from error
    except OSError as error:
        raise DataError(f"{path} cannot be read: {error.strerror}") from error


def read_split(files, split, sums):
    """Paths by name, "train" or "test", sha256 by name -> images (N, H, W), labels (N,), both uint8."""
    images, labels = (read(files[name], sums[name]) for name in FILES[split])
    if images.ndim != 3 or labels.ndim != 1 or len(images) != len(labels):
        raise DataError(
            f"{files[FILES[split][0]]} has shape {images.shape} and its labels {labels.shape}: "
            "expected (N, H, W) and (N,)"
        )
    return images, labels
