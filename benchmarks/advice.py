"""What makes a run worth less, as warnings with advice: {what, advice}. Nothing here stops a run."""

import time

import numpy as np

from .clocks import unlocked

BUSY = 0.5  # runnable processes besides this one, on average of the last minute
UNSTABLE = 0.10  # the middle half of the rounds' medians spreads by more than this part of their median
COARSE = 0.01  # the timer's step is more than this part of a call
SWAP_BYTES = 64 << 20


def of(machine, before, after, results, sampled=None):
    """Description of a machine, its states before and after, results, samples of clocks -> list of warnings."""
    found = clocks(machine, before, sampled) + load(before) + throttling(before, after) + swap(before, after)
    return found + unstable(results) + timer(results)


def warning(what, advice):
    return {"what": what, "advice": advice}


def clocks(machine, before, sampled=None):
    names = unlocked(before.get("clocks_hz", {}))
    kinds = sorted({"processor" if name.startswith("cpu") else name for name in names})
    if not kinds or (before.get("governor") == "performance" and kinds == ["processor"]):
        return []
    advice = "set the governor: sudo cpupower frequency-set -g performance"
    if machine.get("l4t") or machine.get("module"):
        advice = "lock them: sudo jetson_clocks (and name the power mode: sudo nvpmodel -q)"
    text = "clocks are not locked: {}{}".format(", ".join(kinds), ranged(sampled))
    return [warning(text, advice)]


def ranged(sampled):
    """By how much each sampled clock changed in the run, as a part of a sentence."""
    told = []
    for column, name in enumerate((sampled or {}).get("names", []), 1):
        values = [sample[column] for sample in sampled["samples"]]
        if values and min(values) < max(values):
            told.append("{} ran at {:.0f} to {:.0f} MHz".format(name, min(values) / 1e6, max(values) / 1e6))
    return " ({})".format(", ".join(told)) if told else ""


def load(before):
    one = before.get("load", [0])[0]
    if one <= BUSY:
        return []
    text = "other processes run here: the load was {:.2f} before the run".format(one)
    return [warning(text, "stop them, or wait: ratios between systems hold better than milliseconds")]


def throttling(before, after):
    names = sorted(set(before.get("throttled", [])) | set(after.get("throttled", [])))
    if not names:
        return []
    text = "the machine was throttled: {}".format(", ".join(names))
    return [warning(text, "cool it, turn the fan up, or check its power supply; then measure again")]


def swap(before, after):
    used = max(state.get("swap_used_bytes", 0) for state in (before, after))
    if used < SWAP_BYTES:
        return []
    return [warning("{:.0f} MB of swap are in use".format(used / 1e6), "close other programs: a page that comes back "
                    "from disk takes longer than a whole call")]  # fmt: skip


def unstable(results):
    """One warning that names the cases whose rounds spread."""
    named = []
    for result in results:
        medians = result.round_medians()
        if len(medians) >= 4:
            low, middle, high = np.percentile(medians, (25, 50, 75))
            if high - low > UNSTABLE * middle:
                case, spread = result.case, 100 * (high - low) / middle
                named.append("{} at {}, {} ({:.0f} %)".format(case.system, case.batch, case.scenario, spread))
    if not named:
        return []
    more = ", ..." if len(named) > 4 else ""
    text = "unstable: the middle half of the rounds spreads by more than {:.0f} % of the median: {}{}"
    advice = "give more --rounds, a longer --burst, and leave the machine alone meanwhile"
    return [warning(text.format(100 * UNSTABLE, ", ".join(named[:4]), more), advice)]


def timer(results, clock=time.perf_counter):
    step, fastest = resolution(clock), min((result.median_s for result in results), default=None)
    if fastest is None or step <= COARSE * fastest:
        return []
    text = "the timer's step is {:.2g} us, and the fastest call takes {:.3g} us".format(1e6 * step, 1e6 * fastest)
    return [warning(text, "give a larger --batch: single calls are too short to be told apart")]


def resolution(clock=time.perf_counter, tries=50):
    """The least step that a clock was seen to make, in seconds."""
    steps = []
    for _ in range(tries):
        before = after = clock()
        for _ in range(10000):
            after = clock()
            if after != before:
                break
        steps.append(after - before)
    return min(step for step in steps if step > 0) if any(steps) else 1.0
