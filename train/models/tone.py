"""The tone curve: pixels in [0, 1] <-> unbounded values that an affine flow with a normal base can fit.

A logit with constraint alpha (Real NVP, section 4.1) turns the uniform noise of black pixels, which dequantisation adds
and which is most of MNIST, into an exponential distribution. No affine coupling can undo a pixel's own noise, so a
black pixel whose neighbours leave no doubt still costs 0.6 bits. Here the darkest of 256 levels becomes nearly a whole
logistic, which is 0.02 bits from a normal distribution, and the other levels nearly a whole second one beside it.
"""

import math

import torch
from torch import nn

DARKEST = 1 / 256  # the upper end of the darkest level
CENTRE, SCALE = 8.0, 7.0  # what makes the values of usual images about standard normal at the start


def logit(share):
    return math.log(share / (1 - share))


class ToneCurve(nn.Module):
    """Two logits end to end: v = logit(p) for the darkest level, v = join + spread (logit(q) - logit(start)) above it.

    p rises from alpha to `stop` over the darkest level and q from `start` to 1 - alpha over the others; v is then
    centred and scaled. stop, start and spread are trained with the flow: Flow++ (Ho et al., 2019; arXiv:1902.00275)
    trains mixtures of logistics in the same place, with a net for each pixel.
    """

    def __init__(self, alpha):
        super().__init__()
        self.alpha = alpha
        self.join = nn.Parameter(torch.tensor(logit(0.95)))  # logit(stop)
        self.start = nn.Parameter(torch.tensor(logit(0.08)))  # logit(start)
        self.spread = nn.Parameter(torch.tensor(math.log(3.0)))  # its logarithm

    def forward(self, x):
        """x (N, C, H, W) in [0, 1] -> v of the same shape, and log |dv/dx| summed over each image (N,)."""
        alpha, (dark, light) = self.alpha, self._spans()
        r, w = (x / DARKEST).clamp(max=1), ((1 - x) / (1 - DARKEST)).clamp(max=1)  # w = 1 - rank: exact near white
        log_p, log_not_p = torch.log(alpha + dark * r), torch.log(1 - alpha - dark * r)
        log_q, log_not_q = torch.log(1 - alpha - light * w), torch.log(alpha + light * w)
        v = log_p - log_not_p + torch.exp(self.spread) * (log_q - log_not_q - self.start)
        below = torch.log(dark / DARKEST) - log_p - log_not_p
        above = self.spread + torch.log(light / (1 - DARKEST)) - log_q - log_not_q
        log_det = torch.where(x < DARKEST, below, above) - math.log(SCALE)
        return (v - CENTRE) / SCALE, log_det.flatten(1).sum(1)

    def inverse(self, v):
        """v (N, C, H, W) -> x of the same shape, within about alpha of [0, 1]."""
        v, slope = SCALE * v + CENTRE, torch.exp(-self.spread)
        p = torch.sigmoid(torch.minimum(v, self.join))
        q = torch.sigmoid(torch.maximum(v, self.join) * slope + (self.start - self.join * slope))
        dark, light = DARKEST / self._spans()[0], (1 - DARKEST) / self._spans()[1]
        return p * dark + (q * light - (self.alpha * dark + torch.sigmoid(self.start) * light))

    def _spans(self):
        """How far p and q rise."""
        return torch.sigmoid(self.join) - self.alpha, torch.sigmoid(-self.start) - self.alpha
