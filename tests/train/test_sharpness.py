"""Sharpness is 1 for the images themselves, less where they are blurred; the spectrum puts power where it is."""

import numpy as np
import pytest
import torch
from latentjet.train import bootstrap, data, sharpness
from torch.nn import functional

IMAGES = data.load("fashion-sample", "test").images[:200]


def blurred(x8):
    return functional.avg_pool2d(x8.float(), 3, 1, 1).round().to(torch.uint8)


def ratio(one, other):
    sides = [sharpness.laplacian_variance(images)[:, None] for images in (one, other)]
    return bootstrap.ratio_figures(*sides, "ratio", 0)[0]


def test_images_are_as_sharp_as_themselves():
    figure = ratio(IMAGES, IMAGES)
    assert figure.value == 1 and figure.low < 1 < figure.high


def test_blurred_images_are_less_sharp_and_noisy_ones_more():
    assert ratio(blurred(IMAGES), IMAGES).high < 0.5
    noise = torch.randint(-20, 21, IMAGES.shape, generator=torch.Generator().manual_seed(0))
    assert ratio((IMAGES.int() + noise).clamp(0, 255).to(torch.uint8), IMAGES).low > 1


def test_the_laplacian_of_a_plane_has_no_variance_and_of_a_checkerboard_is_worked_out_by_hand():
    ramp = torch.arange(8, dtype=torch.uint8).repeat(1, 1, 8, 1) * 20
    assert sharpness.laplacian_variance(ramp) == pytest.approx(0, abs=1e-10)
    board = (torch.arange(8)[:, None] + torch.arange(8)) % 2 * 255
    assert sharpness.laplacian_variance(board.to(torch.uint8)[None, None]) == pytest.approx(16)


@pytest.mark.parametrize("shape", [(28, 28), (16, 24), (9, 9)])
@pytest.mark.parametrize("cycles", [1, 3, 4])
def test_a_wave_has_its_power_at_its_frequency(shape, cycles):
    height, width = shape
    rows = torch.arange(height) * cycles * 2 * np.pi / height
    wave = (127.5 + 127 * torch.cos(rows))[:, None].expand(height, width).round().to(torch.uint8)
    power = sharpness.power_spectrum(wave[None, None])[0]
    assert len(power) == min(shape) // 2
    frequency = cycles * min(shape) / height
    assert int(power.argmax()) + 1 == int(frequency + 0.5)
    assert power.max() > 0.99 * power.sum()


@pytest.mark.parametrize("down, right, band", [(2, 3, 4), (3, 3, 4), (1, 1, 1), (4, 6, 7)])  # 3.61, 4.24, 1.41, 7.21
def test_an_oblique_wave_goes_to_the_nearest_band(down, right, band):
    angle = 2 * np.pi * (torch.arange(28)[:, None] * down + torch.arange(28) * right) / 28
    wave = (127.5 + 127 * torch.cos(angle)).round().to(torch.uint8)
    assert int(sharpness.power_spectrum(wave[None, None])[0].argmax()) + 1 == band


def test_blur_takes_power_from_the_high_frequencies():
    loss = sharpness.power_spectrum(blurred(IMAGES)).mean(0) / sharpness.power_spectrum(IMAGES).mean(0)
    assert loss[0] > 0.8 and loss[-1] < 0.2


def test_batches_make_no_difference(monkeypatch):
    whole = sharpness.power_spectrum(IMAGES), sharpness.laplacian_variance(IMAGES)
    monkeypatch.setattr(sharpness, "BATCH", 7)
    assert np.allclose(sharpness.power_spectrum(IMAGES), whole[0], rtol=1e-4)
    assert np.allclose(sharpness.laplacian_variance(IMAGES), whole[1], rtol=1e-4)


def test_colours_are_averaged():
    assert np.allclose(sharpness.laplacian_variance(IMAGES.repeat(1, 3, 1, 1)), sharpness.laplacian_variance(IMAGES))
