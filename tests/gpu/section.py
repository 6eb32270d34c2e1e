"""What was measured, as a section for docs/measurements.md."""


def text(found):
    """The content of measurements.json -> Markdown."""
    trt, torch, settings = found["trt-python"], found.get("torch-python"), found["settings"]
    versions = "TensorRT {}, CUDA {}, driver {}, CPython {}".format(
        trt["tensorrt"], trt["cuda"], trt["driver"], trt["python"]
    )
    if torch:
        versions += "; PyTorch {} on CUDA {}".format(torch.get("torch"), torch.get("cuda"))
    lines = [
        "## {}, {}".format(trt["gpu"], found["date"]), "",
        "{}; {}. {}, sm_{}.".format(versions, found["processor"], found["machine"], trt["sm"].replace(".", "")),
        "{} turns of {} rounds; a number is the median of the rounds' medians in ms, in brackets the 5 % and 95 % points "
        "of these.".format(settings["turns"], settings["rounds"]), "",
    ]  # fmt: skip
    for bundle in found["bundles"]:
        lines += ["### {}, {}".format(bundle["name"], settings["graph"]), ""] + table(bundle["cases"]) + [""]
        if "half" in bundle:
            lines += [half(bundle["half"]), ""]
    return "\n".join(lines)


def half(item):
    return (
        "Half precision against float32, both in TensorRT, {samples} samples: {share:.4f} % of the values within 2 levels "
        "of 255, largest {largest:.2f}, mean {mean:.4f}, {not_finite} values not finite."
    ).format(share=100 * item["within"], **item)


def table(cases):
    """Rows of systems, a column for each batch size."""
    batches = sorted({case["batch"] for case in cases})
    rows = {}
    for case in cases:
        rows.setdefault((case["precision"], case["system"], case["memory"]), {})[case["batch"]] = case
    lines = ["| system | precision | memory | {} |".format(" | ".join("batch {}".format(size) for size in batches))]
    lines.append("|" + "---|" * (3 + len(batches)))
    for (precision, system, memory), by_batch in sorted(rows.items(), key=lambda item: item[0], reverse=True):
        note = next((case["note"] for case in by_batch.values() if case["note"]), "")
        cells = [cell(by_batch[size]["medians_s"]) if size in by_batch else "" for size in batches]
        name = "{} ({})".format(system, note) if note else system
        lines.append("| {} | {} | {} | {} |".format(name, precision, memory, " | ".join(cells)))
    return lines


def cell(seconds):
    ordered = sorted(seconds)
    low, median, high = (1e3 * ordered[min(int(part * len(ordered)), len(ordered) - 1)] for part in (0.05, 0.5, 0.95))
    return "{:.3f} ({:.3f} to {:.3f})".format(median, low, high)
