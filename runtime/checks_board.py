"""The doctor's checks of the board itself: which it is, its system software, memory, clocks, disk, CUDA.

Each takes a Machine and returns Findings.
"""

import os
import re
from typing import NamedTuple

from .machine import NOTE, OK, Finding
from .remedies import LOCK, MODELS, MODULES, NO_DESKTOP, NVCC, RELEASES, SWAP, TO_32_7, VIDEO_GROUP, Board

GIB = 1 << 30
GPU_CLOCKS = ("sys/devices/*.g*", "sys/devices/platform/*.g*", "sys/devices/platform/bus@0/*.g*")


class PowerMode(NamedTuple):
    """A mode of nvpmodel: its name and number."""

    name: str
    number: int


def find_board(machine):
    """The Jetson this is -> Board, or None for any other machine."""
    tree = [machine.read("proc/device-tree/" + name) or "" for name in ("nvidia,dtsfilename", "compatible")]
    for module in re.findall(r"p\d{4}-\d{4}", " ".join(tree)):
        if module in MODULES:
            return MODULES[module]
    model = machine.read("proc/device-tree/model") or ""
    known = [board for part, board in MODELS if part in model]
    if known:
        return known[0]
    return Board("unknown Jetson '{}'".format(model), "") if release(machine) or "tegra" in tree[1] else None


def release(machine):
    """L4T's release as "32.7.1", or "" where there is none."""
    text = machine.read("etc/nv_tegra_release") or ""
    match = re.search(r"R(\d+) .*?REVISION: ([\d.]+)", text)
    return "{}.{}".format(*match.groups()) if match else ""


def shipped_with(number):
    """L4T's release -> (JetPack, the TensorRT that it brings), or None for a release that is not known."""
    known = max((start for start in RELEASES if (number + ".").startswith(start + ".")), key=len, default=None)
    return None if known is None else RELEASES[known]


def power_mode(machine):
    """The PowerMode that nvpmodel tells, or None."""
    return _mode_in(machine.run(["nvpmodel", "-q"]).out)


def _mode_in(text):
    match = re.search(r"NV Power Mode: *(\S.*)\s+(\d+)", text)
    return PowerMode(match.group(1).strip(), int(match.group(2))) if match else None


def gpu_folders(machine):
    """Where a Jetson's kernel tells its GPU's clocks: cur_freq, min_freq, max_freq, in hertz."""
    return [folder for place in GPU_CLOCKS for folder in machine.glob(place + "/devfreq/*")]


def board(machine):
    found = find_board(machine)
    if found is None:
        means = "no Jetson: bundles run on ONNX Runtime here; plans belong to the device that runs them"
        return [Finding(OK, "{} computer".format(machine.architecture), means)]
    model = machine.read("proc/device-tree/model")
    what = "{}{}".format(found.name, ", sm_" + found.sm if found.sm else "")
    if model and model not in what:
        what += " (the device tree says '{}')".format(model)
    if found.sm in ("62", "53"):
        return [Finding(OK, what, "plans in fp32 and fp16; INT8 is not there: an sm_{} has no INT8".format(found.sm))]
    return [Finding(NOTE, what, "not the board this project is made for (Jetson TX2); it may work all the same")]


def jetpack(machine):
    number, text = release(machine), machine.read("etc/nv_tegra_release")
    if not number:
        if find_board(machine) is None:
            return []
        what = "/etc/nv_tegra_release {}".format("cannot be read" if text is None else "is not understood")
        return [Finding(NOTE, what, "JetPack cannot be told; in a container that is usual")]
    if shipped_with(number) is None:
        return [Finding(NOTE, "L4T R{}".format(number), "a release that this project does not know")]
    name, tensorrt = shipped_with(number)
    what = "JetPack {} (L4T R{}), which brings TensorRT {}".format(name, number, tensorrt)
    if (number + ".").startswith(("32.4.", "32.5.")):
        means = "too old for plans: TensorRT 7.1 reads opset 11, bundles have 13. Flash JetPack 4.6.1 or later"
        return [Finding(NOTE, what, means)]
    if (number + ".").startswith("32.6."):
        means = "it works; with 8.2.1 the precision of single layers can be held and read back as well"
        return [Finding(NOTE, what, means, TO_32_7)]
    return [Finding(OK, what)]


def driver(machine):
    found, jetson = machine.ask("ctypes"), find_board(machine) is not None
    facts = found.facts
    if found.works and facts.get("devices"):
        what = "CUDA {}, {}, sm_{}".format(facts.get("driver"), facts.get("gpu"), facts.get("sm"))
        return [Finding(OK, what, "INT8 is not there on sm_62: fp32 and fp16" if facts.get("sm") == "62" else "")]
    what = "does not answer: {}".format(found.problem or "it knows no device")
    if "libcuda.so" in found.problem:
        what = "not installed"
    if not jetson and not any(machine.ask(name).installed for name in ("tensorrt", "tensorrt_rtx")):
        return [Finding(OK, what, "needed only to build and run plans on an NVIDIA GPU")]
    if what == "not installed":
        mend = ("sudo apt-get install --reinstall nvidia-l4t-cuda nvidia-l4t-core",) if jetson else ()
        means = "TensorRT builds and runs nothing without a driver and a GPU"
        if not machine.ask("tensorrt").installed:  # the one for RTX alone builds without
            means = "TensorRT runs nothing without a driver and a GPU; rehearse a build: latentjet build --rehearse"
        return [Finding(NOTE, what, "no GPU for TensorRT: the driver belongs to JetPack" if jetson else means, mend)]
    means = "TensorRT runs nothing without it; a user outside the group 'video' may not use the GPU"
    return [Finding(NOTE, what, means, VIDEO_GROUP if jetson else ())]


def toolkit(machine):
    text = machine.read("usr/local/cuda/version.txt") or machine.read("usr/local/cuda/version.json") or ""
    compiler, there = machine.run(["nvcc", "--version"]), machine.exists("usr/local/cuda/bin/nvcc")
    nvcc = compiler.status == 0
    number = re.search(r"\d+[.]\d+[.\d]*", text) or re.search(r"(?<=release )\d+[.]\d+", compiler.out)
    if not (number or nvcc or there):
        if find_board(machine) is None:
            return [Finding(OK, "not installed", "needed only to compile pycuda")]
        mend = ("sudo apt-get update && sudo apt-get install cuda-toolkit-10-2",)
        return [Finding(NOTE, "not installed", "pycuda cannot be compiled without it", mend)]
    what = "CUDA {}".format(number.group(0) if number else "of unknown version")
    if there and not nvcc and not machine.ask("pycuda").works:
        return [Finding(NOTE, what + ", nvcc is not on the PATH", "pycuda cannot be compiled without nvcc", NVCC)]
    return [Finding(OK, what)]


def memory(machine):
    text = machine.read("proc/meminfo") or ""
    bytes_of = {name: int(count) * 1024 for name, count in re.findall(r"(\w+): +(\d{1,15}) kB", text)}
    total, available, swap = (bytes_of.get(name) for name in ("MemTotal", "MemAvailable", "SwapTotal"))
    if not total:
        return [Finding(NOTE, "/proc/meminfo cannot be read", "memory and swap are not known")]
    what = "{:.1f} GiB, {:.1f} available, {:.1f} swap".format(total / GIB, (available or 0) / GIB, (swap or 0) / GIB)
    devices = re.findall(r"^/\S+", machine.read("proc/swaps") or "", re.MULTILINE)
    squeezed = bool(devices) and all("zram" in device for device in devices)
    findings = []
    if total < 8 * GIB and not swap:
        findings.append(Finding(NOTE, what, "without swap, a build of a plan may be killed", SWAP))
    elif total < 5 * GIB and squeezed:
        findings.append(Finding(NOTE, what, "all swap is compressed memory (zram): a build may be killed", SWAP))
    if available is not None and available < GIB:
        means = "little is free; TensorRT then says 'Could not find any implementation for node'. Stop the desktop:"
        findings.append(Finding(NOTE, what, means, NO_DESKTOP if find_board(machine) else ()))
    return findings or [Finding(OK, what)]


def power(machine):
    found = find_board(machine)
    if found is None:
        return []
    outcome = machine.run(["nvpmodel", "-q"])
    mode = _mode_in(outcome.out)
    if not mode:
        said = " ".join((outcome.err or outcome.out).split()) or "it said nothing"
        return [Finding(NOTE, "nvpmodel -q tells no mode: {}".format(said), "", ("sudo nvpmodel -q",))]
    what = "{} (mode {})".format(*mode)
    if found.mode is not None and mode.number != found.mode:
        return [Finding(NOTE, what, "below this board's highest clocks; measure in one mode, and name it", LOCK)]
    return [Finding(OK, what)]


def clocks(machine):
    for folder in gpu_folders(machine):
        low, now, high = (machine.number("{}/{}_freq".format(folder, name)) for name in ("min", "cur", "max"))
        if not low or not high:
            continue
        what = "GPU {:.0f} to {:.0f} MHz{}".format(
            low / 1e6, high / 1e6, "" if now is None else ", now {:.0f}".format(now / 1e6)
        )
        if low == high:
            return [Finding(OK, what + ": locked")]
        means = "not locked: times vary by several times with the load. Lock them before you measure"
        found = find_board(machine)
        return [Finding(NOTE, what, means, LOCK if found and found.mode == 0 else ("sudo jetson_clocks",))]
    return (
        [Finding(NOTE, "the GPU's clocks cannot be read", "whether they are locked is not known")]
        if find_board(machine)
        else []
    )


def disk(machine):
    place = os.path.abspath(machine.place)
    try:
        free = machine.disk(place).free
    except OSError as error:
        return [Finding(NOTE, "{}: {}".format(place, error.strerror or error), "plans go beside their bundle")]
    what = "{:.1f} GiB free in {}".format(free / GIB, place)
    if not os.access(place, os.W_OK):
        means = "you may not write here: copy the bundle to where you may, plans go beside it"
        return [Finding(NOTE, what, means, ("cp -r BUNDLE ~/",))]
    if free < GIB // 4:
        return [Finding(NOTE, what, "plans and the timing cache may not fit", ("sudo apt-get clean",))]
    return [Finding(OK, what)]
