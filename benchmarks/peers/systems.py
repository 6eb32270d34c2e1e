"""What is timed beside each other: one model, one way to run it, a batch in, images as a numpy array out.

A Subject is a model in PyTorch; `ways` turns it into Systems: eager, torch.compile with its defaults, and its bundle on
ONNX Runtime by Model, by Engine and by the bare session. Every system has one thread and draws its own noise where it
samples; where it decodes, all get the same z.
"""

import os
import tempfile
from typing import Any, Callable, NamedTuple

import numpy as np
import torch
from torch import nn

from ...runtime.engine import open_engine
from ...runtime.model import Model
from ...runtime.ort import open_session
from ..exported import decode_bundle

BUNDLED = ("model", "engine", "bare")
IMAGE, LATENT = (1, 28, 28), 784


class Subject(NamedTuple):
    """A model: whose, its form, its module, decode (z -> images in [0, 1]), sample (count -> such images) or None for a
    work that decodes, size of z, trained numbers, and where it has an inverse both directions (z -> v, v -> z)."""

    name: str
    form: str
    module: Any
    decode: Callable
    sample: Callable
    latent: int
    parameters: int
    directions: tuple = None


class System(NamedTuple):
    """One subject run in one way; call: z (N, latent) or None -> a function without arguments that returns images."""

    subject: Subject
    way: str
    macs: int
    call: Callable
    note: str = ""

    @property
    def key(self):
        return self.subject.name, self.subject.form, self.way


class Decoder(nn.Module):
    """A subject's decode as a module's method, which is what is exported."""

    def __init__(self, subject):
        super().__init__()
        self.module, self.function = subject.module, subject.decode

    def decode(self, z):
        return self.function(z).reshape((-1,) + IMAGE)


def ways(subject, names, stack):
    """Subject, names of table.WAYS, ExitStack that closes what is opened -> [System]."""
    macs, systems = count_macs(subject), []
    for name in names:
        if name == "eager":
            systems.append(System(subject, name, macs, torch_call(subject, torch.inference_mode)))
        elif name == "compiled":
            systems.append(compiled(subject, macs))
    if any(name in BUNDLED for name in names):
        systems += bundled(subject, [name for name in names if name in BUNDLED], stack)
    return systems


def torch_call(subject, mode, decode=None, sample=None):
    """-> function of z, or None to sample: as System.call."""
    decode, sample = decode or subject.decode, sample or subject.sample

    def call(z, count):
        given = None if z is None else torch.from_numpy(z)

        def run():
            with mode():
                return (sample(count) if given is None else decode(given)).numpy()

        return run

    return call


def compiled(subject, macs):
    """torch.compile as it is by default: batch 1 is compiled for itself, the next size for any."""
    decode = torch.compile(subject.decode)
    sample = subject.sample and torch.compile(subject.sample)
    mode, note = torch.inference_mode, ""
    if subject.name == "normflows":
        mode, note = torch.no_grad, "no_grad: torch.compile fails on it in inference_mode"
    return System(subject, "compiled", macs, torch_call(subject, mode, decode, sample), note)


def bundled(subject, names, stack):
    """The systems of a subject's bundle, which is exported here."""
    folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="latentjet-"))
    module = subject.module if hasattr(subject.module, "decode") else Decoder(subject).eval()
    bundle = decode_bundle(module, subject.latent, os.path.join(folder, "subject.bundle"))
    macs, found = bundle.graph("decode").figures["macs"], []
    for name in names:
        if name == "model":
            call = model_call(stack.enter_context(Model(bundle, "ort", 1)))
        elif name == "engine":
            call = engine_call(stack.enter_context(open_engine(bundle, "decode", "ort", 1)))
        else:
            call = session_call(open_session(bundle.read(bundle.graph("decode").file), "decode", 1))
        found.append(System(subject, name, macs, call))
    return found


def model_call(model):
    """Model.decode of a z; where there is none, Model.sample, noise and clipping included."""

    def call(z, count):
        return (lambda: model.sample(count=count)) if z is None else (lambda: model.decode(z))

    return call


def engine_call(engine):
    return lambda z, count: lambda: engine.run(z=z)["images"]


def session_call(session):
    return lambda z, count: lambda: session.run(["images"], {"z": z})[0]


def count_macs(subject):
    """Multiply-accumulates of one image in eager PyTorch, as torch counts them (products of matrices, convolutions)."""
    from torch.utils.flop_counter import FlopCounterMode

    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        subject.decode(torch.zeros(1, subject.latent))
    return counter.get_total_flops() // 2


def largest_gap(subject, rows=8, seed=3):
    """How far the inverse of a subject is from z, relative to the largest z; None without an inverse."""
    if subject.directions is None:
        return None
    there, back = subject.directions
    z = 0.5 * torch.randn(rows, subject.latent, generator=torch.Generator().manual_seed(seed))
    with torch.no_grad():
        again = back(there(z)).reshape(z.shape)
    return float((again - z).abs().max() / z.abs().max())


def same_z(latent, batch, seed):
    """The z that every decoding system of a batch gets, float32 (batch, latent)."""
    return np.random.RandomState(seed).standard_normal((batch, latent)).astype(np.float32)
