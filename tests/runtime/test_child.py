"""Building in a child process: Ctrl-C, memory that runs out, what a child leaves, and a parent that never uses CUDA."""

import os
import signal
import subprocess
import sys
import textwrap
import threading
import time
from pathlib import Path

import numpy as np
import pytest
from latentjet.runtime import child, errors
from latentjet.runtime.bundle import Bundle
from latentjet.runtime.cli import main
from latentjet.runtime.errors import InputError, PlanError
from latentjet.runtime.inputs import random_inputs
from latentjet.runtime.interrupts import held_back
from latentjet.runtime.trt_engine import TrtEngine

COMMAND = """
    import importlib.util, os, signal, sys, time
    signal.signal(signal.SIGINT, {sigint})
    spec = importlib.util.spec_from_file_location("doubles", {doubles!r} + "/__init__.py",
                                                  submodule_search_locations=[{doubles!r}])
    sys.modules["doubles"] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(sys.modules["doubles"])
    from doubles import pycuda_double, tensorrt_double
    gpu = pycuda_double.Gpu()
    gpu.loud = True
    sys.modules["tensorrt"], package = tensorrt_double.make("8.2.1", gpu), pycuda_double.make(gpu)
    sys.modules["pycuda"], sys.modules["pycuda.driver"] = package, package.driver
    from latentjet.runtime import cuda
    cuda.libcuda = lambda: pycuda_double.LibCuda(gpu, False)
    from latentjet.runtime.cli import main
    double, ready = sys.modules["tensorrt"].double, {ready!r}

    def said_ready():
        with open(ready, "w"):
            pass

    def builds(asked):
        {during}

    double.refuse = builds
    {before}
    sys.exit(main({arguments!r}))
"""


@pytest.fixture(autouse=True)
def python_handles_sigint():
    """Also where the tests are a background job, which ignores it."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.fixture
def command(copied, tmp_path):
    """(code that runs while TensorRT builds, arguments) -> a started process in a group of its own, path of the bundle,
    function that waits until it is ready."""
    import doubles

    def start(during="pass", before="pass", arguments=None, sigint="signal.default_int_handler"):
        path, ready = None if arguments else copied(), str(tmp_path / "ready")
        arguments = arguments or ["build", path, "--samples", "8", "--batch", "1,4", "--memory", "device"]
        script = textwrap.dedent(COMMAND).format(
            doubles=str(Path(doubles.__file__).parent), ready=ready, during=during, before=before, arguments=arguments,
            sigint=sigint,
        )  # fmt: skip
        process = subprocess.Popen(
            [sys.executable, "-W", "error", "-c", script], stdout=subprocess.PIPE, stderr=subprocess.PIPE,
            env=dict(os.environ, XDG_CACHE_HOME=str(tmp_path)), cwd=str(tmp_path), start_new_session=True,
        )  # fmt: skip

        def wait():
            while not os.path.exists(ready):
                assert process.poll() is None, process.stderr.read().decode()
                time.sleep(0.01)

        return process, path, wait

    return start


def ended(process):
    """Status, and what it said on stderr."""
    out, err = process.communicate(timeout=60)
    return process.returncode, err.decode()


def test_ctrl_c_during_a_build_is_one_sentence_and_status_130(command):
    """As a terminal does it: the signal goes to the parent and to the child, which is in TensorRT's C++ code."""
    process, path, wait = command("double.interrupt = 'build'; said_ready(); time.sleep(0.5)", "")
    wait()
    os.killpg(process.pid, signal.SIGINT)
    status, said = ended(process)
    assert (status, said.count("\n")) == (130, 1)
    assert said == "latentjet build: interrupted; plans that were finished are kept, no other was written\n"
    assert not os.path.exists(os.path.join(path, "plans"))


def test_a_background_job_ignores_ctrl_c_in_both_processes(command):
    process, path, wait = command("said_ready(); time.sleep(0.5)", sigint="signal.SIG_IGN")
    wait()
    os.killpg(process.pid, signal.SIGINT)
    assert ended(process) == (0, "") and os.listdir(os.path.join(path, "plans"))


@pytest.mark.parametrize("who", ["the parent", "the child"])
def test_an_interrupt_that_one_of_them_gets(command, who):
    during = "said_ready(); time.sleep(60)" if who == "the parent" else "double.interrupt = 'build'"
    process, _, wait = command(during)
    if who == "the parent":
        wait()
        os.kill(process.pid, signal.SIGINT)
    status, said = ended(process)
    assert status == 130 and said.startswith("latentjet build: interrupted") and said.count("\n") == 1


def test_a_build_that_the_kernel_kills_for_memory(command):
    process, path, _ = command("os.kill(os.getpid(), signal.SIGKILL)")
    status, said = ended(process)
    assert status == 1 and said.count("\n") == 1
    assert said.startswith("latentjet build: graph 'decode' in fp16: its process was killed by SIGKILL, which is what")
    assert "add swap" in said and "--batch 1" in said
    assert not os.path.exists(os.path.join(path, "plans"))


def test_a_build_that_crashes(command):
    process, _, _ = command("os.kill(os.getpid(), signal.SIGSEGV)")
    status, said = ended(process)
    assert status == 1 and said.count("\n") == 1
    assert "graph 'decode' in fp16: its process was ended by SIGSEGV" in said and "`latentjet doctor`" in said


def test_the_child_dies_with_its_parent(command):
    process, _, wait = command("print(os.getpid(), flush=True); said_ready(); time.sleep(60)")
    wait()
    pid = int(process.stdout.readline().decode())
    process.kill()
    process.communicate()
    for _ in range(200):
        if not alive(pid):
            return
        time.sleep(0.01)
    os.kill(pid, signal.SIGKILL)
    raise AssertionError("the child lives on")


def alive(pid):
    """Does a process run that is no zombie?"""
    try:
        with open("/proc/{}/stat".format(pid)) as file:
            return file.read().rsplit(")", 1)[1].split()[0] != "Z"
    except OSError:
        return False


@pytest.mark.parametrize("point", ["deserialize", "context"])
@pytest.mark.parametrize("step", ["check", "sample"])
def test_ctrl_c_while_an_engine_is_opened_aborts_nothing(command, board, built, point, step):
    """TensorRT calls the logger there as well; the interrupt waits until C++ has returned."""
    path = built()
    more = [] if step == "check" else ["--out", path + ".png"]
    process, _, _ = command(
        before="double.interrupt = {!r}".format(point), arguments=[step, path, "--backend", "trt"] + more
    )
    status, said = ended(process)
    assert "terminate called" not in said and "KeyboardInterrupt" in said and status not in (0, 134, -signal.SIGABRT)


def test_ctrl_c_while_layers_are_profiled_aborts_nothing(board, built):
    bundle = Bundle.open(built())
    with TrtEngine.open(bundle, bundle.graph("decode")) as engine:
        engine.run(**random_inputs(engine.graph, 1, np.random.RandomState(0)))
        board.double.interrupt = "profile"
        with pytest.raises(KeyboardInterrupt):
            engine.profile(1, 1, 2)
        assert board.double.interrupt is None and signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_in_another_thread_nothing_is_held_back():
    seen = []

    def work():
        with held_back():
            seen.append(signal.getsignal(signal.SIGINT))

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert seen == [signal.getsignal(signal.SIGINT)]


def test_networks_of_one_graph_alone_are_in_a_process(board, built):
    """Parser and network keep each other alive: what was parsed is never freed before the process ends."""
    built("realnvp")
    assert len(board.double.builds) == 4
    assert board.double.counts["networks in a process"] == 1 and board.double.kept == []


@pytest.mark.parametrize("options", [[], ["--rehearse"]])
def test_the_parent_never_uses_cuda(board, copied, options):
    assert main(["build", copied("realnvp"), "--samples", "8", "--batch", "1,4"] + options) == 0
    assert board.gpu.process is None and board.gpu.retained == 0


def test_a_child_of_a_process_that_used_cuda_cannot(board, sentence):
    board.drv.init()

    def work():
        from latentjet.runtime.cuda import Cuda

        Cuda()

    assert "CUDA does not answer (cuInit failed: initialization error)" in sentence(
        errors.BackendError, child.run, work, "it"
    )
    assert board.gpu.violations == ["CUDA used in a process forked from one that has used it"]
    board.gpu.violations.clear()


@pytest.mark.parametrize("value", [None, 5, "text", {"lines": ["a", "b"]}, ["x" * 300000]])
def test_what_a_child_returns(value):
    assert child.run(lambda: value, "it") == value


@pytest.mark.parametrize("kind", [PlanError, InputError, errors.OutputError, errors.BackendError])
def test_errors_come_back_as_they_are(kind, sentence):
    def work():
        raise kind("something is wrong: mend it")

    assert sentence(kind, child.run, work, "it") == "something is wrong: mend it"


def test_an_error_that_nobody_expected_is_one_sentence(sentence):
    def work():
        return {}["key"] + "\n"

    text = sentence(PlanError, child.run, work, "it")
    assert "unexpected KeyError: 'key' (test_child.py, line " in text


def test_a_child_that_says_nothing(sentence):
    text = sentence(PlanError, child.run, lambda: os._exit(3), "graph 'decode'")
    assert text == "graph 'decode': its process ended with status 3 and without an answer"


def test_a_child_ends_also_where_it_cannot_write(monkeypatch):
    """Else it would go on as a second parent."""
    parent = os.getpid()

    class Full:
        def flush(self):
            if os.getpid() != parent:
                raise OSError(28, "No space left on device")

    monkeypatch.setattr(sys, "stdout", Full())
    assert child.run(lambda: "done", "it") == "done"
    assert os.getpid() == parent


def test_an_answer_that_is_no_plain_value(sentence):
    assert "without an answer" in sentence(PlanError, child.run, lambda: object(), "it")


def test_progress_while_a_child_is_silent():
    seen = []
    child.run(lambda: time.sleep(0.2), "it", seen.append, every_s=0.02)
    assert len(seen) >= 3 and seen == sorted(seen)
    size = len(seen)
    time.sleep(0.05)
    assert len(seen) == size


def test_a_child_that_writes_a_plan_is_not_stopped_by_ctrl_c(tmp_path):
    place, ready = tmp_path / "plan", tmp_path / "ready"

    def work():
        child.keep_from_interrupts()
        ready.write_text("")
        time.sleep(0.2)
        place.write_text("whole")

    def interrupt():
        while not ready.exists():
            time.sleep(0.01)
        os.kill(os.getpid(), signal.SIGINT)

    threading.Thread(target=interrupt).start()
    with pytest.raises(KeyboardInterrupt):
        child.run(work, "it")
    assert place.read_text() == "whole"


def test_what_waits_to_be_written_is_written_once(tmp_path):
    script = "import sys; from latentjet.runtime import child\nsys.stdout.write('once '); child.run(lambda: None, 'it')"
    done = subprocess.run([sys.executable, "-c", script], stdout=subprocess.PIPE, check=True)
    assert done.stdout == b"once "
