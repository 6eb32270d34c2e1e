"""A prediction beside the measurement: what `latentjet estimate` says of the same graph."""

import json
import re
from collections import OrderedDict

from ...runtime.errors import InputError
from .latency import milli, timed
from .layers import by_layer
from .names import deployed, label, machine, seconds, share, short
from .parts import Picture, Section, Table

KEYS = ("target", "precision", "batch", "seconds")
BOUNDS = ("launch", "memory", "arithmetic")


def load(path):
    """Path of a JSON that `latentjet estimate --json` wrote -> list of predictions, each a dict.

    Raises InputError where it cannot be read or is something else.
    """
    try:
        with open(path, encoding="utf-8") as handle:
            content = json.load(handle)
        found = [flattened(item) for item in (content if isinstance(content, list) else [content])]
        for item in found:
            missing = [name for name in KEYS if name not in item]
            if missing:
                raise KeyError("no '{}'".format(missing[0]))
            if not float(item["seconds"]) > 0:
                raise ValueError("seconds is {}".format(item["seconds"]))
            for layer in item.get("layers", []):
                float(layer["seconds"])
    except OSError as error:
        raise InputError("{} cannot be read: {}".format(path, error.strerror or error))
    except (KeyError, TypeError, ValueError, AttributeError, RecursionError) as error:
        raise InputError(
            "{} is no prediction ({}): expected what latentjet estimate BUNDLE --json FILE writes".format(path, error)
        )
    return found


def flattened(item):
    """A prediction with what it says of its device at its top: target and mode."""
    device = item.get("device")
    return dict(item, target=device["target"], mode=device.get("mode")) if isinstance(device, dict) else dict(item)


def target(item):
    """A prediction -> "tx2, MAXN" """
    return ", ".join(str(item[name]) for name in ("target", "mode") if item.get(name))


def section(run, predictions):
    """Run, predictions -> Section, or None without predictions."""
    if not predictions:
        return None
    same = [item for item in predictions if is_this_machine(run, item)]
    lead = [
        "Predicted by latentjet estimate from the graph alone. {}".format(
            "The prediction is for the machine that was measured." if len(same) == len(predictions) else
            "Measured was {}: a prediction for another machine stands beside it for its shape, not to be held against "
            "it.".format(machine(run)))
    ]  # fmt: skip
    pictures = [item for item in [bars(run, predictions)] if item]
    pictures += [layer_bars(number, item) for number, item in enumerate(predictions) if item.get("layers")][:4]
    notes = list(OrderedDict.fromkeys(str(note) for item in predictions for note in item.get("notes") or []))
    return Section("prediction", "Prediction beside measurement", lead, pictures, [table(run, predictions)], notes)


def is_this_machine(run, item):
    """Does the prediction's target name the board that was measured?"""
    known = plain("{} {}".format(run.machine.get("board") or "", run.machine.get("module") or ""))
    mode = item.get("mode")
    named = re.search("(?<!orin)" + re.escape(plain(item["target"])) + "(?!nx)", known)
    return bool(named) and (not mode or run.machine.get("power_mode") in (None, mode))


def plain(text):
    """ "Jetson TX2 NX" -> "jetsontx2nx" """
    return re.sub(r"[^a-z0-9]", "", str(text).lower())


def measured(run, item):
    """The fastest deployed result of the prediction's batch size and precision, or None."""
    found = [
        result for result in timed(run)
        if deployed(result.case) and (result.case.batch, result.case.precision) == (item["batch"], item["precision"])
    ]  # fmt: skip
    return min(found, key=lambda result: result.median_s, default=None)


def bars(run, predictions):
    """Predicted and measured milliseconds, one row each; or None where nothing was measured to stand beside."""
    rows, seen = [], set()
    for item in predictions:
        rows.append({"label": "{} {}, batch {}".format(target(item), item["precision"], item["batch"]),
                     "values": [1e3 * item["seconds"], 0]})  # fmt: skip
        result = measured(run, item)
        if result is not None and result.case not in seen:
            seen.add(result.case)
            rows.append({"label": "{}, batch {}".format(label(result.case), result.case.batch),
                         "values": [0, 1e3 * result.median_s]})  # fmt: skip
    if not seen:
        return None
    told = "; ".join("{} {}".format(row["label"], seconds(sum(row["values"]) / 1e3)) for row in rows)
    data = {"rows": rows, "parts": ["predicted", "measured"], "xlabel": "milliseconds a call"}
    return Picture("prediction", "Predicted and measured", "Milliseconds a call: {}.".format(told), "stacked", data)


def layer_bars(number, item):
    """Predicted time by layer, split by what bounds it."""
    named = [dict(layer, layer=layer.get("layer") or layer.get("name")) for layer in item["layers"]]
    kept = [name for name, _ in by_layer(named)]
    bounds = [name for name in BOUNDS if any(layer.get("bound") == name for layer in named)]
    bounds += sorted(set(str(layer.get("bound") or "other") for layer in named) - set(BOUNDS))
    sums = {name: [0.0] * len(bounds) for name in kept}
    for layer in named:
        name = layer["layer"] if layer["layer"] in sums else kept[-1]
        sums[name][bounds.index(str(layer.get("bound") or "other"))] += 1e6 * layer["seconds"]
    rows = [{"label": name, "values": values} for name, values in sums.items()]
    shares = [sum(row["values"][place] for row in rows) for place in range(len(bounds))]
    told = ", ".join("{} {}".format(name, share(part / sum(shares), 1)) for name, part in zip(bounds, shares))
    title = "Predicted time by layer, {} {}, batch {}".format(target(item), item["precision"], item["batch"])
    data = {"rows": rows, "parts": bounds, "xlabel": "microseconds"}
    return Picture("prediction-{}".format(number), title, "{}: bound by {}.".format(title, told), "stacked", data)


def table(run, predictions):
    rows = []
    for item in predictions:
        result = measured(run, item)
        between = item.get("interval_s")
        rows.append([target(item), item["precision"], str(item["batch"]), milli(item["seconds"])])
        rows[-1].append("{} to {}".format(*map(milli, between)) if between else "")
        rows[-1] += ["", ""] if result is None else [label(result.case), milli(result.median_s)]
        same = result is not None and is_this_machine(run, item)
        rows[-1].append(short(item["seconds"] / result.median_s) if same else "")
    head = [
        "target",
        "precision",
        "batch",
        "predicted ms",
        "interval, ms",
        "measured with",
        "measured, median ms",
        "predicted / measured",
    ]
    return Table("Predicted, and measured on {}".format(machine(run)), head, rows, 2)
