"""The ONNX Runtime engine. The only file that imports onnxruntime (1.10 on CPython 3.6, current ones elsewhere)."""

import numpy as np
import onnxruntime

from .engine import Engine
from .errors import BackendError


class OrtEngine(Engine):
    """A graph in ONNX Runtime on the CPU, with all of its graph optimisations.

    Inputs and outputs are bound once for each batch size, which costs less than `InferenceSession.run` spends on
    its arguments in every call.
    """

    backend = "ort"

    def __init__(self, graph, session):
        super().__init__(graph)
        self.session = session

    @classmethod
    def open(cls, bundle, graph, threads=None):
        return cls(graph, open_session(bundle.read(graph.file), graph.name, threads))

    def _tie(self, arrays, batch):
        binding, outputs = self.session.io_binding(), []
        for name, array in arrays:
            binding.bind_input(name, "cpu", 0, np.float32, array.shape, array.ctypes.data)
        for tensor in self.graph.outputs:
            array = np.empty((batch,) + tuple(tensor.shape[1:]), np.float32)
            binding.bind_output(tensor.name, "cpu", 0, np.float32, array.shape, array.ctypes.data)
            outputs.append(array)
        return binding, outputs

    def _run(self, slot):
        binding, outputs = slot.extra
        self.session.run_with_iobinding(binding)
        return [array.copy() for array in outputs]

    def close(self):
        super().close()
        self.session = None


def open_session(content, name, threads=None):
    """ONNX bytes -> InferenceSession on the CPU. Raises BackendError with ONNX Runtime's own words."""
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_ALL
    options.log_severity_level = 3
    if threads:
        options.intra_op_num_threads = threads
        options.inter_op_num_threads = 1
    try:
        return onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])
    except Exception as error:  # onnxruntime's exceptions share no base but Exception
        raise BackendError(
            "graph '{}' cannot be loaded by onnxruntime {}: {}".format(name, onnxruntime.__version__, error)
        )
