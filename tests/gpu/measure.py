"""Measures latentjet on a machine with an NVIDIA GPU: real TensorRT engines beside eager PyTorch on the same GPU.

    python3 tests/gpu/measure.py --trt-python "PYTHON" --torch-python "PYTHON" --out FOLDER BUNDLE ...

It needs two Pythons, which may be one: with numpy, tensorrt (8.x, 10, 11) and pycuda; and with numpy and torch on CUDA.
Each is a command (a path, a wrapper script, "env NAME=VALUE path"). Nothing is installed, and BUNDLE is not written
to. latentjet is taken from the folder this file lies in.

Into FOLDER: measurements.json (all round medians), certificates/ (one for each plan), section.md (for
docs/measurements.md). Engines and eager PyTorch run in processes of their own, in turns.
"""

import argparse
import contextlib
import glob
import json
import os
import platform
import shlex
import shutil
import subprocess
import sys
import tempfile
import time

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))
sys.path.insert(0, HERE)

import section  # noqa: E402

NEEDS = """this script needs
  --trt-python    a Python with numpy, tensorrt and pycuda, and an NVIDIA GPU that CUDA can use
  --torch-python  a Python with numpy and torch, on CUDA (or --without-eager)
found"""


class Failed(Exception):
    """Something this script needs is not there, or one of its steps failed."""


@contextlib.contextmanager
def staged():
    """Context: a folder with the package latentjet of this checkout in it, to be put on sys.path."""
    place = tempfile.mkdtemp(prefix="latentjet-")
    try:
        os.makedirs(os.path.join(place, "latentjet"))
        for part in ("runtime", "benchmarks", "train"):
            os.symlink(os.path.join(ROOT, part), os.path.join(place, "latentjet", part))
        yield place
    finally:
        shutil.rmtree(place)


def ask(command):
    """Run a command -> its output. Raises Failed with the last thing it said."""
    try:
        done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    except OSError as error:
        raise Failed("{}: {}".format(command[0], error.strerror))
    if done.returncode:
        said = (done.stderr or done.stdout).decode("utf-8", "replace").strip().splitlines() or ["it said nothing"]
        raise Failed("{} (status {})".format(said[-1], done.returncode))
    return done.stdout.decode("utf-8", "replace")


class Side:
    """One of the two Pythons, with the script that runs in it."""

    def __init__(self, command, script, place, words=()):
        self.start, self.words = shlex.split(command) + [os.path.join(HERE, script), place], list(words)

    def tell(self, *words):
        """Run a step that prints for people."""
        print("$ latentjet {}".format(" ".join(words[1:])), flush=True)
        text = ask(self.start + list(words))
        print(text.rstrip(), flush=True)
        return text

    def get(self, *words):
        """Run a step that answers in JSON, on the last line."""
        lines = ask(self.start + list(words)).strip().splitlines()
        try:
            return json.loads(lines[-1])
        except (ValueError, IndexError):
            raise Failed("{} gave no answer: {}".format(" ".join(self.start), lines[-1:] or "nothing"))


def look(sides):
    """{name: Side or None} -> {name: what is there}. Raises Failed with all that is missing."""
    found, told, missing = {}, [], False
    for name, side in sides.items():
        if side is None:
            continue
        try:
            found[name] = side.get("look", *side.words)
            told.append(
                "  {:<15} {}".format(name, ", ".join("{} {}".format(*item) for item in sorted(found[name].items())))
            )
        except Failed as error:
            missing = True
            told.append("  {:<15} cannot be used: {}".format(name, error))
    if missing:
        raise Failed("\n".join([NEEDS] + told))
    print("\n".join(["found"] + told), flush=True)
    return found


def in_half(bundle):
    """Names of a bundle's graphs that may run in half precision."""
    with open(os.path.join(bundle, "bundle.json"), encoding="utf-8") as handle:
        graphs = json.load(handle)["graphs"]
    return [name for name, graph in sorted(graphs.items()) if (graph.get("precision") or {}).get("file")]


def build(trt, bundle, args):
    """Plans in float32 and, of the graphs that may, in half; checked -> what was printed."""
    options = ["--batch", args.batch, "--samples", str(args.samples)]
    if args.tactics:
        options += ["--tactics", args.tactics]
    half, lines = in_half(bundle), []
    lines.append(trt.tell("latentjet", "build", bundle, "--precision", "fp32", *options))
    if half:
        lines.append(
            trt.tell("latentjet", "build", bundle, "--precision", "fp16", "--graphs", ",".join(half), *options)
        )
    lines.append(trt.tell("latentjet", "check", bundle, "--backend", "trt"))
    return lines


def time_in_turns(trt, torch, bundle, args):
    """Engines, then eager PyTorch, again and again -> list of cases, each with the medians of all its rounds."""
    words = ["time", bundle, args.graph, args.batch, str(args.rounds), str(args.burst)]
    cases = {}
    for turn in range(args.turns):
        for side in filter(None, (trt, torch)):
            print("turn {} of {}: {}".format(turn + 1, args.turns, "TensorRT" if side is trt else "eager"), flush=True)
            for case in side.get(*(words + side.words)):
                key = json.dumps({name: case[name] for name in ("system", "precision", "memory", "batch")})
                cases.setdefault(key, dict(case, medians_s=[]))["medians_s"] += case["medians_s"]
    return list(cases.values())


def measure(args):
    """All of it; writes into args.out as it goes."""
    os.makedirs(os.path.join(args.out, "certificates"), exist_ok=True)
    with staged() as place:
        trt = Side(args.trt_python, "engines.py", place)
        torch = None if args.without_eager else Side(args.torch_python, "eager.py", place, [args.eager_device])
        found = {
            "machine": platform.platform(),
            "processor": processor(),
            "date": time.strftime("%Y-%m-%d", time.gmtime()),
            "bundles": [],
        }
        found.update(look({"trt-python": trt, "torch-python": torch}))
        found["settings"] = {
            name: getattr(args, name) for name in ("graph", "batch", "rounds", "burst", "turns", "samples")
        }
        for path in args.bundles:
            name = os.path.basename(os.path.normpath(path))
            bundle = os.path.join(place, name)
            shutil.copytree(path, bundle, ignore=shutil.ignore_patterns("plans"))
            entry = {"name": name, "told": build(trt, bundle, args)}
            for certificate in glob.glob(os.path.join(bundle, "plans", "*.json")):
                shutil.copy(
                    certificate, os.path.join(args.out, "certificates", name + "." + os.path.basename(certificate))
                )
            entry["cases"] = time_in_turns(trt, torch, bundle, args)
            if args.graph in in_half(bundle):
                entry["half"] = trt.get("differ", bundle, args.graph, str(args.samples))
            found["bundles"].append(entry)
            write(args.out, found)
    print("{}: measurements.json, section.md, certificates/".format(args.out))


def processor():
    try:
        with open("/proc/cpuinfo", encoding="utf-8") as handle:
            return next(line.split(":")[1].strip() for line in handle if line.startswith("model name"))
    except (OSError, StopIteration, IndexError):
        return platform.processor() or "not known"


def write(folder, found):
    for name, text in (("measurements.json", json.dumps(found, indent=1) + "\n"), ("section.md", section.text(found))):
        place = os.path.join(folder, name)
        with open(place + ".part", "w", encoding="utf-8") as handle:
            handle.write(text)
        os.replace(place + ".part", place)


def make_parser():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("bundles", nargs="+", metavar="BUNDLE")
    parser.add_argument("--trt-python", default=os.environ.get("LATENTJET_TRT_PYTHON", sys.executable))
    parser.add_argument("--torch-python", default=os.environ.get("LATENTJET_TORCH_PYTHON", sys.executable))
    parser.add_argument("--without-eager", action="store_true", help="measure TensorRT alone")
    parser.add_argument("--eager-device", default="cuda", help="where eager PyTorch runs (default cuda)")
    parser.add_argument("--out", required=True, metavar="FOLDER")
    parser.add_argument(
        "--graph", default="decode", help="the graph to time (default decode); all are built and checked"
    )
    parser.add_argument("--batch", default="1,8,64", help="profiles, and the batch sizes to time (default 1,8,64)")
    parser.add_argument("--tactics", help="as for latentjet build: where cuBLAS or cuDNN are missing")
    parser.add_argument("--samples", type=int, default=10000, help="rows that half precision is compared on")
    parser.add_argument(
        "--turns", type=int, default=3, help="how often TensorRT and eager PyTorch take turns (default 3)"
    )
    parser.add_argument("--rounds", type=int, default=10, help="rounds in a turn (default 10)")
    parser.add_argument(
        "--burst", type=float, default=0.05, metavar="S", help="seconds a case and round (default 0.05)"
    )
    return parser


def main(argv=None):
    args = make_parser().parse_args(argv)
    try:
        measure(args)
    except (Failed, OSError) as error:
        print("measure: {}".format(error), file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
