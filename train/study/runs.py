"""One point of a study: train it (or go on with it, or take it as it is), then measure it.

A run's folder is named after what it was trained with, so points that differ in their sampling temperature share one.
"""

import contextlib
import fcntl
import functools
import hashlib
import re
from pathlib import Path
from typing import NamedTuple

import torch

from .. import checkpoint, data, fit, judge
from ..errors import EvaluationError, NotFiniteError
from ..settings import FAMILIES
from . import measured
from .definition import HISTORY, brief, corners, title


def folder_name(point):
    """A point -> the name of its run's folder: "latent=20_seed=1"; one that may be ambiguous ends in a hash."""
    trained = {name: value for name, value in sorted(point.items()) if name != "temperature"}
    words = "_".join(f"{name}={brief(value)}" for name, value in trained.items())
    name = re.sub(r"[^\w=.,-]", "-", words)[:150] or "all"
    exact = all(isinstance(value, int) or str(value) == brief(value) for value in trained.values())
    if exact and name == words:
        return name
    return f"{name}_{hashlib.sha256(repr(trained).encode()).hexdigest()[:8]}"


@contextlib.contextmanager
def held(folder):
    """Context: no other process of this machine is in the same block for the same folder."""
    folder.mkdir(parents=True, exist_ok=True)
    with open(folder / ".held", "w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


@functools.lru_cache(maxsize=2)
def read(name, split, data_dir, download, size):
    """Data of a split, kept from one point to the next."""
    return data.load(name, split, data_dir, download, (size, size) if size else None)


class Place(NamedTuple):
    """Where runs go and what they run on; out: Path of the study's folder; judge: path, None for the one that ships."""

    out: Path
    device: object
    data_dir: str = None
    download: bool = True
    judge: str = None

    def folder(self, point):
        return self.out / "runs" / folder_name(point)

    def split(self, settings, count):
        """Settings, number of images to measure on -> Data to train on, to validate on, to measure on.

        The last are training images as well, the same ones in every run: a study chooses, so it keeps off the test set.
        """
        whole = read(settings["data"], "train", self.data_dir, self.download, settings.get("size"))
        rest, kept = data.hold_out(whole, count / len(whole.labels), 0)
        rest = data.first(rest, settings.get("limit"))
        return *data.hold_out(rest, settings["validation"], settings["seed"]), kept


def check(place, definition):
    """Raises DataError or CheckpointError where images or a judge are missing, before any training."""
    for settings in map(definition.resolve, corners(definition)):
        whole = read(settings["data"], "train", place.data_dir, place.download, settings.get("size"))
        if not set(definition.figures) <= set(HISTORY):
            judge.find(whole, place.judge)


def measure(place, definition, point):
    """Train a point and measure it -> {figure: number}, or a text where training diverged."""
    settings, folder = definition.resolve(point), place.folder(point)
    training, held_out, kept = place.split(settings, definition.images)
    with held(folder):
        stored = checkpoint.load(folder) if (folder / checkpoint.NAME).is_file() else None
        try:
            last = settings["epochs"]  # pictures of that epoch only
            fit.fit(settings, training, held_out, folder, place.device, stored, show=False, pictures_every=last)
            stored = checkpoint.load(folder)
            return figures(place, definition, stored, definition.given(point), training, kept)
        except (NotFiniteError, EvaluationError) as error:  # any other error is not a result of this point
            return str(error).split(";")[0]  # what became of it, without the advice to a person


def figures(place, definition, stored, given, others, images):
    """A stored run -> {figure: number}: the last epoch's losses, and what measured.py finds if that is asked for."""
    last = stored.about["history"][-1]
    found = {name: last[name] for name in HISTORY if name in last}
    if set(definition.figures) <= set(HISTORY):
        return found
    model, temperature = stored.model(), given.get("temperature")
    return {**found, **measured.figures(model, given["family"], images, others, temperature, place)}


@torch.no_grad()
def strips(place, definition, rows, columns=10):
    """Finished rows -> [(words, samples (columns, C, H, W))] of the first run of each group of seeds that lies here."""
    found = {}
    for row in rows:
        words = title({name: value for name, value in row["point"].items() if name != "seed"})
        path = place.folder(row["point"]) / checkpoint.NAME
        if words not in found and not row["diverged"] and path.is_file():
            given = definition.given(row["point"])
            model, default = checkpoint.load(path).model(), FAMILIES[given["family"]].temperature
            noise = torch.randn(columns, model.latent, generator=torch.Generator().manual_seed(0))
            labels = torch.eye(model.classes)[torch.arange(columns) % model.classes] if model.classes else None
            found[words] = model.decode(given.get("temperature", default) * noise, labels).clamp(0, 1).numpy()
    return list(found.items())
