"""What is evaluated: a model, as the few functions that figures are made of, wherever they run."""

from typing import NamedTuple

import numpy as np
import torch

from .errors import EvaluationError
from .models.dequantiser import unchanged

BATCH = 500


class Subject(NamedTuple):
    """A model's directions, as functions of tensors on `device`; None where it has no such direction.

    decode(z, y) -> images (N, C, H, W); encode(x, y) -> mean and log variance of q(z|x, y); log_prob(x, y) -> log
    density (N,) of dequantised images. y: labels (N, classes), None without classes. image: (C, H, W); classes: names;
    pixels: "dequantised" (x = (x8 + noise) / 256) or "rounded" (x = x8 / 255); how: who runs it; missing: why it has
    no likelihood, if it has none; dequantise(levels, uniform noise, y) -> noise u, -log q(u) (N,), or `unchanged`.
    """

    decode: object
    encode: object
    log_prob: object
    image: tuple
    classes: list
    latent: int
    device: torch.device
    how: str
    pixels: str
    missing: str = "this family has no likelihood and no encoder, only a decoder"
    dequantise: object = unchanged

    def __call__(self, x, y, noise):
        """What losses.bce_kl calls: x, y, noise (N, latent) -> reconstruction, mean, log variance."""
        mean, log_variance = self.encode(x, y)
        return self.decode(mean + torch.exp(0.5 * log_variance) * noise, y), mean, log_variance

    def one_hot(self, labels):
        """Labels (N,) int64 -> (N, classes) on the device; None for an unconditional model."""
        if not self.classes:
            return None
        return torch.nn.functional.one_hot(labels, len(self.classes)).float().to(self.device)


def of_model(model, classes, device, how):
    """A trained model -> Subject; what it can do is asked of it: log_prob is a flow's, encode without it a VAE's."""
    model, log_prob = model.to(device).eval(), getattr(model, "log_prob", None)
    encode = None if log_prob else getattr(model, "encode", None)
    names, pixels = list(classes) if model.classes else [], "dequantised" if log_prob else "rounded"
    noise = {"dequantise": model.dequantise} if getattr(model, "dequantiser", None) else {}
    return Subject(
        model.decode, encode, log_prob, tuple(model.image), names, model.latent, device, how, pixels, **noise
    )


def to_uint8(images, pixels):
    """Images in [0, 1] -> uint8 by the rule that the model was trained with: x8 = floor(256 x), or round(255 x)."""
    scaled = images * 256 if pixels == "dequantised" else images * 255 + 0.5
    return scaled.clamp(0, 255).to(torch.uint8)


@torch.no_grad()
def draw(subject, labels, temperature, seed):
    """One sample for each of the labels (N,) -> uint8 images (N, C, H, W). Raises EvaluationError for NaN.

    The noise is `latentjet sample`'s: the same seed gives the same z on every backend.
    """
    stream, images = np.random.RandomState(seed), []
    for part in labels.split(BATCH):
        z = stream.standard_normal((len(part), subject.latent)) * temperature
        drawn = subject.decode(torch.from_numpy(z).float().to(subject.device), subject.one_hot(part)).float().cpu()
        lost = int((~torch.isfinite(drawn)).flatten(1).any(1).sum())
        if lost:
            raise EvaluationError(
                f"{lost} of {len(part)} samples have pixels that are not finite, at temperature {temperature}: "
                f"try a smaller --temperature; if that does not help, train again with a smaller --lr"
            )
        images.append(to_uint8(drawn, subject.pixels))
    return torch.cat(images)
