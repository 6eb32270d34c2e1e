"""latentjet demo: the whole chain on the images that ship here, each step as the command a person would type."""

import argparse
import sys
import time
from pathlib import Path

from ..runtime import cli

CLOTHES = "fashion-sample"
FLOW = ("--couplings", "4,2", "--epochs", "12", "--batch", "32")  # smaller than the default: two minutes of training


def steps(out, quick=False):
    """Folder -> the commands of the demo, in order."""
    cvae, flow = f"{out}/cvae", f"{out}/realnvp"
    short = ["--limit", "600", "--epochs", "1"] if quick else []
    commands = [
        ["train", "cvae", "--data", CLOTHES, "--epochs", "40", "--lr", "0.004", "--out", cvae, *short],
        ["export", cvae, f"{cvae}.bundle"],
        ["train", "realnvp", "--data", CLOTHES, *FLOW, "--out", flow, *short],
        ["export", flow, f"{flow}.bundle"],
    ]
    for model, temperature in ((cvae, "1.0"), (flow, "0.8")):
        commands += [
            ["check", f"{model}.bundle"],
            ["sample", f"{model}.bundle", "--labels", "0-9", "--temperature", temperature, "--out", f"{model}.png"],
            ["bench", "run", f"{model}.bundle", "--rounds", "4" if quick else "10", "--out", f"{model}-bench.json"],
        ]
    return commands


def make_parser():
    parser = argparse.ArgumentParser(
        prog="latentjet demo",
        description="Train, export, check, sample and benchmark on 6,000 real FashionMNIST images.",
    )
    parser.add_argument("--out", default="demo", metavar="DIR", help="where to write (default demo)")
    parser.add_argument("--quick", action="store_true", help="one epoch on 600 images: does everything run?")
    return parser


def main(argv=None):
    args = make_parser().parse_args(argv)
    out = Path(args.out)
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        print(
            f"latentjet demo: --out {out} exists and is not empty: name another folder, or delete it", file=sys.stderr
        )
        return 1
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        print(f"latentjet demo: --out {out} cannot be made: {error.strerror}", file=sys.stderr)
        return 1
    began = time.monotonic()
    for command in steps(out, args.quick):
        print(f"\n$ latentjet {' '.join(command)}", flush=True)
        status = cli.main(command)
        if status:
            print(
                f"latentjet demo: stopped, because `latentjet {command[0]}` ended with status {status}", file=sys.stderr
            )
            return status
    print(ending(out, time.monotonic() - began))
    return 0


def ending(out, seconds):
    """What to look at, and what to type next."""
    return f"""
done in {seconds:.0f} s. Look at
  {out}/cvae.png        ten classes, eight samples each, from the conditional VAE
  {out}/realnvp.png     the same from the Real NVP
  {out}/realnvp/curve.png and {out}/realnvp/results/    how it learned, epoch by epoch

next
  latentjet show {out}/realnvp.bundle
  latentjet sample {out}/cvae.bundle --labels Bag,Sneaker --count 12 --out more.png
  latentjet train realnvp --data fashion-mnist --epochs 20 --out longer"""


if __name__ == "__main__":
    sys.exit(main())
