"""The fit: what it promises on the published latencies, recomputed from the kernels that are kept of each network."""

import re
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("onnx")
from latentjet.benchmarks.estimate import calibrate  # noqa: E402
from latentjet.benchmarks.estimate.cost import Calibration  # noqa: E402
from latentjet.benchmarks.estimate.predict import calibration  # noqa: E402

ROOT = Path(__file__).resolve().parents[3]


@pytest.fixture(scope="module")
def found():
    return calibrate.calibrate()


def test_the_promise_is_kept(found):
    content, by_network, by_family = found
    left = content["network_left_out"]
    assert left["median"] <= 0.20 and left["within_35"] >= 0.9
    assert content["family_left_out"]["median"] <= 0.20 and content["family_left_out"]["within_35"] >= 0.9
    assert len(by_network) == len(by_family) == left["latencies"] == 38 and content["networks"] == 16


def test_what_is_stored_is_what_the_fit_finds(found):
    content, stored = found[0], calibration()
    assert stored.keys() == content.keys()
    for name, value in content["parameters"].items():
        assert stored["parameters"][name] == pytest.approx(value, rel=0.02), name
    for name in ("network_left_out", "family_left_out"):
        assert stored[name] == pytest.approx(content[name], rel=0.05, abs=0.005)
    assert sorted(stored["other_fits"]) == sorted(content["other_fits"])


def test_the_document_shows_the_table_that_the_fit_gives(found):
    _, by_network, by_family = found
    rows = calibrate.markdown(by_network, by_family)
    text = (ROOT / "docs" / "estimate.md").read_text(encoding="utf-8")
    shown = [line for line in text.splitlines() if re.search(r"\| fp(16|32) \|", line)]
    assert len(shown) == len(by_network)

    def numbers(line):
        return [float(part.replace(" %", "")) for part in line.split("|")[4:8]]

    for line, row in zip(shown, rows[2:]):
        assert line.split("|")[1:4] == row.split("|")[1:4]
        assert np.allclose(numbers(line), numbers(row), rtol=0.01, atol=1.01)


def test_only_networks_that_cannot_be_built_are_left_out():
    published = calibrate.read("published.json")
    used = {case.network for case in calibrate.cases()}
    assert {row["network"] for row in published["rows"]} - used == set(published["left_out"])
    assert set(published["families"]) >= used


def test_another_board_that_was_never_fitted_is_met(found):
    checks = calibrate.other_board(Calibration(**found[0]["parameters"]))
    assert len(checks) == 8 and max(abs(check.error) for check in checks) <= 0.35


def test_the_fit_finds_parameters_that_made_the_latencies():
    """Latencies made by the model itself, with other parameters: all come back, and so do those parameters that the
    published networks speak of enough to outweigh the prior."""
    truth = Calibration(30e-6, 500e-6, 0.8, 0.4, 0.45, 0.06, 0.5, 1.6, 60.0)
    made = [case._replace(seconds=case.predict(truth)) for case in calibrate.cases()]
    again = calibrate.fit(made)
    for case in made:
        assert case.predict(again) == pytest.approx(case.seconds, rel=0.08)
    for name in ("launch_s", "conv3x3", "conv1x1", "conv", "half_gain", "fill"):
        assert getattr(again, name) == pytest.approx(getattr(truth, name), rel=0.15), name
