"""What the pictures of `latentjet sample` show: z and mixing weights of each image, in rows and columns.

    labels          a row a class, each image another z
    interpolation   from one class to the next by mixing weights, z the same along a row; without classes, between two z
    temperatures    a row a standard deviation of z, the noise the same in all
    traversal       a row a dimension of z, which runs from -3 to 3 while the others stay

Between two z the way is along the great circle (slerp; White, "Sampling Generative Networks", arXiv:1609.04468), for
flows and VAEs alike: normal z of many dimensions all have nearly the same norm, and on the straight line between two
the middle has 0.71 of it, so that it would look as at temperature 0.71.
"""

from typing import NamedTuple

import numpy as np

from .errors import InputError
from .model import noise, to_uint8

REACH = 3.0  # standard deviations that a traversal goes to either side


class Sheet(NamedTuple):
    """z (rows, columns, latent) float32; weights (rows, columns, classes) float32, None without classes; names:
    captions of the rows; heads: captions of the columns; "" for none."""

    z: np.ndarray
    weights: np.ndarray
    names: list
    heads: list


def draw(model, sheet):
    """Sheet -> uint8 (rows, columns, C, H, W)."""
    shape = sheet.z.shape[:2]
    z = np.ascontiguousarray(sheet.z.reshape((-1, sheet.z.shape[2])))
    weights = None if sheet.weights is None else sheet.weights.reshape((len(z), -1))
    images = to_uint8(np.clip(model.decode(z, weights), 0, 1), model.bundle.pixels)
    return images.reshape(shape + images.shape[1:])


def repeated(array, rows, columns):
    """(rows or 1, columns or 1, size) -> (rows, columns, size), float32."""
    return np.broadcast_to(array, (rows, columns) + array.shape[2:]).astype(np.float32)


def named(model, weights):
    """The class names of one-hot weights."""
    return [model.classes[row] for row in weights.argmax(axis=1)]


def labels(model, chosen, count, seed, temperature):
    """Labels of a conditional model, images a label -> Sheet."""
    weights = np.asarray(model.weights(chosen))
    z = noise(seed, len(weights) * count, model.latent, temperature).reshape((len(weights), count, -1))
    return Sheet(z, repeated(weights[:, None], len(weights), count), named(model, weights), [""] * count)


def interpolation(model, ends, count, steps, seed, temperature):
    """Two or more classes (without classes: seeds of z), rows, images from one to the next -> Sheet."""
    if len(ends) < 2:
        raise InputError("--interpolate has one end, expected two or more, like {}".format(
            ",".join(model.classes[:2]) if model.classes else "0,1"))  # fmt: skip
    columns = (len(ends) - 1) * (steps - 1) + 1
    if model.classes:
        weights = np.asarray(model.weights(ends))
        way = joined([straight(one[None], other[None], steps) for one, other in zip(weights, weights[1:])])
        z = repeated(noise(seed, count, model.latent, temperature)[:, None], count, columns)
        return Sheet(z, repeated(way, count, columns), [], spread(named(model, weights), steps))
    corners = [noise(end, count, model.latent, temperature) for end in ends]
    way = joined([slerp(one, other, steps) for one, other in zip(corners, corners[1:])])
    return Sheet(way.astype(np.float32), None, [], spread(["seed {}".format(end) for end in ends], steps))


def joined(legs):
    """Ways (rows, steps, size), each beginning where the one before ends -> one way; that place counts once."""
    return np.concatenate([legs[0]] + [leg[:, 1:] for leg in legs[1:]], axis=1)


def spread(captions, steps):
    """Captions of the ends -> of every column."""
    return sum([[""] * (steps - 2) + [caption] for caption in captions[1:]], captions[:1])


def straight(start, end, steps):
    """(rows, size) twice -> (rows, steps, size) on the straight line, both ends included."""
    share = np.linspace(0, 1, steps)[None, :, None]
    return (1 - share) * start[:, None] + share * end[:, None]


def slerp(start, end, steps):
    """(rows, size) twice -> (rows, steps, size) along the great circle; straight where the two lie on one line."""
    share = np.linspace(0, 1, steps)[None, :, None]
    norms = np.linalg.norm(start, axis=1) * np.linalg.norm(end, axis=1)
    cosine = (start.astype(np.float64) * end).sum(axis=1) / np.maximum(norms, 1e-30)
    angle = np.arccos(np.clip(cosine, -1, 1))[:, None, None]
    round_way = np.sin((1 - share) * angle) * start[:, None] + np.sin(share * angle) * end[:, None]
    bent = (np.sin(angle) > 1e-4) & (norms[:, None, None] > 0)
    return np.where(bent, round_way / np.where(bent, np.sin(angle), 1), straight(start, end, steps))


def temperatures(model, chosen, values, count, seed):
    """Labels (None without classes), standard deviations of z, images a label -> Sheet."""
    weights = np.asarray(model.weights(chosen)) if model.classes else None
    columns = count if weights is None else count * len(weights)
    z = np.stack([noise(seed, columns, model.latent, value) for value in values])
    names = ["{:g}".format(value) for value in values]
    if weights is None:
        return Sheet(z, None, names, [""] * columns)
    heads = sum([[name] + [""] * (count - 1) for name in named(model, weights)], [])
    return Sheet(z, repeated(weights.repeat(count, axis=0)[None], len(values), columns), names, heads)


def traversal(model, chosen, dimensions, steps, seed, temperature):
    """Labels (None without classes), dimensions of z, images a row -> Sheet; all begin from the same z."""
    for dimension in dimensions:
        if not 0 <= dimension < model.latent:
            raise InputError("--traverse {}: z has dimensions 0 to {}".format(dimension, model.latent - 1))
    weights = np.asarray(model.weights(chosen)) if model.classes else None
    z = np.tile(noise(seed, 1, model.latent, temperature), (len(dimensions), steps, 1))
    places = np.linspace(-REACH, REACH, steps)
    for row, dimension in enumerate(dimensions):
        z[row, :, dimension] = places
    names = ["z {}".format(dimension) for dimension in dimensions]
    heads = ["{:.3g}".format(place) for place in places]
    if weights is None:
        return Sheet(z, None, names, heads)
    if len(weights) > 1:
        names = ["{}, {}".format(label, name) for label in named(model, weights) for name in names]
    every = repeated(weights.repeat(len(dimensions), axis=0)[:, None], len(names), steps)
    return Sheet(np.tile(z, (len(weights), 1, 1)), every, names, heads)
