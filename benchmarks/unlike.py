"""What differs between two runs so that their times do not compare: the machine, its mode, the bundle."""

from collections import OrderedDict
from typing import NamedTuple

KINDS = ("machine", "mode", "bundle")
MACHINE = ("board", "module", "processor", "architecture", "cores", "gpu", "l4t", "jetpack", "system", "environment")
NOT_IN_FORMAT_1 = ("module", "gpu", "jetpack", "environment", "power_mode", "rate_hz")
MISSING = "not recorded"


class Difference(NamedTuple):
    """kind: one of KINDS; name: of the field; one, other: what the two runs say, as text."""

    kind: str
    name: str
    one: str
    other: str


def differences(one, other):
    """Run, other Run -> [Difference]. What a file of format 1 could not hold is not compared with one."""
    sides = [fields(run) for run in (one, other)]
    format_1 = not (one.finished and other.finished)
    found = []
    for kind, name in OrderedDict.fromkeys(list(sides[0]) + list(sides[1])):
        values = [side.get((kind, name)) for side in sides]
        unknown = format_1 and None in values and (name in NOT_IN_FORMAT_1 or name.endswith(" clock"))
        if values[0] != values[1] and not unknown:
            found.append(Difference(kind, name, *[MISSING if value is None else value for value in values]))
    return found


def fields(run):
    """Run -> {(kind, name): text} of all that must be alike, without what is empty."""
    found = [("machine", name, run.machine.get(name)) for name in MACHINE]
    found += [("mode", "power_mode", run.machine.get("power_mode")), ("mode", "governor", run.before.get("governor"))]
    found += [("mode", name + " clock", ", ".join(sorted(ranges))) for name, ranges in sorted(clocks(run).items())]
    if any(result.case.scenario == "paced" for result in run.results):
        found.append(("mode", "rate_hz", run.settings.get("rate_hz")))
    found += [("bundle", name, run.bundle.get(name)) for name in ("graph", "sha256")]
    return OrderedDict(((kind, name), as_text(value)) for kind, name, value in found if value not in (None, "", {}))


def clocks(run):
    """Run -> {unit: set of the ranges of its clocks, as text}, as it was before the run; all cores are one unit."""
    found = {}
    for name, clock in (run.before.get("clocks_hz") or {}).items():
        if limits(clock):
            found.setdefault("cpu" if name.startswith("cpu") else name, set()).add(limits(clock))
    return found


def limits(clock):
    """The range that a clock may take -> "114 to 1300 MHz", or "1300 MHz, locked"; None where it is not known."""
    least, most = clock.get("least"), clock.get("most")
    if not least or not most:
        return None
    if least == most:
        return "{:.0f} MHz, locked".format(most / 1e6)
    return "{:.0f} to {:.0f} MHz".format(least / 1e6, most / 1e6)


def as_text(value):
    if isinstance(value, dict):
        return ", ".join("{}={}".format(name, value[name]) for name in sorted(value))
    return str(value)


def changed(one, other):
    """Versions of one run, of the other -> ["torch 2.9.0, then 2.10.0"], for what differs; they may be compared."""
    names = sorted(name for name in set(one) | set(other) if one.get(name) != other.get(name))
    return ["{} {}, then {}".format(name, one.get(name, "absent"), other.get(name, "absent")) for name in names]
