"""The models that the laws are parametrised over. CPython 3.6 code, like what it tests."""

import pytest
import torch
from latentjet.train.models import build

CASES = {
    "vae mlp 1x28x28": ("VAE", {"image": [1, 28, 28], "latent": 6, "hidden": 16}),
    "vae conv 3x32x32": ("VAE", {"image": [3, 32, 32], "latent": 5, "form": "conv", "hidden": 3}),
    "cvae mlp 1x8x8": ("VAE", {"image": [1, 8, 8], "latent": 4, "classes": 3, "hidden": 12}),
    "cvae mlp 3x32x32": ("VAE", {"image": [3, 32, 32], "latent": 4, "classes": 10, "hidden": 8}),
    "cvae conv 1x28x28": ("VAE", {"image": [1, 28, 28], "latent": 5, "classes": 10, "form": "conv", "hidden": 4}),
    "cvae conv 1x8x8": ("VAE", {"image": [1, 8, 8], "latent": 5, "classes": 3, "form": "conv", "hidden": 4}),
    "gan 1x28x28": ("GAN", {"image": [1, 28, 28], "latent": 5, "classes": 10, "hidden": 4}),
    "gan 3x32x32": ("GAN", {"image": [3, 32, 32], "latent": 6, "classes": 3, "hidden": 3}),
    "gan without labels": ("GAN", {"image": [1, 8, 8], "latent": 4, "classes": 0, "hidden": 4}),
    "realnvp 1x28x28": ("RealNVP", {"image": [1, 28, 28], "classes": 10, "couplings": [2, 2], "width": [6, 8]}),
    "realnvp 3x32x32": ("RealNVP", {"image": [3, 32, 32], "classes": 3, "couplings": [2, 3], "width": [6, 6]}),
    "realnvp 1x8x8": ("RealNVP", {"image": [1, 8, 8], "classes": 3, "couplings": [3, 2], "width": [8, 8]}),
    "realnvp with dequantiser": (
        "RealNVP",
        {"image": [1, 8, 8], "classes": 3, "couplings": [2, 1], "width": [8, 8], "dequantiser": 6},
    ),
    "realnvp one level": (
        "RealNVP",
        {
            "image": [1, 8, 8],
            "classes": 4,
            "couplings": [4],
            "width": [8],
            "planes": 1,
            "depth": 0,
            "bound": 0.8,
        },
    ),
    "realnvp one coupling": ("RealNVP", {"image": [1, 4, 4], "classes": 2, "couplings": [1], "width": [4]}),
    "realnvp three levels": (
        "RealNVP",
        {"image": [1, 8, 16], "classes": 3, "couplings": [1, 2, 1], "width": [4, 4, 4], "depth": 2, "alpha": 0.05},
    ),
    "flow 1x28x28": ("RealNVP", {"image": [1, 28, 28], "classes": 0, "couplings": [2, 2], "width": [6, 6]}),
    "flow 3x32x32 one level": ("RealNVP", {"image": [3, 32, 32], "classes": 0, "couplings": [3], "width": [6]}),
    "flow 1x8x8": (
        "RealNVP",
        {"image": [1, 8, 8], "classes": 0, "couplings": [2, 2], "width": [8, 8]},
    ),
    "flow 3x4x4": (
        "RealNVP",
        {"image": [3, 4, 4], "classes": 0, "couplings": [2, 2], "width": [8, 8], "dequantiser": 8},
    ),
}
FLOWS = [case for case in CASES if CASES[case][0] == "RealNVP"]
CONDITIONAL = [case for case in CASES if CASES[case][1].get("classes")]
SMALL_FLOWS = [case for case in FLOWS if max(CASES[case][1]["image"]) <= 16]


def perturbed(case):
    """A float64 model in evaluation mode in which no parameter and no running mean is where it started."""
    torch.manual_seed(1)
    model = build(*CASES[case]).double().eval()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(0.1 * torch.randn(parameter.shape, dtype=torch.float64))
        for name, array in model.named_buffers():
            if name.endswith("running_mean"):
                array.add_(0.1 * torch.randn(array.shape, dtype=torch.float64))
            if name.endswith("running_var"):
                array.mul_(0.5 + torch.rand(array.shape, dtype=torch.float64))
    return model


@pytest.fixture(params=sorted(CASES))
def model(request):
    return perturbed(request.param)


@pytest.fixture(params=CONDITIONAL)
def conditional(request):
    return perturbed(request.param)


@pytest.fixture(params=FLOWS)
def flow(request):
    return perturbed(request.param)


@pytest.fixture(params=SMALL_FLOWS)
def small_flow(request):
    return perturbed(request.param)


@pytest.fixture(params=FLOWS)
def untrained_flow(request):
    torch.manual_seed(2)
    return build(*CASES[request.param]).double()


@pytest.fixture
def rows():
    """(model, count) -> that many random images x, labels y (None without classes) and latents z."""

    def make(model, count):
        generator = torch.Generator().manual_seed(count)
        x = torch.rand((count, *model.image), generator=generator, dtype=torch.float64)
        z = torch.randn((count, model.latent), generator=generator, dtype=torch.float64)
        one_hot = torch.eye(max(1, model.classes), dtype=torch.float64)[torch.arange(count) % max(1, model.classes)]
        y = one_hot if model.classes else None
        return x, y, z

    return make
