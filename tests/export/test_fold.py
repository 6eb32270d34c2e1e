"""Folding is exact: the same function, the squeezes to the bit, and the original model untouched."""

import copy

import pytest
import torch
from latentjet.export.fold import ConvolutionalSqueeze, fold
from latentjet.train.models import VAE, RealNVP
from latentjet.train.models.realnvp import Squeeze


def perturbed(model):
    """No parameter and no running statistic at its initial value."""
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for tensor in model.state_dict().values():
            if tensor.is_floating_point():
                tensor.add_(0.1 * torch.rand(tensor.shape, generator=generator))
    return model.eval()


def labels(rows, classes):
    return torch.eye(classes)[torch.arange(rows) % classes] if classes else None


@pytest.mark.parametrize("channels", [1, 2, 3])
def test_the_convolutional_squeeze_moves_pixels_without_rounding(channels):
    folded = ConvolutionalSqueeze()
    folded.set_channels(channels)
    x = torch.randn(3, channels, 6, 8) * torch.logspace(-20, 20, 8)
    a, b = Squeeze()(x)
    folded_a, folded_b = folded(x)
    assert torch.equal(a, folded_a) and torch.equal(b, folded_b)
    assert torch.equal(folded.inverse(a, b), x) and torch.equal(Squeeze().inverse(a, b), x)


FLOWS = [
    {"image": (1, 8, 8), "classes": 3, "couplings": (2, 3), "width": (6, 5)},
    {"image": (3, 16, 16), "classes": 0, "couplings": (3,), "width": (4,)},
]


@pytest.mark.parametrize("arguments", FLOWS)
def test_a_folded_flow_is_the_same_function_both_ways(arguments):
    torch.manual_seed(0)
    model = perturbed(RealNVP(**arguments).double())
    folded = fold(model)
    for module in folded.modules():
        if isinstance(module, ConvolutionalSqueeze):
            module.double()
    y = labels(5, model.classes)
    y = None if y is None else y.double()
    z = 0.3 * torch.randn(5, model.latent, dtype=torch.float64)  # larger ones reach pixels of exactly 0 or 1
    x = model.inverse(z, y)
    torch.testing.assert_close(folded.inverse(z, y), x, rtol=0, atol=1e-12)
    (seen_z, seen_det), (expected_z, expected_det) = folded(x, y), model(x, y)
    torch.testing.assert_close(seen_z, expected_z, rtol=1e-10, atol=1e-10)
    torch.testing.assert_close(seen_det, expected_det, rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize("classes", [0, 3])
def test_batch_norms_fold_into_the_convolutions_before_them(classes):
    model = perturbed(VAE(image=(1, 8, 8), latent=4, classes=classes, form="conv", hidden=4))
    folded = fold(model)
    assert not any(isinstance(module, torch.nn.BatchNorm2d) for module in folded.modules())
    y, z = labels(5, classes), torch.randn(5, 4)
    torch.testing.assert_close(folded.decode(z, y), model.decode(z, y), rtol=0, atol=1e-6)
    x = torch.rand(5, 1, 8, 8)
    torch.testing.assert_close(folded.encode(x, y), model.encode(x, y), rtol=1e-5, atol=1e-5)


def test_the_original_is_left_as_it_is():
    model = perturbed(RealNVP(image=(1, 8, 8), classes=3, couplings=(2,), width=(4,)))
    before, structure = copy.deepcopy(model.state_dict()), str(model)
    fold(model)
    assert str(model) == structure
    assert all(torch.equal(before[name], tensor) for name, tensor in model.state_dict().items())
