"""The one training loop.

Every random number comes from a generator that is seeded by (seed, epoch), so a run that was killed and resumed
from its last checkpoint gives the same weights as one that was not.
"""

import json
import math
import time
from pathlib import Path

import torch
from torch.nn import functional
from torch.optim.swa_utils import AveragedModel
from tqdm import tqdm

from . import checkpoint, curves
from .errors import SettingsError, TrainError
from .settings import FAMILIES, make_model


def choose_device(name):
    """ "auto", "cpu", "cuda" or "cuda:1" -> torch.device; raises SettingsError where there is no such device."""
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "cpu"
    try:
        device = torch.device(name)
    except RuntimeError as error:
        raise SettingsError(f"--device is '{name}', expected auto, cpu, cuda or cuda:N") from error
    if device.type not in ("cpu", "cuda"):
        raise SettingsError(f"--device is '{name}', expected auto, cpu, cuda or cuda:N")
    if device.type == "cuda" and not torch.cuda.is_available():
        raise SettingsError(f"--device is '{name}', but this torch sees no CUDA device: take --device cpu")
    if device.type == "cuda" and (device.index or 0) >= torch.cuda.device_count():
        raise SettingsError(f"--device is '{name}', but this torch sees {torch.cuda.device_count()} CUDA devices")
    return device


def choose_precision(name, device):
    """ "auto", "fp32" or "bf16" -> "fp32" or "bf16": bf16 where the processor multiplies it in hardware."""
    if name != "auto":
        return name
    if device.type == "cuda":
        return "bf16" if torch.cuda.is_bf16_supported() else "fp32"
    has = getattr(torch.cpu, "get_capabilities", dict)()
    return "bf16" if has.get("avx512_bf16") or has.get("amx_bf16") else "fp32"


def learning_rate(step, total, peak, warmup):
    """Linear warm-up, constant, then linear to 2 % of the peak over the last 40 % of the steps."""
    progress = step / total
    return peak * min(1.0, (step + 1) / warmup) * (1.0 if progress < 0.6 else max(0.02, (1 - progress) / 0.4))


def averaging(decay):
    """Exponential moving average whose horizon grows with the steps, so that short runs are not held back."""

    def average(means, values, count):
        torch._foreach_lerp_(means, values, 1 - min(decay, (1 + count.item()) / (10 + count.item())))

    return average


class Run:
    """What a training run carries from step to step: model, average, optimiser, history."""

    def __init__(self, settings, data, device):
        torch.manual_seed(settings["seed"])
        self.settings, self.device = settings, device
        self.family = FAMILIES[settings["family"]]
        self.model = make_model(settings, data).to(device)
        self.average = AveragedModel(self.model, multi_avg_fn=averaging(settings["ema"]))
        self.optimizer = torch.optim.Adam(self.model.parameters(), lr=settings["lr"])
        self.precision = choose_precision(settings["precision"], device)
        self.history = []
        self.step = 0

    def labels(self, labels):
        if not self.model.classes:
            return None
        return functional.one_hot(labels, self.model.classes).float().to(self.device)

    def losses(self, model, data, rows, generator):
        """Losses (N,) of rows of the data."""
        with torch.autocast(self.device.type, torch.bfloat16, enabled=self.precision == "bf16"):
            return self.family.loss(model, data.images[rows].to(self.device), self.labels(data.labels[rows]), generator)

    def save(self, path, data):
        about = {
            "model": {"class": type(self.model).__name__, "arguments": self.model.arguments},
            "settings": self.settings,
            "data": describe(data),
            "history": self.history,
            "unit": self.family.unit,
            "step": self.step,
            "averaged": int(self.average.n_averaged),
        }
        arrays = checkpoint.arrays_of("model", self.model.state_dict())
        arrays.update(checkpoint.arrays_of("ema", self.average.module.state_dict()))
        for index, state in self.optimizer.state_dict()["state"].items():
            arrays.update(checkpoint.arrays_of(f"optimizer/{index}", state))
        checkpoint.save(path, about, arrays)

    def restore(self, stored, data):
        """Take up a stored run; raises where it is of another model, or was trained on other data."""
        seen, now = stored.about["data"], describe(data)
        for key in ("name", "classes", "images"):
            if seen[key] != now[key]:
                raise SettingsError(f"the {key} of the data were {seen[key]} and are {now[key]} now: start anew")
        name = stored.about["model"]["class"]
        checkpoint.load_state(self.model, stored.state("model"), name)
        checkpoint.load_state(self.average.module, stored.state("ema"), name)
        self.average.n_averaged.fill_(stored.about["averaged"])
        states = {}
        for key, tensor in stored.state("optimizer").items():
            index, entry = key.split("/")
            states.setdefault(int(index), {})[entry] = tensor
        groups = self.optimizer.state_dict()["param_groups"]
        self.optimizer.load_state_dict({"state": states, "param_groups": groups})
        self.history, self.step = stored.about["history"], stored.about["step"]


def describe(data):
    """What a checkpoint records of the training data."""
    return {"name": data.name, "source": data.source, "classes": list(data.classes), "images": len(data.labels)}


def finite(loss, run, epoch, where):
    """The loss itself; raises TrainError where it is not finite, so that such a model is never saved."""
    if math.isfinite(loss):
        return loss
    raise TrainError(
        f"the loss became {loss} in epoch {epoch}, {where}: the checkpoint of epoch {epoch - 1} is kept; "
        f"try a smaller --lr (it is {run.settings['lr']})"
    )


def epoch_generator(seed, epoch):
    return torch.Generator().manual_seed(seed * 1_000_003 + epoch)


def train_epoch(run, data, epoch, total_steps, show):
    """One pass over the training data; returns the mean loss. Raises TrainError when the loss is not finite."""
    settings, generator = run.settings, epoch_generator(run.settings["seed"], epoch)
    order = torch.randperm(len(data.labels), generator=generator)
    batches = order.split(settings["batch"])
    silent = None if show else True  # None: silent unless stderr is a terminal
    bar = tqdm(batches, desc=f"epoch {epoch:>3}/{settings['epochs']}", unit="batch", disable=silent, leave=False)
    total, run.model = 0.0, run.model.train()
    for rows in bar:
        for group in run.optimizer.param_groups:
            group["lr"] = learning_rate(run.step, total_steps, settings["lr"], settings["warmup"])
        loss = run.losses(run.model, data, rows, generator).mean()
        value = finite(loss.item(), run, epoch, f"step {run.step + 1}")
        run.optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(run.model.parameters(), settings["clip"])
        run.optimizer.step()
        run.average.update_parameters(run.model)
        run.step += 1
        total += value * len(rows)
        bar.set_postfix_str(f"{value:.3f} {run.family.unit}")
    return total / len(order)


@torch.no_grad()
def validate(run, data):
    """Mean loss of the averaged weights over held-out data, with the same noise every time."""
    model, generator = run.average.module.eval(), torch.Generator().manual_seed(run.settings["seed"])
    chunks = torch.arange(len(data.labels)).split(256)
    return sum(run.losses(model, data, rows, generator).sum().item() for rows in chunks) / len(data.labels)


def fit(settings, data, held_out, out, device, stored=None, show=True):
    """Train from settings, or on from a stored checkpoint, to settings["epochs"]; everything is written to out.

    data, held_out: Data to train on and to validate on; show: progress on stderr. Returns the Run.
    """
    out = Path(out)
    run = Run(settings, data, device)
    if stored is not None:
        run.restore(stored, data)
    (out / "results").mkdir(parents=True, exist_ok=True)
    if stored is None:
        run.save(out / checkpoint.NAME, data)
    elif run.history:  # the run may have been killed after its checkpoint and before its pictures
        report(run, out, run.history[-1], show=False)
    steps = -(-len(data.labels) // settings["batch"]) * settings["epochs"]
    for epoch in range(len(run.history) + 1, settings["epochs"] + 1):
        began = time.perf_counter()
        train_loss = train_epoch(run, data, epoch, steps, show)
        seconds = time.perf_counter() - began
        validation = finite(validate(run, held_out), run, epoch, "on held-out images")
        row = {
            "epoch": epoch, "train": train_loss, "validation": validation, "seconds": round(seconds, 2),
            "images_per_s": round(len(data.labels) / seconds, 1), "precision": run.precision,
        }  # fmt: skip
        run.history.append(row)
        run.save(out / checkpoint.NAME, data)
        report(run, out, row, show)
    return run


def report(run, out, row, show):
    """What a person looks at after an epoch: a line, the metrics file, the curve, a grid of samples."""
    lines = "".join(json.dumps(entry) + "\n" for entry in run.history)
    checkpoint.write_atomically(out / "metrics.jsonl", lines.encode())
    title = f"{run.settings['family']} on {run.settings['data']}"
    curves.draw_curve(out / "curve.png", run.history, run.family.unit, title)
    picture = out / "results" / f"sample_{row['epoch']}.png"
    curves.draw_samples(picture, run.average.module.eval(), run.family.temperature, run.settings["seed"])
    if show:
        tqdm.write(
            f"epoch {row['epoch']:>3}/{run.settings['epochs']}  train {row['train']:8.3f}  "
            f"validation {row['validation']:8.3f} {run.family.unit}  {row['seconds']:.1f} s"
        )
