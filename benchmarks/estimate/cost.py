"""What kernels cost: a launch, then the longer of memory traffic and arithmetic, each at a fraction of the board's peak.

    seconds of a kernel = launch + max(bytes / (memory * bandwidth),
                                       (outputs + fill * cores) * depth / (efficiency of its kind * peak))
    seconds of a run    = fixed + the sum over kernels

fill: products with few outputs leave most of the GPU idle and take as long as if they had so many more; matrix products
split their depth instead, so they have none. Half precision moves half the bytes and computes half_gain times as fast,
but for depthwise convolutions, which gain nothing in arithmetic.
"""

from typing import NamedTuple

import numpy as np

from .kernel import KINDS, Kernel
from .targets import HALF_RATE_OF_CALIBRATION

EFFICIENCY = {"conv3x3": "conv3x3", "conv1x1": "conv1x1", "depthwise": "depthwise"}  # others are a plain convolution's
CPU_HZ = 2035200000.0  # the processor that the launch cost was fitted on: a TX2 in MAXN


class Calibration(NamedTuple):
    """The fitted parameters. launch_s of a kernel and fixed_s of a run, on a TX2 in MAXN; conv3x3 (stride 1, so Winograd
    can apply and it may pass 1), conv1x1, conv and depthwise: fractions of peak; memory: fraction of the nominal
    bandwidth; half_gain: arithmetic in half over float32; fill: outputs a core."""

    launch_s: float
    fixed_s: float
    conv3x3: float
    conv1x1: float
    conv: float
    depthwise: float
    memory: float
    half_gain: float
    fill: float


class Work(NamedTuple):
    """Kernels as arrays, (kernels,) each."""

    kinds: np.ndarray
    numbers: np.ndarray
    outputs: np.ndarray
    depth: np.ndarray
    float32: np.ndarray


class Costs(NamedTuple):
    """Seconds of each kernel, (kernels,): launch, memory traffic and arithmetic; the last two overlap."""

    launch_s: np.ndarray
    memory_s: np.ndarray
    arithmetic_s: np.ndarray

    @property
    def seconds(self):
        return self.launch_s + np.maximum(self.memory_s, self.arithmetic_s)


def work_of(kernels):
    """[Kernel] -> Work."""
    return Work(
        np.array([KINDS.index(item.kind) for item in kernels], dtype=int),
        np.array([item.weights + item.read + item.written for item in kernels], dtype=float),
        np.array([item.macs / item.depth if item.depth else 0 for item in kernels], dtype=float),
        np.array([item.depth for item in kernels], dtype=float),
        np.array([item.float32 for item in kernels], dtype=bool),
    )


def with_ends(kernels, ends):
    """In half precision each float32 input and output of the graph is converted by a copy of its own."""
    copies = [Kernel("convert an input or output", "copy", 0, 0, count, count, count, 1, 0) for count in ends]
    return list(kernels) + copies


def costs(work, device, half, calibration):
    """Work, Device, is the engine in half precision, Calibration -> Costs."""
    slower = CPU_HZ / device.cpu_hz
    single = work.float32 | (not half)
    memory_s = work.numbers * np.where(single, 4, 2) / (calibration.memory * device.memory_bytes_per_s)
    efficiency = np.array([getattr(calibration, EFFICIENCY.get(kind, "conv")) for kind in KINDS])[work.kinds]
    gain = calibration.half_gain * device.half_rate / HALF_RATE_OF_CALIBRATION
    gain = np.where(single | (work.kinds == KINDS.index("depthwise")), 1.0, gain)
    fill = np.where(work.kinds == KINDS.index("dense"), 0.0, calibration.fill * device.cores)
    arithmetic_s = (work.outputs + fill) * work.depth / (efficiency * gain * device.macs_per_s)
    return Costs(np.full(len(work.depth), calibration.launch_s * slower), memory_s, arithmetic_s)


def run_s(work, device, half, calibration):
    """Seconds of a run."""
    fixed_s = calibration.fixed_s * CPU_HZ / device.cpu_hz
    return fixed_s + float(np.sum(costs(work, device, half, calibration).seconds))
