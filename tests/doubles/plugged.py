"""Fixtures: boards with TensorRT of some version and pycuda, as doubles. A conftest imports those its tests use."""

import collections
import ctypes
import functools
import gc
import json
import os
import pickle
import shutil
import sys
import tempfile
import types

import pytest
from latentjet.runtime.cli import main

from . import pycuda_double, tensorrt_double


class Board:
    """A device with TensorRT: `trt` is the module, `double` its control room, `gpu` the books, `libcuda` for graphs."""

    def __init__(self, trt, gpu, with_flags):
        self.trt, self.gpu = trt, gpu
        self.double = self.trt.double
        self.package = pycuda_double.make(gpu)
        self.libcuda = pycuda_double.LibCuda(gpu, with_flags)
        self.drv = self.package.driver

    def alive(self):
        """What nobody has released."""
        kinds = [kind for kind in ("IExecutionContext", "ICudaEngine", "Runtime") if self.double.counts["live " + kind]]
        return self.gpu.leaks() + kinds


class Processes:
    """Stands for `os` in runtime/child.py: real processes, but what the doubles of a child recorded comes back.

    Objects that a child leaves alive, but those it got from its parent, are violations.
    """

    def __init__(self, boards):
        self.boards, self.place, self.before = boards, None, []

    def __getattr__(self, name):
        return getattr(os, name)

    def fork(self):
        handle, self.place = tempfile.mkstemp()
        os.close(handle)
        self.before = [collections.Counter(board.alive()) for board in self.boards]
        pid = os.fork()
        if pid == 0:
            for board in self.boards:
                del board.double.kept[:]  # those of the parent are not the child's doing
        return pid

    def _exit(self, status):
        if self.left():
            gc.collect()  # a caught exception may hold something
        for board, items in self.left():
            board.gpu.violations.extend("a child left {}".format(item) for item in items)
        content = pickle.dumps([books(board) for board in self.boards])
        handle = os.open(self.place, os.O_WRONLY)
        os.write(handle, content)
        os._exit(status)

    def left(self):
        """[(board, what this child made and has not released)]"""
        found = [(board, collections.Counter(board.alive()) - old) for board, old in zip(self.boards, self.before)]
        return [(board, items) for board, items in found if items]

    def waitpid(self, pid, options):
        found = os.waitpid(pid, options)
        with open(self.place, "rb") as file:
            content = file.read()
        os.unlink(self.place)
        for board, kept in zip(self.boards, pickle.loads(content) if content else []):
            for owner, name, value in kept:
                put_back(getattr(board, owner), name, value)
        return found


def books(board):
    """What a board's doubles recorded, as [(owner, attribute, plain value)]."""
    found = [("gpu", name, getattr(board.gpu, name)) for name in ("counts", "events", "violations")]
    found += [("double", name, getattr(board.double, name)) for name in ("counts", "builds")]
    return found + [("double", "used", dict(board.double.used))]


def put_back(owner, name, value):
    """Take over what a child recorded; it began with a copy of the parent's. What lives is each process' own."""
    kept = getattr(owner, name)
    if isinstance(kept, list):
        kept[:] = value
    else:
        for key in [key for key in value if not str(key).startswith("live ")]:
            kept[key] = value[key]


def as_a_new_process(boards, function):
    """A command that finds GPU and TensorRT as a new process does, whatever this one did with them before."""

    @functools.wraps(function)
    def call(*given):
        for board in boards:
            board.gpu.process = None
            board.double.plugins.clear()
        return function(*given)

    return call


@pytest.fixture
def plug(monkeypatch, tmp_path):
    """(version, gpu, with_flags) -> Board that `import tensorrt` and `import pycuda.driver` find from now on.

    When the test ends, nothing may be alive on it, and nothing forbidden may have happened; board.gpu.violations can be
    emptied by a test that wants one.
    """
    from latentjet.runtime import build, child, cuda

    boards = []
    monkeypatch.setattr(child, "os", Processes(boards))
    monkeypatch.setattr(build, "main", as_a_new_process(boards, build.main))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))

    def plugged(version="8.2.1", gpu=None, with_flags=None):
        gpu = gpu or pycuda_double.Gpu()
        with_flags = gpu.cuda >= (11, 4, 0) if with_flags is None else with_flags
        board = Board(tensorrt_double.make(version, gpu), gpu, with_flags)
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
