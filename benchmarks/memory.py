"""Memory of this process, and of a GPU that has its own."""

import re

LEFT_OUT = (
    "memory leaves out the GPU's share: this GPU takes it from the system's memory, where it counts for no process"
)


def process_bytes(machine, what="VmRSS"):
    """Bytes of this process in memory now (VmRSS) or at most so far (VmHWM); None where the kernel does not tell."""
    match = re.search(what + r":\s*(\d+) kB", machine.read("proc/self/status") or "")
    return int(match.group(1)) * 1024 if match else None


def growth(before, after):
    """Bytes more than before, at least 0; None if either is not known."""
    return None if before is None or after is None else max(after - before, 0)


def measured(process_bytes, device_bytes, on_gpu):
    """Bytes that a system added to its process and to a GPU's own memory, None where not known -> what a result keeps:
    on a GPU without memory of its own (a Jetson's) also what the figures leave out."""
    found = {"process_bytes": process_bytes, "device_bytes": device_bytes}
    return dict(found, left_out=LEFT_OUT) if on_gpu and device_bytes is None else found
