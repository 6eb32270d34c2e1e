"""Training a GAN: a step of the discriminator, then one of the generator, in the same run, checkpoint and report.

Non-saturating logistic loss (Goodfellow et al., 2014; arXiv:1406.2661) with R1, the penalty on the squared gradient at
real images (Mescheder et al., 2018; arXiv:1801.04406). A GAN has no likelihood: what is reported on held-out images is
their energy distance (losses.py) to as many samples of the averaged generator with the same labels.
"""

import torch
from torch.nn import functional

from . import checkpoint, processes
from .errors import DataError
from .losses import energy_distance
from .run import Objective, Run

BETAS = (0.5, 0.99)  # of both optimisers: a long memory of gradients misleads where the loss itself moves
PENALTY = 1.0  # gamma of R1
COMPARED = 2000  # held-out images that the energy distance takes


class AdversarialRun(Run):
    """A run whose model is a generator: it carries the discriminator and its optimiser as well."""

    losses_shown = ("discriminator", "generator")

    def __init__(self, settings, data, device):
        super().__init__(settings, data, device)
        self.discriminator = self.model.discriminator().to(device)
        self.optimizers = {"optimizer": torch.optim.Adam(self.model.parameters(), settings["lr"], BETAS)}
        self.judging = processes.parallel(Objective(self.discriminator, self.judge))
        self.opponent = torch.optim.Adam(self.discriminator.parameters(), settings["lr"], BETAS)

    def panels(self):
        return {"logistic loss (nats)": self.losses_shown, self.family.unit: ("validation",)}

    def update(self, data, rows, generator, rate):
        """One step of each -> {"discriminator", "generator": mean loss}; the penalty is not in the figures."""
        part = processes.share(rows, generator)
        x, y, first, second = self.batch(data, part.rows, part.generator)
        self.model.train()
        judged, penalty = self.judging(x, y, first)
        self.descend(self.discriminator, [self.opponent], part.factor * (judged + PENALTY / 2 * penalty), rate)
        fooled = self.descend(self.model, self.optimizers.values(), part.factor * self.objective(y, second), rate)
        self.average.update_parameters(self.model)
        self.step += 1
        return {"discriminator": processes.mean(part.factor * judged), "generator": fooled}

    def batch(self, data, rows, generator):
        """Real images in [0, 1], their labels, noise for the discriminator's step and for the generator's."""
        x, y = data.images[rows].to(self.device).float() / 255, self.labels(data.labels[rows])
        shape = (len(rows), self.model.latent)
        first, second = (processes.draw(torch.randn, shape, generator).to(self.device) for _ in range(2))
        return x, y, first, second

    def networks(self):
        return {"generator.": self.model, "discriminator.": self.discriminator}

    def rehearse(self, data, rows, generator):
        x, y, first, second = self.batch(data, rows, generator)
        self.judge(self.discriminator, x, y, first)
        self.loss(self.model, y, second)

    def judge(self, discriminator, x, y, noise):
        """Discriminator, real images, labels, noise -> its loss and R1's squared gradient, summed over the images."""
        x.requires_grad_()
        with self.autocast():
            with torch.no_grad():
                made = self.model.decode(noise, y)
            real, fake = discriminator(x, y), discriminator(made, y)
        (slope,) = torch.autograd.grad(real.sum(), x, create_graph=True)
        loss = functional.softplus(-real).sum() + functional.softplus(fake).sum()
        return loss, slope.square().sum()

    def loss(self, model, y, noise):
        """Generator, labels, noise -> the sum of its losses; no gradient is kept for the discriminator."""
        self.discriminator.requires_grad_(False)
        with self.autocast():
            score = self.discriminator(model.decode(noise, y), y)
        self.discriminator.requires_grad_(True)
        return functional.softplus(-score).sum()

    @torch.no_grad()
    def validate(self, data):
        """Energy distance of held-out images to samples of the averaged generator, with the same noise every time."""
        count = len(data.labels)
        if count < 2:
            raise DataError(f"{count} image is held out, expected at least 2 for an energy distance: give more images")
        rows = torch.arange(count) if count <= COMPARED else torch.linspace(0, count - 1, COMPARED).long()
        model, generator = self.average.module.eval(), torch.Generator().manual_seed(self.settings["seed"])
        noise = torch.randn(len(rows), model.latent, generator=generator).to(self.device)
        with self.autocast():
            made = model.decode(noise, self.labels(data.labels[rows]))
        return processes.mean(energy_distance(data.images[rows].to(self.device).float() / 255, made))

    def arrays(self):
        return {
            **super().arrays(),
            **checkpoint.arrays_of("discriminator", self.discriminator.state_dict()),
            **checkpoint.arrays_of_optimizer("opponent", self.opponent),
        }

    def start(self, stored, data):
        super().start(stored, data)
        checkpoint.load_state(self.discriminator, stored.state("discriminator"), "Discriminator")

    def restore(self, stored, data):
        super().restore(stored, data)
        checkpoint.load_state(self.discriminator, stored.state("discriminator"), "Discriminator")
        checkpoint.load_optimizer(self.opponent, stored.state("opponent"))
