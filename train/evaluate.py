"""Every figure of an evaluation, from a Subject, images and a judge: {name: Figure}, and why the others are absent.

Names are stable. A part after a slash is one class, latent dimension or frequency of the figure before it.

    bits_per_dim, bits_per_dim_importance, bce_kl, elbo_binarised, iwae_binarised        likelihood.py
    wrong_label_gap                                     the same with a wrong label
    kl, kl/DIMENSION, active_units                      a VAE's posterior
    accuracy, accuracy/CLASS, judge_accuracy            the judge's labels
    fid, fid_floor, kid, kid_floor                      features.py
    sharpness, spectrum/FREQUENCY                       sharpness.py
"""

import math
from typing import NamedTuple

import numpy as np
import torch

from . import features, likelihood, losses, sharpness
from .bootstrap import EDGES, Figure, mean_figure, mean_figures, ratio_figures, resampled_means
from .errors import DataError, EvaluationError
from .judge import FEATURES
from .models.dequantiser import unchanged
from .subject import draw

ACTIVE = 0.01
FEWEST = 4


class Options(NamedTuple):
    """seed of all noise and resampling; temperature; samples (None: as many as images); importance: draws of the
    bounds; binarise: "threshold" or "stochastic"."""

    seed: int = 0
    temperature: float = 1.0
    samples: int = None
    importance: int = 1
    binarise: str = "threshold"


class Report(NamedTuple):
    """figures {name: Figure}; absent {name: why}; spectrum {frequencies, real, samples}: mean power."""

    figures: dict
    absent: dict
    spectrum: dict


def evaluate(subject, images, others, judge, options, progress=lambda line: None):
    """Subject, Data to measure on, Data of the other split (for the floors), Judge, Options -> Report.

    Raises DataError where the images do not fit the subject, EvaluationError for values that are not finite.
    """
    refuse_misfit(subject, images)
    report = Report({}, {}, {})
    progress(f"likelihood of {len(images.labels)} images")
    add_likelihood(report, subject, images, options)
    labels = shuffled(images.labels, options.samples or len(images.labels), options.seed)
    progress(f"{len(labels)} samples at temperature {options.temperature}, {subject.how}")
    drawn = draw(subject, labels, options.temperature, options.seed)
    progress("labels and features by the judge, distances, spectra")
    add_judged(report, subject, images, others, drawn, labels, judge, options)
    add_sharpness(report, images.images, drawn, options)
    return report


def refuse_misfit(subject, images):
    """Raises DataError where images or classes are not those of the model."""
    shape = tuple(images.images.shape[1:])
    if not len(images.labels):
        raise DataError(f"{images.name} has no images in this split: nothing can be measured")
    if shape != subject.image:
        raise DataError(f"{images.name} has images {shape}, the model {subject.image} (C, H, W): give its own --data")
    if subject.classes and subject.classes != images.classes:
        raise DataError(
            f"{images.name} has the classes {', '.join(images.classes)}, the model {', '.join(subject.classes)}: "
            "give its own --data"
        )


def shuffled(labels, count, seed):
    """Labels (N,) -> count of them in random order, each in its share: all N before any comes again."""
    order = torch.from_numpy(np.random.RandomState(seed).permutation(len(labels)))
    return labels[order].repeat(-(-count // len(labels)))[:count]


def finite(values, what):
    """values (N,) themselves; raises EvaluationError that counts those not finite."""
    lost = np.flatnonzero(~np.isfinite(values))
    if len(lost):
        raise EvaluationError(
            f"{what} of {len(lost)} of {len(values)} images is not finite, of image {lost[0]} first: "
            "train with a smaller --lr, or keep more of the model in float32"
        )
    return values


def add_likelihood(report, subject, images, options):
    """The family's own likelihood, what a wrong label costs, and a VAE's posterior."""
    names = ("bits_per_dim", "bits_per_dim_importance") if subject.log_prob else ("bce_kl", "elbo_binarised")
    if not (subject.log_prob or subject.encode):
        report.absent.update(dict.fromkeys(("likelihood", "wrong_label_gap"), subject.missing))
        return
    x8, labels, seed = images.images, images.labels, options.seed
    scores = finite(likelihood.log_score(subject, x8, labels, seed), names[0])
    if subject.log_prob:
        add_bits(report, subject, x8, labels, scores, options)
    else:
        note = "on grey pixels, no likelihood; one draw of z an image"
        report.figures["bce_kl"] = mean_figure(-scores, "nats an image", seed, note)
        add_bounds(report, subject, x8, labels, options)
        add_posterior(report, subject, x8, labels, seed)
    add_wrong_label_gap(report, subject, images, scores, seed)


def add_bits(report, subject, x8, labels, scores, options):
    """Bits/dim from log p (N,), and with more than one draw the importance-weighted bound."""
    size, seed = math.prod(subject.image), options.seed
    if subject.dequantise is unchanged:
        note = "8 - log2 p(x) / D, x = (x8 + u) / 256; one draw of uniform u an image"
    else:
        note = "8 - log2(p(x) / q(u)) / D, x = (x8 + u) / 256; one draw of u an image, from the flow's dequantiser q"
    report.figures["bits_per_dim"] = mean_figure(losses.bits_per_dim(scores, size), "bits/dim", seed, note)
    if options.importance > 1:
        bound = likelihood.importance_log_prob(subject, x8, labels, options.importance, seed)
        note = f"importance-weighted over {options.importance} draws of u an image: lower than bits_per_dim"
        bits = losses.bits_per_dim(finite(bound, "importance-weighted log p"), size)
        report.figures["bits_per_dim_importance"] = mean_figure(bits, "bits/dim", seed, note)


def add_bounds(report, subject, x8, labels, options):
    """ELBO, and with more than one draw IWAE, of binarised images."""
    rule = {"threshold": "1 above 127", "stochastic": f"drawn once with seed {options.seed}"}[options.binarise]
    ones = likelihood.binarise(x8, options.binarise, options.seed)
    elbo, iwae = likelihood.elbo_and_iwae(subject, ones, labels, options.importance, options.seed)
    note = f"pixels binarised ({options.binarise}: {rule}), model trained on grey ones; "
    draws = f"draws of z an image: {options.importance}"
    elbo, iwae = finite(elbo, "ELBO"), finite(iwae, "IWAE")
    report.figures["elbo_binarised"] = mean_figure(elbo, "nats an image", options.seed, note + draws)
    if options.importance > 1:
        report.figures["iwae_binarised"] = mean_figure(iwae, "nats an image", options.seed, note + draws)
    else:
        report.absent["iwae_binarised"] = "needs more than one draw: --importance 500"


def add_posterior(report, subject, x8, labels, seed):
    """KL of each latent dimension, and how many are active: variance of the posterior's mean above 0.01."""
    divergences, means = likelihood.posterior(subject, x8, labels)
    finite(divergences.sum(1), "KL")
    note = "of q(z|x) from the prior, all dimensions"
    report.figures["kl"] = mean_figure(divergences.sum(1), "nats an image", seed, note)
    for index, figure in enumerate(mean_figures(divergences, "nats an image", seed)):
        report.figures[f"kl/{index}"] = figure
    report.figures["active_units"] = active_units(means, seed)


def active_units(means, seed):
    """Means of the posterior (N, latent) -> Figure: dimensions whose variance over images is above ACTIVE."""
    moments = resampled_means(np.hstack([means, means**2]), seed)
    first, second = np.split(moments, 2, axis=1)
    low, high = np.percentile((second - first**2 > ACTIVE).sum(1), EDGES)
    note = f"of {means.shape[1]}: variance of the posterior's mean over images above {ACTIVE}"
    return Figure(float((means.var(0) > ACTIVE).sum()), float(low), float(high), len(means), "dimensions", note)


def add_wrong_label_gap(report, subject, images, scores, seed):
    """Right minus wrong label, the wrong one drawn evenly from the others, with the same noise."""
    if len(subject.classes) < 2:
        report.absent["wrong_label_gap"] = "the model is unconditional" if not subject.classes else "there is one class"
        return
    step = np.random.RandomState(seed).randint(1, len(subject.classes), len(images.labels))
    wrong = (images.labels + torch.from_numpy(step)) % len(subject.classes)
    other = finite(likelihood.log_score(subject, images.images, wrong, seed), "the score under a wrong label")
    what = "log p" if subject.log_prob else "-(BCE+KL)"
    note = f"{what} under the right label minus under a wrong one, same noise"
    report.figures["wrong_label_gap"] = mean_figure(scores - other, "nats an image", seed, note)


def add_judged(report, subject, images, others, drawn, labels, judge, options):
    """Conditional accuracy, FID and KID with their floors."""
    seed = options.seed
    real, guessed = judge.look(images.images)
    note = "the judge on the real images themselves"
    report.figures["judge_accuracy"] = mean_figure(guessed == images.labels.numpy(), "share", seed, note)
    made, guessed = judge.look(drawn)
    add_accuracy(report, subject, images.classes, labels.numpy(), guessed, options)
    rows = np.random.RandomState(seed).permutation(len(others.labels))[: len(drawn)]
    floor = judge.look(others.images[torch.from_numpy(np.sort(rows))])[0]
    for name, figure, fewest in (("fid", features.fid_figure, FEATURES + 1), ("kid", features.kid_figure, FEWEST)):
        for key, one in ((name, made), (f"{name}_floor", floor)):
            count = min(len(one), len(real))
            if count < fewest:
                why = f" (FID: more than the {FEATURES} features of the judge)" if name == "fid" else ""
                report.absent[key] = f"{count} images or samples are too few, expected at least {fewest}{why}"
            else:
                report.figures[key] = figure(one, real, seed)


def add_accuracy(report, subject, classes, labels, guessed, options):
    """The share of samples that the judge takes for their label, over all and by class."""
    if not subject.classes:
        report.absent["accuracy"] = "the model is unconditional"
        return
    note = f"samples at temperature {options.temperature} that the judge takes for their label"
    right = guessed == labels
    report.figures["accuracy"] = mean_figure(right, "share", options.seed, note)
    for index, name in enumerate(classes):
        if (labels == index).any():
            report.figures[f"accuracy/{name}"] = mean_figure(right[labels == index], "share", options.seed)
        else:
            report.absent[f"accuracy/{name}"] = "no sample of this class: there is no image of it"


def add_sharpness(report, real, drawn, options):
    """Variance of the Laplacian and power by frequency, samples over real images."""
    if min(real.shape[2:]) < 3:
        report.absent["sharpness"] = f"images of {real.shape[2]}x{real.shape[3]} have no inner pixels"
        return
    sides = [sharpness.laplacian_variance(images)[:, None] for images in (drawn, real)]
    note = "variance of the Laplacian, samples over real images, both uint8; 1 is as sharp"
    (figure,) = ratio_figures(*sides, "ratio", options.seed, note)
    add_ratio(report, "sharpness", figure)
    sides = [sharpness.power_spectrum(images) for images in (drawn, real)]
    for index, figure in enumerate(ratio_figures(*sides, "ratio", options.seed)):
        add_ratio(report, f"spectrum/{index + 1}", figure)
    means = [side.mean(0, dtype=np.float64).tolist() for side in sides]
    report.spectrum.update(frequencies=list(range(1, len(means[0]) + 1)), real=means[1], samples=means[0])


def add_ratio(report, name, figure):
    if all(map(math.isfinite, figure[:3])):
        report.figures[name] = figure
    else:
        report.absent[name] = "the real images have none of it: a ratio to zero"
