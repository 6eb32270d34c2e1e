"""A Record as pictures: for each family a row of latencies, measured and predicted, and a row of memory."""

import io

from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter

from ...runtime.files import write_file
from ..results import percentile
from .points import AXES, FITTED, SWEEPS
from .predicted import fit
from .table import NAMES, taken

MEASURED, PREDICTED, BOARD = "#1f77b4", "#d62728", "#2ca02c"


def draw(record, family, path):
    """Write the PNG of one family. Raises OutputError."""
    sweeps = [name for name in SWEEPS[family] if any(item[:2] == (family, name) for item in record.points)]
    figure = Figure(figsize=(3.6 * max(len(sweeps), 2) + 0.6, 6.6), layout="constrained")
    places = figure.subplots(2, len(sweeps), squeeze=False, sharey="row")
    line = fit(record.points, family)
    for column, sweep in enumerate(sweeps):
        found = sorted((item for item in record.points if item[:2] == (family, sweep)), key=lambda item: item.value)
        latency(places[0][column], found, line, sweep in FITTED[family])
        memory(places[1][column], found)
        for axes in places[:, column]:
            axes.set_xscale("log", base=2)
            axes.set_xticks([item.value for item in found], [str(item.value) for item in found])
            axes.minorticks_off()
            axes.grid(alpha=0.3)
        places[1][column].set_xlabel(AXES[sweep])
        kind = "fitted to this sweep" if sweep in FITTED[family] else "this sweep not seen by the fit"
        places[0][column].set_title("{}\n{}".format(sweep, kind if line else "no fit"), fontsize="medium")
    places[0][0].set_ylabel("latency of one decode, ms")
    places[1][0].set_ylabel("memory added by the graph, MB")
    for axes in (places[0][0], places[1][0]):
        axes.set_yscale("log")
        axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: "{:g}".format(value)))
        axes.yaxis.set_minor_formatter(FuncFormatter(lambda value, _: ""))
    handles, labels = places[0][0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=3, fontsize="small")
    processor = record.machine.get("board") or record.machine.get("processor")
    figure.suptitle("{}: one decode on {}, ONNX Runtime, one thread".format(NAMES[family], processor))
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=100)
    write_file(path, buffer.getvalue())


def latency(axes, found, line, fitted):
    """Measured points with the quarter points of their rounds, the line, and the board's estimate with its interval."""
    where = [item.value for item in found]
    middle = [1e3 * item.median_s for item in found]
    low, high = ([1e3 * percentile(item.round_medians(), percent) for item in found] for percent in (25, 75))
    bars = [[max(m - b, 0) for m, b in zip(middle, low)], [max(b - m, 0) for m, b in zip(middle, high)]]
    axes.errorbar(where, middle, yerr=bars, fmt="o", markersize=4, capsize=2, color=MEASURED, label="measured here")
    if line:
        style = "-" if fitted else "--"
        axes.plot(where, [1e3 * line.seconds(item) for item in found], style, color=PREDICTED, label="predicted here")
    if all(item.board for item in found):
        low, middle, high = ([1e3 * item.board[name] for item in found] for name in ("low", "seconds", "high"))
        axes.plot(where, middle, ":", color=BOARD, label="predicted for a TX2, fp16 (band: 9 of 10)")
        axes.fill_between(where, low, high, color=BOARD, alpha=0.12, linewidth=0)


def memory(axes, found):
    """What the process grew by, and the weights alone."""
    known = [item for item in found if taken(item)]
    where = [item.value for item in known]
    axes.plot(where, [taken(item) / 1e6 for item in known], "o-", markersize=4, color=MEASURED)
    values, weights = [item.value for item in found], [4 * item.parameters / 1e6 for item in found]
    axes.plot(values, weights, ":", color="grey")
    axes.annotate(
        "the weights alone", (values[-1], weights[-1]), xytext=(0, -10), textcoords="offset points",
        ha="right", va="top", fontsize="x-small", color="grey",
    )  # fmt: skip
