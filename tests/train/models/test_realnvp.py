"""Laws of flows. CPython 3.6 code, like what it tests."""

import math

import pytest
import torch
from latentjet.train.models import RealNVP
from latentjet.train.models.coupling import Coupling
from latentjet.train.models.tone import CENTRE, DARKEST, SCALE, ToneCurve


def test_images_come_back(flow, rows):
    x, y, _ = rows(flow, 4)
    z, _ = flow(x, y)
    assert (flow.inverse(z, y) - x).abs().max() < 1e-9
    assert (z - flow.encode(x, y)).abs().max() == 0


def test_latents_come_back(flow, rows):
    _, y, z = rows(flow, 4)
    z = 0.5 * z  # rarer ones reach pixels so near 0 or 1 that float64 itself cannot tell them apart
    x = flow.inverse(z, y)
    assert (flow(x, y)[0] - z).abs().max() < 1e-9
    assert torch.equal(x, flow.decode(z, y))


def test_log_det_is_that_of_the_jacobian(small_flow, rows):
    x, y, _ = rows(small_flow, 1)
    jacobian = torch.autograd.functional.jacobian(lambda image: small_flow(image, y)[0], x)
    expected = torch.slogdet(jacobian.reshape(small_flow.latent, small_flow.latent))[1]
    assert small_flow(x, y)[1].item() == pytest.approx(expected.item(), rel=1e-6)


def test_log_prob_is_the_base_density_and_log_det(flow, rows):
    x, y, _ = rows(flow, 3)
    z, log_det = flow(x, y)
    normal = torch.distributions.Normal(torch.zeros_like(z), torch.ones_like(z))
    assert torch.allclose(flow.log_prob(x, y), normal.log_prob(z).sum(1) + log_det, rtol=1e-12, atol=1e-9)


def test_the_density_integrates_to_one():
    torch.manual_seed(4)
    flow = RealNVP(image=(1, 2, 2), classes=2, couplings=(2,), width=(6,), bound=0.7).double()
    with torch.no_grad():
        for parameter in flow.parameters():
            parameter.add_(0.2 * torch.randn(parameter.shape, dtype=torch.float64))
        dark, x = torch.rand(2, 400000, 1, 2, 2, dtype=torch.float64)
        dark = dark < 0.5  # half of the draws lie in the darkest level, where most of the density is
        x = torch.where(dark, x * DARKEST, DARKEST + x * (1 - DARKEST))
        volume = torch.where(dark, 2 * DARKEST, 2 * (1 - DARKEST)).flatten(1).prod(1)
        density = flow.log_prob(x, torch.eye(2, dtype=torch.float64)[torch.zeros(len(x), dtype=torch.long)]).exp()
    assert density.std() > 0.1
    assert (density * volume).mean().item() == pytest.approx(1, abs=0.01)


def test_an_untrained_flow_is_the_tone_curve(untrained_flow, rows):
    x, y, _ = rows(untrained_flow, 3)
    v, expected = untrained_flow.tone.forward(x)
    z, log_det = untrained_flow(x, y)
    assert torch.equal(log_det, expected)
    assert torch.equal(z.sort(1)[0], v.flatten(1).sort(1)[0])


def test_the_tone_curve_is_monotone_and_has_no_gap():
    tone = ToneCurve(1e-5).double()
    around = torch.tensor([DARKEST - 1e-12, DARKEST + 1e-12], dtype=torch.float64)
    x = torch.cat([torch.linspace(0, 1, 5121, dtype=torch.float64), around]).sort()[0].reshape(1, 1, 1, -1)
    v = tone.forward(x)[0]
    assert (v.diff() > 0).all()
    low, high = v[x < DARKEST].max(), v[x > DARKEST].min()
    assert high - low < 1e-7
    assert SCALE * high.item() + CENTRE == pytest.approx(tone.join.item(), abs=1e-6)


def test_the_noise_of_black_pixels_becomes_nearly_a_logistic():
    """At most 0.1 bits from the normal distribution of its mean and variance, where a plain logit is 0.6 from it."""
    tone = ToneCurve(1e-5).double()
    u = ((torch.arange(100_000, dtype=torch.float64) + 0.5) / 100_000).reshape(-1, 1, 1, 1)
    v, log_det = tone.forward(u * DARKEST)
    entropy = (log_det + math.log(DARKEST)).mean()
    assert (0.5 * torch.log(2 * math.pi * math.e * v.var()) - entropy).item() / math.log(2) < 0.1


def test_the_tone_curve_keeps_black_and_white_finite():
    flow = RealNVP(image=(1, 4, 4), classes=0, couplings=(1,), width=(4,))
    for value in (0.0, 1.0):
        x = torch.full((1, 1, 4, 4), value, requires_grad=True)
        log_prob = flow.log_prob(x)
        log_prob.sum().backward()
        assert log_prob.isfinite().all()
        assert x.grad.isfinite().all()


def scales(coupling, inverse):
    """How much a coupling whose weights are huge enlarges each entry of the half that it changes."""
    torch.manual_seed(5)
    with torch.no_grad():
        for parameter in coupling.parameters():
            parameter.copy_(1000 * torch.randn(parameter.shape, dtype=torch.float64))
    still, moved = torch.randn(2, 8, coupling.channels, 4, 4, dtype=torch.float64)
    moved.requires_grad_()
    changed = coupling.inverse(still, moved, None) if inverse else coupling(still, moved, None)[0]
    return torch.autograd.grad(changed.sum(), moved)[0]


@pytest.mark.parametrize("inverse", [False, True])
@pytest.mark.parametrize("bound", [0.3, 1.5, 3.0])
def test_no_coupling_scales_by_more_than_its_bound(bound, inverse):
    found = scales(Coupling(channels=3, planes=0, width=5, depth=1, bound=bound).double(), inverse)
    assert found.max() <= math.exp(bound) * (1 + 1e-12)
    assert found.min() >= math.exp(-bound) * (1 - 1e-12)
    assert found.max() > math.exp(0.99 * bound) and found.min() < math.exp(-0.99 * bound)


def test_log_det_of_any_weights_is_within_what_the_bounds_allow():
    torch.manual_seed(6)
    flow = RealNVP(image=(1, 8, 8), classes=3, couplings=(2, 3), width=(4, 4), bound=0.5).double()
    with torch.no_grad():
        for parameter in flow.levels.parameters():
            parameter.mul_(0).add_(100 * torch.randn(parameter.shape, dtype=torch.float64))
    x, y = torch.rand(20, 1, 8, 8, dtype=torch.float64), torch.eye(3, dtype=torch.float64)[torch.arange(20) % 3]
    change = flow(x, y)[1] - flow.tone.forward(x)[1]
    most = 0.5 * (2 * 32 + 3 * 16)  # bound x couplings x the entries that each of them changes
    assert change.abs().max() <= most
    assert change.abs().max() > 1


@pytest.mark.parametrize(
    "image, levels, expected",
    [
        ((1, 7, 7), 1, "image 1x7x7 becomes 7x7 at level 1"),
        ((1, 8, 7), 1, "image 1x8x7 becomes 8x7 at level 1"),
        ((1, 28, 28), 3, "image 1x28x28 becomes 7x7 at level 3"),
        ((3, 32, 32), 6, "image 3x32x32 becomes 1x1 at level 6"),
    ],
)
def test_an_image_that_cannot_be_squeezed_is_refused(image, levels, expected):
    with pytest.raises(ValueError) as caught:
        RealNVP(image=image, couplings=(1,) * levels, width=(4,) * levels)
    assert expected in str(caught.value)
    assert "use fewer levels" in str(caught.value)


@pytest.mark.parametrize("depth, planes", [(-1, 2), (1, 0)])
def test_nets_that_cannot_be_are_refused(depth, planes):
    with pytest.raises(ValueError, match="depth is {} and planes {}: expected at least 0 and 1".format(depth, planes)):
        RealNVP(image=(1, 8, 8), depth=depth, planes=planes)


@pytest.mark.parametrize(
    "couplings, width, expected",
    [
        ((4, 4), (8,), "couplings has 2 levels and width 1"),
        ((), (), "couplings is [] and width []: expected at least 1"),
        ((2, 0), (8, 8), "couplings is [2, 0] and width [8, 8]: expected at least 1"),
        ((2, 2), (8, -1), "couplings is [2, 2] and width [8, -1]: expected at least 1"),
    ],
)
def test_levels_that_do_not_fit_are_refused(couplings, width, expected):
    with pytest.raises(ValueError) as caught:
        RealNVP(image=(1, 8, 8), couplings=couplings, width=width)
    assert expected in str(caught.value)
