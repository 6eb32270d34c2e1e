"""The ten things that only a board can settle (docs/jetson-tx2.md), run as far as a program can, into one file.

    python3 tests/gpu/board.py --out board.json BUNDLE [--normalised BUNDLE] [--python PYTHON]

BUNDLE: a Real NVP shows most. --normalised: a bundle whose graph has GroupNorm or InstanceNorm. --python: the one with
numpy, tensorrt and pycuda, and torch if it is there (a command; default: this one). Bundles are copied, nothing is
installed. Every step is a process of its own: one that crashes is an answer, and the others go on. Send back the file.
"""

import argparse
import functools
import json
import os
import shlex
import shutil
import signal
import subprocess
import sys
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, HERE)

from measure import Failed, staged  # noqa: E402

QUESTIONS = {
    1: "Do replayed CUDA graphs equal the reference, with each kind of memory, at each profile?",
    2: "Is managed memory that is attached to one stream right when a replayed graph uses it?",
    3: "Does TensorRT survive open, close, open in one process?",
    4: "Can everything be captured, also InstanceNorm and cuBLAS kernels; is the run after that right?",
    5: "Does a bundle with normalisation build, and check in a new process?",
    6: "What do Ctrl-C and memory do during a build with --memory auto?",
    7: "What does the inspector tell: valid JSON, formats, layers kept in float32?",
    8: "Do pycuda, tensorrt, torch and numpy live in one process?",
    9: "What may an ordinary user read: rails, nvpmodel, clocks?",
    10: "Does the interpreter end cleanly: normally, by an exception, by Ctrl-C, after two threads?",
}
CLEAN = ("abort", "terminate called", "context stack was not empty", "Segmentation")


class Board:
    """Runs steps in processes. place: a folder with latentjet in it; python: a command as a list of words."""

    def __init__(self, python, place, batch, samples):
        self.start = python + [os.path.join(HERE, "board_steps.py"), place]
        self.options = ["--batch", batch, "--samples", str(samples)]

    def run(self, words, interrupt_s=None, watch=None, timeout_s=3600):
        """A step -> {status, out, err, seconds}; interrupt_s: Ctrl-C after so many seconds; watch: called meanwhile."""
        began = time.time()
        process = subprocess.Popen(
            self.start + words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, start_new_session=True,
            preexec_fn=functools.partial(signal.signal, signal.SIGINT, signal.SIG_DFL),  # a background job ignores it
        )  # fmt: skip
        while True:
            try:
                out, err = process.communicate(timeout=0.2)
                break
            except subprocess.TimeoutExpired:
                passed = time.time() - began
                if watch:
                    watch()
                if interrupt_s is not None and passed > interrupt_s:
                    os.killpg(process.pid, signal.SIGINT)
                    interrupt_s = None
                if passed > timeout_s:
                    os.killpg(process.pid, signal.SIGKILL)
        return {
            "status": process.returncode, "seconds": round(time.time() - began, 1),
            "out": out.decode("utf-8", "replace")[-4000:], "err": err.decode("utf-8", "replace")[-2000:],
        }  # fmt: skip

    def get(self, *words):
        """A step that answers -> (its answer, or None; how its process ended)."""
        done = self.run(list(words))
        try:
            return json.loads(done["out"].strip().splitlines()[-1]), done
        except (ValueError, IndexError):
            return None, done

    def build(self, bundle, memory="auto", **how):
        return self.run(["latentjet", "build", bundle, "--memory", memory] + self.options, **how)

    def check(self, bundle):
        return self.run(["latentjet", "check", bundle, "--backend", "trt"])


class Least:
    """The least memory and swap that were free while a step ran, in bytes."""

    def __init__(self):
        self.found = {}

    def __call__(self):
        try:
            with open("/proc/meminfo") as file:
                lines = [line.split() for line in file]
        except OSError:
            return
        for words in lines:
            if words[0] in ("MemAvailable:", "SwapFree:"):
                size = int(words[1]) * 1024
                self.found[words[0][:-1]] = min(size, self.found.get(words[0][:-1], size))


def answer(number, right, found, by_hand=""):
    """right: True, False, or None where a person must look."""
    word = {True: "yes", False: "NO", None: "look"}[right]
    print("{:>2}. {:<4} {}".format(number, word, QUESTIONS[number]), flush=True)
    return {"number": number, "question": QUESTIONS[number], "right": right, "found": found, "by_hand": by_hand}


def graphs_and_memory(board, bundle, graph):
    """Questions 1 to 4."""
    cases, done = board.get("replays", bundle, graph)
    ran = [case for case in cases or [] if case.get("right") is not None]
    yield answer(1, bool(ran) and all(case["right"] for case in ran), cases or done)
    managed = [case for case in ran if case["memory"] == "managed"]
    yield answer(2, all(case["right"] for case in managed) if managed else None, managed or "no managed memory here")
    rights, done = board.get("again", bundle, graph)
    yield answer(3, rights == [True] * 3, rights or done)


def normalised(board, bundle, other, graph):
    """Questions 4 and 5."""
    plain, done = board.get("capture", bundle, graph)
    found = {"plain": plain or done}
    rights = [case["graphs"] == "on" and case["right_after"] for case in plain or [{"graphs": "", "right_after": False}]]
    if other is None:
        yield answer(4, all(rights) and None, found, "give --normalised a bundle with GroupNorm or InstanceNorm")
        yield answer(5, None, "not run", "give --normalised a bundle with GroupNorm or InstanceNorm")
        return
    built, checked = board.build(other, "device"), board.check(other)
    more, done = board.get("capture", other, graph)
    found["normalised"] = more or done
    rights += [case["graphs"] == "on" and case["right_after"] for case in more or [{"graphs": "", "right_after": False}]]
    yield answer(4, all(rights), found)
    yield answer(5, built["status"] == checked["status"] == 0, {"build": built, "check": checked})


def building(board, bundle, spare, seconds):
    """Question 6: a Ctrl-C in the middle, then a whole build with its memory -> (answer, that it was built)."""
    stopped = board.build(spare, interrupt_s=seconds)
    least = Least()
    built = board.build(bundle, watch=least)
    built["least_free_bytes"] = least.found
    one = stopped["status"] == 130 and stopped["err"].count("\n") == 1 and not dirty(stopped)
    early = stopped["status"] == 0  # it was done before the signal came
    hand = "look at `dmesg | tail` for the kernel's out-of-memory killer" if built["status"] else ""
    if early:
        hand = "the build was faster than the Ctrl-C: give a smaller --interrupt"
    right = None if early and built["status"] == 0 else one and built["status"] == 0
    return answer(6, right, {"interrupted": stopped, "built": built}, hand), built["status"] == 0


def dirty(done):
    """Did a process end in a way that no user may see?"""
    return done["status"] < -signal.SIGINT or any(text in done["err"] for text in CLEAN)


def surroundings(board, bundle):
    """Questions 7 to 9."""
    told, done = board.get("inspector", bundle)
    right = None if not told or not any(item["asked"] for item in told) else not any(i["not_honoured"] for i in told)
    yield answer(7, right, told or done, "" if right is not None else "no layer was kept in float32, or none was told")
    versions, done = board.get("together")
    fails = [name for name, text in (versions or {"": "Error: "}).items() if "Error: " in text]
    yield answer(8, not [name for name in fails if name != "torch"], versions or done)
    seen, done = board.get("user")
    good = bool(seen) and seen["nvpmodel"][0] == 0 and bool(seen["rails_w"]) and not seen["unlocked"]
    yield answer(9, good if seen and seen["uid"] else None, seen or done, "" if seen and seen["uid"] else "not as root")


def endings(board, bundle, graph, seconds):
    """Question 10."""
    found = {}
    for how, status in (("normally", (0,)), ("two threads", (0,)), ("exception", (1,))):
        found[how] = board.run(["leave", bundle, graph, how])
        found[how]["right"] = found[how]["status"] in status and not dirty(found[how])
    words = ["latentjet", "sample", bundle, "--backend", "trt", "--count", "4000", "--out", bundle + ".npy"]
    found["Ctrl-C in sample"] = board.run(words, interrupt_s=seconds)
    found["Ctrl-C in sample"]["right"] = not dirty(found["Ctrl-C in sample"])
    return answer(10, all(item["right"] for item in found.values()), found)


def settle(args):
    """All ten -> what goes into the file. Raises Failed: this is no machine to ask."""
    with staged() as place:
        board = Board(shlex.split(args.python), place, args.batch, args.samples)
        machine, done = board.get("look")
        if machine is None:
            raise Failed((done["err"].strip().splitlines() or ["it said nothing"])[-1])
        print("{gpu}, TensorRT {tensorrt}, CUDA {cuda}".format(**machine), flush=True)
        bundle, spare, other = (copied(path, place, name) for path, name in (
            (args.bundle, "bundle"), (args.bundle, "spare"), (args.normalised, "normalised")))  # fmt: skip
        sixth, built = building(board, bundle, spare, args.interrupt)
        found = [sixth]
        if built:
            found += graphs_and_memory(board, bundle, args.graph)
            found += normalised(board, bundle, other, args.graph)
            found += [endings(board, bundle, args.graph, args.interrupt)]
        found += surroundings(board, bundle)
    known = {item["number"]: item for item in found}
    missing = [answer(number, None, "not run: the build failed") for number in QUESTIONS if number not in known]
    answers = sorted(found + missing, key=lambda item: item["number"])
    return {"format": 1, "date": time.strftime("%Y-%m-%d", time.gmtime()), "machine": machine, "answers": answers}


def copied(path, place, name):
    """A bundle's copy without its plans, or None."""
    if path is None:
        return None
    target = os.path.join(place, name)
    shutil.copytree(path, target, ignore=shutil.ignore_patterns("plans"))
    return target


def make_parser():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("bundle", metavar="BUNDLE", help="a bundle's folder")
    parser.add_argument("--normalised", metavar="BUNDLE", help="a bundle with GroupNorm or InstanceNorm, for 4 and 5")
    parser.add_argument("--python", default=sys.executable, help="command of the Python to ask (default: this one)")
    parser.add_argument("--out", required=True, metavar="FILE", help="where the answers go, as JSON")
    parser.add_argument("--graph", default="decode", help="graph that is run (default decode); all are built")
    parser.add_argument("--batch", default="1,8,64", help="profiles (default 1,8,64)")
    parser.add_argument("--samples", type=int, default=10000, help="fresh rows of a build (default 10000)")
    parser.add_argument("--interrupt", type=float, default=5.0, metavar="S", help="Ctrl-C after S seconds (default 5)")
    return parser


def main(argv=None):
    args = make_parser().parse_args(argv)
    try:
        found = settle(args)
        with open(args.out + ".part", "w", encoding="utf-8") as file:
            file.write(json.dumps(found, indent=1, sort_keys=True) + "\n")
        os.replace(args.out + ".part", args.out)
    except (Failed, OSError) as error:
        print("board: {}".format(error), file=sys.stderr)
        return 1
    print("{}: send it back, with what you saw by hand".format(args.out))
    return 0


if __name__ == "__main__":
    sys.exit(main())
