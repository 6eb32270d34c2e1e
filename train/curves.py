"""Pictures of training and evaluation: the curve of the losses, grids of samples, the power spectrum."""

import io
import math

import torch
from torch.nn import functional

from .checkpoint import write_atomically


def draw_curve(path, history, panels, title):
    """History (a list of dicts with epoch and losses), {unit: names of losses} -> a PNG, a panel for each unit."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(6 * len(panels), 3.6), layout="constrained")
    figure.suptitle(title)
    epochs = [row["epoch"] for row in history]
    for axes, (unit, names) in zip(figure.subplots(1, len(panels), squeeze=False)[0], panels.items(), strict=True):
        for name, style in zip(names, ("o-", "s--"), strict=False):
            axes.plot(epochs, [row[name] for row in history], style, markersize=3, label=name)
        axes.set(xlabel="epoch", ylabel=unit)
        axes.grid(alpha=0.3)
        axes.legend()
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=110)
    write_atomically(path, buffer.getvalue())


def draw_spectrum(spectrum, title):
    """{frequencies, real, samples} (mean power by cycles an image) -> PNG bytes: both spectra, their ratio below."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(6, 4.8), layout="constrained")
    upper, lower = figure.subplots(2, sharex=True, height_ratios=(2, 1))
    for name, style in (("real", "k-"), ("samples", "o-")):
        upper.semilogy(spectrum["frequencies"], spectrum[name], style, markersize=3, label=name)
    pairs = zip(spectrum["samples"], spectrum["real"], strict=True)
    ratio = [one / other if other else math.nan for one, other in pairs]
    lower.plot(spectrum["frequencies"], ratio, "o-", markersize=3)
    lower.axhline(1, color="black", linewidth=0.8)
    upper.set(ylabel="mean power", title=title)
    lower.set(xlabel="cycles an image", ylabel="samples / real")
    upper.legend()
    for axes in (upper, lower):
        axes.grid(alpha=0.3)
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=110)
    return buffer.getvalue()


@torch.no_grad()
def draw_samples(path, model, temperature, seed, columns=8):
    """A grid of samples: one row a class (ten rows without classes), the same noise every time."""
    from torchvision.transforms.functional import to_pil_image
    from torchvision.utils import make_grid

    rows = model.classes or 10
    device = next(model.parameters()).device
    noise = torch.randn(rows * columns, model.latent, generator=torch.Generator().manual_seed(seed))
    labels = functional.one_hot(torch.arange(rows).repeat_interleave(columns), rows).float().to(device)
    images = model.decode(temperature * noise.to(device), labels if model.classes else None)
    grid = make_grid(images.clamp(0, 1).cpu(), nrow=columns, padding=1, pad_value=0.5)
    buffer = io.BytesIO()
    to_pil_image(grid).resize((grid.shape[2] * 2, grid.shape[1] * 2), 0).save(buffer, format="png")
    write_atomically(path, buffer.getvalue())
