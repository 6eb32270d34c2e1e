"""Losses, in the units that people know.

BCE+KL per image, in nats: what pytorch/examples prints; on grey pixels it is no likelihood (the Bernoulli density
of a grey value does not integrate to one), so it is never called an ELBO here.

Bits per dimension: x8 are the 8-bit pixels, u uniform noise in [0, 1) (Theis et al., 2016, section 3.1),
x = (x8 + u) / 256, and log p(x) the model's log density of x in [0, 1]^D, its tone curve included:

    bits/dim = 8 - log2 p(x) / D

A model with a dequantiser (models/dequantiser.py) draws u from its q(u | x8, y) instead, and log p(x) - log q(u) takes
the place of log p(x): a bound that is tighter than with uniform noise, on the same likelihood of x8.

The 8 turns the density of x into one of x8 + u in [0, 256]^D. A uniform model has p(x) = 1: exactly 8.000.

Contrast, for a flow that is to listen to its labels: of some images the gap is measured, log p under the right label
minus log p under a wrong one, and what it lacks of MARGIN joins the loss (likelihood and what tells classes apart in
one loss: Ardizzone et al., 2020, arXiv:2001.06448, who weigh the two as well).

Energy distance of two sets of images (Szekely & Rizzo, 2013), for a model without likelihood: 0 on average where both
are of one distribution, else more. X, X' are of one set, Y, Y' of the other, |.| is the Euclidean norm over all pixels
in levels, 0 to 255:

    2 E|X - Y| - E|X - X'| - E|Y - Y'|
"""

import math

import torch
from torch.nn import functional

from .models.dequantiser import with_noise
from .processes import draw

MARGIN = 60.0  # nats: a gap above it is not raised further
COMPARED = 0.25  # share of the images that are scored under a wrong label too, which is what contrast costs


def bits_per_dim(log_prob, dimensions):
    """log_prob (N,) in nats of images in [0, 1] with so many dimensions each -> bits/dim (N,)."""
    return 8 - log_prob / (dimensions * math.log(2))


def bce_kl(model, x, y, noise):
    """x (N, C, H, W) in [0, 1], noise (N, latent) -> BCE+KL (N,) in nats (Kingma & Welling, 2014, eq. 10)."""
    reconstruction, mean, log_variance = model(x, y, noise)
    with torch.autocast(x.device.type, enabled=False):  # the logarithms of BCE need float32
        lost = reconstruction.isnan().flatten(1).any(1)  # torch's BCE refuses NaN; here it is a loss like any other
        pixels = reconstruction.float().nan_to_num()
        bce = functional.binary_cross_entropy(pixels, x, reduction="none").flatten(1).sum(1).masked_fill(lost, math.nan)
        kl = -0.5 * (1 + log_variance - mean.square() - log_variance.exp()).float().sum(1)
    return bce + kl


def vae_loss(model, x8, y, generator):
    """uint8 images, labels (N, classes) or None -> BCE+KL (N,)."""
    noise = draw(torch.randn, (len(x8), model.latent), generator).to(x8.device)
    return bce_kl(model, x8.float() / 255, y, noise)


def flow_log_prob(flow, x8, y, noise):
    """uint8 images, labels (N, classes) or None, uniform noise like the images -> log p, or its bound, (N,), nats.

    flow: a RealNVP, or the Subject of a flow.
    """
    levels = x8.to(noise.dtype)
    noise, change = flow.dequantise(levels, noise, y)
    return flow.log_prob(with_noise(levels, noise), y) + change


def flow_loss(model, x8, y, generator, contrast=0.0):
    """uint8 images, labels (N, classes) or None -> bits/dim (N,), plus so many times what their gaps lack."""
    noise = draw(torch.rand, tuple(x8.shape), generator).to(x8.device)
    bits = bits_per_dim(flow_log_prob(model, x8, y, noise), model.latent)
    if not contrast:
        return bits
    chosen = draw(torch.rand, (len(x8),), generator).to(x8.device) < COMPARED
    wrong = other_labels(y, draw(torch.rand, (len(x8),), generator).to(x8.device))
    other = bits_per_dim(flow_log_prob(model, x8[chosen], wrong[chosen], noise[chosen]), model.latent)
    lack = torch.relu(MARGIN / (model.latent * math.log(2)) - (other - bits[chosen]))
    return bits.index_add(0, chosen.nonzero().flatten(), contrast / COMPARED * lack)


def other_labels(y, chance):
    """One-hot labels y (N, classes), chance (N,) in [0, 1) -> one-hot labels of other classes, each as likely."""
    classes = y.shape[1]
    step = 1 + (chance * (classes - 1)).long().clamp(max=classes - 2)  # the product may round up to classes - 1
    return functional.one_hot((y.argmax(1) + step) % classes, classes).to(y.dtype)


def energy_distance(x, y):
    """x (N, C, H, W), y (M, C, H, W) in [0, 1], N, M > 1 -> their energy distance, unbiased: it may be below 0."""
    x, y = 255 * x.flatten(1), 255 * y.flatten(1)
    within = [torch.cdist(part, part).sum() / (len(part) * (len(part) - 1)) for part in (x, y)]
    return 2 * torch.cdist(x, y).mean() - within[0] - within[1]
