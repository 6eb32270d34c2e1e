"""latentjet train: the command line."""

import argparse
import os
import shlex
import sys
from pathlib import Path

from .errors import SettingsError, TrainError


def numbers(text):
    """ "4,4" -> [4, 4]"""
    try:
        return [int(part) for part in text.split(",")]
    except ValueError:
        raise argparse.ArgumentTypeError(f"'{text}' is not a list of integers like 4,4") from None


def make_parser():
    parser = argparse.ArgumentParser(
        prog="latentjet train",
        description="Train a model; writes checkpoint.npz, metrics.jsonl, curve.png and results/sample_N.png.",
    )
    parser.add_argument("family", choices=["vae", "cvae", "realnvp", "gan"], help="vae has no labels, the others do")
    parser.add_argument("--out", required=True, metavar="DIR", help="where to write; must not hold another run")
    parser.add_argument("--resume", action="store_true", help="go on from the checkpoint in --out")
    parser.add_argument("--start", metavar="RUN", help="begin with the weights of another run, its shape and its data")
    parser.add_argument(
        "--data", help="mnist, fashion-mnist (default), fashion-sample, cifar10, or a folder of class folders"
    )
    parser.add_argument(
        "--data-dir", metavar="DIR", help="where the data lie (else $LATENTJET_DATA, the system, a download)"
    )
    parser.add_argument("--no-download", action="store_true", help="never use the network")
    parser.add_argument("--size", type=int, help="resize the images of a folder to SIZE x SIZE")
    parser.add_argument("--limit", type=int, metavar="N", help="take the first N training images only")
    parser.add_argument("--epochs", type=int)
    parser.add_argument("--batch", type=int)
    parser.add_argument("--lr", type=float, help="peak learning rate")
    parser.add_argument("--fall", type=float, help="share of the steps with falling lr (default 0.4, of a realnvp 0.8)")
    parser.add_argument(
        "--optimizer", choices=["adam", "muon"], help="muon: a realnvp's default, for convolutions; adam: the others'"
    )
    parser.add_argument(
        "--contrast", type=float, metavar="WEIGHT",
        help="of a realnvp: how much it costs that a wrong label is less than 60 nats worse (0 to 1; default 0)",
    )  # fmt: skip
    parser.add_argument("--seed", type=int)
    parser.add_argument("--ema", type=float, help="decay of the averaged weights (default 0.999)")
    parser.add_argument("--clip", type=float, help="largest gradient norm (default 100, of a realnvp 1)")
    parser.add_argument("--validation", type=float, help="share of the training set held out (default 0.1)")
    parser.add_argument("--precision", choices=["auto", "fp32", "bf16"], help="auto: bf16 where the processor has it")
    parser.add_argument("--device", default="auto", help="auto, cpu, cuda, cuda:N")
    parser.add_argument(
        "--processes", type=int, default=1, metavar="N", help="share each batch among N (on this machine)"
    )
    parser.add_argument("--unconditional", action="store_true", default=None, help="cvae, realnvp, gan without labels")
    model = parser.add_argument_group("the model")
    model.add_argument("--latent", type=int, help="latent size of a VAE (default 20) or GAN (default 64)")
    model.add_argument("--form", choices=["mlp", "conv"], help="of a VAE (default mlp, 784-400-20)")
    model.add_argument("--hidden", type=int, help="units (mlp) or channels (conv) of a VAE; channels of a GAN")
    model.add_argument("--couplings", type=numbers, metavar="4,4", help="couplings of each level of a realnvp")
    model.add_argument("--width", type=numbers, metavar="64,128", help="channels of its nets at each level")
    model.add_argument("--planes", type=int, help="label planes of a realnvp (default 10)")
    model.add_argument("--depth", type=int, help="1x1 convolutions in each of its nets (default 1)")
    model.add_argument("--bound", type=float, help="largest |log scale| of a coupling (default 1)")
    model.add_argument(
        "--dequantiser", type=int, metavar="WIDTH", help="of a realnvp's nets for the noise (default 32; 0: uniform)"
    )
    return parser


PLACES = ("out", "resume", "start", "data_dir", "no_download", "device", "processes")


def prepare(args):
    """Arguments -> settings, the checkpoint to resume or None, that to start from or None.

    Raises SettingsError for a folder that holds something else.
    """
    from . import checkpoint, settings

    out = Path(args.out)
    given = {name: value for name, value in vars(args).items() if name not in PLACES}
    if not args.resume:
        if out.exists() and (not out.is_dir() or any(out.iterdir())):
            raise SettingsError(f"--out {out} exists and is not empty: name another folder, or give --resume to go on")
        start = checkpoint.load(args.start) if args.start else None
        if start:
            given = settings.starting(given, args.start, start)
        given["data"] = given["data"] or "fashion-mnist"
        return settings.resolve(args.family, given), None, start
    if args.start:
        raise SettingsError("--resume goes on with the weights of the run in --out: leave --start out")
    stored = checkpoint.load(out)
    known = {**settings.DEFAULTS, **stored.about["settings"]}  # a run may be older than some of them
    if known["family"] != args.family:
        has = known["family"]
        raise SettingsError(f"{out} holds a run of '{has}', not of '{args.family}': give {has}")
    shown = {**stored.about["model"]["arguments"], **known, "epochs": args.epochs}
    settings.refuse_others(given, shown, f"the run in {out}", "leave it out, or start anew")
    epochs, done = known["epochs"] if args.epochs is None else args.epochs, len(stored.about["history"])
    if epochs < max(1, done):
        raise SettingsError(f"--epochs is {epochs}, but the run in {out} has {done} already: give more")
    return {**known, "epochs": epochs}, stored, None


def load_data(args, settings):
    """Data to train on and to validate on; says on stderr which was taken."""
    from . import data, processes

    size = (settings["size"], settings["size"]) if settings.get("size") else None
    chosen = (settings["data"], "train", args.data_dir, not args.no_download, size)
    whole = processes.one_after_another(lambda: data.load(*chosen))
    if processes.rank() == 0:
        print(f"data: {whole.name}, {len(whole.labels)} training images, {whole.source}", file=sys.stderr)
    return data.hold_out(data.first(whole, settings.get("limit")), settings["validation"], settings["seed"])


def run(args):
    from . import fit, processes
    from .device import choose_device

    settings, stored, start = prepare(args)
    device = processes.join(choose_device(args.device))  # waits for all, so that each saw --out as it was
    training, held_out = load_data(args, settings)
    try:
        done = fit.fit(settings, training, held_out, args.out, device, stored, start)
    except OSError as error:
        raise SettingsError(f"{args.out} cannot be written: {error.strerror or error}") from error
    last = f"{done.history[-1]['validation']:.3f} {done.family.unit}" if done.history else "not trained"
    told = f"{args.out}: {last} on held-out images after {len(done.history)} epochs; see curve.png and results/"
    del done  # before the processes part
    first = processes.rank() == 0
    processes.leave()
    if first:
        print(told)
    return 0


def resuming(args):
    """Arguments -> the words of the command that goes on with a run."""
    words = ["latentjet", "train", args.family, "--out", args.out, "--resume"]
    words += ["--data-dir", args.data_dir] if args.data_dir else []
    words += ["--processes", str(args.processes)] if args.processes != 1 else []
    return [*words, "--no-download"] if args.no_download else words


def launch(count, argv):
    """Run this command in so many processes on this machine, as torchrun does -> exit status."""
    if count < 1:
        raise SettingsError(f"--processes is {count}, expected at least 1")
    from torch.distributed import run as torchrun
    from torch.distributed.elastic.multiprocessing.api import SignalException
    from torch.distributed.elastic.multiprocessing.errors import ChildFailedError

    os.environ.setdefault("OMP_NUM_THREADS", str(max(1, (os.cpu_count() or 1) // count)))
    command = ["--standalone", f"--nproc-per-node={count}", "-m", "latentjet.train", *argv]
    try:
        torchrun.run(torchrun.parse_args(command))
    except ChildFailedError:
        return 1  # it has said why
    except SignalException as error:
        return 128 + error.sigval  # the first process has said how to go on
    return 0


def main(argv=None):
    argv = sys.argv[1:] if argv is None else argv
    args = make_parser().parse_args(argv)
    try:
        if args.processes != 1 and "TORCHELASTIC_RUN_ID" not in os.environ:
            return launch(args.processes, argv)
        return run(args)
    except TrainError as error:
        if os.environ.get("LOCAL_RANK", "0") == "0":  # the others say the same
            print(f"latentjet train: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        begun = Path(args.out, "checkpoint.npz").is_file()
        hint = f"; go on with: {shlex.join(resuming(args))}" if begun else ""
        if os.environ.get("LOCAL_RANK", "0") == "0":
            print(f"\nstopped{hint}", file=sys.stderr)
        return 130


if __name__ == "__main__":
    sys.exit(main())
