"""Warnings name what is wrong and say what to do; a machine that is as it should be gets none."""

import pytest
from latentjet.benchmarks import advice
from latentjet.benchmarks.results import Case, Result


def result(rounds, system="ort"):
    return Result(Case("single", system, "fp32", 1, 1), tuple(tuple(part) for part in rounds))


STEADY = result([[1e-3, 1.01e-3]] * 8)
GOOD = {"load": [0.1, 0.1, 0.1], "clocks_hz": {"gpu": {"least": 5, "most": 5}}, "throttled": [], "swap_used_bytes": 0}


def of(before=GOOD, after=GOOD, results=(STEADY,), machine=None, sampled=None):
    return advice.of(machine or {}, before, after, results, sampled)


def test_a_quiet_machine_with_locked_clocks_gets_no_warning():
    assert of() == [] and of({}, {}) == []


SEEN = [
    (dict(GOOD, clocks_hz={"gpu": {"least": 1, "most": 2}}), GOOD, "clocks are not locked: gpu", "cpupower"),
    (dict(GOOD, load=[1.7, 1, 1]), GOOD, "the load was 1.70", "stop them"),
    (GOOD, dict(GOOD, throttled=["gpu-balanced"]), "throttled: gpu-balanced", "cool it"),
    (dict(GOOD, throttled=["cpu"]), GOOD, "throttled: cpu", "cool it"),
    (GOOD, dict(GOOD, swap_used_bytes=300 << 20), "315 MB of swap", "close other programs"),
]


@pytest.mark.parametrize(("before", "after", "what", "todo"), SEEN)
def test_what_is_wrong_is_named_with_advice(before, after, what, todo):
    (found,) = of(before, after)
    assert what in found["what"] and todo in found["advice"]


def test_on_a_jetson_clocks_are_locked_by_jetson_clocks():
    (found,) = of(dict(GOOD, clocks_hz={"cpu0": {"least": 1, "most": 2}}), machine={"module": "Jetson TX2"})
    assert "processor" in found["what"] and "sudo jetson_clocks" in found["advice"]


def test_a_governor_that_keeps_the_highest_clock_is_as_good_as_a_lock():
    clocks = {"cpu0": {"least": 1, "most": 2}}
    assert of(dict(GOOD, clocks_hz=clocks, governor="performance")) == []
    both = dict(clocks, gpu={"least": 1, "most": 2})
    assert len(of(dict(GOOD, clocks_hz=both, governor="performance"))) == 1


def test_how_far_clocks_moved_in_the_run_is_told():
    sampled = {"names": ["cpu0", "gpu"], "samples": [[0.0, 5e8, 1e8], [0.1, 5e8, 1.3e9]]}
    (found,) = of(dict(GOOD, clocks_hz={"gpu": {"least": 1, "most": 2}}), sampled=sampled)
    assert "gpu ran at 100 to 1300 MHz" in found["what"] and "cpu0" not in found["what"]


def test_rounds_that_spread_are_named_and_a_single_slow_round_is_not():
    spread = result([[1e-3], [1.3e-3], [1e-3], [1.4e-3], [1.2e-3], [1e-3], [1.5e-3], [1.1e-3]], "eager")
    (found,) = of(results=(STEADY, spread))
    assert "eager at 1, single" in found["what"] and "ort" not in found["what"] and "--rounds" in found["advice"]
    assert of(results=(result([[1e-3]] * 9 + [[1.0]]),)) == []


def test_a_timer_that_is_too_coarse():
    ticks = iter(range(10**6))

    def coarse():
        return next(ticks) // 5 * 1e-3

    (found,) = advice.timer((STEADY,), coarse)
    assert "the timer's step is 1e+03 us" in found["what"] and "--batch" in found["advice"]
    assert advice.timer((STEADY,)) == [] and advice.timer(()) == []
    assert advice.resolution(lambda: 5.0) == 1.0
