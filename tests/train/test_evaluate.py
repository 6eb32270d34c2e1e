"""The figures of an evaluation on generated images and models of which the answers are known."""

import numpy as np
import pytest
import torch
from latentjet.train import bootstrap, data, evaluate, make_judge
from latentjet.train.errors import DataError, EvaluationError
from latentjet.train.evaluate import Options
from latentjet.train.models import VAE
from latentjet.train.subject import Subject, draw, of_model, to_uint8

CPU = torch.device("cpu")
CLASSES = ["dark", "grey", "light"]


def shades(count, seed):
    """Generated 1x8x8 images of three shades, noisy."""
    generator = torch.Generator().manual_seed(seed)
    labels = torch.arange(count) % 3
    noise = torch.randint(0, 60, (count, 1, 8, 8), generator=generator)
    return data.Data((70 * labels[:, None, None, None] + noise).to(torch.uint8), labels, CLASSES, "shades", "a test")


IMAGES, OTHERS = shades(300, 0), shades(500, 1)


@pytest.fixture(autouse=True)
def few_replicates(monkeypatch):
    """Intervals have tests of their own; here they need not be exact."""
    monkeypatch.setattr(bootstrap, "REPLICATES", 200)
    monkeypatch.setattr(bootstrap, "PARTS", 20)


@pytest.fixture(scope="module")
def eyes(tmp_path_factory):
    path = tmp_path_factory.mktemp("judge") / "judge.npz"
    settings = {"seed": 0, "epochs": 6, "batch": 32, "lr": 0.01}
    return make_judge.make(OTHERS, IMAGES, settings, path, lambda line: None)


def gan(decode=None, classes=CLASSES):
    """A Subject that can decode and nothing else: images of its label's shade, with noise from z."""

    def obeys(z, y):
        shade = y.argmax(1)[:, None, None, None] * 70.0 + 30 + 10 * z.reshape(-1, 1, 8, 8)
        return (shade / 255).clamp(0, 1)

    return Subject(decode or obeys, None, None, (1, 8, 8), list(classes), 64, CPU, "a test", "rounded")


def vae(classes=3):
    torch.manual_seed(0)
    return of_model(VAE(image=(1, 8, 8), latent=4, classes=classes, hidden=8), CLASSES, CPU, "a test")


def uniform():
    return gan()._replace(log_prob=lambda x, y: torch.zeros(len(x)), pixels="dequantised")


JUDGED = {"judge_accuracy", "fid", "fid_floor", "kid", "kid_floor", "sharpness", *(f"spectrum/{k}" for k in (1, 2, 3, 4))}
CONDITIONAL = {"accuracy", *(f"accuracy/{name}" for name in CLASSES)}
POSTERIOR = {"kl", "active_units", *(f"kl/{index}" for index in range(4))}


def test_a_flow_a_vae_and_a_gan_have_the_figures_that_they_can_have(eyes):
    ten = Options(importance=10)
    found = evaluate.evaluate(uniform(), IMAGES, OTHERS, eyes, ten)
    bits = {"bits_per_dim", "bits_per_dim_importance", "wrong_label_gap"}
    assert set(found.figures) == JUDGED | CONDITIONAL | bits and found.absent == {}
    found = evaluate.evaluate(vae(), IMAGES, OTHERS, eyes, ten)
    bounds = {"bce_kl", "elbo_binarised", "iwae_binarised", "wrong_label_gap"}
    assert set(found.figures) == JUDGED | CONDITIONAL | POSTERIOR | bounds and found.absent == {}
    found = evaluate.evaluate(gan(), IMAGES, OTHERS, eyes, ten)
    assert set(found.figures) == JUDGED | CONDITIONAL
    assert "no likelihood and no encoder" in found.absent["likelihood"]
    found = evaluate.evaluate(vae(classes=0), IMAGES, OTHERS, eyes, Options())
    assert set(found.figures) == JUDGED | POSTERIOR | {"bce_kl", "elbo_binarised"}
    assert found.absent["accuracy"] == found.absent["wrong_label_gap"] == "the model is unconditional"
    assert "--importance 500" in found.absent["iwae_binarised"]


def test_every_figure_is_finite_counted_within_its_interval_and_has_a_unit(eyes):
    for subject in (uniform(), vae(), gan()):
        found = evaluate.evaluate(subject, IMAGES, OTHERS, eyes, Options(samples=200))
        for name, figure in found.figures.items():
            assert np.isfinite(figure[:3]).all(), name
            assert figure.low <= figure.value <= figure.high, name
            assert figure.count >= 60 and figure.unit, name
            assert figure.count == 200 or not name.startswith(("accuracy", "fid", "kid", "sharp", "spec")) or "/" in name


def test_the_same_seed_gives_the_same_report(eyes):
    one, other = (evaluate.evaluate(vae(), IMAGES, OTHERS, eyes, Options(seed=3)) for _ in range(2))
    assert one == other
    assert one != evaluate.evaluate(vae(), IMAGES, OTHERS, eyes, Options(seed=4))


def test_a_uniform_model_scores_8_and_no_label_matters_to_it(eyes):
    found = evaluate.evaluate(uniform(), IMAGES, OTHERS, eyes, Options()).figures
    assert found["bits_per_dim"][:3] == (8, 8, 8)
    assert found["wrong_label_gap"][:3] == (0, 0, 0)


def test_the_wrong_label_gap_is_what_a_label_is_worth(eyes):
    def log_prob(x, y):
        shade = (x.flatten(1).mean(1) * 256 / 70).floor().long().clamp(max=2)
        return torch.where(y.argmax(1) == shade, -5.0, -12.5)

    subject = gan()._replace(log_prob=log_prob)
    assert evaluate.evaluate(subject, IMAGES, OTHERS, eyes, Options()).figures["wrong_label_gap"].value == 7.5


def test_samples_that_obey_their_label_are_accurate_and_others_are_not(eyes):
    assert evaluate.evaluate(gan(), IMAGES, OTHERS, eyes, Options()).figures["accuracy"].value > 0.97
    grey = gan(lambda z, y: torch.full((len(z), 1, 8, 8), 100 / 255) + 0.04 * z.reshape(-1, 1, 8, 8))
    found = evaluate.evaluate(grey, IMAGES, OTHERS, eyes, Options()).figures
    assert found["accuracy"].value == pytest.approx(1 / 3, abs=0.02)
    assert found["accuracy/grey"].value > 0.95 and found["accuracy/dark"].value < 0.05


def test_real_images_as_samples_are_as_accurate_as_the_judge_and_as_sharp_and_near_as_can_be(eyes):
    report, options = evaluate.Report({}, {}, {}), Options()
    evaluate.add_judged(report, gan(), IMAGES, OTHERS, IMAGES.images, IMAGES.labels, eyes, options)
    evaluate.add_sharpness(report, IMAGES.images, IMAGES.images, options)
    found = report.figures
    assert found["accuracy"].value == found["judge_accuracy"].value == eyes.about["test"]["accuracy"]
    assert found["fid"].value == pytest.approx(0, abs=1e-5) and found["kid"].value < 1e-3
    assert found["sharpness"].value == found["spectrum/4"].value == 1


def test_distances_of_bad_samples_stand_out_from_the_floor(eyes):
    black = gan(lambda z, y: torch.zeros(len(z), 1, 8, 8))
    found = evaluate.evaluate(black, IMAGES, OTHERS, eyes, Options()).figures
    for name in ("fid", "kid"):
        assert found[name].low > found[f"{name}_floor"].high


def test_too_few_samples_for_a_distance_are_said_so(eyes):
    found = evaluate.evaluate(gan(), IMAGES, OTHERS, eyes, Options(samples=64))
    assert found.absent["fid"] == (
        "64 images or samples are too few, expected at least 65 (FID: more than the 64 features of the judge)"
    )
    assert {"kid", "accuracy"} <= set(found.figures)
    single = IMAGES._replace(images=IMAGES.images[:1], labels=IMAGES.labels[:1])
    found = evaluate.evaluate(vae(), single, OTHERS, eyes, Options())
    assert {"fid", "fid_floor", "kid", "kid_floor"} <= set(found.absent) and found.figures["bce_kl"].count == 1


def test_a_class_without_images_is_said_so(eyes):
    rows = IMAGES.labels != 1
    some = IMAGES._replace(images=IMAGES.images[rows], labels=IMAGES.labels[rows])
    found = evaluate.evaluate(gan(), some, OTHERS, eyes, Options())
    assert "accuracy/grey" not in found.figures and "no sample of this class" in found.absent["accuracy/grey"]


def test_blank_images_have_no_sharpness_to_compare_with():
    report = evaluate.Report({}, {}, {})
    evaluate.add_sharpness(report, torch.zeros(20, 1, 8, 8, dtype=torch.uint8), IMAGES.images, Options())
    assert report.figures == {} and "a ratio to zero" in report.absent["sharpness"]


def test_samples_that_are_not_finite_are_refused(eyes, sentence):
    spoilt = gan(lambda z, y: torch.full((len(z), 1, 8, 8), float("nan")))
    text = sentence(EvaluationError, evaluate.evaluate, spoilt, IMAGES, OTHERS, eyes, Options())
    assert "300 of 300 samples have pixels that are not finite, at temperature 1.0" in text


def test_a_likelihood_that_is_not_finite_is_refused(eyes, sentence):
    def log_prob(x, y):
        return torch.where(torch.arange(len(x)) == 7, float("-inf"), 0.0)

    subject = gan()._replace(log_prob=log_prob)
    text = sentence(EvaluationError, evaluate.evaluate, subject, IMAGES, OTHERS, eyes, Options())
    assert "bits_per_dim of 2 of 300 images is not finite, of image 7 first" in text


def test_images_of_another_shape_or_other_classes_are_refused(eyes, sentence):
    large = IMAGES._replace(images=torch.zeros(300, 1, 16, 16, dtype=torch.uint8))
    text = sentence(DataError, evaluate.evaluate, gan(), large, OTHERS, eyes, Options())
    assert "shades has images (1, 16, 16), the model (1, 8, 8)" in text
    others = IMAGES._replace(classes=["a", "b", "c"])
    text = sentence(DataError, evaluate.evaluate, gan(), others, OTHERS, eyes, Options())
    assert "has the classes a, b, c, the model dark, grey, light" in text
    digits = IMAGES._replace(classes=["0", "1", "2"])
    for subject, other in ((gan(), digits), (gan(classes=digits.classes), IMAGES)):
        assert "give its own --data" in sentence(DataError, evaluate.evaluate, subject, other, OTHERS, eyes, Options())
    nothing = IMAGES._replace(images=IMAGES.images[:0], labels=IMAGES.labels[:0])
    assert "no images in this split" in sentence(DataError, evaluate.evaluate, gan(), nothing, OTHERS, eyes, Options())


def test_what_a_model_can_do_is_asked_of_it():
    class Decoder(torch.nn.Module):
        image, latent, classes = (1, 8, 8), 4, 0

        def decode(self, z, y=None):
            return torch.zeros(len(z), 1, 8, 8)

    found = of_model(Decoder(), CLASSES, CPU, "a test")
    assert (found.encode, found.log_prob, found.classes, found.pixels) == (None, None, [], "rounded")
    assert vae().encode and vae().log_prob is None and vae().classes == CLASSES


def test_active_units_are_the_dimensions_that_vary():
    means = np.random.RandomState(0).normal(0, [1, 0.2, 0.05, 0], (500, 4))
    figure = evaluate.active_units(means, 0)
    assert figure[:3] == (2, 2, 2) and "of 4" in figure.note


def test_labels_come_in_their_shares():
    labels = torch.tensor([0, 0, 0, 1])
    assert evaluate.shuffled(labels, 4, 0).sort().values.tolist() == [0, 0, 0, 1]
    assert evaluate.shuffled(labels, 10, 0).bincount().tolist() in ([8, 2], [7, 3])
    assert len(evaluate.shuffled(labels, 2, 0)) == 2


def test_the_noise_is_that_of_the_runtime():
    from latentjet.runtime.model import noise

    seen = []

    def decode(z, y):
        seen.append(z)
        return torch.zeros(len(z), 1, 8, 8)

    draw(gan(decode), torch.zeros(1100, dtype=torch.int64), 0.8, 5)
    assert len(seen) == 3 and np.array_equal(torch.cat(seen).numpy(), noise(5, 1100, 64, 0.8))


def test_pixels_are_rounded_by_the_rule_of_the_runtime():
    from latentjet.runtime import model

    images = torch.linspace(-0.01, 1.01, 4000)
    for pixels in ("rounded", "dequantised"):
        assert np.array_equal(to_uint8(images, pixels).numpy(), model.to_uint8(images.numpy(), pixels))
