"""Real NVP (Dinh, Sohl-Dickstein & Bengio, 2017; arXiv:1605.08803), shaped for a small board.

Squeezed first: the 2x2 squeeze sorts pixels by checkerboard colour into two halves, so a checkerboard coupling
is a channel split and no masked pixel is ever computed. The flow carries the two halves apart; couplings change
them in turn, so nothing is split or joined between couplings. Between levels one half leaves as latent
(section 3.6 of the paper) and the other is squeezed again. Labels enter coupling nets as planes.

Shapes: x image (N, C, H, W) in [0, 1]; y labels (N, classes) one-hot or mixing weights; z latent (N, C*H*W);
log_det (N,), natural logarithm. a and b are the halves, (N, c, h, w) each.
"""

import math

import torch
from torch import nn

from .coupling import Coupling, Couplings, LabelPlanes, Squeeze
from .dequantiser import Dequantiser, unchanged
from .tone import ToneCurve


class Level(nn.Module):
    """Couplings at one resolution, changing b and a in turn; with classes, all of them see the same label planes."""

    def __init__(self, channels, size, couplings, width, depth, classes, planes, bound):
        super().__init__()
        planes = planes if classes else 0
        self.embed = LabelPlanes(classes, planes, size) if planes else None
        self.couplings = Couplings(Coupling(channels, planes, width, depth, bound) for _ in range(couplings))

    def planes(self, y):
        return None if self.embed is None else self.embed(y)

    def forward(self, a, b, y):
        return self.couplings(a, b, self.planes(y))

    def inverse(self, a, b, y):
        return self.couplings.inverse(a, b, self.planes(y))


class RealNVP(nn.Module):
    """A multi-scale Real NVP; with classes > 0 a conditional one.

    image: (C, H, W); couplings and width: for each level the number of couplings and the channels of their nets;
    planes: label planes of each level, which all its nets see; depth: 1x1 convolutions in each net; bound: the largest
    |log scale| of a coupling; alpha: the constraint of the logits at black and white (tone.py); dequantiser: width of
    the nets that choose the pixels' noise in training (dequantiser.py), 0 for uniform noise.
    Raises ValueError where the image cannot be squeezed that often.
    """

    def __init__(
        self, image=(1, 28, 28), classes=10, couplings=(9, 4), width=(64, 128), planes=10, depth=1, bound=1.0,
        alpha=1e-5, dequantiser=0,
    ):  # fmt: skip
        super().__init__()
        if not bound > 0:
            raise ValueError("bound is {}, expected more than 0".format(bound))
        if len(couplings) != len(width):
            raise ValueError(
                "couplings has {} levels and width {}: expected as many".format(len(couplings), len(width))
            )
        if not couplings or min(min(couplings), min(width)) < 1:
            raise ValueError(
                "couplings is {} and width {}: expected at least 1 at each level".format(list(couplings), list(width))
            )
        if dequantiser < 0:
            raise ValueError("dequantiser is {}, expected at least 0".format(dequantiser))
        if depth < 0 or planes < 1:
            raise ValueError("depth is {} and planes {}: expected at least 0 and 1".format(depth, planes))
        self.arguments = {
            "image": list(image), "classes": classes, "couplings": list(couplings), "width": list(width),
            "planes": planes, "depth": depth, "bound": bound, "alpha": alpha,
            "dequantiser": dequantiser,
        }  # fmt: skip
        self.image, self.classes, self.tone = tuple(image), classes, ToneCurve(alpha)
        self.latent = image[0] * image[1] * image[2]
        self.squeezes, self.levels, self.shapes = nn.ModuleList(), nn.ModuleList(), []
        c, h, w = self.image
        for count, channels in zip(couplings, width):
            if h % 2 or w % 2:
                raise ValueError(
                    "image {}x{}x{} becomes {}x{} at level {}: too odd to squeeze into 2x2; use fewer levels".format(
                        image[0], image[1], image[2], h, w, len(self.levels) + 1
                    )
                )
            c, h, w = 2 * c, h // 2, w // 2
            self.squeezes.append(Squeeze())
            self.levels.append(Level(c, (h, w), count, channels, depth, classes, planes, bound))
            self.shapes.append((c, h, w))
        self.dequantiser = Dequantiser(self.image, dequantiser, classes) if dequantiser else None

    def dequantise(self, levels, noise, y=None):
        """Levels 0, 1 ... 255 and uniform noise, (N, C, H, W), y (N, classes) -> noise u from q, -log q(u) (N,).

        log_prob of (levels + u) / 256, plus -log q(u), bounds the log density of the levels (dequantiser.py).
        """
        return (self.dequantiser or unchanged)(levels, noise, y)

    def forward(self, x, y=None):
        """Dequantised images x (N, C, H, W) in [0, 1], y (N, classes) -> z (N, C*H*W), log_det (N,)."""
        x, log_det = self.tone.forward(x)
        latents = []
        for squeeze, level in zip(self.squeezes, self.levels):
            a, b = squeeze(x)
            a, x, change = level(a, b, y)
            latents.append(a.flatten(1))
            log_det = log_det + change
        latents.append(x.flatten(1))
        return torch.cat(latents, 1), log_det

    def inverse(self, z, y=None):
        """z (N, C*H*W), y (N, classes) -> images (N, C, H, W), within alpha of [0, 1]; undoes forward."""
        sizes = [c * h * w for c, h, w in self.shapes]
        latents = torch.split(z, sizes + sizes[-1:], 1)
        x = latents[-1].reshape((-1,) + self.shapes[-1])
        for index in reversed(range(len(self.levels))):
            a = latents[index].reshape((-1,) + self.shapes[index])
            a, b = self.levels[index].inverse(a, x, y)
            x = self.squeezes[index].inverse(a, b)
        return self.tone.inverse(x)

    def decode(self, z, y=None):
        """The inverse under the name that every model's sampling direction has."""
        return self.inverse(z, y)

    def encode(self, x, y=None):
        """forward without log_det: images (N, C, H, W) in [0, 1] -> z (N, C*H*W)."""
        return self.forward(x, y)[0]

    def log_prob(self, x, y=None):
        """Dequantised images x (N, C, H, W) in [0, 1] -> log density in nats (N,), standard normal base."""
        z, log_det = self.forward(x, y)
        return log_det - 0.5 * (z * z).sum(1) - 0.5 * self.latent * math.log(2 * math.pi)
