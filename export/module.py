"""Exporting a module of the user's own: one method of it becomes one graph of a bundle, or one .onnx file."""

import copy
import functools

import torch

from ..runtime.check import check
from ..runtime.errors import CheckError, ExportError
from ..runtime.files import refuse_existing, write_file
from . import precision
from .fold import fold
from .graphs import GraphSpec, Method, batch_of_specimens
from .pack import add_half, npz, pack, staged, write
from .target import find_target


def export_module(
    module, example_inputs, path, method="forward", outputs=("images",), graph="decode", target="tx2", tolerance=1e-4,
    classes=(), overwrite=False,
):  # fmt: skip
    """Export a module of your own: one method of it becomes one graph of a bundle (or one .onnx file).

    module: an nn.Module; it is put into evaluation mode, folded as a copy and not changed.
    example_inputs: {name: float32 tensor} in the order of the method's arguments, the batch first, at least 2 rows.
        Call the latent "z" and the labels "labels" (one-hot rows), and `latentjet sample` can use the bundle.
    path: a folder, a .zip, or a name that ends in .onnx for the bare graph.
    method: the method to export; outputs: names of what it returns; graph: the graph's name;
    tolerance: largest absolute difference from eager float32; classes: class names, if it has labels.
    Returns the opened Bundle (None for .onnx). Raises ExportError that says which operation is in the way.
    """
    refuse_existing(path, overwrite)
    target = find_target(target)
    if not isinstance(module, torch.nn.Module) or not callable(getattr(module, method, None)):
        raise ExportError(f"{type(module).__name__} is no torch.nn.Module with a method '{method}'")
    inputs = {name: tensor.detach().cpu() for name, tensor in example_inputs.items()}
    try:
        batch_of_specimens(inputs)
    except ValueError as error:
        raise ExportError(str(error)) from error
    eager, folded = copy.deepcopy(module).eval().cpu(), fold(module).cpu()
    spec = GraphSpec(graph, method, tuple(inputs), tuple(outputs), tolerance, half=True)
    item = pack(Method(eager, method), Method(folded, method), inputs, spec, target)
    if str(path).endswith(".onnx"):
        return write_onnx(path, item)
    add_half({graph: item}, functools.partial(calibration, inputs))
    first = item.entry["outputs"][0]["shape"][1:]
    manifest = {
        "family": "module",
        "model": {"class": type(module).__name__, "arguments": None},
        "image": first if "z" in inputs and outputs[0] == "images" and len(first) == 3 else None,
        "pixels": "rounded",
        "latent": inputs["z"].shape[1] if "z" in inputs else None,
        "classes": class_names(classes, inputs),
        "data": None,
        "trained": "elsewhere",
        "settings": None,
        "target": f"{target.name}: ONNX opset {target.opset}, TensorRT {target.tensorrt}",
    }
    return write(path, manifest, {graph: item}, None, overwrite, progress=lambda line: None)


def class_names(classes, inputs):
    """Names for the label columns: those given, or numbers."""
    if "labels" not in inputs:
        return []
    count = inputs["labels"].shape[1]
    if classes and len(classes) != count:
        raise ExportError(f"{len(classes)} class names for {count} columns of 'labels'")
    return [str(name) for name in classes] or [str(number) for number in range(count)]


def calibration(inputs, seed):
    """Batches for the precision gate: z at temperature 1 and labels in turn, or else the example inputs themselves."""
    if set(inputs) <= {"z", "labels"} and "z" in inputs and inputs["z"].dim() == 2:
        classes = inputs["labels"].shape[1] if "labels" in inputs else 0
        return precision.calibration(inputs["z"].shape[1], classes, seed=seed)
    return iter([{name: tensor.numpy() for name, tensor in inputs.items()}])


def write_onnx(path, item):
    """A bare .onnx file, after ONNX Runtime gave what eager PyTorch gives."""
    manifest = {"family": "module", "model": {}, "image": None, "pixels": "rounded", "latent": None, "classes": []}
    manifest["graphs"] = {item.spec.name: item.entry}
    with staged(manifest, {**item.contents, "reference.npz": npz(item.reference)}) as trial:
        for found in check(trial, "ort")[1]:
            if not found.passed:
                raise CheckError(
                    f"'{found.output}' differs from eager PyTorch by {found.largest:.3g}: nothing was written"
                )
    write_file(path, item.contents[item.entry["file"]])
