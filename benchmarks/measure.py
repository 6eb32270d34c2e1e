"""Timing: side by side, in rounds. In each round every case runs a burst of calls, one after the other.

One sample is one call of `Engine.run`: numpy arrays in, numpy arrays out, on the host's clock. The first call of
every burst is not counted: it pays for the caches that the case before it left. The collector of cycles is off.
A device's own clock is read in a burst of its own, so that asking it costs the host's nothing.
"""

import contextlib
import gc
import time
from typing import NamedTuple

import numpy as np

from ..runtime.errors import LatentjetError


class Subject(NamedTuple):
    """What is timed: call() -> output; check(output), which raises CheckError, called in every round outside of what
    is timed; device(count) -> seconds of so many calls by the device's clock, or None."""

    call: object
    check: object = None
    device: object = None


class Timing(NamedTuple):
    """What timing a subject gave: rounds of host seconds, of device seconds of the same shape (or None), and windows
    [(began, ended, calls)] of what was counted."""

    rounds: tuple
    device_rounds: tuple = None
    windows: tuple = ()


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
    """Seconds of `count` calls, each by itself, after one that is not counted -> (seconds, the last call's output)."""
    output, seconds = call(), []
    for _ in range(count):
        before = clock()
        output = call()
        seconds.append(clock() - before)
    return tuple(seconds), output


@contextlib.contextmanager
def uncollected():
    """Context: the collector of cycles is off; after it, it is what it was before."""
    collecting = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if collecting:
            gc.enable()


def in_rounds(turns, rounds, progress=None, failed=None):
    """{key: turn()} -> each called once in every round, in turn. A turn that raises one of our errors ends the run, or,
    with failed(key, error), is told and left out from then on."""
    left = dict(turns)
    with uncollected():
        for number in range(rounds):
            for key, turn in list(left.items()):
                try:
                    turn()
                except LatentjetError as error:
                    if failed is None:
                        raise
                    failed(key, error)
                    del left[key]
            gc.collect()
            if progress:
                progress(number + 1)
    return left


def rounds_of(subjects, rounds, burst_s=0.05, progress=None, failed=None, clock=time.perf_counter):
    """{key: Subject} -> {key: Timing}, all in turn in every round, without those that failed (see in_rounds)."""
    turns, made = {}, {}
    for key, subject in subjects.items():
        try:
            warm_up(subject.call)
            count = calibrate(subject.call, burst_s)
        except LatentjetError as error:
            if failed is None:
                raise
            failed(key, error)
            continue
        made[key] = [], [], []
        turns[key] = turn_of(subject, count, made[key], clock)
    left = in_rounds(turns, rounds, progress, failed)
    return {
        key: Timing(tuple(host), tuple(device) if subjects[key].device else None, tuple(windows))
        for key, (host, device, windows) in made.items()
        if key in left
    }


def turn_of(subject, count, made, clock):
    """A function that does one round of a subject and appends to `made`: host rounds, device rounds, windows."""
    host, device, windows = made

    def turn():
        began = clock()
        seconds, output = burst(subject.call, count)
        windows.append((began, clock(), count + 1))
        if subject.check:
            subject.check(output)
        if subject.device:
            device.append(subject.device(count))
        host.append(seconds)

    return turn


def interleave(calls, rounds, burst_s=0.05, progress=None):
    """{key: callable} -> {key: tuple of rounds, each a tuple of seconds}, all cases in turn in every round."""
    found = rounds_of({key: Subject(call) for key, call in calls.items()}, rounds, burst_s, progress)
    return {key: timing.rounds for key, timing in found.items()}
