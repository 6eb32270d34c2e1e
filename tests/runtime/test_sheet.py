"""Which images a picture shows: interpolation, temperatures, traversal, as laws of z and weights; and the options."""

import os

import numpy as np
import pytest
from latentjet.runtime import engine, load
from latentjet.runtime.cli import main
from latentjet.runtime.model import noise, to_uint8
from latentjet.runtime.sheet import slerp, straight


@pytest.fixture(autouse=True)
def auto_is_ort(monkeypatch):
    monkeypatch.setattr(engine, "AUTO", ("ort",))


@pytest.fixture
def sampled(bundles, tmp_path, capsys):
    """(family, options of latentjet sample) -> uint8 (rows, columns, C, H, W)."""

    def sample(family, *options):
        place = str(tmp_path / "sampled.npy")
        arguments = ["sample", str(bundles / (family + ".bundle")), "--out", place, "--overwrite"]
        assert main(arguments + list(options)) == 0, capsys.readouterr().err
        return np.load(place, allow_pickle=False)

    return sample


@pytest.fixture
def fails(bundles, tmp_path, capsys):
    """(family, options) -> the error's text: one line, and nothing is written."""

    def run(family, *options):
        place = tmp_path / "out" / "x.png"
        place.parent.mkdir()
        status = main(["sample", str(bundles / (family + ".bundle")), "--out", str(place)] + list(options))
        seen = capsys.readouterr()
        assert status == 1 and seen.out == "" and seen.err.count("\n") == 1 and os.listdir(str(place.parent)) == []
        return seen.err

    return run


def decoded(bundles, family, z, weights=None):
    """What a picture must show of (N, latent) and (N, classes)."""
    with load(bundles / (family + ".bundle"), "ort") as model:
        return to_uint8(np.clip(model.decode(z.astype(np.float32), weights), 0, 1), model.bundle.pixels)


def close(seen, expected):
    """Equal but for a level here and there: batches of other sizes add up in another order."""
    return np.abs(seen.astype(int) - expected.reshape(seen.shape).astype(int)).max() <= 1


@pytest.mark.parametrize("family", ["cvae", "realnvp"])
def test_interpolation_begins_and_ends_as_the_classes_with_the_same_z(bundles, sampled, family):
    images = sampled(family, "--interpolate", "blue,red", "--count", "3", "--steps", "5", "--seed", "4")
    assert images.shape == (3, 5, 1, 8, 8)
    with load(bundles / (family + ".bundle"), "ort") as model:
        for column, label in ((0, "blue"), (4, "red")):
            assert close(images[:, column], model.sample([label] * 3, seed=4, uint8=True))
        z = noise(4, 3, model.latent)
    half = np.tile(np.float32([[0.5, 0, 0.5]]), (3, 1))
    assert close(images[:, 2], decoded(bundles, family, z, half))


def test_interpolation_through_several_classes_shows_each_once(bundles, sampled):
    images = sampled("cvae", "--interpolate", "0,green,blue", "--count", "2", "--steps", "3", "--temperature", "0.5")
    assert images.shape == (2, 5, 1, 8, 8)
    with load(bundles / "cvae.bundle", "ort") as model:
        for column, label in ((0, 0), (2, 1), (4, 2)):
            assert close(images[:, column], model.sample([label] * 2, temperature=0.5, uint8=True))


def test_interpolation_without_classes_goes_from_seed_to_seed(bundles, sampled):
    images = sampled("vae", "--interpolate", "3,5", "--count", "4", "--steps", "6")
    assert images.shape == (4, 6, 1, 8, 8)
    with load(bundles / "vae.bundle", "ort") as model:
        for column, seed in ((0, 3), (5, 5)):
            assert close(images[:, column], model.sample(seed=seed, count=4, uint8=True))


def test_slerp_keeps_the_norm_where_a_straight_line_loses_it():
    start, end = np.random.RandomState(0).standard_normal((2, 3, 784))
    norms = np.linalg.norm(slerp(start, end, 9), axis=2)
    assert np.abs(norms / np.linalg.norm(start, axis=1)[:, None] - 1).max() < 0.1
    middle = np.linalg.norm(straight(start, end, 9)[:, 4], axis=1) / np.linalg.norm(start, axis=1)
    assert np.abs(middle - 0.5**0.5).max() < 0.05


def test_slerp_goes_on_the_circle_at_a_steady_pace_and_hits_both_ends():
    one, other = np.array([[2.0, 0, 0]]), np.array([[0, 2.0, 0]])
    way = slerp(one, other, 5)[0]
    angles = np.arange(5) * np.pi / 8
    np.testing.assert_allclose(way, 2 * np.stack([np.cos(angles), np.sin(angles), 0 * angles], axis=1), atol=1e-12)


@pytest.mark.parametrize(("one", "other"), [([1.0, 2], [1.0, 2]), ([1.0, 2], [-1.0, -2]), ([0.0, 0], [3.0, 4])])
def test_slerp_of_what_lies_on_one_line_is_straight(one, other):
    one, other = np.array([one]), np.array([other])
    np.testing.assert_allclose(slerp(one, other, 5), straight(one, other, 5), atol=1e-12)


@pytest.mark.parametrize("family", ["cvae", "realnvp"])
def test_temperatures_are_rows_of_the_same_noise(bundles, sampled, family):
    images = sampled(family, "--temperatures", "0,0.5,1.25", "--seed", "2", "--labels", "2,red", "--count", "2")
    assert images.shape == (3, 4, 1, 8, 8)
    with load(bundles / (family + ".bundle"), "ort") as model:
        for row, value in enumerate((0, 0.5, 1.25)):
            expected = model.sample([2, 2, 0, 0], seed=2, temperature=value, uint8=True)
            assert close(images[row], expected)
    assert close(images[0, 0], images[0, 1])  # without noise every image of a class is the same


def test_a_sweep_shows_one_image_of_each_class_unless_told(sampled):
    assert sampled("cvae", "--temperatures", "0.7,1").shape[:2] == (2, 3)
    assert sampled("vae", "--temperatures", "0.7,1").shape[:2] == (2, 8)
    assert sampled("vae", "--temperatures", "0.7", "--count", "3").shape[:2] == (1, 3)


@pytest.mark.parametrize("family", ["vae", "cvae", "realnvp"])
def test_traversal_moves_one_dimension_from_minus_3_to_3(bundles, sampled, family):
    labels = [] if family == "vae" else ["--labels", "green"]
    images = sampled(family, "--traverse", "4,0", "--steps", "7", "--seed", "3", "--temperature", "0.8", *labels)
    assert images.shape == (2, 7, 1, 8, 8)
    with load(bundles / (family + ".bundle"), "ort") as model:
        z = np.tile(noise(3, 1, model.latent, 0.8), (14, 1))
        weights = None if family == "vae" else model.weights(["green"] * 14)
    z[:7, 4], z[7:, 0] = np.arange(-3, 4), np.arange(-3, 4)
    assert close(images, decoded(bundles, family, z, weights))


def test_traversal_takes_the_first_class_unless_told_and_gives_each_its_rows(sampled):
    first = sampled("cvae", "--traverse", "1", "--labels", "red")
    assert close(sampled("cvae", "--traverse", "1"), first)
    both = sampled("cvae", "--traverse", "1,2", "--labels", "green,red")
    assert both.shape[:2] == (4, 9) and close(both[2], first[0])


@pytest.mark.parametrize(
    ("family", "options", "expected"),
    [
        ("cvae", ["--traverse", "5"], "--traverse 5: z has dimensions 0 to 4"),
        ("cvae", ["--traverse=-1"], "--traverse -1: z has dimensions 0 to 4"),
        ("cvae", ["--traverse", "a"], "--traverse is 'a', expected dimensions of z like 0,3,7"),
        ("cvae", ["--traverse", ""], "expected dimensions of z"),
        ("cvae", ["--temperatures", "0.5,-1"], "temperature is -1.0, expected a number of at least 0"),
        ("cvae", ["--temperatures", "nan"], "temperature is nan"),
        ("cvae", ["--temperatures", "warm"], "--temperatures is 'warm', expected numbers like 0.5,0.7,1"),
        ("cvae", ["--interpolate", "red,pink"], "label is 'pink', expected one of 0 'red', 1 'green', 2 'blue'"),
        ("cvae", ["--interpolate", "red"], "--interpolate has one end, expected two or more, like red,green"),
        ("vae", ["--interpolate", "1"], "expected two or more, like 0,1"),
        ("vae", ["--interpolate", "red,blue"], "expected two seeds or more, like 0,1: this model has no classes"),
        ("vae", ["--interpolate=-1,2"], "seed is -1, expected an integer from 0"),
        ("vae", ["--traverse", "0", "--labels", "red"], "unconditional"),
        ("vae", ["--temperatures", "1", "--labels", "red"], "unconditional"),
        ("cvae", ["--interpolate", "0,1", "--traverse", "1"], "--interpolate and --traverse exclude each other"),
        ("cvae", ["--temperatures", "1", "--traverse", "1"], "--temperatures and --traverse exclude each other"),
        ("cvae", ["--temperatures", "1", "--temperature", "1"], "--temperatures and --temperature exclude each other"),
        ("cvae", ["--interpolate", "0,1", "--labels", "all"], "--interpolate and --labels exclude each other"),
        ("cvae", ["--traverse", "1", "--count", "2"], "--traverse and --count exclude each other"),
        ("cvae", ["--steps", "5"], "--steps is for --interpolate and --traverse"),
        ("cvae", ["--temperatures", "1", "--steps", "5"], "--steps is for --interpolate and --traverse"),
        ("cvae", ["--traverse", "1", "--steps", "1"], "--steps is 1, expected at least 2"),
        ("cvae", ["--interpolate", "0,1", "--count", "0"], "--count is 0, expected at least 1"),
        ("cvae", ["--interpolate", "0,1", "--temperature", "-1"], "temperature is -1.0"),
        ("cvae", ["--temperatures", "1", "--labels", "9"], "label is 9, expected one of"),
    ],
)
def test_what_is_wrong_is_one_line_and_writes_nothing(fails, family, options, expected):
    assert expected in fails(family, *options)


@pytest.mark.parametrize("options", [["--interpolate", "0,1"], ["--temperatures", "1,2"], ["--traverse", "0,1"]])
def test_each_picture_is_drawn_with_captions(bundles, tmp_path, options):
    from PIL import Image

    place = str(tmp_path / "x.png")
    assert main(["sample", str(bundles / "cvae.bundle"), "--out", place] + options) == 0
    with Image.open(place) as picture:
        drawn = np.array(picture.convert("L"))
    assert (drawn[:13] < 128).any() and drawn.shape[0] % 20 == 15  # images of 8 pixels and a gap of 2, twice as large
    assert options[0] == "--interpolate" or (drawn[15:, :10] < 128).any()


@pytest.mark.parametrize("options", [["--interpolate", "0,1"], ["--temperatures", "1"], ["--traverse", "0"]])
def test_pictures_come_from_any_backend(built, board, tmp_path, options):
    path, place = built("cvae"), str(tmp_path / "x.npy")
    assert main(["sample", path, "--backend", "trt", "--out", place] + options) == 0
    on_trt = np.load(place)
    assert main(["sample", path, "--backend", "ort", "--out", place, "--overwrite"] + options) == 0
    assert np.abs(on_trt.astype(int) - np.load(place)).max() <= 2
