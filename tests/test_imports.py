"""Who may import whom (docs/architecture.md), read from the source with ast."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
PARTS = ("train", "export", "runtime", "benchmarks")
ALLOWED = {
    "train": {"train"},
    "runtime": {"runtime"},
    "export": {"export", "train", "runtime"},
    "benchmarks": {"benchmarks", "runtime"},
}
BESIDE = {  # files of benchmarks that also import other parts, and what of them
    "benchmarks/eager.py": ("latentjet.train.models",),
    "benchmarks/estimate/readable.py": ("latentjet.export.importer",),
    "benchmarks/exported.py": ("latentjet.export",),
    "benchmarks/peers/works.py": ("latentjet.train.models",),
    "benchmarks/peers/__main__.py": ("latentjet.train.errors",),
    "benchmarks/scale/measured.py": ("latentjet.train.models",),
    "benchmarks/scale/__main__.py": ("latentjet.train.errors",),
}
ONLY_IN = {
    "onnxruntime": {"runtime/ort.py", "export/precision.py", "export/fused.py"},
    "pycuda": {"runtime/cuda.py"},
    "PIL": {"runtime/picture.py"},
    "onnx": {"export", "benchmarks/estimate/graph.py"},
    "onnxscript": set(),
    "torch": {
        "train", "export", "benchmarks/eager.py", "benchmarks/masked.py", "benchmarks/exported.py",
        "benchmarks/peers/flows.py", "benchmarks/peers/plain.py", "benchmarks/peers/systems.py", "benchmarks/peers/works.py",
    },
    "normflows": {"benchmarks/peers/flows.py"},
    "nflows": {"benchmarks/peers/flows.py"},
    "zuko": {"benchmarks/peers/flows.py"},
    "FrEIA": {"benchmarks/peers/flows.py"},
    "torchvision": {"train"},
    "matplotlib": {"train/curves.py", "train/study/plots.py", "benchmarks/report/plots.py", "benchmarks/scale/plot.py"},
    "jinja2": {"benchmarks/report/page.py"},
    "markupsafe": {"benchmarks/report/page.py"},
    "optuna": {"train/study/trials.py", "train/study/__main__.py"},
    "tomli": {"train/study/definition.py"},
    "tqdm": {"train/fit.py"},
    "numpy": set(PARTS),
}
FILES = sorted(path for part in PARTS for path in (ROOT / part).rglob("*.py"))


def imports(path):
    """Every module that a file imports, anywhere in it, as dotted names from the root of the package."""
    package = ("latentjet", *path.relative_to(ROOT).parts[:-1])
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (item.name for item in node.names)
        elif isinstance(node, ast.ImportFrom) and node.level:
            base = package[: len(package) - node.level + 1]
            yield from (".".join((*base, *filter(None, [node.module]), item.name)) for item in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield node.module


def name(path):
    return path.relative_to(ROOT).as_posix()


@pytest.mark.parametrize("path", FILES, ids=name)
def test_parts_import_only_what_they_may(path):
    part = path.relative_to(ROOT).parts[0]
    for module in imports(path):
        if module.startswith("latentjet."):
            other = module.split(".")[1]
            beside = module.startswith(BESIDE.get(name(path), ()))
            assert other in ALLOWED[part] or beside, f"{name(path)} imports {module}"


@pytest.mark.parametrize("path", FILES, ids=name)
def test_third_party_packages_stay_in_their_files(path):
    for module in imports(path):
        top = module.split(".")[0]
        if top in sys.stdlib_module_names or top == "latentjet":
            continue
        assert top in ONLY_IN, f"{name(path)} imports {top}: which file may?"
        places = ONLY_IN[top]
        assert name(path) in places or path.relative_to(ROOT).parts[0] in places, f"{name(path)} imports {top}"


@pytest.mark.parametrize("module", ["train", "export", "runtime", "benchmarks", "runtime.cli"])
def test_opening_the_table_of_contents_imports_nothing_heavy(module):
    script = f"import sys, latentjet.{module}; print(*sorted(set(sys.modules) & {{'numpy', 'torch', 'onnx', 'onnxruntime'}}))"
    assert (
        subprocess.run([sys.executable, "-c", script], check=True, capture_output=True, text=True).stdout.strip() == ""
    )


def test_no_file_is_named_like_a_package_it_imports():
    tops = {module.split(".")[0] for path in FILES for module in imports(path)} - {"latentjet"}
    assert not {path.stem for path in FILES} & (tops - set(sys.stdlib_module_names))


def test_files_stay_short():
    long = {name(path): len(path.read_text().splitlines()) for path in FILES}
    assert max(long.values()) <= 400, {path: count for path, count in long.items() if count > 400}
