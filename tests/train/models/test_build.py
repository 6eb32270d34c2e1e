"""Models from what a checkpoint or a bundle stores. CPython 3.6 code, like what it tests."""

import pytest
from latentjet.train.models import GAN, MODELS, VAE, RealNVP, build


@pytest.mark.parametrize("name", sorted(MODELS))
def test_defaults_are_written_out(name):
    arguments = build(name, {}).arguments
    assert arguments["image"] == [1, 28, 28]
    assert None not in arguments.values()
    assert build(name, arguments).arguments == arguments


def test_the_class_is_the_one_named():
    assert type(build("VAE", {"hidden": 4})) is VAE
    assert type(build("RealNVP", {"couplings": [1], "width": [2]})) is RealNVP
    assert type(build("GAN", {"hidden": 2})) is GAN


@pytest.mark.parametrize("name", ["Glow", "vae", "", "__class__"])
def test_an_unknown_class_is_refused_with_those_that_exist(name):
    with pytest.raises(ValueError) as caught:
        build(name, {})
    assert str(caught.value) == f"model class is '{name}', expected one of GAN, RealNVP, VAE"


@pytest.mark.parametrize(
    "name, known",
    [
        ("VAE", "image, latent, classes, form, hidden"),
        ("GAN", "image, latent, classes, hidden"),
        ("RealNVP", "image, classes, couplings, width, planes, bound"),
    ],
)
def test_an_unknown_argument_is_refused_with_those_that_exist(name, known):
    with pytest.raises(ValueError) as caught:
        build(name, {"image": [1, 8, 8], "depth": 3})
    assert f"arguments of {name}: no 'depth'" in str(caught.value)
    assert known in str(caught.value)


def test_an_argument_of_the_wrong_kind_is_refused():
    with pytest.raises(ValueError, match="arguments of RealNVP: "):
        build("RealNVP", {"couplings": 4})


def test_what_the_model_refuses_is_still_a_value_error():
    with pytest.raises(ValueError, match="multiples of 4"):
        build("VAE", {"image": [1, 6, 6], "form": "conv"})


def test_a_flow_without_any_scale_is_refused():
    with pytest.raises(ValueError, match="bound is 0, expected more than 0"):
        build("RealNVP", {"bound": 0})
