"""Which layer is blamed: the one with the largest ratio of output to input."""

import math

import pytest
import torch
from latentjet.train.gains import largest_gain
from torch import nn


def chain(*factors):
    """Linear layers that multiply by these."""
    layers = [nn.Linear(3, 3, bias=False) for _ in factors]
    for layer, factor in zip(layers, factors, strict=True):
        nn.init.eye_(layer.weight).data.mul_(factor)
    return nn.Sequential(*layers)


def blamed(network, x=None):
    return largest_gain({"net.": network}, lambda: network(torch.ones(2, 3) if x is None else x))


def test_the_gain_is_the_ratio_of_root_mean_squares():
    gain = blamed(chain(0.5, 40, 2), torch.randn(2, 3, generator=torch.Generator().manual_seed(0)))
    assert (gain.layer, gain.kind, gain.times) == ("net.1", "Linear", pytest.approx(40, rel=1e-6))
    assert str(gain).startswith("the layer with the largest gain is 'net.1' (Linear): its output is 40 times its input")


def test_a_layer_that_makes_what_is_not_finite_is_blamed_and_none_after_it():
    gain = blamed(chain(2, math.nan, math.nan, 1000))
    assert (gain.layer, gain.times) == ("net.1", math.inf)
    assert str(gain).endswith("its output is not finite, and its input is")
    assert blamed(chain(1, 1e38, 10)).layer == "net.2"


def test_a_layer_with_weights_of_its_own_counts_with_its_parts():
    class Enlarging(nn.Module):
        def __init__(self):
            super().__init__()
            self.inner, self.factor = chain(3)[0], nn.Parameter(torch.tensor(7.0))

        def forward(self, x, nothing):
            return self.factor * self.inner(x), 1e9 * x

    network = nn.ModuleList([Enlarging()])
    gain = largest_gain({"": network}, lambda: network[0](torch.ones(2, 3), None))
    assert (gain.layer, gain.times) == ("0", pytest.approx(21))


def test_nothing_is_left_on_the_layers():
    network = chain(1, 2)
    with pytest.raises(ZeroDivisionError):
        largest_gain({"": network}, lambda: 1 / 0)
    assert not any(layer._forward_hooks for layer in network)
    assert largest_gain({"": network}, lambda: None) is None
