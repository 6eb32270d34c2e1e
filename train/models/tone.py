"""The tone curve: pixels in [0, 1] <-> unbounded values that an affine flow with a normal base can fit.

A logit with constraint alpha (Real NVP, section 4.1) turns the uniform noise of black pixels, which dequantisation adds
and which is most of MNIST, into an exponential distribution, far from the normal one that couplings can reach. Here the
darkest of 256 levels gets a share `black` of the logistic's mass and the others the rest, each in proportion, so that
this noise becomes a broad piece of a logistic, which is nearly normal. black = 1/256 is the plain logit, negated.
"""

import math

import torch

DARKEST = 1 / 256  # the upper end of the darkest level


class ToneCurve:
    """v = logit(alpha + (1 - 2 alpha) p), p falling from 1 at black to 0 at white in two straight pieces."""

    def __init__(self, black, alpha):
        self.black, self.alpha = black, alpha
        self.dark = black / DARKEST  # -dp/dx of the darkest level
        self.light = (1 - black) / (1 - DARKEST)  # -dp/dx of the others

    def forward(self, x):
        """x (N, C, H, W) in [0, 1] -> v of the same shape, and log |dv/dx| summed over each image (N,)."""
        dark, light = self.dark * x, self.light * (1 - x)
        p, q = torch.maximum(1 - dark, light), torch.minimum(dark, 1 - light)  # q = 1 - p, exact where p is near 1
        log_p, log_q = self._constrained_log(p), self._constrained_log(q)
        slope = torch.where(x < DARKEST, math.log(self.dark), math.log(self.light))
        log_det = (slope + math.log(1 - 2 * self.alpha) - log_p - log_q).flatten(1).sum(1)
        return log_p - log_q, log_det

    def _constrained_log(self, share):
        return torch.log(self.alpha + (1 - 2 * self.alpha) * share)

    def inverse(self, v):
        """v (N, C, H, W) -> x of the same shape; within alpha / (1 - 2 alpha) / light of [0, 1]."""
        s, span = torch.sigmoid(v), 1 - 2 * self.alpha  # p = (s - alpha) / span, written out so that few nodes are left
        dark, light = 1 / (span * self.dark), 1 / (span * self.light)
        return torch.maximum((1 - self.alpha - s) * dark, (1 + self.alpha * light) - s * light)
