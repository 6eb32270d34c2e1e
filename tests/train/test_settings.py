"""Settings: defaults, ranges, and options that belong to another family."""

import json

import pytest
import torch
from latentjet.train import settings
from latentjet.train.data import Data
from latentjet.train.errors import SettingsError

ALL = sorted(settings.FAMILIES)


def refusal(family, **given):
    with pytest.raises(SettingsError) as caught:
        settings.resolve(family, given)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def some_data(*shape, classes=3):
    images = torch.zeros((4, *shape), dtype=torch.uint8)
    return Data(images, torch.zeros(4, dtype=torch.long), [str(i) for i in range(classes)], "toy", "a test")


@pytest.mark.parametrize("family", ALL)
def test_defaults_are_filled_in_and_what_is_given_wins(family):
    resolved = settings.resolve(family, {"lr": 0.5, "batch": None})
    assert resolved["lr"] == 0.5
    assert resolved["family"] == family
    for name in (*settings.DEFAULTS, "epochs", "batch"):
        assert resolved[name] is not None
    assert json.loads(json.dumps(resolved)) == resolved


def test_an_unknown_family_is_refused_with_those_that_exist():
    assert refusal("glow") == "family is 'glow', expected one of vae, cvae, realnvp, gan"


@pytest.mark.parametrize(
    "family, option, value, own",
    [
        ("vae", "couplings", [4, 4], "--latent, --form, --hidden"),
        ("cvae", "bound", 1.0, "--latent, --form, --hidden"),
        ("realnvp", "latent", 20, "--couplings, --width, --planes, --depth, --bound, --dequantiser"),
        ("gan", "form", "conv", "--latent, --hidden"),
        ("realnvp", "form", "conv", "--couplings, --width, --planes, --depth, --bound, --dequantiser"),
    ],
)
def test_an_option_of_another_family_is_refused_with_those_it_has(family, option, value, own):
    assert refusal(family, **{option: value}) == f"--{option} is no option of {family}, which has {own}"


@pytest.mark.parametrize("value", [0, -1])
@pytest.mark.parametrize("option", ["epochs", "batch", "limit", "size"])
def test_counts_start_at_one(option, value):
    assert refusal("vae", **{option: value}) == f"--{option} is {value}, expected at least 1"
    assert settings.resolve("vae", {option: 1})[option] == 1


@pytest.mark.parametrize("family, option", [("cvae", "latent"), ("vae", "hidden"), ("realnvp", "planes")])
def test_sizes_of_the_model_start_at_one(family, option):
    assert refusal(family, **{option: 0}) == f"--{option} is 0, expected at least 1"
    assert settings.resolve(family, {option: 1})[option] == 1


@pytest.mark.parametrize(
    "option, value, limit",
    [
        ("lr", 0.0, "1"), ("lr", 1.0, "1"), ("lr", -0.1, "1"), ("lr", float("nan"), "1"),
        ("validation", 0.0, "1"), ("validation", 1.0, "1"), ("ema", 1.0, "1"), ("ema", 0.0, "1"),
        ("bound", 0.0, "10"), ("bound", 10.0, "10"), ("clip", 0.0, "inf"), ("clip", -1.0, "inf"),
    ],
)  # fmt: skip
def test_numbers_out_of_range_are_refused(option, value, limit):
    assert refusal("realnvp", **{option: value}) == f"--{option} is {value}, expected between 0 and {limit}"


@pytest.mark.parametrize("family", ["vae", "cvae", "gan"])
def test_contrast_is_for_flows_with_labels(family):
    assert refusal(family, contrast=0.1) == (
        f"--contrast is for a realnvp, whose log p it compares; leave it out for {family}"
    )
    assert "leave one out" in refusal("realnvp", contrast=0.1, unconditional=True)
    assert settings.resolve("realnvp", {"contrast": 0.1})["contrast"] == 0.1


def test_contrast_needs_two_classes():
    alone = some_data(1, 8, 8)._replace(classes=["cats"])
    given = {"couplings": [1], "width": [4]}
    with pytest.raises(SettingsError, match="--contrast compares labels, and toy has one class: leave it out"):
        settings.make_model(settings.resolve("realnvp", {**given, "contrast": 0.1}), alone)
    assert settings.make_model(settings.resolve("realnvp", given), alone).classes == 1


@pytest.mark.parametrize("contrast", [-0.1, 1.1, float("nan")])
def test_contrast_in_its_range(contrast):
    assert refusal("realnvp", contrast=contrast) == f"--contrast is {contrast}, expected at least 0 and at most 1"


@pytest.mark.parametrize("fall", [0.0, -0.5, 1.01, float("nan")])
def test_the_share_of_falling_steps_is_a_share(fall):
    assert refusal("vae", fall=fall) == f"--fall is {fall}, expected above 0 and at most 1"
    assert settings.resolve("vae", {"fall": 1.0})["fall"] == 1.0


@pytest.mark.parametrize("family", ["vae", "cvae", "gan"])
def test_muon_is_for_flows(family):
    assert refusal(family, optimizer="muon") == f"--optimizer muon is for a realnvp; {family} takes adam"
    assert settings.resolve("realnvp", {})["optimizer"] == "muon"
    assert settings.resolve("realnvp", {"optimizer": "adam"})["optimizer"] == "adam"


def test_a_flow_may_go_without_a_dequantiser():
    assert settings.resolve("realnvp", {"dequantiser": 0})["dequantiser"] == 0
    assert refusal("realnvp", dequantiser=-1) == "--dequantiser is -1, expected at least 0"


@pytest.mark.parametrize("seed", [-1, 2**32, 10**30])
def test_a_seed_out_of_range_is_refused(seed):
    assert refusal("vae", seed=seed) == f"--seed is {seed}, expected between 0 and 4294967295"


def test_the_largest_seed_can_be_used():
    from latentjet.train.fit import epoch_generator

    seed = settings.resolve("vae", {"seed": 2**32 - 1})["seed"]
    first, second = (torch.rand(1, generator=epoch_generator(seed, epoch)) for epoch in (1, 2))
    assert first != second


def test_unconditional_is_for_families_with_labels():
    assert "vae is unconditional already" in refusal("vae", unconditional=True)
    for family in ("cvae", "realnvp", "gan"):
        assert settings.resolve(family, {"unconditional": True})["unconditional"]


@pytest.mark.parametrize(
    "family, given, expected",
    [
        ("vae", {}, ("VAE", 0)),
        ("cvae", {}, ("VAE", 3)),
        ("realnvp", {}, ("RealNVP", 3)),
        ("realnvp", {"unconditional": True}, ("RealNVP", 0)),
        ("cvae", {"unconditional": True}, ("VAE", 0)),
        ("gan", {}, ("GAN", 3)),
        ("gan", {"unconditional": True}, ("GAN", 0)),
    ],
)
def test_the_model_has_the_classes_of_the_data_where_it_is_conditional(family, given, expected):
    model = settings.make_model(settings.resolve(family, given), some_data(1, 8, 8))
    assert (type(model).__name__, model.classes) == expected
    assert model.image == (1, 8, 8)


def test_options_reach_the_model():
    given = {"couplings": [1, 2], "width": [4, 6], "planes": 3, "bound": 0.7}
    model = settings.make_model(settings.resolve("realnvp", given), some_data(3, 8, 8))
    assert {name: model.arguments[name] for name in given} == given
    given = {"latent": 3, "form": "conv", "hidden": 5}
    model = settings.make_model(settings.resolve("vae", given), some_data(3, 8, 8))
    assert {name: model.arguments[name] for name in given} == given


@pytest.mark.parametrize(
    "family, given, shape, expected",
    [
        ("vae", {"form": "conv"}, (1, 6, 6), "multiples of 4"),
        ("gan", {}, (1, 6, 6), "multiples of 4"),
        ("realnvp", {}, (1, 6, 6), "image 1x6x6 becomes 3x3 at level 2"),
        ("realnvp", {"couplings": [4]}, (1, 8, 8), "couplings has 1 levels and width 2"),
        ("realnvp", {"couplings": [4, 0]}, (1, 8, 8), "expected at least 1 at each level"),
        ("realnvp", {"width": [0, 4]}, (1, 8, 8), "expected at least 1 at each level"),
    ],
)
def test_what_the_model_refuses_is_a_settings_error(family, given, shape, expected):
    with pytest.raises(SettingsError) as caught:
        settings.make_model(settings.resolve(family, given), some_data(*shape))
    assert expected in str(caught.value)
