"""Fixtures: boards with TensorRT of some version and pycuda, as doubles. A conftest imports those its tests use."""

import ctypes
import gc
import json
import shutil
import sys
import types

import pytest
from latentjet.runtime.cli import main

from . import pycuda_double, tensorrt_double


class Board:
    """A device with TensorRT: `trt` is the module, `double` its control room, `gpu` the books, `libcuda` for graphs."""

    def __init__(self, version, gpu, with_flags):
        self.version, self.gpu = version, gpu
        self.trt = tensorrt_double.make(version, gpu)
        self.double = self.trt.double
        self.package = pycuda_double.make(gpu)
        self.libcuda = pycuda_double.LibCuda(gpu, with_flags)
        self.drv = self.package.driver

    def alive(self):
        """What nobody has released."""
        kinds = [kind for kind in ("IExecutionContext", "ICudaEngine", "Runtime") if self.double.counts["live " + kind]]
        return self.gpu.leaks() + kinds


@pytest.fixture
def plug(monkeypatch, tmp_path):
    """(version, gpu, with_flags) -> Board that `import tensorrt` and `import pycuda.driver` find from now on.

    When the test ends, nothing may be alive on it, and nothing forbidden may have happened; board.gpu.violations can be
    emptied by a test that wants one.
    """
    from latentjet.runtime import cuda

    boards = []
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))

    def plugged(version="8.2.1", gpu=None, with_flags=None):
        gpu = gpu or pycuda_double.Gpu()
        board = Board(version, gpu, gpu.cuda >= (11, 4, 0) if with_flags is None else with_flags)
        for name in ("tensorrt", "tensorrt_rtx"):
            monkeypatch.setitem(sys.modules, name, board.trt if board.trt.__name__ == name else None)
        monkeypatch.setitem(sys.modules, "pycuda", board.package)
        monkeypatch.setitem(sys.modules, "pycuda.driver", board.drv)
        ours = {name: getattr(ctypes, name) for name in dir(ctypes) if not name.startswith("_")}
        ours["CDLL"] = lambda name: board.libcuda
        monkeypatch.setattr(cuda, "ctypes", types.SimpleNamespace(**ours))
        boards.append(board)
        return board

    yield plugged
    if any(board.alive() for board in boards):
        gc.collect()  # a caught exception may hold something; where torch is loaded this takes a third of a second
    for board in boards:
        assert board.gpu.violations == []
        assert board.alive() == []


@pytest.fixture
def board(plug):
    """A TX2: TensorRT 8.2.1, CUDA 10.2."""
    return plug()


@pytest.fixture
def copied(bundles, tmp_path):
    """(family, keep) -> path of a private copy of its bundle; keep: nodes of 'decode' to be held in float32."""

    def copy(family="cvae", keep=()):
        place = tmp_path / (family + ".bundle")
        shutil.copytree(str(bundles / (family + ".bundle")), str(place))
        manifest = json.loads((place / "bundle.json").read_text(encoding="utf-8"))
        manifest["graphs"]["decode"]["precision"]["keep_float32"] = {name: "a test" for name in keep}
        (place / "bundle.json").write_text(json.dumps(manifest), encoding="utf-8")
        return str(place)

    return copy


@pytest.fixture
def built(copied):
    """(family, options of latentjet build) -> path of a bundle with plans for the board that is plugged."""

    def build(family="cvae", *options, keep=()):
        path = copied(family, keep)
        quick = ["--samples", "16", "--batch", "1,4", "--memory", "device"]
        assert main(["build", path] + quick + list(options)) == 0
        return path

    return build


@pytest.fixture
def hidden(monkeypatch):
    """(package): it cannot be imported from now on."""

    def hide(package):
        for name in [name for name in sys.modules if name == package or name.startswith(package + ".")] + [package]:
            monkeypatch.setitem(sys.modules, name, None)

    return hide


@pytest.fixture
def without_libcuda(board, monkeypatch, tmp_path):
    """pycuda is installed, and the driver is not: what a container without the GPU shows."""
    (tmp_path / "driver.py").write_text(
        "raise ImportError('libcuda.so.1: cannot open shared object file: No such file or directory')\n"
    )
    monkeypatch.setattr(board.package, "__path__", [str(tmp_path)])
    monkeypatch.delattr(board.package, "driver")
    monkeypatch.delitem(sys.modules, "pycuda.driver")
    return board
