"""What memory figures say of a GPU that has no memory of its own."""

import pytest
from doubles.pycuda_double import Gpu
from latentjet.benchmarks import memory, suite
from latentjet.benchmarks.report import power
from latentjet.runtime.bundle import Bundle


@pytest.mark.parametrize("name, shared", [("NVIDIA Tegra X2", True), ("NVIDIA H100", False)])
def test_a_jetsons_figures_say_that_they_leave_out_the_gpu(plug, built, name, shared):
    plug("8.5.3.1", Gpu(name))
    bundle = Bundle.open(built("cvae"))
    settings = suite.Settings(batches=(1,), scenarios=("single",), rounds=2, burst_s=1e-3, with_layers=False)
    run = suite.run(bundle, ["trt", "ort"], settings)
    kept = {item.case.system: item.memory for item in run.results}
    assert kept["trt"].get("left_out") == (memory.LEFT_OUT if shared else None)
    assert "left_out" not in kept["ort"] and (kept["trt"]["device_bytes"] is None) == shared
    grown = [item._replace(memory=dict(item.memory, process_bytes=1 << 20)) for item in run.results]
    section = power.section(run._replace(results=tuple(grown)))  # so soon after another run nothing may have grown
    assert bool(section.notes) == shared
    if shared:
        assert "trt" in section.notes[0] and "ort" not in section.notes[0] and "leaves out the GPU's" in section.notes[0]


def test_the_peak_of_a_cold_start_says_so_too(board, built, monkeypatch):
    told = {"start_s": 0.1, "load_s": 0.1, "first_s": 0.1, "steady_s": 0.1, "peak_bytes": 1 << 20}
    monkeypatch.setattr(suite.cold, "start", lambda wanted: told)
    settings = suite.Settings(scenarios=("cold",), batches=(1,), rounds=2, burst_s=1e-3, with_layers=False)
    (item,) = suite.run(Bundle.open(built("cvae")), ["trt"], settings).results
    assert memory.LEFT_OUT in item.note


@pytest.mark.parametrize("device, on_gpu, expected", [(None, True, True), (5, True, False), (None, False, False)])
def test_what_is_left_out(device, on_gpu, expected):
    assert ("left_out" in memory.measured(1, device, on_gpu)) is expected
