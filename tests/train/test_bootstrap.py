"""Intervals contain their value, cover the truth as often as they say, and do not depend on luck."""

import numpy as np
import pytest
from latentjet.train import bootstrap

STREAM = np.random.RandomState(7)


def test_the_interval_of_a_mean_contains_it():
    for count in (1, 2, 30, 500):
        values = STREAM.exponential(size=count)
        figure = bootstrap.mean_figure(values, "nats", seed=0)
        assert figure.value == pytest.approx(values.mean()) and figure.count == count and figure.unit == "nats"
        assert figure.low <= figure.value + 1e-12 and figure.value <= figure.high + 1e-12


def test_the_interval_of_a_mean_is_as_wide_as_theory_says():
    values = STREAM.normal(size=2000)
    figure = bootstrap.mean_figure(values, "", seed=0)
    assert figure.high - figure.low == pytest.approx(2 * 1.96 * values.std() / np.sqrt(2000), rel=0.1)


def test_it_covers_the_truth_about_95_times_in_100():
    hits = 0
    for seed in range(100):
        figure = bootstrap.mean_figure(np.random.RandomState(seed).normal(3.0, 1.0, 200), "", seed)
        hits += figure.low <= 3.0 <= figure.high
    assert 87 <= hits <= 100


def test_a_constant_has_no_spread():
    figure = bootstrap.mean_figure(np.full(50, 8.0), "bits/dim", seed=0)
    assert (figure.value, figure.low, figure.high) == (8.0, 8.0, 8.0)


def test_the_same_seed_gives_the_same_interval_and_another_does_not():
    values = STREAM.normal(size=100)
    assert bootstrap.mean_figure(values, "", 1) == bootstrap.mean_figure(values, "", 1)
    assert bootstrap.mean_figure(values, "", 1) != bootstrap.mean_figure(values, "", 2)


def test_columns_are_independent_of_their_neighbours():
    values = STREAM.normal(size=(40, 3))
    together = bootstrap.mean_figures(values, "", 0)
    assert together[2][:3] == pytest.approx(bootstrap.mean_figure(values[:, 2], "", 0)[:3])


def test_a_ratio_to_itself_is_one_and_scales():
    values = STREAM.exponential(size=(300, 2)) + 1
    for factor in (1, 0.25):
        for figure in bootstrap.ratio_figures(factor * values, values, "ratio", 0):
            assert figure.value == pytest.approx(factor)
            assert figure.low < factor < figure.high


@pytest.mark.parametrize("size", [1000, 100])
def test_subsampling_is_as_wide_as_theory_says_for_a_distance_of_which_it_is_known(size):
    one, other = STREAM.normal(0, 1, (1000, 1)), STREAM.normal(5, 1, (1000, 1))
    figure = bootstrap.distance_figure(lambda a, b: float(b.mean() - a.mean()), one, other, size, "", 0)
    assert figure.low < figure.value < figure.high
    assert figure.high - figure.low == pytest.approx(2 * 1.96 * np.sqrt(2 / 1000), rel=0.3)
