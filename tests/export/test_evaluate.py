"""latentjet evaluate as a user meets it: checkpoints, bundles, backends; what it writes and what it refuses."""

import json

import pytest
import torch
from latentjet.export import evaluate, export_module
from latentjet.export.subject import opened
from latentjet.train import bootstrap, data, judge, make_judge
from latentjet.train.errors import SettingsError

CLASSES = ["red", "green", "blue"]


def images(split, classes=CLASSES):
    """Generated 1x8x8 images of three classes."""
    count, generator = (400, torch.Generator().manual_seed(1)) if split == "train" else (150, torch.Generator())
    labels = torch.arange(count) % 3
    noise = torch.randint(0, 60, (count, 1, 8, 8), generator=generator)
    shades = (70 * labels[:, None, None, None] + noise).to(torch.uint8)
    return data.Data(shades, labels, list(classes), "random", "a test")


@pytest.fixture(autouse=True)
def generated(monkeypatch):
    """The name 'random', which the models of the fixtures were trained on, is a data set of generated images."""
    real = data.load

    def load(name, split="train", *rest):
        return images(split) if name == "random" else real(name, split, *rest)

    monkeypatch.setattr(data, "load", load)
    monkeypatch.setattr(bootstrap, "REPLICATES", 200)  # intervals have tests of their own
    monkeypatch.setattr(bootstrap, "PARTS", 20)


@pytest.fixture(scope="module")
def eyes(tmp_path_factory):
    path = tmp_path_factory.mktemp("judge") / "judge.npz"
    settings = {"seed": 0, "epochs": 3, "batch": 32, "lr": 0.01}
    make_judge.make(images("train"), images("test"), settings, path, lambda line: None)
    return path


def run(*arguments):
    return evaluate.main([str(argument) for argument in arguments])


def written(out, *arguments):
    assert run(*arguments, "--out", out) == 0
    return json.loads(out.read_text())


def refusal(capsys, *arguments):
    assert run(*arguments) == 1
    out, err = capsys.readouterr()
    last = err.splitlines()[-1]
    assert last.startswith("latentjet evaluate: ") and "Traceback" not in err and out == ""
    return last


@pytest.mark.parametrize("family", ["vae", "cvae", "realnvp"])
def test_a_checkpoint_and_its_bundle_on_every_backend_give_the_same_figures(family, bundles, eyes, tmp_path):
    one = written(tmp_path / "checkpoint.json", bundles / family, "--judge", eyes, "--importance", 3)
    for backend in ("ort", "eager"):
        bundle = (bundles / f"{family}.bundle", "--backend", backend, "--judge", eyes, "--importance", 3)
        other = written(tmp_path / f"{backend}.json", *bundle)
        assert set(one["figures"]) == set(other["figures"]) and one["absent"] == other["absent"]
        for name, figure in one["figures"].items():
            assert other["figures"][name]["value"] == pytest.approx(figure["value"], rel=0.01, abs=0.01), name
            assert other["figures"][name]["count"] == figure["count"]
        assert ("ort" if backend == "ort" else "eager PyTorch") in other["evaluated"]["ran"]


def test_what_is_written_and_printed(bundles, eyes, tmp_path, capsys):
    out = tmp_path / "cvae.json"
    found = written(out, bundles / "cvae", "--judge", eyes)
    printed = capsys.readouterr().out
    assert found["judge"]["sha256"] == judge.load(eyes).sha256 and found["judge"]["sha256"] in printed
    assert found["data"] == {"name": "random", "split": "test", "images": 150, "classes": CLASSES}
    chosen = {"seed": 0, "temperature": 1.0, "samples": 150, "importance": 1, "binarise": "threshold"}
    assert found["options"] == {**chosen, "judge": str(eyes)}
    for name, figure in found["figures"].items():
        assert list(figure) == ["value", "low", "high", "count", "unit", "note"]
        assert name.split("/")[0] in printed
    assert "not comparable with Inception FID" in printed and "not comparable" in " ".join(found["notes"])
    assert (tmp_path / "cvae.png").read_bytes().startswith(b"\x89PNG")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["cvae.json", "cvae.png"]


def test_the_temperature_of_a_flow_is_its_familys_and_can_be_chosen(bundles, eyes, tmp_path):
    flow = (bundles / "realnvp", "--judge", eyes, "--samples", 70)
    assert written(tmp_path / "a.json", *flow)["options"]["temperature"] == 0.8
    chosen = written(tmp_path / "b.json", *flow, "--temperature", 0.5)
    assert chosen["options"]["temperature"] == 0.5 and chosen["figures"]["accuracy"]["count"] == 70


def test_limit_takes_a_part_of_the_images_that_depends_on_the_seed(bundles, eyes, tmp_path):
    part = written(tmp_path / "a.json", bundles / "cvae", "--judge", eyes, "--limit", 100)
    assert part["figures"]["bce_kl"]["count"] == part["figures"]["accuracy"]["count"] == 100
    one, other = (evaluate.limited(images("test"), 40, seed) for seed in (0, 1))
    assert not torch.equal(one.images, other.images) and len(one.labels) == 40
    assert len(evaluate.limited(images("test"), 1000, 0).labels) == 150


def test_the_splits(bundles, eyes, tmp_path, capsys):
    train = written(tmp_path / "a.json", bundles / "cvae", "--judge", eyes, "--split", "train")
    assert train["data"]["images"] == 400
    capsys.readouterr()
    text = refusal(capsys, bundles / "cvae", "--judge", eyes, "--split", "validation")
    assert "nothing says what its training held out" in text
    args = evaluate.make_parser().parse_args(["x", "--split", "validation"])
    settings = {"data": "random", "validation": 0.25, "seed": 4, "limit": 200}
    seen = {"name": "random", "classes": images("train").classes, "images": 150}
    held_out, rest = evaluate.load_data(args, {"settings": settings, "data": seen})
    with pytest.raises(SettingsError, match="was trained on 140 images of random, and these leave 150 of random"):
        evaluate.load_data(args, {"settings": settings, "data": {**seen, "images": 140}})
    assert len(held_out.labels) == 50 and len(rest.labels) == 150
    whole = images("train")
    part = whole._replace(images=whole.images[:200], labels=whole.labels[:200])
    assert torch.equal(held_out.images, data.hold_out(part, 0.25, 4)[1].images)


class Mine(torch.nn.Module):
    """A conditional decoder as somebody else would write it."""

    def __init__(self):
        super().__init__()
        self.linear = torch.nn.Linear(9, 64)

    def forward(self, z, labels):
        return torch.sigmoid(self.linear(torch.cat([z, labels], 1))).reshape(-1, 1, 8, 8)


def test_a_decoder_of_ones_own_has_no_likelihood_and_its_data_must_be_named(tmp_path, eyes, capsys):
    torch.manual_seed(0)
    inputs = {"z": torch.randn(3, 6), "labels": torch.eye(3)}
    export_module(Mine(), inputs, tmp_path / "mine.bundle")
    found = written(tmp_path / "mine.json", tmp_path / "mine.bundle", "--data", "random", "--judge", eyes)
    assert set(found["absent"]) == {"likelihood", "wrong_label_gap"}
    assert "weights of an encoder" in found["absent"]["likelihood"]
    assert {"fid", "kid", "sharpness", "accuracy/green"} <= set(found["figures"])
    capsys.readouterr()
    text = refusal(capsys, tmp_path / "mine.bundle", "--judge", eyes)
    assert "does not say what it was trained on: give --data" in text
    assert "no weights of a model" in refusal(capsys, tmp_path / "mine.bundle", "--backend", "eager")


@pytest.mark.parametrize(
    "arguments, expected",
    [
        (["--limit", "0"], "--limit is 0, expected at least 1"),
        (["--samples", "0"], "--samples is 0, expected at least 1"),
        (["--importance", "-1"], "--importance is -1, expected at least 1"),
        (["--temperature", "nan"], "--temperature is nan, expected a number of at least 0"),
        (["--seed", "-1"], "--seed is -1, expected between 0 and"),
        (["--out", "figures.txt"], "--out is figures.txt, expected a name that ends in .json"),
        (["--out", "no/such/figures.json"], "there is no folder no/such"),
        (["--backend", "ort"], "is a checkpoint, which runs in eager PyTorch: export it first"),
        (["--device", "tpu"], "--device is 'tpu', expected auto, cpu, cuda or cuda:N"),
        (["--data", "cats"], "data set 'cats' is neither a folder nor one of"),
        (["--data", "fashion-sample"], "has images (1, 28, 28), the model (1, 8, 8)"),
        ([], "no judge ships for the data set 'random'"),
    ],
)
def test_what_is_refused(arguments, expected, bundles, capsys):
    assert expected in refusal(capsys, bundles / "cvae", *arguments)


def test_nothing_there_is_refused(tmp_path, capsys):
    assert "does not exist" in refusal(capsys, tmp_path / "typo")
    (tmp_path / "model.npz").write_bytes(b"PK")
    assert "is no checkpoint of latentjet, or is damaged" in refusal(capsys, tmp_path / "model.npz")


def test_an_existing_report_is_kept_unless_told(bundles, eyes, tmp_path, capsys):
    for name in ("a.json", "b.png"):
        (tmp_path / name).write_text("kept")
        out = tmp_path / (name[0] + ".json")
        assert "exists already" in refusal(capsys, bundles / "cvae", "--judge", eyes, "--out", out)
        assert (tmp_path / name).read_text() == "kept"
    assert written(tmp_path / "a.json", bundles / "cvae", "--judge", eyes, "--overwrite")["figures"]


def test_a_full_disk_leaves_no_half_report(bundles, eyes, tmp_path, capsys, full_disk):
    with full_disk():
        assert run(bundles / "cvae", "--judge", eyes, "--out", tmp_path / "a.json") == 1
    assert "No space left" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


def test_a_model_whose_samples_are_not_finite_is_refused(bundles, eyes, tmp_path, capsys):
    from latentjet.train import checkpoint

    stored = checkpoint.load(bundles / "cvae")
    stored.arrays["ema/nets.decoder.2.bias"][:] = float("nan")
    checkpoint.save(tmp_path / "broken.npz", stored.about, stored.arrays)
    assert "is not finite" in refusal(capsys, tmp_path / "broken.npz", "--judge", eyes)


def test_engines_are_closed_with_the_context(bundles):
    with opened(bundles / "realnvp.bundle", "ort") as found:
        z = torch.zeros(1, 64)
        assert found.subject.decode(z, torch.eye(3)[:1]).shape == (1, 1, 8, 8)
    with pytest.raises(ValueError, match="closed"):
        found.subject.decode(z, torch.eye(3)[:1])


NUMBERS = {2.96: "2.960", 105.56: "105.6", 0.001234: "0.001234", 0: "0", 8: "8.000", 12345.6: "12346", -2e-5: "-2.0e-05"}


@pytest.mark.parametrize("value, expected", NUMBERS.items())
def test_numbers_have_four_digits(value, expected):
    assert evaluate.shown(value, "nats") == expected
    assert evaluate.shown(20.0, "dimensions") == "20"
