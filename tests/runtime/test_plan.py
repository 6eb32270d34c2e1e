"""Plans on disk: what is refused before it is deserialised, in words that name both sides and the command."""

import json
import os
import shutil

import pytest
from doubles.pycuda_double import Gpu
from doubles.tensorrt_double import VERSIONS
from latentjet.runtime import plan
from latentjet.runtime.bundle import Bundle
from latentjet.runtime.cli import main
from latentjet.runtime.engine import open_engine
from latentjet.runtime.errors import BackendError, OutputError, PlanError
from latentjet.runtime.model import Model

TX2 = {"gpu": "NVIDIA Tegra X2", "sm": "6.2", "cuda": "10.2", "tensorrt": "8.2.1"}


def edit(path, change, stem="decode.fp16"):
    """Change a certificate in place."""
    place = next(item + ".json" for item, found in plan.certificates(path) if os.path.basename(item).startswith(stem))
    with open(place) as handle:
        found = json.load(handle)
    change(found)
    with open(place, "w") as handle:
        json.dump(found, handle)


def refused(board, path, sentence):
    """The error of opening 'decode' on TensorRT; nothing may have been deserialised for it."""
    before = board.double.counts["deserialised"]
    text = sentence(PlanError, open_engine, Bundle.open(path), "decode", "trt")
    assert board.double.counts["deserialised"] == before
    assert text.endswith("latentjet build {}".format(path))
    print(text)
    with Model.load(path, "auto") as model:  # and auto takes the other
        assert model.backend == "ort"
    return text


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("what, gpu, said", [
    ("sm", Gpu(capability=(5, 3)), "sm 6.2, here 5.3"),
    ("gpu", Gpu(name="NVIDIA Tegra X1"), "gpu NVIDIA Tegra X2, here NVIDIA Tegra X1"),
    ("cuda", Gpu(cuda=(11, 4, 0)), "cuda 10.2, here 11.4"),
])  # fmt: skip
def test_a_plan_for_another_gpu_is_refused(plug, built, version, what, gpu, said, sentence):
    plug(version)
    path = built()
    gpu = Gpu(gpu.name, gpu.capability, gpu.cuda)
    text = refused(plug(version, gpu), path, sentence)
    assert said in text and "no fp16 plan of 'decode' for this device (TensorRT " in text


@pytest.mark.parametrize(
    "built_by, here", [("8.0.1", "8.2.1"), ("8.2.1", "8.0.1"), ("8.6.0", "10.13"), ("10.13", "11.1")]
)
def test_a_plan_of_another_tensorrt_is_refused(plug, built, built_by, here, sentence):
    old = plug(built_by)
    path = built()
    board = plug(here)
    text = refused(board, path, sentence)
    assert "tensorrt {}, here {}".format(old.trt.__version__, board.trt.__version__) in text
    assert "for this device (TensorRT {}, sm_62)".format(board.trt.__version__) in text


def test_plans_for_several_devices_live_side_by_side(plug, built):
    plug("8.0.1")
    path = built()
    board = plug("8.2.1")
    assert main(["build", path, "--samples", "16", "--batch", "1,4", "--memory", "device"]) == 0
    assert len(plan.certificates(path)) == 2
    with open_engine(Bundle.open(path), "decode", "trt") as engine:
        assert engine.api.version == "8.2.1"
    assert board.double.counts["live ICudaEngine"] == 0


def test_a_plan_of_another_bundle_is_refused(board, built, altered, sentence):
    path = built()
    bundle = Bundle.open(path)
    kept = shutil.copytree(os.path.join(path, "plans"), path + ".kept")
    altered(path, {"decode.onnx": bundle.read("decode.onnx") + b"\x1a\x00"})  # an empty producer_version
    shutil.rmtree(os.path.join(path, "plans"), ignore_errors=True)
    shutil.move(kept, os.path.join(path, "plans"))
    assert "another export of this graph" in refused(board, path, sentence)


def test_a_plan_that_was_changed(board, built, sentence):
    path = built()
    place = next(stem for stem, _ in plan.certificates(path)) + ".plan"
    with open(place, "r+b") as handle:
        handle.seek(100)
        handle.write(b"\x00")
    assert "was changed since it was built" in refused(board, path, sentence)
    os.unlink(place)
    assert "No such file" in refused(board, path, sentence)


def test_a_plan_without_its_certificate(board, built, sentence):
    path = built()
    os.unlink(next(stem for stem, _ in plan.certificates(path)) + ".json")
    assert "found: none. Build one: " in refused(board, path, sentence)


def test_no_plans_at_all(board, copied, sentence):
    assert "found: none. Build one: " in refused(board, copied(), sentence)


HOSTILE = [
    lambda found: found.clear(), lambda found: found.update(format=2), lambda found: found.pop("device"),
    lambda found: found.update(device=None), lambda found: found.update(device=[]),
    lambda found: found.pop("plan_sha256"),
    lambda found: found["device"].pop("gpu"), lambda found: found.update(profile={}), lambda found: found.pop("memory"),
    lambda found: found.update(profile={"batches": []}), lambda found: found.update(profile={"batches": ["4"]}),
    lambda found: found.update(profile={"batches": 4}), lambda found: found.update(onnx_sha256=None),
    lambda found: found.update(graph=["decode"]), lambda found: found.update(precision=None),
    lambda found: found.update(profile={"batches": [-1]}), lambda found: found.update(profile={"batches": [4, 1]}),
]  # fmt: skip


@pytest.mark.parametrize("number", range(len(HOSTILE)))
def test_a_certificate_that_lacks_something_counts_as_none(board, built, number, sentence):
    path = built()
    edit(path, HOSTILE[number])
    assert "found: none" in refused(board, path, sentence)


@pytest.mark.parametrize("text", ["", "[]", "null", "5", '"text"', "{", '{"format": 1}', "\udcff"])
def test_a_certificate_that_is_none(board, built, text, sentence):
    path = built()
    with open(next(stem for stem, _ in plan.certificates(path)) + ".json", "wb") as handle:
        handle.write(text.encode("utf-8", "surrogateescape"))
    assert "found: none" in refused(board, path, sentence)


def test_the_typed_graph_is_what_a_typed_plan_is_compared_with(plug, built, altered, sentence):
    board = plug("10.13")
    path = built()
    edit(path, lambda found: found.update(onnx_sha256="0" * 64))
    assert "another export of this graph" in refused(board, path, sentence)


def test_float32_is_taken_where_there_is_no_half(board, built):
    path = built("cvae", "--precision", "fp32")
    with open_engine(Bundle.open(path), "decode", "trt") as engine:
        assert engine.precision == "fp32"
    assert main(["build", path, "--samples", "16"]) == 0
    with open_engine(Bundle.open(path), "decode", "trt") as engine:
        assert engine.precision == "fp16"


def test_a_graph_whose_half_was_refused_wants_float32(board, copied, sentence):
    path = copied()
    place = os.path.join(path, "bundle.json")
    with open(place) as handle:
        manifest = json.load(handle)
    manifest["graphs"]["decode"]["precision"].update(file=None)
    manifest["graphs"]["decode"]["precision"]["gate"].update(passed=False)
    with open(place, "w") as handle:
        json.dump(manifest, handle)
    assert "no fp32 plan of 'decode'" in sentence(PlanError, plan.read, Bundle.open(path), "decode", None, TX2)
    assert main(["build", path, "--samples", "16", "--batch", "1,4", "--memory", "device"]) == 0
    assert [found["precision"] for _, found in plan.certificates(path)] == ["fp32"]


def test_some_graphs_without_a_plan(board, built, sentence):
    path = built("realnvp", "--graphs", "decode")
    with Model.load(path, "auto") as model:
        assert model.backend == "ort"
    with Model.load(path, "trt") as model:
        model.sample([0])
        assert "no fp32 plan of 'encode'" in sentence(PlanError, model.engine, "encode")


def test_the_named_backend_is_never_replaced(board, copied, hidden, sentence):
    path = copied()
    hidden("tensorrt")
    assert "TensorRT cannot be loaded" in sentence(BackendError, open_engine, Bundle.open(path), "decode", "trt")


def test_names_and_places(tmp_path):
    assert plan.name("decode", "fp16", TX2) == "decode.fp16.trt8.2.1-sm62"
    assert plan.folder(str(tmp_path)) == str(tmp_path / "plans")
    assert plan.folder(str(tmp_path / "a.zip")) == str(tmp_path / "a.zip.plans")
    assert plan.certificates(str(tmp_path)) == []


def test_a_place_that_cannot_be_made(tmp_path, sentence):
    (tmp_path / "plans").write_text("a file")
    certificate = {"graph": "decode", "precision": "fp16", "device": TX2}
    assert "cannot be written" in sentence(OutputError, plan.write, str(tmp_path), certificate, b"content")


def test_a_crash_between_the_plan_and_its_certificate(board, built, monkeypatch, sentence):
    """The new plan is there, the certificate is the old one: that is refused, not run."""
    path = built()
    real = plan.files.write_file

    def write_file(place, content):
        if place.endswith(".json"):
            raise KeyboardInterrupt
        real(place, content)

    monkeypatch.setattr(plan.files, "write_file", write_file)
    with pytest.raises(KeyboardInterrupt):
        plan.write(path, plan.certificates(path)[0][1], b"another plan")
    assert "was changed since it was built" in refused(board, path, sentence)
