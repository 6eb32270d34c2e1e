"""The training loop: a run that is killed and resumed is the run that was not, and what it writes."""

import errno
import json
import math
import os
import shutil

import numpy as np
import pytest
import torch
from latentjet.train import checkpoint, fit, settings
from latentjet.train.data import Data, hold_out
from latentjet.train.errors import CheckpointError, SettingsError, TrainError
from PIL import Image
from torch.optim.swa_utils import AveragedModel

CPU = torch.device("cpu")
FAMILIES = {
    "vae": {"family": "vae", "latent": 3, "hidden": 8},
    "vae conv": {"family": "vae", "latent": 3, "hidden": 3, "form": "conv"},
    "cvae": {"family": "cvae", "latent": 3, "hidden": 8},
    "realnvp": {"family": "realnvp", "couplings": [2, 1], "width": [4, 4]},
    "realnvp unconditional": {"family": "realnvp", "couplings": [2], "width": [4], "unconditional": True},
    "realnvp bf16": {"family": "realnvp", "couplings": [2], "width": [4], "precision": "bf16"},
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
        calls, whole = [], fit.FAMILIES[family]

        def loss(model, x8, y, generator):
            calls.append(None)
            found = whole.loss(model, x8, y, generator)
            return function(found, model) if len(calls) == number else found

        monkeypatch.setitem(fit.FAMILIES, family, whole._replace(loss=loss))

    return change


def killed(loss, model):
    raise KeyboardInterrupt


def losses_of(about):
    return [(row["epoch"], row["train"], row["validation"]) for row in about["history"]]


def assert_same_run(left, right):
    """Weights, average, Adam's state and losses of two folders are equal to the bit."""
    one, other = checkpoint.load(left), checkpoint.load(right)
    assert set(one.arrays) == set(other.arrays)
    assert {name.split("/")[0] for name in one.arrays} == {"model", "ema", "optimizer"}
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


@pytest.mark.parametrize("family", ["vae", "realnvp"])
@pytest.mark.parametrize("spoil, word", [(not_a_number, "nan"), (infinite, "inf")])
def test_a_loss_that_is_not_finite_stops_and_keeps_the_epoch_before(
    family, spoil, word, at_loss, no_pictures, tmp_path, uninterrupted
):
    at_loss(family, 12, spoil)
    with pytest.raises(TrainError) as caught:
        train(resolve(family), tmp_path)
    assert f"the loss became {word} in epoch 3, step 10: the checkpoint of epoch 2 is kept" in str(caught.value)
    assert f"try a smaller --lr (it is {resolve(family)['lr']})" in str(caught.value)
    stored, whole = checkpoint.load(tmp_path), checkpoint.load(uninterrupted[family])
    assert losses_of(stored.about) == losses_of(whole.about)[:2]
    assert all(np.isfinite(array).all() for array in stored.arrays.values())


def spoil_gradient(loss, model):
    """The loss as it is, but with a gradient that is not a number."""
    return loss + torch.sqrt(0 * sum(parameter.sum() for parameter in model.parameters()))


@pytest.mark.parametrize("family", ["vae", "realnvp"])
def test_weights_that_the_last_step_of_an_epoch_spoils_are_not_saved(family, at_loss, no_pictures, tmp_path):
    at_loss(family, 9, spoil_gradient)
    with pytest.raises(TrainError) as caught:
        train(resolve(family), tmp_path)
    assert "the loss became nan in epoch 2, on held-out images: the checkpoint of epoch 1 is kept" in str(caught.value)
    stored = checkpoint.load(tmp_path)
    assert len(stored.about["history"]) == 1
    assert all(np.isfinite(array).all() for array in stored.arrays.values())


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
        "name": "toy", "source": "a test", "classes": ["red", "green", "blue"], "images": 58,
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


@pytest.mark.parametrize("case, rows", [("vae", 10), ("cvae", 3), ("realnvp", 3), ("realnvp unconditional", 10)])
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


def test_learning_rate_rises_stays_and_falls():
    total, peak, warmup = 1000, 0.5, 50
    rates = [fit.learning_rate(step, total, peak, warmup) for step in range(total)]
    assert rates[0] == pytest.approx(peak / warmup)
    assert np.allclose(np.diff(rates[:warmup]), peak / warmup)
    assert rates[warmup - 1 : 600] == [peak] * (600 - warmup + 1)
    assert np.allclose(np.diff(rates[600:990]), -peak / 400)
    assert rates[-1] == pytest.approx(0.02 * peak)
    assert max(rates) == peak and min(rates) > 0


@pytest.mark.parametrize("total", [1, 2, 10])
def test_learning_rate_of_a_run_shorter_than_its_warm_up(total):
    rates = [fit.learning_rate(step, total, 1.0, 50) for step in range(total)]
    assert all(0 < rate <= (step + 1) / 50 for step, rate in enumerate(rates))


def averages(decay, values):
    """The average after each of the values that a weight takes."""
    model = torch.nn.Linear(1, 1, bias=False)
    averaged, found = AveragedModel(model, multi_avg_fn=fit.averaging(decay)), []
    for value in values:
        torch.nn.init.constant_(model.weight, value)
        averaged.update_parameters(model)
        found.append(averaged.module.weight.item())
    return found


def test_the_first_average_is_the_first_value():
    assert averages(0.999, [3.0]) == [3.0]
    assert averages(0.999, [3.0] * 20) == [3.0] * 20


def test_a_short_run_is_not_held_back_by_the_average():
    values = averages(0.999, [0.0] + [1.0] * 30)
    assert values == sorted(values)
    assert values[-1] > 0.99  # with 0.999 from the start it would be 0.03


def test_the_horizon_grows_up_to_the_decay():
    expected, found = 0.0, averages(0.9, list(range(200)))
    for count, value in enumerate(range(200)):
        decay = min(0.9, (1 + count) / (10 + count)) if count else 0.0
        expected = decay * expected + (1 - decay) * value
        assert found[count] == pytest.approx(expected, rel=1e-4, abs=1e-6)
    assert 199 - found[-1] == pytest.approx(9, rel=0.01)  # decay / (1 - decay) behind a ramp


@pytest.mark.parametrize("name", ["tpu", "", "meta", "mps", "cuda:x", "gpu"])
def test_an_unknown_device_is_refused_with_those_that_exist(name):
    with pytest.raises(SettingsError) as caught:
        fit.choose_device(name)
    assert str(caught.value) == f"--device is '{name}', expected auto, cpu, cuda or cuda:N"


def test_a_device_that_is_not_there_is_refused(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    for name in ("cuda", "cuda:1"):
        with pytest.raises(
            SettingsError, match=f"--device is '{name}', but this torch sees no CUDA device: take --dev"
        ):
            fit.choose_device(name)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    with pytest.raises(SettingsError, match="--device is 'cuda:2', but this torch sees 2 CUDA devices"):
        fit.choose_device("cuda:2")
    assert fit.choose_device("cuda:1") == torch.device("cuda:1")


@pytest.mark.parametrize("available, expected", [(False, "cpu"), (True, "cuda")])
def test_auto_takes_cuda_where_there_is_one(monkeypatch, available, expected):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: available)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: int(available))
    assert fit.choose_device("auto").type == expected
    assert fit.choose_device("cpu") == CPU


@pytest.mark.parametrize(
    "has, expected",
    [({}, "fp32"), ({"avx512_bf16": True}, "bf16"), ({"amx_bf16": True}, "bf16"), ({"avx512_bf16": False}, "fp32")],
)
def test_auto_takes_bf16_where_the_processor_multiplies_it(monkeypatch, has, expected):
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: has, raising=False)
    assert fit.choose_precision("auto", CPU) == expected
    assert [fit.choose_precision(name, CPU) for name in ("fp32", "bf16")] == ["fp32", "bf16"]


def test_auto_is_fp32_where_torch_cannot_tell(monkeypatch):
    monkeypatch.delattr(torch.cpu, "get_capabilities", raising=False)
    assert fit.choose_precision("auto", CPU) == "fp32"


@pytest.mark.parametrize("supported, expected", [(True, "bf16"), (False, "fp32")])
def test_auto_asks_the_gpu(monkeypatch, supported, expected):
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda: supported)
    assert fit.choose_precision("auto", torch.device("cuda")) == expected


def test_precision_is_recorded_and_makes_a_difference(uninterrupted, no_pictures, tmp_path):
    train(resolve("realnvp bf16", precision="fp32"), tmp_path)
    half, single = checkpoint.load(uninterrupted["realnvp bf16"]), checkpoint.load(tmp_path)
    assert {row["precision"] for row in half.about["history"]} == {"bf16"}
    assert {row["precision"] for row in single.about["history"]} == {"fp32"}
    assert half.about["history"][-1]["validation"] != single.about["history"][-1]["validation"]
    assert half.about["history"][-1]["validation"] == pytest.approx(single.about["history"][-1]["validation"], rel=0.02)
    assert all(half.arrays[name].dtype == single.arrays[name].dtype for name in half.arrays)
