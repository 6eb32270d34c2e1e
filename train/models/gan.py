"""A conditional GAN: the generator, which is the model, and the discriminator that it is trained against.

The generator has the shape of a convolutional decoder (Radford et al., 2016; arXiv:1511.06434), so it exports and runs
like a VAE's. The discriminator judges an image together with its label by a projection (Miyato & Koyama, 2018;
arXiv:1802.05637). Only the generator is exported: a discriminator belongs to training, as an optimiser's state does.

Shapes: x image (N, C, H, W) in [0, 1]; y labels (N, classes) one-hot or mixing weights; z latent (N, latent).
"""

import torch
from torch import nn

from .vae import see_labels


class GAN(nn.Module):
    """The generator; with classes > 0 a conditional one.

    image: (C, H, W), H and W multiples of 4; hidden: channels of the last hidden layer, doubled in the one before.
    Raises ValueError for an image that does not fit.
    """

    def __init__(self, image=(1, 28, 28), latent=64, classes=10, hidden=32):
        super().__init__()
        check_size(image)
        self.image, self.latent, self.classes, self.hidden = tuple(image), latent, classes, hidden
        self.arguments = {"image": list(image), "latent": latent, "classes": classes, "hidden": hidden}
        self.small = (2 * hidden, image[1] // 4, image[2] // 4)
        flat = self.small[0] * self.small[1] * self.small[2]
        self.widen = nn.Sequential(see_labels(nn.Linear(latent + classes, flat), classes), nn.ReLU())
        self.layers = nn.Sequential(
            nn.ConvTranspose2d(2 * hidden, hidden, 4, 2, 1, bias=False),
            nn.BatchNorm2d(hidden),
            nn.ReLU(),
            nn.ConvTranspose2d(hidden, hidden, 4, 2, 1, bias=False),
            nn.BatchNorm2d(hidden),
            nn.ReLU(),
            nn.Conv2d(hidden, image[0], 3, padding=1),
        )

    def decode(self, z, y=None):
        """z (N, latent), y (N, classes) -> images (N, C, H, W) in [0, 1]."""
        flat = self.widen(z if y is None else torch.cat([z, y], 1))
        logits = self.layers(flat.reshape((-1,) + self.small))
        if logits.dtype in (torch.bfloat16, torch.float16):  # autocast: bfloat16 has no levels between 0.996 and 1
            logits = logits.float()
        return torch.sigmoid(logits)

    def forward(self, z, y=None):
        return self.decode(z, y)

    def discriminator(self):
        """A fresh discriminator for images and labels like these, as wide as the generator."""
        return Discriminator(self.image, self.classes, self.hidden)


class Discriminator(nn.Module):
    """Scores (N,) of images x under labels y: above 0 for real. Features, and their projection on the label's."""

    def __init__(self, image, classes, hidden, features=128):
        super().__init__()
        check_size(image)
        flat = 2 * hidden * (image[1] // 4) * (image[2] // 4)
        self.features = nn.Sequential(
            nn.Conv2d(image[0], hidden, 4, 2, 1),
            nn.LeakyReLU(0.2),
            nn.Conv2d(hidden, 2 * hidden, 4, 2, 1),
            nn.LeakyReLU(0.2),
            nn.Flatten(),
            nn.Linear(flat, features),
            nn.LeakyReLU(0.2),
        )
        self.score = nn.Linear(features, 1)
        self.embed = nn.Linear(classes, features, bias=False) if classes else None

    def forward(self, x, y=None):
        features = self.features(2 * x - 1)
        score = self.score(features)[:, 0]
        if y is not None:
            score = score + (features * self.embed(y)).sum(1)
        return score.float() if score.dtype in (torch.bfloat16, torch.float16) else score


def check_size(image):
    """Raises ValueError for an image that cannot be halved twice."""
    if image[1] % 4 or image[2] % 4:
        raise ValueError("image is {}x{}: height and width must be multiples of 4 for a GAN".format(image[1], image[2]))
