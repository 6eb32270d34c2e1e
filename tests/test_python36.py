"""The device's code under the real CPython 3.6, with the packages a Jetson can have and bundles written here."""

import os
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
PYTHON = ROOT / ".venv36" / "bin" / "python"
FOLDERS = ("tests/runtime", "tests/benchmarks", "tests/train/models")


@pytest.fixture(scope="module")
def python36():
    if not PYTHON.exists():
        reason = "no CPython 3.6 on this machine: install one (pyenv install 3.6.15), then `make test` uses it"
        pytest.fail(reason) if os.environ.get("CI") else pytest.skip(reason)
    return str(PYTHON)


def test_it_is_what_a_jetson_has(python36):
    script = (
        "import sys, numpy, onnxruntime, torch; print(sys.version_info[:2], numpy.__version__, onnxruntime.__version__)"
    )
    out = subprocess.run([python36, "-c", script], check=True, capture_output=True, text=True).stdout.strip()
    assert out == "(3, 6) 1.19.5 1.10.0"


def test_runtime_benchmarks_and_models_pass_under_it(python36, bundles):
    command = [python36, "-m", "pytest", "-q", "-p", "no:cacheprovider", *FOLDERS]
    environment = {**os.environ, "LATENTJET_TEST_BUNDLES": str(bundles), "PYTHONDONTWRITEBYTECODE": "1"}
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True)
    print(done.stdout[-6000:])
    assert done.returncode == 0, done.stdout[-6000:] + done.stderr[-2000:]
    assert " passed" in done.stdout.splitlines()[-1]


def test_the_command_checks_and_samples_a_bundle(python36, bundles, tmp_path):
    def latentjet(*arguments):
        command = [python36, "-m", "latentjet.runtime.cli", *map(str, arguments)]
        return subprocess.run(command, check=True, capture_output=True, text=True, cwd=tmp_path).stdout

    assert "ok" in latentjet("check", bundles / "realnvp.bundle")
    latentjet("sample", bundles / "realnvp.bundle", "--out", tmp_path / "grid.png")
    assert (tmp_path / "grid.png").read_bytes().startswith(b"\x89PNG")


def test_the_examples_run_under_it(python36, bundles):
    command = [python36, "-m", "pytest", "-q", "-p", "no:cacheprovider", "tests/test_examples.py"]
    environment = {**os.environ, "LATENTJET_TEST_BUNDLES": str(bundles), "PYTHONDONTWRITEBYTECODE": "1"}
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-2000:]
    assert " passed" in done.stdout.splitlines()[-1]
