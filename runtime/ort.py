"""The ONNX Runtime engine. The only file that imports onnxruntime (1.10 on CPython 3.6, current ones elsewhere)."""

import numpy as np
import onnxruntime

from .engine import Engine
from .errors import BackendError, BundleError


class OrtEngine(Engine):
    """A graph in ONNX Runtime on the CPU, with all of its graph optimisations.

    Inputs and outputs are bound once for each batch size, which costs less than `InferenceSession.run` spends on
    its arguments in every call.
    """

    backend = "ort"
    fresh = False

    def __init__(self, graph, session):
        super().__init__(graph)
        self.session = session

    @classmethod
    def open(cls, bundle, graph, threads=None):
        session = open_session(bundle.read(graph.file), graph.name, threads)
        for side, tensors, found in (
            ("inputs", graph.inputs, session.get_inputs()),
            ("outputs", graph.outputs, session.get_outputs()),
        ):
            refuse_unlike(bundle.path, graph, side, tensors, {item.name: item.shape for item in found})
        return cls(graph, session)

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
        return outputs

    def close(self):
        super().close()
        self.session = None


def refuse_unlike(path, graph, side, tensors, shapes):
    """Raise BundleError where bundle.json and the ONNX file disagree on names or sizes (but free ones)."""
    wanted = {tensor.name: tensor.shape for tensor in tensors}
    alike = set(wanted) == set(shapes) and all(
        len(shapes[name]) == len(wanted[name])
        and all(size == other for size, other in zip(shapes[name][1:], wanted[name][1:]) if isinstance(size, int))
        for name in wanted
    )
    if not alike:
        raise BundleError(
            "{}: graph '{}' has the {} {} in its ONNX file, but {} in bundle.json: export it again".format(
                path, graph.name, side, *(
                    ", ".join("'{}' {}".format(name, tuple(known[name])) for name in sorted(known))
                    for known in (shapes, wanted)
                )
            )
        )  # fmt: skip


def open_session(content, name, threads=None, profile=None):
    """ONNX bytes -> InferenceSession on the CPU. Raises BackendError with ONNX Runtime's own words.

    profile: the start of a path; the session's end_profiling then writes the times of its nodes there.
    """
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_ALL
    options.log_severity_level = 3
    if profile:
        options.enable_profiling, options.profile_file_prefix = True, profile
    if threads:
        options.intra_op_num_threads = threads
        options.inter_op_num_threads = 1
    try:
        return onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])
    except Exception as error:  # onnxruntime's exceptions share no base but Exception
        raise BackendError(
            "graph '{}' cannot be loaded by onnxruntime {}: {}".format(name, onnxruntime.__version__, error)
        )
