"""An Estimate as text for the terminal, and as plain values for JSON."""

from .advice import advice

FORMAT = 1
KIND = "latentjet estimate"
LEFT_OUT = (
    "left out: code on the host before and after the run, copies beyond those of the published figures (one image in, "
    "one result out), other load, throttling; clocks are taken to stand at the mode's highest"
)
COLUMNS = "  {:>8} {:>6}  {:<10} {:<5} {:>9} {:>9} {:>9}  {:<10} {}"


def text(found, name, content, most=12):
    """Estimate, what was estimated, calibration.json, how many layers -> lines."""
    device = found.device
    left = content["network_left_out"]
    lines = [
        "{} on a {}, {}, {}, batch {}: {:.2f} ms ({:.2f} to {:.2f})".format(
            name, device.name, device.mode, found.precision, found.batch, 1e3 * found.seconds,
            *(1e3 * item for item in found.interval)
        ),
        "a prediction from the graph, not a measurement: fitted to {} published TX2 latencies of {} networks, of which it "
        "misses a network left out of the fit by {:.0f} % (median), nine of ten by at most {:.0f} %".format(
            left["latencies"], content["networks"], 100 * left["median"], 100 * left["nine_of_ten"]
        ),
        "",
        "where it goes: " + ", ".join(
            "{} {:.2f} ms ({:.0f} %)".format(label, 1e3 * value, 100 * value / found.seconds)
            for label, value in (
                ("each run", found.fixed_s), ("launches", found.launch_s), ("memory", found.memory_s),
                ("arithmetic", found.arithmetic_s),
            )
        ),
        "{} kernels, {:.2f} MMAC, {:.2f} MB moved; fused as TensorRT for RTX does: {} kernels, {:.2f} ms".format(
            len(found.layers), sum(item.macs for item in found.layers) / 1e6,
            sum(item.moved_bytes for item in found.layers) / 1e6, found.fused_kernels, 1e3 * found.fused_s,
        ),
        "",
        *table(found, most),
    ]  # fmt: skip
    told = advice(found)
    if told:
        lines += ["", "what to change, the largest first:"] + ["  - " + item for item in told]
    lines += [""] + ["note: " + item for item in found.notes] + [LEFT_OUT]
    return "\n".join(line.rstrip() for line in lines)


def table(found, most):
    """The longest layers, in the order they run; most: how many (0: all)."""
    longest = sorted(range(len(found.layers)), key=lambda index: -found.layers[index].seconds)
    shown = sorted(longest[:most] if most else longest)
    yield COLUMNS.format("ms", "%", "kind", "in", "memory", "arithm.", "kMAC", "bound by", "layer")
    for index in shown:
        item = found.layers[index]
        yield COLUMNS.format(
            "{:.4f}".format(1e3 * item.seconds), "{:.1f}".format(100 * item.seconds / found.seconds), item.kind,
            item.precision, "{:.4f}".format(1e3 * item.memory_s), "{:.4f}".format(1e3 * item.arithmetic_s),
            "{:.0f}".format(item.macs / 1e3), item.bound, shortened(item.name),
        )  # fmt: skip
    if len(shown) < len(found.layers):
        yield "  ... and {} more, {:.4f} ms: --layers 0 shows all".format(
            len(found.layers) - len(shown),
            1e3 * sum(found.layers[index].seconds for index in set(longest) - set(shown)),
        )


def shortened(name, most=60):
    return name if len(name) <= most else name[: most - 3] + "..."


def as_plain(found, name, content):
    """Estimate -> a dict for JSON; seconds end in _s."""
    plain = dict(found._asdict())
    plain["layers"] = [dict(item._asdict()) for item in found.layers]
    plain["device"] = dict(found.device._asdict())
    plain["interval_s"] = list(plain.pop("interval"))
    plain["notes"] = list(found.notes) + [LEFT_OUT]
    errors = {key: content[key] for key in ("network_left_out", "family_left_out")}
    return dict(
        plain, format=FORMAT, kind=KIND, estimated=name, kernels=len(found.layers), advice=advice(found), errors=errors
    )
