"""The doubles and the runtime against a real TensorRT 8, as `make wheels` calls it: under CPython 3.6, without a GPU.

Not collected by itself: it needs the wheel that try_wheel.py installs. What needs no instance of a class that wants a
GPU is asked of the real module; the calls that the project makes are recorded while it builds, checks and samples a
bundle on the double of the same version, and put to the real signatures.
"""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import tensorrt
from doubles import compare, plugged, pycuda_double, tensorrt_double
from latentjet.runtime import build, cuda, trt, trt_engine
from latentjet.runtime import child as children
from latentjet.runtime.cli import main
from latentjet.runtime.errors import PlanError

VERSION = tensorrt.__version__
NAMES = sorted(
    set.union(*[compare.public(tensorrt_double.make(version, None)) for version in tensorrt_double.VERSIONS])
)
BEHIND = {"ILogger", "IProfiler", "Logger", "__version__", "__name__"}  # what a double has without a table


@pytest.fixture(scope="module")
def double():
    return tensorrt_double.make(VERSION, pycuda_double.Gpu())


@pytest.mark.parametrize("name", NAMES)
def test_the_double_has_what_the_real_one_has(double, name):
    """Names, enum members and their numbers, arguments of methods, properties that can be set; for every name that the
    double of any version has."""
    assert list(compare.differences(tensorrt, double, [name])) == []


@pytest.fixture(scope="module")
def used(tmp_path_factory):
    """{(class, method): calls} of the project on the double of this version: build, also with a node held in float32 and
    with an operator that TensorRT lacks, check, sample."""
    patch = pytest.MonkeyPatch()
    folder = tmp_path_factory.mktemp("used")
    gpu = pycuda_double.Gpu("a GPU", (7, 5), (11, 4, 0))
    module, package = tensorrt_double.make(VERSION, gpu), pycuda_double.make(gpu)
    patch.setenv("XDG_CACHE_HOME", str(folder))
    for name, value in (("tensorrt", module), ("pycuda", package), ("pycuda.driver", package.driver)):
        patch.setitem(sys.modules, name, value)
    patch.setattr(cuda, "libcuda", lambda: pycuda_double.LibCuda(gpu, True))
    boards = [plugged.Board(module, gpu, True)]
    patch.setattr(children, "os", plugged.Processes(boards))
    patch.setattr(build, "main", plugged.as_a_new_process(boards, build.main))
    try:
        for bundle in sorted(Path(os.environ["LATENTJET_TEST_BUNDLES"]).glob("*.bundle")):
            path = str(folder / bundle.name)
            shutil.copytree(str(bundle), path)
            hold_in_float32(path, "node_exp" if bundle.stem == "realnvp" else "node_relu")
            assert main(["build", path, "--samples", "16", "--batch", "1,4"]) == 0
            assert main(["check", path, "--backend", "trt"]) == 0
            assert main(["sample", path, "--count", "9", "--out", str(folder / (bundle.stem + ".npy"))]) == 0
            module.double.unsupported = {"Gemm", "Conv"}
            assert main(["build", path]) == 1
            module.double.unsupported = set()
    finally:
        patch.undo()
    return module.double.used


def hold_in_float32(path, node):
    """Have a bundle's 'decode' keep a node in float32."""
    place = os.path.join(path, "bundle.json")
    with open(place) as handle:
        manifest = json.load(handle)
    manifest["graphs"]["decode"]["precision"]["keep_float32"] = {node: "a test"}
    with open(place, "w") as handle:
        json.dump(manifest, handle)


def test_the_real_methods_take_what_the_project_gives_them(used):
    run = "execute_async_v3" if hasattr(tensorrt.IExecutionContext, "execute_async_v3") else "execute_async_v2"
    for call in (
        "Builder.build_serialized_network", "IBuilderConfig.set_flag", "IBuilderConfig.set_timing_cache",
        "ILayer.set_output_type", "IOptimizationProfile.set_shape", "OnnxParser.get_error", "ParserError.desc",
        "Runtime.deserialize_cuda_engine", "IExecutionContext.set_optimization_profile_async",
        "IExecutionContext." + run,
    ):  # fmt: skip
        assert tuple(call.split(".")) in used
    assert list(compare.refused_calls(tensorrt, used)) == []
    print("\n".join("{}.{}".format(*item) for item in sorted(used)))


@pytest.mark.parametrize("module", [trt, trt_engine], ids=lambda module: module.__name__.split(".")[-1])
def test_names_in_the_sources_are_there_if_the_double_has_them(double, module):
    found = compare.mentioned(Path(module.__file__).read_text(encoding="utf-8"))
    for path in found:
        assert has(tensorrt, path) == has(double, path), path
        assert path.split(".")[0] in BEHIND.union(NAMES), path
    assert found or module is trt_engine


def has(owner, path):
    for name in path.split("."):
        if not hasattr(owner, name):
            return False
        owner = getattr(owner, name)
    return True


def test_the_runtime_sees_the_same_differences_in_both(double):
    real, other = trt.Api(tensorrt), trt.Api(double)
    for name in ("version", "typed", "constraints", "named", "inspects"):
        assert getattr(real, name) == getattr(other, name)


def test_plugins_are_there_once_they_are_registered():
    """In a process that only reads plans; with the project's logger, which is Python's."""
    script = (
        "import tensorrt; from latentjet.runtime.trt import Api, Log\n"
        "def known(): return [item.name for item in tensorrt.get_plugin_registry().plugin_creator_list]\n"
        "print('InstanceNormalization_TRT' in known())\n"
        "Api(tensorrt).register_plugins(Log())\n"
        "print('InstanceNormalization_TRT' in known())"
    )
    assert child(script).stdout.decode().split() == ["False", "True"]


def test_scratch_memory_is_a_capsule_or_a_number_for_both(double):
    stated = tensorrt.IExecutionContext.device_memory.fset.__doc__
    assert ("arg1: capsule" in stated) == ("arg1: int" not in stated) == wants_a_capsule(double)
    assert tensorrt.IExecutionContext.device_memory.fget is None


def wants_a_capsule(double):
    context = double.double.new("IExecutionContext", changes=[0], alive=[True])
    try:
        context.device_memory = 4096
        return False
    except TypeError:
        context.device_memory = trt.capsule(4096)
        return context.state.lent == 4096


def test_the_projects_logger_is_called_by_tensorrt():
    log = trt.Log()
    logger = log.make(tensorrt)
    logger.log(tensorrt.ILogger.Severity.ERROR, "by hand")
    assert log.errors() == ["by hand"]
    with pytest.raises(TypeError):
        tensorrt.Builder(logger)
    assert any("CUDA initialization failure with error: 35" in text for text in log.warnings())
    assert log.errors() == ["by hand"]  # it is no error to TensorRT 8


def messages(module, kind):
    """What a module's Builder or Runtime says and raises where no driver answers."""
    log = trt.Log()
    with pytest.raises(TypeError) as caught:
        getattr(module, kind)(log.make(module))
    return str(caught.value), log.errors(), log.warnings()


@pytest.mark.parametrize("kind", ["Builder", "Runtime"])
def test_without_a_driver_both_say_and_raise_the_same(double, kind):
    if kind == "Runtime" and VERSION == "8.6.0":
        pytest.skip("it ends the process: another test asks it in a process of its own")
    double.double.no_driver = True
    assert messages(tensorrt, kind) == messages(double, kind)


def test_the_projects_error_names_the_driver_and_the_doctor():
    with pytest.raises(PlanError) as caught:
        trt.Api(tensorrt).builder(trt.Log())
    text = str(caught.value)
    assert text.startswith("TensorRT {} found no usable GPU: ".format(VERSION)) and "\n" not in text
    assert "error: 35" in text and text.endswith("(no NVIDIA driver answers: see `latentjet doctor`)")
    print(text)


@pytest.mark.parametrize("wrong", ["print", "None", "careless"])
def test_what_is_no_logger_is_refused_by_both(double, wrong):
    for module in (tensorrt, double):
        with pytest.raises(TypeError):
            module.Builder(careless(module) if wrong == "careless" else {"print": print, "None": None}[wrong])


def careless(module):
    class Careless(module.ILogger):
        def __init__(self):
            pass

    return Careless()


def test_members_of_enums_behave_alike(double):
    for module in (tensorrt, double):
        flag, other = module.BuilderFlag.FP16, module.BuilderFlag.INT8
        assert flag == module.BuilderFlag.FP16 and flag != other and len({flag, other, flag}) == 2
        assert flag.name == "FP16" and not isinstance(flag, int)
        assert module.ProfilingVerbosity.VERBOSE == module.ProfilingVerbosity.DETAILED
        assert module.ProfilingVerbosity.VERBOSE.name == "DETAILED"
        with pytest.raises(TypeError):
            1 << flag


def test_shapes_are_read_in_the_way_the_project_reads_them(double):
    for module in (tensorrt, double):
        assert tuple(module.Dims((-1, 4, 4)))[1:] == (4, 4)


def child(script):
    return subprocess.run([sys.executable, "-c", script], stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=120)


def test_a_runtime_without_a_driver_raises_or_ends_the_process_as_the_double_says(double):
    script = (
        "import tensorrt; from latentjet.runtime.trt import Api, Log; from latentjet.runtime.errors import PlanError\n"
        "try:\n    Api(tensorrt).deserialize(b'a plan', Log())\nexcept PlanError as error:\n    print(error)"
    )
    done = child(script)
    double.double.no_driver = True
    double.double.gpu.violations.clear()
    with pytest.raises(TypeError):
        double.Runtime(trt.Log().make(double))
    if double.double.gpu.violations:
        assert done.returncode == -11
    else:
        assert done.returncode == 0 and b" found no usable GPU: " in done.stdout
        assert b"no NVIDIA driver answers" in done.stdout


def test_the_doctor_finds_it_and_survives_it():
    command = [sys.executable, "-m", "latentjet.runtime.doctor"]
    done = subprocess.run(command + ["--json"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=300)
    assert done.stderr == b"" and done.returncode in (0, 1)
    found = [item for item in json.loads(done.stdout.decode())["findings"] if item["topic"] == "TensorRT"]
    assert [(item["level"], item["what"]) for item in found] == [("ok", VERSION)]
    assert b"--rehearse" not in done.stdout  # which it cannot


def test_a_build_ends_with_one_sentence():
    path = str(sorted(Path(os.environ["LATENTJET_TEST_BUNDLES"]).glob("*.bundle"))[0])
    command = [sys.executable, "-m", "latentjet.runtime.cli", "build", path]
    for options in ([], ["--rehearse"]):
        done = subprocess.run(command + options, stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=120)
        error = done.stderr.decode()
        assert done.returncode == 1 and error.startswith("latentjet build: ") and error.count("\n") == 1
        assert ("found no usable GPU" if options else "pycuda cannot be loaded") in error
