"""Which layer enlarges its input the most: where to look when a loss or a gradient is not finite."""

import math
from typing import NamedTuple

import torch


class Gain(NamedTuple):
    """A layer's name and kind, and how many times its output is as large as its input, in root mean squares."""

    layer: str
    kind: str
    times: float

    def __str__(self):
        named = f"the layer with the largest gain is '{self.layer}' ({self.kind}): its output is"
        if math.isinf(self.times):
            return f"{named} not finite, and its input is"
        return f"{named} {self.times:.3g} times its input (root mean square)"


def largest_gain(networks, forward):
    """{prefix: module}, a function that runs them -> Gain, of the first layer among equals; None where no layer ran.

    Layers are the modules without parts, or with weights of their own.
    """
    found, hooks = [], []

    def watch(name, module):
        def seen(_, taken, given):
            before, after = size(taken), size(given if isinstance(given, tuple) else (given,), 1)
            if 0 < before < math.inf:  # a layer that got what is not finite is not to blame
                times = after / before if math.isfinite(after) else math.inf
                found.append(Gain(name, type(module).__name__, times))

        hooks.append(module.register_forward_hook(seen))

    for prefix, network in networks.items():
        for name, module in network.named_modules():
            if name and (not list(module.children()) or list(module.parameters(recurse=False))):
                watch(f"{prefix}{name}", module)
    try:
        forward()
    finally:
        for hook in hooks:
            hook.remove()
    return max(found, key=lambda gain: gain.times, default=None)


def size(tensors, count=None):
    """Root mean square of the first so many tensors (all of them) that a layer takes or gives."""
    found = [item.detach().double().flatten() for item in tensors if isinstance(item, torch.Tensor)][:count]
    return torch.cat(found).square().mean().sqrt().item() if found else 0.0
