"""From a model to a bundle: graphs, reference vectors, manifest; written, opened again and verified."""

import contextlib
import copy
import io
import platform
import tempfile
from typing import NamedTuple

import numpy as np
import onnx
import torch

from ..runtime import bundle as bundles
from ..runtime import picture
from ..runtime.check import check
from ..runtime.errors import CheckError, ExportError
from ..runtime.files import refuse_existing, write_file
from ..runtime.model import Model
from ..runtime.version import VERSION
from ..train import checkpoint as checkpoints
from .figures import figures
from .fold import fold
from .graphs import GRAPHS, GraphSpec, Method, batch_of_specimens, reference_inputs
from .lower import without_traces
from .target import find_target, lint
from .to_onnx import to_onnx


class Packed(NamedTuple):
    """One exported graph: its manifest entry, ONNX bytes, and reference arrays by GRAPH/NAME."""

    entry: dict
    content: bytes
    reference: dict


def export_checkpoint(source, path, target="tx2", overwrite=False, progress=print):
    """Checkpoint (file or folder) -> bundle at path (folder or .zip), verified -> the opened Bundle.

    target: a name from target.TARGETS; progress: called with a line for each step.
    Raises CheckpointError, ExportError (a node the target cannot run), OutputError (path exists, cannot be written).
    """
    refuse_existing(path, overwrite)
    target = find_target(target)
    stored = checkpoints.load(source)
    model = stored.model()
    folded, inputs = fold(model), reference_inputs(model)
    packed = {}
    for spec in GRAPHS[type(model).__name__]:
        names = [name for name in spec.inputs if name in inputs]
        progress(f"graph '{spec.name}': tracing, lowering to opset {target.opset}, looking up each operator")
        chosen = {name: inputs[name] for name in names}
        packed[spec.name] = pack(Method(model, spec.method), Method(folded, spec.method), chosen, spec, target)
    about, history = stored.about, stored.about["history"]
    manifest = {
        "family": about["settings"]["family"],
        "model": about["model"],
        "image": list(model.image),
        "pixels": "dequantised" if hasattr(model, "log_prob") else "rounded",
        "latent": model.latent,
        "classes": about["data"]["classes"] if model.classes else [],
        "data": about["data"],
        "trained": trained(about, history),
        "settings": about["settings"],
        "target": f"{target.name}: ONNX opset {target.opset}, TensorRT {target.tensorrt}",
    }
    weights = {name: tensor.numpy() for name, tensor in model.state_dict().items()}
    return write(path, manifest, packed, weights, overwrite, progress)


def trained(about, history):
    """One line on how good the checkpoint is, as its own history has it."""
    if not history:
        return "not at all: the weights are as they were drawn"
    last = history[-1]
    return (
        f"{last['epoch']} epochs on {about['data']['images']} images of {about['data']['name']}; "
        f"{last['validation']:.3f} {about['unit']} on held-out training images"
    )


def pack(eager, folded, inputs, spec, target):
    """Eager and folded module, {input name: tensor}, spec, Target -> Packed; the reference is the eager one's."""
    with torch.no_grad():
        outputs = eager(*inputs.values())
    outputs = outputs if isinstance(outputs, (tuple, list)) else [outputs]
    if len(outputs) != len(spec.outputs):
        raise ExportError(f"the module returns {len(outputs)} tensors, expected {len(spec.outputs)}: {spec.outputs}")
    named = dict(zip(spec.outputs, outputs, strict=True))
    for name, tensor in named.items():
        if not isinstance(tensor, torch.Tensor) or len(tensor) != len(next(iter(inputs.values()))):
            seen, rows = getattr(tensor, "shape", type(tensor).__name__), len(next(iter(inputs.values())))
            raise ExportError(f"output '{name}' is {seen}, expected a tensor with the batch first: ({rows}, ...)")
        if not torch.isfinite(tensor).all():
            raise ExportError(f"output '{name}' of eager PyTorch is not finite: train the model before it is exported")
    model = to_onnx(folded, inputs, spec.outputs, target)
    notes = lint(model, target)
    model = without_traces(model)
    entry = {
        "file": f"{spec.name}.onnx",
        "inputs": [described(name, tensor) for name, tensor in inputs.items()],
        "outputs": [described(name, tensor) for name, tensor in named.items()],
        "tolerance": spec.tolerance,
        "figures": {**figures(model), "notes": notes},
    }
    arrays = {f"{spec.name}/{name}": tensor.detach().numpy() for name, tensor in {**inputs, **named}.items()}
    return Packed(entry, model.SerializeToString(), arrays)


def described(name, tensor):
    """A tensor as the manifest has it; only float32 is known to every backend."""
    if tensor.dtype != torch.float32:
        raise ExportError(f"'{name}' is {tensor.dtype}, expected torch.float32: pass labels as one-hot float rows")
    return {"name": name, "dtype": "float32", "shape": ["batch", *tensor.shape[1:]]}


def npz(arrays):
    """{name: array} -> the bytes of an .npz."""
    buffer = io.BytesIO()
    np.savez_compressed(buffer, **arrays)
    return buffer.getvalue()


def write(path, manifest, packed, weights, overwrite, progress):
    """Write, open again, verify with ONNX Runtime, draw the preview; nothing is at path unless all of it is right."""
    made = {
        "latentjet": VERSION,
        "torch": torch.__version__,
        "onnx": onnx.__version__,
        "python": platform.python_version(),
    }
    manifest = {**manifest, "made_by": made, "graphs": {name: item.entry for name, item in packed.items()}}
    contents = {item.entry["file"]: item.content for item in packed.values()}
    contents["reference.npz"] = npz({key: array for item in packed.values() for key, array in item.reference.items()})
    if weights is not None:
        contents["weights.npz"] = npz(weights)
    progress("verifying each graph with ONNX Runtime against eager PyTorch")
    with staged(manifest, contents) as trial:
        _, found = check(trial, "ort")
        preview = draw_preview(trial)
    for item in found:
        if not item.passed:
            raise CheckError(
                f"graph '{item.graph}': output '{item.output}' differs from eager PyTorch by {item.largest:.3g}, "
                f"allowed are {item.tolerance:.0e}: nothing was written"
            )
        figure = manifest["graphs"][item.graph]["figures"]
        figure["largest_difference"] = max(item.largest, figure.get("largest_difference", 0.0))
    if preview:
        contents["preview.png"] = preview
    bundles.write(path, manifest, contents, overwrite, verify=reopen)
    return bundles.Bundle.open(path)


@contextlib.contextmanager
def staged(manifest, contents):
    """The bundle as it will be, in a temporary folder: what is verified is what was written and read again."""
    with tempfile.TemporaryDirectory(prefix="latentjet-") as folder:
        bundles.write(f"{folder}/staged", manifest, contents)
        yield bundles.Bundle.open(f"{folder}/staged")


def reopen(folder):
    """Open the staged folder once more and compare every file with the manifest."""
    bundles.Bundle.open(folder).verify()


def draw_preview(bundle):
    """A grid of ten rows through the runtime, or None for a bundle that is no image generator."""
    if bundle.image is None or bundle.image[0] not in (1, 3):
        return None
    with Model(bundle, "ort") as model:
        rows, columns = len(model.classes) or 4, 8
        labels = np.repeat(np.arange(rows), columns).tolist() if model.classes else None
        temperature = 0.8 if model.bundle.pixels == "dequantised" else 1.0
        count = None if labels else rows * columns
        images = model.sample(labels, seed=0, temperature=temperature, count=count, uint8=True)
        return picture.grid(images.reshape((rows, columns, *images.shape[1:])), model.classes)


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
    spec = GraphSpec(graph, method, tuple(inputs), tuple(outputs), tolerance)
    item = pack(Method(eager, method), Method(folded, method), inputs, spec, target)
    if str(path).endswith(".onnx"):
        return write_onnx(path, spec, item)
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


def write_onnx(path, spec, item):
    """A bare .onnx file, after ONNX Runtime gave what eager PyTorch gives."""
    manifest = {"family": "module", "model": {}, "image": None, "pixels": "rounded", "latent": None, "classes": []}
    manifest["graphs"] = {spec.name: item.entry}
    with staged(manifest, {item.entry["file"]: item.content, "reference.npz": npz(item.reference)}) as trial:
        for found in check(trial, "ort")[1]:
            if not found.passed:
                raise CheckError(
                    f"'{found.output}' differs from eager PyTorch by {found.largest:.3g}: nothing was written"
                )
    write_file(path, item.content)
