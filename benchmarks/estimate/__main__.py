"""latentjet estimate: the command line."""

import argparse
import json
import os
import sys

from ...runtime import files
from ...runtime.errors import LatentjetError
from . import graph as graphs
from . import predict, report, targets


def make_parser():
    parser = argparse.ArgumentParser(
        prog="latentjet estimate",
        description="Predict the latency of a graph on a Jetson, from the graph alone. Nothing is run.",
    )
    parser.add_argument("source", metavar="BUNDLE|MODEL.onnx", help="a bundle, a name that ships, or any ONNX file")
    parser.add_argument("--target", default="tx2", help="of {} (default tx2)".format(", ".join(sorted(targets.table()))))
    parser.add_argument("--mode", help="the board's power mode, as nvpmodel calls it (default: its fastest)")
    parser.add_argument("--precision", default="fp16", help="fp16 or fp32 (default fp16)")
    parser.add_argument("--batch", type=int, help="what the free first axis is set to (default 1)")
    parser.add_argument("--graph", default="decode", help="which graph of a bundle (default decode)")
    parser.add_argument("--layers", type=int, default=12, metavar="N", help="show the N longest; 0: all (default 12)")
    parser.add_argument("--json", metavar="FILE", help="keep it all here too")
    parser.add_argument("--overwrite", action="store_true", help="replace --json if it exists")
    return parser


def run(args):
    if args.json:
        files.refuse_existing(args.json, args.overwrite)
    found = predict.estimate(args.source, args.target, args.mode, args.precision, args.batch, args.graph)
    name = os.path.basename(args.source.rstrip("/"))
    if not graphs.is_onnx(args.source):
        name = "{} '{}'".format(name, args.graph)
    content = predict.calibration()
    if args.json:
        plain = report.as_plain(found, name, content)
        files.write_file(args.json, (json.dumps(plain, indent=1, sort_keys=True) + "\n").encode("utf-8"))
    print(report.text(found, name, content, max(args.layers, 0)))
    if args.json:
        print(args.json)
    return 0


def main(argv=None):
    args = make_parser().parse_args(argv)
    try:
        return run(args)
    except LatentjetError as error:
        print("latentjet estimate: {}".format(error), file=sys.stderr)
        return 1


if __name__ == "__main__":
    sys.exit(main())
