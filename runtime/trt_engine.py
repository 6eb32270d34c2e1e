"""A TensorRT engine: a plan, its execution contexts, staging memory and CUDA graphs.

One call is: inputs into pinned memory, one copy to the device, one launch, one copy back, one synchronisation. For each
batch size the launch is captured into a CUDA graph after a warm-up run, where the driver can; otherwise it is enqueued
every time, and `graphs` says why. Larger batches are split, smaller ones run in the profile that holds them.
"""

import numpy as np

from . import plan
from .cuda import CaptureError, Cuda, capture
from .engine import Engine
from .errors import PlanError
from .trt import Api, Log, load


class TrtEngine(Engine):
    """A plan on one device. Safe to share between threads, which take turns; for two at once load two engines.

    memory: "device" (copied), "mapped" or "managed"; graphs: "on", "off", or why capturing failed.
    """

    backend = "trt"
    fresh = False
    alignment = 64  # TensorRT wants addresses at multiples of 256 bytes

    def __init__(self, graph, content, cuda, api, batches, memory="device", use_graphs=True):
        super().__init__(graph)
        self.cuda, self.api, self.batches, self.memory = cuda, api, tuple(batches), memory
        self.graphs = "on" if use_graphs else "off"
        self._captured = {}
        self._output_shapes = [tuple(tensor.shape[1:]) for tensor in graph.outputs]
        with cuda.active():
            self._runtime, self.engine = api.deserialize(content, Log())
            self._io = (NamedTensors if api.named else Bindings)(self.engine)
            self._stream = cuda.stream()
            self._contexts = {}
        most = self.batches[-1]
        self._input = cuda.memory(self._places(most)[1], memory)
        self._output = cuda.memory(sum(self._padded(most, shape) for shape in self._output_shapes), memory)

    @classmethod
    def open(cls, bundle, graph, threads=None, precision=None, memory=None, use_graphs=True):
        """The plan of a graph for this device; memory: as it was built unless told. Raises PlanError, BackendError."""
        api, cuda = Api(load()), Cuda()
        try:
            certificate, content = plan.read(bundle, graph.name, precision, dict(cuda.identity(), tensorrt=api.version))
            batches, memory = certificate["profile"]["batches"], memory or certificate["memory"]
            engine = cls(graph, content, cuda, api, batches, memory, use_graphs)
            engine.precision = certificate["precision"]
            return engine
        except Exception:
            cuda.close()
            raise

    @classmethod
    def require(cls, bundle):
        """There are plans for every graph, TensorRT and CUDA answer, and the plans were built for them."""
        missing = [name for name in bundle.graphs if not plan.certificates(bundle.path, name)]
        if missing:
            raise PlanError("{} has no plan of '{}'".format(bundle.path, missing[0]))
        api, cuda = Api(load()), Cuda()
        try:
            for name in bundle.graphs:
                plan.read(bundle, name, None, dict(cuda.identity(), tensorrt=api.version))
        finally:
            cuda.close()

    def warm_up(self):
        """Run every profile's largest batch once, and capture its graph."""
        for batch in self.batches:
            self.run(**{name: np.zeros((batch,) + shape, np.float32) for name, shape in self._shapes})

    def run(self, out=None, **inputs):
        """As Engine.run; batches above the largest profile are split."""
        rows = len(next(iter(inputs.values()))) if inputs else 0
        most = self.batches[-1]
        if rows <= most or any(len(array) != rows for array in inputs.values()):
            return super().run(out, **inputs)
        parts = [
            super(TrtEngine, self).run(**{name: array[low : low + most] for name, array in inputs.items()})
            for low in range(0, rows, most)
        ]
        whole = {name: np.concatenate([part[name] for part in parts]) for name in self._outputs}
        return whole if out is None else self._written(out, [whole[name] for name in self._outputs])

    def _allocate(self, count):
        return self._input.host[:count]

    def _tie(self, arrays, batch):
        """Addresses and views for one batch size; its context and profile."""
        places, read = self._places(batch)
        addresses = {name: self._input.address + 4 * start for (name, _), (start, _) in zip(self._shapes, places)}
        outputs, start = [], 0
        for name, shape in zip(self._outputs, self._output_shapes):
            addresses[name] = self._output.address + 4 * start
            size = batch * int(np.prod(shape, dtype=int))
            outputs.append(self._output.host[start : start + size].reshape((batch,) + shape))
            start += self._padded(batch, shape)
        return Tied(batch, addresses, outputs, read, start)

    def _padded(self, batch, shape):
        """Values of a (batch,) + shape tensor, up to the next aligned place."""
        count = batch * int(np.prod(shape, dtype=int))
        return -(-count // self.alignment) * self.alignment

    def _run(self, slot):
        tied = slot.extra
        with self.cuda.active():
            graph = self._captured.get(tied.batch)
            if graph is None:
                self._enqueue(tied)
                if self.graphs == "on":
                    self._stream.synchronize()
                    self._capture(tied)
            else:
                graph.launch()
            self._stream.synchronize()
        return tied.outputs

    def _enqueue(self, tied):
        """Copies and the launch, on the stream."""
        profile = next(index for index, high in enumerate(self.batches) if tied.batch <= high)
        context = self._contexts.get(profile)
        if context is None:
            context = self._contexts[profile] = self._io.context(profile, self._stream)
        self._input.upload(self._stream, tied.read)
        shapes = {name: (tied.batch,) + shape for name, shape in self._shapes}
        self._io.enqueue(context, profile, shapes, tied.addresses, self._stream)
        self._output.download(self._stream, tied.written)

    def _capture(self, tied):
        try:
            self._captured[tied.batch] = capture(self._stream, lambda: self._enqueue(tied))
        except CaptureError as error:
            self.graphs = "off: {}".format(error)

    def release(self):
        """Release graphs, contexts, engine, runtime, memory and stream, in this order; the CUDA context stays."""
        super().close()
        if self._runtime is None:
            return
        with self.cuda.active():
            for graph in self._captured.values():
                graph.free()
            self._captured = {}
            self._contexts = {}
            self._io = self.engine = None
            self._runtime = None
            self._input.free()
            self._output.free()
            self._stream = None

    def close(self):
        """release, and the CUDA context as well; twice is allowed."""
        self.release()
        self.cuda.close()


class Tied:
    """What a batch size keeps: addresses by tensor, views of the outputs, values to copy in and out."""

    __slots__ = ("batch", "addresses", "outputs", "read", "written")

    def __init__(self, batch, addresses, outputs, read, written):
        self.batch, self.addresses, self.outputs, self.read, self.written = batch, addresses, outputs, read, written


class Bindings:
    """Running by binding index: TensorRT 8.0 to 8.4. Each profile has its own block of bindings."""

    def __init__(self, engine):
        self.engine = engine
        self.block = engine.num_bindings // engine.num_optimization_profiles
        self.names = [engine.get_binding_name(index) for index in range(self.block)]

    def context(self, profile, stream):
        context = self.engine.create_execution_context()
        context.set_optimization_profile_async(profile, stream.handle)
        stream.synchronize()
        return context

    def enqueue(self, context, profile, shapes, addresses, stream):
        pointers, start = [0] * self.engine.num_bindings, profile * self.block
        for index, name in enumerate(self.names):
            pointers[start + index] = addresses[name]
            if name in shapes:
                context.set_binding_shape(start + index, shapes[name])
        if not context.execute_async_v2(pointers, stream.handle):
            raise CaptureError("TensorRT could not enqueue the work")


class NamedTensors:
    """Running by tensor name: TensorRT 8.5 and later."""

    def __init__(self, engine):
        self.engine = engine

    def context(self, profile, stream):
        context = self.engine.create_execution_context()
        context.set_optimization_profile_async(profile, stream.handle)
        stream.synchronize()
        return context

    def enqueue(self, context, profile, shapes, addresses, stream):
        for name, shape in shapes.items():
            context.set_input_shape(name, shape)
        for name, address in addresses.items():
            context.set_tensor_address(name, address)
        if not context.execute_async_v3(stream.handle):
            raise CaptureError("TensorRT could not enqueue the work")
