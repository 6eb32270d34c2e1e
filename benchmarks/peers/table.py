"""A Record as Markdown: one table a work, and in words where another than this project's bundle is the fastest."""

from ..results import percentile, ratio

WORDS = {
    "flow-conv": "Samples of a convolutional coupling flow, noise to image",
    "flow-dense": "Samples of a dense coupling flow, noise to image",
    "flow-decode": "The runtime beside bare ONNX Runtime: this project's flow from a given z",
    "vae-mlp": "The decoder of a dense VAE from a given z",
    "vae-conv": "The decoder of a convolutional VAE with batch norm from a given z",
}
REFERENCES = {
    "flow-conv": ("latentjet", "conv", "model"),
    "flow-dense": ("plain PyTorch", "dense", "model"),
    "flow-decode": ("latentjet", "conv", "engine"),
    "vae-mlp": ("latentjet", "mlp", "engine"),
    "vae-conv": ("latentjet", "conv", "engine"),
}
WAYS = {
    "eager": "eager",
    "compiled": "torch.compile",
    "model": "bundle, `Model`",
    "engine": "bundle, `Engine`",
    "bare": "bare ONNX Runtime",
}


def page(record):
    """Record -> Markdown without a heading."""
    works = list(dict.fromkeys(item.work for item in record.results))
    return "\n\n".join([where(record)] + [part(record, work) for work in works])


def where(record):
    """The machine, the versions and the settings, in a sentence each."""
    machine, settings = record.machine, record.settings
    name = machine.get("board") or machine.get("processor") or "an unknown processor"
    versions = ", ".join("{} {}".format(name, version) for name, version in sorted(record.versions.items()))
    load = machine.get("load")
    told = "unknown" if load is None else "{:.1f}".format(load)
    lines = [
        "Measured {} on {}, {} cores, {}; load before the run {}. CPython {}, {}.".format(
            record.started, name, machine.get("cores"), machine.get("system"), told,
            machine.get("python"), versions,
        ),
        "One thread for every system, {} interleaved rounds of {:g} ms each, float32.".format(
            settings["rounds"], 1e3 * settings["burst_s"]
        ),
    ]  # fmt: skip
    if load is not None and load > 0.5:
        lines.append("**The machine had other work to do: these figures are to be measured again on a quiet one.**")
    if settings.get("size") != "full":
        lines.append("**Small models: this run only shows that everything works.**")
    return "\n".join(lines)


def part(record, work):
    """One work's table."""
    results = [item for item in record.results if item.work == work]
    batches = sorted({item.batch for item in results})
    cells = {(item.key, item.batch): item for item in results}
    reference = REFERENCES.get(work)
    keys = list(dict.fromkeys(item.key for item in results))
    heads = ["system", "parameters", "MMAC"]
    for batch in batches:
        heads += ["batch {}, ms".format(batch), "bundle is faster, times"]
    rows = ["**{}**".format(WORDS.get(work, work)), "", line(heads), "|" + "---|" * len(heads)]
    for key in keys:
        found = [cells[key, batch] for batch in batches]
        row = [called(key, reference), "{:,}".format(found[0].parameters), "{:.2f}".format(found[0].macs / 1e6)]
        for item in found:
            row += [milliseconds(item), beside(item, cells.get((reference, item.batch)))]
        rows.append(line(row))
    notes = sorted({"{} {}: {}.".format(item.name, WAYS[item.way], item.note) for item in results if item.note})
    return "\n".join(rows + [""] + [winners(results, cells, reference)] + notes).rstrip()


def line(cells):
    return "| " + " | ".join(cells) + " |"


def called(key, reference):
    name, form, way = key
    text = "{} ({}), {}".format(name, form, WAYS[way])
    return "**{}**".format(text) if key == reference else text


def milliseconds(item):
    """Median of all calls, and the quarter points of the rounds' medians in brackets."""
    medians = item.round_medians()
    return "{} ({} to {})".format(
        number(1e3 * item.median_s), number(1e3 * percentile(medians, 25)), number(1e3 * percentile(medians, 75))
    )


def beside(item, reference):
    """How many times as fast the reference is, with the 95 % interval; bold where the other one is surely faster."""
    if reference is None or reference is item:
        return "1" if reference is item else ""
    found = ratio(reference, item)
    text = "{} ({} to {})".format(number(found.median), number(found.low), number(found.high))
    return "**{}**".format(text) if found.high < 1 else text


def winners(results, cells, reference):
    """A sentence on all that is no bundle of this project and is faster than the reference, the interval below 1."""
    faster = []
    for item in results:
        other = cells.get((reference, item.batch))
        if other is None or item.way in ("model", "engine"):
            continue
        found = ratio(other, item)
        if found.high < 1:
            times = number(1 / found.median)
            faster.append("{} at batch {} ({} times)".format(called(item.key, None), item.batch, times))
    if not any((reference, item.batch) in cells for item in results):
        return ""
    return "Faster than {}: {}.".format(called(reference, None), "; ".join(faster) or "none")


def number(value):
    """Three significant digits, never as a power of ten."""
    if value >= 100:
        return "{:.0f}".format(value)
    return "{:.1f}".format(value) if value >= 10 else "{:.2f}".format(value) if value >= 1 else "{:.3f}".format(value)
