"""Likelihoods: known ones come out, bounds are bounds, and a wrong label meets the same noise."""

import math

import numpy as np
import pytest
import torch
from latentjet.train import likelihood, losses
from latentjet.train.models import VAE, RealNVP
from latentjet.train.subject import Subject, of_model

CPU = torch.device("cpu")
GENERATOR = torch.Generator().manual_seed(0)
X8 = torch.randint(0, 256, (40, 1, 8, 8), generator=GENERATOR, dtype=torch.uint8)
LABELS = torch.arange(40) % 3


def subject(decode=None, encode=None, log_prob=None, latent=2):
    return Subject(decode, encode, log_prob, (1, 8, 8), [], latent, CPU, "a test", "rounded")


def small_vae():
    torch.manual_seed(1)
    return of_model(VAE(image=(1, 8, 8), latent=5, classes=3, hidden=16), ["a", "b", "c"], CPU, "a test")


def prior(x, y):
    return torch.zeros(len(x), 2), torch.zeros(len(x), 2)


def test_a_uniform_model_has_exactly_8_bits():
    uniform = subject(log_prob=lambda x, y: torch.zeros(len(x)))
    assert np.all(losses.bits_per_dim(likelihood.log_score(uniform, X8, LABELS, 0), 64) == 8)
    assert np.allclose(losses.bits_per_dim(likelihood.importance_log_prob(uniform, X8, LABELS, 7, 0), 64), 8, atol=1e-12)


def test_a_flow_sees_dequantised_pixels_and_its_labels():
    torch.manual_seed(0)
    flow = of_model(RealNVP(image=(1, 8, 8), classes=3, couplings=(2,), width=(8,)), ["a", "b", "c"], CPU, "a test")
    noise = torch.rand(X8.shape, generator=torch.Generator().manual_seed(5))
    with torch.no_grad():
        expected = flow.log_prob((X8 + noise) / 256, torch.eye(3)[LABELS])
    assert np.allclose(likelihood.log_score(flow, X8, LABELS, 5), expected, rtol=1e-5)


def test_more_draws_of_noise_never_lower_the_bound_in_the_mean():
    def log_prob(x, y):  # a density that depends on the noise: 2 x of the first pixel's fraction
        return torch.log(2 * (x[:, 0, 0, 0] * 256 % 1) + 1e-6)

    flow = subject(log_prob=log_prob)
    images = X8.repeat(50, 1, 1, 1)
    labels = torch.zeros(len(images), dtype=torch.int64)
    means = [likelihood.importance_log_prob(flow, images, labels, draws, 0).mean() for draws in (1, 4, 64)]
    assert means[0] == pytest.approx(likelihood.log_score(flow, images, labels, 0).mean())
    assert means[0] < means[1] < means[2] < 0.01  # the integral over the noise is 1, its logarithm 0
    assert means[0] == pytest.approx(math.log(2) - 1, abs=0.1)


def test_the_score_of_a_vae_is_its_loss():
    vae = small_vae()
    noise = torch.randn(40, 5, generator=torch.Generator().manual_seed(3))
    with torch.no_grad():
        expected = losses.bce_kl(vae, X8.float() / 255, torch.eye(3)[LABELS], noise)
    assert np.allclose(-likelihood.log_score(vae, X8, LABELS, 3), expected, rtol=1e-6)


def test_batches_do_not_repeat_their_noise():
    drawn = []

    def decode(z, y):
        drawn.append(z)
        return torch.full((len(z), 1, 8, 8), 0.5)

    likelihood.log_score(subject(decode, prior), X8.repeat(20, 1, 1, 1), torch.zeros(800, dtype=torch.int64), 0)
    assert len(drawn) > 1 and len(torch.unique(torch.cat(drawn), dim=0)) == 800


def test_one_draw_makes_elbo_and_iwae_equal():
    ones = likelihood.binarise(X8, "threshold", 0)
    elbo, iwae = likelihood.elbo_and_iwae(small_vae(), ones, LABELS, 1, 0)
    assert np.allclose(elbo, iwae, rtol=1e-12)


def test_iwae_is_at_least_the_elbo_of_the_same_draws_and_grows_with_them():
    ones, vae = likelihood.binarise(X8, "threshold", 0), small_vae()
    elbo, iwae = likelihood.elbo_and_iwae(vae, ones, LABELS, 30, 0)
    assert np.all(iwae >= elbo) and np.mean(iwae - elbo) > 0.01
    assert iwae.mean() > likelihood.elbo_and_iwae(vae, ones, LABELS, 1, 0)[1].mean()


def test_bounds_of_a_decoder_that_ignores_z_are_the_likelihood():
    rate = torch.rand(1, 1, 8, 8, generator=GENERATOR) * 0.8 + 0.1
    ones = likelihood.binarise(X8, "stochastic", 1)
    exact = torch.distributions.Bernoulli(rate).log_prob(ones.float()).flatten(1).sum(1)
    elbo, iwae = likelihood.elbo_and_iwae(subject(lambda z, y: rate.expand(len(z), 1, 8, 8), prior), ones, LABELS, 5, 0)
    assert np.allclose(elbo, exact, rtol=1e-5) and np.allclose(iwae, exact, rtol=1e-5)


def test_iwae_reaches_the_likelihood_of_a_mixture_whatever_the_encoder():
    def decode(z, y):  # p(x) is the mean of two Bernoulli products
        return torch.where(z[:, :1] > 0, 0.3, 0.7)[:, :, None, None].expand(len(z), 1, 8, 8)

    def encode(x, y):
        return torch.full((len(x), 2), 0.3), torch.full((len(x), 2), -0.4)

    ones = torch.zeros(4, 1, 8, 8, dtype=torch.uint8)
    ones[:, :, :4] = 1  # half of the pixels: both parts are as likely
    exact = 32 * (math.log(0.3) + math.log(0.7))
    iwae = likelihood.elbo_and_iwae(subject(decode, encode), ones, torch.zeros(4, dtype=torch.int64), 3000, 0)[1]
    assert np.allclose(iwae, exact, atol=0.15)


def test_binarising_by_threshold_and_by_chance():
    grey = torch.tensor([0, 127, 128, 255], dtype=torch.uint8)
    assert likelihood.binarise(grey, "threshold", 0).tolist() == [0, 0, 1, 1]
    many = torch.full((20_000,), 51, dtype=torch.uint8)
    assert likelihood.binarise(many, "stochastic", 0).float().mean() == pytest.approx(0.2, abs=0.01)
    assert likelihood.binarise(grey, "stochastic", 0).tolist()[::3] == [0, 1]
    assert torch.equal(likelihood.binarise(many, "stochastic", 1), likelihood.binarise(many, "stochastic", 1))


def test_the_kl_of_each_dimension_is_that_of_normal_distributions():
    vae = small_vae()
    divergences, means = likelihood.posterior(vae, X8, LABELS)
    with torch.no_grad():
        mean, log_variance = vae.encode(X8.float() / 255, torch.eye(3)[LABELS])
    normal = torch.distributions.Normal
    expected = torch.distributions.kl_divergence(normal(mean, (0.5 * log_variance).exp()), normal(0.0, 1.0))
    assert np.allclose(divergences, expected, rtol=1e-4, atol=1e-6) and np.allclose(means, mean)
