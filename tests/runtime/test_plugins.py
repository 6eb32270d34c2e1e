"""Layers of TensorRT's plugin library: a process that only reads plans must register it, as the parser does for itself."""

import gc
import io

import numpy as np
import onnx
import onnxruntime
import pytest
from doubles.tensorrt_double import NO_CREATOR
from latentjet.runtime import plan
from latentjet.runtime.bundle import Bundle
from latentjet.runtime.cli import main
from latentjet.runtime.cuda import Cuda
from latentjet.runtime.engine import open_engine
from latentjet.runtime.errors import PlanError
from latentjet.runtime.trt import Log, explained
from onnx import helper, numpy_helper

EIGHT = ("8.0.1", "8.2.1", "8.4.1.5", "8.5.3.1", "8.6.0")


def normalised(content):
    """An ONNX file's bytes -> the same with an InstanceNormalization of its output, as GroupNorm leaves PyTorch."""
    model = onnx.load_from_string(content)
    (output,) = model.graph.output
    for node in model.graph.node:
        node.output[:] = ["before" if name == output.name else name for name in node.output]
    for name, value in (("norm_scale", 0.25), ("norm_bias", 0.5)):
        model.graph.initializer.append(numpy_helper.from_array(np.full(1, value, np.float32), name))
    inputs = ["before", "norm_scale", "norm_bias"]
    model.graph.node.append(
        helper.make_node("InstanceNormalization", inputs, [output.name], "node_norm", epsilon=1e-5)
    )
    return model.SerializeToString()


@pytest.fixture
def with_norm(copied, altered):
    """Path of a cvae whose 'decode' ends in an InstanceNormalization, with the reference that belongs to it."""
    path = copied()
    bundle = Bundle.open(path)
    content, arrays = normalised(bundle.read("decode.onnx")), bundle.arrays("reference.npz")
    session = onnxruntime.InferenceSession(content, providers=["CPUExecutionProvider"])
    inputs, _ = bundle.reference("decode")
    arrays["decode/images"] = session.run(None, inputs)[0]
    buffer = io.BytesIO()
    np.savez(buffer, **arrays)
    altered(path, {"decode.onnx": content, "reference.npz": buffer.getvalue()})
    return path


def build(path):
    quick = ["--samples", "16", "--batch", "1,4", "--memory", "device", "--precision", "fp32"]
    return main(["build", path] + quick)


@pytest.mark.parametrize("version", EIGHT)
def test_a_plan_with_a_plugin_is_read_in_a_new_process(plug, with_norm, version, tmp_path, capsys):
    board = plug(version)
    assert build(with_norm) == 0
    board.double.plugins.clear()  # a new shell
    assert main(["check", with_norm, "--backend", "trt"]) == 0, capsys.readouterr().err
    board.double.plugins.clear()
    assert main(["sample", with_norm, "--backend", "trt", "--out", str(tmp_path / "grid.png")]) == 0


def test_the_logger_that_the_plugin_library_keeps_lives_for_good(board, with_norm):
    assert build(with_norm) == 0
    board.double.plugins.clear()
    open_engine(Bundle.open(with_norm), "decode", "trt").close()
    gc.collect()
    assert board.double.plugin_logger() is not None
    open_engine(Bundle.open(with_norm), "decode", "trt").close()


def test_without_the_plugin_library_the_cause_is_named(board, with_norm, monkeypatch, sentence):
    """Neither another TensorRT nor an operator that it lacks: nobody shall export or build again for that."""
    assert build(with_norm) == 0
    board.double.plugins.clear()
    monkeypatch.delattr(board.trt, "init_libnvinfer_plugins")
    text = sentence(PlanError, open_engine, Bundle.open(with_norm), "decode", "trt")
    assert "could not find plugin: InstanceNormalization_TRT" in text and "libnvinfer-plugin8" in text
    assert "export it again" not in text and "build it again" not in text


def test_what_the_real_messages_mean(board):
    log = Log()
    for line in NO_CREATOR:
        log.make(board.trt).log(board.trt.ILogger.Severity.ERROR, line.format("InstanceNormalization_TRT"))
    assert "libnvinfer-plugin8" in explained(log, "it failed")


@pytest.mark.parametrize("version", EIGHT)
def test_the_double_refuses_such_a_plan_without_them(plug, with_norm, version):
    board = plug(version)
    assert build(with_norm) == 0
    board.double.plugins.clear()
    (stem, _), = plan.certificates(with_norm)
    log, cuda = Log(), Cuda()
    with cuda.active(), open(stem + ".plan", "rb") as file:
        runtime = board.trt.Runtime(log.make(board.trt))
        assert runtime.deserialize_cuda_engine(file.read()) is None
        del runtime
    cuda.close()
    assert log.errors()[0] == "3: getPluginCreator could not find plugin: InstanceNormalization_TRT version: 1"
    assert "IPluginCreator not found in Plugin Registry" in log.errors()[1]
