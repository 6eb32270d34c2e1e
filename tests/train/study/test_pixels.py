"""What one pixel tells: a pixel that separates is found, noise is not, and rules are judged on images they never saw."""

import numpy as np
import pytest
from latentjet.train import data
from latentjet.train.errors import DataError
from latentjet.train.study import pixels

LABELS = np.arange(600) % 3


def noise(seed, low=0, high=256):
    return np.random.RandomState(seed).randint(low, high, (600, 1, 5, 4)).astype(np.uint8)


def planted(seed):
    """Noise, but pixel 7 of class 1 is always above 150, and of the others never."""
    images = noise(seed)
    images[:, 0, 1, 3] = np.where(LABELS == 1, 151 + images[:, 0, 1, 3] % 100, images[:, 0, 1, 3] % 151)
    return images


def by_pair(found):
    return {tuple(pair["pair"]): pair for pair in found}


def test_a_pixel_that_separates_perfectly_is_found():
    found = by_pair(pixels.separability((planted(0), LABELS), (planted(1), LABELS)))
    assert set(found) == {(0, 1), (0, 2), (1, 2)}
    for pair in ((0, 1), (1, 2)):
        assert (found[pair]["pixel"], found[pair]["bright"]) == (7, 1)
        assert found[pair]["chosen_on"] == 1 and found[pair]["accuracy"] > 0.97
    assert abs(found[0, 2]["accuracy"] - 0.5) < 0.1


def test_noise_looks_separable_only_where_the_rule_was_chosen():
    found = pixels.separability((noise(0), LABELS), (noise(1), LABELS))
    for pair in found:
        assert pair["chosen_on"] > 0.55
        assert abs(pair["accuracy"] - 0.5) < 0.1
    assert abs(pixels.summary(found)["median"] - 0.5) < 0.07


def test_the_accuracy_is_balanced_and_that_of_the_rule():
    images, labels = planted(2)[:301], LABELS[:301].copy()
    labels[:250] = np.where(labels[:250] == 0, 1, labels[:250])  # few images of class 0
    for pair in pixels.separability((images, labels), (images, labels)):
        values = images.reshape(len(images), -1)[:, pair["pixel"]]
        (dark,) = set(pair["pair"]) - {pair["bright"]}
        above, below = values[labels == pair["bright"]], values[labels == dark]
        shares = (above > pair["threshold"]).mean(), (below <= pair["threshold"]).mean()
        assert pair["accuracy"] == pytest.approx(np.mean(shares), abs=1e-6)


def test_no_other_pixel_and_threshold_is_better():
    images, labels = noise(3)[:60, :, :2, :2] // 32, LABELS[:60]
    for pair in pixels.separability((images, labels), (images, labels)):
        flat, (one, other) = images.reshape(60, -1), pair["pair"]
        best = max(
            abs((flat[labels == one, p] > t).mean() - (flat[labels == other, p] > t).mean())
            for p in range(4)
            for t in range(8)
        )
        assert pair["accuracy"] == pytest.approx(0.5 + best / 2, abs=1e-6)


def test_colours_are_pixels_too():
    images = np.zeros((6, 3, 2, 2), np.uint8)
    images[LABELS[:6] == 2, 1, 0, 1] = 9
    found = by_pair(pixels.separability((images, LABELS[:6]), (images, LABELS[:6])))
    assert found[0, 2] == {"pair": [0, 2], "pixel": 5, "threshold": 0, "bright": 2, "chosen_on": 1.0, "accuracy": 1.0}
    assert found[0, 1]["accuracy"] == 0.5


def test_a_class_without_images_is_refused():
    labels = np.where(LABELS == 1, 2, LABELS)
    with pytest.raises(DataError, match="class 1 has no images"):
        pixels.separability((noise(0), labels), (noise(1), LABELS))
    with pytest.raises(DataError, match="class 1 has no images"):
        pixels.separability((noise(0), LABELS), (noise(1), labels))


def test_trousers_and_ankle_boots_differ_in_a_pixel_and_coats_and_shirts_do_not():
    train, test = (data.load("fashion-sample", split) for split in ("train", "test"))
    found = by_pair(pixels.separability((train.images, train.labels), (test.images, test.labels)))
    assert len(found) == 45
    assert found[1, 9]["accuracy"] > 0.95 > 0.8 > found[4, 6]["accuracy"]
    assert pixels.summary(list(found.values()))["pairs"] == 45
