"""Memory of this process, and of a GPU that has its own."""

import re


def process_bytes(machine, what="VmRSS"):
    """Bytes of this process in memory now (VmRSS) or at most so far (VmHWM); None where the kernel does not tell."""
    match = re.search(what + r":\s*(\d+) kB", machine.read("proc/self/status") or "")
    return int(match.group(1)) * 1024 if match else None


def growth(before, after):
    """Bytes more than before, at least 0; None if either is not known."""
    return None if before is None or after is None else max(after - before, 0)
