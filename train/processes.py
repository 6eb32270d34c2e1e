"""Several processes that train one model. torchrun starts them, torch.distributed joins them; alone, nothing here acts.

Every batch is split: a process computes the losses of its own rows, and DistributedDataParallel averages the gradients.
Random numbers are drawn for the whole batch by every process, which keeps those of its rows, so what an image meets
does not depend on how many processes there are. The first process alone writes and prints.
"""

import gc
import os
from typing import NamedTuple

import torch
from torch import distributed
from torch.nn.parallel import DistributedDataParallel

from .batch_norm import share_norms
from .errors import SettingsError


class Part(NamedTuple):
    """A process's part of a batch: its rows, the generator to draw with, and the factor of the sum of their losses; the
    mean of that over all processes is the mean loss of the batch."""

    rows: torch.Tensor
    generator: object
    factor: float


class SharedGenerator(NamedTuple):
    """A generator for a batch of `whole` rows, of which this process keeps every count-th from `first` on."""

    generator: torch.Generator
    whole: int
    first: int
    count: int


def started():
    """Whether torchrun started this process."""
    return "TORCHELASTIC_RUN_ID" in os.environ


def join(device):
    """Meet the other processes -> this one's device: with CUDA, the GPU of its number on this machine."""
    if not started():
        return device
    if device.type == "cuda":
        if device.index is not None:
            raise SettingsError(f"--device is {device}, but each process takes a GPU of its own: give cuda or auto")
        number = int(os.environ["LOCAL_RANK"])
        here, found = int(os.environ["LOCAL_WORLD_SIZE"]), torch.cuda.device_count()
        if here > found:  # all of them see it, so the first, which speaks for all, too
            raise SettingsError(
                f"{here} processes on a machine with {found} GPUs, expected one for each: start at most {found}, "
                "or give --device cpu"
            )
        device = torch.device("cuda", number)
        torch.cuda.set_device(device)
    distributed.init_process_group("nccl" if device.type == "cuda" else "gloo")
    return device


def leave():
    """Part from the other processes, all at once. A DistributedDataParallel that outlives this ends the process with
    an abort when the interpreter takes it apart, so let go of the run first."""
    if distributed.is_initialized():
        gc.collect()
        distributed.barrier()
        distributed.destroy_process_group()


def count():
    return distributed.get_world_size() if distributed.is_initialized() else 1


def rank():
    return distributed.get_rank() if distributed.is_initialized() else 0


def one_after_another(call):
    """The result of a call that the first process of each machine makes before the others: it may download."""
    first = os.environ.get("LOCAL_RANK", "0") == "0"
    result = call() if first or count() == 1 else None
    if count() > 1:
        distributed.barrier()
    return result if first or count() == 1 else call()


def share(rows, generator):
    """Rows of a batch and its generator -> this process's Part; empty where there are more processes than rows."""
    if count() == 1:
        return Part(rows, generator, 1 / len(rows))
    shared = SharedGenerator(generator, len(rows), rank(), count())
    return Part(rows[rank() :: count()], shared, count() / len(rows))


def draw(kind, shape, generator):
    """torch.randn or torch.rand, a shape (rows, ...), a generator -> random numbers, of a shared one for its rows."""
    if not isinstance(generator, SharedGenerator):
        return kind(shape, generator=generator)
    whole = kind((generator.whole, *shape[1:]), generator=generator.generator)
    return whole[generator.first :: generator.count]


def parallel(module):
    """A module whose gradients are averaged over the processes, and whose batch norms see the whole batch."""
    return DistributedDataParallel(share_norms(module)) if count() > 1 else module


def mean(value):
    """A scalar tensor of each process -> their mean, a float; the same in all of them."""
    if count() > 1:
        value = value.detach().clone()
        distributed.all_reduce(value)
    return value.item() / count()
