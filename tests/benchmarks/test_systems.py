"""The table of systems, and TensorRT's on doubles: precision, CUDA graph, kind of memory, the device's own clock."""

import pytest
from latentjet.benchmarks import layers, loads, suite, systems
from latentjet.runtime.bundle import Bundle
from latentjet.runtime.cuda import KINDS
from latentjet.runtime.errors import BackendError, CheckError, PlanError


def test_trts_names_are_put_together_of_parts():
    assert systems.find("trt").options == {"precision": None, "memory": None, "use_graphs": True}
    found = systems.find("trt-fp16-nograph-mapped").options
    assert found == {"precision": "fp16", "memory": "mapped", "use_graphs": False}
    assert len(systems.TRT) == 3 * 2 * (1 + len(KINDS))


@pytest.mark.parametrize("name", ["onnx", "", "trt-", "trt-mapped-nograph", "trt-int8", "eager-", "TRT"])
def test_an_unknown_system_lists_the_known(name, sentence):
    text = sentence(BackendError, systems.find, name)
    assert "system is '{}', expected one of: ".format(name) in text
    assert all(known in text for known in ("eager", "trt-fp32", "trt-nograph", "masked"))


def test_every_system_has_a_line_of_help():
    assert all(systems.find(name).what for name in systems.names()) and set(systems.USUAL) <= set(systems.ALL)


@pytest.mark.parametrize("version", ["8.2.1", "8.5.3.1"])
def test_trt_in_every_form_is_timed_by_host_and_device(plug, built, version):
    plug(version)
    bundle = Bundle.open(built("cvae", "--precision", "fp32"))
    names = ["trt", "trt-fp32-nograph"] + ["trt-" + kind for kind in KINDS]
    settings = suite.Settings(batches=(1, 2), rounds=2, burst_s=1e-3)
    run = suite.run(bundle, names, settings)
    assert [item.case.system for item in run.results] == names * 2
    for item in run.results:
        assert item.case.precision == "fp32" and item.note == "" and item.largest_difference <= 1e-4
        assert [len(part) for part in item.device_rounds] == [len(part) for part in item.rounds]
        assert item.device_seconds.min() > 0
    told = {(entry["system"], entry["batch"]): entry["layers"] for entry in run.layers}
    assert set(told) == {("trt", 1), ("trt", 2)}
    seconds = [item["seconds"] for item in told["trt", 1]]
    assert seconds == pytest.approx([1e-5 * (1 + place) for place in range(len(seconds))])
    assert {"nets.widen.0", "nets.decoder.0"} & {item["layer"] for item in told["trt", 1]}
    assert run.settings["left_out"] == [] and {"tensorrt", "pycuda"} <= set(run.versions)


def test_two_engines_of_trt_overlap_from_two_threads(board, built):
    bundle = Bundle.open(built("cvae", "--precision", "fp32"))
    settings = suite.Settings(scenarios=("overlapped",), batches=(2,), rounds=2, burst_s=1e-3, with_layers=False)
    (item,) = suite.run(bundle, ["trt"], settings).results
    assert item.figures["engines"] == 2 and item.note == "" and item.samples_per_s > 0


def test_the_devices_clock_counts_all_parts_of_a_split_batch(board, built):
    bundle = Bundle.open(built("cvae", "--precision", "fp32"))
    with systems.open_system(bundle, "decode", "trt") as engine:
        load = loads.prepare(bundle, engine, "trt", 7, 0)  # profiles go up to 4
        load.check(load.call())
        events = board.gpu.live_events
        (seconds,) = load.device(1)
        assert seconds > 0 and board.gpu.live_events == events == 0
        assert engine.device_seconds() == 0.0  # asked before; and nobody watches now


def test_without_a_plan_trt_says_what_to_build(board, bundles, sentence):
    bundle = Bundle.open(bundles / "cvae.bundle")
    text = sentence(PlanError, systems.open_system, bundle, "decode", "trt-fp32")
    assert "no fp32 plan of 'decode'" in text and "latentjet build" in text


def test_a_fast_wrong_plan_gets_no_number(board, built, sentence):
    bundle = Bundle.open(built("cvae", "--precision", "fp32"))
    board.double.spoil = lambda name, array: array * 0 + 0.5
    text = sentence(CheckError, suite.run, bundle, ["trt"], suite.Settings(batches=(1,), rounds=2, burst_s=1e-3))
    assert "system 'trt'" in text and "a wrong result gets no time" in text


def test_where_no_graph_can_be_captured_the_result_says_so(board, built):
    bundle = Bundle.open(built("cvae", "--precision", "fp32"))
    board.gpu.capture_status["cuStreamBeginCapture_v2"] = 801
    run = suite.run(bundle, ["trt", "trt-nograph"], suite.Settings(batches=(1,), rounds=2, burst_s=1e-3))
    notes = {item.case.system: item.note for item in run.results}
    assert notes["trt"].startswith("CUDA graphs off: ") and notes["trt-nograph"] == ""


def test_a_profile_that_tells_nothing_is_no_error(board, built, monkeypatch):
    bundle = Bundle.open(built("cvae", "--precision", "fp32"))
    with systems.open_system(bundle, "decode", "trt") as engine:
        monkeypatch.setattr(engine, "profile", lambda *given: [])
        assert layers.measure(bundle, engine, "trt", [1], 1) == []
