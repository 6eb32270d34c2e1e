"""What flows are made of: the 2x2 squeeze and the affine coupling of Real NVP (Dinh et al., 2017; arXiv:1605.08803).

Shapes: x image (N, C, H, W); a and b are its halves, (N, c, h, w) each; log_det (N,), natural logarithm.
"""

import torch
from torch import nn


class Squeeze(nn.Module):
    """(N, c, 2h, 2w) <-> halves a, b of (N, 2c, h, w): a has the pixels whose row + column is even, b the others."""

    def forward(self, x):
        c, h, w = x.shape[1], x.shape[2] // 2, x.shape[3] // 2
        x = x.reshape(-1, c, h, 2, w, 2).permute(0, 3, 5, 1, 2, 4)  # (N, row, column, c, h, w)
        a = torch.cat([x[:, 0, 0], x[:, 1, 1]], 1)
        b = torch.cat([x[:, 0, 1], x[:, 1, 0]], 1)
        return a, b

    def inverse(self, a, b):
        c, h, w = a.shape[1] // 2, a.shape[2], a.shape[3]
        a, b = a.reshape(-1, 2, c, h, w), b.reshape(-1, 2, c, h, w)
        x = torch.stack([a[:, 0], b[:, 0], b[:, 1], a[:, 1]], 1).reshape(-1, 2, 2, c, h, w)
        return x.permute(0, 3, 4, 1, 5, 2).reshape(-1, c, 2 * h, 2 * w)


class LabelPlanes(nn.Linear):
    """Labels y (N, classes), one-hot or mixing weights -> planes (N, planes, h, w): learnt pictures for each class."""

    def __init__(self, classes, planes, size):
        super().__init__(classes, planes * size[0] * size[1], bias=False)
        self.shape = (planes,) + tuple(size)
        nn.init.normal_(self.weight, std=0.3)

    def forward(self, y):
        return super().forward(y).reshape((-1,) + self.shape)


class Coupling(nn.Module):
    """One affine coupling, x = (z + t) * exp(s) with s, t = net(still half, label planes) (section 3.2).

    The paper's y = x * exp(s) + t with both signs turned, so that the direction that runs on the board negates nothing.
    s = bound * tanh(.): no coupling scales by more than exp(bound), in either direction, whatever the net returns. The
    net is a 3x3 convolution, `depth` 1x1 convolutions and a 3x3 convolution, which starts at zero, so that the flow
    starts as the identity. A bound of 1 costs no multiplication.
    """

    def __init__(self, channels, planes, width, depth, bound):
        super().__init__()
        self.channels, self.planes, self.bound = channels, planes, bound
        layers = [nn.Conv2d(channels + planes, width, 3, padding=1), nn.ReLU()]
        for _ in range(depth):
            layers += [nn.Conv2d(width, width, 1), nn.ReLU()]
        self.hidden = nn.Sequential(*layers)
        self.last = nn.Conv2d(width, 2 * channels, 3, padding=1)
        nn.init.zeros_(self.last.weight)
        nn.init.zeros_(self.last.bias)

    def scale_and_shift(self, still, planes):
        raw = self.last(self.hidden(torch.cat([still, planes], 1) if self.planes else still))
        if raw.dtype in (torch.bfloat16, torch.float16):  # autocast: the nets in half, the flow itself in float32
            raw = raw.float()
        s, t = torch.split(raw, [self.channels, self.channels], 1)
        s = torch.tanh(s)
        return s if self.bound == 1 else self.bound * s, t

    def forward(self, still, moved, planes):
        s, t = self.scale_and_shift(still, planes)
        return moved * torch.exp(-s) - t, -s.flatten(1).sum(1)

    def inverse(self, still, moved, planes):
        s, t = self.scale_and_shift(still, planes)
        return (moved + t) * torch.exp(s)


class Couplings(nn.ModuleList):
    """Couplings that change b and a in turn; planes: what all their nets see beside the still half."""

    def forward(self, a, b, planes):
        log_det = 0
        for index, coupling in enumerate(self):
            if index % 2 == 0:
                b, change = coupling(a, b, planes)
            else:
                a, change = coupling(b, a, planes)
            log_det = log_det + change
        return a, b, log_det

    def inverse(self, a, b, planes):
        for index, coupling in reversed(list(enumerate(self))):
            if index % 2 == 0:
                b = coupling.inverse(a, b, planes)
            else:
                a = coupling.inverse(b, a, planes)
        return a, b
