"""The kind of staging memory: measured by latentjet build, the fastest taken, what cannot be had named."""

import itertools
import json
import os

import numpy as np
import pytest
from doubles.tensorrt_double import SCRATCH_BYTES
from latentjet.runtime import staging
from latentjet.runtime.build import described
from latentjet.runtime.bundle import Bundle
from latentjet.runtime.cli import main
from latentjet.runtime.cuda import KINDS
from latentjet.runtime.engine import open_engine
from latentjet.runtime.errors import BackendError


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    monkeypatch.setattr(staging, "BURST_S", 0.001)
    monkeypatch.setattr(staging, "ROUNDS", 5)


class Clock:
    """Time that passes when a run is slow, and a little at each look: so that a busy machine changes nothing."""

    def __init__(self):
        self.now = 0.0

    def perf_counter(self):
        self.now += 1e-5
        return self.now

    def wait(self, seconds):
        self.now += seconds


@pytest.fixture
def clock(board, monkeypatch):
    made = Clock()
    monkeypatch.setattr(staging, "time", made)
    board.gpu.wait = made.wait
    return made


@pytest.fixture
def certificate(copied, capsys):
    """(options) -> certificate of a cvae that was built with them, and the line that was printed."""

    def build(*options):
        path = copied()
        assert main(["build", path, "--samples", "16", "--batch", "1,4", *options]) == 0, capsys.readouterr().err
        name = next(name for name in os.listdir(os.path.join(path, "plans")) if name.endswith(".json"))
        with open(os.path.join(path, "plans", name)) as handle:
            return path, json.load(handle), capsys.readouterr().out

    return build


@pytest.mark.parametrize("version", ["8.0.1", "8.2.1", "8.5.3.1", "11.1"])
def test_the_fastest_kind_is_taken_and_kept(plug, certificate, version):
    board = plug(version)
    path, found, line = certificate()
    assert set(found["memory_measured"]) == set(KINDS) and found["memory_left_out"] == {}
    for times in found["memory_measured"].values():
        assert set(times) == {"1", "4"}
        for item in times.values():
            assert 0 < item["low_s"] <= item["median_s"] <= item["high_s"] < 1
    medians = {kind: times["1"]["median_s"] for kind, times in found["memory_measured"].items()}
    assert found["memory"] == min(medians, key=medians.get)
    assert "memory {} is fastest (ms at batch 1: device ".format(found["memory"]) in line
    with open_engine(Bundle.open(path), "decode", "trt") as engine:
        assert engine.memory == found["memory"]
    assert board.gpu.leaks() == []


@pytest.mark.parametrize("slow", list(itertools.combinations(KINDS, 2)) + [(kind,) for kind in KINDS])
def test_a_slow_kind_is_never_taken(board, clock, certificate, slow):
    board.gpu.delay_s = {kind: 0.004 for kind in slow}
    _, found, _ = certificate()
    assert found["memory"] not in slow
    for kind in slow:
        assert found["memory_measured"][kind]["1"]["median_s"] > 0.004


@pytest.mark.parametrize("kind", KINDS)
def test_a_named_kind_is_taken_whatever_it_costs(board, certificate, kind):
    board.gpu.delay_s = {kind: 0.002}
    _, found, line = certificate("--memory", kind)
    assert found["memory"] == kind and found["memory_measured"] == {} and found["memory_left_out"] == {}
    assert line.splitlines()[0].endswith("; memory " + kind)


@pytest.mark.parametrize("kind", KINDS)
def test_a_kind_that_cannot_be_had_is_left_out_with_its_reason(board, certificate, kind):
    board.gpu.fail_allocation = lambda what, size: what == kind and size % SCRATCH_BYTES
    _, found, line = certificate()
    assert set(found["memory_measured"]) == set(KINDS) - {kind} and found["memory"] != kind
    assert list(found["memory_left_out"]) == [kind]
    assert "no {} memory for".format(kind) in found["memory_left_out"][kind]
    assert "; {} left out: no {} memory for".format(kind, kind) in line


def test_where_no_kind_can_be_had_the_first_reason_is_the_error(board, copied, capsys):
    board.gpu.fail_allocation = lambda what, size: True
    path = copied()
    assert main(["build", path, "--batch", "1,4"]) == 1
    assert "no device memory for" in capsys.readouterr().err
    assert not os.path.exists(os.path.join(path, "plans"))


def test_a_kind_that_gives_wrong_results_is_left_out(board, certificate, monkeypatch):
    """Memory whose contents the GPU does not see: every kind runs the reference and the fresh samples."""
    uploaded = board.drv.memcpy_htod_async

    def stale(dest, src, stream):
        uploaded(dest, src, stream)
        board.gpu.put(stream.handle, lambda: board.gpu.on_device(int(dest), src.nbytes).fill(0))

    monkeypatch.setattr(board.drv, "memcpy_htod_async", stale)
    board.gpu.delay_s = {"mapped": 0.003, "managed": 0.003}  # the wrong one would be fastest
    _, found, _ = certificate()
    assert found["memory"] != "device" and "differs from the reference" in found["memory_left_out"]["device"]


def test_a_plan_that_is_wrong_with_every_kind_is_an_error(board, copied, capsys):
    board.double.spoil = lambda name, array: array + 0.05
    path = copied()
    assert main(["build", path, "--samples", "8", "--batch", "1,4"]) == 1
    assert "differs from the reference by 0.05" in capsys.readouterr().err
    assert not os.path.exists(os.path.join(path, "plans"))


@pytest.mark.parametrize("batches, expected", [((1, 8, 64), [1, 8]), ((1, 4), [1, 4]), ((1,), [1]), ((64,), [1, 64])])
def test_batch_one_and_the_middle_are_measured(batches, expected):
    assert staging.sizes(batches) == expected


def test_a_kind_that_fails_when_it_runs_is_left_out():
    def open_(kind):
        if kind != "mapped":
            raise BackendError("no " + kind)
        return kind

    assert staging.opened(open_, KINDS) == ({"mapped": "mapped"}, {"device": "no device", "managed": "no managed"})


def test_kinds_run_in_turn():
    seen = []

    class Engine:
        def __init__(self, name, graph):
            self.name, self.graph = name, graph

        def run(self, out=None, **inputs):
            seen.append(self.name)
            return {"y": np.zeros(1)}

    class Graph:
        inputs = ()

    found = staging.measure({"a": Engine("a", Graph), "b": Engine("b", Graph)}, [1])
    turns = [name for name, _ in itertools.groupby(seen)]
    assert turns[-2 * staging.ROUNDS :] == ["a", "b"] * staging.ROUNDS
    assert set(found) == {"a", "b"} and staging.fastest(found) in found


def test_a_line_says_what_tensorrt_does_not_tell(board, certificate):
    _, found, _ = certificate("--memory", "device")
    found.update(asked_float32=["a", "b", "c"], honoured=["a"], not_honoured=["b"])
    assert "float32 asked for 3 layers, honoured 1, not 1, TensorRT does not tell of 1" in described(found)
