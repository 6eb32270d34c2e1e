"""Laws of variational dequantisation. CPython 3.6 code, like what it tests."""

import math

import pytest
import torch
from latentjet.train.models import RealNVP
from latentjet.train.models.dequantiser import Dequantiser, unchanged, with_noise

CASES = {"labels": ((1, 4, 4), 3), "no labels": ((1, 4, 6), 0), "colour": ((3, 4, 4), 2)}


@pytest.fixture(params=sorted(CASES))
def case(request):
    """A float64 dequantiser whose parameters are not where they started, its levels, uniform noise and labels."""
    image, classes = CASES[request.param]
    torch.manual_seed(3)
    net = Dequantiser(image, 6, classes).double()
    with torch.no_grad():
        for parameter in net.parameters():
            parameter.add_(0.2 * torch.randn(parameter.shape, dtype=torch.float64))
    levels = torch.randint(0, 256, (5,) + image).double()
    noise = torch.rand((5,) + image, dtype=torch.float64)
    labels = torch.eye(classes, dtype=torch.float64)[torch.arange(5) % classes] if classes else None
    return net, levels, noise, labels


def test_log_det_is_that_of_the_jacobian(case):
    net, levels, noise, y = case
    found = net(levels, noise, y)[1]
    for row in range(5):
        label = None if y is None else y[row : row + 1]
        one = levels[row : row + 1]
        jacobian = torch.autograd.functional.jacobian(
            lambda flat: net(one, flat.reshape(one.shape), label)[0].flatten(), noise[row].flatten()  # noqa: B023
        )
        assert found[row].item() == pytest.approx(torch.slogdet(jacobian)[1].item(), rel=1e-6)


def test_noise_stays_noise(case):
    net, levels, noise, y = case
    for extreme in (noise, torch.zeros_like(noise), torch.ones_like(noise)):
        u, log_det = net(levels, extreme, y)
        assert u.min() >= 0 and u.max() <= 1 and torch.isfinite(log_det).all()
        assert torch.equal((256 * with_noise(levels, u)).floor(), levels)


def test_it_depends_on_the_image_and_the_label(case):
    net, levels, noise, y = case
    u = net(levels, noise, y)[0]
    assert (u - net(levels.flip(0), noise, y)[0]).abs().max() > 1e-3
    if y is not None:
        assert (u - net(levels, noise, y.roll(1, 1))[0]).abs().max() > 1e-3


def test_an_untrained_one_leaves_the_noise_uniform():
    net = Dequantiser((1, 4, 4), 6, 0).double()
    levels, noise = torch.zeros(3, 1, 4, 4).double(), torch.rand(3, 1, 4, 4).double()
    u, log_det = net(levels, noise)
    assert (u - noise).abs().max() < 1e-9 and log_det.abs().max() < 1e-9
    assert torch.equal(unchanged(levels, noise)[0], noise) and not unchanged(levels, noise)[1].any()


def test_any_noise_measures_the_same_probability():
    """E p((x8 + u) / 256) / q(u) is p(x8), whatever q: only the bound, the mean of its logarithm, depends on q."""
    torch.manual_seed(5)
    flow = RealNVP(image=(1, 2, 2), classes=2, couplings=(2,), width=(6,), dequantiser=4).double()
    with torch.no_grad():
        for parameter in flow.parameters():
            parameter.add_(0.15 * torch.randn(parameter.shape, dtype=torch.float64))
        levels = torch.tensor([3.0, 40.0, 200.0, 128.0], dtype=torch.float64).reshape(1, 1, 2, 2).expand(200000, -1, -1, -1)
        noise = torch.rand(levels.shape, dtype=torch.float64)
        y = torch.eye(2, dtype=torch.float64)[torch.zeros(len(levels), dtype=torch.long)]
        means = []
        for dequantise in (flow.dequantise, unchanged):
            u, change = dequantise(levels, noise, y)
            means.append((flow.log_prob(with_noise(levels, u), y) + change).exp().mean().item())
        assert change.abs().max() == 0 and flow.dequantise(levels, noise, y)[1].std() > 0.1
    assert means[0] == pytest.approx(means[1], rel=0.005)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_images_are_below_one_and_keep_their_levels(dtype):
    levels = torch.arange(256, dtype=dtype)
    for noise in (0.0, 0.25, 0.5, 1 - torch.finfo(dtype).eps / 2, 1.0):
        x = with_noise(levels, torch.full((256,), noise, dtype=dtype))
        assert x.dtype == dtype and x.min() >= 0 and x.max() < 1
        assert torch.equal((x * 256).floor(), levels)
        assert torch.allclose(x * 256 - levels, torch.full((256,), noise, dtype=dtype), atol=1e-4)


def test_a_flow_without_one_takes_uniform_noise():
    flow = RealNVP(image=(1, 4, 4), classes=2, couplings=(1,), width=(4,))
    assert flow.dequantiser is None and not [name for name, _ in flow.named_parameters() if "dequantiser" in name]
    noise = torch.rand(3, 1, 4, 4)
    assert flow.dequantise(torch.zeros(3, 1, 4, 4), noise)[0] is noise


def test_a_width_below_zero_is_refused():
    with pytest.raises(ValueError, match="dequantiser is -1, expected at least 0"):
        RealNVP(image=(1, 4, 4), couplings=(1,), width=(4,), dequantiser=-1)


def test_training_it_tightens_the_bound():
    torch.manual_seed(0)
    net, levels = Dequantiser((1, 4, 4), 8, 0), torch.full((256, 1, 4, 4), 9.0)
    optimizer = torch.optim.Adam(net.parameters(), 0.02)

    def bound():
        u, change = net(levels, torch.rand(levels.shape))
        density = torch.distributions.Normal(0.7, 0.1).log_prob(u) - math.log(0.99865)  # of noise in [0, 1], nearly
        return (density.flatten(1).sum(1) + change).mean()

    before = bound().item()
    for _ in range(150):
        optimizer.zero_grad()
        (-bound()).backward()
        optimizer.step()
    with torch.no_grad():
        assert before < -50 and -0.5 < bound().item() < 0.1  # at most log of the integral, which is 0
