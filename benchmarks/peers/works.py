"""Which systems stand side by side, and the one run over them: each work at each batch size, interleaved."""

import contextlib
import importlib
import importlib.util
import math
import os
import platform
import time
from typing import Callable, NamedTuple

import numpy as np
import torch

from ...runtime.errors import BackendError, CheckError, InputError
from ...train.models import VAE, RealNVP
from .. import device
from ..exported import perturbed
from ..measure import interleave
from . import flows, plain
from .record import Measured, Record
from .systems import IMAGE, LATENT, Subject, largest_gap, same_z, ways
from .table import WAYS

LARGEST_GAP, LARGEST_DIFFERENCE = 1e-3, 1e-3
SIZES = {
    "full": {"couplings": (8, 4), "width": (64, 128), "hidden": {"mlp": 400, "conv": 32}, "dense": 12},
    "small": {"couplings": (2, 1), "width": (8, 8), "hidden": {"mlp": 16, "conv": 4}, "dense": 12},
}


class Work(NamedTuple):
    """samples: noise is drawn by each system, else all decode one z; subjects: function (size, libraries) ->
    [(Subject, ways)]. What it is in words, and what its ratios are of, is in table.py."""

    samples: bool
    subjects: Callable


def own_flow(size):
    """This project's flow, unconditional, untrained."""
    torch.manual_seed(0)
    module = perturbed(RealNVP(IMAGE, 0, size["couplings"], size["width"]))
    count = flows.parameters(module)
    return Subject(
        "latentjet", "conv", module, module.decode, lambda n: module.decode(torch.randn(n, LATENT)), LATENT, count,
        (module.decode, module.encode),
    )  # fmt: skip


def plain_flow(size, wanted):
    """The dense flow in PyTorch alone whose parameter count is nearest to the wanted one."""

    def build(width):
        return plain.DenseFlow(IMAGE, width, size["dense"])

    width = flows.fit(lambda width: flows.Flow(build(width), None, None, None), wanted)
    torch.manual_seed(0)
    module = perturbed(build(width))
    count = flows.parameters(module)
    return Subject(
        "plain PyTorch", "dense", module, module.decode, lambda n: module.decode(torch.randn(n, LATENT)), LATENT, count,
        (module, module.encode),
    )  # fmt: skip


def peer_flow(library, form, wanted):
    """A library's flow of a form; a sigmoid ends it, as ours. normflows' ActNorm sees its first batch here."""
    build = flows.BUILDERS[library, form]
    np.random.seed(0)  # FrEIA draws its permutations from numpy
    torch.manual_seed(0)
    flow = build(flows.fit(build, wanted))
    perturbed(flow.module)
    with torch.no_grad():
        flow.encode(torch.randn(64, LATENT))
    return Subject(
        library, form, flow.module, lambda z: torch.sigmoid(flow.decode(z)),
        lambda count: torch.sigmoid(flow.sample(count)), LATENT, flows.parameters(flow.module),
        (flow.decode, flow.encode),
    )  # fmt: skip


def conv_flows(size, libraries):
    own = own_flow(size)
    found = [(own, ("eager", "compiled", "model"))]
    for library in libraries:
        if (library, "conv") in flows.BUILDERS:
            also = ("model",) if library == "FrEIA" else ()
            found.append((peer_flow(library, "conv", own.parameters), ("eager", "compiled") + also))
    return found


def dense_flows(size, libraries):
    own = own_flow(size)
    found = [(plain_flow(size, own.parameters), ("eager", "compiled", "model")), (own, ("model",))]
    for library in libraries:
        also = ("model",) if library == "FrEIA" else ()
        found.append((peer_flow(library, "dense", own.parameters), ("eager", "compiled") + also))
    return found


def decoders(form):
    """-> function (size, libraries) -> a VAE's decoder of this project, and in PyTorch alone with the same weights."""

    def subjects(size, libraries):
        torch.manual_seed(0)
        vae = VAE(IMAGE, 20, 0, form, size["hidden"][form]).eval()
        same = plain.decoder_like(vae).eval()
        count = flows.parameters(same)
        return [
            (Subject("latentjet", form, vae, vae.decode, None, 20, count), ("eager", "model", "engine", "bare")),
            (Subject("plain PyTorch", form, same, same.forward, None, 20, count), ("eager", "compiled")),
        ]

    return subjects


def flow_decoding(size, libraries):
    return [(own_flow(size), ("eager", "model", "engine", "bare"))]


WORKS = {
    "flow-conv": Work(True, conv_flows),
    "flow-dense": Work(True, dense_flows),
    "flow-decode": Work(False, flow_decoding),
    "vae-mlp": Work(False, decoders("mlp")),
    "vae-conv": Work(False, decoders("conv")),
}


def refuse_wrong(works, libraries, only, batches, rounds, burst_s, size):
    """Raise InputError or BackendError before anything is built."""
    kinds = ("work", works, WORKS), ("library", libraries, flows.LIBRARIES), ("way", only or (), WAYS)
    for kind, given, known in kinds:
        for name in given:
            if name not in known:
                raise InputError("{} is '{}', expected one of {}".format(kind, name, ", ".join(known)))
    if not works or len(set(works)) != len(works) or len(set(libraries)) != len(libraries):
        raise InputError("works and libraries: expected at least one work, and each once")
    for name in libraries:
        if importlib.util.find_spec(name) is None:
            raise BackendError(
                "{} is not installed: `make peers` sets up all of {}; or name others with --libraries, or none".format(
                    name, ", ".join(flows.LIBRARIES)
                )
            )
    if not batches or min(batches) < 1 or rounds < 2 or not 0 < burst_s < math.inf:
        raise InputError(
            "batches are {}, rounds {}, burst {} s: expected at least 1, 2, above 0".format(batches, rounds, burst_s)
        )
    if size not in SIZES:
        raise InputError("size is '{}', expected one of {}".format(size, ", ".join(SIZES)))


def run(works, libraries, batches=(1, 8, 64), rounds=20, burst_s=0.02, seed=0, size="full", only=None, progress=None):
    """Names of WORKS, names of LIBRARIES -> Record. All systems of a work and batch size are timed side by side.

    only: ways to time (None: all); progress: called with a line. Every system's images are looked at before and after
    they are timed. Raises InputError, BackendError, ExportError, CheckError.
    """
    refuse_wrong(works, libraries, only, batches, rounds, burst_s, size)
    tell = progress or (lambda line: None)
    torch.set_num_threads(1)
    started = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
    machine = dict(device.describe(), python=platform.python_version(), load=round(os.getloadavg()[0], 1))
    measured = []
    for name in works:
        with contextlib.ExitStack() as stack:
            systems = build(name, SIZES[size], libraries, only, stack, tell)
            for batch in batches:
                tell("{}: batch {}, {} systems".format(name, batch, len(systems)))
                measured += time_batch(name, systems, batch, rounds, burst_s, seed)
        torch.compiler.reset()
    settings = {"rounds": rounds, "burst_s": burst_s, "threads": 1, "seed": seed, "size": size}
    return Record(started, machine, versions(libraries), settings, tuple(measured))


def build(name, size, libraries, only, stack, tell):
    """Name of a Work -> [System], each subject's inverse checked."""
    systems = []
    for subject, names in WORKS[name].subjects(size, libraries):
        tell("{}: {} {}".format(name, subject.name, subject.form))
        gap = largest_gap(subject)
        if gap is not None and not gap < LARGEST_GAP:
            raise CheckError(
                "{} {}: its inverse differs from z by {:.3g} of the largest: a wrong flow gets no time".format(
                    subject.name, subject.form, gap
                )
            )
        systems += ways(subject, [way for way in names if only is None or way in only], stack)
    if not systems:
        raise InputError("work '{}' has none of the ways {}: leave --ways out".format(name, ", ".join(only)))
    return systems


def time_batch(name, systems, batch, rounds, burst_s, seed):
    """Systems of a work at one batch size, each checked before and after -> [Measured]."""
    z = None if WORKS[name].samples else same_z(systems[0].subject.latent, batch, seed)
    calls = {system.key: system.call(z, batch) for system in systems}
    refuse_wrong_images(calls, batch, alike=z is not None)
    seconds = interleave(calls, rounds, burst_s)
    refuse_wrong_images(calls, batch, alike=z is not None)
    return [
        Measured(
            name, system.subject.name, system.subject.form, system.way, batch, int(system.subject.parameters),
            int(system.macs), seconds[system.key], system.note,
        )
        for system in systems
    ]  # fmt: skip


def refuse_wrong_images(calls, batch, alike):
    """Raise CheckError for images of another size, not finite, outside [0, 1], or unlike the first system's."""
    first = None
    for key, call in calls.items():
        images = np.asarray(call())
        who = "{} {} {}".format(*key)
        if images.size != batch * IMAGE[0] * IMAGE[1] * IMAGE[2] or len(images) != batch:
            raise CheckError("{}: {} for {} images of 784 pixels".format(who, images.shape, batch))
        if not (np.isfinite(images).all() and images.min() >= -1e-4 and images.max() <= 1 + 1e-4):
            raise CheckError("{}: its images are not all in [0, 1]: a wrong result gets no time".format(who))
        images = images.reshape(batch, -1)
        first = images if first is None else first
        if alike and not abs(images - first).max() <= LARGEST_DIFFERENCE:
            raise CheckError(
                "{}: differs by {:.3g} from eager PyTorch: a wrong result gets no time".format(
                    who, abs(images - first).max()
                )
            )


def versions(libraries):
    """{package: version} of what was timed."""
    version = importlib.import_module("importlib.metadata").version
    return {name: version(name) for name in ("torch", "onnxruntime") + tuple(libraries)}
