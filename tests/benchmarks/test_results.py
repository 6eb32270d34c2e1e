"""Statistics by hand, and files that give back exactly what was kept."""

import json
import os

import numpy as np
import pytest
from latentjet.benchmarks.results import Case, Ratio, Result, Run, load, percentile, ratio, save
from latentjet.runtime.errors import InputError, OutputError

STORED = """{
 "format": 1, "kind": "latentjet benchmark", "started": "2024-05-06T07:08:09Z",
 "machine": {"board": "quill", "cores": 6},
 "bundle": {"family": "cvae", "graph": "decode", "path": "a.bundle", "sha256": "00", "nodes": 6, "macs": 1},
 "settings": {"rounds": 2, "burst_s": 0.1, "threads": 1, "seed": 0},
 "results": [{"case": {"system": "ort", "precision": "fp32", "batch": 8, "threads": 1},
              "seconds": [[0.004, 0.002], [0.003]], "largest_difference": null, "note": "kept"}]
}"""


def case(system="ort", batch=1):
    return Case("single" if batch == 1 else "batch", system, "fp32", batch, 1)


def result(rounds, system="ort", batch=1):
    return Result(case(system, batch), tuple(tuple(part) for part in rounds))


def a_run(seed=0):
    """A run with all there can be, and seconds that have no short decimal form."""
    random = np.random.RandomState(seed)

    def rounds():
        return tuple(tuple(random.uniform(1e-5, 1e-3, 4).tolist()) for _ in range(3))

    results = tuple(
        Result(case(system, batch), rounds(), gap, note)
        for system, batch, gap, note in (("eager", 1, 0.0, ""), ("ort", 1, 1 / 3e7, ""), ("masked", 8, None, "\u2260 "))
    )
    full = Result(
        Case("overlapped", "trt", "fp16", 8, 1), rounds(), 0.01, "", rounds(), {"queries": [4, 4], "wall_s": [0.1, 0.3]},
        {"within_2": 0.999, "largest": 2.5}, {"process_bytes": 1 << 28, "device_bytes": None}, 0.0123,
    )  # fmt: skip
    return Run(
        "2024-01-01T00:00:00Z", {"processor": "a b", "cores": 2, "memory_bytes": 8 << 30},
        {"family": "cvae", "graph": "decode", "path": "x", "sha256": "0", "nodes": 1, "macs": 2, "quality": {"fid": 9.5}},
        {"threads": 1, "burst_s": 0.1, "scenarios": ["single"]}, (*results, full), "2024-01-01T00:01:00Z",
        {"numpy": "1.13.3"}, {"load": [0.5, 0.25, 0.125]}, {"throttled": ["gpu"]},
        {"interval_s": 0.05, "rails": ["VDD_IN"], "total": "VDD_IN", "idle_w": {"VDD_IN": 2.5}, "samples": [[0.1, 3.25]]},
        {"interval_s": 0.05, "names": ["gpu"], "samples": [[0.1, 1300500000]]},
        ({"system": "ort", "batch": 1, "layers": [{"name": "conv", "operators": ["Conv"], "layer": "a", "seconds": 1e-4}]},),
        ({"what": "clocks are not locked", "advice": "sudo jetson_clocks"},),
    )  # fmt: skip


def test_seconds_are_all_raw_seconds_in_order():
    measured = result([[3, 1], [2]], batch=8)
    assert measured.seconds.tolist() == [3, 1, 2]
    assert measured.median_s == 2 and measured.samples_per_s == 4
    assert result([[1, 2, 9], [4]]).round_medians().tolist() == [2, 4]


PERCENTILES = [
    (range(1, 11), 0, 1),  # all 10 excluded: the first
    (range(1, 11), 50, 5),  # 5 of 10 excluded
    (range(1, 11), 90, 9),  # 1 excluded
    (range(1, 11), 99, 10),  # int(0.1) = 0 excluded
    (range(1, 11), 100, 10),
    (range(1, 101), 95, 95),
    (range(1, 251), 99, 248),  # int(2.5) = 2 excluded
    (range(1, 20), 90, 18),  # int(1.9) = 1 excluded
    ([7], 50, 7),
    ([7], 0, 7),
    ([3, 1, 2], 90, 3),
    ([3, 1, 2], 60, 2),  # int(1.2) = 1 excluded
]


@pytest.mark.parametrize(("seconds", "percent", "expected"), PERCENTILES)
def test_percentiles_are_those_of_trtexec(seconds, percent, expected):
    shuffled = np.random.RandomState(0).permutation(list(seconds))
    assert percentile(shuffled, percent) == expected
    assert result([shuffled.tolist()]).percentile_s(percent) == expected


def test_identical_results_have_a_ratio_of_one():
    measured = result(np.random.RandomState(0).uniform(1, 2, (20, 9)))
    assert ratio(measured, measured) == Ratio(1.0, 1.0, 1.0)


def test_like_results_have_an_interval_around_one():
    random = np.random.RandomState(1)
    one, other = (result(random.normal(1, 0.02, (30, 11))) for _ in range(2))
    found = ratio(one, other)
    assert found.low < 1 < found.high and found.low <= found.median <= found.high
    assert found.high - found.low < 0.02


@pytest.mark.parametrize("factor", [2.0, 0.5, 1.1])
def test_a_planted_factor_is_found_through_noise_and_drift(factor):
    """The machine slows down threefold in the course of the run; both cases see it, round by round."""
    random, drift = np.random.RandomState(2), np.linspace(1, 3, 30)[:, None]
    fast = result(drift * random.normal(1, 0.02, (30, 11)))
    slow = result(factor * drift * random.normal(1, 0.02, (30, 11)), "eager")
    found = ratio(fast, slow)
    assert found.low < factor < found.high and found.high - found.low < 0.03 * factor
    back = ratio(slow, fast)
    assert back.median == pytest.approx(1 / factor, rel=0.01)


def test_an_exact_factor_has_no_width():
    fast = result(np.random.RandomState(0).uniform(1, 2, (10, 5)))
    slow = result(2 * np.array(fast.rounds))
    assert ratio(fast, slow) == Ratio(2.0, 2.0, 2.0)


def test_a_single_slow_round_does_not_move_the_ratio():
    fast, slow = result([[1.0]] * 20), result([[2.0]] * 19 + [[50.0]])
    assert ratio(fast, slow) == Ratio(2.0, 2.0, 2.0)


def test_a_ratio_is_the_same_every_time():
    random = np.random.RandomState(3)
    one, other = (result(random.uniform(1, 2, (9, 5))) for _ in range(2))
    assert ratio(one, other) == ratio(one, other)


def test_rounds_that_did_not_run_side_by_side_do_not_compare(sentence):
    text = sentence(InputError, ratio, result([[1.0]] * 3), result([[1.0]] * 4))
    assert "3 rounds beside 4" in text and "side by side" in text


def test_the_baseline_is_the_same_case_on_another_system():
    run = a_run()
    assert run.baseline(run.results[1]) is run.results[0]
    assert run.baseline(run.results[0]) is run.results[0]
    assert run.baseline(run.results[2]) is None
    assert run.baseline(run.results[0], "ort") is run.results[1]


def test_what_is_saved_is_loaded_to_the_last_bit(tmp_path):
    place = str(tmp_path / "run.json")
    for seed in range(3):
        save(a_run(seed), place)
        assert load(place) == a_run(seed)
    assert os.listdir(str(tmp_path)) == ["run.json"]


def test_a_file_of_format_1_can_be_read(tmp_path):
    (tmp_path / "run.json").write_text(STORED)
    run = load(str(tmp_path / "run.json"))
    assert run.started == "2024-05-06T07:08:09Z" and run.machine["board"] == "quill"
    assert run.bundle["graph"] == "decode" and run.settings["burst_s"] == 0.1
    assert (run.versions, run.before, run.after, run.power, run.layers, run.warnings) == ({}, {}, {}, None, (), ())
    assert run.results == (Result(case("ort", 8), ((0.004, 0.002), (0.003,)), None, "kept"),)


def test_a_file_that_the_first_latentjet_wrote_can_be_read():
    """results/format-1.json is the output of `latentjet bench run fashion-cvae` of version 0.1.0, on an EPYC."""
    run = load(os.path.join(os.path.dirname(os.path.abspath(__file__)), "results", "format-1.json"))
    cases = [Case(scenario, system, "fp32", batch, 1) for scenario, batch in (("single", 1), ("batch", 8))
             for system in ("eager", "ort")]  # fmt: skip
    assert [item.case for item in run.results] == cases
    assert all(len(item.rounds) == 3 and item.device_rounds is None for item in run.results)
    assert run.versions["onnxruntime"] == "1.32.0" and not {"torch", "numpy", "load"} & set(run.machine)
    assert run.machine["processor"] == "AMD EPYC" and len(run.before["load"]) == 1
    assert run.baseline(run.results[1]) is run.results[0]
    assert ratio(run.results[1], run.results[0]).median > 1


def test_what_an_old_file_tells_of_clocks_and_governor_is_kept(tmp_path):
    content = json.loads(STORED)
    content["machine"].update(governor="schedutil", gpu_clock_hz=1300500000, load="0.5")
    (tmp_path / "run.json").write_text(json.dumps(content))
    run = load(str(tmp_path / "run.json"))
    assert run.before == {"governor": "schedutil", "load": [0.5], "clocks_hz": {"gpu": {"now": 1300500000}}}
    assert run.machine == {"board": "quill", "cores": 6}


def test_throughput_of_overlapped_queries_is_that_of_the_wall_clock():
    """Four queries of 8 in 0.1 s, four in 0.3 s: 64 images in 0.4 s, whatever each took by itself."""
    assert a_run().results[-1].samples_per_s == pytest.approx(160)


def test_a_missing_file_is_named(tmp_path, sentence):
    text = sentence(InputError, load, str(tmp_path / "none.json"))
    assert "none.json cannot be read" in text and "No such file" in text
    assert "cannot be read" in sentence(InputError, load, str(tmp_path))


def test_a_newer_format_asks_for_an_upgrade(tmp_path, sentence):
    (tmp_path / "run.json").write_text('{"kind": "latentjet benchmark", "format": 3}')
    text = sentence(InputError, load, str(tmp_path / "run.json"))
    assert "has format 3, this latentjet reads 1 and 2: upgrade it" in text


SPOILED = {
    "another kind": lambda content: content.update(kind="something"),
    "no kind": lambda content: content.pop("kind"),
    "no format": lambda content: content.pop("format"),
    "no results": lambda content: content.pop("results"),
    "results is a number": lambda content: content.update(results=3),
    "no machine": lambda content: content.pop("machine"),
    "machine is a list": lambda content: content.update(machine=[]),
    "bundle without family": lambda content: content["bundle"].pop("family"),
    "settings without threads": lambda content: content["settings"].pop("threads"),
    "a case without system": lambda content: content["results"][0]["case"].pop("system"),
    "a case with more": lambda content: content["results"][0]["case"].update(colour="red"),
    "batch is a word": lambda content: content["results"][0]["case"].update(batch="8"),
    "batch is 0": lambda content: content["results"][0]["case"].update(batch=0),
    "no seconds": lambda content: content["results"][0].pop("seconds"),
    "seconds are a number": lambda content: content["results"][0].update(seconds=3),
    "a second is a word": lambda content: content["results"][0].update(seconds=[[1.0, "fast"]]),
    "before is a list": lambda content: content.update(before=[1]),
    "figures are a list": lambda content: content["results"][0].update(figures=[1]),
    "queries are missing": lambda content: content["results"][0]["case"].update(scenario="overlapped"),
    "warnings are words": lambda content: content.update(warnings=["hot"]),
    "layers without system": lambda content: content.update(layers=[{"batch": 1, "layers": []}]),
    "a round is a word": lambda content: content["results"][0].update(seconds=["fast"]),
}


NEW = ("before is a list", "figures are a list", "queries are missing", "warnings are words", "layers without system")


@pytest.mark.parametrize("what", sorted(SPOILED))
def test_what_is_no_benchmark_is_refused(tmp_path, what, sentence):
    content = json.loads(STORED)
    if what in NEW:
        save(a_run(), str(tmp_path / "run.json"))
        content = json.loads((tmp_path / "run.json").read_text())
    SPOILED[what](content)
    (tmp_path / "run.json").write_text(json.dumps(content))
    assert "run.json is no result of latentjet bench" in sentence(InputError, load, str(tmp_path / "run.json"))


@pytest.mark.parametrize("content", [b"", b"{", STORED[:300].encode(), b"[]", b"7", b"\xff\xff", b"[" * 100000])
def test_damaged_json_is_refused(tmp_path, content, sentence):
    (tmp_path / "run.json").write_bytes(content)
    assert "is no result of latentjet bench" in sentence(InputError, load, str(tmp_path / "run.json"))


@pytest.mark.parametrize("seconds", [[], [[]], [[1.0], []], [[0.0]], [[-1.0]], [[float("nan")]], [[float("inf")]]])
def test_seconds_that_cannot_be_are_refused(tmp_path, seconds, sentence):
    content = json.loads(STORED)
    content["results"][0]["seconds"] = seconds
    (tmp_path / "run.json").write_text(json.dumps(content))
    text = sentence(InputError, load, str(tmp_path / "run.json"))
    assert "case ort, batch 8, has no valid seconds" in text


@pytest.mark.parametrize("device", [[[1.0, 2.0]], [[1.0], [2.0, 3.0]], [[0.0, 1.0], [1.0]], []])
def test_device_seconds_of_another_shape_are_refused(tmp_path, device, sentence):
    content = json.loads(STORED)
    content["format"] = 2
    content["results"][0]["case"]["scenario"] = "batch"
    content["results"][0]["device_seconds"] = device
    (tmp_path / "run.json").write_text(json.dumps(content))
    assert "has no valid seconds" in sentence(InputError, load, str(tmp_path / "run.json"))


@pytest.mark.parametrize("name", ["none/run.json", "file/run.json"])
def test_a_place_that_cannot_be_written(tmp_path, name, sentence):
    (tmp_path / "file").write_bytes(b"kept")
    assert "cannot be written" in sentence(OutputError, save, a_run(), str(tmp_path / name))
    assert os.listdir(str(tmp_path)) == ["file"]


def test_a_full_disk_keeps_the_old_results(tmp_path, full_disk, sentence):
    place = str(tmp_path / "run.json")
    save(a_run(0), place)
    with full_disk():
        assert "No space left on device" in sentence(OutputError, save, a_run(1), place)
    assert load(place) == a_run(0) and os.listdir(str(tmp_path)) == ["run.json"]
