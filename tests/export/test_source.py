"""A bundle with weights is exported again as its checkpoint would be; one without says what to give instead."""

import json

import numpy as np
import onnx
import pytest
from latentjet.export import export_module
from latentjet.export.pack import export_checkpoint
from latentjet.export.source import opened, trained
from latentjet.runtime.bundle import Bundle
from latentjet.runtime.cli import main
from latentjet.runtime.errors import BundleError, ExportError
from latentjet.train.errors import CheckpointError
from torch import nn, randn


def quiet(line):
    pass


@pytest.mark.parametrize("family", ["cvae", "realnvp"])
def test_exported_again_it_is_the_same_bundle(bundles, tmp_path, family):
    before = Bundle.open(bundles / f"{family}.bundle")
    after = export_checkpoint(before.path, tmp_path / "again.zip", progress=quiet, compacted=True)
    assert set(after.graphs) == set(before.graphs)
    for name in ("family", "model", "classes", "data", "trained", "settings", "image", "pixels", "latent"):
        assert after.manifest[name] == before.manifest[name], name
    for described in before.graphs.values():
        assert after.read(described.file) == before.read(described.file)
    weights, again = before.arrays("weights.npz"), after.arrays("weights.npz")
    assert set(weights) == set(again) and all(np.array_equal(weights[name], again[name]) for name in weights)


def test_a_name_that_ships_is_a_source():
    source = opened("fashion-cvae")
    assert source.about["family"] == "cvae" and not source.model.training


def test_a_bundle_without_weights_says_what_to_give(bundles, tmp_path, capsys):
    export_module(nn.Linear(4, 5), {"z": randn(2, 4)}, tmp_path / "mine.bundle")
    with pytest.raises(ExportError, match=r"without the weights of a model.*export_module"):
        opened(tmp_path / "mine.bundle")
    assert main(["export", str(tmp_path / "mine.bundle"), str(tmp_path / "out")]) == 1
    assert capsys.readouterr().err.count("\n") == 1 and not (tmp_path / "out").exists()


def test_a_manifest_that_lacks_an_entry_is_named(bundles, tmp_path):
    place = tmp_path / "cvae.bundle"
    main(["copy", str(bundles / "cvae.bundle"), str(place)])
    manifest = json.loads((place / "bundle.json").read_text())
    del manifest["settings"]
    (place / "bundle.json").write_text(json.dumps(manifest))
    with pytest.raises(BundleError, match="lacks 'settings'"):
        opened(place)


@pytest.mark.parametrize("model", ["x", None, {}, {"class": []}, {"class": "Unet", "arguments": {}}])
def test_a_model_that_is_garbled_or_not_known_is_one_sentence(bundles, tmp_path, model, capsys):
    place = tmp_path / "cvae.bundle"
    main(["copy", str(bundles / "cvae.bundle"), str(place)])
    manifest = json.loads((place / "bundle.json").read_text())
    manifest["model"] = model
    (place / "bundle.json").write_text(json.dumps(manifest))
    capsys.readouterr()
    assert main(["export", str(place), str(tmp_path / "new.zip")]) == 1
    error = capsys.readouterr().err
    assert error.count("\n") == 1 and "expected one of GAN, RealNVP, VAE" in error and "--backend" not in error


def test_a_name_that_does_not_ship_lists_those_that_do(tmp_path):
    with pytest.raises(CheckpointError, match=r"fashion-foo does not exist.*fashion-realnvp"):
        opened("fashion-foo")


def test_what_is_no_checkpoint_is_said_in_our_words(tmp_path):
    (tmp_path / "README.md").write_text("a file")
    with pytest.raises(CheckpointError, match="it is no .npz file") as caught:
        opened(tmp_path / "README.md")
    assert "pickle" not in str(caught.value)


def test_no_graph_that_ships_has_a_product_without_a_third_input():
    from latentjet.runtime import shipped

    for name in shipped.names():
        bundle = Bundle.open(name)
        for file in bundle.manifest["files"]:
            if file.endswith(".onnx"):
                for node in onnx.load_from_string(bundle.read(file)).graph.node:
                    assert node.op_type != "Gemm" or len(node.input) == 3, (name, file, node.name)


def test_a_run_without_an_epoch_says_where_its_weights_are_from():
    assert trained({"settings": {}}, []) == "not at all: as it was drawn"
    assert trained({"settings": {"start": {"epochs": 24}}}, []) == "no further than 24 epochs of another run"
    about = {"settings": {"start": {"epochs": 24}}, "data": {"images": 90, "name": "mnist"}, "unit": "bits/dim"}
    assert trained(about, [{"epoch": 2, "validation": 1.07}]) == (
        "2 epochs on 90 images of mnist, from the weights of a run of 24 epochs; "
        "1.070 bits/dim on held-out training images"
    )
