"""How many layers TensorRT for RTX reads from each graph of a bundle, and how many kernels its fusion leaves of them.

    python tests/rtx_layers.py demo/realnvp.bundle [BATCH]

It builds each graph without a GPU, for one batch size. In the engine's own list a whole graph is one layer; the kernels
in it are in the list that a build with DETAILED verbosity logs last, and that is counted here.
"""

import re
import sys

import tensorrt_rtx
from latentjet.runtime import compile as compiling
from latentjet.runtime.bundle import Bundle
from latentjet.runtime.trt import Api, Log

KERNEL = re.compile(r"^Name: ([^,]*), LayerType: (\w+),", re.MULTILINE)
NO_KERNELS = {"shape_call"}  # the processor's arithmetic on shapes


class Verbose(tensorrt_rtx.ILogger):
    """Keeps every line."""

    def __init__(self):
        tensorrt_rtx.ILogger.__init__(self)
        self.lines = []

    def log(self, severity, text):
        self.lines.append(text)


class Loud(Log):
    """A Log whose logger keeps every line."""

    def make(self, trt):
        self.logger = Verbose()
        return self.logger


def kernels(lines):
    """The log of a build -> [(name, type)] of what a run launches."""
    listed = next(text for text in lines if text.startswith("Layers:"))
    return [(name, kind) for name, kind in KERNEL.findall(listed) if kind not in NO_KERNELS]


def counts(content, batch=8):
    """An ONNX file's bytes -> (layers read from it, layers after TensorRT's own fusion, [(name, type)] of kernels)."""
    api, log = Api(tensorrt_rtx), Loud()
    builder = api.builder(log)
    logger = log.logger
    recipe = compiling.Recipe("graph", "fp16", "graph.onnx", content, True, (), (batch,), 1 << 28)
    network, parser = compiling.parse(api, builder, recipe, Log())
    config = builder.create_builder_config()
    api.set_workspace(config, recipe.workspace_bytes)
    api.ask_for_details(config)
    api.exact_float32(config)
    profile = builder.create_optimization_profile()
    for tensor in map(network.get_input, range(network.num_inputs)):
        shape = (batch, *tuple(tensor.shape)[1:])
        profile.set_shape(tensor.name, shape, shape, shape)
    config.add_optimization_profile(profile)
    read = network.num_layers
    assert builder.build_serialized_network(network, config) is not None, log.errors()
    fused = re.findall(r"^After reformat layers: (\d+) layers$", "\n".join(logger.lines), re.MULTILINE)
    del parser
    return read, int(fused[-1]), kernels(logger.lines)


def rows(bundle, batch=8):
    """(graph, precision, layers read, layers after fusion, kernels) for every graph, and its form in half precision."""
    for name, graph in sorted(bundle.graphs.items()):
        half = graph.precision and graph.precision["file"]
        for precision, file in (("fp32", graph.file), ("fp16", half)):
            if file:
                read, fused, launched = counts(bundle.read(file), batch)
                yield name, precision, read, fused, len(launched)


def main(path, batch=8):
    print(f"TensorRT for RTX {tensorrt_rtx.__version__}, batch {batch}: {path}")
    print(f"{'graph':<12}{'precision':<11}{'layers read':>12}{'after fusion':>14}{'kernels in them':>17}")
    for name, precision, *numbers in rows(Bundle.open(path), batch):
        print("{:<12}{:<11}{:>12}{:>14}{:>17}".format(name, precision, *numbers))


if __name__ == "__main__":
    main(sys.argv[1], *map(int, sys.argv[2:3]))
