"""The check finds an engine that is wrong, and only that."""

import io

import numpy as np
import pytest
from latentjet.runtime import engine
from latentjet.runtime.bundle import Bundle
from latentjet.runtime.check import check, compare, run_in_parts
from latentjet.runtime.engine import open_engine
from latentjet.runtime.errors import BackendError, BundleError, CheckError

ALL = {
    "cvae.bundle": ["decode"],
    "gan.bundle": ["decode"],
    "realnvp.bundle": ["decode", "dequantise", "dequantise", "encode", "log_prob"],
    "vae.bundle": ["decode"],
}


@pytest.mark.parametrize("name", sorted(ALL))
@pytest.mark.parametrize("backend", ["ort", "replay"])
def test_a_right_engine_passes_in_every_graph(bundles, name, backend):
    bundle = Bundle.open(bundles / name)
    taken, found = check(bundle, backend)
    assert taken == backend and [item.graph for item in found] == ALL[name]
    for item in found:
        assert item.passed and 0 <= item.mean <= item.largest <= item.tolerance == bundle.graph(item.graph).tolerance
        assert item.rows == 13
        assert backend != "replay" or item.largest == 0


def test_auto_says_which_backend_it_took(bundles, monkeypatch):
    for name in ("ort", "replay"):
        monkeypatch.setattr(engine, "AUTO", (name,))
        assert check(Bundle.open(bundles / "cvae.bundle"), "auto")[0] == name


def test_one_graph_may_be_named(bundles, sentence):
    bundle = Bundle.open(bundles / "realnvp.bundle")
    assert [item.graph for item in check(bundle, "ort", graphs=["encode"])[1]] == ["encode"]
    assert "no graph 'other'" in sentence(BundleError, check, bundle, "ort", graphs=["other"])
    assert "expected one of" in sentence(BackendError, check, bundle, "cuda")


@pytest.mark.parametrize(("by", "passes"), [(5e-5, True), (2e-4, False), (0.5, False)])
def test_an_engine_that_differs_by_more_than_is_allowed_fails(bundle, altered, by, passes):
    arrays = Bundle.open(bundle).arrays("reference.npz")
    arrays["decode/images"][7, 0, 3, 3] += np.float32(by)
    buffer = io.BytesIO()
    np.savez(buffer, **arrays)
    altered(bundle, {"reference.npz": buffer.getvalue()})
    (item,) = check(Bundle.open(bundle), "ort")[1]
    assert item.passed is passes
    assert item.largest == pytest.approx(by, abs=1e-6)


def difference(bundles, change):
    bundle = Bundle.open(bundles / "cvae.bundle")
    _, expected = bundle.reference("decode")
    seen = {"images": expected["images"].copy()}
    change(seen)
    (found,) = compare(bundle.graph("decode"), seen, expected)
    return found


def test_equal_outputs_differ_by_nothing(bundles):
    found = difference(bundles, lambda seen: None)
    assert (found.graph, found.output, found.rows, found.largest, found.mean) == ("decode", "images", 13, 0, 0)


def test_a_planted_difference_is_measured(bundles):
    found = difference(bundles, lambda seen: np.subtract.at(seen["images"], (3, 0, 1, 2), np.float32(0.25)))
    assert found.largest == pytest.approx(0.25) and found.mean == pytest.approx(0.25 / (13 * 64))
    assert not found.passed


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_a_value_that_is_not_finite_never_passes(bundles, value):
    found = difference(bundles, lambda seen: seen["images"].__setitem__((0, 0, 0, 0), value))
    assert not found.passed and found.largest == float("inf")


def test_a_tolerance_that_is_no_number_never_passes(bundles):
    assert not difference(bundles, lambda seen: None)._replace(largest=float("nan")).passed
    assert not difference(bundles, lambda seen: None)._replace(tolerance=float("nan")).passed


def test_an_output_of_another_shape_is_told(bundles, sentence):
    bundle = Bundle.open(bundles / "cvae.bundle")
    _, expected = bundle.reference("decode")
    seen = {"images": expected["images"][:, 0]}
    text = sentence(CheckError, compare, bundle.graph("decode"), seen, expected)
    assert "'images' is (13, 8, 8), expected (13, 1, 8, 8)" in text


@pytest.mark.parametrize(("count", "sizes"), [(1, [1]), (2, [1, 1]), (3, [1, 2]), (4, [1, 2, 1]), (13, [1, 2, 10])])
def test_rows_run_at_several_batch_sizes_and_come_back_in_order(bundles, count, sizes):
    bundle, seen = Bundle.open(bundles / "cvae.bundle"), []
    inputs, expected = bundle.reference("decode")

    class Counting:
        def run(self, **given):
            seen.append(len(given["z"]))
            return opened.run(**given)

    with open_engine(bundle, "decode", "replay") as opened:
        outputs = run_in_parts(Counting(), {key: array[:count] for key, array in inputs.items()})
    assert seen == sizes
    np.testing.assert_array_equal(outputs["images"], expected["images"][:count])
