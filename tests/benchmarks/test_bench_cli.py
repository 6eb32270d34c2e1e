"""latentjet bench from end to end, on small bundles."""

import io
import json
import os
import sys

import numpy as np
import pytest
from latentjet.benchmarks import __main__ as bench
from latentjet.benchmarks.results import load
from latentjet.runtime.bundle import Bundle
from latentjet.runtime.cli import main

QUICK = ["--rounds", "2", "--burst", "0.001"]


@pytest.fixture
def run(capsys):
    """(arguments of bench) -> (exit status, standard output, standard error)."""

    def call(*arguments):
        status = main(["bench"] + [str(argument) for argument in arguments])
        seen = capsys.readouterr()
        return status, seen.out, seen.err

    return call


@pytest.fixture
def fails(run):
    """(arguments of bench) -> the error's text; the status must be 1, with one line on standard error."""

    def call(*arguments):
        status, out, err = run(*arguments)
        assert status == 1 and out == "" and err.count("\n") == 1
        assert err.startswith(f"latentjet bench {arguments[0]}: ")
        return err

    return call


HARNESS = "of every call the harness itself takes "


def test_run_prints_a_table_and_keeps_what_show_prints_again(bundles, tmp_path, run):
    place = tmp_path / "run.json"
    status, out, err = run(
        "run", bundles / "cvae.bundle", "--backends", "eager,ort", "--batch", "1,2", "--out", place, *QUICK
    )
    assert status == 0 and all(line.startswith("warning: ") and "; " in line for line in err.splitlines())
    lines = out.splitlines()
    assert lines[-1] == str(place)
    assert lines[-2].startswith(HARNESS) and " us at batch 1, " in lines[-2] and " us at batch 2 " in lines[-2]
    assert sorted(tuple(line.split()[:2]) for line in lines[2:-2]) == [
        ("1", "eager"), ("1", "ort"), ("2", "eager"), ("2", "ort")
    ]  # fmt: skip
    kept = load(str(place))
    assert len(kept.results) == 4 and kept.settings["rounds"] == 2
    for item in kept.results:
        assert any(f"{1e3 * item.median_s:.4f}" in line for line in lines[2:-2])
    status, shown, _ = run("show", place)
    assert status == 0 and all(line in shown for line in lines[2:-2])
    assert os.listdir(str(tmp_path)) == ["run.json"]


def test_quality_is_kept_and_a_wrong_one_is_told_before_anything_is_timed(bundles, tmp_path, run, fails, monkeypatch):
    place, figures = tmp_path / "run.json", tmp_path / "evaluate.json"
    figures.write_text(json.dumps({"figures": {"fid": {"value": 9.5}}}))
    more = ["--systems", "replay", "--batch", "1", "--quality", figures, "--out", place]
    assert run("run", bundles / "vae.bundle", *(more + QUICK))[0] == 0
    assert load(str(place)).bundle["quality"] == {"fid": 9.5}
    figures.write_text("[]")
    monkeypatch.setattr(bench.suite, "run", None)
    assert "no result of latentjet evaluate" in fails("run", bundles / "vae.bundle", *more[:-1], tmp_path / "b.json")


def test_other_scenarios_are_a_line_each(bundles, run, monkeypatch):
    monkeypatch.setattr(bench.suite.scenarios, "PACED_S", 0.02)
    options = ["--systems", "replay", "--scenarios", "overlapped,paced,cold", "--batch", "2", "--rate", "500"]
    status, out, _ = run("run", bundles / "vae.bundle", *(options + QUICK))
    assert status == 0
    lines = out.splitlines()
    assert [line.split()[:4] for line in lines[:-1]] == [
        ["overlapped", "batch", "2", "replay"], ["paced", "batch", "1", "replay"], ["cold", "batch", "1", "replay"]
    ]  # fmt: skip
    assert "samples/s by wall clock" in lines[0] and "no copies overlap" in lines[0]
    assert "500 Hz: " in lines[1] and "deadlines missed" in lines[1]
    assert "first image after " in lines[2] and "later ones " in lines[2]


def test_run_without_out_keeps_nothing(bundles, tmp_path, run, monkeypatch):
    monkeypatch.chdir(tmp_path)
    status, out, _ = run(
        "run", bundles / "realnvp.bundle", "--backends", "ort", "--graph", "encode", "--batch", "2", *QUICK
    )
    assert status == 0 and "'encode'" in out and os.listdir(str(tmp_path)) == []


def test_a_zip_can_be_timed(bundles, tmp_path, run):
    import shutil

    place = shutil.make_archive(str(tmp_path / "flow"), "zip", str(bundles / "vae.bundle"))
    assert run("run", place, "--backends", "replay", "--batch", "1", *QUICK)[0] == 0


def test_show_of_several_results_prints_each(bundles, tmp_path, run):
    for name in ("one", "two"):
        place = tmp_path / (name + ".json")
        run("run", bundles / "vae.bundle", "--backends", "replay", "--batch", "1", "--out", place, *QUICK)
    status, out, _ = run("show", tmp_path / "one.json", tmp_path / "two.json")
    assert status == 0 and out.count("median ms") == 2


def test_an_existing_output_is_refused_before_anything_is_timed(bundles, tmp_path, run, fails, monkeypatch):
    place = tmp_path / "run.json"
    place.write_text("precious")
    with monkeypatch.context() as patch:
        patch.setattr(bench.suite, "run", None)
        text = fails("run", bundles / "vae.bundle", "--out", place)
    assert "exists already" in text and "--overwrite" in text and place.read_text() == "precious"
    options = ["--backends", "replay", "--batch", "1", "--out", place, "--overwrite"]
    assert run("run", bundles / "vae.bundle", *(options + QUICK))[0] == 0
    assert len(load(str(place)).results) == 1


def test_a_wrong_engine_gets_no_time_and_writes_nothing(bundle, altered, tmp_path, fails):
    arrays = Bundle.open(bundle).arrays("reference.npz")
    arrays["decode/images"] += np.float32(0.01)
    buffer = io.BytesIO()
    np.savez(buffer, **arrays)
    altered(bundle, {"reference.npz": buffer.getvalue()})
    text = fails("run", bundle, "--backends", "ort", "--out", tmp_path / "run.json", *QUICK)
    assert "a wrong result gets no time" in text
    assert not (tmp_path / "run.json").exists()


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        (["--backends", "onnx"], "system is 'onnx', expected one of: bare, compile, eager, "),
        (["--backends", "ort,ort"], "each once"),
        (["--systems", "trt-fp8"], "parts of trt's combine"),
        (["--backends", "ort", "--scenarios", "warm"], "scenario is 'warm', expected of: single, batch"),
        (["--backends", "ort", "--scenarios", "batch", "--batch", "1"], "needs sizes above 1"),
        (["--backends", "ort", "--rate", "0"], "rate is 0.0 Hz"),
        (["--backends", "ort", "--device", "gpu"], "device is 'gpu', expected one of: auto, cpu, cuda"),
        (["--backends", "ort", "--quality", "none.json"], "none.json cannot be read"),
        (["--backends", ""], "expected one of"),
        (["--backends", "ort", "--graph", "sample"], "no graph 'sample'"),
        (["--backends", "ort", "--batch", "0"], "batch is 0, expected at least 1"),
        (["--backends", "ort", "--rounds", "1"], "rounds is 1"),
        (["--backends", "ort", "--threads", "0"], "threads 0"),
        (["--backends", "ort", "--seed", "-1", "--batch", "1"], "seed is -1"),
        (["--backends", "ort", "--burst", "nan"], "burst is nan s"),
    ],
)
def test_bad_options_are_one_line_and_write_nothing(bundles, tmp_path, fails, options, expected):
    text = fails("run", bundles / "cvae.bundle", "--out", tmp_path / "run.json", *options)
    assert expected in text and os.listdir(str(tmp_path)) == []


@pytest.mark.parametrize(
    "arguments", [[], ["run"], ["show"], ["run", "x", "--batch", "1,b"], ["run", "x", "--batch", ""], ["fly"]]
)
def test_wrong_usage_ends_with_2(arguments, capsys):
    with pytest.raises(SystemExit) as ended:
        main(["bench", *arguments])
    assert ended.value.code == 2 and "usage:" in capsys.readouterr().err


def test_help_lists_every_system(capsys):
    with pytest.raises(SystemExit) as ended:
        main(["bench", "run", "--help"])
    out = capsys.readouterr().out
    assert ended.value.code == 0 and all(name in out for name in ("eager", "masked", "ort", "replay"))


def test_a_missing_bundle(tmp_path, fails):
    assert "none.bundle does not exist" in fails("run", tmp_path / "none.bundle")


@pytest.mark.parametrize("content", ["", "{", "[]", '{"kind": "other", "format": 1}'])
def test_show_of_what_is_no_result(tmp_path, content, fails):
    (tmp_path / "run.json").write_text(content)
    assert "run.json is no result of latentjet bench" in fails("show", tmp_path / "run.json")
    assert "cannot be read" in fails("show", tmp_path / "none.json")


def test_show_of_a_newer_result(tmp_path, fails):
    (tmp_path / "run.json").write_text(json.dumps({"kind": "latentjet benchmark", "format": 7}))
    assert "has format 7" in fails("show", tmp_path / "run.json")


def test_bench_without_torch_still_times_ort(bundles, run, fails, monkeypatch):
    monkeypatch.setitem(sys.modules, "torch", None)
    monkeypatch.delitem(sys.modules, "latentjet.benchmarks.eager", raising=False)
    with_eager = ["--backends", "eager,ort", "--batch", "1"]
    assert "pip install torch" in fails("run", bundles / "vae.bundle", *with_eager, *QUICK)
    status, out, err = run("run", bundles / "vae.bundle", "--batch", "1", *QUICK)
    assert status == 0 and "left out: eager: system 'eager' cannot be loaded" in err
    assert " ort " in out and " eager " not in out


def test_what_is_timed_unless_told(bundles, run, bundle, altered):
    status, out, err = run("run", bundles / "cvae.bundle", "--batch", "1", *QUICK)
    assert status == 0 and " ort " in out and " eager " in out and " torchscript " in out
    status, out, err = run("run", altered(bundle, {"weights.npz": None}), "--batch", "1", *QUICK)
    assert status == 0 and "left out: eager, torchscript: {} holds no weights".format(bundle) in err
    assert " ort " in out and " eager " not in out


def test_all_systems_names_every_one_that_cannot_run_here(bundles, run, monkeypatch):
    """With replay alone left to run: what it names is the rest of the table."""
    for package in ("torch", "onnxruntime", "tensorrt", "tensorrt_rtx", "pycuda"):
        monkeypatch.setitem(sys.modules, package, None)
    for module in ("benchmarks.eager", "benchmarks.masked", "benchmarks.overhead", "runtime.ort"):
        monkeypatch.delitem(sys.modules, "latentjet." + module, raising=False)
    monkeypatch.setattr(bench.suite.layers, "TOLD", ())
    status, out, err = run("run", bundles / "vae.bundle", "--systems", "all", "--batch", "1", *QUICK)
    assert status == 0 and " replay " in out
    left = [name for line in err.splitlines() if line.startswith("left out: ") for name in line.split(": ")[1].split(", ")]
    assert sorted(left) == sorted(set(bench.systems.ALL) - {"replay"})
