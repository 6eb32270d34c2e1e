"""latentjet doctor: what is on this machine, what that means, and the command that mends what is wrong.

CHECKS is the table of checks; each takes a Machine and returns Findings. A check may not raise, and where one does
that is a finding as well. Packages are asked in processes of their own, so one that crashes is a finding too.
"""

import argparse
import json
import os
import shlex
import sys

from . import checks_board, checks_packages
from .checks_board import find_board
from .machine import NOTE, OK, PROBLEM, Finding, Machine
from .version import VERSION


def backends(machine):
    """The sum of it all: which backends can run a bundle."""
    sound = machine.ask("numpy").works
    _, found = checks_packages.which_tensorrt(machine)
    trt = sound and found.works and machine.ask("pycuda").works and bool(machine.ask("ctypes").facts.get("devices"))
    ort = sound and machine.ask("onnxruntime").works
    if not (trt or ort):
        means = "mend numpy first" if not sound else "the shortest way is ONNX Runtime; on a Jetson then TensorRT"
        return [Finding(PROBLEM, "no backend can run a bundle on this machine", means + ": see above")]
    if trt:
        return [Finding(OK, "trt{}".format(" and ort" if ort else ""), "next: latentjet build BUNDLE")]
    means = "next: latentjet check BUNDLE"
    if find_board(machine):
        return [Finding(NOTE, "ort alone: the CPU, not the GPU", "for the GPU, mend TensorRT, CUDA and pycuda above")]
    return [Finding(OK, "ort", means)]


CHECKS = (
    ("board", checks_board.board),
    ("JetPack", checks_board.jetpack),
    ("Python", checks_packages.python),
    ("numpy", checks_packages.numpy),
    ("onnxruntime", checks_packages.onnxruntime),
    ("TensorRT", checks_packages.tensorrt),
    ("CUDA driver", checks_board.driver),
    ("CUDA toolkit", checks_board.toolkit),
    ("pycuda", checks_packages.pycuda),
    ("PyTorch", checks_packages.torch),
    ("Pillow", checks_packages.pillow),
    ("memory", checks_board.memory),
    ("power mode", checks_board.power),
    ("GPU clocks", checks_board.clocks),
    ("disk", checks_board.disk),
    ("backends", backends),
)


def examine(machine):
    """Run every check, one after the other: yields (topic, Finding)."""
    for topic, check in CHECKS:
        try:
            findings = check(machine)
        except Exception as error:  # a doctor that falls over helps nobody
            what = "could not be looked at ({}: {})".format(type(error).__name__, error)
            findings = [Finding(NOTE, what, "a mistake of this program: please report it")]
        for finding in findings:
            yield topic, finding._replace(mend=tuple(map(for_this_python, finding.mend)))


def for_this_python(line):
    """A command that calls pip, as one that calls the pip of this very Python."""
    return "{} -m {}".format(shlex.quote(sys.executable), line) if line.startswith("pip ") else line


def lines(topic, finding):
    """One finding as the lines to print."""
    yield "  {:<8} {:<13} {}".format(finding.level if finding.level != PROBLEM else "PROBLEM", topic, finding.what)
    if finding.means:
        yield " " * 25 + finding.means
    for line in finding.mend:
        yield " " * 27 + ("" if line.startswith("#") else "$ ") + line


def say(text):
    """Print, whatever the terminal can show."""
    sys.stdout.write(text.encode("ascii", "backslashreplace").decode("ascii") + "\n")
    sys.stdout.flush()


def report(found, as_json):
    """(topic, Finding) pairs -> printed, as they come unless as JSON; the exit status."""
    seen = []
    if not as_json:
        say("latentjet {}: what is here, what it means, and what mends it\n".format(VERSION))
    for topic, finding in found:
        seen.append((topic, finding))
        if not as_json:
            say("\n".join(lines(topic, finding)))
    counts = {level: sum(finding.level == level for _, finding in seen) for level in (OK, NOTE, PROBLEM)}
    if as_json:
        findings = [dict(finding._asdict(), topic=topic) for topic, finding in seen]
        say(json.dumps({"latentjet": VERSION, "findings": findings, "blocked": bool(counts[PROBLEM])}, indent=1))
    else:
        end = "blocked: no bundle can run here" if counts[PROBLEM] else "bundles can run here"
        say("\n{} ({} ok, {} to note, {} that block)".format(end, counts[OK], counts[NOTE], counts[PROBLEM]))
    return 1 if counts[PROBLEM] else 0


def main(argv=None, machine=None):
    parser = argparse.ArgumentParser(
        prog="latentjet doctor",
        description="What is on this machine, what is missing, what to do. Exit status 1: no backend can run a bundle.",
    )
    parser.add_argument("folder", nargs="?", default=".", help="where bundles and their plans lie (default: here)")
    parser.add_argument("--json", action="store_true", help="print it for a program")
    args = parser.parse_args(argv)
    try:
        return report(examine(machine or Machine(place=args.folder)), args.json)
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0


if __name__ == "__main__":
    sys.exit(main())
