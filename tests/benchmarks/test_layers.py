"""Nodes of a graph, the layers of the model they belong to, and the times that profilers tell of them."""

import pytest
from latentjet.benchmarks import layers, nodes
from latentjet.benchmarks.nodes import Node, layer_of, placed
from latentjet.runtime.bundle import Bundle
from latentjet.runtime.engine import open_engine
from latentjet.runtime.errors import BundleError


def node(name, operator, inputs, outputs):
    return Node(name, operator, tuple(inputs), tuple(outputs), "")


def test_a_layer_is_named_by_its_weights_and_couplings_are_whole():
    assert layer_of("module.levels.1.couplings.3.hidden.0.weight") == "levels.1.couplings.3"
    assert layer_of("module.nets.decoder.6.bias") == "nets.decoder.6"
    assert layer_of("val_35") == ""


def test_a_node_without_weights_belongs_to_where_its_inputs_came_from_last():
    weights = {"module.a.weight", "module.b.weight", "val_1"}
    known = placed(
        [
            node("split", "Split", ["z", "val_1"], ["low", "high"]),
            node("first", "Conv", ["low", "module.a.weight"], ["x"]),
            node("relu", "Relu", ["x"], ["y"]),
            node("second", "Conv", ["y", "module.b.weight"], ["t"]),
            node("add", "Add", ["t", "high"], ["u"]),
            node("late", "Exp", ["y"], ["v"]),
        ],
        weights,
    )
    assert [item.layer for item in known] == ["input", "a", "a", "b", "b", "a"]


@pytest.mark.parametrize(("family", "layer"), [("realnvp", "levels.0.couplings.1"), ("cvae", "nets.")])
def test_every_node_of_a_bundle_has_a_layer(bundles, family, layer):
    bundle = Bundle.open(bundles / (family + ".bundle"))
    known = nodes.read(bundle.read("decode.onnx"))
    assert len(known) == bundle.graph("decode").figures["nodes"]
    assert all(item.name and item.operator and item.outputs and item.layer for item in known)
    assert any(item.layer.startswith(layer) for item in known)


def test_cut_off_bytes_are_a_sentence(bundles, sentence):
    content = Bundle.open(bundles / "cvae.bundle").read("decode.onnx")
    for damaged in (b"", b"text", content[:-5], content[: len(content) // 2], b"\xff" * 40):
        assert "cannot be understood" in sentence(BundleError, nodes.read, damaged)


@pytest.mark.parametrize("family", ["realnvp", "vae", "cvae"])
def test_onnx_runtimes_kernels_add_up_to_the_layers_of_the_model(bundles, family):
    bundle = Bundle.open(bundles / (family + ".bundle"))
    with open_engine(bundle, "decode", "ort", 1) as engine:
        (one, more) = layers.measure(bundle, engine, "ort", [1, 3], 1)
    assert (one["batch"], more["batch"]) == (1, 3) and one["system"] == "ort"
    known = {item.layer for item in nodes.read(bundle.read("decode.onnx"))}
    for entry in (one, more):
        assert all(item["seconds"] > 0 and item["operators"] and item["name"] for item in entry["layers"])
        assert {item["layer"] for item in entry["layers"]} <= known
        heavy = {item["layer"] for item in entry["layers"] if set(item["operators"]) & {"Conv", "Gemm", "FusedGemm"}}
        assert len(heavy) > 1 and "input" not in heavy
        grouped = layers.by_layer(entry["layers"])
        assert sum(seconds for _, seconds in grouped) == pytest.approx(sum(item["seconds"] for item in entry["layers"]))
        assert len({name for name, _ in grouped}) == len(grouped)


def event(name, operator, duration):
    return {"cat": "Node", "name": name + layers.ENDING, "dur": duration, "args": {"op_name": operator}}


def test_the_first_calls_of_a_profile_are_not_counted_and_medians_are_told():
    known = placed([node("conv", "Conv", ["z", "module.a.weight"], ["x"]), node("relu", "Relu", ["x"], ["images"])],
                   {"module.a.weight"})  # fmt: skip
    events = [{"cat": "Session", "name": "model_run", "dur": 9}]
    for call in range(layers.UNCOUNTED + layers.CALLS):
        events.append(event("images_nchwc", "Conv", 10**6 if call < layers.UNCOUNTED else 20 + call % 2))
        events.append(event("ReorderOutput_token_1", "ReorderOutput", 2))
    told = layers.from_events(events, known)
    assert told == [
        {"name": "images_nchwc", "operators": ["Conv", "Relu"], "layer": "a", "seconds": pytest.approx(20.5e-6)},
        {"name": "ReorderOutput_token_1", "operators": ["ReorderOutput"], "layer": "a", "seconds": pytest.approx(2e-6)},
    ]
    assert layers.from_events(events[:-1], known) == [] and layers.from_events([], known) == []
