"""What `pip install .` brings: every part, the sample and the tables, nothing of the tests."""

import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    """The wheel, built from a copy of the tree so that no stale build folder gets in."""
    folder = tmp_path_factory.mktemp("wheel")
    skipped = shutil.ignore_patterns(".*", "build", "*.egg-info", "__pycache__", "demo")
    shutil.copytree(ROOT, folder / "tree", ignore=skipped)
    command = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--wheel-dir", folder, folder / "tree"]
    subprocess.run(command, check=True, capture_output=True)
    (path,) = folder.glob("*.whl")
    return zipfile.ZipFile(path)


def test_every_source_file_is_in_the_wheel_and_no_test(wheel):
    inside = {name for name in wheel.namelist() if name.endswith(".py")}
    sources = {
        f"latentjet/{path.relative_to(ROOT).as_posix()}"
        for part in ("train", "export", "runtime", "benchmarks")
        for path in (ROOT / part).rglob("*.py")
    }
    assert inside == sources


def test_data_files_and_licences_are_in_the_wheel(wheel):
    names = wheel.namelist()
    assert sum(name.startswith("latentjet/train/sample/") and name.endswith("ubyte.gz") for name in names) == 4
    assert "latentjet/train/sample/README.md" in names
    assert {f"latentjet/train/judges/{name}" for name in ("README.md", "mnist.npz", "fashion-mnist.npz")} <= set(names)
    assert "latentjet/export/importer/contract.json" in names
    assert any(name.endswith("LICENSE") for name in names)


def test_the_embedded_images_are_small(wheel):
    assert sum(item.file_size for item in wheel.infolist() if "/sample/" in item.filename) < 4_000_000


def test_the_pretrained_bundles_are_in_the_wheel_and_small(wheel):
    inside = {item.filename: item.file_size for item in wheel.infolist() if "/pretrained/" in item.filename}
    sources = {f"latentjet/runtime/pretrained/{path.name}" for path in (ROOT / "runtime" / "pretrained").iterdir()}
    assert set(inside) == sources and sources and all(name.endswith(".zip") for name in sources)
    assert sum(inside.values()) <= 10_000_000


def test_metadata_asks_for_numpy_alone_and_python_3_6(wheel):
    (name,) = (name for name in wheel.namelist() if name.endswith("METADATA"))
    lines = wheel.read(name).decode().splitlines()
    required = [line for line in lines if line.startswith("Requires-Dist:") and "extra ==" not in line]
    assert required == ["Requires-Dist: numpy"]
    assert "Requires-Python: >=3.6" in lines


def test_there_is_no_root_package(wheel):
    assert "latentjet/__init__.py" not in wheel.namelist()
