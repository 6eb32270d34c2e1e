"""The doubles refuse what the real things refuse: otherwise the tests that use them prove nothing."""

import ctypes
import os
import threading

import numpy as np
import pytest
from doubles import pycuda_double, tensorrt_double
from doubles.tensorrt_double import VERSIONS
from latentjet.runtime import onnx_file
from latentjet.runtime.bundle import Bundle
from latentjet.runtime.engine import open_engine

ABSENT = {
    "8.0.1": ["ICudaEngine.create_engine_inspector", "BuilderFlag.OBEY_PRECISION_CONSTRAINTS", "MemoryPoolType",
              "ProfilingVerbosity.DETAILED", "ICudaEngine.num_io_tensors", "EngineInspector"],
    "8.2.1": ["IBuilderConfig.set_memory_pool_limit", "IExecutionContext.execute_async_v3", "TensorIOMode",
              "IExecutionContext.set_input_shape", "NetworkDefinitionCreationFlag.STRONGLY_TYPED"],
    "8.4.1.5": ["IExecutionContext.set_tensor_address", "ICudaEngine.get_tensor_name"],
    "8.5.3.1": ["NetworkDefinitionCreationFlag.STRONGLY_TYPED"],
    "8.6.0": ["NetworkDefinitionCreationFlag.STRONGLY_TYPED"],
    "10.0.0": ["ICudaEngine.num_bindings", "IBuilderConfig.max_workspace_size", "Builder.build_engine"],
    "10.13": ["IExecutionContext.execute_async_v2", "IExecutionContext.set_binding_shape", "BuilderFlag.STRICT_TYPES"],
    "11.1": ["BuilderFlag.FP16", "ILayer.precision", "NetworkDefinitionCreationFlag.EXPLICIT_BATCH",
             "ILayer.set_output_type", "BuilderFlag.OBEY_PRECISION_CONSTRAINTS"],
    "rtx-1.7.1": ["BuilderFlag.FP16", "ILayer.precision", "IExecutionContext.execute_async_v2"],
}  # fmt: skip


@pytest.mark.parametrize("version", VERSIONS)
def test_names_that_a_version_has_not(version):
    trt = tensorrt_double.make(version, pycuda_double.Gpu())
    assert trt.__version__ == version.replace("rtx-", "").replace("10.13", "10.13.0").replace("11.1", "11.1.0") or (
        trt.__version__ == "1.7.1.116"
    )
    for path in ABSENT[version]:
        owner, _, name = path.partition(".")
        with pytest.raises(AttributeError):
            getattr(getattr(trt, owner), name)


def test_the_tables_say_where_they_come_from_and_are_small():
    folder, total = os.path.join(os.path.dirname(tensorrt_double.__file__), "api"), 0
    for version in VERSIONS:
        assert tensorrt_double.table_of(version)["source"]
        total += os.path.getsize(os.path.join(folder, version + ".json"))
    assert total < 300000


@pytest.fixture
def config(board):
    builder = board.trt.Builder(quiet(board.trt))
    return builder.create_builder_config()


def quiet(trt):
    class Quiet(trt.ILogger):
        def __init__(self):
            trt.ILogger.__init__(self)

        def log(self, severity, msg):
            pass

    return Quiet()


def test_arguments_are_checked(board, config):
    trt = board.trt
    for call, wrong in (
        (config.set_flag, ()), (config.set_flag, (1,)), (config.set_flag, (trt.DataType.HALF,)),
        (config.set_flag, (trt.BuilderFlag.FP16, trt.BuilderFlag.FP16)), (config.set_timing_cache, (None,)),
    ):  # fmt: skip
        with pytest.raises(TypeError):
            call(*wrong)
    with pytest.raises(TypeError):
        config.set_flag(flags=trt.BuilderFlag.FP16)
    config.set_flag(flag=trt.BuilderFlag.FP16)
    with pytest.raises(AttributeError):
        config.set_memory_pool_limit = 5
    with pytest.raises(AttributeError):
        config.num_optimization_profiles = 3  # read only
    with pytest.raises(TypeError):
        config.max_workspace_size = 1.5
    with pytest.raises(TypeError):
        config.profiling_verbosity = 2
    with pytest.raises(NotImplementedError):
        config.get_tactic_sources()


@pytest.mark.parametrize("version", VERSIONS)
def test_members_of_enums_are_no_numbers_but_have_some(plug, version):
    """As pybind11 makes them; two names of one number are one member."""
    flags = plug(version).trt.BuilderFlag
    assert int(flags.TF32) == {"8": 7, "1": 6, "r": 6}[version[0]] or version == "11.1"
    with pytest.raises(TypeError):
        1 << flags.TF32
    with pytest.raises(TypeError):
        assert flags.TF32 > flags.DEBUG
    numbers = [int(member) for member in flags.__members__.values()]
    assert len(set(numbers)) == len(set(flags.__members__.values()))


def test_numbers_that_are_not_known_are_no_versions_own(plug):
    assert min(int(member) for member in plug("11.1").trt.BuilderFlag.__members__.values()) >= 100


def test_calls_are_recorded_with_the_types_they_give(board, config):
    config.set_flag(board.trt.BuilderFlag.FP16)
    config.set_flag(flag=board.trt.BuilderFlag.FP16)
    assert board.double.used["IBuilderConfig", "set_flag"] == {
        (("BuilderFlag",), ()), ((), (("flag", "BuilderFlag"),)),
    }  # fmt: skip


def test_a_logger_must_be_made_by_its_constructor(board):
    class Careless(board.trt.ILogger):
        def __init__(self):
            pass

    with pytest.raises(TypeError, match="must be called when overriding __init__"):
        Careless()
    with pytest.raises(TypeError):
        board.trt.Builder(print)


def test_onnx_files_are_read_from_their_bytes(bundles):
    content = (bundles / "realnvp.bundle" / "decode.onnx").read_bytes()
    graph = onnx_file.read(content)
    assert [item[0] for item in graph.inputs] == ["z", "labels"] and graph.inputs[0][1:] == (1, (-1, 64))
    assert graph.outputs == [("images", 1, (-1, 1, 8, 8))]
    assert {"Gemm", "Conv", "Exp", "Split"} <= {node.kind for node in graph.nodes}
    half = onnx_file.read((bundles / "realnvp.bundle" / "decode.fp16.onnx").read_bytes())
    assert {node.type for node in half.nodes if node.kind == "Conv"} == {onnx_file.HALF}
    assert onnx_file.read(b"").nodes == onnx_file.read(b"hello world").nodes == []
    with pytest.raises(ValueError):
        onnx_file.read(content[:-100])


@pytest.fixture
def ready(board):
    """pycuda's driver module with the primary context current."""
    board.drv.init()
    context = board.drv.Device(0).retain_primary_context()
    context.push()
    yield board.drv
    context.pop()
    context.detach()
    board.libcuda.cuCtxPopCurrent_v2(ctypes.byref(ctypes.c_void_p()))


def test_nothing_is_done_before_a_stream_is_waited_for(ready):
    stream, memory = ready.Stream(), ready.mem_alloc(64)
    there, back = ready.pagelocked_empty(16, np.float32), ready.pagelocked_empty(16, np.float32)
    there[:], back[:] = 7, 0
    ready.memcpy_htod_async(memory, there, stream)
    ready.memcpy_dtoh_async(back, memory, stream)
    assert (back == 0).all()
    stream.synchronize()
    assert (back == 7).all()
    memory.free()
    there.base.free()
    assert np.isnan(there).all()
    back.base.free()
    with pytest.raises(pycuda_double.LogicError):
        memory.free()


def test_memory_that_is_not_page_locked_is_refused(ready, board):
    stream, memory = ready.Stream(), ready.mem_alloc(64)
    with pytest.raises(pycuda_double.LogicError):
        ready.memcpy_htod_async(memory, np.zeros(16, np.float32), stream)
    memory.free()
    assert board.gpu.violations.pop()


def test_calls_without_a_current_context_are_counted(board):
    board.drv.init()
    for call in (board.drv.Stream, lambda: board.drv.mem_alloc(4), board.drv.mem_get_info):
        with pytest.raises(pycuda_double.LogicError):
            call()
        assert board.gpu.violations.pop()


def test_two_threads_in_one_execution_context(board, built):
    with open_engine(Bundle.open(built()), "decode", "trt") as engine:
        engine.warm_up()
        context = next(iter(engine._lanes.values())).context
        with tensorrt_double.alone(context):
            found = []

            def other(context):
                with engine.cuda.active(), pytest.raises(RuntimeError):
                    context.set_optimization_profile_async(0, engine._stream.handle)
                found.append(True)

            thread = threading.Thread(target=other, args=(context,))
            thread.start()
            thread.join()
        del context, thread
    assert found and board.gpu.violations == ["two threads in one execution context"]
    board.gpu.violations.clear()
