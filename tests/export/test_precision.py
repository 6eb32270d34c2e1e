"""Precision is decided by what was measured; a graph that half cannot hold is promoted until it can, or refused."""

import numpy as np
import onnx
import pytest
import torch
from latentjet.export import precision
from latentjet.export.module import export_module
from latentjet.export.target import find_target
from latentjet.export.to_onnx import to_onnx
from latentjet.runtime.bundle import Bundle
from latentjet.train import checkpoint as checkpoints
from torch import nn


def graph_of(module, width=6):
    return to_onnx(module.eval(), {"z": torch.randn(3, width)}, ["images"], find_target("tx2"))


def batches(width=6, rows=200, scale=1.0):
    def make():
        yield {"z": (scale * np.random.RandomState(0).standard_normal((rows, width))).astype(np.float32)}

    return make


def decide(module, **options):
    model = graph_of(module)
    return model, precision.decide(model, batches(**options), batches(**options)())


class Times(nn.Module):
    """A net, then arithmetic that passes through values of the given size."""

    def __init__(self, size):
        super().__init__()
        self.net, self.size = nn.Linear(6, 6), size

    def forward(self, z):
        return torch.sigmoid(self.net(z) * self.size / self.size)


def test_what_fits_runs_in_half_altogether():
    _, decision = decide(Times(1.0))
    assert decision.keep == {} and decision.promotions == 0 and decision.gate.passed
    assert decision.gate.not_finite == 0 and decision.gate.samples == 200


def test_values_beyond_half_keep_their_nodes_in_float32_and_say_why():
    model, decision = decide(Times(1e6))
    assert decision.model is not None and decision.gate.passed
    large = [node.name for node in model.graph.node if decision.ranges[node.output[0]] > precision.LIMIT]
    assert large and set(large) <= set(decision.keep)
    assert all("65504" in decision.keep[name] for name in large)
    reader = next(node.name for node in model.graph.node if node.op_type == "Div")
    assert "reads values up to" in decision.keep[reader]


class Exponential(nn.Module):
    def forward(self, z):
        return torch.exp(z + 10) * 1e-5


def test_an_exponential_of_more_than_half_holds_stays_in_float32():
    model, decision = decide(Exponential())
    (exponential,) = [node.name for node in model.graph.node if node.op_type == "Exp"]
    assert exponential in decision.keep and decision.exps[exponential] > 9.7 and decision.gate.passed


class Fine(nn.Module):
    """A difference of nearly equal numbers: rounding to half loses it; its arithmetic in float32 keeps it."""

    def forward(self, z):
        return torch.sigmoid((torch.tanh(z) * 8000 + 1) - torch.tanh(z) * 8000)


def test_a_gate_that_fails_promotes_the_arithmetic_first():
    _, decision = decide(Fine())
    assert decision.promotions == 1 and decision.gate.passed
    assert any("arithmetic" in reason for reason in decision.keep.values())


def test_what_no_promotion_mends_is_refused(monkeypatch):
    monkeypatch.setattr(precision, "SHARE_WITHIN", 2.0)
    model, decision = decide(Times(1.0))
    assert decision.model is None and set(decision.keep) == {node.name for node in model.graph.node}
    entry = precision.entry(decision, "decode.fp16.onnx", 0.0)
    assert entry["file"] is None and entry["gate"]["passed"] is False


def test_the_gate_counts_what_is_not_finite():
    model = graph_of(Exponential())
    wild = onnx.ModelProto()
    wild.CopyFrom(model)
    constant = next(item for item in wild.graph.initializer if onnx.numpy_helper.to_array(item) == np.float32(10))
    constant.CopyFrom(onnx.numpy_helper.from_array(np.float32(200), constant.name))
    with np.errstate(all="ignore"):
        gate = precision.compare(model, wild, batches()())
    assert gate.not_finite == 200 * 6 and not gate.passed


def test_the_product_bound_holds_whatever_the_nets_return(bundles):
    flow = checkpoints.load(bundles / "realnvp").model().double()
    bound = precision.product_bound(flow)
    with torch.no_grad():
        for level in flow.levels:
            for coupling in level.couplings:
                coupling.last.bias[: coupling.channels] = 100.0  # tanh at 1: exp(s) at its largest
    z = torch.randn(4, flow.latent, dtype=torch.float64, requires_grad=True)
    labels = torch.eye(3, dtype=torch.float64)[[0, 1, 2, 0]]
    v = flow.tone.forward(flow.inverse(z, labels))[0]
    (gradient,) = torch.autograd.grad(v.flatten(1)[:, 0].sum(), z)
    assert 1 < gradient.abs().max() <= bound * 1.5, "the Jacobian's diagonal part stays within the bound"


@pytest.mark.parametrize("family", ["vae", "cvae", "realnvp"])
def test_bundles_say_what_was_measured(bundles, family):
    opened = Bundle.open(bundles / f"{family}.bundle")
    found = opened.graph("decode").precision
    assert found["file"] == "decode.fp16.onnx" and found["gate"]["passed"] and found["gate"]["samples"] == 10_000
    assert found["gate"]["within"] >= 0.999 and (found["gate"]["round_trip"] is not None) == (family == "realnvp")
    assert all(graph.precision is None for name, graph in opened.graphs.items() if name != "decode")


def test_a_module_without_z_is_judged_on_its_example_inputs(tmp_path):
    opened = export_module(nn.Linear(6, 3), {"x": torch.randn(7, 6)}, tmp_path / "m.bundle", outputs=("y",))
    assert opened.graph("decode").precision["gate"]["samples"] == 7


@pytest.mark.parametrize(("within", "not_finite", "passes"), [(0.999, 0, True), (0.99899, 0, False), (1.0, 1, False)])
def test_the_gate_wants_999_of_1000_pixels_within_two_levels_and_every_value_finite(within, not_finite, passes):
    assert precision.Gate(within, 2.0, not_finite, 10_000).passed == passes


@pytest.mark.parametrize(("largest", "kept"), [(65504 / 4 - 1, False), (65504 / 4 + 1, True), (30_000.0, True)])
def test_a_node_within_a_factor_four_of_what_half_holds_stays_in_float32(largest, kept):
    """Other samples than the calibration's go further."""
    model = onnx.helper.make_model(
        onnx.helper.make_graph([onnx.helper.make_node("Tanh", ["x"], ["y"], "the_node")], "test", [], [])
    )
    assert bool(precision.out_of_range(model, {"y": largest})) == kept
