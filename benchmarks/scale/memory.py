"""python -m latentjet.benchmarks.scale.memory BUNDLE BATCH: a process of its own that tells what decoding takes.

It prints JSON: bytes that were resident with everything imported, with the graph loaded, and the most while it ran.
"""

import json
import re
import subprocess
import sys

from ...runtime.bundle import Bundle
from ...runtime.engine import backend_class, open_engine
from ...runtime.errors import BackendError
from ..loads import rows


def resident(name):
    """A line of /proc/self/status, VmRSS (now) or VmHWM (the most so far), in bytes; None where there is none."""
    try:
        with open("/proc/self/status", encoding="ascii") as handle:
            found = re.search(r"^{}:\s*(\d+) kB".format(name), handle.read(), re.MULTILINE)
    except OSError:
        return None
    return 1024 * int(found.group(1)) if found else None


def measure(path, batch, calls=3):
    """Path of a bundle, batch -> {imported, loaded, most: bytes or None}."""
    bundle = Bundle.open(path)
    backend_class("ort")
    imported = resident("VmRSS")
    with open_engine(bundle, "decode", "ort", 1) as engine:
        loaded, inputs = resident("VmRSS"), rows(bundle, "decode", batch, 0)[0]
        for _ in range(calls):
            engine.run(**inputs)
    return {"imported": imported, "loaded": loaded, "most": resident("VmHWM")}


def apart(path, batch):
    """The same in a new process, so that nothing of this one's is counted. Raises BackendError if it dies."""
    command = [sys.executable, "-m", "latentjet.benchmarks.scale.memory", str(path), str(batch)]
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    if done.returncode:
        told = done.stderr.decode("utf-8", "replace").strip().splitlines() or ["no word"]
        raise BackendError("measuring memory of {}, batch {}, ended with {}: {}".format(
            path, batch, done.returncode, told[-1]))  # fmt: skip
    return json.loads(done.stdout.decode("ascii"))


if __name__ == "__main__":
    print(json.dumps(measure(sys.argv[1], int(sys.argv[2]))))
