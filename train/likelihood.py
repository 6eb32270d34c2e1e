"""Likelihoods and bounds of whole test sets, each in its own unit and under its own name.

Flows: bits/dim by the convention of losses.py, one draw of dequantisation noise an image; with K draws the
importance-weighted bound log 1/K sum_k p((x8 + u_k) / 256) / q(u_k), at least as high (Burda et al., 2016).
VAEs: BCE+KL on grey pixels, which is no likelihood; and on binarised pixels, which is one, the ELBO and, with K draws,
IWAE (Burda et al., 2016, eq. 8), both from the same weights log w_k = log p(x, z_k) - log q(z_k | x): their mean and
their log mean exp, so K = 1 makes them equal.
"""

import math

import torch
from torch.nn import functional

from . import losses

BATCH = 250


def _generator(seed):
    return torch.Generator().manual_seed(seed)


def _batches(subject, x8, labels):
    """uint8 images and labels, a batch at a time: (images on the CPU, one-hot labels on the device)."""
    for part, some in zip(x8.split(BATCH), labels.split(BATCH), strict=True):
        yield part, subject.one_hot(some)


def _flow_log_prob(subject, part, y, generator):
    """log p of uint8 images, or its bound (N,), nats, with the next draw of noise."""
    noise = torch.rand(part.shape, generator=generator).to(subject.device)
    return losses.flow_log_prob(subject, part.to(subject.device), y, noise)


@torch.no_grad()
def log_score(subject, x8, labels, seed):
    """uint8 images, labels (N,) -> what training maximises (N,), nats: log p of a flow, -(BCE+KL) of a VAE.

    The same seed draws the same noise, whatever the labels.
    """
    generator, found = _generator(seed), []
    for part, y in _batches(subject, x8, labels):
        if subject.log_prob:
            score = _flow_log_prob(subject, part, y, generator)
        else:
            noise = torch.randn(len(part), subject.latent, generator=generator).to(subject.device)
            score = -losses.bce_kl(subject, part.to(subject.device).float() / 255, y, noise)
        found.append(score.double().cpu())
    return torch.cat(found).numpy()


@torch.no_grad()
def importance_log_prob(subject, x8, labels, draws, seed):
    """A flow, uint8 images -> the importance-weighted bound on log p (N,), nats, with so many draws of noise."""
    generator, found = _generator(seed), []
    for part, y in _batches(subject, x8, labels):
        total = torch.full((len(part),), -math.inf, dtype=torch.float64)
        for _ in range(draws):
            score = _flow_log_prob(subject, part, y, generator)
            total = torch.logaddexp(total, score.double().cpu())
        found.append(total - math.log(draws))
    return torch.cat(found).numpy()


def binarise(x8, how, seed):
    """uint8 pixels -> 0 or 1 as uint8; how: "threshold" (1 above 127) or "stochastic" (1 with probability x8 / 255)."""
    if how == "threshold":
        return (x8 > 127).to(torch.uint8)
    return (torch.rand(x8.shape, generator=_generator(seed)) < x8.float() / 255).to(torch.uint8)


@torch.no_grad()
def elbo_and_iwae(subject, ones, labels, draws, seed):
    """A VAE, pixels 0 or 1 (uint8) -> ELBO and IWAE (N,) each, nats, from the same draws of z."""
    generator, elbo, iwae = _generator(seed), [], []
    for part, y in _batches(subject, ones, labels):
        x = part.to(subject.device).float()
        mean, log_variance = subject.encode(x, y)
        total = torch.zeros(len(part), dtype=torch.float64)
        logs = torch.full_like(total, -math.inf)
        for _ in range(draws):
            noise = torch.randn(mean.shape, generator=generator).to(subject.device)
            z = mean + torch.exp(0.5 * log_variance) * noise
            pixels = subject.decode(z, y).clamp(0, 1)
            likelihood = -functional.binary_cross_entropy(pixels, x, reduction="none").flatten(1).sum(1)
            # log N(z; 0, 1) - log N(z; mean, variance)
            prior_to_posterior = 0.5 * (noise.square() - z.square() + log_variance).sum(1)
            weight = (likelihood + prior_to_posterior).double().cpu()
            total, logs = total + weight, torch.logaddexp(logs, weight)
        elbo.append(total / draws)
        iwae.append(logs - math.log(draws))
    return torch.cat(elbo).numpy(), torch.cat(iwae).numpy()


@torch.no_grad()
def posterior(subject, x8, labels):
    """A VAE, uint8 images -> KL of each latent dimension and the posterior's mean, (N, latent) each, nats."""
    divergences, means = [], []
    for part, y in _batches(subject, x8, labels):
        mean, log_variance = (side.double().cpu() for side in subject.encode(part.to(subject.device).float() / 255, y))
        divergences.append(0.5 * (mean.square() + log_variance.exp() - 1 - log_variance))
        means.append(mean)
    return torch.cat(divergences).numpy(), torch.cat(means).numpy()
