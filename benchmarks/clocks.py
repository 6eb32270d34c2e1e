"""Clocks of the processor, the GPU and the memory, in hertz, from the kernel's files. What is not there is left out.

Where they lie: cpufreq (kernel.org, admin-guide/pm/cpufreq); a Jetson's GPU in devfreq (runtime/checks_board.py); its
memory (EMC) under debugfs, which root alone can read, where jetson_stats finds it (jtop/core/memory.py of rbonghi's).
"""

from typing import NamedTuple

from ..runtime.checks_board import gpu_folders

MEMORY = (
    ("sys/kernel/debug/bpmp/debug/clk/emc", "rate", "min_rate", "max_rate"),  # TX2, Xavier, Orin
    ("sys/kernel/debug/tegra_bwmgr", "emc_rate", "emc_min_rate", "emc_max_rate"),  # Nano
    ("sys/kernel/debug/clk/override.emc", "clk_rate", "clk_min_rate", "clk_max_rate"),
)


class Clock(NamedTuple):
    """One clock: its name (cpu0, gpu, memory), paths of the files that say now, least and most, and their unit."""

    name: str
    now: str
    least: str
    most: str
    unit_hz: int


def find(machine):
    """Machine -> the Clocks that can be read, processors first."""
    folders = sorted(machine.glob("sys/devices/system/cpu/cpu[0-9]*/cpufreq"), key=lambda path: (len(path), path))
    places = [(folder.split("/")[-2], folder + "/scaling_{}_freq", 1000) for folder in folders]
    places += [("gpu", folder + "/{}_freq", 1) for folder in gpu_folders(machine)]
    found = [Clock(name, *map(form.format, ("cur", "min", "max")), unit) for name, form, unit in places]
    for folder, *names in MEMORY:
        found.append(Clock("memory", *("{}/{}".format(folder, name) for name in names), 1))
    named = {}
    for clock in found:
        if now(machine, clock) is not None:
            named.setdefault(clock.name, clock)
    return list(named.values())


def now(machine, clock):
    """Hertz at this moment, or None."""
    return _hertz(machine, clock.now, clock)


def _hertz(machine, path, clock):
    value = machine.number(path)
    return None if value is None else value * clock.unit_hz


def read(machine, found):
    """Clocks -> {name: {now, least, most}}, in hertz; what cannot be read is left out."""
    told = {}
    for clock in found:
        values = {key: _hertz(machine, getattr(clock, key), clock) for key in ("now", "least", "most")}
        told[clock.name] = {key: value for key, value in values.items() if value is not None}
    return told


def unlocked(clocks_hz):
    """{name: {now, least, most}} -> names of the clocks that may change: whose least is below its most."""
    return [name for name, told in sorted(clocks_hz.items()) if told.get("least", 0) < told.get("most", 0)]
