"""What tests share. CPython 3.6 reads this file too: its run gets the bundles that the current exporter wrote."""

import os
import shutil
from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def bundles(tmp_path_factory):
    """Folder of small bundles with random weights for 1x8x8 images: vae.bundle, cvae.bundle, realnvp.bundle."""
    if "LATENTJET_TEST_BUNDLES" in os.environ:
        return Path(os.environ["LATENTJET_TEST_BUNDLES"])
    from latentjet.export.pack import export_checkpoint

    folder = tmp_path_factory.mktemp("bundles")
    for family in ("vae", "cvae", "realnvp"):
        checkpoint = random_checkpoint(family, folder / family)
        export_checkpoint(checkpoint, folder / (family + ".bundle"), progress=lambda line: None)
    return folder


def random_checkpoint(family, folder):
    """Write a checkpoint of a small model with random weights for 1x8x8 images and three classes."""
    import torch
    from latentjet.train import checkpoint
    from latentjet.train.models import VAE, RealNVP

    torch.manual_seed(0)
    if family == "realnvp":
        model = RealNVP(image=(1, 8, 8), classes=3, couplings=(2, 2), width=(8, 8))
    else:
        model = VAE(image=(1, 8, 8), latent=5, classes=3 if family == "cvae" else 0, hidden=16)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(0.1 * torch.randn(parameter.shape))
    about = {
        "model": {"class": type(model).__name__, "arguments": model.arguments},
        "settings": {"family": family},
        "data": {"name": "random", "source": "a test", "classes": ["red", "green", "blue"], "images": 10},
        "history": [{"epoch": 1, "train": 1.0, "validation": 1.0}],
        "unit": "bits/dim",
        "step": 1,
        "averaged": 1,
    }
    folder.mkdir()
    arrays = dict(checkpoint.arrays_of("ema", model.state_dict()), **checkpoint.arrays_of("model", model.state_dict()))
    checkpoint.save(folder / checkpoint.NAME, about, arrays)
    return folder


@pytest.fixture
def bundle(bundles, tmp_path):
    """A private copy of the cvae bundle, to be broken by a test."""
    copy = tmp_path / "copy.bundle"
    shutil.copytree(str(bundles / "cvae.bundle"), str(copy))
    return copy
