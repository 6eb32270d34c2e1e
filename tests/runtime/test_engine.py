"""One graph on one backend: right answers for any batch, nothing shared between calls, errors that teach."""

import json
import sys
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from latentjet.runtime import engine as engines
from latentjet.runtime import load
from latentjet.runtime.bundle import Bundle
from latentjet.runtime.engine import BACKENDS, backend_class, choose_backend, open_engine
from latentjet.runtime.errors import BackendError, BundleError, InputError

GRAPHS = [
    ("cvae.bundle", "decode"),
    ("vae.bundle", "decode"),
    ("realnvp.bundle", "decode"),
    ("realnvp.bundle", "encode"),
    ("realnvp.bundle", "log_prob"),
    ("realnvp.bundle", "dequantise"),
]
EYE = np.eye(3, dtype=np.float32)


@pytest.fixture(params=["ort", "replay"])  # those that need no device
def backend(request):
    return request.param


@pytest.fixture
def decode(bundles):
    """The decode graph of the cvae on ONNX Runtime: z (N, 5), labels (N, 3)."""
    with open_engine(Bundle.open(bundles / "cvae.bundle"), "decode", "ort") as engine:
        yield engine


@pytest.fixture
def without_ort(monkeypatch):
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    monkeypatch.delitem(sys.modules, "latentjet.runtime.ort", raising=False)


def rows(count, seed=0):
    """Inputs of the cvae's decode graph."""
    z = np.random.RandomState(seed).standard_normal((count, 5)).astype(np.float32)
    return {"z": z, "labels": EYE[np.arange(count) % 3]}


@pytest.mark.parametrize(("name", "graph"), GRAPHS)
def test_the_reference_is_reproduced(bundles, backend, name, graph):
    bundle = Bundle.open(bundles / name)
    inputs, expected = bundle.reference(graph)
    with open_engine(bundle, graph, backend) as engine:
        outputs = engine.run(**inputs)
    assert engine.backend == backend and sorted(outputs) == sorted(expected)
    for key in expected:
        assert outputs[key].dtype == np.float32
        np.testing.assert_allclose(outputs[key], expected[key], rtol=0, atol=bundle.graph(graph).tolerance)


@pytest.mark.parametrize(("name", "graph"), GRAPHS)
def test_a_row_does_not_depend_on_the_rows_beside_it(bundles, backend, name, graph):
    bundle = Bundle.open(bundles / name)
    inputs, _ = bundle.reference(graph)
    with open_engine(bundle, graph, backend) as engine:
        outputs = engine.run(**inputs)
        for row in range(len(next(iter(inputs.values())))):
            alone = engine.run(**{key: array[row : row + 1] for key, array in inputs.items()})
            for key, output in outputs.items():
                np.testing.assert_allclose(alone[key][0], output[row], rtol=2e-6, atol=1e-5 if graph == "dequantise" else 1e-6)


def test_results_stay_as_they_are_when_the_engine_runs_again(bundles, backend):
    bundle = Bundle.open(bundles / "cvae.bundle")
    inputs, _ = bundle.reference("decode")
    with open_engine(bundle, "decode", backend) as engine:
        first = engine.run(**{key: array[:4] for key, array in inputs.items()})["images"]
        kept = first.copy()
        second = engine.run(**{key: array[4:8] for key, array in inputs.items()})["images"]
        assert not np.array_equal(first, second)
        np.testing.assert_array_equal(first, kept)
    np.testing.assert_array_equal(first, kept)


def test_results_may_be_written_and_inputs_reused(bundles, backend):
    bundle = Bundle.open(bundles / "cvae.bundle")
    inputs, _ = bundle.reference("decode")
    given = {key: array.copy() for key, array in inputs.items()}
    with open_engine(bundle, "decode", backend) as engine:
        images = engine.run(**given)["images"]
        right = images.copy()
        images[:] = -1
        np.testing.assert_array_equal(engine.run(**given)["images"], right)
        again = engine.run(**given)["images"]
        for array in given.values():
            array[:] = 0
        np.testing.assert_array_equal(again, right)


def test_inputs_are_not_changed(decode):
    given = rows(4)
    kept = {key: array.copy() for key, array in given.items()}
    decode.run(**given)
    for key in kept:
        np.testing.assert_array_equal(given[key], kept[key])


def test_inputs_of_any_memory_layout_give_the_same(decode):
    given = rows(6)
    right = decode.run(**given)["images"]
    wide = np.zeros((12, 10), np.float32)
    wide[::2, 1::2] = given["z"]
    read_only = given["z"].copy()
    read_only.flags.writeable = False
    for z in (wide[::2, 1::2], np.asfortranarray(given["z"]), given["z"][::-1].copy()[::-1], read_only):
        np.testing.assert_array_equal(decode.run(z=z, labels=given["labels"])["images"], right)
    repeated = decode.run(z=given["z"], labels=np.broadcast_to(EYE[1], (6, 3)))["images"]
    np.testing.assert_array_equal(repeated, decode.run(z=given["z"], labels=EYE[[1] * 6])["images"])


def test_batches_grow_shrink_and_come_back(decode):
    """A larger batch than any before, then more sizes than are kept staged, then the first again."""
    right = decode.run(**rows(300))["images"]
    for count in (2, 300, 1, 3, 4, 5, 6, 7, 8, 9, 10, 11, 2, 299):
        given = {key: array[:count] for key, array in rows(300).items()}
        np.testing.assert_allclose(decode.run(**given)["images"], right[:count], rtol=0, atol=1e-6)


def test_threads_share_an_engine(bundles):
    bundle = Bundle.open(bundles / "realnvp.bundle")
    inputs, _ = bundle.reference("decode")
    with open_engine(bundle, "decode", "ort", threads=1) as engine:
        parts = [
            {key: array[row : row + size] for key, array in inputs.items()} for row in range(12) for size in (1, 3)
        ]
        right = [engine.run(**part)["images"] for part in parts]
        with ThreadPoolExecutor(8) as pool:
            for _ in range(5):
                for index, found in enumerate(pool.map(lambda part: engine.run(**part)["images"], parts)):
                    np.testing.assert_array_equal(found, right[index])


def test_threads_may_be_limited(bundles):
    bundle = Bundle.open(bundles / "cvae.bundle")
    for threads in (None, 1, 2):
        with open_engine(bundle, "decode", "ort", threads) as engine:
            assert engine.run(**rows(2))["images"].shape == (2, 1, 8, 8)


WRONG = {
    "a list": (lambda given: given.update(z=given["z"].tolist()), "input 'z' is list, expected float32 (batch, 5)"),
    "float64": (
        lambda given: given.update(z=given["z"].astype(np.float64)),
        "input 'z' is float64 (4, 5), expected float32 (batch, 5)",
    ),
    "big-endian": (lambda given: given.update(z=given["z"].astype(">f4")), "expected float32 (batch, 5)"),
    "a column less": (
        lambda given: given.update(z=given["z"][:, :4].copy()),
        "input 'z' is float32 (4, 4), expected float32 (batch, 5)",
    ),
    "one dimension": (lambda given: given.update(z=given["z"][0]), "input 'z' is float32 (5,), expected float32"),
    "no dimension": (lambda given: given.update(z=np.float32(1)), "input 'z' is float32, expected float32 (batch, 5)"),
    "a 0-d array": (lambda given: given.update(z=np.array(1, np.float32)), "input 'z' is float32 (), expected"),
    "None": (lambda given: given.update(z=None), "input 'z' is NoneType, expected float32 (batch, 5)"),
    "integer labels": (
        lambda given: given.update(labels=np.eye(4, 3, dtype=np.int64)),
        "input 'labels' is int64 (4, 3), expected float32 (batch, 3)",
    ),
    "rows lacking": (
        lambda given: given.update(labels=given["labels"][:3]),
        "'z' has 4, 'labels' has 3 rows, expected as many for each",
    ),
    "no rows": (
        lambda given: given.update(z=given["z"][:0], labels=given["labels"][:0]),
        "the batch is empty, expected at least one row",
    ),
    "an input lacking": (lambda given: given.pop("labels"), "inputs are 'z', expected 'z', 'labels'"),
    "the first lacking": (lambda given: given.pop("z"), "inputs are 'labels', expected 'z', 'labels'"),
    "no inputs": (lambda given: given.clear(), "inputs are none, expected 'z', 'labels'"),
    "one too many": (lambda given: given.update(seed=given["z"]), "expected 'z', 'labels'"),
    "one misnamed": (lambda given: given.update(label=given.pop("labels")), "'label', expected 'z', 'labels'"),
    "NaN": (
        lambda given: given["z"].__setitem__((2, 1), np.nan),
        "input 'z' has 1 values that are not finite, the first in row 2",
    ),
    "inf": (
        lambda given: given["labels"].__setitem__((slice(1, 3), 0), np.inf),
        "input 'labels' has 2 values that are not finite, the first in row 1",
    ),
    "inf of both signs": (
        lambda given: given["z"].__setitem__((0, slice(0, 2)), [np.inf, -np.inf]),
        "input 'z' has 2 values that are not finite, the first in row 0",
    ),
}


@pytest.mark.parametrize("what", sorted(WRONG))
def test_wrong_inputs_are_explained_and_leave_the_engine_usable(decode, what, sentence):
    right = decode.run(**rows(4))["images"]
    spoil, expected = WRONG[what]
    given = rows(4)
    spoil(given)
    text = sentence(InputError, decode.run, **given)
    assert text.startswith("graph 'decode': ") and expected in text
    np.testing.assert_array_equal(decode.run(**rows(4))["images"], right)


def test_an_input_error_is_a_value_error(decode):
    with pytest.raises(ValueError):
        decode.run(z=1)


def test_large_but_finite_inputs_pass(decode):
    given = dict(rows(4), z=np.full((4, 5), 1e30, np.float32))
    assert np.isfinite(decode.run(**given)["images"]).all()


def test_a_closed_engine_refuses_and_may_be_closed_twice(bundles, backend, sentence):
    bundle = Bundle.open(bundles / "cvae.bundle")
    inputs, _ = bundle.reference("decode")
    engine = open_engine(bundle, "decode", backend)
    engine.run(**inputs)
    engine.close()
    engine.close()
    assert sentence(InputError, engine.run, **inputs) == "graph 'decode': this engine is closed"


def test_leaving_the_context_closes_even_after_an_error(bundles):
    engine = open_engine(Bundle.open(bundles / "cvae.bundle"), "decode", "ort")
    with pytest.raises(RuntimeError, match="mine"), engine:
        raise RuntimeError("mine")
    assert engine.closed


def test_replay_answers_known_rows_in_any_order_and_number(bundles):
    bundle = Bundle.open(bundles / "realnvp.bundle")
    inputs, expected = bundle.reference("encode")
    picks = [5, 5, 0, 11, 3] * 9
    with open_engine(bundle, "encode", "replay") as engine:
        outputs = engine.run(**{key: array[picks] for key, array in inputs.items()})
    np.testing.assert_array_equal(outputs["z"], expected["z"][picks])


def test_replay_refuses_rows_that_it_does_not_know(bundles, sentence):
    bundle = Bundle.open(bundles / "cvae.bundle")
    inputs, _ = bundle.reference("decode")
    with open_engine(bundle, "decode", "replay") as engine:
        for key in inputs:
            given = dict(inputs, **{key: inputs[key].copy()})
            given[key][-1, -1] += 0.5
            text = sentence(InputError, engine.run, **given)
            assert "graph 'decode'" in text and "reference rows only" in text


def test_an_unknown_backend_lists_the_known(bundles, sentence):
    for call in (lambda: load(bundles / "cvae.bundle", backend="tensorrt"), lambda: backend_class("tensorrt")):
        text = sentence(BackendError, call)
        assert "backend is 'tensorrt', expected one of: auto, {}".format(", ".join(sorted(BACKENDS))) in text


def test_a_named_backend_that_is_not_installed_is_never_replaced(bundles, without_ort, monkeypatch, sentence):
    monkeypatch.setattr(engines, "AUTO", ("ort", "replay"))
    for call in (
        lambda: choose_backend("ort", Bundle.open(bundles / "cvae.bundle")),
        lambda: load(bundles / "cvae.bundle", backend="ort"),
        lambda: open_engine(Bundle.open(bundles / "cvae.bundle"), "decode", "ort"),
    ):
        text = sentence(BackendError, call)
        assert "backend 'ort' cannot be loaded" in text and "pip install onnxruntime" in text


def test_auto_takes_the_first_that_loads_and_says_which(bundles, without_ort, monkeypatch):
    monkeypatch.setattr(engines, "AUTO", ("ort", "replay"))
    with load(bundles / "cvae.bundle") as model:
        assert model.backend == "replay"
        inputs, expected = model.bundle.reference("decode")
        np.testing.assert_array_equal(model.decode(inputs["z"], inputs["labels"]), expected["images"])


def test_auto_takes_no_later_one_where_the_first_loads(bundles, monkeypatch):
    monkeypatch.setattr(engines, "AUTO", ("ort", "replay"))
    with load(bundles / "cvae.bundle") as model:
        assert model.backend == "ort"


def test_auto_without_any_backend_says_what_is_wrong_with_each(bundles, without_ort, sentence):
    text = sentence(BackendError, choose_backend, "auto", Bundle.open(bundles / "cvae.bundle"))
    assert "has no plan of 'decode'" in text
    assert "no backend can be loaded" in text and "pip install onnxruntime" in text


def test_a_graph_that_onnxruntime_cannot_read_is_told_in_its_words(bundle, altered, sentence):
    altered(bundle, {"decode.onnx": b"no onnx"})
    text = sentence(BackendError, open_engine, Bundle.open(bundle), "decode", "ort")
    assert "graph 'decode' cannot be loaded by onnxruntime" in text and "ONNXRuntimeError" in text


@pytest.mark.parametrize(
    ("side", "change"),
    [
        ("inputs", {"name": "noise"}),
        ("inputs", {"shape": ["batch", 6]}),
        ("inputs", {"shape": ["batch", 5, 1]}),
        ("outputs", {"shape": ["batch", 1, 4, 4]}),
        ("outputs", {"shape": ["batch", 1, 16, 16]}),
        ("outputs", {"name": "pictures"}),
    ],
)
def test_a_manifest_that_disagrees_with_the_graph_is_found_before_it_runs(bundle, side, change, sentence):
    manifest = json.loads((bundle / "bundle.json").read_text())
    manifest["graphs"]["decode"][side][0].update(change)
    (bundle / "bundle.json").write_text(json.dumps(manifest))
    text = sentence(BundleError, open_engine, Bundle.open(bundle), "decode", "ort")
    assert f"the {side} " in text and "in its ONNX file" in text and "export it again" in text


def test_an_unknown_graph_lists_the_known(bundles, sentence):
    text = sentence(BundleError, open_engine, Bundle.open(bundles / "realnvp.bundle"), "sample", "ort")
    assert "no graph 'sample'" in text and "decode, dequantise, encode, log_prob" in text


def test_staging_memory_is_bounded_however_many_batch_sizes_come(bundles):
    """An application whose batch grows by one does not keep a buffer for each size."""
    import gc
    import weakref

    buffers = []

    class Buffer(np.ndarray):
        pass

    class Counting(engines.Engine):
        backend, fresh = "counting", True

        def _allocate(self, count):
            buffer = np.zeros(count, np.float32).view(Buffer)
            buffers.append(weakref.ref(buffer))
            return buffer

        def _run(self, slot):
            return [slot.flat[:1].copy()]

    engine = Counting(Bundle.open(bundles / "vae.bundle").graph("decode"))
    for rows in range(1, 41):
        engine.run(z=np.zeros((rows, 5), np.float32))
    gc.collect()
    assert len(buffers) == 40 and sum(buffer() is not None for buffer in buffers) <= engines.MOST_SLOTS
