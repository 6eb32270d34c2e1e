"""The examples run on a small bundle, say what they promise, and fail in one line. CPython 3.6 code, as they are."""

import os
import re
import subprocess
import sys

import pytest

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))


def example(name, *arguments):
    """-> (exit status, standard output, standard error) of an example, warnings being errors."""
    script = os.path.join(ROOT, "examples", name)
    command = [sys.executable, "-W", "error", script, *map(str, arguments)]
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE)  # noqa: UP022
    return done.returncode, done.stdout.decode(), done.stderr.decode()


@pytest.mark.parametrize("family", ["cvae", "vae"])
def test_fixed_rate_reports_deadlines_latency_and_jitter(bundles, family):
    bundle = bundles / (family + ".bundle")
    status, out, err = example("fixed_rate.py", bundle, "--rate", 50, "--seconds", 0.4, "--backend", "ort")
    assert (status, err) == (0, "")
    assert "backend 'ort': 50 images a second for 0.4 s" in out
    assert re.search(r"deadlines +20, missed \d+ ", out)
    for topic in ("latency", "jitter"):
        middle, tail, most = map(
            float, re.search(topic + r" +p50 (\S+) ms, p99 (\S+) ms, largest (\S+) ms", out).groups()
        )
        assert 0 <= middle <= tail <= most


def test_fixed_rate_counts_what_it_cannot_keep_up_with(bundles):
    status, out, _ = example("fixed_rate.py", bundles / "realnvp.bundle", "--rate", 100000, "--seconds", 0.05)
    assert status == 0
    periods, missed = map(int, re.search(r"deadlines +(\d+), missed (\d+) ", out).groups())
    assert periods == 5000 and periods / 2 < missed <= periods


@pytest.mark.parametrize("family", ["realnvp", "vae"])
def test_two_threads_each_get_their_own_images(bundles, family):
    bundle = bundles / (family + ".bundle")
    status, out, err = example("two_threads.py", bundle, "--seconds", 0.1, "--backend", "ort")
    assert (status, err) == (0, "")
    assert "a Model each, backend 'ort'" in out and "take turns on one Engine" in out
    rates = [float(line.split()[-2]) for line in out.splitlines() if line.endswith("images/s")]
    assert len(rates) == 11 and min(rates) > 0
    if family == "realnvp":
        assert "thread 1  red" in out and "thread 2  green" in out


@pytest.mark.parametrize("name", ["fixed_rate.py", "two_threads.py"])
def test_what_is_wrong_is_one_line(tmp_path, name):
    status, out, err = example(name, tmp_path / "none.bundle")
    assert status == 1 and out == "" and err.count("\n") == 1 and "none.bundle" in err


@pytest.mark.parametrize("rate", ["0", "-1", "many", "nan"])
def test_a_rate_that_is_none(rate):
    status, _, err = example("fixed_rate.py", "x", "--rate=" + rate)
    assert status == 2 and "--rate" in err
