"""What a training run carries from step to step, and one step of it."""

import math
from functools import partial

import torch
from torch.nn import functional
from torch.optim.swa_utils import AveragedModel

from . import checkpoint, processes
from .device import choose_precision
from .errors import NotFiniteError, SettingsError
from .optimizers import make_optimizers
from .settings import FAMILIES, make_model


def averaging(decay):
    """Exponential moving average whose horizon grows with the steps, so that short runs are not held back."""

    def average(means, values, count):
        torch._foreach_lerp_(means, values, 1 - min(decay, (1 + count.item()) / (10 + count.item())))

    return average


class Objective(torch.nn.Module):
    """A loss as the forward of the network that it trains, which is what DistributedDataParallel follows."""

    def __init__(self, network, loss):
        super().__init__()
        self.network, self.loss = network, loss

    def forward(self, *inputs):
        return self.loss(self.network, *inputs)


class Run:
    """Model, average, optimiser and history of a family with a loss; adversarial.py has that of a GAN."""

    losses_shown = ("train",)  # what update returns, by its names in the history

    def __init__(self, settings, data, device):
        torch.manual_seed(settings["seed"])
        self.settings, self.device = settings, device
        self.family = FAMILIES[settings["family"]]
        self.model = make_model(settings, data).to(device)
        self.average = AveragedModel(self.model, multi_avg_fn=averaging(settings["ema"]))
        self.objective = processes.parallel(Objective(self.model, self.training_loss))
        self.optimizers = make_optimizers(settings["optimizer"], self.model, settings["lr"])
        self.precision = choose_precision(settings["precision"], device)
        self.history = []
        self.step = 0

    def panels(self):
        """What the curve shows: {unit: names in the history}."""
        return {self.family.unit: ("train", "validation")}

    def labels(self, labels):
        if not self.model.classes:
            return None
        return functional.one_hot(labels, self.model.classes).float().to(self.device)

    def autocast(self):
        return torch.autocast(self.device.type, torch.bfloat16, enabled=self.precision == "bf16")

    def loss(self, model, x8, y, generator, **options):
        """Losses (N,) of images, of the family and in the precision of this run; options: of the family's loss."""
        with self.autocast():
            return self.family.loss(model, x8, y, generator, **options)

    def training_loss(self, model, *batch):
        """loss, and with --contrast what joins it in training alone."""
        contrast = self.settings["contrast"]
        return self.loss(model, *batch, **({"contrast": contrast} if contrast else {}))

    def losses(self, loss, data, rows, generator):
        """Losses (N,) of rows of the data; loss: the objective, or the loss with a model of its own."""
        return loss(data.images[rows].to(self.device), self.labels(data.labels[rows]), generator)

    def update(self, data, rows, generator, rate):
        """One step on rows of the data at a learning rate -> {name in the history: mean loss}, before the step."""
        part = processes.share(rows, generator)
        self.model.train()
        loss = part.factor * self.losses(self.objective, data, part.rows, part.generator).sum()
        value = self.descend(self.model, self.optimizers.values(), loss, rate)
        self.average.update_parameters(self.model)
        self.step += 1
        return {"train": value}

    def descend(self, network, optimizers, loss, rate):
        """One step of a network's optimisers down a loss, the mean over all processes, which is returned.

        Raises NotFiniteError, and takes no step, where the loss or its gradient is no number.
        """
        value = finite("loss", processes.mean(loss))
        network.zero_grad()
        loss.backward()
        finite("gradient", torch.nn.utils.clip_grad_norm_(network.parameters(), self.settings["clip"]).item())
        for optimizer in optimizers:
            optimizer.param_groups[0]["lr"] = rate
            optimizer.step()
        return value

    def networks(self):
        """{prefix of its layers' names: module}"""
        return {"": self.model}

    def rehearse(self, data, rows, generator):
        """The forward pass of an update again, without its step."""
        self.losses(partial(self.training_loss, self.model), data, rows, generator)

    @torch.no_grad()
    def validate(self, data):
        """Mean loss of the averaged weights over held-out data, with the same noise every time."""
        loss, generator = (
            partial(self.loss, self.average.module.eval()),
            torch.Generator().manual_seed(self.settings["seed"]),
        )
        total = torch.zeros((), dtype=torch.float64, device=self.device)
        for rows in torch.arange(len(data.labels)).split(256):
            part = processes.share(rows, generator)
            total += self.losses(loss, data, part.rows, part.generator).sum() * (part.factor * len(rows))
        return processes.mean(total) / len(data.labels)

    def arrays(self):
        """Everything that a checkpoint keeps as arrays."""
        arrays = checkpoint.arrays_of("model", self.model.state_dict())
        arrays.update(checkpoint.arrays_of("ema", self.average.module.state_dict()))
        for name, optimizer in self.optimizers.items():
            arrays.update(checkpoint.arrays_of_optimizer(name, optimizer))
        return arrays

    def save(self, path, data):
        about = {
            "model": {"class": type(self.model).__name__, "arguments": self.model.arguments},
            "settings": self.settings,
            "data": describe(data),
            "history": self.history,
            "unit": self.family.unit,
            "step": self.step,
            "averaged": int(self.average.n_averaged),
        }
        checkpoint.save(path, about, self.arrays())

    def start(self, stored, data):
        """Begin with the averaged weights of another run; raises SettingsError where its images or classes differ."""
        if self.settings["data"] == stored.about["settings"]["data"]:
            refuse_other(data, stored, "give the data of that run")
        seen, now = stored.about["model"]["arguments"], self.model.arguments
        for key, told in (("image", "shape of its images"), ("classes", "number of its classes")):
            if seen[key] != now[key]:
                differ = f"the {told} is {seen[key]}, and the data have {now[key]}"
                raise SettingsError(f"--start: {differ}: give other data")
        for model in (self.model, self.average.module):
            checkpoint.load_state(model, stored.state("ema"), type(self.model).__name__)

    def restore(self, stored, data):
        """Take up a stored run; raises where it is of another model, or was trained on other data."""
        refuse_other(data, stored, "start anew")
        name = stored.about["model"]["class"]
        checkpoint.load_state(self.model, stored.state("model"), name)
        checkpoint.load_state(self.average.module, stored.state("ema"), name)
        self.average.n_averaged.fill_(stored.about["averaged"])
        for name, optimizer in self.optimizers.items():
            checkpoint.load_optimizer(optimizer, stored.state(name))
        self.history, self.step = stored.about["history"], stored.about["step"]


def finite(name, value):
    """The value itself; raises NotFiniteError where it is no number."""
    if math.isfinite(value):
        return value
    raise NotFiniteError(f"the {name} became {value}")


def refuse_other(data, stored, advice):
    """Raises SettingsError where Data are not those of a stored run."""
    seen = stored.about["data"]
    for key, now in describe(data).items():
        if seen[key] != now:
            raise SettingsError(f"the {key} of the data were {seen[key]} and are {now} now: {advice}")


def describe(data):
    """What a checkpoint records of the training data."""
    return {"name": data.name, "classes": list(data.classes), "images": len(data.labels)}
