"""The pictures of a study: figures over an axis, samples of every point, and what one pixel tells."""

import io
import math

import numpy as np
from matplotlib.figure import Figure

from ..checkpoint import write_atomically
from .definition import brief, title
from .results import over_seeds


def save(figure, path):
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=100)
    write_atomically(path, buffer.getvalue())


def draw_figures(path, results):
    """Results of trials -> a PNG with one panel a figure, over the axis that the study plots; bars: all seeds."""
    study = results["study"]
    groups = over_seeds(results["rows"])
    x = study.get("plot", {}).get("x") or next(iter(groups[0]["point"]))
    names = [name for name in study["figures"] if any(group["figures"].get(name) for group in groups)]
    panels = [*names, "diverged runs"] if any(group["diverged"] for group in groups) else names
    columns = min(3, len(panels))
    rows = math.ceil(len(panels) / columns)
    figure = Figure(figsize=(4.2 * columns, 3.2 * rows + 0.6), layout="constrained")
    places = figure.subplots(rows, columns, squeeze=False).flatten()
    for place, name in zip(places, panels, strict=False):
        panel(place, groups, x, name)
    for place in places[len(panels) :]:
        place.axis("off")
    handles, labels = places[0].get_legend_handles_labels()
    if len(labels) > 1:
        figure.legend(handles, labels, loc="outside lower center", ncols=min(4, len(labels)), fontsize="small")
    save(figure, path)


def panel(axes, groups, x, name):
    """One figure over x, one line for each combination of the other axes."""
    values = list(dict.fromkeys(brief(group["point"].get(x)) for group in groups))
    numbers = [group["point"].get(x) for group in groups]
    numeric = all(isinstance(value, (int, float)) and not isinstance(value, bool) for value in numbers)
    lines = {}
    for group in groups:
        others = {axis: value for axis, value in group["point"].items() if axis != x}
        lines.setdefault(title(others), []).append(group)
    for label, members in lines.items():
        found = [entry for entry in (dot(group, x, name, numeric, values) for group in members) if entry]
        found.sort()
        where, middle, low, high = (list(column) for column in zip(*found, strict=True)) if found else ([],) * 4
        bars = [low, high] if found else None
        axes.errorbar(where, middle, yerr=bars, fmt="o-", markersize=3, capsize=2, label=label)
    if numeric and min(numbers) > 0 and max(numbers) > 8 * min(numbers):
        axes.set_xscale("log")
    if numeric and len(values) <= 8:
        axes.set_xticks(sorted(set(numbers)), [brief(value) for value in sorted(set(numbers))], fontsize="small")
        axes.minorticks_off()
    if not numeric:
        axes.set_xticks(range(len(values)), values)
    axes.set(xlabel=x, title=name.replace("_", " "))
    axes.grid(alpha=0.3)


def dot(group, x, name, numeric, values):
    """A group -> (x, mean, down to the lowest seed, up to the highest); None where nothing was measured."""
    found = [group["diverged"]] if name == "diverged runs" else group["figures"].get(name)
    if not found:
        return None
    where = group["point"][x] if numeric else values.index(brief(group["point"].get(x)))
    mean = sum(found) / len(found)
    return where, mean, mean - min(found), max(found) - mean


def draw_strips(path, strips):
    """[(words, images (N, C, H, W) in [0, 1] as an array)] -> a PNG, one row of samples each, the words beside it."""
    count = len(strips[0][1])
    figure = Figure(figsize=(3.2 + 0.55 * count, 0.6 * len(strips) + 0.1), layout="constrained")
    for axes, (words, images) in zip(figure.subplots(len(strips), 1, squeeze=False)[:, 0], strips, strict=True):
        axes.imshow(side_by_side(images), cmap="gray", vmin=0, vmax=1, interpolation="nearest")
        axes.set_xticks([])
        axes.set_yticks([])
        axes.set_ylabel(words, rotation=0, ha="right", va="center", fontsize="small")
    save(figure, path)


def side_by_side(images):
    """Images (N, C, H, W) -> (H, N * W) or (H, N * W, 3)."""
    row = np.concatenate(list(images), axis=2)
    return row[0] if len(row) == 1 else row.transpose(1, 2, 0)
