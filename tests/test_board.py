"""tests/gpu/board.py, as far as it goes without a board: all ten questions asked of the doubles, into one file."""

import json
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
GUIDE = (ROOT / "docs" / "jetson-tx2.md").read_text()

DOUBLES = """
import ctypes, importlib.util, os, sys
import numpy, onnxruntime
place = {place!r}
spec = importlib.util.spec_from_file_location("doubles", place + "/__init__.py", submodule_search_locations=[place])
sys.modules["doubles"] = importlib.util.module_from_spec(spec)
spec.loader.exec_module(sys.modules["doubles"])
from doubles import pycuda_double, tensorrt_double
gpu = pycuda_double.Gpu()
gpu.init_error = os.environ.get("NO_GPU")
gpu.replays = os.environ.get("REPLAYS", "right")
gpu.loud = True
package, library, real = pycuda_double.make(gpu), pycuda_double.LibCuda(gpu, False), ctypes.CDLL
sys.modules["tensorrt"] = tensorrt_double.make("8.2.1", gpu)
if os.environ.get("SLOW"):
    import time
    sys.modules["tensorrt"].double.refuse = lambda asked: time.sleep(float(os.environ["SLOW"]))
sys.modules["pycuda"], sys.modules["pycuda.driver"] = package, package.driver
ctypes.CDLL = lambda name, *more, **named: library if name == "libcuda.so.1" else real(name, *more, **named)
"""


@pytest.fixture
def ask(tmp_path, bundles):
    """(environment) -> (the process that ended, {number: answer} or None)."""

    def run(**more):
        site = tmp_path / "site"
        site.mkdir(exist_ok=True)
        (site / "sitecustomize.py").write_text(DOUBLES.format(place=str(ROOT / "tests" / "doubles")))
        path = os.pathsep.join(filter(None, [str(site), os.environ.get("PYTHONPATH")]))
        command = ["env", f"PYTHONPATH={path}", f"XDG_CACHE_HOME={tmp_path}", "PYTHONDONTWRITEBYTECODE=1"]
        command += [*(f"{name}={value}" for name, value in more.items()), sys.executable]
        out = tmp_path / "board.json"
        quick = ["--samples", "8", "--batch", "1,4", "--interrupt", "2"]
        arguments = [str(bundles / "cvae.bundle"), "--python", " ".join(map(shlex.quote, command)), "--out", str(out), *quick]
        done = subprocess.run(
            [sys.executable, str(ROOT / "tests" / "gpu" / "board.py"), *arguments],
            capture_output=True, text=True, cwd=tmp_path, timeout=600,
        )  # fmt: skip
        answers = {item["number"]: item for item in json.loads(out.read_text())["answers"]} if out.exists() else None
        return done, answers

    return run


def test_all_ten_are_answered_in_one_file(ask):
    done, answers = ask(SLOW="3")
    assert done.returncode == 0 and "VIOLATION" not in done.stderr, done.stderr
    assert sorted(answers) == list(range(1, 11))
    for number in (1, 2, 3, 6, 10):
        assert answers[number]["right"] is True, answers[number]
    assert {(case["memory"], case["batch"]) for case in answers[1]["found"]} == {
        (kind, batch) for kind in ("device", "mapped", "managed") for batch in (1, 4)
    }
    assert answers[6]["found"]["interrupted"]["status"] == 130 and answers[6]["found"]["built"]["least_free_bytes"]
    assert answers[5]["right"] is None and "--normalised" in answers[5]["by_hand"]
    assert re.search(r"^ *1\. yes  Do replayed CUDA graphs", done.stdout, re.MULTILINE)


def test_a_graph_that_replays_nothing_is_an_answer(ask):
    """Also where the build has dropped it: the question is about the board."""
    _, answers = ask(REPLAYS="nothing")
    assert answers[1]["right"] is False and answers[2]["right"] is False
    assert {case["right"] for case in answers[1]["found"]} == {False}


def test_without_a_gpu_it_says_so(ask):
    done, answers = ask(NO_GPU="cuInit failed: no CUDA-capable device")
    assert done.returncode == 1 and answers is None and "Traceback" not in done.stderr
    assert done.stderr.startswith("board: CUDA does not answer (cuInit failed: no CUDA-capable device")


def test_the_guide_asks_the_same_ten():
    """The last section of the guide is the checklist; its command is one that the script understands."""
    asked = GUIDE[GUIDE.index("## What only a board can settle") :]
    source = (ROOT / "tests" / "gpu" / "board.py").read_text()
    numbers = [re.findall(form, text, re.MULTILINE) for form, text in ((r"^\| (\d+) \|", asked), (r"^    (\d+): \"", source))]
    assert numbers[0] == numbers[1] == [str(number) for number in range(1, 11)]
    assert "\n## " not in asked[3:]
    options = set(re.findall(r"(--[a-z]+)", re.search(r"^python tests/gpu/board.py .*$", asked, re.MULTILINE).group()))
    assert options and all(f'"{option}"' in source for option in options)
