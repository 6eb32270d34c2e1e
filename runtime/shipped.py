"""The pretrained bundles that ship: NAME.zip in pretrained/, beside this file. What lies there is the list.

A name stands wherever a bundle's path does (`latentjet sample fashion-realnvp`); something of that name that exists
where the command runs comes first. Where packages are installed nothing is written: the plans of a shipped bundle go to
the user's cache, $XDG_CACHE_HOME/latentjet/plans/NAME-SUM or ~/.cache/latentjet/plans/NAME-SUM, with a part of the
bundle's sha256, so that two versions of it keep their plans apart.
"""

import functools
import hashlib
import os

from . import files

FOLDER = os.path.join(os.path.dirname(os.path.abspath(__file__)), "pretrained")
END = ".zip"


def names():
    """The names that ship, sorted."""
    entries = os.listdir(FOLDER) if os.path.isdir(FOLDER) else []
    return sorted(entry[: -len(END)] for entry in entries if entry.endswith(END))


def find(path):
    """What a user calls a bundle -> that itself if it exists, else the .zip that ships under that name, or None."""
    if os.path.exists(path):
        return path
    return os.path.join(FOLDER, path + END) if path in names() else None


def plans(path):
    """What a user calls a bundle -> the folder for its plans if it ships; None for a bundle of the user's own."""
    place = os.path.abspath(find(path) or path)
    if os.path.dirname(place) != FOLDER:
        return None
    name = os.path.basename(place)[: -len(END)]
    return files.cache_folder("plans", "{}-{}".format(name, _digest(place)[:12]))


@functools.lru_cache(maxsize=None)
def _digest(place):
    with open(place, "rb") as handle:
        return hashlib.sha256(handle.read()).hexdigest()
