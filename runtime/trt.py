"""TensorRT 8.0 to 11 and TensorRT for RTX: what differs between them, in one place. The only file that imports
tensorrt, and it does so when asked, so that a machine without it can read this file.

| | 8.0 | 8.2 | 8.4 | 8.5, 8.6 | 10, 11, RTX |
|---|---|---|---|---|---|
| workspace | max_workspace_size | same | pool limit | pool limit | pool limit |
| precision | FP16, STRICT_TYPES | FP16, OBEY or PREFER | same | same | types of the ONNX graph |
| running | bindings, execute_async_v2 | same | same | tensor names, execute_async_v3 | same |
| inspector | none | EngineInspector | same | same | same |

Whether a name is there is asked of the module, never of its version, but for `typed`: TensorRT 10 has the flags of 8
as well, and reads typed graphs better.
"""

import ctypes
import importlib
import json
import warnings

from .errors import BackendError, InputError, PlanError
from .trt_messages import Log, explained  # noqa: F401  (who uses Api wants a Log)

MODULES = ("tensorrt", "tensorrt_rtx")


def load():
    """The tensorrt module of this machine. Raises BackendError: it is not there, or it does not load."""
    problems = []
    for name in MODULES:
        try:
            return importlib.import_module(name)
        except ImportError as error:
            problems.append(str(error))
    raise BackendError(
        "TensorRT cannot be loaded ({}): on a Jetson it belongs to the system's Python 3.6, so make the virtual "
        "environment with --system-site-packages; ask `latentjet doctor`".format("; ".join(problems))
    )


class Api:
    """One TensorRT module, seen through what this project needs of it.

    typed: precision comes from the types of the ONNX graph; constraints: names of the flags that make a layer's
    precision binding, strongest first; named: tensors are addressed by name, not by binding index.
    """

    def __init__(self, trt):
        self.trt = trt
        self.version = trt.__version__
        self.typed = int(self.version.split(".")[0]) >= 10 or trt.__name__ == "tensorrt_rtx"
        names = ("OBEY_PRECISION_CONSTRAINTS", "PREFER_PRECISION_CONSTRAINTS", "STRICT_TYPES")
        self.constraints = [] if self.typed else [name for name in names if hasattr(trt.BuilderFlag, name)]
        if len(self.constraints) == 3:
            self.constraints.pop()
        self.named = hasattr(trt.ICudaEngine, "num_io_tensors")
        self.inspects = hasattr(trt.ICudaEngine, "create_engine_inspector")

    def builder(self, log):
        """A Builder. Raises PlanError where TensorRT finds no GPU."""
        return self._start(self.trt.Builder, log)

    def _start(self, kind, log):
        """A Builder or a Runtime: the first objects that ask for a GPU. Raises PlanError where there is none."""
        try:
            return kind(log.make(self.trt))
        except TypeError:
            raise PlanError(explained(log, "TensorRT {} found no usable GPU".format(self.version)))

    def network(self, builder):
        """An empty network with an explicit batch, strongly typed where that is the way."""
        flags, kinds = 0, self.trt.NetworkDefinitionCreationFlag
        if hasattr(kinds, "EXPLICIT_BATCH") and not self.typed:
            flags |= 1 << int(kinds.EXPLICIT_BATCH)
        if self.typed and hasattr(kinds, "STRONGLY_TYPED"):
            flags |= 1 << int(kinds.STRONGLY_TYPED)
        return builder.create_network(flags)

    def parser(self, network, log):
        """A parser of ONNX files into a network. Raises PlanError where TensorRT has none."""
        try:
            return self.trt.OnnxParser(network, log.make(self.trt))
        except (TypeError, AttributeError):
            raise PlanError(
                explained(
                    log,
                    "TensorRT {} has no working parser of ONNX files; on a Jetson, sudo apt-get install --reinstall "
                    "libnvonnxparsers8; ask `latentjet doctor`".format(self.version),
                )
            )

    def set_workspace(self, config, size_bytes):
        if hasattr(config, "set_memory_pool_limit"):
            config.set_memory_pool_limit(self.trt.MemoryPoolType.WORKSPACE, size_bytes)
        else:
            config.max_workspace_size = size_bytes

    def use_tactics(self, config, names):
        """Let the builder take kernels from these sources alone, beside TensorRT's own. Raises InputError for a name
        that this TensorRT has not."""
        known = [name for name in dir(getattr(self.trt, "TacticSource", None)) if name.isupper()]
        wrong = [name for name in names if name not in known]
        if wrong:
            raise InputError(
                "--tactics: TensorRT {} has no source '{}', expected of: {}".format(
                    self.version, wrong[0], ", ".join(known + ["none"])
                )
            )
        config.set_tactic_sources(sum(1 << int(getattr(self.trt.TacticSource, name)) for name in set(names)))

    def ask_for_details(self, config):
        """Have the plan keep what the inspector tells of its layers, where there is an inspector."""
        if hasattr(self.trt.ProfilingVerbosity, "DETAILED"):
            config.profiling_verbosity = self.trt.ProfilingVerbosity.DETAILED

    def exact_float32(self, config):
        """No TF32 (10 bits of mantissa) where float32 is asked for, on GPUs that have it."""
        if hasattr(self.trt.BuilderFlag, "TF32"):
            config.clear_flag(self.trt.BuilderFlag.TF32)

    def half(self, config):
        config.set_flag(self.trt.BuilderFlag.FP16)

    def constrain(self, config, name):
        """Make layers' precisions binding by one of `constraints`, and by no other."""
        for other in self.constraints:
            config.clear_flag(getattr(self.trt.BuilderFlag, other))
        config.set_flag(getattr(self.trt.BuilderFlag, name))

    def keep_float32(self, layer):
        """Ask for a layer in float32, its outputs too: its precision alone is ignored."""
        layer.precision = self.trt.DataType.FLOAT
        for index in range(layer.num_outputs):
            layer.set_output_type(index, self.trt.DataType.FLOAT)

    def computes_floats(self, layer):
        """Are all of a layer's outputs floating-point? What counts in integers (shapes) can be in no precision."""
        floats = (self.trt.DataType.FLOAT, self.trt.DataType.HALF)
        return all(layer.get_output(index).dtype in floats for index in range(layer.num_outputs))

    def use_cache(self, config, content):
        """Attach a timing cache made of earlier bytes (b"" for a new one); one that does not match is dropped."""
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # newer releases deprecate what older ones need
            for stored in (content, b""):
                cache = config.create_timing_cache(stored)
                if cache is not None and config.set_timing_cache(cache, False):
                    return cache
        return None

    def recorder(self):
        """An object for `profiler` of an execution context, whose `told` grows by (layer, seconds) of every run."""

        class Recorder(self.trt.IProfiler):
            def __init__(self, kind):
                kind.__init__(self)
                self.told = []

            def report_layer_time(self, layer_name, ms):
                self.told.append((layer_name, ms / 1e3))

        return Recorder(self.trt.IProfiler)

    def deserialize(self, plan, log):
        """Plan bytes -> ICudaEngine, with the Runtime that must outlive it. Raises PlanError."""
        log.lines.clear()
        self.register_plugins(log)
        runtime = self._start(self.trt.Runtime, log)
        engine = runtime.deserialize_cuda_engine(plan)
        if engine is None:
            raise PlanError(explained(log, "TensorRT {} cannot read this plan".format(self.version)))
        return runtime, engine

    def register_plugins(self, log):
        """Make TensorRT's own plugins known to this process: in TensorRT 8 InstanceNormalization is one, and no plan
        with it is read otherwise. The parser does it for itself. The plugin library keeps the logger."""
        if hasattr(self.trt, "init_libnvinfer_plugins"):
            self.trt.init_libnvinfer_plugins(log.make(self.trt), "")

    def scratch_bytes(self, engine):
        """Bytes of scratch memory that contexts of an engine can share, None where each must have its own."""
        if hasattr(engine, "create_execution_context_without_device_memory"):
            return engine.device_memory_size
        return None

    def context(self, engine, scratch=None):
        """An execution context, or None where TensorRT gives none. scratch: address of memory of `scratch_bytes`, which
        no other context uses at the same time; None: memory of its own."""
        if scratch is None:
            return engine.create_execution_context()
        context = engine.create_execution_context_without_device_memory()
        if context is not None:
            try:
                context.device_memory = scratch
            except TypeError:  # up to 8.4 it is bound as void*, which pybind11 takes from a capsule only
                context.device_memory = capsule(scratch)
        return context

    def layers(self, engine, context=None):
        """[{name, precision}] of a built engine, as its inspector tells; None where there is no inspector.

        Where the batch is free some versions tell formats only beside a context whose shapes are set, or not at all;
        then the type of a layer's weights tells its precision.
        """
        if not self.inspects:
            return None
        inspector = engine.create_engine_inspector()
        if context is not None:
            inspector.execution_context = context
        text = inspector.get_engine_information(self.trt.LayerInformationFormat.JSON)
        try:
            told = json.loads(text)
        except ValueError:  # 8.2 escapes nothing in names
            return None
        found = []
        for item in told.get("Layers", []):
            if isinstance(item, dict):
                kinds = [output.get("Format/Datatype", "") for output in item.get("Outputs", [])]
                weights = item.get("Weights")
                kinds.append(weights.get("Type", "") if isinstance(weights, dict) else "")
                found.append({"name": item.get("Name", ""), "precision": precision_of(item.get("Precision"), kinds)})
            else:
                found.append({"name": str(item), "precision": None})
        return found


def capsule(address):
    """An address as Python's C API passes pointers on."""
    make = ctypes.pythonapi.PyCapsule_New
    make.argtypes, make.restype = (ctypes.c_void_p, ctypes.c_char_p, ctypes.c_void_p), ctypes.py_object
    return make(address, None, None)


def precision_of(stated, formats):
    """What an inspector says of a layer -> "fp32", "fp16", another type's name, or None if it says nothing."""
    for text in [stated or ""] + list(formats):
        lowered = text.lower()
        for mark, name in (("half", "fp16"), ("fp16", "fp16"), ("float", "fp32"), ("fp32", "fp32"), ("int", "int")):
            if mark in lowered:
                return name
    return None
