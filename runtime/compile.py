"""One graph -> a serialised TensorRT plan: parse, profiles, precision, build, timing cache. Nothing is run here."""

import os
import re
import time
from typing import NamedTuple

from . import files, kept_layers, old_products
from .errors import PlanError
from .trt_messages import Log, explained

CACHE_NAME = "timing.cache"
LEAST_WORKSPACE, MOST_WORKSPACE = 1 << 26, 1 << 30


class Recipe(NamedTuple):
    """What is built: graph and precision; file, the bundle's ONNX file, and its content; typed: it carries half
    precision itself; keep, names of nodes to hold in float32; batches, the profiles' largest sizes, rising;
    workspace_bytes; tactics, names of the only sources of kernels (None: TensorRT's choice)."""

    graph: str
    precision: str
    file: str
    content: bytes
    typed: bool
    keep: tuple
    batches: tuple
    workspace_bytes: int
    tactics: tuple = None


class Built(NamedTuple):
    """A serialised plan, how long it took, layers asked to stay in float32, the constraint flag that was used."""

    content: bytes
    seconds: float
    asked: tuple
    constraint: str


def recipe(bundle, graph, precision, api, batches, workspace_bytes, tactics=None):
    """Bundle, graph name, "fp16" or "fp32" -> Recipe. Raises PlanError for fp16 of a graph that must be float32."""
    described = bundle.graph(graph)
    half = precision == "fp16"
    if half and (not described.precision or not described.precision["file"]):
        raise PlanError("graph '{}' may not run in fp16: build it with --precision fp32".format(graph))
    typed = half and api.typed
    whole = described.file if api.typed else described.tensorrt8 or described.file
    file = described.precision["file"] if typed else whole
    keep = tuple(sorted(described.precision["keep_float32"])) if half and not typed else ()
    return Recipe(graph, precision, file, bundle.read(file), typed, keep, tuple(batches), workspace_bytes, tactics)


def workspace(free_bytes=None, root="/"):
    """Bytes of workspace: a quarter of the memory that is free, within 64 MiB and 1 GiB. free_bytes: of a GPU with
    memory of its own; None: what the system has available."""
    if free_bytes is None:
        free_bytes = available(root)
    return max(LEAST_WORKSPACE, min(MOST_WORKSPACE, free_bytes // 4))


def available(root):
    """Bytes that the system says are available, 0 where it does not say."""
    try:
        with open(os.path.join(root, "proc/meminfo")) as handle:
            return next(int(line.split()[1]) * 1024 for line in handle if line.startswith("MemAvailable"))
    except (OSError, StopIteration, ValueError, IndexError):
        return 0


def parse(api, builder, wanted, log):
    """A network with the graph in it. Raises PlanError with the parser's messages, or for a graph without layers."""
    network = api.network(builder)
    parser = api.parser(network, log)
    if not parser.parse(wanted.content):
        said = [
            "node {}: {}".format(item.node(), " ".join(item.desc().split()))
            for item in map(parser.get_error, range(parser.num_errors))
        ]
        raise PlanError(
            "TensorRT {} cannot read graph '{}': {}; {}".format(
                api.version, wanted.graph, " | ".join(said[:3]) or "; ".join(log.errors()[:3]) or "it gave no reason",
                old_products.remedy(wanted.content),
            )  # fmt: skip
        )
    if not network.num_layers or not network.num_outputs:
        raise PlanError(
            "graph '{}' came out of TensorRT's parser with {} layers and {} outputs: the file is no graph; export it "
            "again".format(wanted.graph, network.num_layers, network.num_outputs)
        )
    return network, parser


def add_profiles(api, builder, config, network, batches):
    """One profile for each range of batch sizes: 1, then up to each further size, best at its upper end. Raises
    PlanError."""
    low = 1
    for high in batches:
        profile = builder.create_optimization_profile()
        for index in range(network.num_inputs):
            tensor = network.get_input(index)
            shape = tuple(tensor.shape)
            try:
                profile.set_shape(tensor.name, (low,) + shape[1:], (high,) + shape[1:], (high,) + shape[1:])
            except RuntimeError as error:
                raise PlanError(
                    "TensorRT {} refuses batches {} to {} of input '{}', whose shape is {}: {} Export it with a free "
                    "batch and no other free size".format(api.version, low, high, tensor.name, shape, error)
                )
        if config.add_optimization_profile(profile) < 0:
            raise PlanError("TensorRT {} refuses a profile for batches {} to {}".format(api.version, low, high))
        low = high + 1


def build(api, wanted, cache=b""):
    """Recipe -> (Built, the timing cache's bytes). Raises PlanError with TensorRT's own words and what they mean."""
    log, began = Log(), time.time()
    builder = api.builder(log)
    network, parser = parse(api, builder, wanted, log)
    asked = kept_layers.keep(api, network, wanted.content, wanted.keep)
    flags = (api.constraints if asked else [])[:2] or [None]
    for flag in flags:
        config = builder.create_builder_config()
        api.set_workspace(config, wanted.workspace_bytes)
        if wanted.tactics is not None:
            api.use_tactics(config, wanted.tactics)
        api.ask_for_details(config)
        timings = api.use_cache(config, cache)
        log.lines.clear()  # what was said of an old cache, or of the attempt before, is not why this one fails
        add_profiles(api, builder, config, network, wanted.batches)
        api.exact_float32(config)
        if wanted.precision == "fp16" and not wanted.typed:
            api.half(config)
        if flag:
            api.constrain(config, flag)
        serialized = builder.build_serialized_network(network, config)
        if serialized is not None:
            stored = b"" if timings is None else bytes(timings.serialize())
            return Built(bytes(serialized), time.time() - began, asked, flag), stored
    raise PlanError(explained(log, "TensorRT {} could not build '{}'".format(api.version, wanted.graph)))


def cache_place(device):
    """The timing cache of this device, TensorRT and power mode: another clock makes another kernel the fastest."""
    key = "trt{}-sm{}".format(device["tensorrt"], device["sm"].replace(".", ""))
    if device.get("power_mode"):
        key += "-" + re.sub(r"[^\w.]", "_", device["power_mode"])
    return os.path.join(files.cache_folder(key), CACHE_NAME)


def read_cache(device):
    try:
        with open(cache_place(device), "rb") as handle:
            return handle.read()
    except OSError:
        return b""


def write_cache(device, content):
    """Keep a timing cache, if there is one -> why it cannot be kept, which is no error, or ""."""
    if not content:
        return ""
    try:
        os.makedirs(os.path.dirname(cache_place(device)), exist_ok=True)
        files.write_file(cache_place(device), content)
    except OSError as error:
        return "the timing cache cannot be kept: {}".format(error)
    return ""
