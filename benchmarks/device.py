"""What a measurement ran on, as far as it does not change in a run: read from the system, never guessed; what is not
there is left out. What changes: state.py."""

import importlib
import os
import platform
import re

import numpy

from ..runtime.checks_board import find_board, power_mode, release, shipped_with
from ..runtime.machine import Machine
from ..runtime.version import VERSION

ENVIRONMENT = (
    "OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_CORETYPE", "CUDA_VISIBLE_DEVICES",
    "NVIDIA_TF32_OVERRIDE", "CUDA_LAUNCH_BLOCKING",
)  # fmt: skip
ALIKE = ("board", "module", "processor", "architecture", "cores", "gpu", "power_mode")


def describe(machine=None):
    """Machine (this one) -> dict of plain values: board or processor, cores, memory, system. Never raises."""
    machine = machine or Machine()
    board, number = find_board(machine), release(machine)
    mode = power_mode(machine) if board else None
    found = {
        "system": platform.system(),
        "architecture": machine.architecture,
        "cores": cores(),
        "processor": processor(machine),
        "board": machine.read("proc/device-tree/model"),
        "module": board.name if board else None,
        "l4t": number,
        "jetpack": (shipped_with(number) or ("",))[0],
        "power_mode": mode.name if mode else None,
        "gpu": gpu(machine),
        "memory_bytes": memory(machine),
        "environment": {name: machine.environment[name] for name in ENVIRONMENT if name in machine.environment},
    }
    return {name: value for name, value in found.items() if value not in (None, "")}


def versions(packages=()):
    """Names of packages that are loaded -> {name: version}, with latentjet's, Python's and numpy's."""
    found = {"latentjet": VERSION, "python": platform.python_version(), "numpy": numpy.__version__}
    for name in packages:
        module = importlib.import_module(name)
        stated = getattr(module, "__version__", None) or getattr(module, "VERSION_TEXT", "")
        found[name] = str(stated)
    return found


def cores():
    """Cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()


def processor(machine):
    """The processor's name, or its machine type where /proc/cpuinfo has none (as on a TX2)."""
    match = re.search(r"model name\s*:(.*)", machine.read("proc/cpuinfo") or "")
    return match.group(1).strip() if match else platform.processor() or platform.machine()


def memory(machine):
    match = re.search(r"MemTotal:\s*(\d{1,15})", machine.read("proc/meminfo") or "")
    return int(match.group(1)) * 1024 if match else None


def gpu(machine):
    """The name of a GPU with a driver of its own, as nvidia-smi tells it; a Jetson's is told by its module."""
    outcome = machine.run(["nvidia-smi", "--query-gpu=name", "--format=csv,noheader"], 10)
    return outcome.out.strip().splitlines()[0].strip() if outcome.status == 0 and outcome.out.strip() else None


def unlike(one, other):
    """Names of what differs between two machines so that their times do not compare."""
    return [name for name in ALIKE if one.get(name) != other.get(name)]
