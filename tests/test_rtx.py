"""The shipped kinds of graphs, float32 and typed in half, through a real TensorRT parser and builder.

TensorRT for RTX builds on a machine without a GPU; running and reading plans needs one.
"""

import importlib.util
from pathlib import Path

import onnx
import pytest
from latentjet.runtime import compile as compiling
from latentjet.runtime import shipped
from latentjet.runtime.bundle import Bundle
from latentjet.runtime.cli import main
from latentjet.runtime.errors import PlanError
from latentjet.runtime.trt import Api

rtx = pytest.importorskip("tensorrt_rtx", reason="TensorRT for RTX has wheels for CPython 3.8 to 3.13 on x86-64 only")
API = Api(rtx)


@pytest.mark.parametrize("family", ["vae", "cvae", "realnvp"])
def test_every_graph_is_read_and_built(bundles, family, capsys):
    assert main(["build", str(bundles / f"{family}.bundle"), "--rehearse", "--batch", "1,4,16"]) == 0
    lines = capsys.readouterr().out.strip().splitlines()
    graphs = {"realnvp": ["decode", "dequantise", "encode", "log_prob"]}.get(family, ["decode"])
    assert [line.split()[0] for line in lines] == graphs and "fp16" in lines[0]
    assert not (bundles / f"{family}.bundle" / "plans").exists()


@pytest.mark.parametrize("name", shipped.names())
def test_every_shipped_bundle_is_read_and_built(name, capsys):
    assert main(["build", name, "--rehearse", "--graphs", "decode"]) == 0
    assert capsys.readouterr().out.startswith("decode    fp16  TensorRT ")


@pytest.mark.parametrize("name", [name for name in shipped.names() if "realnvp" in name])
def test_shipped_flows_are_lean(name, rtx_layers):
    opened = Bundle.open(shipped.find(name))
    _, _, kernels = rtx_layers.counts(opened.read("decode.fp16.onnx"))
    assert len(kernels) <= 60, "kernels rule on a small board"
    assert opened.graph("decode").figures["macs"] <= 61e6


def network(content):
    from latentjet.runtime.trt import Log

    log = Log()
    builder = API.builder(log)
    wanted = compiling.Recipe("decode", "fp16", "decode.fp16.onnx", content, True, (), (1, 8), 1 << 26)
    return builder, *compiling.parse(API, builder, wanted, log)


def test_the_typed_graph_computes_in_half(bundles):
    opened = Bundle.open(bundles / "realnvp.bundle")
    _, found, _ = network(opened.read("decode.fp16.onnx"))
    layers = [found.get_layer(index) for index in range(found.num_layers)]
    convolutions = [layer for layer in layers if layer.type in (rtx.LayerType.CONVOLUTION, rtx.LayerType.DECONVOLUTION)]
    assert convolutions and all(layer.get_output(0).dtype == rtx.float16 for layer in convolutions)
    assert found.get_output(0).dtype == rtx.float32


@pytest.fixture(scope="module")
def rtx_layers():
    spec = importlib.util.spec_from_file_location("rtx_layers", Path(__file__).parent / "rtx_layers.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_fusion_leaves_one_layer_and_few_kernels_of_each_graph(bundles, rtx_layers, capsys):
    for family, graphs in (("cvae", 2), ("realnvp", 5)):
        rtx_layers.main(str(bundles / f"{family}.bundle"))
        lines = [line.split() for line in capsys.readouterr().out.splitlines()[2:]]
        assert len(lines) == graphs
        for graph, precision, *numbers in lines:
            read, fused, kernels = map(int, numbers)
            assert fused == 1 and 0 < 3 * kernels < read, (family, graph, precision)


def test_every_convolution_is_one_kernel_and_there_is_little_else(bundles, rtx_layers):
    """What the flow's shape is for: a coupling is three convolutions, and all of its arithmetic is one kernel more."""
    graph = onnx.load(bundles / "realnvp.bundle" / "decode.fp16.onnx").graph
    convolutions = sum(node.op_type == "Conv" for node in graph.node)
    _, _, kernels = rtx_layers.counts((bundles / "realnvp.bundle" / "decode.fp16.onnx").read_bytes())
    assert sum(kind == "correlation" for _, kind in kernels) == convolutions == 12
    assert len(kernels) < 3 * convolutions


def test_kernels_are_read_from_the_builders_log(rtx_layers):
    listed = "Layers:\nName: a, LayerType: kgen, Inputs: []\nName: b c, LayerType: shape_call, Inputs\n\nName: d"
    assert rtx_layers.kernels(["else", listed]) == [("a", "kgen")]
    with pytest.raises(StopIteration):
        rtx_layers.kernels(["else"])


@pytest.mark.parametrize("content", [b"", b"hello world" * 10])
def test_a_file_that_parses_without_layers_is_refused(content):
    with pytest.raises(PlanError, match="0 layers.*no graph"):
        network(content)


def test_a_truncated_graph_is_refused_with_the_parsers_words(bundles):
    content = Bundle.open(bundles / "cvae.bundle").read("decode.onnx")
    with pytest.raises(PlanError, match=r"cannot read graph 'decode': node -1: .*parse"):
        network(content[: len(content) // 2])


def test_without_a_driver_running_is_refused_in_one_sentence(bundles, capsys):
    assert main(["build", str(bundles / "cvae.bundle")]) == 1
    captured = capsys.readouterr()
    assert captured.err.startswith("latentjet build: ") and captured.err.count("\n") == 1
