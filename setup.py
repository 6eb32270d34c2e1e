"""Packaging of latentjet; read by the setuptools and pip 9 of a Jetson as well as by current ones."""

import io
import os
import re

from setuptools import setup

HERE = os.path.dirname(os.path.abspath(__file__))


def read(*parts):
    with io.open(os.path.join(HERE, *parts), encoding="utf-8") as handle:
        return handle.read()


def version():
    return re.search(r'^VERSION = "([^"]+)"', read("runtime", "version.py"), re.MULTILINE).group(1)


TRAIN = ["torch>=2.9", "torchvision>=0.24", "tqdm", "matplotlib"]
EXPORT = ["torch>=2.9", "onnx>=1.17", "onnxscript>=0.5.6", "onnxruntime>=1.20", "Pillow"]
REPORT = ["jinja2", "matplotlib"]
STUDY = [*TRAIN, "optuna>=4.0", "tomli; python_version < '3.11'"]

EXTRAS = {
    "train": TRAIN,
    "study": STUDY,
    "export": EXPORT,
    "ort": ["onnxruntime"],
    "trt": [
        "pycuda<2022.2; python_version < '3.8'",
        "pycuda; python_version >= '3.8'",
    ],  # tensorrt itself comes with JetPack and is not on PyPI for it
    "images": ["Pillow"],
    "bench": ["tqdm"],
    "report": REPORT,
    "estimate": ["onnx"],
    "test": ["pytest", "pytest-timeout", "vermin", "ruff", "tensorrt_rtx==1.7.1.116"],
}
EXTRAS["all"] = sorted(set(TRAIN + STUDY + EXPORT + REPORT))

setup(
    name="latentjet",
    version=version(),
    description="Conditional generative models from PyTorch to a Jetson: train, export, run, benchmark.",
    long_description=read("README.md"),
    long_description_content_type="text/markdown",
    license="MIT",
    python_requires=">=3.6",
    package_dir={
        "latentjet.train": "train",
        "latentjet.export": "export",
        "latentjet.runtime": "runtime",
        "latentjet.benchmarks": "benchmarks",
    },
    packages=[
        "latentjet.train",
        "latentjet.train.models",
        "latentjet.train.study",
        "latentjet.export",
        "latentjet.export.forms",
        "latentjet.export.importer",
        "latentjet.runtime",
        "latentjet.benchmarks",
        "latentjet.benchmarks.report",
        "latentjet.benchmarks.estimate",
        "latentjet.benchmarks.peers",
        "latentjet.benchmarks.scale",
    ],
    package_data={
        "latentjet.train": ["sample/*", "judges/*"],
        "latentjet.train.study": ["*.toml"],
        "latentjet.export.importer": ["*.json"],
        "latentjet.runtime": ["pretrained/*.zip"],
        "latentjet.benchmarks.report": ["page.css", "page.html", "page.md"],
        "latentjet.benchmarks.estimate": ["*.json"],
    },
    install_requires=["numpy"],
    extras_require=EXTRAS,
    entry_points={"console_scripts": ["latentjet = latentjet.runtime.cli:main"]},
    classifiers=[
        "License :: OSI Approved :: MIT License",
        "Programming Language :: Python :: 3",
        "Programming Language :: Python :: 3.6",
        "Topic :: Scientific/Engineering :: Artificial Intelligence",
    ],
)
