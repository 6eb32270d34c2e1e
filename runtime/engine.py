"""Engine: one graph of a bundle, loaded on one backend. What benchmarks time and what Model is made of.

    with open_engine(bundle, "decode", "ort") as engine:
        images = engine.run(z=z, labels=labels)["images"]

A backend is one file with one class that has `open`, `_run` and `close`; BACKENDS is the whole registry.
"""

import importlib
import math

import numpy as np

from .errors import BackendError, InputError

BACKENDS = {
    "ort": ("latentjet.runtime.ort", "OrtEngine", "ONNX Runtime; install it with: pip install onnxruntime"),
    "replay": ("latentjet.runtime.replay", "ReplayEngine", "answers from the bundle's reference vectors"),
}
AUTO = ("ort",)
LARGEST = float(np.finfo(np.float32).max)


class Engine:
    """The working base: checks inputs, names outputs, closes. A backend's class gives `_run(feeds) -> list`.

    graph: the bundle's Graph (inputs, outputs, tolerance); backend: its name in BACKENDS; threads: as given.
    """

    backend = None

    def __init__(self, graph):
        self.graph = graph
        self.closed = False
        self._inputs = [(tensor.name, np.dtype(tensor.dtype), tuple(tensor.shape[1:])) for tensor in graph.inputs]
        self._outputs = [tensor.name for tensor in graph.outputs]

    @classmethod
    def open(cls, bundle, graph, threads=None):
        """Load a graph of a bundle; threads: how many the backend may use (None: its own choice)."""
        raise NotImplementedError

    def run(self, **inputs):
        """Arrays by input name, any batch -> dict of arrays by output name. Raises InputError."""
        if self.closed:
            raise InputError("graph '{}': this engine is closed".format(self.graph.name))
        return dict(zip(self._outputs, self._run(self.check(inputs))))

    def check(self, inputs):
        """The inputs, contiguous, or InputError: names, dtypes, shapes, one batch for all, every value finite."""
        if len(inputs) != len(self._inputs):
            raise InputError(self._names(inputs))
        batch, checked = None, {}
        for name, dtype, shape in self._inputs:
            if name not in inputs:
                raise InputError(self._names(inputs))
            array = inputs[name]
            if not isinstance(array, np.ndarray) or array.dtype != dtype or array.shape[1:] != shape or not array.ndim:
                raise InputError(self._mismatch(name, array, dtype, shape))
            if batch is None:
                batch = len(array)
            elif len(array) != batch:
                raise InputError(
                    "graph '{}': input '{}' has {} rows, expected {} as in '{}'".format(
                        self.graph.name, name, len(array), batch, self._inputs[0][0]
                    )
                )
            if not array.flags.c_contiguous:
                array = np.ascontiguousarray(array)
            flat = array.reshape(-1)
            # a finite sum of squares proves every value finite, at a tenth of the cost of asking each
            if not math.isfinite(flat.dot(flat)) and not np.isfinite(flat).all():
                raise InputError(self._not_finite(name, array))
            checked[name] = array
        if not batch:
            raise InputError("graph '{}': the batch is empty, expected at least one row".format(self.graph.name))
        return checked

    def _names(self, inputs):
        expected = ", ".join("'{}'".format(name) for name, _, _ in self._inputs)
        seen = ", ".join("'{}'".format(name) for name in inputs) or "none"
        return "graph '{}': inputs are {}, expected {}".format(self.graph.name, seen, expected)

    def _mismatch(self, name, array, dtype, shape):
        seen = type(array).__name__
        if isinstance(array, np.ndarray):
            seen = "{} {}".format(array.dtype, array.shape)
        wanted = "{} ({})".format(dtype, ", ".join(["batch"] + [str(size) for size in shape]))
        return "graph '{}': input '{}' is {}, expected {}".format(self.graph.name, name, seen, wanted)

    def _not_finite(self, name, array):
        row = int(np.argwhere(~np.isfinite(array))[0][0])
        count = int((~np.isfinite(array)).sum())
        return "graph '{}': input '{}' has {} values that are not finite, the first in row {}".format(
            self.graph.name, name, count, row
        )

    def _run(self, feeds):
        raise NotImplementedError

    def close(self):
        """Release everything; closing twice is allowed."""
        self.closed = True

    def __enter__(self):
        return self

    def __exit__(self, kind, error, trace):
        self.close()


def backend_class(name):
    """Backend name -> its Engine class. Raises BackendError: unknown, or not installed and how to install it."""
    if name not in BACKENDS:
        raise BackendError("backend is '{}', expected one of: auto, {}".format(name, ", ".join(sorted(BACKENDS))))
    module, attribute, note = BACKENDS[name]
    try:
        return getattr(importlib.import_module(module), attribute)
    except ImportError as error:
        raise BackendError("backend '{}' cannot be loaded ({}): {}".format(name, error, note))


def choose_backend(name):
    """A backend's name or "auto" -> a name. A named backend is never replaced; "auto" takes the first that loads."""
    if name != "auto":
        backend_class(name)
        return name
    problems = []
    for candidate in AUTO:
        try:
            backend_class(candidate)
            return candidate
        except BackendError as error:
            problems.append(str(error))
    raise BackendError("no backend can be loaded: {}".format("; ".join(problems)))


def open_engine(bundle, graph, backend="auto", threads=None):
    """Load one graph of an opened Bundle on a backend -> Engine. Raises BundleError, BackendError."""
    described = bundle.graph(graph)
    return backend_class(choose_backend(backend)).open(bundle, described, threads)
