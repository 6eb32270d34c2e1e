"""The one training loop.

Every random number comes from a generator that is seeded by (seed, epoch), so a run that was killed and resumed
from its last checkpoint gives the same weights as one that was not.
"""

import json
import math
import time
from functools import partial
from pathlib import Path

import torch
from tqdm import tqdm

from . import checkpoint, curves, processes
from .adversarial import AdversarialRun
from .errors import NotFiniteError
from .gains import largest_gain
from .run import Run


def learning_rate(step, total, peak, warmup, fall):
    """Linear warm-up, constant, then linear to 2 % of the peak over the last steps; fall: their share of all."""
    return peak * min(1.0, (step + 1) / warmup, max(0.02, (1 - step / total) / fall))


def epoch_generator(seed, epoch):
    return torch.Generator().manual_seed(seed * 1_000_003 + epoch)


def train_epoch(run, data, epoch, total_steps, show):
    """One pass over the training data -> {name: mean loss}. Raises NotFiniteError that names the step and a layer."""
    settings, generator = run.settings, epoch_generator(run.settings["seed"], epoch)
    order = torch.randperm(len(data.labels), generator=generator)
    batches = order.split(settings["batch"])
    silent = None if show else True  # None: silent unless stderr is a terminal
    bar = tqdm(batches, desc=f"epoch {epoch:>3}/{settings['epochs']}", unit="batch", disable=silent, leave=False)
    totals = dict.fromkeys(run.losses_shown, 0.0)
    for rows in bar:
        rate = learning_rate(run.step, total_steps, settings["lr"], settings["warmup"], settings["fall"])
        before = generator.get_state()
        try:
            losses = run.update(data, rows, generator, rate)
        except NotFiniteError as error:
            generator.set_state(before)
            gain = largest_gain(run.networks(), partial(run.rehearse, data, rows, generator))
            raise NotFiniteError(f"{error} in epoch {epoch}, step {run.step + 1}; {gain}") from error
        for name, value in losses.items():
            totals[name] += value * len(rows)
        bar.set_postfix_str(spelled(losses))
    return {name: total / len(order) for name, total in totals.items()}


def spelled(losses):
    return "  ".join(f"{name} {value:8.3f}" for name, value in losses.items())


def measure(run, held_out, epoch):
    """What is reported on held-out images; raises NotFiniteError, so that a model without it is never saved."""
    value = run.validate(held_out)
    if math.isfinite(value):
        return value
    raise NotFiniteError(f"{run.family.unit} became {value} on held-out images after epoch {epoch}")


def advice(run, path):
    """What is left of a run that cannot go on, and what to try."""
    half = ", or --precision fp32" if run.precision == "bf16" else ""
    return (
        f"{path} keeps epoch {len(run.history)}; start anew in another folder with a smaller --lr (it is "
        f"{run.settings['lr']}), a smaller --clip (it is {run.settings['clip']}){half}"
    )


def fit(settings, data, held_out, out, device, stored=None, start=None, show=True, pictures_every=1):
    """Train from settings, or on from a stored checkpoint, to settings["epochs"]; everything is written to out.

    data, held_out: Data to train on and to validate on; start: a Checkpoint whose weights it begins
    with; show: progress on stderr; pictures_every: so many epochs, and after the last, since drawing can take longer
    than training. Of several processes only the first writes and shows.
    Returns the Run.
    """
    out, first = Path(out), processes.rank() == 0
    show = show and first
    run = (AdversarialRun if settings["family"] == "gan" else Run)(settings, data, device)
    if stored is not None:
        run.restore(stored, data)
    elif start is not None:
        run.start(start, data)
    if first:
        (out / "results").mkdir(parents=True, exist_ok=True)
    if first and stored is None:
        run.save(out / checkpoint.NAME, data)
    elif first and run.history:  # the run may have been killed after its checkpoint and before its pictures
        report(run, out, run.history[-1], show=False)
    steps = -(-len(data.labels) // settings["batch"]) * settings["epochs"]
    for epoch in range(len(run.history) + 1, settings["epochs"] + 1):
        began = time.perf_counter()
        try:
            losses = train_epoch(run, data, epoch, steps, show)
            seconds = time.perf_counter() - began
            validation = measure(run, held_out, epoch)
        except NotFiniteError as error:
            raise NotFiniteError(f"{error}; {advice(run, out / checkpoint.NAME)}") from error
        row = {
            "epoch": epoch, **losses, "validation": validation, "seconds": round(seconds, 2),
            "images_per_s": round(len(data.labels) / seconds, 1), "precision": run.precision,
        }  # fmt: skip
        run.history.append(row)
        if first:
            run.save(out / checkpoint.NAME, data)
            report(run, out, row, show, pictures_every)
    return run


def report(run, out, row, show, pictures_every=1):
    """What a person looks at after an epoch: a line, the metrics file, the curve, a grid of samples."""
    lines = "".join(json.dumps(entry) + "\n" for entry in run.history)
    checkpoint.write_atomically(out / "metrics.jsonl", lines.encode())
    if row["epoch"] % pictures_every == 0 or row["epoch"] == run.settings["epochs"]:
        draw(run, out, row)
    if show:
        shown = spelled({name: row[name] for name in (*run.losses_shown, "validation")})
        tqdm.write(
            f"epoch {row['epoch']:>3}/{run.settings['epochs']}  {shown} {run.family.unit}  {row['seconds']:.1f} s"
        )


def draw(run, out, row):
    title = f"{run.settings['family']} on {run.settings['data']}"
    curves.draw_curve(out / "curve.png", run.history, run.panels(), title)
    picture = out / "results" / f"sample_{row['epoch']}.png"
    curves.draw_samples(picture, run.average.module.eval(), run.family.temperature, run.settings["seed"])
