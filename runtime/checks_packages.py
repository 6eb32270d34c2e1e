"""The doctor's checks of Python and of the packages in it. Each takes a Machine and returns Findings.

A package that is not needed on this machine is no fault; one that is there and does not load is named with its cause.
"""

import re
import sys

from .checks_board import find_board, release
from .machine import NOTE, OK, PROBLEM, Finding
from .remedies import ARMV8, KNOWN, NUMPY, NUMPY_1_19_4, PIP, PYCUDA, TORCH, VENV


def python(machine):
    number = ".".join(map(str, machine.python))
    what = "CPython {} at {}{}".format(
        number, sys.executable, ", without the system's packages" if machine.isolated else ""
    )
    findings = [Finding(OK, what)]
    if release(machine).startswith("32.") and machine.python[:2] != (3, 6):
        means = "JetPack 4's TensorRT, and NVIDIA's PyTorch for it, load in CPython 3.6 only"
        findings = [Finding(NOTE, what, means, VENV)]
    pip = machine.ask("pip")
    old = re.match(r"(\d+)[.](\d+)", pip.version)
    if pip.works and machine.architecture == "aarch64" and old and tuple(map(int, old.groups())) < (19, 3):
        means = "it does not see the wheels that PyPI has for this board, and would compile numpy and others for hours"
        findings.append(Finding(NOTE, "pip {}".format(pip.version), means, PIP))
    return findings


def numpy(machine):
    found = machine.ask("numpy")
    on_board = machine.architecture == "aarch64" and machine.python[:2] == (3, 6)
    if not found.installed:
        return [Finding(PROBLEM, "not installed", "nothing runs without it", NUMPY_1_19_4 if on_board else NUMPY)]
    risky = machine.architecture == "aarch64" and found.version == "1.19.5"
    if not found.works:
        what = "{} does not work: {}".format(found.version or "version unknown", found.problem)
        if found.signal == "SIGILL" and machine.architecture == "aarch64":
            means = "known: its OpenBLAS takes this processor for another (numpy issue 18131). Nothing runs without it"
            return [Finding(PROBLEM, what, means, ARMV8 + NUMPY_1_19_4)]
        means, mend = cause("numpy", found)
        means = "{}. Nothing runs without it".format(means or "it is damaged or does not fit this Python")
        return [Finding(PROBLEM, what, means, mend or (NUMPY_1_19_4 if on_board else NUMPY))]
    if risky and "OPENBLAS_CORETYPE" not in machine.environment:
        means = "it works in this shell, but on a TX2 it is known to die with 'Illegal instruction'"
        return [Finding(NOTE, found.version, means, ARMV8 + NUMPY_1_19_4)]
    return [Finding(OK, found.version)]


def cause(name, found):
    """A package's Answer that failed -> (means, mend) of the first known cause, or empty."""
    for package, part, means, mend in KNOWN:
        if package in ("", name) and part in found.problem:
            return means, mend
    return "", ()


def failed(machine, name, found, mend=()):
    """A package that is there and does not load, as a Finding."""
    what = "{} does not load: {}".format(found.version or "version unknown", found.problem)
    base = machine.ask("numpy")
    if base.installed and not base.works and (found.signal or "numpy" in found.problem):
        return Finding(NOTE, what, "so does numpy, which it imports: mend numpy first")
    means, known = cause(name, found)
    return Finding(NOTE, what, means or "cause not known to this program", known or mend)


def onnxruntime(machine):
    found, pinned = machine.ask("onnxruntime"), "==1.10.0" if machine.python[:2] == (3, 6) else ""
    mend = ("pip install onnxruntime" + pinned,)
    if not found.installed:
        return [Finding(NOTE, "not installed", "the backend 'ort' is not there: bundles cannot run on the CPU", mend)]
    if not found.works:
        return [failed(machine, "onnxruntime", found, mend)]
    return [Finding(OK, found.version, "the backend 'ort': bundles run on the CPU, no device needed")]


def which_tensorrt(machine):
    """(module's name, Answer) of the TensorRT that is there, or of `tensorrt` if none is."""
    for name in ("tensorrt", "tensorrt_rtx"):
        if machine.ask(name).installed:
            return name, machine.ask(name)
    return "tensorrt", machine.ask("tensorrt")


def tensorrt(machine):
    name, found = which_tensorrt(machine)
    if not found.installed:
        return [absent_tensorrt(machine)]
    if not found.works:
        return [failed(machine, name, found)]
    what = "{}{}".format(found.version, "" if name == "tensorrt" else " ({})".format(name))
    if name == "tensorrt_rtx":
        means = "enough to rehearse a build here (latentjet build --rehearse); it is not for a Jetson"
        return [Finding(OK, what, means)]
    major = re.match(r"\d+", found.version)
    if major and int(major.group(0)) < 8:
        return [Finding(NOTE, what, "too old: it reads opset 11, bundles have 13; JetPack 4.6.1 brings 8.2.1")]
    return [Finding(OK, what)]


def absent_tensorrt(machine):
    """Why `import tensorrt` finds nothing, as a Finding."""
    places = machine.glob("usr/lib/python3*/dist-packages/tensorrt")
    if places:
        version = places[0].split("/")[2][len("python") :]
        what = "not importable here, but in /{} (the system's CPython {})".format(places[0], version)
        if version not in ("3", "{}.{}".format(*machine.python)):
            means = "this is CPython {}.{}, and it loads in that one only".format(*machine.python)
        elif machine.isolated:
            means = "this virtual environment does not see the system's packages"
        else:
            return Finding(NOTE, what, "this Python does not look there", VENV)
        return Finding(NOTE, what, means, tuple(line.replace("python3.6", "python" + version) for line in VENV))
    if find_board(machine) is None:
        return Finding(OK, "not installed", "needed only to build and run plans on an NVIDIA GPU")
    mend = ("sudo apt-get update && sudo apt-get install tensorrt python3-libnvinfer",)
    return Finding(NOTE, "not installed", "no plans can be built or run: a part of JetPack is missing", mend)


def pycuda(machine):
    found, jetson = machine.ask("pycuda"), find_board(machine) is not None
    old = machine.python < (3, 8)
    mend = PYCUDA if old else ("pip install pycuda",)
    if not found.installed:
        if not jetson and not machine.ask("ctypes").works:
            return [Finding(OK, "not installed", "needed only to run plans on an NVIDIA GPU")]
        return [Finding(NOTE, "not installed", "the backend 'trt' needs it", mend)]
    numbers = re.match(r"(\d+)[.](\d+)", found.version)
    if old and numbers and tuple(map(int, numbers.groups())) >= (2022, 2):
        means = "too new: 2022.1 is the last for CPython {}.{}".format(*machine.python)
        return [Finding(NOTE, found.version, means, mend)]
    if not found.works:
        return [failed(machine, "pycuda", found, mend)]
    return [Finding(OK, found.version)]


def torch(machine):
    found, old_jetson = machine.ask("torch"), release(machine).startswith("32.")
    mend = TORCH if old_jetson else ("pip install torch",)
    if not found.installed:
        return [Finding(OK, "not installed", "needed only to train, or for the comparison with eager PyTorch")]
    if not found.works:
        return [failed(machine, "torch", found, mend)]
    if old_jetson and not found.facts.get("cuda"):
        means = "it does not use the GPU, so the comparison with it would be unfair: take NVIDIA's wheel"
        return [Finding(NOTE, found.version, means, mend)]
    return [Finding(OK, "{}, {} CUDA".format(found.version, "with" if found.facts.get("cuda") else "without"))]


def pillow(machine):
    found, pinned = machine.ask("PIL"), "==8.4.0" if machine.python[:2] == (3, 6) else ""
    if found.works:
        return [Finding(OK, found.version)]
    means = "`latentjet sample` cannot write a .png without it; a .npy it can"
    return [Finding(NOTE, found.problem or "not installed", means, ("pip install Pillow" + pinned,))]
