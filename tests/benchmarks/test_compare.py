"""Two runs that were not side by side: a planted slowdown is found, noise is not, unlike runs are refused."""

import os

import numpy as np
import pytest
from doubles import runs
from latentjet.benchmarks import unlike
from latentjet.benchmarks.compare import compare, ratio, verdict
from latentjet.benchmarks.results import Case, Ratio, Result, load, save
from latentjet.runtime.cli import main
from latentjet.runtime.errors import InputError

FORMAT_1 = os.path.join(os.path.dirname(os.path.abspath(__file__)), "results", "format-1.json")
NOISY = {"noise": 0.05, "wander": 0.03, "systems": ("ort",), "batches": (1,)}


def result(rounds, **case):
    named = dict({"scenario": "single", "system": "ort", "precision": "fp32", "batch": 1, "threads": 1}, **case)
    return Result(Case(**named), tuple(tuple(part) for part in rounds))


def verdicts(one, other, threshold=0.1):
    return [verdict(pair.ratio, threshold) for pair in compare(one, other).pairs]


@pytest.fixture
def files(tmp_path, capsys, monkeypatch):
    """({name: Run}, arguments of compare) -> (exit status, standard output, standard error), in a folder of its own."""
    monkeypatch.chdir(tmp_path)

    def call(kept, *arguments):
        for name, run in kept.items():
            save(run, name + ".json")
        status = main(["bench", "compare"] + [str(argument) for argument in arguments])
        return (status,) + tuple(capsys.readouterr())

    return call


def test_a_planted_slowdown_of_a_fifth_is_found_and_noise_is_not():
    for seed in range(12):
        before = runs.plain(seed, **NOISY)
        assert verdicts(before, runs.plain(1000 + seed, **NOISY))[0] in ("alike", "slower", "faster")
        assert verdicts(before, runs.plain(2000 + seed, slower=1.2, **NOISY)) == ["regression"]


def test_the_interval_holds_the_true_ratio_about_as_often_as_it_says():
    random, held = np.random.RandomState(0), 0
    for _ in range(100):
        one, other = (result(factor * random.normal(1, 0.03, (20, 1))) for factor in (1.0, 1.25))
        found = ratio(one, other, resamples=300)
        held += found.low <= 1.25 <= found.high
    assert 87 <= held <= 99


def test_the_rounds_of_two_runs_are_not_paired():
    """Both runs slow down threefold in the same way. Side by side that would cancel; here it is what is not known."""
    drift = np.linspace(1, 3, 20)[:, None]
    one, other = result(drift), result(1.1 * drift)
    found = ratio(one, other)
    assert found.median == pytest.approx(1.1) and found.low < 0.95 and found.high > 1.25
    shuffled = ratio(one, result(1.1 * np.random.RandomState(0).permutation(drift)))
    assert shuffled.median == found.median
    assert shuffled.high - shuffled.low == pytest.approx(found.high - found.low, rel=0.25)


def test_runs_may_have_different_numbers_of_rounds():
    found = ratio(result([[1.0]] * 7), result([[2.0]] * 30))
    assert found == Ratio(2.0, 2.0, 2.0) == ratio(result([[1.0]] * 7), result([[2.0]] * 30))


@pytest.mark.parametrize(
    ("found", "threshold", "expected"),
    [
        ((1.2, 1.15, 1.25), 0.1, "regression"),
        ((1.2, 1.05, 1.30), 0.1, "unclear"),
        ((1.2, 0.95, 1.40), 0.1, "unclear"),
        ((1.05, 1.02, 1.08), 0.1, "slower"),
        ((1.2, 1.15, 1.25), None, "slower"),
        ((1.0, 0.98, 1.02), 0.1, "alike"),
        ((1.1, 1.1, 1.1), 0.1, "slower"),
        ((0.8, 0.75, 0.85), 0.1, "faster"),
    ],
)
def test_verdicts(found, threshold, expected):
    assert verdict(Ratio(*found), threshold) == expected


def test_cases_are_matched_by_all_that_they_are():
    one = runs.plain(0, systems=("eager", "ort"), batches=(1, 8))
    other = runs.plain(1, systems=("ort", "trt"), batches=(1, 8))
    half = other.results[0]._replace(case=other.results[0].case._replace(precision="fp16"))
    found = compare(one, other._replace(results=other.results[1:] + (half,)))
    assert [pair.case for pair in found.pairs] == [Case("batch", "ort", "fp32", 8, 1)]
    assert {(case.system, case.batch) for case in found.gone} == {("eager", 1), ("eager", 8), ("ort", 1)}
    assert {(case.system, case.precision) for case in found.new} == {("trt", "fp32"), ("ort", "fp16")}


def test_runs_without_a_case_in_common_say_what_they_have(sentence):
    text = sentence(InputError, compare, runs.plain(systems=("eager",)), runs.plain(systems=("ort",), batches=(1,)))
    assert "the first has eager (batch 1, 8), the second ort (batch 1)" in text


def changed(run, place, **values):
    return run._replace(**{place: dict(getattr(run, place), **values)})


UNLIKE = [
    ("machine", "processor", lambda run: changed(run, "machine", processor="Other CPU"), "'Invented CPU' beside 'Other CPU'"),
    ("machine", "cores", lambda run: changed(run, "machine", cores=2), "cores is '4' beside '2'"),
    ("machine", "gpu", lambda run: changed(run, "machine", gpu="H"), "gpu is 'not recorded' beside 'H'"),
    ("machine", "environment", lambda run: changed(run, "machine", environment={"OMP_NUM_THREADS": "1"}), "OMP_NUM_THREADS=1"),
    ("mode", "power_mode", lambda run: changed(run, "machine", power_mode="MAXQ"), "beside 'MAXQ'"),
    ("mode", "governor", lambda run: changed(run, "before", governor="powersave"), "'performance' beside 'powersave'"),
    ("bundle", "sha256", lambda run: changed(run, "bundle", sha256="cd" * 32), "cdcd"),
    ("bundle", "graph", lambda run: changed(run, "bundle", graph="encode"), "'decode' beside 'encode'"),
]  # fmt: skip


@pytest.mark.parametrize(("kind", "name", "change", "told"), UNLIKE)
def test_unlike_runs_are_refused_unless_told(sentence, kind, name, change, told):
    one, other = runs.plain(), change(runs.plain())
    text = sentence(InputError, compare, one, other)
    assert told in text and name in text and "--unlike " + kind in text
    assert [(item.kind, item.name) for item in unlike.differences(one, other)] == [(kind, name)]
    assert len(compare(one, other, (kind,)).pairs) == 4
    for wrong in set(unlike.KINDS) - {kind}:
        assert "--unlike" in sentence(InputError, compare, one, other, (wrong,))


def test_every_difference_is_named_at_once(sentence):
    text = sentence(InputError, compare, runs.plain(), runs.full())
    for name in ("board", "cores", "power_mode", "governor", "cpu clock", "gpu clock"):
        assert name in text
    assert text.endswith("--unlike machine,mode")


def test_what_changes_in_any_run_does_not_make_runs_unlike():
    other = changed(runs.plain(1), "before", load=[3.0, 2.0, 1.0], memory_free_bytes=7, temperatures_c={"CPU": 61.0})
    other = changed(changed(other, "bundle", path="/elsewhere/flow.bundle", quality={"fid": 3}), "settings", seed=9)
    assert unlike.differences(runs.plain(), other) == []


def test_locked_clocks_are_another_mode_and_the_present_clock_is_not():
    def clocked(**clock):
        return changed(
            runs.plain(), "before", clocks_hz={"gpu": dict({"now": 9e8, "least": 1.14e8, "most": 1.3e9}, **clock)}
        )

    (found,) = unlike.differences(clocked(), clocked(least=1.3e9))
    assert (found.kind, found.name, found.one, found.other) == (
        "mode",
        "gpu clock",
        "114 to 1300 MHz",
        "1300 MHz, locked",
    )
    assert unlike.differences(clocked(), clocked(now=1.3e9)) == []


def test_cores_are_one_clock():
    def cored(most):
        return changed(
            runs.plain(), "before", clocks_hz={"cpu%d" % core: {"least": 1e9, "most": most} for core in range(64)}
        )

    (found,) = unlike.differences(cored(2e9), cored(3e9))
    assert found.name == "cpu clock" and found.other == "1000 to 3000 MHz"


def test_the_rate_counts_only_for_what_is_paced():
    one, other = changed(runs.plain(), "settings", rate_hz=30.0), changed(runs.plain(), "settings", rate_hz=60.0)
    assert unlike.differences(one, other) == []
    full = runs.full()
    assert [item.name for item in unlike.differences(full, changed(full, "settings", rate_hz=60.0))] == ["rate_hz"]


def test_what_format_1_did_not_hold_is_not_compared_with_it(tmp_path):
    old = load(FORMAT_1)
    new = old._replace(finished="2026-01-01T00:00:00Z")
    new = changed(changed(new, "machine", module="p3310", power_mode="MAXN", environment={"A": "1"}), "before",
                  clocks_hz={"gpu": {"least": 1e8, "most": 1e9}})  # fmt: skip
    assert unlike.differences(old, new) == [] and len(compare(old, new).pairs) == len(old.results)
    assert unlike.differences(old, changed(new, "machine", cores=99))[0].name == "cores"


def test_the_command_on_two_like_runs(files):
    status, out, err = files({"a": runs.plain(0), "b": runs.plain(1)}, "a.json", "b.json", "--threshold", "10%")
    assert status == 0 and err == ""
    lines = out.splitlines()
    assert (
        lines[0].startswith("A  a.json: flow 'decode' on Invented CPU")
        and lines[-1] == "4 cases: 4 alike; threshold 10 %"
    )
    assert sum(" alike" in line for line in lines[:-1]) == 4 and "drawn by themselves" in out
    pair = compare(runs.plain(0), runs.plain(1)).pairs[0]
    assert any(
        "{:.4f}".format(1e3 * pair.before.median_s) in line and "{:.3f} (".format(pair.ratio.median) in line
        for line in lines
    )


def test_the_command_ends_with_3_for_a_regression(files):
    kept = {"a": runs.plain(0), "b": runs.plain(1, slower=1.2)}
    status, out, _ = files(kept, "a.json", "b.json", "--threshold", "10%")
    assert status == 3 and out.count("REGRESSION") == 2 and "2 regression" in out
    assert files({}, "a.json", "b.json")[0] == 0  # without a threshold nothing is a regression
    assert files({}, "a.json", "b.json", "--threshold", "0.3")[0] == 0
    assert files({}, "b.json", "a.json", "--threshold", "10%")[0] == 0  # faster is none


def test_the_command_says_what_it_doubts_and_what_changed(files):
    few = runs.plain(0, count=4)
    other = runs.plain(1, count=4, systems=("ort", "trt"))
    other = changed(other, "versions", torch="2.10.0", onnxruntime="1.20")
    status, out, err = files({"a": few, "b": other}, "a.json", "b.json")
    assert status == 0 and "4 rounds make a poor interval" in err
    assert "changed: torch 2.9.0, then 2.10.0" in out and "changed: onnxruntime absent, then 1.20" in out
    assert "only in A: eager, batch 8, batch" in out and "only in B: trt, batch 1, single" in out


def test_the_command_refuses_unlike_runs_and_says_how_to_go_on(files):
    kept = {"a": runs.plain(), "b": changed(runs.plain(), "machine", processor="Other CPU")}
    status, out, err = files(kept, "a.json", "b.json")
    assert status == 1 and out == "" and err.count("\n") == 1
    assert "processor is 'Invented CPU' beside 'Other CPU'" in err and "--unlike machine" in err
    status, out, _ = files({}, "a.json", "b.json", "--unlike", "machine")
    assert status == 0 and "unlike, as allowed: processor is 'Invented CPU' beside 'Other CPU'" in out


def test_the_command_reads_format_1(files):
    status, out, _ = files({}, FORMAT_1, FORMAT_1)
    assert status == 0 and out.count("1.000 (") == len(load(FORMAT_1).results)


@pytest.mark.parametrize(
    ("options", "told"),
    [
        (["--threshold", "10"], "expected a share of the time like 10% or 0.1"),
        (["--threshold", "0"], "expected a share"),
        (["--threshold", "nan"], "expected a share"),
        (["--threshold", "x%"], "expected a share"),
        (["--unlike", "all"], "'all' is not of: machine, mode, bundle"),
    ],
)
def test_wrong_options_are_wrong_usage(files, capsys, options, told):
    with pytest.raises(SystemExit) as ended:
        files({}, "a.json", "b.json", *options)
    assert ended.value.code == 2 and told in capsys.readouterr().err


def test_what_is_no_run_is_named(files, tmp_path):
    (tmp_path / "b.json").write_text("{}")
    status, _, err = files({"a": runs.plain()}, "a.json", "b.json")
    assert status == 1 and "b.json is no result of latentjet bench" in err
    assert "none.json cannot be read" in files({}, "none.json", "a.json")[2]


def test_the_help_tells_the_exit_statuses(capsys):
    with pytest.raises(SystemExit) as ended:
        main(["bench", "compare", "--help"])
    out = " ".join(capsys.readouterr().out.split())
    assert ended.value.code == 0 and "3 with --threshold" in out and "--threshold 10%" in out and "%%" not in out
