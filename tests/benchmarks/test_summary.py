"""What stands below the table: other scenarios, energy with its baseline, and remarks with advice."""

import pytest
from latentjet.benchmarks import summary
from latentjet.benchmarks.results import Case, Result, Run


def a_run(*results, **more):
    settings = {"threads": 1, "left_out": more.pop("left_out", []), "harness_s": more.pop("harness_s", {})}
    return Run("2024-01-01T00:00:00Z", {}, {"family": "cvae", "graph": "decode"}, settings, results, **more)


def result(scenario, figures=None, seconds=0.5, **more):
    return Result(Case(scenario, "ort", "fp32", 8, 1), ((seconds,), (seconds,)), 0.0, figures=figures or {}, **more)


def test_only_plain_latencies_go_into_the_table():
    run = a_run(result("single"), result("overlapped", {"queries": [4], "wall_s": [2.0]}), result("batch"))
    assert [item.case.scenario for item in summary.latencies(run).results] == ["single", "batch"]


def test_each_other_scenario_says_what_it_is_about():
    paced = {"rate_hz": 30, "frames": 100, "missed": 3, "started_s": [0.001] * 100, "lateness_s": [-0.02] * 100}
    cold = {"start_s": [1.0], "load_s": [0.5], "first_s": [0.25], "steady_s": [0.125]}
    lines = summary.lines(
        a_run(
            result("overlapped", {"queries": [4, 4], "wall_s": [2.0, 6.0]}, note="how"), result("paced", paced),
            result("cold", cold, 1.75),
        )
    )  # fmt: skip
    assert "8 samples/s by wall clock (how)" in lines[0]
    assert "30 Hz: 3 of 100 deadlines missed" in lines[1] and "1.000 ms" in lines[1] and "20.000 ms to spare" in lines[1]
    assert "first image after 1.75 s: start 1.00, load 0.50, first call 0.2500; later ones 0.1250 s" in lines[2]


def test_the_devices_clock_is_told_beside_the_hosts():
    (line,) = summary.lines(a_run(result("single"), result("batch", device_rounds=((0.25,), (0.25,)))))
    assert line == "median ms by the device's own clock: ort at batch 8 250.0000"


def test_energy_states_its_baseline():
    power = {"rails": ["VDD_IN", "VDD_SYS_CPU"], "total": "VDD_IN", "idle_w": {"VDD_IN": 2.5, "VDD_SYS_CPU": 0.5}}
    (line,) = summary.lines(a_run(result("single", energy_j_per_image=0.0125), power=power))
    assert "mJ an image, VDD_IN (idle 2.50 W included): ort batch 8 12.50" in line
    power = dict(power, total=None)
    (line,) = summary.lines(a_run(result("single", energy_j_per_image=0.0125), power=power))
    assert "all rails together (idle 3.00 W included)" in line


@pytest.mark.parametrize(("harness", "expected"), [({"1": 5.5e-6, "8": 1.25e-5}, "5.5 us at batch 1, 12.5 us at batch 8")])
def test_the_harness_is_told_in_microseconds(harness, expected):
    (line,) = summary.lines(a_run(result("single"), harness_s=harness))
    assert expected in line


def test_what_was_left_out_for_one_reason_is_one_line():
    left = [{"system": name, "reason": "no GPU"} for name in ("trt", "trt-fp16")] + [{"system": "masked", "reason": "no flow"}]
    warnings = ({"what": "hot", "advice": "cool it"},)
    assert summary.remarks(a_run(left_out=left, warnings=warnings)) == [
        "left out: trt, trt-fp16: no GPU", "left out: masked: no flow", "warning: hot; cool it"
    ]  # fmt: skip
