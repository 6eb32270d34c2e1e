"""From PyTorch through the exporter: forms that TensorRT 8.2 refuses or misreads come out as forms that it reads.

export_module itself compares each graph with eager PyTorch before it writes anything.
"""

import onnx
import pytest
import torch
from latentjet.export import export_module
from latentjet.export.importer import DEPENDS, findings_of
from latentjet.runtime.errors import ExportError
from torch import nn
from torch.nn import functional


class Computes(nn.Module):
    """A function of z and of this module, which may hold others and weights."""

    def __init__(self, function, **parts):
        super().__init__()
        self.function = function
        for name, part in parts.items():
            setattr(self, name, part if isinstance(part, nn.Module) else nn.Parameter(torch.randn(part)))

    def forward(self, z):
        return self.function(self, z)


MODULES = {
    "linear without bias": (lambda: nn.Linear(4, 5, bias=False), (4,)),
    "attention": (lambda: Computes(lambda m, z: m.a(z, z, z)[0], a=nn.MultiheadAttention(8, 2, batch_first=True)), (3, 8)),
    "transformer layer": (lambda: nn.TransformerEncoderLayer(8, 2, 16, dropout=0.0, batch_first=True), (3, 8)),
    "einsum, ellipsis": (lambda: Computes(lambda m, z: torch.einsum("...j,jk->...k", z, m.w), w=(4, 5)), (3, 4)),
    "einsum of three": (
        lambda: Computes(lambda m, z: torch.einsum("ij,jk,kl->il", z, m.w, m.v), w=(4, 5), v=(5, 2)), (4,),
    ),
    "where on booleans": (lambda: Computes(lambda m, z: torch.where(z > 0, z > 1, z < -1).float()), (4,)),
    "sign of integers": (lambda: Computes(lambda m, z: torch.sign(z.long()).float()), (4,)),
    "squeeze": (lambda: Computes(lambda m, z: z.squeeze()), (4, 1)),
    "negative padding": (lambda: Computes(lambda m, z: functional.pad(z, (-1, -1, 2, -1))), (2, 6, 6)),
    "ConvTranspose3d": (lambda: nn.ConvTranspose3d(2, 3, 3, 2, 1, output_padding=1), (2, 3, 3, 3)),
    "ConvTranspose1d": (lambda: nn.ConvTranspose1d(2, 3, 3, 2, 1, output_padding=1), (2, 5)),
    "a vector times matrices": (lambda: Computes(lambda m, z: m.w @ z, w=(4,)), (4, 5)),
    "CELU": (lambda: nn.CELU(0.7), (4,)),
    "SELU": (nn.SELU, (4,)),
    "the smallest": (lambda: Computes(lambda m, z: torch.topk(z, 2, largest=False)[0]), (6,)),
    "logsumexp": (lambda: Computes(lambda m, z: torch.logsumexp(50 * z, 1, keepdim=True)), (6,)),
    "log_softmax": (lambda: nn.LogSoftmax(1), (6,)),
    "flatten of an input": (nn.Flatten, (6,)),
    "weight normalisation": (lambda: nn.utils.parametrizations.weight_norm(nn.Conv2d(64, 96, 3)), (64, 6, 6)),
    "addmm": (lambda: Computes(lambda m, z: torch.addmm(m.b, z, m.w, beta=0.5, alpha=2), w=(1, 5), b=(1, 5)), (1,)),
    "a boolean of floats": (lambda: Computes(lambda m, z: z.bool().float() + z), (4,)),
}  # fmt: skip


@pytest.mark.parametrize("name", MODULES)
def test_what_comes_out_is_read(tmp_path, name):
    make, shape = MODULES[name]
    torch.manual_seed(0)
    export_module(make(), {"z": torch.randn(3, *shape)}, tmp_path / "m.onnx", tolerance=1e-3)
    findings = findings_of(onnx.load(tmp_path / "m.onnx"))
    assert [item for _, item in findings if item.level != DEPENDS] == []


@pytest.mark.parametrize(
    ("make", "shape", "says"),
    [
        (lambda: nn.MaxPool2d(2, dilation=2), (2, 6, 6), "pooling with dilations"),
        (lambda: Computes(lambda m, z: functional.interpolate(z, scale_factor=1.7)), (2, 6, 6), "ratio of the sizes"),
        (lambda: Computes(lambda m, z: (z.double() * 2).float()), (4,), "DOUBLE"),
    ],
)
def test_what_has_no_exact_form_is_refused_by_name(tmp_path, make, shape, says):
    with pytest.raises(ExportError, match=rf"(?s)TensorRT 8.2 on the tx2 cannot run this graph.*node '.*{says}"):
        export_module(make(), {"z": torch.randn(3, *shape)}, tmp_path / "m.onnx")
    assert list(tmp_path.iterdir()) == []
