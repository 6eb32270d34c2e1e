"""Half precision's limit in levels of 8 bits: one scale for the exporter, the builder and the check."""

import numpy as np
import pytest
from latentjet.runtime.check import compare
from latentjet.runtime.levels import LEVELS, count_within, levels, span


@pytest.mark.parametrize("low, high, expected", [(0, 1, 1), (0.4, 0.6, 1), (-0.001, 1, 1), (-3, 5, 8), (0, 200, 200)])
def test_images_have_the_range_of_images_and_others_their_own(low, high, expected):
    assert span(np.linspace(low, high, 50, dtype=np.float32)) == pytest.approx(expected)


def test_a_constant_output_has_a_range_to_divide_by():
    assert span(np.full(3, 7, np.float32)) == 1


def test_levels_count_in_parts_of_the_range():
    expected = np.array([0, 50, 100], np.float32)
    gaps = levels(expected + np.array([0, 100 / 255, -300 / 255], np.float32), expected)
    np.testing.assert_allclose(gaps, [0, 1, 3], atol=1e-4)
    assert count_within(gaps) == 2 and LEVELS == 2


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_what_is_not_finite_is_within_nothing(value):
    gaps = levels(np.array([value, 0.5], np.float32), np.array([0.5, 0.5], np.float32))
    assert gaps[0] == np.inf and count_within(gaps) == 1


@pytest.mark.parametrize("scale", [1, 40])
@pytest.mark.parametrize("off, passes", [(1.9, True), (2.1, False)])
def test_check_allows_what_the_gate_allows(scale, off, passes):
    class Tensor:
        name = "y"

    class Graph:
        name, outputs, tolerance = "decode", (Tensor,), 1e-5

    expected = np.linspace(0, scale, 1000, dtype=np.float32).reshape(100, 10)
    (item,) = compare(Graph, {"y": expected + np.float32(off * scale / 255)}, {"y": expected}, "fp16")
    assert item.passed == passes
    assert passes == (count_within(levels(expected + np.float32(off * scale / 255), expected)) == expected.size)
