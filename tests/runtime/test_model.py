"""What an application relies on: labels, seeds, temperature, images, and for flows densities."""

import json
import math
import zipfile

import numpy as np
import pytest
from latentjet.runtime import load
from latentjet.runtime.bundle import Bundle, write
from latentjet.runtime.errors import BundleError, InputError
from latentjet.runtime.model import Model, noise, to_uint8

CONDITIONAL = ("cvae.bundle", "gan.bundle", "realnvp.bundle")
LEVELS = np.arange(256, dtype=np.uint8).reshape(4, 1, 8, 8)


@pytest.fixture(params=CONDITIONAL)
def model(request, bundles):
    with load(bundles / request.param, "ort") as opened:
        yield opened


@pytest.fixture
def cvae(bundles):
    with load(bundles / "cvae.bundle", "ort") as opened:
        yield opened


@pytest.fixture
def flow(bundles):
    with load(bundles / "realnvp.bundle", "ort") as opened:
        yield opened


@pytest.fixture
def vae(bundles):
    with load(bundles / "vae.bundle", "ort") as opened:
        yield opened


def test_a_model_tells_what_it_is(cvae, flow, vae):
    assert cvae.classes == flow.classes == ["red", "green", "blue"] and vae.classes == []
    assert cvae.image == flow.image == vae.image == (1, 8, 8)
    assert (cvae.latent, flow.latent, vae.latent) == (5, 64, 5)


def test_samples_are_images(model):
    images = model.sample(["red", 1, 2, 2])
    assert images.shape == (4, 1, 8, 8) and images.dtype == np.float32
    assert images.min() >= 0 and images.max() <= 1
    assert images.std() > 0.01


def test_the_same_seed_gives_the_same_images_and_another_gives_others(model):
    labels = [0, 1, 2, 0]
    np.testing.assert_array_equal(model.sample(labels, seed=7), model.sample(labels, seed=7))
    assert not np.array_equal(model.sample(labels, seed=7), model.sample(labels, seed=8))


def test_a_newly_loaded_model_gives_the_same_images(bundles, model):
    with load(model.bundle.path, "ort") as other:
        np.testing.assert_array_equal(model.sample([0, 2], seed=5), other.sample([0, 2], seed=5))


def test_the_first_images_do_not_depend_on_how_many_follow(model):
    labels = [0, 1, 2] * 7
    all_of_them = model.sample(labels, seed=1)
    for count in (1, 2, 5, 20):
        np.testing.assert_allclose(model.sample(labels[:count], seed=1), all_of_them[:count], rtol=0, atol=1e-6)


def test_nor_do_those_of_an_unconditional_model(vae):
    np.testing.assert_allclose(vae.sample(count=3), vae.sample(count=40)[:3], rtol=0, atol=1e-6)


def test_noise_is_the_frozen_stream(sentence):
    """The first normal numbers of numpy's legacy generator: the same on every platform and version."""
    np.testing.assert_allclose(noise(0, 1, 3), [[1.7640524, 0.4001572, 0.978738]], rtol=1e-6)
    assert noise(0, 4, 3).dtype == np.float32
    np.testing.assert_array_equal(noise(3, 2, 5), noise(3, 9, 5)[:2])
    np.testing.assert_allclose(noise(3, 9, 5, 0.5), 0.5 * noise(3, 9, 5), rtol=1e-6)
    drawn = noise(1, 2000, 10)
    assert abs(drawn.mean()) < 0.03 and abs(drawn.std() - 1) < 0.03


def test_temperature_zero_is_z_zero(model):
    expected = np.clip(model.decode(np.zeros((3, model.latent), np.float32), [0, 1, 2]), 0, 1)
    for seed in (0, 9):
        np.testing.assert_array_equal(model.sample([0, 1, 2], seed=seed, temperature=0), expected)


def test_temperature_one_is_the_default_and_others_differ(model):
    np.testing.assert_array_equal(model.sample([0]), model.sample([0], temperature=1))
    assert not np.array_equal(model.sample([0]), model.sample([0], temperature=0.5))


def test_sample_is_decode_of_the_noise(model):
    z = noise(4, 3, model.latent, 0.7)
    expected = np.clip(model.decode(z, [2, 0, 1]), 0, 1)
    np.testing.assert_array_equal(model.sample([2, 0, 1], seed=4, temperature=0.7), expected)


def test_names_numbers_and_one_hot_rows_are_the_same_labels(model):
    right = model.sample(["red", "blue", "green"], seed=2)
    one_hot = np.eye(3)[[0, 2, 1]]
    same = [
        [0, 2, 1],
        (0, "blue", 1),
        np.array([0, 2, 1]),
        np.array([0, 2, 1], np.uint8),
        np.array(["red", "blue", "green"]),
        one_hot,
        one_hot.astype(np.float32),
        one_hot.astype(np.int64),
        np.asfortranarray(one_hot.astype(np.float32)),
    ]
    for labels in same:
        np.testing.assert_array_equal(model.sample(labels, seed=2), right)


def test_labels_and_their_mixtures_change_the_image(model):
    z = noise(0, 1, model.latent)
    mixtures = [[1, 0, 0], [0, 1, 0], [0.5, 0.5, 0], [0.2, 0.3, 0.5]]
    images = [model.decode(z, np.array([weights])) for weights in mixtures]
    for first in range(len(images)):
        for second in range(first):
            assert np.abs(images[first] - images[second]).max() > 1e-4


def test_decode_of_rows_one_by_one_is_decode_of_all(model):
    z, labels = noise(0, 17, model.latent), [row % 3 for row in range(17)]
    images = model.decode(z, labels)
    for row in range(17):
        np.testing.assert_allclose(model.decode(z[row : row + 1], labels[row : row + 1])[0], images[row], atol=1e-6)


BAD_LABELS = [
    ([3], "label is 3, expected one of 0 'red', 1 'green', 2 'blue'"),
    ([0, -1], "label is -1, expected one of 0 'red', 1 'green', 2 'blue'"),
    (["red", "pink"], "label is 'pink', expected one of 0 'red', 1 'green', 2 'blue'"),
    (["Red"], "label is 'Red', expected one of 0 'red'"),
    (["0"], "label is '0', expected one of 0 'red'"),
    ([1.0], "label is 1.0, expected one of"),
    ([None], "label is None, expected one of"),
    ([[1, 0, 0]], "label is [1, 0, 0], expected one of"),
    ([], "labels is empty, expected at least one of 0 'red'"),
    (np.zeros(0, int), "labels is empty"),
    (None, "this model is conditional: give labels, from 0 'red', 1 'green', 2 'blue'"),
    ("red", "labels is 'red', expected a list of labels like ['red']"),
    (2, "labels is 2, expected a list of labels like [2]"),
    (1.5, "labels is 1.5, expected a list"),
    (np.array(1), "labels has 0 dimensions, expected a list"),
    (np.zeros((2, 3, 1)), "labels has 3 dimensions, expected a list"),
    (np.array([[0.5, 0.5]]), "labels is float64 (1, 2), expected numbers (N, 3)"),
    (np.array([["a", "b", "c"]]), "(1, 3), expected numbers (N, 3)"),
    (np.array([[1, 0, 0], [0.5, 0.4, 0]]), "labels: row 1 sums to 0.9, expected 1"),
    (np.array([[1, 0, 0], [0.5, 0.4, 0]], np.float32), "labels: row 1 sums to 0.9, expected 1"),
    (np.array([[0, 0, 0], [1, 0, 0]], np.float32), "labels: row 0 sums to 0, expected 1"),
    (np.array([[1, 1, 0]], np.int64), "labels: row 0 sums to 2, expected 1"),
    (np.array([[np.nan, 1, 0]]), "labels: row 0 sums to nan, expected 1"),
    (np.array([[np.inf, 1, 0]], np.float32), "labels: row 0 sums to inf, expected 1"),
]


@pytest.mark.parametrize(("labels", "expected"), BAD_LABELS)
def test_bad_labels_are_named_and_the_classes_listed(model, labels, expected, sentence):
    assert expected in sentence(InputError, model.sample, labels)
    z = np.zeros((1, model.latent), np.float32)
    assert expected in sentence(InputError, model.decode, z, labels)


def test_a_large_batch_of_nearly_exact_weights_is_accepted(cvae):
    weights = np.full((5000, 3), 1 / 3, np.float32) + np.float32(1e-4)
    assert cvae.sample(weights).shape == (5000, 1, 8, 8)


@pytest.mark.parametrize("temperature", [-0.1, float("nan"), float("inf"), "1", None, 1j, [1]])
def test_a_bad_temperature(model, temperature, sentence):
    text = sentence(InputError, model.sample, [0], temperature=temperature)
    assert f"temperature is {temperature!r}, expected a number of at least 0" in text


def test_a_temperature_beyond_float32_is_refused(model, sentence):
    assert "'z' has" in sentence(InputError, model.sample, [0], temperature=1e300)


@pytest.mark.parametrize("seed", [-1, 2**32, 1.0, "0", None, float("nan")])
def test_a_bad_seed(model, seed, sentence):
    text = sentence(InputError, model.sample, [0], seed=seed)
    assert f"seed is {seed!r}, expected an integer from 0 to 4294967295" in text


@pytest.mark.parametrize("seed", [0, 2**32 - 1, np.int64(3)])
def test_every_good_seed(cvae, seed):
    assert cvae.sample([0], seed=seed).shape == (1, 1, 8, 8)


BAD_Z = [
    (lambda z: z.astype(np.float64), "input 'z' is float64 (2, 5), expected float32 (batch, 5)"),
    (lambda z: z.tolist(), "input 'z' is list, expected float32 (batch, 5)"),
    (lambda z: z[:, :3], "input 'z' is float32 (2, 3), expected float32 (batch, 5)"),
    (lambda z: z[0], "input 'z' is float32 (5,), expected float32 (batch, 5)"),
    (lambda z: z[:1], "'z' has 1, 'labels' has 2 rows"),
    (lambda z: z * np.float32("nan"), "input 'z' has 10 values that are not finite, the first in row 0"),
    (lambda z: z + np.array([[0], [np.inf]], np.float32), "'z' has 5 values that are not finite, the first in row 1"),
]


@pytest.mark.parametrize(("spoil", "expected"), BAD_Z)
def test_a_bad_z(cvae, spoil, expected, sentence):
    z = noise(0, 2, 5)
    assert expected in sentence(InputError, cvae.decode, spoil(z), [0, 1])
    assert cvae.decode(z, [0, 1]).shape == (2, 1, 8, 8)


def test_an_unconditional_model_refuses_labels_and_needs_count(vae, sentence):
    z = noise(0, 2, 5)
    assert vae.sample(count=2).shape == vae.decode(z).shape == (2, 1, 8, 8)
    for call in (lambda: vae.sample([0], count=1), lambda: vae.decode(z, [0, 0]), lambda: vae.weights([0])):
        assert "this model is unconditional: leave labels out, give count" in sentence(InputError, call)
    for count in (None, 0, -3, 2.0, "2", float("nan")):
        text = sentence(InputError, vae.sample, count=count)
        assert f"count is {count!r}, expected at least 1" in text and "unconditional" in text


def test_a_conditional_model_refuses_count(model, sentence):
    assert "leave count out" in sentence(InputError, model.sample, [0], count=1)


def test_rounded_pixels_are_the_nearest_level():
    np.testing.assert_array_equal(to_uint8((LEVELS / 255).astype(np.float32), "rounded"), LEVELS)
    images = np.array([0, 0.49 / 255, 0.51 / 255, 254.4 / 255, 254.6 / 255, 1, -0.1, 1.1], np.float32)
    assert to_uint8(images, "rounded").tolist() == [0, 0, 1, 254, 255, 255, 0, 255]


@pytest.mark.parametrize("uniform", [0, 0.01, 0.5, 0.99])
def test_dequantised_pixels_are_the_level_that_the_noise_was_added_to(uniform):
    images = ((LEVELS + uniform) / 256).astype(np.float32)
    np.testing.assert_array_equal(to_uint8(images, "dequantised"), LEVELS)


def test_dequantised_pixels_at_the_ends():
    images = np.array([0, 1 - 2.0**-24, 1, 1.1, -0.1], np.float32)
    assert to_uint8(images, "dequantised").tolist() == [0, 255, 255, 255, 0]


def test_uint8_samples_follow_the_rule_of_their_training(cvae, flow, vae):
    for model, given in ((cvae, {"labels": [0, 1]}), (flow, {"labels": [0, 1]}), (vae, {"count": 2})):
        images, levels = model.sample(seed=3, **given), model.sample(seed=3, uint8=True, **given)
        assert levels.dtype == np.uint8 and levels.shape == images.shape
        if model is flow:
            expected = np.minimum(np.floor(images * 256), 255)
        else:
            expected = np.floor(images * np.float32(255) + np.float32(0.5))
        np.testing.assert_array_equal(levels, expected)
    assert (cvae.bundle.pixels, flow.bundle.pixels, vae.bundle.pixels) == ("rounded", "dequantised", "rounded")


def test_a_flow_gives_back_what_it_encoded(flow):
    labels = [row % 3 for row in range(9)]
    images = np.random.RandomState(0).uniform(0.02, 0.98, (9, 1, 8, 8)).astype(np.float32)
    np.testing.assert_allclose(flow.decode(flow.encode(images, labels), labels), images, rtol=0, atol=1e-3)


def test_and_encodes_what_it_decoded(flow):
    labels, z = [row % 3 for row in range(9)], noise(0, 9, 64, 0.5)
    np.testing.assert_allclose(flow.encode(flow.decode(z, labels).clip(0, 1), labels), z, rtol=0, atol=2e-2)


def test_a_flow_encodes_each_image_by_itself(flow):
    images = np.random.RandomState(0).uniform(0.02, 0.98, (6, 1, 8, 8)).astype(np.float32)
    z, density = flow.encode(images, [1] * 6), flow.log_prob(images, [1] * 6)
    assert z.shape == (6, 64) and density.shape == (6,)
    for row in range(6):
        np.testing.assert_allclose(flow.encode(images[row : row + 1], [1])[0], z[row], rtol=1e-5, atol=1e-5)
        np.testing.assert_allclose(flow.log_prob(images[row : row + 1], [1])[0], density[row], rtol=1e-5, atol=1e-3)


def test_uint8_images_get_noise_from_the_seed(flow):
    labels = [0, 1, 2, 0]
    for call in (flow.encode, flow.log_prob, flow.bits_per_dim):
        first = call(LEVELS, labels, seed=1)
        np.testing.assert_array_equal(first, call(LEVELS, labels, seed=1))
        assert not np.array_equal(first, call(LEVELS, labels, seed=2))
    back = flow.decode(flow.encode(LEVELS, labels, seed=1), labels)
    assert ((back * 256 > LEVELS - 0.3) & (back * 256 < LEVELS + 1.3)).all()
    spread = back * 256 - LEVELS
    assert abs(spread.mean() - 0.5) < 0.1 and spread.std() > 0.2


def test_white_images_have_a_density(flow):
    white = np.full((2, 1, 8, 8), 255, np.uint8)
    assert np.isfinite(flow.log_prob(white, [0, 1])).all()


def test_float_images_are_taken_as_they_are(flow):
    images = ((LEVELS + 0.5) / 256).astype(np.float32)
    np.testing.assert_array_equal(flow.encode(images, [0] * 4, seed=1), flow.encode(images, [0] * 4, seed=2))


def test_bits_per_dim_is_log_prob_in_other_units(flow):
    images = ((LEVELS + 0.5) / 256).astype(np.float32)
    nats = flow.log_prob(images, [2] * 4)
    expected = [math.log(256) / math.log(2) - value / (64 * math.log(2)) for value in nats.tolist()]
    np.testing.assert_allclose(flow.bits_per_dim(images, [2] * 4), expected, rtol=1e-5)


BAD_IMAGES = [
    (lambda images: images.tolist(), "images is list, expected (N, 1, 8, 8)"),
    (lambda images: images[0], "images is (1, 8, 8), expected (N, 1, 8, 8)"),
    (lambda images: images[:, :, :4], "images is (4, 1, 4, 8), expected (N, 1, 8, 8)"),
    (lambda images: images.astype(np.float64), "images is float64, expected uint8 or float32"),
    (lambda images: images.astype(np.float32), "images range from 0.0 to 255.0, expected 0 to 1"),
    (lambda images: (images / 255 - 0.1).astype(np.float32), "expected 0 to 1"),
    (lambda images: np.full_like(images, np.nan, np.float32), "expected 0 to 1"),
    (lambda images: images[:0], "expected at least one"),
    (lambda images: images[:3], "rows, expected as many"),
]


@pytest.mark.parametrize(("spoil", "expected"), BAD_IMAGES)
def test_bad_images(flow, spoil, expected, sentence):
    for call in (flow.encode, flow.log_prob, flow.bits_per_dim):
        images = spoil(LEVELS)
        labels = np.eye(3, dtype=np.float32)[np.arange(len(images) if len(images) != 3 else 4) % 3]
        assert expected in sentence(InputError, call, images, labels)


BAD_NOISE = [
    (lambda levels, uniform: (levels.tolist(), uniform), "levels is list, expected (N, 1, 8, 8)"),
    (lambda levels, uniform: (levels[:, :, :4], uniform), "levels is (4, 1, 4, 8), expected (N, 1, 8, 8)"),
    (lambda levels, uniform: (levels.astype(np.uint8), uniform), "levels is uint8, expected float32"),
    (lambda levels, uniform: (levels + 1, uniform), "values of levels range from 1.0 to 256.0, expected 0 to 255"),
    (lambda levels, uniform: (levels / 255, uniform), "levels are not whole numbers, expected 0, 1 to 255"),
    (lambda levels, uniform: (levels, uniform + 1), "values of uniform range from 1.5 to 1.5, expected 0 to 1"),
    (lambda levels, uniform: (levels, uniform * np.float32("nan")), "values of uniform range from nan to nan"),
    (lambda levels, uniform: (levels, uniform[:3]), "levels has 4 rows and uniform 3, expected as many"),
]


@pytest.mark.parametrize(("spoil", "expected"), BAD_NOISE)
def test_bad_levels_and_noise(flow, spoil, expected, sentence):
    levels, uniform = LEVELS.astype(np.float32), np.full(LEVELS.shape, 0.5, np.float32)
    assert expected in sentence(InputError, flow.dequantise, *spoil(levels, uniform), labels=[0, 1, 2, 0])


def test_a_bound_is_made_of_log_prob_and_the_noise(flow):
    labels, levels = [0, 1, 2, 0], LEVELS.astype(np.float32)
    uniform = np.random.RandomState(3).random_sample(LEVELS.shape).astype(np.float32)
    u, change = flow.dequantise(levels, uniform, labels)
    assert u.min() >= 0 and u.max() <= 1 and change.shape == (4,) and abs(change).max() > 0.01
    expected = flow.log_prob((levels + u) / np.float32(256), labels) + change
    np.testing.assert_allclose(flow.log_prob(LEVELS, labels, seed=3), expected, rtol=1e-5)


def test_a_flow_without_the_graph_takes_uniform_noise(bundles, tmp_path):
    opened = Bundle.open(bundles / "realnvp.bundle")
    graphs = {name: entry for name, entry in opened.manifest["graphs"].items() if name != "dequantise"}
    contents = {name: opened.read(name) for name in opened.manifest["files"] if name != "dequantise.onnx"}
    write(tmp_path / "plain.bundle", dict(opened.manifest, graphs=graphs), contents)
    levels, uniform = LEVELS.astype(np.float32), np.full(LEVELS.shape, 0.5, np.float32)
    with load(tmp_path / "plain.bundle") as plain:
        u, change = plain.dequantise(levels, uniform, [0] * 4)
        np.testing.assert_array_equal(u, uniform)
        assert change.tolist() == [0] * 4


def test_bad_labels_and_seeds_of_images(flow, sentence):
    assert "label is 9" in sentence(InputError, flow.encode, LEVELS, [0, 1, 2, 9])
    assert "give labels" in sentence(InputError, flow.log_prob, LEVELS)
    assert "seed is -1" in sentence(InputError, flow.encode, LEVELS, [0] * 4, seed=-1)


def test_only_flows_have_densities(cvae, vae, sentence):
    for model in (cvae, vae):
        for name in ("encode", "log_prob", "bits_per_dim"):
            text = sentence(BundleError, getattr(model, name), LEVELS)
            assert "only flows have one" in text and model.bundle.family in text
        text = sentence(BundleError, model.dequantise, LEVELS.astype(np.float32), LEVELS / np.float32(256))
        assert "only flows have one" in text and model.bundle.family in text


def test_a_zip_gives_the_same_images(bundles, tmp_path, model):
    place = tmp_path / "same.zip"
    with zipfile.ZipFile(str(place), "w") as archive:
        for file in sorted((bundles / model.bundle.path).iterdir()):
            archive.write(str(file), file.name)
    with load(place, "ort") as other:
        np.testing.assert_array_equal(other.sample([0, 1, 2], seed=1), model.sample([0, 1, 2], seed=1))


def test_a_damaged_graph_is_refused_when_it_is_first_needed(bundle, sentence):
    content = bytearray((bundle / "decode.onnx").read_bytes())
    content[100] ^= 1
    (bundle / "decode.onnx").write_bytes(bytes(content))
    with load(bundle) as model:
        assert "'decode.onnx' was changed" in sentence(BundleError, model.sample, [0])


def test_a_closed_model_refuses(bundles, sentence):
    with load(bundles / "cvae.bundle", backend="ort") as model:
        model.sample([0])
    assert "this model is closed: load it again" in sentence(InputError, model.sample, [0])


def test_a_model_may_be_closed_twice(bundles):
    model = Model.load(bundles / "cvae.bundle")
    engine = model.engine("decode")
    assert model.engine("decode") is engine
    model.close()
    model.close()
    assert engine.closed


def test_a_graph_without_the_names_of_a_model_is_told_apart(bundle, sentence):
    manifest = json.loads((bundle / "bundle.json").read_text())
    manifest["graphs"]["decode"]["outputs"][0]["name"] = "pictures"
    manifest["latent"] = None
    (bundle / "bundle.json").write_text(json.dumps(manifest))
    text = sentence(BundleError, load(bundle).sample, [0])
    assert "'pictures'" in text and "'z' -> 'images'" in text


def test_class_names_that_do_not_fit_the_graphs(bundle, sentence):
    manifest = json.loads((bundle / "bundle.json").read_text())
    manifest["classes"] = ["red"]
    (bundle / "bundle.json").write_text(json.dumps(manifest))
    text = sentence(BundleError, load, bundle)
    assert "1 class names do not fit" in text and "export it again" in text
    assert Bundle.open(bundle).classes == ["red"]


def test_the_largest_noise_leaves_a_white_pixel_below_one(bundles, monkeypatch):
    """In float32, 255 and noise that rounds to 1 would be level 256, whose density no flow has."""
    import latentjet.runtime.model as module

    class Largest:
        def random_sample(self, shape):
            return np.full(shape, 1 - 2.0**-53)

    seen = {}
    with load(bundles / "realnvp.bundle", "ort") as model:
        monkeypatch.setattr(module, "stream", lambda seed: Largest())
        encoder = model.engine("encode")
        run = encoder.run
        monkeypatch.setattr(encoder, "run", lambda **inputs: seen.update(inputs) or run(**inputs))
        monkeypatch.setattr(model, "_noise", lambda levels, uniform, known: (uniform, np.zeros(len(levels))))
        model.encode(np.full((2, 1, 8, 8), 255, np.uint8), [0, 1])
    assert seen["images"].max() < 1 and (np.floor(seen["images"] * 256) == 255).all()
