"""What differs between the versions of TensorRT, seen through Api; what its messages mean."""

import threading

import pytest
from doubles.tensorrt_double import VERSIONS
from latentjet.runtime.bundle import Bundle
from latentjet.runtime.compile import build, recipe
from latentjet.runtime.engine import open_engine
from latentjet.runtime.errors import BackendError, PlanError
from latentjet.runtime.trt import Api, Log, explained, load, precision_of

EIGHT = ("8.0.1", "8.2.1", "8.4.1.5", "8.5.3.1", "8.6.0")


@pytest.mark.parametrize("version", VERSIONS)
def test_what_a_version_has(plug, version):
    api = Api(plug(version).trt)
    assert api.typed == (version not in EIGHT)
    assert api.named == (version not in EIGHT[:3])
    assert api.inspects == (version != "8.0.1")
    both = ["OBEY_PRECISION_CONSTRAINTS", "PREFER_PRECISION_CONSTRAINTS"]
    assert api.constraints == ([] if api.typed else ["STRICT_TYPES"] if version == "8.0.1" else both)


@pytest.mark.parametrize("version", ["8.2.1", "rtx-1.7.1"])
def test_either_module_is_found(plug, version):
    board = plug(version)
    assert load() is board.trt


def test_no_tensorrt_says_where_it_lives(board, hidden, sentence):
    hidden("tensorrt")
    text = sentence(BackendError, load)
    assert "TensorRT cannot be loaded" in text and "--system-site-packages" in text and "`latentjet doctor`" in text


@pytest.mark.parametrize("version", VERSIONS)
def test_the_log_keeps_errors_and_warnings(plug, version):
    trt, log = plug(version).trt, Log()
    logger = log.make(trt)
    for name in ("VERBOSE", "INFO", "WARNING", "ERROR", "ERROR", "INTERNAL_ERROR"):
        logger.log(getattr(trt.ILogger.Severity, name), "said as {}".format(name))
    assert log.errors() == ["said as ERROR", "said as INTERNAL_ERROR"]  # once each, oldest first
    assert len(log.lines) == 4


def test_the_log_does_not_grow_for_ever(board):
    log = Log()
    logger = log.make(board.trt)
    for number in range(3000):
        logger.log(board.trt.ILogger.Severity.WARNING, "again {}".format(number))
    assert len(log.lines) <= 1000


@pytest.mark.parametrize("said, means", [
    ("CUDA initialization failure with error: 35", "no NVIDIA driver answers"),
    ("(cudaError 35: CUDA driver version is insufficient for CUDA runtime version)", "no NVIDIA driver answers"),
    ("Error Code 2: OutOfMemory (no further information)", "memory ran out"),
    ("Could not find any implementation for node {ForeignNode[a...b]}.", "memory, in disguise"),
    ("Could not find any implementation for node a, try increasing the workspace size", "larger --workspace"),
    ("No importer registered for op: Einsum", "export it again for this target"),
    ("getPluginCreator could not find plugin: Mod version: 1", "export it again for this target"),
    ("Version tag does not match. Note: Current Version: 205, Serialized Engine Version: 213", "another TensorRT"),
    ("The engine plan file is generated on an incompatible device, expecting compute 6.2", "built on another GPU"),
    ("Internal Error (Assertion failed)", None),
])  # fmt: skip
def test_messages_in_disguise(board, said, means):
    log = Log()
    log.make(board.trt).log(board.trt.ILogger.Severity.ERROR, said)
    text = explained(log, "it failed")
    assert text.startswith("it failed: " + said)
    assert means in text if means else text == "it failed: " + said


def test_a_silent_failure(board):
    assert explained(Log(), "it failed") == "it failed: it gave no reason"


def test_warnings_are_the_reason_where_there_is_no_error(board):
    log, severity = Log(), board.trt.ILogger.Severity
    logger = log.make(board.trt)
    for number in range(5):
        logger.log(severity.WARNING, "warning {}".format(number))
    assert explained(log, "it failed") == "it failed: warning 2 | warning 3 | warning 4"
    logger.log(severity.ERROR, "an error")
    assert explained(log, "it failed") == "it failed: an error"


@pytest.mark.parametrize("version", VERSIONS)
def test_no_gpu_for_the_builder(plug, version, sentence):
    board = plug(version)
    board.double.no_driver = True
    if version == "rtx-1.7.1":
        Api(board.trt).builder(Log())
    else:
        text = sentence(PlanError, Api(board.trt).builder, Log())
        assert "found no usable GPU: Unable to determine GPU memory usage | CUDA initialization failure with " in text
        assert "no NVIDIA driver answers: see `latentjet doctor`" in text


@pytest.mark.parametrize("version", [version for version in VERSIONS if version[0] == "8"])
def test_no_gpu_for_the_runtime(plug, version, sentence):
    board = plug(version)
    board.double.no_driver = True
    text = sentence(PlanError, Api(board.trt).deserialize, b"a plan", Log())
    assert "found no usable GPU: " in text and "no NVIDIA driver answers" in text
    assert bool(board.gpu.violations) == (version == "8.6.0")  # that one dies of it, so nothing may come this far
    board.gpu.violations.clear()


@pytest.fixture
def plan_of(bundles):
    def made(board, family="cvae", precision="fp32"):
        api = Api(board.trt)
        return build(
            api, recipe(Bundle.open(bundles / (family + ".bundle")), "decode", precision, api, (1, 4), 1 << 26)
        )[0]

    return made


@pytest.mark.parametrize("version", VERSIONS)
def test_plans_of_others_are_not_read(plug, plan_of, version, sentence):
    ours = plug(version)
    content = plan_of(ours).content
    older, elsewhere = plug("8.2.1" if version != "8.2.1" else "8.4.1.5"), plug(version)
    elsewhere.gpu.capability = (7, 2)
    for board, means in ((older, "another TensorRT: build it again"), (elsewhere, "another GPU: build it again")):
        with current(board):
            text = sentence(PlanError, Api(board.trt).deserialize, content, Log())
        assert "cannot read this plan" in text and means in text
    with current(ours):
        runtime, engine = Api(ours.trt).deserialize(content, Log())
        assert engine.num_optimization_profiles == 2
        del engine, runtime


class current:
    """Context: the primary context of a board's GPU."""

    def __init__(self, board):
        self.stack, self.gpu = board.gpu.driver_stacks, board.gpu

    def __enter__(self):
        self.gpu.retained += 1
        self.stack[threading.get_ident()].append("primary")

    def __exit__(self, *error):
        self.stack[threading.get_ident()].pop()
        self.gpu.retained -= 1


@pytest.mark.parametrize("version", [version for version in VERSIONS if version != "8.0.1"])
@pytest.mark.parametrize("precision", ["fp16", "fp32"])
def test_the_inspector(plug, plan_of, version, precision):
    board = plug(version)
    api = Api(board.trt)
    with current(board):
        runtime, engine = api.deserialize(plan_of(board, "realnvp", precision).content, Log())
        layers = api.layers(engine)
        del engine, runtime
    floats = {layer["precision"] for layer in layers if layer["name"].startswith("node_conv2d")}
    assert floats == {precision}
    assert any(layer["name"] == "PWN(node_exp)" for layer in layers)
    assert any(layer["name"].endswith("[profile 1]") for layer in layers)


@pytest.mark.parametrize("shapeless", ["alone", True])
def test_an_inspector_that_tells_no_formats(board, built, shapeless):
    """Where the batch is free, formats are told beside a context, or never; then the weights tell."""
    board.double.shapeless = shapeless
    with open_engine(Bundle.open(built("realnvp", "--graphs", "decode")), "decode", "trt") as engine:
        engine.warm_up()
        told = engine.layers()
    assert {layer["precision"] for layer in told if layer["name"].startswith("node_conv2d")} == {"fp16"}
    rest = {layer["precision"] for layer in told if layer["name"].startswith("PWN")}
    assert rest == ({"fp16"} if shapeless == "alone" else {None})


def test_a_runtime_that_finds_no_gpu(board, monkeypatch, sentence):
    def fails(logger):
        raise TypeError("pybind11::init(): factory function returned nullptr")

    monkeypatch.setattr(board.trt, "Runtime", fails)
    assert "found no usable GPU" in sentence(PlanError, Api(board.trt).deserialize, b"plan", Log())


class Inspected:
    """An engine whose inspector says a given text."""

    def __init__(self, text):
        self.text = text

    def create_engine_inspector(self):
        return self

    def get_engine_information(self, format):  # noqa: A002
        return self.text


@pytest.mark.parametrize("text, expected", [
    ("{}", []),
    ('{"Layers": ["a", "b"]}', [{"name": "a", "precision": None}, {"name": "b", "precision": None}]),
    ('{"Layers": [{"Name": "a", "Precision": "FP16"}]}', [{"name": "a", "precision": "fp16"}]),
    ('{"Layers": [{"Name": "a" "b"}]}', None),
    ("", None),
])  # fmt: skip
def test_what_an_inspector_may_say(board, text, expected):
    assert Api(board.trt).layers(Inspected(text)) == expected


@pytest.mark.parametrize("stated, formats, expected", [
    (None, ["Row major linear FP32"], "fp32"), (None, ["Two wide channel vectorized row major FP16 format"], "fp16"),
    ("Half", [], "fp16"), ("Float", ["Row major linear FP16"], "fp32"), (None, ["Row major Int8 format"], "int"),
    (None, ["N/A due to dynamic shapes"], None), (None, [], None), ("", ["", "Row major linear FP32"], "fp32"),
])  # fmt: skip
def test_precisions(stated, formats, expected):
    assert precision_of(stated, formats) == expected
