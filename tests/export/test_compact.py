"""Compact bundles: smaller, and nothing is lost."""

import os

import numpy as np
import pytest
from latentjet.export.compact import compact
from latentjet.export.pack import npz
from latentjet.runtime.bundle import Bundle, write
from latentjet.runtime.check import check
from latentjet.runtime.cli import main
from latentjet.runtime.parts import CONSTANTS, assemble, cut, from_planes


@pytest.fixture(scope="module")
def exported(bundles, tmp_path_factory):
    """{"plain" or "compact": path of the same flow as a .zip}."""
    folder, source = tmp_path_factory.mktemp("compact"), Bundle.open(bundles / "realnvp.bundle")
    contents = {name: source.read(name) for name in source.manifest["files"]}
    for name in ("weights.npz", "reference.npz"):
        contents[name] = npz(source.arrays(name), compressed=False)
    write(folder / "plain.zip", source.manifest, contents)
    contents, parts = compact(contents)
    write(folder / "compact.zip", source.manifest, contents, listed=parts)
    return {name: folder / f"{name}.zip" for name in ("plain", "compact")}


def test_every_graph_reads_as_before(exported):
    plain, small = Bundle.open(exported["plain"]), Bundle.open(exported["compact"])
    graphs = [name for name in plain.manifest["files"] if name.endswith(".onnx")]
    assert len(graphs) == 9, "four graphs, each with a form for TensorRT 8, and one typed in half"
    assert all(plain.read(name) == small.read(name) for name in graphs)
    for file in ("weights.npz", "reference.npz"):
        one, other = plain.arrays(file), small.arrays(file)
        assert one.keys() == other.keys() and all((one[name] == other[name]).all() for name in one)
    assert all(item.passed for item in check(small, "ort")[1])


def test_numbers_are_stored_once(exported):
    small = Bundle.open(exported["compact"])
    entries = small.manifest["files"]
    parameters = sum(array.nbytes for array in small.arrays("weights.npz").values())
    reference = {array.tobytes() for array in small.arrays("reference.npz").values()}
    assert len(reference) < len(small.arrays("reference.npz"))
    assert entries[CONSTANTS]["bytes"] <= 1.05 * parameters + sum(map(len, reference))
    assert all("parts" in entries[name] for name in entries if name.endswith((".onnx", ".npz")))
    assert os.path.getsize(exported["compact"]) < os.path.getsize(exported["plain"])


def test_weights_that_are_some_columns_of_others_are_stored_with_them():
    weight = np.random.RandomState(1).standard_normal((8, 7, 3, 3)).astype("<f4")
    own, shared = (np.ascontiguousarray(part) for part in (weight[:, :2], weight[:, 2:]))
    contents = {"a.onnx": onnx_of({"own": own, "shared": shared}), "weights.npz": npz({"w": weight}, compressed=False)}
    full, parts = compact(contents)
    assert len(full[CONSTANTS]) == weight.nbytes and sorted(part[2:] for part in parts["a.onnx"]) == [
        [18, "float32", 8, 252], [45, "float32", 8, 252],
    ]  # fmt: skip
    for name, listed in parts.items():
        assert assemble(cut(contents[name], listed), listed, from_planes(full[CONSTANTS])) == contents[name]


def test_a_copy_is_plain_again(exported, tmp_path):
    assert main(["copy", str(exported["compact"]), str(tmp_path / "copy.bundle")]) == 0
    copy, plain = Bundle.open(tmp_path / "copy.bundle"), Bundle.open(exported["plain"])
    assert copy.manifest["format"] == 1 and CONSTANTS not in copy.manifest["files"]
    assert (tmp_path / "copy.bundle" / "encode.onnx").read_bytes() == plain.read("encode.onnx")


def test_show_says_what_is_stored_once(exported, capsys):
    assert main(["show", str(exported["compact"])]) == 0
    assert "kB of it from constants.bin" in capsys.readouterr().out
    assert main(["show", str(exported["plain"])]) == 0
    assert "constants.bin" not in capsys.readouterr().out


def test_without_weights(bundles, tmp_path, capsys):
    place = tmp_path / "small.bundle"
    assert main(["export", str(bundles / "cvae"), str(place), "--without-weights", "--compact"]) == 0
    opened = Bundle.open(place)
    assert "weights.npz" not in opened.manifest["files"] and all(item.passed for item in check(opened, "ort")[1])
    assert main(["bench", "run", str(place), "--batch", "1", "--rounds", "2", "--burst", "0.001"]) == 0
    assert "holds no weights" in capsys.readouterr().err


def test_blocks_that_repeat_or_touch_are_found_without_overlap():
    stream = np.random.RandomState(0)
    one, other = (stream.standard_normal(100).astype("<f4") for _ in range(2))
    graph = onnx_of({"one": one, "other": other, "zeros": np.zeros(200, "<f4")})
    contents = {
        "a.onnx": graph,
        "b.npz": one.tobytes() * 2 + other.astype("<f2").tobytes() + bytes(2000) + b"end",
        "c.txt": b"nothing of it",
    }
    full, parts = compact(contents)
    assert set(parts) == {"a.onnx", "b.npz"}
    assert len(full[CONSTANTS]) == one.nbytes + other.nbytes + 800
    for name, listed in parts.items():
        assert assemble(cut(contents[name], listed), listed, from_planes(full[CONSTANTS])) == contents[name]
    assert len(cut(contents["b.npz"], parts["b.npz"])) < 800


def onnx_of(arrays):
    """The bytes of a model that holds some arrays."""
    from onnx import helper, numpy_helper

    items = [numpy_helper.from_array(array, name) for name, array in arrays.items()]
    return helper.make_model(helper.make_graph([], "held", [], [], items)).SerializeToString()
