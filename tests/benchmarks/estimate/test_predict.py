"""The prediction: laws that hold for any graph, the numbers it prints, and how it refuses."""

import json

import pytest

pytest.importorskip("onnx")
from latentjet.benchmarks.estimate import estimate, graph, targets  # noqa: E402
from latentjet.benchmarks.estimate.advice import advice  # noqa: E402
from latentjet.runtime import shipped  # noqa: E402
from latentjet.runtime.bundle import Bundle  # noqa: E402
from latentjet.runtime.cli import main  # noqa: E402
from latentjet.runtime.errors import BundleError, InputError  # noqa: E402

MODES = [(target, mode) for target, entry in sorted(targets.table().items()) for mode in sorted(entry["modes"])]


@pytest.fixture(scope="module")
def flow():
    bundle = Bundle.open(shipped.find("fashion-realnvp"))
    return graph.read(bundle.read(bundle.graph("decode").file), 1)


@pytest.mark.parametrize("target, mode", MODES)
def test_parts_make_the_whole_on_every_board_and_in_every_mode(flow, target, mode):
    for precision in ("fp16", "fp32"):
        found = estimate(flow, target, mode, precision)
        assert found.seconds == pytest.approx(
            found.fixed_s + found.launch_s + found.memory_s + found.arithmetic_s, rel=1e-9
        )
        assert found.seconds == pytest.approx(found.half_s if precision == "fp16" else found.float32_s, rel=1e-9)
        low, high = found.interval
        assert 0 < low < found.seconds < high
        assert found.fused_s <= found.seconds and found.idle_s >= 0
        assert any("no latency of a" in note for note in found.notes) == (target != "tx2")


def test_slower_clocks_more_rows_and_more_bits_take_longer(flow):
    fastest = estimate(flow)
    for mode in ("MAXQ", "MAXP_CORE_ALL", "MAXP_CORE_ARM", "MAXP_CORE_DENVER"):
        assert estimate(flow, mode=mode).seconds > fastest.seconds
    assert estimate(flow, precision="fp32").seconds > 0.9 * fastest.seconds
    bundle = Bundle.open(shipped.find("fashion-realnvp"))
    before = fastest.seconds
    for batch in (4, 16, 64):
        found = estimate(bundle, batch=batch)
        assert found.batch == batch and before < found.seconds < 4 * before
        before = found.seconds


@pytest.mark.parametrize("name", shipped.names())
def test_every_bundle_that_ships(name):
    for described in Bundle.open(shipped.find(name)).graphs:
        found = estimate(name, graph=described)
        assert 1e-4 < found.seconds < 2e-2 and found.layers
        assert found.precision == "fp16"


@pytest.fixture
def mixed():
    """A flow's bundle whose exporter kept the arithmetic of its couplings in float32."""
    bundle = Bundle.open(shipped.find("mnist-realnvp"))
    described = bundle.graphs["decode"]
    kept = {name: "promoted" for name in described.precision["exp_inputs"]}
    kept.update({name.replace("exp", "tanh"): "promoted" for name in kept})
    bundle.graphs["decode"] = described._replace(precision=dict(described.precision, keep_float32=kept))
    return bundle


def test_nodes_that_the_exporter_keeps_in_float32_stay_there_and_cost_conversions(mixed):
    found = estimate(mixed)
    kept = [item for item in found.layers if item.precision == "fp32"]
    plain = estimate(graph.read(Bundle.open("mnist-realnvp").read("decode.onnx")))
    assert kept and any("stay in float32" in note for note in found.notes)
    assert len(found.layers) > len(plain.layers) and found.seconds > plain.seconds


def test_a_refused_half_precision_is_predicted_in_float32():
    bundle = Bundle.open(shipped.find("mnist-vae"))
    described = bundle.graphs["decode"]
    bundle.graphs["decode"] = described._replace(precision=dict(described.precision, file=None))
    found = estimate(bundle)
    assert found.precision == "fp32" and any("refused half precision" in note for note in found.notes)


def test_advice_speaks_of_what_costs(make, flow, mixed):
    told = " ".join(advice(estimate(flow, precision="fp32")))
    assert "launches: " in told and "slices and copies: " in told and "fp16 would take" in told
    told = " ".join(advice(estimate(mixed)))
    assert "float32 would take" in told and "fp16 would take" not in told
    wide = make.conv(make.conv("x", 64, 64), 64, 64)
    (found,) = [estimate(make.content([wide], x=[8, 64, 128, 128]), precision="fp32")]
    told = advice(found)
    assert told[0].startswith("one layer") or told[0].startswith("precision")
    assert any("fp16 would take" in line for line in told) and not any("launches" in line for line in told)


def test_operators_whose_work_is_not_known_are_named(make):
    content = make.content([make.node("EyeLike", "x")], x=[4, 4])
    assert any("EyeLike" in note for note in estimate(content).notes)


@pytest.mark.parametrize("arguments, sentence", [
    ({"target": "tx3"}, "target is 'tx3', expected one of: nano, orin-nano, tx2, tx2-nx, xavier-nx"),
    ({"mode": "15W"}, "power mode of tx2 is '15W', expected one of: MAXN, MAXP_CORE_ALL, MAXP_CORE_ARM, MAXP_CORE_"),
    ({"precision": "int8"}, "precision is 'int8', expected one of: fp16, fp32"),
    ({"batch": 0}, "batch is 0, expected a whole number from 1"),
])  # fmt: skip
def test_wrong_arguments_list_the_right_ones(flow, arguments, sentence):
    with pytest.raises(InputError, match=sentence):
        estimate(flow, **arguments)


def test_what_is_neither_a_bundle_nor_onnx(tmp_path):
    with pytest.raises(BundleError, match="does not exist: expected a bundle's folder"):
        estimate(str(tmp_path / "nowhere"))
    with pytest.raises(BundleError, match="has no graph 'encode'"):
        estimate("mnist-vae", graph="encode")
    (tmp_path / "notes.txt").write_text("words")
    with pytest.raises(InputError, match="notes.txt is no ONNX file"):
        estimate(str(tmp_path / "notes.txt"))


def test_the_command_prints_the_error_of_the_fit_and_keeps_all_as_json(tmp_path, capsys):
    place = tmp_path / "found.json"
    arguments = ["estimate", "fashion-cvae", "--mode", "MAXQ", "--batch", "8", "--json", str(place)]
    assert main(arguments) == 0
    out = capsys.readouterr().out
    kept = json.loads(place.read_text(encoding="utf-8"))
    first = "fashion-cvae 'decode' on a Jetson TX2, MAXQ, fp16, batch 8: {:.2f} ms ({:.2f} to {:.2f})".format(
        1e3 * kept["seconds"], *(1e3 * item for item in kept["interval_s"])
    )
    assert out.splitlines()[0] == first and out.splitlines()[-1] == str(place)
    left = kept["errors"]["network_left_out"]
    assert "by {:.0f} % (median), nine of ten by at most {:.0f} %".format(
        100 * left["median"], 100 * left["nine_of_ten"]
    ) in out
    assert "not a measurement" in out and "left out: code on the host" in out
    assert len(kept["layers"]) == kept["kernels"] and kept["device"]["mode"] == "MAXQ"
    assert main(arguments) == 1
    assert "exists already" in capsys.readouterr().err
    assert main(arguments + ["--overwrite", "--layers", "0"]) == 0
    assert capsys.readouterr().out.count("launch") > kept["kernels"] / 2


def test_the_command_refuses_in_one_line(capsys):
    assert main(["estimate", "mnist-vae", "--target", "tx9"]) == 1
    err = capsys.readouterr().err
    assert err.startswith("latentjet estimate: target is 'tx9'") and err.count("\n") == 1


def product_without_a_third_input(path):
    """Somebody's own file: a Linear without a bias, as torch.onnx writes it."""
    import numpy as np
    import onnx
    from onnx import TensorProto, helper, numpy_helper

    node = helper.make_node("Gemm", ["x", "w"], ["y"], "their_linear", transB=1)
    values = [helper.make_tensor_value_info("x", TensorProto.FLOAT, ("batch", 4)),
              helper.make_tensor_value_info("y", TensorProto.FLOAT, ("batch", 5))]  # fmt: skip
    weights = [numpy_helper.from_array(np.ones((5, 4), np.float32), "w")]
    graph_ = helper.make_graph([node], "theirs", values[:1], values[1:], weights)
    onnx.save(helper.make_model(graph_, opset_imports=[helper.make_opsetid("", 13)], ir_version=7), str(path))


@pytest.mark.parametrize("target, reads", [("tx2", False), ("nano", False), ("orin-nano", True)])
def test_a_graph_that_the_board_cannot_read_is_a_note(tmp_path, capsys, target, reads):
    path = tmp_path / "theirs.onnx"
    product_without_a_third_input(path)
    assert main(["estimate", str(path), "--target", target]) == 0
    out = capsys.readouterr().out
    assert ("note: TensorRT 8.2 cannot read this graph: node 'their_linear' (Gemm): " in out) != reads


@pytest.mark.parametrize("kind, grows", [("dense", 2.0), ("conv3x3", None)])
def test_products_leave_no_core_idle_and_convolutions_with_few_outputs_do(kind, grows):
    """A matrix product splits its depth, so twice the outputs take twice as long; a small convolution fills the GPU first."""
    import numpy as np
    from latentjet.benchmarks.estimate import cost, predict
    from latentjet.benchmarks.estimate.kernel import KINDS

    def seconds(outputs):
        work = cost.Work(np.array([KINDS.index(kind)]), np.zeros(1), np.array([outputs]), np.array([64.0]), np.zeros(1, bool))
        fitted = cost.Calibration(**predict.calibration()["parameters"])
        return float(cost.costs(work, targets.find("tx2"), False, fitted).arithmetic_s[0])

    ratio = seconds(2000.0) / seconds(1000.0)
    assert ratio == pytest.approx(grows) if grows else 1 < ratio < 1.9
