"""The scenarios: in what pattern an engine is asked. Each is one definition, the same for every system.

    single      batch 1, the next call after the last ended; its result is the 90th percentile (MLPerf's single stream)
    batch       as single, at larger batches; its result is samples a second
    overlapped  two engines of a system in two threads, each as single; its result is queries over wall time. On a GPU
                one's copies overlap with the other's work, as trtexec defines throughput; on a processor there are no
                copies, and it is concurrency
    paced       one call is due every 1/rate seconds, with idle time between them; an image is in time if it is there
                before the next is due. What it shows: deadlines missed, how late, and what idling does to clocks
    cold        a new process: its start until our code runs, until the engine is loaded, the first call, and later ones

Of the figures of a Result: overlapped {queries, wall_s: one a round}; paced {rate_hz, frames, missed, started_s: after
it was due, of each frame, lateness_s: after its deadline, negative if in time}; cold {start_s, load_s, first_s,
steady_s, peak_bytes: one a round}, where `seconds` are from start to the first image.
"""

import threading
import time

from ..runtime.errors import InputError
from .measure import Timing, calibrate, in_rounds, warm_up

SCENARIOS = ("single", "batch", "overlapped", "paced", "cold")
USUAL = ("single", "batch")
AT_BATCH_1 = ("single", "paced", "cold")
MOST_PACED_ROUNDS, MOST_COLD_ROUNDS, PACED_S = 5, 3, 1.0


def cases(names, batches):
    """Names of scenarios (None: the usual), batch sizes -> [(scenario, batch)], in their order. single, paced and cold
    are of batch 1; batch is of the sizes above 1. Raises InputError."""
    unknown = [name for name in names or () if name not in SCENARIOS]
    if unknown:
        raise InputError("scenario is '{}', expected of: {}".format(unknown[0], ", ".join(SCENARIOS)))
    if names is not None and (not names or len(set(names)) != len(names)):
        raise InputError("scenarios are {}: expected at least one, each once".format(", ".join(names) or "none"))
    larger = [batch for batch in batches if batch > 1]
    sizes = {"batch": larger, "overlapped": list(batches)}
    if names is None:
        names = [name for name in USUAL if (1 in batches if name == "single" else larger)]
    found = [(name, batch) for name in names for batch in ([1] if name in AT_BATCH_1 else sizes[name])]
    if not found:
        raise InputError("scenario 'batch' needs sizes above 1: give --batch 8,64")
    return found


def overlapped(pairs, rounds, burst_s, progress=None, failed=None, clock=time.perf_counter):
    """{key: (Subject, Subject)}, two engines of one system -> {key: (Timing, figures)}. A round is as many queries on
    each engine as fill burst_s, from threads that begin together; its one sample is wall time over queries."""
    made, turns = {}, {}
    for key, pair in pairs.items():
        for subject in pair:
            warm_up(subject.call)
        count = calibrate(pair[0].call, burst_s)
        made[key] = [], [], []
        turns[key] = both(pair, count, made[key], clock)
    left = in_rounds(turns, rounds, progress, failed)
    found = {}
    for key in left:
        walls, queries, windows = made[key]
        timing = Timing(tuple((wall / each,) for wall, each in zip(walls, queries)), None, tuple(windows))
        found[key] = timing, {"queries": queries, "wall_s": walls, "engines": 2}
    return found


def both(pair, count, made, clock):
    """A function that runs `count` queries on each of two engines at once, and appends to `made`."""
    walls, queries, windows = made

    def turn():
        gate, outputs, times, problems = threading.Barrier(2), [None, None], [], []

        def work(index):
            gate.wait()
            times.append(clock())
            try:
                for _ in range(count):
                    outputs[index] = pair[index].call()
            except Exception as error:
                problems.append(error)
            times.append(clock())

        threads = [threading.Thread(target=work, args=(index,)) for index in (0, 1)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        if problems:
            raise problems[0]
        began, ended = min(times), max(times)
        for subject, output in zip(pair, outputs):
            if subject.check:
                subject.check(output)
        walls.append(ended - began)
        queries.append(2 * count)
        windows.append((began, ended, 2 * count))

    return turn


def paced(
    subjects, rounds, rate_hz, seconds=None, progress=None, failed=None, clock=time.perf_counter, wait=time.sleep
):
    """{key: Subject} -> {key: (Timing, figures)}; each round is so many seconds of frames (None: PACED_S)."""
    frames = max(int(round(rate_hz * (PACED_S if seconds is None else seconds))), 2)
    made, turns = {}, {}
    for key, subject in subjects.items():
        warm_up(subject.call)
        made[key] = [], [], [], []
        turns[key] = frames_of(subject, frames, 1.0 / rate_hz, made[key], clock, wait)
    left = in_rounds(turns, min(rounds, MOST_PACED_ROUNDS), progress, failed)
    found = {}
    for key in left:
        host, started, lateness, windows = made[key]
        figures = {
            "rate_hz": rate_hz, "frames": len(lateness), "missed": sum(late > 0 for late in lateness),
            "started_s": started, "lateness_s": lateness,
        }  # fmt: skip
        found[key] = Timing(tuple(host), None, tuple(windows)), figures
    return found


def cold(starts):
    """What cold.start told of each round -> (Timing, None, figures), the place of a verdict between them."""
    figures = {name: [told[name] for told in starts] for name in starts[0]}
    rounds = tuple((told["start_s"] + told["load_s"] + told["first_s"],) for told in starts)
    return Timing(rounds), None, figures


def frames_of(subject, frames, period_s, made, clock, wait):
    """A function that makes `frames` images, one due every period_s, and appends to `made`. A frame that comes late
    makes the next begin late; none is left out."""
    host, started, lateness, windows = made

    def turn():
        seconds, began, output = [], clock(), None
        for number in range(frames):
            due = began + number * period_s
            if clock() < due:
                wait(due - clock())
            before = clock()
            output = subject.call()
            after = clock()
            seconds.append(after - before)
            started.append(before - due)
            lateness.append(after - due - period_s)
        windows.append((began, clock(), frames))
        if subject.check:
            subject.check(output)
        host.append(tuple(seconds))

    return turn
