"""Batch norm whose statistics are those of the whole batch, however many processes share it, on the CPU too.

torch's own SyncBatchNorm is for CUDA alone.
"""

import torch
from torch import distributed, nn


class Total(torch.autograd.Function):
    """The sum of a tensor over all processes; its gradient is the sum of theirs."""

    @staticmethod
    def forward(context, x):
        total = x.clone()
        distributed.all_reduce(total)
        return total

    @staticmethod
    def backward(context, gradient):
        return Total.forward(context, gradient)


class SharedBatchNorm(nn.BatchNorm2d):
    """nn.BatchNorm2d, of which a process sees some rows (N, C, H, W) of a batch, or none (N = 0)."""

    def forward(self, x):
        if not self.training:
            return super().forward(x)
        values, axes = x.float(), (0, 2, 3)
        rows = values.new_full((1,), x.shape[0] * x.shape[2] * x.shape[3])
        *sums, count = torch.split(Total.apply(torch.cat([values.sum(axes), rows])), [self.num_features, 1])
        mean = sums[0] / count
        centred = values - mean[:, None, None]
        variance = Total.apply(centred.square().sum(axes)) / count
        self.remember(mean, variance * count / (count - 1))
        scale = self.weight * torch.rsqrt(variance + self.eps)
        return (centred * scale[:, None, None] + self.bias[:, None, None]).to(x.dtype)

    @torch.no_grad()
    def remember(self, mean, variance):
        self.running_mean.lerp_(mean, self.momentum)
        self.running_var.lerp_(variance, self.momentum)
        self.num_batches_tracked.add_(1)


def share_norms(module):
    """Put a SharedBatchNorm, with the same weights and buffers, in the place of every BatchNorm2d inside a module."""
    for name, child in module.named_children():
        if isinstance(child, nn.BatchNorm2d):
            shared = SharedBatchNorm(child.num_features, child.eps, child.momentum)
            shared.__dict__.update(child.__dict__)
            setattr(module, name, shared)
        else:
            share_norms(child)
    return module
