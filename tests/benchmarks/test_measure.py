"""Timing with a clock of our own: what is counted, in which order, and when warming up ends."""

import gc
import time

import pytest
from latentjet.benchmarks.measure import Subject, burst, calibrate, interleave, rounds_of, warm_up
from latentjet.runtime.errors import CheckError


class Clock:
    """Tells the time; a call of `call(seconds)` lets it pass. log: the seconds of every call."""

    def __init__(self):
        self.now, self.log = 100.0, []

    def __call__(self):
        return self.now

    def call(self, durations):
        """An iterable of seconds -> a callable that takes the next of them."""
        left = iter(durations)

        def passing():
            seconds = next(left)
            self.log.append(seconds)
            self.now += seconds

        return passing


def forever(seconds):
    while True:
        yield seconds


def growing(seconds, factor):
    while True:
        yield seconds
        seconds *= factor


def test_warm_up_ends_when_two_windows_agree():
    clock = Clock()
    assert warm_up(clock.call(forever(0.05)), window=5, least_s=0.1, most_s=50, clock=clock) == 10


def test_warm_up_goes_on_while_calls_become_faster():
    clock = Clock()
    durations = [1, 0.9, 0.8, 0.7, 0.6, 0.5, 0.4, 0.3, 0.2, 0.1] + [0.05] * 100
    count = warm_up(clock.call(durations), window=5, least_s=0.1, most_s=1000, clock=clock)
    assert count > 12 and clock.log[-6:] == [0.05] * 6


def test_warm_up_takes_at_least_its_time():
    clock = Clock()
    warm_up(clock.call(forever(0.001)), least_s=0.5, most_s=5, clock=clock)
    assert sum(clock.log) == pytest.approx(0.5, abs=0.002)


def test_warm_up_of_what_never_becomes_stable_ends_at_most_s():
    clock = Clock()
    warm_up(clock.call(growing(0.01, 1.2)), least_s=0.1, most_s=3.0, clock=clock)
    assert sum(clock.log) >= 3.0 and sum(clock.log[:-1]) < 3.0


def test_warm_up_of_one_very_slow_call_is_one_call():
    clock = Clock()
    assert warm_up(clock.call(forever(60.0)), most_s=5.0, clock=clock) == 1


@pytest.mark.parametrize(("seconds", "expected"), [(0.01, 50), (0.001, 500), (1e-9, 500), (0.02, 25), (10.0, 5)])
def test_a_burst_fills_its_time_within_bounds(seconds, expected):
    clock = Clock()
    assert calibrate(clock.call(forever(seconds)), 0.5, clock=clock) == pytest.approx(expected, abs=1)


def test_a_call_that_takes_no_time_can_be_calibrated():
    assert calibrate(lambda: None, 0.5, least=2, most=7, clock=lambda: 1.0) == 7


def test_a_burst_has_each_call_by_itself_without_the_first():
    clock = Clock()
    assert burst(clock.call([9, 1, 2, 3]), 3, clock) == ((1, 2, 3), None)
    assert clock.log == [9, 1, 2, 3]


def test_a_burst_gives_the_output_of_its_last_call():
    outputs = iter("abcd")
    assert burst(lambda: next(outputs), 3)[1] == "d"


class Wrong(CheckError):
    pass


def test_every_round_checks_the_last_output_outside_of_what_is_timed():
    log, clock = [], Clock()

    def call():
        log.append("call")
        clock.now += 0.01
        return len(log)

    def check(output):
        log.append("check")
        clock.now += 1000.0
        assert output == len(log) - 1

    (timing,) = rounds_of({"a": Subject(call, check)}, 3, 1e-9, clock=clock).values()
    assert log[-21:] == (["call"] * 6 + ["check"]) * 3
    assert len(timing.rounds) == 3 and timing.device_rounds is None
    assert all(ended - began == pytest.approx(0.06) and calls == 6 for began, ended, calls in timing.windows)


def test_a_subject_that_is_wrong_in_some_round_ends_the_run_or_is_left_out_with_its_reason():
    def turning(limit, count=[0]):  # noqa: B006
        def check(output):
            count[0] += 1
            if count[0] > limit:
                raise Wrong("wrong in round {}".format(count[0]))

        return check

    subjects = {"bad": Subject(lambda: 1, turning(2, [0])), "good": Subject(lambda: 2)}
    with pytest.raises(Wrong, match="round 3"):
        rounds_of(subjects, 5, 1e-9)
    told = []
    subjects["bad"] = Subject(lambda: 1, turning(2, [0]))
    found = rounds_of(subjects, 5, 1e-9, failed=lambda key, error: told.append((key, str(error))))
    assert list(found) == ["good"] and len(found["good"].rounds) == 5
    assert told == [("bad", "wrong in round 3")]


def test_a_mistake_of_this_program_is_never_left_out():
    def broken(output):
        raise ZeroDivisionError("mine")

    with pytest.raises(ZeroDivisionError):
        rounds_of({"a": Subject(lambda: 1, broken)}, 2, 1e-9, failed=lambda key, error: None)


def test_device_seconds_have_the_shape_of_the_hosts():
    subject = Subject(lambda: None, None, lambda count: (1.0,) * count)
    (timing,) = rounds_of({"a": subject}, 3, 1e-9).values()
    assert [len(part) for part in timing.device_rounds] == [len(part) for part in timing.rounds]


def test_all_cases_run_in_turn_in_every_round():
    log, seen = [], []
    calls = {key: (lambda key=key: log.append(key)) for key in "abc"}
    found = interleave(calls, rounds=4, burst_s=1e-9, progress=seen.append)
    assert list(found) == ["a", "b", "c"] and seen == [1, 2, 3, 4]
    assert all(len(rounds) == 4 and all(len(part) == 5 for part in rounds) for rounds in found.values())
    assert "".join(log).endswith("aaaaaabbbbbbcccccc" * 4)
    warming = "".join(log)[: -len("aaaaaabbbbbbcccccc" * 4)]
    assert set(warming) == {"a", "b", "c"} and warming == "".join(sorted(warming))


def test_a_case_that_sleeps_is_measured_in_seconds():
    found = interleave({"slow": lambda: time.sleep(0.002)}, rounds=2, burst_s=0.01)
    values = [value for part in found["slow"] for value in part]
    assert len(values) >= 10 and 0.002 <= min(values) < 0.2


def test_the_collector_is_off_while_it_counts_and_on_again_after():
    states = []
    assert gc.isenabled()
    interleave({"a": lambda: states.append(gc.isenabled())}, rounds=2, burst_s=1e-9)
    assert gc.isenabled() and states[-12:] == [False] * 12


def test_the_collector_is_on_again_even_if_a_call_raises():
    def failing():
        if not gc.isenabled():  # in a counted burst
            raise RuntimeError("mine")

    with pytest.raises(RuntimeError, match="mine"):
        interleave({"a": failing}, rounds=2, burst_s=1e-9)
    assert gc.isenabled()


def test_a_collector_that_was_off_stays_off():
    gc.disable()
    try:
        interleave({"a": lambda: None}, rounds=2, burst_s=1e-9)
        assert not gc.isenabled()
    finally:
        gc.enable()
