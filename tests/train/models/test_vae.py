"""What is particular to VAEs. CPython 3.6 code, like what it tests."""

import pytest
import torch
from latentjet.train.models import VAE


@pytest.mark.parametrize("size", [(30, 28), (28, 30), (7, 7), (2, 2)])
def test_conv_refuses_an_image_that_it_cannot_halve_twice(size):
    with pytest.raises(ValueError) as caught:
        VAE(image=(1, *size), form="conv")
    assert f"image is {size[0]}x{size[1]}: height and width must be multiples of 4" in str(caught.value)


def test_mlp_takes_any_size():
    images = VAE(image=(1, 7, 5), latent=2, hidden=3).decode(torch.zeros(2, 2))
    assert images.shape == (2, 1, 7, 5)


def test_an_unknown_form_is_refused_with_those_that_exist():
    with pytest.raises(ValueError, match="form is 'gru', expected one of conv, mlp"):
        VAE(form="gru")


@pytest.mark.parametrize("form", ["mlp", "conv"])
def test_reconstruction_is_decoded_from_mean_and_noise(form):
    torch.manual_seed(7)
    model = VAE(image=(1, 8, 8), latent=3, classes=2, form=form, hidden=4).eval()
    x, y, noise = torch.rand(4, 1, 8, 8), torch.eye(2).repeat(2, 1), torch.randn(4, 3)
    reconstruction, mean, log_variance = model(x, y, noise)
    assert torch.equal(mean, model.encode(x, y)[0])
    assert torch.allclose(reconstruction, model.decode(mean + log_variance.exp().sqrt() * noise, y), atol=1e-6)
    assert torch.equal(model(x, y, 0 * noise)[0], model.decode(mean, y))


@pytest.mark.parametrize("form", ["mlp", "conv"])
def test_evaluation_does_not_change_the_model(form):
    model = VAE(image=(1, 8, 8), latent=3, form=form, hidden=4).eval()
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    model(torch.rand(4, 1, 8, 8), None, torch.randn(4, 3))
    assert all(torch.equal(before[name], tensor) for name, tensor in model.state_dict().items())
