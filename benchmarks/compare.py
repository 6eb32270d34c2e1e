"""Two runs, case by case: the second's time over the first's. They did not run side by side, so their rounds do not
pair."""

from typing import NamedTuple

import numpy as np

from ..runtime.errors import InputError
from .results import Case, Ratio, Result
from .unlike import differences

RESAMPLES = 2000


class Pair(NamedTuple):
    """A case that both runs have; ratio: time of `after` over time of `before`, 1.2 for a fifth slower."""

    case: Case
    before: Result
    after: Result
    ratio: Ratio


class Comparison(NamedTuple):
    """pairs, and the cases that only the first or only the second run has."""

    pairs: tuple
    gone: tuple
    new: tuple


def compare(one, other, allowed=()):
    """Run, other Run, kinds of differences that are allowed (unlike.KINDS) -> Comparison.

    Raises InputError where the two are unlike in a way that is not allowed, or have no case in common.
    """
    refuse_unlike(one, other, allowed)
    before = {result.case: result for result in one.results}
    after = {result.case: result for result in other.results}
    shared = [case for case in before if case in after]
    if not shared:
        raise InputError(
            "no case is in both runs: the first has {}, the second {}: run the second with the first's systems, "
            "batch sizes and threads".format(brief(before), brief(after))
        )
    pairs = tuple(Pair(case, before[case], after[case], ratio(before[case], after[case])) for case in shared)
    return Comparison(
        pairs,
        tuple(case for case in before if case not in after),
        tuple(case for case in after if case not in before),
    )


def refuse_unlike(one, other, allowed=()):
    """Raise InputError that names what differs, both sides, unless that kind of difference is allowed."""
    found = [item for item in differences(one, other) if item.kind not in allowed]
    if found:
        told = "; ".join("{} is '{}' beside '{}'".format(item.name, item.one, item.other) for item in found)
        kinds = sorted(set(item.kind for item in found) | set(allowed))
        raise InputError(
            "the runs are unlike, so a ratio of their times tells nothing about the code: {}. Run both on one "
            "machine in "
            "one state, or compare all the same with --unlike {}".format(told, ",".join(kinds))
        )


def brief(cases):
    """Cases -> "ort (batch 1, 8), eager (batch 1)" """
    batches = {}
    for case in cases:
        batches.setdefault(case.system, []).append(case.batch)
    return ", ".join(
        "{} (batch {})".format(name, ", ".join(map(str, sorted(set(found))))) for name, found in batches.items()
    )


def ratio(before, after, seed=0, resamples=RESAMPLES):
    """Result, Result of another run -> Ratio of `after`'s time over `before`'s: medians of the rounds' medians.

    The interval is a bootstrap (Efron's percentiles) that draws the rounds of each run by itself: round 3 of one run
    has
    nothing to do with round 3 of another. It holds what varied within the runs, not what differs between two starts.
    """
    random = np.random.RandomState(seed)
    sides = [side.round_medians() for side in (before, after)]
    drawn = [np.median(side[random.randint(0, len(side), (resamples, len(side)))], axis=1) for side in sides]
    ratios = np.sort(drawn[1] / drawn[0])
    middle = float(np.median(sides[1]) / np.median(sides[0]))
    return Ratio(middle, float(ratios[int(0.025 * resamples)]), float(ratios[int(0.975 * resamples) - 1]))


def verdict(found, threshold=None):
    """Ratio, threshold (0.1: a tenth slower) -> "regression", "unclear", "slower", "faster" or "alike".

    A regression is slower by more than the threshold with its whole interval; unclear: with its median only.
    """
    if threshold is not None and found.low > 1 + threshold:
        return "regression"
    if threshold is not None and found.median > 1 + threshold:
        return "unclear"
    return "slower" if found.low > 1 else "faster" if found.high < 1 else "alike"
