"""The pictures of a report, by matplotlib. Each kind is a function (axes, data) that a Picture names."""

import contextlib
import io
import math
import textwrap
import warnings

import matplotlib
import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.image import imsave
from matplotlib.ticker import FixedLocator, FuncFormatter, LogLocator, MaxNLocator, NullFormatter, NullLocator

from .colours import SERIES, light
from .names import short

WIDTH_IN = 4.5
STYLE = {
    "svg.fonttype": "none",  # words stay words: they can be read aloud, searched, and take the reader's font
    "font.size": 10,
    "font.family": "sans-serif",
    "axes.edgecolor": light("rule"),
    "axes.labelcolor": light("muted"),
    "axes.facecolor": light("paper"),
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.axisbelow": True,
    "text.color": light("ink"),
    "xtick.color": light("muted"),
    "ytick.color": light("ink"),
    "xtick.labelsize": 9,
    "ytick.labelsize": 9.5,
    "grid.color": light("rule"),
    "grid.linewidth": 0.6,
    "figure.facecolor": light("paper"),
    "savefig.facecolor": light("paper"),
    "lines.linewidth": 1.6,
}


def draw_svg(picture):
    """Picture -> SVG text, the same for the same picture."""
    with drawing(**{"svg.hashsalt": picture.name}):
        figure = Figure(figsize=(WIDTH_IN, height_in(picture)), constrained_layout=True)
        KINDS[picture.kind](figure.subplots(), picture.data)
        buffer = io.StringIO()
        figure.savefig(buffer, format="svg", transparent=True, metadata={"Date": None})
    return buffer.getvalue()


def draw_png(pictures, title, dpi=130):
    """Pictures -> bytes of one PNG: two columns of them below a title."""
    with drawing():
        drawn = [as_pixels(picture, dpi) for picture in pictures]
        columns = [[], []] if len(drawn) > 1 else [[]]
        for pixels in drawn:
            min(columns, key=lambda column: sum(map(len, column))).append(padded(pixels, len(pixels) + dpi // 8))
        below = [np.concatenate(column) for column in columns]
        height = max(map(len, below))
        below = np.concatenate([padded(column, height) for column in below], axis=1)
        whole = np.concatenate([headed(title, below.shape[1], dpi), below])
        buffer = io.BytesIO()
        imsave(buffer, whole, format="png", metadata={"Software": "latentjet"})
    return buffer.getvalue()


def as_pixels(picture, dpi):
    """Picture -> its plot with its title, uint8 (H, W, 4)."""
    figure = Figure(figsize=(WIDTH_IN, height_in(picture) + 0.45), dpi=dpi, constrained_layout=True)
    figure.suptitle(plain(picture.title), x=0.03, ha="left", fontsize=11)
    KINDS[picture.kind](figure.subplots(), picture.data)
    return pixels_of(figure)


def headed(title, width, dpi):
    """A title, wrapped -> uint8 (H, width, 4)."""
    words = textwrap.wrap(title, int(width / dpi * 9.5))
    figure = Figure(figsize=(width / float(dpi), 0.3 + 0.22 * len(words)), dpi=dpi)
    figure.text(0.015, 0.5, plain("\n".join(words)), va="center", fontsize=12.5, linespacing=1.3)
    pixels = pixels_of(figure)
    return padded(pixels[:, :width], len(pixels), width)


def pixels_of(figure):
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    return np.array(canvas.buffer_rgba())


def padded(pixels, height, width=0):
    """Pixels with paper below them and on their right, to that size at least."""
    lack = [(0, max(height - pixels.shape[0], 0)), (0, max(width - pixels.shape[1], 0)), (0, 0)]
    paper = [int(light("paper")[place : place + 2], 16) for place in (1, 3, 5)] + [255]
    grown = np.pad(pixels, lack, mode="constant", constant_values=255)
    grown[pixels.shape[0] :] = paper
    grown[:, pixels.shape[1] :] = paper
    return grown


def height_in(picture):
    """Inches: by rows where there are rows."""
    rows = picture.data.get("rows")
    return 2.9 if rows is None else 0.85 + 0.3 * max(len(rows), 1) + 0.25 * bool(picture.data.get("parts"))


def plain(text):
    """A text that matplotlib shows as it is: no dollar opens a formula."""
    return str(text).replace("$", r"\$")


def brief(text, most=26):
    """A name as a plot has room for it: a long one without its middle; tables have it whole."""
    text = " ".join(str(text).split())
    return plain(text if len(text) <= most else text[: most // 3] + "\u2026" + text[1 + most // 3 - most :])


@contextlib.contextmanager
def drawing(**more):
    """Context: our style; letters that matplotlib's font lacks are no warning, since the reader's font has them."""
    with matplotlib.rc_context(dict(STYLE, **more)), warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Glyph .* missing from", UserWarning)
        yield


def number(value):
    """A number beside its mark, with three digits that count."""
    return short(value)


def tick(value, _=None):
    """A tick's number without trailing zeros."""
    return "{:,.6g}".format(value)


def scale(axes, name, low, high):
    """Make one axis ("x" or "y") logarithmic with plain numbers where the values span much, else linear."""
    axis = getattr(axes, name + "axis")
    if low > 0 and high > 5 * low:
        getattr(axes, "set_{}scale".format(name))("log")
        wide = high > 300 * low
        axis.set_major_locator(LogLocator(subs=(1,) if wide else (1, 2, 5), numticks=12))
        axis.set_minor_locator(NullLocator())
        axis.set_minor_formatter(NullFormatter())
    else:
        axis.set_major_locator(MaxNLocator(5))
    axis.set_major_formatter(FuncFormatter(tick))


def name_rows(axes, labels):
    """One row of the picture each, the first on top."""
    axes.set_yticks(range(len(labels)))
    axes.set_yticklabels([brief(label) for label in labels])
    axes.set_ylim(len(labels) - 0.5, -0.5)
    axes.tick_params(axis="y", length=0)
    axes.spines["left"].set_visible(False)


def bars(axes, data):
    """rows [{label, family, median, p90, p99}], xlabel: how long a call takes. Bar: median; line: p99; diamond: p90."""
    top = max(row["p99"] for row in data["rows"])
    for place, row in enumerate(data["rows"]):
        axes.barh(place, row["median"], height=0.5, color=light(row["family"]))
        axes.plot([row["median"], row["p99"]], [place, place], color=light("ink"), linewidth=1.1, solid_capstyle="butt")
        axes.plot(row["p90"], place, "D", color=light("ink"), markersize=3.6)
        axes.annotate(
            number(row["median"]), (max(row["p99"], row["p90"]), place), (6, 0), textcoords="offset points",
            va="center", fontsize=9,
        )  # fmt: skip
    axes.set_xlim(0, 1.18 * top)
    axes.xaxis.set_major_locator(MaxNLocator(5))
    axes.xaxis.set_major_formatter(FuncFormatter(tick))
    name_rows(axes, [row["label"] for row in data["rows"]])
    axes.set_xlabel(data["xlabel"])
    axes.grid(axis="x")


def spread(axes, data):
    """rows [{label, family, values, p90}], xlabel: how calls were spread. Line p1 to p99, bar the middle half."""
    percents = (1, 25, 50, 75, 99)
    found = [np.percentile(row["values"], percents) for row in data["rows"]]
    low, high = min(item[0] for item in found), max(item[-1] for item in found)
    high = max([high] + [row["p90"] for row in data["rows"]] + ([data["line"]] if "line" in data else []))
    scale(axes, "x", low, high)
    for place, (row, item) in enumerate(zip(data["rows"], found)):
        colour = light(row["family"])
        axes.plot(*strokes(row["values"], place), color=colour, alpha=0.5, linewidth=0.6)
        axes.plot([item[0], item[4]], [place, place], color=colour, linewidth=1.4, solid_capstyle="butt")
        axes.plot([item[1], item[3]], [place, place], color=colour, linewidth=8, solid_capstyle="butt")
        axes.plot(item[2], place, "o", color=light("paper"), markeredgecolor=light("ink"), markersize=5)
        axes.plot(row["p90"], place, "D", color=light("ink"), markersize=3.6)
    if "line" in data:
        axes.axvline(data["line"], color=light("ink"), linewidth=0.9)
    room = 1.06 if axes.get_xscale() == "log" else None
    margin = 0.06 * (high - low) or 0.02 * high
    axes.set_xlim(*((low / room, high * room) if room else (low - margin, high + margin)))
    name_rows(axes, [row["label"] for row in data["rows"]])
    axes.set_xlabel(data["xlabel"])
    axes.grid(axis="x")


def strokes(values, place, most=150):
    """Values -> x and y of one line that is a short stroke for each of them, or for so many of their percentiles."""
    values = np.percentile(values, np.linspace(0, 100, most)) if len(values) > most else np.asarray(values)
    xs = np.stack([values, values, np.full(len(values), np.nan)], 1).ravel()
    return xs, np.tile([place + 0.22, place + 0.4, np.nan], len(values))


def intervals(axes, data):
    """rows [{label, family, middle, low, high}], xlabel, line (where nothing differs): points with their intervals."""
    low = min([data["line"]] + [row["low"] for row in data["rows"]])
    high = max([data["line"]] + [row["high"] for row in data["rows"]])
    scale(axes, "x", low, high)
    axes.axvline(data["line"], color=light("ink"), linewidth=0.9)
    for place, row in enumerate(data["rows"]):
        colour = light(row["family"])
        axes.plot(
            [row["low"], row["high"]], [place, place], color=colour, linewidth=5, alpha=0.45, solid_capstyle="butt"
        )
        axes.plot(row["middle"], place, "o", color=colour, markersize=5)
        left = row["high"] < data["line"]
        axes.annotate(
            number(row["middle"]), (row["low"] if left else row["high"], place), (-6 if left else 6, 0),
            textcoords="offset points", va="center", ha="right" if left else "left", fontsize=9,
        )  # fmt: skip
    if axes.get_xscale() == "log":
        room = (high / low) ** 0.17
        axes.set_xlim(low / (room**1.6 if low < data["line"] else 1.08), high * room)
    else:
        margin = 0.2 * (high - low) or 0.1
        axes.set_xlim(low - (margin if low < data["line"] else 0.3 * margin), high + margin)
    name_rows(axes, [row["label"] for row in data["rows"]])
    axes.set_xlabel(data["xlabel"])
    axes.grid(axis="x")


def lines(axes, data):
    """series [{label, family, x, y}], xlabel, ylabel, x_doubles (batch sizes): named at their right end."""
    values = [value for series in data["series"] for value in series["y"] if math.isfinite(value)]
    scale(axes, "y", min(values), max(values)) if data.get("x_doubles") else axes.yaxis.set_major_locator(
        MaxNLocator(5)
    )
    ends = []
    for place, series in enumerate(data["series"]):
        colour = light(series.get("family") or SERIES[place % len(SERIES)])
        style = ("-", "--", ":", "-.")[series.get("style", place // len(SERIES) if not series.get("family") else 0) % 4]
        mark = "o" if len(series["x"]) < 40 else ""
        axes.plot(series["x"], series["y"], style, marker=mark, markersize=3.5, color=colour)
        ends.append((series["x"][-1], series["y"][-1], series["label"], colour))
    if data.get("x_doubles"):
        axes.set_xscale("log", base=2)
        ticks = sorted(set(value for series in data["series"] for value in series["x"]))
        axes.xaxis.set_major_locator(FixedLocator(ticks))
        axes.xaxis.set_minor_locator(NullLocator())
        axes.xaxis.set_major_formatter(FuncFormatter(tick))
    else:
        axes.set_ylim(*(data.get("ylim") or (0, max(values) * 1.08 or 1)))
    axes.set_xlabel(data["xlabel"])
    axes.set_ylabel(data["ylabel"])
    axes.grid()
    name_ends(axes, ends)


def name_ends(axes, ends, gap=0.075):
    """Labels on the right, at the height where their lines end, pushed apart where they would touch."""
    axes.get_xlim(), axes.get_ylim()  # settles them before they are asked where things lie
    to_share = axes.transData + axes.transAxes.inverted()
    heights = sorted((to_share.transform((x, y))[1], label, colour) for x, y, label, colour in ends)
    for place, (_, label, colour) in zip(apart([height for height, _, _ in heights], gap), heights):
        axes.annotate(
            brief(label), (1, place), (5, 0), xycoords="axes fraction", textcoords="offset points", va="center",
            fontsize=9, color=colour, annotation_clip=False,
        )  # fmt: skip


def apart(places, gap):
    """Places in order, in [0, 1] -> places that are at least a gap from each other, near to where they were."""
    places = list(places)
    for _ in range(100):
        for index in range(len(places) - 1):
            lack = gap - (places[index + 1] - places[index])
            if lack > 1e-6:
                places[index] -= lack / 2
                places[index + 1] += lack / 2
    shift = max(0.02 - places[0], 0) - max(places[-1] - max(1.0, gap * len(places)), 0)
    return [place + shift for place in places]


def stacked(axes, data):
    """rows [{label, values}], parts [names], xlabel: bars of parts that follow each other in time."""
    for place, row in enumerate(data["rows"]):
        left = 0.0
        for part, value in enumerate(row["values"]):
            colour = light(SERIES[part % len(SERIES)])
            axes.barh(place, value, left=left, height=0.55, color=colour, edgecolor=light("paper"), linewidth=0.8)
            left += value
        axes.annotate(number(left), (left, place), (4, 0), textcoords="offset points", va="center", fontsize=9)
    top = max(sum(row["values"]) for row in data["rows"])
    axes.set_xlim(0, 1.15 * top)
    name_rows(axes, [row["label"] for row in data["rows"]])
    if data["parts"]:
        name_parts(axes, data)
    axes.xaxis.set_major_locator(MaxNLocator(5))
    axes.xaxis.set_major_formatter(FuncFormatter(tick))
    axes.set_xlabel(data["xlabel"])
    axes.grid(axis="x")


def name_parts(axes, data):
    """The legend of stacked bars, above them."""
    handles = [axes.barh(-9, 0, color=light(SERIES[part % len(SERIES)])) for part in range(len(data["parts"]))]
    axes.set_ylim(len(data["rows"]) - 0.5, -0.5)
    axes.legend(
        handles, [brief(name).lstrip("_") for name in data["parts"]], loc="lower left", bbox_to_anchor=(0, 1),
        frameon=False,
        ncol=min(len(handles), 4), fontsize=9, handlelength=0.9, handletextpad=0.4, columnspacing=1.1, borderpad=0.1,
    )  # fmt: skip


def scatter(axes, data):
    """points [{label, family, x, y}], xlabel, ylabel: each named."""
    xs, ys = [[point[name] for point in data["points"]] for name in "xy"]
    scale(axes, "x", min(xs), max(xs))
    scale(axes, "y", min(ys), max(ys))
    axes.margins(0.18)
    for point in data["points"]:
        axes.plot(point["x"], point["y"], "o", color=light(point["family"]), markersize=7)
    axes.set_xlabel(data["xlabel"])
    axes.set_ylabel(data["ylabel"])
    axes.grid()
    name_points(axes, data["points"])


def name_points(axes, points, height=12.0, letter=5.6):
    """Each point's label beside it, at the first of some places where it hides no other label, no point, no edge."""
    FigureCanvasAgg(axes.figure).draw()  # settles where things lie
    to_points = 72.0 / axes.figure.dpi
    edges = [to_points * value for value in axes.bbox.extents]
    spots = [[to_points * value for value in axes.transData.transform((point["x"], point["y"]))] for point in points]
    taken = [(x - 5, y - 5, x + 5, y + 5) for x, y in spots]
    for point, (x, y) in zip(points, spots):
        box, offset, side = room_beside(x, y, letter * len(brief(point["label"])), height, edges, taken)
        taken.append(box)
        line = dict(arrowstyle="-", color=light("muted"), lw=0.6) if offset[1] else None
        note = axes.annotate(
            brief(point["label"]), (point["x"], point["y"]), offset, textcoords="offset points", ha=side, va="center",
            fontsize=9, arrowprops=line,
        )  # fmt: skip
        note.set_in_layout(False)  # the plot keeps its size, on which the places depend


def room_beside(x, y, width, height, edges, taken):
    """Where a label finds room, in points -> (its box, offset from the point, alignment)."""
    tries = [(side, up) for up in (0, 1, -1, 2, -2, 3, -3, 4, -4, 5, 6) for side in ("left", "right")]
    for side, up in tries:
        across = 8 if up in (0, 1, -1) else 16
        left = x + across if side == "left" else x - across - width
        box = (left, y + (up - 0.5) * height, left + width, y + (up + 0.5) * height)
        inside = edges[0] <= box[0] and box[2] <= edges[2] and edges[1] <= box[1] and box[3] <= edges[3]
        if inside and not any(touch(box, other) for other in taken):
            break
    return box, (across if side == "left" else -across, up * height), side


def touch(one, other):
    """Do two boxes (left, bottom, right, top) overlap?"""
    return one[0] < other[2] and other[0] < one[2] and one[1] < other[3] and other[1] < one[3]


KINDS = {
    "bars": bars, "spread": spread, "intervals": intervals, "lines": lines, "stacked": stacked, "scatter": scatter,
}  # fmt: skip
