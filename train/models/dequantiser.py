"""Variational dequantisation (Ho et al., 2019; arXiv:1902.00275, section 3.1): noise that suits the image.

Pixels have 256 levels, densities none: noise in [0, 1) is added to each. Uniform noise makes a flow learn boxes with
sharp edges. Here a second, small flow turns the uniform noise into noise from a density q(u | x8, y) that is trained
with the model to make the bound on the likelihood of the levels x8 tight,

    log p(x8 | y) >= E log p((x8 + u) / 256 | y) - log q(u | x8, y)

Only training and measuring need it: samples cost nothing more.
"""

import torch
from torch import nn

from .coupling import Coupling, Couplings, LabelPlanes, Squeeze

COUPLINGS, PLANES = 4, 4
SCALE = 1.8  # standard deviation of the logit of uniform noise, about
EDGE = 1e-6  # noise stays so far from 0 and 1, whose logits are infinite
LAST = 1 - 2.0**-16  # the largest noise that float32 can add to level 255 without reaching 256


def with_noise(levels, noise):
    """Levels 0, 1 ... 255 and noise in [0, 1], float of one shape -> images (levels + noise) / 256 below 1."""
    return (levels + noise.clamp(max=LAST)) / 256


def unchanged(levels, noise, y=None):
    """What dequantises where no net does: levels, uniform noise (N, C, H, W) -> the noise itself, zeros (N,)."""
    return noise, torch.zeros(len(levels), dtype=noise.dtype, device=noise.device)


class Dequantiser(nn.Module):
    """Couplings between the halves of the noise's logit, each of which sees the image's levels and label planes too.

    It starts as the identity: noise as uniform as it came. image: (C, H, W); width: channels of the nets.
    """

    def __init__(self, image, width, classes):
        super().__init__()
        self.squeeze, half = Squeeze(), 2 * image[0]
        self.embed = LabelPlanes(classes, PLANES, (image[1] // 2, image[2] // 2)) if classes else None
        seen = 2 * half + (PLANES if classes else 0)
        self.couplings = Couplings(Coupling(half, seen, width, 1, 1.0) for _ in range(COUPLINGS))

    def forward(self, levels, noise, y=None):
        """Levels 0, 1 ... 255 and uniform noise, (N, C, H, W), y (N, classes) -> noise u from q, -log q(u) (N,)."""
        noise = noise.clamp(EDGE, 1 - EDGE)
        log_det = (-torch.log(noise) - torch.log1p(-noise)).flatten(1).sum(1)
        a, b = self.squeeze(torch.logit(noise) / SCALE)
        seen = list(self.squeeze(levels / 127.5 - 0.5))
        seen = torch.cat(seen if self.embed is None else seen + [self.embed(y)], 1)
        a, b, change = self.couplings(a, b, seen)
        v = SCALE * self.squeeze.inverse(a, b)
        slope = v.abs() + 2 * torch.log1p(torch.exp(-v.abs()))  # -log of the sigmoid's
        return torch.sigmoid(v), log_det + change - slope.flatten(1).sum(1)
