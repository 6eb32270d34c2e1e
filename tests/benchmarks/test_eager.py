"""Eager PyTorch as an engine: the model that was exported, under the rules of every engine."""

import io

import numpy as np
import pytest
from latentjet.benchmarks.suite import open_system
from latentjet.runtime.bundle import Bundle
from latentjet.runtime.errors import BackendError, BundleError, InputError

GRAPHS = [
    ("cvae.bundle", "decode"),
    ("vae.bundle", "decode"),
    ("realnvp.bundle", "decode"),
    ("realnvp.bundle", "encode"),
    ("realnvp.bundle", "log_prob"),
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
        (output,) = engine.run(**inputs).values()
        for row in range(len(output)):
            (alone,) = engine.run(**parts(inputs, row, row + 1)).values()
            np.testing.assert_allclose(alone[0], output[row], rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize(("name", "graph"), GRAPHS)
def test_results_stay_as_they_are_when_the_engine_runs_again(bundles, name, graph):
    bundle = Bundle.open(bundles / name)
    inputs, _ = bundle.reference(graph)
    with open_system(bundle, graph, "eager", 1) as engine:
        (first,) = engine.run(**parts(inputs, 0, 4)).values()
        kept = first.copy()
        (second,) = engine.run(**parts(inputs, 4, 8)).values()
        assert not np.array_equal(first, second)
        np.testing.assert_array_equal(first, kept)


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
