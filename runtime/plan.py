"""Plans on disk: serialised TensorRT engines, each beside a certificate that is compared before the plan is read.

    BUNDLE/plans/GRAPH.PRECISION.trtVERSION-smXY.plan    (a bundle in a .zip: BUNDLE.zip.plans/;
    one that ships: see shipped.py)
    ...                                           .json    the certificate

The certificate: format; graph and precision; onnx_sha256; device {gpu, sm, tensorrt, cuda, l4t}; profile (batches);
layers with the precision asked for and the one built; differences from the reference; values not finite in fresh
samples; cuda_graphs ("on", or why not) and cuda_graphs_dropped, {kind of memory: why graphs are never used with it};
seconds, workspace_bytes, plan_bytes and plan_sha256. A plan is never deserialised unless all that it was built for fits
this device and this bundle.
"""

import hashlib
import json
import os

from . import files, shipped
from .errors import PlanError

FORMAT = 1
FITTING = ("gpu", "sm", "tensorrt", "cuda")


def folder(bundle_path):
    """Where the plans of a bundle lie."""
    path = str(bundle_path)
    if os.path.isdir(path):
        return os.path.join(path, "plans")
    return shipped.plans(path) or path + ".plans"


def name(graph, precision, device):
    """A plan's file name without its ending."""
    return "{}.{}.trt{}-sm{}".format(graph, precision, device["tensorrt"], device["sm"].replace(".", ""))


def write(bundle_path, certificate, content):
    """Put a plan and its certificate into place, the certificate last -> (the plan's path, the certificate as it
    was written). Raises OutputError.

    In between, or if the certificate cannot be written, the old one does not fit the plan's sha256, and `read` says so.
    """
    place = folder(bundle_path)
    try:
        os.makedirs(place, exist_ok=True)
    except OSError as error:
        raise files.OutputError(files.cannot_write(place, error))
    stem = os.path.join(place, name(certificate["graph"], certificate["precision"], certificate["device"]))
    certificate = dict(
        certificate, format=FORMAT, plan_sha256=hashlib.sha256(content).hexdigest(), plan_bytes=len(content)
    )
    files.write_file(stem + ".plan", content)
    files.write_file(stem + ".json", (json.dumps(certificate, indent=1, sort_keys=True) + "\n").encode("utf-8"))
    return stem + ".plan", certificate


def certificates(bundle_path, graph=None):
    """Every readable certificate of a bundle (of one graph), as [(path without ending, dict)]."""
    found, place = [], folder(bundle_path)
    for entry in sorted(os.listdir(place)) if os.path.isdir(place) else []:
        if entry.endswith(".json"):
            try:
                with open(os.path.join(place, entry), encoding="utf-8") as handle:
                    certificate = json.load(handle)
                if whole(certificate) and graph in (None, certificate["graph"]):
                    found.append((os.path.join(place, entry[:-5]), certificate))
            except (OSError, ValueError, LookupError, TypeError, AttributeError):
                continue
    return found


def whole(certificate):
    """Is all there that a plan is chosen and opened by? What `certificates` catches is raised for what is missing."""
    batches = certificate["profile"]["batches"]
    texts = [certificate[key] for key in ("graph", "precision", "onnx_sha256", "plan_sha256", "memory")]
    return (
        certificate["format"] == FORMAT
        and all(isinstance(text, str) for text in texts)
        and all(certificate["device"].get(key) for key in FITTING)
        and all(isinstance(batch, int) for batch in batches)
        and 0 < batches[0]
        and batches == sorted(set(batches))
    )


def misfits(certificate, bundle, device):
    """What a certificate was built for and this is not, as sentences; empty if it fits."""
    found = [
        "{} {}, here {}".format(key, certificate["device"].get(key), device.get(key))
        for key in FITTING
        if certificate["device"].get(key) != device.get(key)
    ]
    described = bundle.graph(certificate["graph"])
    sums = [bundle.manifest["files"].get(name, {}).get("sha256") for name in onnx_files(described)]
    if certificate["onnx_sha256"] not in sums:
        found.append("another export of this graph")
    return found


def graphs(certificate, memory):
    """"on", or why the plan runs without CUDA graphs with this kind of memory: they were wrong when it was built, or it
    is so old that nobody compared them."""
    dropped = certificate.get("cuda_graphs_dropped")
    if not isinstance(dropped, dict):
        return "off: the plan was built before 0.2, when replays were not compared; build it again"
    return "off: {}".format(dropped[memory]) if memory in dropped else "on"


def onnx_files(graph):
    """The ONNX files that a plan of a graph can have been built from."""
    half = graph.precision["file"] if graph.precision else None
    return [name for name in (graph.file, half, graph.tensorrt8) if name]


def read(bundle, graph, precision, device):
    """The plan of a graph for this device -> (certificate, bytes).

    precision: "fp16", "fp32", or None for fp16 where the graph may run in it. Raises PlanError: there is none, what
    there is was built for something else (both sides named), or the plan was changed; with the command that builds it.
    """
    half = bundle.graph(graph).precision
    wanted = [precision] if precision else ["fp16", "fp32"] if half and half["file"] else ["fp32"]
    refused = []
    for choice in wanted:
        for stem, certificate in certificates(bundle.path, graph):
            if certificate["precision"] != choice:
                continue
            wrong = misfits(certificate, bundle, device)
            if not wrong:
                return certificate, _content(stem, certificate, bundle.path)
            refused.append("{} was built for {}".format(os.path.basename(stem), "; ".join(wrong)))
    here = "TensorRT {}, sm_{}".format(device["tensorrt"], device["sm"].replace(".", ""))
    raise PlanError(
        "{}: no {} plan of '{}' for this device ({}); found: {}. Build one: latentjet build {}".format(
            bundle.path, wanted[0], graph, here, "; ".join(refused) or "none", bundle.path
        )
    )


def _content(stem, certificate, bundle_path):
    try:
        with open(stem + ".plan", "rb") as handle:
            content = handle.read()
    except OSError as error:
        raise PlanError("{}.plan cannot be read ({}): latentjet build {}".format(stem, error.strerror, bundle_path))
    if hashlib.sha256(content).hexdigest() != certificate["plan_sha256"]:
        raise PlanError("{}.plan was changed since it was built: latentjet build {}".format(stem, bundle_path))
    return content
