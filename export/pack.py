"""From a model to a bundle: graphs, reference vectors, manifest; written, opened again and verified."""

import contextlib
import functools
import io
import itertools
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
from ..runtime.files import refuse_existing
from ..runtime.model import Model
from ..runtime.version import VERSION
from ..train.models import RealNVP
from . import precision
from .compact import compact
from .couplings import kept_apart, suits_blocks, take_apart
from .figures import figures
from .fold import fold
from .graphs import GraphSpec, Method, graphs_of, reference_inputs
from .lower import without_traces
from .source import opened
from .target import find_target, lint
from .to_onnx import to_onnx


class Packed(NamedTuple):
    """One exported graph: its spec, manifest entry, ONNX graph as traced, files, reference arrays by GRAPH/NAME; apart:
    the graph that TensorRT 8 reads, where it has another form (couplings.py)."""

    spec: GraphSpec
    entry: dict
    model: onnx.ModelProto
    contents: dict
    reference: dict
    apart: onnx.ModelProto = None


def export_checkpoint(source, path, target="tx2", overwrite=False, progress=print, with_weights=True, compacted=False):
    """Checkpoint (file or folder), or bundle with weights -> bundle at path (folder or .zip), verified and opened.

    target: a name from target.TARGETS; progress: called with a line for each step; with_weights: keep weights.npz,
    which the eager baseline reads; compacted: store once what several files hold (compact.py).
    Raises CheckpointError, BundleError, ExportError (a node the target cannot run, no weights), OutputError (path
    exists, cannot be written).
    """
    refuse_existing(path, overwrite)
    target = find_target(target)
    source = opened(source)
    model = source.model
    folded, inputs = fold(model), reference_inputs(model)
    packed = {}
    for spec in graphs_of(model):
        names = [name for name in spec.inputs if name in inputs]
        progress(f"graph '{spec.name}': tracing, lowering to opset {target.opset}, judging each node")
        chosen = {name: inputs[name] for name in names}
        apart = take_apart if isinstance(model, RealNVP) else None
        packed[spec.name] = pack(Method(model, spec.method), Method(folded, spec.method), chosen, spec, target, apart)
    manifest = {
        **source.about,
        "image": list(model.image),
        "pixels": "dequantised" if hasattr(model, "log_prob") else "rounded",
        "latent": model.latent,
        "target": f"{target.name}: ONNX opset {target.opset}, TensorRT {target.tensorrt}",
    }
    progress(f"half precision: ranges, then {precision.SAMPLES:,} samples against float32")
    bound = precision.product_bound(model) if isinstance(model, RealNVP) else 0.0
    add_half(packed, functools.partial(precision.calibration, model.latent, model.classes), bound)
    weights = {name: tensor.numpy() for name, tensor in model.state_dict().items()} if with_weights else None
    return write(path, manifest, packed, weights, overwrite, progress, compacted)


def pack(eager, folded, inputs, spec, target, rewrite=None):
    """Eager and folded module, {input name: tensor}, spec, Target -> Packed; the reference is the eager one's.

    rewrite: function from the graph to the form of it for TensorRT 8, None where there is no other.
    """
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
    apart = rewrite(model) if rewrite else None
    stored = apart if apart and suits_blocks(apart) else model
    entry = {
        "file": f"{spec.name}.onnx",
        "inputs": [described(name, tensor) for name, tensor in inputs.items()],
        "outputs": [described(name, tensor) for name, tensor in named.items()],
        "tolerance": spec.tolerance,
        "figures": {**figures(stored), "notes": notes},
    }
    arrays = {f"{spec.name}/{name}": tensor.detach().numpy() for name, tensor in {**inputs, **named}.items()}
    contents = {entry["file"]: stored.SerializeToString()}
    if apart and stored is model:
        refuse_difference(apart, inputs, named, spec)
        entry["tensorrt8"] = f"{spec.name}.trt8.onnx"
        contents[entry["tensorrt8"]] = apart.SerializeToString()
    return Packed(spec, entry, model, contents, arrays, apart)


def refuse_difference(model, inputs, named, spec):
    """Raise CheckError unless ONNX Runtime gives for a graph what eager PyTorch gave; `write` checks other files."""
    made = precision.session(model).run(list(named), {name: tensor.numpy() for name, tensor in inputs.items()})
    for (name, tensor), array in zip(named.items(), made, strict=True):
        largest = float(np.abs(array - tensor.numpy()).max())
        if not largest <= spec.tolerance:
            raise CheckError(
                f"graph '{spec.name}' for TensorRT 8: output '{name}' differs from eager PyTorch by {largest:.3g}, "
                f"allowed are {spec.tolerance:.0e}: nothing was written"
            )


def add_half(packed, calibration, bound=0.0):
    """Decide the precision of each graph that may run in half; adds the typed graph and what was measured.

    calibration: function of a seed that returns batches of feeds; bound: a flow's product bound.
    """
    encoder = packed["encode"].model if "encode" in packed else None
    for item in packed.values():
        if item.spec.half:
            proof, ranging = functools.partial(calibration, seed=40), itertools.islice(calibration(seed=41), 2)
            decision = precision.decide(item.model, proof, ranging, encoder, bound)
            file = f"{item.spec.name}.fp16.onnx"
            item.entry["precision"] = precision.entry(decision, file, bound)
            if item.apart:
                item.entry["precision"]["keep_float32"] = kept_apart(decision.keep, item.apart)
            if decision.model:
                item.contents[file] = decision.model.SerializeToString()


def described(name, tensor):
    """A tensor as the manifest has it; only float32 is known to every backend."""
    if tensor.dtype != torch.float32:
        raise ExportError(f"'{name}' is {tensor.dtype}, expected torch.float32: pass labels as one-hot float rows")
    return {"name": name, "dtype": "float32", "shape": ["batch", *tensor.shape[1:]]}


def npz(arrays, compressed=True):
    """{name: array} -> the bytes of an .npz."""
    buffer = io.BytesIO()
    (np.savez_compressed if compressed else np.savez)(buffer, **arrays)
    return buffer.getvalue()


def write(path, manifest, packed, weights, overwrite, progress, compacted=False):
    """Write, open again, verify with ONNX Runtime, draw the preview; nothing is at path unless all of it is right."""
    made = {
        "latentjet": VERSION,
        "torch": torch.__version__,
        "onnx": onnx.__version__,
        "python": platform.python_version(),
    }
    manifest = {**manifest, "made_by": made, "graphs": {name: item.entry for name, item in packed.items()}}
    contents = {name: content for item in packed.values() for name, content in item.contents.items()}
    reference = {key: array for item in packed.values() for key, array in item.reference.items()}
    contents["reference.npz"] = npz(reference, compressed=not compacted)
    if weights is not None:
        contents["weights.npz"] = npz(weights, compressed=not compacted)
    contents, parts = compact(contents) if compacted else (contents, {})
    progress("verifying each graph with ONNX Runtime against eager PyTorch")
    with staged(manifest, contents, parts) as trial:
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
    bundles.write(path, manifest, contents, overwrite, reopen, parts)
    return bundles.Bundle.open(path)


@contextlib.contextmanager
def staged(manifest, contents, parts=None):
    """The bundle as it will be, in a temporary folder: what is verified is what was written and read again."""
    with tempfile.TemporaryDirectory(prefix="latentjet-") as folder:
        bundles.write(f"{folder}/staged", manifest, contents, listed=parts)
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
