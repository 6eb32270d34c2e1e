"""Install a real TensorRT 8 for CPython 3.6 into a throw-away folder and hold the doubles of it against it.

    python tests/wheels/try_wheel.py 8.5.3.1

`make wheels TENSORRT=8.5.3.1` calls this. Takes the wheel from PyPI (half a gigabyte and more, NVIDIA's, not to be
passed on), makes stand-ins for the libraries it wants (stubs.py), exports two small bundles, and runs wheel_tests.py
under the CPython 3.6 of .venv36. All of it lies in one temporary folder, under $TMPDIR, which goes when this ends.
Exit status: that of the tests, or 2 if there is no such wheel.
"""

import argparse
import importlib.util
import os
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent
PYTHON = ROOT / ".venv36" / "bin" / "python"
PACKAGES = {"8.4.1.5": "nvidia-tensorrt", "8.5.3.1": "tensorrt", "8.6.0": "tensorrt"}  # what PyPI has and doubles are of
SIZES_MB = {"8.4.1.5": 774, "8.5.3.1": 549, "8.6.0": 819}


def load(path):
    """A Python file as a module, wherever it lies."""
    spec = importlib.util.spec_from_file_location(path.stem, path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def install(version, place, find_links=None):
    """The wheel, and nothing it depends on, into a folder."""
    print(f"fetching TensorRT {version}: {SIZES_MB[version]} MB", flush=True)
    command = [PYTHON, "-m", "pip", "--disable-pip-version-check", "install", "--no-deps", "--no-cache-dir", "--quiet"]
    command += ["--only-binary", ":all:", "--target", place, f"{PACKAGES[version]}=={version}"]
    subprocess.run(command + (["--find-links", find_links] if find_links else []), check=True)


def bundles(folder):
    """Two small bundles with random weights."""
    from latentjet.export.pack import export_checkpoint

    shared = load(ROOT / "tests" / "conftest.py")
    for family in ("cvae", "realnvp"):
        checkpoint = shared.random_checkpoint(family, folder / family)
        export_checkpoint(checkpoint, folder / f"{family}.bundle", progress=lambda line: None)


def try_wheel(version, place, find_links=None):
    """In a folder that is there: install, make stubs, run the tests -> their exit status."""
    install(version, place / "site", find_links)
    libraries = sorted((place / "site" / "tensorrt").glob("*.so*"))
    stubs = load(ROOT / "tests" / "wheels" / "stubs.py").make([str(path) for path in libraries], str(place / "stubs"))
    print("stand-ins for " + ", ".join(stubs), flush=True)
    (place / "bundles").mkdir()
    bundles(place / "bundles")
    environment = dict(
        os.environ, PYTHONPATH=str(place / "site"), LD_LIBRARY_PATH=str(place / "stubs"),
        LATENTJET_TEST_BUNDLES=str(place / "bundles"), PYTHONDONTWRITEBYTECODE="1",
    )  # fmt: skip
    command = [PYTHON, "-m", "pytest", "-p", "no:cacheprovider", "-v", "tests/wheels/wheel_tests.py"]
    return subprocess.run(command, cwd=ROOT, env=environment).returncode


def main(argv=None):
    parser = argparse.ArgumentParser(description="Hold the doubles of TensorRT against a real wheel of it.")
    parser.add_argument("version", choices=sorted(PACKAGES))
    parser.add_argument("--find-links", metavar="FOLDER", help="a folder with the wheel, instead of PyPI")
    args = parser.parse_args(argv)
    if not os.access(PYTHON, os.X_OK):
        print(f"no CPython 3.6 in {PYTHON.parent.parent}: install one, then run `make wheels`", file=sys.stderr)
        return 2
    with tempfile.TemporaryDirectory(prefix="latentjet-wheel-") as place:
        try:
            return try_wheel(args.version, Path(place), args.find_links)
        except subprocess.CalledProcessError as error:
            print(f"TensorRT {args.version} could not be set up: {error}", file=sys.stderr)
            return 2


if __name__ == "__main__":
    sys.exit(main())
