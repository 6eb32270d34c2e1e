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
    figure.savefig(buffer, format="png", dpi=100, bbox_inches="tight")
    write_atomically(path, buffer.getvalue())


def plotted(results):
    """The axis that the figures are drawn over: the study's choice, else the first."""
    return results["study"].get("plot", {}).get("x") or next(iter(results["rows"][0]["point"]))


def draw_figures(path, results):
    """Results of trials -> a PNG with one panel a figure, over the axis that the study plots; bars: all seeds."""
    study = results["study"]
    groups = over_seeds(results["rows"])
    x = plotted(results)
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
        ticks = sorted(set(numbers))
        axes.set_xticks(ticks, [brief(value) for value in ticks], fontsize="small", rotation=45)
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


def draw_spectra(path, results):
    """Results of trials -> a PNG: power of samples over real images by frequency, a panel for each line of figures."""
    x = plotted(results)
    panels = {}
    for row in results["rows"]:
        if row["spectrum"]:
            others = {name: value for name, value in row["point"].items() if name not in (x, "seed")}
            panels.setdefault(title(others), {}).setdefault(brief(row["point"].get(x)), []).append(row)
    columns = min(4, len(panels))
    lines = math.ceil(len(panels) / columns)
    figure = Figure(figsize=(3.3 * columns, 3 * lines), layout="constrained")
    places = figure.subplots(lines, columns, squeeze=False, sharey=True).flatten()
    for axes, (words, curves) in zip(places, panels.items(), strict=False):
        for value, rows in curves.items():
            mean = np.mean([row["spectrum"] for row in rows], axis=0)
            axes.semilogy(range(1, len(mean) + 1), mean, "o-", markersize=2, label=f"{x} {value}")
        axes.axhline(1, color="black", linewidth=0.8)
        axes.set_title(words, fontsize="small")
        axes.set_xlabel("cycles an image", fontsize="small")
        axes.grid(alpha=0.3)
        axes.legend(fontsize="x-small")
    for axes in places[len(panels) :]:
        axes.axis("off")
    save(figure, path)


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


def draw_matrices(path, rows):
    """Results of pixels.py -> a PNG with one matrix of accuracies each, in hundredths."""
    columns = min(3, len(rows))
    lines = math.ceil(len(rows) / columns)
    figure = Figure(figsize=(4.6 * columns, 4.4 * lines), layout="constrained")
    places = figure.subplots(lines, columns, squeeze=False).flatten()
    for axes, row in zip(places, rows, strict=False):
        classes = len(row["classes"])
        matrix = np.full((classes, classes), np.nan)
        for pair in row["each"]:
            one, other = pair["pair"]
            matrix[one, other] = matrix[other, one] = pair["accuracy"]
        axes.imshow(matrix, cmap="viridis", vmin=0.5, vmax=1)
        for one, other in np.argwhere(~np.isnan(matrix)):
            shade = "black" if matrix[one, other] > 0.8 else "white"
            words = f"{round(100 * matrix[one, other])}"
            axes.text(other, one, words, ha="center", va="center", fontsize=7, color=shade)
        axes.set_xticks(range(classes), row["classes"], rotation=60, ha="right", fontsize=7)
        axes.set_yticks(range(classes), row["classes"], fontsize=7)
        axes.set_title(f"{row['name']}\n{row['chosen_on']} -> {row['tested_on']}", fontsize=9)
    for axes in places[len(rows) :]:
        axes.axis("off")
    save(figure, path)


def draw_means(path, parts):
    """[(results of pixels.py, mean images (classes, C, H, W))] -> a PNG: the means, and the pixels that were chosen."""
    classes = max(len(means) for _, means in parts)
    figure = Figure(figsize=(1.3 * classes + 0.8, 1.55 * len(parts)), layout="constrained")
    for line, (row, means) in zip(figure.subplots(len(parts), classes, squeeze=False), parts, strict=True):
        for label, axes in enumerate(line):
            axes.set(xticks=[], yticks=[])
            if label >= len(means):
                axes.axis("off")
                continue
            axes.imshow(side_by_side(means[label : label + 1]), cmap="gray", vmin=0, vmax=1)
            axes.set_title(row["classes"][label], fontsize=7)
            for pair in row["each"]:
                if label in pair["pair"]:
                    _, y, x = np.unravel_index(pair["pixel"], means[label].shape)
                    colour = "tab:orange" if pair["bright"] == label else "tab:cyan"
                    axes.plot(x, y, "s", color=colour, markersize=3)
        line[0].set_ylabel(row["name"].replace(", ", "\n"), fontsize=7)
    save(figure, path)
