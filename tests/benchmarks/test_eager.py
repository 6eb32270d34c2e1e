"""Eager PyTorch as an engine: the model that was exported, under the rules of every engine."""

import io

import numpy as np
import pytest
import torch
from latentjet.benchmarks.systems import open_system
from latentjet.runtime.bundle import Bundle
from latentjet.runtime.errors import BackendError, BundleError, InputError

GRAPHS = [
    ("cvae.bundle", "decode"),
    ("vae.bundle", "decode"),
    ("realnvp.bundle", "decode"),
    ("realnvp.bundle", "encode"),
    ("realnvp.bundle", "log_prob"),
    ("realnvp.bundle", "dequantise"),
]


def npz(arrays):
    buffer = io.BytesIO()
    np.savez(buffer, **arrays)
    return buffer.getvalue()


def parts(arrays, low, high):
    return {key: array[low:high] for key, array in arrays.items()}


@pytest.mark.parametrize(("name", "graph"), GRAPHS)
def test_eager_is_what_the_reference_came_from(bundles, name, graph):
    bundle = Bundle.open(bundles / name)
    inputs, expected = bundle.reference(graph)
    with open_system(bundle, graph, "eager", None) as engine:
        outputs = engine.run(**inputs)
    assert engine.backend == "eager" and sorted(outputs) == sorted(expected)
    for key in expected:
        assert outputs[key].dtype == np.float32
        np.testing.assert_allclose(outputs[key], expected[key], rtol=0, atol=bundle.graph(graph).tolerance)


@pytest.mark.parametrize(("name", "graph"), GRAPHS)
def test_a_row_does_not_depend_on_the_rows_beside_it(bundles, name, graph):
    bundle = Bundle.open(bundles / name)
    inputs, _ = bundle.reference(graph)
    with open_system(bundle, graph, "eager", 1) as engine:
        outputs = engine.run(**inputs)
        for row in range(len(next(iter(inputs.values())))):
            alone = engine.run(**parts(inputs, row, row + 1))
            for key, output in outputs.items():
                np.testing.assert_allclose(alone[key][0], output[row], rtol=1e-5, atol=1e-4)


@pytest.mark.parametrize(("name", "graph"), GRAPHS)
def test_results_stay_as_they_are_when_the_engine_runs_again(bundles, name, graph):
    bundle = Bundle.open(bundles / name)
    inputs, _ = bundle.reference(graph)
    with open_system(bundle, graph, "eager", 1) as engine:
        first = engine.run(**parts(inputs, 0, 4))
        kept = {key: output.copy() for key, output in first.items()}
        second = engine.run(**parts(inputs, 4, 8))
        for key, output in first.items():
            assert not np.array_equal(output, second[key])
            np.testing.assert_array_equal(output, kept[key])


def test_inputs_are_checked_as_those_of_every_engine(bundles, sentence):
    bundle = Bundle.open(bundles / "vae.bundle")
    with open_system(bundle, "decode", "eager", 1) as engine:
        text = sentence(InputError, engine.run, z=np.zeros((2, 5)))
        assert "input 'z' is float64 (2, 5), expected float32 (batch, 5)" in text
    engine.close()
    text = sentence(InputError, engine.run, z=np.zeros((2, 5), np.float32))
    assert "this engine is closed" in text


def test_a_bundle_without_weights_has_no_eager_baseline(bundle, altered, sentence):
    """As export_module makes them: only the graph of a module that this package does not know."""
    altered(bundle, {"weights.npz": None})
    text = sentence(BackendError, open_system, Bundle.open(bundle), "decode", "eager", 1)
    assert "holds no weights, only graphs" in text and "your own module" in text


@pytest.mark.parametrize("damage", ["one lacking", "one too many", "another shape"])
def test_weights_that_make_no_model(bundle, altered, damage):
    weights = Bundle.open(bundle).arrays("weights.npz")
    name = sorted(weights)[0]
    if damage == "one lacking":
        del weights[name]
    elif damage == "one too many":
        weights["another"] = np.zeros(3, np.float32)
    else:
        weights[name] = weights[name][:-1]
    altered(bundle, {"weights.npz": npz(weights)})
    with pytest.raises(BundleError, match="its weights make no model"):
        open_system(Bundle.open(bundle), "decode", "eager", 1)


@pytest.mark.parametrize(
    "model",
    [
        {"class": "Diffusion", "arguments": {}},
        {"class": "GAN", "arguments": {}},
        {"class": "VAE", "arguments": {"depth": 3}},
        {"class": "VAE"},
        {},
    ],
)
def test_a_model_that_is_not_known(bundle, model, sentence):
    opened = Bundle.open(bundle)
    opened.manifest["model"] = model
    assert "export it again" in sentence(BundleError, open_system, opened, "decode", "eager", 1)


@pytest.mark.parametrize(
    ("name", "graph"), [("realnvp.bundle", "decode"), ("realnvp.bundle", "log_prob"), ("gan.bundle", "decode")]
)
@pytest.mark.parametrize("system", ["eager-channels-last", "torchscript"])
def test_other_forms_give_what_the_reference_has_at_every_batch(bundles, name, graph, system):
    bundle = Bundle.open(bundles / name)
    inputs, expected = bundle.reference(graph)
    with open_system(bundle, graph, system, 1) as engine:
        for low, high in ((0, 1), (1, 3), (0, 8)):
            outputs = engine.run(**parts(inputs, low, high))
            for key in expected:
                gap = np.abs(outputs[key] - expected[key][low:high]).max()
                assert gap <= bundle.graph(graph).tolerance


def test_a_model_without_convolutions_has_no_channels_last(bundles, sentence):
    bundle = Bundle.open(bundles / "cvae.bundle")
    assert "no convolutions" in sentence(BackendError, open_system, bundle, "decode", "eager-channels-last")


@pytest.mark.skipif(not hasattr(torch, "compile"), reason="torch.compile came with torch 2.0")
def test_compile_compiles_each_batch_size_by_itself(bundles, monkeypatch):
    """The real compiler takes half a minute; here it hands back what it was given, and it is looked at what it gets."""
    asked = []

    def compile_(module, **options):
        asked.append(options)
        return module

    monkeypatch.setattr(torch, "compile", compile_)
    bundle = Bundle.open(bundles / "cvae.bundle")
    inputs, expected = bundle.reference("decode")
    with open_system(bundle, "decode", "compile", 1, "cpu") as engine:
        assert engine.each_batch and np.abs(engine.run(**inputs)["images"] - expected["images"]).max() <= 1e-5
    assert asked == [{"mode": None, "dynamic": False}]


def test_a_compiler_that_fails_is_one_sentence(bundles, monkeypatch, sentence):
    def failing(module, **options):
        raise RuntimeError("no C++ compiler\nsecond line")

    monkeypatch.setattr(torch, "compile", failing, raising=False)
    bundle = Bundle.open(bundles / "cvae.bundle")
    text = sentence(BackendError, open_system, bundle, "decode", "compile", 1, "cpu")
    assert "makes no compile of this: no C++ compiler second line" in text
    monkeypatch.delattr(torch, "compile")
    text = sentence(BackendError, open_system, bundle, "decode", "compile", 1, "cpu")
    assert "has no torch.compile: it came with 2.0" in text


def test_half_precision_is_for_gpus(bundles, sentence):
    bundle = Bundle.open(bundles / "cvae.bundle")
    text = sentence(BackendError, open_system, bundle, "decode", "eager-fp16", 1, "cpu")
    assert "half precision is for GPUs" in text


def test_cuda_that_is_asked_for_and_not_there(bundles, monkeypatch, sentence):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    bundle = Bundle.open(bundles / "cvae.bundle")
    text = sentence(BackendError, open_system, bundle, "decode", "eager", 1, "cuda")
    assert "finds no CUDA device: give --device cpu" in text


def test_on_a_processor_there_is_no_device_to_watch(bundles):
    bundle = Bundle.open(bundles / "cvae.bundle")
    with open_system(bundle, "decode", "eager", 1, "cpu") as engine:
        assert engine.watch(True) is False and engine.device_seconds() == 0.0
