"""A run: every system is checked before and while it is timed; what is wrong gets no time; what is left out is named."""

import io
import sys
import time
import types

import numpy as np
import pytest
from latentjet.benchmarks import suite, systems
from latentjet.benchmarks.sampler import Sampler
from latentjet.benchmarks.suite import Settings
from latentjet.runtime.bundle import Bundle
from latentjet.runtime.engine import open_engine
from latentjet.runtime.errors import BackendError, BundleError, CheckError, InputError

QUICK = Settings(batches=(1,), rounds=2, burst_s=1e-3, device="cpu", with_layers=False)


def npz(arrays):
    buffer = io.BytesIO()
    np.savez(buffer, **arrays)
    return buffer.getvalue()


@pytest.fixture
def no_timing(monkeypatch):
    """Fails the test if anything is timed."""

    def refuse(*given, **named):
        raise AssertionError("something was timed")

    monkeypatch.setattr(suite, "rounds_of", refuse)


@pytest.fixture
def system(monkeypatch):
    """(engine class) -> registers it as the system 'fake'."""

    def register(engine):
        module = types.ModuleType("fake_system")
        module.Fake = engine
        monkeypatch.setitem(sys.modules, "fake_system", module)
        monkeypatch.setitem(systems.SYSTEMS, "fake", systems.System("a fake", "fake_system", "Fake"))

    return register


class Tiring:
    """Right for the first runs, wrong later."""

    backend, precision, count, limit = "fake", "fp32", 0, 10

    @classmethod
    def open(cls, bundle, graph, threads):
        opened = cls()
        opened.graph, opened.engine = graph, open_engine(bundle, graph.name, "ort", threads)
        return opened

    def run(self, **inputs):
        self.count += 1
        outputs = self.engine.run(**inputs)
        return {key: array + (self.count > self.limit) for key, array in outputs.items()}

    def __enter__(self):
        return self

    def __exit__(self, *error):
        self.engine.close()


def test_a_run_has_every_case_and_all_that_is_needed_to_read_it(bundles):
    bundle, seen = Bundle.open(bundles / "cvae.bundle"), []
    settings = QUICK._replace(batches=(1, 3), with_layers=True)
    run = suite.run(bundle, ["eager", "ort", "replay"], settings, None, lambda *given: seen.append(given), {"fid": 9.5})
    cases = [(item.case.scenario, item.case.system, item.case.batch) for item in run.results]
    assert cases == [
        (scenario, name, batch)
        for scenario, batch in (("single", 1), ("batch", 3))
        for name in ("eager", "ort", "replay")
    ]
    for item in run.results:
        assert item.case.precision == "fp32" and item.case.threads == 1 and item.note == ""
        assert len(item.rounds) == 2 and all(len(part) >= 5 for part in item.rounds) and item.seconds.min() > 0
        assert 0 <= item.largest_difference <= bundle.graph("decode").tolerance
        assert item.levels["within_2"] == 1.0 and item.device_rounds is None and item.energy_j_per_image is None
        assert item.memory["process_bytes"] >= 0 and item.memory["device_bytes"] is None
    assert seen == [("single", 1, 1), ("single", 1, 2), ("batch", 3, 1), ("batch", 3, 2)]
    assert run.started <= run.finished and run.before["load"] and run.after["load"]
    assert run.settings["scenarios"] == ["single", "batch"] and run.settings["left_out"] == []
    assert set(run.settings["harness_s"]) == {"1", "3"} and 0 < run.settings["harness_s"]["1"] < 0.01
    assert run.bundle["family"] == "cvae" and run.bundle["graph"] == "decode" and run.bundle["quality"] == {"fid": 9.5}
    assert run.bundle["name"] == "cvae.bundle" and run.bundle["model_class"] == "VAE" and run.bundle["image"] == [1, 8, 8]
    assert run.bundle["sha256"] == bundle.manifest["files"]["decode.onnx"]["sha256"]
    assert run.bundle["nodes"] == bundle.graph("decode").figures["nodes"]
    assert {"python", "numpy", "onnxruntime", "torch"} <= set(run.versions) and "cores" in run.machine
    assert [(entry["system"], entry["batch"]) for entry in run.layers] == [("ort", 1), ("ort", 3)]


def test_on_a_board_rails_and_clocks_are_kept_and_energy_is_told(bundles, machine, monkeypatch, system):
    class Sleeping(Tiring):
        limit = 10**9

        def run(self, **inputs):
            time.sleep(0.002)
            return super().run(**inputs)

    system(Sleeping)
    monkeypatch.setattr(suite, "IDLE_S", 0.05)
    monkeypatch.setattr(suite, "Sampler", lambda machine: Sampler(machine, interval_s=0.001))
    settings = QUICK._replace(burst_s=0.05)
    run = suite.run(Bundle.open(bundles / "vae.bundle"), ["fake"], settings, machine("tx2"))
    assert run.machine["module"] == "Jetson TX2" and run.power["total"] == "VDD_IN"
    assert run.power["idle_w"]["VDD_IN"] == pytest.approx(5.056)
    (item,) = run.results
    # the tree says 5.056 W at any time: energy is power times time
    per_image = [sum(part) / len(part) for part in item.rounds]
    assert item.energy_j_per_image == pytest.approx(5.056 * np.mean(per_image), rel=0.5)
    assert "gpu" in run.clocks["names"] and any("clocks are not locked" in found["what"] for found in run.warnings)


@pytest.mark.parametrize("graph", ["encode", "log_prob"])
def test_other_graphs_can_be_timed(bundles, graph):
    settings = QUICK._replace(graph=graph, batches=(2,))
    run = suite.run(Bundle.open(bundles / "realnvp.bundle"), ["ort"], settings)
    assert run.bundle["graph"] == graph and len(run.results) == 1


def test_a_system_of_another_model_is_timed_but_not_compared(bundles):
    run = suite.run(Bundle.open(bundles / "realnvp.bundle"), ["masked", "ort"], QUICK)
    by_system = {item.case.system: item for item in run.results}
    assert by_system["masked"].largest_difference is None and "not compared" in by_system["masked"].note
    assert by_system["masked"].levels == {}
    assert by_system["ort"].largest_difference is not None and by_system["ort"].note == ""


@pytest.mark.parametrize(("name", "graph"), [("cvae", "decode"), ("vae", "decode"), ("realnvp", "encode")])
def test_the_conventional_flow_stands_beside_decode_of_a_conditional_flow_only(bundles, name, graph, sentence):
    bundle = Bundle.open(bundles / (name + ".bundle"))
    text = sentence(BackendError, systems.open_system, bundle, graph, "masked", 1)
    assert "'decode' of a conditional realnvp" in text and name in text


def test_altered_weights_get_no_time(bundle, altered, no_timing, sentence):
    weights = Bundle.open(bundle).arrays("weights.npz")
    name = next(name for name in sorted(weights) if "decoder" in name and name.endswith("weight"))
    weights[name] = weights[name] + np.float32(0.1)
    altered(bundle, {"weights.npz": npz(weights)})
    text = sentence(CheckError, suite.run, Bundle.open(bundle), ["ort", "eager"], QUICK)
    assert "system 'eager', graph 'decode'" in text and "a wrong result gets no time" in text


def test_a_wrong_backend_gets_no_time(bundle, altered, no_timing, sentence):
    arrays = Bundle.open(bundle).arrays("reference.npz")
    arrays["decode/images"][2] += np.float32(0.01)
    altered(bundle, {"reference.npz": npz(arrays)})
    text = sentence(CheckError, suite.run, Bundle.open(bundle), ["ort"], QUICK)
    assert "system 'ort'" in text and "differs from the reference by 0.01, allowed are 1e-04" in text


def test_an_engine_that_goes_wrong_while_it_is_timed_gets_no_time(bundles, system, sentence):
    system(Tiring)
    text = sentence(CheckError, suite.run, Bundle.open(bundles / "cvae.bundle"), ["fake"], QUICK)
    assert "system 'fake'" in text and "a wrong result gets no time" in text


def test_one_that_goes_wrong_and_was_not_asked_for_is_left_out_of_every_scenario(bundles, system):
    class Later(Tiring):
        limit = 60  # right in the first scenario, wrong in the second

    system(Later)
    settings = QUICK._replace(batches=(1, 2), named=False, burst_s=1e-9)
    run = suite.run(Bundle.open(bundles / "cvae.bundle"), ["fake", "replay"], settings)
    assert [(item.case.system, item.case.batch) for item in run.results] == [("replay", 1), ("replay", 2)]
    (left,) = run.settings["left_out"]
    assert left["system"] == "fake" and "a wrong result gets no time" in left["reason"]


def test_what_cannot_be_had_is_named_where_it_was_not_asked_for_and_an_error_where_it_was(bundles, monkeypatch, sentence):
    monkeypatch.setitem(sys.modules, "torch", None)
    monkeypatch.delitem(sys.modules, "latentjet.benchmarks.eager", raising=False)
    bundle = Bundle.open(bundles / "cvae.bundle")
    text = sentence(BackendError, suite.run, bundle, ["eager", "replay"], QUICK)
    assert "system 'eager' cannot be loaded" in text and "pip install torch" in text
    run = suite.run(bundle, ["eager", "replay"], QUICK._replace(named=False))
    assert [item["system"] for item in run.settings["left_out"]] == ["eager"] and len(run.results) == 1
    text = sentence(InputError, suite.run, bundle, ["eager"], QUICK._replace(named=False))
    assert "no system can run here: eager: " in text


def test_an_unknown_system_is_an_error_even_where_none_was_asked_for(bundles, no_timing, sentence):
    settings = QUICK._replace(named=False)
    text = sentence(BackendError, suite.run, Bundle.open(bundles / "cvae.bundle"), ["replay", "onnx"], settings)
    assert "system is 'onnx', expected one of: " in text


def test_an_unknown_graph_lists_the_known(bundles, no_timing, sentence):
    bundle = Bundle.open(bundles / "cvae.bundle")
    text = sentence(BundleError, suite.run, bundle, ["ort"], QUICK._replace(graph="encode"))
    assert "no graph 'encode', it has: decode" in text


WRONG = [
    ({"batches": (1, 0)}, "batch is 0, expected at least 1"),
    ({"batches": (-4,)}, "batch is -4, expected at least 1"),
    ({"batches": (2, 2)}, "batches are 2, 2: expected each once"),
    ({"rounds": 1}, "rounds is 1 and threads 1: expected at least 2 and 1"),
    ({"threads": 0}, "threads 0: expected at least 2 and 1"),
    ({"burst_s": float("nan")}, "burst is nan s, expected more than 0"),
    ({"burst_s": float("inf")}, "burst is inf s"),
    ({"burst_s": -1.0}, "burst is -1.0 s, expected more than 0"),
    ({"seed": -1}, "seed is -1, expected an integer from 0"),
    ({"rate_hz": 0.0}, "rate is 0.0 Hz, expected more than 0"),
    ({"rate_hz": float("nan")}, "rate is nan Hz"),
    ({"device": "gpu"}, "device is 'gpu', expected one of: auto, cpu, cuda"),
    ({"scenarios": ("warm",)}, "scenario is 'warm'"),
]


@pytest.mark.parametrize(("given", "expected"), WRONG)
def test_wrong_settings_are_told_before_anything_is_timed(bundles, no_timing, given, expected, sentence):
    bundle = Bundle.open(bundles / "cvae.bundle")
    assert expected in sentence(InputError, suite.run, bundle, ["replay"], QUICK._replace(**given))


@pytest.mark.parametrize("names", [[], ["ort", "ort"]])
def test_systems_once_each(bundles, names, sentence):
    text = sentence(InputError, suite.run, Bundle.open(bundles / "cvae.bundle"), names, QUICK)
    assert "expected at least one, each once" in text


def test_every_scenario_of_one_run(bundles, monkeypatch):
    started = []

    def start(wanted):
        started.append(wanted)
        return {"start_s": 0.5, "load_s": 0.25, "first_s": 0.125, "steady_s": 0.01, "peak_bytes": 9}

    monkeypatch.setattr(suite.cold, "start", start)
    monkeypatch.setattr(suite.scenarios, "PACED_S", 0.02)
    names = ("single", "batch", "overlapped", "paced", "cold")
    settings = QUICK._replace(scenarios=names, batches=(1, 2), rate_hz=500.0)
    run = suite.run(Bundle.open(bundles / "vae.bundle"), ["replay"], settings)
    by_case = {(item.case.scenario, item.case.batch): item for item in run.results}
    assert list(by_case) == [("single", 1), ("batch", 2), ("overlapped", 1), ("overlapped", 2), ("paced", 1), ("cold", 1)]
    assert "on a processor no copies overlap" in by_case["overlapped", 2].note
    assert by_case["paced", 1].figures["rate_hz"] == 500.0
    assert by_case["cold", 1].rounds == ((0.875,), (0.875,)) and started[0]["system"] == "replay"
    assert by_case["cold", 1].largest_difference is None  # its process checked it


def test_every_engine_is_closed_after_a_run_and_after_an_error(bundles, monkeypatch, sentence):
    opened, real = [], systems.open_system

    def remember(*given):
        opened.append(real(*given))
        return opened[-1]

    monkeypatch.setattr(systems, "open_system", remember)
    bundle = Bundle.open(bundles / "cvae.bundle")
    settings = QUICK._replace(scenarios=("overlapped",), with_layers=True)
    suite.run(bundle, ["ort", "replay"], settings)
    assert len(opened) == 6 and all(engine.closed for engine in opened)  # two each, one for layers, one for the harness
    monkeypatch.setattr(suite, "rounds_of", None)
    with pytest.raises(TypeError):
        suite.run(bundle, ["ort"], QUICK)
    assert all(engine.closed for engine in opened)
