"""Which methods of each model become graphs: names, inputs, outputs, tolerances.

`decode: (z, labels) -> images` is one graph name for every family: the VAE's decoder and the flow's inverse pass.
The tolerance is the largest absolute difference that `latentjet check` allows between a float32 engine and eager
float32: of images in [0, 1], of z in standard deviations, of log_prob and log_det in nats (which sum over all pixels).
"""

from typing import NamedTuple

import torch


class GraphSpec(NamedTuple):
    """One graph to be: its name, the model's method, input names (labels only if conditional), outputs, tolerance;
    half: whether it may run in half precision (a logit may not: 1 - 5e-6 is 1 in half)."""

    name: str
    method: str
    inputs: tuple
    outputs: tuple
    tolerance: float
    half: bool = False


DECODE = GraphSpec("decode", "decode", ("z", "labels"), ("images",), 1e-4, half=True)
GRAPHS = {
    "VAE": (DECODE,),
    "GAN": (DECODE,),
    "RealNVP": (
        DECODE._replace(tolerance=1e-3),
        GraphSpec("encode", "encode", ("images", "labels"), ("z",), 2e-3),
        GraphSpec("log_prob", "log_prob", ("images", "labels"), ("log_prob",), 5e-2),
        GraphSpec("dequantise", "dequantise", ("levels", "uniform", "labels"), ("noise", "log_det"), 5e-3),
    ),
}


def graphs_of(model):
    """The GraphSpecs of a model; a flow whose noise is uniform needs no graph for it."""
    found = GRAPHS[type(model).__name__]
    return found if getattr(model, "dequantiser", None) else [spec for spec in found if spec.name != "dequantise"]


class Method(torch.nn.Module):
    """One method of a module as the module's forward, which is what the exporter traces."""

    def __init__(self, module, method):
        super().__init__()
        self.module, self.method = module, method

    def forward(self, *inputs):
        return getattr(self.module, self.method)(*inputs)


def reference_inputs(model, rows=13, seed=20):
    """Inputs for every graph of a model, {name: tensor}, the same every time.

    z standard normal; labels every class in turn, then mixtures of two; images the model's own samples at
    temperature 0.8, in 256 levels plus uniform noise; levels and noise are what these are made of.
    """
    generator = torch.Generator().manual_seed(seed)
    z = torch.randn(rows, model.latent, generator=generator)
    inputs = {"z": z}
    if model.classes:
        labels = torch.eye(model.classes)[torch.arange(rows) % model.classes]
        mixed = torch.arange(rows) >= max(1, rows - 3)
        inputs["labels"] = torch.where(mixed[:, None], 0.5 * labels + 0.5 * labels.roll(1, 1), labels)
    with torch.no_grad():
        levels = (model.decode(0.8 * z, inputs.get("labels")).clamp(0, 1) * 255).floor()
    noise = torch.rand(levels.shape, generator=generator)
    inputs["images"] = (levels + noise) / 256
    return {**inputs, "levels": levels, "uniform": noise}


def batch_of_specimens(inputs):
    """Every input must have the same first dimension of at least 2 -> that number. Raises ValueError."""
    sizes = {name: tuple(tensor.shape) for name, tensor in inputs.items()}
    rows = {shape[0] if shape else 0 for shape in sizes.values()}
    if len(rows) != 1 or min(rows) < 2:
        shapes = ", ".join(f"'{name}' {shape}" for name, shape in sizes.items())
        raise ValueError(f"example inputs are {shapes}: each needs the batch first, the same for all, at least 2")
    return rows.pop()
