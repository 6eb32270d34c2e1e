"""Optimisers by name: adam (Kingma & Ba, 2015), and muon, which trains flows in fewer steps."""

import math

import torch

MOMENTUM = 0.95
COEFFICIENTS = (3.4445, -4.7750, 2.0315)  # of x, x^3 and x^5 in an iteration
ITERATIONS = 5


class Muon(torch.optim.Optimizer):
    """Muon (Jordan et al., 2024; kellerjordan.github.io/posts/muon) for convolutions' weights (out, in, h, w).

    A step goes along the orthogonalised momentum of the weights as a matrix, output channels by all the rest, and is
    scaled to be as long as Adam's. The steps are those of torch.optim.Muon with adjust_lr_fn="match_rms_adamw" and
    no weight decay, which takes matrices only and orthogonalises in bfloat16: a processor that does not multiply
    bfloat16 emulates it, which took longer than all the rest of a step. Here it is float32.
    """

    def __init__(self, weights, lr):
        super().__init__(list(weights), {"lr": lr})

    @torch.no_grad()
    def step(self):
        for group in self.param_groups:
            for weight in group["params"]:
                gradient, state = weight.grad.flatten(1), self.state[weight]
                if not state:
                    state["momentum_buffer"] = torch.zeros_like(gradient)
                mean = state["momentum_buffer"].lerp_(gradient, 1 - MOMENTUM)
                update = orthogonalised(gradient.lerp(mean, MOMENTUM))
                weight.sub_(update.view_as(weight), alpha=0.2 * math.sqrt(max(update.shape)) * group["lr"])


def orthogonalised(matrix):
    """A matrix (rows, columns) -> about the nearest orthogonal one: its singular values come to 0.7 to 1.2."""
    a, b, c = COEFFICIENTS
    wide = matrix if matrix.shape[0] <= matrix.shape[1] else matrix.T
    wide = wide / wide.norm().clamp(min=1e-7)
    for _ in range(ITERATIONS):
        gram = wide @ wide.T
        wide = torch.addmm(wide, torch.addmm(gram, gram, gram, beta=b, alpha=c), wide, beta=a)
    return wide if matrix.shape[0] <= matrix.shape[1] else wide.T


def make_optimizers(name, model, lr):
    """ "adam" or "muon", a model -> {name in the checkpoint: optimiser}, which share its parameters among them."""
    parameters = list(model.parameters())
    if name == "adam":
        return {"optimizer": torch.optim.Adam(parameters, lr)}
    weights = [parameter for parameter in parameters if parameter.ndim == 4]
    others = [parameter for parameter in parameters if parameter.ndim != 4]
    return {"optimizer": torch.optim.Adam(others, lr), "muon": Muon(weights, lr)}
