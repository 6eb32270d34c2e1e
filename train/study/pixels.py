"""How easy a data set is: two of its classes told apart by one pixel and one threshold.

For each pair of classes the pixel and the threshold with the best balanced accuracy on training images (the mean of
the shares of each class that are told rightly) are chosen; the accuracy is that of the same rule on test images.
"""

import itertools
from typing import NamedTuple

import numpy as np

from ..errors import DataError

LEVELS = 256


class Rule(NamedTuple):
    """An image is of class `bright` where its value at `pixel` (of C * H * W) is above `threshold`, else of `dark`."""

    dark: int
    bright: int
    pixel: int
    threshold: int


def shares_below(images, labels, classes):
    """uint8 images (N, C, H, W), labels (N,), number of classes -> (classes, C * H * W, 256): the share of a class's
    images whose pixel is at most that value. Raises DataError for a class without images."""
    flat = np.asarray(images).reshape(len(images), -1)
    labels, pixels = np.asarray(labels), np.arange(flat.shape[1]) * LEVELS
    found = np.empty((classes, flat.shape[1], LEVELS))
    for label in range(classes):
        rows = flat[labels == label]
        if not len(rows):
            raise DataError(f"class {label} has no images: one pixel cannot tell it from others")
        counts = np.bincount((rows + pixels).ravel(), minlength=flat.shape[1] * LEVELS)
        found[label] = counts.reshape(-1, LEVELS).cumsum(1) / len(rows)
    return found


def choose(shares):
    """shares_below of training images -> the best Rule of each pair of classes, in order (0, 1), (0, 2) ..."""
    rules = []
    for one, other in itertools.combinations(range(len(shares)), 2):
        gap = shares[one] - shares[other]
        pixel, threshold = np.unravel_index(np.abs(gap).argmax(), gap.shape)
        # where more of `one` lies below, it is the dark class
        dark, bright = (one, other) if gap[pixel, threshold] > 0 else (other, one)
        rules.append(Rule(dark, bright, int(pixel), int(threshold)))
    return rules


def accuracies(rules, shares):
    """Rules, shares_below of the images to test on -> balanced accuracy of each."""
    found = []
    for dark, bright, pixel, threshold in rules:
        gap = shares[dark, pixel, threshold] - shares[bright, pixel, threshold]
        found.append(float(0.5 + gap / 2))
    return found


def separability(training, test):
    """(images, labels) to choose on, and to test on -> for each pair of classes
    {pair, pixel, threshold, bright, chosen_on, accuracy}; labels count from 0 to the largest."""
    classes = int(np.asarray(training[1]).max()) + 1
    seen, unseen = (shares_below(*part, classes) for part in (training, test))
    rules = choose(seen)
    return [
        {
            "pair": sorted((rule.dark, rule.bright)), "pixel": rule.pixel, "threshold": rule.threshold,
            "bright": rule.bright, "chosen_on": before, "accuracy": after,
        }
        for rule, before, after in zip(rules, accuracies(rules, seen), accuracies(rules, unseen), strict=True)
    ]  # fmt: skip


def summary(pairs):
    """Results of pairs -> their median and lowest accuracy, the pair that has it, and how many reach 0.8."""
    found = [pair["accuracy"] for pair in pairs]
    lowest = min(pairs, key=lambda pair: pair["accuracy"])
    return {
        "median": float(np.median(found)), "lowest": lowest["accuracy"], "hardest": lowest["pair"],
        "at_least_0.8": sum(value >= 0.8 for value in found), "pairs": len(found),
    }  # fmt: skip
