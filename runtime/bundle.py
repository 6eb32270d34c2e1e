"""The bundle: the one thing that training machines hand to boards. This file alone reads and writes it.

A folder, or the same files in one .zip, without subfolders but for plans/ (written on the board that runs them):

    bundle.json     format, family, model {class, arguments}, image [C, H, W], pixels, latent, classes, data,
                    graphs {name: {file, inputs, outputs, tolerance, nodes, macs, ...}},
                    files {name: {sha256, bytes}}, made_by
    NAME.onnx       one graph each: decode, and for flows encode and log_prob
    NAME.fp16.onnx  a graph typed in half precision, for strongly typed TensorRT
    NAME.trt8.onnx  a graph in the form of which TensorRT 8 makes the fewest kernels, where that is another
    reference.npz   GRAPH/NAME: inputs and eager float32 outputs of each graph, same rows
    weights.npz     the model's weights by name; read only by the eager baseline, and may be left out
    preview.png     a grid of samples
    constants.bin   weights that several files hold, where they are stored once (parts.py)

Every file is named in `files`, and its size and sha256 are compared before it is used. Arrays are read with
allow_pickle=False; nothing is ever unpickled. File names are plain: letters, digits, dot, dash, underscore.

Format history: 1, the first; 2, files may be made of parts; 3, of parts in several runs. Each bundle is written as the
oldest that can hold it.
"""

import hashlib
import io
import json
import os
import re
import struct
import zipfile
import zlib
from typing import NamedTuple

import numpy as np

from . import files, parts, shipped
from .errors import BundleError

FORMATS = (1, 2, 3)
MANIFEST = "bundle.json"
PLAIN_NAME = re.compile(r"^[A-Za-z0-9_][A-Za-z0-9_.-]*\Z")
PIXELS = ("rounded", "dequantised")  # x = x8 / 255, or x = (x8 + uniform noise) / 256
LARGEST_MANIFEST_BYTES = 1 << 24
ZIP_ERRORS = (zipfile.BadZipFile, zlib.error, struct.error, OSError, EOFError, ValueError, RuntimeError)


class Tensor(NamedTuple):
    """One input or output of a graph: name, dtype ("float32"), shape with "batch" for the free axis."""

    name: str
    dtype: str
    shape: tuple


class Graph(NamedTuple):
    """One graph of a bundle: its file, inputs and outputs (Tensor), tolerance (largest absolute difference), figures,
    precision (None: float32 only; else which nodes stay in float32, the file typed in half, what the gate measured);
    tensorrt8: the file of the same function in the form that TensorRT 8 makes the fewest kernels of, None if there is
    no other than `file`."""

    name: str
    file: str
    inputs: tuple
    outputs: tuple
    tolerance: float
    figures: dict
    precision: dict = None
    tensorrt8: str = None


class Bundle:
    """An opened bundle. manifest: the content of bundle.json; graphs: {name: Graph}; path: where it lies."""

    def __init__(self, path, manifest, read):
        self.path = path
        self.manifest = manifest
        self._read = read
        try:
            self.family = manifest["family"]
            self.classes = list(manifest["classes"])
            self.image = None if manifest["image"] is None else tuple(manifest["image"])
            self.pixels = manifest["pixels"]
            self.latent = manifest["latent"]
            self.graphs = {name: _graph(name, entry) for name, entry in manifest["graphs"].items()}
            self._refuse_garbled()
        except (KeyError, TypeError, AttributeError, ValueError) as error:
            raise BundleError("{}: {} lacks or garbles {}: export it again".format(path, MANIFEST, error))

    def _refuse_garbled(self):
        right = {
            "family": isinstance(self.family, str),
            "classes": all(isinstance(name, str) for name in self.classes),
            "image": self.image is None or len(self.image) == 3 and all(map(_is_size, self.image)),
            "pixels": self.pixels in PIXELS,
            "latent": self.latent is None or _is_size(self.latent),
            "graphs": bool(self.graphs),
        }
        for name in right:
            if not right[name]:
                raise KeyError(name)

    @classmethod
    def open(cls, path):
        """Path of a folder or .zip, or a name that ships -> Bundle; only its manifest is read. Raises BundleError."""
        path = str(path)
        place = shipped.find(path)
        if place is None or not (os.path.isdir(place) or os.path.isfile(place)):
            raise BundleError(
                "{} does not exist: expected a bundle's folder or .zip, or a name that ships: {}; to make one: "
                "latentjet train, then latentjet export".format(path, ", ".join(shipped.names()) or "none")
            )
        read = _folder_reader(place) if os.path.isdir(place) else _zip_reader(place)
        return cls(path, _manifest(path, read(MANIFEST, LARGEST_MANIFEST_BYTES)), read)

    def graph(self, name):
        """The Graph of that name; raises BundleError that lists those there are."""
        if name not in self.graphs:
            known = ", ".join(sorted(self.graphs))
            raise BundleError("{} has no graph '{}', it has: {}".format(self.path, name, known))
        return self.graphs[name]

    def read(self, name):
        """A file's bytes, after its size and sha256 were compared with the manifest."""
        entry = self.manifest["files"].get(name)
        if entry is None:
            raise BundleError("{} lists no file '{}'".format(self.path, name))
        content = self._assembled(name, entry) if "parts" in entry else self._read(name, entry["bytes"])
        digest = hashlib.sha256(content).hexdigest()
        if digest != entry["sha256"]:
            raise BundleError(
                "{}: '{}' was changed: sha256 {}..., expected {}...; copy or export the bundle again".format(
                    self.path, name, digest[:12], entry["sha256"][:12]
                )
            )
        return content

    def _assembled(self, name, entry):
        constants = self.manifest["files"].get(parts.CONSTANTS, {"parts": None})
        try:
            if "parts" in constants:
                raise KeyError(parts.CONSTANTS)
            stored = self._read(name, entry["bytes"] - parts.length(entry["parts"]))
            return parts.assemble(stored, entry["parts"], parts.from_planes(self.read(parts.CONSTANTS)))
        except (KeyError, TypeError, ValueError) as error:
            raise BundleError("{}: the parts of '{}' are garbled ({}): export it again".format(self.path, name, error))

    def arrays(self, name):
        """The arrays of an .npz in the bundle, by name. Raises BundleError for pickled objects."""
        content = self.read(name)
        try:
            with np.load(io.BytesIO(content), allow_pickle=False) as stored:
                return {key: stored[key] for key in stored.files}
        except Exception as error:  # np.load lets through whatever zip, zlib and its own header reader raise
            raise BundleError("{}: '{}' is no plain .npz of arrays: {}".format(self.path, name, error))

    def reference(self, graph):
        """Graph name -> (inputs, outputs): dicts of arrays with the same number of rows, outputs from eager float32."""
        described, arrays = self.graph(graph), self.arrays("reference.npz")
        try:
            inputs = {tensor.name: arrays["{}/{}".format(graph, tensor.name)] for tensor in described.inputs}
            outputs = {tensor.name: arrays["{}/{}".format(graph, tensor.name)] for tensor in described.outputs}
        except KeyError as error:
            raise BundleError("{}: reference.npz lacks {}: export it again".format(self.path, error))
        rows = len(np.atleast_1d(inputs[described.inputs[0].name]))
        for tensor, array in [(item, inputs[item.name]) for item in described.inputs] + [
            (item, outputs[item.name]) for item in described.outputs
        ]:
            expected = (max(rows, 1),) + tensor.shape[1:]
            if array.dtype != np.float32 or array.shape != expected:
                raise BundleError(
                    "{}: reference.npz has '{}/{}' as {} {}, expected float32 {}: export it again".format(
                        self.path, graph, tensor.name, array.dtype, array.shape, expected
                    )
                )
        return inputs, outputs

    def verify(self):
        """Read every file once and compare it with the manifest; raises BundleError for the first that differs."""
        for name in sorted(self.manifest["files"]):
            self.read(name)


def _graph(name, entry):
    tensors = [
        tuple(Tensor(item["name"], item["dtype"], tuple(item["shape"])) for item in entry[side])
        for side in ("inputs", "outputs")
    ]
    for tensor in tensors[0] + tensors[1]:
        plain = isinstance(tensor.name, str) and all(map(_is_size, tensor.shape[1:]))
        if tensor.dtype != "float32" or tensor.shape[:1] != ("batch",) or not plain:
            raise KeyError("graph '{}': '{}' as float32 (batch, ...)".format(name, tensor.name))
    if not tensors[0] or not tensors[1]:
        raise KeyError("graph '{}': inputs or outputs".format(name))
    return Graph(
        name,
        entry["file"],
        tensors[0],
        tensors[1],
        float(entry["tolerance"]),
        entry.get("figures", {}),
        entry.get("precision"),
        entry.get("tensorrt8"),
    )


def _is_size(value):
    return isinstance(value, int) and value > 0


def _manifest(path, content):
    try:
        manifest = json.loads(content.decode("utf-8"))
        number = manifest["format"]
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise BundleError("{}: {} cannot be understood ({}): export it again".format(path, MANIFEST, error))
    if number not in FORMATS or isinstance(number, (bool, float)):
        known = " and ".join(map(str, FORMATS))
        raise BundleError(
            "{} has bundle format {}, this latentjet reads {}: {}".format(
                path, number, known, "upgrade latentjet" if _newer(number) else "export it again"
            )
        )
    try:
        entries = manifest["files"]
        graphs = list(manifest["graphs"].values())
        names = list(entries) + [graph["file"] for graph in graphs]
        names += [graph["tensorrt8"] for graph in graphs if graph.get("tensorrt8") is not None]
        plain = all(isinstance(entry["bytes"], int) and isinstance(entry["sha256"], str) for entry in entries.values())
    except (KeyError, TypeError, AttributeError) as error:
        raise BundleError("{}: {} cannot be understood ({}): export it again".format(path, MANIFEST, error))
    for name in names:
        if not isinstance(name, str) or not PLAIN_NAME.match(name):
            raise BundleError("{}: file name {!r} is not plain (letters, digits, . - _): refused".format(path, name))
    if not plain:
        raise BundleError("{}: {} lacks sizes or sums of files: export it again".format(path, MANIFEST))
    return manifest


def _newer(number):
    return isinstance(number, int) and number > FORMATS[-1]


def _folder_reader(path):
    def read(name, most_bytes):
        place = os.path.join(path, name)
        if os.path.islink(place):
            raise BundleError("{}: '{}' is a link, expected the file itself: refused".format(path, name))
        if not os.path.isfile(place):
            raise BundleError("{} lacks the file '{}': copy or export the bundle again".format(path, name))
        try:
            with open(place, "rb") as handle:
                return _limited(path, name, handle, most_bytes, os.path.getsize(place))
        except OSError as error:
            raise BundleError("{}: '{}' cannot be read: {}".format(path, name, error.strerror or error))

    return read


def _zip_reader(path):
    try:
        with zipfile.ZipFile(path) as archive:
            infos = archive.infolist()
    except ZIP_ERRORS as error:
        raise BundleError("{} is no bundle: neither a folder nor a readable .zip ({})".format(path, error))
    for info in infos:
        if not PLAIN_NAME.match(info.filename):
            raise BundleError("{}: file name {!r} is not plain: refused".format(path, info.filename))
    sizes = {info.filename: info.file_size for info in infos}

    def read(name, most_bytes):
        if name not in sizes:
            raise BundleError("{} lacks the file '{}': copy or export the bundle again".format(path, name))
        try:
            with zipfile.ZipFile(path) as archive, archive.open(name) as handle:
                return _limited(path, name, handle, most_bytes, sizes[name])
        except ZIP_ERRORS as error:
            raise BundleError("{}: '{}' cannot be read: {}".format(path, name, error))

    return read


def _limited(path, name, handle, most_bytes, size):
    """Read a file whose size is known; the manifest alone may be shorter than the most it may be."""
    exact = name != MANIFEST
    if size > most_bytes or (exact and size != most_bytes):
        raise BundleError(
            "{}: '{}' has {} bytes, expected {}: it is truncated or changed; copy or export the bundle again".format(
                path, name, size, most_bytes
            )
        )
    return handle.read()


def write(path, manifest, contents, overwrite=False, verify=None, listed=None):
    """Write a bundle in one step: all of it appears at path, or nothing.

    path: a folder, or a file if it ends in .zip; manifest: bundle.json without `format` and `files`;
    contents: {file name: bytes}; verify: called with the path of the staged folder, may raise to prevent it all;
    listed: {file name: its parts} of files that are stored without what constants.bin has (parts.py).
    Raises OutputError if path exists (unless overwrite) or cannot be written.
    """
    entries = {
        name: {"sha256": hashlib.sha256(content).hexdigest(), "bytes": len(content)}
        for name, content in contents.items()
    }
    stored, listed = dict(contents), listed or {}
    for name in listed:
        entries[name]["parts"] = listed[name]
        stored[name] = parts.cut(contents[name], listed[name])
    number = 3 if any(len(part) > 4 for found in listed.values() for part in found) else 2 if listed else 1
    text = json.dumps(dict(manifest, format=number, files=entries), indent=1, sort_keys=True)
    with files.staged_folder(str(path), overwrite) as folder:
        for name, content in [(MANIFEST, text.encode("utf-8"))] + sorted(stored.items()):
            with open(os.path.join(folder, name), "wb") as handle:
                handle.write(content)
        if verify:
            verify(folder)
