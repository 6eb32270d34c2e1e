"""How many nodes of a graph are left when its neighbours are fused: the nearest count of kernels that needs no GPU.

ONNX Runtime's fusions that keep the layout of the arrays (constants folded, activations merged into convolutions). A
TensorRT engine has fewer still, since it also merges chains of elementwise operators.
"""

import tempfile
from pathlib import Path

import onnx
import onnxruntime


def fused_nodes(model):
    """ModelProto -> number of nodes in the graph that ONNX Runtime makes of it at its extended level."""
    with tempfile.TemporaryDirectory(prefix="latentjet-") as folder:
        place = Path(folder) / "fused.onnx"
        options = onnxruntime.SessionOptions()
        options.log_severity_level = 3
        options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_EXTENDED
        options.optimized_model_filepath = str(place)
        onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
        return len(onnx.load(place).graph.node)
