"""From a checkpoint, or a bundle on any backend, to the Subject that is evaluated."""

import contextlib
from pathlib import Path
from typing import NamedTuple

import torch

from ..runtime.bundle import Bundle
from ..runtime.errors import BackendError
from ..runtime.model import Model
from ..train import checkpoint as checkpoints
from ..train.device import choose_device
from ..train.errors import SettingsError
from ..train.models import MODELS
from ..train.subject import Subject, of_model

EAGER = "eager"


class Opened(NamedTuple):
    """What was named on the command line: a Subject, and what its checkpoint or manifest says of it."""

    subject: Subject
    kind: str
    family: str
    about: dict


def is_checkpoint(path):
    path = Path(path)
    return (path / checkpoints.NAME).is_file() or (path.is_file() and path.suffix == ".npz")


@contextlib.contextmanager
def opened(path, backend="auto", device="auto", threads=None):
    """Context: path of a checkpoint or bundle -> Opened; engines are closed at its end."""
    if threads and (is_checkpoint(path) or backend == EAGER):
        torch.set_num_threads(threads)
    if is_checkpoint(path):
        if backend not in ("auto", EAGER):
            raise SettingsError(
                f"--backend is '{backend}', but {path} is a checkpoint, which runs in eager PyTorch: export it first"
            )
        stored, device = checkpoints.load(path), choose_device(device)
        subject = of_model(stored.model(), stored.about["data"]["classes"], device, f"eager PyTorch on {device}")
        yield Opened(subject, "checkpoint", stored.about["settings"]["family"], stored.about)
        return
    bundle = Bundle.open(path)
    if backend == EAGER:
        device = choose_device(device)
        subject = of_model(eager_model(bundle), bundle.classes, device, f"eager PyTorch on {device}")
        yield Opened(subject, "bundle", bundle.family, bundle.manifest)
        return
    with Model(bundle, backend, threads) as model:
        yield Opened(of_bundle(model), "bundle", bundle.family, bundle.manifest)


def eager_model(bundle):
    """A Bundle -> its model from weights.npz. Raises BackendError where it holds none, CheckpointError."""
    described = bundle.manifest["model"]
    if "weights.npz" not in bundle.manifest["files"] or described.get("class") not in MODELS:
        raise BackendError(f"{bundle.path} holds only graphs, no weights of a model: take another --backend")
    arrays = {f"ema/{name}": array for name, array in bundle.arrays("weights.npz").items()}
    return checkpoints.Checkpoint({"model": described}, arrays).model()


def of_bundle(model):
    """A runtime Model -> Subject of the bundle's graphs; a VAE's encoder is eager, from its weights."""
    bundle = model.bundle
    if bundle.image is None or "decode" not in bundle.graphs:
        raise BackendError(f"{bundle.path} has no graph that decodes z into images: nothing can be measured")
    precision = model.engine("decode").precision
    how = f"backend '{model.backend}', decode in {precision}"

    def decode(z, y):
        return torch.from_numpy(model.decode(z.numpy(), None if y is None else y.numpy()))

    def log_prob(x, y):
        return torch.from_numpy(model.log_prob(x.numpy(), None if y is None else y.numpy()))

    def dequantise(levels, uniform, y):
        made = model.dequantise(levels.numpy(), uniform.numpy(), None if y is None else y.numpy())
        return tuple(map(torch.from_numpy, made))

    encode, missing = None, "this bundle has no graph 'log_prob' and no weights of an encoder"
    if "log_prob" not in bundle.graphs:
        try:
            eager = of_model(eager_model(bundle), bundle.classes, torch.device("cpu"), "eager")
            encode, missing = eager.encode, "its family has no likelihood and no encoder, only a decoder"
            how += ", its encoder in eager PyTorch" if encode else ""
        except BackendError:
            pass
    flow, place = log_prob if "log_prob" in bundle.graphs else None, torch.device("cpu")
    noise = {"dequantise": dequantise} if "dequantise" in bundle.graphs else {}
    sizes = (bundle.image, model.classes, model.latent)
    return Subject(decode, encode, flow, *sizes, place, how, bundle.pixels, missing, **noise)
