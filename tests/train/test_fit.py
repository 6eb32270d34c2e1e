"""The training loop: a run that is killed and resumed is the run that was not, and what it writes."""

import errno
import json
import math
import os
import shutil

import numpy as np
import pytest
import torch
from latentjet.train import checkpoint, fit, losses, settings
from latentjet.train import run as run_module
from latentjet.train.adversarial import AdversarialRun
from latentjet.train.data import Data, hold_out
from latentjet.train.errors import CheckpointError, DataError, NotFiniteError, SettingsError
from PIL import Image

CPU = torch.device("cpu")
FAMILIES = {
    "vae": {"family": "vae", "latent": 3, "hidden": 8},
    "vae conv": {"family": "vae", "latent": 3, "hidden": 3, "form": "conv"},
    "cvae": {"family": "cvae", "latent": 3, "hidden": 8},
    "realnvp": {"family": "realnvp", "couplings": [2, 1], "width": [4, 4]},
    "realnvp unconditional": {"family": "realnvp", "couplings": [2], "width": [4], "unconditional": True},
    "gan": {"family": "gan", "latent": 3, "hidden": 3},
    "realnvp bf16": {"family": "realnvp", "couplings": [2], "width": [4], "precision": "bf16"},
    "realnvp contrast": {"family": "realnvp", "couplings": [2], "width": [4], "contrast": 0.5},
}
EPOCHS, STEPS = 4, 4  # 58 images to train on, in batches of 16


def toy(learnable=False):
    """64 images 1x8x8 of three classes: noise, or a bright bar whose place is the class."""
    generator = torch.Generator().manual_seed(0)
    images = torch.randint(0, 256, (64, 1, 8, 8), dtype=torch.uint8, generator=generator)
    labels = torch.arange(64) % 3
    if learnable:
        images //= 16
        for row, label in enumerate(labels.tolist()):
            images[row, 0, 2 * label : 2 * label + 3] += 200
    return Data(images, labels, ["red", "green", "blue"], "toy", "a test")


def resolve(case="vae", **given):
    common = {"data": "toy", "batch": 16, "epochs": EPOCHS, "precision": "fp32", **FAMILIES[case], **given}
    return settings.resolve(common.pop("family"), common)


def train(chosen, out, data=None, resume=False):
    training, held_out = hold_out(data or toy(), chosen["validation"], chosen["seed"])
    stored = checkpoint.load(out) if resume else None
    return fit.fit(chosen, training, held_out, out, CPU, stored, show=False)


@pytest.fixture
def no_pictures(monkeypatch):
    """Drawing takes longer than training here."""
    monkeypatch.setattr(fit.curves, "draw_curve", lambda *args: None)
    monkeypatch.setattr(fit.curves, "draw_samples", lambda *args: None)


@pytest.fixture
def at_loss(monkeypatch):
    """(family, number, function): the loss that is computed at that call becomes function(loss, model)."""

    def change(family, number, function):
        calls, whole = [], settings.FAMILIES[family]

        def loss(model, *batch, **options):
            calls.append(None)
            found = whole.loss(model, *batch, **options)
            return function(found, model) if len(calls) == number else found

        def counted(method):
            def call(run, *given):
                calls.append(None)
                found = method(run, *given)
                if len(calls) != number:
                    return found
                tensors = found if isinstance(found, tuple) else (found,)
                spoilt = (function(tensors[0], run.discriminator), *tensors[1:])
                return spoilt if isinstance(found, tuple) else spoilt[0]

            return call

        if family == "gan":  # it has two losses in a step and none on held-out images
            for name in ("judge", "validate"):
                monkeypatch.setattr(AdversarialRun, name, counted(getattr(AdversarialRun, name)))
        else:
            monkeypatch.setitem(settings.FAMILIES, family, whole._replace(loss=loss))

    return change


def killed(loss, model):
    raise KeyboardInterrupt


def losses_of(about):
    timed = ("seconds", "images_per_s")
    return [{name: value for name, value in row.items() if name not in timed} for row in about["history"]]


def assert_same_run(left, right):
    """Weights, average, the optimisers' state and losses of two folders are equal to the bit."""
    one, other = checkpoint.load(left), checkpoint.load(right)
    assert set(one.arrays) == set(other.arrays)
    more = {"GAN": {"discriminator", "opponent"}, "RealNVP": {"muon"}}.get(one.about["model"]["class"], set())
    assert {name.split("/")[0] for name in one.arrays} == {"model", "ema", "optimizer"} | more
    for name, array in one.arrays.items():
        assert np.array_equal(array, other.arrays[name]), name
    assert losses_of(one.about) == losses_of(other.about)
    for key in ("step", "averaged", "settings", "model", "data"):
        assert one.about[key] == other.about[key]


@pytest.fixture(scope="module")
def uninterrupted(tmp_path_factory):
    """{case: folder of a run of four epochs that nothing interrupted}"""
    folders = {case: tmp_path_factory.mktemp("uninterrupted") for case in FAMILIES}
    for case, folder in folders.items():
        train(resolve(case), folder)
    return folders


# a loss is computed at each of four steps and once on held-out images, five times an epoch
@pytest.mark.parametrize("call", [1, 5, 6, 12, 13, 20])
@pytest.mark.parametrize("case", FAMILIES)
def test_killed_and_resumed_is_uninterrupted(case, call, uninterrupted, at_loss, no_pictures, tmp_path):
    at_loss(FAMILIES[case]["family"], call, killed)
    with pytest.raises(KeyboardInterrupt):
        train(resolve(case), tmp_path)
    assert len(checkpoint.load(tmp_path).about["history"]) == (call - 1) // 5
    train(resolve(case), tmp_path, resume=True)
    assert_same_run(tmp_path, uninterrupted[case])


@pytest.mark.parametrize("write", [1, 2, 3, 5])
def test_killed_while_writing_and_resumed_is_uninterrupted(write, uninterrupted, no_pictures, tmp_path, monkeypatch):
    replace, writes = os.replace, []

    def kill(*args):
        writes.append(None)
        if len(writes) == write:
            raise KeyboardInterrupt
        replace(*args)

    with monkeypatch.context() as patch:
        patch.setattr(checkpoint.os, "replace", kill)
        with pytest.raises(KeyboardInterrupt):
            train(resolve("cvae"), tmp_path)
    if write == 1:
        with pytest.raises(CheckpointError, match="does not exist"):
            checkpoint.load(tmp_path)
    train(resolve("cvae"), tmp_path, resume=write > 1)
    assert_same_run(tmp_path, uninterrupted["cvae"])


def test_another_seed_is_another_run(uninterrupted, no_pictures, tmp_path):
    train(resolve("cvae", seed=1), tmp_path)
    with pytest.raises(AssertionError):
        assert_same_run(tmp_path, uninterrupted["cvae"])


def test_a_finished_run_that_is_resumed_stays_as_it_is(uninterrupted, tmp_path):
    folder = uninterrupted["vae"]
    before = {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    run = train(resolve("vae"), folder, resume=True)
    assert len(run.history) == EPOCHS
    assert {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()} == before


def test_pictures_that_a_kill_left_out_are_drawn_when_it_is_resumed(uninterrupted, tmp_path):
    folder = tmp_path / "run"
    shutil.copytree(uninterrupted["cvae"], folder)
    lost = [folder / "curve.png", folder / "metrics.jsonl", folder / "results" / f"sample_{EPOCHS}.png"]
    before = [path.read_bytes() for path in lost]
    for path in lost:
        path.unlink()
    train(resolve("cvae"), folder, resume=True)
    assert [path.read_bytes() for path in lost] == before


def test_a_run_can_be_prolonged(uninterrupted, no_pictures, tmp_path):
    chosen = resolve("vae", epochs=2)
    train(chosen, tmp_path)
    run = train({**chosen, "epochs": 3}, tmp_path, resume=True)
    assert [row["epoch"] for row in run.history] == [1, 2, 3]
    assert checkpoint.load(tmp_path).about["step"] == 3 * STEPS


@pytest.mark.parametrize(
    "change, expected",
    [
        ({"name": "fashion-sample"}, "the name of the data were toy and are fashion-sample now"),
        ({"classes": ["red", "blue", "green"]}, "the classes of the data were ['red', 'green', 'blue']"),
        ({"images": toy().images[:50], "labels": toy().labels[:50]}, "the images of the data were 58 and are 45 now"),
    ],
)
def test_a_run_is_not_resumed_on_other_data(uninterrupted, change, expected):
    folder = uninterrupted["cvae"]
    before = (folder / checkpoint.NAME).read_bytes()
    with pytest.raises(SettingsError) as caught:
        train(resolve("cvae"), folder, toy()._replace(**change), resume=True)
    assert expected in str(caught.value) and "start anew" in str(caught.value)
    assert (folder / checkpoint.NAME).read_bytes() == before


def test_a_run_is_not_resumed_with_another_model(uninterrupted):
    folder = uninterrupted["vae"]
    with pytest.raises(CheckpointError, match="it is of another model"):
        train(resolve("vae", hidden=9), folder, resume=True)


def not_a_number(loss, model):
    return loss * math.nan


def infinite(loss, model):
    return loss + math.inf


@pytest.mark.parametrize("family", ["vae", "realnvp", "gan"])
@pytest.mark.parametrize("spoil, word", [(not_a_number, "nan"), (infinite, "inf")])
def test_a_loss_that_is_not_finite_stops_and_keeps_the_epoch_before(
    family, spoil, word, at_loss, no_pictures, tmp_path, uninterrupted
):
    at_loss(family, 12, spoil)
    with pytest.raises(NotFiniteError) as caught:
        train(resolve(family), tmp_path)
    told = str(caught.value)
    assert told.startswith(f"the loss became {word} in epoch 3, step 10; the layer with the largest gain is '")
    assert f"; {tmp_path / checkpoint.NAME} keeps epoch 2; start anew in another folder with a smaller --lr" in told
    assert told.endswith(f"(it is {resolve(family)['lr']}), a smaller --clip (it is {resolve(family)['clip']})")
    stored, whole = checkpoint.load(tmp_path), checkpoint.load(uninterrupted[family])
    assert losses_of(stored.about) == losses_of(whole.about)[:2]
    assert all(np.isfinite(array).all() for array in stored.arrays.values())


def spoil_gradient(loss, model):
    """The loss as it is, but with a gradient that is not a number."""
    return loss + torch.sqrt(0 * sum(parameter.sum() for parameter in model.parameters()))


@pytest.mark.parametrize("family", ["vae", "realnvp", "gan"])
def test_a_gradient_that_is_not_finite_spoils_no_weight(family, at_loss, no_pictures, tmp_path):
    at_loss(family, 9, spoil_gradient)
    with pytest.raises(NotFiniteError) as caught:
        train(resolve(family), tmp_path)
    assert str(caught.value).startswith("the gradient became nan in epoch 2, step 8; the layer with the largest gain")
    stored = checkpoint.load(tmp_path)
    assert len(stored.about["history"]) == 1
    assert all(np.isfinite(array).all() for array in stored.arrays.values())


@pytest.mark.parametrize("family", ["vae", "realnvp", "gan"])
def test_a_model_that_is_not_finite_on_held_out_images_is_not_saved(family, at_loss, no_pictures, tmp_path):
    at_loss(family, 10, not_a_number)
    with pytest.raises(NotFiniteError) as caught:
        train(resolve(family), tmp_path)
    assert f"became nan on held-out images after epoch 2; {tmp_path / checkpoint.NAME} keeps epoch 1" in str(
        caught.value
    )
    stored = checkpoint.load(tmp_path)
    assert len(stored.about["history"]) == 1
    assert all(np.isfinite(array).all() for array in stored.arrays.values())


@pytest.mark.parametrize("case, layer", [("vae conv", "nets.decoder.3"), ("realnvp", "levels.0.couplings.1.last")])
def test_the_layer_with_the_largest_gain_is_named(case, layer, no_pictures, tmp_path, monkeypatch):
    def enlarged(chosen, data):
        model = make_model(chosen, data)
        torch.nn.init.constant_(model.get_submodule(layer).weight, 1e38)
        return model

    make_model = settings.make_model
    monkeypatch.setattr(run_module, "make_model", enlarged)
    with pytest.raises(NotFiniteError) as caught:
        train(resolve(case), tmp_path)
    kind = "ConvTranspose2d" if case == "vae conv" else "Conv2d"
    assert f"in epoch 1, step 1; the layer with the largest gain is '{layer}' ({kind}): its output is " in str(
        caught.value
    )


def test_half_precision_is_one_of_the_things_to_leave(at_loss, no_pictures, tmp_path):
    at_loss("realnvp", 2, not_a_number)
    with pytest.raises(NotFiniteError, match=r"a smaller --clip \(it is 1.0\), or --precision fp32"):
        train(resolve("realnvp bf16"), tmp_path)


def test_a_full_disk_leaves_the_epoch_before(no_pictures, tmp_path, monkeypatch):
    save, saves = checkpoint.save, []

    def full(path, about, arrays):
        saves.append(None)
        if len(saves) == 3:
            monkeypatch.setattr(checkpoint.os, "fsync", fail)
        save(path, about, arrays)

    def fail(handle):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(checkpoint, "save", full)
    with pytest.raises(OSError, match="No space left"):
        train(resolve("vae"), tmp_path)
    assert len(checkpoint.load(tmp_path).about["history"]) == 1
    assert not list(tmp_path.glob(".*"))


def test_settings_that_make_no_model_leave_no_folder(tmp_path):
    with pytest.raises(SettingsError):
        train(resolve("realnvp", couplings=[1, 1, 1, 1], width=[4, 4, 4, 4]), tmp_path / "out")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("case", ["vae", "vae conv", "cvae", "realnvp"])
def test_loss_goes_down_where_there_is_something_to_learn(case, no_pictures, tmp_path):
    chosen = resolve(case, epochs=15, lr=0.03, ema=0.9)
    history = train(chosen, tmp_path, toy(learnable=True)).history
    drop = 0.5 if case.startswith("realnvp") else 0.15 * history[0]["train"]
    for name in ("train", "validation"):
        assert history[-1][name] < history[0][name] - drop
        assert all(math.isfinite(row[name]) for row in history)


def test_the_checkpoint_says_all_that_is_needed(uninterrupted):
    stored = checkpoint.load(uninterrupted["cvae"])
    chosen = resolve("cvae")
    assert stored.about["settings"] == chosen
    assert stored.about["data"] == {
        "name": "toy", "classes": ["red", "green", "blue"], "images": 58,
    }  # fmt: skip
    assert stored.about["model"]["class"] == "VAE" and stored.about["model"]["arguments"]["classes"] == 3
    assert stored.about["unit"] == "BCE+KL per image (nats)"
    assert stored.about["step"] == EPOCHS * STEPS
    assert checkpoint.load(uninterrupted["realnvp"]).about["unit"] == "bits/dim"
    for row in stored.about["history"]:
        assert set(row) == {"epoch", "train", "validation", "seconds", "images_per_s", "precision"}


def test_validation_is_the_loss_of_the_model_that_the_checkpoint_gives(uninterrupted):
    for case in ("cvae", "realnvp", "vae conv"):
        stored, chosen = checkpoint.load(uninterrupted[case]), resolve(case)
        _, held_out = hold_out(toy(), chosen["validation"], chosen["seed"])
        model, family = stored.model(), settings.FAMILIES[chosen["family"]]
        labels = torch.eye(3)[held_out.labels] if model.classes else None
        with torch.no_grad():
            loss = family.loss(model, held_out.images, labels, torch.Generator().manual_seed(chosen["seed"]))
        assert stored.about["history"][-1]["validation"] == pytest.approx(loss.mean().item(), rel=1e-6)


def test_a_gan_is_measured_by_the_energy_distance_of_the_model_that_the_checkpoint_gives(uninterrupted):
    stored, chosen = checkpoint.load(uninterrupted["gan"]), resolve("gan")
    row, (_, held_out) = stored.about["history"][-1], hold_out(toy(), chosen["validation"], chosen["seed"])
    model, generator = stored.model(), torch.Generator().manual_seed(chosen["seed"])
    with torch.no_grad():
        made = model.decode(torch.randn(len(held_out.labels), 3, generator=generator), torch.eye(3)[held_out.labels])
    expected = losses.energy_distance(held_out.images.float() / 255, made).item()
    assert row["validation"] == pytest.approx(expected, rel=1e-5)
    assert stored.about["unit"] == "energy distance (levels)"
    assert set(row) == {
        "epoch", "discriminator", "generator", "validation", "seconds", "images_per_s", "precision",
    }  # fmt: skip


def test_a_gan_learns_where_there_is_something_to_learn(no_pictures, tmp_path):
    chosen = resolve("gan", epochs=40, lr=0.01, ema=0.9, hidden=8)
    history = train(chosen, tmp_path, toy(learnable=True)).history
    assert history[-1]["validation"] < 0.5 * history[0]["validation"]
    assert all(math.isfinite(row[name]) for row in history for name in ("discriminator", "generator"))


def test_a_gan_needs_two_held_out_images(no_pictures, tmp_path):
    with pytest.raises(DataError, match="1 image is held out, expected at least 2"):
        train(resolve("gan", validation=0.01), tmp_path)


def test_average_and_weights_are_both_kept(uninterrupted):
    stored = checkpoint.load(uninterrupted["vae"])
    trained, averaged = stored.state("model"), stored.state("ema")
    assert set(trained) == set(averaged)
    assert not any(torch.equal(trained[name], averaged[name]) for name in trained)


def test_metrics_are_one_json_object_an_epoch(uninterrupted):
    folder = uninterrupted["vae"]
    rows = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    assert rows == checkpoint.load(folder).about["history"]
    assert [row["epoch"] for row in rows] == [1, 2, 3, 4]


@pytest.mark.parametrize(
    "case, rows", [("vae", 10), ("cvae", 3), ("realnvp", 3), ("realnvp unconditional", 10), ("gan", 3)]
)
def test_files_are_what_they_should_be(case, rows, uninterrupted):
    folder = uninterrupted[case]
    names = sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())
    samples = [f"results/sample_{epoch}.png" for epoch in range(1, EPOCHS + 1)]
    assert names == sorted(["checkpoint.npz", "metrics.jsonl", "curve.png", *samples])
    for name in samples:
        with Image.open(folder / name) as image:  # eight columns of 8 pixels and one between, drawn at twice the size
            assert (image.format, image.size) == ("PNG", (2 * (8 * 9 + 1), 2 * (rows * 9 + 1)))
            assert np.asarray(image).std() > 1
    assert len({(folder / name).read_bytes() for name in samples}) == EPOCHS
    with Image.open(folder / "curve.png") as image:
        assert image.format == "PNG" and min(image.size) > 200


def test_progress_goes_to_stderr_and_only_if_it_is_wanted(no_pictures, tmp_path, capsys):
    chosen = resolve("vae", epochs=1)
    training, held_out = hold_out(toy(), 0.1, 0)
    fit.fit(chosen, training, held_out, tmp_path / "quiet", CPU, show=False)
    assert capsys.readouterr() == ("", "")
    fit.fit(chosen, training, held_out, tmp_path / "loud", CPU, show=True)
    out, err = capsys.readouterr()
    assert "epoch   1/1  train" in out + err and "BCE+KL per image (nats)" in out + err


@pytest.mark.parametrize("constant", [200, 600])
def test_learning_rate_rises_stays_and_falls(constant):
    total, peak, warmup = 1000, 0.5, 50
    fall = 1 - constant / total
    rates = [fit.learning_rate(step, total, peak, warmup, fall) for step in range(total)]
    assert rates[0] == pytest.approx(peak / warmup)
    assert np.allclose(np.diff(rates[:warmup]), peak / warmup)
    assert rates[warmup - 1 : constant] == [peak] * (constant - warmup + 1)
    assert np.allclose(np.diff(rates[constant:980]), -peak / (total - constant))
    assert rates[-1] == pytest.approx(0.02 * peak)
    assert max(rates) == peak and min(rates) > 0


@pytest.mark.parametrize("total", [1, 2, 10])
def test_learning_rate_of_a_run_shorter_than_its_warm_up(total):
    rates = [fit.learning_rate(step, total, 1.0, 50, 0.4) for step in range(total)]
    assert all(0 < rate <= (step + 1) / 50 for step, rate in enumerate(rates))


def test_precision_is_recorded_and_makes_a_difference(uninterrupted, no_pictures, tmp_path):
    train(resolve("realnvp bf16", precision="fp32"), tmp_path)
    half, single = checkpoint.load(uninterrupted["realnvp bf16"]), checkpoint.load(tmp_path)
    assert {row["precision"] for row in half.about["history"]} == {"bf16"}
    assert {row["precision"] for row in single.about["history"]} == {"fp32"}
    assert half.about["history"][-1]["validation"] != single.about["history"][-1]["validation"]
    assert half.about["history"][-1]["validation"] == pytest.approx(single.about["history"][-1]["validation"], rel=0.02)
    assert all(half.arrays[name].dtype == single.arrays[name].dtype for name in half.arrays)


def test_no_two_epochs_of_neighbouring_seeds_share_their_random_numbers():
    """seed + epoch would give the second epoch of seed 0 the order and noise of the first of seed 1."""
    drawn = {
        tuple(torch.rand(4, generator=fit.epoch_generator(seed, epoch)).tolist())
        for seed in range(4)
        for epoch in range(1, 9)
    }
    assert len(drawn) == 4 * 8
