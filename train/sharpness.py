"""How sharp images are: the variance of the Laplacian (Pech-Pacheco et al., 2000), and the power at each frequency.

One number can lie: noise is sharp too. So the radially averaged power spectrum stands beside it: a blurred model
lacks power at high frequencies, a noisy one has too much of it. Images are uint8 on both sides, and colours are
averaged to grey first.
"""

import numpy as np
import torch
from torch.nn import functional

LAPLACIAN = torch.tensor([[0.0, 1.0, 0.0], [1.0, -4.0, 1.0], [0.0, 1.0, 0.0]])
BATCH = 1000


def _grey(x8):
    """uint8 (N, C, H, W) -> batches of float (n, H, W) in [0, 1]."""
    return (part.float().mean(1) / 255 for part in x8.split(BATCH))


def laplacian_variance(x8):
    """uint8 images (N, C, H, W), H and W at least 3 -> variance of each one's Laplacian over its inner pixels (N,)."""
    found = [functional.conv2d(part[:, None], LAPLACIAN[None, None]).flatten(1).var(1, False) for part in _grey(x8)]
    return torch.cat(found).numpy()


def power_spectrum(x8):
    """uint8 images (N, C, H, W) -> power (N, B) in bands of one cycle an image, from 1 to the Nyquist frequency.

    Band k averages |FFT|^2 / (H W) over frequencies at a distance of k - 1/2 to k + 1/2 from zero, in cycles over the
    shorter side.
    """
    height, width = x8.shape[2:]
    side = min(height, width)
    radius = np.hypot(np.fft.fftfreq(height)[:, None], np.fft.fftfreq(width)) * side
    band = torch.from_numpy(np.floor(radius + 0.5).astype(np.int64)).flatten()
    pick = functional.one_hot(band, int(band.max()) + 1)[:, 1 : side // 2 + 1].float()
    pick = pick / pick.sum(0)
    found = [torch.fft.fft2(part).abs().square().flatten(1) @ pick / (height * width) for part in _grey(x8)]
    return torch.cat(found).numpy()
