"""Exact rewrites of a model before it is traced: fewer kernels on the board, the same function.

What may be folded here must be exact in real arithmetic; the reference vectors come from the model as it was, so
each export proves the rewrite to float32 rounding. Squeezes are exact to the bit: a 2x2 convolution with ones and
zeros moves pixels without rounding, and is one kernel where reshape, transpose and gathers are five or more.
"""

import copy

import torch
from torch import nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from ..train.models.realnvp import RealNVP, Squeeze


def fold(model):
    """A trained model -> a folded deep copy in evaluation mode; the original is left as it is."""
    folded = copy.deepcopy(model).eval()
    fold_norms(folded)
    for name, module in list(folded.named_modules()):
        if isinstance(module, Squeeze):
            replace(folded, name, ConvolutionalSqueeze())
    if isinstance(folded, RealNVP):
        for index, squeeze in enumerate(folded.squeezes):
            squeeze.set_channels(folded.shapes[index][0] // 2)
        if folded.dequantiser:
            folded.dequantiser.squeeze.set_channels(folded.image[0])
    return folded


def replace(root, name, module):
    """Put a module in the place of the one with that dotted name."""
    parent, _, last = name.rpartition(".")
    setattr(root.get_submodule(parent), last, module)


def fold_norms(root):
    """Merge each BatchNorm into the convolution right before it in a Sequential."""
    for sequence in [module for module in root.modules() if isinstance(module, nn.Sequential)]:
        for index in range(len(sequence) - 1):
            layer, norm = sequence[index], sequence[index + 1]
            if isinstance(norm, nn.BatchNorm2d) and isinstance(layer, (nn.Conv2d, nn.ConvTranspose2d)):
                transpose = isinstance(layer, nn.ConvTranspose2d)
                sequence[index] = fuse_conv_bn_eval(layer, norm, transpose)
                sequence[index + 1] = nn.Identity()


class ConvolutionalSqueeze(nn.Module):
    """Squeeze as a 2x2 convolution of stride 2 whose kernel is ones and zeros, and its transpose."""

    def set_channels(self, channels):
        """channels: of the unsqueezed image."""
        self.channels = channels
        kernel = torch.zeros(4 * channels, channels, 2, 2)
        for place, (row, column) in enumerate(((0, 0), (1, 1), (0, 1), (1, 0))):
            for channel in range(channels):
                kernel[place * channels + channel, channel, row, column] = 1
        self.register_buffer("kernel", kernel)

    def forward(self, x):
        both = nn.functional.conv2d(x, self.kernel, stride=2)
        return torch.split(both, [2 * self.channels, 2 * self.channels], 1)

    def inverse(self, a, b):
        return nn.functional.conv_transpose2d(torch.cat([a, b], 1), self.kernel, stride=2)
