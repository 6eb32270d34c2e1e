"""A CUDA graph is replayed from the third run of a batch size on: what it gives then is compared with the reference.

The doubles' driver can launch graphs that do nothing, and graphs that leave the results of their first launch.
"""

import json
import os

import numpy as np
import pytest
from latentjet.benchmarks import suite
from latentjet.runtime import staging
from latentjet.runtime.bundle import Bundle
from latentjet.runtime.check import check, repeated
from latentjet.runtime.cli import main
from latentjet.runtime.cuda import KINDS
from latentjet.runtime.engine import open_engine
from latentjet.runtime.errors import CheckError
from latentjet.runtime.model import Model
from latentjet.runtime.trt_engine import TrtEngine

WRONG = ("nothing", "stale")


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    monkeypatch.setattr(staging, "BURST_S", 0.001)
    monkeypatch.setattr(staging, "ROUNDS", 3)


def build(path, *options):
    return main(["build", path, "--samples", "16", "--batch", "1,4"] + list(options))


def certificate(path, stem="decode"):
    place = os.path.join(path, "plans")
    name = next(name for name in sorted(os.listdir(place)) if name.startswith(stem) and name.endswith(".json"))
    with open(os.path.join(place, name)) as handle:
        return json.load(handle)


@pytest.mark.parametrize("replays", WRONG)
@pytest.mark.parametrize("version", ["8.0.1", "8.2.1", "10.13"])
@pytest.mark.parametrize("family, graph", [("cvae", "decode"), ("realnvp", "log_prob")])
def test_a_build_drops_graphs_that_are_wrong_when_replayed(plug, copied, version, replays, family, graph, capsys):
    board, path = plug(version), copied(family)
    board.gpu.replays = replays
    assert build(path, "--memory", "device", "--graphs", graph) == 0
    found, line = certificate(path, graph), capsys.readouterr().out
    assert found["verdict"]["passed"] and list(found["cuda_graphs_dropped"]) == ["device"]
    assert found["cuda_graphs"].startswith("off: replayed, they differ from the reference by ")
    assert "CUDA graphs off: replayed, they differ from the reference by " in line


@pytest.mark.parametrize("replays", WRONG)
def test_a_model_never_uses_the_graphs_that_were_dropped(board, copied, replays):
    board.gpu.replays = replays
    path = copied("realnvp")
    assert build(path, "--memory", "device", "--precision", "fp32") == 0
    with Model.load(path, "trt") as model, Model.load(path, "ort") as plain:
        for seed in range(5):
            gap = np.abs(model.sample([0, 1, 2, 0], seed=seed) - plain.sample([0, 1, 2, 0], seed=seed)).max()
            assert gap < 1e-5
    assert check(Bundle.open(path), "trt")[1][0].passed


def test_a_plan_whose_replays_nobody_compared_runs_without_graphs(board, built):
    """A certificate of before 0.2 does not say."""
    path = built()
    place = os.path.join(path, "plans", next(name for name in os.listdir(os.path.join(path, "plans")) if "json" in name))
    with open(place) as handle:
        found = json.load(handle)
    del found["cuda_graphs_dropped"]
    with open(place, "w") as handle:
        json.dump(found, handle)
    board.gpu.replays = "nothing"
    with open_engine(Bundle.open(path), "decode", "trt") as engine:
        assert engine.graphs == "off: the plan was built before 0.2, when replays were not compared; build it again"
    assert all(item.passed for item in check(Bundle.open(path), "trt")[1])


def only(board, kind, replays):
    """Graphs are replayed wrongly where they were captured with one kind of memory."""
    launch = board.libcuda.cuGraphLaunch

    def launched(executable, stream):
        seen = {block.kind for block in board.gpu.blocks if block.live}
        board.gpu.replays = replays if kind in seen else "right"
        return launch(executable, stream)

    board.libcuda.cuGraphLaunch = launched


@pytest.mark.parametrize("kind", ["mapped", "managed"])
def test_every_kind_of_memory_is_tried(board, copied, kind, capsys):
    """What was dropped for one kind is dropped for that kind alone, also where it is named later."""
    path = copied()
    only(board, kind, "nothing")
    assert build(path, "--memory", "auto") == 0
    found = certificate(path)
    assert kind in found["cuda_graphs_dropped"]
    line = capsys.readouterr().out
    assert found["memory"] == kind or "{} without CUDA graphs: replayed".format(kind) in line
    bundle = Bundle.open(path)
    for memory in KINDS:
        with TrtEngine.open(bundle, bundle.graph("decode"), memory=memory) as engine:
            assert (engine.graphs == "on") == (memory not in found["cuda_graphs_dropped"])


def test_memory_that_is_wrong_without_graphs_too_is_left_out(board, copied, monkeypatch):
    """The first two runs see what the host wrote, later ones do not: with graphs or without."""
    real, seen = board.drv.memcpy_htod_async, []

    def stale(dest, src, stream):
        seen.append(src.nbytes)
        if seen.count(src.nbytes) <= 2:
            real(dest, src, stream)

    monkeypatch.setattr(board.drv, "memcpy_htod_async", stale)
    path = copied()
    assert build(path, "--memory", "auto") == 0
    found = certificate(path)
    assert "differs from the reference" in found["memory_left_out"]["device"] and found["memory"] != "device"


@pytest.mark.parametrize("replays", WRONG)
@pytest.mark.parametrize("precision", ["fp16", "fp32"])
def test_check_finds_graphs_that_are_wrong_when_replayed(board, built, replays, precision, capsys):
    path = built("cvae", "--precision", precision)
    board.gpu.replays = replays
    assert main(["check", path, "--backend", "trt"]) == 1
    out = capsys.readouterr().out
    assert "FAILED: its CUDA graphs are wrong when they are replayed: `latentjet build` it again, which leaves" in out
    assert build(path, "--memory", "device", "--precision", precision) == 0
    assert main(["check", path, "--backend", "trt"]) == 0


def test_every_profile_is_replayed_with_rows_that_change(board, built):
    path = built("cvae", "--batch", "1,4,9")
    bundle, seen = Bundle.open(path), []
    with open_engine(bundle, "decode", "trt") as engine:
        run = engine.run

        def watched(**inputs):
            before = board.gpu.counts["cuGraphLaunch"]
            found = run(**inputs)
            if board.gpu.counts["cuGraphLaunch"] > before:
                seen.append((len(inputs["z"]), inputs["z"].tobytes()))
            return found

        engine.run = watched
        assert len(list(repeated(engine, *bundle.reference("decode")))) == 12
    assert {size for size, _ in seen} == {1, 4, 9}
    for size in (1, 4, 9):
        contents = [content for rows, content in seen if rows == size]
        assert len(contents) >= 2 and len(set(contents)) == len(contents)


@pytest.mark.parametrize("replays", WRONG)
def test_the_gate_of_the_benchmarks(board, built, replays):
    """In its rounds every call has the same rows, so there stale results would pass."""
    path = built("cvae")
    settings = suite.Settings(batches=(1, 4), scenarios=("single", "batch"), rounds=2, burst_s=0.001, with_layers=False)
    board.gpu.replays = replays
    with pytest.raises(CheckError) as caught:
        suite.run(Bundle.open(path), ["trt"], settings)
    text = str(caught.value)
    assert "differs from the reference by" in text and "other rows, with CUDA graphs on" in text
    assert build(path, "--memory", "device") == 0
    run = suite.run(Bundle.open(path), ["trt"], settings)
    assert all("CUDA graphs off: replayed, they differ" in result.note for result in run.results)
