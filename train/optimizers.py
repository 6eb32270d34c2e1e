"""Optimisers by name: adam (Kingma & Ba, 2015), and muon, which trains flows in fewer steps.

Muon (Jordan et al., 2024; kellerjordan.github.io/posts/muon) takes steps along the orthogonalised momentum of weight
matrices. torch's own takes matrices only: a convolution's weights are one, output channels by all the rest, and here
they are trained through views of that shape. Everything that is no convolution's weight is left to Adam.
"""

import torch
from torch import nn


class ConvolutionMuon(torch.optim.Muon):
    """torch's Muon for convolutions' weights (out, in, h, w), which it changes where they lie."""

    def __init__(self, weights, lr):
        self.weights = list(weights)
        matrices = [nn.Parameter(weight.detach().flatten(1)) for weight in self.weights]
        super().__init__(matrices, lr, weight_decay=0.0, adjust_lr_fn="match_rms_adamw")

    def step(self, closure=None):
        for matrix, weight in zip(self.param_groups[0]["params"], self.weights, strict=True):
            matrix.grad = weight.grad.flatten(1)
        return super().step(closure)


def make_optimizers(name, model, lr):
    """ "adam" or "muon", a model -> {name in the checkpoint: optimiser}, which share its parameters among them."""
    parameters = list(model.parameters())
    if name == "adam":
        return {"optimizer": torch.optim.Adam(parameters, lr)}
    weights = [parameter for parameter in parameters if parameter.ndim == 4]
    others = [parameter for parameter in parameters if parameter.ndim != 4]
    return {"optimizer": torch.optim.Adam(others, lr), "muon": ConvolutionMuon(weights, lr)}
