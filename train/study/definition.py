"""What a study is: a TOML file with fixed settings, the axes of a grid or the ranges of a search, and what to measure.

    question = "What do latent size and training length do?"
    figures = ["validation", "fid"]      # what is measured of each run; a search minimises the first
    images = 2000                        # so many images are kept from training and measured on
    [settings]                           # the same for every run: any option of `latentjet train`
    family = "vae"
    limit = 10000
    [[grid]]                             # one or more grids, joined: every combination of the lists is one run
    latent = [2, 10, 40]
    seed = [0, 1]
    [search]                             # or: ranges, and lists of choices, that a search draws from
    latent = {low = 2, high = 64, log = true}
    form = ["mlp", "conv"]
    [plot]                               # the axis to draw the figures over; the rest of a point is a line each
    x = "latent"

A search also has `trials = 30`. `temperature` is an axis like the others, but one of sampling: runs that differ in
nothing else are trained once. `epochs` is an axis like the others too: each value is a run of its own, whose learning
rate falls at its own end, as with `latentjet train --epochs`.
"""

import difflib
import itertools
import json
from pathlib import Path
from typing import NamedTuple

try:
    import tomllib
except ModuleNotFoundError:  # CPython 3.10
    import tomli as tomllib

from .. import settings
from ..errors import SettingsError, StudyError

SHIPPED = Path(__file__).parent
KEYS = ("question", "figures", "images", "maximise", "settings", "grid", "search", "trials", "plot")
IDENTITY = ("name", "settings", "grid", "search", "figures", "images")
HISTORY = ("validation", "train")  # of the last epoch; the others are measured.py's
FIGURES = (
    *HISTORY, "bits_per_dim", "bce_kl", "kl", "active_units", "accuracy", "judge_accuracy", "fid", "fid_floor", "kid",
    "kid_floor", "sharpness",
)  # fmt: skip
RANGE = {"low", "high", "log", "step"}
PARAMETERS = sorted(
    {"family", "data", "limit", "size", "epochs", "lr", "batch", "unconditional", "temperature"}
    | set(settings.DEFAULTS)
    | {name for options in settings.MODEL_OPTIONS.values() for name in options}
)


class Definition(NamedTuple):
    """A checked study; grid: list of {axis: values}, search: {axis: values or range}, one of them empty."""

    name: str
    question: str
    figures: list
    images: int
    maximise: bool
    settings: dict
    grid: list
    search: dict
    trials: int
    plot: dict

    def points(self):
        """Every point of the grids once, in order: a list of {axis: value}."""
        found = []
        for axes in self.grid:
            for values in itertools.product(*axes.values()):
                point = dict(zip(axes, values, strict=True))
                if point not in found:
                    found.append(point)
        return found

    def axes(self):
        """{axis: its values in order of appearance, or its range} over all grids, or of the search."""
        if self.search:
            return self.search
        found = {}
        for grid in self.grid:
            for name, values in grid.items():
                known = found.setdefault(name, [])
                known += [value for value in values if value not in known]
        return found

    def given(self, point):
        """A point -> everything that is set for it, the fixed settings first."""
        return {**self.settings, **point}

    def resolve(self, point):
        """A point -> settings to train with, defaults filled in; temperature is not among them. Raises StudyError."""
        given = {name: value for name, value in self.given(point).items() if name != "temperature"}
        given.setdefault("data", "fashion-mnist")
        try:
            return settings.resolve(given.pop("family", None), given)
        except (SettingsError, TypeError, OverflowError) as error:
            raise StudyError(f"study '{self.name}', {title(point)}: {error}") from error


def title(point):
    """A point -> words: "latent 20, seed 1"."""
    return ", ".join(f"{name} {brief(value)}" for name, value in point.items())


def brief(value):
    """A value of a point -> a word: [32, 64] -> "32-64", 0.0010000 -> "0.001"."""
    if isinstance(value, list):
        return "-".join(str(item) for item in value)
    return f"{value:.6g}" if isinstance(value, float) else str(value)


def shipped():
    """{name: path} of the studies that come with latentjet."""
    return {path.stem: path for path in sorted(SHIPPED.glob("*.toml"))}


def load(name):
    """Name of a study that ships, or path of a .toml file -> Definition. Raises StudyError."""
    known = shipped()
    path = known.get(str(name), Path(name))
    if path.suffix != ".toml" or not path.is_file():
        raise StudyError(f"'{name}' is neither a .toml file nor a study that ships: {', '.join(known)}")
    try:
        content = tomllib.loads(path.read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise StudyError(f"{path} is no TOML: {error}") from error
    return check(path.stem, content)


def check(name, content):
    """Name and the content of the file -> Definition; raises StudyError that names the first entry which is wrong."""
    known(f"study '{name}' has", content, KEYS)
    grid, search = content.get("grid", []), content.get("search", {})
    if bool(grid) == bool(search):
        raise StudyError(f"study '{name}' has {'both' if grid else 'neither'}: expected [[grid]] or [search]")
    if not isinstance(grid, list) or not all(isinstance(axes, dict) for axes in grid):
        raise StudyError(f"study '{name}': grid is no list of tables, write [[grid]]")
    fixed = content.get("settings", {})
    known(f"[settings] of study '{name}' has", fixed, PARAMETERS)
    for axes in [*grid, search]:
        check_axes(name, axes, fixed)
    trials = content.get("trials", 0)
    if bool(search) != bool(trials) or not isinstance(trials, int) or trials < 0:
        raise StudyError(f"study '{name}': trials is {trials}, expected how many a search makes, and none for a grid")
    found = Definition(
        name, content.get("question", ""), content.get("figures", ["validation"]), content.get("images", 1000),
        content.get("maximise", False), fixed, grid, search, trials, content.get("plot", {}),
    )  # fmt: skip
    known(f"figures of study '{name}' has", found.figures, FIGURES)
    if not found.figures or not isinstance(found.images, int) or found.images < 1:
        raise StudyError(f"study '{name}' measures {found.figures} of {found.images} images: expected some of each")
    check_plot(found)
    for point in corners(found):
        found.resolve(point)
    return found


def known(where, names, valid):
    """Raise StudyError for the first name that is not valid; the valid ones are listed, the likeliest first."""
    for name in names:
        if name not in valid:
            near = difflib.get_close_matches(name, valid, 1)
            hint = f"did you mean '{near[0]}'? " if near else ""
            raise StudyError(f"{where} '{name}': {hint}expected some of {', '.join(valid)}")


def check_axes(name, axes, fixed):
    """Raise StudyError for an axis that is no parameter, is fixed as well, has no value, or has one twice."""
    known(f"an axis of study '{name}' is", axes, PARAMETERS)
    for axis, values in axes.items():
        if axis in fixed:
            raise StudyError(f"study '{name}': '{axis}' is an axis and in [settings]: leave it out of one")
        if isinstance(values, dict):
            check_range(f"study '{name}', axis '{axis}'", values)
        elif not isinstance(values, list) or not values:
            raise StudyError(f"study '{name}', axis '{axis}' is {values!r}, expected a list of values")
        elif any(value in values[:index] for index, value in enumerate(values)):
            raise StudyError(f"study '{name}', axis '{axis}' is {values}: a value stands there twice")


def check_range(where, values):
    """Raise StudyError for a range that no search can draw from."""
    known(f"{where} has", values, sorted(RANGE))
    low, high = values.get("low"), values.get("high")
    if not all(isinstance(end, (int, float)) for end in (low, high)) or not low < high:
        raise StudyError(f"{where} is {values}, expected low and high, low below high")
    if values.get("log") and (low <= 0 or "step" in values):
        raise StudyError(f"{where} is {values}: with log, low must be above 0 and there is no step")


def check_plot(definition):
    """Raise StudyError where a grid has a range, or the plot an axis that the study lacks."""
    for axes in definition.grid:
        for axis, values in axes.items():
            if isinstance(values, dict):
                raise StudyError(f"study '{definition.name}': axis '{axis}' is a range: expected a list in [[grid]]")
    known(f"[plot] of study '{definition.name}' has", definition.plot, ("x",))
    known(f"[plot] of study '{definition.name}' has the axis", definition.plot.values(), list(definition.axes()))


def corners(definition):
    """Points that show whether all of them can be trained: the whole grid, or both ends of every range."""
    if definition.grid:
        return definition.points()
    ends = {name: [v["low"], v["high"]] if isinstance(v, dict) else v for name, v in definition.search.items()}
    return [dict(zip(ends, values, strict=True)) for values in itertools.product(*ends.values())]


def as_json(definition):
    """What makes a study the one that it is, as text that can be compared."""
    content = definition._asdict()
    return json.dumps({key: content[key] for key in IDENTITY}, sort_keys=True)


def difference(left, right):
    """Two texts of as_json -> the first entry in which they differ: (name, its left value, its right value)."""
    one, other = json.loads(left), json.loads(right)
    return next((key, one.get(key), other.get(key)) for key in sorted(one) if one.get(key) != other.get(key))
