"""What a measurement ran on: read from a recorded tree, never guessed."""

import os

import pytest
from latentjet.benchmarks.device import describe, unlike

TX2 = {
    "proc/device-tree/model": "quill\0",
    "etc/nv_tegra_release": "# R32 (release), REVISION: 6.1, GCID: 27863751, BOARD: t186ref, EABI: aarch64\n",
    "proc/meminfo": "MemTotal:        8048520 kB\nMemFree:         5102344 kB\n",
    "proc/loadavg": "0.42 0.30 0.25 1/471 8765\n",
    "proc/cpuinfo": "processor\t: 0\nBogoMIPS\t: 62.50\nCPU implementer\t: 0x41\n",
    "sys/devices/system/cpu/cpu0/cpufreq/scaling_governor": "schedutil\n",
    "sys/devices/17000000.gp10b/devfreq/17000000.gp10b/cur_freq": "1300500000\n",
}


def grow(root, files):
    for name, text in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(text.encode("utf-8", "surrogateescape"))
    return root


def test_a_tx2_is_described(tmp_path):
    found = describe(str(grow(tmp_path, TX2)))
    assert found["board"] == "quill"
    assert found["l4t"] == "R32 (release), REVISION: 6.1"
    assert found["memory_bytes"] == 8048520 * 1024
    assert found["load"] == "0.42" and found["governor"] == "schedutil"
    assert found["gpu_clock_hz"] == 1300500000
    assert found["cores"] >= 1 and found["numpy"] and found["python"] and found["latentjet"]
    assert all(isinstance(value, (str, int, float)) for value in found.values())


def test_a_relative_root_is_as_good(tmp_path, monkeypatch):
    grow(tmp_path / "tree", TX2)
    monkeypatch.chdir(tmp_path)
    assert describe("tree") == describe(str(tmp_path / "tree"))


def test_what_is_not_there_is_left_out(tmp_path):
    found = describe(str(tmp_path))
    assert not {"board", "l4t", "memory_bytes", "load", "governor", "gpu_clock_hz"} & set(found)
    assert None not in found.values() and "" not in found.values()
    assert {"latentjet", "python", "numpy", "system", "architecture", "cores", "processor"} <= set(found)


def test_a_processor_with_a_name(tmp_path):
    text = "processor\t: 0\nmodel name\t: Some CPU: 4 GHz\nflags\t: fpu\nmodel name\t: Another\n"
    assert describe(str(grow(tmp_path, {"proc/cpuinfo": text})))["processor"] == "Some CPU: 4 GHz"


@pytest.mark.parametrize("text", ["", "\0", "garbage", "-5", "\udcff\udcfe", "MemTotal: many kB"])
def test_garbage_never_raises_and_is_not_passed_on(tmp_path, text):
    names = ("proc/meminfo", "etc/nv_tegra_release", "sys/devices/17000000.gp10b/devfreq/17000000.gp10b/cur_freq")
    found = describe(str(grow(tmp_path, dict.fromkeys(names, text))))
    assert not {"memory_bytes", "l4t", "gpu_clock_hz"} & set(found)


def test_a_folder_in_the_place_of_a_file_never_raises(tmp_path):
    for name in TX2:
        os.makedirs(str(tmp_path / name))
    assert "board" not in describe(str(tmp_path))


def test_this_machine_can_be_described():
    assert describe()["cores"] >= 1


def test_unlike_names_what_differs(tmp_path):
    one = describe(str(grow(tmp_path, TX2)))
    assert unlike(one, dict(one)) == []
    assert unlike(one, dict(one, load="9.9", memory_bytes=1)) == []
    assert unlike(one, dict(one, governor="performance", board="other")) == ["board", "governor"]
    without = {name: value for name, value in one.items() if name != "governor"}
    assert unlike(one, without) == ["governor"]
