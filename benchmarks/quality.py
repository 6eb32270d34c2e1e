"""Figures of `latentjet evaluate`, to stand beside speed: read from the JSON that its --out wrote."""

import json
import math

from ..runtime.errors import InputError


def read(path):
    """Path -> {figure: value}, without those of single classes and dimensions. Raises InputError."""
    try:
        with open(path, encoding="utf-8") as handle:
            figures = json.load(handle)["figures"]
        found = {name: float(figure["value"]) for name, figure in sorted(figures.items()) if "/" not in name}
    except OSError as error:
        raise InputError("--quality {} cannot be read: {}".format(path, error.strerror or error))
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise InputError(
            "--quality {} is no result of latentjet evaluate ({}): give what its --out wrote".format(path, error)
        )
    if not found or not all(math.isfinite(value) for value in found.values()):
        raise InputError("--quality {} has no figures, or some that are not finite".format(path))
    return found
