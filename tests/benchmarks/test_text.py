"""The table: medians, percentiles, throughput and the ratio, in the row of their case."""

from latentjet.benchmarks.report.text import table
from latentjet.benchmarks.results import Case, Result, Run


def measured(system, batch, milliseconds, note=""):
    rounds = tuple(tuple(value / 1e3 for value in milliseconds) for _ in range(4))
    return Result(Case("single" if batch == 1 else "batch", system, "fp32", batch, 1), rounds, 1e-7, note)


def a_run(*results, **machine):
    bundle = {"family": "cvae", "graph": "decode"}
    return Run("2024-01-01T00:00:00Z", machine or {"processor": "Some CPU"}, bundle, {"threads": 1}, results)


def rows(text):
    """{(batch, system): words of its row}"""
    lines = [line.split() for line in text.splitlines()[2:]]
    return {(int(words[0]), words[1]): words[2:] for words in lines}


def test_the_table_has_medians_percentiles_throughput_and_ratio():
    run = a_run(measured("eager", 8, [4] * 9 + [5]), measured("ort", 8, [2] * 9 + [3]))
    found = rows(table(run))
    assert found[8, "eager"][:4] == ["4.0000", "4.0000", "5.0000", "2000"]
    assert found[8, "ort"][:4] == ["2.0000", "2.0000", "3.0000", "4000"]
    assert found[8, "ort"][4:] == ["2.00", "(2.00", "to", "2.00)"]
    assert found[8, "eager"][4:] == ["1.00", "(1.00", "to", "1.00)"]


def test_the_heading_tells_what_ran_where():
    heading = table(a_run(measured("ort", 1, [1.0]))).splitlines()[0]
    for words in ("cvae", "'decode'", "Some CPU", "1 thread;", "2024-01-01T00:00:00Z"):
        assert words in heading
    board = table(a_run(measured("ort", 1, [1.0]), board="quill", processor="aarch64")).splitlines()[0]
    assert "quill" in board and "aarch64" not in board


def test_several_threads_are_many():
    run = a_run(measured("ort", 1, [1.0]))._replace(settings={"threads": 4})
    assert "4 threads each" in table(run)


def test_batches_in_order_and_the_slowest_first():
    run = a_run(measured("ort", 8, [2.0]), measured("ort", 1, [1.0]), measured("eager", 1, [3.0]))
    assert list(rows(table(run))) == [(1, "eager"), (1, "ort"), (8, "ort")]


def test_without_a_baseline_at_that_batch_there_is_no_ratio():
    found = rows(table(a_run(measured("eager", 1, [2.0]), measured("ort", 1, [1.0]), measured("ort", 8, [1.0]))))
    assert found[1, "ort"][4] == "2.00" and found[8, "ort"][4:] == []


def test_notes_stand_in_their_row():
    found = rows(table(a_run(measured("masked", 1, [1.0], "another model"), measured("ort", 1, [2.0]))))
    assert found[1, "masked"][-2:] == ["another", "model"] and "another" not in found[1, "ort"]


def test_a_machine_without_name_can_be_shown():
    assert (1, "ort") in rows(table(a_run(measured("ort", 1, [1.0]), cores=2)))
