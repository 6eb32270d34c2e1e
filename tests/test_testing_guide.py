"""docs/testing.md names files, tests and versions that are there."""

import importlib.util
import re
from pathlib import Path

from doubles.tensorrt_double import VERSIONS

ROOT = Path(__file__).resolve().parent.parent
TEXT = (ROOT / "docs" / "testing.md").read_text()


def test_files_that_it_names_are_there():
    named = set(re.findall(r"tests/[\w/.]+[.]py", TEXT)) | {f"tests/runtime/{name}" for name in re.findall(r"\| `(test_\w+.py)`", TEXT)}
    braces = re.search(r"tests/runtime/test_\{(.*)\}[.]py", TEXT).group(1).split(",")
    assert {f"tests/runtime/test_{name}.py" for name in braces} <= named and len(named) > 10
    assert [path for path in named if not (ROOT / path).exists()] == []


def test_tests_that_its_commands_choose_are_there():
    chosen = re.findall(r"-rP (\S+) -k \"(.*)\"", TEXT)
    assert len(chosen) == 4
    for path, words in chosen:
        for word in words.split(" or "):
            assert re.search(rf"^def test_\w*{word}", (ROOT / path).read_text(), re.MULTILINE), (path, word)


def test_it_names_every_double_and_every_wheel():
    spec = importlib.util.spec_from_file_location("try_wheel", ROOT / "tests" / "wheels" / "try_wheel.py")
    wheels = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(wheels)
    assert all(version.replace("rtx-", "TensorRT for RTX ") in TEXT for version in VERSIONS)
    assert set(wheels.PACKAGES) == set(wheels.SIZES_MB) < set(VERSIONS)
    assert all(f"{size} MB" in TEXT for size in wheels.SIZES_MB.values())


def test_the_default_of_make_wheels_is_the_smallest():
    default = re.search(r"^TENSORRT \?= (.*)$", (ROOT / "Makefile").read_text(), re.MULTILINE).group(1)
    assert re.search(rf"{re.escape(default)}: 549 MB", TEXT) and "wheels" not in (ROOT / ".ci" / "run").read_text()
