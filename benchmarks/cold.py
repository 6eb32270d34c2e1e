"""A cold start: a process of its own that loads one engine and makes images, and tells when it did what.

    python -m latentjet.benchmarks.cold '{"bundle": ..., "graph": "decode", "system": "ort", "threads": 1, ...}'

It says so on its last line, as JSON of monotonic times, which all processes of a machine share. What lies on disk may
still be in the system's memory: that is how an application that is started again finds it.
"""

import json
import subprocess
import sys
import time

BEGAN = time.monotonic()  # before anything heavy is imported

from ..runtime.bundle import Bundle  # noqa: E402
from ..runtime.errors import BackendError, LatentjetError  # noqa: E402
from ..runtime.machine import MARK, Machine  # noqa: E402
from . import loads, memory, systems  # noqa: E402

LATER_CALLS = 20


def start(wanted, timeout_s=600):
    """What is wanted (see above) -> {start_s, load_s, first_s, steady_s, peak_bytes}. Raises BackendError where the
    process fails, with what it said."""
    began = time.monotonic()
    command = [sys.executable, "-m", "latentjet.benchmarks.cold", json.dumps(wanted)]
    try:
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        try:
            out, err = process.communicate(timeout=timeout_s)
        finally:
            if process.poll() is None:
                process.kill()
                process.communicate()
    except (OSError, subprocess.TimeoutExpired) as error:
        raise BackendError("system '{}' did not start in a process of its own: {}".format(wanted["system"], error))
    told = [line for line in out.decode("utf-8", "replace").splitlines() if line.startswith(MARK)]
    if process.returncode or not told:
        said = err.decode("utf-8", "replace").strip().splitlines() or ["it said nothing"]
        raise BackendError("system '{}' failed in a process of its own: {}".format(wanted["system"], said[-1]))
    found = json.loads(told[-1][len(MARK) :])
    return {
        "start_s": found["began"] - began,
        "load_s": found["loaded"] - found["began"],
        "first_s": found["first"] - found["loaded"],
        "steady_s": found["steady_s"],
        "peak_bytes": found["peak_bytes"],
    }


def run(wanted):
    """In the new process: load, call, check, call again -> the times. Raises LatentjetError."""
    bundle = Bundle.open(wanted["bundle"])
    with systems.open_system(bundle, wanted["graph"], wanted["system"], wanted["threads"], wanted["device"]) as engine:
        load = loads.prepare(bundle, engine, wanted["system"], 1, wanted["seed"])
        loaded = time.monotonic()
        output = load.call()
        first = time.monotonic()
        if load.check:
            load.check(output)
        later = []
        for _ in range(LATER_CALLS):
            before = time.monotonic()
            load.call()
            later.append(time.monotonic() - before)
    peak = memory.process_bytes(Machine(), "VmHWM")
    steady = sorted(later)[LATER_CALLS // 2]
    return {"began": BEGAN, "loaded": loaded, "first": first, "steady_s": steady, "peak_bytes": peak}


def main(argv):
    try:
        told = run(json.loads(argv[0]))
    except LatentjetError as error:
        print(error, file=sys.stderr)
        return 1
    print(MARK + json.dumps(told))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
