"""Matrix products that latentjet wrote before 0.2 and the parsers of TensorRT 8.0 and 8.2 cannot read.

A Gemm with constant weights and no third input asks those parsers for a fully connected layer of 0 outputs: "kernel
weights has count 65536 but 0 was expected", then INVALID_NODE (NVIDIA/TensorRT#2096; onnx-tensorrt release/8.0 and
release/8.2-GA, importGemm; repaired upstream in April 2022). Every conditional flow of latentjet 0.1.0 has some.
ONNX Runtime and TensorRT 8.4 and later read them.
"""

from . import onnx_file


def products(content):
    """Bytes of an ONNX file -> names of its Gemms that those parsers refuse; none where it is no ONNX file."""
    try:
        graph = onnx_file.read(content)
    except (ValueError, LookupError, TypeError, AttributeError):  # what is no ONNX file is not this module's to explain
        return []
    made = set(graph.weights) | {node.outputs[0] for node in graph.nodes if node.kind == "Constant" and node.outputs}
    return [node.name or node.outputs[0] for node in graph.nodes if node.kind == "Gemm" and is_refused(node, made)]


def is_refused(node, constants):
    """Is it the fully connected form, without a third input? (A Gemm that scales is another one, which is read.)"""
    weights = len(node.inputs) > 1 and node.inputs[1] in constants and node.inputs[0] not in constants
    plain = node.numbers.get("alpha", 1.0) == 1 and node.numbers.get("beta", 1.0) == 1
    return len(node.inputs) == 3 and not node.inputs[2] or len(node.inputs) < 3 and weights and plain


def note(bundle):
    """Bundle -> a sentence on the graphs that TensorRT 8.0 and 8.2 cannot read, None if there are none."""
    names = [name for name in sorted(bundle.manifest["files"]) if name.endswith(".onnx")]
    found = [name for name in names if products(bundle.read(name))]
    return None if not found else sentence(", ".join(found))


def sentence(what):
    return (
        "TensorRT 8.0 and 8.2, all that a TX2 can have, cannot read {}: exported by latentjet before 0.2, with a "
        "matrix product that lacks its third input; export it again with `latentjet export` (a model that ships with "
        "latentjet: upgrade latentjet)".format(what)
    )


def remedy(content):
    """What to do about a graph that TensorRT's parser refused: the end of a sentence."""
    if products(content):
        return "exported by latentjet before 0.2: `latentjet export` it again (a model that ships: upgrade latentjet)"
    return "export it again for this target"
