"""What tests share. CPython 3.6 reads this file too: its run gets the bundles that the current exporter wrote."""

import contextlib
import errno
import importlib.util
import os
import shutil
import sys
from pathlib import Path

import pytest
from latentjet.runtime import bundle as bundles_module

DOUBLES = Path(__file__).resolve().parent / "doubles"  # imported as `doubles` from every folder of tests
if "doubles" not in sys.modules:
    spec = importlib.util.spec_from_file_location(
        "doubles", str(DOUBLES / "__init__.py"), submodule_search_locations=[str(DOUBLES)]
    )
    sys.modules["doubles"] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(sys.modules["doubles"])


@pytest.fixture(scope="session")
def bundles(tmp_path_factory):
    """Folder of small bundles with random weights for 1x8x8 images: vae, cvae, realnvp, gan."""
    if "LATENTJET_TEST_BUNDLES" in os.environ:
        return Path(os.environ["LATENTJET_TEST_BUNDLES"])
    from latentjet.export.pack import export_checkpoint

    folder = tmp_path_factory.mktemp("bundles")
    for family in ("vae", "cvae", "realnvp", "gan"):
        checkpoint = random_checkpoint(family, folder / family)
        export_checkpoint(checkpoint, folder / (family + ".bundle"), progress=lambda line: None)
    return folder


def random_checkpoint(family, folder):
    """Write a checkpoint of a small model with random weights for 1x8x8 images and three classes."""
    import torch
    from latentjet.train import checkpoint
    from latentjet.train.models import GAN, VAE, RealNVP

    torch.manual_seed(0)
    if family == "realnvp":
        model = RealNVP(image=(1, 8, 8), classes=3, couplings=(2, 2), width=(8, 8), dequantiser=4)
    elif family == "gan":
        model = GAN(image=(1, 8, 8), latent=5, classes=3, hidden=4)
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


@pytest.fixture
def sentence():
    """(error, call, arguments) -> the text of the error that the call raises: one line, not empty."""

    def told(kind, call, *arguments, **named):
        with pytest.raises(kind) as caught:
            call(*arguments, **named)
        text = str(caught.value)
        assert text.strip() and "\n" not in text
        return text

    return told


@pytest.fixture
def altered():
    """(path of a bundle, {file: bytes, or None to remove it}): writes it again, sums and sizes made right."""

    def alter(path, changes):
        opened = bundles_module.Bundle.open(path)
        contents = {name: opened.read(name) for name in opened.manifest["files"]}
        contents.update(changes)
        contents = {name: content for name, content in contents.items() if content is not None}
        bundles_module.write(path, opened.manifest, contents, overwrite=True)
        return path

    return alter


@pytest.fixture
def full_disk(monkeypatch):
    """Context: every file opened for writing takes ten bytes, then the disk is full."""

    class Full:
        def __init__(self, file):
            self.file = file

        def write(self, content):
            self.file.write(content[:10])
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

        def __enter__(self):
            return self

        def __exit__(self, *error):
            self.file.close()

    @contextlib.contextmanager
    def full():
        real_open, real_fdopen = open, os.fdopen

        def opened(path, mode="r", *rest, **named):
            file = real_open(path, mode, *rest, **named)
            return Full(file) if set("wax+") & set(mode) else file

        with monkeypatch.context() as patch:
            patch.setattr("builtins.open", opened)
            patch.setattr(os, "fdopen", lambda *given, **named: Full(real_fdopen(*given, **named)))
            yield

    return full
