"""Where a run computes, and in which precision."""

import torch

from .errors import SettingsError


def choose_device(name):
    """ "auto", "cpu", "cuda" or "cuda:1" -> torch.device; raises SettingsError where there is no such device."""
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "cpu"
    try:
        device = torch.device(name)
    except RuntimeError as error:
        raise SettingsError(f"--device is '{name}', expected auto, cpu, cuda or cuda:N") from error
    if device.type not in ("cpu", "cuda"):
        raise SettingsError(f"--device is '{name}', expected auto, cpu, cuda or cuda:N")
    if device.type == "cuda" and not torch.cuda.is_available():
        raise SettingsError(f"--device is '{name}', but this torch sees no CUDA device: take --device cpu")
    if device.type == "cuda" and (device.index or 0) >= torch.cuda.device_count():
        raise SettingsError(f"--device is '{name}', but this torch sees {torch.cuda.device_count()} CUDA devices")
    return device


def choose_precision(name, device):
    """ "auto", "fp32" or "bf16" -> "fp32" or "bf16": bf16 where the processor multiplies it in hardware."""
    if name != "auto":
        return name
    if device.type == "cuda":
        return "bf16" if torch.cuda.is_bf16_supported() else "fp32"
    has = getattr(torch.cpu, "get_capabilities", dict)()
    return "bf16" if has.get("avx512_bf16") or has.get("amx_bf16") else "fp32"
