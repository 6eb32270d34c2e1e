"""What cases, machines and numbers are called wherever a run is shown."""

import os

SYSTEMS = {
    "eager": "eager PyTorch",
    "eager-fp16": "eager PyTorch in half precision",
    "eager-channels-last": "eager PyTorch, channels last",
    "torchscript": "frozen TorchScript",
    "compile": "torch.compile",
    "ort": "ONNX Runtime",
    "trt": "TensorRT",
    "replay": "the replay engine (answers looked up: what measuring itself costs)",
    "bare": "ONNX Runtime's session called directly",
    "model": "Model.decode on ONNX Runtime",
    "masked": "a conventional masked Real NVP in eager PyTorch",
}
SCENARIOS = ("single", "batch", "overlapped", "paced", "cold")
TRT_PARTS = {
    "fp16": "in fp16", "fp32": "in fp32", "nograph": "without CUDA graph", "device": "device memory",
    "mapped": "mapped memory", "managed": "managed memory",
}  # fmt: skip
PREFIXES = ((1e9, "G"), (1e6, "M"), (1e3, "k"), (1, ""), (1e-3, "m"), (1e-6, "\u00b5"), (1e-9, "n"))
FAMILIES = ("eager", "torch", "ort", "trt", "other")
NOT_DEPLOYED = ("replay", "bare", "model", "masked")


def label(case):
    """Case -> the system's short name, with its precision unless that is float32 or in the name already."""
    if case.precision == "fp32" or case.precision in case.system.split("-"):
        return case.system
    return "{} {}".format(case.system, case.precision)


def words(case):
    """Case -> what a sentence calls its system."""
    first, *parts = case.system.split("-")
    if first == "trt":
        name = ", ".join([SYSTEMS["trt"]] + [TRT_PARTS.get(part, part) for part in parts]).replace(", in ", " in ")
    else:
        name = SYSTEMS.get(case.system, case.system)
    return name if label(case) == case.system else "{} in {}".format(name, case.precision)


def family(system):
    """System -> one of FAMILIES: systems of one family share a colour."""
    if system.startswith("eager"):
        return "eager"
    if system in ("torchscript", "compile"):
        return "torch"
    return next((name for name in ("ort", "trt") if system.split("-")[0] == name), "other")


def order(case):
    """Case -> what to sort by: the scenarios as a reader meets them, then the batch size."""
    return SCENARIOS.index(case.scenario) if case.scenario in SCENARIOS else len(SCENARIOS), case.scenario, case.batch


def deployed(case):
    """Is this the bundle's own graph on a backend, and no baseline or yardstick?"""
    return family(case.system) in ("ort", "trt") and case.system not in NOT_DEPLOYED


def machine(run):
    """Run -> the board's or the processor's name."""
    return run.machine.get("board") or run.machine.get("processor") or "a machine without name"


def bundle(run):
    """Run -> the bundle's name: its own, or the file's, or the family."""
    path = os.path.basename(str(run.bundle.get("path") or "").rstrip("/"))
    for ending in (".zip", ".bundle"):
        path = path[: -len(ending)] if path.endswith(ending) else path
    return str(run.bundle.get("name") or path or run.bundle["family"])


def place(run):
    """Run -> one line: what ran where, when."""
    mode = run.machine.get("power_mode")
    return "{} '{}' on {}{}, {} rounds, {}".format(
        bundle(run), run.bundle["graph"], machine(run), ", mode {}".format(mode) if mode else "",
        run.settings.get("rounds", "?"), run.started,
    )  # fmt: skip


def scaled(value, unit, digits=3):
    """A number and its unit -> text with a prefix that keeps it between 1 and 1000: (0.00069, "s") -> "0.69 ms"."""
    if value == 0:
        return "0 " + unit
    fits = [pair for pair in PREFIXES if abs(value) >= pair[0] * (1 - 0.5 * 10.0**-digits)]
    factor, prefix = (fits or PREFIXES[-1:])[0]
    return "{} {}{}".format(short(value / factor, digits), prefix, unit)


def seconds(value):
    """Seconds -> "0.694 ms", "12.4 µs", "3.20 s"; milliseconds from 0.1 ms on, as the field writes them."""
    if 1e-4 <= value < 1e-3:
        return short(1e3 * value, 3) + " ms"
    return scaled(value, "s")


def short(value, digits=3):
    """A number with so many digits that count, never in powers of ten up to a million: 0.694, 12.4, 1,250."""
    if value == 0:
        return "0"
    places = max(digits - 1 - int(_exponent(value, digits)), 0)
    return "{:,.{}f}".format(value, places)


def _exponent(value, digits):
    return "{:.{}e}".format(abs(value), digits - 1).split("e")[1]


def share(part, digits=3):
    """0.9998 -> "99.98 %"; 1 is told as "100 %" only where nothing is missing."""
    if part == 1:
        return "100 %"
    text = "{:.{}f}".format(100 * part, digits).rstrip("0").rstrip(".")
    return "> 99.999 %" if text == "100" else text + " %"


def interval(found):
    """Ratio -> "3.40 (3.32 to 3.48)": as many decimals as its low end needs."""
    places = len(short(found.low).partition(".")[2])
    return "{:,.{places}f} ({:,.{places}f} to {:,.{places}f})".format(*found, places=places)
