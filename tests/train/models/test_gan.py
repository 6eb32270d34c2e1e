"""What is particular to a GAN. CPython 3.6 code, like what it tests."""

import pytest
import torch
from latentjet.train.models import GAN

LABELS = torch.eye(3)[[0, 1, 2, 0, 1, 2]]


def pair(classes=3):
    torch.manual_seed(1)
    model = GAN(image=(3, 8, 12), latent=4, classes=classes, hidden=3)
    return model, model.discriminator()


@pytest.mark.parametrize("size", [(30, 28), (28, 30), (7, 7), (2, 2)])
def test_an_image_that_cannot_be_halved_twice_is_refused(size):
    with pytest.raises(ValueError) as caught:
        GAN(image=(1,) + size)
    assert "image is {}x{}: height and width must be multiples of 4 for a GAN".format(*size) in str(caught.value)


def test_the_model_is_the_generator_alone():
    model, discriminator = pair()
    assert not set(model.state_dict()) & set(discriminator.state_dict())
    assert len(list(model.children())) == 2
    assert torch.equal(model.eval()(torch.ones(2, 4), LABELS[:2]), model.decode(torch.ones(2, 4), LABELS[:2]))


@pytest.mark.parametrize("classes", [0, 3])
def test_a_discriminator_scores_each_image_and_every_weight_gets_a_gradient(classes):
    _, discriminator = pair(classes)
    scores = discriminator(torch.rand(6, 3, 8, 12), LABELS if classes else None)
    assert scores.shape == (6,)
    scores.sum().backward()
    for name, parameter in discriminator.named_parameters():
        assert parameter.grad.abs().sum() > 0, name


def test_a_score_depends_on_the_label():
    _, discriminator = pair()
    x = torch.rand(1, 3, 8, 12).expand(3, -1, -1, -1)
    assert len(set(discriminator(x, torch.eye(3)).tolist())) == 3


def test_a_score_does_not_depend_on_the_other_images():
    _, discriminator = pair()
    x = torch.rand(6, 3, 8, 12)
    whole = discriminator(x, LABELS)
    assert torch.allclose(whole[2:3], discriminator(x[2:3], LABELS[2:3]), atol=1e-6)
