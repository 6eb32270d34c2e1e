"""What a measurement ran on: read from a file tree, never guessed."""

import os

import pytest
from doubles import boards
from latentjet.benchmarks.device import describe, unlike, versions


def test_a_tx2_is_described(machine):
    looked = machine("tx2", {"nvpmodel": "NV Power Mode: MAXN\n0\n"}, environment={"OMP_NUM_THREADS": "1", "HOME": "/"})
    found = describe(looked)
    assert found["board"] == "quill" and found["module"] == "Jetson TX2"
    assert found["l4t"] == "32.7.1" and found["jetpack"] == "4.6.1" and found["power_mode"] == "MAXN"
    assert found["memory_bytes"] == 8048520 * 1024 and found["cores"] >= 1 and found["architecture"] == "aarch64"
    assert found["environment"] == {"OMP_NUM_THREADS": "1"} and "gpu" not in found


@pytest.mark.parametrize("board", sorted(boards.TREES))
def test_boards_are_told_apart(machine, board):
    found = describe(machine(board))
    assert boards.TREES[board].board in (None, found["module"])


def test_what_is_not_there_is_left_out(machine):
    found = describe(machine())
    assert not {"board", "module", "l4t", "jetpack", "power_mode", "memory_bytes", "gpu"} & set(found)
    assert None not in found.values() and "" not in found.values()
    assert {"system", "architecture", "cores", "processor", "environment"} <= set(found)


def test_a_processor_with_a_name_and_a_gpu(machine):
    text = "processor\t: 0\nmodel name\t: Some CPU: 4 GHz\nflags\t: fpu\nmodel name\t: Another\n"
    found = describe(machine({"proc/cpuinfo": text}, {"nvidia-smi": "NVIDIA Some GPU\nAnother\n"}))
    assert found["processor"] == "Some CPU: 4 GHz" and found["gpu"] == "NVIDIA Some GPU"


@pytest.mark.parametrize("text", ["", "\0", "garbage", "-5", "\udcff\udcfe", "MemTotal: many kB"])
def test_garbage_never_raises_and_is_not_passed_on(machine, text):
    found = describe(machine({"proc/meminfo": text, "etc/nv_tegra_release": text, "proc/cpuinfo": text}))
    assert not {"memory_bytes", "l4t", "jetpack"} & set(found)


def test_a_folder_in_the_place_of_a_file_never_raises(machine):
    looked = machine()
    for name in boards.TREES["tx2"].files:
        os.makedirs(os.path.join(looked.root, name))
    assert "board" not in describe(looked)


def test_this_machine_can_be_described():
    assert describe()["cores"] >= 1


def test_versions_are_those_of_what_is_loaded():
    import numpy

    found = versions(["onnxruntime"])
    assert found["numpy"] == numpy.__version__ and {"latentjet", "python", "onnxruntime"} <= set(found)
    assert "torch" not in found


def test_unlike_names_what_differs(machine):
    one = describe(machine("tx2", {"nvpmodel": "NV Power Mode: MAXN\n0\n"}))
    assert unlike(one, dict(one)) == [] and unlike(one, dict(one, memory_bytes=1)) == []
    assert unlike(one, dict(one, power_mode="MAXQ", board="other")) == ["board", "power_mode"]
    assert unlike(one, {name: value for name, value in one.items() if name != "module"}) == ["module"]
