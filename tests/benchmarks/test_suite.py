"""The cases of a run: checked before and after they are timed, side by side; what is wrong gets no time."""

import io
import sys
import types

import numpy as np
import pytest
from latentjet.benchmarks import suite
from latentjet.runtime.bundle import Bundle
from latentjet.runtime.engine import open_engine
from latentjet.runtime.errors import BackendError, BundleError, CheckError, InputError

QUICK = {"rounds": 2, "burst_s": 1e-3}


def npz(arrays):
    buffer = io.BytesIO()
    np.savez(buffer, **arrays)
    return buffer.getvalue()


@pytest.fixture
def no_timing(monkeypatch):
    """Fails the test if anything is timed."""

    def refuse(*given, **named):
        raise AssertionError("something was timed")

    monkeypatch.setattr(suite, "interleave", refuse)


@pytest.fixture
def system(monkeypatch):
    """(engine class) -> registers it as the system 'fake'."""

    def register(engine):
        module = types.ModuleType("fake_system")
        module.Fake = engine
        monkeypatch.setitem(sys.modules, "fake_system", module)
        monkeypatch.setitem(suite.SYSTEMS, "fake", ("fake_system", "Fake"))

    return register


def test_a_run_has_every_case_and_all_that_is_needed_to_read_it(bundles):
    bundle, seen = Bundle.open(bundles / "cvae.bundle"), []
    run = suite.run(bundle, ["eager", "ort", "replay"], [1, 3], progress=lambda *given: seen.append(given), **QUICK)
    cases = [(item.case.system, item.case.batch) for item in run.results]
    assert sorted(cases) == sorted((name, batch) for name in ("eager", "ort", "replay") for batch in (1, 3))
    for item in run.results:
        assert item.case.precision == "fp32" and item.case.threads == 1 and item.note == ""
        assert len(item.rounds) == 2 and all(len(part) >= 5 for part in item.rounds)
        assert item.seconds.min() > 0
        assert 0 <= item.largest_difference <= bundle.graph("decode").tolerance
    assert seen == [(1, 1), (1, 2), (3, 1), (3, 2)]
    assert run.settings == {"rounds": 2, "burst_s": 1e-3, "threads": 1, "seed": 0}
    assert run.bundle["family"] == "cvae" and run.bundle["graph"] == "decode"
    assert run.bundle["sha256"] == bundle.manifest["files"]["decode.onnx"]["sha256"]
    assert run.bundle["nodes"] == bundle.graph("decode").figures["nodes"]
    assert {"python", "numpy", "onnxruntime", "torch", "cores"} <= set(run.machine)


@pytest.mark.parametrize("graph", ["encode", "log_prob"])
def test_other_graphs_can_be_timed(bundles, graph):
    run = suite.run(Bundle.open(bundles / "realnvp.bundle"), ["ort"], [2], graph=graph, **QUICK)
    assert run.bundle["graph"] == graph and len(run.results) == 1


def test_a_system_of_another_model_is_timed_but_not_compared(bundles):
    run = suite.run(Bundle.open(bundles / "realnvp.bundle"), ["masked", "ort"], [2], **QUICK)
    by_system = {item.case.system: item for item in run.results}
    assert by_system["masked"].largest_difference is None and "not compared" in by_system["masked"].note
    assert by_system["ort"].largest_difference is not None and by_system["ort"].note == ""


@pytest.mark.parametrize(("name", "graph"), [("cvae", "decode"), ("vae", "decode"), ("realnvp", "encode")])
def test_the_conventional_flow_stands_beside_decode_of_a_conditional_flow_only(bundles, name, graph, sentence):
    bundle = Bundle.open(bundles / (name + ".bundle"))
    text = sentence(BackendError, suite.open_system, bundle, graph, "masked", 1)
    assert "'decode' of a conditional realnvp" in text and name in text


def test_altered_weights_get_no_time(bundle, altered, no_timing, sentence):
    weights = Bundle.open(bundle).arrays("weights.npz")
    name = next(name for name in sorted(weights) if "decoder" in name and name.endswith("weight"))
    weights[name] = weights[name] + np.float32(0.1)
    altered(bundle, {"weights.npz": npz(weights)})
    text = sentence(CheckError, suite.run, Bundle.open(bundle), ["ort", "eager"], [1], **QUICK)
    assert "system 'eager', graph 'decode'" in text and "a wrong result gets no time" in text


def test_a_wrong_backend_gets_no_time(bundle, altered, no_timing, sentence):
    arrays = Bundle.open(bundle).arrays("reference.npz")
    arrays["decode/images"][2] += np.float32(0.01)
    altered(bundle, {"reference.npz": npz(arrays)})
    text = sentence(CheckError, suite.run, Bundle.open(bundle), ["ort"], [1], **QUICK)
    assert "system 'ort'" in text and "differs from the reference by 0.01, allowed are 1e-04" in text


def test_an_engine_that_goes_wrong_while_it_is_timed_gets_no_time(bundles, system, sentence):
    class Tiring:
        """Right for the first runs, wrong later."""

        backend, precision, count = "fake", "fp32", 0

        @classmethod
        def open(cls, bundle, graph, threads):
            opened = cls()
            opened.graph, opened.engine = graph, open_engine(bundle, graph.name, "ort", threads)
            return opened

        def run(self, **inputs):
            self.count += 1
            outputs = self.engine.run(**inputs)
            return {key: array + (self.count > 10) for key, array in outputs.items()}

        def __enter__(self):
            return self

        def __exit__(self, *error):
            self.engine.close()

    system(Tiring)
    text = sentence(CheckError, suite.run, Bundle.open(bundles / "cvae.bundle"), ["fake"], [1], **QUICK)
    assert "system 'fake'" in text and "a wrong result gets no time" in text


def test_an_unknown_system_lists_the_known(bundles, no_timing, sentence):
    text = sentence(BackendError, suite.run, Bundle.open(bundles / "cvae.bundle"), ["onnx"], [1], **QUICK)
    assert "system is 'onnx', expected one of: " in text
    assert {"eager", "masked", "ort", "replay"} <= set(suite.system_names())
    assert all(name in text for name in suite.system_names())


def test_an_unknown_graph_lists_the_known(bundles, no_timing, sentence):
    text = sentence(BundleError, suite.run, Bundle.open(bundles / "cvae.bundle"), ["ort"], [1], graph="encode")
    assert "no graph 'encode', it has: decode" in text


def test_eager_without_torch_says_what_to_install(bundles, no_timing, monkeypatch, sentence):
    monkeypatch.setitem(sys.modules, "torch", None)
    monkeypatch.delitem(sys.modules, "latentjet.benchmarks.eager", raising=False)
    text = sentence(BackendError, suite.run, Bundle.open(bundles / "cvae.bundle"), ["eager"], [1], **QUICK)
    assert "system 'eager' cannot be loaded" in text and "pip install torch" in text


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({"systems": []}, "systems are none: expected at least one"),
        ({"systems": ["ort", "ort"]}, "systems are ort, ort: expected at least one, each once"),
        ({"batches": [1, 0]}, "batch is 0, expected at least 1"),
        ({"batches": [-4]}, "batch is -4, expected at least 1"),
        ({"rounds": 1}, "rounds is 1 and threads 1: expected at least 2 and 1"),
        ({"threads": 0}, "threads 0: expected at least 2 and 1"),
        ({"burst_s": float("nan")}, "burst is nan s, expected more than 0"),
        ({"burst_s": float("inf")}, "burst is inf s"),
        ({"burst_s": -1.0}, "burst is -1.0 s, expected more than 0"),
        ({"seed": -1}, "seed is -1, expected an integer from 0"),
    ],
)
def test_wrong_settings_are_told_before_anything_is_timed(bundles, no_timing, given, expected, sentence):
    settings = dict({"systems": ["ort"], "batches": [1]}, **given)
    assert expected in sentence(InputError, suite.run, Bundle.open(bundles / "cvae.bundle"), **settings)


def test_a_wrong_seed_is_told_for_images_too(bundles, sentence):
    bundle = Bundle.open(bundles / "realnvp.bundle")
    assert "seed is -1" in sentence(InputError, suite.inputs_for, bundle, "encode", 2, seed=-1)


@pytest.mark.parametrize(
    ("name", "graph"), [("cvae", "decode"), ("vae", "decode"), ("realnvp", "decode"), ("realnvp", "encode")]
)
@pytest.mark.parametrize("batch", [1, 7])
def test_inputs_fit_their_graph_and_come_from_the_seed(bundles, name, graph, batch):
    bundle = Bundle.open(bundles / (name + ".bundle"))
    inputs = suite.inputs_for(bundle, graph, batch, seed=3)
    assert {key: array.shape for key, array in inputs.items()} == {
        tensor.name: (batch, *tensor.shape[1:]) for tensor in bundle.graph(graph).inputs
    }
    again, other = suite.inputs_for(bundle, graph, batch, seed=3), suite.inputs_for(bundle, graph, batch, seed=4)
    for key, array in inputs.items():
        assert array.dtype == np.float32 and np.isfinite(array).all()
        np.testing.assert_array_equal(array, again[key])
        assert (key == "labels") == np.array_equal(array, other[key])
    if "labels" in inputs:
        np.testing.assert_array_equal(inputs["labels"], np.eye(3)[np.arange(batch) % 3])
    if "images" in inputs:
        assert inputs["images"].min() >= 0 and inputs["images"].max() <= 1


@pytest.mark.parametrize("batch", [1, 16, 40])
def test_reference_rows_are_what_the_replay_engine_knows(bundles, batch):
    bundle = Bundle.open(bundles / "realnvp.bundle")
    rows = suite.reference_rows(bundle, "decode", batch)
    with open_engine(bundle, "decode", "replay") as engine:
        assert len(engine.run(**rows)["images"]) == batch


def test_every_engine_is_closed_after_a_run_and_after_an_error(bundles, monkeypatch, sentence):
    opened, real = [], suite.open_system

    def remember(*given):
        opened.append(real(*given))
        return opened[-1]

    monkeypatch.setattr(suite, "open_system", remember)
    bundle = Bundle.open(bundles / "cvae.bundle")
    suite.run(bundle, ["ort", "replay"], [1], **QUICK)
    sentence(BackendError, suite.run, bundle, ["ort", "nothing"], [1], **QUICK)
    assert len(opened) == 3 and all(engine.closed for engine in opened)
