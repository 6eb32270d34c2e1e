"""What a measurement ran on: read from the system, never guessed; what is not there is left out."""

import glob
import os
import platform
import re

import numpy

from ..runtime.version import VERSION


def describe(root="/"):
    """-> dict of plain values: board or processor, cores, memory, clocks, load, versions. Never raises.

    root: the folder that stands for / (tests give a recorded tree).
    """
    found = {
        "latentjet": VERSION,
        "python": platform.python_version(),
        "numpy": numpy.__version__,
        "system": platform.system(),
        "architecture": platform.machine(),
        "cores": cores(),
        "processor": processor(root),
        "board": read(root, "proc/device-tree/model"),
        "l4t": read(root, "etc/nv_tegra_release", r"R\d+ .*?REVISION: [\d.]+"),
        "memory_bytes": memory(root),
        "load": read(root, "proc/loadavg", r"^\S+"),
        "governor": read(root, "sys/devices/system/cpu/cpu0/cpufreq/scaling_governor"),
        "gpu_clock_hz": gpu_clock(root),
    }
    return {name: value for name, value in found.items() if value not in (None, "")}


def read(root, path, pattern=None):
    """The text of a small file, or the part of it that matches; None if there is none."""
    try:
        with open(os.path.join(root, path), encoding="utf-8", errors="replace") as handle:
            text = handle.read().strip().strip("\0")
    except OSError:
        return None
    if pattern is None:
        return text
    match = re.search(pattern, text)
    return match.group(0) if match else None


def cores():
    """Cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()


def processor(root):
    """The processor's name, or its machine type where /proc/cpuinfo has none (as on a TX2)."""
    line = read(root, "proc/cpuinfo", r"model name\s*:.*")
    return line.split(":", 1)[1].strip() if line else platform.processor() or platform.machine()


def memory(root):
    line = read(root, "proc/meminfo", r"MemTotal:\s*\d+")
    return int(line.split()[-1]) * 1024 if line else None


def gpu_clock(root):
    """Hertz of a Jetson's GPU, as devfreq tells it."""
    for path in sorted(glob.glob(os.path.join(root, "sys/devices/*.gp10b/devfreq/*/cur_freq"))):
        text = read("", path)
        if text and text.isdigit():
            return int(text)
    return None


def unlike(one, other):
    """Names of what differs between two machines so that their times do not compare."""
    names = ("board", "processor", "architecture", "cores", "governor")
    return [name for name in names if one.get(name) != other.get(name)]
