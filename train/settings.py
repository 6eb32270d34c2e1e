"""What a training run is made of: the families, their defaults, and the settings that a checkpoint records."""

import math
from pathlib import Path
from typing import NamedTuple

from . import losses
from .errors import SettingsError
from .models import GAN, VAE, RealNVP


class Family(NamedTuple):
    """One word of the command line: the model's class, its loss (None: a GAN has two), the unit of what is measured on
    held-out images, whether it sees labels, sample temperature, defaults."""

    model: type
    loss: object
    unit: str
    conditional: bool
    temperature: float
    defaults: dict


FAMILIES = {
    "vae": Family(
        VAE, losses.vae_loss, "BCE+KL per image (nats)", False, 1.0, {"epochs": 10, "lr": 1e-3, "batch": 128}
    ),
    "cvae": Family(
        VAE, losses.vae_loss, "BCE+KL per image (nats)", True, 1.0, {"epochs": 20, "lr": 1e-3, "batch": 128}
    ),
    "realnvp": Family(
        RealNVP, losses.flow_loss, "bits/dim", True, 0.8,
        {"epochs": 20, "lr": 6e-3, "batch": 64, "clip": 1.0, "optimizer": "muon", "fall": 0.8, "dequantiser": 32},
    ),
    "gan": Family(GAN, None, "energy distance (levels)", True, 1.0, {"epochs": 20, "lr": 1e-3, "batch": 64}),
}

DEFAULTS = {
    "seed": 0, "ema": 0.999, "clip": 100.0, "validation": 0.1, "precision": "auto", "warmup": 50, "fall": 0.4,
    "optimizer": "adam", "contrast": 0.0,
}  # fmt: skip
MODEL_OPTIONS = {
    "VAE": ("latent", "form", "hidden"),
    "RealNVP": ("couplings", "width", "planes", "depth", "bound", "dequantiser"),
    "GAN": ("latent", "hidden"),
}


def resolve(family, given):
    """Family name and the options that were given -> all settings, defaults filled in (a dict of JSON values).

    Raises SettingsError for a value out of range or an option of another family.
    """
    if family not in FAMILIES:
        raise SettingsError(f"family is '{family}', expected one of {', '.join(FAMILIES)}")
    chosen = {name: value for name, value in given.items() if value is not None}
    settings = {"family": family, **DEFAULTS, **FAMILIES[family].defaults, **chosen}
    own = MODEL_OPTIONS[FAMILIES[family].model.__name__]
    for options in MODEL_OPTIONS.values():
        for name in options:
            if name in chosen and name not in own:
                raise SettingsError(f"--{name} is no option of {family}, which has {', '.join('--' + n for n in own)}")
    if not FAMILIES[family].conditional and chosen.get("unconditional"):
        raise SettingsError(f"--unconditional is for conditional families; {family} is unconditional already")
    if settings["optimizer"] == "muon" and family != "realnvp":
        raise SettingsError(f"--optimizer muon is for a realnvp; {family} takes adam")
    if settings["contrast"] and family != "realnvp":
        raise SettingsError(f"--contrast is for a realnvp, whose log p it compares; leave it out for {family}")
    if settings["contrast"] and settings.get("unconditional"):
        raise SettingsError("--contrast compares labels, and with --unconditional there are none: leave one out")
    check_ranges(settings)
    return settings


def check_ranges(settings):
    """Raises SettingsError that names the first value out of its range."""
    for name in ("epochs", "batch", "limit", "size", "latent", "hidden", "planes"):
        if settings.get(name, 1) < 1:
            raise SettingsError(f"--{name} is {settings[name]}, expected at least 1")
    for name in ("depth", "dequantiser"):
        if settings.get(name, 0) < 0:
            raise SettingsError(f"--{name} is {settings[name]}, expected at least 0")
    for name, high in (("lr", 1), ("validation", 1), ("ema", 1), ("bound", 10), ("clip", math.inf)):
        if name in settings and not 0 < settings[name] < high:
            raise SettingsError(f"--{name} is {settings[name]}, expected between 0 and {high}")
    if not 0 <= settings.get("contrast", 0) <= 1:
        raise SettingsError(f"--contrast is {settings['contrast']}, expected at least 0 and at most 1")
    if not 0 < settings.get("fall", 1) <= 1:
        raise SettingsError(f"--fall is {settings['fall']}, expected above 0 and at most 1")
    if not 0 <= settings["seed"] < 2**32:
        raise SettingsError(f"--seed is {settings['seed']}, expected between 0 and {2**32 - 1}")


def refuse_others(given, known, whose, advice="leave it out"):
    """Raises SettingsError for the first option that was given and is not what a run has."""
    for name, value in given.items():
        seen = known.get(name)
        if value is not None and value != seen:
            told = "none" if seen is None else seen
            raise SettingsError(f"--{name} is {value}, but {whose} has {told}: {advice}")


def starting(given, path, stored):
    """Options that were given and a run to start from, its path and Checkpoint -> the options, the run's shape added.

    On the data that the run was trained on, the images that it held out are held out again: those that it has seen
    would measure nothing. Raises SettingsError for a run of another family or without an epoch, and for an option that
    is not the run's; CheckpointError.
    """
    model, before, epochs = stored.model(), stored.about["settings"], len(stored.about["history"])
    if given["family"] != before["family"]:
        has = before["family"]
        raise SettingsError(f"--start {path} is a run of '{has}', not of '{given['family']}': give {has}")
    if not epochs:
        raise SettingsError(f"--start {path} has no epoch yet: train it first, with --resume")
    fixed = {name: model.arguments[name] for name in MODEL_OPTIONS[type(model).__name__]}
    fixed["unconditional"] = before.get("unconditional")
    data = given.get("data") or before["data"]
    if same_data(data, before["data"]):
        data = before["data"]
        fixed.update({name: before.get(name) for name in ("seed", "validation", "size", "limit")})
    refuse_others({name: given.get(name) for name in fixed}, fixed, f"the run in {path}")
    return {**given, **fixed, "data": data, "start": {"settings": before, "epochs": epochs}}


def same_data(one, other):
    """Whether two values of --data are one name, or lead to one folder."""
    return one == other or (Path(one).is_dir() and Path(other).is_dir() and Path(one).samefile(other))


def make_model(settings, data):
    """Settings and Data -> an untrained model for images and classes like these."""
    family = FAMILIES[settings["family"]]
    conditional = family.conditional and not settings.get("unconditional")
    options = {name: settings[name] for name in MODEL_OPTIONS[family.model.__name__] if name in settings}
    if settings["contrast"] and len(data.classes) < 2:
        raise SettingsError(f"--contrast compares labels, and {data.name} has one class: leave it out")
    image = [int(size) for size in data.images.shape[1:]]
    try:
        return family.model(image=image, classes=len(data.classes) if conditional else 0, **options)
    except ValueError as error:
        raise SettingsError(str(error)) from error
