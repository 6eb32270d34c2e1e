"""The figures of a study are those of `latentjet evaluate`, and each family has the ones that it can have."""

import pytest
import torch
from latentjet.train import data, evaluate, judge, subject
from latentjet.train.models import GAN, VAE, RealNVP
from latentjet.train.study import measured
from latentjet.train.study.definition import FIGURES
from latentjet.train.study.runs import Place

CPU = torch.device("cpu")
MODELS = {
    "vae": lambda: VAE(latent=4, hidden=16),
    "cvae": lambda: VAE(latent=4, hidden=16, classes=10),
    "realnvp": lambda: RealNVP(couplings=[1, 1], width=[8, 8]),
    "gan": lambda: GAN(latent=4, hidden=4),
}
OWN = {"vae": {"bce_kl", "kl", "active_units"}, "cvae": {"bce_kl", "kl", "active_units", "accuracy"}}
OWN.update({"realnvp": {"bits_per_dim", "accuracy"}, "gan": {"accuracy"}})
COMMON = {"fid", "fid_floor", "kid", "kid_floor", "judge_accuracy", "sharpness", "spectrum"}


@pytest.fixture(scope="module")
def images():
    """150 real images, and as many others."""
    whole = data.load("fashion-sample", "test")
    return [whole._replace(images=whole.images[a : a + 150], labels=whole.labels[a : a + 150]) for a in (0, 150)]


@pytest.mark.parametrize("family", sorted(MODELS))
def test_figures_are_those_of_evaluate(family, images, tmp_path, monkeypatch):
    torch.manual_seed(0)
    model = MODELS[family]().eval()
    found = measured.figures(model, family, *images, 0.7, Place(tmp_path, CPU))
    assert set(found) == OWN[family] | COMMON and set(found) - {"spectrum"} <= set(FIGURES)
    monkeypatch.setattr(evaluate.features, "fid_figure", lambda *sets: point(evaluate.features.fid(*sets[:2])))
    monkeypatch.setattr(evaluate.features, "kid_figure", lambda *sets: point(evaluate.features.kid(*sets[:2])))
    part = subject.of_model(model, images[0].classes, CPU, "eager")
    report = evaluate.evaluate(part, *images, judge.find(images[0]), evaluate.Options(temperature=0.7))
    for name in set(found) - {"spectrum", "fid_floor", "kid_floor"}:  # which real images the floors take is free
        assert found[name] == pytest.approx(report.figures[name].value, rel=1e-5), name
    spectrum = [report.figures[f"spectrum/{index + 1}"].value for index in range(len(found["spectrum"]))]
    assert found["spectrum"] == pytest.approx(spectrum, rel=1e-5)


def point(value):
    """A figure without its interval, which takes most of the time."""
    return evaluate.Figure(float(value), 0.0, 0.0, 0, "")


def test_the_temperature_is_the_familys_unless_it_is_given(images, tmp_path):
    torch.manual_seed(0)
    model, place = MODELS["realnvp"]().eval(), Place(tmp_path, CPU)
    default, same, other = (measured.figures(model, "realnvp", *images, t, place) for t in (None, 0.8, 0.4))
    assert default == same != other


class Copyist(torch.nn.Module):
    """Shows a real image of the class that it is asked for, chosen by the noise."""

    image, classes, latent = (1, 28, 28), 10, 1

    def __init__(self, images):
        super().__init__()
        self.of = [images.images[images.labels == label].float() / 255 for label in range(10)]

    def decode(self, z, y):
        rows = zip((1000 * z[:, 0].abs()).long().tolist(), y.argmax(1).tolist(), strict=True)
        return torch.stack([self.of[label][row % len(self.of[label])] for row, label in rows])


def test_a_model_that_copies_real_images_is_as_good_as_they_are(tmp_path):
    images, others = data.load("fashion-sample", "test"), data.load("fashion-sample", "train")
    found = measured.figures(Copyist(others), "gan", images, others, None, Place(tmp_path, CPU))
    assert found["accuracy"] > 0.85 and abs(found["accuracy"] - found["judge_accuracy"]) < 0.1
    assert abs(found["sharpness"] - 1) < 0.1
    assert all(abs(ratio - 1) < 0.2 for ratio in found["spectrum"])
    assert found["fid"] < 3 * found["fid_floor"]
