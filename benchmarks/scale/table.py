"""A Record of the cost of scale as Markdown: the machine, the fit and its error, a table for each family."""

from ..results import percentile
from .points import AXES, SWEEPS
from .predicted import errors, fit

NAMES = {"realnvp": "Real NVP", "vae": "convolutional VAE"}


def page(record, pictures="benchmarks"):
    """Record -> Markdown; pictures: the folder of the PNGs, seen from the page."""
    families = [name for name in SWEEPS if any(item.family == name for item in record.points)]
    return "\n\n".join([where(record)] + [part(record, family, pictures) for family in families])


def where(record):
    machine, settings = record.machine, record.settings
    name = machine.get("board") or machine.get("processor") or "an unknown processor"
    versions = ", ".join("{} {}".format(name, version) for name, version in sorted(record.versions.items()))
    lines = [
        "Measured {} on {}, {} cores, {}; load before the run {}. CPython {}, {}.".format(
            record.started, name, machine.get("cores"), machine.get("system"), machine.get("load", "unknown"),
            machine.get("python"), versions,
        ),
        "ONNX Runtime, one thread, float32, all points in turn in {} rounds of {:g} ms each.".format(
            settings["rounds"], 1e3 * settings["burst_s"]
        ),
    ]  # fmt: skip
    if machine.get("load", 0) > 0.5:
        lines.append("**The machine had other work to do: these figures are to be measured again on a quiet one.**")
    return "\n".join(lines)


def part(record, family, pictures):
    """One family: its picture, its fit, its table."""
    line = fit(record.points, family)
    rows = ["### {}".format(NAMES[family]), ""]
    rows += ["![{}: latency and memory against scale]({}/scale-{}.png)".format(NAMES[family], pictures, family), ""]
    rows += [fitted(record, family, line), ""]
    heads = ["sweep", "value", "kernels", "MMAC", "measured, ms", "predicted, ms"]
    heads += ["TX2 fp16, predicted, ms", "memory, MB"]
    rows += ["| " + " | ".join(heads) + " |", "|" + "---|" * len(heads)]
    for item in record.points:
        if item.family == family:
            rows.append("| " + " | ".join(cells(item, line)) + " |")
    return "\n".join(rows)


def fitted(record, family, line):
    """What was fitted and how far off the rest is, in a sentence."""
    if line is None:
        return "Too few points for a prediction of this machine."
    text = "Predicted here: {:.1f} us + {:.2f} us a kernel + {:.3f} ns a MAC + {:.3f} ns a byte moved, ".format(
        1e6 * line.fixed_s, 1e6 * line.kernel_s, 1e9 * line.mac_s, 1e9 * line.byte_s
    )
    text += "fitted to the sweeps over {}.".format(" and ".join(line.sweeps))
    wrong = errors(record.points, family, line)
    if wrong:
        text += " On the other {} points it is off by {:.0f} % (median) and {:.0f} % (most).".format(
            len(wrong), 100 * wrong[len(wrong) // 2], 100 * wrong[-1]
        )
    return text


def cells(item, line):
    medians = item.round_medians()
    spread = [1e3 * percentile(medians, percent) for percent in (25, 75)]
    return [
        AXES[item.sweep], str(item.value), str(item.kernels), "{:.2f}".format(item.macs * item.batch / 1e6),
        "{:.3f} ({:.3f} to {:.3f})".format(1e3 * item.median_s, *spread),
        "{:.3f}".format(1e3 * line.seconds(item)) if line else "",
        "{:.2f} ({:.2f} to {:.2f})".format(*(1e3 * item.board[name] for name in ("seconds", "low", "high")))
        if item.board else "",
        "{:.1f}".format(taken(item) / 1e6) if taken(item) else "",
    ]  # fmt: skip


def taken(item):
    """Bytes that loading and running the graph added to the process; None where the system does not tell."""
    if not item.memory.get("most") or not item.memory.get("imported"):
        return None
    return item.memory["most"] - item.memory["imported"]
