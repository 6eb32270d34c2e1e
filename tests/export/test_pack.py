"""A bundle holds what eager PyTorch computes, in operators that the board can run, or is not written at all."""

import errno
import re

import numpy as np
import onnx
import pytest
import torch
from latentjet.export import export_module, pack
from latentjet.export.pack import export_checkpoint
from latentjet.runtime import load
from latentjet.runtime.bundle import Bundle
from latentjet.runtime.check import check
from latentjet.runtime.errors import CheckError, ExportError, OutputError
from latentjet.train import checkpoint as checkpoints
from latentjet.train.errors import CheckpointError
from torch import nn

FORBIDDEN = {"Shape", "Gather", "Slice", "NonZero", "ScatterND", "Loop", "If", "Scan", "Cast", "Identity"}


def quiet(line):
    pass


def exported(tmp_path, model, family):
    """Bundle of a model with the default arguments."""
    about = {
        "model": {"class": type(model).__name__, "arguments": model.arguments}, "settings": {"family": family},
        "data": {"name": "none", "source": "a test", "classes": list("abcdefghij"), "images": 0}, "history": [],
        "unit": "", "step": 0, "averaged": 0,
    }  # fmt: skip
    checkpoints.save(tmp_path / "checkpoint.npz", about, checkpoints.arrays_of("ema", model.state_dict()))
    return export_checkpoint(tmp_path / "checkpoint.npz", tmp_path / f"{family}.bundle", progress=quiet)


@pytest.fixture(params=["vae", "cvae", "realnvp", "gan"])
def opened(request, bundles):
    return Bundle.open(bundles / f"{request.param}.bundle")


def test_graphs_are_what_the_board_reads(opened):
    for name, described in opened.graphs.items():
        model = onnx.load_from_string(opened.read(described.file))
        assert [(entry.domain, entry.version) for entry in model.opset_import] == [("", 13)]
        assert model.ir_version == 7
        operators = {node.op_type for node in model.graph.node}
        assert not operators & FORBIDDEN, name
        for value in [*model.graph.input, *model.graph.output]:
            free = [
                size.dim_param for size in value.type.tensor_type.shape.dim if size.WhichOneof("value") != "dim_value"
            ]
            assert free == ["batch"], "the batch is the only free axis"


def test_nothing_in_a_bundle_tells_where_it_was_made(opened):
    for described in opened.graphs.values():
        content = opened.read(described.file)
        assert b"stack_trace" not in content and b"/torch/" not in content and b".py" not in content


def test_reference_is_the_unfolded_eager_model(bundles):
    model, opened = checkpoints.load(bundles / "realnvp").model(), Bundle.open(bundles / "realnvp.bundle")
    inputs, outputs = opened.reference("decode")
    with torch.no_grad():
        again = model.decode(torch.from_numpy(inputs["z"]), torch.from_numpy(inputs["labels"]))
    np.testing.assert_array_equal(again.numpy(), outputs["images"])


def test_reference_covers_every_class_and_mixtures(bundles):
    inputs, _ = Bundle.open(bundles / "cvae.bundle").reference("decode")
    one_hot = inputs["labels"].max(axis=1) == 1
    assert set(inputs["labels"][one_hot].argmax(axis=1)) == {0, 1, 2} and not one_hot.all()


def test_exported_equals_eager_on_fresh_inputs(bundles):
    model = checkpoints.load(bundles / "realnvp").model()
    with load(bundles / "realnvp.bundle") as runtime:
        z = np.random.RandomState(5).standard_normal((6, model.latent)).astype(np.float32)
        labels = runtime.weights([0, 1, 2, 0, 1, 2])
        with torch.no_grad():
            expected = model.decode(torch.from_numpy(z), torch.tensor(labels)).numpy()
        np.testing.assert_allclose(runtime.decode(z, labels), expected, atol=1e-5)


def test_the_default_flow_is_lean(tmp_path):
    torch.manual_seed(0)
    from latentjet.train.models import RealNVP

    model = RealNVP()
    figures = exported(tmp_path, model, "realnvp").graphs["decode"].figures
    couplings = sum(model.arguments["couplings"])
    assert figures["fused_nodes"] <= 9 * couplings + 24, "at most 9 nodes a coupling, 12 of the tone curve, 12 more"
    assert figures["macs"] <= 61e6, "at most 61 million multiply-accumulates an image"


def test_zip_and_folder_hold_the_same(bundles, tmp_path):
    zipped = export_checkpoint(bundles / "cvae", tmp_path / "cvae.zip", progress=quiet)
    assert (tmp_path / "cvae.zip").is_file()
    assert all(item.passed for item in check(zipped, "ort")[1])
    folder = Bundle.open(bundles / "cvae.bundle")
    assert zipped.read("decode.onnx") == folder.read("decode.onnx")


def test_an_existing_bundle_is_left_alone(bundles, tmp_path):
    place = tmp_path / "taken"
    place.mkdir()
    (place / "mine").write_text("precious")
    with pytest.raises(OutputError, match="exists already.*--overwrite"):
        export_checkpoint(bundles / "cvae", place, progress=quiet)
    assert (place / "mine").read_text() == "precious"
    export_checkpoint(bundles / "cvae", place, overwrite=True, progress=quiet)
    assert not (place / "mine").exists() and Bundle.open(place).graphs


def test_a_full_disk_leaves_nothing(bundles, tmp_path, monkeypatch):
    def full(path, *rest, **options):
        raise OutputError(f"{path} cannot be written: {OSError(errno.ENOSPC, 'No space left on device').strerror}")

    place = tmp_path / "out"
    place.mkdir()
    monkeypatch.setattr("latentjet.runtime.files.replace", full)
    with pytest.raises(OutputError, match="No space left on device"):
        export_checkpoint(bundles / "cvae", place / "cvae.bundle", progress=quiet)
    assert list(place.iterdir()) == []


def test_a_graph_that_differs_is_not_written(bundles, tmp_path, monkeypatch):
    def off(*arguments):
        found = to_onnx(*arguments)
        weight = next(item for item in found.graph.initializer if item.data_type == 1)
        weight.CopyFrom(onnx.numpy_helper.from_array(onnx.numpy_helper.to_array(weight) * 1.5, weight.name))
        return found

    to_onnx = pack.to_onnx
    monkeypatch.setattr(pack, "to_onnx", off)
    with pytest.raises(CheckError, match="'decode'.*differs from eager PyTorch by .*nothing was written"):
        export_checkpoint(bundles / "cvae", tmp_path / "wrong.bundle", progress=quiet)
    assert list(tmp_path.iterdir()) == []


def test_a_missing_checkpoint_is_one_sentence(tmp_path):
    with pytest.raises(CheckpointError, match="does not exist"):
        export_checkpoint(tmp_path / "none", tmp_path / "b", progress=quiet)


class Theirs(nn.Module):
    """A decoder as somebody else writes it: view with a size, norms, upsampling, several methods."""

    def __init__(self):
        super().__init__()
        self.entry, self.norm = nn.Linear(8, 64), nn.LayerNorm(64)
        self.body = nn.Sequential(
            nn.Upsample(scale_factor=2), nn.Conv2d(4, 8, 3, padding=1), nn.GroupNorm(2, 8), nn.SiLU(),
            nn.ConvTranspose2d(8, 4, 4, 2, 1), nn.BatchNorm2d(4), nn.GELU(), nn.PixelShuffle(2),
        )  # fmt: skip

    def decode(self, z):
        return torch.sigmoid(self.body(self.norm(self.entry(z)).view(z.size(0), 4, 4, 4)))

    def forward(self, z):
        return self.decode(z) * 2 - 1


def test_a_decoder_that_someone_else_wrote_passes_through(tmp_path):
    torch.manual_seed(0)
    module = Theirs().train()
    opened = export_module(module, {"z": torch.randn(4, 8)}, tmp_path / "theirs.bundle", method="decode")
    assert module.training, "the caller's module is not changed"
    with load(tmp_path / "theirs.bundle") as model:
        z = np.random.RandomState(0).standard_normal((3, 8)).astype(np.float32)
        expected = module.eval().decode(torch.from_numpy(z)).detach().numpy()
        np.testing.assert_allclose(model.decode(z), expected, atol=1e-5)
        assert model.sample(count=2).shape == (2, 1, 32, 32)
    assert opened.image == (1, 32, 32)


class Conditional(nn.Module):
    def __init__(self):
        super().__init__()
        self.net = nn.Linear(7, 16)

    def forward(self, z, labels):
        return self.net(torch.cat([z, labels], 1)).sigmoid().view(-1, 1, 4, 4)


def test_a_conditional_decoder_can_be_sampled_by_class_name(tmp_path):
    inputs = {"z": torch.randn(4, 5), "labels": torch.eye(2)[[0, 1, 0, 1]]}
    export_module(Conditional(), inputs, tmp_path / "c.zip", classes=["cat", "dog"])
    with load(tmp_path / "c.zip") as model:
        assert model.sample(["dog", "cat"], seed=1).shape == (2, 1, 4, 4)


def test_a_bare_onnx_file_for_those_who_want_no_bundle(tmp_path):
    assert export_module(Conditional().net, {"x": torch.randn(4, 7)}, tmp_path / "net.onnx", outputs=("y",)) is None
    onnx.checker.check_model(str(tmp_path / "net.onnx"))


class Refused(nn.Module):
    """A module whose forward is the given function of z."""

    def __init__(self, function):
        super().__init__()
        self.function = function

    def forward(self, z):
        return self.function(z)


REFUSED = {
    "noise inside": (lambda z: z + torch.randn_like(z), r"RandomNormalLike, from aten\.randn_like.*make it an input"),
    "bicubic": (
        lambda z: nn.functional.interpolate(z.view(-1, 2, 2, 2), scale_factor=2, mode="bicubic"),
        "cubic.*bilinear",
    ),
    "double": (lambda z: z.double().cumsum(1).float(), r"DOUBLE.*\.float\(\)"),
    "a branch on values": (lambda z: z if z.sum() > 0 else -z, r"test_pack\.py line \d+: .*z\.sum\(\) > 0"),
    "new rows for a free batch": (lambda z: torch.cat([z, torch.ones(z.shape[0], 3)], 1), r"Shape.*(?s:.)*aten\.ones"),
    "a Fourier transform": (lambda z: torch.fft.rfft(z).real, "DFT.*opset 13"),
    "a fixed batch": (lambda z: z.reshape(4, 4, 2) + torch.ones(4, 1, 1), "trace|batch"),
    "rows that are mixed": (
        lambda z: z.reshape(2, -1),
        r"output 'images' is .*2, 16.*expected .*batch first: \(4, \.\.\.\)",
    ),
    "not finite": (lambda z: z / 0, "not finite"),
    "two outputs": (lambda z: (z, z), "returns 2 tensors, expected 1"),
    "integers": (lambda z: z.argmax(1, keepdim=True), "torch.int64, expected torch.float32"),
}


@pytest.mark.parametrize("what", REFUSED)
def test_what_cannot_run_says_which_operation_is_in_the_way(tmp_path, what, capfd):
    function, says = REFUSED[what]
    with pytest.raises(ExportError) as caught:
        export_module(Refused(function), {"z": torch.randn(4, 8)}, tmp_path / "refused.bundle")
    assert re.search(says, str(caught.value)), str(caught.value)
    assert list(tmp_path.iterdir()) == []
    assert capfd.readouterr() == ("", ""), "nothing but the exception"


@pytest.mark.parametrize(
    ("inputs", "says"),
    [
        ({"z": torch.randn(1, 8)}, "at least 2"),
        ({"z": torch.randn(4, 8), "labels": torch.randn(3, 2)}, "the same for all"),
        ({"z": torch.ones(4, 8, dtype=torch.int64)}, "float32"),
    ],
)
def test_example_inputs_that_do_not_fit(tmp_path, inputs, says):
    with pytest.raises(ExportError, match=says):
        export_module(Refused(lambda z: z * 1), inputs, tmp_path / "b")


def test_what_is_no_module_or_has_no_such_method(tmp_path):
    for thing, method in ((lambda z: z, "forward"), (nn.Linear(8, 8), "decode")):
        with pytest.raises(ExportError, match=f"no torch.nn.Module with a method '{method}'"):
            export_module(thing, {"z": torch.randn(4, 8)}, tmp_path / "b", method=method)
