"""The judge learns, is the same every time, is what its file says, and judges only what it knows."""

import hashlib
import re

import numpy as np
import pytest
import torch
from latentjet.train import checkpoint, data, judge, make_judge
from latentjet.train.errors import CheckpointError, DataError
from latentjet.train.make_judge import main

SETTINGS = {"seed": 0, "epochs": 4, "batch": 32, "lr": 0.01}


def stripes(count, seed, classes=("rows", "columns", "flat")):
    """Generated 1x8x8 images of three classes that a judge can learn in a second."""
    generator = torch.Generator().manual_seed(seed)
    labels = torch.randint(0, 3, (count,), generator=generator)
    wave = torch.arange(8) % 2 * 120
    kinds = torch.stack([wave[:, None].expand(8, 8), wave.expand(8, 8), torch.full((8, 8), 60)])
    noise = torch.randint(0, 100, (count, 1, 8, 8), generator=generator)
    return data.Data((kinds[labels][:, None] + noise).to(torch.uint8), labels, list(classes), "stripes", "a test")


def silent(line):
    pass


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """(path, Judge) of a judge of stripes."""
    path = tmp_path_factory.mktemp("judge") / "judge.npz"
    return path, make_judge.make(stripes(600, 0), stripes(200, 1), SETTINGS, path, silent)


def test_it_learns_and_its_file_says_how_well(made):
    path, found = made
    measured = judge.accuracy(judge.load(path), stripes(200, 1))
    assert measured >= 0.95 and found.about["test"] == {"accuracy": measured, "images": 200}


def test_the_same_seed_gives_the_same_file(made, tmp_path):
    path, found = made
    again = make_judge.make(stripes(600, 0), stripes(200, 1), SETTINGS, tmp_path / "again.npz", silent)
    assert again.sha256 == found.sha256 == hashlib.sha256(path.read_bytes()).hexdigest()
    other = make_judge.make(stripes(600, 0), stripes(200, 1), {**SETTINGS, "seed": 1}, tmp_path / "other.npz", silent)
    assert other.sha256 != found.sha256


def test_features_have_a_mean_square_of_one_and_do_not_depend_on_batches(made, monkeypatch):
    found = made[1]
    features, labels = found.look(stripes(600, 0).images)
    assert features.shape == (600, judge.FEATURES) and features.dtype == np.float32
    assert np.square(features).mean() == pytest.approx(1, rel=1e-5)
    monkeypatch.setattr(judge, "BATCH", 7)
    again = found.look(stripes(600, 0).images)
    assert np.allclose(again[0], features, atol=1e-4) and np.array_equal(again[1], labels)


def test_its_file_has_no_pickle_and_half_precision_weights(made):
    with np.load(made[0], allow_pickle=False) as stored:
        kinds = {stored[name].dtype for name in stored.files if name.startswith("judge/")}
    assert kinds == {np.dtype(np.float16), np.dtype(np.int64)}


def test_a_damaged_file_a_model_and_nothing_are_refused(made, bundles, tmp_path, sentence):
    (tmp_path / "half.npz").write_bytes(made[0].read_bytes()[:5000])
    assert "is damaged" in sentence(CheckpointError, judge.load, tmp_path / "half.npz")
    model = bundles / "cvae" / checkpoint.NAME
    assert f"{model} is no judge, it lacks 'test'" in sentence(CheckpointError, judge.load, model)
    assert "is no file: expected a judge" in sentence(CheckpointError, judge.load, tmp_path / "none.npz")


def test_weights_that_do_not_fit_are_refused(made, tmp_path, sentence):
    stored = checkpoint.load(made[0])
    checkpoint.save(tmp_path / "j.npz", stored.about, {n: a for n, a in stored.arrays.items() if "last" not in n})
    assert "has no 'last.weight'" in sentence(CheckpointError, judge.load, tmp_path / "j.npz")
    about = {**stored.about, "model": {"arguments": {"image": "large"}}}
    checkpoint.save(tmp_path / "k.npz", about, stored.arrays)
    assert "describes no classifier" in sentence(CheckpointError, judge.load, tmp_path / "k.npz")


def test_it_judges_only_the_classes_and_shapes_that_it_knows(made, sentence):
    path = made[0]
    assert judge.find(stripes(10, 2), path).sha256 == made[1].sha256
    text = sentence(DataError, judge.find, stripes(10, 2, ("a", "b", "c")), path)
    assert "knows the classes rows, columns, flat, the data have a, b, c" in text
    large = stripes(10, 2)._replace(images=torch.zeros(10, 3, 8, 8, dtype=torch.uint8))
    assert "looks at images [1, 8, 8], the data are [3, 8, 8]" in sentence(DataError, judge.find, large, path)
    text = sentence(DataError, judge.find, stripes(10, 2))
    assert "no judge ships for the data set 'stripes'" in text and "latentjet judge --data stripes" in text


@pytest.mark.parametrize("name", sorted(set(judge.JUDGE_OF.values())))
def test_judges_that_ship_are_small_and_as_good_as_their_readme_says(name):
    path = judge.SHIPPED / name
    assert path.stat().st_size < 1_000_000
    found = judge.load(path)
    assert found.about["test"]["images"] == 10_000 and found.about["data"]["images"] == 60_000
    assert found.about["test"]["accuracy"] >= {"mnist.npz": 0.99, "fashion-mnist.npz": 0.92}[name]
    readme = (judge.SHIPPED / "README.md").read_text()
    assert found.sha256 in readme and f"{found.about['test']['accuracy']:.2%}".replace("%", " %") in readme


def test_the_judge_that_ships_knows_clothes():
    images = data.load("fashion-sample", "test")
    assert judge.accuracy(judge.find(images), images) >= 0.9


def refusal(capsys, *arguments):
    assert main([str(argument) for argument in arguments]) == 1
    return capsys.readouterr().err.splitlines()[-1]


def test_the_command_makes_a_judge_and_prints_its_hash(tmp_path, capsys):
    out = tmp_path / "judge.npz"
    assert main(["--data", "fashion-sample", "--limit", "300", "--epochs", "1", "--out", str(out)]) == 0
    printed = capsys.readouterr().out
    assert re.search(rf"{out}: [\d.]+% of 1000 test images right\nsha256 {judge.load(out).sha256}\n", printed)
    assert judge.load(out).about["data"] == {"name": "fashion-sample", "classes": data.CLOTHES, "images": 300}


@pytest.mark.parametrize(
    "arguments, expected",
    [
        (["--epochs", "0"], "--epochs is 0, expected at least 1"),
        (["--limit", "0"], "--limit is 0, expected at least 1"),
        (["--lr", "1"], "--lr is 1.0, expected between 0 and 1"),
        (["--seed", "-1"], "--seed is -1, expected between 0 and"),
        (["--data", "cats"], "data set 'cats' is neither a folder nor one of"),
    ],
)
def test_the_command_refuses(capsys, tmp_path, arguments, expected):
    command = ["--data", "fashion-sample", "--out", tmp_path / "judge.npz", *arguments]
    assert expected in refusal(capsys, *command)
    assert list(tmp_path.iterdir()) == []


def test_the_command_never_overwrites(capsys, tmp_path):
    (tmp_path / "judge.npz").write_text("weeks of work")
    assert "exists: name another file" in refusal(capsys, "--out", tmp_path / "judge.npz")
    assert (tmp_path / "judge.npz").read_text() == "weeks of work"
    assert "there is no folder" in refusal(capsys, "--out", tmp_path / "no" / "judge.npz")
