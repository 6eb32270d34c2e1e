"""tests/gpu/measure.py, as far as it goes without a GPU: end to end on the doubles, and what it says where there is none."""

import json
import os
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
PYTHON36 = ROOT / ".venv36" / "bin" / "python"

DOUBLES = """
import ctypes, importlib.util, os, sys
import numpy, onnxruntime
place = {place!r}
spec = importlib.util.spec_from_file_location("doubles", place + "/__init__.py", submodule_search_locations=[place])
sys.modules["doubles"] = importlib.util.module_from_spec(spec)
spec.loader.exec_module(sys.modules["doubles"])
from doubles import pycuda_double, tensorrt_double
gpu = pycuda_double.Gpu("NVIDIA H100 80GB HBM3", (9, 0), (11, 7, 0), 80 << 30)
gpu.init_error = os.environ.get("NO_GPU")
gpu.loud = True
package, library, real = pycuda_double.make(gpu), pycuda_double.LibCuda(gpu, True), ctypes.CDLL
sys.modules["tensorrt"] = tensorrt_double.make({version!r}, gpu)
sys.modules["pycuda"], sys.modules["pycuda.driver"] = package, package.driver
ctypes.CDLL = lambda name, *more, **named: library if name == "libcuda.so.1" else real(name, *more, **named)
"""


@pytest.fixture
def trt_python(tmp_path):
    """(version, more environment) -> a command: CPython 3.6, if there is one, with doubles of tensorrt and pycuda."""

    def command(version="8.5.3.1", **more):
        place = tmp_path / "site"
        place.mkdir(exist_ok=True)
        text = DOUBLES.format(place=str(ROOT / "tests" / "doubles"), version=version)
        (place / "sitecustomize.py").write_text(text)
        python = PYTHON36 if PYTHON36.exists() else sys.executable
        more = {
            "PYTHONPATH": str(place),
            "XDG_CACHE_HOME": str(tmp_path / "cache"),
            "PYTHONDONTWRITEBYTECODE": "1",
            **more,
        }
        return " ".join(["env", *[shlex.quote(f"{name}={value}") for name, value in more.items()], str(python)])

    return command


def measure(*arguments):
    command = [sys.executable, str(ROOT / "tests" / "gpu" / "measure.py"), *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, env={**os.environ, "PYTHONDONTWRITEBYTECODE": "1"})


QUICK = ["--batch", "1,4", "--samples", "24", "--turns", "2", "--rounds", "2", "--burst", "0.001"]


def test_all_of_it_on_doubles(trt_python, bundles, tmp_path):
    out, bundle = tmp_path / "out", bundles / "cvae.bundle"
    before = sorted(bundle.rglob("*"))
    options = [
        "--trt-python",
        trt_python(),
        "--eager-device",
        "cpu",
        "--tactics",
        "EDGE_MASK_CONVOLUTIONS",
        "--out",
        out,
    ]
    done = measure(*options, *QUICK, "--torch-python", shlex.quote(sys.executable), bundle)
    assert done.returncode == 0, done.stderr
    assert "VIOLATION" not in done.stderr and sorted(bundle.rglob("*")) == before
    assert "$ latentjet build" in done.stdout and "on backend 'trt'" in done.stdout and "is fastest" in done.stdout

    found = json.loads((out / "measurements.json").read_text())
    assert found["trt-python"]["gpu"] == "NVIDIA H100 80GB HBM3" and found["trt-python"]["tensorrt"] == "8.5.3.1"
    (entry,) = found["bundles"]
    assert entry["half"]["samples"] == 24 and entry["half"]["not_finite"] == 0 and entry["half"]["within"] == 1
    assert 0 < entry["half"]["mean"] < entry["half"]["largest"] < 2
    cases = {(case["system"], case["precision"], case["memory"], case["batch"]): case for case in entry["cases"]}
    engines = ["engine", "engine, CUDA graphs"]
    kinds = {(system, kind) for system in engines for kind in ("device", "mapped", "managed")}
    kinds.add(("TensorRT alone", "device"))
    expected = {
        (system, precision, kind, size) for system, kind in kinds for precision in ("fp32", "fp16") for size in (1, 4)
    }
    eager = {(system, "fp32", "cpu", size) for system in ("eager", "eager alone") for size in (1, 4)}
    assert expected | eager <= set(cases)  # not every PyTorch does half precision on a processor
    for case in cases.values():
        assert len(case["medians_s"]) == 4 and all(0 < value < 1 for value in case["medians_s"])  # turns times rounds

    certificates = [json.loads(path.read_text()) for path in sorted((out / "certificates").iterdir())]
    assert {item["precision"] for item in certificates} == {"fp32", "fp16"}
    assert all(item["tactics"] == ["EDGE_MASK_CONVOLUTIONS"] and item["verdict"]["passed"] for item in certificates)
    text = (out / "section.md").read_text()
    assert (
        text.startswith("## NVIDIA H100 80GB HBM3, ") and "| system | precision | memory | batch 1 | batch 4 |" in text
    )
    assert text.count("\n| ") == 1 + 14 + len({key[:3] for key in set(cases) - expected})
    assert "PyTorch " in text and "24 samples: 100.0000 % of the values within 2 levels" in text


def test_without_a_gpu_it_says_what_it_needs(trt_python, bundles, tmp_path):
    torch = shlex.quote(sys.executable)
    options = [
        "--trt-python",
        trt_python(NO_GPU="cuInit failed: no CUDA-capable device"),
        "--torch-python",
        torch,
        "--out",
        tmp_path / "out",
    ]
    done = measure(*options, bundles / "cvae.bundle")
    assert done.returncode == 1 and "Traceback" not in done.stderr
    assert "a Python with numpy, tensorrt and pycuda, and an NVIDIA GPU" in done.stderr
    assert "trt-python      cannot be used: CUDA does not answer (cuInit failed: no CUDA-capable device" in done.stderr
    assert "torch-python    cannot be used: torch " in done.stderr and "finds no CUDA device" in done.stderr
    assert not (tmp_path / "out" / "measurements.json").exists()


def test_a_python_that_is_not_there(bundles, tmp_path):
    done = measure(
        "--trt-python", tmp_path / "python", "--without-eager", "--out", tmp_path / "out", bundles / "cvae.bundle"
    )
    assert done.returncode == 1 and "No such file or directory" in done.stderr and "Traceback" not in done.stderr
