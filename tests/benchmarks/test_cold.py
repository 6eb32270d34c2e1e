"""Cold starts, in processes of their own."""

import pytest
from latentjet.benchmarks import cold
from latentjet.runtime.errors import BackendError


def wanted(bundle, **changes):
    return dict({"bundle": str(bundle), "graph": "decode", "system": "ort", "threads": 1, "device": "cpu", "seed": 0},
                **changes)  # fmt: skip


def test_a_process_tells_its_start_its_load_and_its_calls_apart(bundles):
    told = cold.start(wanted(bundles / "cvae.bundle"))
    assert sorted(told) == ["first_s", "load_s", "peak_bytes", "start_s", "steady_s"]
    assert all(value > 0 for value in told.values()) and told["peak_bytes"] > 1 << 20
    assert told["load_s"] > told["steady_s"]  # loading imports onnxruntime


@pytest.mark.parametrize(
    ("changes", "expected"),
    [({"system": "onnx"}, "system is 'onnx', expected one of"), ({"graph": "sample"}, "no graph 'sample'")],
)
def test_what_fails_there_is_told_here(bundles, changes, expected, sentence):
    assert expected in sentence(BackendError, cold.start, wanted(bundles / "cvae.bundle", **changes))
