"""Engine: one graph of a bundle, loaded on one backend. What benchmarks time and what Model is made of.

    with open_engine(bundle, "decode", "ort") as engine:
        images = engine.run(z=z, labels=labels)["images"]

A backend is one file with one class that extends Engine; BACKENDS is the whole registry.
"""

import importlib
import math
import threading
from typing import NamedTuple

import numpy as np

from .errors import BackendError, InputError, PlanError

BACKENDS = {
    "ort": ("latentjet.runtime.ort", "OrtEngine", "ONNX Runtime; install it with: pip install onnxruntime"),
    "trt": ("latentjet.runtime.trt_engine", "TrtEngine", "TensorRT; it comes with JetPack, see `latentjet doctor`"),
    "replay": ("latentjet.runtime.replay", "ReplayEngine", "answers from the bundle's reference vectors"),
}
AUTO = ("trt", "ort")
FLOAT32, ndarray = np.dtype(np.float32), np.ndarray  # the hot path looks them up once
MOST_SLOTS = 8


class Slot(NamedTuple):
    """Where the inputs of one batch size are staged: flat, one buffer; arrays, views of it as [(name, array, shape)];
    extra, what the backend ties to them."""

    flat: np.ndarray
    arrays: list
    extra: object


class Engine:
    """The working base: checks and stages inputs, names outputs, locks, closes.

    A backend's class gives `open` and `_run(slot) -> list of arrays`; `fresh` says whether these are new in each run
    or will be written again. It may give `_tie(arrays, batch)`, called once for each batch size, and `_allocate`, for
    staging memory of its own. Staging costs a copy of the inputs and saves what a backend would spend on looking at new
    arrays in every call. A lock makes it safe to share an engine between threads; they take turns.
    """

    backend = None
    precision = "fp32"
    fresh = True
    alignment = 1  # float32 values; each staged input starts at a multiple of it

    def __init__(self, graph):
        self.graph = graph
        self.closed = False
        self._shapes = [(tensor.name, tuple(tensor.shape[1:])) for tensor in graph.inputs]
        self._first = self._shapes[0][0]
        self._outputs = [tensor.name for tensor in graph.outputs]
        self._slots = {}
        self._lock = threading.Lock()

    @classmethod
    def open(cls, bundle, graph, threads=None):
        """Load a graph of a bundle; threads: how many the backend may use (None: its own choice)."""
        raise NotImplementedError

    @classmethod
    def require(cls, bundle):
        """Raise BackendError or PlanError unless this backend can run every graph of a bundle here."""

    def run(self, out=None, **inputs):
        """Arrays by input name, any batch -> dict of arrays by output name. Raises InputError.

        out: {output name: float32 array} to write into instead of new arrays; it is what is returned then.
        """
        with self._lock:
            found = self._run(self._stage(inputs))
            if out is not None:
                return self._written(out, found)
            if self.fresh:
                return dict(zip(self._outputs, found))
            return {name: array.copy() for name, array in zip(self._outputs, found)}

    def _written(self, out, found):
        """Copy outputs into the caller's arrays. Raises InputError where one does not fit."""
        for name, array in zip(self._outputs, found):
            place = out.get(name)
            if not isinstance(place, np.ndarray) or place.dtype != FLOAT32 or place.shape != array.shape:
                raise InputError(
                    "graph '{}': out['{}'] is {}, expected a float32 array {}".format(
                        self.graph.name, name, getattr(place, "shape", type(place).__name__), array.shape
                    )
                )
            place[...] = array
        return out

    def _stage(self, inputs):
        """Copy the inputs to where the backend reads them -> Slot; InputError for names, types, shapes, NaN."""
        try:
            batch = inputs[self._first].shape[0]
            slot = self._slots.get(batch) or self._make_slot(batch)
        except (KeyError, AttributeError, IndexError):
            raise self._explained(inputs)
        if len(inputs) != len(slot.arrays):
            raise self._explained(inputs)
        for name, staged, shape in slot.arrays:
            array = inputs.get(name)
            if not isinstance(array, ndarray) or array.dtype is not FLOAT32 and array.dtype != FLOAT32:
                raise self._explained(inputs)
            if array.shape != shape:
                raise self._explained(inputs)
            staged[...] = array
        flat = slot.flat
        # a finite sum of squares proves every value finite, at a tenth of the cost of asking each; vdot, for dot
        # warns of overflow
        if not math.isfinite(np.vdot(flat, flat)) and not np.isfinite(flat).all():
            error = self._explained(inputs)
            flat[...] = 0
            raise error
        return slot

    def _make_slot(self, batch):
        if self.closed or not batch:
            raise KeyError(batch)
        if len(self._slots) >= MOST_SLOTS:
            self._slots.clear()
        places, total = self._places(batch, [shape for _, shape in self._shapes])
        flat, arrays = self._allocate(total), []
        for (name, shape), (start, size) in zip(self._shapes, places):
            shape = (batch,) + shape
            arrays.append((name, flat[start : start + size].reshape(shape), shape))
        self._slots[batch] = Slot(flat, arrays, self._tie([item[:2] for item in arrays], batch))
        return self._slots[batch]

    def _places(self, batch, shapes):
        """[(start, size)] of tensors (batch,) + shape in one buffer, in float32 values, and the size of it all."""
        places, start = [], 0
        for shape in shapes:
            size = batch * int(np.prod(shape, dtype=int))
            places.append((start, size))
            start += -(-size // self.alignment) * self.alignment
        return places, start

    def _allocate(self, count):
        """Staging memory of so many zeros."""
        return np.zeros(count, FLOAT32)

    def _tie(self, arrays, batch):
        """What the backend keeps for a batch size, given where its inputs will be."""
        return None

    def _run(self, slot):
        raise NotImplementedError

    def _refuse(self, inputs):
        """Raise the InputError that names the first thing wrong with some inputs, if there is one."""
        error = self._first_wrong(inputs)
        if error:
            raise error

    def _explained(self, inputs):
        """The first thing that is wrong with some inputs, as an InputError."""
        text = "graph '{}': inputs changed while they were read".format(self.graph.name)
        return self._first_wrong(inputs) or InputError(text)

    def _first_wrong(self, inputs):
        start = "graph '{}': ".format(self.graph.name)
        if self.closed:
            return InputError(start + "this engine is closed")
        if sorted(inputs) != sorted(name for name, _ in self._shapes):
            expected = ", ".join("'{}'".format(name) for name, _ in self._shapes)
            seen = ", ".join("'{}'".format(name) for name in inputs) or "none"
            return InputError("{}inputs are {}, expected {}".format(start, seen, expected))
        for name, shape in self._shapes:
            array = inputs[name]
            if (
                not isinstance(array, np.ndarray)
                or array.dtype != FLOAT32
                or array.ndim == 0
                or array.shape[1:] != shape
            ):
                seen = type(array).__name__
                if isinstance(array, np.ndarray):
                    seen = "{} {}".format(array.dtype, array.shape)
                wanted = ", ".join(["batch"] + [str(size) for size in shape])
                return InputError("{}input '{}' is {}, expected float32 ({})".format(start, name, seen, wanted))
        rows = {name: len(inputs[name]) for name, _ in self._shapes}
        if len(set(rows.values())) > 1:
            seen = ", ".join("'{}' has {}".format(name, rows[name]) for name, _ in self._shapes)
            return InputError("{}{} rows, expected as many for each".format(start, seen))
        if not rows[self._first]:
            return InputError(start + "the batch is empty, expected at least one row")
        for name, _ in self._shapes:
            wrong = np.argwhere(~np.isfinite(inputs[name]))
            if len(wrong):
                text = "{}input '{}' has {} values that are not finite, the first in row {}"
                return InputError(text.format(start, name, len(wrong), wrong[0][0]))
        return None

    def close(self):
        """Release everything; closing twice is allowed."""
        with self._lock:
            self.closed = True
            self._slots.clear()

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


def choose_backend(name, bundle):
    """A backend's name or "auto" -> a name. A named backend is never replaced; "auto" takes the first that can run
    every graph of the bundle here."""
    if name != "auto":
        backend_class(name)
        return name
    problems = []
    for candidate in AUTO:
        try:
            backend_class(candidate).require(bundle)
            return candidate
        except (BackendError, PlanError) as error:
            problems.append(str(error))
    raise BackendError("no backend can be loaded: {}".format("; ".join(problems)))


def open_engine(bundle, graph, backend="auto", threads=None):
    """Load one graph of an opened Bundle on a backend -> Engine. Raises BundleError, BackendError."""
    described = bundle.graph(graph)
    return backend_class(choose_backend(backend, bundle)).open(bundle, described, threads)
