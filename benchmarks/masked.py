"""A conventional Real NVP, as most PyTorch code has it: full resolution, binary masks, both colours computed.

It is a yardstick for the cost of the design, so it has as many couplings as the flow that it is compared with, and
nets of the same depth and width as that flow's first level; labels enter as planes. Its weights are random.
"""

import torch
from torch import nn

from ..runtime.errors import BackendError
from .eager import EagerEngine, chosen


class MaskedCoupling(nn.Module):
    """x -> m x + (1 - m) (x - t) exp(-s), with s, t = net(m x, labels) (Dinh et al., 2017, eq. 9)."""

    def __init__(self, channels, planes, width, depth, mask):
        super().__init__()
        layers = [nn.Conv2d(channels + planes, width, 3, padding=1), nn.ReLU()]
        for _ in range(depth):
            layers += [nn.Conv2d(width, width, 1), nn.ReLU()]
        self.net = nn.Sequential(*layers, nn.Conv2d(width, 2 * channels, 3, padding=1))
        self.register_buffer("mask", mask)
        self.scale = nn.Parameter(torch.ones(1, channels, 1, 1))

    def inverse(self, x, planes):
        kept = x * self.mask
        s, t = self.net(torch.cat([kept, planes], 1)).chunk(2, 1)
        s = torch.tanh(s) * self.scale * (1 - self.mask)
        return kept + (1 - self.mask) * (x - t * (1 - self.mask)) * torch.exp(-s)


class MaskedRealNVP(nn.Module):
    """image (C, H, W), classes, number of couplings, width and depth of their nets -> a flow with an inverse only."""

    def __init__(self, image, classes, couplings, width, depth, planes, alpha=1e-5):
        super().__init__()
        self.image, self.alpha, self.planes = tuple(image), alpha, planes
        rows, columns = torch.arange(image[1])[:, None], torch.arange(image[2])[None]
        board = ((rows + columns) % 2).float()
        self.embed = nn.Linear(classes, planes * image[1] * image[2], bias=False)
        self.couplings = nn.ModuleList(
            MaskedCoupling(image[0], planes, width, depth, board if index % 2 else 1 - board)
            for index in range(couplings)
        )

    def inverse(self, z, y):
        x = z.reshape((-1,) + self.image)
        planes = self.embed(y).reshape(-1, self.planes, self.image[1], self.image[2])
        for coupling in reversed(self.couplings):
            x = coupling.inverse(x, planes)
        return (torch.sigmoid(x) - self.alpha) / (1 - 2 * self.alpha)


class MaskedEngine(EagerEngine):
    """The conventional flow with as many couplings as the bundle's; other weights, so its output is not checked."""

    backend = "masked"

    @classmethod
    def open(cls, bundle, graph, threads=None, device="auto"):
        described = bundle.manifest["model"]
        if described["class"] != "RealNVP" or graph.name != "decode" or not bundle.classes:
            raise BackendError(
                "system 'masked' stands beside 'decode' of a conditional realnvp, not of '{}'".format(bundle.family)
            )
        if threads:
            torch.set_num_threads(threads)
        place = chosen(device)
        own = described["arguments"]
        couplings, width = sum(own["couplings"]), own["width"][0]
        model = MaskedRealNVP(own["image"], own["classes"], couplings, width, own["depth"], own["planes"])
        return cls(graph, model.eval().to(place).inverse, place)
