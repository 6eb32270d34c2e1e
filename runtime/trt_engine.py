"""A TensorRT engine: a plan, its execution contexts, staging memory and CUDA graphs.

One call is: inputs into pinned memory, one copy to the device, one launch, one copy back, one synchronisation. Larger
batches are split, smaller ones run in the profile that holds them.

Each profile has one execution context (before TensorRT 10 it can have no more). They run in turn, so they share one
scratch buffer where TensorRT lets them; else each has one that is large enough for the largest profile. A CUDA graph
holds the state of the context it was captured from: setting another shape there makes it undefined. So a profile has at
most one graph, of the batch size that ran in it twice in a row, and lets go of it when another size comes. Where the
driver cannot capture, each launch is enqueued, and `graphs` says why.
"""

import atexit
import weakref

import numpy as np

from . import plan
from .cuda import CaptureError, Cuda, Stopwatch, capture
from .engine import Engine
from .errors import BackendError, PlanError
from .interrupts import held_back
from .trt import Api, load
from .trt_messages import Log, explained
from .trt_tensors import Bindings, NamedTensors

OPEN = weakref.WeakSet()  # engines to close before the interpreter takes the modules apart


@atexit.register
def close_all():
    for engine in list(OPEN):
        engine.close()


class TrtEngine(Engine):
    """A plan on one device. Safe to share between threads, which take turns; for two at once load two engines.

    memory: "device" (copied), "mapped" or "managed"; graphs: "on", or "off" with the reason: not wanted, wrong when the
    plan was built, or capturing failed.
    """

    backend = "trt"
    fresh = False
    alignment = 64  # TensorRT wants addresses at multiples of 256 bytes

    def __init__(self, graph, content, cuda, api, batches, memory="device", graphs="on"):
        super().__init__(graph)
        self.cuda, self.api, self.batches, self.memory = cuda, api, tuple(batches), memory
        self.graphs = graphs
        self._log, self._lanes = Log(), {}
        self._output_shapes = [tuple(tensor.shape[1:]) for tensor in graph.outputs]
        self._runtime = self.engine = self._io = self._stream = self._input = self._output = self._scratch = None
        self._stopwatch, self._seconds, self._capture_failed = None, 0.0, False
        try:
            self._load(content)
        except Exception:
            self.release()
            raise
        OPEN.add(self)

    def _load(self, content):
        most = self.batches[-1]
        with self.cuda.active():
            with held_back():
                self._runtime, self.engine = self.api.deserialize(content, self._log)
            self._io = (NamedTensors if self.api.named else Bindings)(self.engine)
            self._stream = self.cuda.stream()
            size = self.api.scratch_bytes(self.engine)
        self._scratch = self.cuda.scratch(size) if size else None
        for name, shapes in (("_input", [shape for _, shape in self._shapes]), ("_output", self._output_shapes)):
            setattr(self, name, self.cuda.memory(self._places(most, shapes)[1], self.memory, self._stream))

    @classmethod
    def open(cls, bundle, graph, threads=None, precision=None, memory=None, use_graphs=True):
        """The plan of a graph for this device; memory: as it was built unless told; use_graphs: CUDA graphs, but not
        where they were wrong when the plan was built. Raises PlanError, BackendError."""
        api, cuda = Api(load()), Cuda()
        try:
            certificate, content = plan.read(bundle, graph.name, precision, dict(cuda.identity(), tensorrt=api.version))
            batches, memory = certificate["profile"]["batches"], memory or certificate["memory"]
            graphs = plan.graphs(certificate, memory) if use_graphs else "off"
            engine = cls(graph, content, cuda, api, batches, memory, graphs)
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
        """Run every profile's largest batch twice, which captures its graph."""
        for batch in self.batches + self.batches:
            self.run(**{name: np.zeros((batch,) + shape, np.float32) for name, shape in self._shapes})

    def run(self, out=None, **inputs):
        """As Engine.run; batches above the largest profile are split."""
        shape = getattr(inputs.get(self._first), "shape", None)
        if not shape or shape[0] <= self.batches[-1]:
            return super().run(out, **inputs)
        return self._run_split(out, inputs, shape[0], self.batches[-1])

    def _run_split(self, out, inputs, rows, most):
        self._refuse(inputs)
        whole = {name: np.empty((rows,) + shape, np.float32) for name, shape in zip(self._outputs, self._output_shapes)}
        for low in range(0, rows, most):
            super().run(
                {name: array[low : low + most] for name, array in whole.items()},
                **{name: array[low : low + most] for name, array in inputs.items()},
            )
        return whole if out is None else self._written(out, [whole[name] for name in self._outputs])

    def _allocate(self, count):
        return self._input.host[:count]

    def _tie(self, arrays, batch):
        """Addresses and views for one batch size; its profile."""
        places, read = self._places(batch, [shape for _, shape in self._shapes])
        addresses = {name: self._input.address + 4 * start for (name, _), (start, _) in zip(self._shapes, places)}
        places, written = self._places(batch, self._output_shapes)
        outputs = []
        for name, shape, (start, size) in zip(self._outputs, self._output_shapes, places):
            addresses[name] = self._output.address + 4 * start
            outputs.append(self._output.host[start : start + size].reshape((batch,) + shape))
        profile = next(index for index, high in enumerate(self.batches) if batch <= high)
        return Tied(batch, profile, addresses, outputs, read, written)

    def _run(self, slot):
        tied = slot.extra
        with self.cuda.active():
            try:
                problem = self._timed_launch(tied) if self._stopwatch else self._launch(tied)
                self._stream.synchronize()
                if self._stopwatch:
                    self._seconds += self._stopwatch.seconds()
            except (CaptureError, self.cuda.drv.Error) as error:
                problem = str(error)  # and no more of it: its traceback would keep execution contexts alive
            if problem:
                raise BackendError("graph '{}' failed on the GPU: {}".format(self.graph.name, problem))
        return tied.outputs

    def _launch(self, tied):
        """Put a run on the stream, as a graph where there is one -> None, or what went wrong."""
        lane = self._lanes.get(tied.profile)
        again = lane is not None and lane.batch == tied.batch
        if again and lane.graph is not None:
            return lane.graph.launch()
        self._log.lines.clear()
        lane = lane or self._make_lane(tied.profile)
        if lane is None:
            return self._why("no execution context for batches up to {}".format(self.batches[tied.profile]))
        lane.turn_to(tied.batch)
        problem = self._enqueue(lane, tied)
        if again and self.graphs == "on" and not problem:
            self._stream.synchronize()
            self._capture(lane, tied)
        return problem

    def _timed_launch(self, tied):
        self._stopwatch.start(self._stream)
        problem = self._launch(tied)
        self._stopwatch.stop(self._stream)
        return problem

    def watch(self, on=True):
        """Have runs timed by the device's own clock as well, from before their copies until after them -> True."""
        with self._lock, self.cuda.active():
            self._stopwatch = Stopwatch(self.cuda.drv) if on else None
        return True

    def device_seconds(self):
        """The device's seconds of the runs since this was asked last, all parts of a split batch together."""
        seconds, self._seconds = self._seconds, 0.0
        return seconds

    def _enqueue(self, lane, tied):
        """Copies and the launch, on the stream -> None, or what TensorRT said against it."""
        self._input.upload(self._stream, tied.read)
        shapes = {name: (tied.batch,) + shape for name, shape in self._shapes}
        launch = self._io.prepare(lane.context, tied.profile, shapes, tied.addresses)
        if launch is None or not self._launched(launch):
            return self._why("a batch of {} cannot be enqueued".format(tied.batch))
        return self._output.download(self._stream, tied.written)

    def _launched(self, launch):
        """Call what `prepare` gave -> False where TensorRT refuses. A capture that failed leaves CUDA's last error set,
        which the next launch reports as its own; so that one is tried once more."""
        if launch(self._stream.handle):
            return True
        again, self._capture_failed = self._capture_failed, False
        return again and launch(self._stream.handle)

    def _make_lane(self, profile):
        """The Lane of a profile, None where TensorRT gives no context for it; its log says why."""
        with held_back():
            context = self.api.context(self.engine, None if self._scratch is None else int(self._scratch))
        if context is None:
            return None
        try:
            context.set_optimization_profile_async(profile, self._stream.handle)
        except RuntimeError as error:  # it never returns False
            self._log.lines.append(("ERROR", str(error)))
            return None
        self._stream.synchronize()
        self._lanes[profile] = Lane(context)
        return self._lanes[profile]

    def bare(self, batch):
        """Function that runs TensorRT alone at a batch size that has just been run: no staging, no copies, no graph.
        It is for measuring what the rest costs, and good until this engine runs another size."""
        with self._lock:
            tied = self._slots[batch].extra
            lane = self._lanes[tied.profile]
            lane.turn_to(batch)
            shapes = {name: (batch,) + shape for name, shape in self._shapes}
            with self.cuda.active():
                launch = self._io.prepare(lane.context, tied.profile, shapes, tied.addresses)
        if launch is None:
            raise BackendError(self._why("a batch of {} cannot be enqueued".format(batch)))

        def call():
            with self.cuda.active():
                if not self._launched(launch):
                    raise BackendError(self._why("a batch of {} cannot be enqueued".format(batch)))
                self._stream.synchronize()

        return call

    def profile(self, batch, uncounted, calls):
        """Run TensorRT alone at a batch size that has just been run -> [(layer, [its seconds in each call])], in their
        order; [] where TensorRT tells none. The context stays profiled, which slows it: close this engine after."""
        call, recorder = self.bare(batch), self.api.recorder()
        with self._lock, self.cuda.active():
            self._lanes[self._slots[batch].extra.profile].context.profiler = recorder
        with held_back():
            for _ in range(uncounted + calls):
                call()
        each, rest = divmod(len(recorder.told), uncounted + calls)
        if rest or not each:
            return []
        counted = recorder.told[uncounted * each :]
        return [(name, [seconds for _, seconds in counted[at::each]]) for at, (name, _) in enumerate(counted[:each])]

    def layers(self):
        """What TensorRT tells of the engine's layers, see Api.layers; after a run it can tell more."""
        with self._lock, self.cuda.active():
            context = next((lane.context for lane in self._lanes.values()), None)
            return self.api.layers(self.engine, context)

    def _why(self, what):
        return explained(self._log, what)

    def _capture(self, lane, tied):
        try:
            lane.graph = capture(self._stream, lambda: self._enqueue_or_raise(lane, tied))
        except CaptureError as error:
            self.graphs, self._capture_failed = "off: {}".format(error), True

    def drop_graphs(self, why):
        """Run without CUDA graphs from now on."""
        with self._lock, self.cuda.active():
            self.graphs = "off: {}".format(why)
            for lane in self._lanes.values():
                lane.turn_to(None)

    def _enqueue_or_raise(self, lane, tied):
        problem = self._enqueue(lane, tied)
        if problem:
            raise CaptureError(problem)

    def release(self):
        """Release graphs, contexts, engine, runtime, memory and stream, in this order; the CUDA context stays."""
        super().close()
        with self._lock:
            if self.cuda.context is None:
                return
            OPEN.discard(self)
            with self.cuda.active():
                self._wait()
                self._drop_lanes()
                self._stopwatch = None
                self._io = self.engine = None
                self._runtime = None
                for memory in (self._scratch, self._input, self._output):
                    if memory is not None:
                        memory.free()
                self._scratch = self._input = self._output = self._stream = None

    def _drop_lanes(self):
        """Graphs first: they hold what belongs to the contexts."""
        for lane in self._lanes.values():
            lane.turn_to(None)
        self._lanes.clear()

    def _wait(self):
        """Let what is on the stream end, well or not: a run that failed may have left a copy there."""
        try:
            if self._stream is not None:
                self._stream.synchronize()
        except self.cuda.drv.Error:
            pass

    def close(self):
        """release, and the CUDA context as well; twice is allowed."""
        self.release()
        self.cuda.close()

    def __del__(self):
        if getattr(self, "_runtime", None) is not None:  # not closed: Python would release its parts in any order
            self.close()


class Tied:
    """What a batch size keeps: profile, addresses by tensor, views of the outputs, values to copy in and out."""

    __slots__ = ("batch", "profile", "addresses", "outputs", "read", "written")

    def __init__(self, batch, profile, addresses, outputs, read, written):
        self.batch, self.profile, self.addresses = batch, profile, addresses
        self.outputs, self.read, self.written = outputs, read, written


class Lane:
    """What a profile keeps: its execution context, the batch size that is set there, the graph captured of it."""

    __slots__ = ("context", "batch", "graph")

    def __init__(self, context):
        self.context, self.batch, self.graph = context, None, None

    def turn_to(self, batch):
        """Before another batch size is set: the graph of the one before is of no use after that."""
        if self.graph is not None:
            self.graph.free()
        self.batch, self.graph = batch, None
