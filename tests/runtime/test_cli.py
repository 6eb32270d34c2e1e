"""The command line: exit statuses, errors of one line, output that is whole or not there."""

import io
import json
import os
import subprocess
import sys

import numpy as np
import pytest
from latentjet.runtime import engine, load
from latentjet.runtime.bundle import Bundle
from latentjet.runtime.cli import COMMANDS, main
from latentjet.runtime.engine import BACKENDS
from latentjet.runtime.errors import InputError
from latentjet.runtime.sample import parse_labels
from latentjet.runtime.version import VERSION

NAMES = [name for _, commands in COMMANDS for name, _, _, _ in commands]
PNG = b"\x89PNG\r\n\x1a\n"


@pytest.fixture(autouse=True)
def auto_is_ort(monkeypatch):
    """Whatever this machine has, "auto" is the backend that needs no device."""
    monkeypatch.setattr(engine, "AUTO", ("ort",))


@pytest.fixture
def latentjet(capsys):
    """(arguments) -> (exit status, standard output, standard error)."""

    def run(*arguments):
        status = main([str(argument) for argument in arguments])
        seen = capsys.readouterr()
        return status, seen.out, seen.err

    return run


@pytest.fixture
def fails(latentjet):
    """(arguments) -> the error's text; the status must be 1, with one line on standard error and nothing else."""

    def run(*arguments):
        status, out, err = latentjet(*arguments)
        assert status == 1 and out == ""
        assert err.count("\n") == 1 and err.startswith(f"latentjet {arguments[0]}: ")
        return err

    return run


def python(*arguments):
    done = subprocess.run([sys.executable, *arguments], stdout=subprocess.PIPE, stderr=subprocess.PIPE)  # noqa: UP022
    return done.returncode, done.stdout.decode(), done.stderr.decode()


def png_size(path):
    """Width and height from a PNG's header."""
    header = path.read_bytes()[:24]
    assert header.startswith(PNG)
    return int.from_bytes(header[16:20], "big"), int.from_bytes(header[20:24], "big")


@pytest.mark.parametrize("option", ["--help", "-h", "help"])
def test_help_lists_every_command(latentjet, option):
    status, out, err = latentjet(option)
    assert status == 0 and err == "" and VERSION in out
    lines = [line.split() for line in out.splitlines()]
    for name in NAMES:
        assert any(line[:1] == [name] and len(line) > 1 for line in lines)


def test_no_command_is_a_mistake_that_shows_the_help(latentjet):
    status, out, _ = latentjet()
    assert status == 2 and "usage: latentjet COMMAND" in out


def test_version(latentjet):
    assert latentjet("--version") == (0, VERSION + "\n", "")


def test_an_unknown_command_lists_the_known(latentjet):
    status, out, err = latentjet("smaple")
    assert status == 2 and out == "" and err.count("\n") == 1
    assert "'smaple' is no command" in err and all(name in err for name in NAMES)


def test_the_module_runs_as_a_command():
    status, out, err = python("-W", "error", "-m", "latentjet.runtime.cli", "--help")
    assert (status, err) == (0, "")
    assert all(name in out for name in NAMES)


def test_help_imports_nothing_heavy():
    script = (
        "import sys; from latentjet.runtime import cli; assert cli.main(['--help']) == 0; "
        "print(sorted(set(sys.modules) & {'numpy', 'torch', 'onnxruntime', 'onnx', 'PIL'}))"
    )
    status, out, err = python("-W", "error", "-c", script)
    assert (status, err) == (0, "") and out.splitlines()[-1] == "[]"


def test_an_error_of_the_real_command_is_one_line(tmp_path):
    status, out, err = python("-W", "error", "-m", "latentjet.runtime.cli", "show", str(tmp_path / "none.bundle"))
    assert status == 1 and out == "" and err.count("\n") == 1 and "Traceback" not in err
    assert err.startswith("latentjet show: ") and "does not exist" in err


@pytest.mark.parametrize("command", ["show", "check", "sample"])
def test_every_command_has_help(command, capsys):
    with pytest.raises(SystemExit) as ended:
        main([command, "--help"])
    assert ended.value.code == 0 and "BUNDLE" in capsys.readouterr().out


@pytest.mark.parametrize("arguments", [["show"], ["sample", "x", "--seed", "many"], ["check", "x", "--fast"]])
def test_wrong_usage_ends_with_2(arguments, capsys):
    with pytest.raises(SystemExit) as ended:
        main(arguments)
    assert ended.value.code == 2 and "usage:" in capsys.readouterr().err


def test_a_part_that_is_not_installed_says_what_to_install(monkeypatch, latentjet):
    monkeypatch.setitem(sys.modules, "latentjet.train.__main__", None)
    status, out, err = latentjet("train")
    assert status == 1 and out == "" and err.count("\n") == 1
    assert "pip install 'latentjet[train]'" in err


@pytest.mark.parametrize("name", ["cvae", "gan", "realnvp", "vae"])
def test_show_tells_what_is_in_a_bundle(bundles, latentjet, name):
    status, out, err = latentjet("show", bundles / (name + ".bundle"))
    assert status == 0 and err == ""
    bundle = Bundle.open(bundles / (name + ".bundle"))
    for words in ("1x8x8", "nodes", "MMAC", "parameters", "kB", "largest diff", "opset", "made by", "trained"):
        assert words in out
    for graph in bundle.graphs.values():
        (line,) = [line for line in out.splitlines() if line.split()[:1] == [graph.name]]
        assert "{:,}".format(graph.figures["parameters"]) in line and str(graph.figures["nodes"]) in line.split()
        assert all(tensor.name + " (batch, " in line.replace("(batch)", "(batch, ") for tensor in graph.inputs)
    assert ("red, green, blue" if bundle.classes else "unconditional") in out
    assert all(file in out for file in bundle.manifest["files"])


def test_show_tells_what_was_measured_of_half_precision(bundles, latentjet):
    found = Bundle.open(bundles / "realnvp.bundle").graph("decode").precision
    out = latentjet("show", bundles / "realnvp.bundle")[1]
    assert "fp16: 0 nodes kept in float32, 0 promotions; " in out and " 0 not finite, 10000 samples" in out
    assert "values up to {:.4g} of the 65504".format(found["largest_value"]) in out
    assert "largest exponent {:.3g} of 11.09".format(max(found["exp_inputs"].values())) in out
    assert "scale by at most {:.4g}".format(found["product_bound"]) in out
    assert "z comes back within" in out


def test_show_names_nodes_that_stay_in_float32_and_why(bundle, latentjet):
    manifest = json.loads((bundle / "bundle.json").read_text())
    manifest["graphs"]["decode"]["precision"]["keep_float32"] = {"node_exp": "the exponential of 12"}
    (bundle / "bundle.json").write_text(json.dumps(manifest))
    out = latentjet("show", bundle)[1]
    assert "1 nodes kept in float32" in out and "float32: node_exp: the exponential of 12" in out


@pytest.mark.parametrize("key", ["made_by", "model", "trained", "target", "family", "graphs"])
def test_show_of_a_manifest_that_lacks_something(bundle, key, fails):
    manifest = json.loads((bundle / "bundle.json").read_text())
    del manifest[key]
    (bundle / "bundle.json").write_text(json.dumps(manifest))
    text = fails("show", bundle)
    assert f"'{key}'" in text and "export it again" in text


@pytest.mark.parametrize("figures", [{}, {"nodes": "many"}, []])
def test_show_of_figures_that_are_garbled(bundle, figures, fails):
    manifest = json.loads((bundle / "bundle.json").read_text())
    manifest["graphs"]["decode"]["figures"] = figures
    (bundle / "bundle.json").write_text(json.dumps(manifest))
    assert "export it again" in fails("show", bundle)


@pytest.mark.parametrize("backend", ["ort", "replay"])
def test_check_of_a_right_engine_ends_with_0(bundles, latentjet, backend):
    status, out, err = latentjet("check", bundles / "realnvp.bundle", "--backend", backend)
    assert status == 0 and err == ""
    assert f"on backend '{backend}'" in out
    results = [line.split() for line in out.splitlines()[2:]]
    assert [line[0] for line in results] == ["decode", "dequantise", "dequantise", "encode", "log_prob"]
    assert all(line[-1] == "ok" for line in results)


def test_check_of_a_wrong_engine_ends_with_1(bundle, altered, latentjet):
    """The ONNX file is sound and every sum is right, but it does not give what the reference says."""
    arrays = Bundle.open(bundle).arrays("reference.npz")
    arrays["decode/images"][3] += np.float32(0.01)
    buffer = io.BytesIO()
    np.savez(buffer, **arrays)
    altered(bundle, {"reference.npz": buffer.getvalue()})
    status, out, err = latentjet("check", bundle)
    assert status == 1 and "FAILED" in out and "1.00e-02" in out
    assert err.count("\n") == 1 and "'decode'" in err and "do not use this backend" in err


def test_check_reads_every_file_even_those_it_does_not_run(bundle, fails):
    (bundle / "preview.png").write_bytes(b"x" * (bundle / "preview.png").stat().st_size)
    assert "'preview.png' was changed" in fails("check", bundle)


def test_an_unknown_backend(bundles, fails):
    text = fails("check", bundles / "cvae.bundle", "--backend", "trt9")
    assert "backend is 'trt9', expected one of: auto, " in text and all(name in text for name in BACKENDS)


def test_sample_writes_a_png_with_the_class_names_in_a_margin(bundles, tmp_path, latentjet):
    named, plain = tmp_path / "named.png", tmp_path / "plain.png"
    status, out, err = latentjet("sample", bundles / "cvae.bundle", "--count", 3, "--out", named)
    assert status == 0 and err == "" and out.splitlines()[-1] == str(named)
    assert "9 images" in out and "'ort'" in out and "seed 0" in out
    latentjet("sample", bundles / "vae.bundle", "--count", 3, "--out", plain)
    (width, height), (plain_width, plain_height) = png_size(named), png_size(plain)
    assert height == 3 * plain_height and width > plain_width + 10
    assert sorted(os.listdir(str(tmp_path))) == ["named.png", "plain.png"]


def test_sample_writes_an_npy_of_what_the_model_gives(bundles, tmp_path, latentjet):
    place = tmp_path / "samples.npy"
    options = ["--labels", "blue,0-1", "--count", 4, "--seed", 5, "--temperature", 0.5]
    assert latentjet("sample", bundles / "realnvp.bundle", "--out", place, *options)[0] == 0
    images = np.load(str(place), allow_pickle=False)
    assert images.shape == (3, 4, 1, 8, 8) and images.dtype == np.uint8
    with load(bundles / "realnvp.bundle") as model:
        expected = model.sample([2] * 4 + [0] * 4 + [1] * 4, seed=5, temperature=0.5, uint8=True)
    np.testing.assert_array_equal(images.reshape(expected.shape), expected)


@pytest.mark.parametrize(("count", "shape"), [(1, (1, 1)), (7, (1, 7)), (8, (1, 8)), (11, (2, 8))])
def test_samples_without_labels_fill_rows_of_eight(bundles, tmp_path, latentjet, count, shape):
    place = tmp_path / "samples.npy"
    assert latentjet("sample", bundles / "vae.bundle", "--count", count, "--out", place)[0] == 0
    images = np.load(str(place))
    assert images.shape == (*shape, 1, 8, 8)
    flat = images.reshape((-1, 1, 8, 8))
    with load(bundles / "vae.bundle") as model:
        np.testing.assert_array_equal(flat[:count], model.sample(count=count, uint8=True))
    assert not flat[count:].any()


def test_sample_refuses_an_existing_output_without_overwrite(bundles, tmp_path, fails, latentjet):
    place = tmp_path / "samples.npy"
    place.write_bytes(b"precious")
    text = fails("sample", bundles / "cvae.bundle", "--out", place)
    assert "exists already" in text and "--overwrite" in text and place.read_bytes() == b"precious"
    assert latentjet("sample", bundles / "cvae.bundle", "--out", place, "--overwrite")[0] == 0
    assert np.load(str(place)).shape == (3, 8, 1, 8, 8)
    assert os.listdir(str(tmp_path)) == ["samples.npy"]


@pytest.mark.parametrize("name", ["none/out.png", "file/out.png", "none/out.npy"])
def test_sample_to_a_place_that_cannot_be_written(bundles, tmp_path, name, latentjet):
    (tmp_path / "file").write_bytes(b"kept")
    status, _, err = latentjet("sample", bundles / "cvae.bundle", "--out", tmp_path / name)
    assert status == 1 and err.count("\n") == 1 and "cannot be written" in err
    assert os.listdir(str(tmp_path)) == ["file"] and (tmp_path / "file").read_bytes() == b"kept"


@pytest.mark.parametrize("end", [".png", ".npy"])
def test_sample_to_a_full_disk_leaves_the_old_output(bundles, tmp_path, end, full_disk, latentjet):
    place = tmp_path / ("samples" + end)
    place.write_bytes(b"precious")
    with full_disk():
        status, _, err = latentjet("sample", bundles / "cvae.bundle", "--out", place, "--overwrite")
    assert status == 1 and err.count("\n") == 1 and "No space left on device" in err
    assert os.listdir(str(tmp_path)) == ["samples" + end] and place.read_bytes() == b"precious"


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        (["--labels", "3"], "label is 3, expected one of 0 'red', 1 'green', 2 'blue'"),
        (["--labels=-1"], "label is '-1', expected one of 0 'red'"),
        (["--labels", "pink"], "label is 'pink'"),
        (["--labels", ""], "label is ''"),
        (["--labels", "red,"], "label is ''"),
        (["--labels", "2-0"], "2 comes after 0"),
        (["--labels", "0-99999999999"], "label is 3, expected"),
        (["--labels", "7-99999999999"], "label is 7, expected"),
        (["--labels", "\u00b2"], "label is '\u00b2'"),
        (["--count", "0"], "--count is 0, expected at least 1"),
        (["--count", "-2"], "--count is -2, expected at least 1"),
        (["--seed", "-1"], "seed is -1, expected an integer from 0"),
        (["--temperature", "-1"], "temperature is -1.0, expected a number of at least 0"),
        (["--temperature", "nan"], "temperature is nan"),
        (["--backend", "replay"], "reference rows only"),
    ],
)
def test_bad_options_write_nothing(bundles, tmp_path, fails, options, expected):
    assert expected in fails("sample", bundles / "cvae.bundle", "--out", tmp_path / "out.png", *options)
    assert os.listdir(str(tmp_path)) == []


def test_labels_for_an_unconditional_model(bundles, tmp_path, fails):
    text = fails("sample", bundles / "vae.bundle", "--labels", "3", "--out", tmp_path / "out.png")
    assert "--labels 3" in text and "unconditional" in text
    assert os.listdir(str(tmp_path)) == []


def test_a_png_without_pillow(bundles, tmp_path, latentjet, monkeypatch):
    monkeypatch.setitem(sys.modules, "PIL", None)
    status, _, err = latentjet("sample", bundles / "cvae.bundle", "--out", tmp_path / "out.png")
    assert status == 1 and "pip install Pillow" in err
    assert os.listdir(str(tmp_path)) == []
    assert latentjet("sample", bundles / "cvae.bundle", "--out", tmp_path / "out.npy")[0] == 0


@pytest.mark.parametrize(
    ("text", "labels"),
    [
        ("all", [0, 1, 2]),
        ("0-2", [0, 1, 2]),
        ("1-1", [1]),
        ("red", ["red"]),
        ("2,red,0-1", [2, "red", 0, 1]),
        ("ankle boot, 1", ["ankle boot", 1]),
    ],
)
def test_labels_are_numbers_names_and_ranges(text, labels):
    assert parse_labels(text, ["red", "green", "blue"]) == labels


def test_a_range_backwards(sentence):
    assert "--labels 2-1: 2 comes after 1" in sentence(InputError, parse_labels, "2-1", ["a", "b", "c"])


@pytest.mark.parametrize("command", ["show", "check", "sample"])
@pytest.mark.parametrize("damage", ["missing", "truncated manifest", "newer", "no zip"])
def test_damaged_bundles_are_one_line_in_every_command(bundle, tmp_path, command, damage, fails):
    place = bundle
    if damage == "missing":
        place = tmp_path / "none.bundle"
    elif damage == "truncated manifest":
        (bundle / "bundle.json").write_text((bundle / "bundle.json").read_text()[:200])
    elif damage == "newer":
        (bundle / "bundle.json").write_text('{"format": 99}')
    else:
        place = tmp_path / "a.zip"
        place.write_bytes(b"PK\x03\x04 no more")
    before = sorted(os.listdir(str(tmp_path)))
    options = ["--out", tmp_path / "out.png"] if command == "sample" else []
    text = fails(command, place, *options)
    assert place.name in text
    assert sorted(os.listdir(str(tmp_path))) == before


def test_a_reader_who_has_seen_enough_is_no_error():
    """`latentjet models | head -1`: the pipe is closed before all is written."""
    command = [sys.executable, "-m", "latentjet.runtime.cli", "models"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        process.stdout.close()
        said = process.stderr.read()
    assert (process.returncode, said) == (0, b"")
