"""Losses against what is known in closed form."""

import math

import pytest
import torch
from latentjet.train import losses
from latentjet.train.models import VAE, RealNVP
from latentjet.train.models.tone import CENTRE, SCALE, ToneCurve


class Uniform:
    """A model whose density of images in [0, 1] is 1 everywhere."""

    latent = 3 * 4 * 4

    def dequantise(self, levels, noise, y=None):
        return noise, torch.zeros(len(levels))

    def log_prob(self, x, y=None):
        assert x.min() >= 0 and x.max() < 1
        return torch.zeros(len(x))


def some_pixels(count, *shape):
    return torch.randint(0, 256, (count, *shape), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))


def test_a_uniform_model_scores_exactly_eight_bits():
    found = losses.flow_loss(Uniform(), some_pixels(50, 3, 4, 4), None, torch.Generator().manual_seed(1))
    assert found.shape == (50,)
    assert found.tolist() == [8.0] * 50


def test_a_level_scores_its_share_of_a_density_through_the_tone_curve():
    """A density of v that is a logistic's below the join scores the darkest level with what p rises by."""
    tone = ToneCurve(1e-5).double()
    x8 = torch.zeros(5, 1, 4, 4, dtype=torch.float64)
    x = (x8 + torch.rand(x8.shape, dtype=torch.float64, generator=torch.Generator().manual_seed(2))) / 256
    v, log_det = tone.forward(x)
    v = SCALE * v + CENTRE
    logistic = torch.nn.functional.logsigmoid(v) + torch.nn.functional.logsigmoid(-v) + math.log(SCALE)
    bits = losses.bits_per_dim(logistic.flatten(1).sum(1) + log_det, 16)
    assert (bits + math.log2(tone.join.sigmoid().item() - tone.alpha)).abs().max() < 1e-9


def test_each_lighter_level_scores_its_share_of_a_density_through_the_tone_curve():
    """A density of v that is the second logistic's above the join: each of 255 levels gets as much of what q rises by."""
    tone = ToneCurve(1e-5).double()
    x8 = torch.arange(1.0, 256, dtype=torch.float64).reshape(-1, 1, 1, 1).expand(-1, 1, 4, 4)
    x = (x8 + torch.rand(x8.shape, dtype=torch.float64, generator=torch.Generator().manual_seed(2))) / 256
    v, log_det = tone.forward(x)
    u = (SCALE * v + CENTRE - tone.join) * torch.exp(-tone.spread) + tone.start
    logistic = torch.nn.functional.logsigmoid(u) + torch.nn.functional.logsigmoid(-u) + math.log(SCALE) - tone.spread
    bits = losses.bits_per_dim(logistic.flatten(1).sum(1) + log_det, 16)
    assert (bits + math.log2((1 - tone.start.sigmoid().item() - tone.alpha) / 255)).abs().max() < 1e-9


@pytest.mark.parametrize("factor, bits", [(1, 8.0), (2, 7.0), (0.5, 9.0), (256, 0.0)])
def test_bits_of_a_density_that_is_constant(factor, bits):
    log_prob = torch.full((3,), 12 * math.log(factor), dtype=torch.float64)
    assert losses.bits_per_dim(log_prob, 12).tolist() == pytest.approx([bits] * 3, abs=1e-12)


def a_flow(classes, dequantiser=4, spread=0.3):
    """A small flow so far from its start, where labels change nothing."""
    torch.manual_seed(3)
    flow = RealNVP(image=(1, 8, 8), classes=classes, couplings=(2,), width=(4,), dequantiser=dequantiser)
    with torch.no_grad():
        for parameter in flow.parameters():
            parameter.add_(spread * torch.randn(parameter.shape))
    return flow


@pytest.mark.parametrize("width", [0, 4])
def test_flow_loss_is_that_of_dequantised_images(width):
    flow = a_flow(3, width, 0.05)
    x8, y = some_pixels(6, 1, 8, 8), torch.eye(3).repeat(2, 1)
    found = losses.flow_loss(flow, x8, y, torch.Generator().manual_seed(4))
    noise = torch.rand(x8.shape, generator=torch.Generator().manual_seed(4))
    noise, change = flow.dequantise(x8.float(), noise, y)
    expected = 8 - (flow.log_prob((x8 + noise) / 256, y) + change) / 64 / math.log(2)
    assert bool(width) == (change.abs().max() > 0.1)
    assert torch.allclose(found, expected, atol=1e-5)
    assert not torch.equal(found, losses.flow_loss(flow, x8, y, torch.Generator().manual_seed(5)))


def test_labels_of_other_classes_are_each_as_likely():
    y = torch.eye(4).repeat(3000, 1)
    wrong = losses.other_labels(y, torch.rand(len(y), generator=torch.Generator().manual_seed(0)))
    assert wrong.sum(1).eq(1).all() and (wrong * y).sum() == 0
    shares = torch.stack([wrong[y[:, label] == 1].mean(0) for label in range(4)])
    assert (shares - (1 - torch.eye(4)) / 3).abs().max() < 0.03
    edges = losses.other_labels(torch.eye(2)[:1], torch.tensor([1 - 2.0**-24]))
    assert edges.tolist() == [[0.0, 1.0]]


@pytest.mark.parametrize("classes", [2, 3, 10, 100])
def test_the_least_and_the_largest_chance_give_other_classes(classes):
    """torch.rand's largest value times 9 is 9 in float32."""
    y = torch.eye(classes)[[0, 0]]
    wrong = losses.other_labels(y, torch.tensor([0.0, 1 - 2.0**-24]))
    assert wrong.argmax(1).tolist() == [1, classes - 1] and wrong.dtype == y.dtype


def test_contrast_adds_what_the_gap_to_a_wrong_label_lacks():
    """With two classes there is one wrong label: the expected addition is known, the share of images drawn aside."""
    flow, x8, y = a_flow(2), some_pixels(2000, 1, 8, 8), torch.eye(2).repeat(1000, 1)
    with torch.no_grad():
        plain = losses.flow_loss(flow, x8, y, torch.Generator().manual_seed(4))
        found = losses.flow_loss(flow, x8, y, torch.Generator().manual_seed(4), contrast=0.3)
        swapped = losses.flow_loss(flow, x8, y.flip(1), torch.Generator().manual_seed(4))
    gap = (swapped - plain) * flow.latent * math.log(2)
    lack = torch.relu(losses.MARGIN - gap) / (losses.COMPARED * flow.latent * math.log(2))
    added = found - plain
    chosen = added > 0
    assert abs(chosen.float().mean().item() - losses.COMPARED) < 0.04
    assert gap.std() > 1 and torch.allclose(added[chosen], 0.3 * lack[chosen], rtol=1e-3, atol=1e-3)


def test_contrast_never_lowers_a_loss_nor_touches_an_image_that_is_told_apart(monkeypatch):
    flow, x8, y = a_flow(2), some_pixels(64, 1, 8, 8), torch.eye(2).repeat(32, 1)
    monkeypatch.setattr(losses, "MARGIN", -math.inf)
    found = losses.flow_loss(flow, x8, y, torch.Generator().manual_seed(4), 0.5)
    assert torch.equal(found, losses.flow_loss(flow, x8, y, torch.Generator().manual_seed(4)))


@pytest.mark.parametrize("classes", [0, 3])
def test_bce_and_kl_are_those_of_torch_distributions(classes):
    torch.manual_seed(6)
    model = VAE(image=(1, 8, 8), latent=5, classes=classes, hidden=16)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(0.2 * torch.randn(parameter.shape))
    x8, y = some_pixels(6, 1, 8, 8), torch.eye(3).repeat(2, 1) if classes else None
    x, noise = x8.float() / 255, torch.randn(6, 5, generator=torch.Generator().manual_seed(7))
    reconstruction, mean, log_variance = model(x, y, noise)
    posterior = torch.distributions.Normal(mean, torch.exp(0.5 * log_variance))
    kl = torch.distributions.kl_divergence(posterior, torch.distributions.Normal(0, 1)).sum(1)
    pixels = torch.distributions.Bernoulli(probs=reconstruction, validate_args=False)
    expected = kl - pixels.log_prob(x).flatten(1).sum(1)
    assert kl.min() > 0.1
    assert torch.allclose(losses.bce_kl(model, x, y, noise), expected, rtol=1e-5)
    assert torch.allclose(losses.vae_loss(model, x8, y, torch.Generator().manual_seed(7)), expected, rtol=1e-5)


def test_a_model_that_is_lost_has_a_loss_that_says_so():
    model = VAE(image=(1, 8, 8), latent=5, hidden=16)
    with torch.no_grad():
        model.nets.decoder[2].bias[3] = math.nan
    assert losses.vae_loss(model, some_pixels(6, 1, 8, 8), None, torch.Generator().manual_seed(0)).isnan().all()


@pytest.mark.parametrize("family", ["vae", "flow"])
def test_losses_are_float32_and_near_those_under_bfloat16(family):
    torch.manual_seed(8)
    if family == "vae":
        model, loss = VAE(image=(1, 8, 8), latent=4, classes=3, hidden=16), losses.vae_loss
    else:
        model, loss = RealNVP(image=(1, 8, 8), classes=3, couplings=(2, 2), width=(8, 8)), losses.flow_loss
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(0.05 * torch.randn(parameter.shape))
    x8, y = some_pixels(6, 1, 8, 8), torch.eye(3).repeat(2, 1)
    expected = loss(model, x8, y, torch.Generator().manual_seed(9))
    with torch.autocast("cpu", torch.bfloat16):
        found = loss(model, x8, y, torch.Generator().manual_seed(9))
    assert found.dtype == torch.float32
    assert not torch.equal(found, expected)
    assert torch.allclose(found, expected, rtol=0.02)


def apart(x, y):
    """Mean distance of two sets, in levels, pair by pair; a set has no distance to itself."""
    pairs = [(a, b) for a in x for b in y if a is not b]
    return sum(255 * (a - b).double().norm().item() for a, b in pairs) / len(pairs)


def test_energy_distance_is_what_it_is_defined_as():
    torch.manual_seed(0)
    x, y = list(torch.rand(5, 1, 4, 4)), list(0.5 * torch.rand(7, 1, 4, 4))
    expected = 2 * apart(x, y) - apart(x, x) - apart(y, y)
    assert losses.energy_distance(torch.stack(x), torch.stack(y)).item() == pytest.approx(expected, rel=1e-4)


def test_energy_distance_is_nothing_on_average_within_one_distribution_and_more_between_two():
    torch.manual_seed(0)
    same = [losses.energy_distance(torch.rand(50, 1, 4, 4), torch.rand(50, 1, 4, 4)).item() for _ in range(40)]
    other = losses.energy_distance(torch.rand(50, 1, 4, 4), torch.rand(50, 1, 4, 4) ** 2).item()
    assert min(same) < 0 < max(same)
    assert abs(sum(same) / 40) < 0.5 < 10 < other


def test_energy_distance_of_two_single_images_is_twice_the_way_between_them():
    black, grey = torch.zeros(3, 1, 4, 4), torch.full((2, 1, 4, 4), 0.2)
    assert losses.energy_distance(black, grey).item() == pytest.approx(2 * 4 * 51)
