"""The TensorRT engine: right answers, from any thread, at any batch, and nothing left behind."""

import gc
import os
import subprocess
import sys
import textwrap
import threading
import tracemalloc
from pathlib import Path

import numpy as np
import pytest
from doubles.pycuda_double import Gpu
from doubles.tensorrt_double import SCRATCH_BYTES, VERSIONS
from latentjet.runtime.bundle import Bundle
from latentjet.runtime.check import check
from latentjet.runtime.cuda import KINDS
from latentjet.runtime.engine import open_engine
from latentjet.runtime.errors import BackendError, InputError, PlanError
from latentjet.runtime.trt import capsule
from latentjet.runtime.trt_engine import TrtEngine

BOTH = ("8.2.1", "8.5.3.1")  # by binding, by name
OWN_SCRATCH = ("11.1", "rtx-1.7.1")  # there a context cannot be given its memory


def given(rows, seed=0, classes=3):
    """Inputs of the cvae's decode."""
    stream = np.random.RandomState(seed)
    labels = np.eye(classes, dtype=np.float32)[stream.randint(classes, size=rows)]
    return {"z": stream.standard_normal((rows, 5)).astype(np.float32), "labels": labels}


@pytest.fixture
def expected(bundles):
    """Inputs -> what ONNX Runtime says."""
    with open_engine(Bundle.open(bundles / "cvae.bundle"), "decode", "ort") as engine:
        yield lambda inputs: engine.run(**inputs)["images"].copy()


@pytest.fixture
def opened(built):
    """(options) -> a TrtEngine of a cvae in float32, with profiles up to 1 and up to 4; closed when the test ends."""
    engines, paths = [], []

    def open_(**options):
        if not paths:
            paths.append(built("cvae", "--precision", "fp32"))
        bundle = Bundle.open(paths[0])
        engines.append(TrtEngine.open(bundle, bundle.graph("decode"), **options))
        return engines[-1]

    yield open_
    for engine in engines:
        engine.close()


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("use_graphs", [True, False])
def test_every_batch_gives_what_onnx_runtime_gives(plug, opened, expected, version, kind, use_graphs):
    """Smaller than a profile, at its end, above the largest (split), and back again: no run sees another's values."""
    board = plug(version)
    engine = opened(memory=kind, use_graphs=use_graphs)
    board.gpu.counts.clear()
    assert engine.graphs == ("on" if use_graphs else "off") and engine.batches == (1, 4)
    for turn, rows in enumerate([1, 3, 4, 2, 1, 4, 5, 8, 11, 3, 1]):
        inputs = given(rows, seed=turn)
        images = engine.run(**inputs)["images"]
        assert images.shape == (rows, 1, 8, 8) and np.abs(images - expected(inputs)).max() < 1e-6
    assert bool(board.gpu.counts["cuGraphLaunch"]) == use_graphs
    assert bool(board.gpu.counts["copied to device"]) == (kind == "device")


@pytest.mark.parametrize("version", BOTH)
def test_results_are_copies(plug, opened, version):
    plug(version)
    engine = opened()
    first = engine.run(**given(2, 1))["images"]
    kept = first.copy()
    engine.run(**given(2, 2))
    assert (first == kept).all()
    engine.close()
    assert (first == kept).all()


@pytest.mark.parametrize("version", VERSIONS)
def test_check_runs_at_several_batches(plug, built, version):
    plug(version)
    taken, found = check(Bundle.open(built("realnvp")), "trt")
    assert taken == "trt" and [item.graph for item in found] == ["decode", "dequantise", "dequantise", "encode", "log_prob"]
    assert all(item.passed for item in found)
    assert found[0].tolerance == pytest.approx(2 / 255)  # half precision


@pytest.mark.parametrize("version", BOTH)
@pytest.mark.parametrize("kind", KINDS)
def test_the_hot_path_allocates_nothing(plug, opened, expected, version, kind):
    board = plug(version)
    engine = opened(memory=kind)
    inputs, out = given(4), {"images": np.empty((4, 1, 8, 8), np.float32)}
    place = out["images"]
    for _ in range(3):
        assert engine.run(out, **inputs) is out and out["images"] is place
    assert np.abs(place - expected(inputs)).max() < 1e-6
    before = dict(board.gpu.counts)
    tracemalloc.start()
    try:
        for _ in range(50):
            engine.run(out, **inputs)
        start = tracemalloc.take_snapshot()
        for _ in range(50):
            engine.run(out, **inputs)
        grown = tracemalloc.take_snapshot().compare_to(start, "lineno")
    finally:
        tracemalloc.stop()
    runtime = [item for item in grown if "latentjet" in item.traceback[0].filename]
    assert sum(item.size_diff for item in runtime) < 512, runtime[:5]
    after = dict(board.gpu.counts)
    made = {name: after[name] - before.get(name, 0) for name in after if name.startswith(("allocated", "streams"))}
    assert set(made.values()) == {0}
    assert after["synchronised"] - before["synchronised"] == 100  # one a run
    assert after["cuGraphLaunch"] - before["cuGraphLaunch"] == 100
    print("in 100 runs: {} allocations {}, 100 launches, 100 synchronisations".format(sum(made.values()), made))


def test_the_hot_path_makes_no_array_in_passing(board, built):
    """All that is done around the GPU's work: its peak stays far below the smallest array that comes or goes."""
    bundle = Bundle.open(built("cvae", "--precision", "fp32", "--batch", "1,1024"))
    with TrtEngine.open(bundle, bundle.graph("decode")) as engine:
        inputs, out = given(1024), {"images": np.empty((1024, 1, 8, 8), np.float32)}
        engine.run(out, **inputs)
        engine._run = lambda slot: slot.extra.outputs  # without the double's own arithmetic
        tracemalloc.start()
        try:
            for _ in range(20):
                engine.run(out, **inputs)
            peak = tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()
    least = min(array.nbytes for array in inputs.values())
    assert peak < least / 2, "{} bytes at the peak, the smallest array has {}".format(peak, least)
    print("at most {} bytes in passing; the arrays have {} and more".format(peak, least))


@pytest.mark.parametrize("rows", [2, 9])
def test_out_that_does_not_fit(board, opened, rows, sentence):
    engine = opened()
    for place in (np.zeros((rows, 1, 8, 8)), np.zeros((rows + 1, 1, 8, 8), np.float32), None, [1]):
        text = sentence(InputError, engine.run, {"images": place}, **given(rows))
        assert "out['images'] is " in text and "expected a float32 array ({}, 1, 8, 8)".format(rows) in text
    sentence(InputError, engine.run, {}, **given(rows))


def test_out_of_a_split_batch(board, opened, expected):
    engine, out = opened(), {"images": np.empty((11, 1, 8, 8), np.float32)}
    assert engine.run(out, **given(11)) is out
    assert np.abs(out["images"] - expected(given(11))).max() < 1e-6


@pytest.mark.parametrize("change, said", [
    (lambda inputs: inputs.pop("z"), "inputs are 'labels', expected 'z', 'labels'"),
    (lambda inputs: inputs.update(z=5), "input 'z' is int, expected float32 (batch, 5)"),
    (lambda inputs: inputs.update(z=None), "input 'z' is NoneType"),
    (lambda inputs: inputs.update(z=np.float32(1)), "input 'z' is float32, expected float32 (batch, 5)"),
    (lambda inputs: inputs.update(labels=inputs["labels"][:1]), "'labels' has 1"),
    (lambda inputs: inputs.update(z=inputs["z"].astype(float)), "input 'z' is float64"),
    (lambda inputs: inputs.update(w=inputs["z"]), "inputs are 'z', 'labels', 'w'"),
    (lambda inputs: inputs["z"].__setitem__((-1, 0), np.nan), "values that are not finite, the first in row {}"),
    (lambda inputs: inputs.update(z=inputs["z"][:0], labels=inputs["labels"][:0]), "the batch is empty"),
])  # fmt: skip
@pytest.mark.parametrize("rows", [3, 10])
def test_wrong_inputs_are_named_also_where_a_batch_is_split(board, opened, rows, change, said, sentence):
    engine, inputs, out = opened(), given(rows), {"images": np.full((rows, 1, 8, 8), 7, np.float32)}
    change(inputs)
    assert said.format(rows - 1) in sentence(InputError, engine.run, out, **inputs)
    assert (out["images"] == 7).all()
    good = given(rows)
    assert np.isfinite(engine.run(**good)["images"]).all()


def test_arrays_that_are_not_contiguous(board, opened, expected):
    engine, inputs = opened(), given(3)
    wide = np.zeros((3, 10), np.float32)
    wide[:, ::2] = inputs["z"]
    assert (engine.run(z=wide[:, ::2], labels=inputs["labels"])["images"] == engine.run(**inputs)["images"]).all()


@pytest.mark.parametrize("version", BOTH)
@pytest.mark.parametrize("function", ["cuStreamBeginCapture_v2", "cuStreamEndCapture", "cuGraphInstantiate"])
def test_without_graphs_where_capturing_fails(plug, opened, expected, version, function):
    board = plug(version, with_flags=False)
    engine = opened()
    board.gpu.capture_status[function] = 901
    for turn in range(3):
        inputs = given(3, turn)
        assert np.abs(engine.run(**inputs)["images"] - expected(inputs)).max() < 1e-6
    assert engine.graphs == "off: {} returned 901".format(function)
    tried = board.gpu.counts["cuStreamBeginCapture_v2"]
    engine.run(**given(1))
    assert board.gpu.counts["cuStreamBeginCapture_v2"] == tried


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("function", ["cuStreamBeginCapture_v2", "cuStreamEndCapture", "cuGraphInstantiate"])
@pytest.mark.parametrize("after", ["run", "another size", "bare"])
def test_the_run_after_a_capture_that_failed(plug, opened, expected, version, function, after):
    """The CUDA runtime keeps the capture's error and gives it to the next launch, which is tried once more."""
    board = plug(version, with_flags=False)
    engine = opened()
    for turn in range(2):
        board.gpu.capture_status[function] = 901
        engine.run(**given(3, turn))
    assert board.gpu.last_error and engine.graphs == "off: {} returned 901".format(function)
    if after == "bare":
        engine.bare(3)()
    else:
        inputs = given(3 if after == "run" else 1, seed=5)
        assert np.abs(engine.run(**inputs)["images"] - expected(inputs)).max() < 1e-6
    assert board.gpu.last_error is None


def test_a_launch_that_fails_twice_after_a_capture_that_failed_is_an_error(board, opened, sentence):
    engine = opened()
    board.gpu.capture_status["cuStreamBeginCapture_v2"] = 901
    for _ in range(2):
        engine.run(**given(3))
    board.double.broken.add("execute")
    enqueued = board.double.counts["enqueued"]
    assert "enqueue: Cuda failure: 700" in sentence(BackendError, engine.run, **given(3))
    assert board.double.counts["enqueued"] == enqueued + 2
    sentence(BackendError, engine.run, **given(3))
    assert board.double.counts["enqueued"] == enqueued + 3


def scratch_in_use(board):
    """Bytes of device memory that execution contexts work in: their own, and what an engine lends them."""
    sizes = [len(block.bytes) for block in board.gpu.blocks if block.live and block.kind in ("device", "scratch")]
    return sum(size for size in sizes if size % SCRATCH_BYTES == 0)


@pytest.mark.parametrize("version", VERSIONS)
def test_contexts_of_an_engine_share_one_scratch_buffer(plug, built, expected, version):
    """Each would take as much as the largest profile needs, and boards have 4 GB."""
    board = plug(version)
    bundle = Bundle.open(built("cvae", "--precision", "fp32", "--batch", "1,4,8"))
    with TrtEngine.open(bundle, bundle.graph("decode"), memory="mapped") as engine:
        for turn, rows in enumerate([1, 3, 8, 1, 3, 8, 1, 3, 8, 5, 2, 1]):
            inputs = given(rows, turn)
            assert np.abs(engine.run(**inputs)["images"] - expected(inputs)).max() < 1e-6
        assert len(engine._lanes) == 3
        assert scratch_in_use(board) == (3 if version in OWN_SCRATCH else 1) * 8 * SCRATCH_BYTES
    assert scratch_in_use(board) == 0


@pytest.mark.parametrize("version", ["8.0.1", "8.2.1", "8.4.1.5", "8.5.3.1"])
def test_how_the_double_is_given_scratch_memory(plug, opened, version):
    """A void* of pybind11 is a capsule, never a number."""
    board = plug(version)
    engine = opened()
    with engine.cuda.active():
        context = engine.engine.create_execution_context_without_device_memory()
        if version == "8.5.3.1":
            context.device_memory = int(engine._scratch)
        else:
            with pytest.raises(TypeError):
                context.device_memory = int(engine._scratch)
            context.device_memory = capsule(int(engine._scratch))
        assert context.state.lent == int(engine._scratch)
        del context
    assert board.gpu.violations == []


def test_the_certificate_says_why_there_are_no_graphs(board, built, capsys):
    board.gpu.capture_status["cuStreamBeginCapture_v2"] = 801
    built()
    assert "CUDA graphs off: cuStreamBeginCapture_v2 returned 801" in capsys.readouterr().out


@pytest.mark.parametrize("version", BOTH)
@pytest.mark.parametrize("broken, said", [
    ("create_execution_context", "no execution context for batches up to 4: createExecutionContext: Error Code 2"),
    ("set_optimization_profile_async", "no execution context for batches up to 4: setOptimizationProfileAsync"),
    ("set_shape", "a batch of 3 cannot be enqueued: Parameter check failed"),
    ("execute", "a batch of 3 cannot be enqueued: enqueue: Cuda failure: 700"),
])  # fmt: skip
def test_what_tensorrt_refuses_is_said(plug, opened, expected, version, broken, said, sentence):
    board = plug(version)
    engine = opened()
    board.double.broken.add(broken)
    text = sentence(BackendError, engine.run, **given(3))
    assert text.startswith("graph 'decode' failed on the GPU: " + said)
    board.double.broken.clear()
    assert np.abs(engine.run(**given(3))["images"] - expected(given(3))).max() < 1e-6


@pytest.mark.parametrize("version", VERSIONS)
def test_a_profile_that_cannot_be_chosen_is_said_where_tensorrt_logs_nothing(plug, opened, version, monkeypatch, sentence):
    """set_optimization_profile_async raises a RuntimeError, it never returns False."""
    board = plug(version)
    engine = opened()

    def fails(self, profile_index, stream_handle):
        raise RuntimeError("Error in set optimization profile async.")

    with monkeypatch.context() as patch:
        patch.setattr(board.trt.IExecutionContext, "set_optimization_profile_async", fails)
        text = sentence(BackendError, engine.run, **given(3))
    assert text == (
        "graph 'decode' failed on the GPU: no execution context for batches up to 4: Error in set optimization profile "
        "async."
    )
    engine.run(**given(3))


def test_what_cuda_refuses_is_said(board, opened, sentence):
    engine = opened()
    for _ in range(2):
        engine.run(**given(3))
    board.gpu.capture_status["cuGraphLaunch"] = 719
    text = sentence(BackendError, engine.run, **given(3))
    assert text == "graph 'decode' failed on the GPU: cuGraphLaunch returned 719"
    board.gpu.capture_status.clear()
    engine.run(**given(3))


@pytest.mark.parametrize("version", BOTH)
def test_threads_that_share_an_engine(plug, opened, expected, version):
    plug(version)
    engine = opened()
    share(lambda thread, turn: (engine, thread + 1, 10 * thread + turn), expected)


@pytest.mark.parametrize("version", BOTH)
def test_an_engine_for_each_thread(plug, opened, expected, version):
    plug(version)
    engines = [opened() for _ in range(3)]
    share(lambda thread, turn: (engines[thread], 3, 10 * thread + turn), expected)


def share(task, expected):
    """Three threads, ten runs each, of (engine, rows, seed): every answer is the right one."""
    wrong, answers = [], {(rows, seed): expected(given(rows, seed)) for rows in range(1, 6) for seed in range(30)}

    def run(thread):
        try:
            for turn in range(10):
                engine, rows, seed = task(thread, turn)
                images = engine.run(**given(rows, seed))["images"]
                if np.abs(images - answers[rows, seed]).max() > 1e-6:
                    wrong.append((thread, turn))
        except Exception as error:
            wrong.append(error)

    threads = [threading.Thread(target=run, args=(number,)) for number in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []


def test_beside_another_current_context(board, opened, expected):
    board.drv.init()
    other = board.drv.Device(0).make_context()
    try:
        engine = opened()
        assert board.gpu.current() == "another context"
        for rows in (1, 3, 9):
            assert np.abs(engine.run(**given(rows))["images"] - expected(given(rows))).max() < 1e-6
            assert board.gpu.current() == "another context"
        with pytest.raises(InputError):
            engine.run(z=None)
        assert board.gpu.current() == "another context"
        engine.close()
        assert board.gpu.current() == "another context"
    finally:
        other.pop()
        board.gpu.retained -= 1
        other.valid = False


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("kind", KINDS)
def test_everything_is_released_in_order(plug, opened, version, kind):
    board = plug(version)
    engine = opened(memory=kind)
    engine.warm_up()
    board.gpu.events.clear()
    engine.close()
    memory = ["free device", "free pinned"] if kind == "device" else ["free " + kind]
    contexts, scratch = ["delete IExecutionContext"] * 2, ["free device"]
    if version in OWN_SCRATCH:
        contexts, scratch = ["free scratch", "delete IExecutionContext"] * 2, []
    expected = ["destroy graph"] * 2 + contexts + ["delete ICudaEngine", "delete Runtime"]
    assert board.gpu.events == expected + scratch + memory * 2 + ["destroy stream", "release context"]
    assert board.gpu.leaks() == []


@pytest.mark.parametrize("version", BOTH)
def test_closing_twice_and_what_comes_after(plug, opened, version, sentence):
    board = plug(version)
    engine = opened()
    engine.run(**given(1))
    engine.close()
    engine.close()
    assert board.gpu.leaks() == []
    for rows in (1, 9):
        assert "this engine is closed" in sentence(InputError, engine.run, **given(rows))


@pytest.mark.parametrize("version", BOTH)
def test_closing_after_a_failure_in_the_middle(plug, opened, version, sentence):
    board = plug(version)
    engine = opened()
    board.double.broken.add("execute")
    sentence(BackendError, engine.run, **given(3))
    engine.close()
    assert board.gpu.leaks() == []


@pytest.mark.parametrize("version", BOTH)
def test_closing_with_work_on_the_stream(plug, opened, version, monkeypatch, sentence):
    """A copy that cannot be started leaves others before it; they end before their memory goes."""
    board = plug(version)
    engine = opened()

    def fails(dest, src, stream):
        raise board.drv.LogicError("cuMemcpyDtoHAsync failed: invalid argument")

    monkeypatch.setattr(board.drv, "memcpy_dtoh_async", fails)
    text = sentence(BackendError, engine.run, **given(3))
    assert text == "graph 'decode' failed on the GPU: cuMemcpyDtoHAsync failed: invalid argument"
    engine.close()
    assert board.gpu.leaks() == []


def test_closing_while_another_thread_runs(board, opened):
    engine, ended = opened(), []

    def run():
        try:
            while True:
                engine.run(**given(3))
        except InputError as error:
            ended.append(str(error))

    threads = [threading.Thread(target=run) for _ in range(2)]
    for thread in threads:
        thread.start()
    engine.close()
    for thread in threads:
        thread.join()
    assert len(ended) == 2 and all("this engine is closed" in text for text in ended)


@pytest.mark.parametrize("version", BOTH)
@pytest.mark.parametrize("step", ["deserialize", "scratch", "first memory", "last memory", "streams"])
def test_opening_that_fails_leaves_nothing(plug, built, version, step, monkeypatch, sentence):
    board = plug(version)
    bundle, seen = Bundle.open(built("cvae", "--precision", "fp32")), []
    if step == "deserialize":
        board.double.broken.add("deserialize_cuda_engine")
    elif step == "streams":

        def fails(flags=0):
            raise board.drv.MemoryError("cuStreamCreate failed: out of memory")

        monkeypatch.setattr(board.drv, "Stream", fails)
    elif step == "scratch":
        board.gpu.fail_allocation = lambda kind, size: size % SCRATCH_BYTES == 0
    else:
        board.gpu.fail_allocation = lambda kind, size: seen.append(kind) or len(seen) == (2 if step[0] == "f" else 5)
    with pytest.raises((BackendError, PlanError)):
        TrtEngine.open(bundle, bundle.graph("decode"))
    gc.collect()
    assert board.gpu.leaks() == []


@pytest.mark.parametrize("version", VERSIONS)
def test_a_graph_is_never_launched_after_its_context_was_changed(plug, opened, expected, version):
    """TensorRT leaves that undefined, so a profile keeps one graph, of the size that came twice in a row. The double
    writes a violation where an older graph is launched."""
    board = plug(version)
    engine = opened()
    board.gpu.counts.clear()
    for turn, (rows, launched, captured) in enumerate(
        [(3, 0, 0), (3, 0, 1), (3, 1, 1), (3, 2, 1), (1, 2, 1), (3, 3, 1), (4, 3, 1), (3, 3, 1), (3, 3, 2), (3, 4, 2)]
    ):
        inputs = given(rows, turn)
        assert np.abs(engine.run(**inputs)["images"] - expected(inputs)).max() < 1e-6
        counts = board.gpu.counts
        assert (counts["cuGraphLaunch"], counts["cuStreamBeginCapture_v2"]) == (launched, captured), turn
        assert len(board.gpu.executables) <= 2 and board.gpu.graphs == {}


@pytest.mark.parametrize("version", VERSIONS)
def test_tensorrt_sees_one_logger_and_every_engine_its_errors(plug, opened, version, sentence):
    """TensorRT calls the first logger it was given, also for objects that came with another one."""
    board = plug(version)
    engines = [opened() for _ in range(2)]
    board.double.broken.add("execute")
    for engine in engines:
        assert "enqueue: Cuda failure: 700" in sentence(BackendError, engine.run, **given(3))
    assert len(board.double.loggers) == 1


def test_an_earlier_failure_of_another_engine_is_not_the_reason(board, opened, sentence):
    engines = [opened() for _ in range(2)]
    board.double.broken.add("set_shape")
    sentence(BackendError, engines[0].run, **given(3))
    board.double.broken = {"execute"}
    assert "Parameter check failed" not in sentence(BackendError, engines[1].run, **given(3))


def test_an_engine_that_nobody_closed(board, opened, built):
    bundle = Bundle.open(built("cvae", "--precision", "fp32"))
    engine = TrtEngine.open(bundle, bundle.graph("decode"))
    engine.warm_up()
    board.gpu.events.clear()
    del engine
    gc.collect()
    assert board.gpu.events[-1] == "release context" and board.gpu.leaks() == []


def test_many_batch_sizes(board, built, expected):
    bundle = Bundle.open(built("cvae", "--precision", "fp32", "--batch", "1,24"))
    with TrtEngine.open(bundle, bundle.graph("decode")) as engine:
        for turn, rows in enumerate(list(range(1, 25)) * 2):
            assert np.abs(engine.run(**given(rows, turn))["images"] - expected(given(rows, turn))).max() < 1e-6


def test_the_precision_and_memory_are_those_of_the_certificate(board, built):
    bundle = Bundle.open(built("cvae", "--memory", "managed"))
    with TrtEngine.open(bundle, bundle.graph("decode")) as engine:
        assert engine.precision == "fp16" and engine.memory == "managed" and engine.graphs == "on"
    with TrtEngine.open(bundle, bundle.graph("decode"), memory="mapped") as engine:
        assert engine.memory == "mapped"


def test_half_precision_rounds(board, built, expected):
    bundle = Bundle.open(built())
    with TrtEngine.open(bundle, bundle.graph("decode")) as engine:
        gap = np.abs(engine.run(**given(4))["images"] - expected(given(4))).max()
    assert 1e-6 < gap < 2 / 255


LEFT_OPEN = """
    import atexit, importlib.util, sys
    spec = importlib.util.spec_from_file_location("doubles", {doubles!r} + "/__init__.py",
                                                  submodule_search_locations=[{doubles!r}])
    sys.modules["doubles"] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(sys.modules["doubles"])
    from doubles import pycuda_double, tensorrt_double
    gpu = pycuda_double.Gpu()
    gpu.loud = True
    atexit.register(lambda: print("left:", gpu.leaks()))  # before the engine's module, so called after it
    sys.modules["tensorrt"], package = tensorrt_double.make({version!r}, gpu), pycuda_double.make(gpu)
    sys.modules["pycuda"], sys.modules["pycuda.driver"] = package, package.driver
    from latentjet.runtime import cuda
    cuda.libcuda = lambda: pycuda_double.LibCuda(gpu, False)
    from latentjet.runtime.cli import main
    from latentjet.runtime.bundle import Bundle
    from latentjet.runtime.engine import open_engine
    assert main(["build", {path!r}, "--samples", "8", "--batch", "1,4", "--memory", "device"]) == 0
    engine = open_engine(Bundle.open({path!r}), "decode", "trt")
    engine.warm_up()
    {order}
"""


@pytest.mark.parametrize("version", BOTH)
@pytest.mark.parametrize("order", [
    "", "sys.exit(0)", "keep = [engine]; keep.append(keep)",
    "import threading; threading.Thread(target=engine.warm_up).start()",
])  # fmt: skip
def test_the_interpreter_ends_with_an_engine_left_open(copied, tmp_path, version, order):
    import doubles

    script = textwrap.dedent(LEFT_OPEN).format(
        doubles=str(Path(doubles.__file__).parent), version=version, path=copied(), order=order
    )
    environment = dict(os.environ, XDG_CACHE_HOME=str(tmp_path))
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", script], stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=environment,
        cwd=str(tmp_path), timeout=60,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr.decode()
    assert done.stderr == b"" and done.stdout.decode().splitlines()[-1] == "left: []"


def test_a_gpu_of_another_make(plug, opened, expected):
    """Nothing in the engine is about the TX2."""
    plug("10.13", Gpu("NVIDIA H100", (9, 0), (12, 4, 0)))
    engine = opened()
    assert np.abs(engine.run(**given(4))["images"] - expected(given(4))).max() < 1e-6
