"""Coupling flows over 784 dimensions in other libraries, built and sampled as their own READMEs and examples do.

Twelve couplings each, as many as this project's flow has. `dense` flows are over vectors, with each library's own net;
`conv` flows are multi-scale over 1x28x28, eight couplings at 14x14 and four at 7x7, as in Glow and Real NVP. zuko has
vectors only. Every builder takes a width, and `fit` finds the width whose parameter count is nearest to a wanted one.
"""

from typing import Callable, NamedTuple

import torch
from torch import nn

IMAGE, PIXELS, COUPLINGS = (1, 28, 28), 784, (8, 4)
MOST_WIDTH = 512


class Flow(NamedTuple):
    """A peer's flow: its module; sample, number of images -> images; decode, z -> images; encode, images -> z.

    Images are unbounded, (N, 784) or (N, 1, 28, 28), z (N, 784): what the library itself returns.
    """

    module: nn.Module
    sample: Callable
    decode: Callable
    encode: Callable


def normflows_dense(width):
    """The README's Real NVP: AffineCouplingBlock of an MLP, then a swap."""
    import normflows as nf

    half, flows = PIXELS // 2, []
    for _ in range(sum(COUPLINGS)):
        flows.append(nf.flows.AffineCouplingBlock(nf.nets.MLP([half, width, width, PIXELS], init_zeros=True)))
        flows.append(nf.flows.Permute(PIXELS, mode="swap"))
    model = nf.NormalizingFlow(nf.distributions.base.DiagGaussian(PIXELS), flows)
    return Flow(model, lambda count: model.sample(count)[0], model.forward, model.inverse)


def normflows_conv(width):
    """The example glow.ipynb: GlowBlocks (3x3, 1x1, 3x3 convolutions), Squeeze, Merge, deepest level first."""
    import normflows as nf

    shapes, widths = [(8, 7, 7), (2, 14, 14)], (2 * width, width)
    flows, merges, bases = [], [], []
    for level, channels in enumerate((8, 4)):
        blocks = [nf.flows.GlowBlock(channels, widths[level]) for _ in range(COUPLINGS[1 - level])]
        flows.append(blocks + [nf.flows.Squeeze()])
        bases.append(nf.distributions.DiagGaussian(shapes[level]))
    merges.append(nf.flows.Merge())
    model = nf.MultiscaleFlow(bases, flows, merges, class_cond=False)

    def decode(z):
        parts = torch.split(z, [392, 392], 1)
        return model.forward_and_log_det([part.reshape((-1,) + shape) for part, shape in zip(parts, shapes)])[0]

    def encode(x):
        return torch.cat([part.flatten(1) for part in model.inverse_and_log_det(x.reshape((-1,) + IMAGE))[0]], 1)

    return Flow(model, lambda count: model.sample(count)[0], decode, encode)


def nflows_dense(width):
    """Its own SimpleRealNVP, with one residual block a coupling."""
    from nflows.flows.realnvp import SimpleRealNVP

    model = SimpleRealNVP(PIXELS, width, sum(COUPLINGS), 1)
    return Flow(model, model.sample, lambda z: model._transform.inverse(z)[0], model.transform_to_noise)


def nflows_conv(width):
    """MultiscaleCompositeTransform of SqueezeTransform and AffineCouplingTransform with ConvResidualNet."""
    from nflows import distributions, flows, transforms
    from nflows.nn.nets import ConvResidualNet

    whole = transforms.MultiscaleCompositeTransform(len(COUPLINGS))
    shape = IMAGE
    for level, count in enumerate(COUPLINGS):
        squeeze = transforms.SqueezeTransform()
        c, h, w = squeeze.get_output_shape(*shape)
        mask, layers = torch.ones(c), [squeeze]
        mask[::2] = -1

        def net(inputs, outputs, channels=width * 2**level):
            return ConvResidualNet(inputs, outputs, channels, num_blocks=1)

        for _ in range(count):
            layers.append(transforms.AffineCouplingTransform(mask.clone(), net))
            mask *= -1
        shape = whole.add_transform(transforms.CompositeTransform(layers), (c, h, w))
    model = flows.Flow(whole, distributions.StandardNormal([PIXELS]))

    def encode(x):
        return model.transform_to_noise(x.reshape((-1,) + IMAGE))

    return Flow(model, model.sample, lambda z: whole.inverse(z)[0], encode)


def zuko_dense(width):
    """zuko.flows.RealNVP, as its documentation has it."""
    import zuko

    model = zuko.flows.RealNVP(PIXELS, transforms=sum(COUPLINGS), hidden_features=(width, width))

    def sample(count):
        return model().sample((count,))

    return Flow(model, sample, lambda z: model().transform.inv(z), lambda x: model().transform(x))


def freia_dense(width):
    """The README's chain of AllInOneBlock, with the hard permutation that its text advises above 512 dimensions."""
    from FrEIA import framework, modules

    def subnet(inputs, outputs):
        return nn.Sequential(nn.Linear(inputs, width), nn.ReLU(), nn.Linear(width, outputs))

    model = framework.SequenceINN(PIXELS)
    for _ in range(sum(COUPLINGS)):
        model.append(modules.AllInOneBlock, subnet_constructor=subnet, permute_soft=False)
    return freia_flow(model)


def freia_conv(width):
    """A GraphINN as in its tutorial: IRevNetDownsampling, GLOWCouplingBlock (two couplings each), a split."""
    from FrEIA import framework as ff
    from FrEIA import modules as fm

    def subnet(channels):
        def make(inputs, outputs):
            return nn.Sequential(
                nn.Conv2d(inputs, channels, 3, padding=1), nn.ReLU(), nn.Conv2d(channels, channels, 1), nn.ReLU(),
                nn.Conv2d(channels, outputs, 3, padding=1),
            )  # fmt: skip

        return make

    nodes, flat = [ff.InputNode(*IMAGE)], []
    for level, count in enumerate(COUPLINGS):
        nodes.append(ff.Node(nodes[-1], fm.IRevNetDownsampling, {}))
        for _ in range(count // 2):
            given = {"subnet_constructor": subnet(width * 2**level), "clamp": 1.0}
            nodes.append(ff.Node(nodes[-1], fm.GLOWCouplingBlock, given))
        if level == 0:
            nodes.append(ff.Node(nodes[-1], fm.Split, {"section_sizes": (2, 2), "dim": 0}))
            flat.append(ff.Node(nodes[-1].out1, fm.Flatten, {}))
    flat.append(ff.Node(nodes[-1], fm.Flatten, {}))
    joined = ff.Node([node.out0 for node in flat], fm.Concat, {"dim": 0})
    return freia_flow(ff.GraphINN(nodes + flat + [joined, ff.OutputNode(joined)], verbose=False), IMAGE)


def freia_flow(model, shape=(PIXELS,)):
    """FrEIA's networks draw no noise: samples come from standard normal numbers, as in its README."""

    def decode(z):
        return model(z, rev=True)[0]

    def encode(x):
        return model(x.reshape((-1,) + shape))[0]

    return Flow(model, lambda count: decode(torch.randn(count, PIXELS)), decode, encode)


BUILDERS = {
    ("normflows", "conv"): normflows_conv,
    ("normflows", "dense"): normflows_dense,
    ("nflows", "conv"): nflows_conv,
    ("nflows", "dense"): nflows_dense,
    ("zuko", "dense"): zuko_dense,
    ("FrEIA", "conv"): freia_conv,
    ("FrEIA", "dense"): freia_dense,
}
LIBRARIES = ("normflows", "nflows", "zuko", "FrEIA")


def parameters(module):
    """Trained numbers of a module (a fixed permutation's matrix is not one)."""
    return sum(item.numel() for item in module.parameters() if item.requires_grad)


def fit(build, wanted):
    """Builder, parameter count -> the width whose count is nearest: the count grows with the width."""
    low, high = 1, MOST_WIDTH
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if parameters(build(middle).module) <= wanted else (low, middle)
    return min((low, high), key=lambda width: abs(parameters(build(width).module) - wanted))
