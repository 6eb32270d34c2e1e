"""latentjet build, check and sample on every TensorRT, end to end, through doubles."""

import json
import os

import numpy as np
import pytest
from doubles.pycuda_double import Gpu
from doubles.tensorrt_double import VERSIONS
from latentjet.runtime.build import batches_of
from latentjet.runtime.cli import main
from latentjet.runtime.errors import InputError
from latentjet.runtime.model import Model

TYPED = ("10.0.0", "10.13", "11.1", "rtx-1.7.1")


def build(path, *options):
    return main(["build", path, "--samples", "16", "--batch", "1,4", "--memory", "device"] + list(options))


def plans(path):
    """{file name: content} of a bundle's plans."""
    place = os.path.join(path, "plans")
    found = {}
    for name in sorted(os.listdir(place)) if os.path.isdir(place) else []:
        with open(os.path.join(place, name), "rb") as handle:
            found[name] = handle.read()
    return found


def certificate(path, stem="decode.fp16"):
    return json.loads(
        next(text for name, text in plans(path).items() if name.startswith(stem) and name.endswith("json"))
    )


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("family", ["vae", "cvae", "realnvp", "gan"])
def test_build_check_and_sample(plug, copied, tmp_path, version, family, capsys):
    board, path = plug(version), copied(family)
    assert build(path) == 0, capsys.readouterr().err
    assert main(["check", path, "--backend", "trt"]) == 0
    assert main(["sample", path, "--count", "3", "--out", str(tmp_path / "grid.png")]) == 0
    out = capsys.readouterr().out
    assert "on backend 'trt'" in out and "from backend 'trt'" in out
    assert "CUDA graphs on" in out
    assert board.double.counts["executed"] > 10
    assert (tmp_path / "grid.png").read_bytes().startswith(b"\x89PNG")


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("backend", ["trt", "auto"])
def test_a_model_gives_what_onnx_runtime_gives(plug, built, version, backend):
    plug(version)
    path = built("realnvp", "--precision", "fp32")
    with Model.load(path, backend) as model, Model.load(path, "ort") as plain:
        assert model.backend == "trt"
        images = model.sample(["red", "blue", 1], seed=3)
        assert np.abs(images - plain.sample(["red", "blue", 1], seed=3)).max() < 1e-5
        bits = model.bits_per_dim(images, ["red", "blue", 1])
        assert np.abs(bits - plain.bits_per_dim(images, ["red", "blue", 1])).max() < 1e-4


def test_auto_takes_onnx_runtime_where_there_are_no_plans(board, copied):
    with Model.load(copied(), "auto") as model:
        assert model.backend == "ort"


@pytest.mark.parametrize("version", VERSIONS)
def test_what_the_builder_is_asked(plug, built, version):
    """The workspace and every profile always; half precision by flag, or by the types of the graph; no TF32."""
    board = plug(version)
    built("realnvp", "--workspace", "100")
    fp16, fp32 = board.double.builds[0], board.double.builds[1]
    typed = version in TYPED
    assert len(board.double.builds) == 4
    for asked in board.double.builds:
        assert asked["workspace"] == 100 << 20
        assert asked["typed"] == typed and "TF32" not in asked["flags"]
        assert [sorted({shapes[0][0] for shapes in profile.values()}) for profile in asked["profiles"]] == [[1], [2]]
        assert [sorted({shapes[2][0] for shapes in profile.values()}) for profile in asked["profiles"]] == [[1], [4]]
        assert asked["verbosity"] == (None if version == "8.0.1" else "DETAILED")
    assert ("FP16" in fp16["flags"]) == (not typed) and "FP16" not in fp32["flags"]


def test_the_workspace_is_chosen_where_none_is_given(board, built):
    built()
    assert 1 << 26 <= board.double.builds[0]["workspace"] <= 1 << 30


@pytest.mark.parametrize("version", VERSIONS)
def test_the_certificate(plug, built, version):
    board = plug(version)
    path = built("cvae", "--memory", "mapped", keep=["node_sigmoid"])
    found, typed = certificate(path), version in TYPED
    assert found["device"] == {"gpu": "NVIDIA Tegra X2", "sm": "6.2", "cuda": "10.2", "tensorrt": board.trt.__version__}
    assert found["profile"] == {"batches": [1, 4]} and found["memory"] == "mapped" and found["cuda_graphs"] == "on"
    assert found["typed"] == typed and found["precision"] == "fp16" and found["workspace_bytes"] > 0
    assert found["verdict"]["passed"] and found["verdict"]["not_finite"] == 0 and found["verdict"]["samples"] == 16
    assert found["verdict"]["largest"] < 0.01 and found["verdict"]["within"] == 1.0
    with open(os.path.join(path, "bundle.json")) as handle:
        files = json.load(handle)["files"]
    assert found["onnx_sha256"] == files["decode.fp16.onnx" if typed else "decode.onnx"]["sha256"]
    assert len(next(text for name, text in plans(path).items() if name.endswith(".plan"))) == found["plan_bytes"]
    if version == "8.0.1":
        assert found["layers"] is None  # no inspector
    else:
        assert {"fp16", "fp32"} >= {layer["precision"] for layer in found["layers"]} and found["layers"]
    assert found["asked_float32"] == ([] if typed else ["node_sigmoid"])


@pytest.mark.parametrize("version, flag", [
    ("8.0.1", "STRICT_TYPES"), ("8.2.1", "OBEY_PRECISION_CONSTRAINTS"), ("8.4.1.5", "OBEY_PRECISION_CONSTRAINTS"),
    ("8.5.3.1", "OBEY_PRECISION_CONSTRAINTS"), ("8.6.0", "OBEY_PRECISION_CONSTRAINTS"),
])  # fmt: skip
def test_named_nodes_stay_in_float32(plug, built, version, flag):
    board = plug(version)
    found = certificate(built(keep=["node_relu", "node_linear_1"]))
    assert found["constraint"] == flag and flag in board.double.builds[0]["flags"]
    assert not {"STRICT_TYPES", "PREFER_PRECISION_CONSTRAINTS"} - {flag} & set(board.double.builds[0]["flags"])
    assert {"node_relu", "node_linear_1"} <= set(found["asked_float32"])
    if version != "8.0.1":
        assert set(found["honoured"]) == set(found["asked_float32"]) and found["not_honoured"] == []
        by_name = {layer["name"]: layer["precision"] for layer in found["layers"]}
        assert by_name["node_relu"] == "fp32" and by_name["node_linear"] == "fp16"


def test_without_named_nodes_no_constraint_is_set(board, built):
    found = certificate(built())
    assert found["constraint"] is None and not any("CONSTRAINTS" in flag for flag in board.double.builds[0]["flags"])


def test_prefer_where_obey_cannot_be_built(board, built):
    board.double.refuse = lambda asked: (
        "OBEY_PRECISION_CONSTRAINTS" in asked["flags"]
        and [
            "10: [optimizer.cpp::computeCosts::2011] Error Code 10: Internal Error (Could not find any implementation "
            "for node node_sigmoid.)"
        ]
    )
    found = certificate(built(keep=["node_sigmoid"]))
    assert found["constraint"] == "PREFER_PRECISION_CONSTRAINTS" and found["honoured"] == ["node_sigmoid"]
    assert "OBEY_PRECISION_CONSTRAINTS" not in board.double.builds[1]["flags"]


def test_what_was_not_honoured_is_told(board, built, capsys):
    board.double.ignore_constraints = True
    found = certificate(built(keep=["node_sigmoid"]))
    assert found["honoured"] == [] and found["not_honoured"] == ["node_sigmoid"]
    assert "float32 asked for 1 layers, honoured 0, not 1" in capsys.readouterr().out


def test_the_timing_cache_is_kept_and_used_again(board, built, tmp_path):
    path = built()
    measured = board.double.counts["timings measured"]
    assert measured and not board.double.counts["timings reused"]
    assert (tmp_path / "cache/latentjet/trt8.2.1-sm62/timing.cache").exists()
    assert build(path) == 0
    assert board.double.counts["timings reused"] == measured == board.double.counts["timings measured"]


@pytest.fixture
def power_mode(monkeypatch, tmp_path):
    """(name): nvpmodel tells this mode from now on."""

    def set_mode(name):
        place = tmp_path / "bin"
        place.mkdir(exist_ok=True)
        (place / "nvpmodel").write_text("#!/bin/sh\necho 'NV Fan Mode:quiet'; echo 'NV Power Mode: {}'; echo 2\n".format(name))
        (place / "nvpmodel").chmod(0o755)
        monkeypatch.setenv("PATH", str(place), prepend=os.pathsep)

    return set_mode


def test_timings_of_another_power_mode_are_not_used(board, copied, power_mode):
    path = copied()
    for mode, reused in (("MAXN", False), ("MAXQ", False), ("MAXN", True)):
        power_mode(mode)
        before = board.double.counts["timings reused"]
        assert build(path) == 0
        assert (board.double.counts["timings reused"] > before) is reused, mode
        assert certificate(path)["device"]["power_mode"] == mode
    assert main(["check", path, "--backend", "trt"]) == 0


@pytest.mark.parametrize("content", [b"rubbish", b'{"device": "another", "entries": ["node_sigmoid HALF"]}', b""])
def test_a_timing_cache_that_does_not_fit_is_no_error(board, copied, tmp_path, content):
    place = tmp_path / "cache/latentjet/trt8.2.1-sm62/timing.cache"
    place.parent.mkdir(parents=True)
    place.write_bytes(content)
    assert build(copied()) == 0
    assert board.double.builds[0]["cache"] == [] and board.double.counts["timings measured"]
    assert json.loads(place.read_text())["device"]["gpu"] == "NVIDIA Tegra X2"  # a good one has taken its place


def test_a_cache_that_cannot_be_kept_is_no_error(board, copied, tmp_path, capsys):
    (tmp_path / "cache").write_text("a file where a folder should be")
    assert build(copied()) == 0
    assert "the timing cache cannot be kept" in capsys.readouterr().err


def test_an_old_caches_errors_are_not_the_cause_of_a_failure(board, copied, tmp_path, capsys):
    place = tmp_path / "cache/latentjet/trt8.2.1-sm62/timing.cache"
    place.parent.mkdir(parents=True)
    place.write_bytes(b"rubbish")
    board.double.refuse = lambda asked: ["something new"]
    assert build(copied()) == 1
    assert "could not build 'decode': something new\n" in capsys.readouterr().err


def spoiled(value):
    def spoil(name, array):
        array = array.copy()
        array.flat[0] = value
        return array

    return spoil


@pytest.mark.parametrize("precision", ["fp16", "fp32"])
@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_a_wrong_engine_writes_nothing_and_leaves_the_old_plan(board, built, precision, value, capsys):
    path = built("cvae", "--precision", precision)
    before = plans(path)
    capsys.readouterr()
    board.double.spoil = spoiled(value)
    assert build(path, "--precision", precision) == 1
    error = capsys.readouterr().err
    assert "values not finite" in error and "nothing was written" in error and "--precision fp32" in error
    assert plans(path) == before and len(before) == 2


def test_an_engine_that_is_off_by_more_than_is_allowed(board, copied, capsys):
    path = copied()
    board.double.spoil = lambda name, array: array + 0.05
    assert build(path) == 1
    assert "differs from the reference by 0.05" in capsys.readouterr().err
    assert plans(path) == {}


def test_values_not_finite_in_fresh_samples_alone(board, copied, capsys):
    path, seen = copied(), []

    def spoil(name, array):
        seen.append(len(array))
        return spoiled(np.nan)(name, array) if len(seen) > 12 else array

    board.double.spoil = spoil
    assert main(["build", path, "--samples", "40", "--batch", "1,4", "--memory", "device"]) == 1
    assert "values not finite in 40 rows: nothing was written" in capsys.readouterr().err
    assert plans(path) == {}


FAILURES = [
    (
        ["2: [virtualMemoryBuffer.cpp::resizePhysical::145] Error Code 2: OutOfMemory (no further information)",
         "10: Could not find any implementation for node node_linear."],
        "memory ran out: close other programs, add swap, build with --batch 1",
    ),
    (["10: Could not find any implementation for node node_linear."], "that is memory, in disguise"),
    (
        ["10: Could not find any implementation for node node_linear, try increasing the workspace size with "
         "IBuilderConfig::setMaxWorkspaceSize()"],
        "give a larger --workspace",
    ),
    (["3: something else"], "could not build 'decode': 3: something else"),
    ([""], "it gave no reason"),
]  # fmt: skip


@pytest.mark.parametrize(
    "said, means", FAILURES, ids=["out of memory", "memory in disguise", "workspace", "another cause", "silence"]
)
@pytest.mark.parametrize("version", ["8.0.1", "8.2.1", "11.1"])
def test_a_build_that_fails_is_explained(plug, copied, version, said, means, capsys):
    board, path = plug(version), copied()
    board.double.refuse = lambda asked: said
    assert build(path) == 1
    error = capsys.readouterr().err
    assert error.startswith("latentjet build: TensorRT {} could not build 'decode': ".format(board.trt.__version__))
    assert means in error and said[0] in error and error.count("\n") == 1
    print(error)
    assert plans(path) == {}


@pytest.mark.parametrize("version", VERSIONS)
def test_an_unsupported_operator_is_named_with_its_node(plug, copied, version, capsys):
    plug(version).double.unsupported = {"Sigmoid"}
    assert build(copied()) == 1
    error = capsys.readouterr().err
    assert "cannot read graph 'decode': node " in error and "No importer registered for op: Sigmoid" in error
    assert "export it again for this target" in error
    print(error)


def test_an_engine_that_cannot_be_read(board, copied, capsys):
    board.double.broken.add("deserialize_cuda_engine")
    assert build(copied()) == 1
    assert "TensorRT 8.2.1 cannot read this plan: deserializeCudaEngine: " in capsys.readouterr().err


def test_device_memory_that_runs_out_is_explained(board, copied, capsys):
    board.gpu.fail_allocation = lambda kind, size: kind == "device"
    assert build(copied()) == 1
    error = capsys.readouterr().err
    assert "no device memory for" in error and "out of memory" in error and "--batch" in error
    print(error)


@pytest.mark.parametrize("version", VERSIONS)
def test_without_a_driver(plug, copied, version, capsys):
    board = plug(version)
    board.double.no_driver, board.gpu.init_error = True, "cuInit failed: no CUDA-capable device is detected"
    path = copied()
    assert build(path) == 1
    assert "CUDA does not answer (cuInit failed: no CUDA-capable" in capsys.readouterr().err
    assert main(["build", path, "--rehearse"]) == (0 if version == "rtx-1.7.1" else 1)
    told = capsys.readouterr()
    if version != "rtx-1.7.1":
        assert "found no usable GPU: " in told.err and "CUDA initialization failure with error: 35" in told.err
        assert "no NVIDIA driver answers: see `latentjet doctor`" in told.err


@pytest.mark.parametrize("version", VERSIONS)
def test_a_rehearsal_needs_no_pycuda_and_writes_nothing(plug, copied, hidden, version, tmp_path, capsys):
    board, path = plug(version), copied("realnvp")
    hidden("pycuda")
    assert main(["build", path, "--rehearse", "--batch", "1,4"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[:2] for line in lines] == [
        ["decode", "fp16"], ["dequantise", "fp32"], ["encode", "fp32"], ["log_prob", "fp32"],
    ]  # fmt: skip
    assert all("not run, not written" in line for line in lines)
    assert plans(path) == {} and not (tmp_path / "cache").exists()
    assert board.double.counts["deserialised"] == 0


def test_without_tensorrt(board, copied, hidden, capsys):
    hidden("tensorrt")
    assert build(copied()) == 1
    error = capsys.readouterr().err
    assert "TensorRT cannot be loaded" in error and "--system-site-packages" in error and "latentjet doctor" in error


def test_without_pycuda(board, copied, hidden, capsys):
    hidden("pycuda")
    assert build(copied()) == 1
    assert "pip install 'pycuda<2022.2'" in capsys.readouterr().err


def test_without_the_drivers_library(board, copied, without_libcuda, capsys):
    assert build(copied()) == 1
    assert "pycuda cannot be loaded (libcuda.so.1: cannot open shared object file" in capsys.readouterr().err


@pytest.mark.parametrize("precision", ["fp16", "fp32"])
def test_a_precision_is_for_the_graphs_that_may_have_it(board, copied, precision, capsys):
    path = copied("realnvp")
    assert build(path, "--precision", precision) == (1 if precision == "fp16" else 0)
    told = capsys.readouterr()
    if precision == "fp16":
        assert "graph 'dequantise' may not run in fp16: build it with --precision fp32 or auto" in told.err
    else:
        assert sorted(name.split(".")[1] for name in plans(path)) == ["fp32"] * 8


def test_only_the_graphs_that_are_named(board, copied, capsys):
    path = copied("realnvp")
    assert build(path, "--graphs", "encode") == 0
    assert sorted(plans(path)) == ["encode.fp32.trt8.2.1-sm62.json", "encode.fp32.trt8.2.1-sm62.plan"]
    assert build(path, "--graphs", "encode,decod") == 1
    assert "decod" in capsys.readouterr().err


@pytest.mark.parametrize("text", ["", "0", "1,1", "4,1", "a", "1,,2", "-1", "1.5"])
def test_batches_are_rising_sizes(text, sentence):
    assert "expected rising sizes like 1,8,64" in sentence(InputError, batches_of, text)


@pytest.mark.parametrize("option, text", [("--workspace", "0"), ("--workspace", "-5"), ("--samples", "0")])
def test_sizes_that_make_no_sense(board, copied, option, text, capsys):
    assert build(copied(), option, text) == 1
    assert "{} is {}, expected at least 1".format(option, text) in capsys.readouterr().err


def test_a_full_disk_leaves_the_old_plan(board, built, full_disk, capsys):
    path = built()
    before = plans(path)
    with full_disk():
        assert build(path) == 1
    assert "cannot be written" in capsys.readouterr().err
    assert plans(path) == before


def test_a_bundle_in_a_zip_has_its_plans_beside_it(board, copied, tmp_path, capsys):
    from latentjet.runtime.files import zipped

    packed = tmp_path / "packed.zip"
    packed.write_bytes(zipped(copied()))
    assert build(str(packed)) == 0
    assert os.listdir(str(packed) + ".plans")
    assert main(["check", str(packed)]) == 0
    assert "on backend 'trt'" in capsys.readouterr().out


@pytest.mark.parametrize("cuda, with_flags", [((10, 2, 0), False), ((11, 8, 0), True)])
def test_graphs_with_either_way_of_the_driver(plug, copied, cuda, with_flags):
    board = plug("8.2.1", Gpu(cuda=cuda), with_flags)
    assert build(copied()) == 0
    used = "cuGraphInstantiateWithFlags" if with_flags else "cuGraphInstantiate"
    assert board.gpu.counts[used] > 0 and board.gpu.counts["cuGraphLaunch"] > 0


def test_progress_is_shown_on_a_terminal(board, copied, monkeypatch, capsys):
    import sys
    import time

    board.double.refuse = lambda asked: time.sleep(0.7)
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True, raising=False)
    assert build(copied()) == 0
    assert "building graph 'decode' in fp16: " in capsys.readouterr().err


@pytest.mark.parametrize("version", VERSIONS)
def test_sources_of_kernels_can_be_named(plug, copied, version, capsys):
    """A board without a sound cuBLAS or cuDNN builds without them."""
    board, path = plug(version), copied()
    known = sorted(board.double.table["enums"]["TacticSource"])
    assert build(path) == 0
    assert board.double.builds[-1]["tactics"] is None and certificate(path)["tactics"] is None
    assert build(path, "--tactics", known[-1].lower()) == 0
    assert board.double.builds[-1]["tactics"] == [known[-1]] and certificate(path)["tactics"] == [known[-1]]
    assert build(path, "--tactics", "none") == 0
    assert board.double.builds[-1]["tactics"] == [] and certificate(path)["tactics"] == []
    capsys.readouterr()
    assert build(path, "--tactics", "CUFFT") == 1
    expected = "has no source 'CUFFT', expected of: {}, none".format(", ".join(known))
    assert expected in capsys.readouterr().err


@pytest.mark.parametrize("name, low, high", [("NVIDIA Tegra X2", 1 << 26, 1 << 30), ("NVIDIA H100", 1 << 28, 1 << 28)])
def test_the_workspace_comes_from_the_memory_that_the_gpu_uses(plug, copied, name, low, high):
    board = plug("8.5.3.1", Gpu(name, memory_bytes=1 << 30))
    assert build(copied()) == 0
    assert low <= board.double.builds[0]["workspace"] <= high
