"""Counts on a graph agree with counting by hand."""

import torch
from latentjet.export.figures import figures
from latentjet.export.target import find_target
from latentjet.export.to_onnx import to_onnx


def test_macs_nodes_and_parameters_of_a_graph_counted_by_hand():
    module = torch.nn.Sequential(
        torch.nn.Linear(6, 2 * 4 * 4),
        torch.nn.Unflatten(1, (2, 4, 4)),
        torch.nn.ConvTranspose2d(2, 3, 4, 2, 1),
        torch.nn.Conv2d(3, 5, 3, padding=1),
    ).eval()
    model = to_onnx(module, {"z": torch.randn(3, 6)}, ["images"], find_target("tx2"))
    found = figures(model)
    assert found["macs"] == 6 * 32 + (2 * 3 * 16) * 16 + (3 * 5 * 9) * 64
    assert found["parameters"] == sum(parameter.numel() for parameter in module.parameters())
    assert found["nodes"] == sum(found["operators"].values()) == 4
    assert found["operators"]["Conv"] == found["operators"]["ConvTranspose"] == 1
    assert found["bytes"] == len(model.SerializeToString())


def test_a_product_without_bias_counts_too():
    model = to_onnx(torch.nn.Linear(6, 8, bias=False).eval(), {"z": torch.randn(3, 6)}, ["y"], find_target("tx2"))
    assert figures(model)["macs"] == 48


def test_fusion_merges_activations_and_leaves_the_rest():
    layers = [torch.nn.Conv2d(1, 4, 3), torch.nn.ReLU(), torch.nn.Conv2d(4, 2, 3), torch.nn.ReLU(), torch.nn.Sigmoid()]
    image = {"x": torch.randn(2, 1, 8, 8)}
    found = figures(to_onnx(torch.nn.Sequential(*layers).eval(), image, ["y"], find_target("tx2")))
    assert found["nodes"] == 5 and found["fused_nodes"] == 3
