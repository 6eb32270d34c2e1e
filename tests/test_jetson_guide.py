"""The guide for the board, the constraints and the doctor name the same versions, and commands that exist."""

import re
import shlex
from pathlib import Path

import pytest
from latentjet.benchmarks.__main__ import make_parser as bench_parser
from latentjet.runtime import build, remedies
from latentjet.runtime.__main__ import make_parser
from latentjet.runtime.cli import COMMANDS

ROOT = Path(__file__).resolve().parent.parent
GUIDE = (ROOT / "docs" / "jetson-tx2.md").read_text()
LINES = [line for block in re.findall(r"```sh\n(.*?)```", GUIDE, re.DOTALL) for line in block.splitlines()]
PINS = dict(
    re.match(r"([\w-]+)(==.+|<.+)$", line).groups()
    for line in (ROOT / "constraints-jetpack4.txt").read_text().splitlines()
    if line and not line.startswith("#")
)


@pytest.mark.parametrize("line", [line for line in LINES if line.startswith("latentjet ")])
def test_commands_of_the_guide_are_understood(line):
    command, *arguments = shlex.split(line)[1:]
    assert command in {name for _, commands in COMMANDS for name, *_ in commands}
    parsers = {"build": build.make_parser, "bench": bench_parser, "doctor": None}
    if command == "doctor":
        assert arguments == []
    elif command in parsers:
        parsers[command]().parse_args(arguments)
    else:
        make_parser().parse_args([command, *arguments])


def test_versions_agree():
    said = "\n".join(LINES) + repr(vars(remedies))
    found = re.findall(r"\b(pip|setuptools|wheel|numpy|onnxruntime|Pillow|pycuda)(==[\d.]+|<[\d.]+)", said)
    assert {name for name, _ in found} >= {"pip", "setuptools", "wheel", "numpy", "pycuda"}
    assert {(name, pin) for name, pin in found} <= set(PINS.items())
    assert remedies.TORCH[1] in LINES and remedies.LOCK[0].split(" && ")[0] in LINES
    assert list(remedies.SWAP) == [line for line in LINES if "swapfile" in line]


def test_nothing_is_installed_editable_and_the_guide_says_what_was_not_run():
    assert not any(re.search(r"pip install .*-e\b", line) for line in LINES)
    assert "has run nothing on a TX2" in GUIDE


def test_the_old_python_s_packages_are_those_of_the_board():
    """numpy differs on purpose: what the tests run is the last one, which a TX2's processor cannot."""
    used = dict(re.findall(r"^([\w-]+)(==.+)$", (ROOT / "tests" / "python36.txt").read_text(), re.MULTILINE))
    assert {name: used[name] for name in ("onnxruntime", "Pillow")} == {
        name: PINS[name] for name in ("onnxruntime", "Pillow")
    }
