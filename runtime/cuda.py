"""CUDA through pycuda: the primary context, staging memory, graphs. The only file that imports pycuda.

The primary context is retained, pushed for the time of a call and popped again: so an engine works beside PyTorch
(which uses the same context), from any thread, and leaves nothing current behind. pycuda has no CUDA graphs;
those go to the driver by ctypes.
"""

import contextlib
import ctypes

import numpy as np

from .errors import BackendError

KINDS = ("device", "mapped", "managed")
NON_BLOCKING = 1  # CU_STREAM_NON_BLOCKING


def driver():
    """pycuda.driver, initialised. Raises BackendError with what to do."""
    try:
        import pycuda.driver as drv

        drv.init()
        return drv
    except ImportError as error:
        raise BackendError(
            "pycuda cannot be loaded ({}): on a Jetson, pip install 'pycuda<2022.2'; ask `latentjet doctor`".format(
                error
            )
        )
    except Exception as error:  # pycuda's own errors have no importable base where the driver is missing
        raise BackendError("CUDA does not answer ({}): ask `latentjet doctor`".format(error))


class Cuda:
    """One device's primary context. `active()` makes it current for a block; `close` releases it."""

    def __init__(self, index=0):
        self.drv = driver()
        if index >= self.drv.Device.count():
            raise BackendError("CUDA has {} devices, none with index {}".format(self.drv.Device.count(), index))
        self.device = self.drv.Device(index)
        try:
            self.context = self.device.retain_primary_context()
        except self.drv.Error as error:
            raise BackendError("CUDA gives no context ({}): close other programs that use the GPU".format(error))

    @contextlib.contextmanager
    def active(self):
        self.context.push()
        try:
            yield self
        finally:
            self.context.pop()

    def identity(self):
        """{gpu, sm, cuda}: what a plan is built for, besides TensorRT."""
        major, minor = self.device.compute_capability()
        version = self.drv.get_version()
        return {
            "gpu": self.device.name(),
            "sm": "{}.{}".format(major, minor),
            "cuda": ".".join(str(part) for part in version[:2]),
        }

    def has(self, attribute):
        """Does the device have an attribute, by its name in CUDA? One that this pycuda does not know it has not."""
        known = getattr(self.drv.device_attribute, attribute, None)
        return known is not None and bool(self.device.get_attribute(known))

    def free_bytes(self):
        """Free bytes of a GPU that has memory of its own; None where it shares the system's, as a Jetson's does."""
        if self.has("INTEGRATED"):
            return None
        with self.active():
            return self.drv.mem_get_info()[0]

    def stream(self):
        """A stream that does not wait for the legacy default stream: what others put there, PyTorch for one, would
        otherwise break a capture, and a capture them."""
        with self.active():
            try:
                return self.drv.Stream(NON_BLOCKING)
            except self.drv.Error as error:
                raise BackendError("CUDA gives no stream ({}): close other programs that use the GPU".format(error))

    def memory(self, count, kind, stream):
        """Staging for so many float32 values, for work on one stream -> Memory. Raises BackendError: an unknown kind,
        or no memory is left."""
        if kind not in KINDS:
            raise BackendError("memory is '{}', expected one of {}".format(kind, ", ".join(KINDS)))
        if kind != "managed" or self.has("CONCURRENT_MANAGED_ACCESS"):
            stream = None
        with self.active():
            try:
                return Memory(self.drv, count, kind, stream)
            except self.drv.Error as error:
                problem = str(error)
        stream = None  # the exception holds this frame, and the stream must not outlive its context
        raise BackendError(
            "no {} memory for {:.1f} MB ({}): close other programs, or build with smaller --batch".format(
                kind, count * 4 / 1e6, problem
            )
        )

    def scratch(self, size_bytes):
        """Memory of the device alone, for kernels to work in; int() of it is its address, `free` gives it back. Raises
        BackendError: no memory is left."""
        with self.active():
            try:
                return self.drv.mem_alloc(size_bytes)
            except self.drv.Error as error:
                problem = str(error)
        raise BackendError(
            "no device memory for {:.1f} MB of scratch ({}): close other programs, or build with smaller "
            "--batch".format(size_bytes / 1e6, problem)
        )

    def close(self):
        """Release the context, and leave current what was; twice is allowed. To be called where it was made: from
        another thread pycuda lets go of nothing before the process ends."""
        if self.context is None:
            return
        context, self.context = self.context, None
        library, before, after = libcuda(), ctypes.c_void_p(), ctypes.c_void_p()
        library.cuCtxGetCurrent(ctypes.byref(before))
        context.detach()  # pycuda makes a primary context current to release it, and leaves it so
        library.cuCtxGetCurrent(ctypes.byref(after))
        if after.value != before.value:
            library.cuCtxPopCurrent_v2(ctypes.byref(after))


def libcuda():
    """The driver's library, for what pycuda has not."""
    return ctypes.CDLL("libcuda.so.1")


class Memory:
    """float32 values that the host writes or reads (`host`) and the device sees at `address`.

    device: pinned host memory and a device buffer, copied; mapped: pinned host memory that the device reads in place;
    managed: one cached buffer for both. On boards before compute capability 7.2 pinned memory is not cached by the
    processor; which kind is fastest is measured, not assumed.

    alone: the one stream that may use managed memory. Without concurrent managed access (every Jetson) the processor
    must not touch managed memory while any stream runs that could use it; so it is tied to ours, and no other matters.
    """

    def __init__(self, drv, count, kind, alone=None):
        self.kind, self.drv, self.buffer = kind, drv, None
        if kind == "managed":
            flags = drv.mem_attach_flags
            self.host = drv.managed_empty(count, np.float32, mem_flags=flags.HOST if alone else flags.GLOBAL)
            self.address = int(self.host.base.get_device_pointer())
        elif kind == "mapped":
            self.host = drv.pagelocked_empty(count, np.float32, mem_flags=drv.host_alloc_flags.DEVICEMAP)
            self.address = int(self.host.base.get_device_pointer())
        else:
            self.host = drv.pagelocked_empty(count, np.float32)
            try:
                self.buffer = drv.mem_alloc(self.host.nbytes)
            except drv.Error:
                self.free()
                raise
            self.address = int(self.buffer)
        self.host[...] = 0
        if alone:
            self._tie(alone)

    def _tie(self, stream):
        try:
            self.host.base.attach(self.drv.mem_attach_flags.SINGLE, stream)
            stream.synchronize()
        except self.drv.Error:
            self.free()
            raise

    def upload(self, stream, count):
        """Start the copy of the first `count` values to the device, where there is one to make."""
        if self.buffer is not None:
            self.drv.memcpy_htod_async(self.buffer, self.host[:count], stream)

    def download(self, stream, count):
        """Start the copy of the first `count` values from the device."""
        if self.buffer is not None:
            self.drv.memcpy_dtoh_async(self.host[:count], self.buffer, stream)

    def free(self):
        """Give the memory back; a second call does nothing."""
        if self.buffer is not None:
            self.buffer.free()
        self.buffer, self.address = None, 0
        if self.host is not None:
            base, self.host = self.host.base, None
            base.free()


class Stopwatch:
    """Two points of a stream and the seconds between them, by the device's clock. For a context that is active."""

    def __init__(self, drv):
        self.began, self.ended = drv.Event(), drv.Event()

    def start(self, stream):
        self.began.record(stream)

    def stop(self, stream):
        self.ended.record(stream)

    def seconds(self):
        """What lay between start and stop; the stream must have been synchronised since."""
        return self.began.time_till(self.ended) / 1e3


class CaptureError(Exception):
    """A CUDA graph cannot be captured here; run without one."""


class CudaGraph:
    """A captured sequence of work on a stream: `launch` replays it. Made by `capture`."""

    def __init__(self, library, executable, stream):
        self.library, self.executable, self.stream = library, executable, stream

    def launch(self):
        _call(self.library, "cuGraphLaunch", self.executable, ctypes.c_void_p(self.stream.handle))

    def free(self):
        """Give the graph back; a second call does nothing. What the driver says of it helps nobody any more."""
        if self.executable is not None:
            self.library.cuGraphExecDestroy(self.executable)
            self.executable = self.stream = None


def capture(stream, work, library=None):
    """Record what `work()` puts on a stream -> CudaGraph. Raises CaptureError; the stream can be used all the same.

    The context must be active, and work() must have run once before at the same shapes. library: stands for libcuda.
    """
    library = library or _libcuda_for_capture()
    handle, graph, executable = ctypes.c_void_p(stream.handle), ctypes.c_void_p(), ctypes.c_void_p()
    _call(library, "cuStreamBeginCapture_v2", handle, 2)  # relaxed: other threads may go on
    try:
        work()
    except Exception as error:
        library.cuStreamEndCapture(handle, ctypes.byref(graph))
        if graph.value:
            library.cuGraphDestroy(graph)
        raise CaptureError("the work cannot be captured: {}".format(error))
    _call(library, "cuStreamEndCapture", handle, ctypes.byref(graph))
    try:
        if hasattr(library, "cuGraphInstantiateWithFlags"):
            _call(library, "cuGraphInstantiateWithFlags", ctypes.byref(executable), graph, ctypes.c_ulonglong(0))
        else:  # CUDA 10.2
            _call(library, "cuGraphInstantiate", ctypes.byref(executable), graph, None, None, ctypes.c_size_t(0))
    finally:
        library.cuGraphDestroy(graph)
    return CudaGraph(library, executable, stream)


def _libcuda_for_capture():
    try:
        return libcuda()
    except OSError as error:
        raise CaptureError("{}".format(error))


def _call(library, function, *arguments):
    if not hasattr(library, function):
        raise CaptureError("this driver has no {}".format(function))
    status = getattr(library, function)(*arguments)
    if status != 0:
        raise CaptureError("{} returned {}".format(function, status))
