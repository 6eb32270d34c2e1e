"""The patterns in which engines are asked: which cases there are, deadlines by hand, two engines at once."""

import threading

import pytest
from latentjet.benchmarks import scenarios
from latentjet.benchmarks.measure import Subject
from latentjet.runtime.errors import CheckError, InputError

CASES = [
    (None, [1, 8, 64], [("single", 1), ("batch", 8), ("batch", 64)]),
    (None, [1], [("single", 1)]),
    (None, [4], [("batch", 4)]),
    (["single"], [8], [("single", 1)]),
    (["batch", "cold", "paced"], [1, 2], [("batch", 2), ("cold", 1), ("paced", 1)]),
    (["overlapped"], [1, 8], [("overlapped", 1), ("overlapped", 8)]),
]


@pytest.mark.parametrize(("names", "batches", "expected"), CASES)
def test_which_cases_there_are(names, batches, expected):
    assert scenarios.cases(names, batches) == expected


@pytest.mark.parametrize(
    ("names", "expected"),
    [(["warm"], "scenario is 'warm', expected of: single, batch"), ([], "none: expected at least one"),
     (["single", "single"], "each once"), (["batch"], "needs sizes above 1")],
)  # fmt: skip
def test_scenarios_that_cannot_be_meant(names, expected, sentence):
    assert expected in sentence(InputError, scenarios.cases, names, [1])


class Clock:
    def __init__(self):
        self.now, self.waited = 50.0, []

    def __call__(self):
        return self.now

    def wait(self, seconds):
        self.waited.append(seconds)
        self.now += seconds

    def taking(self, durations):
        left = iter(durations)

        def call():
            self.now += next(left)
            return "output"

        return call


def frames(durations, period_s=1.0):
    clock, made, checked = Clock(), ([], [], [], []), []
    turn = scenarios.frames_of(Subject(clock.taking(durations), checked.append), len(durations), period_s, made, clock,
                               clock.wait)  # fmt: skip
    turn()
    assert checked == ["output"]
    return made, clock.waited


def test_a_fast_engine_waits_for_each_frame_and_misses_none():
    (host, started, lateness, windows), waited = frames([0.25] * 4)
    assert host == [pytest.approx((0.25,) * 4)] and waited == pytest.approx([0.75] * 3)
    assert started == pytest.approx([0] * 4) and lateness == pytest.approx([-0.75] * 4)
    assert windows == [pytest.approx((50.0, 53.25, 4))]


def test_a_slow_frame_makes_the_next_begin_late_and_none_is_left_out():
    (host, started, lateness, _), waited = frames([0.5, 2.25, 0.5, 0.25, 0.25])
    assert started == pytest.approx([0, 0, 1.25, 0.75, 0])
    assert lateness == pytest.approx([-0.5, 1.25, 0.75, 0.0, -0.75])
    assert waited == pytest.approx([0.5, 0.0], abs=1e-9) or waited == pytest.approx([0.5])
    assert len(host[0]) == 5


def test_what_always_takes_longer_than_its_period_misses_every_deadline():
    (_, _, lateness, _), waited = frames([1.5] * 3)
    assert lateness == pytest.approx([0.5, 1.0, 1.5]) and waited == []


def test_paced_counts_missed_deadlines_and_keeps_its_rate():
    found = scenarios.paced({"a": Subject(lambda: None)}, 2, 500.0, 0.02)
    timing, figures = found["a"]
    assert figures["rate_hz"] == 500.0 and figures["frames"] == 20 == len(figures["lateness_s"])
    assert figures["missed"] == sum(late > 0 for late in figures["lateness_s"]) and len(timing.rounds) == 2
    assert min(figures["started_s"]) >= 0


def test_two_engines_run_at_once_and_queries_are_counted_by_wall_clock():
    meeting = threading.Barrier(2, timeout=30)  # each call waits for the other engine's: one alone would never end
    alone = {"count": 0}

    def call():
        if threading.current_thread() is threading.main_thread():
            alone["count"] += 1  # warming up
        else:
            meeting.wait()
        return "output"

    seen = []
    found = scenarios.overlapped({"a": (Subject(call, seen.append), Subject(call, seen.append))}, 3, 1e-9)
    timing, figures = found["a"]
    assert figures["queries"] == [10, 10, 10] and figures["engines"] == 2 and seen == ["output"] * 6
    assert all(len(part) == 1 for part in timing.rounds) and all(wall > 0 for wall in figures["wall_s"])
    assert [part[0] for part in timing.rounds] == pytest.approx([wall / 10 for wall in figures["wall_s"]])


def test_an_engine_that_is_wrong_while_two_run_is_left_out():
    def wrong(output):
        raise CheckError("wrong")

    told = []
    pairs = {"bad": (Subject(lambda: 1, wrong), Subject(lambda: 1)), "good": (Subject(lambda: 1), Subject(lambda: 1))}
    found = scenarios.overlapped(pairs, 2, 1e-9, failed=lambda key, error: told.append(key))
    assert list(found) == ["good"] and told == ["bad"]


def test_an_error_in_a_thread_is_not_lost():
    def failing():
        if threading.current_thread() is not threading.main_thread():
            raise CheckError("in a thread")
        return 1

    with pytest.raises(CheckError, match="in a thread"):
        scenarios.overlapped({"a": (Subject(failing), Subject(lambda: 1))}, 2, 1e-9)


def test_a_cold_start_is_the_sum_of_its_parts():
    starts = [{"start_s": 1.0, "load_s": 0.5, "first_s": 0.25, "steady_s": 0.1, "peak_bytes": 7}] * 2
    timing, verdict, figures = scenarios.cold(starts)
    assert timing.rounds == ((1.75,), (1.75,)) and verdict is None
    assert figures["steady_s"] == [0.1, 0.1] and figures["peak_bytes"] == [7, 7]
