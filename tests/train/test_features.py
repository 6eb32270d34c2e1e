"""FID and KID: zero where they must be, symmetric, and what the formulas give where these can be worked out by hand."""

import numpy as np
import pytest
from latentjet.train import features

STREAM = np.random.RandomState(3)
ONE = STREAM.normal(size=(700, 6)) @ STREAM.normal(size=(6, 6))
OTHER = STREAM.exponential(size=(650, 6))


def test_fid_of_a_set_with_itself_is_zero():
    assert features.fid(ONE, ONE) == pytest.approx(0, abs=1e-5)
    dead = np.hstack([ONE, np.zeros((700, 3))])  # features that are never active
    assert features.fid(dead, dead) == pytest.approx(0, abs=1e-5)


def test_fid_and_kid_are_symmetric():
    assert features.fid(ONE, OTHER) == pytest.approx(features.fid(OTHER, ONE), rel=1e-9)
    assert features.kid(ONE, OTHER) == pytest.approx(features.kid(OTHER, ONE), rel=1e-9)


def test_fid_of_a_moved_set_is_the_squared_step():
    step = np.arange(6.0)
    assert features.fid(ONE, ONE + step) == pytest.approx(step @ step, rel=1e-6)


def test_fid_of_a_scaled_set_is_worked_out_by_hand():
    mean, variances = ONE.mean(0), ONE.var(0, ddof=1)
    assert features.fid(ONE, 3 * ONE) == pytest.approx(4 * (mean @ mean) + 4 * variances.sum(), rel=1e-6)


def test_fid_does_not_depend_on_the_order_or_a_rotation():
    turn = np.linalg.qr(STREAM.normal(size=(6, 6)))[0]
    assert features.fid(ONE[::-1] @ turn, OTHER @ turn) == pytest.approx(features.fid(ONE, OTHER), rel=1e-6)


def test_kid_is_its_formula():
    one, other = ONE[:8], OTHER[:7]

    def kernel(x, y):
        return (x @ y / 6 + 1) ** 3

    same = [
        np.mean([kernel(x, y) for i, x in enumerate(rows) for j, y in enumerate(rows) if i != j])
        for rows in (one, other)
    ]
    cross = np.mean([kernel(x, y) for x in one for y in other])
    assert features.kid(one, other) == pytest.approx(sum(same) - 2 * cross, rel=1e-9)


def test_blocks_make_no_difference(monkeypatch):
    whole = features.kid(ONE, OTHER)
    monkeypatch.setattr(features, "BLOCK", 33)
    assert features.kid(ONE, OTHER) == pytest.approx(whole, rel=1e-9)


def test_kid_of_halves_of_one_set_is_zero_on_average_and_of_others_is_not():
    found = []
    for seed in range(200):
        rows = np.random.RandomState(seed).permutation(600)
        found.append(features.kid(OTHER[rows[:300]], OTHER[rows[300:]]))
    assert abs(np.mean(found)) < 3 * np.std(found) / np.sqrt(200)
    assert min(found) < 0 < max(found)
    assert features.kid(OTHER[:300], OTHER[300:600] + 0.5) > 5 * np.std(found)


@pytest.mark.parametrize("figure", [features.fid_figure, features.kid_figure])
def test_figures_contain_their_value_and_say_what_they_are_not(figure):
    found = figure(ONE, OTHER, seed=0)
    assert found.low <= found.value <= found.high
    assert found.count == 700 and "against 650 images" in found.note
    assert "not comparable with Inception FID" in found.note


def test_fid_is_never_negative():
    assert features.fid_figure(ONE, ONE, seed=0).low == 0
