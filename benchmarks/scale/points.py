"""The points: a default model of each family, and from there one thing changed at a time."""

from typing import NamedTuple

from ...runtime.errors import InputError


class Point(NamedTuple):
    """One model at one batch size; value is where it lies on the axis of its sweep."""

    family: str
    sweep: str
    value: int
    arguments: dict
    batch: int


FLOW = {"image": [1, 28, 28], "classes": 0, "couplings": [8, 4], "width": [64, 128]}
VAE = {"image": [1, 28, 28], "classes": 0, "latent": 20, "form": "conv", "hidden": 32}
BATCHES = (1, 2, 4, 8, 16, 32, 64)
IMAGES = (8, 16, 28, 32, 48, 64)
SWEEPS = {
    "realnvp": {"batch": BATCHES, "couplings": (3, 6, 12, 18, 24), "width": (16, 32, 64, 96, 128), "image": IMAGES},
    "vae": {"batch": BATCHES, "width": (8, 16, 32, 64, 96), "image": IMAGES},
}
FITTED = {"realnvp": ("batch", "couplings"), "vae": ("batch", "width")}  # the other sweeps are predicted
CLASSES = {"realnvp": "RealNVP", "vae": "VAE"}
AXES = {
    "batch": "batch",
    "couplings": "couplings",
    "width": "channels",
    "image": "pixels along an edge",
}


def points(families=None, sweeps=None, least=False):
    """Names of families and sweeps (None: all) -> [Point]; least: only the first two values of each sweep.

    Raises InputError for a name that is unknown.
    """
    families, wanted = families or list(SWEEPS), sweeps or list(AXES)
    for kind, given, known in (("family", families, SWEEPS), ("sweep", wanted, AXES)):
        for name in given:
            if name not in known:
                raise InputError("{} is '{}', expected one of {}".format(kind, name, ", ".join(known)))
    found = []
    for family in families:
        for sweep, values in SWEEPS[family].items():
            for value in (values[:2] if least else values) if sweep in wanted else ():
                found.append(point(family, sweep, value))
    return found


def point(family, sweep, value):
    """One value of a sweep -> Point."""
    batch = value if sweep == "batch" else 1
    return Point(family, sweep, value, (flow if family == "realnvp" else vae)(sweep, value), batch)


def flow(sweep, value):
    """Two couplings in the first level for one in the second, and nets half as wide, as the default has it."""
    changes = {
        "batch": {},
        "couplings": {"couplings": [2 * value // 3, value // 3]},
        "width": {"width": [value, 2 * value]},
        "image": {"image": [1, value, value]},
    }
    return dict(FLOW, **changes[sweep])


def vae(sweep, value):
    changes = {"batch": {}, "width": {"hidden": value}, "image": {"image": [1, value, value]}}
    return dict(VAE, **changes[sweep])
