"""A bundle made before 0.2 says that TensorRT 8.0 and 8.2 cannot read it, without onnx, and what to do."""

import json
import sys

import numpy as np
import onnx
import pytest
from latentjet.runtime import bundle as bundles_module
from latentjet.runtime import old_products
from latentjet.runtime.bundle import Bundle
from latentjet.runtime.cli import main
from onnx import numpy_helper


def without_zeros(content):
    """An ONNX file's bytes -> the same without the zero third input of its products, as 0.1.0 wrote it."""
    model = onnx.load_from_string(content)
    arrays = {item.name: item for item in model.graph.initializer}
    for node in model.graph.node:
        if node.op_type == "Gemm" and not np.any(numpy_helper.to_array(arrays[node.input[2]])):
            model.graph.initializer.remove(arrays[node.input[2]])
            del node.input[2]
    return model.SerializeToString()


@pytest.fixture
def outdated(bundles, tmp_path):
    """A flow's bundle as 0.1.0 would have written it."""
    source = Bundle.open(bundles / "realnvp.bundle")
    contents = {name: source.read(name) for name in source.manifest["files"]}
    contents = {
        name: without_zeros(content) if name.endswith(".onnx") else content for name, content in contents.items()
    }
    manifest = json.loads(json.dumps(source.manifest))
    manifest["made_by"]["latentjet"] = "0.1.0"
    bundles_module.write(tmp_path / "old.bundle", manifest, contents)
    return str(tmp_path / "old.bundle")


def test_it_is_told_from_the_bytes_of_the_graphs(outdated, bundles):
    note = old_products.note(Bundle.open(outdated))
    assert "decode.onnx" in note and "decode.fp16.onnx" in note and "`latentjet export`" in note
    for family in ("vae", "cvae", "realnvp", "gan"):
        assert old_products.note(Bundle.open(bundles / (family + ".bundle"))) is None


@pytest.mark.parametrize("command", ["show", "check"])
def test_show_and_check_say_so_in_one_sentence_without_onnx(outdated, command, capsys, monkeypatch):
    monkeypatch.setitem(sys.modules, "onnx", None)
    assert main([command, outdated]) == 0, "ONNX Runtime reads it, and gives what it should"
    out = capsys.readouterr().out
    assert out.count("cannot read") == 1 and "TensorRT 8.0 and 8.2" in out and "before 0.2" in out


@pytest.mark.parametrize("version", ["8.0.1", "8.2.1"])
def test_a_tx2_refuses_to_build_it_and_says_what_to_do(plug, outdated, version, capsys):
    plug(version)
    assert main(["build", outdated, "--graphs", "decode"]) == 1
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    assert "kernel weights has count" in error and "but 0 was expected" in error
    assert "before 0.2" in error and "`latentjet export` it again" in error and "upgrade" in error
    print(error)


@pytest.mark.parametrize("version", ["8.4.1.5", "8.6.0"])
def test_later_parsers_read_it(plug, outdated, version):
    plug(version)
    assert main(["build", outdated, "--graphs", "decode", "--samples", "16", "--batch", "1,4"]) == 0


def test_the_zero_input_changes_no_bit(outdated, bundles):
    """ONNX Runtime gives the same bits for the graphs of before and after, on the reference's inputs."""
    from latentjet.runtime.engine import open_engine

    old, new = Bundle.open(outdated), Bundle.open(bundles / "realnvp.bundle")
    for graph in new.graphs:
        inputs, _ = new.reference(graph)
        with open_engine(old, graph, "ort") as before, open_engine(new, graph, "ort") as after:
            expected, seen = before.run(**inputs), after.run(**inputs)
        assert all(np.array_equal(seen[name], expected[name]) for name in expected)


@pytest.mark.parametrize("content", [b"", b"hello world", b"\x08\x07" + 40 * b"\xff", b"\x08\x07\x38\x05", b"\x08\x07\x3a\x04\x0a\x02\x08\x05"])
def test_what_is_no_graph_has_no_products(content):
    assert old_products.products(content) == []


@pytest.mark.parametrize(
    ("inputs", "attributes", "refused"),
    [
        (["x", "w"], {}, True),
        (["x", "w"], {"transB": 1, "alpha": 1.0, "beta": 1.0}, True),
        (["x", "w", ""], {}, True),
        (["x", "w", "c"], {}, False),
        (["x", "w"], {"alpha": 0.5}, False),
        (["x", "w"], {"beta": 0.0}, False),
        (["x", "x"], {}, False),
    ],
)
def test_it_agrees_with_the_rules_of_the_parser(inputs, attributes, refused):
    from latentjet.export.importer import findings_of
    from onnx import TensorProto, helper

    node = helper.make_node("Gemm", inputs, ["y"], **attributes)
    values = [helper.make_tensor_value_info(name, TensorProto.FLOAT, ("batch", 4)) for name in ("x", "y")]
    weights = [numpy_helper.from_array(np.ones(shape, np.float32), name) for name, shape in (("w", (4, 4)), ("c", (4,)))]
    model = helper.make_model(helper.make_graph([node], "test", values[:1], values[1:], weights), ir_version=7,
                              opset_imports=[helper.make_opsetid("", 13)])  # fmt: skip
    assert bool(old_products.products(model.SerializeToString())) == refused
    assert any("third" in item.reason or "without C" in item.reason or "empty name" in item.reason
               for _, item in findings_of(model)) == refused  # fmt: skip
