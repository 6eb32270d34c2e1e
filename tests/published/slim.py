"""The networks of TensorFlow's slim library that a TX2 was measured with, built from its definitions (random weights).

Sources: tensorflow/models, research/slim/nets (resnet_v1.py, resnet_v2.py, mobilenet_v1.py, inception_v4.py,
inception_resnet_v2.py) and the papers they cite; what was measured and how: NVIDIA-AI-IOT/tf_to_trt_image_classification.
Padding "SAME" is written as symmetric padding here, which gives the same sizes.
"""

import torch
from torch import nn
from torch.nn import functional
from torchvision import models


def conv(given, made, size=1, stride=1, padding="same", relu=True, norm=True, groups=1):
    """Convolution, batch normalisation, ReLU, as slim's arg_scope has them."""
    size = (size, size) if isinstance(size, int) else size
    pad = tuple(extent // 2 for extent in size) if padding == "same" else 0
    layers = [nn.Conv2d(given, made, size, stride, pad, groups=groups, bias=not norm)]
    return nn.Sequential(*layers, *[nn.BatchNorm2d(made)] * norm, *[nn.ReLU()] * relu)


def subsample(x, stride):
    return x if stride == 1 else functional.max_pool2d(x, 1, stride)


class BottleneckV1(nn.Module):
    def __init__(self, given, base, stride):
        super().__init__()
        self.stride, self.same = stride, given == 4 * base
        self.shortcut = None if self.same else conv(given, 4 * base, 1, stride, relu=False)
        self.residual = nn.Sequential(
            conv(given, base), conv(base, base, 3, stride), conv(base, 4 * base, relu=False)
        )

    def forward(self, x):
        shortcut = subsample(x, self.stride) if self.same else self.shortcut(x)
        return functional.relu(self.residual(x) + shortcut)


class BottleneckV2(nn.Module):
    def __init__(self, given, base, stride):
        super().__init__()
        self.stride, self.same = stride, given == 4 * base
        self.before = nn.Sequential(nn.BatchNorm2d(given), nn.ReLU())
        self.shortcut = None if self.same else conv(given, 4 * base, 1, stride, relu=False, norm=False)
        self.residual = nn.Sequential(
            conv(given, base), conv(base, base, 3, stride), conv(base, 4 * base, relu=False, norm=False)
        )

    def forward(self, x):
        before = self.before(x)
        shortcut = subsample(x, self.stride) if self.same else self.shortcut(before)
        return self.residual(before) + shortcut


class ResNet(nn.Module):
    """slim strides in the last unit of a block, not in the first as torchvision does."""

    def __init__(self, bottleneck, units, classes):
        super().__init__()
        second = bottleneck is BottleneckV2
        layers = [conv(3, 64, 7, 2, relu=not second, norm=not second), nn.MaxPool2d(3, 2, 1)]
        given = 64
        for base, count, stride in zip((64, 128, 256, 512), units, (2, 2, 2, 1), strict=True):
            for index in range(count):
                layers.append(bottleneck(given, base, stride if index == count - 1 else 1))
                given = 4 * base
        if second:
            layers += [nn.BatchNorm2d(given), nn.ReLU()]
        self.body, self.logits = nn.Sequential(*layers), nn.Conv2d(given, classes, 1)

    def forward(self, x):
        return self.logits(self.body(x).mean((2, 3), keepdim=True)).flatten(1)


class Relu6(nn.Module):
    """relu(x) - relu(x - 6): how the measured graphs had it, for TensorRT 3 knew no ReLU6 (scripts/convert_relu6.py)."""

    def forward(self, x):
        return functional.relu(x) - functional.relu(x - 6)


class MobileNetV1(nn.Module):
    def __init__(self, multiplier, classes=1001):
        super().__init__()

        def width(channels):
            return max(int(channels * multiplier), 8)

        given = width(32)
        layers = [conv(3, given, 3, 2, relu=False), Relu6()]
        plan = [(64, 1), (128, 2), (128, 1), (256, 2), (256, 1), (512, 2), *[(512, 1)] * 5, (1024, 2), (1024, 1)]
        for channels, stride in plan:
            layers += [conv(given, given, 3, stride, relu=False, groups=given), Relu6()]
            layers += [conv(given, width(channels), relu=False), Relu6()]
            given = width(channels)
        self.body, self.logits = nn.Sequential(*layers), nn.Conv2d(given, classes, 1)

    def forward(self, x):
        x = self.body(x)
        return self.logits(functional.avg_pool2d(x, x.shape[2:])).flatten(1)


class VGG16(nn.Module):
    def __init__(self, classes=1000):
        super().__init__()
        layers, given = [], 3
        for channels, count in ((64, 2), (128, 2), (256, 3), (512, 3), (512, 3)):
            for _ in range(count):
                layers.append(conv(given, channels, 3, norm=False))
                given = channels
            layers.append(nn.MaxPool2d(2, 2))
        layers += [conv(512, 4096, 7, padding="valid", norm=False), conv(4096, 4096, norm=False)]
        self.body = nn.Sequential(*layers, nn.Conv2d(4096, classes, 1), nn.Flatten())

    def forward(self, x):
        return self.body(x)


class Branches(nn.Module):
    """Several ways over one array, joined by channels."""

    def __init__(self, *ways):
        super().__init__()
        self.ways = nn.ModuleList(ways)

    def forward(self, x):
        return torch.cat([way(x) for way in self.ways], 1)


def row(*layers):
    return nn.Sequential(*layers)


def average():
    return nn.AvgPool2d(3, 1, 1, count_include_pad=False)


def shrink():
    return nn.MaxPool2d(3, 2)


def valid(given, made, size, stride=1):
    return conv(given, made, size, stride, "valid")


def inception_v4(classes=1001):
    wide, high = (1, 7), (7, 1)
    flat, tall = (1, 3), (3, 1)
    layers = [
        valid(3, 32, 3, 2), valid(32, 32, 3), conv(32, 64, 3),
        Branches(shrink(), valid(64, 96, 3, 2)),
        Branches(
            row(conv(160, 64), valid(64, 96, 3)),
            row(conv(160, 64), conv(64, 64, wide), conv(64, 64, high), valid(64, 96, 3)),
        ),
        Branches(valid(192, 192, 3, 2), shrink()),
    ]  # fmt: skip
    for _ in range(4):
        layers.append(
            Branches(
                conv(384, 96),
                row(conv(384, 64), conv(64, 96, 3)),
                row(conv(384, 64), conv(64, 96, 3), conv(96, 96, 3)),
                row(average(), conv(384, 96)),
            )
        )
    layers.append(
        Branches(
            valid(384, 384, 3, 2), row(conv(384, 192), conv(192, 224, 3), valid(224, 256, 3, 2)), shrink()
        )
    )
    for _ in range(7):
        layers.append(
            Branches(
                conv(1024, 384),
                row(conv(1024, 192), conv(192, 224, wide), conv(224, 256, high)),
                row(
                    conv(1024, 192), conv(192, 192, high), conv(192, 224, wide), conv(224, 224, high),
                    conv(224, 256, wide),
                ),
                row(average(), conv(1024, 128)),
            )
        )  # fmt: skip
    layers.append(
        Branches(
            row(conv(1024, 192), valid(192, 192, 3, 2)),
            row(conv(1024, 256), conv(256, 256, wide), conv(256, 320, high), valid(320, 320, 3, 2)),
            shrink(),
        )
    )
    for _ in range(3):
        layers.append(
            Branches(
                conv(1536, 256),
                row(conv(1536, 384), Branches(conv(384, 256, flat), conv(384, 256, tall))),
                row(
                    conv(1536, 384), conv(384, 448, tall), conv(448, 512, flat),
                    Branches(conv(512, 256, flat), conv(512, 256, tall)),
                ),
                row(average(), conv(1536, 256)),
            )
        )  # fmt: skip
    return row(*layers, nn.AvgPool2d(8), nn.Flatten(), nn.Linear(1536, classes))


class ScaledResidual(nn.Module):
    """x + scale * up(branches(x)), then ReLU."""

    def __init__(self, branches, joined, channels, scale, relu=True):
        super().__init__()
        self.branches, self.scale, self.relu = branches, scale, relu
        self.up = conv(joined, channels, relu=False, norm=False)

    def forward(self, x):
        x = x + self.scale * self.up(self.branches(x))
        return functional.relu(x) if self.relu else x


def block35():
    return ScaledResidual(
        Branches(
            conv(320, 32), row(conv(320, 32), conv(32, 32, 3)), row(conv(320, 32), conv(32, 48, 3), conv(48, 64, 3))
        ),
        128, 320, 0.17,
    )  # fmt: skip


def block17():
    return ScaledResidual(
        Branches(conv(1088, 192), row(conv(1088, 128), conv(128, 160, (1, 7)), conv(160, 192, (7, 1)))),
        384, 1088, 0.10,
    )  # fmt: skip


def block8(relu=True):
    return ScaledResidual(
        Branches(conv(2080, 192), row(conv(2080, 192), conv(192, 224, (1, 3)), conv(224, 256, (3, 1)))),
        448, 2080, 0.20 if relu else 1.0, relu,
    )  # fmt: skip


def inception_resnet_v2(classes=1001):
    return row(
        valid(3, 32, 3, 2), valid(32, 32, 3), conv(32, 64, 3), shrink(), valid(64, 80, 1), valid(80, 192, 3), shrink(),
        Branches(
            conv(192, 96),
            row(conv(192, 48), conv(48, 64, 5)),
            row(conv(192, 64), conv(64, 96, 3), conv(96, 96, 3)),
            row(average(), conv(192, 64)),
        ),
        *[block35() for _ in range(10)],
        Branches(valid(320, 384, 3, 2), row(conv(320, 256), conv(256, 256, 3), valid(256, 384, 3, 2)), shrink()),
        *[block17() for _ in range(20)],
        Branches(
            row(conv(1088, 256), valid(256, 384, 3, 2)),
            row(conv(1088, 256), valid(256, 288, 3, 2)),
            row(conv(1088, 256), conv(256, 288, 3), valid(288, 320, 3, 2)),
            shrink(),
        ),
        *[block8() for _ in range(9)],
        block8(relu=False),
        conv(2080, 1536),
        nn.AvgPool2d(8), nn.Flatten(), nn.Linear(1536, classes),
    )  # fmt: skip


def inception_v1():
    return models.googlenet(weights=None, num_classes=1001, aux_logits=False, transform_input=False, init_weights=False)


def inception_v3():
    return models.inception_v3(
        weights=None, num_classes=1001, aux_logits=False, transform_input=False, init_weights=False
    )


UNITS = {50: (3, 4, 6, 3), 101: (3, 4, 23, 3), 152: (3, 8, 36, 3)}

NETWORKS = {
    "inception_v1": inception_v1,
    "inception_v3": inception_v3,
    "inception_v4": inception_v4,
    "inception_resnet_v2": inception_resnet_v2,
    **{f"resnet_v1_{depth}": lambda units=units: ResNet(BottleneckV1, units, 1000) for depth, units in UNITS.items()},
    **{f"resnet_v2_{depth}": lambda units=units: ResNet(BottleneckV2, units, 1001) for depth, units in UNITS.items()},
    "mobilenet_v1_0p25_128": lambda: MobileNetV1(0.25),
    "mobilenet_v1_0p5_160": lambda: MobileNetV1(0.5),
    "mobilenet_v1_1p0_224": lambda: MobileNetV1(1.0),
    "vgg_16": VGG16,
}
