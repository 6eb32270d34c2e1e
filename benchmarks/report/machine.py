"""The machine, its state before and after, the settings and the versions."""

from ..unlike import limits
from .names import scaled, short
from .parts import Section, Table

UNITS = {
    "memory_bytes": "B",
    "memory_free_bytes": "B",
    "swap_used_bytes": "B",
    "burst_s": "s",
    "rate_hz": "Hz",
    "kB": "kB",
}


def section(run):
    """Run -> Section. What was not recorded is not there."""
    about = [pair for pair in facts(run.machine)]
    model = facts({name: value for name, value in run.bundle.items() if name not in ("quality", "sha256")})
    model += [["sha256", str(run.bundle["sha256"])[:16] + "\u2026"]] if run.bundle.get("sha256") else []
    settings = facts({name: value for name, value in run.settings.items() if name not in ("left_out", "harness_s")})
    tables = [
        Table("Machine", ["", ""], about, 2), state_table(run), Table("Bundle", ["", ""], model, 2),
        Table("Settings", ["", ""], settings + [["started", run.started], ["finished", run.finished]], 2),
        Table("Versions", ["", ""], facts(run.versions), 2),
    ]  # fmt: skip
    tables = [table._replace(rows=[row for row in table.rows if any(row[1:])]) for table in tables]
    notes = ["Not timed: {} ({}).".format(", ".join(systems), reason) for reason, systems in left_out(run).items()]
    return Section("machine", "Machine and settings", [], [], [table for table in tables if table.rows], notes)


def left_out(run):
    """Run -> {reason: [systems that were not timed for it]}"""
    found = {}
    for item in run.settings.get("left_out", []):
        found.setdefault(str(item.get("reason")), []).append(str(item.get("system")))
    return found


def facts(found):
    """{name: value} -> [[words, text]], without what is empty."""
    return [[words(name), text(name, value)] for name, value in found.items() if value not in (None, "", {}, [])]


def words(name):
    """A key of the file -> words: its unit goes to the value."""
    for ending in ("_bytes", "_s", "_hz", "_c"):
        name = name[: -len(ending)] if name.endswith(ending) else name
    return name.replace("_", " ")


def text(name, value):
    if isinstance(value, dict):
        return ", ".join("{} {}".format(key, value[key]) for key in value if value[key] is not None)
    if isinstance(value, (list, tuple)):
        return ", ".join(map(str, value))
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return str(value)
    if name.endswith("_bytes"):
        return "{} GiB".format(short(value / 2.0**30)) if value >= 2**30 else "{} MiB".format(short(value / 2.0**20))
    if name in UNITS:
        return scaled(value, UNITS[name]) if UNITS[name] != "kB" else short(value) + " kB"
    return "{:,}".format(value) if isinstance(value, int) and value > 9999 else str(value)


def state_table(run):
    """What may change in a run, before and after it."""
    sides = [state(run.before), state(run.after)]
    names = list(sides[0]) + [name for name in sides[1] if name not in sides[0]]
    rows = [[name] + [side.get(name, "") for side in sides] for name in names]
    return Table("State before and after", ["", "before", "after"], rows, 3)


def by_limits(clocks):
    """{unit: {now, least, most}} -> {(name, limits): [now ...]}; cores that have the same limits are one."""
    groups, found = {}, {}
    for unit, clock in clocks.items():
        kind = "cpu" if unit.startswith("cpu") else unit
        groups.setdefault((kind, limits(clock)), []).append((unit, clock.get("now")))
    for (_, within), members in groups.items():
        first, last = members[0][0], members[-1][0]
        name = first if first == last else "{} to {}".format(first, last)
        found[name, within] = [now for _, now in members if now]
    return found


def megahertz(low, high):
    return "{:.0f} MHz".format(low / 1e6) if low == high else "{:.0f} to {:.0f} MHz".format(low / 1e6, high / 1e6)


def state(found):
    """The machine's state -> {words: text}."""
    told = {}
    for (name, within), now in by_limits(found.get("clocks_hz") or {}).items():
        parts = [megahertz(min(now), max(now))] if now else []
        told[name + " clock"] = " ".join(parts + (["({})".format(within)] if within else []))
    for name, value in (found.get("temperatures_c") or {}).items():
        told[name + " temperature"] = "" if value is None else "{} \u00b0C".format(short(value))
    for name in ("governor", "throttled", "throttle_counts", "load", "memory_free_bytes", "swap_used_bytes"):
        if found.get(name) not in (None, "", [], {}):
            told[words(name)] = text(name, found[name])
    return {name: value for name, value in told.items() if value}
