"""LFFD, the face detector (He et al., 2019, arXiv 1904.10633), both versions, as its repository deploys them.

Source: YonghaoHe/LFFD-A-Light-and-Fast-Face-Detector-for-Edge-Devices, face_detection/symbol_farm (random weights here).
"""

from torch import nn
from torch.nn import functional

# (channels, stride, what follows): "a" ReLU; "r" the residual of the last strided or residual sum, then ReLU; "h" also a head
V1 = [
    (64, 2, "a"), (64, 2, "a"), (64, 1, "a"), (64, 1, "r"), (64, 1, "a"), (64, 1, "r"), (64, 1, "a"), (64, 1, "rh"),
    (64, 1, "a"), (64, 1, "rh"), (64, 2, "a"), (64, 1, "a"), (64, 1, "rh"), (64, 1, "a"), (64, 1, "rh"),
    (128, 2, "a"), (128, 1, "a"), (128, 1, "rh"), (128, 2, "a"), (128, 1, "a"), (128, 1, "rh"),
    (128, 1, "a"), (128, 1, "rh"), (128, 1, "a"), (128, 1, "rh"),
]  # fmt: skip
V2 = [
    (64, 2, "a"), (64, 2, "a"), (64, 1, "a"), (64, 1, "r"), (64, 1, "a"), (64, 1, "r"), (64, 1, "a"), (64, 1, "rh"),
    (64, 2, "a"), (64, 1, "a"), (64, 1, "rh"), (64, 2, "a"), (64, 1, "a"), (64, 1, "rh"),
    (128, 2, "a"), (128, 1, "a"), (128, 1, "rh"), (128, 2, "a"), (128, 1, "a"), (128, 1, "rh"),
]  # fmt: skip


class Head(nn.Module):
    """Scores and boxes from one scale, convolutions of 1x1 only."""

    def __init__(self, given):
        super().__init__()
        self.first = nn.Conv2d(given, 128, 1)
        self.score, self.scores = nn.Conv2d(128, 128, 1), nn.Conv2d(128, 2, 1)
        self.box, self.boxes = nn.Conv2d(128, 128, 1), nn.Conv2d(128, 4, 1)

    def forward(self, x):
        x = functional.relu(self.first(x))
        scores = self.scores(functional.relu(self.score(x))).softmax(1)
        return scores[:, 0:1], self.boxes(functional.relu(self.box(x)))


class LFFD(nn.Module):
    def __init__(self, plan):
        super().__init__()
        self.plan, given = plan, 3
        self.convs, self.heads = nn.ModuleList(), nn.ModuleList()
        for channels, stride, then in plan:
            self.convs.append(nn.Conv2d(given, channels, 3, stride, 0 if stride == 2 else 1))
            given = channels
            if "h" in then:
                self.heads.append(Head(given))

    def forward(self, x):
        x = (x - 127.5) / 127.5
        kept, found, heads = None, [], iter(self.heads)
        for layer, (_, stride, then) in zip(self.convs, self.plan, strict=True):
            x = layer(x)
            if "r" in then:
                x = x + kept
            if stride == 2 or "r" in then:
                kept = x
            x = functional.relu(x)
            if "h" in then:
                found += next(heads)(x)
        return tuple(found)


NETWORKS = {"LFFD v1 (25 layers)": lambda: LFFD(V1), "LFFD v2 (20 layers)": lambda: LFFD(V2)}
