"""A graph -> a serialised plan: the recipe, parsing, profiles, precision, the timing cache."""

import re

import pytest
from doubles.tensorrt_double import VERSIONS
from latentjet.runtime import compile as compiling
from latentjet.runtime.bundle import Bundle
from latentjet.runtime.errors import PlanError
from latentjet.runtime.trt import Api, Log

TYPED = ("10.0.0", "10.13", "11.1", "rtx-1.7.1")


@pytest.fixture
def content(bundles):
    return (bundles / "cvae.bundle" / "decode.onnx").read_bytes()


def wanted(content, keep=(), precision="fp32", batches=(1, 4)):
    return compiling.Recipe("decode", precision, "decode.onnx", content, False, tuple(keep), tuple(batches), 1 << 26)


@pytest.mark.parametrize("version", VERSIONS)
def test_a_recipe_reads_the_file_that_this_version_wants(plug, copied, version):
    api, bundle = Api(plug(version).trt), Bundle.open(copied("realnvp", ["node_exp"]))
    half = compiling.recipe(bundle, "decode", "fp16", api, [1, 8], 5)
    typed = version in TYPED
    assert half.file == ("decode.fp16.onnx" if typed else "decode.trt8.onnx")
    assert half.content == bundle.read(half.file)
    assert half.typed == typed and half.keep == (() if typed else ("node_exp",)) and half.batches == (1, 8)
    single = compiling.recipe(bundle, "decode", "fp32", api, [1, 8], 5)
    assert single.file == ("decode.onnx" if typed else "decode.trt8.onnx")
    assert not single.typed and single.keep == ()


def test_no_recipe_for_half_of_a_graph_that_must_be_float32(board, copied, sentence):
    bundle = Bundle.open(copied("realnvp"))
    text = sentence(PlanError, compiling.recipe, bundle, "encode", "fp16", Api(board.trt), [1], 5)
    assert text == "graph 'encode' may not run in fp16: build it with --precision fp32"


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("made", [b"", b"hello world " * 20])
def test_a_file_that_parses_without_layers(plug, version, made, sentence):
    text = sentence(PlanError, compiling.build, Api(plug(version).trt), wanted(made))
    assert "with 0 layers and 0 outputs: the file is no graph; export it again" in text


@pytest.mark.parametrize("version", VERSIONS)
def test_a_file_that_is_cut_off(plug, version, content, sentence):
    for size in (10, 500, len(content) - 5):
        text = sentence(PlanError, compiling.build, Api(plug(version).trt), wanted(content[:size]))
        assert "cannot read graph 'decode': node -1: " in text and "Failed to parse the ONNX model" in text


def test_an_operator_that_is_not_there_is_named_with_its_node(board, content, sentence):
    strange = content.replace(b"Sigmoid", b"Sigmoyd")
    text = sentence(PlanError, compiling.build, Api(board.trt), wanted(strange))
    assert "cannot read graph 'decode': node 5: " in text and "No importer registered for op: Sigmoyd" in text
    assert text.endswith("export it again for this target")


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("batches", [(1,), (3,), (1, 8, 64), (2, 5)])
def test_profiles_cover_every_batch_once(plug, version, content, batches):
    board = plug(version)
    compiling.build(Api(board.trt), wanted(content, batches=batches))
    ranges = []
    for profile in board.double.builds[0]["profiles"]:
        assert set(profile) == {"z", "labels"}
        low, best, high = profile["z"]
        assert low[1:] == best[1:] == high[1:] == (5,) and best == high
        ranges += list(range(low[0], high[0] + 1))
    assert ranges == list(range(1, batches[-1] + 1))


def test_a_profile_that_is_refused_is_an_error(board, content, monkeypatch, sentence):
    monkeypatch.setattr(board.trt.IBuilderConfig, "add_optimization_profile", lambda self, profile: -1)
    text = sentence(PlanError, compiling.build, Api(board.trt), wanted(content))
    assert text == "TensorRT 8.2.1 refuses a profile for batches 1 to 1"


@pytest.mark.parametrize("version", VERSIONS)
def test_shapes_that_a_profile_refuses_are_an_error(plug, version, sentence):
    """An input with a second free size: set_shape raises a RuntimeError of pybind11."""
    import onnx
    from onnx import TensorProto, helper

    values = [helper.make_tensor_value_info(name, TensorProto.FLOAT, ["batch", "width"]) for name in "xy"]
    graph = helper.make_graph([helper.make_node("Relu", ["x"], ["y"], "node")], "g", values[:1], values[1:])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)])
    model.ir_version = 7
    onnx.checker.check_model(model)
    board = plug(version)
    text = sentence(PlanError, compiling.build, Api(board.trt), wanted(model.SerializeToString()))
    assert text == (
        "TensorRT {} refuses batches 1 to 1 of input 'x', whose shape is (-1, -1): Shape provided for min is inconsistent "
        "with other shapes. Export it with a free batch and no other free size".format(board.trt.__version__)
    )


@pytest.mark.parametrize("version", VERSIONS)
def test_a_tensorrt_without_a_parser_is_an_error(plug, version, content, sentence):
    """The constructor raises a TypeError of pybind11 where the parser's library gives none."""
    board = plug(version)
    board.double.broken.add("OnnxParser")
    text = sentence(PlanError, compiling.build, Api(board.trt), wanted(content))
    assert text.startswith("TensorRT {} has no working parser of ONNX files; ".format(board.trt.__version__))
    assert "libnvonnxparsers8" in text


def test_tf32_is_always_off_and_details_are_always_asked_for(board, content):
    compiling.build(Api(board.trt), wanted(content))
    assert board.double.builds[0]["flags"] == [] and board.double.builds[0]["verbosity"] == "DETAILED"


def test_layers_are_asked_by_the_names_of_their_nodes(board, content):
    """The second layer of a node has its name with a number; layers that hold integers are left alone."""
    built, _ = compiling.build(Api(board.trt), wanted(content, ["node_linear", "node_sigmoid", "absent"], "fp16"))
    assert {name for name in built.asked if "Unnamed" not in name} == {"node_linear", "node_linear_1", "node_sigmoid"}
    assert board.double.builds[0]["asked"] == list(built.asked)
    assert built.constraint == "OBEY_PRECISION_CONSTRAINTS"


def test_names_that_are_nowhere_ask_for_nothing(board, content):
    built, _ = compiling.build(Api(board.trt), wanted(content, ["node_lin", "linear"], "fp16"))
    assert built.asked == () and built.constraint is None


@pytest.mark.parametrize("version, flags", [
    ("8.0.1", ["STRICT_TYPES"]),
    ("8.2.1", ["OBEY_PRECISION_CONSTRAINTS", "PREFER_PRECISION_CONSTRAINTS"]),
    ("8.6.0", ["OBEY_PRECISION_CONSTRAINTS", "PREFER_PRECISION_CONSTRAINTS"]),
])  # fmt: skip
def test_constraints_are_tried_from_the_strongest(plug, content, version, flags, sentence):
    board = plug(version)
    board.double.refuse = lambda asked: ["no: " + "+".join(asked["flags"])]
    text = sentence(PlanError, compiling.build, Api(board.trt), wanted(content, ["node_sigmoid"], "fp16"))
    tried = [[flag for flag in asked["flags"] if flag != "FP16"] for asked in board.double.builds]
    assert tried == [[flag] for flag in flags]
    assert "no: FP16+" + flags[-1] in text and all("FP16" in asked["flags"] for asked in board.double.builds)


@pytest.mark.parametrize("version", VERSIONS)
def test_the_timing_cache_is_given_and_taken(plug, content, version):
    board = plug(version)
    _, cache = compiling.build(Api(board.trt), wanted(content))
    assert cache and board.double.builds[0]["cache"] == []
    _, again = compiling.build(Api(board.trt), wanted(content), cache)
    assert again == cache and board.double.builds[1]["cache"]
    assert board.double.counts["timings reused"] == board.double.counts["timings measured"] > 0


@pytest.mark.parametrize("version", VERSIONS)
def test_another_devices_timing_cache_is_dropped(plug, content, version):
    board = plug(version)
    _, cache = compiling.build(Api(board.trt), wanted(content))
    other = plug(version)
    other.gpu.capability = (7, 2)
    _, own = compiling.build(Api(other.trt), wanted(content), cache)
    assert other.double.builds[0]["cache"] == [] and not other.double.counts["timings reused"]
    assert own != cache and b"[7, 2]" in own


def test_without_any_timing_cache(board, content, monkeypatch):
    api = Api(board.trt)
    monkeypatch.setattr(api, "use_cache", lambda config, stored: None)
    built, cache = compiling.build(api, wanted(content))
    assert built.content and cache == b""


def test_an_empty_cache_does_not_replace_a_good_one(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    device = {"tensorrt": "8.2.1", "sm": "6.2"}
    assert compiling.read_cache(device) == b""
    compiling.write_cache(device, b"good")
    compiling.write_cache(device, b"")
    assert compiling.read_cache(device) == b"good"
    assert compiling.read_cache(dict(device, tensorrt="8.0.1")) == compiling.read_cache(dict(device, sm="5.3")) == b""


def test_the_cache_lies_under_home_without_xdg(monkeypatch, tmp_path):
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    place = compiling.cache_place({"tensorrt": "8.2.1", "sm": "6.2"})
    assert place == str(tmp_path / ".cache/latentjet/trt8.2.1-sm62/timing.cache")


def test_each_power_mode_has_a_timing_cache_of_its_own(monkeypatch, tmp_path):
    """Kernels that were timed at another clock are not the fastest in this one."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    device = {"tensorrt": "8.2.1", "sm": "6.2"}
    fast, slow = dict(device, power_mode="MAXN"), dict(device, power_mode="MAXP CORE/ALL")
    compiling.write_cache(fast, b"fast")
    compiling.write_cache(slow, b"slow")
    assert compiling.read_cache(fast) == b"fast" and compiling.read_cache(slow) == b"slow"
    assert compiling.read_cache(device) == b""
    assert compiling.cache_place(slow).endswith("trt8.2.1-sm62-MAXP_CORE_ALL/timing.cache")


@pytest.mark.parametrize("text, expected", [
    ("MemTotal: 8000000 kB\nMemAvailable: 2000000 kB\n", 512000000), ("MemAvailable: 100 kB\n", 1 << 26),
    ("MemAvailable: 99000000 kB\n", 1 << 30), ("", 1 << 26), ("MemAvailable: many kB\n", 1 << 26),
    ("MemAvailable:\n", 1 << 26),
])  # fmt: skip
def test_the_workspace_is_a_quarter_of_what_is_free(tmp_path, text, expected):
    (tmp_path / "proc").mkdir()
    (tmp_path / "proc" / "meminfo").write_text(text)
    assert compiling.workspace(root=str(tmp_path)) == expected
    assert compiling.workspace(root=str(tmp_path / "nowhere")) == 1 << 26


@pytest.mark.parametrize("free, expected", [(1 << 20, 1 << 26), (2 << 30, 1 << 29), (80 << 30, 1 << 30)])
def test_a_gpu_with_its_own_memory_decides_its_workspace(free, expected, tmp_path):
    assert compiling.workspace(free, str(tmp_path)) == expected


def test_the_plan_that_is_built_is_bytes(board, content):
    built, _ = compiling.build(Api(board.trt), wanted(content))
    assert isinstance(built.content, bytes) and content in built.content
    assert re.match(r"^\d", Api(board.trt).version) and not Log().errors()
