"""32x32 colour images, from a folder and as CIFAR-10, go the whole way by the same commands, in every family."""

import functools

import numpy as np
import pytest
import torch
from latentjet.export import precision
from latentjet.runtime import load
from latentjet.runtime.bundle import Bundle
from latentjet.runtime.cli import main
from latentjet.train import checkpoint, data
from PIL import Image

FAMILIES = {
    "vae": ["vae", "--latent", "4", "--hidden", "8"],
    "cvae": ["cvae", "--latent", "4", "--hidden", "8"],
    "cvae conv": ["cvae", "--latent", "4", "--hidden", "3", "--form", "conv"],
    "realnvp": ["realnvp", "--couplings", "1,1", "--width", "4,4"],
    "gan": ["gan", "--latent", "4", "--hidden", "3"],
}
COLOURS = {"blue": (20, 40, 220), "green": (30, 200, 20), "red": (230, 20, 30)}


def pictures(count):
    """uint8 (count, 32, 32, 3): one of three colours and some noise; the labels."""
    random, labels = np.random.RandomState(0), np.arange(count) % len(COLOURS)
    plain = np.array(list(COLOURS.values()))[labels][:, None, None]
    return np.clip(plain + random.randint(-20, 21, (count, 32, 32, 3)), 0, 255).astype(np.uint8), labels


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    root = tmp_path_factory.mktemp("colours")
    for index, (pixels, label) in enumerate(zip(*pictures(30), strict=True)):
        place = root / list(COLOURS)[label]
        place.mkdir(exist_ok=True)
        Image.fromarray(pixels).save(place / f"{index}.png")
    return root


@pytest.fixture
def cifar10(monkeypatch):
    """Stands for torchvision's CIFAR10: these images in its form, of ten classes."""

    class Found:
        def __init__(self, root, train):
            self.data, self.targets = pictures(30)[0], [index % 10 for index in range(30)]
            self.classes = [f"class {index}" for index in range(10)]

    monkeypatch.setattr(data, "_torchvision", lambda name: Found)


@pytest.mark.parametrize("case", FAMILIES)
def test_a_folder_is_trained_on_exported_checked_and_sampled(case, folder, tmp_path, capsys, monkeypatch):
    few = functools.partial(precision.calibration, count=500)  # ten thousand are for the tests of precision
    monkeypatch.setattr(precision, "calibration", few)
    out, bundle = str(tmp_path / "run"), str(tmp_path / "run.bundle")
    options = ["--data", str(folder), "--epochs", "1", "--batch", "8", "--out", out]
    assert main(["train", *FAMILIES[case], *options]) == 0
    assert main(["export", out, bundle]) == 0
    assert main(["check", bundle, "--backend", "ort"]) == 0
    assert "ok" in capsys.readouterr().out.splitlines()[-1]
    conditional = not case.startswith("vae")
    assert Bundle.open(bundle).classes == (list(COLOURS) if conditional else [])
    with load(bundle, "ort") as model:
        images = model.sample(["red", "blue"], seed=0) if conditional else model.sample(count=2, seed=0)
    assert images.shape == (2, 3, 32, 32) and np.isfinite(images).all()


@pytest.mark.parametrize("case", ["cvae conv", "realnvp", "gan"])
def test_cifar10_is_trained_on(case, cifar10, tmp_path):
    options = ["--data", "cifar10", "--data-dir", str(tmp_path), "--epochs", "1", "--out", str(tmp_path / "run")]
    assert main(["train", *FAMILIES[case], *options]) == 0
    with Image.open(tmp_path / "run" / "results" / "sample_1.png") as grid:
        assert grid.mode == "RGB" and grid.size == (2 * (8 * 33 + 1), 2 * (10 * 33 + 1))


def test_the_colour_of_a_class_is_learned(folder, tmp_path):
    """Channels are not swapped on the way from a file to a sample."""
    options = ["--data", str(folder), "--epochs", "40", "--batch", "8", "--lr", "0.02", "--ema", "0.9"]
    assert main(["train", "cvae", "--latent", "2", "--hidden", "16", *options, "--out", str(tmp_path / "run")]) == 0
    model = checkpoint.load(tmp_path / "run").model()
    with torch.no_grad():
        seen = 255 * model.decode(torch.zeros(3, 2), torch.eye(3)).mean((2, 3))
    assert (seen - torch.tensor(list(COLOURS.values()))).abs().max() < 60
