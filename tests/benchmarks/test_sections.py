"""What a report says, as plain data: figures by hand, sections that vanish, sentences that are true."""

import json

import numpy as np
import pytest
from doubles import runs
from latentjet.benchmarks.report import beside, headline, names, prediction
from latentjet.benchmarks.report.layers import MOST, ONE, by_layer
from latentjet.benchmarks.report.markdown import escaped, markdown
from latentjet.benchmarks.report.sections import sections
from latentjet.benchmarks.results import Case, Ratio, Result, percentile
from latentjet.runtime.errors import InputError

FULL = runs.full()


def by_name(run, predictions=()):
    return {item.name: item for item in sections(run, predictions)}


def cells(table, **wanted):
    """The rows of a table as dicts, those that have the wanted cells."""
    rows = [dict(zip(table.head, row)) for row in table.rows]
    return [row for row in rows if all(row[name] == value for name, value in wanted.items())]


def exact(system, milliseconds, batch=1, rounds=4):
    case = Case("single" if batch == 1 else "batch", system, "fp32", batch, 1)
    return Result(case, tuple(tuple(value / 1e3 for value in milliseconds) for _ in range(rounds)), 1e-7)


@pytest.mark.parametrize(
    ("value", "told"),
    [
        (0.00069, "0.690 ms"), (1.24e-5, "12.4 \u00b5s"), (3.2, "3.20 s"), (0.9999e-3, "1.00 ms"), (0.0123, "12.3 ms"),
        (120.0, "120 s"), (0.0, "0 s"), (9.996e-3, "10.0 ms"), (999.96e-6, "1.00 ms"), (2e-9, "2.00 ns"),
    ],
)  # fmt: skip
def test_seconds_have_a_unit_that_fits(value, told):
    assert names.seconds(value) == told


def test_numbers_keep_the_digits_that_count():
    assert [names.short(value) for value in (0, 1250, 0.0123, 999.6, 9.999, -3.14159)] == [
        "0",
        "1,250",
        "0.0123",
        "1,000",
        "10.0",
        "-3.14",
    ]
    assert names.scaled(1.3005e9, "Hz") == "1.30 GHz" and names.scaled(0.0021, "J") == "2.10 mJ"
    assert [names.share(value) for value in (1, 0.99975, 0.9999999, 0)] == ["100 %", "99.975 %", "> 99.999 %", "0 %"]
    assert names.interval(Ratio(1.0061, 0.9962, 1.014)) == "1.006 (0.996 to 1.014)"
    assert names.interval(Ratio(3.402, 3.32, 13.48)) == "3.40 (3.32 to 13.48)"


@pytest.mark.parametrize(
    ("system", "precision", "label", "family", "words", "deployed"),
    [
        ("ort", "fp32", "ort", "ort", "ONNX Runtime", True),
        ("trt", "fp16", "trt fp16", "trt", "TensorRT in fp16", True),
        ("trt-fp16-nograph", "fp16", "trt-fp16-nograph", "trt", "TensorRT in fp16, without CUDA graph", True),
        ("eager-fp16", "fp16", "eager-fp16", "eager", "eager PyTorch in half precision", False),
        ("compile", "fp32", "compile", "torch", "torch.compile", False),
        ("masked", "fp32", "masked", "other", "a conventional masked Real NVP in eager PyTorch", False),
        ("new", "fp32", "new", "other", "new", False),
    ],
)
def test_systems_have_names_families_and_words(system, precision, label, family, words, deployed):
    case = Case("single", system, precision, 1, 1)
    assert (names.label(case), names.family(system), names.words(case), names.deployed(case)) == (
        label,
        family,
        words,
        deployed,
    )


def test_the_headline_is_about_the_fastest_deployed_system():
    run = runs.plain()._replace(
        results=(exact("eager", [4] * 10), exact("masked", [0.1] * 10), exact("ort", [2] * 9 + [3]))
    )
    assert headline.sentence(run) == (
        "flow 'decode': one image in 2.00 ms (p90) with ONNX Runtime on Invented CPU, 2.00 times as fast as eager PyTorch "
        "(95 % 2.00 to 2.00)."
    )
    assert headline.figures(run)[:2] == [
        ("2.00 ms", "median, batch 1, ONNX Runtime"),
        ("2.00\u00d7", "as fast as eager PyTorch"),
    ]


def test_the_headline_claims_nothing_that_the_interval_does_not_hold():
    random = np.random.RandomState(0)
    alike = runs.plain(0, systems=("eager",))
    twin = [
        item._replace(
            case=item.case._replace(system="ort"),
            rounds=tuple(tuple(float(value) for value in random.permutation(part)) for part in item.rounds),
        )
        for item in alike.results
    ]
    assert "no faster or slower than eager PyTorch as far as 20 rounds tell" in headline.sentence(
        alike._replace(results=alike.results + tuple(twin))
    )
    slow = runs.plain(0, slower=5.0, systems=("eager", "ort"))
    assert ", 0.668 times as fast as eager PyTorch (95 % 0.666 to 0.671)" in headline.sentence(slow)


def test_without_a_baseline_there_is_no_ratio_anywhere():
    run = runs.plain(systems=("ort",))
    assert "eager" not in headline.sentence(run) and "ratio" not in by_name(run)
    assert all("eager" not in words for _, words in headline.figures(run))


def test_batches_alone_and_nothing_at_all_have_headlines_too():
    assert ": 8 images in " in headline.sentence(runs.plain(batches=(8, 64)))
    cold = [item for item in FULL.results if item.case.scenario == "cold"]
    assert headline.sentence(runs.plain()._replace(results=tuple(cold))).endswith("3 results")


def test_the_table_of_latencies_has_every_case_and_its_own_figures():
    run = FULL
    (table,) = by_name(run)["latency"].tables
    timed = [item for item in run.results if item.case.scenario in ("single", "batch")]
    assert len(table.rows) == len(timed) == 14
    for item in timed:
        (row,) = cells(table, system=names.label(item.case), batch=str(item.case.batch))
        assert float(row["median ms"].replace(",", "")) == pytest.approx(1e3 * item.median_s, rel=1e-3)
        assert float(row["p90 ms"]) == pytest.approx(1e3 * percentile(item.seconds, 90), rel=1e-3)
        assert float(row["slowest ms"]) == pytest.approx(1e3 * max(item.seconds), rel=1e-3)
        assert bool(row["device, median ms"]) == (item.device_rounds is not None)
        assert bool(row["times as fast as eager (95 %)"]) == (item.case.system != "eager")


def test_pictures_hold_what_the_tables_hold():
    found = by_name(FULL)
    assert [picture.name for picture in found["latency"].pictures[:2]] == ["latency-single-1-1", "spread-single-1-1"]
    first, spread = found["latency"].pictures[:2]
    medians = {row["label"]: row["median"] for row in first.data["rows"]}
    assert len(medians) == 7 and all(np.median(row["values"]) == pytest.approx(1) for row in spread.data["rows"])
    (lines,) = found["throughput"].pictures
    (ort,) = [item for item in lines.data["series"] if item["label"] == "ort"]
    assert ort["x"] == [1, 64] and ort["y"][0] == pytest.approx(1e3 / medians["ort"])
    assert all(picture.alt and picture.title for section in found.values() for picture in section.pictures)


def test_scenarios_have_their_own_figures():
    run = FULL
    found = by_name(run)
    (row,) = cells(found["overlapped"].tables[0], system="trt")
    assert float(row["gain"]) == pytest.approx(1 / 0.7, rel=0.02)
    (row,) = cells(found["cold"].tables[0], system="eager")
    assert row["imports and load, ms"] == "2,900" and row["start of Python, ms"] == "30.50"
    rows = cells(found["paced"].tables[0])
    assert [(row["system"], row["missed"], row["missed, %"]) for row in rows] == [
        ("eager", "6", "4.00"),
        ("ort", "1", "0.667"),
        ("trt", "0", "0"),
    ]
    assert found["paced"].pictures[0].data["line"] == pytest.approx(1000 / 30.0)
    assert float(rows[2]["due to done, median ms"]) == pytest.approx(1.3 * 0.9, rel=0.1)


def test_quality_stands_beside_speed():
    section = by_name(FULL)["quality"]
    (row,) = cells(section.tables[0], system="trt fp16")
    assert row["values within 2 levels"] == "99.975 %" and row["largest difference"] == "6.1e-03"
    assert cells(section.tables[1], figure="bits per dim") == [
        {"figure": "bits per dim", "value": "3.046", "95 % interval": "3.040 to 3.052", "unit": "bits/dim"}
    ]


def test_layers_are_summed_in_the_models_order_and_the_small_ones_put_together():
    told = [
        {"layer": name, "name": "n", "seconds": value}
        for name, value in (("a", 1.0), ("b", 2.0), ("a", 3.0), (None, 0.5))
    ]
    assert by_layer(told) == [("a", 4.0), ("b", 2.0), ("not of the model", 0.5)]
    many = [{"layer": "l{}".format(number), "seconds": 1.0 + number} for number in range(40)]
    found = by_layer(many)
    assert len(found) == MOST + 1 and found[-1][0] == ONE
    assert sum(value for _, value in found) == sum(item["seconds"] for item in many)
    assert [name for name, _ in found[:-1]] == ["l{}".format(number) for number in range(40 - MOST, 40)]


def test_a_gap_in_a_rail_or_clock_is_no_zero():
    pictures = {item.name: item for item in by_name(FULL)["power"].pictures}
    (memory,) = [item for item in pictures["clocks"].data["series"] if item["label"] == "memory"]
    assert memory["x"][0] == 5.0 and min(memory["y"]) == pytest.approx(1866)
    assert "VDD_IN between 3.00 and 5.00 W" in pictures["power"].alt


@pytest.mark.parametrize(
    ("section", "change"),
    [
        ("layers", {"layers": ()}),
        ("layers", {"layers": ({"system": "ort", "batch": 1, "layers": []},)}),
        ("cold", {"results": runs.plain().results}),
        ("paced", {"results": runs.plain().results}),
        ("overlapped", {"results": runs.plain().results}),
        ("throughput", {"results": runs.plain(batches=(1,)).results}),
        ("latency", {"results": ()}),
    ],
)
def test_what_was_not_measured_has_no_section(section, change):
    assert section in by_name(FULL) and section not in by_name(FULL._replace(**change))


def test_without_rails_and_clocks_there_are_no_plots_of_them():
    for power in (None, {"rails": [], "samples": [], "idle_w": {}}):
        section = by_name(FULL._replace(power=power, clocks=power and {"names": [], "samples": []}))["power"]
        assert [picture.name for picture in section.pictures] == ["rounds"]


def test_the_machine_is_told_with_units_and_without_what_is_empty():
    section = by_name(FULL)["machine"]
    rows = {row[0]: row[1:] for table in section.tables for row in table.rows}
    assert (
        rows["memory"] == ["8.00 GiB"] and rows["burst"] == ["50.0 ms"] and rows["environment"] == ["OMP_NUM_THREADS 1"]
    )
    assert rows["gpu clock"] == ["1300 MHz (1300 MHz, locked)"] * 2 and rows["GPU temperature"] == [
        "41.5 \u00b0C",
        "50.5 \u00b0C",
    ]
    assert rows["throttled"] == ["", "thermal"] and "harness" not in rows
    assert section.notes == ["Not timed: trt-managed (no managed memory here)."]
    plain = {row[0] for table in by_name(runs.plain())["machine"].tables for row in table.rows}
    assert not {"gpu", "board", "power mode", "throttled"} & plain


def test_runs_that_are_alike_get_a_ratio_and_others_a_reason():
    section = beside.section([runs.plain(0), runs.plain(1, slower=1.2), FULL])
    assert [table.caption for table in section.tables] == ["The runs", "Run 2 beside run 1"]
    assert {row["system"]: row[""] for row in cells(section.tables[1])}["ort"] == "slower"
    assert (
        len(section.notes) == 1 and "Run 3 has no ratio over run 1" in section.notes[0] and "cores" in section.notes[0]
    )


def keep(tmp_path, content):
    (tmp_path / "e.json").write_text(content if isinstance(content, str) else json.dumps(content))
    return str(tmp_path / "e.json")


def test_a_prediction_stands_beside_what_was_measured(tmp_path):
    told = prediction.load(keep(tmp_path, runs.estimate(batch=64)))
    (row,) = cells(by_name(FULL, told)["prediction"].tables[0])
    ((trt,),) = [[item for item in FULL.results if item.case == Case("batch", "trt", "fp32", 64, 1)]]
    assert float(row["measured, median ms"]) == pytest.approx(1e3 * trt.median_s, rel=1e-3)
    assert row["target"] == "tx2, MAXN" and row["predicted / measured"] == ""  # it is for another machine
    board = FULL._replace(machine=dict(FULL.machine, module="Jetson TX2"))
    (row,) = cells(by_name(board, told)["prediction"].tables[0])
    assert float(row["predicted / measured"]) == pytest.approx(told[0]["seconds"] / trt.median_s, rel=1e-2)


@pytest.mark.parametrize(
    ("target", "module", "same"),
    [
        ("tx2", "Jetson TX2", True), ("tx2", "Jetson TX2 NX", False), ("tx2-nx", "Jetson TX2 NX", True),
        ("nano", "Jetson Nano", True), ("nano", "Jetson Orin Nano", False), ("orin-nano", "Jetson Orin Nano", True),
    ],
)  # fmt: skip
def test_a_prediction_is_held_against_its_own_board_only(target, module, same):
    run = runs.plain()._replace(machine={"module": module, "power_mode": "MAXN"})
    assert prediction.is_this_machine(run, runs.estimate(target)) == same
    assert not prediction.is_this_machine(run, runs.estimate(target, mode="MAXQ"))


def test_a_prediction_may_name_its_device_and_interval(tmp_path):
    told = dict(
        runs.estimate(),
        device={"target": "tx2", "mode": "MAXQ", "name": "Jetson TX2"},
        interval_s=[0.9e-3, 1.3e-3],
        notes=["a guess"],
    )
    section = by_name(FULL, prediction.load(keep(tmp_path, [told, runs.estimate()])))["prediction"]
    assert [row["target"] for row in cells(section.tables[0])] == ["tx2, MAXQ", "tx2, MAXN"]
    assert section.tables[0].rows[0][4] == "0.9000 to 1.300" and section.notes == ["a guess"]


@pytest.mark.parametrize(
    "content",
    [
        "",
        "[3]",
        "{}",
        '{"target": "tx2"}',
        json.dumps(dict(runs.estimate(), seconds=-1)),
        json.dumps(dict(runs.estimate(), layers=[{}])),
    ],
)
def test_what_is_no_prediction_is_refused(tmp_path, content, sentence):
    assert "is no prediction" in sentence(InputError, prediction.load, keep(tmp_path, content))
    assert "cannot be read" in sentence(InputError, prediction.load, str(tmp_path / "none.json"))


def test_markdown_has_every_table_and_no_markup_of_the_data():
    hostile = "<script>alert(1)</script>|*x*\n`y`"
    run = FULL._replace(bundle=dict(FULL.bundle, name=hostile))
    text = markdown([run, runs.plain()], [runs.estimate()], "plots of it.png")
    assert "<script" not in text and "&lt;script&gt;" in text and "![plots of the run](plots%20of%20it.png)" in text
    rows = [line for line in text.splitlines() if line.startswith("| ")]
    for line, following in zip(rows, rows[1:]):
        if following.startswith("| ---"):
            assert line.replace("\\|", "").count("|") == following.count("|")
    assert escaped("a|b") == "a\\|b"
    for section in sections(run):
        assert "## " + section.title in text
