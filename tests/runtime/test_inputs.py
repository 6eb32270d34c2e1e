"""Random inputs: a seed names the same numbers for good, for benchmarks and for the builder."""

import numpy as np
import pytest
from latentjet.runtime.bundle import Bundle
from latentjet.runtime.inputs import random_inputs
from latentjet.runtime.model import noise


@pytest.mark.parametrize(
    "family, graph", [("cvae", "decode"), ("realnvp", "encode"), ("realnvp", "dequantise"), ("vae", "decode")]
)
def test_they_fit_the_graph(bundles, family, graph):
    described = Bundle.open(bundles / (family + ".bundle")).graph(graph)
    found = random_inputs(described, 7, np.random.RandomState(5))
    assert [(name, array.shape[1:]) for name, array in found.items()] == [
        (tensor.name, tuple(tensor.shape[1:])) for tensor in described.inputs
    ]
    assert all(len(array) == 7 and array.dtype == np.float32 for array in found.values())
    if "labels" in found:
        assert (found["labels"].argmax(axis=1) == np.arange(7) % 3).all() and (found["labels"].sum(axis=1) == 1).all()
    if "levels" in found:
        levels, uniform = found["levels"], found["uniform"]
        assert 0 <= levels.min() < levels.max() <= 255 and (levels == levels.round()).all()
        assert 0 <= uniform.min() < uniform.max() < 1
    if "images" in found:
        assert 0 <= found["images"].min() < found["images"].max() < 1


def test_z_is_the_noise_of_the_seed(bundles):
    described = Bundle.open(bundles / "cvae.bundle").graph("decode")
    found = random_inputs(described, 6, np.random.RandomState(9))
    assert (found["z"] == noise(9, 6, 5)).all()


def test_several_inputs_are_not_the_same_numbers():
    class Tensor:
        def __init__(self, name):
            self.name, self.shape = name, ("batch", 4)

    class Graph:
        inputs = (Tensor("a"), Tensor("b"))

    found = random_inputs(Graph, 3, np.random.RandomState(0))
    assert (found["a"] != found["b"]).all()
