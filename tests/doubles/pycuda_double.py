"""A double of pycuda and of libcuda: a GPU that only keeps books, and is stricter than a real one.

    gpu = Gpu()
    sys.modules["pycuda"], sys.modules["pycuda.driver"] = package, package.driver     (package = make(gpu))

Work on a stream is put into a queue and done when the stream is synchronised, not before: what is read too early is
old. Device memory lies at addresses that the host cannot read, freed memory holds NaN. What a real driver would answer
with an error is raised; what it might let pass (use after free, freeing without a context, a context left current) is
written to `gpu.violations`. `gpu.leaks()` names what is still alive, `gpu.events` has the order of releases,
`gpu.counts` the numbers of allocations, copies and synchronisations.

Contexts are kept as pycuda keeps them (its src/cpp/cuda.hpp): a stack of its own for each thread, of which only the
top is on the driver's stack; detach of a primary context that is not current pushes it, releases it and, since
cuDevicePrimaryCtxRelease pops nothing, leaves it current. From another thread than the one that retained it, it does
nothing.

A process that was forked from one that has used CUDA cannot use it: there cuInit fails.
"""

import collections
import os
import sys
import threading
import time
import types

import numpy as np

DEVICE_MEMORY, MAPPED_MEMORY = 0x700000000000, 0x500000000000
GRAPH_CALLS = (
    "cuStreamBeginCapture_v2 cuStreamEndCapture cuGraphInstantiate cuGraphDestroy cuGraphLaunch cuGraphExecDestroy"
)


class Error(Exception):
    """pycuda.driver.Error"""


class LogicError(Error):
    pass


class MemoryError(Error):  # noqa: A001
    pass


class RuntimeError(Error):  # noqa: A001
    pass


class Block:
    """One allocation: where the device sees it, where the host does, its bytes."""

    def __init__(self, kind, address, bytes_, host):
        self.kind, self.address, self.bytes, self.host, self.live = kind, address, bytes_, host, True
        self.open_to = None  # managed memory: the handle of the only stream that may use it, 0 none, None all


class Gpu:
    """What the driver knows: memory, streams, contexts of each thread, graphs."""

    def __init__(self, name="NVIDIA Tegra X2", capability=(6, 2), cuda=(10, 2, 0), memory_bytes=8 << 30):
        self.name, self.capability, self.cuda, self.memory_bytes = name, capability, cuda, memory_bytes
        self.devices, self.init_error, self.loud = 1, None, False
        self.blocks, self.streams, self.graphs, self.executables = [], {}, {}, {}
        self.next_address = {"device": DEVICE_MEMORY, "mapped": MAPPED_MEMORY}
        self.violations, self.events, self.counts = [], [], collections.Counter()
        self.retained, self.handles, self.live_events = 0, 1000, 0
        self.driver_stacks, self.pycuda_stacks = collections.defaultdict(list), collections.defaultdict(list)
        self.fail_allocation = None  # called with (kind, bytes); true: out of memory
        self.capture_status = {}  # libcuda function -> the status it returns
        self.replays = "right"  # what launching a graph does: "right", "nothing", or "stale", the first launch's results
        self.process = None  # the one that has called cuInit
        self.last_error = None  # of the CUDA runtime: a capture that fails leaves one behind
        self.delay_s = {}  # kind of memory -> seconds that a run on it takes longer
        self.wait = time.sleep  # how those seconds pass
        self.integrated = "Tegra" in name  # memory shared with the host, and no concurrent managed access
        self.lock = threading.RLock()

    def violation(self, text):
        self.violations.append(text)
        if self.loud:
            print("VIOLATION " + text, file=sys.stderr)

    def handle(self):
        with self.lock:
            self.handles += 16
            return self.handles

    def leaks(self):
        found = ["{} bytes of {} memory".format(len(block.bytes), block.kind) for block in self.blocks if block.live]
        found += ["stream"] * len(self.streams) + ["graph"] * len(self.graphs)
        found += ["executable graph"] * len(self.executables) + ["primary context"] * self.retained
        found += ["event"] * self.live_events
        found += ["context current in a thread"] * sum(bool(stack) for stack in self.driver_stacks.values())
        return found

    # contexts

    def current(self):
        """The context on top of this thread's stack in the driver, if it can still be used."""
        stack = self.driver_stacks[threading.get_ident()]
        return stack[-1] if stack and (stack[-1] != "primary" or self.retained) else None

    def need_context(self, what):
        if self.current() != "primary":
            self.violation("{} with {} current".format(what, self.current() or "no context"))
            raise LogicError("{} failed: invalid device context".format(what))

    # memory

    def allocate(self, kind, size):
        self.need_context("allocation of {} memory".format(kind))
        if self.fail_allocation and self.fail_allocation(kind, size):
            raise MemoryError("cuMemAlloc failed: out of memory")
        self.counts["allocated " + kind] += 1
        raw = np.zeros(size + 4096, np.uint8)
        start = -raw.ctypes.data % 4096
        content, address = raw[start : start + size], 0
        if kind == "managed":
            address = content.ctypes.data
        place = "device" if kind == "scratch" else kind  # scratch: what an execution context takes for itself
        if place in self.next_address:
            with self.lock:
                address = self.next_address[place]
                self.next_address[place] += -(-size // 512) * 512 + 4096
        block = Block(kind, address, content, content.ctypes.data if place != "device" else 0)
        self.blocks.append(block)
        return block

    def free(self, block):
        if not block.live:
            raise LogicError("free failed: invalid resource handle")
        block.live = False
        block.bytes[:] = 0xFF  # as float32: NaN
        self.events.append("free " + block.kind)
        self.counts["freed " + block.kind] += 1

    def on_device(self, address, size):
        """The bytes at an address of the device. Raises LogicError where a kernel would fault."""
        for block in self.blocks:
            if block.address and block.address <= address and address + size <= block.address + len(block.bytes):
                if not block.live:
                    self.violation("memory is used after it was freed")
                    raise LogicError("an illegal memory access was encountered: freed memory")
                start = address - block.address
                return block.bytes[start : start + size]
        raise LogicError("an illegal memory access was encountered: {} bytes at {:#x}".format(size, address))

    def kind_at(self, address, stream):
        """The kind of memory at an address that work on a stream uses."""
        for block in self.blocks:
            if block.live and block.address and block.address <= address < block.address + len(block.bytes):
                if block.open_to not in (None, stream):
                    self.violation("managed memory is used on a stream that it is not tied to")
                return block.kind
        return None

    def on_host(self, array):
        """A page-locked array -> its bytes; asynchronous copies want such memory."""
        address, size = array.ctypes.data, array.nbytes
        for block in self.blocks:
            if block.host and block.host <= address and address + size <= block.host + len(block.bytes):
                if not block.live:
                    self.violation("host memory is used after it was freed")
                    raise LogicError("an illegal memory access was encountered: freed host memory")
                return block.bytes[address - block.host : address - block.host + size]
        self.violation("an asynchronous copy of memory that is not page-locked")
        raise LogicError("cuMemcpyAsync failed: not page-locked memory")

    # streams

    def stream(self, handle):
        if handle not in self.streams:
            raise LogicError("invalid resource handle: stream {}".format(handle))
        return self.streams[handle]

    def put(self, handle, work):
        queue = self.stream(handle)
        (queue.work if queue.captured is None else queue.captured).append(work)


class Queue:
    """What a stream has been given, and what is being captured from it (None: nothing); does it wait for others?"""

    def __init__(self, blocking):
        self.work, self.captured, self.blocking = collections.deque(), None, blocking


class Work(list):
    """What an executable graph does, and what it left in memory when it first ran, if that is kept."""


class Held:
    """What pycuda does for objects that belong to a context: remembers it, makes it current to free them."""

    def __init__(self, gpu):
        self.gpu = gpu
        stack = gpu.pycuda_stacks[threading.get_ident()]
        if not stack:
            gpu.violation("an object of pycuda made without a current context")
            raise LogicError("explicit_context_dependent failed: invalid device context - no currently active context?")
        self.ward = stack[-1]

    def inside(self, what):
        """May it be freed here and now, as pycuda's scoped_context_activation finds?"""
        if not self.ward.valid:
            self.gpu.violation("{} after its context was detached".format(what))
            return False
        stack = self.gpu.pycuda_stacks[threading.get_ident()]
        if not stack or stack[-1] is not self.ward:
            self.gpu.violation("{} while its context was not current".format(what))
            return self.ward.thread == threading.get_ident()
        return True


class Context:
    """pycuda.driver.Context, or what retain_primary_context gives."""

    def __init__(self, gpu, kind):
        self.gpu, self.kind, self.valid, self.thread = gpu, kind, True, threading.get_ident()

    def _stacks(self):
        thread = threading.get_ident()
        return self.gpu.pycuda_stacks[thread], self.gpu.driver_stacks[thread]

    def push(self):
        ours, drivers = self._stacks()
        if not self.valid:
            raise LogicError("cuCtxPushCurrent failed: invalid device context")
        if ours:
            drivers.pop()
        drivers.append(self.kind)
        ours.append(self)
        self.gpu.counts["push"] += 1

    def pop(self):
        ours, drivers = self._stacks()
        if not ours:
            raise LogicError("context::pop failed: invalid device context - cannot pop non-current context")
        drivers.pop()
        ours.pop()
        if ours:
            drivers.append(ours[-1].kind)
        self.gpu.counts["pop"] += 1

    def detach(self):
        if not self.valid:
            raise LogicError("context::detach failed: invalid device context - cannot detach from invalid context")
        ours, drivers = self._stacks()
        self.valid = False
        active = bool(ours) and ours[-1] is self
        if not active and self.thread != threading.get_ident():
            self.gpu.violation("a context detached in another thread: it is never released")
            return
        if not active:
            drivers.append(self.kind)
        self.gpu.retained -= 1
        self.gpu.events.append("release context")
        if active:
            while ours and not ours[-1].valid:
                ours.pop()
            if ours:
                drivers.append(ours[-1].kind)

    def __del__(self):
        if self.valid and self.kind == "primary":
            self.gpu.violation("a primary context was never detached")
            self.detach()


class Stream(Held):
    def __init__(self, gpu, flags):
        gpu.need_context("cuStreamCreate")
        super().__init__(gpu)
        self.handle = gpu.handle()
        gpu.streams[self.handle] = Queue(flags != 1)
        gpu.counts["streams"] += 1

    def synchronize(self):
        gpu, queue = self.gpu, self.gpu.stream(self.handle)
        gpu.need_context("cuStreamSynchronize")
        if queue.captured is not None:
            raise LogicError("cuStreamSynchronize failed: operation not permitted when stream is capturing")
        gpu.counts["synchronised"] += 1
        while queue.work:
            queue.work.popleft()()

    def __del__(self):
        if hasattr(self, "handle") and self.inside("a stream destroyed"):
            if self.gpu.streams[self.handle].work:
                self.gpu.violation("a stream destroyed with work that was never waited for")
            del self.gpu.streams[self.handle]
            self.gpu.events.append("destroy stream")


class Event(Held):
    """A point of a stream; it has a time once the stream got there. Asked before that, a real one answers with an error."""

    def __init__(self, gpu, flags=0):
        gpu.need_context("cuEventCreate")
        super().__init__(gpu)
        self.reached = None
        gpu.live_events += 1

    def record(self, stream=None):
        self.gpu.need_context("cuEventRecord")
        if stream is None:
            self.gpu.violation("an event recorded on the legacy default stream")
        self.reached = None

        def reach():
            self.reached = time.perf_counter()

        self.gpu.put(stream.handle, reach)
        return self

    def time_till(self, event):
        """Milliseconds until another event."""
        if self.reached is None or event.reached is None:
            raise LogicError("cuEventElapsedTime failed: device not ready")
        return 1e3 * (event.reached - self.reached)

    def __del__(self):
        if hasattr(self, "reached") and self.inside("an event destroyed"):
            self.gpu.live_events -= 1


class Allocation(Held):
    def __init__(self, gpu, kind, size):
        super().__init__(gpu)
        self.block = gpu.allocate(kind, size)

    def free(self):
        if not self.block.live:
            raise LogicError("free failed: invalid resource handle")
        if self.inside("memory freed"):
            self.gpu.free(self.block)

    def __del__(self):
        if hasattr(self, "block") and self.block.live:
            self.gpu.violation("memory that was left to the garbage collector")
            self.free()


class DeviceAllocation(Allocation):
    def __int__(self):
        return self.block.address

    __index__ = __int__


class HostAllocation(Allocation):
    """What lies under the arrays of pagelocked_empty and managed_empty."""

    def array(self, shape, dtype):
        # an array whose base is this object
        self.__array_interface__ = {
            "shape": shape if isinstance(shape, tuple) else (shape,),
            "typestr": np.dtype(dtype).str,
            "data": (self.block.host, False),
            "version": 3,
        }
        found = np.asarray(self)
        del self.__array_interface__
        assert found.base is self
        return found

    def attach(self, mem_flags, stream=None):
        self.gpu.need_context("cuStreamAttachMemAsync")
        if self.block.kind != "managed" or mem_flags != 4:
            raise LogicError("cuStreamAttachMemAsync failed: invalid argument")

        def tied():
            self.block.open_to = stream.handle

        self.gpu.put(stream.handle, tied)

    def get_device_pointer(self):
        self.gpu.need_context("cuMemHostGetDevicePointer")
        if not self.block.live or not self.block.address:
            raise LogicError("cuMemHostGetDevicePointer failed: invalid argument")
        return self.block.address


def make(gpu):
    """Gpu -> the package pycuda, with its module `driver`."""
    package, drv = types.ModuleType("pycuda"), types.ModuleType("pycuda.driver")
    package.driver, package.__path__ = drv, []
    ready = []

    def init(flags=0):
        if gpu.init_error:
            raise RuntimeError(gpu.init_error)
        if gpu.process not in (None, os.getpid()):
            gpu.violation("CUDA used in a process forked from one that has used it")
            raise RuntimeError("cuInit failed: initialization error")
        gpu.process = os.getpid()
        ready.append(True)

    class Device:
        def __init__(self, number):
            if not ready:
                raise LogicError("cuDeviceGet failed: initialization error")
            if not 0 <= number < gpu.devices:
                raise LogicError("cuDeviceGet failed: invalid device ordinal")

        @staticmethod
        def count():
            if not ready:
                raise LogicError("cuDeviceGetCount failed: initialization error")
            return gpu.devices

        def name(self):
            return gpu.name

        def compute_capability(self):
            return gpu.capability

        def get_attribute(self, attribute):
            return {"INTEGRATED": int(gpu.integrated), "CONCURRENT_MANAGED_ACCESS": int(not gpu.integrated)}[attribute]

        def retain_primary_context(self):
            gpu.retained += 1
            return Context(gpu, "primary")

        def make_context(self):
            other = Context(gpu, "another context")
            gpu.retained += 1
            other.push()
            return other

    def host_empty(kind):
        def empty(shape, dtype, order="C", mem_flags=0):
            count = int(np.prod(shape))
            if kind == "managed" and mem_flags not in (1, 2):
                raise LogicError("cuMemAllocManaged failed: invalid argument")
            found = "mapped" if kind == "pinned" and mem_flags & 2 else kind
            allocation = HostAllocation(gpu, found, count * np.dtype(dtype).itemsize)
            if kind == "managed" and mem_flags == 2:
                allocation.block.open_to = 0
            elif kind == "managed" and gpu.integrated:
                gpu.violation("managed memory that the host may not touch while any stream runs")
            return allocation.array(shape, dtype)

        return empty

    def memcpy_htod_async(dest, src, stream=None):
        gpu.need_context("cuMemcpyHtoDAsync")
        gpu.counts["copied to device"] += 1
        gpu.on_host(src)
        gpu.on_device(int(dest), src.nbytes)

        def copy():
            gpu.on_device(int(dest), src.nbytes)[:] = gpu.on_host(src)

        gpu.put(stream.handle, copy)

    def memcpy_dtoh_async(dest, src, stream=None):
        gpu.need_context("cuMemcpyDtoHAsync")
        gpu.counts["copied to host"] += 1
        gpu.on_host(dest)
        gpu.on_device(int(src), dest.nbytes)

        def copy():
            gpu.on_host(dest)[:] = gpu.on_device(int(src), dest.nbytes)

        gpu.put(stream.handle, copy)

    def mem_get_info():
        gpu.need_context("cuMemGetInfo")
        used = sum(len(block.bytes) for block in gpu.blocks if block.live)
        return gpu.memory_bytes - used, gpu.memory_bytes

    drv.init, drv.Device, drv.Context = init, Device, Context
    drv.Stream = lambda flags=0: Stream(gpu, flags)
    drv.Event = lambda flags=0: Event(gpu, flags)
    drv.device_attribute = types.SimpleNamespace(
        INTEGRATED="INTEGRATED", CONCURRENT_MANAGED_ACCESS="CONCURRENT_MANAGED_ACCESS"
    )
    drv.mem_alloc = lambda size: DeviceAllocation(gpu, "device", size)
    drv.pagelocked_empty, drv.managed_empty = host_empty("pinned"), host_empty("managed")
    drv.memcpy_htod_async, drv.memcpy_dtoh_async = memcpy_htod_async, memcpy_dtoh_async
    drv.mem_get_info, drv.get_version = mem_get_info, lambda: gpu.cuda
    drv.get_driver_version = lambda: gpu.cuda[0] * 1000 + gpu.cuda[1] * 10
    drv.host_alloc_flags = types.SimpleNamespace(PORTABLE=1, DEVICEMAP=2, WRITECOMBINED=4)
    drv.mem_attach_flags = types.SimpleNamespace(GLOBAL=1, HOST=2, SINGLE=4)
    drv.Error, drv.LogicError, drv.MemoryError, drv.RuntimeError = Error, LogicError, MemoryError, RuntimeError
    return package


class LibCuda:
    """libcuda as ctypes would give it: the graph calls and cuCtxPopCurrent_v2. with_flags: CUDA 11.4 and later."""

    def __init__(self, gpu, with_flags=True, without=()):
        self._gpu = gpu
        names = GRAPH_CALLS.split() + ["cuCtxGetCurrent", "cuCtxPopCurrent_v2"]
        if with_flags:
            names.append("cuGraphInstantiateWithFlags")
        for name in names:
            if name not in without:
                setattr(self, name, self._guarded(name))

    def _guarded(self, name):
        def call(*arguments):
            self._gpu.counts[name] += 1
            if self._gpu.capture_status.get(name):
                if name == "cuStreamEndCapture":
                    self._gpu.stream(_value(arguments[0])).captured = None
                if name in ("cuStreamBeginCapture_v2", "cuStreamEndCapture") or name.startswith("cuGraphInstantiate"):
                    self._gpu.last_error = "operation failed due to a previous error during capture"
                return self._gpu.capture_status[name]
            if name.startswith(("cuStream", "cuGraph")) and self._gpu.current() != "primary":
                self._gpu.violation("{} with {} current".format(name, self._gpu.current() or "no context"))
                return 201
            try:
                return getattr(self, "_" + name)(*arguments) or 0
            except LogicError:
                return 400

        return call

    def _cuCtxGetCurrent(self, place):
        stack = self._gpu.driver_stacks[threading.get_ident()]  # a primary context stays there after its release
        place._obj.value = {"primary": 64, "another context": 128}[stack[-1]] if stack else None

    def _cuCtxPopCurrent_v2(self, place):
        stack = self._gpu.driver_stacks[threading.get_ident()]
        if not stack:
            return 201
        stack.pop()

    def _cuStreamBeginCapture_v2(self, stream, mode):
        queue = self._gpu.stream(_value(stream))
        if queue.captured is not None:
            return 900
        if queue.blocking:
            self._gpu.violation("a stream is captured that waits for the legacy default stream")
        queue.captured = []

    def _cuStreamEndCapture(self, stream, place):
        queue = self._gpu.stream(_value(stream))
        if queue.captured is None:
            return 901
        work, queue.captured = queue.captured, None
        handle = self._gpu.handle()
        self._gpu.graphs[handle] = work
        place._obj.value = handle

    def _instantiate(self, place, graph):
        handle = self._gpu.handle()
        self._gpu.executables[handle] = Work(self._gpu.graphs[_value(graph)])
        place._obj.value = handle

    def _cuGraphInstantiate(self, place, graph, node, text, size):
        assert _value(size) == 0 and node is None and text is None
        self._instantiate(place, graph)

    def _cuGraphInstantiateWithFlags(self, place, graph, flags):
        assert _value(flags) == 0
        self._instantiate(place, graph)

    def _cuGraphDestroy(self, graph):
        if self._gpu.graphs.pop(_value(graph), None) is None:
            self._gpu.violation("a graph destroyed that is none")
            return 400

    def _cuGraphLaunch(self, executable, stream):
        if _value(executable) not in self._gpu.executables:
            self._gpu.violation("a graph launched that is none")
            return 400
        work = self._gpu.executables[_value(executable)]
        if self._gpu.replays == "stale":
            self._gpu.put(_value(stream), lambda: self._stale(work))
        elif self._gpu.replays == "right":
            for part in work:
                self._gpu.put(_value(stream), part)

    def _stale(self, work):
        """Do the work the first time; afterwards leave behind what it left then, whatever there is to read."""
        blocks = [block for block in self._gpu.blocks if block.live]
        if not hasattr(work, "left"):
            before = [block.bytes.copy() for block in blocks]
            for part in work:
                part()
            changed = [(block, block.bytes.copy()) for block, old in zip(blocks, before) if (block.bytes != old).any()]
            work.left = changed
        for block, content in work.left:
            block.bytes[:] = content

    def _cuGraphExecDestroy(self, executable):
        if self._gpu.executables.pop(_value(executable), None) is None:
            self._gpu.violation("an executable graph destroyed that is none")
            return 400
        self._gpu.events.append("destroy graph")


def _value(argument):
    """What C would see: a ctypes object's value; a plain int larger than 32 bits would be cut, so refuse it."""
    if isinstance(argument, int):
        assert argument < 1 << 31, "an address given to C as int"
        return argument
    return argument.value
