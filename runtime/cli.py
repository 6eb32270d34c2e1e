"""The console script `latentjet`: hands each command to the part that does it, and imports no other part."""

import importlib
import os
import sys

from .version import VERSION

COMMANDS = [
    ("Make a model", [
        ("train", "latentjet.train.__main__", "train", "train a VAE, a conditional VAE, a Real NVP or a GAN"),
        ("study", "latentjet.train.study.__main__", "study", "grids and searches of training runs, as a page"),
        ("export", "latentjet.export.__main__", "export", "a checkpoint -> a bundle for the board"),
        ("card", "latentjet.export.card", "export", "a bundle and its evaluations -> its model card"),
        ("demo", "latentjet.export.demo", "all", "all of it on real FashionMNIST images, in three minutes"),
    ]),
    ("Use a bundle (this is all that the board needs)", [
        ("models", "latentjet.runtime.__main__", None, "the pretrained bundles that ship"),
        ("show", "latentjet.runtime.__main__", None, "what is in a bundle"),
        ("copy", "latentjet.runtime.__main__", None, "a bundle -> a plain one, each file whole, where you want it"),
        ("build", "latentjet.runtime.build", None, "TensorRT plans for this device, built and verified here"),
        ("check", "latentjet.runtime.__main__", None, "does a backend reproduce the reference vectors?"),
        ("sample", "latentjet.runtime.__main__", None, "labels -> a picture of generated images"),
        ("doctor", "latentjet.runtime.doctor", None, "what is on this machine, what is missing, what to do"),
    ]),
    ("Measure", [
        ("evaluate", "latentjet.export.evaluate", "all", "likelihood, accuracy, FID and sharpness of a model"),
        ("judge", "latentjet.train.make_judge", "train", "train the frozen classifier that evaluate judges with"),
        ("bench", "latentjet.benchmarks.__main__", "bench", "latency and throughput beside eager PyTorch"),
        ("estimate", "latentjet.benchmarks.estimate.__main__", "estimate", "a graph -> a predicted latency on a board"),
    ]),
]  # fmt: skip
WITHOUT_NAME = ("train", "study", "export", "card", "demo", "build", "doctor", "bench", "evaluate", "judge", "estimate")


def contents():
    """The help text: a table of contents."""
    lines = ["latentjet {}: conditional generative models from PyTorch to a Jetson".format(VERSION), ""]
    lines.append("usage: latentjet COMMAND ...      latentjet COMMAND --help")
    for title, commands in COMMANDS:
        lines += ["", title]
        lines += ["  {:<8} {}".format(name, text) for name, _, _, text in commands]
    return "\n".join(lines)


def main(argv=None):
    """Run one command; returns its exit status."""
    argv = list(sys.argv[1:] if argv is None else argv)
    if not argv or argv[0] in ("-h", "--help", "help"):
        print(contents())
        return 0 if argv else 2
    if argv[0] == "--version":
        print(VERSION)
        return 0
    known = {name: (module, extra) for _, commands in COMMANDS for name, module, extra, _ in commands}
    if argv[0] not in known:
        print("latentjet: '{}' is no command, expected one of: {}".format(argv[0], ", ".join(known)), file=sys.stderr)
        return 2
    module, extra = known[argv[0]]
    try:
        command = importlib.import_module(module)
    except ImportError as error:
        if extra is None:
            raise
        print(
            "latentjet {}: '{}' is not installed: pip install 'latentjet[{}]'".format(argv[0], error.name, extra),
            file=sys.stderr,
        )
        return 1
    try:
        status = command.main(argv[1:] if argv[0] in WITHOUT_NAME else argv)
        sys.stdout.flush()
        return status
    except BrokenPipeError:  # whoever read the output has seen enough, as `| head` has
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0


if __name__ == "__main__":
    sys.exit(main())
