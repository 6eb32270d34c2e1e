"""The same models in PyTorch alone, as one writes them by hand: what a library or an exporter has to be worth."""

import torch
from torch import nn


class DenseFlow(nn.Module):
    """A Real NVP over vectors: couplings change the halves in turn, x = (z + t) exp(s), s = tanh, nets of three layers.

    forward: z (N, size) -> v (N, size), unbounded; encode undoes it; decode: z -> images sigmoid(v) (N, C, H, W).
    """

    def __init__(self, image, width, couplings):
        super().__init__()
        size = image[0] * image[1] * image[2]
        self.image, self.half = tuple(image), size // 2
        self.nets = nn.ModuleList(
            nn.Sequential(
                nn.Linear(self.half, width), nn.ReLU(), nn.Linear(width, width), nn.ReLU(), nn.Linear(width, size)
            )
            for _ in range(couplings)
        )  # fmt: skip

    def scale_and_shift(self, net, still):
        s, t = torch.split(net(still), [self.half, self.half], 1)
        return torch.tanh(s), t

    def forward(self, z):
        still, moved = torch.split(z, [self.half, self.half], 1)
        for net in self.nets:
            s, t = self.scale_and_shift(net, still)
            still, moved = (moved + t) * torch.exp(s), still
        return torch.cat([still, moved], 1)

    def encode(self, v):
        still, moved = torch.split(v, [self.half, self.half], 1)
        for net in reversed(self.nets):
            s, t = self.scale_and_shift(net, moved)
            still, moved = moved, still * torch.exp(-s) - t
        return torch.cat([still, moved], 1)

    def decode(self, z):
        return torch.sigmoid(self(z)).reshape((-1,) + self.image)


def mlp_decoder(latent, hidden, image):
    """The decoder of pytorch/examples: latent -> hidden -> pixels, ReLU, sigmoid."""
    pixels = image[0] * image[1] * image[2]
    return nn.Sequential(
        nn.Linear(latent, hidden), nn.ReLU(), nn.Linear(hidden, pixels), nn.Sigmoid(), nn.Unflatten(1, tuple(image))
    )


class ConvDecoder(nn.Module):
    """Two transposed convolutions with batch norm, then one of 3x3, beside a dense net; the sigmoid of their sum."""

    def __init__(self, latent, hidden, image):
        super().__init__()
        small, pixels = (2 * hidden, image[1] // 4, image[2] // 4), image[0] * image[1] * image[2]
        self.convolutions = nn.Sequential(
            nn.Linear(latent, small[0] * small[1] * small[2]), nn.ReLU(), nn.Unflatten(1, small),
            nn.ConvTranspose2d(2 * hidden, hidden, 4, 2, 1, bias=False), nn.BatchNorm2d(hidden), nn.ReLU(),
            nn.ConvTranspose2d(hidden, hidden, 4, 2, 1, bias=False), nn.BatchNorm2d(hidden), nn.ReLU(),
            nn.Conv2d(hidden, image[0], 3, padding=1),
        )  # fmt: skip
        self.dense = nn.Sequential(
            nn.Linear(latent, 8 * hidden), nn.ReLU(), nn.Linear(8 * hidden, pixels), nn.Unflatten(1, tuple(image))
        )

    def forward(self, z):
        return torch.sigmoid(self.convolutions(z) + self.dense(z))


DECODERS = {"mlp": mlp_decoder, "conv": ConvDecoder}


def decoder_like(vae):
    """A VAE of this project, unconditional -> the decoder above that has its shape and its weights."""
    found = DECODERS[vae.form](vae.latent, vae.hidden, vae.image)
    parts = [vae.nets.decoder] if vae.form == "mlp" else [vae.nets.widen, vae.nets.decoder, vae.nets.dense]
    tensors = [tensor for part in parts for tensor in part.state_dict().values()]
    found.load_state_dict(dict(zip(found.state_dict(), tensors)))
    return found
