"""A double of TensorRT, in the shape of one version: `make("8.2.1", gpu)` gives a module `tensorrt`.

The shape is the tables' in api/: any attribute, method, keyword or enum member that this version does not have is an
AttributeError, an argument too many, too few or unknown a TypeError. That is done for all names at once; what the
double does stands in the classes below, under the table's names, written once for all versions.

It parses ONNX files (names and types of their nodes), "builds" them into plans that hold the file, the profiles and
each layer's precision, and runs plans with ONNX Runtime on the memory of a pycuda_double.Gpu, when the stream is waited
for. `module.double` is its control room: what fails, what was asked, what happened.
"""

import collections
import contextlib
import ctypes
import json
import os
import signal
import threading
import types
import weakref

import numpy as np
import onnxruntime
from latentjet.runtime import onnx_file

from . import layers, parser

VERSIONS = ("8.0.1", "8.2.1", "8.4.1.5", "8.5.3.1", "8.6.0", "10.0.0", "10.13", "11.1", "rtx-1.7.1")
MAGIC = b"ftrt"
SCRATCH_BYTES = 4096  # of a context, for each row of the engine's largest batch
PLUGINS = {"InstanceNormalization": "InstanceNormalization_TRT"}  # operators of TensorRT 8 that become a plugin's layer
NO_DRIVER = (
    "Unable to determine GPU memory usage",
    "CUDA initialization failure with error: 35. Please check your CUDA installation:  "
    "http://docs.nvidia.com/cuda/cuda-installation-guide-linux/index.html",
)


NO_CREATOR = (
    "3: getPluginCreator could not find plugin: {} version: 1",
    "1: [pluginV2Runner.cpp::load::290] Error Code 1: Serialization (Serialization assertion creator failed.Cannot "
    "deserialize plugin since corresponding IPluginCreator not found in Plugin Registry)",
    "4: [runtime.cpp::deserializeCudaEngine::50] Error Code 4: Internal Error (Engine deserialization failed.)",
)


class Double:
    """The control room of one module.

    no_driver; unsupported: operators that the parser refuses; refuse: config -> lines of the error log of a build that
    fails, or None; ignore_constraints; broken: names of calls that fail ("create_execution_context", "execute",
    "set_optimization_profile_async", "set_shape", "deserialize_cuda_engine", "OnnxParser"); spoil: (output name, array) -> array,
    applied to what is computed. counts; builds: what each build was asked; used: {(class, method): {(types of the
    arguments by place, ((name, type), ...))}} of all calls; shapeless: an inspector says of formats "N/A due to dynamic
    shapes" (True), or does so without a context ("alone"); loggers: all that were given.
    """

    def __init__(self, version, gpu, table):
        self.version, self.gpu, self.table = version, gpu, table
        self.no_driver, self.unsupported, self.refuse, self.ignore_constraints = False, set(), None, False
        self.broken, self.spoil, self.counts, self.builds = set(), None, collections.Counter(), []
        self.used = collections.defaultdict(set)
        self.shapeless, self.loggers, self.interrupt, self.kept = False, [], None, []
        self.plugins, self.plugin_logger = set(), lambda: None

    @property
    def device(self):
        return {"gpu": self.gpu.name, "sm": list(self.gpu.capability), "tensorrt": self.table["version"]}

    def ready(self, what, logger):
        """Is a context current? TensorRT would make one by itself; this project never wants that."""
        if self.gpu.current() == "primary":
            return True
        self.gpu.violation("{} with {} current".format(what, self.gpu.current() or "no context"))
        error(logger, "{}: Cuda failure: invalid device context".format(what))
        return False


    def register_plugins(self, logger):
        """What initLibNvInferPlugins does: the library keeps the first logger's address, and nothing keeps the logger."""
        if not self.plugins:
            self.plugin_logger = weakref.ref(logger)
        self.plugins.update(PLUGINS.values())


def table_of(version):
    with open(os.path.join(os.path.dirname(os.path.abspath(__file__)), "api", version + ".json")) as handle:
        return json.load(handle)


def error(logger, text, severity="ERROR"):
    """Call a logger as PyLogger::log does, which is noexcept: what Python raises there ends the process."""
    try:
        logger.log(getattr(logger.Severity, severity), text)
    except BaseException:
        terminate()


def terminate():
    os.write(2, b"terminate called after throwing an instance of 'pybind11::error_already_set'\n")
    os.abort()


def speak(double, point, logger):
    """What a step of C++ says while it runs; a Ctrl-C that came meanwhile is handled when it calls Python for that."""
    handle(double, point)
    error(logger, "{}: a message".format(point), "VERBOSE")


def handle(double, point):
    """Do what Python does with a Ctrl-C that came while C++ ran."""
    if double.interrupt != point:
        return
    double.interrupt, handler = None, signal.getsignal(signal.SIGINT)
    if not callable(handler):
        os.kill(os.getpid(), signal.SIGINT)
        return
    try:
        handler(signal.SIGINT, None)
    except BaseException:
        terminate()


def no_gpu(double, logger, said=NO_DRIVER):
    """What TensorRT 8's constructors do where no driver answers: warnings, and an error of pybind11."""
    if double.no_driver and double.table["module"] == "tensorrt":
        for text in said:
            error(logger, text, "WARNING")
        raise TypeError("pybind11::init(): factory function returned nullptr")


def integers(values, what):
    if isinstance(values, (str, bytes)) or not all(isinstance(item, (int, np.integer)) for item in values):
        raise TypeError("{}: incompatible function arguments: {!r}".format(what, values))
    return tuple(int(item) for item in values)


def whole(value, what):
    if isinstance(value, bool) or not isinstance(value, int):
        raise TypeError("{}: incompatible function arguments: {!r}, expected int".format(what, value))
    return value


# {{{ what the classes do; `self.state` holds it all, `self.double` is the control room


class Builder:
    def __init__(self, logger):
        self.state = types.SimpleNamespace(logger=logger_of(self, logger))
        no_gpu(self.double, logger)

    def create_network(self, flags=0):
        kinds = self.double.module.NetworkDefinitionCreationFlag
        members = {name: int(getattr(kinds, name)) for name in self.double.table["enums"][kinds.__name__]}
        asked = {name for name, number in members.items() if whole(flags, "create_network") >> number & 1}
        if whole(flags, "create_network") >> (max(members.values()) + 1):
            raise ValueError("create_network: unknown flags {}".format(flags))
        explicit = "EXPLICIT_BATCH" in asked or self.double.table["version"].split(".")[0] not in ("8",)
        return self.double.new(
            "INetworkDefinition", logger=self.state.logger, layers=[], inputs=[], outputs=[], content=b"",
            typed="STRONGLY_TYPED" in asked or "EXPLICIT_BATCH" not in members, explicit=explicit,
        )  # fmt: skip

    def create_builder_config(self):
        return self.double.new(
            "IBuilderConfig", logger=self.state.logger, flags={"TF32"}, workspace=None, profiles=[], verbosity=None,
            cache=None, tactics=None,
        )  # fmt: skip

    def create_optimization_profile(self):
        return self.double.new("IOptimizationProfile", shapes={}, logger=self.state.logger)

    def build_serialized_network(self, network, config):
        double, made, asked = self.double, network.state, config.state
        double.counts["builds"] += 1
        record = {
            "workspace": asked.workspace, "flags": sorted(asked.flags), "typed": made.typed,
            "verbosity": asked.verbosity, "tactics": asked.tactics,
            "profiles": [dict(profile.state.shapes) for profile in asked.profiles],
            "cache": None if asked.cache is None else sorted(asked.cache.state.entries),
            "asked": [layer.state.name for layer in made.layers if layer.state.precision is not None],
        }  # fmt: skip
        double.builds.append(record)
        lines = list(double.refuse(record) or []) if double.refuse else []
        speak(double, "build", self.state.logger)
        lines += wrong_with(double, made, asked)
        if lines:
            for line in lines:
                error(self.state.logger, line)
            return None
        return double.new("IHostMemory", content=plan_of(double, made, asked))


def wrong_with(double, network, config):
    """Why this network cannot be built so, in TensorRT's words."""
    found = []
    if not network.explicit:
        found.append("Network has dynamic or shape inputs, but the implicit batch dimension is used.")
    if not network.layers or not network.outputs:
        found.append("Network must have at least one output")
    if not config.workspace:
        found.append(
            "Internal error: could not find any implementation for node {}, try increasing the workspace size with "
            "IBuilderConfig::setMaxWorkspaceSize().".format(network.layers[0].state.name if network.layers else "?")
        )
    names = sorted(tensor.state.name for tensor in network.inputs)
    if not config.profiles and any(-1 in tensor.state.shape for tensor in network.inputs):
        found.append("Network has dynamic or shape inputs, but no optimization profile has been defined.")
    for profile in config.profiles:
        if sorted(profile.state.shapes) != names:
            found.append("Optimization profile is missing values for input(s): {}".format(names))
    if "OBEY_PRECISION_CONSTRAINTS" in config.flags or "STRICT_TYPES" in config.flags:
        for layer in network.layers:
            single = double.module.DataType.FLOAT
            if layer.state.precision is single and layer.state.outputs[0].state.dtype.name in ("INT32", "BOOL"):
                found.append("Could not find any implementation for node {}.".format(layer.state.name))
    return found


def plan_of(double, network, config):
    """The bytes of a plan: a header with all that an engine must know, and the ONNX file."""
    half = "FP16" in config.flags
    bound = {"OBEY_PRECISION_CONSTRAINTS", "PREFER_PRECISION_CONSTRAINTS", "STRICT_TYPES"} & set(config.flags)
    kinds = []
    for layer in network.layers:
        state = layer.state
        kind = state.outputs[0].state.dtype.name
        if kind == "FLOAT" and half:
            held = state.precision is not None and state.precision.name == "FLOAT" and bound
            typed = all(item is not None and item.name == "FLOAT" for item in state.output_types)
            kind = "FLOAT" if held and typed and not double.ignore_constraints else "HALF"
        kinds.append([state.name, kind, state.kind])
    if config.cache is not None:
        for name, kind, _ in kinds:
            key = name + " " + kind
            double.counts["timings reused" if key in config.cache.state.entries else "timings measured"] += 1
            config.cache.state.entries.add(key)
    header = {
        "device": double.device, "layers": kinds, "half": half, "verbosity": config.verbosity,
        "plugins": sorted({PLUGINS[kind] for _, _, kind in kinds if kind in PLUGINS and double.version[0] == "8"}),
        "inputs": [[tensor.state.name, list(tensor.state.shape)] for tensor in network.inputs],
        "outputs": [[tensor.state.name, list(tensor.state.shape)] for tensor in network.outputs],
        "profiles": [
            {name: [list(shape) for shape in shapes] for name, shapes in profile.state.shapes.items()}
            for profile in config.profiles
        ],
    }  # fmt: skip
    text = json.dumps(header, sort_keys=True).encode("utf-8")
    return MAGIC + len(text).to_bytes(4, "little") + text + network.content


class IHostMemory:
    def __bytes__(self):
        return self.state.content

    @property
    def nbytes(self):
        return len(self.state.content)


class INetworkDefinition:
    @property
    def num_layers(self):
        return len(self.state.layers)

    @property
    def num_inputs(self):
        return len(self.state.inputs)

    @property
    def num_outputs(self):
        return len(self.state.outputs)

    def get_layer(self, index):
        return self.state.layers[whole(index, "get_layer")]

    def get_input(self, index):
        return self.state.inputs[whole(index, "get_input")]

    def get_output(self, index):
        return self.state.outputs[whole(index, "get_output")]


class ITensor:
    @property
    def name(self):
        return self.state.name

    @property
    def dtype(self):
        return self.state.dtype

    @property
    def shape(self):
        return self.double.new("Dims", sizes=self.state.shape)


class Dims:
    def __init__(self, shape=()):
        self.state = types.SimpleNamespace(sizes=integers(shape, "Dims"))

    __init__.signatures = [[], ["shape"]]

    def __len__(self):
        return len(self.state.sizes)

    def __getitem__(self, arg0):
        return self.state.sizes[arg0]


class ILayer:
    @property
    def name(self):
        return self.state.name

    @property
    def num_outputs(self):
        return len(self.state.outputs)

    @property
    def num_inputs(self):
        return len(self.state.inputs)

    def get_input(self, index):
        return self.state.inputs[whole(index, "get_input")]

    def get_output(self, index):
        return self.state.outputs[whole(index, "get_output")]

    @property
    def precision(self):
        return self.state.precision or self.double.module.DataType.FLOAT

    @precision.setter
    def precision(self, value):
        member_of(self.double.module.DataType, value)
        self.state.precision = value

    @property
    def precision_is_set(self):
        return self.state.precision is not None

    def set_output_type(self, index, dtype):
        member_of(self.double.module.DataType, dtype)
        if self.state.outputs[index].state.dtype.name not in ("FLOAT", "HALF"):
            error(self.state.logger, "set_output_type: layer {} has no floating-point output".format(self.state.name))
        self.state.output_types[index] = dtype

    def get_output_type(self, index):
        return self.state.output_types[index] or self.state.outputs[index].state.dtype

    def output_type_is_set(self, index):
        return self.state.output_types[index] is not None


class IBuilderConfig:
    def set_flag(self, flag):
        self.state.flags.add(member_of(self.double.module.BuilderFlag, flag).name)

    def clear_flag(self, flag):
        self.state.flags.discard(member_of(self.double.module.BuilderFlag, flag).name)

    def get_flag(self, flag):
        return member_of(self.double.module.BuilderFlag, flag).name in self.state.flags

    @property
    def max_workspace_size(self):
        return self.state.workspace or 0

    @max_workspace_size.setter
    def max_workspace_size(self, value):
        self.state.workspace = whole(value, "max_workspace_size")

    def set_memory_pool_limit(self, pool, pool_size):
        if member_of(self.double.module.MemoryPoolType, pool).name == "WORKSPACE":
            self.state.workspace = whole(pool_size, "set_memory_pool_limit")

    def get_memory_pool_limit(self, pool):
        return self.state.workspace or 0

    def set_tactic_sources(self, tactic_sources):
        mask, sources = whole(tactic_sources, "set_tactic_sources"), self.double.module.TacticSource.__members__
        places = {name: int(member) for name, member in sources.items()}
        if mask & ~sum(1 << place for place in places.values()):
            error(self.state.logger, "setTacticSources: unknown source in {}".format(mask))
            return False
        self.state.tactics = [name for name, place in places.items() if mask >> place & 1]
        return True

    @property
    def profiling_verbosity(self):
        return self.state.verbosity

    @profiling_verbosity.setter
    def profiling_verbosity(self, value):
        self.state.verbosity = member_of(self.double.module.ProfilingVerbosity, value).name

    def add_optimization_profile(self, profile):
        self.state.profiles.append(profile)
        return len(self.state.profiles) - 1

    @property
    def num_optimization_profiles(self):
        return len(self.state.profiles)

    def create_timing_cache(self, serialized_timing_cache):
        content = bytes(memoryview(serialized_timing_cache))
        try:
            stored = json.loads(content.decode("utf-8")) if content else {"device": self.double.device, "entries": []}
        except ValueError:
            error(self.state.logger, "Timing cache cannot be deserialized: unexpected header")
            return None
        return self.double.new("ITimingCache", device=stored["device"], entries=set(stored["entries"]))

    def set_timing_cache(self, cache, ignore_mismatch):
        if cache.state.device != self.double.device and not ignore_mismatch:
            error(self.state.logger, "Timing cache was generated on another device or by another version")
            return False
        self.state.cache = cache
        return True

    def get_timing_cache(self):
        return self.state.cache


class ITimingCache:
    def serialize(self):
        content = {"device": self.state.device, "entries": sorted(self.state.entries)}
        return self.double.new("IHostMemory", content=json.dumps(content, sort_keys=True).encode("utf-8"))


class IOptimizationProfile:
    def set_shape(self, input, min, opt, max):  # noqa: A002
        low, best, high = (integers(shape, "set_shape") for shape in (min, opt, max))
        rising = all(0 <= a <= b <= c for a, b, c in zip(low, best, high))
        if not len(low) == len(best) == len(high) or not rising:
            raise RuntimeError("Shape provided for min is inconsistent with other shapes.")
        self.state.shapes[str(input)] = (low, best, high)

    def get_shape(self, input):  # noqa: A002
        return [self.double.new("Dims", sizes=shape) for shape in self.state.shapes[input]]


class OnnxParser:
    def __init__(self, network, logger):
        if "OnnxParser" in self.double.broken:  # createParser gives no parser: its library is not there, or another's
            raise TypeError("pybind11::init(): factory function returned nullptr")
        self.state = types.SimpleNamespace(network=network, logger=logger_of(self, logger), errors=[])
        self.double.register_plugins(logger)  # ModelImporter does it
        self.double.kept.append((self, network))  # keep_alive both ways: neither is ever freed
        counts = self.double.counts
        counts["networks in a process"] = max(counts["networks in a process"], len(self.double.kept))

    def parse(self, model, path=None):
        content, network = bytes(memoryview(model)), self.state.network.state
        try:
            graph = onnx_file.read(content)
        except (ValueError, KeyError, UnicodeDecodeError):
            text = "Assertion failed: model->ParseFromCodedStream(&codedInput): Failed to parse the ONNX model."
            return self._failed(-1, text)
        refused = parser.refusal(self.double, graph, content)
        if refused:
            number, lines, text = refused
            for line in lines:
                error(self.state.logger, line)
            return self._failed(number, text)
        network.content = content
        types_ = {}
        network.inputs = [self._tensor(name, kind, shape) for name, kind, shape in graph.inputs]
        network.layers.extend(map(self._layer, layers.made_of(graph)))
        for node in graph.nodes:
            types_.update((output, node.type) for output in node.outputs)
        network.outputs = [self._tensor(name, types_.get(name, kind), shape) for name, kind, shape in graph.outputs]
        return True

    @property
    def num_errors(self):
        return len(self.state.errors)

    def get_error(self, index):
        return self.state.errors[index]

    def clear_errors(self):
        self.state.errors = []


def _failed(self, node, text):
    self.state.errors.append(self.double.new("ParserError", node=node, desc=text))
    error(self.state.logger, text)
    return False


def _tensor(self, name, kind, shape):
    data, names = self.double.module.DataType, {onnx_file.FLOAT: "FLOAT", onnx_file.HALF: "HALF"}
    names[onnx_file.BOOL] = "BOOL"
    wide = "INT64" if hasattr(data, "INT64") else "INT32"
    dtype = getattr(data, names.get(kind, wide if kind == onnx_file.INT64 else "INT32"))
    return self.double.new("ITensor", name=name, dtype=dtype, shape=shape)


def _layer(self, made):
    inputs, outputs = ([self._tensor(name, made.type, ()) for name in side] for side in (made.inputs, made.outputs))
    return self.double.new(
        "ILayer", name=made.name, kind=made.kind, outputs=outputs, inputs=inputs, precision=None,
        output_types=[None] * len(outputs), logger=self.state.logger,
    )  # fmt: skip


HELPERS = {"OnnxParser": {"_failed": _failed, "_tensor": _tensor, "_layer": _layer}}


class ParserError:
    def node(self):
        return self.state.node

    def desc(self):
        return self.state.desc

    def code(self):
        return 0


class Runtime:
    def __init__(self, logger):
        self.state = types.SimpleNamespace(logger=logger_of(self, logger))
        if self.double.no_driver and self.double.version == "8.6.0":
            self.double.gpu.violation("a Runtime without a driver, which ends the process in 8.6.0")
        older = self.double.version.startswith(("8.0", "8.2", "8.4"))
        no_gpu(self.double, logger, NO_DRIVER if older else ("CUDA initialization failure with error: 35",))

    def deserialize_cuda_engine(self, serialized_engine):
        double, logger = self.double, self.state.logger
        double.counts["deserialised"] += 1
        memory = isinstance(serialized_engine, double.module.IHostMemory)
        content = bytes(serialized_engine) if memory else bytes(memoryview(serialized_engine))
        speak(double, "deserialize", logger)
        if double.no_driver or "deserialize_cuda_engine" in double.broken or not double.ready("deserialising", logger):
            error(logger, "deserializeCudaEngine: Error Code 2: OutOfMemory")
            return None
        if content[:4] != MAGIC:
            error(logger, "Serialization assertion magicTagRead == kMAGIC_TAG failed. Magic tag does not match")
            return None
        size = int.from_bytes(content[4:8], "little")
        header = json.loads(content[8 : 8 + size].decode("utf-8"))
        if header["device"]["tensorrt"] != double.device["tensorrt"]:
            error(
                logger,
                "Serialization assertion stdVersionRead == serializationVersion failed. Version tag does not match. "
                "Note: Current Version: {}, Serialized Engine Version: {}".format(
                    double.device["tensorrt"], header["device"]["tensorrt"]
                ),
            )
            return None
        if header["device"] != double.device:
            error(
                logger,
                "The engine plan file is generated on an incompatible device, expecting compute {} got compute {}, "
                "please rebuild.".format(double.device["sm"], header["device"]["sm"]),
            )
            return None
        lacking = sorted(set(header["plugins"]) - double.plugins)
        if lacking:
            for text in NO_CREATOR:
                error(logger, text.format(lacking[0]))
            return None
        if header["plugins"] and double.plugin_logger() is None:
            double.gpu.violation("the plugin library's logger is gone")
        options = onnxruntime.SessionOptions()
        options.log_severity_level, options.intra_op_num_threads = 4, 1
        session = onnxruntime.InferenceSession(content[8 + size :], options, providers=["CPUExecutionProvider"])
        return double.new("ICudaEngine", header=header, session=session, logger=logger, runtime=self, profiles_used={})


class ICudaEngine:
    @property
    def num_layers(self):
        return len(self.state.header["layers"])

    @property
    def num_optimization_profiles(self):
        return len(self.state.header["profiles"])

    @property
    def num_bindings(self):
        return len(names_of(self)) * len(self.state.header["profiles"])

    @property
    def num_io_tensors(self):
        return len(names_of(self))

    def get_tensor_name(self, index):
        return names_of(self)[whole(index, "get_tensor_name")]

    def get_tensor_mode(self, name):
        modes = self.double.module.TensorIOMode
        return modes.INPUT if name in shapes_of(self, "inputs") else modes.OUTPUT

    def get_binding_name(self, index):
        block, number = divmod(whole(index, "get_binding_name"), len(names_of(self)))
        return names_of(self)[number] + (" [profile {}]".format(block) if block else "")

    def get_binding_index(self, name):
        base, _, block = name.partition(" [profile ")
        return names_of(self).index(base) + len(names_of(self)) * int(block[:-1] or 0)

    def binding_is_input(self, name):
        if isinstance(name, int):
            name = names_of(self)[name % len(names_of(self))]
        return name in shapes_of(self, "inputs")

    @property
    def device_memory_size(self):
        return scratch_size(self)

    def create_execution_context(self, strategy=None):
        found = self._context()
        if found is not None:
            found.state.scratch = self.double.gpu.allocate("scratch", scratch_size(self))
        return found

    def create_execution_context_without_device_memory(self):
        return self._context()

    def create_engine_inspector(self):
        self.double.ready("an inspector made", self.state.logger)
        return self.double.new("EngineInspector", engine=self, context=None)


def _context(self):
    double = self.double
    if "create_execution_context" in double.broken or not double.ready("a context made", self.state.logger):
        error(self.state.logger, "createExecutionContext: Error Code 2: OutOfMemory (no further information)")
        return None
    speak(double, "context", self.state.logger)
    double.counts["contexts"] += 1
    used = self.state.profiles_used
    found = double.new(
        "IExecutionContext", engine=self, profile=None, shapes={}, addresses={}, busy=threading.Lock(),
        alive=[True], changes=[0], logger=self.state.logger, profiler=None, scratch=None, lent=None,
    )  # fmt: skip
    if not used:  # the first one gets profile 0 by itself
        found.state.profile = 0
        used[0] = weakref.ref(found)
    return found


HELPERS["ICudaEngine"] = {"_context": _context}


def scratch_size(engine):
    """Bytes that any context of an engine wants: enough for the largest profile, whichever it will run."""
    profiles = engine.state.header["profiles"]
    return SCRATCH_BYTES * max(shapes[2][0] for profile in profiles for shapes in profile.values())


def names_of(engine):
    return [name for side in ("inputs", "outputs") for name, _ in engine.state.header[side]]


def shapes_of(engine, side):
    return {name: tuple(shape) for name, shape in engine.state.header[side]}


class EngineInspector:
    @property
    def execution_context(self):
        return self.state.context

    @execution_context.setter
    def execution_context(self, value):
        self.state.context = value

    def get_engine_information(self, format):  # noqa: A002
        header = self.state.engine.state.header
        member_of(self.double.module.LayerInformationFormat, format)
        told = []
        for block in range(len(header["profiles"])):
            ending = " [profile {}]".format(block) if block else ""
            for name, kinds, operator in with_copies(fused(header["layers"])):
                if header["verbosity"] != "DETAILED":
                    told.append(name + ending)
                    continue
                sides = [{"Name": "?", "Dimensions": [-1, 1], "Format/Datatype": self._said(kind)} for kind in kinds]
                told.append(
                    {"Name": name + ending, "LayerType": operator, "Inputs": sides[:1], "Outputs": sides[1:]}
                )
                if operator in ("Conv", "Gemm"):
                    told[-1]["Weights"] = {"Type": kinds[1].capitalize(), "Count": 1}
        return json.dumps({"Layers": told, "Bindings": names_of(self.state.engine)})


def _said(self, kind):
    """What an inspector says of a format."""
    if self.double.shapeless is True or self.double.shapeless and self.state.context is None:
        return "N/A due to dynamic shapes"
    return {"FLOAT": "Row major linear FP32", "HALF": "Row major linear FP16 format"}.get(kind, "Row major INT32")


HELPERS["EngineInspector"] = {"_said": _said}


def with_copies(layers):
    """[(name, kind, operator)] -> [(name, (kind read, kind written), operator)] with a copy wherever the precision changes:
    a layer of its own, named after the one beside it."""
    found, before = [], None
    for name, kind, operator in layers:
        floats = kind in ("FLOAT", "HALF") and operator != "Constant"
        if floats and before and before[1] != kind:
            place = "Output Tensor 0 to " + before[0] if kind == "HALF" else "Input Tensor 0 to " + name
            found.append(("Reformatting CopyNode for " + place, (before[1], kind), "Reformat"))
        found.append((name, (kind, kind), operator))
        before = (name, kind) if floats else before
    return found


def fused(layers):
    """Layers as a builder leaves them: an activation goes into what it follows, if both have one precision."""
    found = []
    for name, kind, operator in layers:
        follows = found and found[-1][1] == kind and found[-1][2] not in ("Shuffle", "Constant")
        if follows and operator in ("Relu", "Sigmoid", "Tanh"):
            found[-1] = (found[-1][0] + " + " + name, kind, found[-1][2])
        elif operator in ("Exp", "Mul", "Add", "Sub"):
            found.append(("PWN({})".format(name), kind, "PointWise"))
        else:
            found.append((name, kind, operator))
    return found


class IExecutionContext:
    @property
    def engine(self):
        return self.state.engine

    @property
    def active_optimization_profile(self):
        return -1 if self.state.profile is None else self.state.profile

    @property
    def device_memory(self):
        raise AttributeError("unreadable attribute")

    @device_memory.setter
    def device_memory(self, value):
        """Bound as void* up to 8.4, which pybind11 takes from a capsule; as a number later."""
        if self.double.version.startswith(("8.0", "8.2", "8.4")):
            if type(value).__name__ != "PyCapsule":
                raise TypeError("(): incompatible function arguments: {!r}, expected a capsule".format(value))
            value = pointer_in(value)
        self.state.lent = whole(value, "device_memory")
        if self.state.lent % 256:
            self.double.gpu.violation("scratch memory that is misaligned")
        self.state.changes[0] += 1

    @property
    def profiler(self):
        return self.state.profiler

    @profiler.setter
    def profiler(self, value):
        if not isinstance(value, self.double.module.IProfiler):
            raise TypeError("incompatible function arguments: {!r}, expected an IProfiler".format(value))
        self.state.profiler = value

    def set_optimization_profile_async(self, profile_index, stream_handle):
        with alone(self):
            state, engine = self.state, self.state.engine.state
            self.double.gpu.stream(whole(stream_handle, "set_optimization_profile_async"))
            holder, wrong = engine.profiles_used.get(profile_index), None
            if "set_optimization_profile_async" in self.double.broken:
                wrong = "setOptimizationProfileAsync: Cuda failure"
            elif not 0 <= whole(profile_index, "set_optimization_profile_async") < len(engine.header["profiles"]):
                wrong = "Profile index {} is out of range".format(profile_index)
            elif holder and holder() not in (None, self):
                wrong = "Profile {} has been chosen by another IExecutionContext.".format(profile_index)
            if wrong:
                error(state.logger, wrong)
                raise RuntimeError("Error in set optimization profile async.")  # PY_ASSERT_RUNTIME_ERROR: never False
            engine.profiles_used[state.profile] = None
            engine.profiles_used[profile_index] = weakref.ref(self)
            state.profile, state.shapes = None, {}
            state.changes[0] += 1

            def chosen():
                state.profile = profile_index

            self.double.gpu.put(stream_handle, chosen)
            return True

    def set_binding_shape(self, binding, shape):
        with alone(self):
            if self.state.profile is None:
                return _no_profile(self)
            block, number = divmod(whole(binding, "set_binding_shape"), len(names_of(self.state.engine)))
            if block != self.state.profile:
                error(self.state.logger, "setBindingDimensions: binding {} is of another profile".format(binding))
                return False
            return _set_shape(self, names_of(self.state.engine)[number], shape)

    def set_input_shape(self, name, shape):
        with alone(self):
            if self.state.profile is None:
                return _no_profile(self)
            return _set_shape(self, name, shape)

    def set_tensor_address(self, name, memory):
        with alone(self):
            if name not in names_of(self.state.engine):
                error(self.state.logger, "setTensorAddress: no tensor {}".format(name))
                return False
            self.state.changes[0] += self.state.addresses.get(name) != memory
            self.state.addresses[name] = whole(memory, "set_tensor_address")
            return True

    def execute_async_v2(self, bindings, stream_handle, input_consumed=None):
        with alone(self):
            addresses = integers(bindings, "execute_async_v2")
            names = names_of(self.state.engine)
            if self.state.profile is None:
                return _no_profile(self)
            if len(addresses) != len(names) * len(self.state.engine.state.header["profiles"]):
                error(self.state.logger, "executeAsyncV2: expected pointers for every binding of every profile")
                return False
            start = len(names) * self.state.profile
            return _enqueue(self, dict(zip(names, addresses[start:])), whole(stream_handle, "execute_async_v2"))

    def execute_async_v3(self, stream_handle):
        with alone(self):
            if self.state.profile is None:
                return _no_profile(self)
            return _enqueue(self, self.state.addresses, whole(stream_handle, "execute_async_v3"))


def pointer_in(capsule):
    """What a capsule of Python's C API points to."""
    get = ctypes.pythonapi.PyCapsule_GetPointer
    get.argtypes, get.restype = (ctypes.py_object, ctypes.c_char_p), ctypes.c_void_p
    return get(capsule, None)


@contextlib.contextmanager
def alone(context):
    """One thread at a time may use an execution context."""
    if not context.state.busy.acquire(False):
        context.double.gpu.violation("two threads in one execution context")
        raise RuntimeError("two threads in one execution context")
    try:
        yield
    finally:
        context.state.busy.release()


def _no_profile(context):
    error(context.state.logger, "no optimization profile has been set on this context, or it is not yet there")
    return False


def _set_shape(context, name, shape):
    state, sizes = context.state, integers(shape, "shape of an input")
    limits = state.engine.state.header["profiles"][state.profile].get(name)
    inside = (
        limits and len(limits[0]) == len(sizes) and all(a <= b <= c for a, b, c in zip(limits[0], sizes, limits[2]))
    )
    if not inside or "set_shape" in context.double.broken:
        error(
            state.logger,
            "Parameter check failed: {} {} is not in profile {}: {}".format(name, sizes, state.profile, limits),
        )
        return False
    state.changes[0] += state.shapes.get(name) != sizes
    state.shapes[name] = sizes
    return True


def _enqueue(context, addresses, stream):
    """Check everything now, as TensorRT does; compute when the stream runs."""
    double, state = context.double, context.state
    engine, gpu = state.engine.state, double.gpu
    double.counts["enqueued"] += 1
    if not double.ready("execution", state.logger) or "execute" in double.broken:
        error(state.logger, "enqueue: Cuda failure: 700")
        return False
    if gpu.last_error and gpu.stream(stream).captured is None:  # reported once, by whoever asks next
        error(state.logger, "1: [executeMemcpy] Error Code 1: Cuda Runtime ({})".format(gpu.last_error))
        gpu.last_error = None
        return False
    inputs = shapes_of(state.engine, "inputs")
    if set(state.shapes) != set(inputs):
        error(state.logger, "not all shapes are specified: {}".format(sorted(set(inputs) - set(state.shapes))))
        return False
    batch = next(iter(state.shapes.values()))[0]
    shapes = dict(state.shapes)
    shapes.update((name, (batch,) + shape[1:]) for name, shape in shapes_of(state.engine, "outputs").items())
    for name, shape in shapes.items():
        address = addresses.get(name, 0)
        if not address or address % 256:
            error(state.logger, "the address {:#x} of {} is missing or misaligned".format(address, name))
            gpu.violation("a misaligned or missing address")
            return False
        try:
            gpu.on_device(address, 4 * int(np.prod(shape)))
        except Exception as problem:
            error(state.logger, "{}: {}".format(name, problem))
            gpu.violation("an address that is no memory of this size")
            return False
    scratch = scratch_of(context)
    if scratch is None:
        return False
    session, half, alive, addresses = engine.session, engine.header["half"], state.alive, dict(addresses)
    kinds = {gpu.kind_at(address, stream) for address in addresses.values()}
    changes, when = state.changes, state.changes[0] if gpu.stream(stream).captured is not None else None

    def work():
        if not alive[0]:
            gpu.violation("work of an execution context that is gone")
        if when is not None and when != changes[0]:
            gpu.violation("a CUDA graph of an execution context that was changed after the capture")
        gpu.wait(max(gpu.delay_s.get(kind, 0) for kind in kinds))
        double.counts["executed"] += 1
        gpu.on_device(*scratch)[:] = 0xFF  # whatever else lies there is lost
        given = {name: read(gpu, addresses[name], shapes[name]) for name in inputs}
        names = [name for name, _ in engine.header["outputs"]]
        for name, array in zip(names, session.run(names, given)):
            if half:
                with np.errstate(over="ignore"):
                    array = array.astype(np.float16).astype(np.float32)
            if double.spoil:
                array = double.spoil(name, array)
            place = gpu.on_device(addresses[name], array.nbytes)
            place[:] = np.frombuffer(np.ascontiguousarray(array, np.float32).tobytes(), np.uint8)
        if state.profiler is not None:
            for place, (name, _, _) in enumerate(with_copies(fused(engine.header["layers"]))):
                handle(double, "profile")
                report(state.profiler, name, 0.01 * (1 + place))  # layer n takes n hundredths of a ms

    gpu.put(stream, work)
    return True


def scratch_of(context):
    """(address, size) of the memory that a context works in, None where there is none of that size."""
    double, state = context.double, context.state
    size = scratch_size(state.engine) if state.lent is not None else None
    if state.scratch is None and size is None:
        error(state.logger, "enqueue: no device memory has been set for this execution context")
        return None
    place = (state.scratch.address, len(state.scratch.bytes)) if size is None else (state.lent, size)
    try:
        double.gpu.on_device(*place)
    except Exception as problem:
        error(state.logger, "scratch memory: {}".format(problem))
        double.gpu.violation("scratch memory that is none of this size")
        return None
    return place


def report(profiler, name, milliseconds):
    """Call a profiler as its trampoline does, which is noexcept like the logger's."""
    try:
        profiler.report_layer_time(name, milliseconds)
    except BaseException:
        terminate()


def read(gpu, address, shape):
    content = gpu.on_device(address, 4 * int(np.prod(shape))).tobytes()
    return np.frombuffer(content, np.float32).reshape(shape)


# }}}
# {{{ the shape of one version


class Member:
    """A member of an enum, as pybind11 makes them: no int, and no index, but int() of it works."""

    def __init__(self, owner, name, value):
        self.owner, self.name, self.value = owner, name, value

    def __int__(self):
        return self.value

    def __repr__(self):
        return "<{}.{}: {}>".format(self.owner, self.name, self.value)


def enum(name, numbers):
    """A table's {name: number}; two names of one number are one member. Where a number is not known, it is one that no
    version has, so that nothing can count on it."""
    members, first = {}, {}
    for place, (item, number) in enumerate(numbers.items()):
        number = 100 + place if number is None else number
        members[item] = first.setdefault(number, Member(name, item, number))
    return type(name, (), dict(members, __slots__=(), __members__=members))


def member_of(kind, value):
    if not isinstance(value, Member) or value.owner != kind.__name__:
        raise TypeError("incompatible function arguments: {!r}, expected a member of {}".format(value, kind.__name__))
    return value


def checked(class_name, name, signatures, function):
    """A method that takes what the table says, positionally or by name, and nothing else."""

    def call(self, *given, **named):
        kinds = tuple(map(kind, given)), tuple(sorted((item, kind(value)) for item, value in named.items()))
        self.double.used[class_name, name].add(kinds)
        for signature in signatures or []:
            names = [item.rstrip("=") for item in signature]
            needed = [item for item in signature if not item.endswith("=")]
            seen = set(names[: len(given)]) | set(named)
            if len(given) <= len(names) and set(named) <= set(names[len(given) :]) and set(needed) <= seen:
                return function(self, *given, **named)
        if signatures is None:
            return function(self, *given, **named)
        raise TypeError(
            "{}.{}(): incompatible function arguments: {} {}; expected {}".format(
                class_name, name, given, named, signatures
            )
        )

    call.__name__, call.signatures = name, signatures
    return call


def kind(value):
    """The name of the type that an argument has, or of the enum that it is of."""
    return value.owner if isinstance(value, Member) else type(value).__name__


def absent(class_name, name):
    def call(self, *given, **named):
        raise NotImplementedError("this TensorRT has {}.{}, the double does not do it".format(class_name, name))

    return call


def make_class(double, name, entry, behaviour):
    """One class of the module: the table's names, with what the behaviour does under them."""
    found = dict(vars(behaviour)) if behaviour else {}
    space = {"__slots__": ("state", "double", "__weakref__")}
    for method, signatures in entry["methods"].items():
        function = found.get(method) or absent(name, method)
        space[method] = checked(name, method, signatures, function) if callable(function) else function
    for attribute, settable in entry["properties"].items():
        known = found.get(attribute)
        get, put = (known.fget, known.fset) if isinstance(known, property) else (None, None)
        lacking = absent(name, attribute)
        space[attribute] = property(get or lacking, (put or lacking) if settable else None)
    space.update(HELPERS.get(name, {}))
    if "__bytes__" in found:
        space["__bytes__"] = found["__bytes__"]  # the buffer protocol, as far as Python code can have it
    space["__init__"] = _constructor(double, name, found.get("__init__"))
    if name in ("IExecutionContext", "ICudaEngine", "Runtime"):
        space["__del__"] = _gone(name)
    return type(name, (), space)


def _constructor(double, name, function):
    def construct(self, *given, **named):
        if function is None:
            raise TypeError("tensorrt.{}: No constructor defined!".format(name))
        self.double = double
        double.counts["live " + name] += 1
        function(self, *given, **named)

    if function is not None:
        construct.__wrapped__ = function  # whose arguments inspect.signature tells
        construct.__dict__.update(vars(function))
    return construct


def _gone(name):
    def gone(self):
        if not hasattr(self, "state"):
            return
        gpu = self.double.gpu
        if name == "IExecutionContext":
            self.state.alive[0] = False
            if self.state.scratch is not None:
                gpu.free(self.state.scratch)
        gpu.events.append("delete " + name)
        self.double.counts["live " + name] -= 1
        if name != "Runtime" and gpu.current() != "primary":
            gpu.violation("{} deleted with {} current".format(name, gpu.current() or "no context"))

    return gone


def logger_of(owner, logger):
    if not isinstance(logger, owner.double.module.ILogger):
        raise TypeError("incompatible constructor arguments: {!r}, expected an ILogger".format(logger))
    if logger not in owner.double.loggers:
        owner.double.loggers.append(logger)
    return owner.double.loggers[0]  # the first is kept, whatever comes later


class Made(type):
    """pybind11's rule for classes that are derived from: the constructor above must have been called."""

    def __call__(cls, *given, **named):
        found = super().__call__(*given, **named)
        if not getattr(found, "_ready", False):
            base = cls.__mro__[-2].__name__
            raise TypeError("tensorrt.tensorrt.{}.__init__() must be called when overriding __init__".format(base))
        return found


def loggers(double):
    """ILogger, to be derived from, and Logger, which prints."""
    levels = enum("Severity", double.table["enums"]["Severity"])

    class ILogger(metaclass=Made):
        Severity = levels

        def __init__(self):
            self._ready = True

        def log(self, severity, msg):
            raise RuntimeError('Tried to call pure virtual function "nvinfer1::ILogger::log"')

    class Logger(ILogger):
        def __init__(self, min_severity=levels.WARNING):
            ILogger.__init__(self)
            self._least = min_severity

        @property
        def min_severity(self):
            return self._least

        @min_severity.setter
        def min_severity(self, value):
            self._least = member_of(levels, value)

        def log(self, severity, msg):
            if int(severity) <= int(self._least):
                print("[TRT] [{}] {}".format(severity.name, msg))

    for name in double.table["enums"]["Severity"]:
        setattr(ILogger, name, getattr(levels, name))
    return ILogger, Logger


def profilers():
    """IProfiler, to be derived from."""

    class IProfiler(metaclass=Made):
        def __init__(self):
            self._ready = True

        def report_layer_time(self, layer_name, ms):
            raise RuntimeError('Tried to call pure virtual function "nvinfer1::IProfiler::report_layer_time"')

    return IProfiler


def plugin_registration(double):
    """init_libnvinfer_plugins, which every version has."""

    def init_libnvinfer_plugins(logger, namespace):
        if not isinstance(logger, double.module.ILogger) or not isinstance(namespace, str):
            raise TypeError("init_libnvinfer_plugins(): incompatible function arguments")
        double.register_plugins(logger)
        return True

    return init_libnvinfer_plugins


def make(version, gpu):
    """The module `tensorrt` (or `tensorrt_rtx`) of a version in VERSIONS, on a pycuda_double.Gpu."""
    table = table_of(version)
    module, double = types.ModuleType(table["module"]), Double(version, gpu, table)
    double.module, module.double, module.__version__ = module, double, table["version"]
    module.ILogger, module.Logger = loggers(double)
    module.IProfiler = profilers()
    module.init_libnvinfer_plugins = plugin_registration(double)
    for name, names in table["enums"].items():
        if name != "Severity":
            setattr(module, name, enum(name, names))
    behaviours = globals()
    for name, entry in table["classes"].items():
        setattr(module, name, make_class(double, name, entry, behaviours.get(name)))

    def new(class_, **state):
        found = object.__new__(getattr(module, class_))
        found.double, found.state = double, types.SimpleNamespace(**state)
        double.counts["live " + class_] += 1
        return found

    double.new = new
    return module
