"""What engines are asked to do, and the verdict on what they answer."""

import numpy as np
import pytest
from latentjet.benchmarks import loads
from latentjet.runtime.bundle import Bundle
from latentjet.runtime.engine import open_engine
from latentjet.runtime.errors import CheckError, InputError


@pytest.mark.parametrize(("family", "graph"), [("cvae", "decode"), ("vae", "decode"), ("realnvp", "encode")])
@pytest.mark.parametrize("batch", [1, 7, 40])
def test_rows_are_the_references_and_come_from_the_seed(bundles, family, graph, batch):
    bundle = Bundle.open(bundles / (family + ".bundle"))
    (inputs, outputs), (again, _), (other, _) = (loads.rows(bundle, graph, batch, seed) for seed in (3, 3, 4))
    known, expected = bundle.reference(graph)
    for name, array in inputs.items():
        assert array.shape == (batch,) + known[name].shape[1:] and array.dtype == np.float32
        np.testing.assert_array_equal(array, again[name])
    assert batch == 1 or any(not np.array_equal(array, other[name]) for name, array in inputs.items())
    name = next(iter(inputs))
    for row in range(batch):
        at = next(at for at in range(len(known[name])) if np.array_equal(known[name][at], inputs[name][row]))
        for key in outputs:
            np.testing.assert_array_equal(outputs[key][row], expected[key][at])


def test_a_wrong_seed_is_told(bundles, sentence):
    assert "seed is -1" in sentence(InputError, loads.rows, Bundle.open(bundles / "cvae.bundle"), "decode", 2, -1)


@pytest.fixture
def verdict(bundles):
    bundle = Bundle.open(bundles / "cvae.bundle")
    _, expected = loads.rows(bundle, "decode", 5, 0)
    return loads.Verdict(bundle.graph("decode"), "ort", "fp32", expected)


def test_a_right_output_passes_and_the_worst_difference_is_kept(verdict):
    right = verdict.expected["images"]
    for gap in (0.0, 5e-5, 1e-5):
        verdict({"images": right + np.float32(gap)})
    assert verdict.largest == pytest.approx(5e-5, rel=0.01)
    assert verdict.levels() == {"within_2": 1.0, "largest": pytest.approx(5e-5 * 255, rel=0.01)}


@pytest.mark.parametrize("value", [0.01, np.nan, np.inf])
def test_one_wrong_value_is_enough(verdict, value, sentence):
    images = verdict.expected["images"].copy()
    images[2, 0, 3, 3] += np.float32(value)
    text = sentence(CheckError, verdict, {"images": images})
    assert "system 'ort', graph 'decode'" in text and "a wrong result gets no time" in text
    assert verdict.levels() == {}


def test_every_call_of_a_load_gives_what_its_check_expects(bundles):
    bundle = Bundle.open(bundles / "realnvp.bundle")
    with open_engine(bundle, "decode", "replay") as engine:
        load = loads.prepare(bundle, engine, "replay", 9, 1)
        load.check(load.call())
        assert load.device is None and load.check.largest == 0.0
        unchecked = loads.prepare(bundle, engine, "masked", 9, 1)
        assert unchecked.check is None
