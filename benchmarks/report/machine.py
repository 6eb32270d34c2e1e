"""The machine, its state before and after, the settings and the versions."""

from ..unlike import limits
from .names import scaled, short
from .parts import Section, Table

UNITS = {"memory_bytes": "B", "memory_free_bytes": "B", "swap_used_bytes": "B", "burst_s": "s", "rate_hz": "Hz", "kB": "kB"}


def section(run):
    """Run -> Section. What was not recorded is not there."""
    about = [pair for pair in facts(run.machine)]
    model = facts({name: value for name, value in run.bundle.items() if name not in ("quality", "sha256")})
    model += [["sha256", str(run.bundle["sha256"])[:16] + "\u2026"]] if run.bundle.get("sha256") else []
    settings = facts({name: value for name, value in run.settings.items() if name != "left_out"})
    tables = [
        Table("Machine", ["", ""], about, 2), state_table(run), Table("Bundle", ["", ""], model, 2),
        Table("Settings", ["", ""], settings + [["started", run.started], ["finished", run.finished]], 2),
        Table("Versions", ["", ""], facts(run.versions), 2),
    ]  # fmt: skip
    tables = [table._replace(rows=[row for row in table.rows if any(row[1:])]) for table in tables]
    notes = ["Not timed: {} ({}).".format(item.get("system"), item.get("reason")) for item in run.settings.get("left_out", [])]
    return Section("machine", "Machine and settings", [], [], [table for table in tables if table.rows], notes)


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


def state(found):
    """The machine's state -> {words: text}."""
    told = {}
    for name, clock in (found.get("clocks_hz") or {}).items():
        now = clock.get("now")
        parts = ["{:.0f} MHz".format(now / 1e6)] if now else []
        parts += ["({})".format(limits(clock))] if limits(clock) else []
        told[name + " clock"] = " ".join(parts)
    for name, value in (found.get("temperatures_c") or {}).items():
        told[name + " temperature"] = "" if value is None else "{} \u00b0C".format(short(value))
    for name in ("governor", "throttled", "load", "memory_free_bytes", "swap_used_bytes"):
        if found.get(name) not in (None, "", [], {}):
            told[words(name)] = text(name, found[name])
    return {name: value for name, value in told.items() if value}
