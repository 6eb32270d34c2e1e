"""What is exported: a checkpoint, or a bundle with weights that is exported again."""

from pathlib import Path
from typing import NamedTuple

from ..runtime.bundle import MANIFEST, Bundle
from ..runtime.errors import BundleError, ExportError
from ..runtime.shipped import find, names
from ..train import checkpoint as checkpoints
from ..train.errors import CheckpointError
from ..train.models import MODELS
from .subject import eager_model, is_checkpoint


class Source(NamedTuple):
    """model: the trained model, in evaluation mode; about: what a manifest says of it and of its training (family,
    model, classes, data, trained, settings)."""

    model: object
    about: dict


def opened(path):
    """Path of a checkpoint, of a bundle, or a name that ships -> Source.

    Raises CheckpointError, BundleError, ExportError for a bundle without the weights of a model.
    """
    if is_bundle(path):
        return of_bundle(Bundle.open(path))
    if not Path(path).exists():
        raise CheckpointError(
            f"{path} does not exist: give the folder that `latentjet train --out` wrote, a bundle with its weights, or "
            f"a name that ships ({', '.join(names())})"
        )
    return of_checkpoint(checkpoints.load(path))


def is_bundle(path):
    """Does a path lead to a bundle and to no checkpoint? (A .npz is a checkpoint.)"""
    if is_checkpoint(path):
        return False
    place = Path(path)
    return (place / MANIFEST).is_file() or place.suffix == ".zip" or find(str(path)) not in (None, str(path))


def of_checkpoint(stored):
    about, model = stored.about, stored.model()
    return Source(
        model,
        {
            "family": about["settings"]["family"],
            "model": about["model"],
            "classes": about["data"]["classes"] if model.classes else [],
            "data": about["data"],
            "trained": trained(about, about["history"]),
            "settings": about["settings"],
        },
    )


def of_bundle(bundle):
    if "weights.npz" not in bundle.manifest["files"]:
        raise ExportError(
            f"{bundle.path} is a bundle without the weights of a model: give the folder that `latentjet train --out` "
            "wrote, or call export_module with your own module"
        )
    bundle.verify()
    wanted = ("family", "model", "classes", "data", "trained", "settings")
    missing = [name for name in wanted if name not in bundle.manifest]
    if missing:
        raise BundleError(f"{bundle.path}: bundle.json lacks '{missing[0]}': export the checkpoint instead")
    described = bundle.manifest["model"]
    kind = described.get("class") if isinstance(described, dict) else described
    if not isinstance(kind, str) or kind not in MODELS:
        known = ", ".join(sorted(MODELS))
        raise BundleError(
            f"{bundle.path}: its model is of class {kind!r}, expected one of {known}: use the latentjet that wrote it"
        )
    try:
        return Source(eager_model(bundle), {name: bundle.manifest[name] for name in wanted})
    except (TypeError, ValueError) as error:
        raise BundleError(f"{bundle.path}: weights.npz does not hold a model's weights ({error})") from error


def trained(about, history):
    """One line on how good the checkpoint is, as its own history has it."""
    start = about["settings"].get("start")
    if not history:
        return f"no further than {start['epochs']} epochs of another run" if start else "not at all: as it was drawn"
    last = history[-1]
    before = f", from the weights of a run of {start['epochs']} epochs" if start else ""
    return (
        f"{last['epoch']} epochs on {about['data']['images']} images of {about['data']['name']}{before}; "
        f"{last['validation']:.3f} {about['unit']} on held-out training images"
    )
