"""The doctor, on recorded trees of boards and on machines that are broken in every way we could think of."""

import json
import os
import subprocess
import sys
from collections import namedtuple

import pytest
from latentjet.runtime import doctor, machine, remedies
from latentjet.runtime.machine import MARK, NOTE, OK, PROBLEM, Machine, Outcome

TX2 = {
    "proc/device-tree/model": "quill\0",
    "proc/device-tree/compatible": "nvidia,p2597-0000+p3310-1000\0nvidia,tegra186\0",
    "proc/device-tree/nvidia,dtsfilename": "/dvs/quill/kernel-dts/tegra186-quill-p3310-1000-c03-00-base.dts\0",
    "etc/nv_tegra_release": "# R32 (release), REVISION: 7.1, GCID: 29818004, BOARD: t186ref, EABI: aarch64\n",
    "proc/meminfo": "MemTotal:  8048520 kB\nMemFree:  512 kB\nMemAvailable:  6102344 kB\nSwapTotal:  4024256 kB\n",
    "proc/swaps": "Filename Type Size Used Priority\n/dev/zram0 partition 4024256 0 5\n",
    "sys/devices/17000000.gp10b/devfreq/17000000.gp10b/min_freq": "1300500000\n",
    "sys/devices/17000000.gp10b/devfreq/17000000.gp10b/cur_freq": "1300500000\n",
    "sys/devices/17000000.gp10b/devfreq/17000000.gp10b/max_freq": "1300500000\n",
    "usr/local/cuda/version.txt": "CUDA Version 10.2.300\n",
    "usr/local/cuda/bin/nvcc": "",
    "usr/lib/python3.6/dist-packages/tensorrt/__init__.py": "",
}
TX2_NX = dict(
    TX2,
    **{
        "proc/device-tree/model": "lanai-3636\0",
        "proc/device-tree/compatible": "nvidia,p3509-0000+p3636-0001\0nvidia,tegra186\0",
        "proc/device-tree/nvidia,dtsfilename": "/dvs/lanai/kernel-dts/tegra186-p3636-0001-p3509-0000-a01.dts\0",
        "etc/nv_tegra_release": "# R32 (release), REVISION: 6.1, GCID: 27863751, BOARD: t186ref, EABI: aarch64\n",
        "proc/meminfo": "MemTotal:  3963824 kB\nMemAvailable:  2602344 kB\nSwapTotal:  1981904 kB\n",
        "sys/devices/17000000.gp10b/devfreq/17000000.gp10b/min_freq": "114750000\n",
        "sys/devices/17000000.gp10b/devfreq/17000000.gp10b/cur_freq": "114750000\n",
    },
)
NANO = {
    "proc/device-tree/model": "NVIDIA Jetson Nano Developer Kit\0",
    "proc/device-tree/compatible": "nvidia,p3449-0000-b00+p3448-0000-b00\0nvidia,jetson-nano\0nvidia,tegra210\0",
    "etc/nv_tegra_release": "# R32 (release), REVISION: 7.4, GCID: 33514132, BOARD: t210ref, EABI: aarch64\n",
    "proc/meminfo": "MemTotal:  4059320 kB\nMemAvailable:  812344 kB\nSwapTotal:  0 kB\n",
    "sys/devices/57000000.gpu/devfreq/57000000.gpu/min_freq": "76800000\n",
    "sys/devices/57000000.gpu/devfreq/57000000.gpu/max_freq": "921600000\n",
}
PC = {"proc/meminfo": "MemTotal:  16000000 kB\nMemAvailable:  9000000 kB\nSwapTotal:  0 kB\n"}


def told(**facts):
    return "\n" + MARK + json.dumps(facts) + "\n"


def works(version, **facts):
    return Outcome(0, told(place="/x", version=version, **facts), "")


def raises(version, problem):
    return Outcome(0, told(place="/x", version=version) + told(problem=problem), "")


def killed(version, signal):
    return Outcome(-signal, told(place="/x", version=version), "")


MISSING = Outcome(0, told(missing=True), "")
BOARD_PACKAGES = {
    "pip": works("21.3.1"),
    "numpy": works("1.19.4"),
    "onnxruntime": works("1.10.0", providers=["CPUExecutionProvider"]),
    "tensorrt": works("8.2.1.8"),
    "ctypes": works("1.1.0", driver="10.2", devices=1, gpu="NVIDIA Tegra X2", sm="62"),
    "pycuda": works("2022.1"),
    "torch": works("1.10.0", cuda=True),
    "PIL": works("8.4.0"),
}
PC_PACKAGES = {"numpy": works("2.4.6"), "onnxruntime": works("1.32.0"), "pip": works("25.0"), "PIL": works("12.0")}
MAXN = Outcome(0, "NVPM WARN: fan mode is not set!\nNV Power Mode: MAXN\n0\n", "")
NO_SUCH = Outcome(None, "", "No such file or directory")
FREE = namedtuple("FREE", "total used free")(64 << 30, 32 << 30, 32 << 30)


@pytest.fixture
def grown(tmp_path):
    """(files, packages, named changes) -> a Machine on that tree; `commands` answer by the command's name."""

    def grow(files, packages, commands=None, **named):
        root = tmp_path / "root"
        for name, text in files.items():
            (root / name).parent.mkdir(parents=True, exist_ok=True)
            (root / name).write_bytes(text.encode("utf-8", "surrogateescape"))

        def run(command, timeout_s=60):
            if command[0] == sys.executable:
                return packages.get(command[3], MISSING)
            return (commands or {}).get(command[0], NO_SUCH)

        settings = {
            "architecture": "aarch64",
            "python": (3, 6, 9),
            "isolated": False,
            "environment": {},
            "place": str(tmp_path),
            "disk": lambda place: FREE,
        }
        settings.update(named)
        return Machine(str(root), run, **settings)

    return grow


def findings(of):
    """Machine -> {topic: list of its findings}; what every finding must be is held here."""
    found = {}
    for topic, finding in doctor.examine(of):
        assert finding.level in (OK, NOTE, PROBLEM) and finding.what.strip()
        assert "\n" not in finding.what + finding.means + "".join(finding.mend)
        assert "mistake of this program" not in finding.means
        assert finding.level == OK or finding.means or finding.mend
        found.setdefault(topic, []).append(finding)
    return found


def only(found, topic):
    (finding,) = found[topic]
    return finding


def text(finding):
    return " ".join([finding.what, finding.means, *finding.mend])


def levels(found):
    return {finding.level for group in found.values() for finding in group}


def test_a_tx2_that_is_ready(grown):
    found = findings(grown(TX2, BOARD_PACKAGES, {"nvpmodel": MAXN, "nvcc": Outcome(0, "release 10.2", "")}))
    assert levels(found) == {OK}
    assert "Jetson TX2, sm_62" in only(found, "board").what and "INT8 is not there" in only(found, "board").means
    assert "JetPack 4.6.1 (L4T R32.7.1)" in only(found, "JetPack").what and "8.2.1" in only(found, "JetPack").what
    assert only(found, "memory").what == "7.7 GiB, 5.8 available, 3.8 swap"
    assert only(found, "power mode").what == "MAXN (mode 0)"
    assert "locked" in only(found, "GPU clocks").what and "1300" in only(found, "GPU clocks").what
    assert "Tegra X2, sm_62" in only(found, "CUDA driver").what
    assert only(found, "CUDA toolkit").what == "CUDA 10.2.300"
    assert only(found, "backends").what == "trt and ort"


def test_a_tx2_nx_as_it_comes(grown):
    mode = Outcome(0, "NV Power Mode: MAXP_CORE_ARM\n3\n", "")
    packages = dict(BOARD_PACKAGES, pip=works("9.0.1"), tensorrt=MISSING, pycuda=MISSING, torch=MISSING)
    found = findings(grown(TX2_NX, packages, {"nvpmodel": mode}, isolated=True))
    assert "TX2 NX, sm_62" in only(found, "board").what
    assert "4.6 (L4T R32.6.1)" in only(found, "JetPack").what and "8.0.1" in only(found, "JetPack").what
    assert "dist-upgrade" in text(only(found, "JetPack")) and only(found, "JetPack").level == NOTE
    assert any("pip==21.3.1" in text(finding) for finding in found["Python"])
    tensorrt = text(only(found, "TensorRT"))
    assert "/usr/lib/python3.6/dist-packages/tensorrt" in tensorrt and "--system-site-packages" in tensorrt
    assert "nvcc is not on the PATH" in only(found, "CUDA toolkit").what
    assert "pycuda<2022.2" in text(only(found, "pycuda")) and "--no-build-isolation" in text(only(found, "pycuda"))
    assert "mkswap" in text(only(found, "memory")) and "zram" in only(found, "memory").means
    assert only(found, "power mode").what == "MAXP_CORE_ARM (mode 3)"
    assert only(found, "power mode").mend == only(found, "GPU clocks").mend == remedies.LOCK
    assert "sudo nvpmodel -m 0 && sudo jetson_clocks" in remedies.LOCK and "not locked" in text(
        only(found, "GPU clocks")
    )
    assert "ort alone" in only(found, "backends").what and PROBLEM not in levels(found)


def test_a_nano_without_swap(grown):
    found = findings(grown(NANO, BOARD_PACKAGES, {"nvpmodel": MAXN}))
    assert "Jetson Nano, sm_53" in only(found, "board").what and "sm_53 has no INT8" in only(found, "board").means
    assert "4.6.4" in only(found, "JetPack").what
    swap, little = found["memory"]
    assert swap.mend == remedies.SWAP and "fallocate" in swap.mend[0] and "swapon" in swap.mend[1]
    assert "implementation for node" in little.means
    assert "GPU 77 to 922 MHz" in only(found, "GPU clocks").what


def test_a_plain_pc(grown):
    found = findings(grown(PC, PC_PACKAGES, architecture="x86_64", python=(3, 11, 7)))
    assert levels(found) == {OK}
    assert "no Jetson" in only(found, "board").means
    assert not {"JetPack", "power mode", "GPU clocks"} & set(found)
    assert only(found, "backends").what == "ort" and "latentjet check" in only(found, "backends").means


def test_other_boards_are_told_as_such(grown):
    xavier = {
        "proc/device-tree/model": "NVIDIA Jetson Xavier NX Developer Kit\0",
        "proc/device-tree/compatible": "nvidia,p3449-0000+p3668-0000\0nvidia,tegra194\0",
        "etc/nv_tegra_release": "# R35 (release), REVISION: 4.1, GCID: 33958178, BOARD: t186ref\n",
    }
    mode = Outcome(0, "NV Power Mode: MODE_15W_6CORE\n2\n", "")
    found = findings(grown(xavier, BOARD_PACKAGES, {"nvpmodel": mode}, python=(3, 8, 10)))
    assert "Xavier NX, sm_72" in only(found, "board").what and only(found, "board").level == NOTE
    assert only(found, "power mode").level == OK and "5.x" in only(found, "JetPack").what


@pytest.mark.parametrize(
    ("model", "name"),
    [
        ("NVIDIA Jetson TX2 Developer Kit", "Jetson TX2,"),
        ("NVIDIA Jetson TX2 NX Developer Kit", "Jetson TX2 NX,"),
        ("lanai-3636", "Jetson TX2 NX,"),
        ("NVIDIA Jetson Xavier NX Developer Kit", "Jetson Xavier NX,"),
        ("Jetson-AGX", "Jetson AGX Xavier,"),
    ],
)
def test_boards_are_known_by_their_model_alone(grown, model, name):
    assert name in only(findings(grown({"proc/device-tree/model": model + "\0"}, {})), "board").what


@pytest.mark.parametrize(
    ("revision", "expected"),
    [("32 7.3", "JetPack 4.6.3"), ("32 7.9", "JetPack 4.6.x"), ("32 5.1", "opset 11"), ("99 1.0", "does not know")],
)
def test_releases(grown, revision, expected):
    release = "# R{} (release), REVISION: {}, GCID: 1\n".format(*revision.split())
    assert expected in text(only(findings(grown(dict(TX2, **{"etc/nv_tegra_release": release}), {})), "JetPack"))


def test_numpy_that_dies_on_a_tx2_names_the_signal_and_the_known_cause(grown):
    packages = dict(BOARD_PACKAGES, numpy=killed("1.19.5", 4), onnxruntime=killed("1.10.0", 4))
    found = findings(grown(TX2, packages))
    numpy = only(found, "numpy")
    assert numpy.level == PROBLEM and "1.19.5" in numpy.what and "SIGILL" in numpy.what
    assert "OPENBLAS_CORETYPE=ARMV8" in text(numpy) and "numpy==1.19.4" in text(numpy)
    assert "mend numpy first" in only(found, "onnxruntime").means
    assert only(found, "backends").level == PROBLEM


@pytest.mark.parametrize(("environment", "level"), [({}, NOTE), ({"OPENBLAS_CORETYPE": "ARMV8"}, OK)])
def test_numpy_1_19_5_on_aarch64_is_noted_unless_openblas_is_told(grown, environment, level):
    packages = dict(BOARD_PACKAGES, numpy=works("1.19.5"))
    assert only(findings(grown(TX2, packages, environment=environment)), "numpy").level == level
    assert only(findings(grown(TX2, packages, architecture="x86_64")), "numpy").level == OK


def test_nothing_installed_blocks_and_says_what_to_install(grown):
    found = findings(grown(TX2, {}))
    assert only(found, "numpy").level == only(found, "backends").level == PROBLEM
    assert any(line.endswith("-m pip install numpy==1.19.4") for line in only(found, "numpy").mend)
    assert any(line.endswith("-m pip install onnxruntime==1.10.0") for line in only(found, "onnxruntime").mend)


def test_another_python_than_tensorrt_s(grown):
    found = findings(grown(TX2, {"numpy": works("1.24.4")}, python=(3, 8, 0)))
    assert "CPython 3.6 only" in only(found, "Python").means
    assert "this is CPython 3.8" in only(found, "TensorRT").means
    assert "python3.6 -m venv --system-site-packages" in text(only(found, "TensorRT"))


@pytest.mark.parametrize("package, rehearses", [("tensorrt", False), ("tensorrt_rtx", True)])
def test_a_rehearsal_is_proposed_where_tensorrt_builds_without_a_driver(grown, package, rehearses):
    packages = {package: works("8.6.0"), "ctypes": raises("", "OSError: libcuda.so.1: cannot open shared object file")}
    found = only(findings(grown(PC, packages)), "CUDA driver")
    assert found.what == "not installed" and ("--rehearse" in found.means) == rehearses


def test_tensorrt_without_a_driver(grown):
    lacks = raises("1.1.0", "OSError: libcuda.so.1: cannot open shared object file: No such file or directory")
    broken = raises("2022.1", "ImportError: libcuda.so.1: cannot open shared object file")
    found = findings(grown(TX2, dict(BOARD_PACKAGES, ctypes=lacks, pycuda=broken)))
    assert only(found, "CUDA driver").what == "not installed" and only(found, "CUDA driver").level == NOTE
    assert "the NVIDIA driver is not" in only(found, "pycuda").means
    assert "ort alone" in only(found, "backends").what
    refused = raises("1.1.0", "OSError: cuInit answers with error 999")
    assert "usermod -aG video" in text(only(findings(grown(TX2, dict(BOARD_PACKAGES, ctypes=refused))), "CUDA driver"))


def test_pycuda_too_new_for_python_3_6(grown):
    packages = dict(BOARD_PACKAGES, pycuda=raises("2022.2", "SyntaxError: future feature annotations is not defined"))
    found = only(findings(grown(TX2, packages)), "pycuda")
    assert found.level == NOTE and "too new" in found.means and "pycuda<2022.2" in text(found)


def test_pytorch_without_the_gpu_on_a_board(grown):
    found = only(findings(grown(TX2, dict(BOARD_PACKAGES, torch=works("1.10.2", cuda=False)))), "PyTorch")
    assert found.level == NOTE and "torch-1.10.0-cp36-cp36m-linux_aarch64.whl" in text(found)


@pytest.mark.parametrize(
    ("name", "topic", "outcome", "expected"),
    [
        ("torch", "PyTorch", raises("1.10.0", "OSError: libopenblas.so.0: cannot open"), "libopenblas-base"),
        ("onnxruntime", "onnxruntime", raises("1.10.0", "ImportError: cannot allocate memory in static TLS block"), "LD_PRELOAD"),
        ("onnxruntime", "onnxruntime", killed("1.10.0", 9), "that is memory"),
        ("onnxruntime", "onnxruntime", killed("1.10.0", 11), "SIGSEGV"),
        ("tensorrt", "TensorRT", Outcome(None, "", "no answer within 60 s"), "it hangs"),
        ("tensorrt", "TensorRT", raises("8.2.1.8", "ImportError: libnvinfer.so.8: cannot open"), "TensorRT's libraries"),
        ("tensorrt", "TensorRT", Outcome(3, "", "it\nfell over"), "status 3: fell over"),
        ("tensorrt", "TensorRT", works("7.1.3.0"), "too old"),
        ("PIL", "Pillow", MISSING, "Pillow==8.4.0"),
    ],
)  # fmt: skip
def test_failures_with_a_known_cause(grown, name, topic, outcome, expected):
    found = findings(grown(TX2, dict(BOARD_PACKAGES, **{name: outcome})))
    assert only(found, topic).level == NOTE and expected in text(only(found, topic))
    assert PROBLEM not in levels(found)


@pytest.mark.parametrize(
    "content",
    [
        "",
        "\0\0",
        "garbage",
        "-5",
        "\udcff\udcfe",
        "# R (release), REVISION:",
        "9" * 400,
        "MemTotal: " + "9" * 400 + " kB",
    ],
)
def test_garbage_in_every_file_is_never_an_exception(grown, content):
    noise = Outcome(1, content + MARK + "{not json\n" + MARK + "[1]\n" + MARK + "7\n", content)
    found = findings(grown(dict.fromkeys(TX2, content), dict.fromkeys(BOARD_PACKAGES, noise), {"nvpmodel": noise}))
    assert only(found, "backends").level == PROBLEM


def test_a_folder_in_the_place_of_every_file(tmp_path, grown):
    for name in TX2:
        os.makedirs(str(tmp_path / "root" / name))
    assert "board" in findings(grown({}, BOARD_PACKAGES))


def test_a_disk_that_is_full_missing_or_not_ours(grown, tmp_path, monkeypatch):
    assert "may not fit" in only(findings(grown(PC, {}, disk=lambda place: FREE._replace(free=1000))), "disk").means
    gone = grown(PC, {}, place=str(tmp_path / "gone"), disk=None)
    assert "No such file or directory" in only(findings(gone), "disk").what
    monkeypatch.setattr(os, "access", lambda place, how: False)
    assert "you may not write here" in only(findings(grown(PC, {})), "disk").means


def test_a_check_that_raises_is_a_finding(grown, monkeypatch):
    monkeypatch.setattr(doctor, "CHECKS", (("board", lambda machine: 1 / 0),))
    ((topic, finding),) = doctor.examine(grown(PC, {}))
    assert topic == "board" and finding.level == NOTE and "ZeroDivisionError" in finding.what


def test_the_exit_status_is_1_only_if_something_blocks(grown, capsys):
    assert doctor.main([], grown(TX2, BOARD_PACKAGES)) == 0
    out = capsys.readouterr().out
    assert "bundles can run here" in out and "$ " in out and "Traceback" not in out
    assert doctor.main([], grown(TX2, {})) == 1
    out = capsys.readouterr().out
    assert "PROBLEM" in out and "blocked: no bundle can run here" in out and "2 that block" in out


def test_json_says_the_same(grown, capsys):
    of = grown(TX2, {})
    assert doctor.main(["--json"], of) == 1
    said = json.loads(capsys.readouterr().out)
    assert said["blocked"] is True
    assert [item["topic"] for item in said["findings"]] == [topic for topic, _ in doctor.examine(of)]
    assert set(said["findings"][0]) == {"topic", "level", "what", "means", "mend"}


def test_names_that_a_terminal_cannot_show_are_escaped(grown, capsys):
    assert doctor.main([], grown(dict(TX2, **{"proc/device-tree/model": "\u8f66 \x1b[31m"}), BOARD_PACKAGES)) == 0
    out = capsys.readouterr().out
    assert "\\u8f66" in out and "\x1b" not in out


def package(folder, name, body):
    """Put an importable package with metadata into a folder."""
    (folder / name).mkdir()
    (folder / name / "__init__.py").write_text(body)
    (folder / (name + "-1.2.3.dist-info")).mkdir()


def test_real_packages_that_crash_hang_or_raise(tmp_path, monkeypatch):
    die = "import os, signal\nos.kill(os.getpid(), signal.{})\n"
    package(tmp_path, "dies", die.format("SIGILL"))
    package(tmp_path, "faults", die.format("SIGSEGV"))
    package(tmp_path, "hangs", "import time\ntime.sleep(60)\n")
    package(tmp_path, "raises", "print('noise')\nraise RuntimeError('two\\nlines')\n")
    package(tmp_path, "leaves", "import os\nos._exit(7)\n")
    package(tmp_path, "sound", "__version__ = '4.5'\n")
    (tmp_path / "empty").mkdir()
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    of = Machine(run=lambda command: machine.run(command, timeout_s=0.5 if "hangs" in command else 60))
    assert of.ask("dies").signal == "SIGILL" and of.ask("dies").version == "1.2.3"
    assert of.ask("faults").signal == "SIGSEGV" and not of.ask("faults").works
    assert "no answer within 0.5 s" in of.ask("hangs").problem
    assert of.ask("raises").problem == "RuntimeError: two lines"
    assert "status 7" in of.ask("leaves").problem
    assert of.ask("sound").works and of.ask("sound").version == "4.5"
    assert "a folder without a package" in of.ask("empty").problem
    assert not of.ask("no_such_package").installed


def test_a_folder_here_is_not_taken_for_a_package(tmp_path, monkeypatch):
    package(tmp_path, "tensorrt", "raise SystemError('not me')\n")
    monkeypatch.chdir(tmp_path)
    assert "not me" not in Machine().ask("tensorrt").problem


@pytest.mark.parametrize(
    "body", ["import os, signal\nos.kill(os.getpid(), signal.SIGILL)\n", "raise ImportError('x')\n"]
)
def test_the_command_survives_a_broken_numpy(tmp_path, body):
    package(tmp_path, "numpy", body)
    environment = dict(os.environ, PYTHONPATH=str(tmp_path), LC_ALL="C")
    command = [sys.executable, "-m", "latentjet.runtime.cli", "doctor", "--json"]
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=environment)  # noqa: UP022
    assert done.returncode == 1 and done.stderr == b""
    (numpy,) = [item for item in json.loads(done.stdout.decode("ascii"))["findings"] if item["topic"] == "numpy"]
    assert numpy["level"] == PROBLEM and ("SIGILL" in numpy["what"] or "ImportError" in numpy["what"])


def test_a_pipe_that_closes_early_is_no_error():
    command = f"{sys.executable} -m latentjet.runtime.cli doctor | head -n 1"
    done = subprocess.run(command, shell=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE)  # noqa: UP022
    assert done.stdout.startswith(b"latentjet ") and done.stderr == b""


def test_this_machine(capsys):
    assert doctor.main([]) == 0
    assert "Traceback" not in capsys.readouterr().out
