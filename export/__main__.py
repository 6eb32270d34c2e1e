"""latentjet export: the command line."""

import argparse
import sys


def make_parser():
    parser = argparse.ArgumentParser(
        prog="latentjet export",
        description="A checkpoint, or a bundle with weights -> a bundle of graphs that the target can run, verified.",
    )
    what = "what `latentjet train --out` wrote, or a bundle (with its weights) to export again"
    parser.add_argument("checkpoint", metavar="CHECKPOINT", help=what)
    parser.add_argument("bundle", metavar="BUNDLE", help="a folder to make, or a .zip")
    parser.add_argument("--target", default="tx2", help="what to export for (default tx2)")
    parser.add_argument("--without-weights", action="store_true", help="leave out what only the eager baseline reads")
    parser.add_argument("--compact", action="store_true", help="store once what several files hold: smaller")
    parser.add_argument("--overwrite", action="store_true", help="replace BUNDLE if it exists")
    return parser


def main(argv=None):
    args = make_parser().parse_args(argv)
    from ..runtime.__main__ import describe
    from ..runtime.errors import LatentjetError
    from ..train.errors import TrainError
    from .pack import export_checkpoint

    try:
        bundle = export_checkpoint(
            args.checkpoint,
            args.bundle,
            args.target,
            args.overwrite,
            progress,
            with_weights=not args.without_weights,
            compacted=args.compact,
        )
    except (LatentjetError, TrainError) as error:
        print(f"latentjet export: {error}", file=sys.stderr)
        return 1
    print(describe(bundle))
    return 0


def progress(line):
    print(line, file=sys.stderr)


if __name__ == "__main__":
    sys.exit(main())
