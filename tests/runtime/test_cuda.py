"""CUDA through pycuda: contexts that leave no trace, memory of three kinds, graphs with a way back."""

import gc
import threading
import types

import numpy as np
import pytest
from doubles import pycuda_double
from doubles.pycuda_double import Gpu, LibCuda
from latentjet.runtime import cuda as cudas
from latentjet.runtime.cuda import KINDS, CaptureError, Cuda, capture, driver
from latentjet.runtime.errors import BackendError


@pytest.fixture
def cuda(board):
    with_context = Cuda()
    yield with_context
    with_context.close()


def test_what_a_plan_is_built_for(cuda):
    assert cuda.identity() == {"gpu": "NVIDIA Tegra X2", "sm": "6.2", "cuda": "10.2"}


def test_free_memory_is_the_gpus_own_or_the_systems(plug):
    for name, free in (("NVIDIA Tegra X2", None), ("NVIDIA H100", 8 << 30)):
        plug("8.5.3.1", Gpu(name))
        with_context = Cuda()
        assert with_context.free_bytes() == free
        with_context.close()


def test_no_pycuda(board, hidden, sentence):
    hidden("pycuda")
    text = sentence(BackendError, driver)
    assert "pycuda cannot be loaded" in text and "pip install 'pycuda<2022.2'" in text


def test_no_driver(without_libcuda, sentence):
    assert "pycuda cannot be loaded (libcuda.so.1: cannot open shared object file" in sentence(BackendError, driver)


def test_a_driver_without_a_device(board, sentence):
    board.gpu.init_error = "cuInit failed: no CUDA-capable device is detected"
    assert "CUDA does not answer (cuInit failed: no CUDA-capable device is detected)" in sentence(BackendError, Cuda)


@pytest.mark.parametrize("devices, index", [(0, 0), (1, 1)])
def test_a_device_that_is_not_there(board, devices, index, sentence):
    board.gpu.devices = devices
    text = sentence(BackendError, Cuda, index)
    assert text == "CUDA has {} devices, none with index {}".format(devices, index)


def test_a_context_is_current_within_and_not_after(cuda, board):
    assert board.gpu.current() is None
    with cuda.active():
        assert board.gpu.current() == "primary"
        with cuda.active():
            assert board.gpu.current() == "primary"
        assert board.gpu.current() == "primary"
    assert board.gpu.current() is None
    with pytest.raises(KeyError), cuda.active():
        raise KeyError
    assert board.gpu.current() is None


def test_closing_leaves_nothing_current_and_may_be_done_twice(board):
    cuda = Cuda()
    with cuda.active():
        pass
    cuda.close()
    cuda.close()
    assert board.gpu.retained == 0 and board.gpu.driver_stacks[threading.get_ident()] == []


def test_beside_another_context(board):
    """Somebody else's context is current before, and after: through calls, and when ours is released."""
    board.drv.init()
    other = board.drv.Device(0).make_context()
    cuda = Cuda()
    memory = cuda.memory(64, "device", None)
    assert board.gpu.current() == "another context"
    with cuda.active():
        assert board.gpu.current() == "primary"
        memory.free()
    assert board.gpu.current() == "another context"
    cuda.close()
    assert board.gpu.current() == "another context"
    other.pop()
    board.gpu.retained -= 1


def test_beside_pytorch_which_has_the_primary_context_current(board):
    stack = board.gpu.driver_stacks[threading.get_ident()]
    stack.append("primary")
    board.gpu.retained += 1
    cuda = Cuda()
    with cuda.active():
        pass
    cuda.close()
    assert board.gpu.current() == "primary" and board.gpu.retained == 1
    stack.clear()
    board.gpu.retained = 0


def test_in_another_thread_calls_work_and_close_waits_for_the_end(board):
    """What pycuda does: a context is only released in the thread that retained it."""
    cuda, found = Cuda(), []

    def other():
        with cuda.active():
            found.append(board.gpu.current())
        found.append(board.gpu.current())
        cuda.close()
        found.append(board.gpu.current())

    thread = threading.Thread(target=other)
    thread.start()
    thread.join()
    assert found == ["primary", None, None]
    assert board.gpu.leaks() == ["primary context"]
    assert board.gpu.violations == ["a context detached in another thread: it is never released"]
    board.gpu.violations.clear()
    board.gpu.retained = 0


@pytest.mark.parametrize("kind", KINDS)
def test_memory_of_each_kind(cuda, board, kind):
    stream = cuda.stream()
    there, back = cuda.memory(96, kind, stream), cuda.memory(96, kind, stream)
    assert there.host.dtype == np.float32 and there.host.shape == (96,) and (there.host == 0).all()
    assert there.address and there.address % 256 == 0
    with cuda.active():
        there.host[:] = np.arange(96)
        there.upload(stream, 50)
        stream.synchronize()
        seen = np.frombuffer(board.gpu.on_device(there.address, 96 * 4).tobytes(), np.float32)
        assert (seen[:50] == np.arange(50)).all()
        assert (seen[50:] == (0 if kind == "device" else np.arange(50, 96))).all()
        board.gpu.on_device(back.address, 96 * 4)[:] = np.full(96, 7, np.float32).view(np.uint8)
        back.download(stream, 20)
        stream.synchronize()
        assert (back.host[:20] == 7).all() and (back.host[20:] == (0 if kind == "device" else 7)).all()
        for memory in (there, back):
            memory.free()
            memory.free()
            assert memory.address == 0 and memory.host is None
        del stream
    copied = board.gpu.counts["copied to device"], board.gpu.counts["copied to host"]
    assert copied == ((1, 1) if kind == "device" else (0, 0))
    assert sum(board.gpu.counts["allocated " + name] for name in ("device", "pinned", "mapped", "managed")) == (
        4 if kind == "device" else 2
    )


def test_an_unknown_kind_of_memory(cuda, sentence):
    text = sentence(BackendError, cuda.memory, 4, "pinned", None)
    assert text == "memory is 'pinned', expected one of device, mapped, managed"


@pytest.mark.parametrize("kind, runs_out", [
    ("device", "device"), ("device", "pinned"), ("mapped", "mapped"), ("managed", "managed"),
])  # fmt: skip
def test_memory_that_runs_out_leaves_nothing_behind(cuda, board, kind, runs_out, sentence):
    board.gpu.fail_allocation = lambda what, size: what == runs_out
    stream = cuda.stream()
    text = sentence(BackendError, cuda.memory, 250000, kind, stream)
    assert "no {} memory for 1.0 MB (cuMemAlloc failed: out of memory)".format(kind) in text
    with cuda.active():
        del stream
        gc.collect()  # the exception holds frames
    assert board.gpu.leaks() == ["primary context"]


@pytest.mark.parametrize("name, tied", [("NVIDIA Tegra X2", True), ("NVIDIA H100", False)])
def test_managed_memory_belongs_to_one_stream_where_the_host_may_not_share_it(plug, name, tied):
    board = plug("8.2.1", Gpu(name))
    cuda = Cuda()
    with cuda.active():
        stream = cuda.stream()
        memory = cuda.memory(64, "managed", stream)
        assert board.gpu.blocks[0].open_to == (stream.handle if tied else None)
        memory.free()
        del stream
    cuda.close()


def test_managed_memory_that_cannot_be_tied_leaves_nothing_behind(cuda, board, monkeypatch, sentence):
    def fails(self, flags, stream):
        raise board.drv.LogicError("cuStreamAttachMemAsync failed: invalid argument")

    monkeypatch.setattr(pycuda_double.HostAllocation, "attach", fails)
    stream = cuda.stream()
    text = sentence(BackendError, cuda.memory, 64, "managed", stream)
    assert "no managed memory for 0.0 MB (cuStreamAttachMemAsync failed" in text
    with cuda.active():
        del stream
        gc.collect()  # the exception holds frames
    assert board.gpu.leaks() == ["primary context"]


def test_an_attribute_that_an_old_pycuda_does_not_know(cuda, board):
    assert cuda.has("INTEGRATED") and not cuda.has("CONCURRENT_MANAGED_ACCESS") and not cuda.has("ABSENT")


@pytest.fixture(params=[False, True], ids=["CUDA 10.2", "CUDA 11.4"])
def captured(request, cuda, board):
    """A stream, a library, and work that adds to `done` whenever the stream gets to it."""
    found = types.SimpleNamespace(done=[], library=LibCuda(board.gpu, request.param), flags=request.param)
    with cuda.active():
        found.stream = cuda.stream()

    def work():
        board.gpu.put(found.stream.handle, lambda: found.done.append(len(found.done)))

    found.work = work
    yield found
    with cuda.active():
        found.stream.synchronize()
        found.stream = None
        gc.collect()  # exceptions that a test has caught hold frames, and these the stream


def test_a_graph_does_the_work_again(cuda, captured, board):
    work, library, done = captured.work, captured.library, captured.done
    with cuda.active():
        graph = capture(captured.stream, work, library)
        captured.stream.synchronize()
        assert done == []  # capturing runs nothing
        for _ in range(3):
            graph.launch()
        assert done == []
        captured.stream.synchronize()
        assert done == [0, 1, 2]
        graph.free()
        graph.free()
    assert board.gpu.graphs == {} and board.gpu.executables == {}


@pytest.mark.parametrize("function", [
    "cuStreamBeginCapture_v2", "cuStreamEndCapture", "cuGraphInstantiate", "cuGraphInstantiateWithFlags",
])  # fmt: skip
def test_a_capture_that_fails_leaves_the_stream_usable(cuda, captured, board, function):
    work, library, done = captured.work, captured.library, captured.done
    board.gpu.capture_status[function] = 901
    if function == ("cuGraphInstantiate" if captured.flags else "cuGraphInstantiateWithFlags"):
        return  # this driver is not asked for it
    with cuda.active():
        with pytest.raises(CaptureError) as caught:
            capture(captured.stream, work, library)
        assert str(caught.value) == "{} returned 901".format(function)
        work()
        captured.stream.synchronize()
    assert done == [0] and board.gpu.graphs == {} and board.gpu.executables == {}


def test_work_that_cannot_be_captured(cuda, captured, board):
    work, library, done = captured.work, captured.library, captured.done

    def waits():
        work()
        captured.stream.synchronize()

    with cuda.active():
        with pytest.raises(CaptureError) as caught:
            capture(captured.stream, waits, library)
        assert "the work cannot be captured: cuStreamSynchronize failed" in str(caught.value)
        work()
        captured.stream.synchronize()
    assert done == [0]
    assert board.gpu.graphs == {} and board.gpu.executables == {}


@pytest.mark.parametrize("missing", ["cuStreamBeginCapture_v2", "cuGraphInstantiate"])
def test_a_driver_without_graphs(cuda, captured, board, missing):
    work, done = captured.work, captured.done
    library = LibCuda(board.gpu, False, without=[missing])
    with cuda.active():
        with pytest.raises(CaptureError) as caught:
            capture(captured.stream, work, library)
        assert str(caught.value) == "this driver has no {}".format(missing)
        work()
        captured.stream.synchronize()
    assert done == [0] and board.gpu.graphs == {}


def test_a_launch_that_fails(cuda, captured, board):
    work, library = captured.work, captured.library
    with cuda.active():
        graph = capture(captured.stream, work, library)
        board.gpu.capture_status["cuGraphLaunch"] = 700
        with pytest.raises(CaptureError) as caught:
            graph.launch()
        assert str(caught.value) == "cuGraphLaunch returned 700"
        graph.free()


def test_the_drivers_library_cannot_be_opened(cuda, captured, board, monkeypatch):
    def cannot(name):
        raise OSError(name + ": cannot open shared object file")

    work = captured.work
    with monkeypatch.context() as patch:
        patch.setattr(cudas.ctypes, "CDLL", cannot)
        with cuda.active(), pytest.raises(CaptureError) as caught:
            capture(captured.stream, work)
    assert "libcuda.so.1" in str(caught.value)


def test_a_graph_holds_no_stream_once_it_is_free(cuda, board):
    with cuda.active():
        stream = cuda.stream()
        graph = capture(stream, lambda: None, board.libcuda)
        graph.free()
        del stream
    gc.collect()
    assert board.gpu.streams == {} and graph.executable is None


def test_the_handles_go_to_c_as_pointers(cuda, board):
    """A handle above 2 ** 32 given as an int would be cut by ctypes."""
    board.gpu.handles = 1 << 40
    with cuda.active():
        stream = cuda.stream()
        graph = capture(stream, lambda: None, board.libcuda)
        graph.launch()
        stream.synchronize()
        graph.free()
        del stream
