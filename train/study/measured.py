"""What is measured of a run: figures of `latentjet evaluate`, by the same functions, without their intervals.

An interval says how sure a figure is of one model's weights; what a study asks is how it comes out again with another
seed, and a run for every seed tells that. FID and KID depend on the number of images: compare within a study only.
"""

import numpy as np

from .. import judge, losses, subject
from ..evaluate import ACTIVE, shuffled
from ..features import fid, kid
from ..likelihood import log_score, posterior
from ..settings import FAMILIES
from ..sharpness import laplacian_variance, power_spectrum

SEED = 0  # of the noise: the same in every run


def figures(model, family, images, others, temperature, place):
    """A trained model, Data to measure on, real Data to compare these with -> {figure: number} and the spectrum.

    temperature: None for the family's own; place: runs.Place. A figure that the model does not have is absent.
    Raises EvaluationError for samples that are not finite.
    """
    part = subject.of_model(model, images.classes, place.device, "eager")
    labels = shuffled(images.labels, len(images.labels), SEED)
    chosen = FAMILIES[family].temperature if temperature is None else temperature
    drawn = subject.draw(part, labels, chosen, SEED)
    seen_by = judge.find(images, place.judge)
    return {
        **likelihood(part, images),
        **judged(part, seen_by, images, others, drawn, labels.numpy()),
        **sharpness(drawn, images.images),
    }


def likelihood(part, images):
    """In the family's own unit, on grey pixels for a VAE."""
    if not (part.log_prob or part.encode):
        return {}
    scores = log_score(part, images.images, images.labels, SEED)
    if part.log_prob:
        return {"bits_per_dim": float(losses.bits_per_dim(scores.mean(), np.prod(part.image)))}
    divergences, means = posterior(part, images.images, images.labels)
    active = int((means.var(0) > ACTIVE).sum())
    return {"bce_kl": float(-scores.mean()), "kl": float(divergences.sum(1).mean()), "active_units": active}


def judged(part, seen_by, images, others, drawn, labels):
    """By the judge's eyes, beside what it makes of real images: its accuracy, and the floors of FID and KID."""
    real, right = seen_by.look(images.images)
    made, guessed = seen_by.look(drawn)
    floor = seen_by.look(others.images[: len(images.images)])[0]
    found = {
        "fid": fid(made, real), "fid_floor": fid(floor, real), "kid": kid(made, real), "kid_floor": kid(floor, real),
        "judge_accuracy": float((right == images.labels.numpy()).mean()),
    }  # fmt: skip
    if part.classes:
        found["accuracy"] = float((guessed == labels).mean())
    return found


def sharpness(drawn, real):
    """Variance of the Laplacian, and power by frequency (from one cycle an image on): samples over real images."""
    spectra = [power_spectrum(x8).mean(0, dtype=np.float64) for x8 in (drawn, real)]
    ratio = laplacian_variance(drawn).mean() / laplacian_variance(real).mean()
    return {"sharpness": float(ratio), "spectrum": (spectra[0] / spectra[1]).tolist()}
