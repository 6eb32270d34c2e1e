"""The layers of TensorRT that compute nodes kept in float32: which they are, and whether a built engine kept them.

TensorRT's parser names one layer of a node after it. Helpers beside it have no name ("(Unnamed Layer* 3) [Shuffle]"),
constants have their initializer's: a matrix product is Shuffle, FullyConnected, Shuffle, and the middle one bears the
node's name. What belongs together is therefore found through tensors: between nodes they have the names of the ONNX
file, within a node names that the file does not know. (onnx-tensorrt release/8.2-GA: ImporterContext.hpp,
onnx2trt_utils.cpp.)
"""

import re

from . import onnx_file

REFORMAT = re.compile(r"Reformatting CopyNode\b|.* (?:in|out)put reformatter \d+$")


def keep(api, network, content, names):
    """Ask for float32 in all layers that compute floating-point values of ONNX nodes.

    Args:
        api: Api of the TensorRT that parsed.
        network: the network that came of it.
        content: bytes of the ONNX file.
        names: names of nodes.
    Returns: names of the layers that were asked, in the network's order.
    """
    if not names:
        return ()
    asked, wiring = [], Wiring(network)
    for index in sorted(wiring.of_nodes(onnx_file.read(content), names)):
        if api.computes_floats(wiring.layers[index]):
            api.keep_float32(wiring.layers[index])
            asked.append(wiring.layers[index].name)
    return tuple(asked)


class Wiring:
    """Which layer of a network writes a tensor and which ones read it, by the tensors' names."""

    def __init__(self, network):
        self.layers = [network.get_layer(index) for index in range(network.num_layers)]
        self.reads = [tensors(layer.get_input, layer.num_inputs) for layer in self.layers]
        self.writes = [tensors(layer.get_output, layer.num_outputs) for layer in self.layers]
        self.writer = {name: index for index, names in enumerate(self.writes) for name in names}
        self.readers = {}
        for index, names in enumerate(self.reads):
            for name in names:
                self.readers.setdefault(name, []).append(index)

    def of_nodes(self, graph, names):
        """Indexes of the layers of some nodes of an onnx_file.Graph: those that bear a name, those that write what the
        nodes write, and whatever hangs on them by tensors that are within a node."""
        between = {name for node in graph.nodes for name in node.inputs + node.outputs}
        between.update(name for name, _, _ in graph.inputs)
        written = {output for node in graph.nodes if node.name in names for output in node.outputs}
        found = {self.writer[name] for name in written if name in self.writer}
        found.update(index for index, layer in enumerate(self.layers) if belongs(layer.name, names))
        waiting = list(found)
        while waiting:
            new = self._beside(waiting.pop(), between) - found
            found |= new
            waiting += new
        return found

    def _beside(self, index, between):
        """Layers that are joined to one by a tensor within a node, and constants that it reads."""
        if self._is_constant(index):
            return set()  # others may read it too
        found = set()
        for name in self.reads[index]:
            writer = self.writer.get(name)
            if writer is not None and (name not in between or self._is_constant(writer)):
                found.add(writer)
        for name in self.writes[index]:
            if name not in between:
                found.update(self.readers.get(name, ()))
        return found

    def _is_constant(self, index):
        return not self.reads[index]


def tensors(get, count):
    """Names of a layer's inputs or outputs; an optional input may be missing."""
    return [tensor.name for tensor in map(get, range(count)) if tensor is not None]


def belongs(layer_name, names):
    """Does a layer bear a node's name? Where several layers of a node have it, the parser appends a number from the
    second on; so "exp_1" is of node "exp_1", or a part of "exp" (one layer too many in float32 is safe)."""
    return layer_name in names or node_of(layer_name) in names


def node_of(layer_name):
    """A layer's name -> the ONNX node that it may come from."""
    head, _, tail = layer_name.rpartition("_")
    return head if head and tail.isdigit() else layer_name


def reformats(layer_name):
    """Is this a copy between formats that the builder put in? It names the layer beside it, which it is not."""
    return bool(REFORMAT.match(layer_name))


def honoured(layers, asked):
    """Inspector's layers, names of layers asked to stay in float32 -> (honoured, not honoured), lists of names.

    A fused layer carries the names of its parts, so a name is looked for inside, as a whole; unknown precisions count
    as neither, and copies between formats do not count.
    """
    kept, lost = [], []
    own = [layer for layer in layers or [] if not reformats(layer["name"])]
    for name in asked:
        whole = re.compile(r"(?<![\w./:-]){}(?![\w./:-])".format(re.escape(name)))
        found = [layer["precision"] for layer in own if whole.search(layer["name"])]
        if "fp16" in found:
            lost.append(name)
        elif "fp32" in found:
            kept.append(name)
    return kept, lost
