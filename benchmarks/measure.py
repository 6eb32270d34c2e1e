"""Timing: side by side, in rounds. In each round every case runs a burst of calls, one after the other.

One sample is one call of `Engine.run`: numpy arrays in, numpy arrays out, on the host's clock. The first call of
every burst is not counted: it pays for the caches that the case before it left. The collector of cycles is off.
"""

import gc
import time

import numpy as np


def warm_up(call, window=5, tolerance=0.05, least_s=0.1, most_s=5.0, clock=time.perf_counter):
    """Call until it is stable -> number of calls.

    Stable: the medians of the last two windows of calls differ by less than the tolerance, after at least least_s;
    most_s ends it in any case.
    """
    seconds, began = [], clock()
    while True:
        before = clock()
        call()
        now = clock()
        seconds.append(now - before)
        if len(seconds) >= 2 * window and now - began >= least_s:
            last, earlier = np.median(seconds[-window:]), np.median(seconds[-2 * window : -window])
            if abs(last - earlier) <= tolerance * earlier:
                return len(seconds)
        if now - began >= most_s:
            return len(seconds)


def calibrate(call, burst_s, least=5, most=500, clock=time.perf_counter):
    """How many calls fill burst_s seconds, within least and most."""
    before = clock()
    for _ in range(3):
        call()
    one = max((clock() - before) / 3, 1e-9)
    return int(min(max(burst_s / one, least), most))


def burst(call, count, clock=time.perf_counter):
    """Seconds of `count` calls, each by itself, after one that is not counted."""
    call()
    seconds = []
    for _ in range(count):
        before = clock()
        call()
        seconds.append(clock() - before)
    return tuple(seconds)


def interleave(calls, rounds, burst_s=0.05, progress=None):
    """{key: callable} -> {key: tuple of rounds, each a tuple of seconds}, all cases in turn in every round."""
    counts = {}
    for key, call in calls.items():
        warm_up(call)
        counts[key] = calibrate(call, burst_s)
    found = {key: [] for key in calls}
    collecting = gc.isenabled()
    gc.disable()
    try:
        for number in range(rounds):
            for key, call in calls.items():
                found[key].append(burst(call, counts[key]))
            gc.collect()
            if progress:
                progress(number + 1)
    finally:
        if collecting:
            gc.enable()
    return {key: tuple(parts) for key, parts in found.items()}
