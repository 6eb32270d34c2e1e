"""The systems: everything that can be timed. One line each; `open_system` loads one, or says why it cannot be had here.

TensorRT's names are put together of parts, which come from runtime/trt_engine.py: trt, or trt-fp16 and trt-fp32 for the
precision; -nograph for no CUDA graph; -device, -mapped or -managed for the kind of staging memory. Without a part it is
as the plan was built. So trt-fp16-nograph-mapped is one as well.
"""

import importlib
import itertools
from typing import NamedTuple

from ..runtime.cuda import KINDS
from ..runtime.errors import BackendError, BundleError, CheckError, PlanError

UNAVAILABLE = (BackendError, PlanError, CheckError, BundleError)
DEVICES = ("auto", "cpu", "cuda")


class System(NamedTuple):
    """what: a line of help; module and attribute of its Engine; options for its `open`; packages it runs on."""

    what: str
    module: str
    attribute: str
    options: dict = {}
    packages: tuple = ()


def _torch(what, **options):
    return System(what, "latentjet.benchmarks.eager", "EagerEngine", options, ("torch",))


SYSTEMS = {
    "eager": _torch("eager PyTorch in float32: the baseline"),
    "eager-fp16": _torch("eager PyTorch in half precision, on a GPU", precision="fp16"),
    "eager-channels-last": _torch("eager PyTorch with its memory laid out for convolutions", form="channels-last"),
    "torchscript": _torch("TorchScript, traced and frozen", form="torchscript"),
    "compile": _torch("torch.compile (on a GPU with CUDA graphs); compiling takes a while", form="compile"),
    "ort": System("ONNX Runtime", "latentjet.runtime.ort", "OrtEngine", {}, ("onnxruntime",)),
    "bare": System("InferenceSession.run alone", "latentjet.benchmarks.overhead", "BareEngine", {}, ("onnxruntime",)),
    "model": System("Model.decode", "latentjet.benchmarks.overhead", "ModelEngine", {}, ("onnxruntime",)),
    "replay": System("looks answers up: what the harness costs", "latentjet.runtime.replay", "ReplayEngine"),
    "masked": System(
        "a conventional Real NVP in eager PyTorch", "latentjet.benchmarks.masked", "MaskedEngine", {}, ("torch",)
    ),
}
USUAL = ("eager", "torchscript", "ort", "trt")
PARTS = (("", "fp16", "fp32"), ("", "nograph"), ("",) + KINDS)
TRT_PACKAGES = ("tensorrt", "tensorrt_rtx", "pycuda")


def _trt(precision, nograph, kind):
    parts = ", ".join(filter(None, (precision, nograph and "no CUDA graph", kind and kind + " memory")))
    options = {"precision": precision or None, "memory": kind or None, "use_graphs": not nograph}
    what = "TensorRT, {}".format(parts or "as its plan was built")
    return System(what, "latentjet.runtime.trt_engine", "TrtEngine", options, TRT_PACKAGES)


TRT = {
    "-".join(["trt"] + [part for part in parts if part]): _trt(*parts)
    for parts in itertools.product(*PARTS)
}  # fmt: skip
ALL = tuple(SYSTEMS) + tuple(name for name in TRT if name.count("-") < 2)


def names():
    """Every system's name, TensorRT's with at most one part."""
    return sorted(set(ALL) | set(SYSTEMS))


def find(name):
    """Name -> System. Raises BackendError that lists those there are."""
    found = SYSTEMS.get(name) or TRT.get(name)
    if found is None:
        known = ", ".join(names())
        raise BackendError("system is '{}', expected one of: {}; parts of trt's combine".format(name, known))
    return found


def open_system(bundle, graph, name, threads=None, device="auto"):
    """A system's name -> its Engine. device: where PyTorch runs, of DEVICES. Raises BackendError, PlanError: it is
    unknown, not installed, or cannot run this here."""
    system = find(name)
    options = dict(system.options)
    try:
        engine = getattr(importlib.import_module(system.module), system.attribute)
    except ImportError as error:
        wanted = " and ".join(system.packages)
        raise BackendError("system '{}' cannot be loaded ({}): pip install {}".format(name, error, wanted))
    if "torch" in system.packages:
        options["device"] = device
    return engine.open(bundle, bundle.graph(graph), threads, **options)


def packages(opened):
    """Names of systems that were opened -> the packages they run on, as far as these are loaded."""
    wanted = {package for name in opened for package in find(name).packages}
    return sorted(package for package in wanted if _is_loaded(package))


def _is_loaded(package):
    try:
        importlib.import_module(package)
        return True
    except ImportError:
        return False
