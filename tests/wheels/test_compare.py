"""What holds the doubles against a real module, itself: on made-up classes that look as pybind11 makes them, and on the
one real TensorRT that every run has."""

import importlib.util
import os
import shutil
import subprocess
import types
from pathlib import Path

import pytest
from doubles import compare, tensorrt_double


class Flag:
    """An enum of pybind11, or one of a double."""

    def __init__(self, number):
        self.number = number

    def __int__(self):
        return self.number


def enum(**numbers):
    members = {name: Flag(number) for name, number in numbers.items()}
    return type("BuilderFlag", (), {"__members__": members, **members})


def method(*lines):
    """A method with pybind's docstring: of one signature, or of several."""

    def call(*args, **kwargs):
        pass

    call.__doc__ = lines[0] + "\n\n    Some words (and: more)."
    if len(lines) > 1:
        numbered = "".join(f"\n{number}. {line}\n\n    Some words.\n" for number, line in enumerate(lines, 1))
        call.__doc__ = "run(*args, **kwargs)\nOverloaded function.\n" + numbered
    return call


def config(**changes):
    """A module with one class, with changes to its members; None takes a member away."""
    members = {
        "run": method("run(self: t.Config, shape: t.Dims, sizes: List[Tuple[int, int]] = [(1, 2)]) -> bool"),
        "get": method("get(self: t.Config, index: int) -> bool", "get(self: t.Config, name: str) -> bool"),
        "name": property(lambda self: "", lambda self, value: None),
        "number": property(lambda self: 1),
        **changes,
    }
    found = types.ModuleType("tensorrt")
    found.Config = type("Config", (), {name: value for name, value in members.items() if value is not None})
    found.BuilderFlag = enum(FP16=0, TF32=7)
    return found


class Double:
    """As tensorrt_double writes a method: its arguments are in `signatures`."""

    def __init__(self, *signatures):
        self.signatures = list(map(list, signatures))

    def __call__(self):
        pass


AGREED = {"run": Double(["shape", "sizes="]), "get": Double(["name"], ["index"])}


def found(real, double):
    return list(compare.differences(real, double, ["Config", "BuilderFlag", "Elsewhere"]))


def test_nothing_is_said_of_modules_that_agree():
    assert found(config(), config()) == found(config(), config(**AGREED)) == []


@pytest.mark.parametrize("changes, said", [
    ({"run": None}, ["Config.run is in the real one only"]),
    ({"more": Double([])}, ["Config.more is in the double only"]),
    ({"name": property(lambda self: "")}, ["a property that can be set in the real one", "cannot be set in the double"]),
    ({"number": property(lambda self: "", print)}, ["that cannot be set in the real one, a property that can be set"]),
    ({"number": Double([])}, ["Config.number is a property that cannot be set in the real one, no property in the"]),
    ({"run": Double(["shape"])}, ["Config.run takes ", "('sizes', True)"]),
    ({"run": Double(["shape", "sizes"])}, ["Config.run takes ", "('sizes', False)"]),
    ({"run": Double(["shapes", "sizes="])}, ["Config.run takes ", "('shapes', False)"]),
    ({"get": Double(["index"])}, ["Config.get takes ", "[(('index', False),), (('name', False),)] in the real one"]),
    ({"__init__": lambda self, logger: None}, ["Config.__init__ takes [] in the real one, [(('logger', False),)]"]),
])  # fmt: skip
def test_each_difference_of_a_class_is_one_sentence(changes, said):
    text, = found(config(), config(**{**AGREED, **changes}))
    assert all(part in text for part in said)


@pytest.mark.parametrize("numbers, said", [
    ({"FP16": 0, "TF32": 6}, "BuilderFlag.TF32 is 7 in the real one, 6 in the double"),
    ({"FP16": 0}, "BuilderFlag.TF32 is 7 in the real one, None in the double"),
    ({"FP16": 0, "TF32": 7, "FP8": 8}, "BuilderFlag.FP8 is None in the real one, 8 in the double"),
])  # fmt: skip
def test_numbers_of_enums(numbers, said):
    double = config(**AGREED)
    double.BuilderFlag = enum(**numbers)
    assert found(config(), double) == [said]


def test_a_name_that_one_module_lacks():
    real, double = config(), config(**AGREED)
    double.Elsewhere = type("Elsewhere", (), {})
    assert found(real, double) == ["Elsewhere is in the double only"]
    assert found(double, real)[-1] == "Elsewhere is in the real one only"


def test_arguments_are_read_from_a_docstring():
    line = "run(self: t.A, a: Dict[str, List[int]], b: t.E = <E.X: 0>, c: Callable[[int], None] = None) -> Tuple[int]"
    assert compare.arguments(line) == [
        ("a", "Dict[str, List[int]]", False), ("b", "t.E", True), ("c", "Callable[[int], None]", True),
    ]  # fmt: skip
    assert compare.arguments("run(self: t.A) -> None") == []


@pytest.mark.parametrize("given, named, taken", [
    (("tuple",), {}, True), (("Dims", "list"), {}, True), (("tuple",), {"sizes": "list"}, True),
    ((), {"shape": "tuple"}, True), ((), {}, False), (("str",), {}, False), (("tuple", "int"), {}, False),
    (("tuple", "list", "int"), {}, False), (("tuple",), {"shape": "tuple"}, False), (("tuple",), {"size": "list"}, False),
])  # fmt: skip
def test_calls_are_put_to_the_real_signature(given, named, taken):
    calls = {("Config", "run"): {(given, tuple(sorted(named.items())))}}
    refused = list(compare.refused_calls(config(), calls))
    assert refused == [] if taken else "Config.run is given" in refused[0]


def test_one_overload_is_enough():
    for given, refused in (("int", 0), ("str", 0), ("bytes", 1)):
        assert len(list(compare.refused_calls(config(), {("Config", "get"): {((given,), ())}}))) == refused


def test_names_that_source_mentions():
    source = "def f(self, api):\n  trt.A(self.trt.B.C)\n  x = api.trt.D.E.F\n  trt_.G; self.other.H; trt"
    assert compare.mentioned(source) == {"A", "B", "B.C", "D", "D.E", "D.E.F"}


def test_the_double_of_tensorrt_for_rtx_has_what_the_real_one_has():
    real = pytest.importorskip("tensorrt_rtx", reason="TensorRT for RTX has wheels for x86-64 only")
    doubles = {version: tensorrt_double.make(version, None) for version in tensorrt_double.VERSIONS}
    names = set.union(*map(compare.public, doubles.values()))
    assert {"Builder", "BuilderFlag", "ICudaEngine", "ILogger", "OnnxParser", "TensorIOMode"} <= names
    assert list(compare.differences(real, doubles["rtx-1.7.1"], names)) == []
    assert len(list(compare.differences(real, doubles["8.2.1"], names))) > 50  # and it can tell


@pytest.fixture
def stubs():
    place = Path(__file__).parent / "stubs.py"
    spec = importlib.util.spec_from_file_location("stubs", place)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_a_library_that_wants_cublas_and_cudnn_loads_with_stubs(stubs, tmp_path):
    if not all(map(shutil.which, ("gcc", "readelf", "nm"))):
        pytest.skip("no gcc, readelf or nm on this machine")
    real, made = tmp_path / "real", tmp_path / "made"
    real.mkdir()
    stubs.compile_library(str(real), "libcublas.so.11", {"cublasCreate_v2"}, "libcublas.so.11")
    stubs.compile_library(str(real), "libcudnn.so.8", {"cudnnCreate", "cudnnGetErrorString"})
    source = "int cublasCreate_v2(void), cudnnCreate(void);\nconst char *cudnnGetErrorString(int);\nint use(void) "
    (tmp_path / "use.c").write_text(source + "{ return 10 * cublasCreate_v2() + cudnnCreate() + !cudnnGetErrorString(0); }\n")
    library = tmp_path / "libuse.so"
    command = ["gcc", "-shared", "-fPIC", "-o", library, tmp_path / "use.c", f"-L{real}", "-l:libcublas.so.11"]
    subprocess.run([*command, "-l:libcudnn.so.8"], check=True)
    assert stubs.make([str(library)], str(made)) == ["libcublas.so.11", "libcudnn.so.8"]
    script = f"import ctypes; print(ctypes.CDLL('{library}').use())"
    for folder, status in ((made, 0), (tmp_path, 1)):
        environment = {**os.environ, "LD_LIBRARY_PATH": str(folder)}
        done = subprocess.run(["python3", "-c", script], env=environment, capture_output=True, text=True)
        assert (done.returncode, done.stdout.strip()) == (status, "" if status else "11")
